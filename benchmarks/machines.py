"""What another machine changes: published cells trained and scored anew on this one, beside what they were.

    .venv/bin/python -m benchmarks.machines

The cells of `full` were made on two kinds of processors, which round differently; the record of each says on which.
Remakes x-x-mono, x-y and hybrid, trained on MLQA-R with seed 0, in a store and a results folder of their own, so that
nothing is reused. About 20 minutes on two cores; what is finished is kept.
"""

import os

from benchmarks import measured
from benchmarks.checkpoint_choice import scores
from lib import cells, config, paths
from lib.grid import Cell

STRATEGIES = (("x-x-mono", None), ("x-y", None), ("hybrid", 0.5))
AGAIN = "again"


def main() -> None:
    run = config.load("full")
    cells.adopt_published(run)
    made = [Cell(run.config.encoder, "mlqa-r", strategy, alpha, 0) for strategy, alpha in STRATEGIES]
    if own := [cell.id for cell in made if not cells.is_published(run, cell)]:
        raise SystemExit(f"not as published: {', '.join(own)}; remove results/full/cells first")
    before = {cell: (cells.record(run, cell)["made"]["device"], scores(run, cell)) for cell in made}
    own = {"HYBRID_RESULTS": paths.results() / AGAIN, "HYBRID_STORE": paths.store() / AGAIN}
    os.environ.update({name: str(folder) for name, folder in own.items()})
    rows = []
    for cell, (device, were) in before.items():
        here = cells.finish(run, cell)["made"]["device"]
        differences = {
            dataset: {name: value - were[dataset][name] for name, value in found.items()}
            for dataset, found in scores(run, cell).items()
        }
        rows.append({"strategy": cell.label, "made on": device, "again on": here, "differences": differences})
        print(rows[-1], flush=True)
    settings = [
        abs(value)
        for row in rows
        for found in row["differences"].values()
        for name, value in found.items()
        if name != "rank distance"
    ]
    measured.write("machines", {"rows": rows, "largest difference of mAP in a setting": max(settings)})


if __name__ == "__main__":
    main()
