"""Cells: their names and order, what they are scored on, and that only a whole and fitting one counts as done."""

import gzip
import json
import shutil
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
import synthetic

from lib.base import config
from lib.base import store as artifacts
from lib.base.errors import UserError
from lib.evaluation import metrics
from lib.evidence import judge, tables
from lib.runs import cells, records
from lib.runs import plan as grid
from lib.runs.plan import Cell
from lib.show import printed

# --- names, order, rules ---


@pytest.mark.parametrize(
    ("cell", "id_", "alpha"),
    [
        (Cell("e5-small-q4"), "e5-small-q4_none", None),
        (Cell("e5-small-q4", "mlqa-r", "hybrid", 0.5, 0), "e5-small-q4_mlqa-r_hybrid-0.5_seed0", 0.5),
        (Cell("static", "facts", "x-x-mono", None, 3), "static_facts_x-x-mono_seed3", 1.0),
        (Cell("static", "facts", "x-y", None, 3), "static_facts_x-y_seed3", 0.0),
        (Cell("org/name", "data/my.jsonl.gz", "x-x", None, 1), "name_my_x-x_seed1", None),
    ],
)
def test_a_cell_is_named_by_what_it_is(cell, id_, alpha):
    assert cell.id == id_
    assert cell.columns() == {
        "encoder": cell.encoder, "train": cell.train, "strategy": cell.strategy, "alpha": alpha, "seed": cell.seed,
    }  # fmt: skip


def test_the_plan_of_the_quick_profile_is_none_and_three_strategies_in_both_directions():
    assert [cell.id for cell in grid.plan(config.load("quick").config)] == ["use-m_none"] + [
        f"use-m_{train}_{strategy}_seed0"
        for train in ("mlqa-r", "xquad-r")
        for strategy in ("x-x-mono", "x-y", "hybrid-0.5")
    ]


def test_the_plan_goes_through_data_then_seeds_then_strategies_then_alphas():
    overrides = ["seeds=[0,1]", "train=[a.jsonl,b.jsonl]", "strategies=[hybrid,x-y]", "alphas=[.25,.5]"]
    found = [cell.id for cell in grid.plan(config.load("smoke", overrides).config)]
    assert found == [
        f"static_{train}_{label}_seed{seed}"
        for train in "ab" for seed in (0, 1) for label in ("hybrid-0.25", "hybrid-0.5", "x-y")
    ]  # fmt: skip
    assert len(set(found)) == 12


@pytest.mark.parametrize(
    ("train", "wanted"),
    [
        ("none", ["xquad-r", "mlqa-r", "xquad-r-heldout", "facts"]),
        ("xquad-r", ["mlqa-r", "facts", "xquad-r-heldout"]),  # never on what it was trained on
        ("mlqa-r", ["xquad-r", "facts"]),
        ("facts", ["xquad-r", "mlqa-r", "xquad-r-heldout", "facts"]),  # whose test part is another
        ("parallel-docs", ["xquad-r", "mlqa-r", "facts"]),
    ],
)
def test_a_cell_is_not_scored_on_questions_it_was_trained_on(train, wanted):
    settings = config.load("quick", ["eval=[xquad-r,mlqa-r,xquad-r-heldout,facts]"]).config
    assert grid.evaluated(Cell("static", train, "x-y", None, 0), settings) == wanted


def test_held_out_sets_are_scored_for_the_seeds_that_the_profile_names():
    settings = config.load("quick", ["eval=[mlqa-r,xquad-r-heldout]", "heldout_seeds=[1]"]).config
    found = [grid.evaluated(Cell("static", "xquad-r", "x-y", None, seed), settings) for seed in (0, 1)]
    assert found == [["mlqa-r"], ["mlqa-r", "xquad-r-heldout"]]
    assert grid.evaluated(Cell("static"), settings) == ["mlqa-r", "xquad-r-heldout"]


def test_the_plan_has_each_encoder_with_all_its_trainings():
    found = [cell.id for cell in grid.plan(config.load("smoke", ["encoder=[use-m,static]"]).config)]
    assert found == [
        f"{encoder}_{rest}"
        for encoder in ("use-m", "static")
        for rest in ("none", *(f"facts_{label}_seed0" for label in ("x-x-mono", "x-y", "hybrid-0.5")))
    ]


SWEEP = """sweep=[{encoder: static, train: [facts], test: facts-new, strategies: [x-y], seeds: [0, 1],
    changes: [scale=50, [scale=100, steps=9]]},
    {encoder: static, train: ["mlqa-r-without-fold{fold}"], test: "mlqa-r-fold{fold}", strategies: [hybrid]}]"""


def test_a_sweep_lists_further_trainings_each_scored_on_one_set():
    settings = config.load("smoke", [SWEEP]).config
    found = grid.parts(settings)
    assert [cell.id for cell in found] == [
        *(f"static_facts_x-y_seed{seed}_scale=50_on_facts-new" for seed in (0, 1)),
        *(f"static_facts_x-y_seed{seed}_scale=100_steps=9_on_facts-new" for seed in (0, 1)),
        *(f"static_mlqa-r-without-fold{n}_hybrid-0.5_seed0_on_mlqa-r-fold{n}" for n in range(5)),
    ]
    assert not set(found) & set(grid.plan(settings)) and all(cell.is_part for cell in found)
    changed = found[2].settings(settings)
    assert (changed.scale, changed.steps, changed.batch_size) == (100, 9, settings.batch_size)
    assert grid.evaluated(found[4], settings) == ["mlqa-r-fold0"]


def test_a_cell_of_a_sweep_keeps_the_scores_that_all_its_ranks_would_give(smoke_folders):
    swept = "sweep=[{encoder: static, train: [facts], test: facts-heldout, strategies: [x-y], changes: [steps=3]}]"
    run = config.load("smoke", [swept])
    (part,) = grid.parts(run.config)
    whole = config.load("smoke", ["steps=3", "strategies=[x-y]", "eval=[facts-heldout]"])
    (cell,) = grid.plan(whole.config)
    assert cells.inputs(part, run.config)["steps"] == 3
    cells.finish(run, part)
    cells.finish(whole, cell)
    ranks = cells.ranks(whole, cell)
    expected = metrics.by_query(metrics.units(ranks.drop(columns="dataset")))
    found = cells.scores(run, part)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, atol=5.01e-5, rtol=0)
    assert sum(path.stat().st_size for path in cells.files(run, part)) < 60_000
    assert all("languages" not in step for step in cells.record(run, part)["training"]["steps"])
    assert all("languages" in step for step in cells.record(whole, cell)["training"]["steps"])
    assert cells.parts_of(run) == [part] and part not in cells.of(run)
    line, of_whole = printed.scores(run, part), printed.scores(whole, cell)
    assert line == of_whole and "rank distance" in line[0], "the means of a part are those of the whole cell"


@pytest.mark.parametrize(
    ("changes", "on", "kept"),
    [
        ((), "mlqa-r", metrics.SETTINGS),
        (("scale=50",), "mlqa-r", ("multilingual", "monolingual")),
        (("scale=50", "steps=9"), "xquad-r-fold3", ("multilingual", "monolingual")),
        (("steps=9",), "facts", metrics.SETTINGS),
        (("centred=true",), "mlqa-r", ()),
    ],
)
def test_a_part_keeps_the_settings_that_are_looked_at_of_it(changes, on, kept, tmp_path):
    part = grid.Cell("static", "parallel-docs", "x-y", None, 0, on, changes)
    assert part.kept == kept
    pairs = list(product(("ar", "en", "zh"), repeat=2))
    ranks = pd.DataFrame(
        [(q, x, y, 1 + (7 * q + 3 * n) % 5, 2 + (5 * q + n) % 9) for q in range(4) for n, (x, y) in enumerate(pairs)],
        columns=["question", "query_language", "passage_language", "rank", "pool_rank"],
    )
    units = metrics.units(ranks)
    records.write_scores(units, tmp_path / "part.parquet", part.kept)
    whole, found = metrics.by_query(units), records.read_scores(tmp_path / "part")
    beside = ["rank_distance"] if kept == metrics.SETTINGS else []
    assert list(found.columns) == ["question", "query_language", *kept, *beside]
    whole = whole[found.columns] if kept else whole[found.columns][:0]
    pd.testing.assert_frame_equal(found, whole, check_dtype=False, check_categorical=False, atol=5.01e-5, rtol=0)


# --- a tiny run ---


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """An encoder, training rows and test rows, as a person would bring their own."""
    folder = tmp_path_factory.mktemp("inputs")
    train = [row | {"split": "train"} for row in synthetic.rows(24)]
    test = [
        {"id": f"t{n}", "q": {x: f"q{n}{x} q{n + 1}{x}" for x in synthetic.LANGUAGES}, "p": row["p"], "split": "test"}
        for n, row in enumerate(synthetic.rows(20))
    ]
    for name, rows in (("train", train), ("test", test)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [text for row in train for side in "qp" for text in row[side].values()]
    synthetic.encoder(words).save(str(folder / "tiny"), create_model_card=False)
    return folder


@pytest.fixture
def run(inputs, own_folders):
    overrides = ["steps=4", "batch_size=8", "warmup_steps=1", f"encoder={inputs / 'tiny'}"]
    overrides += [f"train={inputs / 'train.jsonl'}", f"eval={inputs / 'test.jsonl'}"]
    return config.load("smoke", overrides)


def files(run, cell):
    return [run.folder / "cells" / f"{cell.id}{suffix}" for suffix in cells.SUFFIXES]


def only_plan(run, *labels: str) -> list[Cell]:
    return [cell for cell in grid.plan(run.config) if cell.label in labels]


def test_a_run_is_made_once_and_says_how(run, monkeypatch):
    assert cells.missing(run) == grid.plan(run.config)
    records = []
    for cell in grid.plan(run.config):
        assert tables.source(run) == "drawn before all cells were made"  # whichever are there
        records.append(cells.finish(run, cell))
    assert cells.missing(run) == []
    assert tables.source(run) == f"cells {tables.digest(run)}"
    none, *trained = records
    assert none["training"] is None
    for cell, record in zip(grid.plan(run.config)[1:], trained, strict=True):
        assert len(record["training"]["steps"]) == 4
        assert record["training"]["batches"]["strategy"] == cell.strategy
        assert record["encoded"].keys() == {"query", "passage"}
        assert cells.training_log(run, cell) == record["training"]
        card = (cells.train(run, cell) / "model" / "README.md").read_text()
        assert f'| batches: strategy | "{cell.strategy}" |' in card
    ranks = cells.ranks(run, grid.plan(run.config)[0])
    assert ranks.columns.tolist() == ["dataset", "question", "query_language", "passage_language", "rank", "pool_rank"]
    assert len(ranks) == 20 * 3 * 3 and set(ranks["dataset"]) == {run.config.eval[0]}
    assert ranks["rank"].between(1, 20).all() and ranks["pool_rank"].between(1, 60).all()

    monkeypatch.setattr(cells, "train", lambda *arguments: pytest.fail("trained again"))
    monkeypatch.setattr(cells, "evaluate", lambda *arguments: pytest.fail("evaluated again"))
    assert [cells.finish(run, cell) for cell in grid.plan(run.config)] == records


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 4
    path.write_bytes(whole)


@pytest.mark.parametrize("suffix", cells.SUFFIXES)
@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_a_damaged_cell_is_noticed_and_made_again_with_the_same_ranks(damage, suffix, run):
    none = grid.plan(run.config)[0]
    cells.finish(run, none)
    table, _ = files(run, none)
    before = table.read_bytes()
    damage(run.folder / "cells" / f"{none.id}{suffix}")
    assert cells.record(run, none) is None
    assert none in cells.missing(run)
    cells.finish(run, none)
    assert cells.record(run, none) is not None
    assert table.read_bytes() == before


def test_a_number_changed_by_hand_is_noticed(run):
    none = grid.plan(run.config)[0]
    cells.finish(run, none)
    _, record = files(run, none)
    value = json.loads(gzip.decompress(record.read_bytes()))
    value["top"][run.config.eval[0]]["counts"][0][0] += 1
    record.write_bytes(gzip.compress(json.dumps(value).encode()))
    assert cells.record(run, none) is None


def test_the_files_of_another_cell_are_not_taken_for_this_ones(run):
    none, other = only_plan(run, "none", "x-y")
    for cell in (none, other):
        cells.finish(run, cell)
    mine, others = files(run, none), files(run, other)
    kept = [path.read_bytes() for path in mine]
    for exchanged in ((0,), (1,), (0, 1)):
        for number in exchanged:
            shutil.copyfile(others[number], mine[number])
        assert cells.record(run, none) is None
        for path, content in zip(mine, kept, strict=True):
            path.write_bytes(content)
        assert cells.record(run, none) is not None


def test_a_cell_made_with_other_settings_or_data_does_not_count(run, inputs):
    none, trained = only_plan(run, "none", "x-x-mono")
    for cell in (none, trained):
        cells.finish(run, cell)
    changed = replace(run, config=replace(run.config, scale=30.0))
    assert changed.name == run.name
    assert cells.record(changed, trained) is None
    assert cells.record(changed, none) is not None  # scale is of training alone
    assert cells.record(replace(run, config=replace(run.config, max_tokens=64)), none) is None
    other = inputs / "other.jsonl"
    other.write_text((inputs / "test.jsonl").read_text().replace("p3en", "p4en", 1))
    assert cells.record(replace(run, config=replace(run.config, eval=(str(other),))), none) is None


@pytest.fixture
def brought(inputs, tmp_path, run):
    """The run, on test rows and an encoder that the test may change."""
    shutil.copy(inputs / "test.jsonl", tmp_path / "mine.jsonl")
    shutil.copytree(inputs / "tiny", tmp_path / "mine")
    return replace(
        run, config=replace(run.config, eval=(str(tmp_path / "mine.jsonl"),), encoder=(str(tmp_path / "mine"),))
    )


def test_a_run_that_stays_open_sees_what_changed_in_rows_and_encoder(brought):
    (none,) = only_plan(brought, "none")
    rows, settings = (
        Path(brought.config.eval[0]),
        Path(brought.config.encoder[0]) / "config_sentence_transformers.json",
    )
    scored = [cells.finish(brought, none)]
    assert cells.record(brought, none) == scored[0]
    rows.write_text(rows.read_text().replace('"t3"', '"u3"', 1))
    assert cells.record(brought, none) is None
    scored.append(cells.finish(brought, none))
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"truncate_dim": 4}))
    assert cells.record(brought, none) is None
    scored.append(cells.finish(brought, none))
    evals, encoders = ([cell["inputs"][key] for cell in scored] for key in ("eval", "encoder"))
    assert evals[0] != evals[1] == evals[2] and encoders[0] == encoders[1] != encoders[2]


def test_a_cell_whose_rows_changed_while_it_was_made_is_not_kept(brought, monkeypatch):
    (none,) = only_plan(brought, "none")
    rows, evaluate = Path(brought.config.eval[0]), cells.evaluate

    def meanwhile(*arguments):
        rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:10]))
        return evaluate(*arguments)

    monkeypatch.setattr(cells, "evaluate", meanwhile)
    with pytest.raises(UserError, match="rows or encoder of .* changed while it was made, so it is not kept"):
        cells.finish(brought, none)
    assert not any(path.exists() for path in files(brought, none))


def test_published_cells_are_adopted_only_where_they_fit_and_are_whole(run):
    none, trained = only_plan(run, "none", "x-x-mono")
    for cell in (none, trained):
        cells.finish(run, cell)
    published = run.folder / "published" / "cells"
    (run.folder / "published").mkdir()
    (run.folder / "cells").rename(published)
    assert cells.published(run, none) and not cells.published(run, only_plan(run, "x-y")[0])

    changed = replace(run, config=replace(run.config, scale=30.0))
    assert cells.adopt_published(changed) == [none]
    assert cells.adopt_published(run) == [trained]
    assert cells.adopt_published(run) == []
    for cell in (none, trained):
        assert cells.record(run, cell) is not None
        for path in files(run, cell):
            assert path.read_bytes() == (published / path.name).read_bytes()

    shutil.rmtree(run.folder / "cells")
    cut(published / f"{none.id}.parquet")
    assert cells.adopt_published(run) == [trained]
    assert cells.published(run, none) is None


@pytest.fixture
def scored_on_two(run, inputs):
    """A run of one test set, the same with a second one, in one folder, and a cell that the latter has finished."""
    other = inputs / "more.jsonl"
    other.write_text((inputs / "test.jsonl").read_text().replace("p3en", "p4en", 1))
    run = replace(run, overrides=tuple(text for text in run.overrides if not text.startswith("eval=")))
    both = replace(run, config=replace(run.config, eval=(*run.config.eval, str(other))))
    none = grid.plan(run.config)[0]
    cells.finish(both, none)
    return run, both, none


def test_a_cell_scored_on_further_sets_serves_a_run_that_lacks_them(scored_on_two):
    """As where one of the sets can be had by nobody else: what was published on the others stays of use."""
    run, both, none = scored_on_two
    assert cells.record(run, none)["inputs"]["eval"].keys() == set(both.config.eval)
    assert list(cells.record(run, none)["top"]) == list(cells.record(run, none)["vectors"]) == list(run.config.eval)
    shared = cells.ranks(both, none).query("dataset == @run.config.eval[0]")
    pd.testing.assert_frame_equal(cells.ranks(run, none), shared)
    shutil.rmtree(run.folder / "cells")
    cells.finish(run, none)
    again = cells.ranks(run, none).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, shared.reset_index(drop=True), check_categorical=False)
    assert cells.record(both, none) is None  # the other way round something is missing


def test_a_cell_scored_on_further_sets_does_not_serve_if_only_those_were_read_off_the_vectors(scored_on_two):
    """Of the sets of one pool, the vectors are read for the first: where that one is not wanted, nothing is there."""
    run, both, none = scored_on_two
    _, record = files(run, none)
    value = artifacts.read_sealed(record)
    del value["vectors"][run.config.eval[0]]
    artifacts.write_sealed(record, value)
    assert cells.record(both, none) is not None
    assert cells.record(run, none) is None


def test_what_a_cell_scored_is_printed_as_its_tables_will_say(run):
    none = grid.plan(run.config)[0]
    cells.finish(run, none)
    [line] = printed.scores(run, none)
    for cell in only_plan(run, "x-x-mono", "x-y", "hybrid-0.5"):
        cells.finish(run, cell)
    tables.write(run)
    table = tables.read(run, "metrics.csv").query("strategy == 'none'").set_index(["metric", "setting"])["value"]
    parts = [f"{table['map', setting]:.3f}"[1:] + f" {setting}" for setting in table["map"].index]
    assert all(part in line for part in parts) and line.count(" .") == len(parts)
    assert line.endswith(f"rank distance {table['rank_distance', 'multilingual']:,.0f}")


def test_own_cells_go_before_published_ones(run):
    none = grid.plan(run.config)[0]
    cells.finish(run, none)
    shutil.copytree(run.folder / "cells", run.folder / "published" / "cells")
    record = files(run, none)[1]
    mine = artifacts.read_sealed(record)
    artifacts.write_sealed(record, mine | {"made": {"device": "another"}})
    assert cells.adopt_published(run) == []
    assert cells.record(run, none)["made"] == {"device": "another"}


def test_what_is_forgotten_is_trained_again_and_gives_the_same_bytes(run):
    (trained,) = only_plan(run, "hybrid-0.5")
    cells.finish(run, trained)
    table, _ = files(run, trained)
    before = table.read_bytes()
    model = cells.train(run, trained)
    cells.forget(run)
    assert not model.exists() and not table.exists()
    cells.finish(run, trained)
    assert table.read_bytes() == before
    assert artifacts.intact(model)


def test_a_cell_of_a_sweep_says_what_it_scored(smoke_folders, capsys):
    part = "{encoder: static, train: [facts], test: facts-heldout, strategies: [x-y]}"
    run = config.load("smoke", ["steps=2", f"sweep=[{part}]"])
    [cell] = grid.parts(run.config)
    cells.finish(run, cell)
    [line] = printed.scores(run, cell)
    assert line.startswith("    facts-heldout: mAP .") and " multilingual; rank distance " in line


# --- tables beside other work ---


def test_tables_are_written_beside_what_is_done_meanwhile_and_are_the_same(run):
    for cell in grid.plan(run.config):
        cells.finish(run, cell)
    judge.judge(run)
    first = {name: (run.folder / name).read_bytes() for name in (*tables.TABLES, *judge.FILES)}
    for name in (*first, tables.PROVENANCE, judge.SEAL):
        (run.folder / name).unlink()
    with judge.beside(run):
        until = time.monotonic() + 120
        while not judge.current(run) and time.monotonic() < until:
            time.sleep(0.2)
        assert judge.current(run)
    assert {name: (run.folder / name).read_bytes() for name in first} == first


def test_nothing_is_started_where_tables_are_there_or_cells_are_to_be_made(run, monkeypatch):
    monkeypatch.setattr(judge.subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    with judge.beside(run):
        pass
    for cell in grid.plan(run.config):
        cells.finish(run, cell)
    judge.judge(run)
    with judge.beside(run):
        pass
