"""Exact search: the rank of every relevant passage, in its own language's corpus and in the pool of all.

Scores of a block of queries against the whole pool are one matrix product. Order: score descending, then docid
descending (as trec_eval does); a relevant passage's rank is one plus the passages ahead of it. Its score is
taken from the same block, so that rounding cannot set it apart from its rivals'.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from ..data.sets import ParallelSet

BLOCK = 256
TOP = 10


@dataclass(frozen=True)
class Ranking:
    """What a search found.

    Attributes:
        ranks: one row per relevant pair: ``question, query_language, passage_language, rank, pool_rank``. ``rank`` is
            its place (from 1) among the passages of its own language, ``pool_rank`` that among all. Where a question's
            relevant passages depend on the language that it is asked in, also ``passage``, the row of each.
        top: int64 [languages, languages]: of the first 10 in the pool, summed over the queries of a language (row),
            how many passages are in each language (column).
    """

    ranks: pd.DataFrame
    top: np.ndarray


def rank(queries: np.ndarray, passages: np.ndarray, data: ParallelSet, block: int = BLOCK) -> Ranking:
    """Rank all relevant passages of a set.

    Args:
        queries: float32 [queries, dimensions], rows as in ``data.queries``.
        passages: float32 [passages, dimensions], rows as in ``data.passages`` (sorted by docid).
        block: queries per matrix product; changes memory (block times passages floats), not the result.

    Raises:
        ValueError: the passages are not sorted by docid.
    """
    if not data.passages["docid"].is_monotonic_increasing:
        raise ValueError("passages must be sorted by docid: their order decides between equal scores")

    code_of = data.languages.index
    language = data.passages["language"].map(code_of).to_numpy()
    pair_query, pair_passage = data.qrels["query"].to_numpy(), data.qrels["passage"].to_numpy()
    ends = np.searchsorted(pair_query, np.arange(len(queries) + 1))
    found = np.empty((2, len(pair_query)), np.int32)
    query_language = data.queries["language"].map(code_of).to_numpy()
    top = np.zeros((len(data.languages), len(data.languages)), np.int64)
    for query, line in enumerate(chain.from_iterable(scores(queries, passages, block))):
        pairs = slice(ends[query], ends[query + 1])
        found[:, pairs], best = _ranks(line, pair_passage[pairs], language)
        np.add.at(top[query_language[query]], language[best], 1)
    ranks = pd.DataFrame(
        {
            "question": data.queries["question"].to_numpy()[pair_query].astype(np.int32),
            "query_language": data.queries["language"].to_numpy()[pair_query],
            "passage_language": data.passages["language"].to_numpy()[pair_passage],
            "rank": found[0],
            "pool_rank": found[1],
        }
    )
    if _depend_on_the_language(data):
        ranks["passage"] = pair_passage.astype(np.int32)
    return Ranking(ranks, top)


def _depend_on_the_language(data: ParallelSet) -> bool:
    """Whether some question has other relevant passages in one of its languages than in another."""
    question = data.queries["question"].to_numpy()
    asked = np.bincount(question)
    of_pair = question[data.qrels["query"]].astype(np.int64) * len(data.passages) + data.qrels["passage"].to_numpy()
    pair, found = np.unique(of_pair, return_counts=True)
    return bool((found != asked[pair // len(data.passages)]).any())


def scores(queries: np.ndarray, passages: np.ndarray, block: int = BLOCK) -> Iterator[np.ndarray]:
    """Score one block of queries after another against all passages: float32 [up to ``block``, passages]."""
    import torch

    query_vectors, passage_vectors = torch.from_numpy(queries), torch.from_numpy(_padded(passages)).T
    for start in range(0, len(queries), block):
        yield (query_vectors[start : start + block] @ passage_vectors)[:, : len(passages)].numpy()


def top_passages(scores: np.ndarray, k: int) -> np.ndarray:
    """int64 [queries, k]: the first k passages of each row of scores, in the total order."""
    return np.stack([_first(line, k) for line in scores])


def _first(line: np.ndarray, k: int) -> np.ndarray:
    """int64 [k]: places of the k highest scores of one query; ties go to the later place, which is the higher docid."""
    k = min(k, len(line))
    candidates = np.flatnonzero(line >= np.partition(line, -k)[-k])[::-1]
    return candidates[np.argsort(-line[candidates], kind="stable")][:k]


def _ranks(line: np.ndarray, relevant: np.ndarray, language: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One query: the ranks of its relevant passages, int [2, relevant], within their language and within the pool, and
    the places of its first ten passages.

    Only the passages that score at least as high as the last relevant one are looked at: a few hundred of 13,000.
    """
    own = line[relevant]
    seen = np.flatnonzero(line >= own.min(initial=np.inf))
    if len(seen) < TOP:
        seen = np.sort(_first(line, TOP))
    scores = line[seen]
    ahead = scores > own[:, None]
    equal = scores == own[:, None]
    if np.count_nonzero(equal) > len(own):  # ties: among equals, the higher docid comes first
        ahead |= equal & (seen > relevant[:, None])
    same_language = language[seen] == language[relevant][:, None]
    ranks = np.stack([np.count_nonzero(ahead & same_language, axis=1), np.count_nonzero(ahead, axis=1)]) + 1
    return ranks, seen[_first(scores, TOP)]


def _padded(passages: np.ndarray) -> np.ndarray:
    """Rows up to a multiple of 64: at a ragged edge equal passages get scores that differ in the last bit."""
    return np.pad(passages, ((0, -len(passages) % 64), (0, 0)))
