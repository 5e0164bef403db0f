"""How people write what tables call by a key: data sets, encoders and strategies."""

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
