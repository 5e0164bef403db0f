"""The learning rate of `use-m` and `static`, chosen on development questions alone.

Each rate trains hybrid .5 on XQuAD-R and on MLQA-R, seed 0, and scores the development questions of the same benchmark,
whose articles no training sees, against the sentences near their answers. The best mean mAP over the two benchmarks and
the three settings is taken. Steps, batch size and scale are those of `e5-small-q4`, so that all encoders see the same
questions as often; what other values would change is for the sweep to say. About 8 minutes an encoder on two cores.

    .venv/bin/python -m benchmarks.hyperparameters use-m
    .venv/bin/python -m benchmarks.hyperparameters static
"""

import sys

import numpy as np
import pandas as pd

from benchmarks import measured
from lib.base import config
from lib.base import store as artifacts
from lib.data import catalog as data
from lib.data import sets as parallel
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evaluation import metrics, search
from lib.runs import cells
from lib.runs import plan as grid
from lib.training import fit as training

RATES = {"use-m": (1e-4, 3e-4, 1e-3), "static": (1e-3, 4e-3, 1.6e-2, 6.4e-2)}
SETS = ("xquad-r", "mlqa-r")


def development(name: str) -> parallel.ParallelSet:
    """The development questions of a benchmark, against the sentences that answer them and ten on either side."""
    full = data.evaluation_set(name)
    chosen = full.only((full.questions["split"] == "dev").to_numpy(), f"{name}-dev")
    answers = chosen.qrels["passage"].unique()
    rows = np.unique(np.concatenate([answers + near for near in range(-10, 11)]).clip(0, len(chosen.passages) - 1))
    number = pd.Series(range(len(rows)), index=rows)
    qrels = chosen.qrels.assign(passage=lambda t: t["passage"].map(number)).astype(np.int32)
    return parallel.ParallelSet(
        chosen.name,
        chosen.name,
        chosen.questions,
        chosen.queries,
        chosen.passages.loc[rows].reset_index(drop=True),
        qrels,
    )


def score(encoder: str, name: str, rate: float | None) -> dict[str, float]:
    """Mean mAP of the three settings on the development questions; ``rate`` None: not trained."""
    run = config.load("full", [f"encoder={encoder}", *([f"learning_rate={rate}"] if rate else [])])
    cell = grid.Cell(encoder, name, "hybrid", 0.5, 0) if rate else grid.Cell(encoder)
    folder = cells.train(run, cell)
    model = encoders.load(folder / training.MODEL if rate else folder)
    embedding.cut(model, run.config.max_tokens)
    chosen = development(name)
    queries = embedding.encode(model, chosen.queries["text"].tolist(), "query")
    passages = embedding.encode(model, chosen.passages["text"].tolist(), "document")
    if rate:
        artifacts.discard("models", cells._recipe(run, cell)[0].inputs())
    means = metrics.macro(metrics.by_language(metrics.units(search.rank(queries, passages, chosen).ranks)))
    return means[means["metric"] == "map"].set_index("setting")["value"].to_dict()


def main(encoder: str) -> None:
    rows = []
    for rate in (None, *RATES[encoder]):
        found = {name: score(encoder, name, rate) for name in SETS}
        mean = float(np.mean([value for by_setting in found.values() for value in by_setting.values()]))
        rows.append({"learning_rate": rate, "map": mean, **found})
        print(rows[-1], flush=True)
    measured.write(f"hyperparameters_{encoder}", {"rows": rows})


if __name__ == "__main__":
    main(sys.argv[1])
