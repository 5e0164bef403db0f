"""The picture of the batch kinds: real batches as squares of queries by passages, and what language gives away."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ..base.config import Run
from ..data import catalog as data
from ..data.sets import ParallelSet
from ..evidence import tables
from ..runs import open as runs
from ..training.pairs import Pairs
from ..training.sampling import BatchOrder, Strategy
from . import style

UNMIXED = ("x-x", "x-x-mono", "x-y")
SHOWN = 10  # pairs of a batch
COUNTED = 30  # batches
OTHER, SAME = "#EDEDED", "#A8A8A8"


@style.house()
def batch_kinds(run: Run) -> Figure:
    """The first pairs of the first batch of each kind: queries (rows), passages (columns), and their languages."""
    shown = run.on_facts() if runs.lacking(run) else run  # any parallel texts show what a batch is
    chosen = data.training_set(shown.config.train[0], shown.config.eval, shown.config.candidates)
    drawn = {name: languages_of_batches(chosen, name, run.config.batch_size) for name in UNMIXED}
    counted = {name: shares(batches) for name, batches in drawn.items()}
    figure = style.new(run, 4.8)
    for axes, (name, batches) in zip(figure.subplots(1, len(UNMIXED)), drawn.items(), strict=True):
        _square(axes, *(languages[:SHOWN] for languages in batches[0]), style.COLOURS[name])
        axes.set(title=f"{name}: {counted[name][1]:.0%} of the wrong\npassages are in the query's language")
        axes.set_xlabel("passages of the batch")
    figure.axes[0].set_ylabel("queries of the batch")
    note = (
        f"The first {SHOWN} pairs of each kind's first batch, training on {style.name(shown.config.train[0])}. Each "
        "query must find its own passage (dot; hollow where it is in another language) among those of all the "
        "others: dark where they are in the query's language, light where they are not. A hybrid batch is either "
        f"x-x-mono or x-y. Shares are of the first {COUNTED} batches, at their full size of {run.config.batch_size}."
    )
    style.frame(figure, run, tables.source(run), "Right and wrong passages in a batch of each kind", note)
    return figure


def languages_of_batches(chosen: ParallelSet, name: str, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first batches of a strategy: the languages of the queries, and of the passages, of each pair."""
    pairs = Pairs.of(chosen)
    order = BatchOrder(Strategy(name), pairs, size)
    queries, passages = (table["language"].to_numpy() for table in (chosen.queries, chosen.passages))
    drawn = (batch.rows for _, batch in order.first(COUNTED))
    return [(queries[pairs.anchor[rows]], passages[pairs.positive[rows]]) for rows in drawn]


def shares(batches: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """How many of the right passages, and how many of the wrong ones, are in the language of the query."""
    same = [query[:, None] == passage[None, :] for query, passage in batches]
    right = np.concatenate([np.diag(matrix) for matrix in same])
    wrong = np.concatenate([matrix[~np.eye(len(matrix), dtype=bool)] for matrix in same])
    return float(right.mean()), float(wrong.mean())


def _square(axes: Axes, queries: np.ndarray, passages: np.ndarray, colour: str) -> None:
    same = queries[:, None] == passages[None, :]
    shown = pd.DataFrame(same.astype(int))
    axes.pcolormesh(shown, cmap=ListedColormap([OTHER, SAME]), vmin=0, vmax=1, edgecolors="white", linewidth=1.2)
    place = np.arange(len(queries)) + 0.5
    own = np.diag(same)
    axes.scatter(place[own], place[own], s=100, c=colour, edgecolors="white", linewidths=1.6, zorder=3)
    axes.scatter(place[~own], place[~own], s=70, c="white", edgecolors=colour, linewidths=2, zorder=3)
    axes.set_xticks(place, passages)
    axes.set_yticks(place, queries)
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")
    axes.invert_yaxis()
