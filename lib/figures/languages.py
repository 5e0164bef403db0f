"""Languages: which meet in a batch, and what is given away by it; and whose passages stay unseen in the end."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from ..base.config import Run
from ..data import catalog as data
from ..data.sets import ParallelSet
from ..evidence import selection, tables
from ..runs import open as runs
from ..training.pairs import Pairs
from ..training.sampling import BatchOrder, Strategy
from . import panels, style

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
    return style.frame(figure, run, "Right and wrong passages in a batch of each kind", note)


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
    panels.heat(axes, pd.DataFrame(same, queries, passages), ListedColormap([OTHER, SAME]), Normalize(0, 1), line=1.2)
    place = np.arange(len(queries)) + 0.5
    own = np.diag(same)
    axes.scatter(place[own], place[own], s=100, c=colour, edgecolors="white", linewidths=1.6, zorder=3)
    axes.scatter(place[~own], place[~own], s=70, c="white", edgecolors=colour, linewidths=2, zorder=3)
    axes.set_aspect("equal")


@style.house()
def who_is_hurt(run: Run) -> Figure:
    """The median rank at which queries of a language (rows) find the right answer in another (columns)."""
    table = selection.chosen(tables.read(run, "who_is_hurt.csv.bz2"))
    names = [name for name in selection.COMPARED if name in set(table["strategy"])]
    found = selection.by_task(table)
    most = max(rows["query_language"].nunique() for rows in found.values())
    heights = {t: 1.0 + 0.17 * min(panels.MOST, rows["query_language"].nunique()) for t, rows in found.items()}
    figure, parts = panels.subfigures(run, 0.9, heights)
    scale = LogNorm(1, max(10, table["rank"].max()))
    for part, rows in zip(parts, found.values(), strict=True):
        shown = panels.ends(rows.groupby("query_language")["rank"].mean())
        matrices = {}
        for name in names:
            matrix = _matrix(rows[rows["strategy"] == name])
            few = matrix if len(matrix) <= panels.MOST else matrix.reindex(index=shown, columns=shown)
            matrices[f"{style.name(name)}: up to {matrix.max(axis=None):,.0f}"] = few
        bar = panels.side_by_side(part, matrices, scale, format="{x:,.0f}")
        bar.minorticks_off()
        bar.set_label("median rank")
    note = panels.ends_note(most, "mean rank") + (
        "Rank of the right answer in the pool of all languages, its median over questions: the darker, the further "
        "down. The answer in the query's own language is on the diagonal. A column dark throughout: a passage "
        "language that nobody sees; a row: queries that see little but their own language."
    )
    return style.frame(figure, run, "Median rank of the right answer, by language of query and passage", note)


def _matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Median rank by query language (rows) and passage language (columns), mean over seeds."""
    languages = selection.ordered({*rows["query_language"], *rows["passage_language"]})
    matrix = rows.pivot_table(index="query_language", columns="passage_language", values="rank")
    return matrix.reindex(index=languages, columns=languages)
