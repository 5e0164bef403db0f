"""The figures of a run, made from its tables and the paper's published numbers.

Each function draws one figure, titled with what it shows.
"""

import pandas as pd
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..base import paths
from ..base.config import Run
from ..data import catalog as data
from ..evaluation import bias, measures, metrics
from ..evidence import effects, selection, tables
from ..runs import cells
from ..runs import names as names_of
from ..runs.plan import evaluated
from . import panels, style

FIRST_BATCHES = 24
ELSEWHERE = "Grey and hollow: the paper's numbers, of other encoders fine-tuned on other data."


@style.house()
def data_at_a_glance(run: Run) -> Figure:
    """Questions and passages by language, and in how many languages questions are asked, for each evaluated set."""
    scored = {name for cell in cells.of(run) for name in evaluated(cell, run.config)} or set(run.config.eval)
    scored = [name for name in run.config.eval if name in scored]
    names = [name for name in scored if not name.endswith(selection.PARTS) and name != data.BY_SHARD] or scored
    sets = {name: data.outline(name, run.config.candidates) for name in names}
    most = max(len(chosen.languages) for chosen in sets.values())
    figure = style.new(run, 2.7 + 0.33 * min(panels.MOST, most))
    grid = figure.subplots(2, len(sets), squeeze=False, height_ratios=[4, 1])
    columns = 2 if len(sets) <= 2 else 1  # of a legend, which is as wide as its panel
    for (upper, lower), (name, chosen) in zip(grid.T, sets.items(), strict=True):
        panels.sizes(upper, chosen, columns)
        upper.set_title(style.capital(style.name(name)), pad=20 if columns == 2 else 34)
        if columns == 1:
            upper.xaxis.set_major_locator(MaxNLocator(3))
            lower.xaxis.set_major_locator(MaxNLocator(3))
        counts = selection.languages_of_questions(chosen)
        bars = lower.barh([str(n) for n in counts.index], counts, color=panels.DARK, height=0.6)
        lower.bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=2)
        lower.xaxis.set_major_formatter("{x:,.0f}")
        lower.set(xlabel="questions", xlim=(0, counts.max() * 1.14), ylim=(-0.6, max(len(counts), 2) - 0.4))
    grid[0, 0].set_ylabel("language")
    grid[1, 0].set_ylabel("asked in how\nmany languages")
    note = panels.ends_note(most, "number of passages")
    note += "A question counts once in each language that it is asked in. Passages are the candidates to be ranked."
    return style.frame(figure, run, "Questions and passages in each language", note)


@style.house()
def batch_composition(run: Run) -> Figure:
    """Languages of the first batches of each strategy, and all its pairs of query and passage language."""
    whole = selection.chosen(tables.read(run, "training_log.csv.bz2"))
    counts = selection.pairs_of_steps(whole[whole["seed"] == run.config.seeds[0]])
    train = counts.groupby("train", sort=False)["query"].nunique().idxmax()
    counts = counts[counts["train"] == train]
    names = [name for name in style.STRATEGIES if name in set(counts["strategy"])]
    pairs = pd.concat([counts.set_index(side)["pairs"] for side in ("query", "passage")])
    languages = panels.ends(pairs.groupby(level=0).sum())
    figure = style.new(run, 1.2 + len(names) * (0.3 + 0.16 * len(languages)))
    grid = figure.subplots(len(names), 2, squeeze=False, width_ratios=[2.4, 1])
    steps = range(1, 1 + min(FIRST_BATCHES, int(counts["step"].max())))
    for column, (over, shown) in zip(grid.T, {"step": steps, "passage": languages}.items(), strict=True):
        spread = counts.pivot_table("pairs", ["strategy", "query"], over, aggfunc="sum", fill_value=0)
        for axes, name in zip(column, names, strict=True):
            matrix = spread.loc[name].reindex(index=languages, columns=shown, fill_value=0)
            panels.heat(axes, matrix, panels.shades(style.COLOURS[name]), PowerNorm(0.5, 0, spread.to_numpy().max()))
    for (left, right), name in zip(grid, names, strict=True):
        left.set_title(f"{name}: its first {len(steps)} batches")
        left.set_ylabel("query language")
        right.set_title("all its batches")
    grid[-1, 0].set_xlabel("training step")
    grid[-1, 1].set_xlabel("passage language")
    note = panels.ends_note(pairs.index.nunique(), "number of pairs")
    note += f"Training on {style.name(train)}, seed {run.config.seeds[0]}. The darker, the more pairs."
    return style.frame(figure, run, "Which languages meet in a batch", note)


@style.house()
def loss_curves(run: Run) -> Figure:
    """Loss by step, one panel a training set: each seed faint, their smoothed mean strong."""
    log = selection.chosen(tables.read(run, "training_log.csv.bz2"))
    sets = list(dict.fromkeys(log["train"]))
    figure = style.new(run, 3.9)
    for axes, train in zip(figure.subplots(1, len(sets), squeeze=False, sharey=True)[0], sets, strict=True):
        for name in style.STRATEGIES:
            part = log[(log["train"] == train) & (log["strategy"] == name)]
            for _, raw in part.groupby("seed"):
                axes.plot(raw["step"], raw["loss"], color=style.COLOURS[name], alpha=0.3, linewidth=0.7)
            mean = part.groupby("step")["loss"].mean()
            if len(mean):
                mean = mean.rolling(selection.few(len(mean)), min_periods=1).mean()
                axes.plot(mean, color=style.COLOURS[name], linestyle=style.LINES[name], linewidth=2)
        axes.set(title=f"Training on {style.name(train)}", xlabel="training step")
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.axes[0].set_ylabel("loss (InfoNCE, nats)")
    figure.axes[0].set_ylim(0, None)  # of all panels, which share it, once all are drawn
    names = [name for name in style.STRATEGIES if name in set(log["strategy"])]
    lines = [Line2D([], [], color=style.COLOURS[n], linestyle=style.LINES[n], linewidth=2, label=n) for n in names]
    figure.axes[-1].legend(handles=lines, handlelength=3)
    window = selection.few(int(log["step"].max()))
    note = (
        f"Strong lines: mean of the last {window} steps, over seeds. To tell passages of one language apart is "
        "another task than across languages: compare a curve with its own start, not with the others."
    )
    return style.frame(figure, run, "Training loss by step", note)


@style.house()
def map_by_setting(run: Run) -> Figure:
    """The main figure: mAP of each strategy in each setting, beside no fine-tuning and the paper's numbers."""
    table = tables.read(run, "metrics.csv")
    shown = selection.chosen(table[table["metric"] == "map"])
    settings = [name for name in metrics.SETTINGS if name in set(shown["setting"])]
    groups = {task: _beside_the_paper(own, task[1]) for task, own in selection.by_task(shown).items()}
    rows = {task: panels.marks(group) for task, group in groups.items()}
    figure, parts = panels.subfigures(run, 0.9, {task: 0.9 + 0.185 * len(r) for task, r in rows.items()})
    strategies = list(shown["strategy"])
    baseline = next((name for name in ("x-x-mono", "none") if name in strategies), strategies[0])
    for part, (task, group) in zip(parts, groups.items(), strict=True):
        for axes, setting in zip(part.subplots(1, len(settings), squeeze=False)[0], settings, strict=True):
            one = group[group["setting"] == setting]
            panels.comparison(axes, one, rows[task], setting == settings[0], baseline)
            axes.axvspan(-effects.MARGIN, effects.MARGIN, color=panels.LIGHT, alpha=0.4, linewidth=0)
            axes.set_visible((one["source"] == "run").any())
            axes.set(title=setting, xlabel=f"mAP less that of {style.name(baseline)}")
    axis = f"The axis is mAP less that of {style.name(baseline)}, of the paper's encoders that of their own. "
    note = f"Numbers: mAP. {axis}{_means(shown)}Grey band: within {measures.number(effects.MARGIN)} of it. "
    note += f"Bold: the highest, and what is within {measures.number(effects.MARGIN)} of it."
    note += f" {ELSEWHERE}" if any((group["source"] != "run").any() for group in groups.values()) else ""
    return style.frame(figure, run, f"mAP in each setting, less that of {style.name(baseline)}", note)


@style.house()
def language_heat_maps(run: Run) -> Figure:
    """mAP of hybrid less that of x-x-mono, by language of query and passage."""
    table = tables.read(run, "metrics_by_language.csv.bz2")
    maps = selection.language_matrices(table)
    if not maps:
        return style.empty(run, "This run did not score both hybrid and x-x-mono across languages")
    most = max(len(mono) for mono, _ in maps.values())
    shown = {task: panels.ends(hybrid.mean(axis=1)) for task, (_, hybrid) in maps.items()}
    apart = {t: 100 * (hybrid - mono).reindex(shown[t], columns=shown[t]) for t, (mono, hybrid) in maps.items()}
    reach = max(2.0, 1.3 * max(float(part.abs().max(axis=None)) for part in apart.values()))
    size = max(len(part) for part in apart.values())
    figure, grid = panels.tiles(run, len(apart), 2, 1.3, 0.75 + 0.235 * size)
    for axes, (task, part) in zip(grid.ravel(), apart.items(), strict=False):
        mesh = panels.heat(axes, part, "PuOr", Normalize(-reach, reach), "{:+.0f}")
        axes.set(title=panels.test(task), xlabel="passage language")
    for axes in grid[:, 0]:
        axes.set_ylabel("query language")
    bar = figure.colorbar(mesh, ax=list(grid.ravel()), orientation="horizontal", aspect=60, pad=0.02, shrink=0.6)
    bar.set_label("mAP × 100 of hybrid, less that of x-x-mono")
    note = panels.ends_note(most, "mAP of hybrid") + (
        "Each query language on the corpus of each passage language; the diagonal is the monolingual setting. Violet "
        "where hybrid is higher, orange where x-x-mono is. One scale for all panels."
    )
    return style.frame(figure, run, "mAP of hybrid less that of x-x-mono, by language of query and passage", note)


@style.house()
def rank_distances(run: Run) -> Figure:
    """Rank distance of each query language and strategy, with the means of the paper."""
    table = selection.chosen(tables.read(run, "metrics_by_language.csv.bz2"))
    table = table[table["metric"] == "rank_distance"]
    found = selection.by_task(table)
    most = max(rows["query_language"].nunique() for rows in found.values())
    height = 0.4 + 0.24 * (min(panels.MOST, most) + 3)
    figure, tiled = panels.tiles(run, len(found), 2, 1.2, height, sharex=True)
    grid = tiled.ravel()
    notes = [_answers(name, run) for name in dict.fromkeys(test for _, test in found)]
    for axes, (task, rows) in zip(grid, found.items(), strict=False):
        paper = _paper("rank_distance", task[1])
        panels.distances(axes, rows, paper)
        axes.set_title(panels.test(task), pad=20)
        notes += [ELSEWHERE] if len(paper) and ELSEWHERE not in notes else []
    panels.rank_axis(grid[0])
    panels.legend(grid[0], [name for name in style.STRATEGIES if name in set(table["strategy"])])
    note = panels.ends_note(most, "rank distance") + _means(table) + " ".join(notes)
    return style.frame(figure, run, "Rank distance by query language: how far apart the right answers stand", note)


@style.house()
def top10_languages(run: Run) -> Figure:
    """Which languages fill the top 10 of each query language; the last row is the pool's own share."""
    table = selection.chosen(tables.read(run, "top10_languages.csv.bz2"))
    present = [name for name in style.STRATEGIES if name in set(table["strategy"])]
    names = [name for name in present if name in selection.COMPARED] or present[: len(selection.COMPARED)]
    parts = selection.by_task(table)
    most = max(part["query_language"].nunique() for part in parts.values())
    asked = {task: min(panels.MOST, part["query_language"].nunique()) for task, part in parts.items()}
    figure, places = panels.subfigures(run, 1.0, {task: 0.85 + 0.17 * (n + 1) for task, n in asked.items()})
    for part, rows in zip(places, parts.values(), strict=True):
        tops = {style.name(name): rows[rows["strategy"] == name] for name in names}
        matrices = {f"{said}: {bias.own_language_share(top):.0%} own": panels.shares(top) for said, top in tops.items()}
        bar = panels.side_by_side(part, matrices, PowerNorm(0.5, 0, 1), ticks=[0, 0.02, 0.1, 0.25, 0.5, 1])
        for axes, matrix in zip(part.axes, matrices.values(), strict=False):  # the last of the axes are the bar's
            axes.axhline(len(matrix) - 1, color="white", linewidth=4)
        bar.ax.set_yticklabels(["0%", "2%", "10%", "25%", "50%", "100%"])
        bar.set_label("share of the top 10")
    note = panels.ends_note(most, "own share") + (
        "Own: in the language of the query, mean over query languages. Each row adds up to 100%. "
        "Last row: the pool's shares, which a retriever blind to language would show."
    )
    note = note.replace("100%.", "100% over all languages.") if most > panels.MOST else note
    if any(data.is_scored_alone(test) for _, test in parts):
        note += " MIRACL answers a query in its own language alone: less of it is not better there."
    return style.frame(figure, run, "Languages of the first ten answers, by query language", note)


def _means(table: pd.DataFrame) -> str:
    """What marks stand for where there are several seeds."""
    foreign = table[~table["dataset"].str.endswith(selection.PARTS)].dropna(subset=["seed"])
    by_task = foreign.groupby(["train", "dataset"])["seed"].nunique()
    if not (by_task > 1).any():
        return ""
    return f"Means of {names_of.counted_seeds(by_task)}; thin dots and lines: each seed, and their range. "


def _beside_the_paper(own: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The mAP of a run and of the paper, told apart by ``source``: ``run``, or an encoder of the paper."""
    paper = _paper("map", dataset)
    every = [own.assign(source="run"), paper.assign(source=paper["encoder"])]
    return pd.concat([table[["source", "setting", "strategy", "value"]] for table in every])


def _paper(metric: str, dataset: str) -> pd.DataFrame:
    """The paper's means of a measure (its tables 3 to 8): XLM-R and LaBSE; empty for a set that it did not use."""
    table = pd.read_csv(paths.PUBLISHED / "results.csv").query("language == 'mean' and 3 <= table <= 8")
    return table[(table["metric"] == metric) & (table["dataset"] == dataset)]


def _answers(name: str, run: Run) -> str:
    """How many passages the rank distance is taken over."""
    counts = (data.outline(name, run.config.candidates).passage_rows >= 0).sum(axis=1)
    counts = counts[counts > 0]
    least, most = counts.min(), counts.max()
    over = f"{most}" if least == most else f"{least} to {most}"
    return f"On {style.name(name)} the measure covers {over} passages a question."
