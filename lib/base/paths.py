"""Every path of the project, from this file's own place: nothing depends on the working directory."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
CONFIGS = ROOT / "configs"
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED = ROOT / "published"
FIGURES = ROOT / "figures"
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


def shown(path: Path) -> str:
    """``path`` as people should see it: relative to the project where it lies inside it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
