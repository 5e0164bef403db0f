"""Differences between strategies, paired by question and seed, with intervals and tests.

All come from the finished cells; those of one training set and one test set are compared with each other. What
counts as equal was fixed before the runs: .01 mAP, and 5% of a rank distance.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from lib.base.config import Run
from lib.data import catalog as data
from lib.evaluation import metrics
from lib.evidence import stats, tables
from lib.runs import cells
from lib.runs import plan as grid
from lib.runs.plan import NONE

MARGIN, RELATIVE_MARGIN = 0.01, 0.05
ENOUGH_SEEDS = 5  # with fewer a verdict is provisional
OWN, OTHERS = 0, 1  # groups of questions in `lib.stats.estimate`: held-out ones of the training set, or other sets'
MEASURED = {"map": metrics.SETTINGS, "rank_distance": ("multilingual",)}
HYBRID = "hybrid-0.5"
ALL, SEEN, UNSEEN = "all", "in training", "not in training"
Values = tuple[np.ndarray, tuple[tuple[str, str], ...]]  # of one cell: [questions, units], and the units
COLUMNS = ["train", "dataset", "setting", "metric", "languages", "strategy", "baseline", "difference", "low", "high"]
COLUMNS += ["p", "p_holm", "relative", "relative_low", "relative_high", "questions", "seeds"]


@dataclass(frozen=True)
class Scores:
    """A measure of one strategy after one training, on one test set in one setting.

    Attributes:
        values: float [questions, units, seeds]; a unit is a query language and the language of what is searched.
            NaN where a question does not exist in a unit.
        units: the pairs of languages, ``(query, passages)``.
        seeds: of the trainings, ascending; empty for an encoder that was not fine-tuned.
    """

    values: np.ndarray
    units: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]

    def at(self, seeds: tuple[int, ...], units: np.ndarray | None = None) -> np.ndarray:
        """The values of some seeds (those of no fine-tuning are the same for each) and, if given, of some units."""
        values = self.values if units is None else self.values[:, units]
        if not self.seeds:
            return np.repeat(values, len(seeds), axis=2)
        return values[:, :, [self.seeds.index(seed) for seed in seeds]]


@dataclass(frozen=True)
class Key:
    """What scores are of: ``label`` is the strategy, hybrid with its alpha."""

    train: str
    label: str
    dataset: str
    setting: str
    metric: str


def scores(run: Run) -> dict[Key, Scores]:
    """The scores of all finished cells, seeds together."""
    found: dict[Key, dict[int | None, Values]] = {}
    sets = {name for cell in cells.of(run) for name in grid.evaluated(cell, run.config)}
    sizes = {name: len(data.evaluation_set(name, run.config.candidates).questions) for name in sets}
    for cell, dataset, arrays in tables.by_set(run, partial(_arrays, sizes)):
        for (setting, metric), values in arrays.items():
            key = Key(cell.train, cell.label, dataset, setting, metric)
            found.setdefault(key, {})[cell.seed] = values
    return {key: _stacked(by_seed) for key, by_seed in found.items()}


def table(run: Run, found: dict[Key, Scores] | None = None) -> pd.DataFrame:
    """Hybrid (alpha .5) against each other strategy, and x-y against x-x-mono, after the same training.

    ``difference`` is strategy minus baseline; ``relative``, for rank distance, is the share by which it is lower.
    ``p`` is of a sign-flip test for these seeds, ``p_holm`` corrected over the baselines and settings of a training
    and test set. ``languages``: all, or those that the training set has and those that it lacks.
    """
    found = scores(run) if found is None else found
    rows = []
    for key, hybrid in found.items():
        if key.label == HYBRID:
            for baseline in (NONE, "en-en", "x-x", "x-x-mono", "x-y"):
                rows += _rows(run, found, key, hybrid, baseline)
        elif key.label == "x-y":
            rows += _rows(run, found, key, hybrid, "x-x-mono")
    result = pd.DataFrame(rows, columns=COLUMNS)
    family = result[result["languages"] == ALL].groupby(["train", "dataset", "metric"], sort=False)["p"]
    result["p_holm"] = family.transform(lambda p: stats.holm(p.tolist()))
    return result


def other(found: dict[Key, Scores], key: Key, label: str) -> Scores | None:
    """The scores of another strategy on the same test, after the same training."""
    train = NONE if label == NONE else key.train
    return found.get(Key(train, label, key.dataset, key.setting, key.metric))


def common_seeds(parts: Iterable[Scores]) -> tuple[int, ...]:
    """The seeds that all have; those of no fine-tuning have every seed."""
    sets = [set(part.seeds) for part in parts if part.seeds]
    return tuple(sorted(set.intersection(*sets))) if sets else ()


def language_groups(run: Run, train: str, part: Scores) -> Iterator[tuple[str, np.ndarray]]:
    """All units; and, where the training set lacks languages of the test, those with and without a lacking one."""
    everything = np.arange(len(part.units))
    yield ALL, everything
    known = {*data.training_languages(train, run.config.eval, run.config.candidates), metrics.POOL}
    seen = np.array([set(unit) <= known for unit in part.units])
    if seen.any() and not seen.all():
        yield SEEN, np.flatnonzero(seen)
        yield UNSEEN, np.flatnonzero(~seen)


def _rows(run: Run, found: dict[Key, Scores], key: Key, one: Scores, baseline: str) -> Iterator[dict]:
    """A comparison in rows, one a group of languages; none if the baseline was not run."""
    against = other(found, key, baseline)
    if against is None or not (seeds := common_seeds([one, against])):
        return
    group = OWN if key.dataset.endswith("-heldout") else OTHERS  # as in `lib.shift`: equal differences, equal ends
    for languages, units in language_groups(run, key.train, one):
        a, b = one.at(seeds, units), against.at(seeds, units)
        sure = stats.interval(a - b, group)
        row = {"train": key.train, "dataset": key.dataset, "setting": key.setting, "metric": key.metric}
        row |= {"languages": languages, "strategy": key.label, "baseline": baseline}
        row |= {"difference": sure.value, "low": sure.low, "high": sure.high, "p": stats.sign_flip(a - b)}
        if key.metric == "rank_distance":
            others = stats.estimate(b, group)
            share = ((others - stats.estimate(a, group)) / others).interval()
            row |= {"relative": share.value, "relative_low": share.low, "relative_high": share.high}
        yield row | {"questions": int((~np.isnan(a)).any(axis=(1, 2)).sum()), "seeds": len(seeds)}


def _arrays(sizes: dict[str, int], dataset: str, ranks: pd.DataFrame) -> dict[tuple[str, str], Values]:
    """The values of a set by setting and metric; ``sizes`` are the numbers of questions of the sets."""
    found, units = {}, metrics.units(ranks)
    for metric, settings in MEASURED.items():
        for setting in settings:
            part = units[units["setting"] == setting]
            if metric in part and len(part):
                found[setting, metric] = _array(part, metric, sizes[dataset])
    return found


def _array(units: pd.DataFrame, metric: str, questions: int) -> Values:
    pairs = pd.MultiIndex.from_frame(units[["query_language", "passage_language"]].astype(str))
    columns = sorted(pairs.unique())
    values = np.full((questions, len(columns)), np.nan)
    values[units["question"], pd.Index(columns).get_indexer(pairs)] = units[metric]
    return values, tuple(columns)


def _stacked(by_seed: dict[int | None, Values]) -> Scores:
    seeds = tuple(sorted(seed for seed in by_seed if seed is not None))
    parts = [by_seed[seed] for seed in seeds] if seeds else list(by_seed.values())
    return Scores(np.stack([values for values, _ in parts], axis=2), parts[0][1], seeds)
