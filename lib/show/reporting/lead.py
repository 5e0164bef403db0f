"""What a report answers in its first screen: its run's question; on data of one's own what training changed there."""

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

MEANING = (
    "The test is held fixed and the training set changes: C is what multilingual mAP loses when a strategy is trained "
    "on software documentation instead of the other Wikipedia benchmark, D is C of hybrid batches less C of the "
    "baseline; negative means that hybrid is more robust. The word against each baseline is corrected for all of them."
)
MARKS = dict(zip(verdicts.VERDICTS, "●◐○–", strict=True)) | {"yes": "●", "mixed": "◐", "inconclusive": "◐", "no": "○"}
QUESTION = "Do hybrid batches make a multilingual retriever more robust to another kind of texts?"
AS_PUBLISHED = (
    "As published. This run does not ask the question: that takes two training sets, one nearer to a test than the "
    "other. What it measured is below."
)
NOT_JUDGED = "Not judged yet"
TO_JUDGE = "The notebooks 05 and 06 judge; this page follows them."
ON_OWN = "What did training change on your data?"
OWN_MEANING = (
    "mAP before any fine-tuning and after it with each kind of batches; hybrid minus each of the others, with 95% "
    "intervals: one that excludes 0 is more than chance."
)


def of_run(run: Run, rows: pd.DataFrame) -> dict[str, Any]:
    """The answer of a run that asks the question, in the words written for it while they are true of it."""
    meaning = MEANING
    try:
        numbers = texts.numbers(run)
        said, meaning = texts.short(numbers), f"{texts.opening(numbers)} {MEANING}"
    except (texts.UntrueTextError, KeyError, UndefinedError):  # of another run than the one that they were written for
        said = style.capital(shift.verdict(shift.answer(tables.read(run, "domain_shift.csv"))))
    return {"question": QUESTION, "said": said, "meaning": meaning, "answer": sheets.answer(rows)}


def readings(run: Run) -> dict[str, str]:
    """What to see in each figure, in the words written for the published run while they are true of this one."""
    try:
        return texts.gallery(texts.numbers(run))
    except (texts.UntrueTextError, KeyError, UndefinedError, FileNotFoundError):
        return {}


def as_published() -> dict[str, Any]:
    """The published answer: this run does not ask the question, or has not judged yet."""
    return {"question": QUESTION, "said": texts.short(texts.published()), "meaning": AS_PUBLISHED, "answer": None}


def of_own(run: Run) -> dict[str, Any]:
    """What training changed on data of one's own: the rows of each strategy, and hybrid against each other one."""
    if not evidence.current(run):
        return {"question": ON_OWN, "said": NOT_JUDGED, "meaning": TO_JUDGE, "answer": None}
    return {"question": ON_OWN, "said": "", "meaning": OWN_MEANING, "answer": sheets.own(run)}


def claims(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """Each claim with the verdict for the first encoder, what it is for the others, and which changed and why."""
    found = []
    for _, same in claims.groupby("id", sort=False):
        first, *rest = rows = same.to_dict("records")
        elsewhere = "; ".join(f"{row['encoder']}: {row['verdict']}" for row in rest)
        since = [f"First published, of {r['encoder']}: {r['first']}; {r['changed']}" for r in rows if r["changed"]]
        found.append(first | {"mark": MARKS[first["verdict"]], "elsewhere": elsewhere, "since": since})
    return found
