"""Where the time of a run of e5 goes: of its training steps and its encoding, by kind of operation; of an evaluation.

    .venv/bin/python -m benchmarks.time_spent

As torch's profiler sees it: the time of each operator without those that it calls. What is left of the time by the
clock is the tokenizer and Python.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import measured
from benchmarks.training import clocked
from lib.base import config, device
from lib.data import catalog as data
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.encoders import vocabulary
from lib.evaluation import probe, search
from lib.training import fit as training
from lib.training.sampling import Strategy

WARM, STEPS, TEXTS = 2, 8, 2_000
KINDS = {
    "matrix products": ("mm", "linear", "einsum", "scaled_dot_product", "flash_attention"),
    "softmax": ("softmax",),
    "activations": ("gelu", "tanh"),
    "norms": ("layer_norm", "linalg_vector_norm", "foreach_norm"),
    "copies and casts": ("copy", "cat", "clone", "index", "embedding", "contiguous", "slice_backward"),
    "optimiser": ("adam",),
}
OTHER, AROUND = "other operators", "tokenizer and Python"


def main() -> None:
    settings = config.load("quick", ["encoder=e5-small-q4"]).config
    model = encoders.load(encoders.fetched(settings.encoder[0]))
    embedding.cut(model, settings.max_tokens)
    passages = data.evaluation_set("mlqa-r").passages["text"].tolist()
    some, precision = passages[:: len(passages) // TEXTS], device.precision(settings.precision)
    embedding.encode(model, some[:100], "document", precision)
    with spent() as encoding:
        embedding.encode(model, some, "document", precision)
    evaluating = evaluation(model, settings)
    found = {"encoding": encoding, "evaluation of xquad-r": evaluating, "training": step(model, settings)}
    measured.write("time_spent", found)


def evaluation(model: Any, settings: config.Config) -> dict[str, float]:
    """Seconds of each part of scoring a model on XQuAD-R."""
    clock = [time.perf_counter()]
    [(chosen, queries, passages)] = embedding.encode_sets(model, ["xquad-r"], settings)
    clock.append(time.perf_counter())
    search.rank(queries, passages, chosen)
    clock.append(time.perf_counter())
    probe.read_off(queries, passages, chosen)
    clock.append(time.perf_counter())
    names = ("encoding", "ranking", "language in the vectors")
    seconds = {name: end - begin for name, begin, end in zip(names, clock, clock[1:], strict=False)}
    return seconds | {"texts": len(queries) + len(passages)}


def step(model: Any, settings: config.Config) -> dict[str, float]:
    """The shares of a training's steps, after the first ones, from end to end."""
    questions = data.training_set("xquad-r", settings.eval)
    vocabulary.trim(model, [*questions.queries["text"], *questions.passages["text"]])
    found: dict[str, float] = {}
    profiled, ended = spent(found), iter(range(1, STEPS + WARM + 1))

    def next_step() -> float:
        number = next(ended)
        if number == WARM:
            profiled.__enter__()
        elif number == WARM + STEPS:
            profiled.__exit__(None, None, None)
        return time.perf_counter()

    wanted = config.load("quick", ["encoder=e5-small-q4", f"steps={WARM + STEPS}", "warmup_steps=0"]).config
    with tempfile.TemporaryDirectory() as folder, clocked(next_step):
        training.fit(model, questions, Strategy("hybrid", 0.5), 0, wanted, Path(folder))
    return found


@contextmanager
def spent(shares: dict[str, float] | None = None) -> Iterator[dict[str, float]]:
    """The share of each kind in the time of what is done within, known when it is done; and ``seconds``."""
    from torch.profiler import ProfilerActivity, profile

    shares, seconds = {} if shares is None else shares, Counter[str]()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        begun = time.perf_counter()
        yield shares
        whole = time.perf_counter() - begun
    for event in profiled.key_averages():
        seconds[kind(event.key)] += event.self_cpu_time_total / 1e6
    seconds[AROUND] = whole - seconds.total()
    shares |= {name: found / whole for name, found in seconds.most_common()} | {"seconds": whole}


def kind(operator: str) -> str:
    """The kind of an operator by its name, such as ``aten::addmm``."""
    return next((name for name, parts in KINDS.items() if any(part in operator.lower() for part in parts)), OTHER)


if __name__ == "__main__":
    main()
