"""The numbers of the written answer, by name, as ``answer.json.gz``: texts are filled from it, never composed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from . import effects, selection, shift

NUMBERS = ("value", "low", "high", "clusters", "seeds", "verdict", "near", "far", "residual", "slope", "intercept")
PLACES = 6
NONE = "-"  # the name of an empty key, such as the baseline of a strategy's own cost


def made(found: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """All numbers, by encoder and topic.

    Args:
        found: the tables by file name: those of `evidence.judge`, ``metrics.csv`` and ``bias.csv.bz2``.

    Returns:
        ``{"margin", "encoders": {encoder: {"verdict", "claims", "levels", "shift", "synergy", "robustness",
        "centring", "specification"}}}``; what a topic is nested by stands in ``PATHS``. Numbers of all languages only.
    """
    encoders = dict.fromkeys(found["metrics.csv"]["encoder"])
    return {"margin": effects.MARGIN, "encoders": {name: _of(name, found) for name in encoders}}


PATHS = {
    "levels": ["dataset", "train", "label", "measure"],
    "shift": ["test", "kind", "setting", "quantity", "strategy", "baseline"],
    "synergy": ["test", "train", "farther", "setting", "strategy", "quantity", "against"],
    "robustness": ["line", "test", "kind", "setting", "strategy"],
    "centring": ["test", "train", "farther", "means_of", "setting", "quantity", "strategy", "baseline"],
    "specification": ["setting", "choice", "quantity", "strategy", "baseline"],
}


def _of(encoder: str, found: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    parts = {name: table[table["encoder"] == encoder] for name, table in found.items() if "encoder" in table}
    moved = parts["domain_shift.csv"]
    topics = {
        "levels": levels(parts["metrics.csv"], parts["bias.csv.bz2"]),
        "shift": _with_kind(moved[moved["languages"] == effects.ALL]),
        "synergy": parts["synergy.csv"],
        "robustness": _with_kind(parts["robustness.csv"]),
        "centring": parts["centring.csv.bz2"],
        "specification": parts["specification.csv"],
    }
    claims = parts["claims.csv"]
    return {
        "verdict": shift.verdict(shift.answer(moved)),
        "claims": dict(zip(claims["id"].astype(str), claims["verdict"], strict=True)),
        **{topic: nested(table, PATHS[topic]) for topic, table in topics.items()},
    }


def levels(metrics: pd.DataFrame, bias: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of mAP in each setting, rank distance, and the own language's share of the first ten."""
    maps = metrics[metrics["metric"] == "map"].assign(measure=lambda t: t["setting"])
    distance = metrics[metrics["metric"] == "rank_distance"].assign(measure="rank_distance")
    every = pd.concat([maps, distance, bias[bias["measure"] == "own_share"]])
    every = every.assign(label=selection.labels(every).str.replace(" ", "-"))
    grouped = every.groupby(["dataset", "train", "label", "measure"], sort=False)
    return grouped.agg(value=("value", "mean"), seeds=("seed", "nunique")).reset_index()


def nested(table: pd.DataFrame, path: list[str]) -> dict[str, Any]:
    """The numbers of each row, under the names in its columns ``path``."""
    result: dict[str, Any] = {}
    for row in table.to_dict("records"):
        place = result
        for name in path:
            key = row[name]
            place = place.setdefault(NONE if pd.isna(key) or key == "" else str(key), {})
        place.update({name: _plain(row[name]) for name in NUMBERS if name in row})
    return result


def _with_kind(table: pd.DataFrame) -> pd.DataFrame:
    names = table[["test", "nearer", "farther"]].itertuples(index=False)
    return table.assign(kind=[shift.kind(*row) for row in names])


def _plain(value: Any) -> Any:
    """As a JSON value: rounded, and None for what is missing or without bounds."""
    if isinstance(value, str):
        return value
    if pd.isna(value) or np.isinf(value):
        return None
    return round(float(value), PLACES) if isinstance(value, float | np.floating) else int(value)
