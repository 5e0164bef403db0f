"""What an encoder's folder holds: its files, checked before anything is loaded, and what it declares, after that.

The libraries would go on where files are missing: with a tokenizer of no words, or with weights out of a pickle.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import store as artifacts
from ..base.errors import UserError
from . import vocabulary

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CONFIGS = ("modules.json", "config.json")
MODULES, SETTINGS = "modules.json", "config_sentence_transformers.json"
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLE = "pytorch_model.bin"
READ = (".safetensors", ".json", ".txt", ".model", ".jinja")  # endings of what decides over a text's vector
FIRST = ("Transformer", "StaticEmbedding")
# Ends of names of architectures that are made to choose, of classes, spans or answers, and not to give vectors.
CLASSIFIERS = ("SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice")
SIMILARITIES = ("cosine", "dot")
PROMPTS = ("query", "document", "passage", "corpus")
NO_PROMPTS = {"query": "", "document": ""}
USE = 2  # how a folder is used; to be raised when the same files would give other vectors


def write(folder: Path, modules: list[Any], prompts: dict[str, str]) -> None:
    """Write modules to a folder as a SentenceTransformer, with vectors of length 1 that are compared by the cosine."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize

    modules = [*modules, Normalize()]
    model = SentenceTransformer(modules=modules, prompts=prompts, similarity_fn_name="cosine", device="cpu")
    model.save(str(folder), create_model_card=False)


def digest(folder: Path) -> str:
    """What identifies an encoder's folder: a digest of its weights, settings and tokenizer, and of how they are used.

    Raises:
        UserError: it is no folder of an encoder.
    """
    _check_kind(folder)
    files = sorted(path for path in within(folder) if path.suffix in READ)
    listed = [[path.relative_to(folder).as_posix(), artifacts.file_digest(path)] for path in files]
    return artifacts.digest({"use": USE, "files": listed})


def check(folder: Path) -> None:
    """Refuse a folder that lacks its tokenizer, has weights only as a pickle, or is of a kind that is not taken.

    Raises:
        UserError: it is one, or no folder of an encoder at all.
    """
    _check_kind(folder)
    for pickled in sorted(path for path in within(folder) if path.name == PICKLE):
        if not any((pickled.parent / name).is_file() for name in WEIGHTS):
            right = "save it again with safe_serialization, as model.safetensors"
            raise UserError(f"{pickled.parent} holds no safetensors weights, only a pickle, {PICKLE}: {right}")
    kind = settings(folder / SETTINGS).get("model_type") or "SentenceTransformer"
    if kind != "SentenceTransformer":
        raise UserError(f"{folder} is a {kind}: what is taken gives one dense vector a text, a SentenceTransformer")
    plain = {} if (folder / MODULES).is_file() else settings(folder / "config.json")
    if named := [name for name in plain.get("architectures") or () if name.endswith(CLASSIFIERS)]:
        right = "if vectors of its tokens are meant, save it as a SentenceTransformer"
        raise UserError(f"{folder} is a {named[0]}, made to choose, as cross-encoders are, not for vectors: {right}")
    first, source = _first(folder)
    for path in (source / "config.json", source / "tokenizer_config.json"):
        if code := list(_named(settings(path).get("auto_map"))):
            right = "it is not run; if what transformers makes of the folder without it is meant, remove auto_map"
            raise UserError(f"{path} names code of its own, {code[0]}: {right}")
    if first.startswith("sentence_transformers.") and (name := first.rsplit(".", 1)[-1]) not in FIRST:
        raise UserError(f"{folder} begins with a module {name}: what is taken begins with {' or '.join(FIRST)}")
    if not any(path.is_file() for place in {source, folder} for name in TOKENIZERS for path in place.glob(name)):
        raise UserError(f"{folder} holds no tokenizer: put its tokenizer.json there")
    named = [name for name, text in _prompts(folder).items() if text]
    if named and not set(PROMPTS) & set(named):
        raise UserError(
            f"{folder} has prompts called {', '.join(named)}, and none for a query or a document: in its {SETTINGS}, "
            "call them query and document, or remove them if texts go without"
        )


def _named(auto_map: Any) -> Iterator[str]:
    """The classes that an ``auto_map`` names: one for a model or a configuration, up to two for a tokenizer."""
    for value in auto_map.values() if isinstance(auto_map, dict) else [auto_map]:
        yield from (str(name) for name in (value if isinstance(value, list) else [value]) if name)


def within(folder: Path, around: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files of a folder, those of linked folders too, which are read like any other; not of links in a circle."""
    if (place := folder.resolve()) in around:
        return
    for path in folder.iterdir():
        if path.is_dir():
            yield from within(path, (*around, place))
        else:
            yield path


def transformer(folder: Path) -> Path | None:
    """Where the files of a folder's transformer lie; None if it begins with another module."""
    first, source = _first(folder)
    return source if first.endswith("Transformer") else None


def check_loaded(folder: Path, model: "SentenceTransformer") -> None:
    """Refuse a model that declares what would not be kept to here, or that would fail at some text.

    Raises:
        UserError: naming what it declares, and what would be right.
    """
    if (similarity := model.similarity_fn_name) not in SIMILARITIES:
        right = " or ".join(SIMILARITIES)
        raise UserError(f"{folder} is made for the similarity {similarity}: passages are ranked here by {right} alone")
    first = model[0]
    tokenizer = getattr(first, "tokenizer", None)
    if hasattr(first, "auto_model"):
        _check_transformer(folder, first, tokenizer)
    try:
        rows = len(vocabulary.word_vectors(model).weight)
    except (NotImplementedError, AttributeError):  # how many there are is not known
        return
    if beyond := _beyond(tokenizer, rows):
        right = "make them again together"
        raise UserError(f"{folder} has a tokenizer with ids up to {beyond}, and word vectors up to {rows - 1}: {right}")


def _check_transformer(folder: Path, first: Any, tokenizer: Any) -> None:
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise UserError(f"{folder} has a tokenizer that is not a fast one: save it as tokenizer.json")
    if tokenizer.pad_token_id is None:
        right = "name one as pad_token in its tokenizer_config.json"
        raise UserError(f"{folder} has a tokenizer without a padding token, so texts cannot share a batch: {right}")
    for key in ("query_length", "document_length", "query_expansion"):
        if (value := getattr(first, key, None)) is not None:
            raise UserError(f"{folder} sets {key}={value}: here one limit of length, max_tokens, holds for all texts")


def _beyond(tokenizer: Any, rows: int) -> int | None:
    """The highest id that a tokenizer gives, if a word has one from ``rows`` on."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "get_vocab"):
        return None
    within = sum(backend.id_to_token(number) is not None for number in range(rows))
    if within == backend.get_vocab_size():  # five times as fast as to look at each word
        return None
    highest = max(backend.get_vocab().values(), default=-1)
    return highest if highest >= rows else None


def _first(folder: Path) -> tuple[str, Path]:
    """The class of the first module, and where its files lie; without modules.json a transformer in the folder."""
    modules = settings(folder / MODULES) or [{"type": "Transformer", "path": ""}]
    try:
        return str(modules[0]["type"]), folder / str(modules[0].get("path", ""))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / MODULES}: not a list of modules; make the encoder again") from error


def _prompts(folder: Path) -> dict[str, str]:
    return settings(folder / SETTINGS).get("prompts") or {}


def overlooked(folder: Path) -> str | None:
    """The name of a prompt for passages that `encode_document` does not use, since one called ``document`` is empty.

    An empty one is there by default, whether a folder names it or not, so it does not tell that authors want none.
    """
    found = _prompts(folder)
    named = next((name for name in PROMPTS[2:] if found.get(name)), None)
    return None if found.get("document") else named


def settings(path: Path) -> Any:
    """What a file of settings holds; nothing if it is not there.

    Raises:
        UserError: it is no JSON.
    """
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        reason = f"{path.name} is no JSON"
        raise UserError(f"{path.parent} cannot be read as an encoder ({reason}): make it again") from error


def _check_kind(folder: Path) -> None:
    if not any((folder / name).is_file() for name in CONFIGS):
        raise UserError(f"{folder} is no folder of an encoder: it holds neither {' nor '.join(CONFIGS)}")
