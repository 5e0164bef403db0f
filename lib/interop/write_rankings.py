"""Write which passages the models of finished cells find first, for the explorer of who has no models::

    python -m lib.interop.write_rankings --profile full --cells 'use-m_*_x-y_seed0'

The models must be in the store; the encoder without fine-tuning is. They must rank as the cells say, to the last place.
"""

import lzma
import sys
from pathlib import Path

import numpy as np

from ..base import paths
from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError, told
from ..data import catalog as data
from ..evaluation import search
from ..runs import cells
from ..runs import plan as grid
from ..runs.plan import Cell
from ..show.explore import explorer, rankings
from . import exports

LARGEST = 1 << 16  # passages of a pool


def write(run: Run, cell: Cell, dataset: str, folder: Path) -> Path:
    """Write the first 25 passages of each query of a data set.

    Raises:
        UserError: the model is not in the store; or it ranks otherwise than the cell, as one does that was trained on
            another kind of machine.
    """
    model = explorer.retriever(run, cell, dataset)
    blocks = search.scores(model.queries, model.passages)
    tops = np.concatenate([search.top_passages(block, rankings.DEPTH) for block in blocks])
    if (same := agreement(run, cell, dataset, tops)) < 1:
        said = f"of the right passages that it has among the first {rankings.DEPTH}, {same:.2%} stand there here"
        raise UserError(f"{cell.id} on {dataset}: {said}; make the cell and its model on one machine")
    path = folder / rankings.name(cell, dataset)
    with artifacts.replacing(path) as temporary, lzma.open(temporary, "wb", preset=9) as file:
        np.save(file, tops.astype(np.uint16), allow_pickle=False)
    made = {"cell": cells.record(run, cell)["sha256"], "sha256": artifacts.file_digest(path)}
    known = artifacts.read_sealed(folder / rankings.SEAL) or {}
    artifacts.write_sealed(folder / rankings.SEAL, dict(sorted({**known, path.name: made}.items())))
    rankings.seal.cache_clear()
    return path


def agreement(run: Run, cell: Cell, dataset: str, tops: np.ndarray) -> float:
    """The share of the right passages that a cell has among the first 25 which stand at just that place in a ranking.

    Args:
        tops: int [queries, 25], places of passages.
    """
    known = rankings.ranks(run, cell, dataset)
    known = known[known["pool_rank"] <= tops.shape[1]]
    if known.empty:
        return 1.0
    right = data.outline(dataset, run.config.candidates).qrels.iloc[known.index]
    return float((tops[right["query"], known["pool_rank"] - 1] == right["passage"].to_numpy()).mean())


def main(arguments: list[str] | None = None) -> int:
    """Write the rankings of the chosen cells on all sets that they were scored on whole, in one pool."""
    return told(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    place = f"published/{rankings.FOLDER}"
    take = exports.parser("write_rankings", "Writes which passages models find first.", place)
    asked = take.parse_args(arguments)
    run, chosen = exports.finished(asked.profile, asked.overrides, asked.cells)
    folder = asked.out or run.folder / place
    for cell in (cell for cell in chosen if not cell.is_part):  # parts keep no ranks
        whole = [name for name in grid.evaluated(cell, run.config) if not name.endswith(data.HELDOUT)]
        for dataset in (name for name in whole if name != data.BY_SHARD):
            if len(data.outline(dataset, run.config.candidates).passages) < LARGEST:
                path = write(run, cell, dataset, folder)
                print(f"{paths.shown(path)}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
