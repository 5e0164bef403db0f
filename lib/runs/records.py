"""What the folder of a run keeps: what its name stands for, and two files of each finished cell: its ranks, or scores,
and the record of how it was made."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base import config, paths
from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError
from ..data.catalog import HELDOUT, is_scored_alone
from ..evaluation import metrics

NAME = re.compile(r"(?P<profile>.+?)(?P<facts>-facts)?(?P<digits>-[0-9a-f]{8})?")
WRITTEN = ("run.json", "provenance.json")  # files that say what the name of a run stands for
RANKS, RECORD = SUFFIXES = (".parquet", ".json.gz")
NAMES = ["dataset", "query_language", "passage_language"]  # columns of ranks that are written as categories
SETTLED = 2_000_000_000  # nanoseconds
UNIT = 10_000  # of the scores that a cell of a sweep keeps


def is_name(text: str) -> bool:
    """Whether a text is what a run could be called, and no profile: ``smoke-1a2b3c4d``, ``default-facts``."""
    found = NAME.fullmatch(text)
    return found is not None and text not in config.profiles() and found["profile"] in config.profiles()


def remember(run: Run) -> None:
    """Write into a run's folder what its name stands for."""
    means = {"profile": run.profile, "overrides": list(run.overrides)}
    path = run.folder / WRITTEN[0]
    if run.overrides and artifacts.read_sealed(path) != means:
        artifacts.write_sealed(path, means)


def remembered(name: str) -> list[str] | None:
    """Return the overrides that the printed name of a run stands for; None if its folder does not say so, undamaged."""
    parts = NAME.fullmatch(name)
    for file in WRITTEN:
        found = artifacts.read_sealed(paths.results() / name / file)
        if found and config.load(found["profile"], found["overrides"]).name == f"{parts['profile']}{parts['digits']}":
            return found["overrides"]
    return None


def load(profile: str, overrides: Sequence[str] = ()) -> Run:
    """Return the run of a profile (see `base.config.load`), or the one of a printed name, such as ``smoke-1a2b3c4d``.

    Args:
        overrides: they go before those that a name stands for.

    Raises:
        UserError: as there; or no folder says what the name stands for.
    """
    if not is_name(profile):
        return config.load(profile, overrides)
    name, parts = profile, NAME.fullmatch(profile)
    stored = remembered(name) if parts["digits"] else []
    if stored is None:
        there = sorted(path.name for path in paths.results().glob("*") if path.is_dir())
        listed = f"has only {', '.join(there)}" if there else "has none yet"
        raise UserError(f"there is no run {name}: {paths.results()} {listed}; or give --profile and --set")
    changed = {text.partition("=")[0] for text in overrides}
    kept = [text for text in stored if text.partition("=")[0] not in changed]
    return replace(config.load(parts["profile"], [*kept, *overrides]), fallback=bool(parts["facts"]))


def beside(path: Path, suffix: str) -> Path:
    """The path with a suffix after its name, which may hold dots: alpha is part of it."""
    return path.with_name(path.name + suffix)


def read(path: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Read a cell's record; None unless both files are there and undamaged, and were made from what is wanted.

    Files that stayed as they were since they were last read here are not read again.
    """
    states = [_state(beside(path, suffix)) for suffix in SUFFIXES]
    value = _undamaged(path, *states) if all(states) else _undamaged.__wrapped__(path)
    return value if value is not None and _serves(value, wanted) else None


@lru_cache(4096)
def _undamaged(path: Path, *states: tuple[int, ...]) -> dict[str, Any] | None:
    value = artifacts.read_sealed(beside(path, RECORD))
    whole = value is not None and artifacts.is_as(beside(path, RANKS), value.get("sha256"))
    return value if whole else None


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes with a file; None while it is so new that a further change could bear the same time."""
    try:
        found = path.stat()
    except OSError:
        return None
    changed = found.st_mtime_ns, found.st_ctime_ns
    return (found.st_ino, found.st_size, *changed) if time.time_ns() - max(changed) > SETTLED else None


def _serves(value: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a cell was made from the same inputs, its test sets being those wanted, and perhaps others.

    What is read off the vectors is there for the first set of each pool: if that one is not wanted, the cell lacks it.
    """
    made = value.get("inputs")
    if not isinstance(made, dict) or not isinstance(made.get("eval"), dict):
        return False
    if made["eval"] == wanted["eval"]:
        return made == wanted
    pools = {name.removesuffix(HELDOUT) for name in wanted["eval"] if not is_scored_alone(name)}
    read = {name.removesuffix(HELDOUT) for name in wanted["eval"] if name in value.get("vectors", {})}
    return pools == read and made | {"eval": {name: made["eval"].get(name) for name in wanted["eval"]}} == wanted


def sets_read(records: Iterable[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Each data set of a run, what it served for, and the digest of what was read from it."""
    found = {}
    for made_from in (record["inputs"] for record in records):
        if "train" in made_from:
            found[made_from["cell"]["train"], "trained on"] = made_from["train"]
        found |= {(name, "scored on"): digest for name, digest in made_from["eval"].items()}
    return [(name, use, digest) for (name, use), digest in found.items()]


def write_ranks(ranks: pd.DataFrame, path: Path) -> None:
    """As small as it gets, within a quarter of the ranks' entropy; the same bytes each time."""
    packing = {"question": "DELTA_BINARY_PACKED", "rank": "BYTE_STREAM_SPLIT", "pool_rank": "BYTE_STREAM_SPLIT"}
    ordered = ranks[["dataset", "question", *NAMES[1:], "rank", "pool_rank"]]
    if "passage" in ranks:  # in those of one set, perhaps not of another
        ordered = ordered.assign(passage=ranks["passage"].fillna(-1).astype(np.int32))
    _write(ordered, path, NAMES, packing)


def write_scores(units: pd.DataFrame, path: Path, kept: Sequence[str] = metrics.SETTINGS) -> None:
    """In steps of .0001, which is a hundredth of the margin that anything is judged by: 40 kB at most.

    Args:
        kept: the settings that are kept; rank distance only beside all of them.
    """
    scores = metrics.by_query(units)[: None if kept else 0]
    table = scores[["question", "query_language"]].assign(
        **{name: (scores[name] * UNIT).round().astype(np.int32) for name in kept}
    )
    if len(kept) == len(metrics.SETTINGS):
        table["rank_distance"] = scores["rank_distance"].astype(np.int32)
    packing = {name: "BYTE_STREAM_SPLIT" for name in table.columns[2:]} | {"question": "DELTA_BINARY_PACKED"}
    _write(table.sort_values(["query_language", "question"]), path, NAMES[1:2], packing)


def _write(table: pd.DataFrame, path: Path, categories: list[str], packing: dict[str, str]) -> None:
    brotli: dict[str, Any] = {"compression": "brotli", "compression_level": 11}
    table.to_parquet(path, index=False, use_dictionary=categories, column_encoding=packing, **brotli)


def read_scores(path: Path) -> pd.DataFrame:
    """What `write_scores` wrote, as `metrics.by_query` returns it, without what was not kept."""
    table = pd.read_parquet(beside(path, RANKS)).sort_values(["question", "query_language"], ignore_index=True)
    return table.assign(**{name: table[name] / UNIT for name in metrics.SETTINGS if name in table})


def kept_of(log: dict[str, Any], is_part: bool) -> dict[str, Any]:
    """The log of a training; beside scores alone without the languages of each batch, three quarters of its bytes."""
    if not is_part:
        return log
    return log | {"steps": [{k: v for k, v in step.items() if k != "languages"} for step in log["steps"]]}


def means(units: pd.DataFrame) -> list[dict[str, Any]]:
    """The macro means as rows of ``metrics.csv``; of scores by query they follow only where all languages answer."""
    return metrics.macro(metrics.by_language(units)).round({"value": 6}).to_dict("records")
