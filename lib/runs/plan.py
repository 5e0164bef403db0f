"""The grid of a run: which encoder is trained on what, how and from which seed, and what each is scored on."""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from ..base import paths
from ..base.config import FACTS, Config, Run
from ..base.errors import UserError
from ..data.catalog import base, is_own, is_scored_alone
from ..data.sets import FOLDS
from ..encoders import load as encoders
from ..evaluation import metrics
from ..training.sampling import ALPHA

NONE = "none"
COMPARED = ("multilingual", "monolingual")  # settings in which trainings by other choices are
CENTRED = "centred=true"  # a change of what is kept, not of how a model is trained


@dataclass(frozen=True)
class Cell:
    """An encoder, fine-tuned on ``train`` with a strategy and a seed, or (train ``none``) left as it is.

    It is scored on the sets of the profile, or ``on`` one set alone: a large one, whose encoding would hold up the
    others, or the one that a sweep or cross-fitting asks for. A cell of a sweep differs from the profile by
    ``changes``, such as ``scale=100``.
    """

    encoder: str
    train: str = NONE
    strategy: str = NONE
    alpha: float | None = None
    seed: int | None = None
    on: str = ""
    changes: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """A file name that says what it is: ``e5-small-q4_mlqa-r_hybrid-0.5_seed0``."""
        name = paths.called(self.encoder)
        if "/" in self.encoder and name in encoders.ENCODERS:
            name += "-own"  # a folder that is called like one of ours
        scored = "".join(f"_{change}" for change in self.changes) + (f"_on_{paths.called(self.on)}" if self.on else "")
        if self.train == NONE:
            return f"{name}_none{scored}"
        return f"{name}_{paths.called(self.train)}_{self.label}_seed{self.seed}{scored}"

    @property
    def is_part(self) -> bool:
        """Whether it belongs to a sweep or to cross-fitting: it keeps the scores of each query, not all ranks."""
        return bool(self.on) and not is_scored_alone(self.on)

    @property
    def is_kept_as_scores(self) -> bool:
        """Whether it is a part that is a training of the profile itself, of a whole set and scored on a whole one."""
        return self.is_part and not self.changes and (base(self.train), base(self.on)) == (self.train, self.on)

    @property
    def kept(self) -> tuple[str, ...]:
        """Of a part, the settings whose scores it keeps: all; by other choices those that are compared; where only
        centring is looked at, none, since the grid has them.
        """
        if CENTRED in self.changes:
            return ()
        return COMPARED if self.changes and base(self.on) not in FACTS else metrics.SETTINGS

    @property
    def label(self) -> str:
        """The strategy as tables show it; hybrid with its alpha."""
        return f"hybrid-{self.alpha:.12g}" if self.strategy == "hybrid" else self.strategy

    def columns(self) -> dict[str, Any]:
        """The columns that identify the cell in every table; x-x-mono and x-y stand at alpha 1 and 0."""
        values = {name: getattr(self, name) for name in ("encoder", "train", "strategy", "alpha", "seed")}
        return values | {"alpha": ALPHA.get(self.strategy, self.alpha)}

    def settings(self, config: Config) -> Config:
        """The configuration that the cell is made by: the profile's, as it is for the encoder, with the changes."""
        return config.of(self.encoder).changed(self.changes)


def plan(config: Config) -> list[Cell]:
    """The cells of a run's grid, in the order in which they are made: by training set, then seed, then strategy.

    Those on the MIRACL passages, which take longest to encode, come last: of the first encoder no fine-tuning, and of
    the first training set the first seed of each strategy.
    """
    large = [name for name in config.eval if is_scored_alone(name)]
    found = [] if large == list(config.eval) else _grid(config, config.train, config.seeds)
    for name in large:
        first = replace(config, encoder=config.encoder[:1])
        found += [replace(cell, on=name) for cell in _grid(first, config.train[:1], config.seeds[:1])]
    return found


def parts(config: Config) -> list[Cell]:
    """The cells of a run's sweeps and cross-fitting; they are made only where ``--cells`` names them.

    An entry of the profile's ``sweep`` lists encoders, training sets, strategies, alphas, seeds and changes, of which
    all combinations are made, each scored on each set of ``test``. ``{fold}`` stands for each fold's
    number in both names.
    """
    found: dict[Cell, None] = {}
    for entry in config.sweep:
        for fold in range(FOLDS) if any("{fold}" in name for name in entry.train) else (0,):
            one = replace(config, encoder=entry.encoder, alphas=entry.alphas, strategies=entry.strategies, sweep=(),
                          seeds=entry.seeds, by_encoder={})
            cells = _grid(one, [name.format(fold=fold) for name in entry.train], entry.seeds)
            for change, test, cell in product(entry.changes, entry.test, cells):
                changes = (change,) if isinstance(change, str) else tuple(change)
                found[replace(cell, on=test.format(fold=fold), changes=changes)] = None
    return list(found)


def trainings(cells: Iterable[Cell]) -> list[Cell]:
    """One cell of each training: a cell on a large set alone has the model of another one."""
    found: dict[Cell, Cell] = {}
    for cell in cells:
        if cell.train != NONE:
            found.setdefault(replace(cell, on=""), cell)
    return list(found.values())


def named(run: Run, pattern: str, trained: bool = False) -> list[Cell]:
    """The planned cells whose names match a pattern of ``--cells``; ``trained``: those of the grid that train.

    Raises:
        UserError: there is none.
    """
    among = [*plan(run.config), *parts(run.config)]
    among = [cell for cell in among if not trained or (cell.train != NONE and not cell.is_part)]
    found = [cell for cell in among if cell.id == pattern]  # a name as it is printed may hold brackets
    found = found or [cell for cell in among if fnmatch.fnmatchcase(cell.id, pattern)]
    if not found:
        some = "trained cell" if trained else "cell"
        raise UserError(f"--cells {pattern}: no {some} of run {run.name} has such a name; one is {among[0].id}")
    return found


def evaluated(cell: Cell, config: Config) -> list[str]:
    """The sets that a cell is scored on: all but the one it was trained on, of which only held-out questions.

    Held-out sets only for the seeds that the configuration names, if it names any.
    """
    if cell.on:
        return [cell.on]
    names = [name for name in config.eval if not is_scored_alone(name)]
    if cell.seed not in (None, *(config.of(cell.encoder).heldout_seeds or (cell.seed,))):
        names = [name for name in names if not name.endswith("-heldout")]
    if cell.train in (NONE, "facts"):
        return names
    others = [name for name in names if name.removesuffix("-heldout") != cell.train]
    others = [name for name in others if is_own(name) or not name.endswith("-heldout")]  # ours are scored whole
    return others + [name for name in names if name == f"{cell.train}-heldout"]


def _grid(config: Config, trains: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    found = []
    for encoder in config.encoder:
        own = config.of(encoder)
        found += [Cell(encoder)] if NONE in own.strategies else []
        for train, seed, strategy in product(trains, [s for s in seeds if s in own.seeds], own.strategies):
            if strategy != NONE:
                alphas = own.alphas if strategy == "hybrid" else (None,)
                found += [Cell(encoder, train, strategy, alpha, seed) for alpha in alphas]
    return found
