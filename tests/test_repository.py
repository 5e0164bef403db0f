"""How much there is to clone: no tracked file is large but those that have to be."""

import subprocess

import pytest

from lib.base import paths

LARGEST = 1_000_000  # bytes of a tracked file
BUDGETS = {  # bytes of a folder
    "lib": 1_200_000, "docs": 1_000_000, "tests": 1_000_000, "notebooks": 5_000_000, "figures": 5_000_000,
    "results": 66_000_000, "results/full/published/cells": 60_000_000, "results/full/published/rankings": 6_000_000,
}  # fmt: skip


def tracked() -> dict[str, int]:
    """Bytes of each file that git tracks, as it lies in the working tree."""
    if not (paths.ROOT / ".git").exists():
        pytest.skip("not a clone: git does not say what is tracked")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=paths.ROOT, check=True, capture_output=True, text=True)
    files = {name: paths.ROOT / name for name in listed.stdout.split("\0") if name}
    return {name: file.stat().st_size for name, file in files.items() if file.is_file()}


def test_no_tracked_file_is_large():
    assert not {name for name, size in tracked().items() if size > LARGEST and not name.endswith(".lock")}


@pytest.mark.parametrize("folder", BUDGETS)
def test_a_folder_keeps_within_its_budget(folder):
    size = sum(bytes_ for name, bytes_ in tracked().items() if name.startswith(f"{folder}/"))
    assert 0 < size <= BUDGETS[folder]
