"""Which data sets there are, by name, and what each name stands for in training and in evaluation.

A row of `SETS` holds what is known of a set before it is read. To add one: its row here, a reader in `data.released`
that returns a `ParallelSet`, and its files with their hashes in ``registry.tsv``.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..base import paths
from ..base import store as artifacts
from ..base.errors import UserError
from . import download, facts, jsonl, outlines
from . import sets as parallel
from .own import rows as own_rows
from .released import lareqa, miracl, mmarco, parallel_docs
from .sets import ParallelSet

HELDOUT = "-heldout"
FOLD = re.compile(r"(?P<base>xquad-r|mlqa-r)(?P<without>-without)?-fold(?P<number>[0-4])")
CUT = re.compile(r"(?P<base>xquad-r|parallel-docs)-(?P<to>900-questions|7-languages)")
CUTS = ("parallel-docs-900-questions", "xquad-r-7-languages")


@dataclass(frozen=True)
class DataSet:
    """What is known of a data set before it is read.

    Attributes:
        label: its name for people.
        scored: the names under which a profile's ``eval`` can list it or parts of it.
        trained: its reader for training, of all splits, which takes the kind of candidates; None if it has no
            training split.
        is_wikipedia: whether its passages come from Wikipedia.
        is_mirror_only: whether it can be had only from a mirror.
        is_scored_alone: whether a cell of its own scores it, since its encoding would hold up the others.
        texts: queries and passages (tables 10 and 11 of the paper; MIRACL in our languages, German as ir_datasets
            counts it); None where they are counted when it is read.
        download: bytes that ir_datasets fetches for it.
    """

    label: str
    scored: tuple[str, ...] = ()
    trained: Callable[[str], ParallelSet] | None = None
    is_wikipedia: bool = False
    is_mirror_only: bool = False
    is_scored_alone: bool = False
    texts: int | None = None
    download: float = 0.0


SETS = {
    "xquad-r": DataSet(
        "XQuAD-R", ("xquad-r", "xquad-r-heldout"), lambda candidates: lareqa.read("xquad-r", candidates),
        is_wikipedia=True, texts=26_104,
    ),
    "mlqa-r": DataSet(
        "MLQA-R", ("mlqa-r", "mlqa-r-heldout"), lambda candidates: lareqa.read("mlqa-r", candidates),
        is_wikipedia=True, texts=24_733,
    ),
    "facts": DataSet("the facts corpus", ("facts", "facts-heldout", "facts-new"), lambda _: _facts("train")),
    "parallel-docs": DataSet(
        "parallel-docs", ("parallel-docs-heldout",), lambda _: parallel_docs.whole(), is_mirror_only=True
    ),
    "mmarco": DataSet(  # download: collections 27.9e9, English 4.1e9, triples 0.9e9
        "mMARCO", trained=lambda _: _mmarco(), download=33.2e9
    ),
    "miracl-mini": DataSet(
        "MIRACL-mini", ("miracl-mini",), is_wikipedia=True, is_mirror_only=True, is_scored_alone=True
    ),
    miracl.NAME: DataSet(
        "MIRACL", (miracl.NAME,), is_wikipedia=True, is_scored_alone=True, texts=76_728_875, download=16.2e9
    ),
}  # fmt: skip
LAREQA = lareqa.NAMES
TRAINED = tuple(name for name, row in SETS.items() if row.trained)
EVALUATED = tuple(name for row in SETS.values() for name in row.scored)
BY_SHARD = miracl.NAME  # whose passages are never all in memory: `evaluation.shards` searches them
READ_BY = ("data",)  # the code with which released files are always the same set
OUTLINED = (*LAREQA, "parallel-docs-heldout", "miracl-mini")  # whole sets of which an outline is tracked


def base(name: str) -> str:
    """The row of `SETS` that a name stands for a part of: ``mlqa-r`` for ``mlqa-r-fold0``; an own file is its own."""
    if part := FOLD.fullmatch(name) or CUT.fullmatch(name):
        return part["base"]
    return next((key for key, row in SETS.items() if name == key or name in row.scored), name)


def label(name: str) -> str:
    """How people write a data set: ``XQuAD-R (held-out)``; an own file without folder and ending."""
    if base(name) not in SETS:
        own = name.removesuffix(HELDOUT)
        return paths.called(own) + (" (held-out)" if own != name else "")
    part = name.removeprefix(base(name)).removeprefix("-").replace("-", " ")
    said = {"": "", "heldout": " (held-out)", "new": " (new relations)"}
    return SETS[base(name)].label + said.get(part, f" ({part})")


def is_scored_alone(name: str) -> bool:
    """Whether a cell of its own scores the set."""
    return base(name) in SETS and SETS[base(name)].is_scored_alone


def is_part(name: str) -> bool:
    """Whether it is a fold of a benchmark or the rest of it, or a training set cut to a size or to languages."""
    return bool(FOLD.fullmatch(name) or CUT.fullmatch(name))


def is_own(name: str) -> bool:
    """Whether it is the path of a file of one's own, or means its held-out rows; not a name of ours."""
    return bool(paths.ROWS.search(name.removesuffix(HELDOUT)))


def file_of(name: str) -> Path:
    """The file of one's own that a name stands for, as a whole or in part."""
    return paths.brought(name.removesuffix(HELDOUT))


def evaluation_set(name: str, candidates: str = "sentence") -> ParallelSet:
    """The questions and pool that ``name`` in a profile's ``eval`` stands for.

    Args:
        name: ``xquad-r`` or ``mlqa-r`` (all questions), ``xquad-r-heldout`` or ``mlqa-r-heldout`` (in-domain test
            questions against the full pool), ``facts`` (its test part; ``facts-heldout`` of the relations that are
            trained on, ``facts-new`` of the others, against the same pool), ``parallel-docs-heldout``,
            ``mlqa-r-fold0`` to ``-fold4`` (the questions of a fold against the full pool; likewise ``xquad-r``),
            ``miracl-mini``, ``miracl-dev`` (its topics and what answers them, without texts of passages), or the path
            of one's own file: parallel JSONL, CSV or TSV.
        candidates: ``sentence``, or ``sentence+paragraph`` for the sentence followed by its paragraph.
    """
    return _evaluated(str(name), candidates).handed_out()


def _evaluated(name: str, candidates: str) -> ParallelSet:
    if (fold := FOLD.fullmatch(name)) and not fold["without"]:
        full = lareqa.read(fold["base"], candidates)
        return full.only(parallel.folds_of(full.questions) == int(fold["number"]), name)
    if base(name) in LAREQA and name in EVALUATED:
        full = lareqa.read(base(name), candidates)
        return full if name == base(name) else full.heldout
    if base(name) == "facts":
        return _facts_test(name)
    readers = {"parallel-docs-heldout": parallel_docs.heldout, "miracl-mini": miracl.mini, miracl.NAME: miracl.full}
    if name in readers:
        return readers[name]()
    own = _own(name.removesuffix(HELDOUT), EVALUATED)
    return own.heldout if name.endswith(HELDOUT) else own


def outline(name: str, candidates: str = "sentence") -> ParallelSet:
    """Return a set as `evaluation_set` does, but without texts, ids and names of groups where it is a released one.

    It is the same where the set itself cannot be had (see `data.outlines`).
    """
    part = FOLD.fullmatch(name)
    whole = part["base"] if part else name.removesuffix(HELDOUT) if base(name) in LAREQA else name
    known = outlines.read(whole) if candidates == "sentence" and whole in OUTLINED else None
    if known is None or (part and part["without"]):
        return _evaluated(name, candidates)
    if part:
        return known.only((known.questions["fold"] == int(part["number"])).to_numpy(), name)
    return known if name == whole else known.heldout


def evaluation_digest(name: str, candidates: str = "sentence") -> str:
    """What identifies the content of an evaluated set; of MIRACL's corpora without downloading them."""
    if name == BY_SHARD:
        return artifacts.digest(miracl.identity())[:16]
    return _known(name, None, candidates)["digest"]


def training_set(name: str, evaluated: Iterable[str], candidates: str = "sentence") -> ParallelSet:
    """The questions of ``name`` that may be trained on: its training split, less articles that tests share.

    Harvard University and Prime number occur in both XQuAD-R and MLQA-R: they are dropped where the other one
    is evaluated. Development and in-domain test questions are never trained on. Pages of documentation repeat each
    other: of ``parallel-docs``, 477 questions go, which have a text (most often a heading, Overview) in some language
    in common with a held-out question or its passage.

    ``mlqa-r-without-fold0`` is MLQA-R less the articles of that fold, for cross-fitting (likewise ``xquad-r``).
    ``parallel-docs-900-questions`` is a fixed sample of as many questions as MLQA-R trains on, ``xquad-r-7-languages``
    has the languages of MLQA-R alone: they tell size and languages of a training set from its distance to a test.
    """
    return _trained(str(name), [evaluated] if isinstance(evaluated, str) else evaluated, candidates).handed_out()


def _trained(name: str, evaluated: Iterable[str], candidates: str) -> ParallelSet:
    made = _trainable.__wrapped__ if is_own(name) else _trainable  # a file of one's own may have changed since
    return made(name, frozenset(evaluated) & set(LAREQA), candidates)


def training_digest(name: str, evaluated: Iterable[str], candidates: str = "sentence") -> str:
    """What identifies the content of a training set; of mMARCO without downloading it, since plans are made first."""
    if name == "mmarco":
        return artifacts.digest(mmarco.identity())[:16]
    return _known(name, evaluated, candidates)["digest"]


def training_languages(name: str, evaluated: Iterable[str], candidates: str = "sentence") -> list[str]:
    """The languages of a training set."""
    return _known(name, evaluated, candidates)["languages"]


def _known(name: str, beside: Iterable[str] | None, candidates: str) -> dict[str, Any]:
    """What `described` gives; of released files and of the facts, which stay the same, without reading them again."""
    is_ours = name in EVALUATED if beside is None else name in TRAINED or CUT.fullmatch(name)
    if (is_ours or FOLD.fullmatch(name)) and (base(name) == "facts" or download.files_of(base(name))):
        return _kept(name, None if beside is None else frozenset(beside) & set(LAREQA), candidates)
    return described(name, beside, candidates)


def described(name: str, beside: Iterable[str] | None, candidates: str) -> dict[str, Any]:
    """Digest and languages of a set to train on, beside those that are scored, or (None) to score on; reads it."""
    found = _evaluated(name, candidates) if beside is None else _trained(name, beside, candidates)
    return {"digest": found.digest, "languages": found.languages}


@cache
def _kept(name: str, beside: frozenset[str] | None, candidates: str) -> dict[str, Any]:
    """What `described` gives of a set that stays, without reading it twice."""
    # Tracked, so that published cells are found where the files cannot be had; else kept in the store.
    if tracked := outlines.known(name, beside, candidates):
        return tracked
    datasets = {base(name), *(beside or ()), *(["mlqa-r"] if name.endswith("-languages") else [])}
    for dataset in datasets - {"facts"}:
        download.fetch(dataset)
    files = {file.path: file.sha256 for dataset in datasets for file in download.files_of(dataset)}
    wanted = {"set": name, "candidates": candidates, "files": files, "code": artifacts.code(READ_BY)}
    # Of babel, whose names change, the facts are made.
    wanted |= {"evaluated": None if beside is None else sorted(beside), "babel": version("babel")}
    return artifacts.known("sets", wanted, lambda: described(name, beside, candidates))


@cache
def _trainable(name: str, evaluated: frozenset[str], candidates: str) -> ParallelSet:
    if cut := CUT.fullmatch(name):
        return _cut(_trainable(cut["base"], evaluated, candidates), name, cut["to"])
    if fold := FOLD.fullmatch(name):
        whole = _trainable(fold["base"], evaluated, candidates)
        full = lareqa.read(fold["base"], candidates).questions
        of = dict(zip(full["group"], parallel.folds_of(full), strict=True))
        return whole.only((whole.questions["group"].map(of) != int(fold["number"])).to_numpy(), name)
    full = SETS[name].trained(candidates) if name in TRAINED else _own(name, TRAINED)
    keep = full.questions["split"] == "train"
    for other in evaluated - {name}:
        keep &= ~full.questions["group"].isin(lareqa.read(other, candidates).questions["group"])
    if name == "parallel-docs":
        keep &= ~full.repeats(parallel_docs.heldout())
    return full.only(keep.to_numpy())


def _cut(full: ParallelSet, name: str, to: str) -> ParallelSet:
    """A training set cut to 900 questions, by a fixed hash of their ids, or to the languages of MLQA-R."""
    if to == "900-questions":
        order = full.questions["id"].map(lambda id_: hashlib.sha256(id_.encode()).hexdigest()).rank()
        return full.only((order <= 900).to_numpy(), name)
    return full.within(lareqa.read("mlqa-r").languages, name)


@cache
def _facts(split: str) -> ParallelSet:
    return parallel.from_rows("facts", [row for row in facts.rows() if row["split"] == split])


@cache
def _facts_test(name: str) -> ParallelSet:
    full = _facts("test")
    new = full.questions["id"].str.split(":").str[0].isin(facts.TEST_ONLY_RELATIONS)
    return full if name == "facts" else full.only((new == (name == "facts-new")).to_numpy(), name)


@cache
def _mmarco() -> ParallelSet:
    return parallel.from_rows("mmarco", jsonl.read_rows(mmarco.fetch()))


def _own(name: str, known: tuple[str, ...]) -> ParallelSet:
    if not is_own(name):
        use = "evaluation" if known == EVALUATED else "training"
        right = f"choose of {', '.join(known)}, or a .jsonl, .csv or .tsv file of your own"
        raise UserError(f"data set '{name}' does not exist for {use}; {right}")
    return own_rows.read_set(paths.brought(name), known == TRAINED)
