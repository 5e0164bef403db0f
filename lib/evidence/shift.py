"""Domain shift, the research question: what of a strategy's gain is lost on a test set of another kind?

For a strategy s trained on one set: G = mAP(s) - mAP(no fine-tuning) on held-out questions of that set, F = the same on
another set, and the shift loss L = G - F. The answer is D = L(hybrid) - L(baseline): negative where hybrid batches
lose less. No fine-tuning cancels out of D. Wikipedia to Wikipedia is *near*, documentation to Wikipedia *far*.
"""

from typing import Any

import pandas as pd

from lib.base.config import Run
from lib.evidence import effects, stats, wording
from lib.evidence.effects import HYBRID, Key, Scores, common_seeds, language_groups
from lib.runs.plan import NONE

WIKIPEDIA = ("xquad-r", "mlqa-r", "miracl-mini", "miracl-dev")
BASELINES = ("en-en", "x-x", "x-x-mono", "x-y")
GAIN_IN, GAIN_OUT, LOSS, DIFFERENCE = "gain in domain", "gain on the other set", "shift loss", "difference of losses"
AT_HOME, AWAY = "difference in domain", "difference on the other set"  # of gains, and so of mAP itself
OF_A_STRATEGY = (GAIN_IN, GAIN_OUT, LOSS)
COLUMNS = ["train", "dataset", "shift", "setting", "languages", "strategy", "baseline", "quantity", "value", "low"]
COLUMNS += ["high", "questions_in", "questions_out", "seeds"]


def table(run: Run, found: dict[Key, Scores]) -> pd.DataFrame:
    """G, F and L of each strategy, and hybrid (alpha .5) against each baseline, with 95% intervals: D, the difference
    of L, and beside it those of G and F, since who gains more at home has more to lose.

    Languages: all; of the other set those that the training set has and those that it lacks; and for D in the
    multilingual setting each query language that both sets have.
    """
    rows = []
    for key in found:
        if key.metric == "map" and key.train not in (NONE, key.dataset) and not key.dataset.endswith("-heldout"):
            rows += _quantities(run, found, key)
            if key.label == HYBRID:
                for baseline in BASELINES:
                    rows += _difference(run, found, key, baseline)
    return pd.DataFrame(rows, columns=COLUMNS)


def kind(train: str, dataset: str) -> str:
    """``near`` between two sets made of Wikipedia, or within the facts corpus; else ``far``."""
    same = {train, dataset} <= set(WIKIPEDIA) or dataset.startswith(train)
    return "near" if same else "far"


def answer(table: pd.DataFrame, dataset: str = "mlqa-r", setting: str = "multilingual") -> tuple[str, pd.DataFrame]:
    """The verdict on the research question: yes, no, mixed or inconclusive; and the rows that it rests on.

    ``yes``: D is below 0, with its whole interval, against every baseline and training set. ``no``: against none, and
    each interval lies above 0 or within the margin of equivalence. ``mixed``: against some. ``inconclusive``: against
    none, and some interval is too wide to say.
    """
    chosen = table[(table["quantity"] == DIFFERENCE) & (table["dataset"] == dataset)]
    chosen = chosen[(chosen["setting"] == setting) & (chosen["languages"] == "all")]
    kinds = [verdict(stats.Interval(row.value, row.low, row.high)) for row in chosen.itertuples()]
    chosen = chosen.assign(verdict=kinds)
    better = chosen["verdict"] == "more robust"
    if not len(chosen):
        return "not run", chosen
    if better.any():
        return ("yes" if better.all() else "mixed"), chosen
    return ("inconclusive" if (chosen["verdict"] == "inconclusive").any() else "no"), chosen


def sentence(table: pd.DataFrame, dataset: str = "mlqa-r") -> str:
    """The answer in words, with its intervals, and what would overturn it."""
    said, rows = answer(table, dataset)
    if not len(rows):
        return f"Not run: no strategy was scored on both its own held-out questions and {dataset}."
    parts = [
        f"{row.shift}, trained on {row.train}, against {row.baseline}: D = {row.value:+.3f} "
        f"[{row.low:+.3f}, {row.high:+.3f}] ({row.verdict}, {wording.seeds(row.seeds)})"
        for row in rows.itertuples()
    ]
    absent = "" if "far" in set(rows["shift"]) or dataset not in WIKIPEDIA else " The far shift has not been run."
    return (
        f"Do hybrid batches lose less than contrastive baselines from their own domain to {dataset}? "
        f"{said.capitalize()}. {'; '.join(parts)}. {turning(said, rows)} Other seeds, another encoder or other data "
        f"could do that.{absent}"
    )


def turning(said: str, rows: pd.DataFrame) -> str:
    """What would overturn an answer; ``rows`` are those that it rests on (see `answer`)."""
    below = rows[rows["verdict"] == "more robust"]
    others = rows.drop(below.index)
    if said == "mixed":
        ends = wording.joined(_end(row) for row in below.itertuples())
        every = "every interval that is now below 0" if len(below) > 1 else "the one interval that is now below 0"
        rest = f"the other {len(others)} came" if len(others) > 1 else "the other one came"
        return f"It would be mixed no longer if {every} reached 0 ({ends}), or if {rest} below 0."
    if said == "yes":
        nearest = max(below.itertuples(), key=lambda row: row.high)
        return f"It would be yes no longer if one interval reached 0; {_end(nearest)}, the nearest."
    nearest = min(others.itertuples(), key=lambda row: row.high)
    word = "mixed" if len(rows) > 1 else "yes"
    text = f"It would be {word} if one interval came below 0; {_end(nearest)}, the nearest."
    if said == "inconclusive":
        text += " It would be no if those that are inconclusive came inside the margin or above 0."
    return text


def _end(row: Any) -> str:
    return f"that against {row.baseline} ({row.shift}) ends at {row.high:+.3f}"


def verdict(difference: stats.Interval, margin: float = 0.01) -> str:
    """What one D says: more robust, less robust, equivalent (within .01 mAP), or inconclusive."""
    if difference.high < 0:
        return "more robust"
    if difference.low > 0:
        return "less robust"
    return "equivalent" if difference.inside(margin) else "inconclusive"


def _pair(found: dict[Key, Scores], key: Key, label: str) -> tuple[Scores, Scores] | None:
    """The scores of a strategy on the held-out questions of its own training set and on the other set."""
    train = NONE if label == NONE else key.train
    sides = [
        found.get(Key(train, label, dataset, key.setting, key.metric))
        for dataset in (f"{key.train}-heldout", key.dataset)
    ]
    return None if None in sides else tuple(sides)


def _quantities(run: Run, found: dict[Key, Scores], key: Key) -> list[dict]:
    mine, before = _pair(found, key, key.label), _pair(found, key, NONE)
    if mine is None or before is None:
        return []
    seeds, rows = mine[1].seeds, []
    gained = stats.estimate(mine[0].at(seeds) - before[0].at(seeds))
    for languages, units in language_groups(run, key.train, mine[1]):
        kept = stats.estimate(mine[1].at(seeds, units) - before[1].at(seeds, units), effects.OTHERS)
        found = {GAIN_IN: gained, GAIN_OUT: kept, LOSS: gained - kept}
        rows += [_row(key, languages, "", name, value, mine, seeds) for name, value in found.items()]
    return rows


def _difference(run: Run, found: dict[Key, Scores], key: Key, baseline: str) -> list[dict]:
    mine, others = _pair(found, key, HYBRID), _pair(found, key, baseline)
    if mine is None or others is None or not (seeds := common_seeds([*mine, *others])):
        return []
    rows, at_home = [], stats.estimate(mine[0].at(seeds) - others[0].at(seeds))
    for languages, units in language_groups(run, key.train, mine[1]):
        away = stats.estimate(mine[1].at(seeds, units) - others[1].at(seeds, units), effects.OTHERS)
        found = {DIFFERENCE: at_home - away, AT_HOME: at_home, AWAY: away}
        rows += [_row(key, languages, baseline, name, value, mine, seeds) for name, value in found.items()]
    for unit in mine[0].units if key.setting == "multilingual" else ():
        if unit in mine[1].units:
            place_in, place_out = [mine[0].units.index(unit)], [mine[1].units.index(unit)]
            inside = stats.estimate(mine[0].at(seeds, place_in) - others[0].at(seeds, place_in))
            outside = stats.estimate(mine[1].at(seeds, place_out) - others[1].at(seeds, place_out), effects.OTHERS)
            rows.append(_row(key, unit[0], baseline, DIFFERENCE, inside - outside, mine, seeds))
    return rows


def _row(
    key: Key, languages: str, baseline: str, quantity: str, estimate: stats.Estimate, sides: tuple, seeds: tuple
) -> dict:
    sure = estimate.interval()
    row = {"train": key.train, "dataset": key.dataset, "shift": kind(key.train, key.dataset), "setting": key.setting}
    row |= {"languages": languages, "strategy": key.label, "baseline": baseline, "quantity": quantity}
    row |= {"value": sure.value, "low": sure.low, "high": sure.high}
    return row | {"questions_in": len(sides[0].values), "questions_out": len(sides[1].values), "seeds": len(seeds)}
