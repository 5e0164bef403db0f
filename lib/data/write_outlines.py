"""Write the tracked outlines and digests of released sets (see `data.outlines`), with all sets at hand.

    python -m lib.data.write_outlines
"""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base import store
from . import catalog, download, outlines
from .sets import FOLDS, ParallelSet, folds_of


def of(chosen: ParallelSet) -> dict[str, pd.DataFrame]:
    """Return a set's outline: ``questions`` (group, split, fold), ``queries`` (question, language, text),
    ``passages`` (language, count), ``answers`` (question, passage).

    Groups and texts of queries are numbers, equal where the set's are equal.
    """
    groups = pd.factorize(chosen.questions["group"])[0]
    questions = pd.DataFrame({"group": groups, "split": chosen.questions["split"], "fold": folds_of(chosen.questions)})
    queries = chosen.queries.assign(text=pd.factorize(chosen.queries["text"])[0])
    counts = chosen.passages["language"].value_counts(sort=False).rename_axis("language").reset_index()
    asked = chosen.queries["question"].to_numpy()[chosen.qrels["query"]]
    answers = pd.DataFrame({"question": asked, "passage": chosen.qrels["passage"]}).drop_duplicates()
    return dict(zip(outlines.TABLES, (questions, queries, counts, answers), strict=True))


def digests() -> dict[str, dict[str, Any]]:
    """Return digest and languages of each released set, by `outlines.key`, from the sets themselves."""
    numbers = [f"-fold{number}" for number in range(FOLDS)]
    folds = [name + use + fold for name in catalog.LAREQA for use in ("", "-without") for fold in numbers]
    scored = [name for name in catalog.EVALUATED if download.files_of(catalog.base(name))]
    asked = [(name, None, "sentence") for name in (*scored, *(fold for fold in folds if "without" not in fold))]
    asked += [(name, None, "sentence+paragraph") for name in scored if catalog.base(name) in catalog.LAREQA]
    beside = [frozenset(some) for count in range(3) for some in combinations(catalog.LAREQA, count)]
    trained = [name for name in catalog.TRAINED if download.files_of(catalog.base(name))]
    trained += [name for name in folds if "without" in name] + list(catalog.CUTS)
    asked += [(name, evaluated, "sentence") for name in trained for evaluated in beside]
    asked += [(name, evaluated, "sentence+paragraph") for name in catalog.LAREQA for evaluated in beside]
    return {outlines.key(*one): catalog.described(*one) for one in asked}


def write() -> list[Path]:
    """Write the tracked files anew from the sets themselves; returns their paths.

    Raises:
        NotObtainable: a set cannot be had.
    """
    made = {name: of(catalog.evaluation_set(name)) for name in catalog.OUTLINED}
    outlines.FOLDER.mkdir(exist_ok=True)
    for table in outlines.TABLES:
        whole = pd.concat([made[name][table].assign(set=name) for name in made], ignore_index=True)
        numbers = {column: np.int32 for column in whole.select_dtypes("number")}
        whole.astype(numbers).to_parquet(outlines.FOLDER / f"{table}.parquet", compression="zstd", index=False)
    store.write_text(outlines.DIGESTS, json.dumps(digests(), indent=1, sort_keys=True) + "\n")
    return [*(outlines.FOLDER / f"{table}.parquet" for table in outlines.TABLES), outlines.DIGESTS]


if __name__ == "__main__":
    for path in write():
        print(path)
