"""The Hugging Face hub: fetching an encoder's snapshot, and keeping its libraries quiet."""

import contextlib
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from ..base.errors import UserError

# What an encoder needs of a hub repository: no pickles, no other frameworks' copies of the weights.
HUB_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "*.safetensors"]
OTHER_COPIES = ["onnx/*", "openvino/*"]


def check_version() -> None:
    """Refuse versions of sentence-transformers in which its modules stand elsewhere; the sampler takes them."""
    if int((found := version("sentence-transformers")).split(".")[0]) < 6:
        raise UserError(f"encoders need sentence-transformers 6 or newer, {found} is installed: pip install -U it")


def fetch(repository: str, revision: str | None) -> Path:
    """Return the folder of an encoder's hub snapshot, downloaded if need be; its name is the commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    what = f"{repository}@{revision or 'main'}"
    try:
        with quiet():
            files = {"allow_patterns": HUB_FILES, "ignore_patterns": OTHER_COPIES}
            snapshot = snapshot_download(repository, revision=revision, **files)
    except GatedRepoError as error:
        page = f"https://huggingface.co/{repository}"
        remedy = f"accept its conditions at {page}, then log in with `hf auth login` or set HF_TOKEN"
        raise UserError(f"the hub gives encoder {what} only to people whom its authors let in: {remedy}") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        private = "a private one is seen only with HF_TOKEN set"
        raise UserError(f"the hub has no encoder {what}: check the id and the revision; {private}") from error
    except Exception as error:  # whatever the HTTP client raises: the remedy is the same
        remedy = "connect once, or name a local folder or e5-small-q4, which needs only the package index"
        reason = type(error).__name__
        raise UserError(f"encoder {what} cannot be fetched from the hub ({reason}): {remedy}") from error
    return Path(snapshot)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the libraries' reports while models are loaded, fetched and saved, and bars without a terminal.

    What those reports warn of, missing weights and a hub out of reach, is an error here.
    """
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    level, hub_level = logging.get_verbosity(), hub_logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        hub_logging.set_verbosity(hub_level)
        if bars:
            logging.enable_progress_bar()
