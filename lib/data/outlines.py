"""What is known of released sets without their texts: which questions, in which languages, and what answers them.

Tables, verdicts and figures of published cells need no more, so that they are made where no benchmark can be had. The
tracked files are written by ``python -m lib.data.write_outlines`` with all sets at hand; a test holds them to the sets.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .sets import ParallelSet, assemble

FOLDER = Path(__file__).with_name("outlines")
DIGESTS = FOLDER / "digests.json"
TABLES = ("questions", "queries", "passages", "answers")  # as `write_outlines.of` makes them


@cache
def read(name: str) -> ParallelSet | None:
    """Return a whole released set with numbers in place of its texts, ids and groups; None if no outline is tracked.

    Its questions have the further column ``fold`` (see `sets.folds_of`).
    """
    mine = [("set", "==", name)]
    own = {table: pd.read_parquet(FOLDER / f"{table}.parquet", filters=mine).drop(columns="set") for table in TABLES}
    if own["questions"].empty:
        return None
    questions = own["questions"].assign(id=lambda t: t.index.astype(str), group=lambda t: t["group"].astype(str))
    queries = own["queries"].assign(text=lambda t: t["text"].astype(str)).astype({"question": np.int64})
    passages = pd.DataFrame({"language": np.repeat(own["passages"]["language"], own["passages"]["count"])})
    passages = passages.reset_index(drop=True).assign(docid=lambda t: t.index.astype(str), text="")
    return assemble(name, questions, queries, passages, own["answers"])


def known(name: str, beside: Iterable[str] | None, candidates: str) -> dict[str, Any] | None:
    """``digest`` and ``languages`` of a set to train on, beside those that are scored, or (None) to score on; None if
    they are not tracked."""
    return _digests().get(key(name, beside, candidates))


def key(name: str, beside: Iterable[str] | None, candidates: str) -> str:
    """Name a set and how it is read: ``xquad-r, trained beside mlqa-r, sentence``."""
    use = "evaluated" if beside is None else " ".join(["trained beside", *sorted(beside)])
    return f"{name}, {use}, {candidates}"


@cache
def _digests() -> dict[str, dict[str, Any]]:
    return json.loads(DIGESTS.read_text(encoding="utf-8"))
