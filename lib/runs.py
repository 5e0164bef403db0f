"""What the notebooks call: open a run, train its models, evaluate them, write its tables."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from lib import cells, checks, config, cost, data, device, download, grid, progress, tables
from lib.config import FACTS_ONLY, Run
from lib.errors import UserError

MIRROR_ONLY = ("parallel-docs", "miracl-mini")
NOT_OBTAINABLE = "data not obtainable"
NOWHERE = "which can be had neither from a mirror nor from its origin; set HYBRID_DATA_MIRROR to a folder that holds it"

# Bars are not shown in notebooks, so that tqdm needs no widgets for them.
warnings.filterwarnings("ignore", message="IProgress not found")


def open(profile: str, overrides: Sequence[str] = (), finished: bool = False) -> Run:
    """Load a profile with overrides; `default` falls back to the facts corpus where its data cannot be had.

    Sets that exist only in a mirror are left out of a profile that names others too, and the banner says so.

    Args:
        finished: look only at the cells that are finished, and make none.

    Raises:
        UserError: as `lib.config.load`, or a data set is not obtainable, or no cell is finished.
    """
    run = _scored_on_own(config.load(profile, overrides))
    lacking = [name for name in _sets(run.config) if os.environ.get("HYBRID_FALLBACK") or not obtainable(name)]
    if lacking and profile == "default":
        run = run.on_facts()
    elif lacking:
        run = replace(run, config=_without(run, lacking), left_out=tuple(lacking))
    if run.config.checkpoint == "validation" and not obtainable("squadshifts"):
        raise UserError(f"checkpoint=validation needs squadshifts, {NOWHERE}; or use checkpoint=last")
    checks.plan(run)
    if finished or os.environ.get("HYBRID_FINISHED"):
        run = replace(run, finished=True)
        cells.adopt_published(run)
        if not cells.of(run):
            raise UserError(f"run {run.name}: no cell is finished yet; run it without --finished")
    return run


def _scored_on_own(run: Run) -> Run:
    """A run that trains on files of a person's own, and is not told what to score, is scored on their held-out rows.

    Where a file has none (its key ``split`` says train in each row), the profile's sets stay.
    """
    own = [name for name in run.config.train if data.is_own(name)]
    if own != list(run.config.train) or any(text.startswith("eval=") for text in run.overrides):
        return run
    held = tuple(f"{name}-heldout" for name in own)
    if not all(len(data.evaluation_set(name).questions) for name in held):
        return run
    return replace(run, config=replace(run.config, eval=held))


def _without(run: Run, lacking: list[str]) -> config.Config:
    """The configuration less the sets that exist only in a mirror; others must be there."""
    if needed := [name for name in lacking if name not in MIRROR_ONLY]:
        raise UserError(f"profile {run.profile} needs {', '.join(needed)}, {NOWHERE}; or use profile default or smoke")
    left = {
        key: tuple(name for name in getattr(run.config, key) if name.removesuffix("-heldout") not in lacking)
        for key in ("train", "eval")
    }
    if not all(left.values()):
        raise UserError(f"{', '.join(lacking)}: {NOT_OBTAINABLE}; set HYBRID_DATA_MIRROR to a folder that holds it")
    return replace(run.config, **left)


def obtainable(name: str) -> bool:
    """Whether a data set is in the mirror, downloaded already, or its origin answers."""
    return download.status(name) != "not obtainable"


def banner(run: Run) -> str:
    """One or two lines that say what a reader is looking at; the first thing that every notebook prints."""
    where = f"run {run.name}: encoder {run.config.encoder}, trained on {', '.join(run.config.train)}"
    line = f"{where}, scored on {', '.join(run.config.eval)}, seeds {', '.join(map(str, run.config.seeds))}"
    if run.fallback:
        return f"{FACTS_ONLY}\n{line}"
    left_out = f"\nnot run: {', '.join(run.left_out)}: {NOT_OBTAINABLE}" if run.left_out else ""
    done = f"\n{len(cells.of(run))} of {len(grid.plan(run.config))} cells are finished" if run.finished else ""
    return line + left_out + done


def train(run: Run) -> pd.DataFrame:
    """Train the models of all cells that are not finished; returns one row a training, and writes the log.

    Of cells that share a training the first one; if that one is finished, the others train when they are evaluated.
    """
    rows = []
    for cell in grid.trainings(cells.of(run)):
        log = pd.DataFrame(cells.training_log(run, cell)["steps"])
        losses = log["loss"]
        row = {"train": cell.train, "strategy": cell.label, "seed": cell.seed, "steps": len(log)}
        row["monolingual batches"] = int((log["kind"] == "mono").sum())
        rows.append(row | {"loss, first 10": losses[:10].mean(), "loss, last 10": losses[-10:].mean()})
    tables.write_training_log(run)
    return pd.DataFrame(rows)


def evaluate(run: Run) -> pd.DataFrame:
    """Finish all cells and write the tables, unless they are there; returns the table of macro means."""
    for cell in cells.of(run):
        cells.finish(run, cell)
    if not tables.current(run):
        tables.write(run)
    return tables.read(run, "metrics.csv")


def judge(run: Run) -> pd.DataFrame:
    """Finish all cells, write the tables of evidence, unless they are there; returns the verdicts (`lib.claims`)."""
    from lib import evidence

    evaluate(run)
    evidence.write(run)
    return tables.read(run, "claims.csv")


def headline(metrics: pd.DataFrame) -> pd.DataFrame:
    """The main table: mAP in the three settings and rank distance, for each training, test set and strategy."""
    wanted = (metrics["metric"] == "map") | (metrics["metric"] == "rank_distance")
    chosen = metrics[wanted].assign(column=lambda t: t["setting"].where(t["metric"] == "map", "rank distance"))
    chosen["strategy"] = tables.labels(chosen)
    order = ["monolingual", "cross-lingual", "multilingual", "rank distance"]
    table = chosen.pivot_table(
        index=["dataset", "train", "strategy"], columns="column", values="value", aggfunc="mean", sort=False
    )
    return table[[name for name in order if name in table]].rename_axis(columns=None)


def estimate(run: Run, missing: list[grid.Cell]) -> float:
    """Seconds that cells will about take on two cores; measured on AVX512-BF16 hardware without AMX."""
    step, text = SECONDS.get(run.config.encoder, SECONDS["e5-small-q4"])
    slower = 1.0 if device.precision(run.config.precision) == "bfloat16" or step < 0.1 else 1.8
    total = 0.0
    for cell in missing:
        if cell.train != grid.NONE:
            total += 15 + run.config.steps * step * run.config.batch_size / 32 * slower
        for name in grid.evaluated(cell, run.config):
            if name == data.BY_SHARD:  # of which nothing is here yet
                total += cost.TEXTS[name] * text * slower
                continue
            chosen = data.evaluation_set(name, run.config.candidates)
            total += 5 + (len(chosen.queries) + len(chosen.passages)) * text * slower
    return total


SECONDS = {"static": (0.05, 0.0001), "e5-small-q4": (1.7, 0.0045)}  # a step of 32 pairs; a text


def estimate_text(run: Run, missing: list[grid.Cell]) -> str:
    """The estimate for people."""
    return f"about {progress.duration(max(60.0, estimate(run, missing)))} of computing" if missing else "no training"


def _sets(chosen: config.Config) -> list[str]:
    """The sets of a configuration that are downloaded."""
    names = [name.removesuffix("-heldout") for name in (*chosen.train, *chosen.eval)]
    return [name for name in dict.fromkeys(names) if download.files_of(name)]
