"""Checkpoints of a training: which one to go on from, and the seal that tells a whole one from any other."""

import shutil
from pathlib import Path

from lib import artifacts, processes

STEPS, MOST = 20, 20  # one every 20 steps, but 20 at most: each is three times the weights to write


def interval(steps: int) -> int:
    """Steps between two checkpoints of a training of so many."""
    return max(STEPS, steps // MOST)


def last(folder: Path) -> str | None:
    """The newest checkpoint of this training that is whole and undamaged; the trainer would take any."""
    found = sorted(folder.glob("checkpoint-*"), key=_step)
    if processes.rank() == 0:
        while found and not artifacts.intact(found[-1], stamp(found[-1])):
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


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])
