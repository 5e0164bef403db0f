"""What the notebooks call: open a run, train its models, evaluate them, write its tables."""

import os
import warnings
from collections.abc import Sequence

import pandas as pd

from lib import cells, config, data, device, download, progress, tables
from lib.config import FACTS_ONLY, Run
from lib.errors import UserError

# Bars are not shown in notebooks, so that tqdm needs no widgets for them.
warnings.filterwarnings("ignore", message="IProgress not found")


def open(profile: str, overrides: Sequence[str] = ()) -> Run:
    """Load a profile with overrides; `default` falls back to the facts corpus where its data cannot be had.

    Raises:
        UserError: as `lib.config.load`, or a data set of another profile is not obtainable.
    """
    run = config.load(profile, overrides)
    for cell in cells.plan(run.config):
        if not cells.evaluated(cell, run.config):
            raise UserError(f"train={cell.train}: eval names nothing but the training set; add another set to eval")
    lacking = [name for name in _benchmarks(run) if os.environ.get("HYBRID_FALLBACK") or not obtainable(name)]
    if not lacking:
        return run
    if profile == "default":
        return run.on_facts()
    raise UserError(
        f"profile {profile} needs {', '.join(lacking)}, which can be had neither from a mirror nor from the origin; "
        "set HYBRID_DATA_MIRROR to a folder that holds them, or use profile default or smoke"
    )


def obtainable(name: str) -> bool:
    """Whether a data set is in the mirror, downloaded already, or its origin answers."""
    return download.status(name) != "not obtainable"


def banner(run: Run) -> str:
    """One or two lines that say what a reader is looking at; the first thing that every notebook prints."""
    where = f"run {run.name}: encoder {run.config.encoder}, trained on {', '.join(run.config.train)}"
    line = f"{where}, scored on {', '.join(run.config.eval)}, seeds {', '.join(map(str, run.config.seeds))}"
    return f"{FACTS_ONLY}\n{line}" if run.fallback else line


def train(run: Run) -> pd.DataFrame:
    """Train the models of all cells that are not finished; returns one row a training, and writes the log."""
    rows = []
    for cell in cells.plan(run.config):
        if cell.train == cells.NONE:
            continue
        log = pd.DataFrame(cells.training_log(run, cell)["steps"])
        losses = log["loss"]
        row = {"train": cell.train, "strategy": cell.label, "seed": cell.seed, "steps": len(log)}
        row["monolingual batches"] = int((log["kind"] == "mono").sum())
        rows.append(row | {"loss, first 10": losses[:10].mean(), "loss, last 10": losses[-10:].mean()})
    tables.write_training_log(run)
    return pd.DataFrame(rows)


def evaluate(run: Run) -> pd.DataFrame:
    """Finish all cells and write the tables, unless they are there; returns the table of macro means."""
    for cell in cells.plan(run.config):
        cells.finish(run, cell)
    if not tables.current(run):
        tables.write(run)
    return tables.read(run, "metrics.csv")


def headline(metrics: pd.DataFrame) -> pd.DataFrame:
    """The main table: mAP in the three settings and rank distance, for each training, test set and strategy."""
    wanted = (metrics["metric"] == "map") | (metrics["metric"] == "rank_distance")
    chosen = metrics[wanted].assign(column=lambda t: t["setting"].where(t["metric"] == "map", "rank distance"))
    chosen["strategy"] = chosen["strategy"].where(
        chosen["strategy"] != "hybrid", "hybrid " + chosen["alpha"].map("{:g}".format)
    )
    order = ["monolingual", "cross-lingual", "multilingual", "rank distance"]
    table = chosen.pivot_table(
        index=["dataset", "train", "strategy"], columns="column", values="value", aggfunc="mean", sort=False
    )
    return table[[name for name in order if name in table]].rename_axis(columns=None)


def estimate(run: Run, missing: list[cells.Cell]) -> float:
    """Seconds that cells will about take on two cores; measured on AVX512-BF16 hardware without AMX."""
    step, text = SECONDS.get(run.config.encoder, SECONDS["e5-small-q4"])
    slower = 1.0 if device.precision(run.config.precision) == "bfloat16" or step < 0.1 else 1.8
    total = 0.0
    for cell in missing:
        if cell.train != cells.NONE:
            total += 15 + run.config.steps * step * run.config.batch_size / 32 * slower
        for name in cells.evaluated(cell, run.config):
            chosen = data.evaluation_set(name, run.config.candidates)
            total += 5 + (len(chosen.queries) + len(chosen.passages)) * text * slower
    return total


SECONDS = {"static": (0.05, 0.0001), "e5-small-q4": (2.2, 0.0056)}  # a step of 32 pairs; a text


def estimate_text(run: Run, missing: list[cells.Cell]) -> str:
    """The estimate for people."""
    return f"about {progress.duration(max(60.0, estimate(run, missing)))} of computing" if missing else "no training"


def _benchmarks(run: Run) -> list[str]:
    names = [name.removesuffix("-heldout") for name in (*run.config.train, *run.config.eval)]
    return [name for name in dict.fromkeys(names) if download.files_of(name)]
