"""Fixtures that several test files share."""

import gc
import os
import sys
from pathlib import Path

import forked
import pytest
import synthetic

from lib.base import paths

# Files of tests that take longest, the longest first. They begin, so that no process is left alone with one at the end;
# the first makes the tables that the notebooks show.
LONG = ("published", "guides", "report", "distributed", "environment", "mmarco", "explorer_browser", "cells")
MANY, FROZEN = 300, pytest.StashKey[int]()  # modules loaded since, and modules loaded then


def pytest_collection_modifyitems(items):
    place = {f"test_{name}.py": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG) + (item.path.suffix == ".py")))  # then notebooks


def pytest_runtest_setup(item):
    """Keep what was imported out of the collections of garbage that each training begins with: a second each time."""
    stash = item.config.stash
    if len(sys.modules) > stash.get(FROZEN, 0) + MANY:
        gc.collect()
        gc.freeze()
        stash[FROZEN] = len(sys.modules)


@pytest.fixture(autouse=True)
def environment():
    """Leaves the environment as it was: a command that a test calls in this process prepares its own."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def own_folders(tmp_path, monkeypatch):
    """Results and store of a test, away from those of the project."""
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("HYBRID_STORE", str(tmp_path / "store"))
    return tmp_path


@pytest.fixture(scope="session")
def kept(tmp_path_factory) -> Path:
    """A store that all tests of a session share, in whichever process: what several of them make is made once.

    Its encoder `static` is a small one.
    """
    from lib.base import store
    from lib.encoders import load

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kept"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRID_STORE", str(folder))
        wanted = {"encoder": "static", "identity": load.identity("static")}
        store.make("encoders", wanted, synthetic.small_static)
    return folder


@pytest.fixture
def smoke_folders(own_folders, kept, monkeypatch):
    """Results of a test, and the shared store, in which the encoder of `smoke` and its trainings are made once."""
    monkeypatch.setenv("HYBRID_STORE", str(kept))
    return own_folders


@pytest.fixture(scope="session")
def forking():
    """Starts processes that need not import anything (see `forked`)."""
    server = forked.Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    return synthetic.finished(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def explored(finished, own_folders):
    """A tiny run on questions of one's own, both cells finished, and nothing of other tests in memory."""
    from lib.show.explore import explorer

    explorer.retriever.cache_clear()
    explorer.opened.cache_clear()
    return synthetic.copied(finished, own_folders)


@pytest.fixture(scope="session")
def real_data():
    """Skips a test where no mirror holds the benchmark files."""
    mirror = paths.mirror()
    for dataset in ("xquad-r", "mlqa-r"):
        if mirror is None or not list(mirror.glob(f"{dataset}/*.json")):
            pytest.skip(f"{dataset} is not here: set HYBRID_DATA_MIRROR to a folder that holds it")
    return mirror
