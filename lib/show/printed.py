"""Tables for the terminal, tab-separated: to be read there, piped on, or pasted into a spreadsheet."""

from pathlib import Path

import pandas as pd

from lib.base.config import Run
from lib.base.errors import UserError
from lib.evaluation import metrics
from lib.evidence import judge as evidence
from lib.evidence import tables, wording
from lib.runs.plan import Cell

MAIN = "main"


def names() -> list[str]:
    """The tables that can be printed: the main one, and the files that a run leaves."""
    return [MAIN, *(Path(name).name.split(".")[0] for name in (*tables.TABLES, *evidence.TABLES))]


def text(run: Run, name: str) -> str:
    """A table of a run as it is on disk, or as it was published; ``main`` is mAP in each setting and rank distance.

    Raises:
        UserError: there is no such table, or the run has not made it yet.
    """
    if name not in names():
        raise UserError(f"--table {name}: there is no such table; choose one of {', '.join(names())}")
    wanted = "metrics" if name == MAIN else name
    file = next(file for file in (*tables.TABLES, *evidence.TABLES) if file.split(".")[0] == wanted)
    places = [path for path in (run.folder / file, run.folder / "published" / file) if path.exists()]
    if not places:
        raise UserError(f"run {run.name} has no tables yet; make them: {run.command}")
    table = pd.read_csv(places[0], skiprows=int(run.fallback))
    return main(table) if name == MAIN else table.to_csv(sep="\t", index=False, lineterminator="\n")


def scores(run: Run, cell: Cell) -> list[str]:
    """What a finished cell scored, one line a test set: mAP in each setting, and rank distance."""
    lines = []
    for dataset, units in tables.all_units(run, cell):
        means = metrics.macro(metrics.by_language(units)).set_index(["metric", "setting"])["value"]
        maps = means["map"]
        said = ", ".join(f"{wording.number(maps[name])} {name}" for name in metrics.SETTINGS if name in maps)
        distance = means.get(("rank_distance", "multilingual"))
        lines.append(
            f"    {dataset}: mAP {said}" + (f"; rank distance {distance:,.0f}" if distance is not None else "")
        )
    return lines


def main(table: pd.DataFrame) -> str:
    """The main table, from ``metrics.csv``: mAP with 3 decimals, rank distances as whole numbers."""
    wide = tables.headline(table).reset_index()
    for column in wide.columns[3:]:
        wide[column] = wide[column].map("{:.0f}".format if column == "rank distance" else "{:.3f}".format)
    return wide.to_csv(sep="\t", index=False, lineterminator="\n")
