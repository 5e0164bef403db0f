"""Two encoders on one parallel set, question by question::

    python -m lib.interop.audit --encoder A --against B --eval my_eval.jsonl

What is compared are the same questions, so that the interval is that of the difference and not of two means.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.errors import UserError
from ..evaluation import metrics
from ..evaluation.measures import MEASURES
from ..evidence import effects, stats
from ..runs import names
from ..show import bias_views
from . import language_audit as audit

COLUMNS = [
    "encoder", "against", "dataset", "setting", "measure", "value", "other", "difference", "low", "high", "verdict",
]  # fmt: skip


def compare(
    encoder: str, other: str, dataset: str, overrides: Sequence[str] = (), others: Sequence[str] | None = None
) -> pd.DataFrame:
    """Set an encoder against another one.

    Args:
        encoder, dataset, overrides: as of `interop.language_audit.audit`.
        others: the overrides of the other encoder, where they are not the same.

    Returns:
        One row a measure: ``encoder, against, dataset, setting, measure, value, other, difference, low, high,
        verdict``. ``low`` and ``high`` end the 95% interval of the difference, over questions. For mAP the verdict is
        ``better``, ``worse``, ``equivalent`` (the interval lies within .01, `evidence.effects.MARGIN`) or ``open``; for
        measures of bias ``higher``, ``lower`` or ``open``.

    Raises:
        UserError: as `interop.language_audit.audit`, or it is one encoder twice.
    """
    if encoder == other:
        raise UserError(f"--against {other}: it is the encoder itself; name another one")
    ranking, _, chosen = audit.measured(encoder, dataset, overrides)
    its_ranking, _, _ = audit.measured(other, dataset, overrides if others is None else others)
    one, two = (audit.precisions(metrics.units(found.ranks), chosen) for found in (ranking, its_ranking))
    rows = [_row(setting, "map", one[setting], two[setting]) for setting in metrics.SETTINGS]
    one, two = (audit.preferences(found, chosen) for found in (ranking, its_ranking))
    rows += [_row(audit.POOL, name, one[name], two[name]) for name in one if name in two]
    return pd.DataFrame(rows).round(6).assign(encoder=encoder, against=other, dataset=dataset)[COLUMNS]


def text(found: pd.DataFrame) -> str:
    """A comparison as people read it: a table, set apart by tabs."""
    lines = [
        {
            "setting": row.setting,
            "measure": "mAP" if row.measure == "map" else bias_views.LABELS.get(row.measure, row.measure),
            "first": _number(row, "value"),
            "second": _number(row, "other"),
            "difference": _number(row, "difference", "+"),
            "95% interval": f"{_number(row, 'low', '+')} to {_number(row, 'high', '+')}",
            "the first is": row.verdict,
        }
        for row in found.itertuples()
    ]
    shown = [names.name(found[column].iloc[0]) for column in ("encoder", "against", "dataset")]
    title = "{} (first) against {} (second) on {}".format(*shown)
    return f"{title}\n\n{audit.aligned(pd.DataFrame(lines))}\n\nIntervals: 95%, over questions alone."


def _row(setting: str, measure: str, one: np.ndarray, two: np.ndarray) -> dict[str, Any]:
    sure = stats.interval(one - two)
    row = {"setting": setting, "measure": measure, "value": stats.macro_mean(one), "other": stats.macro_mean(two)}
    return row | {"difference": sure.value, "low": sure.low, "high": sure.high, "verdict": _verdict(measure, sure)}


def _verdict(measure: str, sure: stats.Interval) -> str:
    """In mAP the word of the one rule of comparison; of other measures, which way the interval lies from 0."""
    if measure == "map":
        return stats.compared(sure, effects.MARGIN)
    return "higher" if sure.low > 0 else "lower" if sure.high < 0 else "open"


def _number(row: Any, name: str, sign: str = "") -> str:
    form = MEASURES[row.measure].form
    return f"{getattr(row, name):{sign}{form}}"
