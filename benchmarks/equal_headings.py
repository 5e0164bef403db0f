"""How often documentation headings in the same words meet in a batch, by kind of batches: e5's batches, five seeds.

Many sections share a heading ("Writing a text file"). Two such questions in one batch are each other's false negative.
If one kind of batches held more of them than another, that could be what documentation costs it. It needs the data, and
takes a minute.

    .venv/bin/python -m benchmarks.equal_headings
"""

from itertools import islice

import numpy as np
import pandas as pd

from benchmarks import measured
from lib.data import catalog as data
from lib.data.sets import ParallelSet
from lib.runs.open import open_run
from lib.training import fit
from lib.training.pairs import Pairs
from lib.training.sampling import Strategy

TRAIN, SEEDS = "parallel-docs", (0, 1, 2, 3, 4)
STRATEGIES = (Strategy("x-x-mono"), Strategy("x-y"), Strategy("hybrid", 0.5))


def headings(questions: ParallelSet) -> np.ndarray:
    """A number for each question, equal where the English headings are; of those without English one of its own."""
    english = questions.queries[questions.queries["language"] == "en"]
    words = english.set_index("question")["text"].str.casefold()
    number = pd.Series(range(len(questions.questions)))
    return pd.factorize(number.map(words).fillna(number.astype(str)))[0]


def main() -> None:
    config = open_run("full", finished=True).config.of("e5-small-q4")
    questions = data.training_set(TRAIN, config.eval, config.candidates)
    pairs, heading = Pairs.of(questions), headings(questions)
    asks, dataset = questions.queries["question"].to_numpy(), fit.as_dataset(questions, pairs)
    found = {}
    for strategy in STRATEGIES:
        make, equal, texts = strategy.sampler(pairs, 1, config.sampler), [], []
        for seed in SEEDS:
            for batch in islice(make(dataset, batch_size=config.batch_size, seed=seed), config.steps):
                anchors = pairs.anchor[batch]
                equal.append(_meetings(heading[asks[anchors]]))
                texts.append(_meetings(questions.queries["text"].to_numpy()[anchors]))
        found[strategy.label] = {
            "pairs of one heading a batch": float(np.mean(equal)),
            "of them in the same words": float(np.mean(texts)),
            "batches with any": float(np.mean(np.array(equal) > 0)),
        }
    repeated = pd.Series(heading).duplicated(keep=False).mean()
    measured.write("equal_headings", {"questions whose heading another has": float(repeated), "batches": found})


def _meetings(values: np.ndarray) -> int:
    """How many pairs of equal values there are."""
    counts = pd.Series(values).value_counts().to_numpy()
    return int((counts * (counts - 1) // 2).sum())


if __name__ == "__main__":
    main()
