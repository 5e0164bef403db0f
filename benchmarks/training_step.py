"""Seconds a training step takes with and without grouping rows by length; alternating, medians, same batches."""

import statistics
import time

from benchmarks import measured
from lib.base import device
from lib.data import catalog as data
from lib.runs import open as runs
from lib.training import fit as training
from lib.training import trainer
from lib.training.pairs import Pairs
from lib.training.sampling import Strategy

REPEATS = 5


def main() -> None:
    import torch
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from lib.encoders import load as encoders

    run = runs.open_run("quick", ["encoder=e5-small-q4"])
    questions = data.training_set("mlqa-r", run.config.eval)
    model = encoders.load(encoders.fetched(run.config.encoder[0]))
    model.max_seq_length = run.config.max_tokens
    model[0].auto_model.get_input_embeddings().weight.requires_grad_(False)
    pairs = Pairs.of(questions)
    dataset = training.as_dataset(questions, pairs)
    batches = iter(Strategy("hybrid", 0.5).sampler(pairs)(dataset, run.config.batch_size))
    bf16 = device.precision(run.config.precision) == "bfloat16"
    losses = {
        "padded": MultipleNegativesRankingLoss(model),
        "grouped": MultipleNegativesRankingLoss(trainer.in_groups(model)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    for _ in range(REPEATS + 1):
        rows = dataset[next(batches)]
        for name, loss in losses.items():
            features = [
                model.preprocess(rows[column], prompt=model.prompts[kind])
                for column, kind in (("anchor", "query"), ("positive", "document"))
            ]
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                value = loss(features, None)
            value.backward()
            model.zero_grad()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}  # the first one warms up
    measured.write("training_step", {"seconds": medians, "times as fast": medians["padded"] / medians["grouped"]})


if __name__ == "__main__":
    main()
