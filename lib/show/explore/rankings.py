"""The first passages that published models found for each query: tracked, so that no model is needed to see them.

``python -m lib.interop.write_rankings`` writes them.
"""

import lzma
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ...base import paths
from ...base import store as artifacts
from ...base.config import Run
from ...base.errors import UserError
from ...runs import cells
from ...runs.plan import Cell

FOLDER = "rankings"
SEAL = "rankings.json"
DEPTH = 25  # of each question in each language; 50 would be 10 MB for two encoders


def find(run: Run, cell: Cell, dataset: str) -> Path | None:
    """The tracked file of what a cell found first in a data set, if it is of the very ranks that the cell has here."""
    done = cells.record(run, cell)
    for folder in cells.published_folders(run) if done else ():
        path = folder / FOLDER / name(cell, dataset)
        if path.is_file() and seal(path.parent).get(path.name, {}).get("cell") == done["sha256"]:
            return path
    return None


def read(path: Path) -> np.ndarray:
    """int64 [queries, 25]: places of the first passages in the pool of all languages, best first.

    Rows are those of the data set's ``queries``, places those of its ``passages``.

    Raises:
        UserError: the file is damaged.
    """
    if not artifacts.is_as(path, seal(path.parent)[path.name]["sha256"]):
        raise UserError(f"{paths.shown(path)} is damaged; check it out again")
    with lzma.open(path) as file:
        return np.load(file, allow_pickle=False).astype(np.int64)


def ranks(run: Run, cell: Cell, dataset: str) -> pd.DataFrame:
    """The rows of `cells.ranks` of one data set: one for each row of its ``qrels``, in their order."""
    found = cells.ranks(run, cell)
    return found[found["dataset"] == dataset].reset_index(drop=True)


def name(cell: Cell, dataset: str) -> str:
    """The file of a cell's ranking of a data set."""
    return f"{cell.id}_on_{paths.called(dataset)}.npy.xz"


@cache
def seal(folder: Path) -> dict:
    """What is known of the files of a folder, by name: digests of the ``cell`` and of the file (``sha256``)."""
    return artifacts.read_sealed(folder / SEAL) or {}
