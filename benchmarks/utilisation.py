"""How much of the machine's arithmetic a training of XLM-R's base shape uses: model FLOP utilisation (MFU).

    .venv/bin/python -m benchmarks.utilisation [STEPS]

Trained as in the profile `paper`, batch 100, hybrid, from texts to updated weights, on the GPU if there is one; on
XQuAD-R's questions and its sentences with their paragraph, up to 128 tokens, as MS MARCO's passages are. The weights
are random, which the time does not depend on, and the tokenizer is that of multilingual-e5-small, XLM-R's. Counted is
what the model must compute for the tokens of the texts (Chowdhery et al. 2022, appendix B); for padding nothing. The
peak is what a large product in the same precision reaches in the same run.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import measured
from benchmarks.training import clocked, peak_memory
from lib.base import config, device
from lib.base.config import Config
from lib.data import catalog as data
from lib.data.sets import ParallelSet
from lib.encoders import load as encoders
from lib.encoders import vocabulary
from lib.training import fit as training
from lib.training.sampling import Strategy

WARM = 3  # steps that are not counted
STEPS = {"cpu": 8, "cuda": 100}
SIDE = {"cpu": 4_096, "cuda": 16_384}  # of the large product


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS[device.device()]
    settings = config.load("paper", [f"steps={steps}", "warmup_steps=0", "checkpoint=last"]).config
    questions = data.training_set("xquad-r", ("mlqa-r",), "sentence+paragraph")
    with tempfile.TemporaryDirectory() as folder:
        model = of_base_shape(Path(folder) / "model")
        vocabulary.trim(model, [*questions.queries["text"], *questions.passages["text"]])
        found = measure(model, questions, settings, Path(folder) / "checkpoints")
    peak = product(device.precision(settings.precision))
    found |= {"peak in TFLOP/s": peak, "utilisation": found["TFLOP/s"] / peak}
    measured.write("utilisation", {"batch": settings.batch_size, "precision": device.precision("auto"), **found})


def of_base_shape(folder: Path) -> Any:
    """XLM-R base with random weights."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = encoders.load(encoders.fetched("e5-small-q4"), "cpu").tokenizer
    shape = XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=514, type_vocab_size=1)
    torch.manual_seed(0)
    XLMRobertaModel(shape, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model = encoders.load(folder)
    model.prompts = dict(encoders.find("xlm-r").prompts)
    return model


def measure(model: Any, questions: ParallelSet, settings: Config, folder: Path) -> dict[str, float]:
    """Train ``settings.steps`` steps; medians over those after `WARM`: the writing of checkpoints does not count."""
    import torch

    masks: list[list[Any]] = [[]]  # of each step

    def note(module: Any, given: tuple[dict[str, Any]]) -> None:
        if module.training:
            masks[-1].append(given[0]["attention_mask"])  # summed when all is done: to look at it now is to wait for it

    def next_step() -> float:
        if device.device() == "cuda":
            torch.cuda.synchronize()
        masks.append([])
        return time.perf_counter()

    hook = model[0].register_forward_pre_hook(note)
    with clocked(next_step) as ends:
        training.fit(model, questions, Strategy("hybrid", 0.5), 0, settings, folder)
    hook.remove()
    shape = model[0].auto_model.config
    steps = []
    for seen, begin, end in zip(masks[WARM:], ends[WARM - 1 :], ends[WARM:], strict=False):
        lengths = torch.cat([mask.sum(1) for mask in seen]).tolist()
        padded = sum(mask.numel() for mask in seen)
        steps.append((end - begin, sum(lengths), needed(shape, lengths), 1 - sum(lengths) / padded))
    middle = statistics.median
    found = {
        "seconds a step": middle(seconds for seconds, *_ in steps),
        "pairs a second": settings.batch_size / middle(seconds for seconds, *_ in steps),
        "tokens a step": middle(tokens for _, tokens, *_ in steps),
        "tokens a second": middle(tokens / seconds for seconds, tokens, *_ in steps),
        "padding": middle(padding for *_, padding in steps),
        "TFLOP/s": middle(flops / seconds for seconds, _, flops, _ in steps) / 1e12,
    }
    return found | {"peak memory in GB": peak_memory()}


def needed(shape: Any, lengths: list[int]) -> int:
    """Floating-point operations of one training step on texts of so many tokens.

    A multiplication and an addition for each weight and token, and for each pair of tokens of a text in the scores of
    attention and in their use; once forward, and twice backward.
    """
    width, layers = shape.hidden_size, shape.num_hidden_layers
    weights = 4 * width**2 + 2 * width * shape.intermediate_size
    return 3 * 2 * layers * sum(weights * length + 2 * width * length**2 for length in lengths)


def product(precision: str) -> float:
    """TFLOP/s of a product of two large matrices."""
    import torch

    where = device.device()
    side = SIDE[where]
    matrix = torch.randn(side, side, device=where, dtype=getattr(torch, precision))

    def multiply() -> None:
        torch.mm(matrix, matrix)
        if where == "cuda":
            torch.cuda.synchronize()

    return 2 * side**3 / measured.alternating({"product": multiply})["product"] / 1e12


if __name__ == "__main__":
    main()
