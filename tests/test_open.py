"""Opening a run: what takes the place of data that cannot be had, and that the reader is told."""

import json

import pytest
import synthetic

from lib.base.config import FACTS, FACTS_ONLY
from lib.base.errors import UserError
from lib.runs import open as runs


@pytest.fixture
def nothing_to_download(own_folders, monkeypatch):
    """Neither a mirror nor an origin has a data set."""
    monkeypatch.setattr(runs, "obtainable", lambda name: False)
    return own_folders


@pytest.fixture
def own(own_folders) -> str:
    """A file of rows that is trained on or scored on."""
    path = own_folders / "my.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in synthetic.rows(20)))
    return str(path)


def test_without_the_benchmarks_quick_runs_on_the_facts_corpus_and_says_so(nothing_to_download):
    run = runs.open_run("quick")
    assert (run.config.train, run.config.eval, run.fallback) == (("facts",), FACTS, True)
    assert runs.banner(run).startswith(FACTS_ONLY) and run.name == "quick-facts"


def test_a_file_of_ones_own_is_not_replaced_by_the_facts_corpus(nothing_to_download, own):
    run = runs.open_run("quick", [f"train={own}"])
    assert (run.config.train, run.config.eval) == ((own,), (f"{own}-heldout",))
    assert f"trained on {own}, scored on {own}-heldout" in runs.banner(run)
    both = runs.open_run("quick", [f"train=[{own}, xquad-r]"])
    assert both.config.train == (own, "facts")
    scored = runs.open_run("quick", [f"eval={own}"])
    assert (scored.config.train, scored.config.eval) == (("facts",), (own,))


def test_languages_of_own_rows_that_nothing_is_trained_on_are_named(nothing_to_download):
    path = nothing_to_download / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in synthetic.rows(20, languages=("de", "en", "sw"))))
    run = runs.open_run("quick", [f"eval={path}"])  # trained on the facts corpus
    assert runs.unseen(run.config) == ["sw"]
    assert "\nnever trained on: sw; what changes there is carried over from other languages" in runs.banner(run)
    assert runs.unseen(runs.open_run("quick", [f"eval={path}", "strategies=[none]"]).config) == []
    assert runs.unseen(runs.open_run("quick", [f"train={path}"]).config) == []  # scored on its own held-out rows


def test_the_facts_corpus_can_be_asked_for_where_the_benchmarks_can_be_had(own_folders, monkeypatch):
    monkeypatch.setattr(runs, "obtainable", lambda name: True)
    assert runs.open_run("quick", facts=True).config.eval == FACTS
    with pytest.raises(UserError, match="run quick-facts: no cell is finished yet"):
        runs.open_run("quick", facts=True, finished=True)
    assert runs.open_run("quick").config.eval == ("xquad-r", "mlqa-r")


def test_other_profiles_say_what_they_lack(nothing_to_download):
    with pytest.raises(UserError, match="profile paper needs .*use profile quick or smoke"):
        runs.open_run("paper")
