"""How numbers are put into words: differences, how many seeds, how many verdicts."""

from collections.abc import Iterable

import pandas as pd

from ..base import paths
from ..evaluation.measures import number

VERDICTS = ("reproduced", "partly", "not reproduced", "not run here")


def difference(value: float) -> str:
    """A difference, with its sign unless it is 0 to three decimals; the ends of intervals keep theirs, which counts."""
    return number(value, sign=True) if abs(value) >= 0.0005 else number(0)


def counted_seeds(counts: pd.Series) -> str:
    """``1 seed``, ``5 seeds``, ``2 to 5 seeds``."""
    least, most = int(counts.min()), int(counts.max())
    return f"{least} to {most} seeds" if least < most else seeds(least)


def seeds(count: int) -> str:
    """``1 seed``, ``5 seeds``."""
    return f"{count} seed{'s' * (count > 1)}"


def verdicts(claims: pd.DataFrame) -> str:
    """How many of the paper's claims came out how, from ``claims.csv``; those on results apart from the others."""
    own = claims[claims["id"].str.fullmatch(r"\d+")]
    listed = pd.read_csv(paths.PUBLISHED / "claims.csv", dtype=str)
    on_results = own["id"].isin(listed.loc[listed["kind"] == "effect", "id"])
    parts = []
    for what, part in (("claims on results", own[on_results]), ("on method and data", own[~on_results])):
        counts = part["verdict"].value_counts()
        said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts)
        waits = " (provisional)" if part["reason"].str.contains("provisional").any() else ""
        parts.append(f"{len(part)} {what}: {said}{waits}")
    return f"Of the paper's {'; of its '.join(parts)}"


def joined(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = list(parts)
    return f"{', '.join(first)} and {last}" if first else last
