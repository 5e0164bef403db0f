"""Domain shift, the research question: what does training farther away cost a strategy on one and the same test?

The test is held fixed and the training set changes. For a test, a nearer training set and a farther one, the *shift
cost* of a strategy is C = mAP(trained nearer) - mAP(trained farther), on the very same questions. The answer is
D = C(hybrid) - C(baseline): negative where hybrid batches lose less. The untrained encoder's score cancels out of D.

Comparing gains on *two* tests instead, as was done first, is confounded: where a question has fewer right answers all
differences between strategies are smaller, whatever they were trained on (see ``domain_shift_first.csv``).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, permutations, product
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..base.config import Run
from ..data import catalog as data
from ..evaluation import metrics
from ..runs.plan import NONE
from . import effects, stats
from .effects import ALL, Key, Scores, common_seeds

WIKIPEDIA = {name for name, row in data.SETS.items() if row.is_wikipedia}
BASELINES = ("x-x-mono", "x-y", "en-en", "x-x")
*JUDGED, SHOWN_ONLY = BASELINES  # training with x-x lowers mAP: there is no gain to lose, and nothing to judge
PRIMARY = {"test": "mlqa-r", "nearer": "xquad-r", "setting": "multilingual", "languages": ALL}
FARTHEST = ("parallel-docs", "mmarco", "facts")  # which far training set the answer is about, in this order
COST, DIFFERENCE = "cost", "difference of costs"
NEARER, FARTHER = "difference, nearer", "difference, farther"  # of mAP after training on the one and on the other set
ROBUST = {stats.BETTER: "more robust", stats.WORSE: "less robust"}  # the other words are as they are
HOME, NEAR, FAR = range(3)  # how far a training set is from a test
SHIFTS = {(NEAR, FAR): "far", (HOME, NEAR): "near", (HOME, FAR): "home to far"}
COLUMNS = ["encoder", "test", "nearer", "farther", "setting", "languages", "strategy", "baseline", "quantity", "value"]
COLUMNS += ["low", "high", "clusters", "seeds", "verdict"]
Trained = dict[str, dict[str, Scores]]  # by training set and strategy


@dataclass(frozen=True)
class Task:
    """What costs are measured on: one encoder and test in one setting, after training on either of two sets."""

    encoder: str
    test: str
    nearer: str
    farther: str
    setting: str


class Number(NamedTuple):
    """One number of a task: a cost of ``strategy``, or a difference of it from ``baseline``."""

    task: Task
    languages: str
    quantity: str
    strategy: str
    baseline: str
    estimate: stats.Estimate

    @property
    def of(self) -> tuple[str, ...]:
        """What it measures, whichever sets are trained on."""
        return self.task.encoder, self.task.test, self.task.setting, *self[1:5]


def table(run: Run, found: dict[Key, Scores]) -> pd.DataFrame:
    """Costs of all strategies, D of hybrid (alpha .5) against each baseline, and the plain differences beside it.

    Rows of ``languages``: all; where a training set lacks languages of the test, those that both have and those that
    one of them lacks; and each query language. ``verdict`` of D: more robust, less robust, equivalent (not
    surely different, and the whole interval within .01 mAP) or open; of a plain difference better, worse, equivalent or
    open (see `words`). ``clusters`` are articles. Where trainings have one seed, how seeds vary is taken to be as
    after the trainings of several seeds on the same test, if there are any; else the interval is over articles alone.
    """
    numbers: list[Number] = []
    for task in tasks(found):
        place = task.encoder, task.test, task.setting
        sources = {source: effects.by_label(found, source, *place) for source in (task.nearer, task.farther)}
        labels = [label for label in sources[task.nearer] if label in sources[task.farther]]
        if labels:
            sources = {name: {label: part[label] for label in labels} for name, part in sources.items()}
            numbers += _numbers(run, task, sources)
    alike = stats.pooled_by((one.of, one.estimate) for one in numbers)
    families = groupby(numbers, lambda one: (one.task, one.languages, one.quantity))
    return pd.DataFrame([row for _, family in families for row in _rows(list(family), alike)], columns=COLUMNS)


def tasks(found: Iterable[Key]) -> list[Task]:
    """Every test with two of its training sets at different distances, in each setting; encoders in their order."""
    keys = [k for k in found if k.metric == "map" and k.train != NONE and not k.dataset.endswith("-heldout")]
    encoders, tests = dict.fromkeys(key.encoder for key in found), sorted({key.dataset for key in keys})
    made = []
    for place in product(encoders, tests, reversed(metrics.SETTINGS)):
        encoder, test, setting = place
        trains = sorted({key.train for key in keys if (key.encoder, key.dataset, key.setting) == place})
        pairs = [pair for pair in permutations(trains, 2) if distance(test, pair[0]) < distance(test, pair[1])]
        made += [Task(encoder, test, nearer, farther, setting) for nearer, farther in pairs]
    return made


def distance(test: str, train: str) -> int:
    """``HOME`` for a set itself, ``NEAR`` between two sets made of Wikipedia, else ``FAR``."""
    if test == train or test.startswith(f"{train}-"):
        return HOME
    return NEAR if {test, train} <= WIKIPEDIA else FAR


def kind(test: str, nearer: str, farther: str) -> str:
    """``near``, ``far`` or ``home to far``, by the distances of the two training sets from the test."""
    return SHIFTS[distance(test, nearer), distance(test, farther)]


def answer(table: pd.DataFrame, test: str = "mlqa-r", encoder: str | None = None) -> pd.DataFrame:
    """The rows of D that make up the answer: the far shift, in one pool, one row per baseline and encoder.

    Args:
        table: as `table` makes it.
        test: ``mlqa-r``, or ``xquad-r`` for the same question with the two benchmarks exchanged.
        encoder: one of them; else all.
    """
    rows = table[(table["quantity"] == DIFFERENCE) & (table["test"] == test) & (table["languages"] == ALL)]
    rows = rows[rows["setting"] == PRIMARY["setting"]]
    rows = rows[rows["encoder"] == encoder] if encoder else rows
    far = [kind(*row) == "far" for row in rows[["test", "nearer", "farther"]].itertuples(index=False)]
    rows = rows[np.array(far, bool)]
    farther = next((name for name in FARTHEST if name in set(rows["farther"])), None)
    return rows[rows["farther"] == farther]


def with_costs(table: pd.DataFrame) -> pd.DataFrame:
    """D of the far shift on MLQA-R, and of its mirror on XQuAD-R, with the costs of hybrid and of the baseline."""
    rows = pd.concat([answer(table, test) for test in ("mlqa-r", "xquad-r")])
    costs = table[(table["quantity"] == COST) & (table["languages"] == ALL)]
    costs = costs.set_index(["encoder", "test", "nearer", "farther", "setting", "strategy"])["value"]
    keys = [tuple(row) for row in rows[["encoder", "test", "nearer", "farther", "setting"]].itertuples(index=False)]
    hybrid = [costs[*key, name] for key, name in zip(keys, rows["strategy"], strict=True)]
    return rows.assign(hybrid=hybrid, cost=[costs[*key, b] for key, b in zip(keys, rows["baseline"], strict=True)])


def verdict(rows: pd.DataFrame) -> str:
    """One word on the rows of `answer` of one encoder: yes, no, mixed or inconclusive; ``not run`` without rows.

    ``yes``: more robust than all baselines that are asked for. ``mixed``: than some. Else ``inconclusive`` if one is
    open, and ``no`` if none is.
    """
    words = rows.loc[rows["baseline"].isin(JUDGED), "verdict"]
    if not len(words):
        return "not run"
    more = words == ROBUST[stats.BETTER]
    if more.any():
        return "yes" if more.all() else "mixed"
    return "inconclusive" if (words == stats.OPEN).any() else "no"


def _numbers(run: Run, task: Task, trained: Trained) -> Iterator[Number]:
    """All numbers of a task: of each group of languages the costs, and hybrid against each baseline."""
    labels, main = list(trained[task.nearer]), effects.hybrid(run)
    if len({part.units for by_label in trained.values() for part in by_label.values()}) > 1:
        raise ValueError(f"{task.test}, {task.setting}: scores of different pairs of languages, or in another order")

    def common(*names: str) -> tuple[int, ...]:
        """The seeds that all have after both trainings."""
        return common_seeds(by_label[name] for by_label in trained.values() for name in names)

    shared = {label: seeds for label in BASELINES if {label, main} <= set(labels) and (seeds := common(label, main))}
    for languages, units in language_groups(run, task, trained[task.nearer][labels[0]]):
        for label in labels:
            if seeds := common(label):
                yield Number(task, languages, COST, label, "", measured(task, trained, label, seeds, units)[COST])
        for quantity, of in ((DIFFERENCE, COST), (NEARER, NEARER), (FARTHER, FARTHER)):
            for label, seeds in shared.items():
                one, other = (measured(task, trained, name, seeds, units)[of] for name in (main, label))
                yield Number(task, languages, quantity, main, label, one - other)


def measured(
    task: Task, trained: Trained, label: str, seeds: tuple[int, ...], units: np.ndarray
) -> dict[str, stats.Estimate]:
    """mAP of a strategy after training on the nearer and on the farther set, and C, its shift cost.

    Args:
        trained: the scores, by training set and strategy.
        units: places of the chosen pairs of languages, in the ``units`` of the scores.
    """
    nearer, farther = (trained[train][label].estimate(seeds, units) for train in (task.nearer, task.farther))
    return {NEARER: nearer, FARTHER: farther, COST: nearer - farther}


def _rows(family: list[Number], alike: Mapping[tuple, stats.Spread]) -> Iterator[dict]:
    """The rows of numbers that are judged together; of one seed with the spread that others of the kind have."""
    sure = [one.estimate.counting(alike.get(one.of)) for one in family]
    judged = {one.baseline: found for one, found in zip(family, sure, strict=True) if one.baseline}
    verdicts = words(judged, family[0].quantity == DIFFERENCE)
    for one, found in zip(family, sure, strict=True):
        row = vars(one.task) | one._asdict() | effects.columns(one.estimate, found)
        yield row | {"verdict": verdicts.get(one.baseline, "")}


def words(found: dict[str, stats.Interval], lower: bool = False) -> dict[str, str]:
    """The verdict on hybrid against each baseline: Holm's correction over all but x-x, which is compared by itself.

    Args:
        found: intervals of hybrid minus each.
        lower: less is better, as of costs; the words are ``more robust`` and ``less robust`` then.
    """
    signed = {label: -one if lower else one for label, one in found.items()}
    asked = {label: one for label, one in signed.items() if label != SHOWN_ONLY}
    said = dict(zip(asked, stats.family(list(asked.values()), effects.MARGIN), strict=True))
    said |= {label: stats.compared(one, effects.MARGIN) for label, one in signed.items() if label == SHOWN_ONLY}
    return {label: ROBUST.get(word, word) if lower else word for label, word in said.items()}


def language_groups(run: Run, task: Task, part: Scores) -> Iterator[tuple[str, np.ndarray]]:
    """Those of `effects.language_groups`, of both training sets; and the units of each query language."""
    yield from effects.language_groups(run, (task.nearer, task.farther), part)
    asked = np.array([unit[0] for unit in part.units])
    for language in dict.fromkeys(asked):
        yield language, np.flatnonzero(asked == language)
