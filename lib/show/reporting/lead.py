"""What a report answers in its first screen: its run's question; on data of one's own what training changed there.

``asked`` names what the page asks; the words for it, and for what its answer means, stand in ``report.html``.
"""

from typing import Any

import pandas as pd
from jinja2.exceptions import UndefinedError

from ...base.config import Run
from ...evidence import judge as evidence
from ...evidence import shift, tables
from ...evidence.paper import verdicts
from ...figures import style
from .. import texts
from . import sheets

MARKS = dict(zip(verdicts.VERDICTS, "●◐○–", strict=True)) | {"yes": "●", "mixed": "◐", "inconclusive": "◐", "no": "○"}


def of_run(run: Run, rows: pd.DataFrame) -> dict[str, Any]:
    """The answer of a run that asks the question, in the words written for it while they are true of it."""
    opening = ""
    try:
        numbers = texts.numbers(run)
        said, opening = texts.short(numbers), texts.opening(numbers)
    except (texts.UntrueTextError, KeyError, UndefinedError):  # of another run than the one that they were written for
        said = style.capital(shift.verdict(shift.answer(tables.read(run, "domain_shift.csv"))))
    return {"asked": "shift", "said": said, "opening": opening, "answer": sheets.answer(rows)}


def readings(run: Run) -> dict[str, str]:
    """What to see in each figure, in the words written for the published run while they are true of this one."""
    try:
        return texts.gallery(texts.numbers(run))
    except (texts.UntrueTextError, KeyError, UndefinedError, FileNotFoundError):
        return {}


def as_published() -> dict[str, Any]:
    """The published answer: this run does not ask the question, or has not judged yet."""
    return {"asked": "published", "said": texts.short(texts.published()), "answer": None}


def of_own(run: Run) -> dict[str, Any]:
    """What training changed on data of one's own: the rows of each strategy, and hybrid against each other one."""
    if not evidence.current(run):
        return {"asked": "own", "said": "Not judged yet", "answer": None}
    return {"asked": "own", "said": "", "answer": sheets.own(run)}


def claims(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """Each claim with the verdict for the first encoder, what it is for the others, and which changed and why."""
    found = []
    for _, same in claims.groupby("id", sort=False):
        first, *rest = rows = same.to_dict("records")
        elsewhere = "; ".join(f"{row['encoder']}: {row['verdict']}" for row in rest)
        since = [f"First published, of {r['encoder']}: {r['first']}; {r['changed']}" for r in rows if r["changed"]]
        found.append(first | {"mark": MARKS[first["verdict"]], "elsewhere": elsewhere, "since": since})
    return found
