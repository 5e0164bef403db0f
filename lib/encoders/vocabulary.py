"""Vocabulary trimming: within a run, keep only the pieces that the run's texts use, and undo it afterwards.

Most of a small multilingual encoder is rows of word vectors that a run never looks up. The cut leaves every
encoding of the given texts as it was: the best Unigram segmentation of a text stays the best one when pieces
are removed that it does not use, since the rest compete with the same scores as before. Other texts may be
segmented differently, so a model that is saved for others gets its full vocabulary back by `restore`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from torch import nn

# Texts handed to the tokenizer at once: enough to keep all cores busy, few enough to keep memory flat.
CHUNK = 8192
_found: dict[bytes, frozenset[int]] = {}  # by a digest of tokenizer, prompts and texts


@dataclass(frozen=True)
class Cut:
    """What `restore` needs to undo a trimming.

    Attributes:
        kept: ids of the pieces that were kept, ascending.
        vectors: the word vectors as they were, all of them.
        tokenizer: the tokenizer as it was.
    """

    kept: np.ndarray
    vectors: torch.Tensor
    tokenizer: Tokenizer


def trim(model: SentenceTransformer, texts: Iterable[str]) -> Cut | None:
    """Cut `model`, in place, down to the pieces that `texts` use.

    Args:
        model: a SentenceTransformer whose first module is a transformer or a StaticEmbedding.
        texts: all texts of the run, without prompts: each is taken under every prompt of the model.

    Returns:
        What was cut off, for `restore`. None where the tokenizer is not a Unigram one (but WordPiece or BPE):
        then the model is left as it is.
    """
    import torch
    from tokenizers import Tokenizer, models

    backend = tokenizer_of(model)
    if not isinstance(backend.model, models.Unigram) or "message" in getattr(model[0], "modality_config", {}):
        return None  # a message has words of its template around the text
    written = backend.to_str()
    description = json.loads(written)
    used = _used_ids(backend, written, texts, set(model.prompts.values()) or {""})
    kept = np.array(sorted(used | _always_kept(model, backend, description)))
    vectors = word_vectors(model).weight.detach()
    _replace_tokenizer(model, Tokenizer.from_str(json.dumps(_subset(description, kept))))
    _replace_vectors(model, vectors[torch.from_numpy(kept).to(vectors.device)].clone())
    return Cut(kept, vectors, backend)


def restore(model: SentenceTransformer, cut: Cut | None) -> None:
    """Undo `trim`, in place: pieces that were kept have the vectors of now, all others those of before.

    Args:
        model: the model that `trim` cut, trained since or not.
        cut: what `trim` returned.
    """
    import torch

    if cut is None:
        return
    vectors = cut.vectors.clone()
    now = word_vectors(model).weight.detach()
    vectors[torch.from_numpy(cut.kept).to(vectors.device)] = now.to(vectors)
    _replace_vectors(model, vectors.to(now.device))
    _replace_tokenizer(model, cut.tokenizer)


def _used_ids(backend: Tokenizer, written: str, texts: Iterable[str], prompts: Iterable[str]) -> frozenset[int]:
    """Return the ids of all pieces in the segmentations of each text, whole, under each prompt.

    They are found once for all trainings of a process on the same texts by the same tokenizer, ``written`` as JSON.
    """
    truncation, padding = backend.truncation, backend.padding
    backend.no_truncation()
    backend.no_padding()
    distinct, prompts = ["", *dict.fromkeys(texts)], sorted(prompts)
    asked = sha256(json.dumps([written, prompts, distinct]).encode()).digest()
    used: set[int] = set()
    for prompt in () if asked in _found else prompts:
        for start in range(0, len(distinct), CHUNK):
            batch = [prompt + text for text in distinct[start : start + CHUNK]]
            used.update(*(encoding.ids for encoding in backend.encode_batch_fast(batch)))
    if truncation:
        backend.enable_truncation(**truncation)
    if padding:
        backend.enable_padding(**padding)
    return _found.setdefault(asked, frozenset(used))


def _always_kept(model: SentenceTransformer, backend: Tokenizer, description: dict[str, Any]) -> set[int]:
    """Return ids that are kept whatever the texts: control tokens, added tokens, and one least likely piece.

    Control tokens (those put around a text, padding, unknown) are named by id in places that are not
    rewritten, so all ids up to the last of them stay. An unknown character's score hangs on the lowest score.
    """
    padding = getattr(model.tokenizer, "pad_token_id", None)
    control = {*backend.encode("").ids, description["model"]["unk_id"], padding} - {None}
    added = {token["id"] for token in description["added_tokens"]}
    least_likely = min(enumerate(description["model"]["vocab"]), key=lambda item: item[1][1])[0]
    return set(range(max(control) + 1)) | added | {least_likely}


def _subset(description: dict[str, Any], kept: np.ndarray) -> dict[str, Any]:
    """Return the tokenizer's JSON with just the kept pieces, renumbered from 0 in their old order."""
    new_id = {int(old): new for new, old in enumerate(kept)}
    pieces = description["model"]["vocab"]
    added = [token | {"id": new_id[token["id"]]} for token in description["added_tokens"]]
    ordinary = [pieces[old] for old in new_id if old < len(pieces)]  # added tokens may stand behind them
    unigram = description["model"] | {"vocab": ordinary}
    return description | {"added_tokens": added, "model": unigram}


def unigram(pieces: list[tuple[str, float]], steps: list[Any], unk: int, bos: int, eos: int) -> Tokenizer:
    """Return a tokenizer of SentencePiece's kind, which puts a piece before and one after a text.

    Args:
        pieces: each with its log-probability, in the order of their ids.
        steps: normalizers, applied to a text one after the other.
        unk, bos, eos: ids of the pieces for what is unknown, for the beginning and for the end.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.Unigram(pieces, unk_id=unk))
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.decoder = decoders.Metaspace(prepend_scheme="always")
    ends = [(pieces[index][0], index) for index in (bos, eos)]
    made.post_processor = processors.TemplateProcessing(single=f"{ends[0][0]} $A {ends[1][0]}", special_tokens=ends)
    return made


def tokenizer_of(model: SentenceTransformer) -> Tokenizer:
    """Return the Rust tokenizer of the model's first module."""
    return getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)


def _replace_tokenizer(model: SentenceTransformer, backend: Tokenizer) -> None:
    if hasattr(model.tokenizer, "backend_tokenizer"):
        model.tokenizer._tokenizer = backend
    else:
        model[0].tokenizer = backend


def word_vectors(model: SentenceTransformer) -> nn.Embedding | nn.EmbeddingBag:
    """Return the layer that holds the word vectors."""
    first = model[0]
    return first.embedding if hasattr(first, "embedding") else first.auto_model.get_input_embeddings()


def _replace_vectors(model: SentenceTransformer, vectors: torch.Tensor) -> None:
    """Give the model these word vectors, one row a piece."""
    import torch

    layer = word_vectors(model)
    layer.weight = torch.nn.Parameter(vectors, requires_grad=layer.weight.requires_grad)
    layer.num_embeddings = len(vectors)
    if hasattr(model[0], "num_embeddings"):
        model[0].num_embeddings = len(vectors)
    elif hasattr(model[0], "auto_model"):
        model[0].auto_model.config.vocab_size = len(vectors)
