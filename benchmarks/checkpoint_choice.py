"""What the paper's choice of the checkpoint changes: the lowest validation loss, against the last step.

    .venv/bin/python -m benchmarks.checkpoint_choice

Trains x-x-mono, x-y and hybrid on XQuAD-R, seed 0, for 80 and for up to 240 steps; keeps the checkpoint with the lowest
loss on English SQuADShifts, with early stopping (see `data.released.squadshifts`); scores it on MLQA-R and on the
held-out questions, beside the last of 80 steps (the published cells of `full`) and the last of 240, without which more
training would be taken for a better choice. About 70 minutes on two cores; what is finished is kept.
"""

from typing import Any

from benchmarks import measured
from lib.base import config
from lib.base.config import Run
from lib.evaluation import metrics
from lib.runs import cells
from lib.runs.plan import Cell

STRATEGIES = (("x-x-mono", None), ("x-y", None), ("hybrid", 0.5))
STEPS = (80, 240)


def main() -> None:
    published = config.load("full")
    cells.adopt_published(published)
    rows = []
    for strategy, alpha in STRATEGIES:
        cell = Cell(published.config.encoder[0], "xquad-r", strategy, alpha, 0)
        rows.append({"strategy": cell.label, "steps": 80, "kept": 80, **scores(published, cell)})
        longer = config.load("full", [f"steps={STEPS[-1]}"])
        cells.finish(longer, cell)
        rows.append({"strategy": cell.label, "steps": STEPS[-1], "kept": STEPS[-1], **scores(longer, cell)})
        for steps in STEPS:
            run = config.load("full", ["checkpoint=validation", f"steps={steps}"])
            log = cells.finish(run, cell)["training"]
            row = {"strategy": cell.label, "steps": len(log["steps"]), "kept": log["kept"]}
            rows.append({**row, "of": steps, "validation": log["validation"], **scores(run, cell)})
            print(rows[-1], flush=True)
    measured.write("checkpoint_choice", {"rows": rows})


def scores(run: Run, cell: Cell) -> dict[str, Any]:
    """mAP in each setting and multilingual rank distance, by test set; and on which device the cell was made."""
    found: dict[str, Any] = {"device": cells.record(run, cell)["made"]["device"]}
    for dataset, ranks in cells.ranks(run, cell).groupby("dataset", observed=True):
        table = metrics.macro(metrics.by_language(metrics.units(ranks))).set_index(["metric", "setting"])["value"]
        found[str(dataset)] = table["map"].to_dict() | {"rank distance": table["rank_distance", "multilingual"]}
    return found


if __name__ == "__main__":
    main()
