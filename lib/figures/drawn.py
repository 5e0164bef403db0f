"""Whether a run's figures are drawn, from which cells and by which code; nothing here draws, or loads what does."""

import shutil
from pathlib import Path
from typing import Any

from ..base import paths
from ..base import store as artifacts
from ..base.config import Run
from ..evidence import tables

SEAL = "figures.json"


def current(run: Run) -> bool:
    """Whether the run's figures are there, undamaged, and drawn from its present cells."""
    return artifacts.is_current(run.folder / SEAL, _made_from(run), run.folder / "figures")


def seal(run: Run, folder: Path, pictures: list[Path]) -> None:
    """Write down, beside copies of a run's figures, what they were drawn from."""
    artifacts.write_seal(folder / SEAL, _made_from(run), pictures)


def tracked(run: Run) -> Path | None:
    """The folder of tracked figures that a run which shows what is published would draw just so, if there is one."""
    folders = sorted(paths.FIGURES.glob("*/")) if run.config.is_shown else []
    return next((f for f in folders if artifacts.is_current(f / SEAL, _made_from(run), f)), None)


def take(run: Run, source: Path) -> list[Path]:
    """Copy tracked figures, with their seal, to the run's own; returns the copies."""
    target = run.folder / "figures"
    copies = {path: target / path.name for path in sorted(source.glob("*.png"))} | {source / SEAL: run.folder / SEAL}
    for path, copy in copies.items():
        with artifacts.replacing(copy) as temporary:
            shutil.copyfile(path, temporary)
    return sorted(target.glob("*.png"))


def _made_from(run: Run) -> dict[str, Any]:
    return {"cells": tables.digest(run), "code": artifacts.code(("data", "evaluation", "evidence", "figures"))}
