"""The page of threats quotes the published tables; where one changes, a person rewrites the line."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable

import pandas as pd
import pytest

from lib.base import paths
from lib.base import store as artifacts
from lib.data import catalog as data
from lib.evidence import shift
from lib.evidence.paper import ledger
from lib.evidence.questions import specification
from lib.show import texts

PUBLISHED = paths.ROOT / "results" / "full" / "published"
LATER = "_centred=true_on_mlqa-r"
BOTH = (("mlqa-r", "xquad-r"), ("xquad-r", "mlqa-r"))  # a test, and the nearer training set of its far shift
FOREIGN = ("mlqa-r", "parallel-docs")  # what models that are tested on XQuAD-R are trained on
SCALES = ("scale=50", "scale=100")
SAME, CHANGE = "profile, seeds 0 1", specification.CHANGE
TEXT = " ".join((paths.ROOT / "docs" / "threats.md").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def numbers() -> dict:
    return of("e5-small-q4")


def of(encoder: str) -> dict:
    return texts.published()["encoders"][encoder]


def signed(value: float, places: int = 3) -> str:
    return f"{value:+.{places}f}".replace("0.", ".", 1)


def plain(value: float, places: int = 3) -> str:
    return f"{value:.{places}f}".replace("0.", ".", 1)


def interval(row: dict) -> str:
    return f"{signed(row['value'])} [{signed(row['low'])}, {signed(row['high'])}]"


def line(start: str) -> str:
    """The row of the table that asks something."""
    (found,) = re.findall(rf"\| \*\*{re.escape(start)}.*? \|(?= \||$| ##)", TEXT)
    return found


def far(numbers: dict, test: str, quantity: str = shift.DIFFERENCE) -> dict:
    return numbers["shift"][test]["far"]["multilingual"][quantity]["hybrid-0.5"]


def by_language(encoder: str, test: str, nearer: str) -> pd.DataFrame:
    """D of hybrid against x-x-mono in the far shift, indexed by the languages that it is over."""
    rows = pd.read_csv(PUBLISHED / "domain_shift.csv").query(
        f"encoder == '{encoder}' and test == '{test}' and nearer == '{nearer}' and farther == 'parallel-docs' and "
        "setting == 'multilingual' and baseline == 'x-x-mono' and quantity == 'difference of costs'"
    )
    return rows.set_index("languages")


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
    text = line("Does it need training")
    untrained = found["none"]["-"]["own"]["multilingual"]["mAP"]["none"]["-"]["value"]
    hybrid = found["xquad-r"]["-"]["nothing"]["multilingual"]["mAP"]["hybrid-0.5"]["-"]["value"]
    for said in (f"scores {untrained:.3f} on", f"has {hybrid:.3f} and"):
        assert said.replace("0.", ".") in text


def test_how_far_the_farther_set_is(numbers):
    text = line("Is the farther set farther at all?")
    for test in ("mlqa-r", "xquad-r"):
        costs = numbers["shift"][test]["far"]["monolingual"]["cost"]
        assert interval(costs["hybrid-0.5"]["-"]) in text and interval(costs["x-x-mono"]["-"]) in text
    assert numbers["shift"]["xquad-r"]["far"]["monolingual"]["cost"]["hybrid-0.5"]["-"]["high"] < 0
    assert interval(of("use-m")["shift"]["mlqa-r"]["far"]["monolingual"]["cost"]["hybrid-0.5"]["-"]) in text


FROM_HOME = [
    ("use-m", "mlqa-r"), ("use-m", "xquad-r"), ("e5-small-q4", "mlqa-r"), ("e5-small-q4", "xquad-r"),
    ("static", "mlqa-r"), ("static", "xquad-r"),
]  # fmt: skip


@pytest.mark.parametrize(("encoder", "test"), FROM_HOME)
def test_shifts_from_home(encoder, test):
    text, shifts = line("One split into training"), of(encoder)["shift"][test]
    for kind in ("near", "home to far"):
        found = shifts[kind]["multilingual"][shift.DIFFERENCE]["hybrid-0.5"]
        assert "{} and {}".format(*(interval(found[name]) for name in ("x-x-mono", "x-y"))) in text
        seeds = 3 if (encoder, test) == ("use-m", "mlqa-r") else 1
        assert found["x-x-mono"]["seeds"] == found["x-y"]["seeds"] == seeds


def test_which_shifts_from_home_are_sure():
    found = {
        (encoder, test, kind, baseline): row
        for encoder, test in FROM_HOME
        for kind in ("near", "home to far")
        for baseline, row in of(encoder)["shift"][test][kind]["multilingual"][shift.DIFFERENCE]["hybrid-0.5"].items()
        if baseline in ("x-x-mono", "x-y")
    }
    sure = {place: row["verdict"] for place, row in found.items() if "robust" in row["verdict"]}
    assert sure.pop(("use-m", "xquad-r", "home to far", "x-y")) == "less robust"
    words = {"x-x-mono": "less robust", "x-y": "more robust"}
    assert sure == {
        ("static", "xquad-r", kind, name): words[name] for kind in ("near", "home to far") for name in words
    }
    assert {signed(found[place]["value"]) for place in sure if place[3] == "x-y"} == {"-.002"}
    text = line("One split into training")
    said = f"of these {len(found)} five are sure, none of e5: use-m's hybrid is less robust than x-y from XQuAD-R to"
    assert said in text
    assert "static's hybrid from XQuAD-R to either, less than x-x-mono and, by .002, more than x-y." in text


@pytest.mark.parametrize(("test", "train"), BOTH)
def test_what_centring_leaves(numbers, test, train):
    text, found = line("Is it more than where"), numbers["centring"][test][train]
    left = found["parallel-docs"]["own"]["multilingual"][shift.DIFFERENCE]["hybrid-0.5"]
    assert interval(left["x-x-mono"]) in text and interval(left["en-en"]) in text
    assert interval(found["-"]["own"]["multilingual"]["difference"]["hybrid-0.5"]["none"]) in text


def test_the_size_of_what_fine_tuning_does(numbers):
    text, shares = line("Is .01 the same to all"), []
    for encoder in ("e5-small-q4", "use-m"):
        levels = of(encoder)["levels"]["mlqa-r"]
        mine, before = levels["xquad-r"]["hybrid-0.5"], levels["none"]["none"]
        gain = mine["multilingual"]["value"] - before["multilingual"]["value"]
        assert signed(gain)[1:] in text
        shares.append(abs(far(of(encoder), "mlqa-r")["x-x-mono"]["value"]) / gain)
    assert shares == pytest.approx([0.155, 0.155], abs=0.005) and "is about .15 of that with either" in text
    ahead = [far(of("use-m"), "mlqa-r", name)["x-y"]["value"] for name in (shift.NEARER, shift.FARTHER)]
    assert "({} and {})".format(*map(signed, ahead)) in text


def english(steps: Iterable[str]) -> str:
    """The share of English questions in steps that hold pairs of languages as ``en>de:3 ar>ar:29``."""
    asked: Counter[str] = Counter()
    for pair, number in (part.split(":") for step in steps for part in step.split()):
        asked[pair.split(">")[0]] += int(number)
    return f"{asked['en'] / asked.total():.0%}"


def test_which_languages_are_asked_in():
    text, shares = line("Batches differ in more"), []
    for label in ("x-y", "x-x-mono"):
        paths_of = (PUBLISHED / "cells").glob(f"use-m_mlqa-r_{label}_seed?.json.gz")
        steps = [step for path in paths_of for step in artifacts.read_sealed(path)["training"]["steps"]]
        shares.append(english(step["languages"] for step in steps))
    assert "{} of x-y's questions are English, of x-x-mono's {}".format(*shares) in text


def test_the_mixture(numbers):
    text, found = line("Is a mixture more"), numbers["synergy"]["mlqa-r"]["parallel-docs"]["-"]
    for against in ("mean of parents", "better parent"):
        assert interval(found["multilingual"]["hybrid-0.5"]["mAP"][against]) in text
    both = found["monolingual and multilingual"]["hybrid-0.5"]["mAP"]["line between parents"]
    assert interval(both) in text
    every = of("use-m")["synergy"]
    other = {
        (test, train): trained["-"]["multilingual"]["hybrid-0.5"]["mAP"]["better parent"]
        for test in ("mlqa-r", "xquad-r")
        for train, trained in every[test].items()
        if "-" in trained
    }
    assert len(other) == 4 and "Of use-m's four" in text
    assert [key for key, row in other.items() if row["low"] > 0] == [("xquad-r", "mlqa-r")]
    assert [key for key, row in other.items() if row["high"] < 0] == [("mlqa-r", "xquad-r")]
    assert interval(other["xquad-r", "mlqa-r"]) in text
    assert f"one surely negative, {interval(other['mlqa-r', 'xquad-r'])}, the other way round" in text


def test_longer_training():
    rows = json.loads((paths.ROOT / "benchmarks" / "results" / "checkpoint_choice.json").read_text())["rows"]
    rises = []
    for name in ("x-x-mono", "x-y", "hybrid-0.5"):
        short, long = (
            next(r for r in rows if (r["strategy"], r["steps"]) == (name, steps) and "of" not in r)
            for steps in (80, 240)
        )
        rises.append(f"{long['mlqa-r']['multilingual'] - short['mlqa-r']['multilingual']:.3f}".replace("0.", "."))
    text, e5 = line("Are 80 steps"), {"encoder": "e5-small-q4"}
    assert "rises by {}, {} and {} for x-x-mono, x-y and hybrid".format(*rises) in text
    both = ("steps=240", "profile, seed 0")
    lead = [interval(tried(choice, "x-x-mono", shift.FARTHER, **e5)) for choice in both]
    assert "leads x-x-mono by {}, by {} with that seed at 80 steps".format(*lead) in text
    d = [tried(choice, "x-x-mono", **e5) for choice in both]
    assert "D is {} and {}: with one seed".format(*map(interval, d)) in text
    assert all(row["low"] < 0 < row["high"] and row["value"] < -0.01 for row in d)


def test_larger_batches():
    text = line("Batches differ in more")
    assert all(interval(tried("batch_size=64", baseline)) in text for baseline in ("x-x-mono", "x-y"))


def test_longer_training_on_both_sets():
    text = line("Are 80 steps")
    for baseline in ("x-x-mono", "x-y"):
        assert interval(tried("steps=240", baseline)) in text
        assert signed(tried(SAME, baseline)["value"]) in text and tried("steps=240", baseline)["seeds"] == 2


def test_seeds_and_articles(numbers):
    rows = [far(numbers, test)["x-y"] for test in ("mlqa-r", "xquad-r")]
    counts = (rows[0]["seeds"], *(row["clusters"] for row in rows))
    assert "over {} seeds and {} (MLQA-R) or {} (XQuAD-R) articles".format(*counts) in line("Few seeds")


def test_languages_apart():
    rows = by_language("e5-small-q4", "xquad-r", "mlqa-r").to_dict("index")
    text = line("Is it the languages")
    assert interval(rows["in training"]) in text and interval(rows["not in training"]) in text


def tried(choice: str, baseline: str, quantity: str = shift.DIFFERENCE, **other: str) -> dict:
    """What use-m's hybrid, or ``other``, gave under another choice of settings."""
    asked = {"encoder": "use-m", "setting": "multilingual", "strategy": "hybrid-0.5"} | other
    found = of(asked["encoder"])["specification"][asked["setting"]]
    return found[choice][quantity][asked["strategy"]][baseline]


@pytest.mark.parametrize(
    "choice", ["scale=50", "scale=100", "learning_rate=9e-4", "learning_rate=1e-4", "profile, seeds 0 1"]
)
def test_other_scales_and_learning_rates(choice):
    text = line("One learning rate" if "rate" in choice else "Do other scales change")
    assert interval(tried(choice, "x-x-mono")) in text and interval(tried(choice, "x-y")) in text


def test_e5_at_the_scale_that_it_was_made_with(numbers):
    text, e5 = line("One similarity scale"), {"encoder": "e5-small-q4"}
    places = (shift.NEARER, shift.FARTHER)
    for choice in ("scale=100", "profile"):
        leads = [interval(tried(choice, "x-x-mono", place, **e5)) for place in places]
        assert all(lead in text for lead in leads)
        within = [interval(tried(choice, "none", place, **e5, setting="monolingual")) for place in places]
        assert "{} and {}".format(*within) in line("Do other scales change")
    gains = [interval(tried("scale=100", "none", place, **e5, strategy="x-x-mono")) for place in places]
    behind = [tried("scale=100", "x-y", place, **e5) for place in places]
    assert "{} and {} from no fine-tuning: it has little".format(*gains) in text
    assert "{} and {}. Other".format(*map(interval, behind)) in text and all(row["value"] < 0 for row in behind)
    d = [tried("scale=100", baseline, **e5) for baseline in ("x-x-mono", "x-y")]
    assert "D against it is {}, against x-y {}".format(*map(interval, d)) in text
    assert d[0]["seeds"] == 2 and "At 100, two seeds," in text and [row["verdict"] for row in d] == ["open", "open"]
    ahead = signed(tried("scale=100", "x-x-mono", shift.FARTHER, **e5)["value"])
    said = f"{signed(d[0]['value'])}, and after documentation hybrid leads it by {ahead[1:]}"
    assert said in line("Is a negative D")


def test_what_the_scale_changes_of_d():
    text, e5 = line("One similarity scale"), {"encoder": "e5-small-q4"}

    def both(choice: str, quantity: str = shift.DIFFERENCE) -> str:
        found = [tried(choice, baseline, quantity, **e5) for baseline in ("x-x-mono", "x-y")]
        assert quantity == shift.DIFFERENCE or all(row["low"] < 0 < row["high"] for row in found), "none is sure"
        return "{} and {}".format(*map(interval, found))

    at_100 = both("scale=100", CHANGE)
    assert f"With the same two seeds D is {both(SAME)} at 20; at 100 it is higher by {at_100}" in text
    assert f"at 50, with one, by {both('scale=50', CHANGE)}." in text
    moved = tried("scale=100", "x-x-mono", CHANGE)
    assert f"surely another, by {interval(moved)}" in line("Do other scales change") and moved["high"] < 0


def test_scales_and_rates_crossed():
    text = line("One learning rate")
    crossed = [f"scale={scale}, learning_rate={rate}" for scale in (50, 100) for rate in ("1e-4", "9e-4")]
    ends = []
    for baseline in ("x-x-mono", "x-y"):
        values = [tried(choice, baseline)["value"] for choice in crossed]
        ends += [signed(min(values)), signed(max(values))]
    assert "D against x-x-mono lies between {} and {}, against x-y between {} and {}.".format(*ends) in text
    gains = [signed(tried(choice, "none", shift.NEARER)["value"]) for choice in crossed if "1e-4" in choice]
    assert "hybrid gains {} and {} near".format(*gains) in text
    long = [f"{choice}, steps=240" for choice in ("learning_rate=1e-4", "learning_rate=9e-4", *SCALES, *crossed)]
    found = {name: [tried(choice, name)["value"] for choice in long] for name in ("x-x-mono", "x-y")}
    ends = [signed(end(values)) for values in found.values() for end in (min, max)]
    assert "with 240 steps they lie between {} and {}, and between {} and {}".format(*ends) in text
    lost = [tried(choice, "none", shift.FARTHER)["value"] for choice in long if "9e-4" in choice]
    assert f"hybrid ends between {signed(max(lost))} and {signed(min(lost))} from no fine-tuning" in text


def test_trainings_at_scale_100_are_above_the_centred_encoder(numbers):
    before = numbers["levels"]["mlqa-r"]["none"]["none"]["multilingual"]["value"]
    gains = [
        tried("scale=100", "none", shift.NEARER, encoder="e5-small-q4", strategy=name)["value"]
        for name in ("hybrid-0.5", "x-y")
    ]
    levels = [plain(before + gain) for gain in gains]
    assert "hybrid and x-y have {} and {} on MLQA-R, which is more".format(*levels) in line("Does it need training")
    centred = numbers["centring"]["mlqa-r"]["none"]["-"]["own"]["multilingual"]["mAP"]["none"]["-"]["value"]
    assert before + min(gains) > centred


def test_within_one_language_all_encoders_lean_the_same_way():
    found = [of(name)["shift"]["mlqa-r"]["far"]["monolingual"] for name in ("e5-small-q4", "use-m", "static")]
    values = [one[shift.DIFFERENCE]["hybrid-0.5"]["x-x-mono"]["value"] for one in found]
    assert f"is {', '.join(map(signed, values))} with e5, use-m and static" in line("Only one encoder")
    assert max(values) < 0


def test_equal_headings():
    found = json.loads((paths.ROOT / "benchmarks" / "results" / "equal_headings.json").read_text())
    counts = [found["batches"][name]["pairs of one heading a batch"] for name in ("x-x-mono", "x-y", "hybrid-0.5")]
    said = "holds {}, {} and {} pairs of one heading with x-x-mono, x-y and hybrid"
    assert said.format(*(plain(count, 2) for count in counts)) in line("Do equal headings")
    assert 0.2 < found["questions whose heading another has"] < 0.25


def test_another_measure_of_bias(numbers):
    levels = numbers["levels"]["mlqa-r"]["parallel-docs"]
    shares = (plain(levels[name]["own_share"]["value"]) for name in ("x-x-mono", "hybrid-0.5"))
    assert "from {} with x-x-mono to {} with hybrid".format(*shares) in line("Does rank distance measure")
    assert texts.CHANCE.split(" / ")[0] in line("Does rank distance measure")


def test_the_prompts_of_e5():
    for path in (PUBLISHED / "cells").glob("e5-small-q4_*.json.gz"):
        encoded = artifacts.read_sealed(path)["encoded"]
        assert encoded["query"].startswith("<s> query: ") and encoded["passage"].startswith("<s> passage: ")
    assert "`query: ` and `passage: `, untrained and trained" in line("The encoder's own training")


def test_e5_at_another_scale_and_at_other_learning_rates_after_xquad_r():
    choices = ("learning_rate=1e-5", "learning_rate=9e-5")

    def near(choice: str, baseline: str) -> str:
        row = tried(choice, baseline, shift.NEARER, encoder="e5-small-q4")
        assert row["seeds"] == 1
        return interval(row)

    far_away, d = (
        interval(tried("scale=50", "x-x-mono", quantity, encoder="e5-small-q4"))
        for quantity in (shift.FARTHER, shift.DIFFERENCE)
    )
    said = f"At 50, one seed, it is {near('scale=50', 'x-x-mono')} after XQuAD-R and {far_away} after documentation"
    assert f"{said}, and D is {d}." in line("One similarity scale")
    for baseline in ("x-x-mono", "x-y"):
        beside = [near(choice, baseline) for choice in choices]
        assert "{} and {} from {}".format(*beside, baseline) in line("One learning rate")


def test_pairs_of_languages_by_the_batch():
    text = line("x-y could draw one pair")
    for baseline in ("x-x-mono", "x-y"):
        assert interval(tried("cross=batch", baseline)) in text
        assert signed(tried(SAME, baseline)["value"]) in text and tried("cross=batch", baseline)["seeds"] == 2


def test_a_negative_d_of_a_hybrid_that_is_bad_near():
    text = line("Is a negative D always good?")
    assert interval(tried("scale=100", "x-x-mono")) in text
    behind, below = (signed(tried("scale=100", name, shift.NEARER)["value"]) for name in ("x-x-mono", "none"))
    assert f"it is {behind} from x-x-mono, {below} from no fine-tuning" in text


@pytest.mark.parametrize(
    ("asks", "choice"),
    [("Is it the size", "cut: parallel-docs-900-questions"), ("Is it the languages", "cut: xquad-r-7-languages")],
)
def test_cut_training_sets(asks, choice):
    text = line(asks)
    assert interval(tried(choice, "x-x-mono")) in text and interval(tried(choice, "x-y")) in text
    assert signed(tried(SAME, "x-x-mono")["value"]) in text and tried(choice, "x-x-mono")["seeds"] == 2


def test_machines():
    most = json.loads((paths.ROOT / "benchmarks" / "results" / "machines.json").read_text())[
        "largest difference of mAP in a setting"
    ]
    text = line("Machines differ")
    assert all(plain(value, 4) in text for value in most.values())


def test_trainings_made_again_on_the_other_kind_of_machine():
    """Those that keep what centring leaves are trainings of the grid, made again."""
    table = pd.read_csv(PUBLISHED / "metrics.csv").query("metric == 'map' and dataset == 'mlqa-r'")
    apart = {}
    for path in (PUBLISHED / "cells").glob("e5-small-q4_*_centred=true_on_mlqa-r.json.gz"):
        again, first = artifacts.read_sealed(path), artifacts.read_sealed(path.with_name(path.name.replace(LATER, "")))
        if again["made"]["device"] != first["made"]["device"]:
            of_cell = {name: value for name, value in again["inputs"]["cell"].items() if value is not None}
            same = (table[list(of_cell)] == pd.Series(of_cell)).all(axis=1)
            same &= table[[name for name in again["inputs"]["cell"] if name not in of_cell]].isna().all(axis=1)
            before = table[same].set_index("setting")["value"]
            now = {row["setting"]: row["value"] for row in again["means"] if row["metric"] == "map"}
            apart[of_cell["train"], of_cell["strategy"]] = max(abs(before[name] - now[name]) for name in now)
    assert {strategy for _, strategy in apart} >= {"en-en", "x-x", "x-x-mono", "x-y", "hybrid"}
    most = plain(max(apart.values()), 4)
    said, text = f"Of {len(apart)} e5 models made again", line("Machines differ")
    assert said in text and f"by {most} at most" in text


def test_effective_robustness(numbers):
    found = numbers["robustness"]["e5-small-q4"]["mlqa-r"]["far"]["multilingual"]
    text = line("Is a strategy robust")
    for label in ("hybrid-0.5", "x-y", "x-x-mono"):
        row = found[label]
        assert interval(row | {"value": row["residual"]}) in text
    for encoder, name in (("e5-small-q4", "e5"), ("use-m", "use-m"), ("static", "static")):
        row = of(encoder)["robustness"]["all encoders"]["mlqa-r"]["far"]["multilingual"]["hybrid-0.5"]
        said = interval(row | {"value": row["residual"]})
        assert f"{said} above it with {name}" in text or f"{said} with {name}" in text


def test_use_m_at_more_monolingual_batches():
    found = [
        of("use-m")["synergy"][test][train]["-"]["multilingual"]["hybrid-0.75"]["mAP"]["better parent"]
        for test in ("mlqa-r", "xquad-r")
        for train in {"mlqa-r", "xquad-r", "parallel-docs"} - {test}
    ]
    (sure,) = (row for row in found if row["low"] > 0)
    assert all(row["high"] > 0 for row in found)
    said = f"at α = .75 the first is positive too, {interval(sure)}, and none surely negative"
    assert said in line("Is a mixture more than")


def test_no_copies_in_the_far_shift():
    table = pd.read_csv(PUBLISHED / "overlap.csv")
    rows = table[
        table["train"].isin(["xquad-r", "mlqa-r", "parallel-docs"]) & table["dataset"].isin(["xquad-r", "mlqa-r"])
    ]
    assert len(rows[rows["train"] != rows["dataset"]]) and not rows["found"].sum()


def test_the_second_encoder():
    numbers = of("use-m")
    text, mlqa = line("Only one encoder"), far(numbers, "mlqa-r")
    assert f"on MLQA-R is {interval(mlqa['x-x-mono'])}, against x-y {interval(mlqa['x-y'])}" in text
    assert f"with {mlqa['x-x-mono']['seeds']} seeds" in text
    mirror = [far(numbers, "xquad-r")[name]["verdict"] for name in ("x-x-mono", "x-y", "en-en")]
    assert set(mirror) == {"equivalent"} and "On XQuAD-R all are within .01." in text


def test_the_third_encoder():
    numbers, text = of("static"), line("And the third encoder")
    mlqa, xquad = far(numbers, "mlqa-r"), far(numbers, "xquad-r")
    assert f"with {mlqa['x-x-mono']['seeds']} seeds, is" in text
    here, there = ([interval(rows[name]) for name in ("x-x-mono", "x-y")] for rows in (mlqa, xquad))
    assert "{} against x-x-mono and {} against x-y on MLQA-R".format(*here) in text
    assert "{} and {} on XQuAD-R".format(*there) in text
    before = numbers["levels"]["mlqa-r"]["none"]["none"]["multilingual"]["value"]
    after = numbers["levels"]["mlqa-r"]["xquad-r"]["hybrid-0.5"]["multilingual"]["value"]
    assert f"from {before:.3f} to {after:.3f}".replace("0.", ".") in text


def test_what_a_common_order_of_questions_does():
    """Both versions of the sampler, as the benchmark measured them from the published cells."""
    found = json.loads((paths.ROOT / "benchmarks" / "results" / "sampler_versions.json").read_text())
    mean = found["mean over pairs and settings"]
    first, second = mean["version 1"], mean["version 2"]
    text = line("Do two strategies of a seed")
    for name, form in (("correlation over seeds", "{:+.2f}"), ("width of the interval", "{:.4f}")):
        said = " and ".join(form.format(one[name]).replace("0.", ".", 1) for one in (first, second))
        assert said in text


def test_other_measures():
    table, text = pd.read_csv(PUBLISHED / "metrics.csv"), line("Does mAP decide?")
    table = table[(table["encoder"] == "e5-small-q4") & (table["setting"] == "multilingual")]
    table = table[(table["strategy"] != "hybrid") | (table["alpha"] == 0.5)]
    means = table.groupby(["metric", "dataset", "strategy", "train"])["value"].mean()
    nearer = {"mlqa-r": "xquad-r", "xquad-r": "mlqa-r"}

    def d(metric: str, test: str, baseline: str) -> float:
        both = (means[metric, test, name] for name in ("hybrid", baseline))
        hybrid, other = (trained[nearer[test]] - trained["parallel-docs"] for trained in both)
        return hybrid - other

    def said(test: str, baseline: str) -> str:
        return " and ".join(signed(d(metric, test, baseline)) for metric in ("ndcg@10", "recall@10"))

    assert f"{said('mlqa-r', 'x-x-mono')} on MLQA-R, {said('xquad-r', 'x-x-mono')} on XQuAD-R" in text
    assert f"against x-y {said('mlqa-r', 'x-y')}, {said('xquad-r', 'x-y')} (means" in text
    first = [d("recall@1", test, baseline) for test in nearer for baseline in ("x-x-mono", "x-y")]
    assert max(map(abs, first)) < 0.005 and "By R@1 all are within .005" in text
    before = means["recall@1", "mlqa-r", "none", "none"]
    after = [means["recall@1", "mlqa-r", name, "parallel-docs"] for name in ("hybrid", "x-x-mono", "x-y")]
    levels = [plain(value) for value in (before, *after)]
    assert "{} before fine-tuning, and after documentation {} with hybrid, {} with x-x-mono, {} with".format(
        *levels
    ) in text  # fmt: skip


def test_a_learning_rate_for_each_kind():
    text, choices = line("Would each kind do best"), ("learning_rate=1e-5", "profile, seed 0", "learning_rate=9e-5")
    for strategy in ("hybrid-0.5", "x-x-mono", "x-y"):
        asked = {"encoder": "e5-small-q4", "strategy": strategy}
        gains = [tried(choice, "none", shift.NEARER, **asked)["value"] for choice in choices]
        low, middle, high = (plain(gain) for gain in gains)
        assert f"{low}, {middle} and {high}" in text and max(gains) == gains[1]


def test_the_mixture_in_costs(numbers):
    found = numbers["synergy"]["mlqa-r"]["xquad-r"]["parallel-docs"]["multilingual"]["hybrid-0.5"]["cost"]
    text = line("Is a mixture more")
    assert interval(found["mean of parents"]) in text and interval(found["better parent"]) in text


def test_means_of_other_texts(numbers):
    text, found = line("And with means of other texts"), numbers["centring"]["mlqa-r"]
    before = found["none"]["-"]["facts"]["multilingual"]["mAP"]["none"]["-"]["value"]
    assert f"scores {before:.3f}".replace("0.", ".") in text
    leads = [found[train]["-"]["facts"]["multilingual"] for train in ("xquad-r", "parallel-docs")]
    assert "{} and {} from".format(*(interval(one["difference"]["hybrid-0.5"]["none"]) for one in leads)) in text
    levels = [plain(one["mAP"]["hybrid-0.5"]["-"]["value"]) for one in leads]
    assert "hybrid then has {} and {}".format(*levels) in text
    for encoder in ("e5-small-q4", "use-m"):
        left = of(encoder)["centring"]["mlqa-r"]["xquad-r"]["parallel-docs"]["facts"]["multilingual"][shift.DIFFERENCE]
        both = (interval(left["hybrid-0.5"][name]) for name in ("x-x-mono", "x-y"))
        assert "D against x-x-mono and x-y is {} and {}".format(*both) in text
    others = (("e5", "xquad-r", "mlqa-r"), ("static", "mlqa-r", "xquad-r"), ("static", "xquad-r", "mlqa-r"))
    for encoder, test, near in others:
        name = "e5-small-q4" if encoder == "e5" else encoder
        left = of(name)["centring"][test][near]["parallel-docs"]["facts"]["multilingual"][shift.DIFFERENCE]
        both = "{} and {}".format(*(interval(left["hybrid-0.5"][baseline]) for baseline in ("x-x-mono", "x-y")))
        where = {"mlqa-r": "MLQA-R", "xquad-r": "XQuAD-R"}[test]
        assert f"With {encoder} on {where}, one training each, it is {both}." in text
    english = [
        numbers["centring"][test][near]["parallel-docs"]["facts"]["multilingual"][shift.DIFFERENCE]["hybrid-0.5"][
            "en-en"
        ]
        for test, near in BOTH
    ]
    assert "e5's D is {} on MLQA-R and {} on XQuAD-R".format(*map(interval, english)) in text
    mirror = numbers["centring"]["xquad-r"]
    apart = [numbers["levels"]["xquad-r"][train]["x-x"]["multilingual"]["value"] for train in FOREIGN]
    apart += [mirror[train]["-"]["facts"]["multilingual"]["mAP"]["x-x"]["-"]["value"] for train in FOREIGN]
    said = "x-x, which has {} and {} on XQuAD-R, has {} and {} by them"
    assert said.format(*(plain(value) for value in apart)) in text
    leads = [mirror[train]["-"]["facts"]["multilingual"]["difference"]["hybrid-0.5"]["none"] for train in FOREIGN]
    assert "On XQuAD-R it is {} and {} from it.".format(*map(interval, leads)) in text
    best = max(
        row["multilingual"]["value"]
        for train, labels in numbers["levels"]["mlqa-r"].items() if train != "none" for row in labels.values()
    )  # fmt: skip
    assert f"the best fine-tuning at scale 20, {best:.3f}".replace("0.", ".") in text


def test_what_subtracting_means_costs(numbers):
    text = line("What does subtracting means")
    changes = [
        (numbers, "mlqa-r", "monolingual"), (numbers, "xquad-r", "monolingual"),
        (of("use-m"), "mlqa-r", "multilingual"), (of("use-m"), "xquad-r", "multilingual"),
    ]  # fmt: skip
    found = [
        encoder["centring"][test]["none"]["-"]["facts"][setting]["change"]["none"]["none"]
        for encoder, test, setting in changes
    ]
    assert "{} on MLQA-R and {} on XQuAD-R; use-m gains nothing by them in the pool, {} and {}.".format(
        *map(interval, found)
    ) in text  # fmt: skip
    assert all(row["low"] < 0.001 for row in found[2:])


def test_levels_near(numbers):
    near, kinds = numbers["levels"]["mlqa-r"]["xquad-r"], ("x-x-mono", "hybrid-0.5", "x-y")
    found = [plain(near[name]["multilingual"]["value"]) for name in kinds]
    assert "have {}, {} and {} in the pool".format(*found) in line("Do the kinds look alike near")


def gained(numbers: dict, test: str, other: str) -> dict[str, tuple[float, float]]:
    """By kind of batches what documentation, and the other Wikipedia set, give in the pool of a test."""
    levels = numbers["levels"][test]
    before = levels["none"]["none"]["multilingual"]["value"]
    trains = ("parallel-docs", other)
    return {
        label: tuple(levels[train][label]["multilingual"]["value"] - before for train in trains)
        for label in ("x-y", "hybrid-0.5", "x-x-mono")
    }


def test_shares_of_the_gain(numbers):
    text, gains = line("An absolute loss"), gained(numbers, "mlqa-r", "xquad-r")
    for label, (far_away, near) in gains.items():
        said = f"{far_away:.3f} of {near:.3f} with {label.removesuffix('-0.5')}".replace("0.", ".")
        assert said in text
    assert gains["x-x-mono"][0] / gains["x-x-mono"][1] < gains["hybrid-0.5"][0] / gains["hybrid-0.5"][1]
    assert gains["hybrid-0.5"][0] / gains["hybrid-0.5"][1] < gains["x-y"][0] / gains["x-y"][1]


def test_the_share_that_is_kept_of_what_was_gained_has_one_order():
    text, xquad = line("An absolute loss"), []
    for encoder in ("e5-small-q4", "use-m", "static"):
        for test, other in BOTH:
            kept = [far_away / near for far_away, near in gained(of(encoder), test, other).values()]
            assert kept == sorted(kept, reverse=True), (encoder, test)
            xquad += [f"{share:.0%}" for share in kept] if test == "xquad-r" else []
    said = "on XQuAD-R {}, {} and {} with e5, {}, {} and {} with use-m, {}, {} and {} with static"
    assert said.format(*xquad) in text and far(of("static"), "xquad-r")["x-x-mono"]["verdict"] == "less robust"


def test_another_scale_of_map():
    found = []
    for encoder in ("e5-small-q4", "use-m", "static"):
        for test, other in BOTH:
            levels, cost = of(encoder)["levels"][test], {}
            for kind in ("hybrid-0.5", "x-x-mono", "x-y"):
                near, away = (levels[train][kind]["multilingual"]["value"] for train in (other, "parallel-docs"))
                cost[kind] = math.log(near / (1 - near)) - math.log(away / (1 - away))
            for baseline in ("x-x-mono", "x-y"):
                odds = cost["hybrid-0.5"] - cost[baseline]
                assert odds * far(of(encoder), test)[baseline]["value"] > 0
                found.append(signed(odds))
    said = (
        "D against x-x-mono and x-y is {} and {} with e5 on MLQA-R, {} and {} on XQuAD-R; with use-m {} and {}, {} and "
        "{}; with static {} and {}, {} and {} (means"
    )
    assert said.format(*found) in line("Is .01 of mAP as much")


def test_less_preference_than_by_chance():
    table = pd.read_csv(PUBLISHED / "vectors.csv.bz2").query(
        "encoder == 'e5-small-q4' and dataset == 'xquad-r' and measure == 'own_language_neighbours'"
        " and train in ('none', 'mlqa-r') and (strategy != 'hybrid' or alpha == 0.5)"
    )
    means = table.groupby(["centring", "strategy"])["value"].mean()
    chance, *own = (means["chance", "none"], *(means["before", kind] for kind in ("none", "x-x-mono", "hybrid", "x-y")))
    said = "{} are in its language by chance; e5 has {} without fine-tuning, after MLQA-R {} with x-x-mono, {} with"
    text = line("Is less preference always")
    shown = [plain(value) for value in (chance, *own)]
    assert said.format(*shown) in text and f"with hybrid and {shown[-1]} with x-y" in text
    assert own[-1] < own[-2] < chance < own[-3]


def test_sentences_that_occur_twice():
    found = []
    for name in ("xquad-r", "mlqa-r"):
        passages = data.evaluation_set(name).passages
        found += [f"{passages.duplicated(['language', 'text']).sum()} of {len(passages):,}"]
    assert "{} on XQuAD-R and {} on MLQA-R".format(*found) in line("Do sentences that occur twice")


def test_the_share_of_english_questions():
    table, found = pd.read_csv(PUBLISHED / "training_log.csv.bz2").query("encoder == 'e5-small-q4'"), []
    for label in ("x-y", "x-x-mono"):
        for train in ("mlqa-r", "parallel-docs", "xquad-r"):
            found.append(english(table.loc[(table["strategy"] == label) & (table["train"] == train), "languages"]))
    said = (
        "{} of x-y's are English after MLQA-R, {} after documentation and {} after XQuAD-R, of x-x-mono's {}, {} and {}"
    )
    assert said.format(*found) in line("Batches differ in more")


def test_questions_that_are_asked_twice():
    table = pd.read_csv(PUBLISHED / "metrics_variants.csv.bz2").query(
        "variant == 'distinct queries' and encoder == 'e5-small-q4' and metric == 'map' and setting == 'multilingual'"
        " and (strategy != 'hybrid' or alpha == 0.5)"
    )
    means = table.groupby(["dataset", "train", "strategy"])["value"].mean()
    found = []
    for test, other in BOTH:
        cost = means[test, other] - means[test, "parallel-docs"]
        found += [signed(cost["hybrid"] - cost[name]) for name in ("x-x-mono", "x-y")]
    text = line("Do questions that are asked twice")
    assert "x-x-mono and x-y is {} and {} on MLQA-R, {} and {} on XQuAD-R".format(*found) in text


def test_the_preference_for_one_s_own_language_comes_back_in_the_order_of_the_costs(numbers):
    found = []
    for test, other in BOTH:
        levels, kinds = numbers["levels"][test], ("x-x-mono", "hybrid-0.5", "x-y")
        near, far_away = ([levels[train][k]["own_share"]["value"] for k in kinds] for train in (other, "parallel-docs"))
        rises = [after - before for after, before in zip(far_away, near, strict=True)]
        costs = [numbers["shift"][test]["far"]["multilingual"]["cost"][kind]["-"]["value"] for kind in kinds]
        assert rises == sorted(rises, reverse=True) and costs == sorted(costs, reverse=True)
        found += [signed(rise)[1:] for rise in rises]
    said = "by {} with x-x-mono, {} with hybrid and {} with x-y on MLQA-R, by {}, {} and {} on XQuAD-R".format(*found)
    assert said in line("Is what is lost a return")


def test_the_lead_without_any_shift(numbers):
    table = pd.read_csv(PUBLISHED / "effects.csv").query(
        "metric == 'map' and languages == 'all' and setting == 'multilingual' and strategy == 'hybrid-0.5'"
    )
    rows = table.rename(columns={"difference": "value"}).set_index(["encoder", "train", "dataset", "baseline"])

    def at_home(train: str, baseline: str = "x-x-mono", encoder: str = "e5-small-q4") -> str:
        return interval(rows.loc[encoder, train, f"{train}-heldout", baseline])

    text = line("Does hybrid lead after documentation")
    from_both = [at_home("parallel-docs", baseline) for baseline in ("x-x-mono", "x-y")]
    assert "by {} in the pool and is {} from x-y".format(*from_both) in text
    assert f"one seed, by {at_home('parallel-docs', encoder='use-m')}" in text
    assert f"leads by {at_home('xquad-r')}, of MLQA-R by {at_home('mlqa-r')}" in text
    assert f"the lead of {signed(far(numbers, 'mlqa-r', shift.FARTHER)['x-x-mono']['value'])} on MLQA-R" in text


def test_other_alphas():
    text, kinds = line("Is α = .5 special"), ("x-y", "hybrid-0.25", "hybrid-0.5", "hybrid-0.75", "x-x-mono")
    found = {}
    for encoder in ("e5-small-q4", "use-m"):
        for test in ("mlqa-r", "xquad-r"):
            cost = of(encoder)["shift"][test]["far"]["multilingual"]["cost"]
            found[encoder, test] = [cost[kind]["-"]["value"] for kind in kinds]
    said = [plain(value) for values in found.values() for value in values]
    numbers = "{}, {}, {}, {} and {}"
    assert f"cost is {numbers} on MLQA-R, {numbers} on XQuAD-R; use-m's {numbers}, and {numbers}.".format(*said) in text
    for encoder, signs in (("e5-small-q4", {-1}), ("use-m", {-1, 1})):
        against = [found[encoder, "mlqa-r"][place] - found[encoder, "mlqa-r"][-1] for place in (1, 2, 3)]
        assert {1 if value > 0 else -1 for value in against} == signs
    for test in ("mlqa-r", "xquad-r"):
        assert found["e5-small-q4", test][3] - found["e5-small-q4", test][0] > 0.01


def test_what_is_gained_without_language_means(numbers):
    found = []
    for test, trains in (("mlqa-r", ["xquad-r"]), ("xquad-r", ["mlqa-r", "parallel-docs"])):
        centring = numbers["centring"][test]
        before = centring["none"]["-"]["own"]["multilingual"]["mAP"]["none"]["-"]["value"]
        for train in trains:
            reached = centring[train]["-"]["own"]["multilingual"]["mAP"]
            found += [signed(reached[k]["-"]["value"] - before) for k in ("hybrid-0.5", "x-x-mono", "x-y")]
    text = line("Is D without language means")
    assert "hybrid, x-x-mono and x-y are {}, {} and {} from the centred".format(*found[:3]) in text
    said = "they are {}, {} and {} from it after MLQA-R, {}, {} and {} after documentation".format(*found[3:])
    assert said in text and all(value.startswith("-") for value in found[:3])


def test_which_training_sets_are_parallel_throughout():
    languages = {name: len(data.evaluation_set(name).languages) for name in ("xquad-r", "mlqa-r")}
    assert "MLQA-R in 2 to 4 of its {}".format(languages["mlqa-r"]) in line("What if few texts")
    for name, asked in (("xquad-r", {11}), ("parallel-docs-heldout", {9, 10, 11}), ("mlqa-r", {2, 3, 4})):
        queries = data.evaluation_set(name).queries
        assert set(queries.groupby("question")["language"].nunique()) == asked, name


def test_what_open_leaves_room_for(numbers):
    row, mirror = far(numbers, "mlqa-r")["x-y"], far(numbers, "xquad-r")["x-y"]
    text = line('Is "open" against x-y')
    assert interval(row).partition(" ")[2] in text and f"by more than {signed(row['low'])[1:]}" in text
    assert f"by up to {signed(row['high'])[1:]}" in text and mirror["verdict"] == "less robust"


def test_the_paper_s_tables():
    table = pd.read_csv(PUBLISHED / "ledger.csv.bz2", keep_default_na=False, na_values=[""])
    found, text = ledger.summary(table).loc["e5-small-q4"], line("Do the paper's own tables")
    forms = {"xlm-r": "{} of {} comparisons on XQuAD-R and {} of {} on", "labse": "{} of {} and {} of {}."}
    for paper, form in forms.items():
        rows = [found.loc[paper, test, "multilingual", "map"] for test in ("xquad-r", "mlqa-r")]
        counts = [count for row in rows for count in (row["directions that agree"], row["of"])]
        assert form.format(*counts) in text
    said = "In {} of {} directions in the pool, {} of {} across two languages and {} of {} within one"
    sums = [
        sum(found.loc[paper, test, setting, "map"][count] for paper in forms for test in ("xquad-r", "mlqa-r"))
        for setting in ("multilingual", "cross-lingual", "monolingual")
        for count in ("directions that agree", "of")
    ]
    assert said.format(*sums) in text


def test_the_settings_differ(numbers):
    text, moved = line("Does it depend on the setting"), numbers["shift"]["mlqa-r"]["far"]
    for setting in ("cross-lingual", "monolingual"):
        assert interval(moved[setting][shift.DIFFERENCE]["hybrid-0.5"]["x-x-mono"]) in text
    assert moved["cross-lingual"][shift.DIFFERENCE]["hybrid-0.5"]["x-x-mono"]["verdict"] == "open"


def test_language_offset_on_the_other_test(numbers):
    text, found = line("Is it more than where"), numbers["centring"]["xquad-r"]
    left = found["mlqa-r"]["parallel-docs"]["own"]["multilingual"][shift.DIFFERENCE]["hybrid-0.5"]["x-x-mono"]
    assert interval(left) in text
    text = line("Does it need training")
    untrained = found["none"]["-"]["own"]["multilingual"]["mAP"]["none"]["-"]["value"]
    hybrid = found["mlqa-r"]["-"]["nothing"]["multilingual"]["mAP"]["hybrid-0.5"]["-"]["value"]
    assert f"{untrained:.3f} on XQuAD-R".replace("0.", ".") in text and f"and {hybrid:.3f}.".replace("0.", ".") in text


def test_how_many_batches_of_hybrid_are_monolingual(numbers):
    log = pd.read_csv(PUBLISHED / "training_log.csv.bz2").query("encoder == 'e5-small-q4' and alpha == .5")
    counts = log[log["kind"] == "mono"].groupby("train").size()
    text = line("How many batches of hybrid")
    said = "{} were after XQuAD-R, {} after MLQA-R and {} after documentation"
    assert said.format(*(counts[name] for name in ("xquad-r", "mlqa-r", "parallel-docs"))) in text
    assert f"Of {log.groupby('train').size().max()} batches" in text
    moved = []
    for train in ("xquad-r", "parallel-docs"):
        score = {alpha: numbers["levels"]["mlqa-r"][train][f"hybrid-{alpha}"]["multilingual"]["value"]
                 for alpha in (0.25, 0.75)}  # fmt: skip
        moved.append((counts[train] / log.groupby("train").size()[train] - 0.5) * (score[0.75] - score[0.25]) / 0.5)
    assert abs(moved[0] - moved[1]) < 0.001 and "moves D on MLQA-R by less than .001" in text


def test_the_loss_at_the_end_of_training():
    log = pd.read_csv(PUBLISHED / "training_log.csv.bz2")
    log = log.query("encoder == 'e5-small-q4' and alpha == .5 and step > 70")
    ends = log.groupby("train")["loss"].mean()
    docs, wikipedia = (f"{ends[name]:.2f}"[1:] for name in ("parallel-docs", "xquad-r"))
    assert f"still {docs} with hybrid in the last ten steps, where it is {wikipedia} on XQuAD-R" in line("Are 80 steps")


def test_what_stands_apart_from_the_answer(numbers):
    text = " ".join(TEXT.split("## Choices made after")[1].split())
    less, more = (signed(far(numbers, test)["x-x"]["value"]) for test in ("mlqa-r", "xquad-r"))
    assert f"less robust than x-x on MLQA-R ({less}) and more on XQuAD-R ({more})" in text
    alike, other = (far(of("use-m"), test)["x-x"] for test in ("mlqa-r", "xquad-r"))
    found = tuple(signed(row["value"]) for row in (alike, other))
    assert "equivalent on MLQA-R ({}) and less robust on XQuAD-R ({})".format(*found) in text
    assert alike["verdict"] == "equivalent" and other["verdict"] == "less robust"
    claims = pd.read_csv(PUBLISHED / "claims.csv", dtype=str)
    claims = claims[claims["encoder"] == "e5-small-q4"].set_index("id")["reason"]
    assert claims["10"].endswith("swap protocol: 0 of 2") and claims["S"].endswith("swap protocol: 2 of 4")
    assert "claim 10 would be met on 0 of 2 and claim S in 2 of 4" in text


def test_the_pool_of_mlqa_r():
    passages = data.outline("mlqa-r", "sentence").passages["language"]
    assert f"{(passages == 'en').sum():,} of its {len(passages):,} sentences" in line("MLQA-R's pool")
    rows = by_language("e5-small-q4", "mlqa-r", "xquad-r")
    each = rows[rows.index.isin(passages.unique())]
    assert len(each) == 7 and (each["value"] < 0).all()
    chosen = data.outline("mlqa-r", "sentence")
    answered = chosen.queries.groupby("question")["language"].agg(set)
    others = sum(len(found - {"en"}) for found in answered) / len(answered) / 6
    assert all("en" in found for found in answered) and f"in each other language {others:.0%} of them" in TEXT


def test_what_readme_says_that_chance_would_give():
    top = pd.read_csv(PUBLISHED / "top10_languages.csv.bz2")
    own = top[top["query_language"] == top["passage_language"]].groupby("dataset")["pool_share"].mean()
    assert " / ".join(f"{own[test]:.0%}" for test in texts.TESTS) == texts.CHANCE


def test_a_sure_difference_inside_the_margin(numbers):
    row = numbers["shift"]["mlqa-r"]["far"]["monolingual"][shift.DIFFERENCE]["hybrid-0.5"]["x-x-mono"]
    assert interval(row) in line("Is a sure difference") and row["verdict"] == "more robust"
    assert row["value"] > -0.01 and row["high"] < 0


def test_one_language_carries_what_use_m_shows():
    rows = by_language("use-m", "mlqa-r", "xquad-r")
    each = rows.loc[rows.index.str.len() == 2, "value"]
    assert "nearly all is Vietnamese" in line("Only one encoder") and len(each) == 7
    assert each.drop("vi").abs().max() < 0.01 < -each["vi"]
