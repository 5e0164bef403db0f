"""Written texts around computed numbers: they are filled, and refuse to say what is no longer true."""

import copy
import json

import pytest

from lib.base import paths
from lib.show import texts

ANSWER = paths.ROOT / "results" / "full" / "published" / "answer.json"


@pytest.fixture
def numbers():
    return json.loads(ANSWER.read_text(encoding="utf-8"))


def far(numbers):
    found = numbers["encoders"]["e5-small-q4"]["shift"]["mlqa-r"]["far"]["multilingual"]
    return found["difference of costs"]["hybrid-0.5"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"value": -0.0244, "low": -0.0301, "high": -0.0172}, "−.024 [−.030, −.017]"),
        ({"value": 0.0041, "low": -0.0039, "high": 0.0121}, "+.004 [−.004, +.012]"),
    ],
)
def test_a_difference_is_written_with_its_interval(row, text):
    assert texts.interval(row) == text


def test_a_changed_number_changes_the_text_where_it_stands(numbers):
    before = texts.answer(numbers)
    changed = copy.deepcopy(numbers)
    far(changed)["x-x-mono"]["value"] = -0.4321
    after = texts.answer(changed)
    assert "−.432" in after and "−.432" not in before
    assert len(before.splitlines()) == len(after.splitlines())


def test_a_word_that_is_no_longer_true_is_not_written(numbers):
    far(numbers)["x-x-mono"]["verdict"] = "equivalent"
    said = "answer.md.j2 says 'more robust' where the tables say 'equivalent'"
    with pytest.raises(texts.UntrueTextError, match=said):
        texts.answer(numbers)


def test_a_comparison_that_is_no_longer_true_is_not_written(numbers):
    mixed = numbers["encoders"]["e5-small-q4"]["synergy"]["mlqa-r"]["parallel-docs"]["-"]["multilingual"]
    mixed["hybrid-0.5"]["mAP"]["better parent"]["high"] = 0.02
    with pytest.raises(texts.UntrueTextError, match="hybrid is between its parents, which is no longer so: rewrite"):
        texts.answer(numbers)
