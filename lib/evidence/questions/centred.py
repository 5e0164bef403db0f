"""Is it language offset? What is left of each strategy's level, lead and shift cost once language means are subtracted.

Means come from other texts or, for comparison, from the test's own (see `centring`). Cells that were made before
means of other texts were taken hold macro means alone, so their intervals are over seeds only (one cluster).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from ...base.config import Run
from ...data import catalog as data
from ...evaluation import bias, centring
from ...runs import cells
from ...runs.plan import NONE
from .. import effects, shift, stats
from ..effects import Key

NOTHING = "nothing"  # no means are subtracted
LEVEL, LEAD, DIFFERENCE = "mAP", "difference", shift.DIFFERENCE
CHANGE = "change"  # from the encoder as it is: no fine-tuning, nothing subtracted
SHARE = "own language's share of the first ten"
COLUMNS = ["encoder", "test", "train", "farther", "means_of", "setting", "strategy", "baseline", "quantity", "value"]
COLUMNS += ["low", "high", "clusters", "seeds", "verdict"]
Shares = dict[int | None, np.ndarray]  # by seed, what each article adds to the macro mean: float [articles]


@dataclass(frozen=True)
class Family:
    """Comparisons that are judged together, by baseline."""

    source: str
    key: Key
    farther: str
    quantity: str
    made: dict[str, stats.Estimate]

    def named(self) -> Iterator[tuple[tuple, stats.Estimate]]:
        """Each estimate under what it measures, whichever means were subtracted, if any were."""
        measured = self.source == NOTHING, self.key, self.farther, self.quantity
        yield from (((*measured, name), one) for name, one in self.made.items())

    def rows(self, alike: Mapping[tuple, stats.Spread]) -> Iterator[dict]:
        """A row each; of one seed with the spread that others of its name have."""
        sure = {of[-1]: one.counting(alike.get(of)) for of, one in self.named()}
        words = shift.words(sure, lower=self.quantity == DIFFERENCE)
        for name, one in sure.items():
            row = _row(self.source, self.key, name, self.quantity) | _number(self.key, self.made[name], one)
            yield row | {"farther": self.farther, "verdict": "" if np.isinf(one.low) else words[name]}


def table(run: Run, found: dict[Key, effects.Scores]) -> pd.DataFrame:
    """mAP of each strategy and its change from the encoder as it is, hybrid (alpha .5) minus the others, and D, by the
    source of the means; and the share of the first ten passages that are in the language of the question.

    Where means of a source were subtracted after one training alone, how seeds vary is taken to be as with others.

    ``train`` is the nearer and ``farther`` the farther set in rows of D. ``verdict`` as in `evidence.shift.table`.
    """
    every = {(NOTHING, key): _plain(part) for key, part in found.items() if key.metric == "map"}
    # At home cells keep scores alone; what they say with nothing subtracted stands in `evidence.shift`.
    every = {name: shares for name, shares in every.items() if name[1].setting in centring.SETTINGS
             and name[1].train != name[1].dataset}  # fmt: skip
    every |= centred(run)
    rows, families = [], []
    for (source, key), shares in every.items():
        if not key.dataset.endswith("-heldout") and key.dataset in data.LAREQA:
            (level,) = _estimates([shares], _seeds(shares))
            rows.append(_row(source, key, "", LEVEL) | _number(key, level, level.interval()))
            families += _families(every, source, key, effects.hybrid(run))
    alike = stats.pooled_by(pair for one in families for pair in one.named())
    rows += [row for one in families for row in one.rows(alike)]
    rows += _shares(run)
    return pd.DataFrame(rows, columns=COLUMNS)


def centred(run: Run) -> dict[tuple[str, Key], Shares]:
    """What the records of the cells hold of subtracted means, by their source; of the grid's first, then of others."""
    found: dict[tuple[str, Key], Shares] = {}
    for cell in (*cells.of(run), *cells.parts_of(run)):
        record = cells.record(run, cell) or {}
        for dataset, sources in record.get("centred", {}).items():
            for source, read in sources.items():
                for setting, sums in read["articles"].items():
                    key = Key(cell.encoder, cell.train, cell.label, dataset, setting, "map")
                    counts = _counts(dataset, run.config.candidates)
                    found.setdefault((source, key), {}).setdefault(cell.seed, contributions(sums, counts))
        for dataset, read in record.get("vectors", {}).items():
            for row in read["centred"]:
                key = Key(cell.encoder, cell.train, cell.label, dataset, row["setting"], row["metric"])
                if row["metric"] == "map" and row["setting"] in centring.SETTINGS:
                    found.setdefault((centring.OWN, key), {}).setdefault(cell.seed, np.array([row["value"]]))
    return found


def contributions(sums: dict[str, list[float]], counts: dict[str, np.ndarray]) -> np.ndarray:
    """What each article adds to a macro mean over languages, as in `evidence.stats.Estimate`: float [articles].

    Args:
        sums: by language, the sum over each article's questions.
        counts: by language, how many questions of each article there are.
    """
    means = {language: np.sum(values) / counts[language].sum() for language, values in sums.items()}
    off = [(np.array(v) - counts[x] * means[x]) / counts[x].sum() for x, v in sums.items()]
    return np.mean(list(means.values())) + off[0].size * np.mean(off, axis=0)


@cache
def _counts(dataset: str, candidates: str) -> dict[str, np.ndarray]:
    """By language, the number of questions of each article that exist in it."""
    chosen = data.outline(dataset, candidates)
    article = pd.factorize(chosen.questions["group"])[0]
    asked = chosen.queries.groupby("language")["question"]
    return {language: np.bincount(article[rows], minlength=article.max() + 1) for language, rows in asked}


def _plain(part: effects.Scores) -> Shares:
    if not part.seeds:
        return {None: stats.estimate(part.values, part.articles).shares[:, 0]}
    return dict(zip(part.seeds, part.estimate(part.seeds).shares.T, strict=True))


def _estimates(shares: Sequence[Shares], seeds: tuple) -> list[stats.Estimate]:
    """The estimates of some seeds, with the articles of each if all have them; no fine-tuning is the same for each."""
    found = [np.stack([part[None if None in part else seed] for seed in seeds], axis=1) for part in shares]
    if len({len(array) for array in found}) > 1:
        found = [array.mean(axis=0, keepdims=True) for array in found]
    return [stats.Estimate(array) for array in found]


def _seeds(*several: Shares) -> tuple:
    trained = [set(shares) for shares in several if None not in shares]
    return tuple(sorted(set.intersection(*trained))) if trained else (None,)


def _shares(run: Run) -> Iterator[dict]:
    """Means over seeds, without intervals, of what the records hold."""
    found: dict[tuple[str, Key], list[float]] = {}
    for cell in cells.of(run):
        record = cells.record(run, cell) or {}
        tops = {(NOTHING, name): top["counts"] for name, top in record.get("top", {}).items()}
        for dataset, sources in record.get("centred", {}).items():
            tops |= {(source, dataset): read["top"] for source, read in sources.items()}
        for (source, dataset), top in tops.items():
            if dataset in data.LAREQA:
                chosen = data.outline(dataset, run.config.candidates)
                shares = bias.top_shares(np.array(top), chosen.languages, chosen.passages["language"])
                key = Key(cell.encoder, cell.train, cell.label, dataset, "multilingual", "map")
                found.setdefault((source, key), []).append(bias.own_language_share(shares))
    for (source, key), values in found.items():
        seeds = 0 if key.train == NONE else len(values)
        yield _row(source, key, "", SHARE) | {"value": float(np.mean(values)), "clusters": 0, "seeds": seeds}


def _families(every: dict[tuple[str, Key], Shares], source: str, key: Key, main: str) -> Iterator[Family]:
    """The change from no fine-tuning with nothing subtracted; and of hybrid, whose label is ``main``, leads and D.

    Leads are hybrid minus each strategy and no fine-tuning, after the same training. D is against each baseline,
    ``key`` being the nearer training: a family for each farther set.
    """
    before = (NOTHING, replace(key, label=NONE, train=NONE))
    if before in every and before != (source, key):
        yield _family(source, key, CHANGE, {NONE: (every[source, key], every[before])})
    if key.label != main:
        return
    pairs = {}
    for baseline in (NONE, *shift.BASELINES):
        other = (source, replace(key, label=baseline, train=NONE if baseline == NONE else key.train))
        if other in every:
            pairs[baseline] = (every[source, key], every[other])
    yield _family(source, key, LEAD, pairs)
    for far in [k.train for s, k in every if s == source and k == replace(key, train=k.train)]:
        if shift.distance(key.dataset, key.train) < shift.distance(key.dataset, far):
            pairs = {}
            for baseline in shift.BASELINES:
                both = product((key.label, baseline), (key.train, far))
                names = [(source, replace(key, label=label, train=train)) for label, train in both]
                if all(name in every for name in names):
                    pairs[baseline] = tuple(every[name] for name in names)
            yield _family(source, key, DIFFERENCE, pairs, far)


def _family(source: str, key: Key, quantity: str, sides: dict[str, tuple[Shares, ...]], farther: str = "") -> Family:
    """The first of the ``sides`` less the second; of four the first two less the others, judged together."""
    made = {}
    for baseline, shares in sides.items():
        if seeds := _seeds(*shares):
            one, other, *against = _estimates(shares, seeds)
            made[baseline] = (one - other) - (against[0] - against[1]) if against else one - other
    return Family(source, key, farther, quantity, made)


def _row(source: str, key: Key, baseline: str, quantity: str) -> dict:
    row = {"encoder": key.encoder, "test": key.dataset, "train": key.train, "farther": "", "means_of": source}
    row |= {"setting": key.setting, "strategy": key.label, "baseline": baseline, "quantity": quantity}
    return row | {"verdict": ""}


def _number(key: Key, estimate: stats.Estimate, sure: stats.Interval) -> dict:
    """The columns of a number of ``key``: without fine-tuning it has no seeds, and alone no interval."""
    alone = {"low": np.nan, "high": np.nan} if np.isinf(sure.low) else {}
    return effects.columns(estimate, sure) | alone | ({"seeds": 0} if key.label == NONE else {})
