"""How sure a difference is: intervals over questions and seeds, tests, and the correction for several of them.

The unit is the question (its translations are one) and the seed. Differences come as an array ``[questions,
languages, seeds]`` with NaN where a question does not exist in a language; the statistic is always the macro mean:
over questions within a language, then over languages, then over seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval around it."""

    value: float
    low: float
    high: float

    def inside(self, margin: float) -> bool:
        """Whether the whole interval lies within plus or minus ``margin``: equivalence (two one-sided tests)."""
        return -margin < self.low and self.high < margin


def macro_mean(values: np.ndarray) -> float:
    """Mean over questions within each language and seed, then over languages and seeds.

    Args:
        values: float [questions, languages, seeds]; NaN where a question does not exist in a language.
    """
    return float(np.nanmean(values, axis=0).mean())


def interval(values: np.ndarray, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Crossed bootstrap: questions and seeds are drawn again independently of each other.

    Drawing questions alone would leave out that another seed gives another model: where seeds vary, the coverage
    of such a nominal 95% interval falls to .79.

    Args:
        values: float [questions, languages, seeds], as for `macro_mean`.
        level: nominal coverage.
        draws: number of bootstrap samples.
        seed: of the generator; the same seed gives the same interval.
    """
    questions, languages, seeds = values.shape
    draw = np.random.default_rng(seed)
    exists = ~np.isnan(values)
    flat = np.where(exists, values, 0).reshape(questions, -1)
    found = np.empty(draws)
    for start in range(0, draws, 500):
        size = min(500, draws - start)
        weights = draw.multinomial(questions, np.full(questions, 1 / questions), size).astype(np.float64)
        seed_weights = draw.multinomial(seeds, np.full(seeds, 1 / seeds), size) / seeds
        counts = weights @ exists.reshape(questions, -1).astype(np.float64)
        means = (weights @ flat / np.maximum(counts, 1)).reshape(size, languages, seeds).mean(axis=1)
        found[start : start + size] = (means * seed_weights).sum(axis=1)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(macro_mean(values), float(low), float(high))


def sign_flip(values: np.ndarray, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference, for these seeds: the sign of each question's difference is drawn anew.

    Differences are averaged over seeds first. p = (b + 1) / (B + 1), with b of B draws at least as far from zero.

    Args:
        values: float [questions, languages, seeds], as for `macro_mean`.
    """
    per_seed = values.mean(axis=2)
    share = np.nansum(per_seed / np.count_nonzero(~np.isnan(per_seed), axis=0), axis=1) / per_seed.shape[1]
    observed = abs(share.sum())
    draw = np.random.default_rng(seed)
    beyond = 0
    for start in range(0, draws, 1_000):
        signs = draw.choice([-1.0, 1.0], size=(min(1_000, draws - start), len(share)))
        beyond += int(np.count_nonzero(np.abs(signs @ share) >= observed * (1 - 1e-12)))
    return (beyond + 1) / (draws + 1)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values for a family of tests, in the order given."""
    order = np.argsort(p, kind="stable")
    adjusted, largest = np.empty(len(p)), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = largest
    return adjusted.tolist()
