"""MIRACL (Zhang et al. 2023): exact search over corpora larger than memory, and nDCG@10 and recall@100 of it.

Two pools, one of which every row names: ``miracl-dev``, the dev topics against the full corpora (77 million passages
in our 8 languages, 12 GB to download); ``miracl-mini``, the topics of `lib.data.released.miracl.mini` against its small
pool, where scores are far higher. Queries are scored against the corpus of their own language only.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base import progress
from ..base.errors import UserError
from ..data.released import miracl as miracl_files
from ..data.released.miracl import SHARD, Shard
from ..encoders import encode as embedding
from . import metrics, search

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FULL, MINI = miracl_files.NAME, "miracl-mini"
COMPUTED = ["ndcg@10", "recall@100"]
TOP = 100
BLOCK = 256  # queries in one matrix product


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
        precision: of the transformer, see `encoders.encode.encode`.
        each: `map`, or `cluster.each` to encode and search the shards on several machines; not the result's matter.

    Returns:
        One row a query, in the order of topics: ``pool, setting, question, query_language, passage_language,
        ndcg@10, recall@100``. `evaluation.metrics.by_language` takes their means.
    """
    chosen = collection(language, pool, size)
    found = metrics.measure(_placed(model, chosen, f"{pool} ({language})", precision, each), ["question"], "rank")
    rows = chosen.topics[["question"]].merge(found[["question", *COMPUTED]], on="question")
    where = {"pool": pool, "setting": "monolingual", "query_language": language, "passage_language": language}
    columns = ["pool", "setting", "question", "query_language", "passage_language", *COMPUTED]
    return rows.assign(**where)[columns]


def rank(model: "SentenceTransformer", precision: str = "float32") -> pd.DataFrame:
    """The ranks of the relevant passages of all dev topics in the full corpora, as `search.Ranking` has them.

    Beyond the first 100 a rank is infinite, so that mAP is that of the first 100. ``pool_rank`` is ``rank``: there is
    no pool of all languages.
    """
    number = {name: row for row, name in enumerate(miracl_files.full().questions["id"])}
    found = []
    for language in miracl_files.LANGUAGES:
        placed = _placed(model, collection(language), f"{FULL} ({language})", precision)
        rows = {"question": (f"{language}-" + placed["question"]).map(number).astype(np.int32)}
        rows |= {"query_language": language, "passage_language": language}
        found.append(pd.DataFrame(rows | {"rank": placed["rank"], "pool_rank": placed["rank"]}))
    return pd.concat(found, ignore_index=True)


def collection(language: str, pool: str = FULL, size: int = SHARD) -> Collection:
    """The topics, qrels and passages of a language in a pool.

    Raises:
        UserError: MIRACL lacks the language, or there is no such pool.
        NotObtainable: its files are not here and cannot be fetched.
    """
    if language not in miracl_files.LANGUAGES:
        raise UserError(f"MIRACL: language '{language}' is not one of {', '.join(miracl_files.LANGUAGES)}")
    if pool not in (FULL, MINI):
        raise UserError(f"MIRACL: pool '{pool}' does not exist; choose {FULL} or {MINI}")
    if pool == MINI:
        return _mini(language, size)
    topics, qrels = miracl_files.topics(language), miracl_files.qrels(language)
    return Collection(topics, qrels, miracl_files.passages(language, size), miracl_files.count([language]))


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
        each: gives what a function makes of each shard, in any order: `map`, or `runs.cluster.each`.

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
    model: "SentenceTransformer", chosen: Collection, title: str, precision: str, each: Callable[..., Any] = map
) -> pd.DataFrame:
    """The `ranks` of the relevant passages of a collection, which people know by its title."""
    with progress.task(f"searching {title}, passages", chosen.passages) as task:
        queries = chosen.topics["text"].tolist()
        docids, _ = search_by_shard(model, queries, chosen.shards, TOP, precision, task.advance, each)
    return ranks(chosen.topics, chosen.qrels, docids)


def _mini(language: str, size: int) -> Collection:
    own = miracl_files.mini().within([language], MINI)
    question = own.questions["id"].to_numpy()[own.queries["question"]]
    docid = own.passages["docid"].to_numpy()
    judged = {"question": question[own.qrels["query"]], "docid": docid[own.qrels["passage"]], "grade": 1}
    rows = zip(docid, own.passages["text"], strict=True)
    topics = pd.DataFrame({"question": question, "text": own.queries["text"]})
    return Collection(topics, pd.DataFrame(judged), miracl_files.in_shards(rows, size), len(docid))
