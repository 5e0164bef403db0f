"""Experiment trackers: off unless asked for, told of each step, and without a say in what is trained."""

import sys

import pytest
import synthetic

from lib import __main__ as command
from lib.base import config
from lib.base import store as artifacts
from lib.base.errors import UserError
from lib.runs import cells
from lib.runs import plan as grid
from lib.training import trainer

TRACKIO = '''
"""Stands in for the tracker: it keeps what it is told."""
import types

told = []
context_vars = types.SimpleNamespace(current_space_id=types.SimpleNamespace(get=lambda: None))


class Config(dict):
    def update(self, values, **more):
        super().update(values)


config = Config()


def init(**given):
    told.append(("init", given))


def log(values):
    told.append(("log", values))


def finish():
    told.append(("finish", {}))
'''


@pytest.fixture
def run(own_folders):
    overrides = ["steps=3", "batch_size=8", "warmup_steps=1", "strategies=[hybrid]", *synthetic.own_files(own_folders)]
    return config.load("smoke", overrides)


@pytest.fixture
def trackio(tmp_path, monkeypatch):
    """A module called trackio that the trainer takes for the tracker."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "trackio.py").write_text(TRACKIO)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.setenv(trainer.TRACKER, "trackio")
    yield __import__("trackio")
    del sys.modules["trackio"]


def test_no_tracker_is_told_of_anything_unless_asked(monkeypatch):
    for value in (None, "", "none"):
        monkeypatch.delenv(trainer.TRACKER, raising=False)
        if value is not None:
            monkeypatch.setenv(trainer.TRACKER, value)
        assert trainer.tracker() == "none"


def test_a_tracker_is_told_the_loss_of_each_step_and_changes_nothing(run, trackio, monkeypatch):
    (cell,) = grid.plan(run.config)
    name = run.name
    log = cells.training_log(run, cell)
    tracked = [values["train/loss"] for kind, values in trackio.told if kind == "log" and "train/loss" in values]
    assert [round(loss, 5) for loss in tracked] == [step["loss"] for step in log["steps"]]
    kind, given = trackio.told[0]
    assert (kind, given["project"], given["name"]) == ("init", "hybrid-batches", "train.jsonl_hybrid-0.5_seed0")
    assert trackio.told[-1][0] == "finish"

    folder = cells.model(run, cell).parent
    weights = {path.name: artifacts.file_digest(path) for path in folder.rglob("*") if path.is_file()}
    cells.forget(run)
    told = len(trackio.told)
    monkeypatch.delenv(trainer.TRACKER)
    assert cells.training_log(run, cell) == log
    assert cells.model(run, cell).parent == folder and run.name == name
    assert {path.name: artifacts.file_digest(path) for path in folder.rglob("*") if path.is_file()} == weights
    assert len(trackio.told) == told


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("abacus", "HYBRID_REPORT_TO=abacus: there is no such tracker; choose one of .*wandb.*, or none"),
        ("flyte", "HYBRID_REPORT_TO=flyte: it is not installed; install its package, or set HYBRID_REPORT_TO=none"),
    ],
)
def test_a_tracker_that_cannot_be_is_told_before_any_work(run, monkeypatch, capsys, value, line):
    monkeypatch.setenv(trainer.TRACKER, value)
    with pytest.raises(UserError, match=line):
        trainer.tracker()
    asked = ["--profile", "smoke", "--cells", "*", *(x for text in run.overrides for x in ("--set", text))]
    assert command.main(asked) == 2
    assert capsys.readouterr().err.startswith(f"error: HYBRID_REPORT_TO={value}")
    assert not (run.folder / "cells").exists()
