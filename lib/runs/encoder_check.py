"""An encoder that somebody brings is tried on eight texts before any work: is it used as its authors meant?

What counts is what sentence-transformers' own `encode_query` and `encode_document` give for the folder as it is. The
vectors of an evaluation and those of a training must be the same, or the encoder is refused with one line.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base import device, processes
from ..base.config import FEWEST_TOKENS, Config
from ..base.errors import UserError
from ..encoders import encode as embedding
from ..encoders import files as encoder_files
from ..encoders import hub, vocabulary
from ..encoders import load as encoders
from ..training import trainer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

LEAST = 0.9999  # cosine of two vectors of a text in float32
MOST_ROUNDED = 0.1  # of how far similarities lie apart; a hundredth is usual
# Of one word and of more than any limit of length, in several scripts, so that a batch of them needs padding.
TEXTS = (
    "Athens",
    "Where is the nearest pharmacy, and when does it open on Sundays?",
    "Die Öffnungszeiten ändern sich im März.",
    "Где находится ближайшая аптека?",
    "أين تقع أقرب صيدلية؟",
    "最近的药店在哪里？星期天几点开门？",
    "ร้านขายยาที่ใกล้ที่สุดอยู่ที่ไหน",
    "The house at the river was built in 1874; its owner, whose name is not known, left it in the same year. " * 40,
)
ROLES = ("query", "document")


def as_meant(folder: Path, config: Config, trained: bool) -> None:
    """Refuse an encoder whose vectors here are not those of sentence-transformers.

    Args:
        folder: of the encoder, as `encoders.load.fetched` finds it.
        trained: whether the run trains it; if not, only its evaluation is tried.

    Raises:
        UserError: as `lib.encoders.load`; the limit of length is beyond its own; or a vector differs, and which.
    """
    model = encoders.load(folder)
    if (name := encoder_files.overlooked(folder)) and processes.rank() == 0:
        told = f"{folder}: passages begin with {encoders.prompt(model, 'document')!r} here, its prompt called {name}; "
        told += "encode_document leaves it out, since document is empty, as it is saved by default: if none is meant, "
        embedding.say_once(model.origin.name, f"{told}remove {name} from {encoder_files.SETTINGS}")
    _check_length(folder, model, config.max_tokens)
    with _trial(folder, "sentence-transformers"):
        wanted = {kind: _own(folder, kind, model) for kind in ROLES}
    with _trial(folder, "this suite"):
        found = {kind: embedding.encode(model, TEXTS, kind) for kind in ROLES}
    for kind in ROLES:
        embedding.check(wanted[kind], TEXTS, f"{folder}, {kind}")
        _compare(folder, f"the {kind}", found[kind], wanted[kind])
    if device.precision(config.precision) != "float32":
        _check_rounding(folder, found, {kind: embedding.encode(model, TEXTS, kind, "bfloat16") for kind in ROLES})
    if trained:
        with _trial(folder, "a training"):
            learnt = _training_vectors(model, config)
        for kind, vectors in learnt.items():
            _compare(folder, f"in training the {kind}", vectors, wanted[kind])


def _check_rounding(folder: Path, exact: dict[str, np.ndarray], rounded: dict[str, np.ndarray]) -> None:
    """Refuse an encoder whose texts lie so close together that bfloat16 would rank them by its rounding."""
    sure, other = (vectors["query"] @ vectors["document"].T for vectors in (exact, rounded))
    apart = ~np.eye(len(TEXTS), dtype=bool)
    share = np.sqrt(((other - sure)[apart] ** 2).mean()) / max(sure[apart].std(), np.finfo(np.float32).tiny)
    if share > MOST_ROUNDED:
        raise UserError(
            f"precision: bfloat16 moves the similarities of {folder} by {share:.0%} of how far they lie apart; use "
            "precision=float32"
        )


def _check_length(folder: Path, model: "SentenceTransformer", max_tokens: int) -> None:
    """Set the limit of length; beyond its own, an encoder would fail, or see what it was not made for."""
    if not hasattr(model[0], "auto_model"):
        return
    most = encoders.longest(model)
    if most and most < FEWEST_TOKENS:
        raise UserError(f"{folder} cannot be used: it takes {most} tokens of a text; {FEWEST_TOKENS} are the least")
    if most and max_tokens > most:
        raise UserError(f"max_tokens: {max_tokens} is more than the {most} that {folder} takes; use max_tokens={most}")
    embedding.cut(model, max_tokens)


def _own(folder: Path, kind: str, ours: "SentenceTransformer") -> np.ndarray:
    """What sentence-transformers makes of the folder, which it reads by itself: float32 [texts, dimensions]."""
    import torch
    from sentence_transformers import SentenceTransformer

    with hub.quiet():
        kwargs = {"dtype": torch.float32}
        model = SentenceTransformer(str(folder), device=device.device(), model_kwargs=kwargs, **hub.LOCAL).float()
    if limit := ours.max_seq_length:
        embedding.cut(model, limit)
    encode = model.encode_query if kind == "query" else model.encode_document
    prompt = encoders.prompt(model, kind)  # also one that `encode_document` overlooks
    return _scored(model, encode(list(TEXTS), prompt=prompt, batch_size=1, show_progress_bar=False))  # no padding


def _training_vectors(model: "SentenceTransformer", config: Config) -> dict[str, np.ndarray]:
    """The vectors that a training would learn from, by kind; with the vocabulary cut, as it is there."""
    import torch
    from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator
    from sentence_transformers.util import batch_to_device

    cut = vocabulary.trim(model, TEXTS)
    trainer.prepare(model, config)
    learner = trainer.in_groups(model).eval()
    columns = dict(zip(("anchor", "positive"), ROLES, strict=True))
    collate = SentenceTransformerDataCollator(preprocess_fn=model.preprocess, prompts=trainer.prompts(model))
    batch = collate([dict.fromkeys(columns, text) for text in TEXTS])
    found = {}
    with torch.inference_mode():
        for column, kind in columns.items():
            start = f"{column}_"
            features = {k.removeprefix(start): v for k, v in batch.items() if k.startswith(start)}
            features = batch_to_device(features, model.device)
            found[kind] = _scored(model, learner(features)["sentence_embedding"].float().cpu().numpy())
    vocabulary.restore(model, cut)
    return found


def _scored(model: "SentenceTransformer", vectors: np.ndarray) -> np.ndarray:
    """The vectors as they enter a score: of as many dimensions as the folder says, of length 1 for a cosine."""
    vectors = vectors[:, : model.truncate_dim].astype(np.float32)
    if model.similarity_fn_name != "cosine":
        return vectors
    size = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # what is infinite is refused, in one line
        return (vectors / np.maximum(size, 1e-12)).astype(np.float32)


def _trial(folder: Path, who: str) -> AbstractContextManager[None]:
    return encoders.in_one_line(f"{folder} cannot be used: {who} fails on eight texts of a trial ({{reason}})")


def _compare(folder: Path, what: str, found: np.ndarray, wanted: np.ndarray) -> None:
    """Refuse vectors that point elsewhere, or, where the length counts, are of another one."""
    if found.shape != wanted.shape:
        raise UserError(
            f"{folder} cannot be used as meant: its vectors here have {found.shape[1]} dimensions, by "
            f"sentence-transformers {wanted.shape[1]}"
        )
    size = np.maximum(np.linalg.norm(wanted, axis=1), 1e-12)
    far = np.linalg.norm(found - wanted, axis=1) / size
    if not far.max() < np.sqrt(2 - 2 * LEAST):
        text = int(np.nanargmax(np.where(np.isnan(far), np.inf, far)))
        cosine = float(found[text] @ wanted[text] / (size[text] * max(np.linalg.norm(found[text]), 1e-12)))
        raise UserError(
            f"{folder} cannot be used as meant: {what} '{TEXTS[text][:40]}' has another vector here than "
            f"sentence-transformers gives for it alone (cosine {cosine:.4f}, {LEAST} is asked for); if that depends on "
            "the padding of its batch, mend padding_side in tokenizer_config.json"
        )
