"""What a run would do, for people: which notebooks, which cells, what is downloaded, how long it takes."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from lib.base.config import Run
from lib.data import download
from lib.data.catalog import SETS
from lib.runs import cells
from lib.runs import estimate as cost
from lib.runs import plan as grid
from lib.runs.plan import Cell
from lib.show import notebooks as suite

DONE, PUBLISHED, TO_DO = "done", "comes with the repository", "to do"


def show(run: Run, notebooks: list[Path], force: bool) -> None:
    """Print the plan of a run; ``force``: as if nothing were done yet."""
    print("\nNotebooks")
    for path in notebooks:
        print(f"  {path.stem:32} {'nothing to do' if not force and suite.is_done(run, path) else 'to run'}")
    found = {cell: _state(run, cell, force) for cell in cells.of(run)}
    print(f"\nTraining and evaluation: {count(found.values())}")
    for (train, scored), group in groupby(found, lambda cell: (cell.train, grid.evaluated(cell, run.config))):
        head = "no training" if train == grid.NONE else f"trained on {train}"
        print(f"  {head}, scored on {', '.join(scored)}")
        print("\n".join(by_strategy({cell: found[cell] for cell in group})))
    if trained := [cell for cell in found if cell.train != grid.NONE]:
        print(f"  names for --cells, as '*_seed0' matches them: {trained[0].id}, and so on")
    print("\nData")
    for name in dict.fromkeys(n.removesuffix("-heldout") for n in (*run.config.train, *run.config.eval)):
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
