"""How batches are made: monolingual, cross-lingual, and the hybrid of both (paper, section 2.2).

Usable by itself in any sentence-transformers script (docs/guides/sampler.md)::

    pairs = Pairs.listed(questions, query_languages, passage_languages, passages)  # one of each per training row
    args = SentenceTransformerTrainingArguments(..., batch_sampler=Strategy("hybrid", alpha=0.5).sampler(pairs))

A batch kind is a mask over (query language, passage language): what the kind allows. The order of the batches
is a pure function of (seed, epoch), so that a resumed run sees the batches that an unbroken one would.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import count, islice
from typing import Any

import numpy as np
import pandas as pd

from ..base.errors import UserError
from .pairs import Pairs

ALPHA = {"x-x-mono": 1.0, "x-y": 0.0}
VERSION = 2  # of the order of batches
BATCH_KINDS = {"x-x-mono": ("mono",), "x-y": ("cross",), "hybrid": ("mono", "cross")}


@dataclass(frozen=True)
class Batch:
    """One global batch: its kind, its rows, and how many candidates were passed over as false negatives."""

    kind: str
    rows: list[int]
    avoided: int


@dataclass(frozen=True)
class Strategy:
    """A way to make batches.

    ``x-x-mono``: each batch in one language, each language equally often. ``x-y``: query and passage of each pair in
    different languages. ``hybrid``: the first with probability ``alpha``, else the second. Baselines: ``x-x``
    (same-language pairs, languages mixed in the batch) and ``en-en`` (English only).

    ``cross`` says for which unit a batch of ``x-y`` draws the two languages: each ``row``, or the ``batch``.
    """

    name: str
    alpha: float | None = None
    cross: str = "row"

    def __post_init__(self) -> None:
        if self.name not in ("x-x-mono", "x-y", "hybrid", "x-x", "en-en"):
            raise UserError(f"strategy '{self.name}' does not exist; choose x-x-mono, x-y, hybrid, x-x or en-en")
        if self.name == "hybrid" and not (isinstance(self.alpha, float | int | np.number) and 0 <= self.alpha <= 1):
            raise UserError(f"strategy hybrid: alpha must be a number from 0 to 1, not {self.alpha!r}")
        if self.cross not in ("row", "batch"):
            raise UserError(f"strategy {self.name}: cross must be row or batch, not {self.cross}")

    @property
    def label(self) -> str:
        """The name, for hybrid with its alpha: ``hybrid-0.5``."""
        return self.name if self.alpha is None else f"{self.name}-{self.alpha:.12g}"

    def kind(self, draw: np.random.Generator) -> str:
        """The kind of the next batch: ``mono``, ``cross``, ``x-x`` or ``en-en``."""
        if self.name in ("x-x", "en-en"):
            return self.name
        return "mono" if draw.random() < ALPHA.get(self.name, self.alpha) else "cross"

    def sampler(self, pairs: Pairs | Sequence[Pairs], processes: int = 1, version: int = VERSION) -> Callable[..., Any]:
        """What ``batch_sampler=`` of SentenceTransformerTrainingArguments takes.

        Args:
            pairs: of the data set; of several data sets (a dict) a list, each for the one that it was made from. A data
                set to evaluate on, or one of several that has no pairs, gets the trainer's own batches.
        """
        return partial(_make, self, [pairs] if isinstance(pairs, Pairs) else pairs, processes, version)


def __getattr__(name: str) -> Any:
    """``LanguageBatchSampler``, whose base, sentence-transformers' own sampler, takes 5 seconds to import."""
    if name != "LanguageBatchSampler":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return _trainers_side().LanguageBatchSampler


def _trainers_side() -> Any:
    """`lib.training.trainer_sampler`, which is built on this module; it is imported when a trainer asks for batches."""
    return import_module(".trainer_sampler", __package__)


def _make(*given: Any, **named: Any) -> Any:
    """The trainer's call. A module's function, not a closure: the trainer saves its arguments with each checkpoint."""
    return _trainers_side().make(*given, **named)


class BatchOrder:
    """Yields lists of row numbers; an epoch is ceil(questions / batch size) batches.

    Questions wait in a shuffled queue. A batch takes the first ones that its kind allows and that conflict with
    none already taken; those passed over keep their place. An empty queue is filled with a new shuffle.

    Under several processes the global batch (``processes`` times ``batch_size``) is of one kind, and is cut
    into consecutive batches, which accelerate deals to the processes in turn.

    Version 2 shuffles the questions by a stream of random numbers of its own, so that all strategies of a seed meet
    them in one order, as far as a batch can take them; and the languages of monolingual batches are a shuffled round,
    each once before any comes again. In version 1 all draws but those of kinds come from one stream, languages
    independently of each other; the first published trainings were made with it.
    """

    drop_last = False

    def __init__(
        self,
        strategy: Strategy,
        pairs: Pairs,
        batch_size: int,
        seed: int = 0,
        processes: int = 1,
        version: int = VERSION,
    ):
        if version not in (1, 2):
            raise UserError(f"sampler: version must be 1 or 2, not {version}")
        for name, size in (("batch_size", batch_size), ("processes", processes)):
            if not (isinstance(size, int | np.integer) and size > 0):
                raise UserError(f"sampler: {name} must be a whole number above 0, not {size!r}")
        self.strategy, self.pairs, self.batch_size = strategy, pairs, batch_size
        self.seed, self.processes, self.epoch, self.version = seed, processes, 0, version
        self.masks: dict[str, list[np.ndarray]] = {}  # by kind; of many languages there are thousands
        self._check()

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of each epoch.

        The call is lost where several processes resume within an epoch: `training.trainer.reporter` makes up for it.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return self.global_batches * self.processes

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches(self.epoch):
            for start in range(0, len(batch.rows), self.batch_size):
                yield batch.rows[start : start + self.batch_size]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The global batches of an epoch, with their kinds."""
        kinds = np.random.default_rng([self.seed, epoch, 0])
        draw = np.random.default_rng([self.seed, epoch, 1])
        shuffles = draw if self.version == 1 else np.random.default_rng([self.seed, epoch, 2])
        queue: list[int] = []
        rounds: dict[str, list[int]] = {}
        for _ in range(self.global_batches):
            kind = self.strategy.kind(kinds)
            masks = self.masks[kind] = self.masks.get(kind) or self._masks(kind)
            mask = masks[self._next(len(masks), rounds.setdefault(kind, []), draw)]
            rows, avoided, queue = self._fill(mask, queue, draw, shuffles)
            yield Batch(kind, rows, avoided)

    def _next(self, masks: int, left: list[int], draw: np.random.Generator) -> int:
        """The number of the next mask. Masks come in shuffled rounds; ``left`` holds those not yet used in this one."""
        if self.version == 1:
            return int(draw.integers(masks))
        if not left:
            left.extend(draw.permutation(masks).tolist())
        return left.pop()

    def first(self, steps: int) -> Iterator[tuple[int, Batch]]:
        """The first global batches, as many as ``steps``, each with its epoch."""
        return islice(((epoch, batch) for epoch in count() for batch in self.batches(epoch)), steps)

    def log(self, steps: int) -> pd.DataFrame:
        """One row per step, for ``steps`` steps: epoch, kind, languages with counts, false negatives avoided."""
        names = np.asarray(self.pairs.languages)
        _, query_language, passage_language = np.nonzero(self.pairs.row >= 0)
        order = np.argsort(self.pairs.row[self.pairs.row >= 0])  # of pairs, which `Pairs.listed` numbers by its rows
        query_language, passage_language = query_language[order], passage_language[order]
        found: list[tuple[Any, ...]] = []
        for step, (epoch, batch) in enumerate(self.first(steps), 1):
            pair = pd.Series(names[query_language[batch.rows]] + ">" + names[passage_language[batch.rows]])
            counts = " ".join(f"{p}:{n}" for p, n in pair.value_counts().sort_index().items())
            found.append((step, epoch, batch.kind, batch.avoided, counts))
        return pd.DataFrame(found, columns=["step", "epoch", "kind", "avoided", "languages"])

    def describe(self) -> dict[str, Any]:
        """How the batches are made, as JSON values: for the model card, since saved arguments drop it."""
        alpha = ALPHA.get(self.strategy.name, self.strategy.alpha)
        return {
            "strategy": self.strategy.name,
            "alpha": alpha,
            "batch_size": self.batch_size,
            "processes": self.processes,
            "seed": self.seed,
            "version": self.version,
            "languages": list(self.pairs.languages),
            "questions": len(self.pairs.row),
            "pairs": len(self.pairs.anchor),
        }

    @property
    def global_batches(self) -> int:
        """The batches of an epoch, each shared by all processes."""
        return math.ceil(len(self.pairs.row) / (self.batch_size * self.processes))

    def _masks(self, kind: str) -> list[np.ndarray]:
        """The masks, bool [query languages, passage languages], of which a batch of this kind draws one."""
        same = np.eye(len(self.pairs.languages), dtype=bool)
        if kind == "cross" and self.strategy.cross == "batch":
            places = np.flatnonzero(~same & (self.pairs.row >= 0).any(axis=0))
            return [(np.arange(same.size) == place).reshape(same.shape) for place in places]
        if kind == "cross":
            return [~same]
        if kind == "x-x":
            return [same]
        each = [same & (np.arange(len(same)) == number) for number in range(len(same))]
        if kind == "mono":  # a language that is only asked in, or only answered in, has no batches of its own
            return [mask for mask in each if (self.pairs.row >= 0)[:, mask].any()]
        return [each[self.pairs.english]]

    def _fill(
        self, mask: np.ndarray, queue: list[int], draw: np.random.Generator, shuffles: np.random.Generator
    ) -> tuple[list[int], int, list[int]]:
        """Take one global batch from the queue; returns its rows, the conflicts met, and what is left."""
        size = self.batch_size * self.processes
        rows: list[int] = []
        questions: set[int] = set()
        answers: set[int] = set()
        wrong: set[int] = set()
        avoided, shuffled = 0, False
        while True:
            before, left = len(rows), []
            for position, question in enumerate(queue):
                if len(rows) == size:
                    return rows, avoided, left + queue[position:]
                options = self.pairs.row[question][mask]
                options = options[options >= 0]
                own = set(self.pairs.answers[question].tolist()) - {-1}
                own_wrong = set(self.pairs.wrong[question].tolist()) - {-1}
                if len(options) == 0 or own & answers or own & wrong or own_wrong & answers:
                    avoided += len(options) > 0
                    left.append(question)
                    continue
                rows.append(int(options[draw.integers(len(options))]))
                questions.add(question)
                answers |= own
                wrong |= own_wrong
            if len(rows) == size:
                return rows, avoided, left
            if shuffled and len(rows) == before:
                raise UserError(self._too_few(mask, len(rows), size))
            waiting = questions | set(left)
            queue = left + [q for q in shuffles.permutation(len(self.pairs.row)).tolist() if q not in waiting]
            shuffled = True

    def _check(self) -> None:
        """Refuse what could not fill a batch of each kind, before any training starts."""
        if self.strategy.name == "en-en" and self.pairs.english is None:
            raise UserError("strategy en-en needs English questions and passages; the training data have none")
        off_diagonal = (self.pairs.row >= 0) & ~np.eye(len(self.pairs.languages), dtype=bool)
        if self.strategy.name in ("x-y", "hybrid") and not off_diagonal.any():
            raise UserError(f"strategy {self.strategy.name} needs training data in at least two languages")
        if "mono" in BATCH_KINDS.get(self.strategy.name, ()) and not self._masks("mono"):
            raise UserError(f"strategy {self.strategy.name}: no question is asked and answered in one language")
        for kind in BATCH_KINDS.get(self.strategy.name, (self.strategy.name,)):
            for mask in self._masks(kind):
                self._fill(mask, [], np.random.default_rng(0), np.random.default_rng(0))

    def _too_few(self, mask: np.ndarray, found: int, size: int) -> str:
        languages = sorted({self.pairs.languages[i] for i in np.flatnonzero(mask.any(axis=1))})
        return (
            f"strategy {self.strategy.name}: only {found} questions ({', '.join(languages)}) can share a batch of "
            f"{size}; use a smaller batch_size, or more data"
        )
