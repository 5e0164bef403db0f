"""Is it the mixing, is it kept far away, is it language offset: contrasts by hand, and planted answers."""

from dataclasses import replace

import numpy as np
import pytest

from lib.base import config
from lib.evidence import stats
from lib.evidence.effects import Key, Scores
from lib.evidence.questions import centred, robustness, synergy
from lib.runs.plan import CENTRED, Cell

UNITS = (("ar", "all"), ("de", "all"))
POINTS = {"x-y": (0.60, 0.50), "hybrid-0.5": (0.64, 0.49), "x-x-mono": (0.66, 0.44)}  # monolingual, multilingual mAP


def made(levels: dict[str, tuple[float, float]], train: str = "parallel-docs", test: str = "mlqa-r") -> dict:
    """Scores that are the same for all questions, languages and seeds."""
    return {
        Key("static", train, label, test, setting, "map"): Scores(
            np.full((12, 2, 5), value), UNITS, tuple(range(5)), np.arange(12) // 3
        )
        for label, both in levels.items()
        for setting, value in zip(("monolingual", "multilingual"), both, strict=True)
    }


def estimate(value: float) -> stats.Estimate:
    return stats.Estimate(np.full((4, 5), value))


def contrasts(table) -> dict[tuple[str, str, str], float]:
    return table.set_index(["setting", "quantity", "against"])["value"].round(6).to_dict()


def test_synergy_by_hand():
    found = contrasts(synergy.table(made(POINTS)))
    assert found["multilingual", "mAP", synergy.MEAN] == 0.02 and found["multilingual", "mAP", synergy.BEST] == -0.01
    assert found["monolingual", "mAP", synergy.MEAN] == 0.01 and found["monolingual", "mAP", synergy.BEST] == -0.02
    both = "monolingual and multilingual"
    # The line falls from (.60, .50) to (.66, .44): its normal is (1, 1) / sqrt 2, and hybrid lies .03 / sqrt 2 off it.
    assert found[both, "mAP", synergy.LINE] == pytest.approx(0.03 / 2**0.5, abs=1e-6)
    assert found[both, synergy.PLACE, synergy.LINE] == pytest.approx(5 / 12, abs=1e-6)


def test_questions_that_have_no_answer_in_their_own_language_are_no_obstacle_to_the_line():
    whole = made(POINTS)
    without = {key: replace(part, values=part.values.copy()) for key, part in whole.items()}
    for key, part in without.items():
        if key.setting == "monolingual":
            part.values[:3] = np.nan  # of a whole article
    assert contrasts(synergy.table(without)) == contrasts(synergy.table(whole))


def test_one_training_counts_how_seeds_vary_after_another_on_the_same_test():
    draw, found = np.random.default_rng(0), {}
    for train, seeds in (("parallel-docs", 5), ("xquad-r", 1)):
        for key, part in made(POINTS, train).items():
            noisy = part.values[:, :, :seeds] + draw.normal(0, 0.1, (12, 2, seeds))
            found[key] = Scores(noisy, UNITS, tuple(range(seeds)), part.articles)

    def off(train: str) -> stats.Estimate:
        parts = [found[Key("static", train, name, "mlqa-r", "multilingual", "map")] for name in POINTS]
        cross, hybrid, mono = (part.estimate(part.seeds) for part in parts)
        return hybrid - (mono + cross) * 0.5

    chosen = "setting == 'multilingual' and quantity == 'mAP' and against == @synergy.MEAN"
    rows = synergy.table(found).query(chosen).set_index("train")
    wanted = off("xquad-r").interval(spread=off("parallel-docs").spread())
    assert rows.loc["xquad-r", ["low", "high"]].tolist() == pytest.approx([wanted.low, wanted.high])
    several = off("parallel-docs").interval()
    assert rows.loc["parallel-docs", ["low", "high"]].tolist() == pytest.approx([several.low, several.high])


def test_a_point_on_the_line_is_off_it_by_nothing_on_either_side_of_it_by_as_much():
    parents = (estimate(0.66), estimate(0.60)), (estimate(0.44), estimate(0.50))
    for across, up, wanted in ((0.63, 0.47, 0.0), (0.64, 0.48, 0.02 / 2**0.5), (0.62, 0.46, -0.02 / 2**0.5)):
        distance, place = synergy.off_line((estimate(across), *parents[0]), (estimate(up), *parents[1]))
        assert distance.value == pytest.approx(wanted) and place == pytest.approx(0.5)
    assert synergy.off_line((estimate(0.1),) * 3, (estimate(0.2),) * 3) is None


def test_the_interval_off_the_line_is_that_of_a_simulation():
    """Noise in all three points; the distance is worked out anew for each draw of the five seeds' means."""
    draw = np.random.default_rng(0)
    means = {"h": (0.64, 0.49), "a": (0.66, 0.44), "b": (0.60, 0.50)}

    def points() -> dict[str, list[stats.Estimate]]:
        return {k: [stats.Estimate(v + 0.002 * draw.normal(size=(1, 5))) for v in xy] for k, xy in means.items()}

    values, widths = [], []
    for _ in range(400):
        drawn = points()
        distance, _ = synergy.off_line(*(tuple(drawn[k][i] for k in "hab") for i in (0, 1)))
        sure = distance.interval()
        values.append(sure.value)
        widths.append(sure.low <= 0.03 / 2**0.5 <= sure.high)
    assert np.mean(values) == pytest.approx(0.03 / 2**0.5, abs=2e-4)
    assert 0.92 <= np.mean(widths) <= 0.98


def test_of_costs_the_better_parent_is_the_lower_one_and_less_is_better():
    far = {"x-y": (0.60, 0.49), "hybrid-0.5": (0.64, 0.47), "x-x-mono": (0.66, 0.38)}  # costs .01, .02 and .06
    table = synergy.table(made(POINTS, "xquad-r") | made(far))
    rows = table[(table["quantity"] == "cost") & (table["setting"] == "multilingual")].set_index("against")
    assert rows["value"].round(6).to_dict() == {synergy.MEAN: -0.015, synergy.BEST: 0.01}
    assert rows["verdict"].to_dict() == {synergy.MEAN: "better", synergy.BEST: "worse"}
    assert set(rows["train"]) == {"xquad-r"} and set(rows["farther"]) == {"parallel-docs"}


def test_without_a_parent_there_is_no_contrast():
    assert not len(synergy.table({k: v for k, v in made(POINTS).items() if k.label != "x-y"}))


def levels(near: dict[str, float], far: dict[str, float], encoder: str = "static") -> dict:
    found = {}
    for train, by_label in (("xquad-r", near), ("parallel-docs", far)):
        for key, part in made({label: (value, value) for label, value in by_label.items()}, train).items():
            if key.setting == "multilingual":
                spread = np.arange(5) * 0.001
                found[replace(key, encoder=encoder)] = replace(part, values=part.values + spread)
    return found


NEAR = {"x-x": 0.2, "en-en": 0.4, "x-y": 0.5, "hybrid-0.5": 0.6}


def test_what_is_kept_far_away_is_held_against_the_line_of_all_models():
    """All lie on far = .5 near + .1 but one, which keeps more; its residual is positive, and all of them sum to 0."""
    on_line = {label: 0.5 * level + 0.1 for label, level in NEAR.items()}
    table = robustness.table(levels(NEAR, on_line)).set_index("strategy")
    assert table["slope"].iloc[0] == pytest.approx(0.5, abs=0.01) and (table["residual"].abs() < 0.001).all()
    table = robustness.table(levels(NEAR, on_line | {"x-y": 0.40})).set_index("strategy")
    assert table["residual"].idxmax() == "x-y" and table.loc["x-y", "low"] > 0.01
    assert table["residual"].sum() == pytest.approx(0, abs=1e-9) and set(table["cells"]) == {20}


def test_encoders_have_a_line_each_and_one_together():
    one = levels(NEAR, {label: 0.5 * level for label, level in NEAR.items()})
    other = levels(NEAR, {label: 0.9 * level for label, level in NEAR.items()}, "use-m")
    table = robustness.table(one | other)
    slopes = table.groupby("line")["slope"].first()
    assert slopes["static"] == pytest.approx(0.5, abs=0.01) and slopes["use-m"] == pytest.approx(0.9, abs=0.01)
    assert slopes[robustness.ALL] == pytest.approx(0.7, abs=0.01)
    assert (table[table["line"] == robustness.ALL].groupby("encoder")["residual"].sum() > 0).to_dict() == {
        "static": False, "use-m": True,
    }  # fmt: skip


def test_two_points_give_no_line():
    same = {"x-y": 0.5}
    assert not len(robustness.table({k: replace(v, values=v.values * 0 + 0.5) for k, v in levels(same, same).items()}))


def test_shifts_from_home_make_no_line():
    found = levels(NEAR, NEAR)
    home = {replace(key, train="mlqa-r"): part for key, part in found.items() if key.train == "xquad-r"}
    assert {next(iter(home)).dataset} == {"mlqa-r"}
    assert robustness.table(found | home).equals(robustness.table(found))


# --- centring ---


def record(sums: dict[str, list[float]]) -> dict:
    articles = {"multilingual": sums}
    return {"top": {}, "vectors": {}, "centred": {"mlqa-r": {"facts": {"articles": articles, "top": [[1]]}}}}


def test_articles_of_a_record_give_the_estimate_of_its_questions():
    """Two languages, three articles; a question does not exist in the second language."""
    values = np.array([[0.2, 0.4], [0.6, np.nan], [1.0, 0.5], [0.4, 0.9]])
    articles = np.array([0, 0, 1, 2])
    sums = {x: np.bincount(articles, np.nan_to_num(column)).tolist() for x, column in zip("ab", values.T, strict=True)}
    counts = {x: np.bincount(articles, ~np.isnan(c), minlength=3) for x, c in zip("ab", values.T, strict=True)}
    wanted = stats.estimate(values[:, :, None], articles).shares[:, 0]
    np.testing.assert_allclose(centred.contributions(sums, counts), wanted)


def test_what_is_left_once_means_are_subtracted(monkeypatch):
    """hybrid leads by .05 and costs less; with means subtracted all are level, and D is nothing."""
    counts = {"ar": np.array([3, 3]), "de": np.array([3, 3])}
    monkeypatch.setattr(centred, "_counts", lambda *_: counts)
    monkeypatch.setattr(centred, "_shares", lambda run: [])
    monkeypatch.setattr(centred.cells, "of", lambda run: list(records))
    monkeypatch.setattr(centred.cells, "parts_of", lambda run: [])
    monkeypatch.setattr(centred.cells, "record", lambda run, cell: records[cell])
    plain, records = {}, {}
    near, far = {"hybrid": 0.5, "x-x-mono": 0.45}, {"hybrid": 0.49, "x-x-mono": 0.40}
    for train, by_label in (("xquad-r", near), ("parallel-docs", far)):
        for strategy, level in by_label.items():
            alpha = 0.5 if strategy == "hybrid" else None
            for seed in range(5):
                records[Cell("static", train, strategy, alpha, seed)] = record({x: [1.8, 1.8] for x in counts})
            plain |= made({"hybrid-0.5" if alpha else strategy: (level, level)}, train)
    table = centred.table(config.load("full"), plain).query("setting == 'multilingual'")
    found = table.set_index(["means_of", "quantity", "train", "baseline"])["value"].round(6)
    assert found[centred.NOTHING, centred.LEAD, "xquad-r", "x-x-mono"] == 0.05
    assert found[centred.NOTHING, centred.DIFFERENCE, "xquad-r", "x-x-mono"] == -0.04
    assert found["facts", centred.LEAD, "xquad-r", "x-x-mono"] == 0
    assert found["facts", centred.DIFFERENCE, "xquad-r", "x-x-mono"] == 0
    levels_of = table[(table["means_of"] == "facts") & (table["quantity"] == centred.LEVEL)]
    assert set(levels_of["value"].round(6)) == {0.6} and set(levels_of["clusters"]) == {2}


def test_what_a_part_kept_of_subtracted_means_stands_where_the_grid_has_nothing(monkeypatch):
    monkeypatch.setattr(centred, "_counts", lambda *_: {"ar": np.array([3, 3]), "de": np.array([3, 3])})
    grid, part = (Cell("static", "xquad-r", "x-y", None, 0, *more) for more in ((), ("mlqa-r", (CENTRED,))))
    own = {"centred": [{"setting": "multilingual", "metric": "map", "value": 0.7}]}
    records = {grid: {"vectors": {"mlqa-r": own}}, part: record({x: [1.8, 1.8] for x in ("ar", "de")})}
    records[part]["centred"]["mlqa-r"][centred.centring.OWN] = records[part]["centred"]["mlqa-r"]["facts"]
    monkeypatch.setattr(centred.cells, "of", lambda run: [grid])
    monkeypatch.setattr(centred.cells, "parts_of", lambda run: [part])
    monkeypatch.setattr(centred.cells, "record", lambda run, cell: records[cell])
    found = centred.centred(config.load("full"))
    key = Key("static", "xquad-r", "x-y", "mlqa-r", "multilingual", "map")
    assert found[centred.centring.OWN, key][0].tolist() == [0.7]
    assert found["facts", key][0].mean() == pytest.approx(0.6)


def test_means_subtracted_after_one_training_count_how_seeds_vary_with_other_means():
    draw, key = np.random.default_rng(0), Key("static", "xquad-r", "hybrid-0.5", "mlqa-r", "multilingual", "map")
    several, one = stats.Estimate(draw.normal(0.1, 0.02, (1, 5))), stats.Estimate(draw.normal(0.1, 0.02, (12, 1)))
    families = [
        centred.Family(source, key, "", centred.LEAD, {"x-y": made})
        for source, made in ((centred.centring.OWN, several), ("facts", one), (centred.NOTHING, one))
    ]
    alike = stats.pooled_by(pair for family in families[:2] for pair in family.named())
    rows = [row for family in families for row in family.rows(alike)]
    wanted = several.interval(), one.interval(spread=several.spread()), one.interval()
    assert [(row["low"], row["high"]) for row in rows] == [(sure.low, sure.high) for sure in wanted]
    assert [row["seeds"] for row in rows] == [5, 1, 1]
