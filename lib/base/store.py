"""An atomic store: each artifact is written aside, checked, renamed, and knows what it was made from.

An artifact is a folder ``<store>/<kind>/<digest of its inputs>`` with a ``manifest.json`` that lists the
inputs and each file's size and SHA-256. A killed writer leaves only a temporary folder behind; a damaged
artifact is noticed when it is opened, and made again.
"""

import bz2
import errno
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from . import paths
from .errors import UserError

MANIFEST = "manifest.json"
VALUE = "value.json"


def digest(value: Any) -> str:
    """SHA-256 (hex) of ``value`` as canonical JSON: equal values give equal digests on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of the bytes of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_as(path: Path, digest: str | None) -> bool:
    """Whether a file is there, and has the SHA-256 that was written down for it (None: none was)."""
    return path.exists() and file_digest(path) == digest


def code(names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of packages and modules of ``lib``, by name, such as ``data`` or ``evidence/leaks``.

    It is kept with a result that other code could give otherwise. A package stands for all files in it.
    """
    return {name: _source_digest(paths.LIB / name) for name in names}


def _source_digest(place: Path) -> str:
    if not place.is_dir():
        return file_digest(place.with_name(f"{place.name}.py"))
    files = sorted(path for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return digest([[path.relative_to(place).as_posix(), file_digest(path)] for path in files])


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it takes the place of ``path``, else it goes.

    Raises:
        OSError: it cannot be written, for instance on a full disk; the error names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, name):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step: readers see the old file or the new one, never a part; packed as its name says.

    A table as ``.bz2`` takes two thirds of the bytes of ``.gz``; neither holds a time stamp, so that equal texts are
    equal files.
    """
    pack = {".gz": zipped, ".bz2": bz2.compress}.get(path.suffix, bytes)
    with replacing(path) as temporary:
        temporary.write_bytes(pack(text.encode()))


def read_text(path: Path) -> str:
    """Read what `write_text` wrote, plain or as ``.gz``.

    Raises:
        OSError, EOFError, zlib.error, UnicodeDecodeError: the file is missing or damaged.
    """
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object together with its own digest, so that any later change to it shows."""
    write_text(path, json.dumps({**value, "seal": digest(value)}, indent=1, ensure_ascii=False) + "\n")


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Read what `write_sealed` wrote; None if the file is missing, truncated or changed."""
    try:
        value = json.loads(read_text(path))
        seal = value.pop("seal")
        return value if seal == digest(value) else None  # digest raises ValueError for an infinite number
    except (OSError, EOFError, zlib.error, ValueError, KeyError, AttributeError, TypeError):
        return None


def write_seal(seal: Path, made_from: Mapping[str, Any], files: Iterable[Path], **more: Any) -> None:
    """Write down what files were made from, with the digest of each, for `is_current`.

    Args:
        made_from: JSON values that change when the files would.
        more: what a reader of the seal should know, without effect on whether the files are current.
    """
    listed = {file.name: file_digest(file) for file in files}
    write_sealed(seal, {**made_from, **more, "seal_of": seal.name, "files": listed})


def is_current(seal: Path, made_from: Mapping[str, Any], folder: Path) -> bool:
    """Whether the files of a seal are all in a folder, undamaged, and were made from just this."""
    value = read_sealed(seal) or {}
    same = value.get("seal_of") == seal.name  # the seal of other files says as much of them, and could lie in its place
    same &= all(name in value and digest(value[name]) == digest(now) for name, now in made_from.items())
    listed = value.get("files") or {}
    return same and bool(listed) and all(is_as(folder / name, known) for name, known in listed.items())


def zipped(content: bytes) -> bytes:
    """As gzip, without a time stamp, so that equal contents are equal files."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as file:
        file.write(content)
    return buffer.getvalue()


def make(kind: str, inputs: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
    """Return the folder of the artifact made from ``inputs``, building it first if need be.

    Args:
        kind: what it is, and the name of the folder that holds all of this kind.
        inputs: everything that it depends on, as JSON values.
        build: fills an empty folder with the artifact's files.
    """
    folder = place(kind, inputs)
    if intact(folder, inputs):
        return folder
    if folder.exists():
        print(f"{kind} {folder.name} is damaged: making it again", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder), tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        if intact(folder, inputs):  # another run made it while we waited
            return folder
        for left in folder.parent.glob(f".{folder.name}.*"):  # by a killed writer: only we write this one now
            if left.is_dir() and left != Path(scratch):
                shutil.rmtree(left, ignore_errors=True)
        made = Path(scratch) / "made"
        made.mkdir()
        with _full_disk_named(folder):
            build(made)
        let_read(made)
        seal(made, inputs)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    return folder


def let_read(folder: Path) -> None:
    """Let everybody read the files of a folder: some libraries write weights for their owner's eyes alone."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)


def known(kind: str, inputs: Mapping[str, Any], find: Callable[[], Any]) -> Any:
    """The JSON value that ``find`` gives, found once for these ``inputs`` and kept as an artifact (see `make`)."""
    folder = make(kind, inputs, lambda made: write_text(made / VALUE, json.dumps(find(), ensure_ascii=False)))
    return json.loads((folder / VALUE).read_text(encoding="utf-8"))


@contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    """Report a full disk as what it is: libraries that write weights have words of their own for it."""
    try:
        yield
    except (OSError, UserError):
        raise
    except Exception as error:
        full = shutil.disk_usage(folder.parent).free <= 1_000_000
        said = re.search(r"os error (\d+)", str(error))  # a library in Rust names the system's own number
        if not full and not said:
            raise
        number = errno.ENOSPC if full else int(said[1])
        raise OSError(number, os.strerror(number), str(folder)) from error


def state(files: Iterable[Path]) -> list[tuple[str, int, int, int]]:
    """What changes when one of these files does: names, and sizes and times of those that are there."""
    known = [(str(path), path.stat()) for path in files if path.is_file()]
    return [(name, found.st_size, found.st_mtime_ns, found.st_ino) for name, found in known]


def discard(kind: str, inputs: Mapping[str, Any]) -> None:
    """Remove the artifact made from ``inputs``, if it is there."""
    shutil.rmtree(place(kind, inputs), ignore_errors=True)


def clear(folder: Path, but: str) -> None:
    """Remove what is in a folder, except one file or folder of that name."""
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.name != but:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def place(kind: str, inputs: Mapping[str, Any]) -> Path:
    """The folder of the artifact made from ``inputs``, whether it is there or not."""
    return paths.store() / kind / digest({"kind": kind, **inputs})[:16]


def seal(folder: Path, inputs: Mapping[str, Any]) -> None:
    """Write the manifest of a finished folder: its inputs, and the size and SHA-256 of each file."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    listed = {p.relative_to(folder).as_posix(): [p.stat().st_size, file_digest(p)] for p in files}
    write_sealed(folder / MANIFEST, {"inputs": dict(inputs), "files": listed})


def intact(folder: Path, inputs: Mapping[str, Any] | None = None) -> bool:
    """Whether an artifact's folder is complete and every file has its recorded size and SHA-256.

    Args:
        inputs: what it should have been made from; None where any will do.
    """
    manifest = read_sealed(folder / MANIFEST) or {}
    is_of_these = inputs is None or digest(manifest.get("inputs")) == digest(inputs)
    if "files" not in manifest or not is_of_these:
        return False
    return all(_matches(folder / name, *expected) for name, expected in manifest["files"].items())


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one run at a time make an artifact; the lock goes with its process, however that ends."""
    import fcntl

    with open(folder.parent / f".{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _matches(path: Path, size: int, sha256: str) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    return stat.st_size == size and _digest_of(path, (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)) == sha256


@cache
def _digest_of(path: Path, version: tuple[int, int, int]) -> str:
    """The file's digest, read once a process for each version of the file, whose times tell it from others."""
    return file_digest(path)
