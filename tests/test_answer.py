"""The numbers of the answer: each is the table's, and a changed table changes it."""

import pandas as pd
import pytest

from lib.base import paths
from lib.evidence import answer
from lib.show import texts

PUBLISHED = paths.ROOT / "results" / "full" / "published"
NAMES = (
    "domain_shift.csv",
    "synergy.csv",
    "robustness.csv",
    "specification.csv",
    "centring.csv.bz2",
    "claims.csv",
    "metrics.csv",
    "bias.csv.bz2",
)


@pytest.fixture(scope="module")
def found() -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(PUBLISHED / name, keep_default_na=False, na_values=[""]) for name in NAMES}


def test_what_is_published_follows_from_the_published_tables(found):
    assert texts.published() == answer.made(found)


def test_changing_one_number_changes_the_answer(found):
    moved = found["domain_shift.csv"].copy()
    asked = moved.query("quantity == 'difference of costs' and baseline == 'x-y' and test == 'mlqa-r' and "
                        "setting == 'multilingual' and languages == 'all' and encoder == 'e5-small-q4'")  # fmt: skip
    moved.loc[asked.index, ["value", "verdict"]] = [-0.5, "more robust"]
    changed = answer.made(found | {"domain_shift.csv": moved})["encoders"]["e5-small-q4"]
    far = changed["shift"]["mlqa-r"]["far"]["multilingual"]["difference of costs"]["hybrid-0.5"]
    assert far["x-y"]["value"] == -0.5 and changed["verdict"] == "yes"


def test_section_7_of_the_design_is_met(found):
    """The values that an independent prototype found in the published cells, to .002."""
    far = answer.made(found)["encoders"]["e5-small-q4"]["shift"]
    found_d = {
        test: {b: row["value"] for b, row in
               far[test]["far"]["multilingual"]["difference of costs"]["hybrid-0.5"].items()}
        for test in ("mlqa-r", "xquad-r")
    }  # fmt: skip
    wanted = {"mlqa-r": (-0.024, 0.004, -0.024), "xquad-r": (-0.026, 0.012, -0.058)}
    for test, values in wanted.items():
        assert [found_d[test][b] for b in ("x-x-mono", "x-y", "en-en")] == pytest.approx(values, abs=0.002)
    costs = far["mlqa-r"]["far"]["multilingual"]["cost"]
    labels = ("x-x-mono", "hybrid-0.75", "hybrid-0.5", "hybrid-0.25", "x-y", "en-en")
    assert [costs[label]["-"]["value"] for label in labels] == pytest.approx(
        (0.032, 0.017, 0.008, 0.007, 0.004, 0.032), abs=0.002
    )


def test_numbers_are_nested_by_name_and_what_is_missing_is_none():
    table = pd.DataFrame({"a": ["x", "y"], "b": [None, "z"], "value": [0.12345678, None], "seeds": [5, 3]})
    assert answer.nested(table, ["a", "b"]) == {
        "x": {"-": {"value": 0.123457, "seeds": 5}}, "y": {"z": {"value": None, "seeds": 3}},
    }  # fmt: skip
