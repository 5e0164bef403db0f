"""The batch strategies that runs compare: how each is called and drawn; how its batches are made is in `sampling`."""

from typing import Any, NamedTuple


class Look(NamedTuple):
    """How figures and texts show a strategy: its label, colour, marker, and the style of its line if it has one."""

    label: str
    colour: str
    marker: str
    line: Any = None


# In the order of tables and figures. The palette of Okabe and Ito, made for all kinds of colour vision; markers, lines
# and hatches serve grey print.
STRATEGIES = {
    "none": Look("no fine-tuning", "#7F7F7F", "s"),
    "en-en": Look("en-en", "#D55E00", "P", (0, (5, 1, 1, 1, 1, 1))),
    "x-x": Look("x-x", "#CC79A7", "v", "-."),
    "x-x-mono": Look("x-x-mono", "#0072B2", "o", "--"),
    "x-y": Look("x-y", "#E69F00", "^", (0, (1, 1))),
    "hybrid": Look("hybrid", "#009E73", "D", "-"),
}
