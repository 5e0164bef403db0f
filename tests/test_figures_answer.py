"""The figures of the answer: what is drawn is what the tables hold, on scales that can be compared."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib.base import config
from lib.evidence import shift, tables
from lib.evidence.paper import ledger
from lib.evidence.questions import centred, robustness, specification
from lib.figures import answer as figures_answer
from lib.figures import gallery, style
from lib.figures import robustness as figures_robustness

ENCODER = "e5-small-q4"
LABELS = ("x-y", "hybrid-0.5", "x-x-mono", "en-en", "x-x")


@pytest.fixture
def run(own_folders, monkeypatch):
    monkeypatch.setattr(tables, "source", lambda run: "cells of a test")
    return config.load("full")


def shifted(test: str, nearer: str, values: list[float]) -> list[dict]:
    same = {"encoder": ENCODER, "test": test, "nearer": nearer, "farther": "parallel-docs", "setting": "multilingual"}
    same |= {"languages": "all", "clusters": 48, "seeds": 5}
    numbers = [{"value": v, "low": v - 0.01, "high": v + 0.01} for v in values]
    rows = [
        same | {"strategy": label, "baseline": None, "quantity": shift.COST, "verdict": None} | number
        for label, number in zip(LABELS, numbers, strict=True)
    ]
    return rows + [
        same | {"strategy": "hybrid-0.5", "baseline": b, "quantity": shift.DIFFERENCE, "verdict": "open"} | numbers[n]
        for n, b in enumerate(shift.BASELINES)
    ]


def texts(figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def drawable(figures, run: config.Run) -> list[str]:
    return [name for name, is_there in figures.drawable(run).items() if is_there]


def test_costs_and_d_stand_on_one_scale_with_their_numbers_and_words(run):
    rows = shifted("mlqa-r", "xquad-r", [0.004, 0.008, 0.032, 0.032, -0.024])
    rows += shifted("xquad-r", "mlqa-r", [0.004, 0.016, 0.042, 0.074, 0.054])
    tables.save(run, "domain_shift.csv", pd.DataFrame(rows, columns=shift.COLUMNS))
    figure = figures_answer.fixed_test(run)
    assert len(figure.axes) == 4 and len({axes.get_xlim() for axes in figure.axes}) == 1
    said = texts(figure)
    assert all(number in said for number in ("+.004", "+.008", "−.024", "+.074")) and said.count("open") == 6
    assert said.count("(not judged)") == 2  # x-x
    assert "MLQA-R after XQuAD-R or parallel-docs (far)" in figure.axes[0].get_title(loc="left")


def test_shifts_from_home_have_a_figure_of_their_own(run):
    far = shifted("mlqa-r", "xquad-r", [0.004, 0.008, 0.032, 0.032, -0.024])
    home = shifted("mlqa-r", "mlqa-r", [0.01, 0.02, 0.03, 0.03, 0.0])
    near = [row | {"farther": "xquad-r"} for row in home]
    tables.save(run, "domain_shift.csv", pd.DataFrame([*home, *near, *far], columns=shift.COLUMNS))

    def titles(figure) -> list[str]:
        return [found for axes in figure.axes if (found := axes.get_title(loc="left"))]

    assert titles(figures_answer.fixed_test(run)) == ["MLQA-R after XQuAD-R or parallel-docs (far), e5-small-q4"]
    assert titles(figures_answer.from_home(run)) == [
        "MLQA-R after MLQA-R or XQuAD-R (near), e5-small-q4",
        "MLQA-R after MLQA-R or parallel-docs (home to far), e5-small-q4",
    ]
    tables.save(run, "domain_shift.csv", pd.DataFrame(home, columns=shift.COLUMNS))
    assert len(titles(figures_answer.fixed_test(run))) == 1, "without a far shift what there is"
    tables.save(run, "domain_shift.csv", pd.DataFrame(far, columns=shift.COLUMNS))
    assert "nearer to a test" in style.title(figures_answer.from_home(run))


def test_without_a_shift_the_figure_says_so(run):
    tables.save(run, "domain_shift.csv", pd.DataFrame(columns=shift.COLUMNS))
    assert "nearer to a test" in style.title(figures_answer.fixed_test(run))


def test_our_encoders_stand_above_the_paper_s_each_after_the_other_test(run):
    strategies = {"x-x-mono": 1.0, "x-y": 0.0, "hybrid": 0.5}
    ours = [
        (encoder, train, strategy, alpha, seed, "mlqa-r", "mlqa-r", "monolingual", "map", level + seed / 10, 9)
        for encoder, level in (("e5-small-q4", 0.6), ("static", 0.3))
        for train in ("xquad-r", "parallel-docs")
        for strategy, alpha in strategies.items()
        for seed in ((0, 1) if train == "xquad-r" else (0,))
    ]
    tables.save(run, "metrics.csv", pd.DataFrame(ours, columns=[*tables.KEYS, *tables.VALUES]))
    same = {"paper_encoder": "xlm-r", "dataset": "mlqa-r", "setting": "monolingual", "metric": "map"}
    same |= {"language": "mean", "paper": 0.5, "encoder": "e5-small-q4", "ours": 0.1}
    rows = [dict.fromkeys(ledger.COLUMNS) | same | {"strategy": strategy} for strategy in strategies]
    tables.save(run, "ledger.csv.bz2", pd.DataFrame(rows))
    axes = figures_answer.encoders(run).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["e5-small-q4", "static", "xlm-r, paper"]
    places = {tuple(np.round(points.get_offsets()[0], 6)) for points in axes.collections}
    assert places == {(0.65, 0), (0.35, 1), (0.5, 2)}


def changes() -> pd.DataFrame:
    rows = []
    for test, other in (("mlqa-r", "xquad-r"), ("xquad-r", "mlqa-r")):
        for train in (other, "parallel-docs"):
            for place, label in enumerate(LABELS):
                for setting, value in (("monolingual", -0.02 + 0.01 * place), ("multilingual", 0.2 - 0.05 * place)):
                    rows.append((ENCODER, test, train, "", centred.NOTHING, setting, label, "none", centred.CHANGE,
                                 value, value - 0.005, value + 0.005, 48, 5, "better"))  # fmt: skip
        for setting in ("monolingual", "multilingual"):
            rows.append((ENCODER, test, "none", "", "own", setting, "none", "none", centred.CHANGE,
                         0.15, np.nan, np.nan, 1, 0, ""))  # fmt: skip
    return pd.DataFrame(rows, columns=centred.COLUMNS)


def test_both_panels_of_the_plane_share_their_axes_and_hold_every_point(run):
    tables.save(run, "centring.csv.bz2", changes())
    figure = figures_answer.plane(run)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["MLQA-R, e5-small-q4", "XQuAD-R, e5-small-q4"]
    assert panels[0].get_xlim() == panels[1].get_xlim() and panels[0].get_ylim() == panels[1].get_ylim()
    for axes in panels:
        # Two curves, and with a cross each: five strategies after either training, and the means subtracted.
        assert len(axes.containers) == 2 * len(LABELS) + 1
        drawn = {(round(x, 3), round(y, 3)) for line in axes.lines for x, y in line.get_xydata()}
        assert {(-0.02, 0.2), (0.0, 0.1), (0.02, 0.0), (0.15, 0.15), (0.0, 0.0)} <= drawn


def test_the_plane_leads_with_the_first_encoder_and_planes_have_all(run):
    several = replace(run, config=replace(run.config, encoder=("use-m", ENCODER)))
    tables.save(run, "centring.csv.bz2", pd.concat([changes().assign(encoder=name) for name in several.config.encoder]))

    def panels(name):
        return [axes.get_title(loc="left") for axes in gallery.draw(several, name).axes if axes.get_title(loc="left")]

    assert panels("plane") == ["MLQA-R, use-m", "XQuAD-R, use-m"]
    assert panels("planes") == [*panels("plane"), "MLQA-R, e5-small-q4", "XQuAD-R, e5-small-q4"]
    tables.save(run, "domain_shift.csv", pd.DataFrame(columns=shift.COLUMNS))
    tables.save(run, "ledger.csv.bz2", pd.DataFrame(columns=["ours"]))
    assert drawable(figures_answer, several) == ["plane", "planes"]
    tables.save(run, "centring.csv.bz2", changes())
    assert "planes" not in drawable(figures_answer, run)


def test_the_confound_shows_the_slope_of_equal_models_on_two_tests(run):
    rows = [
        (ENCODER, "parallel-docs", label, None, seed, test, test, "multilingual", "map", 0.4 + scale * value, 9)
        for test, scale in (("xquad-r", 1.0), ("mlqa-r", 0.5))
        for label, value in {"x-x-mono": 0.0, "x-y": 0.06, "en-en": -0.1, "x-x": -0.3}.items()
        for seed in range(3)
    ]
    tables.save(run, "metrics.csv", pd.DataFrame(rows, columns=[*tables.KEYS, *tables.VALUES]))
    figure = figures_robustness.confound(run)
    assert [axes.get_title(loc="left").split("slope ")[1] for axes in figure.axes] == ["0.50", "0.50"]
    tables.save(run, "robustness.csv", pd.DataFrame(columns=robustness.COLUMNS))
    tables.save(run, "specification.csv", pd.DataFrame(columns=specification.COLUMNS))
    assert drawable(figures_robustness, run) == ["confound"]
    home = pd.DataFrame(rows, columns=[*tables.KEYS, *tables.VALUES]).assign(train="mlqa-r")
    tables.save(run, "metrics.csv", home)
    assert "foreign to both" in style.title(figures_robustness.confound(run))


def test_the_line_of_all_models_and_what_lies_above_it(run):
    rows = [
        (ENCODER, ENCODER, "mlqa-r", "xquad-r", "parallel-docs", "multilingual", label, 0.1 * n + 0.2, 0.1 * n + 0.1,
         0.02 * n - 0.03, 0.02 * n - 0.04, 0.02 * n - 0.02, 5, 0.9, 0.05, 25)
        for n, label in enumerate(LABELS)
    ]  # fmt: skip
    tables.save(run, "robustness.csv", pd.DataFrame(rows, columns=robustness.COLUMNS))
    figure = figures_robustness.effective(run)
    assert "slope 0.90" in figure.axes[0].get_title(loc="left")
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == [
        "x-y, α = 0", "hybrid, α = 0.5", "x-x-mono, α = 1", "en-en", "x-x",
    ]  # fmt: skip


def test_the_answer_comes_first_in_the_gallery():
    assert list(gallery.ALL)[:2] == ["plane", "shift"] and {"confound", "robustness"} <= set(gallery.ALL)
