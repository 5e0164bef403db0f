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
signed = partial(wording.number, sign=True)
BEGIN, END = "<!-- {}: written by run_all.sh --publish -->", "<!-- end of {} -->"
MEANING = (
    "The test is held fixed and the training set changes: C is what multilingual mAP loses when a strategy is trained "
    "on software documentation instead of the other Wikipedia benchmark, D is C of hybrid batches less C of the "
    "baseline; negative means that hybrid is more robust. The word against each baseline is corrected for all of them."
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
        f"mAP, and rank distance (lower is better). Run `{run.name}`, encoder `{run.config.encoders}`, seed {seeds}, "
    )
    return "\n".join([*lines, "", f"{source}cells `{digest}`."])


def answer(run: Run, digest: str) -> str:
    """The answer to the research question in Markdown, with its intervals, and the verdict on each claim."""
    table = tables.read(run, "domain_shift.csv")
    rows = compared(table)
    lines = [
        f"**{style.capital(shift.verdict(shift.answer(table)))}.** {MEANING}",
        "",
        "| encoder | tested on | trained on, not on | against | C | its C | D [95% interval] | that is | seeds |",
        "|---|---|---|---|---:|---:|---|---|---:|",
    ]
    for row in rows.itertuples():
        sources = f"{row.farther}, {row.nearer}"
        numbers = (
            f"{signed(row.hybrid)} | {signed(row.cost)} | {signed(row.value)} [{signed(row.low)}, {signed(row.high)}]"
        )
        names = f"{row.encoder} | {row.test} | {sources} | {row.baseline}"
        lines.append(f"| {names} | {numbers} | {row.verdict} | {row.seeds} |")
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
    source = f"Run `{run.name}`, encoder `{run.config.encoders}`, cells `{digest}`{rest}."
    return "\n".join([*lines, "", *(f"- {text}" for text in beside(run)), "", *judged, "", source])


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """D of the far shift on MLQA-R, and of its mirror on XQuAD-R, with the costs of hybrid and of the baseline."""
    rows = pd.concat([shift.answer(table, test) for test in ("mlqa-r", "xquad-r")])
    costs = table[(table["quantity"] == shift.COST) & (table["languages"] == effects.ALL)]
    costs = costs.set_index(["encoder", "test", "nearer", "farther", "setting", "strategy"])["value"]
    keys = [tuple(row) for row in rows[["encoder", "test", "nearer", "farther", "setting"]].itertuples(index=False)]
    hybrid = [costs[*key, name] for key, name in zip(keys, rows["strategy"], strict=True)]
    return rows.assign(hybrid=hybrid, cost=[costs[*key, b] for key, b in zip(keys, rows["baseline"], strict=True)])


def beside(run: Run) -> list[str]:
    """What a reader of the answer has to know with it, a text each."""
    return [text for text in (least_biased(run), without_training(run)) if text]


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


QUOTED: dict[str, tuple[str, Text]] = {"default": ("results", results), "full": ("answer", answer)}
