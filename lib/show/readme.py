"""What the project's README quotes from published runs: the answer, from `full`, and the main table, from `default`."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from lib.base import paths
from lib.base import store as artifacts
from lib.base.config import Run
from lib.evaluation import measures
from lib.evidence import effects, findings, shift, tables, wording
from lib.figures import bias as figures_bias
from lib.figures import style
from lib.runs import plan as grid

Text = Callable[[Run, str], str]
CLOSE = 0.001  # mAP: an interval that ends nearer to 0 is named
signed = partial(wording.number, sign=True)
BEGIN, END = "<!-- {}: written by run_all.sh --publish -->", "<!-- end of {} -->"
MEANING = (
    "D is how much more hybrid batches lose than a baseline does, in multilingual mAP, from held-out questions of "
    "their training set to MLQA-R; negative means that hybrid is more robust. Who gains more at home has more to lose, "
    "so hybrid minus baseline stands beside it, at home and on MLQA-R."
)


def update(run: Run) -> bool:
    """Put a published run's numbers into the README, between their marks; whether there was something to put."""
    if run.name not in QUOTED:
        return False
    part, write = QUOTED[run.name]
    begin, end = BEGIN.format(part), END.format(part)
    readme = paths.ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(begin)
    text = write(run, tables.made_from(run))
    artifacts.write_text(readme, f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")
    return True


def quoted(part: str) -> str:
    """What the README says between the marks of a part."""
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    return text.split(BEGIN.format(part))[1].split(END.format(part))[0].strip()


def results(run: Run, digest: str) -> str:
    """The main table in Markdown, with the run that it came from."""
    table = tables.headline(tables.read(run, "metrics.csv")).reset_index()
    numbers = table.columns[3:]
    lines = [f"| tested on | trained on | strategy | {' | '.join(numbers)} |", "|---|---|---|" + "---:|" * len(numbers)]
    for row in table.itertuples(index=False):
        values = [
            f"{x:,.0f}" if name == "rank distance" else f"{x:.3f}" for name, x in zip(numbers, row[3:], strict=True)
        ]
        lines.append(f"| {row.dataset} | {row.train} | {row.strategy} | {' | '.join(values)} |")
    seeds = ", ".join(map(str, run.config.seeds))
    source = (
        f"mAP, and rank distance (lower is better). Run `{run.name}`, encoder `{run.config.encoder}`, seed {seeds}, "
    )
    return "\n".join([*lines, "", f"{source}cells `{digest}`."])


def answer(run: Run, digest: str) -> str:
    """The answer to the research question in Markdown, with its intervals, and the verdict on each claim."""
    table = tables.read(run, "domain_shift.csv")
    verdict, rows = compared(table)
    lines = [
        f"**{style.capital(verdict)}.** {outcome(rows)} {MEANING}",
        "",
        "| shift | trained on | against | at home | on MLQA-R [95% interval] | D [95% interval] | that is | seeds |",
        "|---|---|---|---:|---|---|---|---:|",
    ]
    for row in rows.itertuples():
        away = f"{signed(row.away)} [{signed(row.away_low)}, {signed(row.away_high)}]"
        numbers = f"{signed(row.home)} | {away} | {signed(row.value)} [{signed(row.low)}, {signed(row.high)}]"
        lines.append(f"| {row.shift} | {row.train} | {row.baseline} | {numbers} | {row.verdict} | {row.seeds} |")
    claims = tables.read(run, "claims.csv").fillna("")
    judged = [
        f"{wording.verdicts(claims)}. S is ours, RQ the question above.",
        "",
        "| | claim | verdict | why |",
        "|---|---|---|---|",
    ]
    judged += [f"| {row.id} | {row.claim} | {row.verdict} | {row.reason} |" for row in claims.itertuples()]
    made, planned = len(tables.made_cells(run)), len(grid.plan(run.config))
    rest = f", {made} of {planned} planned" if made < planned else ""
    source = f"Run `{run.name}`, encoder `{run.config.encoder}`, cells `{digest}`{rest}."
    told = [near_and_far(rows), *beside(run, rows)]
    return "\n".join([*lines, "", *(f"- {text}" for text in told), "", *judged, "", source])


def compared(table: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The verdict on the research question, and its rows, with hybrid minus baseline at ``home`` and ``away``.

    Column ``stands`` says how hybrid is away by the interval there (see `lib.wording.standing`).
    """
    verdict, rows = shift.answer(table)
    whole = table[(table["dataset"] == "mlqa-r") & (table["setting"] == "multilingual") & (table["languages"] == "all")]
    parts = {(row.quantity, row.train, row.baseline): row for row in whole.itertuples()}
    keys = list(zip(rows["train"], rows["baseline"], strict=True))
    home, away = ([parts[name, *key] for key in keys] for name in (shift.AT_HOME, shift.AWAY))
    stands = [wording.standing(row.low, row.high) for row in away]
    rows = rows.assign(away_low=[row.low for row in away], away_high=[row.high for row in away], stands=stands)
    return verdict, rows.assign(home=[row.value for row in home], away=[row.value for row in away])


def outcome(rows: pd.DataFrame) -> str:
    """How robust hybrid is after each training, and how it stands on MLQA-R itself, whatever it lost on the way.

    ``rows`` are those of `compared`; of few seeds it says so, since another seed gives another model.
    """
    said = []
    for (shifted, train), part in rows.groupby(["shift", "train"], sort=False):
        few = part["seeds"].min() < effects.ENOUGH_SEEDS
        waits = f" (provisional: {wording.counted_seeds(part['seeds'])})" if few else ""
        stands = wording.sides(dict(zip(part["baseline"], part["stands"], strict=True)))
        said.append(
            f"In the {shifted} shift, trained on {style.name(train)}{waits}, hybrid is {wording.robust(part)}; "
            f"on MLQA-R itself it is {stands}."
        )
    return " ".join(said)


def beside(run: Run, rows: pd.DataFrame) -> list[str]:
    """What a reader of the answer has to know with it, a text each; ``rows`` are those of `compared`."""
    found = (close_calls(rows), nothing_to_lose(run), least_biased(run), without_training(run))
    return [text for text in found if text]


def close_calls(rows: pd.DataFrame) -> str:
    """The comparisons on MLQA-R whose interval ends next to 0."""
    ends = []
    for row in rows.itertuples():
        end = min(row.away_low, row.away_high, key=abs)
        if abs(end) < CLOSE:
            shown = wording.number(end, sign=True, places=4)
            ends.append(f"that against {row.baseline} after training on {style.name(row.train)} ends at {shown}")
    if not ends:
        return ""
    them = "them" if len(ends) > 1 else "it"
    return (
        f"By a hair: of the intervals on MLQA-R itself {wording.joined(ends)}; other seeds could take {them} across 0."
    )


def nothing_to_lose(run: Run) -> str:
    """Baselines that are below no fine-tuning on held-out questions of their own training set already."""
    table = tables.read(run, "domain_shift.csv")
    gains = table[(table["quantity"] == shift.GAIN_IN) & (table["languages"] == effects.ALL) & (table["high"] < 0)]
    gains = gains[(gains["setting"] == "multilingual") & (gains["dataset"] == "mlqa-r")]
    said = []
    for strategy, rows in gains[gains["strategy"].isin(shift.BASELINES)].groupby("strategy", sort=False):
        where = wording.joined(f"{wording.difference(r.value)} on {style.name(r.train)}" for r in rows.itertuples())
        said.append(
            f"{strategy} has no gain to lose, so D against it says little: it is below no fine-tuning on held-out "
            f"questions of its own training set already (multilingual mAP {where})."
        )
    return " ".join(said)


def least_biased(run: Run) -> str:
    """How often hybrid is the least biased, and how often less biased than x-x-mono (see `lib.figures_bias`)."""
    table = findings.chosen(tables.read(run, "bias.csv.gz"))
    found = findings.by_task(table)
    best = [names for each in figures_bias.best_by_measure(found).values() for names in each]
    if not best or not {"hybrid", "x-x-mono"} <= set(table["strategy"]):
        return ""
    shown = pd.concat(found.values())
    shown = shown[shown["measure"].isin(figures_bias.SHOWN)]
    means = shown.groupby(["measure", "train", "dataset", "strategy"])["value"].mean().unstack()
    means = means[["hybrid", "x-x-mono"]].dropna()
    lower = means.index.get_level_values("measure").isin(measures.LOWER_IS_BETTER)
    less = (means["hybrid"] - means["x-x-mono"]) * np.where(lower, -1, 1) > 0
    return (
        f"Language bias, by {len(figures_bias.SHOWN)} measures after each training, {len(best)} cases: least biased, "
        f"or about equal to that, is {figures_bias.times(best)}; hybrid is less biased than x-x-mono in {less.sum()} "
        f"of {len(less)}."
    )


def without_training(run: Run) -> str:
    """Multilingual mAP of the encoder as it is, centred, and fine-tuned with hybrid batches on the other benchmark."""
    table = tables.read(run, "metrics_variants.csv")
    table = table[(table["metric"] == "map") & (table["setting"] == "multilingual")]
    table = table[table["strategy"].eq("none") | (tables.labels(table) == "hybrid 0.5")]
    means = table.groupby(["dataset", "train", "variant"])["value"].mean()
    said = []
    for dataset, train in (("mlqa-r", "xquad-r"), ("xquad-r", "mlqa-r")):
        wanted = [(grid.NONE, "all queries"), (grid.NONE, "centred"), (train, "all queries")]
        if all((dataset, *key) in means.index for key in wanted):
            before, centred, hybrid = (wording.number(means[dataset, *key]) for key in wanted)
            beside = f"hybrid, trained on {style.name(train)}: {hybrid}"
            said.append(f"from {before} to {centred} on {style.name(dataset)} ({beside})")
    if not said:
        return ""
    return (
        "Without any training: subtracting each language's mean vector takes multilingual mAP of the encoder as it is "
        f"{wording.joined(said)}. The means are those of the test's own texts, and the language of each text has to be "
        "known; notebook 04 shows it for every strategy."
    )


def near_and_far(rows: pd.DataFrame) -> str:
    """What the two kinds of shift are, and what of them has not been run."""
    text = "Near is Wikipedia to Wikipedia, far is software documentation to Wikipedia."
    missing = []
    for shifted in ("near", "far"):
        there = set(rows.loc[rows["shift"] == shifted, "baseline"])
        absent = [name for name in shift.BASELINES if name not in there]
        if absent:
            missing.append(f"{shifted} against {wording.joined(absent)}" if there else shifted)
    if "far" in set(rows["shift"]):
        text += " At home, documentation is searched among its own held-out passages alone, so compare D within a kind."
    return text + (f" Not run yet: {'; '.join(missing)}." if missing else "")


QUOTED: dict[str, tuple[str, Text]] = {"default": ("results", results), "full": ("answer", answer)}
