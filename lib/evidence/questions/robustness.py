"""Effective robustness: what a model scores after training far away, given what its like scores after training near.

Models that are better after near training are mostly better after far training too. So the level far away is held
against the line that all trainings lie along: a strategy above it keeps more than its level near home foretells.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .. import effects, shift, stats
from ..effects import Key, Scores, common_seeds

ALL = "all encoders"
TASK = ["test", "nearer", "farther", "setting"]
COLUMNS = ["line", "encoder", "test", "nearer", "farther", "setting", "strategy", "near", "far", "residual", "low"]
COLUMNS += ["high", "seeds", "slope", "intercept", "cells"]


def table(found: dict[Key, Scores]) -> pd.DataFrame:
    """The residual of each strategy from the fitted line: one line an encoder, and one over all if there are several.

    ``near`` and ``far`` are mAP on the same test after training on the nearer and the farther set, means over seeds.
    The interval is the t interval over seeds, the line taken as it is; with one seed there is none.
    """
    points = pd.DataFrame(_points(found), columns=["encoder", *TASK, "strategy", "seed", "near", "far"])
    lines = [(encoder, part) for (encoder, *_), part in points.groupby(["encoder", *TASK], sort=False)]
    lines += [(ALL, part) for _, part in points.groupby(TASK, sort=False) if part["encoder"].nunique() > 1]
    return pd.DataFrame([row for name, part in lines for row in _residuals(name, part)], columns=COLUMNS)


def _points(found: dict[Key, Scores]) -> Iterator[dict]:
    """Of each strategy and seed mAP near and far, by test and setting; shifts from home, of one seed, make no line."""
    for task in (t for t in shift.tasks(found) if shift.kind(t.test, t.nearer, t.farther) == "far"):
        place = task.encoder, task.test, task.setting
        near, far = (effects.by_label(found, train, *place) for train in (task.nearer, task.farther))
        for label in near:
            if label in far and (seeds := common_seeds([near[label], far[label]])):
                levels = [part.estimate(seeds).shares.mean(axis=0) for part in (near[label], far[label])]
                for seed, x, y in zip(seeds, *levels, strict=True):
                    yield {**vars(task), "strategy": label, "seed": seed, "near": x, "far": y}


def _residuals(name: str, part: pd.DataFrame) -> Iterator[dict]:
    """The rows of a line: how far each strategy of an encoder lies off the least-squares line of all."""
    if part["near"].nunique() < 3:  # any line would do
        return
    slope, intercept = map(float, np.polyfit(part["near"], part["far"], 1))
    off = part.assign(residual=part["far"] - intercept - slope * part["near"])
    keys = ["encoder", *TASK, "strategy"]
    for key, of in off.groupby(keys, sort=False):
        sure = stats.Estimate(of["residual"].to_numpy()[None, :]).interval()
        low, high = (sure.low, sure.high) if len(of) > 1 else (np.nan, np.nan)
        row = {"line": name, **dict(zip(keys, key, strict=True))}
        row |= {"near": of["near"].mean(), "far": of["far"].mean(), "residual": sure.value, "low": low, "high": high}
        yield row | {"seeds": len(of), "slope": slope, "intercept": intercept, "cells": len(part)}
