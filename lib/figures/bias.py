"""The figures of language bias: several measures on the same rankings, and which passages stay unseen.

Each function draws one figure, titled with what its numbers say.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..base.config import Run
from ..evaluation import measures
from ..evidence import findings, tables, wording
from ..evidence.findings import Task
from . import panels, style

SHOWN = {
    "rank_distance": "rank\ndistance ↓",
    "complete@100": "complete\n@100 ↑",
    "awrf": "\nAWRF ↑",
    "rank_correlation": "rank\ncorrelation ↑",
    "own_first": "own language\nfirst ↓",
    "own_share": "own share\nof top 10 ↓",
    "share_distance": "top 10\nfrom pool ↓",
}
RANKS = ("rank_distance",)  # the others lie between 0 and 1, or -1 and 1


@style.house()
def bias_panel(run: Run) -> Figure:
    """Each measure's value for each strategy, on the same rankings."""
    table = findings.chosen(tables.read(run, "bias.csv.gz"))
    found = findings.by_task(table)
    names = [name for name in style.STRATEGIES if name in set(table["strategy"])]
    heights = [1.0 + 0.2 * len(names)] * len(found)
    figure = style.new(run, 0.9 + sum(heights))
    for part, rows in zip(panels.parts(figure, list(found), heights), found.values(), strict=True):
        grid = part.subplots(1, len(SHOWN))
        for axes, (measure, heading) in zip(grid, SHOWN.items(), strict=True):
            _strategies(axes, measure, rows[rows["measure"] == measure], names)
            axes.set(title=heading, yticklabels=[])
        grid[0].set_yticklabels([style.name(name) for name in names])
    note = (
        "↑ more is better, ↓ less. Bold: the best, and what is about equal to it. complete@100: queries with all "
        "right answers in the first 100. Rank correlation: of one question asked in two languages. Own language "
        "first: queries whose best placed right answer is in their own language. Top 10 from pool: difference of "
        "their shares of languages."
    )
    style.frame(figure, run, tables.source(run), least_biased(found), note)
    return figure


@style.house()
def who_is_hurt(run: Run) -> Figure:
    """The median rank at which queries of a language (rows) find the right answer in another (columns)."""
    table = findings.chosen(tables.read(run, "who_is_hurt.csv.gz"))
    names = [name for name in findings.COMPARED if name in set(table["strategy"])]
    found = findings.by_task(table)
    most = max(rows["query_language"].nunique() for rows in found.values())
    heights = [1.0 + 0.17 * min(panels.MOST, rows["query_language"].nunique()) for rows in found.values()]
    figure = style.new(run, 0.9 + sum(heights))
    scale = LogNorm(1, max(10, table["rank"].max()))
    for part, rows in zip(panels.parts(figure, list(found), heights), found.values(), strict=True):
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
    style.frame(figure, run, tables.source(run), hardest(found), note)
    return figure


def least_biased(found: dict[Task, pd.DataFrame]) -> str:
    """The finding of the panel: by how many measures each strategy is the best, or about equal to it."""
    best = best_by_measure(found)
    said = f"Least biased, ties included, by {len(SHOWN)} measures"
    if len(best) > findings.FEW:
        together = [names for each in best.values() for names in each]
        return f"{said} in {findings.counted(found)}: {times(together)} of {len(together)}"
    return f"{said}: {'; '.join(f'on {findings.place(task, found)} {times(each)}' for task, each in best.items())}"


def best_by_measure(found: dict[Task, pd.DataFrame]) -> dict[Task, list[list[str]]]:
    """Of each task, and each measure that it has, the strategies that are the least biased or about equal to that."""
    parts = {task: [rows[rows["measure"] == measure] for measure in SHOWN] for task, rows in found.items()}
    return {
        task: [_leaders(part, measure) for part, measure in zip(each, SHOWN, strict=True) if len(part)]
        for task, each in parts.items()
    }


def times(best: list[list[str]]) -> str:
    """How often each strategy is among the best: ``x-y in 27 and hybrid in 6``."""
    names = [name for each in best for name in each]
    return wording.joined(f"{style.name(n)} in {names.count(n)}" for n in style.STRATEGIES if n in names)


def hardest(found: dict[Task, pd.DataFrame]) -> str:
    """The finding on who is hurt: the language pair with the worst median rank, before and after fine-tuning."""
    worst = {task: _worst(rows) for task, rows in found.items()}
    if len(found) > findings.FEW:
        ranks = pd.DataFrame([{how: rank for how, (rank, _) in each.items()} for each in worst.values()])
        ends = {how: dict.fromkeys((f"{each.min():,.0f}", f"{each.max():,.0f}")) for how, each in ranks.items()}
        said = ", ".join(f"{' to '.join(both)} {how}" for how, both in ends.items())
    else:
        each = {
            task: ", ".join(f"{rank:,.0f} {how} ({who})" for how, (rank, who) in by_how.items())
            for task, by_how in worst.items()
        }
        said = "; ".join(f"on {findings.place(task, found)} {text}" for task, text in each.items())
    return f"Worst median rank of a passage language: {said}"


def _worst(rows: pd.DataFrame) -> dict[str, tuple[float, str]]:
    """The worst median rank without fine-tuning and with the strategy that follows it here, each with its languages."""
    present = set(rows["strategy"])
    after = next((name for name in ("hybrid", "x-y", "x-x-mono", "x-x", "en-en") if name in present), None)
    found = {}
    for name in [name for name in ("none", after) if name in present]:
        ranks = _matrix(rows[rows["strategy"] == name]).stack()
        query, passage = ranks.idxmax()
        how = "without fine-tuning" if name == "none" else f"with {name} batches"
        found[how] = (ranks.max(), f"{passage} for {query} queries")
    return found


def _strategies(axes: Axes, measure: str, rows: pd.DataFrame, names: list[str]) -> None:
    """One row a strategy, with its mean printed beside the mark."""
    means = findings.by_strategy(rows)
    best = _leaders(rows, measure)
    for y, name in enumerate(names):
        if name not in means:
            continue
        each = rows.loc[rows["strategy"] == name, "value"]
        panels.mark(axes, name, each, y, own=True)
        text = measures.MEASURES[measure].text(means[name])
        weight = "bold" if name in best else "normal"
        shift = {"xytext": (6, 0), "textcoords": "offset points", "va": "center_baseline"}
        axes.annotate(text, (each.max(), y), fontsize=8, weight=weight, **shift)
    low, high = rows["value"].min(), rows["value"].max()
    span = high - low or 1.0
    axes.set(xticks=[], yticks=range(len(names)), ylim=(len(names) - 0.3, -0.7))
    axes.set_xlim(low - 0.15 * span, high + 0.75 * span)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y")
    axes.spines["bottom"].set_visible(False)


def _leaders(rows: pd.DataFrame, measure: str) -> list[str]:
    """The strategies that a measure finds least biased."""
    means = findings.by_strategy(rows)
    equal = findings.equal_rank if measure in RANKS else findings.equal_map
    return findings.leaders(means, measure in measures.LOWER_IS_BETTER, equal) if means else []


def _matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Median rank by query language (rows) and passage language (columns), mean over seeds."""
    languages = findings.ordered({*rows["query_language"], *rows["passage_language"]})
    matrix = rows.pivot_table(index="query_language", columns="passage_language", values="rank")
    return matrix.reindex(index=languages, columns=languages)


FIGURES = {
    "bias": ("Several measures of bias", bias_panel),
    "hurt": ("Who is hurt", who_is_hurt),
}
