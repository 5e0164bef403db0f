"""What the commands that export a run share: arguments, and the cells that are meant."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..base import config, paths
from ..base.config import Run
from ..base.errors import Parser, UserError
from ..runs import cells
from ..runs import open as runs
from ..runs import plan as grid
from ..runs.plan import Cell

EVALUATING = ("max_tokens", "candidates", "precision")  # keys of a run that an evaluation depends on


def parser(module: str, description: str, place: str = "") -> argparse.ArgumentParser:
    """The arguments that say which cells of which run, and where to: by default ``place``, else named as the module."""
    take = Parser(prog=f"python -m {paths.PACKAGE}.interop.{module}", allow_abbrev=False, description=description)
    profiles = f"one of {', '.join(config.profiles())} (default: quick), or the name of a run, as it is printed"
    take.add_argument("--profile", default="quick", help=profiles)
    take.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="as the run was started with"
    )
    take.add_argument("--cells", metavar="PATTERN", default="*", help="only those of these names, such as '*_seed0'")
    take.add_argument("--out", type=Path, metavar="FOLDER", help=f"default: {place or module} in the folder of the run")
    return take


def of_run(profile: str, overrides: Sequence[str], names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """What an audit takes from a run: encoders, and how the run evaluates each.

    Args:
        overrides: of the audit, which go before those of the run.
        names: of encoders, or of trained cells.

    Returns:
        For each the encoder, which for a cell is the folder of its model, and settings as ``key=value``.

    Raises:
        UserError: the model of a cell is not in the store; says how to make it.
    """
    run = runs.open_run(profile, [text for text in overrides if text.partition("=")[0] not in EVALUATING])
    trained = {cell.id: cell for cell in grid.trainings(cells.of(run))}
    given = [text.partition("=")[0] for text in overrides]
    taken = []
    for name in names:
        cell = trained.get(name)
        own = run.config.of(cell.encoder if cell else name)
        settings = [*(f"{key}={getattr(own, key)}" for key in EVALUATING if key not in given), *overrides]
        taken.append((str(cells.model(run, cell)) if cell else name, settings))
    return taken


def finished(profile: str, overrides: Sequence[str], pattern: str, trained: bool = False) -> tuple[Run, list[Cell]]:
    """A run and its finished cells whose names match; published ones are among them.

    Args:
        trained: only those with a model of their own.

    Raises:
        UserError: as `lib.runs.open.open_run`; or none is finished, and how to make it.
    """
    run = runs.open_run(profile, overrides)
    cells.adopt_published(run)
    named = grid.named(run, pattern, trained)
    done = [cell for cell in named if cells.record(run, cell) is not None]
    if not done:
        command = f"{run.command} --cells {shlex.quote(named[0].id)}"
        raise UserError(f"run {run.name}: {named[0].id} is not finished; make it: {command}")
    return run, done
