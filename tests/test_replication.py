"""One training made anew and held against the published one."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import synthetic

from lib.base import config
from lib.base.errors import UserError
from lib.evidence import replication
from lib.runs import cells, records
from lib.runs import open as runs
from lib.runs import plan as grid
from lib.show import publish

CELL = "static_facts_hybrid-0.5_seed0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("replication")


@pytest.fixture
def run(folder, kept, monkeypatch):
    """A run whose one cell is finished, as if it had come with the repository."""
    monkeypatch.setenv("HYBRID_RESULTS", str(folder / "results"))
    monkeypatch.setenv("HYBRID_STORE", str(folder / "store"))
    if not (folder / "store").exists():
        synthetic.store_with(kept, folder)
    run = config.load("smoke", ["steps=5", "eval=facts", "strategies=[hybrid]", f"replicate=[{CELL}]"])
    [cell] = grid.plan(run.config)
    cells.finish(run, cell)
    return run


def test_a_training_made_anew_on_the_same_machine_gives_the_same_numbers(run, capsys):
    [cell] = grid.plan(run.config)
    model = cells.model(run, cell).stat().st_ino
    table = replication.make(run)
    assert list(table["setting"]) == ["monolingual", "cross-lingual", "multilingual"]
    assert list(table["verdict"]) == ["same"] * 3 and replication.overall(table) == "same"
    assert not np.signbit(table["difference"][table["difference"] == 0]).any()  # -0.0 reads as if something were lost
    assert (table["difference"].abs() < replication.SAME).all() and (table["published"] > 0).all()
    assert cells.model(run, cell).stat().st_ino != model  # it was trained, and not only read
    assert replication.machine(cells.record(run, cell)["made"]) == table["made_on"][0]


def test_what_is_done_is_not_done_again_and_says_how_long_it_took(run):
    first, again = replication.make(run), replication.make(run)
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_frame_equal(replication.read(run), first, check_exact=False, atol=1e-6)


def test_another_published_number_is_told(run):
    [cell] = grid.plan(run.config)
    whole, test = cells.ranks(run, cell), replication.make(run)
    path = run.folder / "cells" / cell.id
    kept = {suffix: records.beside(path, suffix).read_bytes() for suffix in records.SUFFIXES}
    try:
        worse = whole.assign(pool_rank=whole["pool_rank"] + 3, rank=whole["rank"])
        records.write_ranks(worse, records.beside(path, records.RANKS))
        scores = replication.published_scores(run, cell, "facts")
        assert scores["multilingual"].mean() < test["here"].iloc[2] - replication.CLOSE
    finally:
        for suffix, content in kept.items():
            records.beside(path, suffix).write_bytes(content)


@pytest.mark.parametrize(
    ("difference", "word"), [(0.0004, "same"), (-0.0006, "close"), (0.0049, "close"), (-0.006, "differs")]
)
def test_how_near_is_near(difference, word):
    assert replication.verdict(difference) == word


def test_the_first_cell_whose_texts_can_be_had_is_chosen(run, monkeypatch):
    both = replace(run, config=config.load("default").config)
    monkeypatch.setattr(runs, "obtainable", lambda name: False)
    assert replication.chosen(both).train == "facts"
    monkeypatch.setattr(runs, "obtainable", lambda name: True)
    assert replication.chosen(both).train == "mlqa-r"


def test_a_run_without_a_cell_to_make_anew_has_no_rows(run):
    assert replication.make(replace(run, config=replace(run.config, replicate=()))).empty


def test_a_name_that_is_no_cell_is_told_before_any_work(run):
    with pytest.raises(UserError, match="no cell of run .* has such a name"):
        replication.chosen(replace(run, config=replace(run.config, replicate=("static_moon",))))


def test_what_shows_the_published_is_not_published():
    with pytest.raises(UserError, match="publish the run that makes it: full"):
        publish.check_publishable(config.load("default"))


def test_the_default_run_trains_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("HYBRID_DATA_MIRROR", str(tmp_path))
    run = runs.open_run("default")
    assert run.finished and not cells.missing(run)
    assert len(json.dumps(config.as_dict(run.config))) > 0
