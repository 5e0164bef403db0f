"""One question followed, and the picture of the batch kinds: both are the batches that a run really trains on."""

import re
from dataclasses import replace

import numpy as np
import pytest
import synthetic
from matplotlib.figure import Figure

import lib
from lib.base import config
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.figures import drawn, gallery
from lib.figures import languages as figures_batches
from lib.runs import cells
from lib.show import views


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny run of one's own files, with one trained cell beside no fine-tuning."""
    folder = tmp_path_factory.mktemp("followed")
    with synthetic.folders(folder):
        own = ["strategies=[none,hybrid]", "seeds=[3]", "steps=9", "warmup_steps=1", "batch_size=4"]
        run = config.load("smoke", [*synthetic.own_files(folder), *own])
        for cell in cells.of(run):
            cells.finish(run, cell)
        yield run


def test_a_question_is_found_in_just_the_batches_of_the_training_log_that_hold_it(run):
    page = views.in_training(run, "hybrid", 0.5, question=2).to_html()
    cells_of = [re.sub(r"<.*?>", "", text).strip() for text in re.findall(r"<td.*?</td>", page, re.S)]
    rows = [cells_of[start : start + 5] for start in range(0, len(cells_of), 5)]
    steps = cells.training_log(run, cells.of(run)[1])["steps"]
    assert rows
    assert 1 <= len(rows) <= 2  # nine steps are one epoch and a half
    for languages, step, kind, query, passage in rows:
        asked, answered = languages.replace("&gt;", ">").split(">")
        logged = steps[int(step) - 1]
        assert (kind, query, passage) == (logged["kind"], f"q2{asked}", f"p2{answered}")
        assert f"{asked}>{answered}:" in logged["languages"]
        assert (asked == answered) == (kind == "mono")


def test_a_question_is_followed_to_the_ranks_of_all_its_answers(run):
    table = views.in_ranking(run, "en", question=1)
    assert list(table) == ["none", "hybrid-0.5"]
    assert list(table.index) == [*synthetic.LANGUAGES, "rank distance"]
    assert table.index.name == "asked in en, answered in"
    for cell in cells.of(run):
        ranks = cells.ranks(run, cell).query("question == 1 and query_language == 'en'")
        shown = table[cell.label]
        assert shown[list(ranks["passage_language"])].tolist() == ranks["pool_rank"].tolist()
        assert shown["rank distance"] == ranks["pool_rank"].max() - ranks["pool_rank"].min()


def test_a_question_is_asked_in_another_language_where_it_does_not_exist_in_the_one_wanted(run):
    assert views.in_ranking(run, "fr").index.name == "asked in de, answered in"


def test_shares_count_right_and_wrong_passages_in_the_language_of_the_query():
    mono = (np.array(["de", "de"]), np.array(["de", "de"]))
    cross = (np.array(["de", "en"]), np.array(["en", "en"]))
    assert figures_batches.shares([mono]) == (1.0, 1.0)
    assert figures_batches.shares([cross]) == (0.5, 0.5)  # only en>en; of the wrong ones only de>en is not
    assert figures_batches.shares([mono, cross]) == (0.75, 0.75)


def test_batches_of_the_picture_are_of_their_kind(run):
    chosen = data.training_set(run.config.train[0], run.config.eval)
    counted = {
        name: figures_batches.shares(figures_batches.languages_of_batches(chosen, name, 4))
        for name in figures_batches.UNMIXED
    }
    assert [right for right, _ in counted.values()] == [1.0, 1.0, 0.0]
    assert counted["x-x-mono"][1] == 1.0
    assert 0.2 < counted["x-x"][1] < 0.5  # one in three languages


def test_a_run_that_shows_what_is_published_shows_the_tracked_figure(run, tmp_path, monkeypatch):
    (tmp_path / "forest.png").write_bytes(b"the tracked one")
    monkeypatch.setattr(drawn, "tracked", lambda run: tmp_path if run.config.is_shown else None)
    monkeypatch.setattr(gallery, "draw", lambda run, name: Figure())
    shown = replace(run, config=replace(run.config, is_shown=True))
    assert views.draw(shown, "forest").data == b"the tracked one"
    for other in (views.draw(shown, "alpha"), views.draw(run, "forest")):
        assert other.data.startswith(b"\x89PNG")


def test_before_there_are_tables_it_is_said_how_to_make_them(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path))
    for ask in (lambda: views.draw(run, "alpha"), lambda: lib.table(run, "metrics.csv"), lambda: lib.main_table(run)):
        with pytest.raises(UserError, match=r"yet; make it: lib\.judge\(run\)"):
            ask()
