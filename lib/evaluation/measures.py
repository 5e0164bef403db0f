"""The measures by name: what people call each, how its numbers are written, and which way is better.

Their formulas are in `metrics` and `bias`.
"""

from typing import NamedTuple


class Measure(NamedTuple):
    """A measure: its label, whether lower values are better, and the format of its numbers."""

    label: str
    is_lower_better: bool = False
    form: str = ".3f"

    @property
    def heading(self) -> str:
        """The label with an arrow that says which way is better."""
        return f"{self.label} {'↓' if self.is_lower_better else '↑'}"

    def text(self, value: float) -> str:
        """A value as people read it: ``.565``, or ``1,217`` for ranks."""
        return number(value) if self.form == ".3f" else f"{value:{self.form}}"


# In the order of tables and figures.
MEASURES = {
    "map": Measure("mAP"),
    "rank_distance": Measure("rank distance", True, ",.0f"),
    "max_rank": Measure("max rank", True, ",.0f"),
    "complete@10": Measure("complete@10"),
    "complete@100": Measure("complete@100"),
    "awrf": Measure("AWRF"),
    "rank_correlation": Measure("rank correlation"),
    "own_first": Measure("own language first", True),
    "own_share": Measure("own share of top 10", True),
    "share_distance": Measure("top 10 from pool", True),
}
LOWER_IS_BETTER = tuple(name for name, measure in MEASURES.items() if measure.is_lower_better)


def number(value: float, sign: bool = False, places: int = 3) -> str:
    """A share of 1 with ``places`` decimals and no leading zero, as the paper writes mAP: .565, +.012, 1.000."""
    text = f"{value:{'+' if sign else ''}.{places}f}"
    return text.replace("0.", ".", 1).replace("-", "−") if abs(value) < 0.9995 else text.replace("-", "−")


def difference(value: float) -> str:
    """A difference, with its sign unless it is 0 to three decimals; the ends of intervals keep theirs, which counts."""
    return number(value, sign=True) if abs(value) >= 0.0005 else number(0)
