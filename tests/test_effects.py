"""Paired differences: hand-worked numbers, and what must hold whatever the numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib.base import config
from lib.evidence import effects, stats
from lib.evidence.effects import Key, Scores
from lib.runs import cells
from lib.runs import plan as grid

UNITS = (("ar", "all"), ("de", "all"))
ENCODER = "static"


@pytest.fixture
def run():
    return config.load("smoke")


def made(values: dict[str, dict[str, float]], questions: int = 30, seeds: int = 3, noise: float = 0.0) -> dict:
    """Scores by data set and label, constant but for noise; two questions an article."""
    draw, found = np.random.default_rng(0), {}
    for dataset, by_label in values.items():
        for label, value in by_label.items():
            none = label == "none"
            shape = (questions, 2, 1 if none else seeds)
            key = Key(ENCODER, "none" if none else "facts", label, dataset, "multilingual", "map")
            seen = () if none else tuple(range(seeds))
            found[key] = Scores(value + noise * draw.normal(size=shape), UNITS, seen, np.arange(questions) // 2)
    return found


def test_effects_by_hand(run):
    found = made({"facts": {"none": 0.30, "hybrid-0.5": 0.45, "x-x-mono": 0.40, "x-y": 0.42}})
    table = effects.table(run, found).set_index(["strategy", "baseline"])
    assert table["difference"].round(6).to_dict() == {
        ("hybrid-0.5", "none"): 0.15, ("hybrid-0.5", "x-x-mono"): 0.05, ("hybrid-0.5", "x-y"): 0.03,
        ("x-y", "x-x-mono"): 0.02,
    }  # fmt: skip
    assert (table["p"] < 0.001).all() and (table["p_holm"] >= table["p"]).all()
    assert (table["p_these_seeds"] < 0.001).all()
    assert set(table["seeds"]) == {3} and set(table["questions"]) == {30} and set(table["articles"]) == {15}


@pytest.mark.parametrize(
    ("alphas", "label"), [("[0.25]", "hybrid-0.25"), ("[0.75, 0.25]", "hybrid-0.25"), ("[0.4]", "hybrid-0.4")]
)
def test_the_hybrid_nearest_to_one_half_is_compared(alphas, label):
    run = config.load("smoke", [f"alphas={alphas}"])
    found = made({"facts": {label: 0.45, "hybrid-0.9": 0.1, "x-x-mono": 0.40}})
    (row,) = effects.table(run, found).itertuples()
    assert (row.strategy, row.baseline, round(row.difference, 6)) == (label, "x-x-mono", 0.05)
    assert effects.hybrid(config.load("full")) == "hybrid-0.5"


def test_encoders_are_compared_each_with_itself(run):
    one = made({"facts": {"hybrid-0.5": 0.45, "x-x-mono": 0.40}})
    other = {replace(key, encoder="other"): replace(part, values=part.values * 2) for key, part in one.items()}
    table = effects.table(run, one | other).set_index("encoder")
    assert table["difference"].round(6).to_dict() == {"static": 0.05, "other": 0.10}
    assert table["p_holm"].tolist() == table["p"].tolist()  # each encoder is a family of its own


def test_intervals_are_over_articles_and_seeds(run):
    found = made({"facts": {"hybrid-0.5": 0.45, "x-x-mono": 0.40}}, noise=0.1)
    row = effects.table(run, found).iloc[0]
    parts = {key.label: part for key, part in found.items()}
    wanted = stats.interval(parts["hybrid-0.5"].values - parts["x-x-mono"].values, np.arange(30) // 2)
    assert (row["low"], row["high"], row["p"]) == pytest.approx((wanted.low, wanted.high, wanted.p))


def test_only_seeds_that_both_have_are_compared(run):
    found = made({"facts": {"hybrid-0.5": 0.45, "x-x-mono": 0.40}})
    key = next(k for k in found if k.label == "x-x-mono")
    found[key] = Scores(found[key].values[:, :, 1:], UNITS, (1, 7), found[key].articles)
    assert effects.table(run, found)["seeds"].tolist() == [1]


@pytest.mark.parametrize("seeds", [5, 1])
def test_one_training_counts_how_seeds_vary_after_another_on_the_same_test(run, seeds):
    """Where that has one seed too, the interval is over articles alone."""
    levels = {"facts": {"hybrid-0.5": 0.45, "x-x-mono": 0.40}}
    found = made(levels, noise=0.1, seeds=seeds)
    found |= {replace(key, train="mlqa-r"): part for key, part in made(levels, noise=0.2, seeds=1).items()}
    rows = effects.table(run, found).set_index("train")
    apart = {}
    for train in ("facts", "mlqa-r"):
        one, other = (part for key, part in found.items() if key.train == train)
        apart[train] = one.estimate(one.seeds) - other.estimate(other.seeds)
    wanted = apart["mlqa-r"].interval(spread=apart["facts"].spread())
    assert (rows.loc["mlqa-r", "low"], rows.loc["mlqa-r", "high"]) == pytest.approx((wanted.low, wanted.high))
    assert (apart["facts"].spread() is None) == (seeds == 1)
    several = apart["facts"].interval()
    assert (rows.loc["facts", "low"], rows.loc["facts", "high"]) == pytest.approx((several.low, several.high))


def distances(values: dict[str, float]) -> dict:
    """Rank distances by label, the same for all questions, languages and seeds."""
    keys = {label: Key(ENCODER, "facts", label, "facts", "multilingual", "rank_distance") for label in values}
    return {keys[n]: Scores(np.full((20, 2, 3), v), UNITS, (0, 1, 2), np.arange(20)) for n, v in values.items()}


def test_rank_distance_is_compared_as_a_share(run):
    row = effects.table(run, distances({"hybrid-0.5": 300.0, "x-x-mono": 400.0})).iloc[0]
    assert (row["difference"], row["relative"], row["relative_low"]) == pytest.approx((-100, 0.25, 0.25))


def test_no_distance_to_begin_with_has_no_share(run):
    row = effects.table(run, distances({"hybrid-0.5": 3.0, "x-x-mono": 0.0})).iloc[0]
    assert row["difference"] == 3 and np.isnan(row["relative"])


def test_scores_hold_every_question_and_language_of_the_cells(smoke_folders):
    """A tiny run: the macro mean of its scores is what its table of metrics says."""
    from lib.evidence import tables

    sets = ["facts-heldout", "facts-new"]
    run = config.load("smoke", ["steps=2", "warmup_steps=1", "strategies=[none,hybrid]", f"eval=[{', '.join(sets)}]"])
    for cell in grid.plan(run.config):
        cells.finish(run, cell)
    tables.write(run)
    metrics = tables.read(run, "metrics.csv")
    found = effects.scores(run)
    for key, part in found.items():
        rows = metrics[(metrics["dataset"] == key.dataset) & (metrics["setting"] == key.setting)]
        rows = rows[(rows["metric"] == key.metric) & (rows["train"] == key.train)]
        assert stats.macro_mean(part.values) == pytest.approx(rows["value"].item(), abs=1e-6)
    assert {key.dataset for key in found} == set(sets)
    assert isinstance(effects.table(run, found), pd.DataFrame)
