"""The panels that figures are made of: bars, heat maps, rows of marks or intervals with their values."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from ..base.config import Run
from ..data.sets import ParallelSet
from ..evaluation import measures
from ..evidence import effects, selection
from ..evidence.selection import Task
from . import style

DARK, LIGHT = "#4D4D4D", "#C4C4C4"
PAPER = {"xlm-r": "paper, XLM-R", "labse": "paper, LaBSE"}
REACH = 0.06  # mAP: what is farther from the baseline stands at the end of the axis
Rows = list[tuple[str, str]]  # of a comparison: source and strategy
Reach = tuple[float, float]
MOST = 20  # languages that a figure shows: of more, those at both ends


def ends(by_language: pd.Series) -> list[str]:
    """The languages that a figure shows: all in their order, or of too many the lowest and the highest, by value."""
    if len(by_language) <= MOST:
        return selection.ordered(by_language.index)
    ranked = by_language.sort_index().sort_values(kind="stable").index
    return [*ranked[: MOST // 2], *ranked[-(MOST // 2) :]]


def ends_note(languages: int, what: str) -> str:
    """What a note says of languages that are not shown."""
    half = MOST // 2
    shown = f"Of {languages} languages, the {half} with the lowest and the {half} with the highest {what}. "
    return shown if languages > MOST else ""


def tiles(run: Run, count: int, most: int, top: float, height: float, **shared: bool) -> tuple[Figure, np.ndarray]:
    """A figure of ``count`` panels, at most so many a row, and its axes [rows, columns]; what is left over is empty.

    Args:
        top: inches of title and notes.
        height: inches of a row.
    """
    columns = min(most, count)
    rows = -(-count // columns)
    figure = style.new(run, top + height * rows)
    grid = figure.subplots(rows, columns, squeeze=False, **shared)
    for axes in grid.ravel()[count:]:
        axes.axis("off")
    return figure, grid


def sizes(axes: Axes, chosen: ParallelSet, legend_columns: int = 2) -> None:
    """Two bars a language: questions asked in it, and passages of the pool."""
    languages = chosen.languages
    if len(languages) > MOST:
        languages = ends(chosen.passages["language"].value_counts().reindex(languages, fill_value=0))
    place = np.arange(len(languages))
    kinds = [("questions", chosen.queries, DARK, ""), ("passages", chosen.passages, LIGHT, "////")]
    for (kind, texts, colour, hatch), aside in zip(kinds, (-0.2, 0.2), strict=True):
        counts = texts["language"].value_counts().reindex(languages, fill_value=0)
        style_of = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        bars = axes.barh(place + aside, counts, height=0.38, label=f"{kind}, {counts.sum():,} in all", **style_of)
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=2)
    axes.set(yticks=place, yticklabels=languages, ylim=(len(languages) - 0.4, -0.6), xlabel="texts")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.14)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=legend_columns, borderaxespad=0.1, handlelength=1.2)


def label(axes: Axes, text: str, x: float, y: float, aside: tuple[int, int]) -> None:
    """Write a text beside a point, so many points of type away: right of it, left if that is negative, else centred."""
    side = "right" if aside[0] < 0 else "left" if aside[0] else "center"
    axes.annotate(text, (x, y), fontsize=8, xytext=aside, textcoords="offset points", ha=side)


def by_rows(axes: Axes, labels: list[str]) -> None:
    """One row a label, the first on top; grey: the band of what counts as equal, and the line of no difference."""
    axes.axvspan(-effects.MARGIN, effects.MARGIN, color="#EEEEEE", zorder=0)
    axes.axvline(0, color=style.GREY, linewidth=0.8)
    axes.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def interval(
    axes: Axes, row: pd.Series, y: float, label: str, size: float = 34, width: float = 1.6, reach: Reach | None = None
) -> None:
    """The value of a row with its interval, in the look of a strategy; filled where the interval excludes 0.

    Args:
        reach: the ends of the axis; what is beyond stands there as an arrow.
    """
    low, high = reach or (-np.inf, np.inf)
    colour, marker = style.look(label).values()
    marker = ">" if row["value"] > high else "<" if row["value"] < low else marker
    face = colour if row["low"] > 0 or row["high"] < 0 else "white"
    look = {"edgecolor": colour, "clip_on": reach is None, "zorder": 3}
    axes.plot(np.clip([row["low"], row["high"]], low, high), [y, y], color=colour, linewidth=width)
    axes.scatter(np.clip(row["value"], low, high), y, s=size, marker=marker, facecolor=face, **look)
    for cut, end, arrow in ((row["low"] < low, low, "<"), (row["high"] > high, high, ">")):
        if cut and marker != arrow:  # the interval goes on, though its middle is inside
            axes.scatter(end, y, s=12, marker=arrow, facecolor=colour, **look)


def intervals(
    axes: Axes, table: pd.DataFrame, labels: dict[str, str], aside: float = 1.02, reach: Reach | None = None
) -> None:
    """One row a strategy (the index of the table), with its label: the interval, and what is ``said`` beside it.

    Args:
        aside: where that stands, in widths of the panel.
        reach: as of `interval`.
    """
    by_rows(axes, list(labels.values()))
    for y, name in enumerate(labels):
        if name in table.index:
            row = table.loc[name]
            interval(axes, row, y, name, reach=reach)
            axes.text(aside, y, row["said"], transform=axes.get_yaxis_transform(), fontsize=8, va="center")


def side_by_side(part: Figure, matrices: dict[str, pd.DataFrame], scale: Normalize, **bar: Any) -> Colorbar:
    """Matrices of query and passage languages beside each other, each below its title, and the bar of their colours."""
    grid = part.subplots(1, len(matrices), squeeze=False)[0]
    for axes, (title, matrix) in zip(grid, matrices.items(), strict=True):
        mesh = heat(axes, matrix, "Blues", scale)
        axes.set(title=title, xlabel="passage language")
    for axes in grid[1:]:
        axes.set_yticklabels([])
    grid[0].set_ylabel("query language")
    return part.colorbar(mesh, ax=list(grid), aspect=18, pad=0.01, **bar)


def heat(
    axes: Axes, matrix: pd.DataFrame, colours: str | Colormap, scale: Normalize, numbers: str = "", line: float = 0.4
) -> ScalarMappable:
    """A matrix in colour, the first row on top; with ``numbers``, a format, its values are printed."""
    values = np.ma.masked_invalid(matrix.to_numpy(dtype=float))
    mesh = axes.pcolormesh(values, cmap=colours, norm=scale, edgecolors="white", linewidth=line)
    axes.set_xticks(np.arange(values.shape[1]) + 0.5, matrix.columns)
    axes.set_yticks(np.arange(values.shape[0]) + 0.5, matrix.index)
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    for (row, column), value in np.ndenumerate(matrix.to_numpy(dtype=float)) if numbers else ():
        if np.isfinite(value):
            red, green, blue, _ = mesh.cmap(scale(value))
            ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
            text = numbers.format(value).replace("-", "−") if round(value) else "0"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center_baseline", fontsize=8, color=ink)
    return mesh


def shades(colour: str) -> Colormap:
    """From almost white to a strategy's colour."""
    return LinearSegmentedColormap.from_list(colour, ["#F4F4F4", colour])


def shares(top: pd.DataFrame) -> pd.DataFrame:
    """Share of the top 10 by query language (rows) and passage language, over seeds; last row the pool's."""
    languages = selection.ordered(set(top["passage_language"]))
    found = top.pivot_table(index="query_language", columns="passage_language", values="share")
    found = found.reindex(selection.ordered(found.index), columns=languages)
    if len(languages) > MOST:
        shown = ends(pd.Series(np.diag(found.reindex(columns=found.index)), found.index))
        found = found.reindex(shown, columns=shown)
    found.loc["pool"] = top.groupby("passage_language")["pool_share"].first()
    return found


def marks(table: pd.DataFrame) -> Rows:
    """The rows of a comparison: those of the run, then the paper's by encoder."""
    there = set(zip(table["source"], table["strategy"], strict=True))
    return [(source, name) for source in ("run", *PAPER) for name in style.STRATEGIES if (source, name) in there]


def comparison(axes: Axes, table: pd.DataFrame, rows: Rows, named: bool, baseline: str) -> None:
    """One row a strategy with its mean and value, seeds as dots and their range as a line; the paper's rows grey.

    What lies beyond ``REACH`` stands at the end of the axis, with an arrow.

    Args:
        table: with a column ``source``: ``run``, or an encoder of the paper.
        baseline: the strategy whose mean is the zero of the axis, for the run and for each encoder of the paper.
    """
    place = np.arange(len(rows)) + 0.5 * pd.factorize(np.array([source for source, _ in rows]))[0]  # gaps between them
    for source, part in table.groupby("source", sort=False):
        values = selection.by_strategy(part)
        best = selection.leaders(values)
        zero = values.get(baseline, values.get("x-x-mono", 0.0))
        for name in values:
            y = place[rows.index((source, name))]
            each = (part.loc[part["strategy"] == name, "value"] - zero).clip(-REACH, REACH)
            mark(axes, name, each, y, source == "run")
            weight = "bold" if name in best else "normal"
            ink = "black" if source == "run" else style.GREY
            shift = {"xytext": (6, 0), "textcoords": "offset points", "va": "center_baseline"}
            arrow = "" if abs(values[name] - zero) <= REACH else "← " if values[name] < zero else "→ "
            said = f"{arrow}{measures.number(values[name])}"
            axes.annotate(said, (each.max(), y), fontsize=8, color=ink, weight=weight, **shift)
    names = [style.name(name) if source == "run" else f"{PAPER[source]}: {name}" for source, name in rows]
    axes.set(yticks=place, yticklabels=names if named else [], ylim=(max(place) + 0.7, -0.7))
    axes.set(xlim=(-1.15 * REACH, 1.6 * REACH), xticks=(-0.05, 0, 0.05), xticklabels=("−.05", "0", "+.05"))
    for label, (source, _) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color("black" if source == "run" else style.GREY)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def mark(axes: Axes, name: str, each: pd.Series, y: float, own: bool) -> None:
    """The mean at ``y``: filled for the run, hollow and grey for the paper; seeds where there are several."""
    colour = style.COLOURS[name] if own else style.GREY
    if len(each) > 1:
        axes.plot([each.min(), each.max()], [y, y], color=colour, linewidth=1.5)
        axes.scatter(each, [y] * len(each), s=5, color=colour, linewidths=0)
    face = colour if own else "white"
    axes.scatter(each.mean(), y, s=32, marker=style.MARKERS[name], facecolor=face, edgecolor=colour, zorder=3)


def distances(axes: Axes, table: pd.DataFrame, paper: pd.DataFrame) -> None:
    """Rank distance: one row a query language, then the means, of this run and of the paper."""
    languages = ends(table.groupby("query_language")["value"].mean())
    encoders = [encoder for encoder in PAPER if encoder in set(paper["encoder"])]
    labels = [*languages, "mean", *(f"{PAPER[encoder]}, mean" for encoder in encoders)]
    place = np.arange(len(labels)) + 0.6 * (np.arange(len(labels)) >= len(languages))
    for y in place[::2]:  # a band for every other row, so that marks are read with their own language
        axes.axhspan(y - 0.5, y + 0.5, color=LIGHT, alpha=0.4, linewidth=0)
    names = [name for name in style.STRATEGIES if name in set(table["strategy"])]
    apart = min(0.13, 0.72 / max(1, len(names) - 1))  # all of a language within its row
    for aside, name in zip(apart * (np.arange(len(names)) - (len(names) - 1) / 2), names, strict=True):
        rows = table[table["strategy"] == name]
        own = [rows.loc[rows["query_language"] == language, "value"] for language in languages]
        own.append(rows.groupby("seed", dropna=False)["value"].mean())
        printed = paper[paper["strategy"] == name]
        others = [printed.loc[printed["encoder"] == encoder, "value"] for encoder in encoders]
        for number, each in enumerate([*own, *others]):
            if len(each):
                mark(axes, name, each, place[number] + aside, own=number < len(own))
    axes.set(yticks=place, yticklabels=labels, ylim=(max(place) + 0.7, -0.7), xlabel="rank distance (ranks)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def rank_axis(axes: Axes) -> None:
    """Logarithmic where the marks span more than a factor of 3, else linear; ranks as whole numbers."""
    low, high = axes.dataLim.intervalx
    if high > 3 * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter("{x:,.0f}")


def legend(axes: Axes, names: list[str], columns: int = 0) -> None:
    """The strategies' marks in one line above a panel, where it may reach over the next one's; or in its columns."""
    marks_of = [Line2D([], [], label=style.name(name), linestyle="", **style.look(name)) for name in names]
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1)} if not columns else {"loc": "center left"}
    place |= {"borderaxespad": 0.2, "borderpad": 0}
    place |= {"ncols": columns or len(names), "handletextpad": 0.1, "columnspacing": 1}
    axes.legend(handles=marks_of, **place).set_in_layout(False)


def subfigures(run: Run, top: float, heights: dict[Task, float]) -> tuple[Figure, list[Figure]]:
    """A figure with one part of such a height under the other for each task, with its name; and the parts.

    Args:
        top: inches of title and notes.
    """
    figure = style.new(run, top + sum(heights.values()))
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=list(heights.values()))[:, 0]
    for part, task in zip(parts, heights, strict=True):
        part.suptitle(test(task), x=0.008, ha="left", fontsize=10)
    return figure, list(parts)


def test(task: Task) -> str:
    """``XQuAD-R, after training on MLQA-R``."""
    train, test = task
    part = "its other part" if train == test else style.name(train)
    return style.capital(style.name(test)) + ("" if train == "none" else f", after training on {part}")
