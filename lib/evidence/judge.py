"""The tables that judge: paired effects, domain shift, overlap, the paper beside ours, and a verdict on each claim."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from ..base import paths
from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError
from ..runs import cells, preflight
from ..runs import open as runs
from ..runs import plan as grid
from . import answer, effects, selection, shift, tables
from .paper import claims, leaks, ledger, verdicts
from .questions import centred, parts, robustness, specification, synergy

TABLES = (
    "effects.csv",
    "domain_shift.csv",
    "synergy.csv",
    "robustness.csv",
    "specification.csv",
    "centring.csv.bz2",
    "overlap.csv",
    "ledger.csv.bz2",
    "claims.csv",
)
ANSWER = "answer.json.gz"
FILES = (*TABLES, ANSWER)
SEAL = "evidence.json"
# By a process of its own, which takes what others leave of the machine.
ALONE = "import json, os, sys; getattr(os, 'nice', id)(19); import lib; lib.judge(lib.open(*json.loads(sys.argv[1])))"


def train(run: Run) -> pd.DataFrame:
    """Train the models of all cells that are not finished; returns one row a training, and writes the log.

    Of cells that share a training the first one; if that one is finished, the others train when they are evaluated.
    """
    preflight.work(run, cells.missing(run))
    rows = []
    for cell in grid.trainings(cells.of(run)):
        log = pd.DataFrame(cells.training_log(run, cell)["steps"])
        losses = log["loss"]
        row = {"encoder": cell.encoder, "train": cell.train, "strategy": cell.label, "seed": cell.seed}
        row |= {"steps": len(log), "monolingual batches": int((log["kind"] == "mono").sum())}
        rows.append(row | {"loss, first 10": losses[:10].mean(), "loss, last 10": losses[-10:].mean()})
    tables.write_training_log(run)
    return pd.DataFrame(rows)


def evaluate(run: Run) -> pd.DataFrame:
    """Finish all cells and write the tables, unless they are there; returns the table of macro means."""
    _evaluate(run)
    return tables.read(run, "metrics.csv")


def _evaluate(run: Run) -> list[tables.Scored]:
    """Do so; returns the arrays of `effects.scores`, if a pass over the ranks was made."""
    preflight.work(run, cells.missing(run))
    for cell in cells.of(run):
        cells.finish(run, cell)
    with artifacts.alone(run.folder / "metrics"):  # of notebooks side by side one writes, the others find it done
        return [] if tables.current(run) else tables.write(run, effects.arrays(run))


def judge(run: Run) -> pd.DataFrame:
    """Finish all cells, write the tables of evidence, unless they are there; returns the verdicts (`claims`)."""
    arrays = _evaluate(run)
    with artifacts.alone(run.folder / "evidence"):
        write(run, arrays)
    return tables.read(run, "claims.csv")


@contextmanager
def beside(run: Run) -> Iterator[None]:
    """Write the tables of a run whose cells are all finished in a process of its own, beside what is done meanwhile.

    Whoever needs them waits for the locks under which they are written. If the process fails, they are left to those.
    """
    if cells.missing(run) or current(run):
        yield
        return
    asked = json.dumps([run.profile, run.overrides, run.finished, run.fallback])
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    known = {**os.environ, paths.FROM: os.environ.get(paths.FROM) or os.getcwd()}
    process = subprocess.Popen([sys.executable, "-c", ALONE, asked], cwd=paths.ROOT, env=known, **silent)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def write(run: Run, arrays: Iterable[tables.Scored] = ()) -> None:
    """Write the tables of evidence of a run whose tables of metrics are there, unless they are current.

    Args:
        arrays: as `effects.scores` takes them.
    """
    if current(run):
        return
    found = effects.scores(run, arrays)
    found |= {key: part for key, part in parts.scores(run).items() if key not in found}
    made: dict[str, pd.DataFrame] = {
        "effects.csv": effects.table(run, found),
        "domain_shift.csv": shift.table(run, found),
        "synergy.csv": synergy.table(found),
        "robustness.csv": robustness.table(found),
        "specification.csv": specification.table(run, found),
        "centring.csv.bz2": centred.table(run, found),
        "overlap.csv": _overlap(run),
        "ledger.csv.bz2": ledger.table(run),
    }
    metrics, log = tables.read(run, "metrics.csv"), tables.read(run, "training_log.csv.bz2")
    made["claims.csv"] = claims.table(
        verdicts.Evidence(run, metrics, log, made["effects.csv"], made["domain_shift.csv"], made["overlap.csv"])
    )
    for name, table in made.items():
        tables.save(run, name, table)
    read = {name: tables.read(run, name) for name in (*TABLES, "metrics.csv", "bias.csv.bz2")}
    text = json.dumps(answer.made(read), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    artifacts.write_text(run.folder / ANSWER, f"{text}\n")
    artifacts.write_seal(run.folder / SEAL, _made_from(run), [run.folder / name for name in FILES])


def _overlap(run: Run) -> pd.DataFrame:
    """The leak check of the same data by the same rules, where it was kept or published; it needs a minute or more.

    Where the texts cannot be had, whatever was published of the same data counts.
    """
    wanted, needs_texts = leaks.inputs(run), runs.lacking(run)
    for folder in (run.folder, *cells.published_folders(run)):
        path, sealed = folder / "overlap.csv", artifacts.read_sealed(folder / SEAL) or {}
        known = sealed.get("leaks") or {}
        same = known == wanted or (needs_texts and known.get("pairs") == wanted["pairs"])
        if same and artifacts.is_as(path, sealed.get("files", {}).get(path.name)):
            return pd.read_csv(path, keep_default_na=False, dtype={"example": str}, skiprows=int(run.fallback))
    return leaks.table(run)


def table(run: Run, name: str) -> pd.DataFrame:
    """A table of a run, as somebody asks for it; says on stderr if it is of other rows, another encoder or code.

    Raises:
        UserError: it is not there yet, and how to make it.
    """
    if not (run.folder / name).exists():
        raise UserError(f"run {run.name} has no table {name} yet; make it: lib.judge(run), or {run.command}")
    warn(run, name, f"make them again: lib.judge(run), or {run.command}")
    return tables.read(run, name)


def main_table(run: Run) -> pd.DataFrame:
    """Return the main table of a run: mAP in the three settings and rank distance, by test set, training and strategy.

    Values are means over seeds; a run of one test set that is not parallel has fewer columns. Says what `table` does.
    """
    return selection.headline(table(run, "metrics.csv"))


def warn(run: Run, name: str, right: str) -> None:
    """Say on stderr if a table is not of the cells that today's data and code would give, and what to do."""
    try:
        if tables.current(run) if name in tables.TABLES else current(run):
            return
    except (UserError, OSError):  # the rows are not here any more, so that nobody can tell
        return
    print(f"these numbers are not those of what is here now (rows, encoder or code); {right}", file=sys.stderr)


def current(run: Run) -> bool:
    """Whether the tables of evidence are there, undamaged, and made from the run's present cells by today's rules."""
    return artifacts.is_current(run.folder / SEAL, _made_from(run), run.folder)


def _made_from(run: Run) -> dict[str, Any]:
    paper = {path.name: artifacts.file_digest(path) for path in sorted(paths.PUBLISHED.glob("*.csv"))}
    return {"digest": tables.digest(run), "rules": tables.rules(), "paper": paper, "leaks": leaks.inputs(run)}
