"""Rankings that are tracked: what models found first, and where the right passages stand, is shown without them."""

import numpy as np
import pytest

from lib.base import paths
from lib.base import store as artifacts
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.interop import write_rankings
from lib.runs import open as runs
from lib.runs import plan as grid
from lib.show.explore import explorer, rankings
from lib.show.explore import widgets as explorer_view

TRACKED = paths.TRACKED / "full" / "published" / rankings.FOLDER


@pytest.fixture
def run(explored):
    return explored


def hybrid(run):
    return grid.plan(run.config)[-1]


def written(run, cell=None):
    dataset, cell = run.config.eval[0], cell or hybrid(run)
    return write_rankings.write(run, cell, dataset, run.folder / "published" / rankings.FOLDER)


def test_what_is_shown_without_the_model_is_what_the_model_finds(run):
    dataset, cell = run.config.eval[0], hybrid(run)
    model = explorer.opened(run, cell, dataset)
    assert isinstance(model, explorer.Retriever)
    assert rankings.read(written(run)).shape == (len(model.data.queries), rankings.DEPTH)
    explorer.opened.cache_clear()
    artifacts.shutil.rmtree(paths.store() / "models")
    listed = explorer.opened(run, cell, dataset)
    for query in range(len(model.data.queries)):
        known, found = model.answer(query, 25), listed.answer(query, 25)
        assert found.ranks == known.ranks
        assert found.top.drop(columns="score").equals(known.top.drop(columns="score"))
        assert found.top["score"].isna().all()


def test_models_whose_rankings_are_tracked_are_looked_at_first(run, monkeypatch):
    written(run)
    explorer.retriever.cache_clear()
    artifacts.shutil.rmtree(paths.store() / "models")
    monkeypatch.setattr(explorer, "QUICK", 0)
    view = explorer_view.Explorer(run)
    assert view.left.value == view.right.value == hybrid(run) == view.left.options[0][1]
    view.answer()
    assert "question 1, asked in English" in view.lists.value and "nan" not in view.lists.value
    view.own.value = "p3zh"
    assert "the model of" in view.lists.value and "is not in the store; make it" in view.lists.value


def test_rankings_of_other_ranks_are_not_taken(run):
    path = written(run)
    listed = artifacts.read_sealed(path.parent / rankings.SEAL)
    listed[path.name]["cell"] = "0" * 64
    artifacts.write_sealed(path.parent / rankings.SEAL, listed)
    rankings.seal.cache_clear()
    assert rankings.find(run, hybrid(run), run.config.eval[0]) is None


def test_a_damaged_file_is_one_line(run):
    path = written(run)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"_on_.*\.npy\.xz is damaged; check it out again$"):
        rankings.read(path)


def test_a_model_that_ranks_otherwise_than_the_cell_is_refused_and_nothing_is_written(run, monkeypatch):
    cell, other = hybrid(run), grid.plan(run.config)[0]
    model = explorer.retriever(run, other, run.config.eval[0])
    monkeypatch.setattr(explorer, "retriever", lambda *_: model)
    with pytest.raises(UserError, match=r"stand there here; make the cell and its model on one machine$"):
        written(run, cell)
    assert not (run.folder / "published").exists()


def test_the_command_writes_the_chosen_cells_once_for_each_whole_set(run, capsys):
    overrides = [part for text in run.overrides for part in ("--set", text)]
    assert write_rankings.main(["--profile", "smoke", *overrides, "--cells", "*_hybrid-*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(run.config.eval) and all(" kB" in line for line in lines)
    assert rankings.find(run, hybrid(run), run.config.eval[0])


# --- the tracked ones ---


def test_tracked_rankings_have_the_right_passages_where_the_published_cells_have_them(own_folders):
    full = runs.open_run("full", finished=True)
    files = sorted(TRACKED.glob("*.xz"))
    assert {path.name for path in files} == set(rankings.seal(TRACKED))
    looked_at = set()
    for cell in grid.plan(full.config):
        for dataset in ("xquad-r", "mlqa-r"):
            path = TRACKED / rankings.name(cell, dataset)
            if path in files:
                tops = rankings.read(path)
                assert tops.shape == (len(data.outline(dataset).queries), rankings.DEPTH)
                assert all(len(np.unique(row)) == rankings.DEPTH for row in tops[:: len(tops) // 20])
                assert write_rankings.agreement(full, cell, dataset, tops) == 1
                looked_at.add((cell.encoder, cell.label, dataset))
    assert len(looked_at) == len(files)
    strategies = ("none", "x-x-mono", "x-y", "hybrid-0.5")
    assert {("use-m", label, name) for label in strategies for name in ("xquad-r", "mlqa-r")} <= looked_at


def test_tracked_rankings_are_small():
    assert sum(path.stat().st_size for path in TRACKED.iterdir()) <= 6_000_000
