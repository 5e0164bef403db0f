"""Checkpoints of a training: which one to go on from, and the seal that tells a whole one from any other."""

import json
import shutil
from pathlib import Path

from ..base import processes
from ..base import store as artifacts
from ..data.released import squadshifts as validation

STEPS, MOST = 20, 20  # one every 20 steps, but 20 at most: each is three times the weights to write


def interval(steps: int) -> int:
    """Steps between two checkpoints of a training of so many."""
    return max(STEPS, steps // MOST)


def last(folder: Path, steps: int) -> str | None:
    """The newest checkpoint that a training of so many steps can go on from: whole, undamaged, not that of its end.

    The trainer would take any; and from that of the end, which a training leaves that is killed before its model is
    kept, it would make one step too many.
    """
    found = sorted(folder.glob("checkpoint-*"), key=_step)
    if processes.rank() == 0:
        while found and (not artifacts.intact(found[-1], stamp(found[-1])) or _ended(found[-1], steps)):
            shutil.rmtree(found.pop())
    step = processes.told(_step(found[-1]) if found else 0)
    return str(folder / f"checkpoint-{step}") if step else None


def seal(checkpoint: Path) -> None:
    """Seal a checkpoint that all processes have written their part of."""
    processes.wait()
    if processes.rank() == 0:
        artifacts.seal(checkpoint, stamp(checkpoint))


def stamp(checkpoint: Path) -> dict[str, str]:
    """What a checkpoint is sealed with: its training (named by the digest of the recipe) and its step."""
    return {"training": checkpoint.parent.name, "step": checkpoint.name}


def _ended(checkpoint: Path, steps: int) -> bool:
    """Whether a training ended there: all steps were made, or the validation loss had not fallen for long enough."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    stopping = state["stateful_callbacks"].get("EarlyStoppingCallback")
    waited = stopping["attributes"]["early_stopping_patience_counter"] if stopping else 0
    return state["global_step"] >= steps or waited >= validation.PATIENCE


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])
