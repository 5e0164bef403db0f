"""How sure a difference is: intervals over articles and seeds, one rule of comparison, and its correction for several.

Differences come as an array ``[questions, languages, seeds]`` with NaN where a question does not exist in a language;
the statistic is always the macro mean: over questions within a language, then over languages, then over seeds. Two
things would be drawn anew in another study, and are crossed here: the *article* (its questions and their translations
are one cluster) and the *seed*.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

LEVEL = 0.95
BETTER, WORSE, EQUIVALENT, OPEN = WORDS = ("better", "worse", "equivalent", "open")
DRAWS = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate with the 95% interval around it, and the two-sided p of its being 0 (NaN where there is no test)."""

    value: float
    low: float
    high: float
    p: float = np.nan

    def inside(self, margin: float) -> bool:
        """Whether the whole interval lies within plus or minus ``margin``: equivalence (two one-sided tests)."""
        return -margin < self.low and self.high < margin

    def __neg__(self) -> "Interval":
        return Interval(-self.value, -self.high, -self.low, self.p)


def compared(found: Interval, margin: float, p: float | None = None) -> str:
    """The one rule of comparison: ``better``, ``worse``, ``equivalent`` or ``open``.

    Args:
        found: of a difference of which more is better.
        margin: what counts as equal; the interval has to lie inside it.
        p: of no difference, corrected for the family that the comparison belongs to (see `holm`). Without it the
            interval decides alone, by excluding 0.
    """
    differs = found.low > 0 or found.high < 0 if p is None else p < 1 - LEVEL
    if differs:
        return BETTER if found.value > 0 else WORSE
    return EQUIVALENT if found.inside(margin) else OPEN


def family(found: Sequence[Interval], margin: float) -> list[str]:
    """The words of `compared` for comparisons that one statement rests on: Holm's correction enters each.

    It is for differences alone; a word of equivalence is two one-sided tests at 2.5% each, as the interval has it.
    """
    return [compared(one, margin, p) for one, p in zip(found, holm([one.p for one in found]), strict=True)]


def macro_mean(values: np.ndarray) -> float:
    """Mean over questions within each language and seed, then over languages and seeds.

    Args:
        values: float [questions, languages, seeds]; NaN where a question does not exist in a language.
    """
    return float(np.nanmean(values, axis=0).mean())


@dataclass(frozen=True)
class Spread:
    """How much a number varies from seed to seed: the variance of one seed's number, and its degrees of freedom."""

    variance: float
    freedom: int


@dataclass(frozen=True)
class Estimate:
    """A macro mean, or a number made from several on the same questions, as what each article and seed adds to it.

    Attributes:
        shares: float [articles, seeds]; the mean over articles is the number of each seed. An article's share is its
            seed's number plus how far its questions lie from the means of their languages, by the article's weight.
    """

    shares: np.ndarray

    @property
    def value(self) -> float:
        """The number."""
        return float(self.shares.mean())

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.shares + other.shares)

    def __sub__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.shares - other.shares)

    def __mul__(self, factor: float) -> "Estimate":
        return Estimate(self.shares * factor)

    def __truediv__(self, other: "Estimate") -> "Estimate":
        """The share of two estimates, to first order in what articles and seeds add to them (the delta method)."""
        share = self.value / other.value
        return Estimate(share + (self.shares - share * other.shares) / other.value)

    def interval(self, level: float = LEVEL, spread: Spread | None = None) -> Interval:
        """The t interval over crossed articles and seeds.

        Args:
            level: how often it holds the truth.
            spread: of seeds, where that was estimated from more than the seeds that are here (see `pooled`).

        With S seeds, C articles and the mean squares of a two-way table without repetition, the variance is (variance
        of the per-seed numbers) / S + (mean square of articles - mean square of error) / (C * S), each part floored at
        0; the degrees of freedom are Satterthwaite's. Of one seed there is no error apart from the articles, and the
        variance is that between articles / C: the interval holds for this one model, not for other seeds. Of one
        article likewise only seeds count; of one of both the interval is without bounds.

        Where seeds vary 0 to 8 times as much as the mean over questions does, it covers .94 to .955 with 5 seeds, .91
        with 3 and .89 with 2 (simulated in ``tests/test_stats.py``).
        """
        value, (articles, seeds) = self.value, self.shares.shape
        if articles == seeds == 1 and spread is None:
            return Interval(value, -np.inf, np.inf, 1.0)
        variance, freedom = self._variance(spread)
        error = np.sqrt(variance)
        if error <= 1e-12 * max(1.0, abs(value)):  # no variation but rounding
            return Interval(value, value, value, float(abs(value) < 1e-12))
        from scipy import special  # which takes a quarter of a second, and a look at a finished run does without

        # Student's t as `scipy.stats.t` has it, without the checks that take a millisecond each time.
        reach = special.stdtrit(freedom, (1 + level) / 2) * error
        p = 2 * special.stdtr(freedom, -abs(value) / error)
        return Interval(value, value - reach, value + reach, float(p))

    def counting(self, alike: Spread | None) -> Interval:
        """The interval; of one seed, which tells nothing of others, with the spread that others are taken to have."""
        return self.interval(spread=None if self.spread() else alike)

    def spread(self) -> Spread | None:
        """How much the number varies between the seeds that are here; None of one seed."""
        seeds = self.shares.shape[1]
        return Spread(float(self.shares.mean(axis=0).var(ddof=1)), seeds - 1) if seeds > 1 else None

    def _variance(self, spread: Spread | None = None) -> tuple[float, float]:
        """The variance of the number, and its degrees of freedom."""
        articles, seeds = self.shares.shape
        spread = spread or self.spread()
        parts = [(spread.variance / seeds, spread.freedom)] if spread else []
        if articles > 1:
            square_articles = seeds * self.shares.mean(axis=1).var(ddof=1)
            square_error, rest = self._error() if seeds > 1 else (0.0, 1)
            if square_articles > square_error:
                size = articles * seeds
                parts += [(square_articles / size, articles - 1), (-square_error / size, rest)]
        total = sum(part for part, _ in parts)
        return total, total**2 / (sum(part**2 / freedom for part, freedom in parts) or 1)

    def _error(self) -> tuple[float, int]:
        """The mean square that is left once articles and seeds are taken out, and its degrees of freedom."""
        articles, seeds = self.shares.shape
        rest = self.shares - self.shares.mean(axis=0) - self.shares.mean(axis=1)[:, None] + self.value
        freedom = (articles - 1) * (seeds - 1)
        return (rest**2).sum() / freedom, freedom


def pooled(estimates: Iterable[Estimate]) -> Spread | None:
    """How much a number varies from seed to seed, over several estimates of which it is taken to vary alike.

    Each weighs by its degrees of freedom, one less than its seeds; None if all have one seed.
    """
    found = [spread for one in estimates if (spread := one.spread())]
    freedom = sum(spread.freedom for spread in found)
    return Spread(sum(s.variance * s.freedom for s in found) / freedom, freedom) if found else None


def pooled_by(named: Iterable[tuple[Any, Estimate]]) -> dict[Any, Spread]:
    """The `pooled` spread of the estimates under each name; of names whose estimates all have one seed none."""
    found: dict[Any, list[Estimate]] = {}
    for name, one in named:
        found.setdefault(name, []).append(one)
    return {name: spread for name, several in found.items() if (spread := pooled(several))}


def estimate(values: np.ndarray, articles: np.ndarray | None = None, whole: bool = False) -> Estimate:
    """The macro mean of values, as what each article and seed adds to it.

    Args:
        values: float [questions, languages, seeds], as for `macro_mean`.
        articles: int [questions], the article of each, from 0; without it each question is an article of its own.
        whole: whether articles without a value count too, so that estimates of other settings can be added.
    """
    exists = ~np.isnan(values)
    counts = exists.sum(axis=0)
    means = np.where(exists, values, 0).sum(axis=0) / counts
    off = (np.where(exists, values - means, 0) / counts).sum(axis=1) / values.shape[1]  # [questions, seeds]
    if articles is None:
        articles = np.arange(len(values))
    there = exists.any(axis=(1, 2)) | whole
    used, off = np.unique(articles[there], return_inverse=True)[1], off[there]
    sums = np.zeros((used.max() + 1, values.shape[2]))
    np.add.at(sums, used, off)
    return Estimate(means.mean(axis=0) + len(sums) * sums)


def interval(values: np.ndarray, articles: np.ndarray | None = None) -> Interval:
    """The 95% interval of one macro mean; see `Estimate.interval`."""
    return estimate(values, articles).interval()


def sign_flip(values: np.ndarray, articles: np.ndarray | None = None, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of no difference, for these seeds: the sign of each article's difference is drawn anew.

    Differences are averaged over seeds first. p = (b + 1) / (B + 1), with b of B draws at least as far from zero.

    Args:
        values: float [questions, languages, seeds], as for `macro_mean`.
        articles: int [questions], as for `estimate`.
    """
    per_seed = values.mean(axis=2)
    share = np.nansum(per_seed / np.count_nonzero(~np.isnan(per_seed), axis=0), axis=1) / per_seed.shape[1]
    if articles is not None:
        share = np.bincount(articles, share)
    observed = abs(share.sum())
    sums = [np.abs(signs.astype(np.float64) @ share) for signs in _signs(len(share), draws, seed)]
    beyond = np.count_nonzero(np.concatenate(sums) >= observed * (1 - 1e-12))
    return (int(beyond) + 1) / (draws + 1)


@lru_cache(maxsize=4)
def _signs(units: int, draws: int, seed: int) -> list[np.ndarray]:
    """Drawn signs of each unit: blocks of int8 [<= 1000, units], kept, since many tests have as many units."""
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
