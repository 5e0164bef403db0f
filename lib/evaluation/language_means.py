"""Language means for an index of one's own: kept in a file, subtracted from any vectors whose language is known.

Most multilingual encoders put texts of one language close together, whatever they say. Subtracting each language's mean
vector takes that away without any training (docs/guides/centring.md)::

    means = LanguageMeans.fit(vectors, languages)
    index.add(means.centred(vectors, languages))
    means.save("passages.safetensors")

Queries and passages have means of their own, since encoders treat them differently: fit one object for each.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base import store as artifacts
from ..base.errors import UserError
from ..data import jsonl
from . import centring

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FEWEST = 2  # texts of a language: of a single one, less itself, nothing is left
FORMAT = "hybrid-batches language means 1"


@dataclass(frozen=True)
class LanguageMeans:
    """The mean vector of each language, of vectors of length 1.

    Attributes:
        means: float32 [dimensions], by language.
        counts: how many texts each was taken from.
    """

    means: centring.Means
    counts: dict[str, int]

    @classmethod
    def fit(cls, vectors: Any, languages: Iterable[str]) -> "LanguageMeans":
        """Means of vectors that were encoded already.

        Args:
            vectors: [texts, dimensions], an array or a tensor, of any lengths: each counts with length 1.
            languages: [texts], the language of each, in any spelling that is used again in `centred`.

        Raises:
            UserError: they do not fit each other, a vector is zero or not finite, or a language has a single text.
        """
        found, code = _read(vectors, languages)
        counts = code.value_counts().sort_index()
        if few := [language for language, number in counts.items() if number < FEWEST]:
            raise UserError(
                f"language {few[0]!r} has one text, whose mean is itself; {FEWEST} are needed, 100 are good"
            )
        return cls(centring.of(found, code), {str(language): int(number) for language, number in counts.items()})

    @classmethod
    def of_texts(
        cls, model: "SentenceTransformer", texts: Iterable[str], languages: Iterable[str], kind: str = "document"
    ) -> "LanguageMeans":
        """Means of texts, encoded as ``kind`` says: ``query`` or ``document``."""
        return cls.fit(_encoded(model, texts, kind), languages)

    def centred(self, vectors: Any, languages: Iterable[str]) -> np.ndarray:
        """Vectors less the mean of their language, at length 1 again: float32 [texts, dimensions].

        Raises:
            UserError: as `fit`, or a language has no mean, or the dimensions differ, or a vector is the mean itself.
        """
        found, code = _read(vectors, languages)
        if lacking := sorted(set(code) - set(self.means)):
            raise UserError(
                f"no mean of language {lacking[0]!r}; there are {', '.join(self.means)}: fit with its texts"
            )
        if found.shape[1] != self.dimensions:
            raise UserError(f"the vectors have {found.shape[1]} dimensions, the means {self.dimensions}")
        rest = centring.centred(found, code, self.means)
        if (nothing := ~rest.any(axis=1)).any():
            row = int(nothing.argmax())
            what = f"its vector is the mean of {code[row]!r}, less which nothing is left; fit with texts that differ"
            raise UserError(f"row {row + 1}: {what}")
        return rest

    def encode(
        self, model: "SentenceTransformer", texts: Iterable[str], languages: Iterable[str], kind: str = "document"
    ) -> np.ndarray:
        """Texts as centred vectors: float32 [texts, dimensions]."""
        return self.centred(_encoded(model, texts, kind), languages)

    @property
    def dimensions(self) -> int:
        return len(next(iter(self.means.values())))

    def save(self, path: str | Path) -> None:
        """Write the means to a file of safetensors, a tensor a language; the counts are in its metadata."""
        from safetensors.numpy import save

        metadata = {"format": FORMAT, "counts": json.dumps(self.counts)}
        if Path(path).is_dir():
            raise UserError(f"{path} is a folder; give the name of a file, such as {Path(path) / 'means.safetensors'}")
        content = save({language: np.ascontiguousarray(mean) for language, mean in self.means.items()}, metadata)
        with artifacts.replacing(Path(path)) as temporary:
            temporary.write_bytes(content)

    @classmethod
    def load(cls, path: str | Path) -> "LanguageMeans":
        """Read what `save` wrote.

        Raises:
            UserError: it is not such a file.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                means = {language: file.get_tensor(language) for language in sorted(file.keys())}
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path}: there is no file of language means; write one with save") from error
        if metadata.get("format") != FORMAT:
            raise UserError(f"{path}: it holds other tensors than language means; write them with save")
        if not all(np.isfinite(mean).all() for mean in means.values()):
            raise UserError(f"{path}: a mean is not finite; fit them again")
        return cls(means, json.loads(metadata.get("counts", "{}")))


def _encoded(model: "SentenceTransformer", texts: Iterable[str], kind: str) -> np.ndarray:
    if kind not in ("query", "document"):
        raise UserError(f"kind {kind!r}: it must be query or document")
    if isinstance(texts, str):
        raise UserError(f"texts {texts!r}: give a list of texts")
    texts = list(texts)
    if wrong := [row for row, text in enumerate(texts, 1) if not isinstance(text, str) or not text.strip()]:
        raise UserError(f"row {wrong[0]}: there is no text; leave such rows out")
    encode = model.encode_query if kind == "query" else model.encode_document
    return encode(texts, convert_to_numpy=True, show_progress_bar=False)


def _read(vectors: Any, languages: Iterable[str]) -> tuple[np.ndarray, pd.Series]:
    """Vectors at length 1 in float32, and the language of each."""
    if isinstance(languages, str) or languages is None:
        raise UserError(f"languages {languages!r}: give one for each vector, such as ['en', 'de']")
    vectors = [_plain(vector) for vector in vectors] if isinstance(vectors, list | tuple) else _plain(vectors)
    try:
        given = np.asarray(vectors)
        with np.errstate(over="ignore"):  # what is too long is refused below
            found, code = given.astype(np.float32), pd.Series(list(languages), dtype=object)
    except (TypeError, ValueError) as error:
        raise UserError("vectors cannot be read; give an array or a tensor, a row of numbers for each text") from error
    if given.dtype in (np.int8, np.uint8, np.bool_):
        raise UserError(f"vectors of {given.dtype} are quantised, and have no mean; give those of the encoder")
    if not len(found):
        raise UserError("there are no vectors")
    if found.ndim != 2 or len(found) != len(code):
        raise UserError(
            f"vectors {list(found.shape)} and {len(code)} languages: a row of vectors has one language each"
        )
    if not all(isinstance(language, str) and language.strip() for language in code):
        raise UserError("a language is missing; each text needs one, such as 'en'")
    code = code.map(lambda language: str(language).strip())
    jsonl.check_spelling(set(code))
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if (broken := ~(np.isfinite(lengths) & (lengths > 0))).any():
        row = int(broken.argmax())
        raise UserError(f"row {row + 1}: its vector is zero or not finite in float32; leave such texts out")
    return found / lengths, code


def _plain(vectors: Any) -> Any:
    """What NumPy reads: of a tensor of numbers with a point, its float32 (NumPy knows no bfloat16)."""
    if isinstance(vectors, np.ma.MaskedArray):
        return vectors.astype(np.float32).filled(np.nan)  # what is masked is no number
    if not hasattr(vectors, "detach"):
        return vectors
    tensor = vectors.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
