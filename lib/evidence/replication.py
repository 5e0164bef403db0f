"""One published training made anew, here and now, and held against its published numbers.

It is what tells a reader that the tables can be made, and not only read.
"""

import time
from dataclasses import replace

import numpy as np
import pandas as pd

from ..base import store
from ..base.config import Run
from ..data import catalog
from ..evaluation import metrics
from ..runs import cells
from ..runs import open as runs
from ..runs import plan as grid
from ..runs.plan import Cell

TABLE = "replication.csv"
BESIDE = "replication"  # the subfolder of the run in which the cell is made
SAME, CLOSE = 0.0005, 0.005  # what a table rounds away; what another kind of machine does
VERDICTS = ("same", "close", "differs")


def chosen(run: Run) -> Cell | None:
    """Return the first cell of the configuration's ``replicate`` whose texts can be had; None if there is none."""
    for name in run.config.replicate:
        [cell] = grid.named(run, name)
        test = _test(cell, run)
        if all(catalog.base(each) == "facts" or runs.obtainable(catalog.base(each)) for each in (cell.train, test)):
            return cell
    return None


def make(run: Run) -> pd.DataFrame:
    """Train and evaluate the chosen cell, unless that is done, and write ``replication.csv``.

    Returns:
        One row a setting: ``cell, dataset, setting, published, here, difference, verdict, seconds, published_on,
        made_on``; mAP, means over query languages. Without rows where nothing is to be made.
    """
    cell = chosen(run)
    if cell is None or cells.record(run, cell) is None:
        return pd.DataFrame(columns=["cell", "verdict"])
    test = _test(cell, run)
    here = replace(run, finished=False, beside=BESIDE)
    copy = replace(cell, on=test)
    begun, was_done = time.monotonic(), cells.record(here, copy) is not None
    if not was_done:
        cells.forget_model(here, copy)  # else a model that was trained before would serve
    made = cells.finish(here, copy) or {}
    path = run.folder / TABLE
    took = float(read(run)["seconds"].iloc[0]) if was_done and path.exists() else time.monotonic() - begun
    published, anew = means(published_scores(run, cell, test)), means(cells.scores(here, copy))
    table = pd.DataFrame({"cell": cell.id, "dataset": test, "setting": metrics.SETTINGS})
    table = table.assign(published=[*published], here=[*anew], difference=[*(anew - published).round(6) + 0.0])
    table = table.assign(verdict=table["difference"].map(verdict), seconds=round(took, 1))
    table = table.assign(published_on=machine(cells.record(run, cell)["made"]), made_on=machine(made["made"]))
    store.write_text(path, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    return table


def read(run: Run) -> pd.DataFrame | None:
    """Return the table that `make` wrote; None if it has not."""
    path = run.folder / TABLE
    return pd.read_csv(path) if path.exists() else None


def verdict(difference: float) -> str:
    """Say how near a number made here is to the published one: to .0005 the same, to .005 close."""
    return VERDICTS[int(np.searchsorted([SAME, CLOSE], abs(difference)))]


def overall(table: pd.DataFrame) -> str:
    """Return the verdict furthest from the same."""
    return max(table["verdict"], key=VERDICTS.index)


def machine(made: dict) -> str:
    """Say on what a cell was made, from its record."""
    return f"{made['device']}, {made['cores']} cores, {made['precision']}"


def _test(cell: Cell, run: Run) -> str:
    """Of what the cell is scored on, the first set that is a whole one."""
    return next(name for name in grid.evaluated(cell, run.config) if not name.endswith(catalog.HELDOUT))


def published_scores(run: Run, cell: Cell, test: str) -> pd.DataFrame:
    """Return the scores of each query on a set (see `metrics.by_query`): as they were kept, or from all ranks."""
    if cell.is_part:
        return cells.scores(run, cell)
    ranks = cells.ranks(run, cell)
    return metrics.by_query(metrics.units(ranks[ranks["dataset"] == test]))


def means(scores: pd.DataFrame) -> pd.Series:
    """Return mAP in each setting, the mean over query languages, of the scores of each query."""
    return scores.groupby("query_language")[list(metrics.SETTINGS)].mean().mean()
