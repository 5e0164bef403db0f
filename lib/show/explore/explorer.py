"""What the explorer shows: how the models of a run rank the pool of all languages for one question.

What published models found first is tracked, and is shown without them. Any other model encodes a data set once, and
the vectors are kept in the store. They stay in float32: in 16 bits some ranks would differ from those of the tables.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...base import device
from ...base import store as artifacts
from ...base.config import Run
from ...data import catalog as data
from ...data.sets import ParallelSet
from ...encoders import encode as embedding
from ...encoders import load as encoders
from ...evaluation import search
from ...runs import cells, estimate
from ...runs import plan as grid
from ...runs.plan import NONE, Cell
from . import rankings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

QUICK = 60  # seconds: a cell that takes less is made without asking,
USUAL = 100  # at so many billions of operations a second, however busy this machine is at the moment
MODELS = 4  # kept in memory, of 0.5 GB each, for questions of one's own
SETS = 8  # vectors of a data set by a model, kept in memory, of 60 MB each


@dataclass(frozen=True)
class Answer:
    """How a model ranks the pool for one query.

    Attributes:
        top: the first passages: ``rank`` (from 1), ``language``, ``text``, ``score`` (the dot product of the vectors:
            the cosine, where they have length 1; NaN where there is no model) and ``right``, whether the passage is
            known to answer the question.
        ranks: by language, the rank of its right passage, the first where there are several; empty for a question of
            one's own, whose right passages are not known.
    """

    top: pd.DataFrame
    ranks: dict[str, int]


@dataclass(frozen=True)
class Retriever:
    """A model, and the vectors that it gives a data set.

    Attributes:
        folder: of the model, which is loaded when a question of one's own is asked.
        max_tokens: the most that it sees of a text.
        data: the set.
        queries: float32 [queries, dimensions], rows as in ``data.queries``.
        passages: float32 [passages, dimensions], rows as in ``data.passages``.
    """

    folder: Path
    max_tokens: int
    data: ParallelSet
    queries: np.ndarray
    passages: np.ndarray

    def answer(self, query: int, depth: int = search.TOP) -> Answer:
        """Rank the pool for a row of ``data.queries``.

        The query is scored among the queries that `search.rank` scores it with: the ranks are the cell's, to the
        last tie.
        """
        start = query - query % search.BLOCK
        [scores] = search.scores(self.queries[start : start + search.BLOCK], self.passages)
        relevant = self.data.qrels["query"].to_numpy() == query
        return self._answer(scores[query - start], self.data.qrels["passage"].to_numpy()[relevant], depth)

    def ask(self, text: str, depth: int = search.TOP) -> Answer:
        """Rank the pool for a question of one's own, in any language.

        Raises:
            UserError: the encoder gives NaN or infinity for it.
        """
        vector = embedding.encode(_model(self.folder, self.max_tokens), [text], "query")
        embedding.check(vector, [text], "your question")
        [scores] = search.scores(vector, self.passages)
        return self._answer(scores[0], np.empty(0, np.int64), depth)

    def _answer(self, scores: np.ndarray, relevant: np.ndarray, depth: int) -> Answer:
        order = search.top_passages(scores[None], len(scores))[0]
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(1, len(order) + 1)
        return _answer(self.data, order[:depth], scores[order[:depth]], relevant, rank[relevant])


@dataclass(frozen=True)
class Listed:
    """What a published model found first in a data set, and where it found what is right: all that is tracked of it.

    Attributes:
        data: the set.
        first: int64 [queries, 25], places of passages, best first.
        ranks: int64, the place in the pool of the passage of each row of ``data.qrels``.
    """

    data: ParallelSet
    first: np.ndarray
    ranks: np.ndarray

    def answer(self, query: int, depth: int = search.TOP) -> Answer:
        """The ranking for a row of ``data.queries``, of at most 25 passages."""
        asked = self.data.qrels["query"].to_numpy() == query
        relevant, first = self.data.qrels["passage"].to_numpy()[asked], self.first[query, :depth]
        return _answer(self.data, first, np.full(len(first), np.nan), relevant, self.ranks[asked])


def explorable(run: Run, dataset: str) -> list[Cell]:
    """The cells scored on a data set that are finished, came with the repository, or are quick to make.

    Those whose rankings are tracked come first: they are shown at once.
    """
    if dataset == data.BY_SHARD:
        return []
    cells.adopt_published(run)
    scored = [cell for cell in grid.plan(run.config) if dataset in grid.evaluated(cell, run.config)]
    found = [cell for cell in scored if cells.record(run, cell) is not None or _quick(run, cell)]
    return sorted(found, key=lambda cell: rankings.find(run, cell, dataset) is None)


@lru_cache(SETS)
def opened(run: Run, cell: Cell, dataset: str) -> Retriever | Listed:
    """What answers the questions of a data set: what is tracked of the cell, else its model (see `retriever`)."""
    if path := rankings.find(run, cell, dataset):
        chosen = data.evaluation_set(dataset, cell.settings(run.config).candidates)
        return Listed(chosen, rankings.read(path), rankings.ranks(run, cell, dataset)["pool_rank"].to_numpy())
    return retriever(run, cell, dataset)


@lru_cache(SETS)
def retriever(run: Run, cell: Cell, dataset: str) -> Retriever:
    """The model of a cell over a data set; what is not in the store yet, and quick to make, is made now.

    Raises:
        UserError: the model is not in the store, and takes long to train; says how to make it.
    """
    if _quick(run, cell):
        cells.train(run, cell)
    config = cell.settings(run.config)
    folder, chosen = cells.model(run, cell), data.evaluation_set(dataset, config.candidates)
    weights = encoders.identity(cell.encoder)
    if cell.train != NONE:
        weights = artifacts.file_digest(folder.parent / artifacts.MANIFEST)
    wanted = {
        "weights": weights,
        "texts": chosen.digest,
        "max_tokens": config.max_tokens,
        "precision": device.precision(config.precision),
    }

    def build(target: Path) -> None:
        model = _model(folder, config.max_tokens)
        [(_, queries, passages)] = embedding.encode_sets(model, [dataset], config)
        np.save(target / "queries.npy", queries, allow_pickle=False)
        np.save(target / "passages.npy", passages, allow_pickle=False)

    kept = artifacts.make("vectors", wanted, build)
    vectors = (np.load(kept / f"{name}.npy", allow_pickle=False) for name in ("queries", "passages"))
    return Retriever(folder, config.max_tokens, chosen, *vectors)


def _answer(
    chosen: ParallelSet, first: np.ndarray, scores: np.ndarray, relevant: np.ndarray, ranks: np.ndarray
) -> Answer:
    """The answer with these passages first, and these ranks of the relevant ones."""
    top = chosen.passages.iloc[first][["language", "text"]].reset_index(drop=True)
    top = top.assign(rank=np.arange(1, len(first) + 1), score=scores, right=np.isin(first, relevant))
    best = pd.Series(ranks).groupby(chosen.passages["language"].to_numpy()[relevant]).min()
    return Answer(top, {name: int(best[name]) for name in chosen.languages if name in best})


@lru_cache(MODELS)
def _model(folder: Path, max_tokens: int) -> "SentenceTransformer":
    model = encoders.load(folder)
    embedding.cut(model, max_tokens)
    return model


def _quick(run: Run, cell: Cell) -> bool:
    return estimate.seconds(run, [cell], USUAL) < QUICK
