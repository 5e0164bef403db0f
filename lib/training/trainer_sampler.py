"""The batches of `training.sampling` as sentence-transformers' trainer takes them: a sampler of its own kind."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import RandomSampler, SequentialSampler

try:
    from sentence_transformers.base.sampler import DefaultBatchSampler, MultiDatasetDefaultBatchSampler
except ImportError:  # before version 5.4
    from sentence_transformers.sampler import DefaultBatchSampler, MultiDatasetDefaultBatchSampler

from ..base.errors import UserError
from . import columns
from .pairs import Pairs
from .sampling import BatchOrder, Strategy


class LanguageBatchSampler(BatchOrder, DefaultBatchSampler):
    """`training.sampling.BatchOrder` as a batch sampler of sentence-transformers."""

    def __init__(self, *given: Any, **named: Any):
        """Take what `BatchOrder` takes."""
        BatchOrder.__init__(self, *given, **named)
        rows = SequentialSampler(self.pairs.anchor)
        rows.set_epoch = self.set_epoch  # accelerate's dispatcher tells it to the rows alone
        DefaultBatchSampler.__init__(self, rows, batch_size=self.batch_size, drop_last=False, seed=self.seed)


def make(
    strategy: Strategy,
    pairs: Sequence[Pairs],
    processes: int,
    version: int,
    dataset: Any,
    batch_size: int,
    seed: int = 0,
    drop_last: bool = False,
    generator: Any = None,
    **ignored: Any,
) -> DefaultBatchSampler:
    """The sampler of a data set: of the pairs that it was made from, if there are such.

    A data set that has none gets the trainer's own batches if it is evaluated, or is one of several, which is said.

    Raises:
        UserError: it is the one to train on; or has texts that the pairs do not know; or several pairs are as good as
            its own; or several data sets would see the same batches in each epoch.
    """
    kind, several = _asked_by_trainer()
    if several and "set_epoch" not in vars(MultiDatasetDefaultBatchSampler):
        raise UserError(
            "several data sets: this version of sentence-transformers does not tell them the epoch, so that each epoch "
            "would have the same batches; install version 6.2, or make one data set of them"
        )
    found = [(one, extra) for one in pairs if kind != "evaluated" and (extra := _unknown(one, dataset)) is not None]
    if any(not np.array_equal(one.row, found[0][0].row) for one, _ in found[1:]):
        raise UserError(
            f"several pairs have the passages of this data set of {len(dataset)} rows, its own cannot be told: "
            "train on it alone, or let the sets differ in their passages"
        )
    if found:
        own, extra = found[0]
        _refuse_negatives(extra)
        return LanguageBatchSampler(strategy, own, batch_size, seed, processes, version)
    if kind != "evaluated":
        if not several:
            sizes = [len(one.anchor) for one in pairs]
            differs = f"{len(dataset)} rows, the pairs {' or '.join(map(str, sizes))}"
            what = "other texts than the pairs" if len(dataset) in sizes else differs
            raise UserError(f"the data set has {what}: make it from them, in their order")
        print(f"a data set of {len(dataset)} rows has no pairs: its batches are drawn at random", file=sys.stderr)
    shuffled = RandomSampler(dataset, generator=generator)
    return DefaultBatchSampler(shuffled, batch_size=batch_size, drop_last=drop_last, generator=generator, seed=seed)


def _unknown(pairs: Pairs, dataset: Any) -> list[str] | None:
    """The columns that pairs do not know; None if the data set is not theirs, by its length or by texts that show."""
    if len(dataset) != len(pairs.anchor):
        return None
    return columns.unknown(dataset, pairs.texts) if hasattr(dataset, "column_names") else []


def _refuse_negatives(names: Sequence[str]) -> None:
    """Refuse texts that the loss would take for negatives, unknown to the pairs: one may answer a question nearby."""
    if names:
        raise UserError(
            f"the data set's column {names[0]!r} would reach the loss as negatives, of which the pairs do not know: "
            "give Pairs.listed negatives= if it is that, or remove the column"
        )


def _asked_by_trainer() -> tuple[str, bool]:
    """What the trainer wants batches for, and whether it trains on several data sets: its call does not say so."""
    frame = sys._getframe()
    while frame is not None:
        name, trainer = frame.f_code.co_name, frame.f_locals.get("self")
        if name in ("get_train_dataloader", "get_eval_dataloader", "get_test_dataloader"):
            kind = "trained on" if name == "get_train_dataloader" else "evaluated"
            return kind, isinstance(getattr(trainer, "train_dataset", None), dict)
        frame = frame.f_back
    return "unknown", False
