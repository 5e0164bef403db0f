"""Every path of the project, from this file's own place: in a checkout nothing depends on the working directory.

Installed with pip the same code is the package `hybrid_batches`, without notebooks and published results: profiles and
the paper's numbers come with it, results go where one stands, and what can be made again to the user's cache.
"""

import hashlib
import os
import re
from pathlib import Path

LIB = Path(__file__).resolve().parents[1]
PACKAGE = __name__.split(".")[0]  # what people import: `lib`, or `hybrid_batches` where it is installed
IS_CHECKOUT = LIB.name == "lib"
COMMAND = "./run_all.sh" if IS_CHECKOUT else f"python -m {PACKAGE}"
ROOT = LIB.parent if IS_CHECKOUT else Path.cwd()
CONFIGS = (ROOT if IS_CHECKOUT else LIB) / "configs"
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED = (ROOT if IS_CHECKOUT else LIB) / "published"
FIGURES = ROOT / "figures"
TRACKED = ROOT / "results"  # what comes with the repository, also where results go elsewhere
FROM = "HYBRID_FROM"  # where the person stands that typed a command; else the current folder
LONGEST = 60  # characters of a name that becomes a part of other names
ROWS = re.compile(r"\.(jsonl|csv|tsv)(\.gz)?\Z", re.IGNORECASE)  # files of questions and answers, perhaps gzipped
NO_NAMES = ("", ".", "..")  # they would be the folder itself, or the one above
BESIDE = ROOT.parent / "shared" / "data"


def results() -> Path:
    """The folder that holds one folder a run (``HYBRID_RESULTS``, else ``results/``)."""
    return Path(os.environ.get("HYBRID_RESULTS") or TRACKED)


def store() -> Path:
    """The folder of large artifacts that can be made again (``HYBRID_STORE``, ``.store/``, or the cache)."""
    if named := os.environ.get("HYBRID_STORE"):
        return Path(named)
    if IS_CHECKOUT:
        return ROOT / ".store"
    import pooch

    return Path(pooch.os_cache("hybrid-batches"))


def mirror() -> Path | None:
    """The local data mirror: ``HYBRID_DATA_MIRROR`` if set, else ``../shared/data`` if it is there."""
    if named := os.environ.get("HYBRID_DATA_MIRROR"):
        return Path(named)
    return BESIDE if IS_CHECKOUT and BESIDE.is_dir() else None


def brought(name: str) -> Path:
    """The file or folder that a person names: ``~`` is theirs, and what is relative begins where they stand."""
    path = Path(name).expanduser() if name.startswith("~") else Path(name)
    return path if path.is_absolute() else Path(os.environ.get(FROM) or "") / path


def called(name: str) -> str:
    """What a file or folder of a person's own is called where it is a part of other names: no endings, not too long."""
    base = Path(name).name
    base = brought(name).resolve().name if base in NO_NAMES else base
    base = base if ROWS.sub("", base) in NO_NAMES else ROWS.sub("", base)
    base = "".join(character if character.isprintable() else "_" for character in base)
    if len(os.fsencode(base)) <= LONGEST:
        return base
    return f"{base[: LONGEST // 4]}~{hashlib.sha256(os.fsencode(base)).hexdigest()[:8]}"


def shown(path: Path) -> str:
    """``path`` as people should see it: relative to the project where it lies inside it, else whole."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
