"""Effective robustness: what a model scores after training far away, given what its like scores after training near.

Models that are better after near training are mostly better after far training too. So the level far away is held
against the line that all trainings lie along: a strategy above it keeps more than its level near home foretells.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .. import shift, stats
from ..effects import Key, Scores, common_seeds

ALL = "all encoders"
COLUMNS = ["line", "encoder", "test", "nearer", "farther", "setting", "strategy", "near", "far", "residual", "low"]
COLUMNS += ["high", "seeds", "slope", "intercept", "cells"]


def table(found: dict[Key, Scores]) -> pd.DataFrame:
    """The residual of each strategy from the fitted line: one line an encoder, and one over all if there are several.

    ``near`` and ``far`` are mAP on the same test after training on the nearer and the farther set, means over seeds.
    The interval is the t interval over seeds, the line taken as it is; with one seed there is none.
    """
    points = pd.DataFrame(_points(found))
    if not len(points):
        return pd.DataFrame(columns=COLUMNS)
    task = ["test", "nearer", "farther", "setting"]
    rows = []
    for (encoder, *where), part in points.groupby(["encoder", *task], sort=False):
        rows += _residuals(encoder, dict(zip(task, where, strict=True)), part)
    for where, part in points.groupby(task, sort=False):
        if part["encoder"].nunique() > 1:
            rows += _residuals(ALL, dict(zip(task, where, strict=True)), part)
    return pd.DataFrame(rows, columns=COLUMNS)


def line(near: np.ndarray, far: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the least-squares line of ``far`` on ``near``."""
    slope, intercept = np.polyfit(near, far, 1)
    return float(slope), float(intercept)


def _points(found: dict[Key, Scores]) -> Iterator[dict]:
    """Of each strategy and seed mAP near and far, by test and setting; shifts from home, of one seed, make no line."""
    for task in (t for t in shift.tasks(found) if shift.kind(t.test, t.nearer, t.farther) == "far"):
        for key, near in found.items():
            if key == Key(task.encoder, task.nearer, key.label, task.test, task.setting, "map"):
                far = found.get(Key(task.encoder, task.farther, key.label, task.test, task.setting, "map"))
                seeds = common_seeds([near, far]) if far is not None else ()
                if seeds:
                    levels = [part.estimate(seeds).shares.mean(axis=0) for part in (near, far)]
                    for seed, x, y in zip(seeds, *levels, strict=True):
                        yield {**vars(task), "strategy": key.label, "seed": seed, "near": x, "far": y}


def _residuals(name: str, where: dict, part: pd.DataFrame) -> Iterator[dict]:
    if part["near"].nunique() < 3:  # any line would do
        return
    slope, intercept = line(part["near"].to_numpy(), part["far"].to_numpy())
    off = part.assign(residual=part["far"] - intercept - slope * part["near"])
    for (encoder, strategy), of in off.groupby(["encoder", "strategy"], sort=False):
        sure = stats.Estimate(of["residual"].to_numpy()[None, :]).interval()
        low, high = (sure.low, sure.high) if len(of) > 1 else (np.nan, np.nan)
        row = {"line": name, "encoder": encoder, **where, "strategy": strategy}
        row |= {"near": of["near"].mean(), "far": of["far"].mean(), "residual": sure.value, "low": low, "high": high}
        yield row | {"seeds": len(of), "slope": slope, "intercept": intercept, "cells": len(part)}
