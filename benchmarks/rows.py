"""How many questions are enough: hybrid .5 trained on 50, 200 and 800 of XQuAD-R's, scored on its held-out ones.

The questions are the first of a fixed order, each in 11 languages with its answers; held-out articles are in no subset.
All trainings have the same steps, so that fewer questions are met more often. Three seeds each; a minute or two with
`static` on two idle cores, an hour with `use-m`; a folder keeps the trainings of a benchmark that was broken off.

    .venv/bin/python -m benchmarks.rows static [FOLDER]
"""

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import measured
from lib.base import config
from lib.data import catalog as data
from lib.data.sets import ParallelSet
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evaluation import metrics, search
from lib.runs import cells
from lib.runs import plan as grid
from lib.training import fit as training

SIZES, SEEDS, TEST = (50, 200, 800), (0, 1, 2), "xquad-r-heldout"


def first(full: ParallelSet, size: int) -> list[dict]:
    """Rows of parallel JSONL: as many questions as asked for, in the order of a fixed hash of their ids."""
    order = full.questions["id"].map(lambda id_: hashlib.sha256(id_.encode()).hexdigest()).rank().to_numpy()
    sides = {"q": (full.query_rows, full.queries["text"]), "p": (full.passage_rows, full.passages["text"])}
    return [
        {"id": full.questions["id"][n], "split": "train"}
        | {
            side: {x: texts[at[n, column]] for column, x in enumerate(full.languages) if at[n, column] >= 0}
            for side, (at, texts) in sides.items()
        }
        for n in np.flatnonzero(order <= size)
    ]


def score(model_folder: Path, run: config.Run) -> dict[str, float]:
    """mAP in the three settings on the held-out questions."""
    model = encoders.load(model_folder)
    embedding.cut(model, run.config.max_tokens)
    test = data.evaluation_set(TEST)
    queries = embedding.encode(model, test.queries["text"].tolist(), "query")
    passages = embedding.encode(model, test.passages["text"].tolist(), "document")
    means = metrics.macro(metrics.by_language(metrics.units(search.rank(queries, passages, test).ranks)))
    return means[means["metric"] == "map"].set_index("setting")["value"].to_dict()


def main(encoder: str, kept: str = "") -> None:
    folder = Path(kept or tempfile.mkdtemp())
    os.environ["HYBRID_STORE"] = str(folder / "store")
    full = data.training_set("xquad-r", [TEST])
    run = config.load("full", [f"encoder={encoder}"])
    rows = [{"questions": 0, **score(cells.train(run, grid.Cell(encoder)), run)}]
    for size in SIZES:
        chosen = first(full, size)
        file = folder / f"{size}-questions.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf-8")
        found = []
        for seed in SEEDS:
            trained = cells.train(run, grid.Cell(encoder, str(file), "hybrid", 0.5, seed))
            found.append(score(trained / training.MODEL, run))
        means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        spread = {f"{name}, seeds' range": float(np.ptp([one[name] for one in found])) for name in found[0]}
        rows.append({"questions": len(chosen), **means, **spread})
        print(rows[-1], flush=True)
    measured.write(f"rows_{encoder}", {"test": TEST, "steps": run.config.steps, "seeds": len(SEEDS), "rows": rows})


if __name__ == "__main__":
    main(*sys.argv[1:])
