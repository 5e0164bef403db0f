"""What a shell, a cluster or another job leaves in the environment: none of it may change a number or a character."""

import os
import sys

from . import paths

LAUNCHED = ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun and its like set, all of them
LEFT_BEHIND = (
    *LAUNCHED, "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "PMI_SIZE", "PMI_RANK", "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK",
)  # fmt: skip
SETTINGS = "ACCELERATE_"  # such as ACCELERATE_MIXED_PRECISION: of accelerate, for the job that it was set for
FOLDERS = ("HYBRID_RESULTS", "HYBRID_STORE", "HYBRID_DATA_MIRROR", "IR_DATASETS_HOME", "HF_HOME", "HF_HUB_CACHE")


def prepare() -> None:
    """Make the environment of this process, and of those that it starts, one that nobody has left anything in.

    Texts in any script can be printed; a process that no launcher has started trains by itself; folders that variables
    name are the same for kernels, which stand elsewhere.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    os.environ["PYTHONUTF8"] = "1"  # for kernels and workers
    for name in FOLDERS:
        if named := os.environ.get(name):
            os.environ[name] = str(paths.brought(named).absolute())
    if not is_launched():
        for name in [name for name in os.environ if name in LEFT_BEHIND or name.startswith(SETTINGS)]:
            del os.environ[name]


def is_launched() -> bool:
    """Whether torchrun, or something like it, has started this process as one of several."""
    size, rank = (os.environ.get(name, "") for name in ("WORLD_SIZE", "RANK"))
    whole = all(os.environ.get(name) for name in LAUNCHED)
    return whole and size.isdecimal() and rank.isdecimal() and int(rank) < int(size)
