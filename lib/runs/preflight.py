"""What would fail in the middle of the work, found before it begins."""

import os.path
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..base import device, paths, processes
from ..base.config import FACTS, Run
from ..base.errors import UserError
from ..data import catalog as data
from ..data import download
from ..data.sets import ParallelSet
from ..encoders import load as encoders
from ..training import trainer
from ..training.pairs import Pairs
from ..training.sampling import BatchOrder, Strategy
from . import encoder_check
from . import plan as grid
from .plan import NONE, Cell

FEWEST = 5  # passages of a language: of so many the probe sees four and is asked for one


def plan(run: Run) -> None:
    """Refuse a run of which a cell could not be scored, or be told from another.

    Raises:
        UserError: naming the key.
    """
    found: dict[str, Cell] = {}
    parts = grid.parts(run.config)
    for cell in (*grid.plan(run.config), *parts):
        if not grid.evaluated(cell, run.config):
            raise UserError(f"train={cell.train}: eval names nothing but the training set; add another set to eval")
        if other := found.get(cell.id):
            one, two = ({**c.columns(), "train": c.train, "alpha": c.alpha, "test": c.on} for c in (other, cell))
            differ = ", ".join(f"{key}: {one[key]} and {two[key]}" for key in one if one[key] != two[key])
            raise UserError(f"{differ} would both be called {cell.id}; give them names that differ")
        found[cell.id] = cell
    sweeps(run, parts)
    pools: dict[str, str] = {}
    names: dict[str, str] = {}
    trained = {os.path.realpath(paths.brought(name)): name for name in run.config.train if data.is_own(name)}
    for name in dict.fromkeys([*run.config.eval, *(cell.on for cell in parts)]):
        if data.is_own(name):
            if (train := trained.get(os.path.realpath(paths.brought(name)), name)) != name:
                raise UserError(f"train={train} and eval={name} are one file; score on a file that is not trained on")
            chosen = data.evaluation_set(name)
            scorable(name, chosen)
            base = name.removesuffix("-heldout")
            if pools.setdefault(chosen.pool, base) != base or chosen.pool in data.EVALUATED:
                raise UserError(f"{name}: there is another data set called {chosen.pool}; give the file another name")
            if names.setdefault(chosen.name, name) != name or chosen.name in data.EVALUATED:
                other = names[chosen.name] if names[chosen.name] != name else chosen.name
                raise UserError(f"{name} and {other} would both be called {chosen.name}; give the file another name")


def sweeps(run: Run, parts: Sequence[Cell]) -> None:
    """Refuse a sweep of an encoder or a set that does not exist, or that scores a model on what it was trained on.

    Raises:
        UserError: naming it.
    """
    for encoder in dict.fromkeys(cell.encoder for cell in parts):
        _ = encoders.folder_of(encoder) or encoders.find(encoder)
    for train, test in dict.fromkeys((cell.train, cell.on) for cell in parts):
        if train == test != FACTS[0]:
            raise UserError(f"sweep: train={train} and test={test} are one; score on a set that is not trained on")
        if train not in (*data.TRAINED, NONE) and not data.is_part(train):
            data.training_set(train, run.config.eval, run.config.candidates)
        if test not in data.EVALUATED and not data.is_part(test):
            data.evaluation_set(test, run.config.candidates)


@device.as_fresh()
def work(run: Run, todo: Sequence[Cell], fetch: bool = True) -> None:
    """Refuse cells that could not be made: an encoder that cannot be read, data that cannot fill a batch.

    Args:
        fetch: whether an encoder of the hub is downloaded now; else it is not looked at.

    Raises:
        UserError: naming the encoder's folder, the tracker, or the training set and what it lacks.
    """
    if not todo:
        return
    for encoder in dict.fromkeys(cell.encoder for cell in todo):
        if not encoders.is_built_here(encoder) and (fetch or encoders.folder_of(encoder)):
            trained = any(cell.train != NONE for cell in todo if cell.encoder == encoder)
            encoder_check.as_meant(encoders.fetched(encoder), run.config.of(encoder), trained)
    trainer.tracker()
    if fetch and any(cell.on == data.BY_SHARD for cell in todo):
        data.evaluation_set(data.BY_SHARD)  # topics and judgements, before hours of training
    if any(cell.train == "mmarco" for cell in todo):
        download.ir_datasets("mmarco")
    for train in dict.fromkeys(cell.train for cell in todo if cell.train not in (NONE, "mmarco")):  # not downloaded yet
        questions = data.training_set(train, run.config.eval, run.config.candidates)
        if not len(questions.questions):
            raise UserError(f"{train}: none of its questions is in the split train; see the key 'split' of a row")
        pairs = Pairs.of(questions)
        is_own = data.is_own(train)  # then the batches of each seed are tried: whether they fill hangs on its order
        seeds_of: dict[tuple[Any, ...], set[int]] = {}
        for cell in todo:
            if cell.train == train:
                of = cell.settings(run.config)
                strategy = Strategy(cell.strategy, cell.alpha, of.cross)
                seeds_of.setdefault((strategy, of.batch_size, of.sampler, of.steps), set()).add(cell.seed)
        for (strategy, size, version, steps), seeds in seeds_of.items():
            try:
                for seed in sorted(seeds) if is_own else [min(seeds)]:
                    order = BatchOrder(strategy, pairs, processes.share(size), seed, processes.count(), version)
                    deque(order.first(steps if is_own else 0), maxlen=0)
            except UserError as error:
                raise UserError(f"{train}: {error}") from error


def scorable(name: str, chosen: ParallelSet) -> None:
    """Refuse a set that does not give something to each of the three settings, and to the probe of its vectors.

    Raises:
        UserError: naming the set and what it lacks.
    """
    if not len(chosen.questions):
        raise UserError(f"{name}: none of its questions is in the split test; see the key 'split' of a row")
    pairs = chosen.qrels.join(chosen.queries[["question", "language"]], on="query")
    pairs = pairs.join(chosen.passages["language"].rename("answered"), on="passage")
    same = pairs["language"] == pairs["answered"]
    if same.all() or not same.any():
        lacks = "another language than their own" if same.all() else "their own language"
        raise UserError(
            f"{name}: no question has a passage in {lacks}; to be scored, a set needs translations of both: "
            'rows such as {"id": "1", "q": {"de": "...", "en": "..."}, "p": {"de": "...", "en": "..."}}'
        )
    if pairs.groupby("question")["answered"].nunique().max() == 1:
        raise UserError(
            f"{name}: no question is answered in two languages, so that languages of one answer cannot be compared; "
            'rows such as {"id": "1", "q": {"de": "..."}, "p": {"de": "...", "en": "..."}} are needed'
        )
    passages = chosen.passages["language"].value_counts()
    if few := [f"{language} ({count})" for language, count in passages.items() if count < FEWEST]:
        raise UserError(
            f"{name}: too few different passages to be ranked in {', '.join(sorted(few))}: {FEWEST} at least in each "
            "language; add passages, or leave the language out"
        )
