"""What version 2 of the batch sampler does to comparisons: use-m trained on XQuAD-R, five seeds with each version.

In version 1 all draws but those of kinds came from one stream of random numbers, so that two strategies of a seed met
the questions in different orders. If a common order made them vary together, their difference would vary less, and its
interval be narrower. Read from the published cells; half a minute.

    .venv/bin/python -m benchmarks.sampler_versions
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from benchmarks import measured
from lib.base.config import Run
from lib.data import catalog as data
from lib.evaluation import metrics
from lib.evidence import stats
from lib.runs import cells
from lib.runs import plan as grid
from lib.runs.open import open_run

ENCODER, TRAIN, TEST, SETTINGS = "use-m", "xquad-r", "mlqa-r", ("monolingual", "multilingual")
STRATEGIES, SEEDS = {"x-x-mono": None, "x-y": None, "hybrid": 0.5}, (0, 1, 2, 3, 4)


def scores(run: Run, cell: grid.Cell) -> pd.DataFrame:
    """Average precision of each question and query language on the test, in each setting."""
    if cell.is_part:
        return cells.scores(run, cell)
    ranks = cells.ranks(run, cell)
    return metrics.by_query(metrics.units(metrics.coded(ranks[ranks["dataset"] == TEST].drop(columns="dataset"))))


def estimates(run: Run, version: int) -> dict[tuple[str, str], stats.Estimate]:
    """mAP by setting and strategy over the seeds, trained on the batches of a version."""
    articles = pd.factorize(data.outline(TEST).questions["group"])[0]
    found = {}
    for strategy, alpha in STRATEGIES.items():
        made = [grid.Cell(ENCODER, TRAIN, strategy, alpha, seed) for seed in SEEDS]
        if version == 1:
            made = [replace(cell, on=TEST, changes=("sampler=1",)) for cell in made]
        tables = [scores(run, cell) for cell in made]
        for setting in SETTINGS:
            wide = [t.astype({"query_language": str}).pivot(index="question", columns="query_language", values=setting)
                    for t in tables]  # fmt: skip
            values = np.stack([table.to_numpy() for table in wide], axis=2)
            found[setting, strategy] = stats.estimate(values, articles[wide[0].index])
    return found


def compared(one: stats.Estimate, other: stats.Estimate) -> dict[str, float]:
    """How two strategies go together from seed to seed, and how sure their difference is."""
    levels, sure = [part.shares.mean(axis=0) for part in (one, other)], (one - other).interval()
    return {
        "correlation over seeds": float(np.corrcoef(*levels)[0, 1]),
        "standard deviation of the difference over seeds": float((levels[0] - levels[1]).std(ddof=1)),
        "difference": sure.value,
        "width of the interval": sure.high - sure.low,
    }


def main() -> None:
    run = open_run("full", finished=True)
    by_version = {version: estimates(run, version) for version in (1, 2)}
    rows = []
    for setting in SETTINGS:
        for pair in combinations(STRATEGIES, 2):
            both = {
                f"version {version}": compared(*(found[setting, name] for name in pair))
                for version, found in by_version.items()
            }
            rows.append({"setting": setting, "strategies": pair} | both)
    mean = {
        version: {name: float(np.mean([row[version][name] for row in rows])) for name in rows[0][version]}
        for version in ("version 1", "version 2")
    }
    measured.write("sampler_versions", {"rows": rows, "mean over pairs and settings": mean})


if __name__ == "__main__":
    main()
