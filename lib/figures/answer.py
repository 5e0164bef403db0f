"""The figures of the answer: what each strategy changes, within and across languages, and what a shift costs it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..base.config import Run
from ..evaluation import centring, metrics
from ..evidence import effects, selection, shift, tables
from ..evidence.questions import centred
from ..training.sampling import ALPHA
from . import style

TESTS = ("mlqa-r", "xquad-r")
OTHER = dict(zip(TESTS, TESTS[::-1], strict=True))
CURVE = ("x-y", "hybrid-0.25", "hybrid-0.5", "hybrid-0.75", "x-x-mono")  # from alpha 0 to 1
STRATEGIES = (*CURVE, "en-en", "x-x")
NEAR, FAR = {"linestyle": "-"}, {"linestyle": "--", "markerfacecolor": "white"}
STRAIGHT = {"color": style.GREY, "linestyle": ":", "linewidth": 1, "zorder": 1}
ORIGIN = "no fine-tuning"
SETTINGS = ["monolingual", "multilingual"]
BAND = {"color": "#EEEEEE", "zorder": 0}


@style.house()
def plane(run: Run) -> Figure:
    """Change of monolingual (across) and multilingual mAP (up) from no fine-tuning, with 95% intervals as crosses.

    A row of panels for each encoder of the run.
    """
    table = tables.read(run, "centring.csv.bz2")
    table = table[(table["quantity"] == centred.CHANGE) & table["encoder"].isin(run.config.encoder)]
    encoders = list(dict.fromkeys(table["encoder"]))
    if not encoders:
        return style.empty(run, tables.source(run), "No strategy was scored on MLQA-R or XQuAD-R")
    figure = style.new(run, 1.6 + 4.4 * len(encoders))
    heights = [0.1, *[1] * len(encoders)]
    top, *grid = figure.subplots(len(encoders) + 1, 2, sharex="row", sharey="row", height_ratios=heights)
    for axes in top:
        axes.axis("off")
    legend = top[0].legend(handles=_legend(), loc="upper left", ncols=5, columnspacing=1.2, borderaxespad=0)
    legend.set_in_layout(False)
    for row, encoder in zip(grid, encoders, strict=True):
        for axes, test in zip(row, TESTS, strict=True):
            _plane(axes, table[(table["encoder"] == encoder) & (table["test"] == test)])
            axes.set_title(f"{style.name(test)}, {style.name(encoder)}")
            axes.set_xlabel("monolingual mAP, change")
            axes.tick_params(labelleft=True)
        row[0].set_ylabel("multilingual mAP, change")
    note = (
        "α: share of monolingual batches, 0, .25, .5, .75 and 1 along the curve. Crosses: 95% intervals. Means "
        f"subtracted, without any training: each language's mean vector, of {_sources(table)}."
        + " Each row has its scale." * (len(encoders) > 1)
    )
    title = "What fine-tuning changes: monolingual and multilingual mAP of each kind of batches"
    style.frame(figure, run, tables.source(run), title, note)
    return figure


def _sources(table: pd.DataFrame) -> str:
    """Whose mean vectors were subtracted, of those that are shown."""
    names = dict.fromkeys(table.loc[table["means_of"] != centred.NOTHING, "means_of"])
    return " or ".join("the test's own texts" if name == centring.OWN else style.name(name) for name in names) or "none"


def _legend() -> list[Line2D]:
    """One mark a strategy, and the two kinds of lines."""
    labels = ["x-y (α = 0)", "hybrid", "x-x-mono (α = 1)", "en-en", "x-x"]
    marks = [
        Line2D([], [], linestyle="", label=label, marker=style.MARKERS[name], color=style.COLOURS[name])
        for label, name in zip(labels, ("x-y", "hybrid", "x-x-mono", "en-en", "x-x"), strict=True)
    ]
    grey = {"linestyle": "", "color": style.COLOURS["none"]}
    marks += [
        Line2D([], [], marker="s", label=ORIGIN, **grey),
        Line2D([], [], marker="X", label="means subtracted", **grey),
    ]
    ink = {"color": style.GREY, "marker": "o"}
    return [
        *marks,
        Line2D([], [], label="after the other test", **ink | NEAR),
        Line2D([], [], label="after documentation", **ink | FAR),
        Line2D([], [], label="straight line", **STRAIGHT),
    ]


def _plane(axes: Axes, part: pd.DataFrame) -> None:
    """The curve of alpha after each training, the other strategies as points, and centring without training."""
    axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=0)
    axes.axvline(0, color=style.GREY, linewidth=0.6, zorder=0)
    axes.plot(0, 0, marker="s", color=style.COLOURS["none"], markersize=6)
    plain = part[part["means_of"] == centred.NOTHING]
    far = [name for name in shift.FARTHEST if name in set(plain["train"])][:1]
    for trains, look in ((TESTS, NEAR), (far, FAR)):
        points = _points(plain[plain["train"].isin(trains) & (plain["train"] != plain["test"])])
        curve = [name for name in CURVE if name in points.index]
        ends = [name for name in (CURVE[0], CURVE[-1]) if name in points.index]
        axes.plot(points.loc[ends, "x"], points.loc[ends, "y"], **STRAIGHT)
        axes.plot(points.loc[curve, "x"], points.loc[curve, "y"], color=style.COLOURS["hybrid"], linewidth=1, **look)
        for name in [name for name in STRATEGIES if name in points.index]:
            _cross(axes, points.loc[name], base(name), look)
        for name in ("x-x", "en-en"):
            if name in points.index and look is NEAR:
                label(axes, name, *points.loc[name, ["x", "y"]], (7, 4))
    untrained = part[(part["strategy"] == "none") & (part["means_of"] != centred.NOTHING)]
    for source, each in untrained.groupby("means_of", sort=False):
        points = _points(each)
        if len(points):
            _cross(axes, points.iloc[0], "none", {"marker": "X", "markersize": 7})
            name, aside = ("own texts", (0, 7)) if source == centring.OWN else (style.name(source), (9, -17))
            label(axes, name, *points.iloc[0][["x", "y"]], aside)
    axes.margins(0.12)
    axes.grid()


def _points(part: pd.DataFrame) -> pd.DataFrame:
    """By strategy the two coordinates with the ends of their intervals; those that have both."""
    across, up = (part[part["setting"] == s].drop_duplicates("strategy").set_index("strategy") for s in SETTINGS)
    shared = [name for name in across.index if name in up.index]
    columns = {"x": across["value"], "x_low": across["low"], "x_high": across["high"]}
    columns |= {"y": up["value"], "y_low": up["low"], "y_high": up["high"]}
    return pd.DataFrame({name: column.reindex(shared) for name, column in columns.items()})


def _cross(axes: Axes, point: pd.Series, strategy: str, look: dict) -> None:
    bars = [[[point[z] - point[f"{z}_low"]], [point[f"{z}_high"] - point[z]]] for z in "xy"]
    kind = {"marker": style.MARKERS[strategy], "color": style.COLOURS[strategy], "markersize": 5} | look
    axes.errorbar(point["x"], point["y"], xerr=np.nan_to_num(bars[0]), yerr=np.nan_to_num(bars[1]), elinewidth=0.9,
                  **(kind | {"linestyle": ""}))  # fmt: skip


@style.house()
def fixed_test(run: Run) -> Figure:
    """What each strategy loses when it is trained farther from one and the same test, and hybrid's loss less theirs.

    Of the far shift, if there is one; what else there is shows `from_home`.
    """
    far, others = _tasks(run)
    title = "What training farther away costs on one and the same test"
    return _costs(run, far if len(far) else others, title)


@style.house()
def from_home(run: Run) -> Figure:
    """The same where the nearer training set is the test itself; models did not see the articles that they rank."""
    return _costs(run, _tasks(run)[1], "What it costs to train on another set than the test itself")


def _tasks(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tests with two training sets each: ``encoder, test, nearer, farther``; those of the far shift, and the others."""
    table = tables.read(run, "domain_shift.csv")
    tasks = table[["encoder", "test", "nearer", "farther"]].drop_duplicates()
    tasks["kind"] = [shift.kind(*task[1:]) for task in tasks.itertuples(index=False)]
    order = [*shift.SHIFTS.values()].index
    apart = [part.sort_values("kind", key=lambda kinds: kinds.map(order)) for _, part in
             tasks.groupby(["encoder", "test"], sort=False)]  # fmt: skip
    tasks = pd.concat(apart) if apart else tasks
    is_far = tasks.pop("kind") == "far"
    return tasks[is_far], tasks[~is_far]


def _costs(run: Run, tasks: pd.DataFrame, title: str) -> Figure:
    if not len(tasks):
        why = "No strategy was trained on two sets of which one is nearer to a test than the other"
        return style.empty(run, tables.source(run), why)
    table = tables.read(run, "domain_shift.csv")
    table = table[(table["setting"] == "multilingual") & (table["languages"] == effects.ALL)]
    figure = style.new(run, 1.2 + 2.0 * len(tasks))
    grid = figure.subplots(len(tasks), 2, squeeze=False, sharex=True)
    for row, task in zip(grid, tasks.itertuples(index=False), strict=True):
        part = table[(table[list(task._fields)] == list(task)).all(axis=1)]
        costs = part[part["quantity"] == shift.COST].set_index("strategy")
        differences = part[part["quantity"] == shift.DIFFERENCE].set_index("baseline")
        judged = differences.index != shift.SHOWN_ONLY
        differences = differences.assign(verdict=differences["verdict"].where(judged, "(not judged)"))
        rows(row[0], costs, [name for name in STRATEGIES if name in costs.index])
        rows(row[1], differences, [name for name in STRATEGIES if name in differences.index], words=True)
        where = f"{style.name(task.nearer)} or {style.name(task.farther)}"
        kind = shift.kind(task.test, task.nearer, task.farther)
        row[0].set_title(f"{style.name(task.test)} after {where} ({kind}), {style.name(task.encoder)}")
        count = int(part["seeds"].max())
        row[1].set_title(f"D, {count} seed{'s' * (count > 1)}", loc="center")
    for axes, label in zip(
        grid[-1],
        ("multilingual mAP lost by training on the farther set", "D: that of hybrid minus that of each, mAP"),
        strict=True,
    ):
        axes.set_xlabel(label)
        axes.locator_params(axis="x", nbins=6)
    note = (
        "95% intervals over articles and seeds; filled where they exclude 0; grey band: within .01. Beside D its word, "
        "corrected for the baselines that are judged: a filled mark may be open. One scale for all panels."
    )
    style.frame(figure, run, tables.source(run), title, note)
    return figure


def rows(axes: Axes, table: pd.DataFrame, names: list[str], words: bool = False) -> None:
    """A row a strategy: its value, the interval, and the number, with the word of the comparison or without."""
    axes.axvspan(-effects.MARGIN, effects.MARGIN, **BAND)
    axes.axvline(0, color=style.GREY, linewidth=0.8)
    for y, name in enumerate(names):
        row = table.loc[name]
        colour, sure = style.COLOURS[base(name)], row["low"] > 0 or row["high"] < 0
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.6)
        face = colour if sure else "white"
        axes.scatter(
            row["value"], y, s=34, marker=style.MARKERS[base(name)], facecolor=face, edgecolor=colour, zorder=3
        )
        text = f"{row['value']:+.3f}".replace("0.", ".").replace("-", "−") + (f"  {row['verdict']}" if words else "")
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), fontsize=8, va="center")
    axes.set(yticks=range(len(names)), yticklabels=[shown(name) for name in names], ylim=(len(names) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=True)
    axes.grid(axis="x")


@style.house()
def encoders(run: Run) -> Figure:
    """mAP of the paper's three strategies in each setting: of each encoder here, and of the paper's own."""
    paper = tables.read(run, "ledger.csv.bz2").query("metric == 'map' and language == 'mean'")
    ours = selection.chosen(tables.read(run, "metrics.csv").query("metric == 'map'"))
    ours = ours[ours["strategy"].isin(paper["strategy"]) & (ours["train"] == ours["dataset"].map(OTHER))]
    keys, held = ["name", "dataset", "setting", "strategy"], {}
    sides = (("ours", ours, "encoder", "value"), ("paper", paper, "paper_encoder", "paper"))
    for name, table, column, value in sides:
        held[name] = table.assign(name=table[column]).groupby(keys, sort=False)[value].mean()
    rows_of = {name: side for side, table in held.items() for name in dict.fromkeys(table.index.get_level_values(0))}
    figure = style.new(run, 1.6 + 0.42 * len(rows_of) * len(TESTS))
    grid = figure.subplots(len(TESTS), len(metrics.SETTINGS), sharex="col", sharey=True, squeeze=False)
    for row, test in zip(grid, TESTS, strict=True):
        for axes, setting in zip(row, metrics.SETTINGS, strict=True):
            for y, (name, side) in enumerate(rows_of.items()):
                for strategy in ("x-x-mono", "x-y", "hybrid"):
                    look = {"marker": style.MARKERS[strategy], "edgecolor": style.COLOURS[strategy], "zorder": 3}
                    face = style.COLOURS[strategy] if side == "ours" else "white"
                    if (key := (name, test, setting, strategy)) in held[side]:
                        axes.scatter(held[side][key], y, s=36, facecolor=face, **look)
            axes.set(yticks=range(len(rows_of)), ylim=(len(rows_of) - 0.5, -0.5))
            axes.set_yticklabels([f"{name}, paper" if side == "paper" else name for name, side in rows_of.items()])
            axes.set_title(f"{style.name(test)}, {setting}")
            axes.grid(axis="x")
    for axes in grid[-1]:
        axes.set_xlabel("mAP")
    marks = {"linestyle": "", "markersize": 6}
    handles = [
        Line2D([], [], label=name, marker=style.MARKERS[name], color=style.COLOURS[name], **marks)
        for name in ("x-x-mono", "hybrid", "x-y")
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
    note = (
        "Ours were trained on the other one of the two benchmarks, and are means over seeds; the paper's (hollow) on "
        "other data, one run each. Hybrid: α = .5. Panels of a column share their scale."
    )
    title = "The paper's three strategies, with our encoders and with the paper's"
    style.frame(figure, run, tables.source(run), title, note)
    return figure


def base(label: str) -> str:
    """The strategy whose colour and marker a label has."""
    return "hybrid" if label.startswith("hybrid") else label


def shown(label: str) -> str:
    """A strategy as figures name it; mixtures by their alpha."""
    name, _, alpha = label.partition("hybrid-")
    if alpha:
        return f"hybrid, α = {alpha}" if alpha == "0.5" else f"α = {alpha}"
    return f"{name}, α = {ALPHA[name]:g}" if name in ALPHA else name


def label(axes: Axes, text: str, x: float, y: float, aside: tuple[int, int]) -> None:
    """Write a text beside a point, so many points of type away: right of it, left if that is negative, else centred."""
    side = "right" if aside[0] < 0 else "left" if aside[0] else "center"
    axes.annotate(text, (x, y), fontsize=8, xytext=aside, textcoords="offset points", ha=side)


def drawable(run: Run) -> list[str]:
    """Which of these figures a run has numbers for."""
    plain = tables.read(run, "centring.csv.bz2")
    there = {
        "plane": len(encoders := plain.loc[plain["quantity"] == centred.CHANGE, "encoder"].unique()) > 0,
        "planes": len(encoders) > 1,
        "shift": len(tables.read(run, "domain_shift.csv")) > 0,
        "home": all(map(len, _tasks(run))),
        "encoders": tables.read(run, "ledger.csv.bz2")["ours"].notna().any(),
    }
    return [name for name, present in there.items() if present]


FIGURES = {
    "plane": ("What each kind of batches changes", plane),
    "planes": ("What each kind of batches changes, with every encoder", plane),
    "shift": ("Domain shift", fixed_test),
    "home": ("Domain shift from home", from_home),
    "encoders": ("Our encoders and the paper's", encoders),
}
