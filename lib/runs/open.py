"""Open a run: read its profile, look at which data can be had, and say what a reader is looking at."""

import os
from collections.abc import Sequence
from dataclasses import replace

from lib.base import config, device, progress
from lib.base.config import FACTS_ONLY, Run
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.data import download
from lib.runs import cells
from lib.runs import estimate as cost
from lib.runs import plan as grid
from lib.runs import preflight as checks

MIRROR_ONLY = ("parallel-docs", "miracl-mini")
NOT_OBTAINABLE = "data not obtainable"
NOWHERE = "which can be had neither from a mirror nor from its origin; set HYBRID_DATA_MIRROR to a folder that holds it"


def open_run(profile: str, overrides: Sequence[str] = (), finished: bool = False) -> Run:
    """Load a profile with overrides; `default` falls back to the facts corpus where its data cannot be had.

    Sets that exist only in a mirror are left out of a profile that names others too, and the banner says so.

    Args:
        finished: look only at the cells that are finished, and make none.

    Raises:
        UserError: as `lib.config.load`, or a data set is not obtainable, or no cell is finished.
    """
    run = config.load(profile, overrides)
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
    where = f"run {run.name}: encoder {run.config.encoders}, trained on {', '.join(run.config.train)}"
    line = f"{where}, scored on {', '.join(run.config.eval)}, seeds {', '.join(map(str, run.config.seeds))}"
    if run.fallback:
        return f"{FACTS_ONLY}\n{line}"
    left_out = f"\nnot run: {', '.join(run.left_out)}: {NOT_OBTAINABLE}" if run.left_out else ""
    done = f"\n{len(cells.of(run))} of {len(grid.plan(run.config))} cells are finished" if run.finished else ""
    return line + left_out + done


def estimate(run: Run, missing: list[grid.Cell]) -> float:
    """Seconds that cells will about take on two cores; measured on AVX512-BF16 hardware without AMX."""
    total = 0.0
    for cell in missing:
        step, text = SECONDS.get(cell.encoder, SECONDS["e5-small-q4"])
        slower = 1.0 if device.precision(run.config.precision) == "bfloat16" or step < 0.5 else 1.8
        if cell.train != grid.NONE:
            total += 15 + run.config.steps * step * run.config.batch_size / 32 * slower
        for name in grid.evaluated(cell, run.config):
            if name == data.BY_SHARD:  # of which nothing is here yet
                total += cost.TEXTS[name] * text * slower
                continue
            chosen = data.evaluation_set(name, run.config.candidates)
            total += 5 + (len(chosen.queries) + len(chosen.passages)) * text * slower
    return total


SECONDS = {"static": (0.05, 0.0001), "use-m": (0.3, 0.0025), "e5-small-q4": (1.7, 0.0045)}  # a step of 32 pairs; a text


def estimate_text(run: Run, missing: list[grid.Cell]) -> str:
    """The estimate for people."""
    return f"about {progress.duration(max(60.0, estimate(run, missing)))} of computing" if missing else "no training"


def _sets(chosen: config.Config) -> list[str]:
    """The sets of a configuration that are downloaded."""
    names = [name.removesuffix("-heldout") for name in (*chosen.train, *chosen.eval)]
    return [name for name in dict.fromkeys(names) if download.files_of(name)]
