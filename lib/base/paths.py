"""Every path of the project, from this file's own place: nothing depends on the working directory."""

import hashlib
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
CONFIGS = ROOT / "configs"
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED = ROOT / "published"
FIGURES = ROOT / "figures"
FROM = "HYBRID_FROM"  # where the person stands that typed a command; else the current folder
LONGEST = 60  # characters of a name that becomes a part of other names
ROWS = re.compile(r"\.(jsonl|csv|tsv)(\.gz)?\Z", re.IGNORECASE)  # files of questions and answers
BESIDE = ROOT.parent / "shared" / "data"


def results() -> Path:
    """The folder that holds one folder a run (``HYBRID_RESULTS``, else ``results/``)."""
    return Path(os.environ.get("HYBRID_RESULTS") or ROOT / "results")


def store() -> Path:
    """The folder of large artifacts that can be made again (``HYBRID_STORE``, else ``.store/``)."""
    return Path(os.environ.get("HYBRID_STORE") or ROOT / ".store")


def mirror() -> Path | None:
    """The local data mirror: ``HYBRID_DATA_MIRROR`` if set, else ``../shared/data`` if it is there."""
    if named := os.environ.get("HYBRID_DATA_MIRROR"):
        return Path(named)
    return BESIDE if BESIDE.is_dir() else None


def brought(name: str) -> Path:
    """The file or folder that a person names: ``~`` is theirs, and what is relative begins where they stand."""
    path = Path(name).expanduser() if name.startswith("~") else Path(name)
    return path if path.is_absolute() else Path(os.environ.get(FROM) or "") / path


def is_rows(name: str) -> bool:
    """Whether a name is that of a file of questions and answers: JSONL, CSV or TSV, plain or gzipped."""
    return ROWS.search(name) is not None


def called(name: str) -> str:
    """What a file or folder of a person's own is called where it is a part of other names: no endings, not too long."""
    base = Path(name).name or brought(name).resolve().name
    base = ROWS.sub("", base) or base
    base = "".join(character if character.isprintable() else "_" for character in base)
    if len(os.fsencode(base)) <= LONGEST:
        return base
    return f"{base[: LONGEST // 4]}~{hashlib.sha256(os.fsencode(base)).hexdigest()[:8]}"


def shown(path: Path) -> str:
    """``path`` as people should see it: relative to the project where it lies inside it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
