"""MIRACL (Zhang et al. 2023): exact search over corpora larger than memory, and nDCG@10 and recall@100 of it.

Two pools, one of which every row names: ``miracl-dev``, the dev topics against the full corpora (77 million passages
in our 8 languages, 12 GB to download); ``miracl-mini``, the topics of `lib.data.miracl_mini` against its small pool,
where scores are far higher. Queries are scored against the corpus of their own language only.

The files of ``miracl-dev`` are fetched by ir_datasets, the extra ``ir``, which checks the MD5 of each and keeps them
in ``IR_DATASETS_HOME`` (``~/.ir_datasets``); what is there already is not looked up again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib import data, download, embedding, metrics, parallel, progress, search
from lib.errors import UserError
from lib.parallel import ParallelSet

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

LANGUAGES = ("ar", "de", "en", "es", "hi", "ru", "th", "zh")  # those of MIRACL that are ours too
FULL, MINI = "miracl-dev", "miracl-mini"
MEASURES = ["ndcg@10", "recall@100"]
TOP = 100
SHARD = 50_000  # passages in memory at once
BLOCK = 256  # queries in one matrix product
MEND = "delete the file, and it is downloaded again"

Shard = list[tuple[str, str]]  # (docid, text)


@dataclass(frozen=True)
class Collection:
    """What the queries of one language are searched in.

    Attributes:
        topics: ``question, text``.
        qrels: ``question, docid, grade``; grades from 1 are relevant.
        shards: the passages, each once, in any order.
        passages: how many there are.
    """

    topics: pd.DataFrame
    qrels: pd.DataFrame
    shards: Iterable[Shard]
    passages: int


def evaluate(
    model: "SentenceTransformer",
    language: str,
    pool: str = FULL,
    size: int = SHARD,
    precision: str = "float32",
    each: Callable[..., Iterator[Any]] = map,
) -> pd.DataFrame:
    """nDCG@10 and recall@100 of each query of a language that has a relevant passage, as all of MIRACL's have.

    Args:
        pool: ``miracl-dev`` or ``miracl-mini``.
        size: passages a shard; changes memory, not the result.
        precision: of the transformer, see `lib.embedding.encode`.
        each: `map`, or `lib.cluster.each` to encode and search the shards on several machines; not the result's matter.

    Returns:
        One row a query, in the order of topics: ``pool, setting, question, query_language, passage_language,
        ndcg@10, recall@100``. `lib.metrics.by_language` takes their means.
    """
    topics, placed = _placed(model, language, pool, size, precision, each)
    found = metrics.measure(placed, ["question"], "rank")
    rows = topics[["question"]].merge(found[["question", *MEASURES]], on="question")
    where = {"pool": pool, "setting": "monolingual", "query_language": language, "passage_language": language}
    columns = ["pool", "setting", "question", "query_language", "passage_language", *MEASURES]
    return rows.assign(**where)[columns]


@cache
def full() -> ParallelSet:
    """The dev topics of all our languages, and the docids that answer them; no text of a passage."""
    questions, queries, passages, answers = [], [], [], []
    for language in LANGUAGES:
        judged = qrels(language)
        relevant = judged[judged["grade"] > 0]
        first = len(passages)
        docids = sorted(set(relevant["docid"]))
        passages += [(f"{language}-{docid}", language, "") for docid in docids]
        place = {docid: first + row for row, docid in enumerate(docids)}
        found = {question: list(rows) for question, rows in relevant.groupby("question")["docid"]}
        for question, text in topics(language).itertuples(index=False):
            answers += [(len(questions), place[docid]) for docid in found.get(question, ())]
            queries.append((len(questions), language, text))
            questions.append((f"{language}-{question}", f"{language}-{question}", "test"))
    table = pd.DataFrame(questions, columns=["id", "group", "split"])
    return parallel.assemble(FULL, table, queries, passages, answers)


def rank(model: "SentenceTransformer", precision: str = "float32") -> pd.DataFrame:
    """The ranks of the relevant passages of all dev topics in the full corpora, as `lib.search.Ranking` has them.

    Beyond the first 100 a rank is infinite, so that mAP is that of the first 100. ``pool_rank`` is ``rank``: there is
    no pool of all languages.
    """
    number = {name: row for row, name in enumerate(full().questions["id"])}
    found = []
    for language in LANGUAGES:
        _, placed = _placed(model, language, FULL, SHARD, precision)
        rows = {"question": (f"{language}-" + placed["question"]).map(number).astype(np.int32)}
        rows |= {"query_language": language, "passage_language": language}
        found.append(pd.DataFrame(rows | {"rank": placed["rank"], "pool_rank": placed["rank"]}))
    return pd.concat(found, ignore_index=True)


def identity() -> dict[str, str]:
    """The MD5 of each file of the dev topics and corpora of our languages, as ir_datasets lists them."""
    listed = _listed().contents()
    parts = tuple(f"v1.0/{language}/{part}/" for language in LANGUAGES for part in ("dev", "corpus"))
    return {key: file["expected_md5"] for key, file in sorted(listed.items()) if key.startswith(parts)}


def count() -> int:
    """Passages of our languages' full corpora; nothing is fetched to tell."""
    return sum(_ir_datasets().load(f"miracl/{language}").docs_count() for language in LANGUAGES)


def collection(language: str, pool: str = FULL, size: int = SHARD) -> Collection:
    """The topics, qrels and passages of a language in a pool.

    Raises:
        UserError: MIRACL lacks the language, or there is no such pool.
        NotObtainable: its files are not here and cannot be fetched.
    """
    if language not in LANGUAGES:
        raise UserError(f"MIRACL: language '{language}' is not one of {', '.join(LANGUAGES)}")
    if pool not in (FULL, MINI):
        raise UserError(f"MIRACL: pool '{pool}' does not exist; choose {FULL} or {MINI}")
    if pool == MINI:
        return _mini(language, size)
    count = _ir_datasets().load(f"miracl/{language}").docs_count()
    return Collection(topics(language), qrels(language), passages(language, size), count)


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
    return _in_shards(_read([_file(f"{prefix}{number}") for number in range(count)]), size)


def search_by_shard(
    model: "SentenceTransformer",
    queries: list[str],
    shards: Iterable[Shard],
    k: int = TOP,
    precision: str = "float32",
    advance: Callable[[int], Any] | None = None,
    each: Callable[..., Iterator[Any]] = map,
) -> tuple[np.ndarray, np.ndarray]:
    """Exact search that holds the vectors of one shard at a time.

    Order: score descending, then docid descending, as trec_eval's. Products are summed in float64 and rounded to
    float32, so that a score does not depend on the shard that its passage is in, and equal passages tie.

    Args:
        shards: the passages, each once, in any order.
        advance: called with the number of passages encoded since the last call; for a shard that was searched on
            another machine, at its end.
        each: gives what a function makes of each shard, in any order: `map`, or `lib.cluster.each`.

    Returns:
        docids, text [queries, k], and their scores, float32 [queries, k], best first; fewer columns than ``k`` if
        there are fewer passages.
    """
    query_vectors = embedding.encode(model, queries, "query", precision).astype(np.float64)
    docids, scores = np.empty((len(queries), 0), "U1"), np.empty((len(queries), 0), np.float32)
    within = advance if each is map else None
    search_one = partial(search_shard, model, query_vectors, k=k, precision=precision, advance=within)
    for their_docids, their_scores, count in each(search_one, shards):
        if advance and not within:
            advance(count)
        docids, scores = np.hstack([docids, their_docids]), np.hstack([scores, their_scores])
        order = np.lexsort((docids, scores))[:, ::-1][:, :k]
        docids, scores = np.take_along_axis(docids, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return docids, scores


def search_shard(
    model: "SentenceTransformer",
    queries: np.ndarray,
    shard: Shard,
    k: int,
    precision: str,
    advance: Callable[[int], Any] | None = None,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Encode one shard and search it: docids and scores as of `search_by_shard`, and the number of its passages.

    Args:
        queries: float64 [queries, dimensions].
    """
    names, texts = zip(*sorted(shard), strict=True)  # by docid, as top_passages wants
    vectors = embedding.encode(model, texts, "document", precision, advance).astype(np.float64)
    best, scores = _best_of_shard(queries, vectors, k)
    return np.array(names)[best], scores, len(shard)


def ranks(topics: pd.DataFrame, qrels: pd.DataFrame, docids: np.ndarray) -> pd.DataFrame:
    """The rank of every relevant passage, infinity where it was not retrieved: ``question, docid, rank``.

    At infinity it adds nothing to a measure but counts among the relevant, as trec_eval has it.

    Args:
        docids: [topics, k], retrieved for each topic, best first.
    """
    count = docids.shape[1]
    found = pd.DataFrame({"question": np.repeat(topics["question"], count), "docid": docids.ravel()})
    found["rank"] = np.tile(np.arange(1.0, count + 1), len(topics))
    relevant = qrels.loc[qrels["grade"] > 0, ["question", "docid"]]
    return relevant.merge(found, how="left", on=["question", "docid"]).fillna({"rank": np.inf})


def _best_of_shard(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and scores [queries, k] of the first passages of a shard sorted by docid."""
    best, scores = [], []
    for start in range(0, len(queries), BLOCK):
        block = (queries[start : start + BLOCK] @ vectors.T).astype(np.float32)
        best.append(search.top_passages(block, k))
        scores.append(np.take_along_axis(block, best[-1], axis=1))
    return np.vstack(best), np.vstack(scores)


def _placed(
    model: "SentenceTransformer",
    language: str,
    pool: str,
    size: int,
    precision: str,
    each: Callable[..., Iterator[Any]] = map,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The topics of a language, and the `ranks` of their relevant passages."""
    chosen = collection(language, pool, size)
    with progress.task(f"searching {pool} ({language}), passages", chosen.passages) as task:
        queries = chosen.topics["text"].tolist()
        docids, _ = search_by_shard(model, queries, chosen.shards, TOP, precision, task.advance, each)
    return chosen.topics, ranks(chosen.topics, chosen.qrels, docids)


def _mini(language: str, size: int) -> Collection:
    chosen = data.miracl_mini()
    queries = chosen.queries.assign(question=chosen.questions["id"].to_numpy()[chosen.queries["question"]])
    own = queries["language"] == language
    relevant = chosen.qrels[own.to_numpy()[chosen.qrels["query"]]]
    judged = {
        "question": queries["question"].to_numpy()[relevant["query"]],
        "docid": chosen.passages["docid"].to_numpy()[relevant["passage"]],
    }
    pool = chosen.passages[chosen.passages["language"] == language]
    rows = zip(pool["docid"], pool["text"], strict=True)
    topics = queries.loc[own, ["question", "text"]].reset_index(drop=True)
    return Collection(topics, pd.DataFrame(judged).assign(grade=1), _in_shards(rows, size), len(pool))


def _in_shards(rows: Iterable[tuple[str, str]], size: int) -> Iterator[Shard]:
    rows = iter(rows)
    while shard := list(islice(rows, size)):
        yield shard


def _read(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        try:
            for row in parallel.read_lines(path):
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
            f"{FULL}: the download of {path.name} failed ({type(error).__name__}); "
            f"connect to the network and start again, or put the file at {path}"
        ) from error


def _listed() -> Any:
    """ir_datasets' list of MIRACL's files, each with its MD5."""
    ir_datasets = _ir_datasets()
    return ir_datasets.util.DownloadConfig.context("miracl", ir_datasets.util.home_path() / "miracl")


def _ir_datasets() -> Any:
    try:
        import ir_datasets
    except ModuleNotFoundError as error:
        raise UserError(f"{FULL}: the package ir-datasets is missing; pip install '.[ir]' brings it") from error
    ir_datasets.log.easy().logger().setLevel("ERROR")  # else it tells each failed attempt
    return ir_datasets
