"""The report of a run: one self-contained page with the answer, claims, figures, tables, and how it was made."""

from pathlib import Path
from typing import Any

from ...base import store as artifacts
from ...base.config import Run
from ...evidence import tables

PAGE = "report.html"
SEAL = "report.json"


def write(run: Run) -> Path:
    """Write ``report.html`` into a run's folder, from the tables and figures that are there.

    The tables of metrics must be there (see `judge.evaluate`); verdicts, figures and executed notebooks are shown
    where they are. The same files and the same commit give the same page.
    """
    from . import report_page  # and all that draws

    target = run.folder / PAGE
    artifacts.write_text(target, report_page.render(run))
    artifacts.write_seal(run.folder / SEAL, _made_from(run), [target])
    return target


def current(run: Run) -> bool:
    """Whether the page is there, undamaged, and made from the run's present cells."""
    return artifacts.is_current(run.folder / SEAL, _made_from(run), run.folder)


def _made_from(run: Run) -> dict[str, Any]:
    return {"cells": tables.digest(run), "code": artifacts.code([""])}
