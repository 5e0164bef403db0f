"""What the folder of an encoder holds, looked at before anything of it is loaded.

The libraries would go on where files are missing: with a tokenizer of no words, or with weights out of a pickle.
"""

from pathlib import Path

from lib.base import store as artifacts
from lib.base.errors import UserError

CONFIGS = ("modules.json", "config.json")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLE = "pytorch_model.bin"


def digest(folder: Path) -> str:
    """What identifies the content of an encoder's folder: a digest of its weights and settings.

    Raises:
        UserError: it is no folder of an encoder.
    """
    _check_kind(folder)
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    return artifacts.digest([[path.relative_to(folder).as_posix(), artifacts.file_digest(path)] for path in files])


def check(folder: Path) -> None:
    """Refuse a folder that lacks its tokenizer or has weights only as a pickle.

    Raises:
        UserError: it does, or it is no folder of an encoder.
    """
    _check_kind(folder)
    for pickled in sorted(folder.rglob(PICKLE)):
        if not any((pickled.parent / name).is_file() for name in WEIGHTS):
            right = "save it again with safe_serialization, as model.safetensors"
            raise UserError(f"{pickled.parent} holds no safetensors weights, only a pickle, {PICKLE}: {right}")
    if not any(path.is_file() for place in ("", "0_*/") for name in TOKENIZERS for path in folder.glob(place + name)):
        raise UserError(f"{folder} holds no tokenizer: put its tokenizer.json there")


def _check_kind(folder: Path) -> None:
    if not any((folder / name).is_file() for name in CONFIGS):
        raise UserError(f"{folder} is no folder of an encoder: it holds neither {' nor '.join(CONFIGS)}")
