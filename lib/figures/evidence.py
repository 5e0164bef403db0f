"""The figures that argue: the price of alpha, paired differences, the paper beside ours."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..base.config import Run
from ..evaluation import measures
from ..evaluation.metrics import SETTINGS
from ..evidence import effects, selection, tables
from ..evidence.paper import ledger
from ..runs import names
from . import panels, style


@style.house()
def alpha_curve(run: Run) -> Figure:
    """Monolingual against multilingual mAP as alpha goes from 0 (x-y) to 1 (x-x-mono), with a cross over seeds."""
    table = selection.paired(tables.read(run, "metrics.csv").query("metric == 'map' and alpha == alpha"))
    found = selection.tasks(table[table["setting"] == "multilingual"])
    figure, grid = panels.tiles(run, len(found), 2, 1.1, 3.1)
    for axes, task in zip(grid.flat, found, strict=False):
        part = table[(table["train"] == task[0]) & (table["dataset"] == task[1])]
        wide = part.pivot_table(index=["alpha", "seed"], columns="setting", values="value")
        means, spread = wide.groupby("alpha").mean(), wide.groupby("alpha").std(ddof=1)
        x, y = means["monolingual"], means["multilingual"]
        axes.plot(x, y, color=style.COLOURS["hybrid"], linewidth=1.2, zorder=1)
        for number, alpha in enumerate(means.index):
            look = style.look({0.0: "x-y", 1.0: "x-x-mono"}.get(alpha, "hybrid")) | {"elinewidth": 1, "markersize": 6}
            bars = {"xerr": spread.loc[alpha, "monolingual"], "yerr": spread.loc[alpha, "multilingual"]}
            axes.errorbar(x[alpha], y[alpha], **bars, linestyle="", **look)
            rises = y.iloc[number] < y.iloc[min(number + 1, len(y) - 1)]  # the label goes to the other side of the line
            aside = (-6 if alpha == 0 else 6, -11 if rises else 5)  # away from its neighbours, which can lie close
            panels.label(axes, f"α = {alpha:g}", x[alpha], y[alpha], aside)
        axes.set(title=f"{style.name(task[1])}, trained on {style.name(task[0])}", xlabel="monolingual mAP")
        axes.margins(0.15)
        axes.grid()
    drawn = list(grid.flat)[: len(found)]
    for direction in ("x", "y"):  # as much mAP to the inch in all panels, and the margin at least: noise is no curve
        limits = {axes: getattr(axes, f"get_{direction}lim")() for axes in drawn}
        reach = max(effects.MARGIN, *(np.ptp(pair) / 2 for pair in limits.values()))
        for axes, pair in limits.items():
            getattr(axes, f"set_{direction}lim")(np.mean(pair) - reach, np.mean(pair) + reach)
    for axes in grid[:, 0]:
        axes.set_ylabel("multilingual mAP")
    note = "α is the share of monolingual batches: 0 is x-y, 1 is x-x-mono."
    note += " Crosses: one standard deviation over seeds." if table["seed"].nunique() > 1 else ""
    note += " As much mAP to the inch in all panels." if len(found) > 1 else ""
    return style.frame(figure, run, "The price of α: monolingual against multilingual mAP", note)


@style.house()
def forest(run: Run) -> Figure:
    """Hybrid minus each other strategy, mAP in each setting, with 95% intervals and the margin of equivalence."""
    table = tables.read(run, "effects.csv")
    table = table[
        (table["strategy"] == effects.hybrid(run)) & (table["metric"] == "map") & (table["languages"] == effects.ALL)
    ]
    table = table[~table["dataset"].str.endswith(selection.PARTS) & (table["baseline"] != "none")]
    table = table.assign(value=table["difference"], said=table["difference"].map(measures.difference))
    found = table.groupby(["train", "dataset"], sort=False)
    baselines = {name: style.name(name) for name in style.STRATEGIES if name in set(table["baseline"])}
    if not len(table):
        return style.empty(run, "Hybrid was compared with others on held-out questions of its own training set alone")
    settings = [name for name in SETTINGS if name in set(table["setting"])]
    figure = style.new(run, 1.3 + len(found) * (0.55 + 0.26 * len(baselines)))
    grid = figure.subplots(len(found), len(settings), squeeze=False, sharex=True, sharey=True)
    reach = _reach(table)
    for row, ((train, test), of_task) in zip(grid, found, strict=True):
        for axes, setting in zip(row, settings, strict=True):
            part = of_task[of_task["setting"] == setting]
            panels.intervals(axes, part.set_index("baseline"), baselines, 1.03, reach)
            axes.margins(x=0.08)
            axes.locator_params(axis="x", nbins=5)
            axes.set_visible(len(part) > 0)  # sets that are not parallel lack settings
        seeds = names.counted_seeds(of_task["seeds"])
        first = next(axes for axes in row if axes.get_visible())
        first.tick_params(labelleft=True)
        first.set_ylabel(f"{style.name(test)}\nafter {style.name(train)}\n({seeds})", fontsize=8.5)
    grid[0, 0].set_xlim(reach)  # of all panels, which share it
    for column, setting in zip(grid.T, settings, strict=True):
        highest, *_, lowest = [axes for axes in column if axes.get_visible()] * 2
        highest.set_title(setting)
        lowest.set_xlabel("hybrid minus it, mAP")
        lowest.tick_params(labelbottom=True)
    note = (
        f"95% intervals over {_drawn(table)}; filled where they exclude 0. Grey band: within .01 mAP; what is surely "
        "not 0 keeps its direction there too."
    )
    if table["low"].min() < reach[0] or table["high"].max() > reach[1]:
        note += " Arrow: beyond the axis."
    return style.frame(figure, run, "mAP of hybrid less that of each other strategy", note)


@style.house()
def paper_and_ours(run: Run) -> Figure:
    """Every cell of the paper's tables 3 to 8 against ours, one panel a measure and setting."""
    table = tables.read(run, "ledger.csv.bz2").dropna(subset=["ours"])
    table = table[table["table"] >= 3]
    kinds = dict(list(table.groupby(["metric", "setting"], sort=False)))
    if not kinds:
        return style.empty(run, "None of the paper's test sets is part of this run")
    figure, tiled = panels.tiles(run, len(kinds), 4, 0.8, 2.3)
    grid = tiled.ravel()
    strategies = ["x-x-mono", "x-y", "hybrid"]
    for axes, ((metric, setting), part) in zip(grid, kinds.items(), strict=False):
        for name in strategies:
            look, one = style.look(name), part[part["strategy"] == name]
            mean, rest = (one[(one["language"] == "mean") == is_mean] for is_mean in (True, False))
            axes.scatter(rest["paper"], rest["ours"], s=9, alpha=0.45, linewidths=0, **look)
            axes.scatter(mean["paper"], mean["ours"], s=42, edgecolor="white", linewidths=0.7, zorder=3, **look)
        low, high = part[["paper", "ours"]].min().min(), part[["paper", "ours"]].max().max()
        axes.plot([low, high], [low, high], color=style.GREY, linewidth=0.7, zorder=0)
        axes.set_title(f"{metric.replace('_', ' ')}\n{setting}", fontsize=9)
        axes.grid()
    for axes in tiled[:, 0]:
        axes.set_ylabel("ours")
    for axes in grid[max(0, len(kinds) - tiled.shape[1]) : len(kinds)]:
        axes.set_xlabel("paper")
    if len(kinds) < len(grid):
        panels.legend(grid[len(kinds)], strategies, columns=1)
    else:
        panels.legend(grid[0], strategies)
        grid[0].set_title(", ".join(next(iter(kinds))), fontsize=9, pad=20)
    total, chance = ledger.summary(table).sum(), ledger.by_chance(table)
    directions, orders = total["directions that agree"], total["orders that agree"]
    note = (
        f"Hybrid stands to the other strategy as in the paper in {directions:.0f} of {total['of']:.0f} comparisons "
        f"({chance[0]:.0f} if our three values are shuffled); all three in its order in {orders:.0f} of "
        f"{total['of groups']:.0f} ({chance[1]:.0f}). Small: a query language. Large: the mean. Equal values (the "
        "line) are not expected of another encoder. Ours count twice, beside XLM-R and beside LaBSE."
    )
    return style.frame(figure, run, "The paper's numbers and ours", note)


def _reach(table: pd.DataFrame) -> tuple[float, float]:
    """The ends of the forest's axis: room for the intervals against the two strategies that hybrid is made of."""
    parts = table[table["baseline"].isin(["x-x-mono", "x-y"])]
    shown = parts if len(parts) else table
    low, high = np.array([-1, 1]) * effects.MARGIN
    for name in ("low", "high", "difference"):  # of one article and seed there is no interval
        low, high = np.nanmin([low, shown[name].min()]), np.nanmax([high, shown[name].max()])
    return low - 0.2 * (high - low), high + 0.2 * (high - low)


def _drawn(table: pd.DataFrame) -> str:
    """What the intervals of a table are drawn over; see `evidence.effects.table`."""
    single = table["seeds"] == 1
    if not single.any():
        return "articles and seeds"
    if single.all():
        return "articles alone"
    return "articles and seeds (of 1 seed: as seeds vary after other trainings on that test, if any)"


def drawable(run: Run) -> dict[str, bool]:
    """Whether a run has numbers for each of these figures."""
    log, effect = tables.read(run, "training_log.csv.bz2"), tables.read(run, "effects.csv")
    compared = tables.read(run, "ledger.csv.bz2")
    alphas = log.loc[log["strategy"].isin(["hybrid", "x-y", "x-x-mono"]), "alpha"].nunique() if len(log) else 0
    return {
        "alpha": alphas > 1,
        "forest": (effect["strategy"] == effects.hybrid(run)).any() and (effect["baseline"] != "none").any(),
        "ledger": compared["ours"].notna().any(),
    }
