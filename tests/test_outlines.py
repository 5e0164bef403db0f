"""What is tracked of released sets stands for the sets: published evidence is made without them."""

import pandas as pd
import pytest

from lib.base import paths
from lib.data import catalog as data
from lib.data import download, outlines, write_outlines
from lib.evidence import effects
from lib.runs import cells
from lib.runs import open as runs

SCORED = ["xquad-r", "mlqa-r-heldout", "mlqa-r-fold3", "parallel-docs-heldout", "miracl-mini"]


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine that reaches no benchmark."""
    monkeypatch.setenv("HYBRID_DATA_MIRROR", str(tmp_path))
    monkeypatch.setenv("HYBRID_STORE", str(tmp_path / "store"))
    data._kept.cache_clear()
    yield
    data._kept.cache_clear()


@pytest.mark.real_data
@pytest.mark.parametrize("name", SCORED)
def test_an_outline_is_the_set_without_its_texts(name):
    whole, kept = data.evaluation_set(name), data.outline(name)
    assert (kept.name, kept.languages, len(kept.questions)) == (whole.name, whole.languages, len(whole.questions))
    assert (pd.factorize(kept.questions["group"])[0] == pd.factorize(whole.questions["group"])[0]).all()
    assert (kept.questions["split"] == whole.questions["split"]).all()
    pd.testing.assert_frame_equal(kept.queries[["question", "language"]], whole.queries[["question", "language"]])
    assert (pd.factorize(kept.queries["text"])[0] == pd.factorize(whole.queries["text"])[0]).all()
    assert (kept.passages["language"] == whole.passages["language"]).all()
    pd.testing.assert_frame_equal(kept.qrels, whole.qrels, check_dtype=False)
    assert not kept.passages["text"].any()


@pytest.mark.real_data
def test_tracked_digests_are_those_of_the_sets():
    for name in ("xquad-r", "mlqa-r-fold3", "parallel-docs-heldout"):
        assert outlines.known(name, None, "sentence") == data.described(name, None, "sentence")
    both = frozenset(data.LAREQA)
    for name in ("mlqa-r", "mlqa-r-without-fold3", "xquad-r-7-languages"):
        assert outlines.known(name, both, "sentence") == data.described(name, both, "sentence")


@pytest.mark.real_data
def test_what_is_written_is_what_is_tracked(tmp_path, monkeypatch):
    tracked = {path.name: path.read_bytes() for path in outlines.FOLDER.glob("*.parquet")}
    monkeypatch.setattr(outlines, "FOLDER", tmp_path)
    monkeypatch.setattr(outlines, "DIGESTS", tmp_path / "digests.json")
    monkeypatch.setattr(write_outlines, "digests", dict)  # they need a minute: looked at above
    for path in write_outlines.write()[:-1]:
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(paths.LIB / "data/outlines" / path.name))
    assert {path.name for path in tmp_path.glob("*.parquet")} == set(tracked)


def test_a_set_without_an_outline_is_the_set_itself():
    assert data.outline("facts").digest == data.evaluation_set("facts").digest
    assert outlines.read("facts") is None


def test_published_cells_are_found_where_no_benchmark_can_be_had(nowhere, tmp_path, monkeypatch):
    assert not runs.obtainable("xquad-r") and not runs.obtainable("parallel-docs")
    run = runs.open_run("full", ["encoder=e5-small-q4"])
    assert cells.all_at_hand(run) and not run.left_out


def test_what_must_be_trained_needs_its_texts(nowhere):
    with pytest.raises(download.UserError, match="needs xquad-r, mlqa-r, which can be had neither from a mirror"):
        runs.open_run("full", ["steps=81"])


def test_scores_need_no_texts(nowhere, tmp_path, monkeypatch):
    run = runs.open_run("default", ["encoder=e5-small-q4", "train=xquad-r", "strategies=[none]"])
    found = effects.scores(run)
    assert {key.dataset for key in found} >= {"xquad-r", "mlqa-r", "parallel-docs-heldout"}
