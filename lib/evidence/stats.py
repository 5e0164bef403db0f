"""How sure a difference is: intervals over questions and seeds, tests, and the correction for several of them.

The unit is the question (its translations are one) and the seed. Differences come as an array ``[questions,
languages, seeds]`` with NaN where a question does not exist in a language; the statistic is always the macro mean:
over questions within a language, then over languages, then over seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

DRAWS = 10_000
BLOCK = 500  # draws at a time


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


@dataclass(frozen=True)
class Estimate:
    """A macro mean, or a number made from several, with its bootstrap.

    Attributes:
        value: the number.
        samples: float [draws], the same number of each bootstrap sample.
    """

    value: float
    samples: np.ndarray

    def __sub__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value - other.value, self.samples - other.samples)

    def __truediv__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value / other.value, self.samples / other.samples)

    def interval(self, level: float = 0.95) -> Interval:
        """The estimate between the quantiles of its samples; ``level`` is the nominal coverage."""
        low, high = np.quantile(self.samples, [(1 - level) / 2, (1 + level) / 2])
        return Interval(self.value, float(low), float(high))


def estimate(values: np.ndarray, group: int = 0, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Crossed bootstrap of a macro mean: questions and seeds are drawn independently.

    Drawing questions alone would leave out that another seed gives another model. Few seeds show too little of that:
    where they vary as they do here, three times as much as the mean over questions, a nominal 95% interval covers .91
    with 5 seeds, .86 with 3, .79 with 2 and .46 with 1 (simulated in ``tests/test_stats.py``).

    Args:
        values: float [questions, languages, seeds], as for `macro_mean`.
        group: which questions they are. Estimates of one group are drawn together, others independently; seeds are
            drawn together always, and have to be the same ones, in the same order.
        draws: number of bootstrap samples.
        seed: of the generators; the same seed gives the same samples.
    """
    questions, _, seeds = values.shape
    totals, found = _Totals(values), []
    for drawn, models in zip(_drawn(questions, group + 1, draws, seed), _drawn(seeds, 0, draws, seed), strict=True):
        found.append((totals.means(drawn.astype(np.float64)) * models).sum(axis=1) / seeds)
    return Estimate(macro_mean(values), np.concatenate(found))


def interval(values: np.ndarray, group: int = 0, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The 95% interval of one macro mean; see `estimate`."""
    return estimate(values, group, draws, seed).interval()


@lru_cache(maxsize=8)
def _drawn(units: int, stream: int, draws: int, seed: int) -> list[np.ndarray]:
    """How often each unit is drawn, as often with replacement as there are units: blocks of uint8 [<= 500, units].

    Kept, since many estimates are of the same questions: drawing took most of their time. Counting drawn numbers is
    3.7 times as fast as multinomial draws.
    """
    draw = np.random.default_rng([seed, stream])
    return [_counted(draw, units, min(BLOCK, draws - start)) for start in range(0, draws, BLOCK)]


def _counted(draw: np.random.Generator, units: int, size: int) -> np.ndarray:
    picked = draw.integers(units, size=(size, units)) + units * np.arange(size)[:, None]
    return np.bincount(picked.ravel(), minlength=size * units).reshape(size, units).astype(np.uint8)


class _Totals:
    """Values summed over those languages that have the same questions: as many fewer columns for each draw to weigh."""

    def __init__(self, values: np.ndarray):
        questions, languages, seeds = values.shape
        exists = ~np.isnan(values).reshape(questions, -1)
        _, first, pattern = np.unique(np.packbits(exists, axis=0), axis=1, return_index=True, return_inverse=True)
        place = np.zeros((languages * seeds, len(first), seeds))
        place[np.arange(languages * seeds), pattern.ravel(), np.tile(np.arange(seeds), languages)] = 1 / languages
        totals = np.where(exists, values.reshape(questions, -1), 0) @ place.reshape(languages * seeds, -1)
        self.patterns = len(first)
        self.columns = np.concatenate([exists[:, first], totals], axis=1)  # in one, so that draws are read once

    def means(self, weights: np.ndarray) -> np.ndarray:
        """Macro mean over questions and languages of each draw and seed, [draws, seeds]."""
        counts, totals = np.split(weights @ self.columns, [self.patterns], axis=1)
        by_pattern = totals.reshape(len(weights), self.patterns, -1)
        return (by_pattern / np.maximum(counts, 1)[:, :, None]).sum(axis=1)


def sign_flip(values: np.ndarray, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference, for these seeds: the sign of each question's difference is drawn anew.

    Differences are averaged over seeds first. p = (b + 1) / (B + 1), with b of B draws at least as far from zero.

    Args:
        values: float [questions, languages, seeds], as for `macro_mean`.
    """
    per_seed = values.mean(axis=2)
    share = np.nansum(per_seed / np.count_nonzero(~np.isnan(per_seed), axis=0), axis=1) / per_seed.shape[1]
    observed = abs(share.sum())
    sums = [np.abs(signs.astype(np.float64) @ share) for signs in _signs(len(share), draws, seed)]
    beyond = np.count_nonzero(np.concatenate(sums) >= observed * (1 - 1e-12))
    return (int(beyond) + 1) / (draws + 1)


@lru_cache(maxsize=4)
def _signs(units: int, draws: int, seed: int) -> list[np.ndarray]:
    """Drawn signs of each unit: blocks of int8 [<= 1000, units], kept as those of `_drawn` are."""
    draw = np.random.default_rng(seed)
    sizes = [min(1_000, draws - start) for start in range(0, draws, 1_000)]
    return [draw.choice([-1.0, 1.0], size=(size, units)).astype(np.int8) for size in sizes]


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values for a family of tests, in the order given."""
    order = np.argsort(p, kind="stable")
    adjusted, largest = np.empty(len(p)), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = largest
    return adjusted.tolist()
