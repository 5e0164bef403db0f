"""Figures behind the answer: why the test is held fixed, what is kept far away, and what other choices would change."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import special

from ..base.config import Config, Run
from ..evidence import effects, selection, shift, tables
from ..evidence.questions import robustness, specification
from ..runs.names import capital
from ..runs.plan import NONE
from . import panels, style
from .answer import CURVE, STRATEGIES, TASK, TESTS, rows, shown

BESIDE = {NONE: "no fine-tuning", **{name: shown(name) for name in specification.PARENTS}}
QUANTITIES = {shift.NEARER: "after XQuAD-R", shift.FARTHER: "after documentation", shift.DIFFERENCE: "D"}
NAMES = {
    specification.PROFILE: "as published",
    "parallel-docs-900-questions": "documentation: 900 questions",
    "xquad-r-7-languages": "XQuAD-R: 7 languages",
    specification.CHANGED_BY_BATCH: "x-y by the batch",
    "sampler=1": "batches of version 1",
}
COLUMNS = {"scale": "scale", "learning_rate": "rate", "steps": "steps", "batch_size": "batch", "seeds": "seeds"}
COLUMN = 27  # points
CROSSED = ("scale", "learning_rate", "steps")
SQUARES = {
    (shift.DIFFERENCE, "x-x-mono"): "D against x-x-mono",
    (shift.DIFFERENCE, "x-y"): "D against x-y",
    (shift.NEARER, NONE): "hybrid after XQuAD-R, gain",
}
ASIDE = {"hybrid-0.5": (-6, 10), "hybrid-0.25": (4, -26), "x-y": (9, -14)}  # where labels of neighbours do not meet


@style.house()
def confound(run: Run) -> Figure:
    """The same models on two tests: differences between strategies on XQuAD-R (across) and on MLQA-R (up)."""
    table = tables.read(run, "metrics.csv")
    table = table.assign(label=selection.labels(table).str.replace(" ", "-"))
    table = table[(table["metric"] == "map") & (table["setting"] == "multilingual")]
    table = table[table["train"].isin(shift.FARTHEST) & table["dataset"].isin(TESTS)]
    found = {key: apart for key, part in table.groupby(["encoder", "train"], sort=False) if len(apart := _apart(part))}
    if not found:
        return style.empty(run, "No models were trained on a set that is foreign to both MLQA-R and XQuAD-R")
    figure = style.new(run, 1.2 + 3.6 * len(found))
    grid = figure.subplots(len(found), 2, squeeze=False)
    for row, ((encoder, train), apart) in zip(grid, found.items(), strict=True):
        for axes, (whole, names) in zip(row, {"all batches": STRATEGIES, "mixtures alone": CURVE}.items(), strict=True):
            slope = _confound(axes, apart, [n for n in names if n in apart[TESTS[0]] and n != "x-x-mono"])
            axes.set_xlabel("minus x-x-mono on XQuAD-R, mAP")
            axes.set_title(f"{style.name(encoder)} ({len(apart)} seeds), {whole}: slope {slope:.2f}")
        row[0].set_ylabel(f"minus x-x-mono on MLQA-R, mAP\n(trained on {style.name(train)})")
    note = (
        "Each model is a point, its training set equally foreign to both tests; XQuAD-R has 11 right passages a "
        "question, MLQA-R 2 to 4. Small: a seed; large: the mean, with 95% intervals over seeds. Thin line: equal "
        "differences. Thick line: least squares through 0; of few seeds it says little."
    )
    title = "The same models on two tests: each strategy minus x-x-mono, multilingual mAP"
    return style.frame(figure, run, title, note)


def _apart(part: pd.DataFrame) -> pd.DataFrame:
    """Each strategy minus x-x-mono by seed (rows), test and strategy; empty if one of the tests or x-x-mono lacks."""
    wide = part.pivot_table(index="seed", columns=["dataset", "label"], values="value").dropna(axis=1)
    shared = [name for name in STRATEGIES if all((test, name) in wide for test in TESTS)]
    if "x-x-mono" not in shared:
        return wide.iloc[:0]
    return pd.concat({test: wide[test][shared].sub(wide[test]["x-x-mono"], axis=0) for test in TESTS}, axis=1)


def _confound(axes: Axes, apart: pd.DataFrame, names: list[str]) -> float:
    """Points of the strategies, the line through 0 that fits their means, and its slope."""
    y, x = (apart[test][names] for test in TESTS)
    slope = float((x.mean() * y.mean()).sum() / (x.mean() ** 2).sum())
    low, high = min(x.min().min(), 0), max(x.max().max(), 0)
    ends = np.array([low - 0.08 * (high - low), high + 0.08 * (high - low)])
    axes.plot(ends, ends, color=style.GREY, linewidth=0.7)
    axes.plot(ends, slope * ends, color="black", linewidth=1.6)
    reach = special.stdtrit(len(apart) - 1, 0.975) / len(apart) ** 0.5 if len(apart) > 1 else 0.0
    for name in names:
        look = style.look(name)
        axes.scatter(x[name], y[name], s=8, linewidths=0, alpha=0.6, **look)
        bars = {"xerr": reach * x[name].std(ddof=1), "yerr": reach * y[name].std(ddof=1)} if reach else {}
        axes.errorbar(x[name].mean(), y[name].mean(), **bars, markersize=6, elinewidth=0.9, linestyle="", **look)
        if len(names) < len(STRATEGIES) - 1 or name not in CURVE:
            panels.label(axes, shown(name), x[name].mean(), y[name].mean(), ASIDE.get(name, (7, -11)))
    axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=0)
    axes.axvline(0, color=style.GREY, linewidth=0.6, zorder=0)
    axes.grid()
    return slope


@style.house()
def effective(run: Run) -> Figure:
    """mAP after training far away against mAP after training near, with the line along which all models lie."""
    table = tables.read(run, "robustness.csv")
    table = table[(table["setting"] == "multilingual") & (table["line"] != robustness.ALL)]
    if not len(table):
        return style.empty(run, "Too few models were trained both nearer to a test and farther from it")
    tasks = table.groupby(TASK, sort=False)
    figure = style.new(run, 1.2 + 2.9 * len(tasks))
    grid = figure.subplots(len(tasks), 2, squeeze=False)
    for row, (task, part) in zip(grid, tasks, strict=True):
        encoder, test, nearer, farther = map(style.name, task)
        part = part.set_index("strategy")
        slope, intercept = part[["slope", "intercept"]].iloc[0]
        ends = np.array([part["near"].min() - 0.02, part["near"].max() + 0.02])
        row[0].plot(ends, ends, color=style.GREY, linewidth=0.7)
        row[0].plot(ends, intercept + slope * ends, color="black", linewidth=1.6)
        for name in [name for name in STRATEGIES if name in part.index]:
            row[0].scatter(part.loc[name, "near"], part.loc[name, "far"], s=26, zorder=3, **style.look(name))
        row[0].set(xlabel=f"multilingual mAP after {nearer}", ylabel=f"after {farther}")
        row[0].set_title(f"{test}, {encoder}: slope {slope:.2f}")
        row[0].grid()
        rows(row[1], part.rename(columns={"residual": "value"}))
        row[1].set_title(f"above the line after {farther}, mAP")
    reach = [f(axes.get_xlim()[i] for axes in grid[:, 1]) for i, f in enumerate((min, max))]
    for axes in grid[:, 1]:
        axes.set_xlim(reach)
    note = (
        "Marks: means over seeds. Thick line: least squares over all models; thin line: no loss. Right: 95% intervals "
        "over seeds, the line taken as it is; filled where they exclude 0. Colours and marks as there."
    )
    return style.frame(figure, run, "Effective robustness: what is kept far away, given the level near home", note)


@style.house()
def choices(run: Run) -> Figure:
    """Hybrid minus each parent under other choices, one a row: after near and after far training, and D."""
    table = _tried(run)
    table = table[_changed(table) < 2]  # those of several changes have a figure
    encoders = dict(list(table.groupby("encoder", sort=False)))
    if not encoders:
        return style.empty(run, "No training was made with other choices than those of the profile")
    names = {name: _in_order(part) for name, part in encoders.items()}
    figure = style.new(run, 1.4 + 0.42 * sum(map(len, names.values())) + 0.5 * len(names))
    heights = [len(found) for found in names.values()]
    grid = figure.subplots(len(names), 3, squeeze=False, sharex="col", sharey="row", height_ratios=heights)
    for row, (encoder, part) in zip(grid, encoders.items(), strict=True):
        for axes, (quantity, said) in zip(row, QUANTITIES.items(), strict=True):
            _choices(axes, part[part["quantity"] == quantity], names[encoder])
            axes.set_title(said)
        _settings(row[0], encoder, run.config.of(encoder), names[encoder], part.groupby("choice")["seeds"].max())
    ends = [axes.get_xlim() for axes in grid[0, :2]]  # of one quantity; D has a scale of its own
    for axes in grid[0, :2]:
        axes.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
    for axes in grid[-1]:
        axes.set_xlabel("multilingual mAP")
    looks = {f"minus {said}": style.look(name) for name, said in BESIDE.items()}
    handles = [Line2D([], [], label=text, linestyle="", **look) for text, look in looks.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
    note = (
        f"{capital(shown(effects.hybrid(run)))}. Each row is one choice of settings; bold: not as published. In the "
        "order of D against x-x-mono, then of the difference from it. 95% intervals over articles and seeds, which are "
        "taken to vary alike in all rows below the first; filled where they exclude 0; grey band: within .01. What "
        "changes several of them has a figure of its own."
    )
    return style.frame(figure, run, "Hybrid on MLQA-R under other choices", note)


@style.house()
def crossed(run: Run) -> Figure:
    """Scale, learning rate and steps crossed, a square each: D against both parents, and what hybrid gains near."""
    table = _tried(run)
    several = table[_changed(table) > 1]
    encoders = list(dict.fromkeys(several["encoder"]))
    if not encoders:
        return style.empty(run, "Scale, learning rate and steps were not crossed")
    figure = style.new(run, 1.3 + 2.4 * len(encoders))
    grid = figure.subplots(len(encoders), len(SQUARES), squeeze=False)
    for row, encoder in zip(grid, encoders, strict=True):
        part = table[table["encoder"] == encoder]
        for axes, ((quantity, baseline), said) in zip(row, SQUARES.items(), strict=True):
            chosen = part[(part["quantity"] == quantity) & (part["baseline"] == baseline)]
            mesh = panels.heat(axes, _square(chosen, run.config.of(encoder)), "PuOr", Normalize(-40, 40), "{:+.0f}")
            axes.set(title=said, xlabel="similarity scale")
            axes.set_ylabel(f"{style.name(encoder)}: rate, steps" if axes is row[0] else "")
            axes.tick_params(labelleft=axes is row[0])
        figure.colorbar(mesh, ax=list(row), aspect=18, pad=0.01).set_label("mAP, thousandths")
    reach = several[several["quantity"] == shift.DIFFERENCE].eval("high - low").median() / 2
    note = (
        "Tested on MLQA-R, in the pool. Negative D: hybrid loses less. Where hybrid gains nothing near (right), D "
        f"says little. D is known to some {1000 * reach:.0f} thousandths either way where several things are changed."
    )
    return style.frame(figure, run, "Similarity scale, learning rate and steps, crossed", note)


def _tried(run: Run) -> pd.DataFrame:
    """What hybrid does in the setting that the answer is asked in, by choice."""
    table = tables.read(run, "specification.csv")
    return table[(table["setting"] == shift.PRIMARY["setting"]) & (table["strategy"] == effects.hybrid(run))]


def _changed(table: pd.DataFrame) -> pd.Series:
    """How many settings each row's choice changes."""
    return table["choice"].map(lambda choice: len(changes(choice))).astype(int)


def _square(part: pd.DataFrame, profile: Config) -> pd.DataFrame:
    """Values in thousandths by learning rate and steps (rows) and scale (columns)."""
    found = {}
    for choice, value in zip(part["choice"], part["value"], strict=True):
        if choice == specification.PROFILE or (set(changes(choice)) <= set(CROSSED) and not other(choice)):
            scale, rate, steps = (float(changes(choice).get(key, getattr(profile, key))) for key in CROSSED)
            found[rate, int(steps), int(scale)] = 1000 * value
    square = pd.Series(found).unstack().sort_index()
    square.index = [f"{rate:.0e}, {steps}".replace("e-0", "e-") for rate, steps in square.index]
    return square


def _choices(axes: Axes, part: pd.DataFrame, names: list[str]) -> None:
    """A row a choice: no fine-tuning and the two parents above each other."""
    panels.by_rows(axes, [other(name) for name in names])
    for offset, baseline in zip((-0.24, 0, 0.24), BESIDE, strict=True):
        for _, row in part[part["baseline"] == baseline].iterrows():
            panels.interval(axes, row, names.index(row["choice"]) + offset, baseline, size=26, width=1.4)
    axes.tick_params(axis="x", labelbottom=True)


def _in_order(part: pd.DataFrame) -> list[str]:
    """The profile first, with all its seeds and with some; then the choices by what hybrid differs from x-x-mono."""
    against = part[part["baseline"] == specification.PARENTS[0]].pivot_table("value", "choice", "quantity")
    against = against.reindex(list(dict.fromkeys(part["choice"]))).reindex(columns=list(QUANTITIES))
    first = [name for name in against.index if name.startswith(specification.PROFILE)]
    order = [shift.DIFFERENCE, shift.NEARER, shift.FARTHER]
    return [*first, *against.drop(index=first).sort_values(order, kind="stable", na_position="last").index]


def _settings(axes: Axes, encoder: str, profile: Config, names: list[str], seeds: pd.Series) -> None:
    """What was set in each row, in columns beside it, and further to the left what no column can say."""
    beside = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right", "va": "center"}
    axes.tick_params(axis="y", pad=COLUMN * len(COLUMNS) + 8)
    axes.annotate(style.name(encoder), (0, -0.75), (-COLUMN * len(COLUMNS) - 8, 0), weight="bold", **beside)
    columns = {key: (-COLUMN * place - 8, 0) for place, key in enumerate(reversed(COLUMNS))}
    for key, offset in columns.items():
        axes.annotate(COLUMNS[key], (0, -0.75), offset, color=style.GREY, fontsize=7.5, **beside)
    for y, name in enumerate(names):
        changed = changes(name)
        for key, offset in columns.items():
            text = str(seeds[name]) if key == "seeds" else changed.get(key, str(getattr(profile, key, "")))
            text = f"{float(text):.0e}".replace("e-0", "e-") if key == "learning_rate" else f"{float(text):g}"
            weight = "bold" if key in changed else "normal"
            axes.annotate(text, (0, y), offset, weight=weight, fontsize=7.5, **beside)


def changes(choice: str) -> dict[str, str]:
    """The settings that a choice names: of ``scale=100, steps=240`` scale and steps."""
    return dict(part.split("=") for part in choice.split(", ") if part.split("=")[0] in COLUMNS)


def other(choice: str) -> str:
    """What a choice is beside settings that have a column, as people read it; empty where it is nothing else."""
    left = [part for part in choice.split(", ") if part.split("=")[0] not in COLUMNS]
    return ", ".join(NAMES.get(cut := part.removeprefix(f"{specification.CUT}: "), cut) for part in left)


def drawable(run: Run) -> dict[str, bool]:
    """Whether a run has numbers for each of these figures."""
    metrics = tables.read(run, "metrics.csv")
    changed = _changed(_tried(run))
    foreign = metrics[metrics["train"].isin(shift.FARTHEST) & metrics["dataset"].isin(TESTS)]
    return {
        "confound": foreign["dataset"].nunique() == len(TESTS) and (foreign["strategy"] == "x-x-mono").any(),
        "robustness": len(tables.read(run, "robustness.csv")) > 0,
        "choices": (changed < 2).any(),
        "crossed": (changed > 1).any(),
    }
