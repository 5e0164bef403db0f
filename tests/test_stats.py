"""Intervals and tests: cases with known answers, and by simulation their coverage and size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.evidence import stats


def simulated(draw, questions=60, languages=3, seeds=5, effect=0.0, seed_spread=0.1, spread=1.0):
    """Differences with an effect of each question and of each seed; a third of them missing."""
    values = effect + draw.normal(0, spread, (questions, 1, 1)) + draw.normal(0, seed_spread, (1, 1, seeds))
    values = values + draw.normal(0, 0.3, (questions, languages, seeds))
    gone = draw.random((questions, languages)) < 0.3
    gone[:, 0] = False
    values[gone] = np.nan
    return values


def test_macro_mean_gives_each_language_the_same_weight():
    values = np.array([[[1.0], [4.0]], [[2.0], [np.nan]], [[3.0], [np.nan]]])
    assert stats.macro_mean(values) == pytest.approx((2 + 4) / 2)


def test_no_variation_gives_an_interval_of_no_width():
    found = stats.interval(np.full((20, 2, 3), 0.25), draws=200)
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_interval_of_one_language_and_seed_is_the_usual_one():
    values = np.random.default_rng(1).normal(0.5, 1, (400, 1, 1))
    found = stats.interval(values, draws=4_000)
    error = values.std(ddof=1) / 20
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.01)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.01)


def test_a_draw_is_the_macro_mean_of_the_questions_drawn_each_as_often_as_it_was():
    values = simulated(np.random.default_rng(2), questions=12, languages=4, seeds=3)
    (counts,) = stats._drawn(12, 1, draws=50, seed=3)
    assert counts.shape == (50, 12) and (counts.sum(axis=1) == 12).all()
    found = stats._Totals(values).means(counts.astype(float))
    for times, mean in zip(counts, found, strict=True):
        drawn = np.repeat(values, times, axis=0)
        exists = ~np.isnan(drawn).all(axis=(0, 2))  # a language of which no question was drawn counts as zero
        np.testing.assert_allclose(np.nanmean(drawn[:, exists], axis=0).sum(axis=0) / 4, mean)


def test_estimates_of_one_group_are_drawn_together_those_of_two_independently_seeds_always_together():
    questions = np.random.default_rng(6).normal(0, 1, (200, 1, 1))
    same, apart = stats.estimate(questions).samples, stats.estimate(questions, group=1).samples
    np.testing.assert_allclose(same, stats.estimate(questions + 1).samples - 1, atol=1e-12)
    assert abs(np.corrcoef(same, apart)[0, 1]) < 0.05
    models = np.broadcast_to(np.arange(4.0), (200, 1, 4))
    np.testing.assert_array_equal(stats.estimate(models).samples, stats.estimate(models, group=1).samples)


def test_a_share_of_two_estimates_is_that_of_each_sample():
    values = np.random.default_rng(7).normal(2, 0.1, (40, 2, 3))
    one, two = stats.estimate(values, draws=600), stats.estimate(values * 4, draws=600)
    found = (two / one).interval()
    assert (found.value, found.low, found.high) == pytest.approx((4, 4, 4))


def test_the_signs_that_are_kept_are_those_of_the_seed():
    values = np.random.default_rng(4).normal(0.1, 1, (50, 1, 1))
    signs = np.random.default_rng(5).choice([-1.0, 1.0], size=(1_000, 50))
    beyond = np.count_nonzero(np.abs(signs @ values[:, 0, 0]) >= abs(values.sum()))
    assert stats.sign_flip(values, draws=1_000, seed=5) == (beyond + 1) / 1_001
    assert stats.sign_flip(values, draws=1_000, seed=5) == (beyond + 1) / 1_001
    assert stats.sign_flip(values, draws=1_000, seed=6) != (beyond + 1) / 1_001


@pytest.mark.parametrize(("seeds", "wanted"), [(1, 0.46), (2, 0.79), (3, 0.86), (5, 0.91), (20, 0.93)])
def test_coverage_by_the_number_of_seeds_is_what_the_module_says(seeds, wanted):
    """Seeds vary three times as much as the mean over questions does, as in the runs of `full`."""
    draw = np.random.default_rng(seeds)
    found = [stats.interval(simulated(draw, seeds=seeds, seed_spread=0.4), draws=300) for _ in range(600)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) == pytest.approx(wanted, abs=0.035)


def test_sign_flip_rejects_about_five_percent_without_a_difference():
    draw = np.random.default_rng(0)
    rejected = sum(stats.sign_flip(simulated(draw, seed_spread=0.0), draws=400) <= 0.05 for _ in range(300))
    assert 0.02 <= rejected / 300 <= 0.09


def test_sign_flip_finds_a_clear_difference_and_never_says_zero():
    values = np.full((30, 1, 1), 0.1)
    assert stats.sign_flip(values, draws=999) == pytest.approx(1 / 1000)


def test_sign_flip_agrees_with_all_sign_patterns_of_a_small_case():
    values = np.array([0.5, 0.3, -0.1, 0.4, 0.2]).reshape(5, 1, 1)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1)
    exact = np.mean(np.abs(values.ravel() @ signs) >= values.sum() - 1e-12)
    assert stats.sign_flip(values, draws=20_000) == pytest.approx(exact, abs=0.01)


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_and_keeps_their_order(p):
    adjusted = stats.holm(p)
    assert all(a >= b for a, b in zip(adjusted, p, strict=True)) and max(adjusted) <= 1
    assert [a for _, a in sorted(zip(p, adjusted, strict=True))] == sorted(adjusted)


def test_equivalence_needs_the_whole_interval_inside_the_margin():
    assert stats.Interval(0.0, -0.009, 0.009).inside(0.01)
    assert not stats.Interval(0.0, -0.004, 0.011).inside(0.01)
