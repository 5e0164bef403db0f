"""The files of MIRACL: topics, judgements and the passages of the full corpora, as they were released.

They are fetched by ir_datasets, the extra ``ir``, which checks the MD5 of each and keeps them in
``IR_DATASETS_HOME`` (``~/.ir_datasets``); what is there already is not looked up again.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import UserError
from .. import download, jsonl
from .. import sets as parallel
from ..sets import ParallelSet

LANGUAGES = ("ar", "de", "en", "es", "hi", "ru", "th", "zh")  # those of MIRACL that are ours too
NAME = "miracl-dev"  # of the dev topics against the full corpora
SHARD = 50_000  # passages in memory at once
MEND = "delete the file, and it is downloaded again"

Shard = list[tuple[str, str]]  # (docid, text)


@cache
def full() -> ParallelSet:
    """The dev topics of all our languages, and the docids that answer them; no text of a passage."""
    ids, queries, passages, answers = [], [], [], []
    for language in LANGUAGES:
        relevant = qrels(language).loc[lambda judged: judged["grade"] > 0]
        place = {docid: len(passages) + row for row, docid in enumerate(sorted(set(relevant["docid"])))}
        passages += [(f"{language}-{docid}", language, "") for docid in place]
        found = {question: list(rows) for question, rows in relevant.groupby("question")["docid"]}
        for question, text in topics(language).itertuples(index=False):
            answers += [(len(ids), place[docid]) for docid in found.get(question, ())]
            queries.append((len(ids), language, text))
            ids.append(f"{language}-{question}")
    questions = pd.DataFrame({"id": ids, "group": ids, "split": "test"})
    return parallel.assemble(NAME, questions, queries, passages, answers)


@cache
def mini() -> ParallelSet:
    """Real MIRACL queries (dev and train) against a small pool of real passages: 8 languages, monolingual."""
    files = download.fetch("miracl-mini")
    ids, queries, passages, answers = [], [], [], []
    for name in sorted(f for f in files if f.endswith(".passages.jsonl.gz")):
        language, row = name.split(".")[0], {}
        for passage in sorted(jsonl.read_lines(files[name]), key=lambda p: p["docid"]):
            row[passage["docid"]] = len(passages)
            passages.append((f"{language}-{passage['docid']}", language, passage["text"]))
        for query in jsonl.read_lines(files[f"{language}.queries_qrels.jsonl"]):
            answers += [(len(ids), row[d]) for d, grade in query["qrels"].items() if grade > 0 and d in row]
            queries.append((len(ids), language, query["query"]))
            ids.append(f"{language}-{query['qid']}")
    questions = pd.DataFrame({"id": ids, "group": ids, "split": "test"})
    return parallel.assemble("miracl-mini", questions, queries, passages, answers)


def identity() -> dict[str, str]:
    """The MD5 of each file of the dev topics and corpora of our languages, as ir_datasets lists them."""
    listed = _listed().contents()
    parts = tuple(f"v1.0/{language}/{part}/" for language in LANGUAGES for part in ("dev", "corpus"))
    return {key: file["expected_md5"] for key, file in sorted(listed.items()) if key.startswith(parts)}


def count(languages: Iterable[str]) -> int:
    """Passages of the languages' full corpora; nothing is fetched to tell."""
    return sum(_ir_datasets().load(f"miracl/{language}").docs_count() for language in languages)


def topics(language: str, split: str = "dev") -> pd.DataFrame:
    """Official queries: ``question`` (the query id), ``text``."""
    return pd.DataFrame(_fields(_file(f"v1.0/{language}/{split}/topics"), 2), columns=["question", "text"])


def qrels(language: str, split: str = "dev") -> pd.DataFrame:
    """Official judgements: ``question, docid, grade``; passages judged not relevant have grade 0."""
    rows = _fields(_file(f"v1.0/{language}/{split}/qrels"), 4)
    return pd.DataFrame([(q, docid, int(grade)) for q, _, docid, grade in rows], columns=["question", "docid", "grade"])


def passages(language: str, size: int = SHARD) -> Iterator[Shard]:
    """The full corpus in shards of ``size`` passages, as (docid, text); the text is title, blank, passage.

    All files are fetched before the first is read, so that nothing is encoded in vain.

    Raises:
        UserError: a file is damaged, found when it is its turn.
    """
    prefix = f"v1.0/{language}/corpus/"
    count = sum(key.startswith(prefix) for key in _listed().contents())
    return in_shards(_read([_file(f"{prefix}{number}") for number in range(count)]), size)


def in_shards(rows: Iterable[tuple[str, str]], size: int) -> Iterator[Shard]:
    """``size`` passages at a time, fewer in the last shard."""
    rows = iter(rows)
    while shard := list(islice(rows, size)):
        yield shard


def _read(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        try:
            for row in jsonl.read_lines(path):
                yield row["docid"], f"{row['title']} {row['text']}"
        except UserError as error:
            raise UserError(f"{error}; {MEND}") from error
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: not passages with docid, title and text; {MEND}") from error


def _fields(path: Path, count: int) -> list[list[str]]:
    """The lines of a tab-separated file, in which quotes are ordinary characters."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    for number, row in enumerate(rows, start=1):
        if len(row) != count:
            raise UserError(f"{path}, line {number}: {len(row)} fields instead of {count}; {MEND}")
    return rows


def _file(key: str) -> Path:
    """A file of MIRACL by its key in ir_datasets' list, fetched and checked if it is not here."""
    file = _listed()[key]
    path = Path(file.path(force=False))
    if download.mirror_is_set() and not path.exists():
        raise download.NotObtainable(
            f"{path}: not here, and HYBRID_DATA_MIRROR is set, so that nothing is downloaded; unset it, or put it there"
        )
    try:
        return Path(file.path())
    except Exception as error:  # requests, OSError, a wrong MD5: all mean the same here
        raise download.NotObtainable(
            f"{NAME}: the download of {path.name} failed ({type(error).__name__}); "
            f"connect to the network and start again, or put the file at {path}"
        ) from error


def _listed() -> Any:
    """ir_datasets' list of MIRACL's files, each with its MD5."""
    ir_datasets = _ir_datasets()
    return ir_datasets.util.DownloadConfig.context("miracl", ir_datasets.util.home_path() / "miracl")


def _ir_datasets() -> Any:
    found = download.ir_datasets(NAME)
    found.log.easy().logger().setLevel("ERROR")  # else it tells each failed attempt
    return found
