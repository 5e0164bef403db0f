"""How people write what tables hold: data sets, encoders and strategies, numbers of seeds, lists."""

from collections.abc import Iterable

import pandas as pd

from ..data import catalog
from ..encoders.catalog import ENCODERS
from ..training.strategies import STRATEGIES


def name(key: str) -> str:
    """How people write a data set, an encoder or a strategy: ``xquad-r-heldout`` is XQuAD-R (held-out)."""
    if key in STRATEGIES:
        return STRATEGIES[key].label
    if key in ENCODERS or "/" not in key:
        return (ENCODERS[key].label if key in ENCODERS else "") or catalog.label(key)
    shown = catalog.label(key)  # somebody's own, which may be called like one of ours
    own = shown.removesuffix(" (held-out)")
    return shown.replace(own, f"{own} (own)") if own in catalog.SETS or own in ENCODERS else shown


def capital(text: str) -> str:
    """Return the text with a capital first letter; x-y and mAP keep their own spelling."""
    return text if text.startswith(("x-", "mAP")) else text[0].upper() + text[1:]


def seeds(count: int) -> str:
    """``1 seed``, ``5 seeds``."""
    return f"{count} seed{'s' * (count > 1)}"


def counted_seeds(counts: pd.Series) -> str:
    """``1 seed``, ``5 seeds``, ``2 to 5 seeds``."""
    least, most = int(counts.min()), int(counts.max())
    return f"{least} to {most} seeds" if least < most else seeds(least)


def joined(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = list(parts)
    return f"{', '.join(first)} and {last}" if first else last
