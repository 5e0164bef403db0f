"""Scores of the cells that a run makes beside its grid: by other choices, at home, or where only scores are kept.

Those at home come from cross-fitting. Such a cell keeps the scores of each question and query language, on one set or
on one fold of it (`runs.plan.parts`).
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from ...base.config import Run
from ...data import catalog as data
from ...data.sets import FOLDS
from ...evaluation import metrics
from ...runs import cells
from ...runs.plan import CENTRED, Cell
from .. import effects
from ..effects import Key, Scores, Values

KEPT = (("map", "monolingual"), ("map", "multilingual"), ("rank_distance", "multilingual"))  # as pairs of languages


def scores(run: Run) -> dict[Key, Scores]:
    """Scores of trainings of the profile that its grid lacks: at home, and those of which only scores are kept.

    At home each question is scored by the model that did not see its article; seeds that lack a fold are left out. A
    mean over pairs of languages is not among them: such cells do not keep the pairs.
    """
    whole: dict[Key, dict[int, Values]] = {}
    folds: dict[Key, dict[int, dict[str, Values]]] = {}
    for cell in cells.parts_of(run):
        fold = data.FOLD.fullmatch(cell.on)
        crossed = fold and cell.train == f"{fold['base']}-without-fold{fold['number']}"
        if cell.changes or not (crossed or cell.is_kept_as_scores):
            continue
        trained, test = (fold["base"],) * 2 if crossed else (cell.train, cell.on)
        for (metric, setting), read in values(run, cell, KEPT).items():
            key = Key(cell.encoder, trained, cell.label, test, setting, metric)
            if crossed:
                folds.setdefault(key, {}).setdefault(cell.seed, {})[fold["number"]] = read
            else:
                whole.setdefault(key, {})[cell.seed] = read
    whole |= {key: joined for key, by_seed in folds.items() if (joined := _joined(key, by_seed))}
    return {key: effects.stacked(by_seed, effects.articles(run, key.dataset)) for key, by_seed in whole.items()}


def on(run: Run, test: str, settings: Iterable[str]) -> Iterator[tuple[Cell, str, Values]]:
    """The trainings by other choices that were scored on a whole set, with their average precision in each setting."""
    for cell in cells.parts_of(run):
        if cell.on == test and not cell.is_kept_as_scores and CENTRED not in cell.changes:
            read = values(run, cell, [("map", setting) for setting in settings])
            yield from ((cell, setting, found) for (_, setting), found in read.items())


def values(run: Run, cell: Cell, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Values]:
    """What a cell scored, by metric and setting: float [questions of the whole set, query languages], and the units.

    NaN where a question was not asked.
    """
    whole = data.outline(data.base(cell.on), run.config.candidates).questions
    here = data.outline(cell.on, run.config.candidates).questions
    place = pd.Index(whole["id"]).get_indexer(here["id"])
    scored, found = cells.scores(run, cell).astype({"query_language": str}), {}  # so in order, as those of the grid
    for metric, setting in wanted:
        column = setting if metric == "map" else metric
        wide = scored.pivot(index="question", columns="query_language", values=column)
        table = np.full((len(whole), wide.shape[1]), np.nan)
        table[place[wide.index]] = wide
        units = ((language, metrics.POOL if setting == "multilingual" else language) for language in wide)
        found[metric, setting] = table, tuple(units)
    return found


def _joined(key: Key, by_seed: dict[int, dict[str, Values]]) -> dict[int, Values]:
    """The folds of each seed as one; of seeds that lack a fold nothing.

    Raises:
        ValueError: two folds hold values of one question.
    """
    whole = {}
    for seed, folds in by_seed.items():
        if len(folds) == FOLDS:
            tables = np.stack([table for table, _ in folds.values()])
            there = ~np.isnan(tables)
            if (there.sum(axis=0) > 1).any():
                raise ValueError(f"folds of {key.train} overlap: a question was scored by two of them")
            joined = np.where(there.any(axis=0), np.nansum(tables, axis=0), np.nan)
            whole[seed] = joined, next(iter(folds.values()))[1]
    return whole
