"""Benchmark files: from a local mirror, else from their origin at a pinned commit; checked either way.

``registry.tsv`` lists each file with its size, SHA-256, licence and, where it can be downloaded, its URL.
"""

import csv
import os
import sys
import urllib.request
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ..base import paths
from ..base import store as artifacts
from ..base.errors import UserError

PROBE_SECONDS = 5


@dataclass(frozen=True)
class RemoteFile:
    """One row of the registry. ``url`` is empty where the file exists only in mirrors."""

    path: str
    bytes: int
    sha256: str
    url: str
    licence: str


class NotObtainable(UserError):
    """The files can be had neither from the mirror nor from their origin."""


@cache
def registry() -> dict[str, RemoteFile]:
    """All known files by their path, such as ``xquad-r/de.json``."""
    lines = Path(__file__).with_name("registry.tsv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(lines, delimiter="\t")
    return {row["path"]: RemoteFile(**row | {"bytes": int(row["bytes"])}) for row in rows}


def files_of(dataset: str) -> list[RemoteFile]:
    """The files of a data set, in the order of the registry."""
    return [file for path, file in registry().items() if path.split("/")[0] == dataset]


def status(dataset: str) -> str:
    """Where a data set would come from: ``mirror``, ``downloaded``, ``origin`` or ``not obtainable``."""
    files = files_of(dataset)
    mirror = paths.mirror()
    if mirror and any((mirror / f.path).exists() for f in files):
        return "mirror"
    if mirror_is_set():
        return "not obtainable"
    if all((_downloads() / f.path).exists() for f in files):
        return "downloaded"
    return "origin" if all(f.url for f in files) and _reachable(files[0].url) else "not obtainable"


def mirror_is_set() -> bool:
    """Whether ``HYBRID_DATA_MIRROR`` is set: then nothing else is looked up."""
    return bool(os.environ.get("HYBRID_DATA_MIRROR"))


def fetch(dataset: str) -> dict[str, Path]:
    """Return the local path of each file of a data set, downloading what is missing; all are checked.

    Raises:
        NotObtainable: neither mirror nor origin has the data set.
        UserError: a file is missing from the mirror, or its bytes are not the published ones.
    """
    where = status(dataset)
    if where == "not obtainable":
        raise NotObtainable(
            f"{dataset}: not obtainable, neither from a mirror nor from its origin; "
            "set HYBRID_DATA_MIRROR to a folder that holds it, or connect to the network"
        )
    get = _mirrored if where == "mirror" else _downloaded
    return {file.path.split("/")[1]: get(file) for file in files_of(dataset)}


def _downloads() -> Path:
    return paths.store() / "downloads"


def _downloaded(file: RemoteFile) -> Path:
    """Download with pooch (which verifies the hash and renames into place), unless it is there already."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    path = _downloads() / file.path
    try:
        pooch.retrieve(file.url, known_hash=f"sha256:{file.sha256}", fname=path.name, path=path.parent)
    except Exception as error:  # requests, urllib3, OSError and pooch's ValueError: all mean the same here
        reason = getattr(error, "strerror", None) or type(error).__name__  # a full disk, for one, is named
        raise UserError(
            f"{file.path}: the download from {file.url} failed ({reason}); "
            "what was fetched is kept: start again to go on, or set HYBRID_DATA_MIRROR"
        ) from error
    return path


def _mirrored(file: RemoteFile) -> Path:
    """The file in the mirror, checked."""
    path, remedy = paths.mirror() / file.path, "copy it again into the mirror"
    if not path.exists():
        raise UserError(f"{path.name} of {file.path.split('/')[0]} is missing ({path}); {remedy}")
    if path.stat().st_size != file.bytes:
        raise UserError(f"{path}: {path.stat().st_size} bytes instead of {file.bytes}, truncated or wrong; {remedy}")
    if artifacts.file_digest(path) != file.sha256:
        raise UserError(f"{path}: the SHA-256 is not that of the published file, damaged or wrong; {remedy}")
    return path


@cache
def _reachable(url: str) -> bool:
    """One probe a process: does the origin answer at all?"""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS):
            return True
    except (OSError, HTTPException):
        print(f"(no answer from {url.split('/')[2]})", file=sys.stderr)
        return False


def ir_datasets(dataset: str) -> Any:
    """The package that downloads a data set which is not in `files_of`.

    Raises:
        UserError: it is not installed.
    """
    try:
        import ir_datasets
    except ImportError as error:
        raise UserError(f"{dataset}: the package ir-datasets is missing; pip install '.[ir]' brings it") from error
    return ir_datasets
