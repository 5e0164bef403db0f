"""The specification curve: each choice is held against itself, and nothing of it against what was made otherwise."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from lib.base import config
from lib.evidence import effects, shift
from lib.evidence.effects import Key, Scores
from lib.evidence.questions import specification
from lib.evidence.questions.specification import PROFILE, rows_of, with_profile
from lib.figures import robustness, style
from lib.runs import cells
from lib.runs import plan as grid

MAIN = "hybrid-0.5"
LEVELS = {"x-x-mono": 0.40, "x-y": 0.46, MAIN: 0.45}


def scores(level: float, seeds=(0, 1), questions: int = 30) -> Scores:
    """Two languages; the articles differ, the seeds a little."""
    articles = np.arange(questions) // 3
    values = level + 0.001 * (articles % 5)[:, None, None] + 0.0001 * np.array(seeds)[None, None, :]
    return Scores(np.repeat(values, 2, axis=1), (("de", "all"), ("en", "all")), tuple(seeds), articles)


def trained(shift_of=0.0, seeds=(0, 1), **levels: float) -> dict[str, Scores]:
    return {label: scores(level + shift_of, seeds) for label, level in (LEVELS | levels).items()}


def profile(seeds=(0, 1)) -> specification.Trained:
    return {"xquad-r": trained(seeds=seeds), "parallel-docs": trained(-0.05, seeds, **{"x-x-mono": 0.38})}


def values(levels) -> dict[tuple[str, str], float]:
    return {(row["quantity"], row["baseline"]): round(row["value"], 6) for row in rows_of(levels, MAIN)}


def test_differences_and_d_of_the_profile_are_those_worked_out_by_hand():
    found = values(profile())
    assert found == {
        (shift.NEARER, "x-x-mono"): 0.05, (shift.NEARER, "x-y"): -0.01,
        (shift.FARTHER, "x-x-mono"): 0.07, (shift.FARTHER, "x-y"): -0.01,
        (shift.DIFFERENCE, "x-x-mono"): -0.02, (shift.DIFFERENCE, "x-y"): 0.0,
    }  # fmt: skip
    words = {(row["quantity"], row["baseline"]): row["verdict"] for row in rows_of(profile(), MAIN)}
    assert words[shift.DIFFERENCE, "x-x-mono"] == "more robust" and words[shift.NEARER, "x-y"] == "worse"


def test_a_choice_of_which_a_strategy_is_still_to_be_made_is_not_held_against_the_profile():
    swept = {"scale=100": {"xquad-r": {name: part for name, part in trained(0.1).items() if name != "x-y"}}}
    found = values(with_profile(profile(), swept)["scale=100"])
    assert found == {(shift.NEARER, "x-x-mono"): 0.05}


def test_beside_the_parents_stands_no_fine_tuning_which_has_no_shift_cost():
    untrained = Scores(scores(0.42, (0,)).values, scores(0.42).units, (), scores(0.42).articles)
    found = {(r["quantity"], r["strategy"], r["baseline"]): r for r in rows_of(profile(), MAIN, untrained)}
    near, parent = found[shift.NEARER, MAIN, "none"], found[shift.NEARER, "x-x-mono", "none"]
    assert near["value"] == pytest.approx(0.03, abs=1e-4) and near["verdict"] == "better"
    assert parent["value"] == pytest.approx(-0.02, abs=1e-4) and parent["verdict"] == "worse"
    assert (shift.DIFFERENCE, MAIN, "none") not in found and len(found) == 12


def test_a_cut_set_stands_in_the_place_of_the_whole_one_and_the_whole_other_one_is_not_shown_again():
    cut = {"cut: parallel-docs-900-questions": {"parallel-docs-900-questions": trained(-0.05)}}
    found = values(with_profile(profile(), cut)["cut: parallel-docs-900-questions"])
    assert found == {
        (shift.FARTHER, "x-x-mono"): 0.05, (shift.FARTHER, "x-y"): -0.01,
        (shift.DIFFERENCE, "x-x-mono"): 0.0, (shift.DIFFERENCE, "x-y"): 0.0,
    }  # fmt: skip


def test_a_cut_set_that_is_trained_in_another_way_too_is_not_held_against_the_profile():
    both = {"cut: parallel-docs-900-questions, scale=100": {"parallel-docs-900-questions": trained(-0.05)}}
    found = values(with_profile(profile(), both)["cut: parallel-docs-900-questions, scale=100"])
    assert set(found) == {(shift.FARTHER, "x-x-mono"), (shift.FARTHER, "x-y")}


def test_where_pairs_of_languages_are_drawn_by_the_batch_x_x_mono_stays_as_it_is():
    other = {"cross=batch": {"xquad-r": {"x-y": scores(0.5), MAIN: scores(0.47)}}}
    assert values(with_profile(profile(), other)["cross=batch"]) == {
        (shift.NEARER, "x-x-mono"): 0.07, (shift.NEARER, "x-y"): -0.03,
    }  # fmt: skip


def test_the_profile_is_shown_with_all_its_seeds_and_with_those_of_the_choices():
    swept = {"scale=100": {"xquad-r": trained(seeds=(0,))}}
    found = with_profile(profile(seeds=(0, 1, 2)), swept)
    assert list(found) == [PROFILE, f"{PROFILE}, seed 0", "scale=100"]
    assert {row["seeds"] for row in rows_of(found[PROFILE], MAIN)} == {3}
    assert {row["seeds"] for row in rows_of(found[f"{PROFILE}, seed 0"], MAIN)} == {1}
    assert list(with_profile(profile(seeds=(0,)), swept)) == [PROFILE, "scale=100"]


def test_what_a_choice_changes_of_d_is_told_by_the_seeds_that_both_have():
    swept = {"xquad-r": trained(0.1, (0,)), "parallel-docs": trained(0.1, (0,), **{"x-x-mono": 0.37})}
    of = {name: specification.stats.Spread(0.01**2, 4) for name in specification.differences(swept, MAIN)}
    found = {row["baseline"]: row for row in specification.changes_of(swept, profile(seeds=(0, 1, 2)), MAIN, of)}
    assert {name: round(row["value"], 6) for name, row in found.items()} == {"x-x-mono": -0.01, "x-y": 0.0}
    row = found["x-x-mono"]  # hybrid gains .03 on x-x-mono by documentation, with the profile .02
    assert (row["quantity"], row["seeds"], row["verdict"]) == (specification.CHANGE, 1, "open")
    assert row["high"] - row["value"] == pytest.approx(2.776 * 0.01 * 2**0.5, rel=0.01)  # t of 4 degrees of freedom
    same = profile(seeds=(0,))
    assert {round(r["value"], 9) for r in specification.changes_of(same, profile(seeds=(0, 1)), MAIN, of)} == {0}
    english = {train: {"en-en": scores(0.4)} for train in ("xquad-r", "parallel-docs")}
    assert not list(specification.changes_of(english, profile(), MAIN, of))
    assert not list(specification.changes_of(swept, profile(seeds=(5,)), MAIN, of))


def test_choices_of_several_changes_stand_in_squares_and_not_among_the_rows(own_folders, monkeypatch):
    from lib.evidence import tables

    monkeypatch.setattr(tables, "source", lambda run: "cells of a test")
    run = config.load("full", ["encoder=use-m"])
    rows = [
        {"encoder": "use-m", "test": "mlqa-r", "setting": "multilingual", "choice": choice, "strategy": MAIN,
         "baseline": baseline, "quantity": quantity, "value": 0.001 * n, "low": 0.001 * n - 0.02,
         "high": 0.001 * n + 0.02, "clusters": 520, "seeds": 1, "verdict": "open"}
        for n, choice in enumerate([PROFILE, "scale=50", "scale=50, learning_rate=1e-4", "batch_size=64"], start=1)
        for quantity, baseline in robustness.SQUARES
    ]  # fmt: skip
    tables.save(run, "specification.csv", pd.DataFrame(rows))
    figure = robustness.crossed(run)
    panel = next(axes for axes in figure.axes if axes.get_title(loc="left") == "D against x-x-mono")
    assert [label.get_text() for label in panel.get_xticklabels()] == ["20", "50"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["1e-4, 80", "3e-4, 80"]
    assert [text.get_text() for text in panel.texts] == ["+3", "+1", "+2"], "none of another batch size"
    assert any("20 thousandths either way" in " ".join(text.get_text().split()) for text in figure.findobj(Text))
    beside = robustness.choices(run)
    assert len(beside.axes[0].get_yticklabels()) == 3
    for crossed, there in ((True, (False, True)), (False, (True, False))):  # of one kind alone
        some = pd.DataFrame([row for row in rows if (", " in row["choice"]) == crossed])
        tables.save(run, "specification.csv", some)
        tables.save(run, "metrics.csv", pd.DataFrame(columns=["train", "dataset", "strategy"]))
        tables.save(run, "robustness.csv", pd.DataFrame(columns=["encoder"]))
        assert tuple(robustness.drawable(run)[name] for name in ("choices", "crossed")) == there
    assert "were not crossed" in style.title(robustness.crossed(run))


def test_how_seeds_vary_is_taken_from_the_profile_and_the_choices_together():
    """Hybrid's lead varies with the seed in the profile alone; an interval of one seed of a choice counts that."""
    wide = profile(seeds=(0, 1, 2))
    lead = wide["xquad-r"][MAIN]
    wide["xquad-r"][MAIN] = Scores(lead.values + [-0.01, 0, 0.01], lead.units, lead.seeds, lead.articles)
    choice = {"xquad-r": trained(seeds=(0,))}
    alike = specification.spreads([wide, choice], MAIN)
    assert alike[shift.NEARER, MAIN, "x-x-mono"].variance == pytest.approx(0.01**2)
    assert alike[shift.NEARER, MAIN, "x-x-mono"].freedom == 2
    alone, counted = ({r["baseline"]: r for r in rows_of(choice, MAIN, None, of)} for of in (None, alike))
    assert alone["x-x-mono"]["high"] - alone["x-x-mono"]["low"] < 0.001 and alone["x-x-mono"]["verdict"] == "better"
    reach = counted["x-x-mono"]["high"] - counted["x-x-mono"]["value"]
    assert reach == pytest.approx(4.303 * 0.01, rel=0.01)  # Student's t of 2 degrees of freedom
    assert counted["x-y"]["verdict"] == "open" and counted["x-y"]["value"] == alone["x-y"]["value"]


def test_a_run_without_sweeps_on_the_test_has_no_rows(own_folders):
    assert len(specification.table(config.load("smoke"), {})) == 0


@pytest.fixture
def swept(own_folders, monkeypatch):
    """A run with three cells of a sweep, their scores as cells keep them, and its own scores."""
    changes = "[{encoder: use-m, train: [xquad-r], test: mlqa-r, changes: [scale=100]}]"
    run = config.load("full", ["encoder=[use-m]", f"sweep={changes}"])
    questions = specification.data.outline("mlqa-r").questions
    levels = LEVELS | {"x-x-mono": 0.3}

    def kept(run, cell):
        table = pd.MultiIndex.from_product([range(len(questions)), ["de", "en"]], names=["question", "query_language"])
        values = levels[cell.label] + 0.001 * (np.arange(len(table)) % 7)
        return pd.DataFrame({"multilingual": values, "monolingual": values + 0.2}, index=table).reset_index()

    monkeypatch.setattr(cells, "parts_of", lambda run: grid.parts(run.config))
    monkeypatch.setattr(cells, "scores", kept)
    size = len(questions)
    part = {
        label: Scores(
            np.full((size, 2, 2), level), (("de", "all"), ("en", "all")), (0, 1), pd.factorize(questions["group"])[0]
        )
        for label, level in LEVELS.items()
    }
    return run, {Key("use-m", "xquad-r", label, "mlqa-r", "multilingual", "map"): one for label, one in part.items()}


def columns(axes):
    """What stands beside the rows: head of the column, row, and text; in asterisks where it is bold."""
    heads = {text.xyann[0]: text.get_text() for text in axes.texts if text.xy[1] < 0}
    for text in axes.texts:
        if text.xy[1] >= 0:
            bold = "**" if text.get_weight() == "bold" else ""
            yield heads[text.xyann[0]], text.xy[1], f"{bold}{text.get_text()}{bold}"


def test_rows_of_other_choices_stand_in_the_order_of_what_they_give():
    values = {"scale=100": (0.3, 0.1), "steps=240": (0.1, 0.2), "scale=50": (0.2, None), PROFILE: (9, 9)}
    part = pd.DataFrame(
        [
            {"choice": choice, "baseline": "x-x-mono", "quantity": quantity, "value": value}
            for choice, both in values.items()
            for quantity, value in zip((shift.NEARER, shift.DIFFERENCE), both, strict=True)
        ]
    )
    assert robustness._in_order(part.dropna()) == [PROFILE, "scale=100", "steps=240", "scale=50"]
    assert robustness.changes("cut: x, scale=100, steps=240") == {"scale": "100", "steps": "240"}
    assert robustness.other("cut: xquad-r-7-languages, scale=100") == "XQuAD-R: 7 languages"
    assert (
        robustness.other(f"{PROFILE}, seeds 0 1") == "as published, seeds 0 1" and robustness.other("steps=240") == ""
    )


def test_cells_of_a_sweep_come_into_the_table_and_into_the_figure(swept, monkeypatch):
    run, found = swept
    table = specification.table(run, found)
    assert list(table.columns) == specification.COLUMNS
    near = table[table["quantity"] == shift.NEARER].set_index(["setting", "choice", "baseline"])["value"].round(6)
    assert near["multilingual", PROFILE, "x-x-mono"] == 0.05 and near["multilingual", "scale=100", "x-x-mono"] == 0.15
    assert near["monolingual", "scale=100", "x-x-mono"] == 0.15 and ("monolingual", PROFILE, "x-x-mono") not in near
    assert set(table["clusters"]) == {effects.data.outline("mlqa-r").questions["group"].nunique()}
    monkeypatch.setattr(robustness.tables, "read", lambda run, name: table)
    monkeypatch.setattr(robustness.tables, "source", lambda run: "cells of a test")
    figure = robustness.choices(run)
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == ["as published", "as published, seed 0", ""]
    cells_of = {(head, y): text for head, y, text in columns(figure.axes[0])}
    assert [cells_of["scale", y] for y in range(3)] == ["20", "20", "**100**"]
    assert [cells_of["seeds", y] for y in range(3)] == ["2", "1", "1"]
    drawn = {round(float(x), 6) for points in figure.axes[0].collections for x, _ in points.get_offsets()}
    assert {0.05, -0.01, 0.15} <= drawn and style.title(figure) == "Hybrid on MLQA-R under other choices"
