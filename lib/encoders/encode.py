"""Texts to vectors in one pass, sorted by length, in batches of about equal numbers of tokens."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base import device, progress
from ..base.config import Config
from ..base.errors import UserError
from ..data import catalog as data
from ..data.sets import ParallelSet
from . import load, vocabulary

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TOKENS_PER_BATCH = {"cpu": 3_072, "cuda": 65_536}
STATIC_BATCH = 1_024
LONGEST = 1e18  # the square of it, and the sum of many, is far from the end of float32


def encode_sets(
    model: "SentenceTransformer", names: Iterable[str], config: Config
) -> Iterator[tuple[ParallelSet, np.ndarray, np.ndarray]]:
    """Encode one evaluation set after the other; those that share a pool share its vectors.

    How many texts of a file of somebody's own are cut is said once.

    Yields:
        The set; float32 [queries, dimensions]; float32 [passages, dimensions].

    Raises:
        UserError: as `check`.
    """
    takes = load.longest(model) if hasattr(model[0], "auto_model") else None
    cut(model, config.max_tokens)
    precision = device.precision(config.precision)
    pools: dict[str, np.ndarray] = {}
    for name in names:
        chosen = data.evaluation_set(name, config.candidates)
        queries = chosen.queries["text"].tolist()
        passages = [] if chosen.pool in pools else chosen.passages["text"].tolist()
        with progress.task(f"encoding {name}, texts", len(queries) + len(passages)) as task:
            longer: list[int] = []
            query_vectors = encode(model, queries, "query", precision, task.advance, longer.append)
            check(query_vectors, queries, f"{name}, query")
            _say_empty(model, query_vectors, queries, f"{name}, questions")
            if passages:  # held-out questions share the pool of all questions
                pools[chosen.pool] = encode(model, passages, "document", precision, task.advance, longer.append)
                check(pools[chosen.pool], passages, f"{name}, passage")
                _say_empty(model, pools[chosen.pool], passages, f"{name}, passages")
        if data.is_own(name) and sum(longer):
            share = f"{sum(longer):,} of {len(queries) + len(passages):,} texts"
            more = f"; the encoder takes {takes} (max_tokens)" if takes and takes > config.max_tokens else ""
            line = f"{name}: {share} are longer than {config.max_tokens} tokens and were cut{more}"
            say_once(model.origin.name, line)
        yield chosen, query_vectors, pools[chosen.pool]


def cut(model: "SentenceTransformer", max_tokens: int) -> None:
    """Let an encoder see so many tokens of a text; a mean of word vectors sees all."""
    if not _is_static(model):
        model.max_seq_length = max_tokens


@cache
def say_once(encoder: str, line: str) -> None:
    """Say something of an encoder, and perhaps of a set, once, however often that is trained."""
    print(line, file=sys.stderr)


def encode(
    model: "SentenceTransformer",
    texts: Sequence[str],
    kind: str,
    precision: str = "float32",
    progress: Callable[[int], Any] | None = None,
    longer: Callable[[int], Any] | None = None,
) -> np.ndarray:
    """Embed texts with the model's prompt for their kind, as they enter a dot product.

    Where the model is made for the cosine, they have length 1, whether it ends with a norm or not. The transformer
    runs in ``precision``; pooling and normalisation always in float32, since scores that are rounded to bf16 would tie.

    Args:
        kind: ``query`` or ``document``, the name of the prompt.
        progress: called with the number of texts done since the last call.
        longer: called with the number of texts that are longer than the model's limit, and are cut.

    Returns:
        float32 [texts, dimensions], rows in the order of ``texts``.
    """
    import torch
    from sentence_transformers.util import batch_to_device

    prompt = (model.prompts or {}).get(kind) or ""
    model.eval()
    vectors = np.empty((len(texts), model.get_embedding_dimension() or 0), np.float32)
    with torch.inference_mode(), _running_in(model, precision):
        for rows in _batches(model, [prompt + text for text in texts], longer):
            features = model.preprocess([texts[row] for row in rows], prompt=prompt or None)
            features = batch_to_device(features, model.device)
            for module in model:
                features = module(features)
                if "token_embeddings" in features:
                    features["token_embeddings"] = features["token_embeddings"].float()
            part = features["sentence_embedding"].float()[:, : model.truncate_dim]
            vectors[rows] = (part if _has_its_length(model) else torch.nn.functional.normalize(part)).cpu().numpy()
            if progress:
                progress(len(rows))
    return vectors[_first_of_each(texts)]


def _first_of_each(texts: Sequence[str]) -> np.ndarray:
    """int64 [texts]: the first place of each text. Equal ones may differ in the last bits, as their batches did."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(text, place) for place, text in enumerate(texts)], np.int64)


def _has_its_length(model: "SentenceTransformer") -> bool:
    """Whether the last module's vectors enter a score as they are: of length 1, or made for the dot product."""
    from sentence_transformers.sentence_transformer.modules import Normalize

    is_unit = isinstance(model[-1], Normalize) and not model.truncate_dim
    return is_unit or getattr(model, "similarity_fn_name", "cosine") == "dot"


def check(vectors: np.ndarray, texts: Sequence[str], what: str) -> None:
    """Refuse vectors that no ranking could be made from.

    Raises:
        UserError: a vector holds NaN or infinity, or is so long that a score or a sum of scores would; names ``what``
            the texts are, and the first such text.
    """
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    if len(broken := np.flatnonzero(~(squares <= LONGEST**2))):
        text = _start(texts[broken[0]])
        gives, right = "NaN or infinity", "try precision=float32, or another encoder"
        if np.isfinite(squares[broken]).all():
            gives, right = f"a vector longer than {LONGEST:g}", "make its weights smaller, or normalise its vectors"
        raise UserError(
            f"{what} {broken[0] + 1} of {len(texts)} ('{text}'): the encoder gives {gives} for it and "
            f"{len(broken) - 1} more; {right}"
        )


def check_apart(vectors: np.ndarray, texts: pd.DataFrame, what: str) -> None:
    """Refuse vectors that are one and the same in a language: the order of the file would decide every rank.

    Args:
        texts: ``language, text``, a row a vector.

    Raises:
        UserError: ``what`` the texts are, in which language, and what to look at.
    """
    for language, rows in texts.groupby("language", sort=False).indices.items():
        if len(rows) > 1 and (vectors[rows] == vectors[rows[0]]).all() and texts["text"].iloc[rows].nunique() > 1:
            right = "does it know this language, and are its weights its own?"
            raise UserError(f"{what} in {language}: the encoder gives all {len(rows)} texts one vector; {right}")


def _say_empty(model: "SentenceTransformer", vectors: np.ndarray, texts: Sequence[str], what: str) -> None:
    """Say how many texts have the vector 0, which ties with all others."""
    if len(empty := np.flatnonzero(~vectors.any(axis=1))):
        share = f"{len(empty):,} of {len(texts):,} texts have the vector 0, first '{_start(texts[empty[0]])}'"
        line = f"{what}: {share}: none of their tokens is known, and docids decide over their ranks"
        say_once(model.origin.name, line)


def _start(text: str) -> str:
    return " ".join(text.split())[:60]


def _batches(
    model: "SentenceTransformer", texts: Sequence[str], longer: Callable[[int], Any] | None = None
) -> Iterator[np.ndarray]:
    """Row numbers of each batch, longest texts first, so that hardly any padding is computed."""
    if _is_static(model):
        yield from np.array_split(np.arange(len(texts)), max(1, -(-len(texts) // STATIC_BATCH)))
        return
    limit = model.max_seq_length or 512
    backend = vocabulary.tokenizer_of(model)
    backend.no_padding()
    backend.no_truncation()  # as an earlier batch may have left it
    whole = np.array([len(encoding) for encoding in backend.encode_batch_fast(texts)], np.int64)
    lengths = np.minimum(whole, limit)
    if longer:
        longer(int((whole > limit).sum()))
    order = np.argsort(-lengths, kind="stable")
    budget, start = getattr(model[0], "tokens_per_batch", TOKENS_PER_BATCH[device.device()]), 0
    while start < len(order):
        end = start + max(1, budget // int(lengths[order[start]]))
        yield order[start:end]
        start = end


def _is_static(model: "SentenceTransformer") -> bool:
    """Whether an encoder is a mean of word vectors, which has no limit of length and pads nothing."""
    return getattr(model[0], "max_seq_length", None) == math.inf


def runs_in(model: "SentenceTransformer", precision: str) -> str:
    """The precision that a model runs in: only transformers run in another one than float32."""
    return device.precision(precision) if hasattr(model[0], "auto_model") else "float32"


@contextmanager
def _running_in(model: "SentenceTransformer", precision: str) -> Iterator[None]:
    """The transformer's weights in a precision for a while, and then as they were.

    Numbers that are no weights but made from settings, such as the frequencies of rotary positions, stay in float32:
    angles of far places are nothing but their rounding in bf16. Tables of positions are added to word vectors, so they
    must be as precise as those, no more.
    """

    import torch

    transformer = getattr(model[0], "auto_model", None)
    if transformer is None or precision != "bfloat16":
        yield
        return
    tables = [buffer for buffer in transformer.buffers() if buffer.is_floating_point() and buffer.ndim > 1]
    before = [(tensor, tensor.data) for tensor in (*transformer.parameters(), *tables)]
    try:
        for tensor, weights in before:
            tensor.data = weights.to(torch.bfloat16)
        yield
    finally:
        for tensor, weights in before:
            tensor.data = weights
