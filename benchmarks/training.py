"""Pairs a second and peak memory of a training, against sentence-transformers' trainer left at its defaults.

    .venv/bin/python -m benchmarks.training

The same encoder, questions, batches (hybrid), batch size and length limit; each turn is a process of its own, so that
its peak memory is its own. Stock: float32, the whole vocabulary, every weight trained. Ours: as the profile `default`.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import measured
from lib.base import config, device
from lib.data import catalog as data
from lib.encoders import load as encoders
from lib.encoders import vocabulary
from lib.training import fit as training
from lib.training import trainer
from lib.training.pairs import Pairs
from lib.training.sampling import Strategy

STEPS, TURNS = 5, 5  # of the steps the first warms up


def main() -> None:
    encoders.fetched(config.load("quick", ["encoder=e5-small-q4"]).config.encoder[0])  # made before any clock runs
    found: dict[str, list[dict[str, float]]] = {"stock": [], "ours": []}
    for _ in range(TURNS):
        for way, turns in found.items():
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.training", way], capture_output=True, text=True, check=True
            )
            turns.append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        way: {key: statistics.median(turn[key] for turn in turns) for key in turns[0]} for way, turns in found.items()
    }
    measured.write(
        "training",
        {
            **medians,
            "times as fast": medians["ours"]["pairs a second"] / medians["stock"]["pairs a second"],
            "share of its memory": medians["ours"]["peak memory in GB"] / medians["stock"]["peak memory in GB"],
        },
    )


def turn(way: str) -> dict[str, float]:
    """Train a few steps one way; returns its pace after the first step and its peak memory."""
    settings = config.load("quick", ["encoder=e5-small-q4", f"steps={STEPS}"]).config
    questions = data.training_set("xquad-r", settings.eval)
    model = encoders.load(encoders.fetched(settings.encoder[0]))
    model.max_seq_length = settings.max_tokens
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        (ours if way == "ours" else stock)(model, questions, settings, Path(folder), ends)
    pairs = settings.batch_size * (len(ends) - 1)
    return {"pairs a second": pairs / (ends[-1] - ends[0]), "peak memory in GB": peak_memory()}


def peak_memory() -> float:
    """The most memory that this process has held, in GB: of the GPU if there is one, else of the machine."""
    import torch

    if device.device() == "cuda":
        return torch.cuda.max_memory_allocated() / 1024**3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def ours(model: Any, questions: Any, settings: Any, folder: Path, ends: list[float]) -> None:
    vocabulary.trim(model, [*questions.queries["text"], *questions.passages["text"]])
    with clocked() as noted:
        training.fit(model, questions, Strategy("hybrid", 0.5), 0, settings, folder)
    ends += noted


def stock(model: Any, questions: Any, settings: Any, folder: Path, ends: list[float]) -> None:
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    pairs = Pairs.of(questions)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder), max_steps=settings.steps, per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate, warmup_steps=settings.warmup_steps, save_strategy="no",
        batch_sampler=Strategy("hybrid", 0.5).sampler(pairs), report_to="none", disable_tqdm=True,
        prompts={"anchor": model.prompts["query"], "positive": model.prompts["document"]},
    )  # fmt: skip
    run = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=training.as_dataset(questions, pairs),
        loss=MultipleNegativesRankingLoss(model, scale=settings.scale), callbacks=[clock(ends)],
    )  # fmt: skip
    run.train()


@contextmanager
def clocked(now: Callable[[], float] = time.perf_counter) -> Iterator[list[float]]:
    """When each step ended, of the trainings of the suite within."""
    ends: list[float] = []
    make = trainer.make

    def timed(**arguments: Any) -> Any:
        made = make(**arguments)
        made.add_callback(clock(ends, now))
        return made

    with mock.patch.object(trainer, "make", timed):
        yield ends


def clock(ends: list[float], now: Callable[[], float] = time.perf_counter) -> Any:
    """Notes when each step ended."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def on_step_end(self, *ignored: Any, **also: Any) -> None:
            ends.append(now())

    return Clock()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(turn(sys.argv[1])))
    else:
        main()
