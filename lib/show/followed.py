"""One question followed: the batches that train on it, and where its answers stand before and after training."""

from typing import Any

import numpy as np
import pandas as pd

from lib.base.config import Run
from lib.data import catalog as data
from lib.data.sets import ParallelSet
from lib.runs import cells
from lib.runs import plan as grid
from lib.show import views
from lib.training.sampling import Pairs, Strategy


def in_training(run: Run, strategy: str, alpha: float | None = None, question: int = 0) -> Any:
    """The steps at which a training question is in the batch: in which languages it is asked, and answered.

    The batches are those of the run's first training set and first seed, made again: their order is a function of
    the seed.
    """
    chosen = data.training_set(run.config.train[0], run.config.eval, run.config.candidates)
    pairs = Pairs.of(chosen)
    own = pairs.row[question][pairs.row[question] >= 0]
    rows = []
    made = Strategy(strategy, alpha).sampler(pairs)
    sampler = made(pairs.anchor, batch_size=run.config.batch_size, seed=run.config.seeds[0])
    for step, (_, batch) in enumerate(sampler.first(run.config.steps), start=1):
        for number in np.intersect1d(batch.rows, own):
            query, passage = chosen.queries.iloc[pairs.anchor[number]], chosen.passages.iloc[pairs.positive[number]]
            languages = f"{query['language']}>{passage['language']}"
            rows.append((languages, step, batch.kind, query["text"], passage["text"]))
    found = pd.DataFrame(rows, columns=["languages", "step", "batch", "query", "relevant passage"])
    return views.readable(found.set_index("languages"))


def in_ranking(run: Run, language: str, question: int = 0) -> pd.DataFrame:
    """The rank of each translation of a question's answer in the pool, for the question asked in one language.

    Args:
        language: of the query; where the question is not asked in it, its first one is taken.
        question: its number in the run's first evaluated set.

    Returns:
        One row a passage language, one column a strategy (first seed), with the rank distance below.
    """
    name = run.config.eval[0]
    asked = _asked_in(data.evaluation_set(name, run.config.candidates), question, language)
    columns = {}
    for cell in cells.of(run):
        if cell.seed in (None, run.config.seeds[0]) and name in grid.evaluated(cell, run.config):
            ranks = cells.ranks(run, cell)
            own = (ranks["dataset"] == name) & (ranks["question"] == question) & (ranks["query_language"] == asked)
            several = len(run.config.train) > 1 and cell.train != grid.NONE
            label = f"{cell.label}, {cell.train}" if several else cell.label
            columns[label] = ranks[own].set_index("passage_language")["pool_rank"]
    table = pd.DataFrame(columns).sort_index()
    table.loc["rank distance"] = table.max() - table.min()
    return table.astype(int).rename_axis(f"asked in {asked}, answered in")


def _asked_in(chosen: ParallelSet, question: int, language: str) -> str:
    there = [name for name, row in zip(chosen.languages, chosen.query_rows[question], strict=True) if row >= 0]
    return language if language in there else there[0]
