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
from ..data.sets import ParallelSet, alike
from . import columns

ALPHA = {"x-x-mono": 1.0, "x-y": 0.0}
VERSION = 2  # of the order of batches
KINDS = {"x-x-mono": ("mono",), "x-y": ("cross",), "hybrid": ("mono", "cross")}


@dataclass(frozen=True)
class Pairs:
    """Every pair (question, query language, passage language) that a parallel set offers, numbered.

    Attributes:
        languages: of the set; the last two axes of ``row`` follow it.
        row: int32 [questions, languages, languages], number of the pair, -1 where it does not exist.
        anchor, positive: int32 [pairs], row of the pair's text in ``queries`` and in ``passages``, or in the columns
            of one's own data set.
        negative: int32 [pairs], row in ``passages`` of a text in the positive's language that does not answer the
            question; None where the set has none.
        answers: int64 [questions, languages], equal where two questions have the same relevant text, -1 where
            there is none. Two questions that agree in any language must not share a batch: each one's positive
            would be the other's false negative. If some questions share their wording, further columns mark
            those in the same way, one per language.
        wrong: int64 [questions, columns], as ``answers``: what must not share a batch with a question as another one's
            answer. A column a language holds its explicit negatives, if the set has them; further ones mark the
            wordings that its own answer is right for in another row.
        texts: uint64 [pairs], hash of each row's passage, by which the data set that the pairs were made from is known
            again; None of a `ParallelSet`.
    """

    languages: list[str]
    row: np.ndarray
    anchor: np.ndarray
    positive: np.ndarray
    negative: np.ndarray | None
    answers: np.ndarray
    wrong: np.ndarray
    texts: np.ndarray | None = None

    @property
    def english(self) -> int | None:
        """Which of the languages is English, in whatever way its code is written; None if none is."""
        found = [number for number, code in enumerate(self.languages) if code.casefold() in ("en", "eng")]
        return found[0] if found else None

    @staticmethod
    def of(data: ParallelSet) -> "Pairs":
        queries, passages = data.query_rows, data.passage_rows
        exists = (queries >= 0)[:, :, None] & (passages >= 0)[:, None, :]
        row = np.full(exists.shape, -1, np.int32)
        row[exists] = np.arange(exists.sum())
        question, query_language, passage_language = np.nonzero(exists)
        texts = pd.factorize(data.passages["language"] + "\t" + data.passages["text"])[0]
        answers = np.where(passages >= 0, texts[passages], -1)
        negative, wrong = None, np.empty((len(answers), 0), np.int64)
        if data.negatives is not None:
            negative = data.negatives[question, passage_language]
            wrong = np.where(data.negatives >= 0, texts[data.negatives], -1)
        if data.asked is not None:  # who is asked the same must not share a batch, nor meet what answers the other
            wordings = np.where(data.asked >= 0, data.asked + len(texts), -1)
            wrong = np.hstack([wrong, _answered_elsewhere(wordings, answers)])
            answers = np.hstack([answers, wordings])
        anchor, positive = queries[question, query_language], passages[question, passage_language]
        return Pairs(data.languages, row, anchor, positive, negative, answers, wrong)

    @staticmethod
    def listed(
        questions: Sequence[str],
        query_languages: Sequence[str],
        passage_languages: Sequence[str],
        passages: Sequence[str],
    ) -> "Pairs":
        """Pairs that are the rows of a data set of one's own, in its order: row n is pair n.

        Args:
            questions: what each row asks: an id that all translations of a question share.
            query_languages, passage_languages: in which language each row asks, and is answered.
            passages: the text that answers each row, by which two questions with one answer are known.

        Raises:
            UserError: the columns differ in length, or a question has two rows, or two answers, in the same languages.
        """
        given = {"questions": questions, "query_languages": query_languages}
        given |= {"passage_languages": passage_languages, "passages": passages}
        questions, query_languages, passage_languages, passages = columns.as_arrays(given)
        languages = sorted({*query_languages, *passage_languages})
        question, ids = pd.factorize(questions)
        asked, answered = (pd.Index(languages).get_indexer(column) for column in (query_languages, passage_languages))
        read = pd.Series([alike(passage) for passage in passages])
        text = pd.factorize(pd.Series(passage_languages) + "\t" + read)[0]
        number = np.arange(len(question), dtype=np.int32)
        row = np.full((len(ids), len(languages), len(languages)), -1, np.int32)
        row[question, asked, answered] = number
        answers = np.full((len(ids), len(languages)), -1, np.int64)
        answers[question, answered] = text
        again = (row[question, asked, answered] != number) | (answers[question, answered] != text)
        if again.any():
            n = int(again.argmax())
            here = f"from {query_languages[n]} to {passage_languages[n]}"
            raise UserError(
                f"row {n + 1}: question {questions[n]!r} occurs again {here}, or has another passage in the latter "
                "language; keep one passage a language, and one row a pair of languages"
            )
        none = np.empty((len(ids), 0), np.int64)
        return Pairs(languages, row, number, number, None, answers, none, pd.util.hash_array(passages))


def _answered_elsewhere(asked: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The wordings that each question's answers are right for in another row: int64 [questions, most such], else -1.

    Args:
        asked: int64 [questions, languages], numbers of wordings, -1 for none.
        answers: int64 [questions, languages], numbers of texts, -1 for none.
    """
    of, having = np.nonzero(asked >= 0), np.nonzero(answers >= 0)
    worded = pd.DataFrame({"question": of[0], "wording": asked[of]})
    texts = pd.DataFrame({"question": having[0], "text": answers[having]})
    again = worded[worded["wording"].duplicated(keep=False)]
    right = again.merge(texts, on="question")[["wording", "text"]].drop_duplicates()
    found = texts.merge(right, on="text")[["question", "wording"]].drop_duplicates()
    own = pd.MultiIndex.from_frame(found).isin(pd.MultiIndex.from_frame(again))
    found = found[~own]
    place = found.groupby("question").cumcount()
    table = np.full((len(asked), int(place.max()) + 1 if len(place) else 0), -1, np.int64)
    table[found["question"], place] = found["wording"]
    return table


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
        return self.name if self.alpha is None else f"{self.name}-{self.alpha:g}"

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
        return partial(_make, self, pairs, processes, version)


def __getattr__(name: str) -> Any:
    """``LanguageBatchSampler``, whose base, sentence-transformers' own sampler, takes 5 seconds to import."""
    if name != "LanguageBatchSampler":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return _trainers_side().LanguageBatchSampler


def _trainers_side() -> Any:
    """`lib.training.trainer_sampler`, which is built on this module; it is imported when a trainer asks for batches."""
    return import_module(".trainer_sampler", __package__)


def _make(
    strategy: Strategy, pairs: Pairs | Sequence[Pairs], processes: int, version: int, dataset: Any, **given: Any
) -> Any:
    """The trainer's call. A module's function, not a closure: the trainer saves its arguments with each checkpoint."""
    listed = [pairs] if isinstance(pairs, Pairs) else pairs
    return _trainers_side().make(strategy, listed, processes, version, dataset, **given)


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
        found: list[dict[str, Any]] = []
        for epoch, batch in self.first(steps):
            pair = pd.Series(names[query_language[batch.rows]] + ">" + names[passage_language[batch.rows]])
            counts = " ".join(f"{p}:{n}" for p, n in pair.value_counts().sort_index().items())
            found.append({"epoch": epoch, "kind": batch.kind, "avoided": batch.avoided, "languages": counts})
        table = pd.DataFrame(found)
        table.insert(0, "step", np.arange(1, len(table) + 1))
        return table

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
            places = np.argwhere(~same & (self.pairs.row >= 0).any(axis=0))
            each_pair = [np.zeros_like(same) for _ in places]
            for mask, place in zip(each_pair, places, strict=True):
                mask[tuple(place)] = True
            return each_pair
        if kind == "cross":
            return [~same]
        if kind == "x-x":
            return [same]
        each = [same & (np.arange(len(same)) == number) for number in range(len(same))]
        return each if kind == "mono" else [each[self.pairs.english]]

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
        for kind in KINDS.get(self.strategy.name, (self.strategy.name,)):
            for mask in self._masks(kind):
                self._fill(mask, [], np.random.default_rng(0), np.random.default_rng(0))

    def _too_few(self, mask: np.ndarray, found: int, size: int) -> str:
        languages = sorted({self.pairs.languages[i] for i in np.flatnonzero(mask.any(axis=1))})
        return (
            f"strategy {self.strategy.name}: only {found} questions ({', '.join(languages)}) can share a batch of "
            f"{size}; use a smaller batch_size, or more data"
        )
