"""Differences between strategies, paired by question and seed, with intervals and tests, for each encoder.

All come from the finished cells; those of one encoder, training set and test set are compared with each other. What
counts as equal is .01 mAP, and 1% of a rank distance.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..base.config import Run
from ..data import catalog as data
from ..evaluation import metrics
from ..runs import cells
from ..runs import plan as grid
from ..runs.plan import NONE
from . import stats, tables

MARGIN = 0.01
ENOUGH_SEEDS = 5  # with fewer a verdict is provisional
MEASURED = {"map": metrics.SETTINGS, "rank_distance": ("multilingual",)}
ALL, SEEN, UNSEEN = "all", "in training", "not in training"
Values = tuple[np.ndarray, tuple[tuple[str, str], ...]]  # of one cell: [questions, units], and the units
COLUMNS = ["encoder", "train", "dataset", "setting", "metric", "languages", "strategy", "baseline"]
COLUMNS += ["difference", "low", "high", "p", "p_holm", "p_these_seeds", "relative", "relative_low", "relative_high"]
COLUMNS += ["questions", "articles", "seeds"]


@dataclass(frozen=True)
class Scores:
    """A measure of one strategy after one training, on one test set in one setting.

    Attributes:
        values: float [questions, units, seeds]; a unit is a query language and the language of what is searched.
            NaN where a question does not exist in a unit.
        units: the pairs of languages, ``(query, passages)``.
        seeds: of the trainings, ascending; empty for an encoder that was not fine-tuned.
        articles: int [questions], the article of each question, numbered within the set.
    """

    values: np.ndarray
    units: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    articles: np.ndarray
    _estimates: dict[Any, stats.Estimate] = field(default_factory=dict, init=False, repr=False, compare=False)

    def at(self, seeds: tuple[int, ...], units: np.ndarray | None = None) -> np.ndarray:
        """The values of some seeds (those of no fine-tuning are the same for each) and, if given, of some units."""
        values = self.values if units is None else self.values[:, units]
        if not self.seeds:
            return np.repeat(values, len(seeds), axis=2)
        return values[:, :, [self.seeds.index(seed) for seed in seeds]]

    def estimate(self, seeds: tuple[int, ...], units: np.ndarray | None = None, whole: bool = False) -> stats.Estimate:
        """The macro mean of those values; estimates on the same questions and seeds can be subtracted.

        With ``whole`` also those of two settings, in one of which some questions have no value.
        """
        key = seeds, None if units is None or len(units) == len(self.units) else units.tobytes(), whole
        if key not in self._estimates:  # the same ones are asked for by several tables
            self._estimates[key] = stats.estimate(self.at(seeds, units), self.articles, whole)
        return self._estimates[key]


@dataclass(frozen=True)
class Key:
    """What scores are of: ``label`` is the strategy, hybrid with its alpha."""

    encoder: str
    train: str
    label: str
    dataset: str
    setting: str
    metric: str


@dataclass(frozen=True)
class Comparison:
    """A strategy against a baseline after the same training, over a group of languages.

    Attributes:
        share: how much of the baseline's rank distance it saves.
    """

    key: Key
    baseline: str
    languages: str
    difference: stats.Estimate
    share: stats.Estimate | None
    p_these_seeds: float
    questions: int

    @property
    def of(self) -> tuple[str, ...]:
        """What it measures, whichever set is trained on."""
        return (*vars(replace(self.key, train="")).values(), self.baseline, self.languages)


def scores(run: Run, arrays_of: Iterable[tables.Scored] = ()) -> dict[Key, Scores]:
    """The scores of all finished cells of the grid, seeds together.

    Args:
        arrays_of: the `arrays` of each cell and set, where a pass over the ranks has made them already.
    """
    found: dict[Key, dict[int | None, Values]] = {}
    for cell, dataset, values_of in arrays_of or tables.by_set(run, partial(_of_ranks, arrays(run))):
        for (setting, metric), values in values_of.items():
            key = Key(cell.encoder, cell.train, cell.label, dataset, setting, metric)
            found.setdefault(key, {})[cell.seed] = values
    articles_of = _articles(run)
    return {key: stacked(by_seed, articles_of[key.dataset]) for key, by_seed in found.items()}


def arrays(run: Run) -> Callable[[str, pd.DataFrame], dict[tuple[str, str], Values]]:
    """Return what makes arrays, by setting and metric, of the name and the units of a set of this run."""
    return partial(_arrays, {name: len(questions) for name, questions in _articles(run).items()})


def _articles(run: Run) -> dict[str, np.ndarray]:
    sets = {name for cell in cells.of(run) for name in grid.evaluated(cell, run.config)}
    return {name: articles(run, name) for name in sets}


def articles(run: Run, dataset: str) -> np.ndarray:
    """The article of each question of a set, numbered within it: int [questions]."""
    return pd.factorize(data.outline(dataset, run.config.candidates).questions["group"])[0]


def _of_ranks(made: Callable[[str, pd.DataFrame], Any], dataset: str, ranks: pd.DataFrame) -> Any:
    return made(dataset, metrics.units(ranks))


def table(run: Run, found: dict[Key, Scores] | None = None) -> pd.DataFrame:
    """Hybrid (see `hybrid`) against each other strategy, and x-y against x-x-mono, after the same training.

    ``difference`` is strategy minus baseline; ``relative``, for rank distance, is the share by which it is lower.
    ``p`` is that of the interval, over articles and seeds (of ``relative`` where there is one); ``p_holm`` corrects it
    over the baselines and settings of a training and test set; ``p_these_seeds`` is of a sign-flip test, which says
    nothing of other seeds. ``languages``: all, or those that the training set has and those that it lacks. Where
    trainings have one seed, how seeds vary is taken to be as after others on the same test, as in `evidence.shift`.
    """
    found = scores(run) if found is None else found
    made: list[Comparison] = []
    for key in found:
        baselines = (NONE, "en-en", "x-x", "x-x-mono", "x-y") if key.label == hybrid(run) else ()
        for baseline in ("x-x-mono",) if key.label == "x-y" else baselines:
            made += _compared(run, found, key, baseline)
    alike = stats.pooled_by((one.of, one.difference) for one in made)
    shares = stats.pooled_by((one.of, one.share) for one in made if one.share)
    result = pd.DataFrame([_row(one, alike.get(one.of), shares.get(one.of)) for one in made], columns=COLUMNS)
    family = result[result["languages"] == ALL].groupby(["encoder", "train", "dataset", "metric"], sort=False)["p"]
    result["p_holm"] = family.transform(lambda p: stats.holm(p.tolist()))
    return result


def hybrid(run: Run) -> str:
    """The label of the hybrid that stands for all in comparisons: that of the alpha nearest to .5."""
    return f"hybrid-{middle(run.config.alphas) or 0.5:.12g}"


def middle(alphas: Iterable[float]) -> float | None:
    """The alpha nearest to .5, the smaller of two; None of none."""
    return min(alphas, key=lambda alpha: (abs(alpha - 0.5), alpha), default=None)


def by_label(found: Mapping[Key, Scores], train: str, encoder: str, test: str, setting: str) -> dict[str, Scores]:
    """The mAP of each strategy after training on a set, by label."""
    return {
        key.label: part for key, part in found.items() if key == Key(encoder, train, key.label, test, setting, "map")
    }


def common_seeds(parts: Iterable[Scores]) -> tuple[int, ...]:
    """The seeds that all have; those of no fine-tuning have every seed."""
    sets = [set(part.seeds) for part in parts if part.seeds]
    return tuple(sorted(set.intersection(*sets))) if sets else ()


def language_groups(run: Run, trains: Iterable[str], part: Scores) -> Iterator[tuple[str, np.ndarray]]:
    """All units; and, where a training set lacks languages of the test, those that all sets have, and the others."""
    yield ALL, np.arange(len(part.units))
    taught = [set(data.training_languages(train, run.config.eval, run.config.candidates)) for train in trains]
    known = set.intersection(*taught) | {metrics.POOL}
    seen = np.array([set(unit) <= known for unit in part.units])
    if seen.any() and not seen.all():
        yield SEEN, np.flatnonzero(seen)
        yield UNSEEN, np.flatnonzero(~seen)


def columns(estimate: stats.Estimate, sure: stats.Interval) -> dict[str, Any]:
    """The columns of a number in each table: value and interval, and how many articles and seeds it rests on."""
    clusters, seeds = estimate.shares.shape
    return {"value": sure.value, "low": sure.low, "high": sure.high, "clusters": clusters, "seeds": seeds}


def _compared(run: Run, found: dict[Key, Scores], key: Key, baseline: str) -> Iterator[Comparison]:
    """A comparison in each group of languages; none if the baseline was not run."""
    one, against = found[key], found.get(replace(key, train=NONE if baseline == NONE else key.train, label=baseline))
    if against is None or not (seeds := common_seeds([one, against])):
        return
    for languages, units in language_groups(run, [key.train], one):
        a, b = one.estimate(seeds, units), against.estimate(seeds, units)
        share = (b - a) / b if key.metric == "rank_distance" and b.value else None
        values = one.at(seeds, units) - against.at(seeds, units)
        questions = int((~np.isnan(values)).any(axis=(1, 2)).sum())
        yield Comparison(key, baseline, languages, a - b, share, stats.sign_flip(values, one.articles), questions)


def _row(one: Comparison, spread: stats.Spread | None, of_share: stats.Spread | None) -> dict[str, Any]:
    articles, seeds = one.difference.shares.shape
    sure = one.difference.counting(spread)
    row = vars(one.key) | vars(one) | {"strategy": one.key.label, "articles": articles, "seeds": seeds}
    row |= vars(sure) | {"difference": sure.value}
    if one.share:
        share = one.share.counting(of_share)
        row |= {"relative": share.value, "relative_low": share.low, "relative_high": share.high, "p": share.p}
    return row


def _arrays(sizes: dict[str, int], dataset: str, units: pd.DataFrame) -> dict[tuple[str, str], Values]:
    """The values of a set by setting and metric; ``sizes`` are the numbers of questions of the sets."""
    found = {}
    for metric, settings in MEASURED.items():
        for setting in settings:
            part = units[units["setting"] == setting]
            if metric in part and len(part):
                found[setting, metric] = _array(part, metric, sizes[dataset])
    return found


def _array(units: pd.DataFrame, metric: str, questions: int) -> Values:
    languages = units["query_language"].dtype.categories  # sorted, and those of the other column too
    query, passage = (units[name].cat.codes.to_numpy(np.int64) for name in ("query_language", "passage_language"))
    pairs, place = np.unique(query * len(languages) + passage, return_inverse=True)
    values = np.full((questions, len(pairs)), np.nan)
    values[units["question"], place] = units[metric]
    columns = zip(languages[pairs // len(languages)], languages[pairs % len(languages)], strict=True)
    return values, tuple(columns)


def stacked(by_seed: Mapping[int | None, Values], articles: np.ndarray) -> Scores:
    """The values of several seeds on a set as one."""
    seeds = tuple(sorted(seed for seed in by_seed if seed is not None))
    parts = [by_seed[seed] for seed in seeds] if seeds else list(by_seed.values())
    return Scores(np.stack([values for values, _ in parts], axis=2), parts[0][1], seeds, articles)
