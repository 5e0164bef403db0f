"""The data sets by name: XQuAD-R, MLQA-R, the facts corpus, parallel documentation, MIRACL passages, one's own.

XQuAD-R and MLQA-R are used as released by LAReQA (Roy et al. 2020); their candidates are single sentences.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from lib import artifacts, download, jsonl, miracl_files, own_rows, parallel, paths, processes
from lib.errors import UserError
from lib.parallel import ParallelSet

LAREQA = ("xquad-r", "mlqa-r")
TRAINED = (*LAREQA, "facts", "parallel-docs", "mmarco")
EVALUATED = (
    *LAREQA, "xquad-r-heldout", "mlqa-r-heldout", "facts", "facts-heldout", "facts-new", "parallel-docs-heldout",
    "miracl-mini", miracl_files.NAME,
)  # fmt: skip
BY_SHARD = miracl_files.NAME  # whose passages are never all in memory: `lib.miracl` searches them
READ_BY = ("data", "parallel", "jsonl")  # with which released files are always the same set


def evaluation_set(name: str, candidates: str = "sentence") -> ParallelSet:
    """The questions and pool that ``name`` in a profile's ``eval`` stands for.

    Args:
        name: ``xquad-r`` or ``mlqa-r`` (all questions), ``xquad-r-heldout`` or ``mlqa-r-heldout`` (in-domain test
            questions against the full pool), ``facts`` (its test part; ``facts-heldout`` of the relations that are
            trained on, ``facts-new`` of the others, against the same pool), ``parallel-docs-heldout``,
            ``miracl-mini``, ``miracl-dev`` (its topics and the docids that answer them, without the texts of any
            passage), or the path of a parallel JSONL file (with ``-heldout`` after it: its rows of the split test).
        candidates: ``sentence``, or ``sentence+paragraph`` for the sentence followed by its paragraph.
    """
    base = name.removesuffix("-heldout")
    if base in LAREQA:
        full = lareqa(base, candidates)
        return full if name == base else full.heldout
    if base == "facts" or name == "facts-new":
        return _facts_test(name)
    if name == "parallel-docs-heldout":
        return _parallel_docs_heldout()
    if name == "miracl-mini":
        return miracl_mini()
    if name == BY_SHARD:
        return miracl_files.full()
    full = _own(base, EVALUATED)
    return full if name == base else full.heldout


def evaluation_digest(name: str, candidates: str = "sentence") -> str:
    """What identifies the content of an evaluated set; of MIRACL's corpora without downloading them."""
    if name == BY_SHARD:
        return artifacts.digest(miracl_files.identity())[:16]
    if name in EVALUATED and download.files_of(name.removesuffix("-heldout")):
        return _released(name, None, candidates)["digest"]
    return evaluation_set(name, candidates).digest


def training_set(name: str, evaluated: Iterable[str], candidates: str = "sentence") -> ParallelSet:
    """The questions of ``name`` that may be trained on: its training split, less articles that tests share.

    Harvard University and Prime number occur in both XQuAD-R and MLQA-R: they are dropped where the other one
    is evaluated. Development and in-domain test questions are never trained on. Pages of documentation repeat each
    other: of ``parallel-docs``, 477 questions go, which have a text (most often a heading, Overview) in some language
    in common with a held-out question or its passage.
    """
    return _trainable(name, frozenset(evaluated) & set(LAREQA), candidates)


def training_digest(name: str, evaluated: Iterable[str], candidates: str = "sentence") -> str:
    """What identifies the content of a training set; of mMARCO without downloading it, since plans are made first."""
    if name == "mmarco":
        from lib import mmarco

        return artifacts.digest(mmarco.identity())[:16]
    known = _released_training(name, evaluated, candidates)
    return known["digest"] if known else training_set(name, evaluated, candidates).digest


def training_languages(name: str, evaluated: Iterable[str], candidates: str = "sentence") -> list[str]:
    """The languages of a training set; of released files without reading them again."""
    known = _released_training(name, evaluated, candidates)
    return known["languages"] if known else training_set(name, evaluated, candidates).languages


def _released_training(name: str, evaluated: Iterable[str], candidates: str) -> dict[str, Any] | None:
    """Digest and languages of a training set of released files; None of any other, which has to be read for each."""
    released = name in TRAINED and download.files_of(name)
    return _released(name, frozenset(evaluated) & set(LAREQA), candidates) if released else None


@cache
def _released(name: str, evaluated: frozenset[str] | None, candidates: str) -> dict[str, Any]:
    """Digest and languages of a training set, or, if nothing is evaluated, of an evaluated one; of released files.

    Kept in the store: to read all sets and write them down takes 13 s, which each notebook would spend anew.
    """

    def find() -> dict[str, Any]:
        found = evaluation_set(name, candidates) if evaluated is None else _trainable(name, evaluated, candidates)
        return {"digest": found.digest, "languages": found.languages}

    datasets = {name.removesuffix("-heldout"), *(evaluated or ())}
    for dataset in datasets:
        download.fetch(dataset)
    files = {file.path: file.sha256 for dataset in datasets for file in download.files_of(dataset)}
    wanted = {"set": name, "candidates": candidates, "files": files, "code": artifacts.code(READ_BY)}
    if evaluated is not None:
        wanted["evaluated"] = sorted(evaluated)
    return artifacts.known("sets", wanted, find)


@cache
def _trainable(name: str, evaluated: frozenset[str], candidates: str) -> ParallelSet:
    if name == "facts":
        return _facts("train")
    full = _full(name, candidates)
    keep = full.questions["split"] == "train"
    for other in evaluated - {name}:
        keep &= ~full.questions["group"].isin(lareqa(other, candidates).questions["group"])
    if name == "parallel-docs":
        keep &= ~full.repeats(_parallel_docs_heldout())
    return full.only(keep.to_numpy())


@cache
def lareqa(name: str, candidates: str = "sentence") -> ParallelSet:
    """XQuAD-R (11 languages) or MLQA-R (7): the relevant sentence is the one in which the answer starts.

    Returns:
        1,190 questions and 13,014 sentences, or 1,148 questions and 20,534 sentences; questions in the order
        of the English file, grouped by the English article title.
    """
    files = download.fetch(name)
    articles = {Path(f).stem: json.loads(path.read_text(encoding="utf-8"))["data"] for f, path in files.items()}
    questions = pd.DataFrame(
        [(qa["id"], article["title"].replace("_", " ")) for article, _, qa in _questions(articles["en"])],
        columns=["id", "group"],
    )
    questions["split"] = questions["group"].map(parallel.split_of)
    number = {id_: row for row, id_ in enumerate(questions["id"])}
    queries, passages, answers = [], [], []
    for language in sorted(articles):
        start = len(passages)
        for paragraph, sentences in _paragraphs(articles[language]):
            first = len(passages)
            for sentence in sentences:
                text = sentence if candidates == "sentence" else f"{sentence} {paragraph['context']}"
                passages.append((f"{language}-{len(passages) - start:05d}", language, text))
            for qa in paragraph["qas"]:
                answers.append((number[qa["id"]], first + _answer_sentence(paragraph, qa)))
                queries.append((number[qa["id"]], language, qa["question"]))
    pool = name if candidates == "sentence" else f"{name}+paragraph"
    return parallel.assemble(name, questions, queries, passages, answers, pool)


@cache
def miracl_mini() -> ParallelSet:
    """Real MIRACL queries (dev and train) against a small pool of real passages: 8 languages, monolingual."""
    files = download.fetch("miracl-mini")
    passages, queries, answers, questions = [], [], [], []
    for name in sorted(f for f in files if f.endswith(".passages.jsonl.gz")):
        language, row = name.split(".")[0], {}
        for passage in sorted(jsonl.read_lines(files[name]), key=lambda p: p["docid"]):
            row[passage["docid"]] = len(passages)
            passages.append((f"{language}-{passage['docid']}", language, passage["text"]))
        for query in jsonl.read_lines(files[f"{language}.queries_qrels.jsonl"]):
            answers += [(len(questions), row[d]) for d, grade in query["qrels"].items() if grade > 0 and d in row]
            queries.append((len(questions), language, query["query"]))
            questions.append((f"{language}-{query['qid']}", f"{language}-{query['qid']}", "test"))
    table = pd.DataFrame(questions, columns=["id", "group", "split"])
    return parallel.assemble("miracl-mini", table, queries, passages, answers)


@cache
def _facts(split: str) -> ParallelSet:
    from lib import facts

    return parallel.from_rows("facts", [row for row in facts.rows() if row["split"] == split])


@cache
def _facts_test(name: str) -> ParallelSet:
    from lib.facts import TEST_ONLY_RELATIONS

    full = _facts("test")
    if name == "facts":
        return full
    new = full.questions["id"].str.split(":").str[0].isin(TEST_ONLY_RELATIONS)
    return full.only((new == (name == "facts-new")).to_numpy(), name)


@cache
def _parallel_docs_rows() -> list[dict]:
    files = download.fetch("parallel-docs")
    return [row for name in sorted(files) for row in jsonl.read_rows(files[name])]


@cache
def _parallel_docs() -> ParallelSet:
    return parallel.from_rows("parallel-docs", _parallel_docs_rows())


@cache
def _parallel_docs_heldout(rows: int = 800, languages: int = 9) -> ParallelSet:
    """Rows of held-out pages that have at least 9 languages, against a pool of just their passages."""
    held = [
        row
        for row in _parallel_docs_rows()
        if parallel.split_of(parallel.group_of(row)) == "test" and len(set(row["q"]) & set(row["p"])) >= languages
    ]
    held.sort(key=lambda row: hashlib.sha256(row["id"].encode()).digest())
    return parallel.from_rows("parallel-docs-heldout", held[:rows])


@cache
def _mmarco() -> ParallelSet:
    from lib import mmarco

    return parallel.from_rows("mmarco", jsonl.read_rows(mmarco.fetch()))


def _own(name: str, known: tuple[str, ...]) -> ParallelSet:
    if not is_own(name):
        use = "evaluation" if known == EVALUATED else "training"
        right = f"choose of {', '.join(known)}, or a .jsonl file of your own"
        raise UserError(f"data set '{name}' does not exist for {use}; {right}")
    return _read(paths.brought(name), known == TRAINED)


@cache
def _read(path: Path, to_train: bool = False) -> ParallelSet:
    """A file of one's own; what its rows were taken to mean is said once."""
    rows = _own_rows(path, path.stat().st_mtime_ns if path.exists() else 0)
    make = own_rows.training if to_train else own_rows.evaluation
    return make(paths.called(path.name), rows)


@cache
def _own_rows(path: Path, changed: int) -> list[dict]:
    rows, said = own_rows.read(path)
    if said and processes.rank() == 0:
        print(f"{path}: {said}", file=sys.stderr)
    return rows


def is_own(name: str) -> bool:
    """Whether it is the path of a file of one's own, or means its held-out rows; not a name of ours."""
    return name.removesuffix("-heldout").endswith((".jsonl", ".jsonl.gz"))


def _full(name: str, candidates: str) -> ParallelSet:
    if name in LAREQA:
        return lareqa(name, candidates)
    if name == "mmarco":
        return _mmarco()
    return _parallel_docs() if name == "parallel-docs" else _own(name, TRAINED)


def _questions(articles: list[dict]) -> Iterator[tuple[dict, dict, dict]]:
    for article in articles:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                yield article, paragraph, qa


def _paragraphs(articles: list[dict]) -> Iterator[tuple[dict, list[str]]]:
    for article in articles:
        for paragraph in article["paragraphs"]:
            yield paragraph, paragraph["sentences"]


def _answer_sentence(paragraph: dict, qa: dict) -> int:
    """Index of the sentence in which the answer starts; breaks are half-open (in Chinese they touch)."""
    start = qa["answers"][0]["answer_start"]
    for i, (begin, end) in enumerate(paragraph["sentence_breaks"]):
        if begin <= start < end:
            return i
    raise UserError(f"question {qa['id']}: its answer starts in no sentence; the data file is not as released")
