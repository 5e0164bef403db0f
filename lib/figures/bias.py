"""The figure of language bias: which passages stay unseen. The measures of bias are a table, in notebook 04."""

import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..base.config import Run
from ..evidence import selection, tables
from . import panels, style


@style.house()
def who_is_hurt(run: Run) -> Figure:
    """The median rank at which queries of a language (rows) find the right answer in another (columns)."""
    table = selection.chosen(tables.read(run, "who_is_hurt.csv.gz"))
    names = [name for name in selection.COMPARED if name in set(table["strategy"])]
    found = selection.by_task(table)
    most = max(rows["query_language"].nunique() for rows in found.values())
    heights = [1.0 + 0.17 * min(panels.MOST, rows["query_language"].nunique()) for rows in found.values()]
    figure = style.new(run, 0.9 + sum(heights))
    scale = LogNorm(1, max(10, table["rank"].max()))
    for part, rows in zip(panels.subfigures(figure, list(found), heights), found.values(), strict=True):
        grid = part.subplots(1, len(names), squeeze=False)[0]
        shown = panels.ends(rows.groupby("query_language")["rank"].mean())
        for axes, name in zip(grid, names, strict=True):
            matrix = _matrix(rows[rows["strategy"] == name])
            few = matrix if len(matrix) <= panels.MOST else matrix.reindex(index=shown, columns=shown)
            mesh = panels.heat(axes, few, "Blues", scale)
            axes.set(title=f"{style.name(name)}: up to {matrix.max(axis=None):,.0f}", xlabel="passage language")
        for axes in grid[1:]:
            axes.set_yticklabels([])
        grid[0].set_ylabel("query language")
        bar = part.colorbar(mesh, ax=list(grid), aspect=18, pad=0.01, format="{x:,.0f}")
        bar.minorticks_off()
        bar.set_label("median rank")
    note = panels.ends_note(most, "mean rank") + (
        "Rank of the right answer in the pool of all languages, its median over questions: the darker, the further "
        "down. The answer in the query's own language is on the diagonal. A column dark throughout: a passage "
        "language that nobody sees; a row: queries that see little but their own language."
    )
    title = "Median rank of the right answer, by language of query and passage"
    style.frame(figure, run, tables.source(run), title, note)
    return figure


def _matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Median rank by query language (rows) and passage language (columns), mean over seeds."""
    languages = selection.ordered({*rows["query_language"], *rows["passage_language"]})
    matrix = rows.pivot_table(index="query_language", columns="passage_language", values="rank")
    return matrix.reindex(index=languages, columns=languages)


FIGURES = {
    "hurt": ("Who is hurt", who_is_hurt),
}
