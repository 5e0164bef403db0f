"""What another machine changes: published cells trained and scored anew on this one, beside what they were.

    .venv/bin/python -m benchmarks.machines

The cells of `full` were made on two kinds of processors, which round differently; the record of each says on which.
Remakes x-x-mono, x-y and hybrid, trained on MLQA-R with seed 0, in a store and a results folder of their own, so that
nothing is reused. About 20 minutes on two cores; what is finished is kept.
"""

import os
from typing import Any

import pandas as pd

from benchmarks import measured
from benchmarks.checkpoint_choice import STRATEGIES, scores
from lib.base import config, paths
from lib.runs import cells
from lib.runs.plan import Cell

AGAIN = "again"


def main() -> None:
    run = config.load("full")
    cells.adopt_published(run)
    made = [Cell(run.config.encoder[0], "mlqa-r", strategy, alpha, 0) for strategy, alpha in STRATEGIES]
    if other := [cell.id for cell in made if not cells.is_published(run, cell)]:
        raise SystemExit(f"not as published: {', '.join(other)}; remove results/full/cells first")
    before = {cell: scores(run, cell) for cell in made}
    own = {"HYBRID_RESULTS": paths.results() / AGAIN, "HYBRID_STORE": paths.store() / AGAIN}
    os.environ.update({name: str(folder) for name, folder in own.items()})
    rows = []
    for cell, were in before.items():
        made_on = were.pop("device")
        here = cells.finish(run, cell)["made"]["device"]
        again = scores(run, cell)
        differences = {
            dataset: {name: again[dataset][name] - value for name, value in found.items()}
            for dataset, found in were.items()
        }
        rows.append({"strategy": cell.label, "made on": made_on, "again on": here, "differences": differences})
        print(rows[-1], flush=True)
    measured.write("machines", {"rows": rows, "largest difference of mAP in a setting": largest(rows)})


def largest(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The largest difference of mAP in a setting, of either sign, by test set."""
    table = pd.DataFrame(
        {"dataset": dataset, "setting": setting, "value": abs(value)}
        for row in rows for dataset, found in row["differences"].items() for setting, value in found.items()
    )  # fmt: skip
    return table[table["setting"] != "rank distance"].groupby("dataset")["value"].max().to_dict()


if __name__ == "__main__":
    main()
