"""The figures of the answer: what each strategy changes, within and across languages, and what a shift costs it."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..base.config import Run
from ..evaluation import centring, measures, metrics
from ..evidence import effects, selection, shift, tables
from ..evidence.questions import centred
from ..training.sampling import ALPHA
from . import panels, style

TESTS = ("mlqa-r", "xquad-r")
CURVE = ("x-y", "hybrid-0.25", "hybrid-0.5", "hybrid-0.75", "x-x-mono")  # from alpha 0 to 1
STRATEGIES = (*CURVE, "en-en", "x-x")
NEAR, FAR = {"linestyle": "-"}, {"linestyle": "--", "markerfacecolor": "white"}
STRAIGHT = {"color": style.GREY, "linestyle": ":", "linewidth": 1, "zorder": 1}
SETTINGS = ["monolingual", "multilingual"]
TASK = ["encoder", "test", "nearer", "farther"]
Tasks = dict[tuple[str, ...], pd.DataFrame]  # the rows of each test with two training sets


@style.house()
def plane(run: Run) -> Figure:
    """Change of monolingual (across) and multilingual mAP (up) from no fine-tuning, with 95% intervals as crosses.

    A row of panels for each encoder of the run.
    """
    table = tables.read(run, "centring.csv.bz2")
    table = table[table["quantity"] == centred.CHANGE]
    encoders = list(dict.fromkeys(table["encoder"]))
    if not encoders:
        return style.empty(run, "No strategy was scored on MLQA-R or XQuAD-R")
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
    )
    note += " Each row has its scale." if len(encoders) > 1 else ""
    title = "What fine-tuning changes: monolingual and multilingual mAP of each kind of batches"
    return style.frame(figure, run, title, note)


def _sources(table: pd.DataFrame) -> str:
    """Whose mean vectors were subtracted, of those that are shown."""
    names = dict.fromkeys(table.loc[table["means_of"] != centred.NOTHING, "means_of"])
    return " or ".join("the test's own texts" if name == centring.OWN else style.name(name) for name in names) or "none"


def _legend() -> list[Line2D]:
    """One mark a strategy, and the two kinds of lines."""
    names = {"x-y": "x-y (α = 0)", "hybrid": "hybrid", "x-x-mono": "x-x-mono (α = 1)", "en-en": "en-en", "x-x": "x-x"}
    mark, ink = {"linestyle": ""}, {"color": style.GREY, "marker": "o"}
    looks = {shown: mark | style.look(name) for name, shown in (names | {"none": "no fine-tuning"}).items()}
    looks |= {"means subtracted": mark | style.look("none") | {"marker": "X"}}
    looks |= {"after the other test": ink | NEAR, "after documentation": ink | FAR, "straight line": STRAIGHT}
    return [Line2D([], [], label=text, **look) for text, look in looks.items()]


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
            _cross(axes, points.loc[name], name, look)
        for name in ("x-x", "en-en"):
            if name in points.index and look is NEAR:
                panels.label(axes, name, *points.loc[name, ["x", "y"]], (7, 4))
    untrained = part[(part["strategy"] == "none") & (part["means_of"] != centred.NOTHING)]
    for source, each in untrained.groupby("means_of", sort=False):
        points = _points(each)
        if len(points):
            _cross(axes, points.iloc[0], "none", {"marker": "X", "markersize": 7})
            if source == centring.OWN:
                panels.label(axes, "own texts", *points.iloc[0][["x", "y"]], (0, 7))
            else:  # below the right end of its cross, where few marks are
                name = style.name(source).removeprefix("the ")
                panels.label(axes, name, *points.iloc[0][["x_high", "y"]], (3, -6))
    axes.margins(0.12)
    axes.grid()


def _points(part: pd.DataFrame) -> pd.DataFrame:
    """By strategy the two coordinates with the ends of their intervals; those that have both."""
    first = part.drop_duplicates(["setting", "strategy"]).set_index("strategy")
    across, up = (first.loc[first["setting"] == setting, ["value", "low", "high"]] for setting in SETTINGS)
    across, up = (ends.set_axis([z, f"{z}_low", f"{z}_high"], axis=1) for z, ends in (("x", across), ("y", up)))
    return across.join(up, how="inner")


def _cross(axes: Axes, point: pd.Series, label: str, look: dict) -> None:
    bars = [np.nan_to_num([[point[z] - point[f"{z}_low"]], [point[f"{z}_high"] - point[z]]]) for z in "xy"]
    kind = style.look(label) | {"markersize": 5, "elinewidth": 0.9} | look | {"linestyle": ""}
    axes.errorbar(point["x"], point["y"], xerr=bars[0], yerr=bars[1], **kind)


@style.house()
def fixed_test(run: Run) -> Figure:
    """What each strategy loses when it is trained farther from one and the same test, and hybrid's loss less theirs.

    Of the far shift, if there is one; what else there is shows `from_home`.
    """
    far, others = _tasks(run)
    return _costs(run, far or others, "What training farther away costs on one and the same test")


@style.house()
def from_home(run: Run) -> Figure:
    """The same where the nearer training set is the test itself; models did not see the articles that they rank."""
    return _costs(run, _tasks(run)[1], "What it costs to train on another set than the test itself")


def _tasks(run: Run) -> tuple[Tasks, Tasks]:
    """The costs on tests with two training sets each, by `TASK`: those of the far shift, and the others."""
    table = tables.read(run, "domain_shift.csv")
    table = table[(table["setting"] == "multilingual") & (table["languages"] == effects.ALL)]
    parts = dict(list(table.groupby(TASK, sort=False)))
    tests, kinds = list(dict.fromkeys(task[:2] for task in parts)), {task: shift.kind(*task[1:]) for task in parts}
    order = [*shift.SHIFTS.values()]
    ordered = sorted(parts, key=lambda task: (tests.index(task[:2]), order.index(kinds[task])))
    far, others = ({t: parts[t] for t in ordered if (kinds[t] == "far") == is_far} for is_far in (True, False))
    return far, others


def _costs(run: Run, tasks: Tasks, title: str) -> Figure:
    if not tasks:
        return style.empty(run, "No strategy was trained on two sets of which one is nearer to a test than the other")
    figure = style.new(run, 1.2 + 2.0 * len(tasks))
    grid = figure.subplots(len(tasks), 2, squeeze=False, sharex=True)
    for row, ((encoder, *task), part) in zip(grid, tasks.items(), strict=True):
        costs = part[part["quantity"] == shift.COST].set_index("strategy")
        differences = part[part["quantity"] == shift.DIFFERENCE].set_index("baseline")
        words = differences["verdict"].where(differences.index != shift.SHOWN_ONLY, "(not judged)")
        rows(row[0], costs)
        rows(row[1], differences, "  " + words)
        test, nearer, farther = map(style.name, task)
        row[0].set_title(f"{test} after {nearer} or {farther} ({shift.kind(*task)}), {style.name(encoder)}")
        count = int(part["seeds"].max())
        row[1].set_title(f"D, {count} seed{'s' * (count > 1)}", loc="center")
    grid[-1, 0].set_xlabel("multilingual mAP lost by training on the farther set")
    grid[-1, 1].set_xlabel("D: that of hybrid minus that of each, mAP")
    for axes in grid[-1]:
        axes.locator_params(axis="x", nbins=6)
    note = (
        "95% intervals over articles and seeds; filled where they exclude 0; grey band: within .01. Beside D its word, "
        "corrected for the baselines that are judged: a filled mark may be open. One scale for all panels."
    )
    return style.frame(figure, run, title, note)


def rows(axes: Axes, table: pd.DataFrame, words: pd.Series | str = "") -> None:
    """A row a strategy (the index): its value, the interval, and the number, before the words of the comparison."""
    said = table["value"].map(partial(measures.number, sign=True)) + words
    panels.intervals(axes, table.assign(said=said), {name: shown(name) for name in STRATEGIES if name in table.index})
    axes.tick_params(axis="x", labelbottom=True)


@style.house()
def encoders(run: Run) -> Figure:
    """mAP of the paper's three strategies in each setting: of each encoder here, and of the paper's own."""
    paper = tables.read(run, "ledger.csv.bz2").query("metric == 'map' and language == 'mean'")
    ours = selection.chosen(tables.read(run, "metrics.csv").query("metric == 'map'"))
    ours = ours[ours["strategy"].isin(paper["strategy"]) & (ours["train"] == ours["dataset"].map(selection.OTHER))]
    paper = paper.assign(name=paper["paper_encoder"] + ", paper", value=paper["paper"])
    keys = ["name", "dataset", "setting", "strategy"]
    every = pd.concat([table[[*keys, "value"]] for table in (ours.assign(name=ours["encoder"]), paper)])
    held = every.groupby(keys, sort=False)["value"].mean()
    names = list(dict.fromkeys(every["name"]))
    figure = style.new(run, 1.6 + 0.42 * len(names) * len(TESTS))
    grid = figure.subplots(len(TESTS), len(metrics.SETTINGS), sharex="col", sharey=True, squeeze=False)
    for row, test in zip(grid, TESTS, strict=True):
        for axes, setting in zip(row, metrics.SETTINGS, strict=True):
            for y, name in enumerate(names):
                for strategy in ("x-x-mono", "x-y", "hybrid"):
                    colour, marker = style.look(strategy).values()
                    face = "white" if name in set(paper["name"]) else colour
                    if (key := (name, test, setting, strategy)) in held:
                        axes.scatter(held[key], y, s=36, facecolor=face, marker=marker, edgecolor=colour, zorder=3)
            axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
            axes.set_title(f"{style.name(test)}, {setting}")
            axes.grid(axis="x")
    for axes in grid[-1]:
        axes.set_xlabel("mAP")
    look = {"linestyle": "", "markersize": 6}
    handles = [Line2D([], [], label=name, **look, **style.look(name)) for name in ("x-x-mono", "hybrid", "x-y")]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
    note = (
        "Ours were trained on the other one of the two benchmarks, and are means over seeds; the paper's (hollow) on "
        "other data, one run each. Hybrid: α = .5. Panels of a column share their scale."
    )
    return style.frame(figure, run, "The paper's three strategies, with our encoders and with the paper's", note)


def shown(label: str) -> str:
    """A strategy as figures name it; mixtures by their alpha."""
    name, _, alpha = label.partition("hybrid-")
    if alpha:
        return f"hybrid, α = {alpha}" if alpha == "0.5" else f"α = {alpha}"
    return f"{name}, α = {ALPHA[name]:g}" if name in ALPHA else name


def drawable(run: Run) -> dict[str, bool]:
    """Whether a run has numbers for each of these figures."""
    plain = tables.read(run, "centring.csv.bz2")
    far, others = _tasks(run)
    return {
        "plane": len(encoders := plain.loc[plain["quantity"] == centred.CHANGE, "encoder"].unique()) > 0,
        "planes": len(encoders) > 1,
        "shift": bool(far or others),
        "home": bool(far and others),
        "encoders": tables.read(run, "ledger.csv.bz2")["ours"].notna().any(),
    }
