"""Parallel pages of software documentation: headings and the paragraphs below them, in many languages."""

import hashlib
from functools import cache

from .. import download, jsonl
from .. import sets as parallel
from ..sets import ParallelSet


@cache
def rows() -> list[dict]:
    files = download.fetch("parallel-docs")
    return [row for name in sorted(files) for row in jsonl.read_rows(files[name])]


@cache
def whole() -> ParallelSet:
    return parallel.from_rows("parallel-docs", rows())


@cache
def heldout(count: int = 800, languages: int = 9) -> ParallelSet:
    """Rows of held-out pages that have at least 9 languages, against a pool of just their passages."""
    held = [row for row in rows() if parallel.split_of(parallel.group_of(row)) == "test"]
    held = [row for row in held if len(set(row["q"]) & set(row["p"])) >= languages]
    held.sort(key=lambda row: hashlib.sha256(row["id"].encode()).digest())
    return parallel.from_rows("parallel-docs-heldout", held[:count])
