"""Is it the mixing? Where hybrid batches stand to the two kinds of batches that they are mixed of.

A mixture could be a dial between its parents (x-x-mono and x-y), or more than both. Three contrasts tell: hybrid minus
the mean of its parents, hybrid minus the better parent, and how far hybrid lies off the straight line between them in
the plane of monolingual and multilingual mAP.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...runs.plan import NONE
from .. import effects, shift, stats
from ..effects import Key, Scores, common_seeds

PARENTS = ("x-x-mono", "x-y")
MEAN, BEST, LINE = "mean of parents", "better parent", "line between parents"
MAP, COST, PLACE = "mAP", "cost", "place on the line"
COLUMNS = ["encoder", "test", "train", "farther", "setting", "strategy", "quantity", "against", "value", "low", "high"]
COLUMNS += ["clusters", "seeds", "verdict"]
Trio = tuple[stats.Estimate, stats.Estimate, stats.Estimate]  # of hybrid, x-x-mono and x-y


class Contrast(NamedTuple):
    """One number: of the mixture of ``key``, in a setting, and for costs with the set that is farther."""

    key: Key
    farther: str
    setting: str
    quantity: str
    against: str
    estimate: stats.Estimate

    @property
    def of(self) -> tuple[str, ...]:
        """What it measures, whichever sets are trained on."""
        return self.key.encoder, self.key.dataset, self.key.label, *self[2:5]


def table(found: dict[Key, Scores]) -> pd.DataFrame:
    """The contrasts of every mixture in each setting, in shift costs, and off the line, with 95% intervals.

    ``verdict``: better, worse, equivalent (within .01 mAP) or open, each for itself; of costs less is better. The
    row ``place on the line`` has no interval. Of one seed intervals are as in `evidence.shift`.
    """
    made: list[Contrast] = []
    for key in found:
        foreign = key.train not in (NONE, key.dataset) or key.dataset.endswith("-heldout")
        if key.metric == "map" and key.label.startswith("hybrid-") and foreign:
            made += _levels(found, key)
            if key.setting == "multilingual":
                made += _line(found, key)
    for task in shift.tasks(found):
        made += _costs(found, task)
    alike = stats.pooled_by((one.of, one.estimate) for one in made)
    return pd.DataFrame([_row(one, alike.get(one.of)) for one in made], columns=COLUMNS)


def contrasts(trio: Trio, lower: bool = False) -> dict[str, stats.Estimate]:
    """Hybrid minus the mean of its parents, and minus the better of them: the higher one, with ``lower`` the lower."""
    hybrid, mono, cross = trio
    better = (min if lower else max)(mono, cross, key=lambda part: part.value)
    return {MEAN: hybrid - (mono + cross) * 0.5, BEST: hybrid - better}


def off_line(x: Trio, y: Trio) -> tuple[stats.Estimate, float] | None:
    """Where hybrid stands to the line between its parents, of which ``x`` and ``y`` are the coordinates.

    Returns:
        The distance at right angles from the line, positive on the side where both coordinates are higher, and how far
        along it is, from 0 at the second parent (x-y) to 1 at the first (x-x-mono); None where the parents are one
        point. The distance is exact, its interval holds to first order: the point of the line that is nearest is kept.
    """
    (hx, ax, bx), (hy, ay, by) = x, y
    along = np.array([ax.value - bx.value, ay.value - by.value])
    length = np.linalg.norm(along)
    if length == 0:
        return None
    along = along / length
    across = np.array([-along[1], along[0]])
    across = across if across.sum() >= 0 else -across
    place = float((along * [hx.value - bx.value, hy.value - by.value]).sum() / length)
    apart = [h - (a * place + b * (1 - place)) for h, a, b in ((hx, ax, bx), (hy, ay, by))]
    return apart[0] * across[0] + apart[1] * across[1], place


def _trio(found: dict[Key, Scores], key: Key, seeds: tuple[int, ...], whole: bool = False) -> Trio:
    return tuple(found[replace(key, label=label)].estimate(seeds, whole=whole) for label in (key.label, *PARENTS))


def _shared(found: dict[Key, Scores], *keys: Key) -> tuple[int, ...]:
    """The seeds that a mixture and its parents have; none where one of them was not trained."""
    every = [replace(key, label=label) for key in keys for label in (key.label, *PARENTS)]
    return common_seeds(found[key] for key in every) if all(key in found for key in every) else ()


def _levels(found: dict[Key, Scores], key: Key) -> Iterator[Contrast]:
    if seeds := _shared(found, key):
        for against, estimate in contrasts(_trio(found, key, seeds)).items():
            yield Contrast(key, "", key.setting, MAP, against, estimate)


def _line(found: dict[Key, Scores], key: Key) -> Iterator[Contrast]:
    one = replace(key, setting="monolingual")
    if seeds := _shared(found, key, one):
        where = off_line(_trio(found, one, seeds, whole=True), _trio(found, key, seeds, whole=True))
        if where is not None:
            distance, place = where
            fixed = stats.Estimate(np.full_like(distance.shares, place))
            for quantity, estimate in ((MAP, distance), (PLACE, fixed)):
                yield Contrast(key, "", "monolingual and multilingual", quantity, LINE, estimate)


def _costs(found: dict[Key, Scores], task: shift.Task) -> Iterator[Contrast]:
    for label in effects.by_label(found, task.nearer, task.encoder, task.test, task.setting):
        near = Key(task.encoder, task.nearer, label, task.test, task.setting, "map")
        far = replace(near, train=task.farther)
        if label.startswith("hybrid-") and (seeds := _shared(found, near, far)):
            pairs = zip(_trio(found, near, seeds), _trio(found, far, seeds), strict=True)
            costs = tuple(one - other for one, other in pairs)
            for against, estimate in contrasts(costs, lower=True).items():
                yield Contrast(near, task.farther, task.setting, COST, against, estimate)


def _row(one: Contrast, spread: stats.Spread | None) -> dict:
    sure = one.estimate.counting(spread)
    word = stats.compared(-sure if one.quantity == COST else sure, effects.MARGIN)
    row = vars(one.key) | {"test": one.key.dataset, "strategy": one.key.label} | one._asdict()
    row |= effects.columns(one.estimate, sure) | {"verdict": word}
    return row | ({"low": np.nan, "high": np.nan, "verdict": ""} if one.quantity == PLACE else {})
