"""The page of threats quotes the published tables; where one changes, a person rewrites the line."""

import json
import re

import pandas as pd
import pytest

from lib.base import paths
from lib.evidence import shift

PUBLISHED = paths.ROOT / "results" / "full" / "published"
TEXT = " ".join((paths.ROOT / "docs" / "threats.md").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def numbers() -> dict:
    return json.loads((PUBLISHED / "answer.json").read_text(encoding="utf-8"))["encoders"]["e5-small-q4"]


def signed(value: float, places: int = 3) -> str:
    return f"{value:+.{places}f}".replace("0.", ".", 1)


def interval(row: dict) -> str:
    return f"{signed(row['value'])} [{signed(row['low'])}, {signed(row['high'])}]"


def line(start: str) -> str:
    """The row of the table that asks something."""
    (found,) = re.findall(rf"\| \*\*{re.escape(start)}.*? \|(?= \||$| ##)", TEXT)
    return found


def far(numbers: dict, test: str, quantity: str = shift.DIFFERENCE) -> dict:
    return numbers["shift"][test]["far"]["multilingual"][quantity]["hybrid-0.5"]


def test_the_confound(numbers):
    leads = [signed(far(numbers, test, shift.FARTHER)["x-x-mono"]["value"]) for test in ("xquad-r", "mlqa-r")]
    assert "{} on XQuAD-R and {} on MLQA-R".format(*leads) in line("Is a test with fewer")


def test_both_tests(numbers):
    text = line("Does the answer depend")
    for baseline in ("x-x-mono", "x-y"):
        for test in ("mlqa-r", "xquad-r"):
            assert interval(far(numbers, test)[baseline]) in text
    assert [far(numbers, test)["x-y"]["verdict"] for test in ("mlqa-r", "xquad-r")] == ["open", "less robust"]


def test_language_offset(numbers):
    text, found = line("Is it more than where"), numbers["centring"]["mlqa-r"]
    left = found["xquad-r"]["parallel-docs"]["own"]["multilingual"][shift.DIFFERENCE]["hybrid-0.5"]["x-x-mono"]
    assert interval(left) in text
    untrained = found["none"]["-"]["own"]["multilingual"]["mAP"]["none"]["-"]["value"]
    hybrid = found["xquad-r"]["-"]["nothing"]["multilingual"]["mAP"]["hybrid-0.5"]["-"]["value"]
    assert f"scores {untrained:.3f} on".replace("0.", ".") in text and f"has {hybrid:.3f}.".replace("0.", ".") in text


def test_the_mixture(numbers):
    text, found = line("Is a mixture more"), numbers["synergy"]["mlqa-r"]["parallel-docs"]["-"]
    for against in ("mean of parents", "better parent"):
        assert interval(found["multilingual"]["hybrid-0.5"]["mAP"][against]) in text
    both = found["monolingual and multilingual"]["hybrid-0.5"]["mAP"]["line between parents"]
    assert interval(both) in text


def test_longer_training():
    rows = json.loads((paths.ROOT / "benchmarks" / "results" / "checkpoint_choice.json").read_text())["rows"]
    rises = []
    for name in ("x-x-mono", "x-y", "hybrid-0.5"):
        short, long = (
            next(r for r in rows if (r["strategy"], r["steps"]) == (name, steps) and "of" not in r)
            for steps in (80, 240)
        )
        rises.append(f"{long['mlqa-r']['multilingual'] - short['mlqa-r']['multilingual']:.3f}".replace("0.", "."))
    assert "rises by {}, {} and {} for x-x-mono, x-y and hybrid".format(*rises) in line("Are 80 steps")


def test_seeds_and_articles(numbers):
    rows = [far(numbers, test)["x-y"] for test in ("mlqa-r", "xquad-r")]
    counts = (rows[0]["seeds"], *(row["clusters"] for row in rows))
    assert "over {} seeds and {} (MLQA-R) or {} (XQuAD-R) articles".format(*counts) in line("Few seeds")


def test_languages_apart():
    table = pd.read_csv(PUBLISHED / "domain_shift.csv").query(
        "encoder == 'e5-small-q4' and test == 'xquad-r' and nearer == 'mlqa-r' and farther == 'parallel-docs' and "
        "setting == 'multilingual' and baseline == 'x-x-mono' and quantity == 'difference of costs'"
    )
    rows = table.set_index("languages").to_dict("index")
    text = line("Is it the languages")
    assert interval(rows["in training"]) in text and interval(rows["not in training"]) in text


def test_machines():
    most = json.loads((paths.ROOT / "benchmarks" / "results" / "machines.json").read_text())[
        "largest difference of mAP in a setting"
    ]
    text = line("Machines differ")
    assert all(f"{value:.4f}".replace("0.", ".", 1) in text for value in most.values())


def test_effective_robustness(numbers):
    found = numbers["robustness"]["e5-small-q4"]["mlqa-r"]["far"]["multilingual"]
    text = line("Is a strategy robust")
    for label in ("hybrid-0.5", "x-y", "x-x-mono"):
        row = found[label]
        assert interval(row | {"value": row["residual"]}) in text


def test_no_copies_in_the_far_shift():
    table = pd.read_csv(PUBLISHED / "overlap.csv")
    rows = table[
        table["train"].isin(["xquad-r", "mlqa-r", "parallel-docs"]) & table["dataset"].isin(["xquad-r", "mlqa-r"])
    ]
    assert len(rows[rows["train"] != rows["dataset"]]) and not rows["found"].sum()


def test_the_second_encoder():
    numbers = json.loads((PUBLISHED / "answer.json").read_text(encoding="utf-8"))["encoders"]["use-m"]
    text, mlqa = line("One encoder"), far(numbers, "mlqa-r")
    assert f"on MLQA-R is {interval(mlqa['x-x-mono'])}, against x-y {interval(mlqa['x-y'])}" in text
    assert f"with {mlqa['x-x-mono']['seeds']} seeds" in text
    mirror = [far(numbers, "xquad-r")[name]["verdict"] for name in ("x-x-mono", "x-y")]
    assert set(mirror) <= {"equivalent", "open"} and "within .01 or undecided" in text
