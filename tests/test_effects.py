"""Paired differences and domain shift: hand-worked numbers, and what must hold whatever the numbers."""

import numpy as np
import pandas as pd
import pytest

from lib.base import config
from lib.evidence import effects, shift, stats
from lib.evidence.effects import Key, Scores
from lib.runs import cells
from lib.runs import plan as grid

UNITS = (("ar", "all"), ("de", "all"))


@pytest.fixture
def run():
    return config.load("smoke")


def made(values: dict[str, dict[str, float]], questions: int = 30, seeds: int = 3, noise: float = 0.0) -> dict:
    """Scores by data set and label, constant but for noise."""
    draw, found = np.random.default_rng(0), {}
    for dataset, by_label in values.items():
        for label, value in by_label.items():
            none = label == "none"
            array = np.full((questions, 2, 1 if none else seeds), value) + noise * draw.normal(
                size=(questions, 2, 1 if none else seeds)
            )
            key = Key("none" if none else "facts", label, dataset, "multilingual", "map")
            found[key] = Scores(array, UNITS, () if none else tuple(range(seeds)))
    return found


INSIDE = {"none": 0.50, "hybrid-0.5": 0.70, "x-x-mono": 0.72}
OUTSIDE = {"none": 0.30, "hybrid-0.5": 0.45, "x-x-mono": 0.40}


def test_shift_by_hand(run):
    """G = .20 and .22, F = .15 and .10, so L = .05 and .12, and D = -.07: hybrid loses less."""
    table = shift.table(run, made({"facts-heldout": INSIDE, "facts-new": OUTSIDE}))
    whole = table[table["languages"] == "all"]
    value = whole.set_index(["strategy", "quantity"])["value"].round(6).to_dict()
    assert value["hybrid-0.5", shift.GAIN_IN] == 0.20 and value["x-x-mono", shift.GAIN_IN] == 0.22
    assert value["hybrid-0.5", shift.GAIN_OUT] == 0.15 and value["x-x-mono", shift.GAIN_OUT] == 0.10
    assert value["hybrid-0.5", shift.LOSS] == 0.05 and value["x-x-mono", shift.LOSS] == 0.12
    assert value["hybrid-0.5", shift.DIFFERENCE] == -0.07  # which is -.02 at home less .05 away
    assert value["hybrid-0.5", shift.AT_HOME] == -0.02 and value["hybrid-0.5", shift.AWAY] == 0.05
    said = shift.sentence(table, "facts-new")
    assert "Yes. near, trained on facts, against x-x-mono: D = -0.070 [-0.070, -0.070] (more robust" in said
    assert "yes no longer if one interval reached 0; that against x-x-mono (near) ends at -0.070, the nearest." in said
    verdict, rows = shift.answer(table, "facts-new")
    assert verdict == "yes" and rows["baseline"].tolist() == ["x-x-mono"] and rows["shift"].tolist() == ["near"]
    assert set(table["languages"]) == {"all", "ar", "de"}


@pytest.mark.parametrize(
    ("outside", "noise", "verdict"),
    [
        ({"hybrid-0.5": 0.45, "x-x-mono": 0.40, "x-y": 0.52}, 0.0, "mixed"),
        ({"hybrid-0.5": 0.45, "x-x-mono": 0.52, "x-y": 0.53}, 0.0, "no"),
        ({"hybrid-0.5": 0.45, "x-x-mono": 0.451, "x-y": 0.449}, 0.0, "mixed"),
        ({"hybrid-0.5": 0.45, "x-x-mono": 0.451, "x-y": 0.4499}, 0.001, "no"),  # all within the margin
        ({"hybrid-0.5": 0.45, "x-x-mono": 0.45, "x-y": 0.45}, 0.5, "inconclusive"),
    ],
)
def test_the_answer_is_yes_no_mixed_or_inconclusive_by_its_rule(run, outside, noise, verdict):
    inside = {"none": 0.5, **dict.fromkeys(outside, 0.7)}
    found = made({"facts-heldout": inside, "facts-new": {"none": 0.3, **outside}}, noise=noise)
    assert shift.answer(shift.table(run, found), "facts-new")[0] == verdict


def judged(**intervals: tuple[float, float]) -> tuple[str, pd.DataFrame]:
    """The answer from the intervals of D by baseline, and its rows."""
    rows = [
        {"quantity": shift.DIFFERENCE, "dataset": "mlqa-r", "setting": "multilingual", "languages": "all",
         "baseline": name.replace("_", "-"), "shift": "near", "value": (low + high) / 2, "low": low, "high": high}
        for name, (low, high) in intervals.items()
    ]  # fmt: skip
    return shift.answer(pd.DataFrame(rows))


def test_what_would_overturn_the_answer_is_what_changes_its_word():
    below, far_below, above, wide = (-0.02, -0.01), (-0.2, -0.1), (0.01, 0.02), (-0.05, 0.03)
    said = shift.turning(*judged(x_y=below, en_en=far_below, x_x=above, x_x_mono=wide))
    assert said == (
        "It would be mixed no longer if every interval that is now below 0 reached 0 (that against x-y (near) ends at "
        "-0.010 and that against en-en (near) ends at -0.100), or if the other 2 came below 0."
    )
    one = judged(x_y=(-0.02, 0.001), en_en=far_below, x_x=above, x_x_mono=wide)
    assert one[
        0
    ] == "mixed" and "if the one interval that is now below 0 reached 0 (that against en-en" in shift.turning(*one)
    none = judged(x_y=(-0.02, 0.001), en_en=(-0.2, 0.1), x_x=above, x_x_mono=wide)
    assert none[0] == "inconclusive"
    assert "mixed if one interval came below 0; that against x-y (near) ends at +0.001, the nearest." in shift.turning(
        *none
    )
    assert shift.turning(*none).endswith(
        "It would be no if those that are inconclusive came inside the margin or above 0."
    )
    two = judged(x_y=below, x_x=above)
    assert two[0] == "mixed" and shift.turning(*two).endswith(", or if the other one came below 0.")
    alone = judged(x_x=above)
    assert alone[0] == "no"
    assert shift.turning(*alone) == (
        "It would be yes if one interval came below 0; that against x-x (near) ends at +0.020, the nearest."
    )
    every = judged(x_y=below, en_en=far_below)
    assert every[0] == "yes" and "that against x-y (near) ends at -0.010, the nearest" in shift.turning(*every)


def test_a_difference_on_the_other_set_has_the_same_interval_in_both_tables(run):
    found = made({"facts-heldout": INSIDE, "facts-new": OUTSIDE}, noise=0.1)
    one = effects.table(run, found).query("dataset == 'facts-new' and baseline == 'x-x-mono' and languages == 'all'")
    two = shift.table(run, found).query("quantity == @shift.AWAY and languages == 'all'")
    assert len(one) == len(two) == 1
    assert one[["low", "high"]].to_numpy().tolist() == two[["low", "high"]].to_numpy().tolist()
    assert one["low"].item() < one["high"].item()


def test_without_runs_there_is_no_answer(run):
    assert shift.answer(shift.table(run, {}), "mlqa-r")[0] == "not run"


def test_no_fine_tuning_cancels_out_of_the_difference(run):
    one = made({"facts-heldout": INSIDE, "facts-new": OUTSIDE}, noise=0.1)
    other = {k: v if k.label != "none" else Scores(v.values + 0.1, v.units, v.seeds) for k, v in one.items()}
    found = [shift.table(run, each).query("quantity == @shift.DIFFERENCE")["value"].tolist() for each in (one, other)]
    assert found[0] == pytest.approx(found[1])


def test_effects_by_hand(run):
    found = made({"facts": {"none": 0.30, "hybrid-0.5": 0.45, "x-x-mono": 0.40, "x-y": 0.42}})
    table = effects.table(run, found).set_index(["strategy", "baseline"])
    assert table["difference"].round(6).to_dict() == {
        ("hybrid-0.5", "none"): 0.15, ("hybrid-0.5", "x-x-mono"): 0.05, ("hybrid-0.5", "x-y"): 0.03,
        ("x-y", "x-x-mono"): 0.02,
    }  # fmt: skip
    assert (table["p"] < 0.001).all() and (table["p_holm"] >= table["p"]).all()
    assert set(table["seeds"]) == {3} and set(table["questions"]) == {30}


def test_only_seeds_that_both_have_are_compared(run):
    found = made({"facts": {"hybrid-0.5": 0.45, "x-x-mono": 0.40}})
    key = next(k for k in found if k.label == "x-x-mono")
    found[key] = Scores(found[key].values[:, :, 1:], UNITS, (1, 7))
    assert effects.table(run, found)["seeds"].tolist() == [1]


def test_rank_distance_is_compared_as_a_share(run):
    found = {}
    for label, value in {"hybrid-0.5": 300.0, "x-x-mono": 400.0}.items():
        key = Key("facts", label, "facts", "multilingual", "rank_distance")
        found[key] = Scores(np.full((20, 2, 3), value), UNITS, (0, 1, 2))
    row = effects.table(run, found).iloc[0]
    assert (row["difference"], row["relative"], row["relative_low"]) == pytest.approx((-100, 0.25, 0.25))


def test_a_joint_interval_of_two_sets_is_wider_than_either_and_covers_the_truth():
    draw = np.random.default_rng(3)
    inside, outside = draw.normal(0.2, 1, (200, 2, 4)), draw.normal(0.1, 1, (300, 2, 4))
    one, two = stats.interval(inside), stats.interval(outside)
    both = (stats.estimate(inside) - stats.estimate(outside, group=1)).interval()
    assert both.value == pytest.approx(one.value - two.value)
    assert both.high - both.low > max(one.high - one.low, two.high - two.low)
    assert both.low < 0.1 < both.high


def test_arrays_in_a_group_share_their_draws():
    values = np.random.default_rng(0).normal(size=(50, 2, 3))
    found = (stats.estimate(values + 1) - stats.estimate(values)).interval()
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_scores_hold_every_question_and_language_of_the_cells(own_folders):
    """A tiny run: the macro mean of its scores is what its table of metrics says."""
    from lib.evidence import tables

    run = config.load("smoke", ["steps=2", "warmup_steps=1", "strategies=[none,hybrid]"])
    for cell in grid.plan(run.config):
        cells.finish(run, cell)
    tables.write(run)
    metrics = tables.read(run, "metrics.csv")
    found = effects.scores(run)
    for key, part in found.items():
        rows = metrics[(metrics["dataset"] == key.dataset) & (metrics["setting"] == key.setting)]
        rows = rows[(rows["metric"] == key.metric) & (rows["train"] == key.train)]
        assert stats.macro_mean(part.values) == pytest.approx(rows["value"].item(), abs=1e-6)
    assert {key.dataset for key in found} == {"facts", "facts-heldout", "facts-new"}
    assert isinstance(effects.table(run, found), pd.DataFrame)
