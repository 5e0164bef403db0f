"""Encoders by name: built, fetched or read from a folder, always as an ordinary SentenceTransformer.

Every way ends in one: a folder with safetensors weights and tokenizer.json. Nothing is unpickled, no remote
code is run, and no weight is made up: a folder that lacks weights is refused.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base import paths
from ..base import store as artifacts
from ..base.errors import UserError
from . import e5q4, hub
from . import files as encoder_files
from .catalog import ENCODERS as ENCODERS
from .catalog import Encoder as Encoder
from .catalog import find as find

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EXAMPLE_QUERY, EXAMPLE_PASSAGE = "Where is Athens?", "Athens is the capital of Greece."
ORIGIN_FILE = "encoder.json"
TWO_HALVES = ("t5", "mt5", "umt5")  # also where the first is saved alone, and its settings say so


class Origin(NamedTuple):
    """The name and the revision that a loaded model carries along, as its attribute `origin`."""

    name: str
    revision: str | None


def folder_of(name: str) -> Path | None:
    """The folder that a name stands for; None for a registered name, whatever lies beside, and for an id of the hub."""
    folder = paths.brought(name)
    return folder if name not in ENCODERS and folder.is_dir() else None


def files_of(name: str) -> list[Path]:
    """The files of an encoder that is a folder of one's own; none of others."""
    return sorted(encoder_files.within(folder)) if (folder := folder_of(name)) else []


def is_built_here(name: str) -> bool:
    """Whether an encoder is one of our own builds, which need no trial."""
    return folder_of(name) is None and find(name).build is not None


def identity(name: str) -> str:
    """What pins an encoder's weights without loading them: its revision, or a digest of a local folder's files.

    Raises:
        UserError: the name is unknown, or the folder is not that of an encoder.
    """
    if folder := folder_of(name):
        return encoder_files.digest(folder)
    encoder = find(name)
    return f"{encoder.repository or encoder.name}@{encoder.revision or 'main'}"


def fetched(name: str) -> Path:
    """The folder of an encoder as it is before any fine-tuning, made or fetched if need be."""
    if folder := folder_of(name):
        return folder
    wanted = {"encoder": name, "identity": identity(name)}
    return artifacts.make("encoders", wanted, lambda folder: build(name, folder))


def build(name: str, folder: Path) -> None:
    """Write the encoder called `name` to `folder`, for `load` to read again.

    Raises:
        UserError: the name is unknown, or the weights cannot be had or are incomplete.
    """
    hub.check_version()
    if not is_built_here(name):
        save(load(name, device="cpu"), folder)
        return
    encoder = find(name)
    with hub.quiet():
        encoder.build(folder)
    _write_origin(folder, Origin(encoder.name, encoder.revision))


def load(name_or_folder: str | Path, device: str | None = None) -> SentenceTransformer:
    """Return an encoder in evaluation mode and in float32, on `device` or the best device at hand.

    A registered name goes before a folder, a folder before an id of the hub. `origin` of the model says what it is.

    Raises:
        UserError: the name is unknown, the hub or package is out of reach, weights are missing, or the encoder is of
            a kind that is not taken.
    """
    hub.check_version()
    folder = name_or_folder if isinstance(name_or_folder, Path) else folder_of(name_or_folder)
    if folder:
        return _load_folder(folder, device, _read_origin(folder))
    encoder = find(str(name_or_folder))
    if encoder.build is not None:
        with tempfile.TemporaryDirectory() as built:
            build(encoder.name, Path(built))
            return load(Path(built), device)
    snapshot = hub.fetch(encoder.repository, encoder.revision)
    return _load_folder(snapshot, device, Origin(encoder.name, snapshot.name), encoder.prompts)


def save(model: SentenceTransformer, folder: Path) -> None:
    """Write `model` to `folder` with the name and revision that `load` gave it."""
    with hub.quiet():
        model.save(str(folder), create_model_card=False)
    _write_origin(folder, model.origin)


def describe(model: SentenceTransformer) -> dict[str, Any]:
    """Return what a record of a run must hold of its encoder.

    Returns:
        name, revision, dimension, max_tokens (None: no limit), and the exact string, special tokens included, that
        one example query and one passage are encoded as.
    """
    limit = model.max_seq_length
    return {
        "name": model.origin.name,
        "revision": model.origin.revision,
        "dimension": model.get_embedding_dimension(),
        "max_tokens": int(limit) if limit and limit != float("inf") else None,
        "query": encoded_string(model, EXAMPLE_QUERY, "query"),
        "passage": encoded_string(model, EXAMPLE_PASSAGE, "document"),
    }


def prompt(model: SentenceTransformer, kind: str) -> str:
    """The text that goes before a ``query`` or a ``document``; of the latter, also what is called passage or corpus."""
    names = ("query",) if kind == "query" else ("document", "passage", "corpus")
    return next((found for name in names if (found := (model.prompts or {}).get(name))), "")


def longest(model: SentenceTransformer) -> int | None:
    """How many tokens of a text a transformer takes: the limit that its folder names, and its places if fewer."""
    settings = model[0].auto_model.config
    places = getattr(settings, "max_position_embeddings", None)
    table = getattr(getattr(model[0].auto_model, "embeddings", None), "position_embeddings", None)
    if places and (before := getattr(table, "padding_idx", None)) is not None:
        places -= before + 1  # XLM-R counts from the place after that of padding
    limits = [int(limit) for limit in (model.max_seq_length, places) if limit and 0 < limit < 10**9]
    return min(limits, default=None)


def not_finite(model: SentenceTransformer) -> str | None:
    """The name of the first weights that hold NaN or infinity, None where all are numbers."""
    for name, weights in model.named_parameters():
        if weights.numel() and not all(end.isfinite() for end in weights.detach().aminmax()):
            return name
    return None


def encoded_string(model: SentenceTransformer, text: str, prompt_name: str) -> str:
    """Return the tokens that `text` is encoded as, with its prompt and special tokens, as one string."""
    ids = model.preprocess([text], prompt=model.prompts.get(prompt_name))["input_ids"]
    return model.tokenizer.decode(ids.flatten().tolist(), skip_special_tokens=False)


def _load_folder(
    folder: Path, device: str | None, origin: Origin, prompts: dict[str, str] | None = None
) -> SentenceTransformer:
    """Read a SentenceTransformer folder, or a plain transformer, to which a pooling and a norm are added.

    Weights are trained and recorded as float32, so they are loaded so, in whatever precision they are stored.
    """
    encoder_files.check(folder)
    with in_one_line(f"{folder} cannot be read as an encoder ({{reason}}): make it again"), hub.quiet():
        without_pooler = _lacks_pooler(folder)
        model = _read(folder, device, without_pooler)
    if without_pooler:
        e5q4.keep_without_pooler(model[0])
    encoder_files.check_loaded(folder, model)
    if broken := not_finite(model):
        raise UserError(f"{folder}: the weights {broken} hold NaN or infinity: make it again")
    if prompts is not None:
        model.prompts = dict(prompts)
    model.prompts["document"] = prompt(model, "document")  # under the name by which all look for it
    model.origin = origin
    return model.eval()


@contextmanager
def in_one_line(message: str) -> Iterator[None]:
    """Report whatever a library, or the code of an architecture, may raise by one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(message.replace("{reason}", reason)) from error


def _own_modules(folder: Path) -> dict[str, type]:
    """The module class of ours that a folder names, under the name it goes by there; others load by themselves."""
    types = [module["type"] for module in encoder_files.settings(folder / encoder_files.MODULES)]
    if not (ours := [name for name in types if name.endswith(".use_m.UseM")]):
        return {}
    from .use_m import UseM

    return dict.fromkeys(ours, UseM)


def _read(folder: Path, device: str | None, without_pooler: bool) -> SentenceTransformer:
    """What sentence-transformers makes of a folder, in float32; of a plain transformer with vectors of length 1."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize

    kwargs: dict[str, Any] = {"dtype": torch.float32}
    if without_pooler:
        kwargs["add_pooling_layer"] = False
    model = SentenceTransformer._load_with_module_classes(
        str(folder), _own_modules(folder), device=device, model_kwargs=kwargs, **hub.LOCAL
    )
    if not (folder / encoder_files.MODULES).is_file():
        model.append(Normalize())
    return model.float()


def _lacks_pooler(folder: Path) -> bool:
    """Tell whether the folder's transformer has no pooling layer, and refuse it if it lacks anything else.

    The pooling layer on top of BERT and XLM-R takes no part in sentence embeddings.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

    source = encoder_files.transformer(folder)
    if source is None:
        return False
    if not list(source.glob("*.safetensors")):
        raise UserError(f"{source} holds no safetensors weights: make the encoder again")
    settings = AutoConfig.from_pretrained(source, **hub.LOCAL)
    two_halves = settings.is_encoder_decoder or settings.model_type in TWO_HALVES  # of which the first is read
    reader = AutoModelForTextEncoding if two_halves else AutoModel
    _, report = reader.from_pretrained(source, output_loading_info=True, use_safetensors=True, **hub.LOCAL)
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise UserError(f"{source} lacks {len(missing)} weights, such as {missing[0]}: make it again")
    return bool(report["missing_keys"])


def _write_origin(folder: Path, origin: Origin) -> None:
    (folder / ORIGIN_FILE).write_text(json.dumps(origin._asdict(), indent=2) + "\n", encoding="utf-8")


def _read_origin(folder: Path) -> Origin:
    path = folder / ORIGIN_FILE
    if not path.is_file():
        return Origin(folder.name, None)
    try:
        return Origin(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        right = ", ".join(Origin._fields)
        raise UserError(f"{path}: it must be a JSON object with the keys {right}; or remove it") from error
