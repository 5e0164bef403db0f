"""The grid of a run: which encoder is trained on what, how and from which seed, and what each is scored on."""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from lib import encoders, paths
from lib.config import Config, Run
from lib.errors import UserError
from lib.sampling import ALPHA

NONE = "none"
LARGE = ("miracl-mini", "miracl-dev")


@dataclass(frozen=True)
class Cell:
    """An encoder, fine-tuned on ``train`` with a strategy and a seed, or (train ``none``) left as it is.

    It is scored on the sets of the profile, or ``on`` one large set alone, whose encoding would hold up the others.
    """

    encoder: str
    train: str = NONE
    strategy: str = NONE
    alpha: float | None = None
    seed: int | None = None
    on: str = ""

    @property
    def id(self) -> str:
        """A file name that says what it is: ``e5-small-q4_mlqa-r_hybrid-0.5_seed0``."""
        name = paths.called(self.encoder)
        if "/" in self.encoder and name in encoders.ENCODERS:
            name += "-own"  # a folder that is called like one of ours
        scored = f"_on_{self.on}" if self.on else ""
        if self.train == NONE:
            return f"{name}_none{scored}"
        return f"{name}_{paths.called(self.train)}_{self.label}_seed{self.seed}{scored}"

    @property
    def label(self) -> str:
        """The strategy as tables show it; hybrid with its alpha."""
        return f"hybrid-{self.alpha:g}" if self.strategy == "hybrid" else self.strategy

    def columns(self) -> dict[str, Any]:
        """The columns that identify the cell in every table; x-x-mono and x-y stand at alpha 1 and 0."""
        alpha = ALPHA.get(self.strategy, self.alpha)
        return {
            "encoder": self.encoder,
            "train": self.train,
            "strategy": self.strategy,
            "alpha": alpha,
            "seed": self.seed,
        }


def plan(config: Config) -> list[Cell]:
    """All cells of a run, in the order in which they are made: by training set, then seed, then strategy.

    Those on the MIRACL passages, which take longest to encode, come last: no fine-tuning, and of the first training
    set the first seed of each strategy.
    """
    large = [name for name in config.eval if name in LARGE]
    found = [] if large == list(config.eval) else _grid(config, config.train, config.seeds)
    for name in large:
        found += [replace(cell, on=name) for cell in _grid(config, config.train[:1], config.seeds[:1])]
    return found


def trainings(cells: Iterable[Cell]) -> list[Cell]:
    """One cell of each training: a cell on a large set alone has the model of another one."""
    found: dict[Cell, Cell] = {}
    for cell in cells:
        if cell.train != NONE:
            found.setdefault(replace(cell, on=""), cell)
    return list(found.values())


def named(run: Run, pattern: str, trained: bool = False) -> list[Cell]:
    """The planned cells whose names match a pattern, as ``--cells`` takes it; ``trained``: of them those that train.

    Raises:
        UserError: there is none.
    """
    among = [cell for cell in plan(run.config) if not trained or cell.train != NONE]
    found = [cell for cell in among if cell.id == pattern]  # a name as it is printed may hold brackets
    found = found or [cell for cell in among if fnmatch.fnmatchcase(cell.id, pattern)]
    if not found:
        some = "trained cell" if trained else "cell"
        raise UserError(f"--cells {pattern}: no {some} of run {run.name} has such a name; --dry-run lists them")
    return found


def evaluated(cell: Cell, config: Config) -> list[str]:
    """The sets that a cell is scored on: all but the one it was trained on, of which only held-out questions."""
    if cell.on:
        return [cell.on]
    names = [name for name in config.eval if name not in LARGE]
    if cell.train in (NONE, "facts"):
        return names
    others = [name for name in names if name.removesuffix("-heldout") != cell.train and not name.endswith("-heldout")]
    own = [name for name in names if name == f"{cell.train}-heldout"]
    return others + own


def _grid(config: Config, trains: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    found = [Cell(config.encoder)] if NONE in config.strategies else []
    for train, seed, strategy in product(trains, seeds, config.strategies):
        if strategy != NONE:
            alphas = config.alphas if strategy == "hybrid" else (None,)
            found += [Cell(config.encoder, train, strategy, alpha, seed) for alpha in alphas]
    return found
