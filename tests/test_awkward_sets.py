"""Rows that are right, and of an awkward shape, through a whole run: tables and figures are made of all of them."""

import json

import numpy as np
import odd_encoders
import pytest
import synthetic

import lib
from lib.base import config
from lib.base.errors import UserError
from lib.evidence import tables
from lib.figures import gallery
from lib.runs import cells
from lib.runs import plan as grid


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def folder(tmp_path):
    """An encoder, and rows to train on."""
    train = [row | {"split": "train"} for row in synthetic.rows(24)]
    written(tmp_path / "train.jsonl", train)
    words = [text for row in train for side in "qp" for text in row[side].values()]
    synthetic.encoder(words).save(str(tmp_path / "tiny"), create_model_card=False)
    return tmp_path


def run_of(folder, encoder="tiny"):
    overrides = ["steps=4", "batch_size=8", "warmup_steps=1", "max_tokens=32", f"encoder={folder / encoder}"]
    overrides += [f"train={folder / 'train.jsonl'}", f"eval={folder / 'test.jsonl'}"]
    return config.load("smoke", overrides)


@pytest.mark.parametrize("group", ["one group", "many groups"])
def test_tables_and_figures_are_made_of_rows_of_one_group_and_of_questions_without_their_own_language(
    folder, group, own_folders
):
    rows = [
        {"id": f"t{n}", "q": {x: f"q{n}{x} q{n + 1}{x}" for x in synthetic.LANGUAGES}, "p": row["p"], "split": "test"}
        for n, row in enumerate(synthetic.rows(20))
    ]
    rows[3]["q"] = {"en": rows[3]["q"]["en"]}
    rows[3]["p"] = {"de": rows[3]["p"]["de"]}
    written(folder / "test.jsonl", [row | ({"group": "faq"} if group == "one group" else {}) for row in rows])
    run = run_of(folder)
    lib.judge(run)
    found = tables.read(run, "effects.csv")
    assert len(found) and not np.isinf(found.select_dtypes("number").to_numpy()).any()
    assert found["low"].isna().all() == (group == "one group")
    for name in gallery.ALL:  # notebooks draw some without asking whether there is something to show
        gallery.draw(run, name).savefig(folder / "drawn.png")
    assert {"forest", "map_by_setting"} <= set(gallery.available(run))


@pytest.mark.parametrize("call", [lib.evaluate, lib.train, lib.judge])
def test_from_python_too_nothing_is_made_of_what_the_command_line_refuses(call, folder, own_folders):
    written(folder / "test.jsonl", [row | {"split": "test"} for row in synthetic.rows(20)])
    odd_encoders.transformer(folder / "left", side="left")
    run = run_of(folder, "left")
    with pytest.raises(UserError, match="padding_side"):
        call(run)
    written(folder / "train.jsonl", [row | {"split": "test"} for row in synthetic.rows(24)])
    lacking = run_of(folder)
    with pytest.raises(UserError, match="none of its questions is in the split train"):
        call(lacking)
    for refused in (run, lacking):
        assert not any(cells.record(refused, cell) for cell in grid.plan(refused.config))


def swept(folder, entry, **more):
    """What is said of a run with a sweep of one's own; nothing is made."""
    entry = {"encoder": "static", "train": [str(folder / "train.jsonl")], "strategies": ["x-y"]} | entry | more
    mine = [f"train={folder / 'train.jsonl'}", f"eval={folder / 'test.jsonl'}", f"sweep={json.dumps([entry])}"]
    return lib.open("smoke", mine)


@pytest.fixture
def tested(folder):
    for name, count in (("test", 20), ("few", 4)):
        rows = [row | {"id": f"t{n}", "split": "test"} for n, row in enumerate(synthetic.rows(count))]
        written(folder / f"{name}.jsonl", rows)
    return folder


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"test": "few.jsonl"}, "few.jsonl: too few different passages"),
        ({"test": "gone.jsonl"}, "gone.jsonl: no such file"),
        ({"test": "moon"}, "'moon' does not exist for evaluation"),
        ({"test": "test.jsonl", "train": ["gone.jsonl"]}, "gone.jsonl: no such file"),
        ({"test": "test.jsonl", "train": ["moon"]}, "'moon' does not exist for training"),
        ({"test": "test.jsonl", "encoder": "moon"}, "encoder 'moon'"),
        ({"test": "test.jsonl", "train": ["test.jsonl"]}, "test.jsonl are one"),
        ({"test": "test.jsonl", "changes": ["encoder=use-m"]}, "encoder is no change of a training"),
    ],
)
def test_a_sweep_is_checked_before_any_work(tested, monkeypatch, entry, said):
    monkeypatch.chdir(tested)
    with pytest.raises(UserError) as error:
        swept(tested, entry)
    assert said in str(error.value)


def test_cells_of_a_sweep_have_flat_names_that_differ(tested):
    alphas = {"strategies": ["x-y", "hybrid"], "alphas": [0.99999999, 0.5]}
    run = swept(tested, {"test": str(tested / "test.jsonl")} | alphas)
    names = [cell.id for cell in grid.parts(run.config)]
    assert len(set(names)) == 3 and not any("/" in name for name in names)
    assert "static_train_hybrid-0.99999999_seed0_on_test" in names
