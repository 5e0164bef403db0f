"""Exact search: the rank of every relevant passage, in its own language's corpus and in the pool of all.

Scores of a block of queries against the whole pool are one matrix product. Order: score descending, then docid
descending (as trec_eval does); a relevant passage's rank is one plus the passages ahead of it. Its score is
taken from the same block, so that rounding cannot set it apart from its rivals'.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lib.parallel import ParallelSet

BLOCK = 256
TOP = 10


@dataclass(frozen=True)
class Ranking:
    """What a search found.

    Attributes:
        ranks: one row a relevant pair: ``question, query_language, passage_language, rank, pool_rank``. ``rank`` is
            its place (from 1) among the passages of its own language, ``pool_rank`` that among all.
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
    """
    import torch

    query_vectors, passage_vectors = torch.from_numpy(queries), torch.from_numpy(_padded(passages)).T
    code = data.languages.index
    language = data.passages["language"].map(code).to_numpy()
    edges = _edges(language)
    pair_query, pair_passage = data.qrels["query"].to_numpy(), data.qrels["passage"].to_numpy()
    found = np.empty((2, len(pair_query)), np.int32)
    query_language = data.queries["language"].map(code).to_numpy()
    top = np.zeros((len(data.languages), len(data.languages)), np.int64)
    for start in range(0, len(queries), block):
        scores = (query_vectors[start : start + block] @ passage_vectors)[:, : len(passages)]
        first, last = np.searchsorted(pair_query, [start, start + block])
        pairs = slice(first, last)
        found[:, pairs] = _ranks(scores, pair_query[pairs] - start, pair_passage[pairs], language, edges)
        best = language[top_passages(scores.numpy(), TOP)]
        np.add.at(top, (query_language[start : start + block, None], best), 1)
    ranks = pd.DataFrame(
        {
            "question": data.queries["question"].to_numpy()[pair_query].astype(np.int32),
            "query_language": data.queries["language"].to_numpy()[pair_query],
            "passage_language": data.passages["language"].to_numpy()[pair_passage],
            "rank": found[0],
            "pool_rank": found[1],
        }
    )
    return Ranking(ranks, top)


def top_passages(scores: np.ndarray, k: int) -> np.ndarray:
    """int64 [queries, k]: the first k passages of each row of scores, in the total order."""
    k = min(k, scores.shape[1])
    threshold = np.partition(scores, -k, axis=1)[:, -k]
    best = np.empty((len(scores), k), np.int64)
    for row, (line, low) in enumerate(zip(scores, threshold, strict=True)):
        candidates = np.flatnonzero(line >= low)[::-1]  # docid descending; the stable sort keeps it among equals
        best[row] = candidates[np.argsort(-line[candidates], kind="stable")][:k]
    return best


def _padded(passages: np.ndarray) -> np.ndarray:
    """Rows up to a multiple of 64: at a ragged edge equal passages get scores that differ in the last bit."""
    return np.pad(passages, ((0, -len(passages) % 64), (0, 0)))


def _edges(language: np.ndarray) -> np.ndarray:
    """Start of each language's passages, and the end of the last; passages are sorted, so they are contiguous."""
    changes = np.flatnonzero(np.diff(language)) + 1
    order = language[np.concatenate([[0], changes])]
    if len(order) != len(set(order)):
        raise ValueError("passages must be sorted by docid, each language in one piece")
    edges = np.zeros((language.max() + 1, 2), np.int64)
    edges[order, 0] = np.concatenate([[0], changes])
    edges[order, 1] = np.concatenate([changes, [len(language)]])
    return edges


def _ranks(scores: Any, query: np.ndarray, passage: np.ndarray, language: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """int32 [2, pairs]: rank in the own language's corpus, and in the pool.

    Pairs are taken in layers, the n-th relevant passage of each query together, so that one comparison of the
    whole block serves a pair of every query.
    """
    import torch

    found = np.empty((2, len(query)), np.int32)
    layer = pd.Series(query).groupby(query).cumcount().to_numpy()
    for number in range(layer.max(initial=-1) + 1):
        chosen = np.flatnonzero(layer == number)
        rows = scores if len(chosen) == len(scores) else scores[query[chosen]]
        own = rows.gather(1, torch.from_numpy(passage[chosen].astype(np.int64))[:, None])
        found[:, chosen] = _ahead(rows, own, passage[chosen], edges[language[passage[chosen]]]) + 1
    return found


def _ahead(rows: Any, own: Any, passage: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many passages come before each row's relevant one: in its language, and in all."""
    import torch

    higher = rows > own
    counts = np.empty((2, len(rows)), np.int32)
    counts[1] = higher.sum(1, dtype=torch.int32).numpy()
    for begin, end in np.unique(edges, axis=0):
        chosen = torch.from_numpy(np.flatnonzero(edges[:, 0] == begin))
        part = higher[:, begin:end] if len(chosen) == len(rows) else higher[chosen, begin:end]
        counts[0, chosen.numpy()] = part.sum(1, dtype=torch.int32).numpy()
    equal = (rows == own).sum(1, dtype=torch.int32).numpy()
    for row in np.flatnonzero(equal > 1):  # ties: among equals, the higher docid comes first
        tied = np.flatnonzero((rows[row] == own[row]).numpy())
        before = tied[tied > passage[row]]
        counts[1, row] += len(before)
        counts[0, row] += np.count_nonzero(before < edges[row, 1])
    return counts
