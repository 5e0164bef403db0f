"""What the command line prints: the plan of a run, and its tables, tab-separated for a spreadsheet."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pandas as pd

from ..base import paths, progress
from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError
from ..data import download
from ..data.catalog import HELDOUT, SETS
from ..evaluation import measures, metrics
from ..evidence import judge as evidence
from ..evidence import replication, selection, tables
from ..runs import cells
from ..runs import estimate as cost
from ..runs import names as names_of
from ..runs import plan as grid
from ..runs.plan import Cell
from . import notebooks, texts

MAIN = "main"
FILES = {file.split(".")[0]: file for file in (*tables.TABLES, *evidence.TABLES)}  # what a run leaves, by name
AGAIN = "give the command without --table to make them again"
DONE, PUBLISHED, TO_DO = "done", "comes with the repository", "to do"


def text(run: Run, name: str) -> str:
    """A table of a run as it is on disk, or as it was published; ``main`` is mAP in each setting and rank distance.

    Says on stderr if what it was made from is not what is here now: other rows, another encoder, other code.

    Raises:
        UserError: there is no such table, the run has not made it yet, or it is damaged.
    """
    if name not in (MAIN, *FILES):
        raise UserError(f"--table {name}: there is no such table; choose one of {', '.join((MAIN, *FILES))}")
    file = FILES["metrics" if name == MAIN else name]
    places = [path for path in (run.folder / file, run.folder / "published" / file) if path.exists()]
    if not places:
        raise UserError(f"run {run.name} has no tables yet; make them: {run.command}")
    seal = tables.PROVENANCE if file in tables.TABLES else evidence.SEAL
    listed = (artifacts.read_sealed(places[0].with_name(seal)) or {}).get("files") or {}
    if not artifacts.is_as(places[0], listed.get(file)):
        raise UserError(f"{paths.shown(places[0])} is damaged, or was changed by hand; make it again: {run.command}")
    if places[0].parent == run.folder:
        evidence.warn(run, file, AGAIN)
    table = pd.read_csv(places[0], skiprows=int(run.fallback))
    return main(table) if name == MAIN else table.to_csv(sep="\t", index=False, lineterminator="\n")


def scores(run: Run, cell: Cell) -> list[str]:
    """What a finished cell scored, one line a test set: mAP in each setting, and rank distance."""
    lines = []
    if cell.is_part:  # which keeps the means beside the scores of each query
        found = [(cell.on, pd.DataFrame(cells.record(run, cell)["means"]))]
    else:
        found = [(name, metrics.macro(metrics.by_language(units))) for name, units in tables.all_units(run, cell)]
    for dataset, macro in found:
        means = macro.set_index(["metric", "setting"])["value"]
        maps = means["map"]
        said = ", ".join(f"{measures.number(maps[name])} {name}" for name in metrics.SETTINGS if name in maps)
        distance = means.get(("rank_distance", "multilingual"))
        lines.append(
            f"    {dataset}: mAP {said}" + (f"; rank distance {distance:,.0f}" if distance is not None else "")
        )
    return lines


def main(table: pd.DataFrame) -> str:
    """The main table, from ``metrics.csv``: mAP with 3 decimals, rank distances as whole numbers."""
    wide = selection.headline(table).reset_index()
    for column in wide.select_dtypes("number"):
        form = "{:.0f}" if column == "rank distance" else "{:.3f}"
        wide[column] = wide[column].map(form.format, na_action="ignore").astype(object).fillna("")
    return wide.to_csv(sep="\t", index=False, lineterminator="\n")


def closing(run: Run) -> str:
    """The answer in two lines, and whether what was made anew agrees with what is published; empty of other runs."""
    if not run.config.is_shown:
        return ""
    lines = [f"answer     {texts.short(texts.numbers(run))}"] if evidence.current(run) else []
    table = replication.read(run)
    if table is not None:
        row, word = table.iloc[0], replication.overall(table)
        values = {name: " ".join(map(measures.number, table[name])) for name in ("here", "published")}
        lines.append(
            f"replicated {row['cell']} in {progress.duration(row['seconds'])}, mAP on {names_of.name(row['dataset'])}: "
            f"{values['here']} here, {values['published']} published: {word}"
        )
    return "\n".join(lines)


def plan(run: Run, chosen: list[Path], force: bool) -> None:
    """Print the plan of a run; ``force``: as if nothing were done yet."""
    print("\nNotebooks")
    to_do = chosen if force else notebooks.not_done(run, chosen)
    for path in chosen:
        print(f"  {path.stem:32} {'to run' if path in to_do else 'nothing to do'}")
    found = {cell: _state(run, cell, force) for cell in cells.of(run)}
    print(f"\nTraining and evaluation: {count(found.values())}")
    for (train, scored), group in groupby(found, lambda cell: (cell.train, grid.evaluated(cell, run.config))):
        head = "no training" if train == grid.NONE else f"trained on {train}"
        print(f"  {head}, scored on {', '.join(scored)}")
        print("\n".join(by_strategy({cell: found[cell] for cell in group})))
    if trained := [cell for cell in found if cell.train != grid.NONE]:
        print(f"  names for --cells, as '*_seed0' matches them: {trained[0].id}, and so on")
    print("\nData")
    for name in dict.fromkeys(n.removesuffix(HELDOUT) for n in (*run.config.train, *run.config.eval)):
        size = sum(file.bytes for file in download.files_of(name)) / 1e6
        named = {"facts": "embedded", "facts-new": "embedded"}
        if name in SETS and (fetched := SETS[name].download):
            named[name] = f"{fetched / 1e9:.0f} GB through ir_datasets"
        source = download.status(name) if size else named.get(name, "your file")
        print(f"  {name:16} {f'{size:.0f} MB, ' if size else ''}{source}")
    if run.profile != "paper":  # its cost, for GPUs, stands above
        print(f"\nEstimate: {cost.text(run, [cell for cell, state in found.items() if state == TO_DO])}")


def by_strategy(found: dict[Cell, str]) -> list[str]:
    """One line a strategy: the seeds of its cells, by their state."""
    lines = []
    for label in dict.fromkeys(cell.label for cell in found):
        own = {cell: state for cell, state in found.items() if cell.label == label}
        parts = []
        for state in (DONE, PUBLISHED, TO_DO):
            seeds = [str(cell.seed) for cell, its in own.items() if its == state and cell.seed is not None]
            if state in own.values():
                parts.append(f"{state}: seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" if seeds else state)
        lines.append(f"    {label:12} {'; '.join(parts)}")
    return lines


def count(states: Iterable[str]) -> str:
    """How many cells are in which state: ``19 done, 52 to do``."""
    found = list(states)
    return ", ".join(f"{found.count(state)} {state}" for state in (DONE, PUBLISHED, TO_DO) if state in found)


def _state(run: Run, cell: Cell, force: bool) -> str:
    if force:
        return TO_DO
    if cells.record(run, cell):
        return DONE
    return TO_DO if cells.published(run, cell) is None else PUBLISHED
