"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest
import synthetic

from lib.base import paths


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
    """A store that all tests of a session share, in whichever process: what several of them make is made once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kept"
    (folder / "encoders").mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def smoke_folders(own_folders, kept, monkeypatch):
    """Results of a test, and the shared store, in which the encoder of `smoke` and its trainings are made once."""
    monkeypatch.setenv("HYBRID_STORE", str(kept))
    return own_folders


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    return synthetic.finished(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def explored(finished, own_folders):
    """A tiny run on questions of one's own, both cells finished, and nothing of other tests in memory."""
    from lib.show import explorer

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
