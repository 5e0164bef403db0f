"""The written answer in the project's README, filled from a published run's numbers, and the rows that it rests on."""

import json
from typing import Any

import pandas as pd

from ..base import paths
from ..base import store as artifacts
from ..base.config import Run
from ..evidence import effects, shift
from ..evidence import judge as evidence
from . import texts

QUOTED = "full"  # the run whose numbers the README quotes
BEGIN, END = "<!-- answer: written by run_all.sh --publish -->", "<!-- end of answer -->"
MEANING = (
    "The test is held fixed and the training set changes: C is what multilingual mAP loses when a strategy is trained "
    "on software documentation instead of the other Wikipedia benchmark, D is C of hybrid batches less C of the "
    "baseline; negative means that hybrid is more robust. The word against each baseline is corrected for all of them."
)


def update(run: Run) -> bool:
    """Put the published answer into the README, between its marks; whether there was something to put."""
    if run.name != QUOTED:
        return False
    readme = paths.ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    artifacts.write_text(readme, f"{before}{BEGIN}\n{answer(run)}\n{END}{rest.split(END)[1]}")
    return True


def quoted() -> str:
    """What the README says between its marks."""
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    return text.split(BEGIN)[1].split(END)[0].strip()


def answer(run: Run) -> str:
    """The written answer, with the numbers of a run.

    Raises:
        UntrueTextError: a word of it is no longer true.
    """
    return texts.answer(numbers(run))


def numbers(run: Run) -> dict[str, Any]:
    """The numbers that written texts are filled from, as a run has them (see `lib.evidence.answer`)."""
    return json.loads((run.folder / evidence.ANSWER).read_text(encoding="utf-8"))


def published() -> dict[str, Any]:
    """The numbers of the published run that the README quotes."""
    return json.loads((paths.TRACKED / QUOTED / "published" / evidence.ANSWER).read_text(encoding="utf-8"))


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """D of the far shift on MLQA-R, and of its mirror on XQuAD-R, with the costs of hybrid and of the baseline."""
    rows = pd.concat([shift.answer(table, test) for test in ("mlqa-r", "xquad-r")])
    costs = table[(table["quantity"] == shift.COST) & (table["languages"] == effects.ALL)]
    costs = costs.set_index(["encoder", "test", "nearer", "farther", "setting", "strategy"])["value"]
    keys = [tuple(row) for row in rows[["encoder", "test", "nearer", "farther", "setting"]].itertuples(index=False)]
    hybrid = [costs[*key, name] for key, name in zip(keys, rows["strategy"], strict=True)]
    return rows.assign(hybrid=hybrid, cost=[costs[*key, b] for key, b in zip(keys, rows["baseline"], strict=True)])
