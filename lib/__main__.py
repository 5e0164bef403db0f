"""The command line behind ``run_all.sh``; ``python -m lib --help`` says what it takes.

Cells can be made by several processes, one a GPU, that train each model together (see `base.processes`)::

    torchrun --nproc-per-node 2 -m lib --profile full --cells '*_seed0'
"""

import argparse
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from .base import paths, processes
from .base.errors import Parser, UserError, told

if TYPE_CHECKING:
    from .base.config import Run

USAGE = f"{paths.COMMAND} [--profile NAME] [--set KEY=VALUE ...] [--dry-run] [more]"


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    from .base import config

    take = Parser(
        prog=paths.COMMAND.removeprefix("./"),
        usage=USAGE,
        allow_abbrev=False,
        description="Runs the notebooks: prepares data, fine-tunes, evaluates, measures bias, draws the figures. "
        "What is done already is not done again.",
    )
    names = ", ".join(config.profiles())
    profiles = f"one of {names}, or the printed name of a run (default: default; with --set: quick)"
    take.add_argument("--profile", help=profiles)
    some = take.add_mutually_exclusive_group()
    some.add_argument("--only", metavar="NOTEBOOK", help="run one notebook, e.g. 03")
    some.add_argument("--from", dest="start", metavar="NOTEBOOK", help="run this notebook and those after it")
    take.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="change a key of the profile"
    )
    take.add_argument("--dry-run", action="store_true", help="say what would be done, and how long it would take")
    take.add_argument(
        "--cells",
        metavar="PATTERN",
        help="make only the cells of these names, such as '*_seed0', run no notebook",
    )
    take.add_argument(
        "--ray", action="store_true", help="with --cells: make them as tasks of Ray (pip install '.[ray]')"
    )
    take.add_argument("--finished", action="store_true", help="make nothing: show what the finished cells say")
    take.add_argument(
        "--table",
        metavar="NAME",
        nargs="?",
        const="main",
        help="print a table, tab-separated: the main one, or e.g. claims; of --profile, or of a run that is named here",
    )
    take.add_argument("--force", action="store_true", help="train and evaluate again, also what is published")
    take.add_argument("--publish", action="store_true", help="then copy figures and tables to where they are tracked")
    take.add_argument("--lab", action="store_true", help="open JupyterLab on this machine, with a token")
    take.add_argument("--allow-root", action="store_true", help="with --lab: also as root, as in a container")
    return take


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 a notebook or the machine failed, 2 a mistake in what was asked."""
    return told(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> int:
    asked = parser().parse_args(arguments)
    asked.profile = profile_of(asked)
    if not (asked.cells or asked.table):
        need_checkout("--lab" if asked.lab else "a run with its notebooks")
    return lab(asked.allow_root) if asked.lab else go(asked)


def profile_of(asked: argparse.Namespace) -> str:
    """The profile that is asked for; without a name `default`, or `quick`, which is what changes alone are made to."""
    return asked.profile or ("quick" if asked.overrides else "default")


def need_checkout(what: str) -> None:
    """Refuse what needs the notebooks of the repository, where the package is installed without it."""
    if not paths.IS_CHECKOUT:
        here = f"{paths.PACKAGE}.Pairs, Strategy and audit, and python -m {paths.PACKAGE}.interop.audit"
        why = "this needs a clone of the repository, whose notebooks are not installed"
        raise UserError(f"{what}: {why}; here are {here}")


def lab(allow_root: bool = False) -> int:
    """JupyterLab of this Python on the loopback address, with its token, in the notebooks' folder.

    Raises:
        UserError: it would run as root, which it does only if it is told so.
    """
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={paths.ROOT}"]
    if os.geteuid() == 0:
        if not allow_root:
            raise UserError("--lab: you are root, and JupyterLab could do all that root can; add --allow-root if meant")
        command.append("--allow-root")
    os.environ.pop(paths.FROM, None)  # in JupyterLab a person stands where its terminal or its notebook does
    os.execv(command[0], command)
    return 0


def go(asked: argparse.Namespace) -> int:
    """Plan, run what is not done, and say where the results are."""
    from .runs import cells, preflight, records
    from .runs import estimate as cost
    from .runs import open as runs
    from .show import notebooks, printed

    check_together(asked)
    processes.hush()
    if processes.count() > 1 and not asked.cells:
        raise UserError("several processes share only the making of cells: add --cells PATTERN, or start one process")
    chosen = notebooks.notebooks(asked.only, asked.start)
    if asked.table:
        if records.is_name(asked.table):
            asked.profile, asked.table = asked.table, printed.MAIN
        print(printed.text(records.load(asked.profile, asked.overrides), asked.table), end="")  # data are not needed
        return 0
    run = runs.open_run(asked.profile, asked.overrides, asked.finished)
    if asked.publish:
        from .show import publish

        publish.check_publishable(run)
    print(runs.banner(run))
    if run.profile == "paper":
        print(cost.gpu(run))
    if asked.cells:
        return make_cells(run, asked.cells, asked.ray)
    if asked.dry_run:
        preflight.work(run, cells.missing(run), fetch=False)
        printed.plan(run, chosen, asked.force)
        return 0
    return go_on(run, chosen, asked)


def go_on(run: "Run", chosen: list[Path], asked: argparse.Namespace) -> int:
    """Execute the notebooks that are not done, then bring tables, figures and report up to date."""
    from .base import progress
    from .base import store as artifacts
    from .runs import cells, preflight
    from .runs import estimate as cost
    from .show import notebooks

    started = time.monotonic()
    if asked.force and run.finished:
        artifacts.clear(run.folder, but="published")
        cells.adopt_published(run)
    elif asked.force:
        preflight.work(run, cells.of(run))
        cells.forget(run)
    elif adopted := cells.adopt_published(run):
        print(f"{len(adopted)} training cells come with this repository, finished; --force makes them anew")
    missing = cells.missing(run)
    preflight.work(run, missing)
    todo = chosen if asked.force or missing else notebooks.not_done(run, chosen)
    if missing:
        print(f"{len(missing)} cells to make: {cost.text(run, missing)}")
    try:
        execute(run, chosen, todo)
    except notebooks.NotebookFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not asked.only:
        mend_tables(run)
    finish(run, bool(todo), asked.publish)
    print(f"{'all done' if todo else 'nothing had changed'}, {progress.duration(time.monotonic() - started)}")
    return 0


def check_together(asked: argparse.Namespace) -> None:
    """Refuse what contradicts itself: cells alone are made without notebooks, and finished ones are not made anew."""
    given = [name for name in ("only", "from", "dry-run", "finished", "force", "publish")
             if getattr(asked, {"from": "start"}.get(name, name.replace("-", "_")))]  # fmt: skip
    if asked.cells and given:
        raise UserError(f"--cells and --{given[0]} do not go together: --cells only makes cells that are missing")
    others = [*given, *(["cells"] if asked.cells else []), *(["ray"] if asked.ray else [])]
    if asked.table and others:
        raise UserError(f"--table and --{others[0]} do not go together: --table only prints a table that is there")
    if asked.ray and not asked.cells:
        raise UserError("--ray needs --cells PATTERN: only cells are made as tasks")
    if asked.finished and asked.force:
        raise UserError("--finished and --force do not go together: the one makes nothing, the other makes all anew")


def execute(run: "Run", chosen: list[Path], todo: list[Path]) -> None:
    """Execute the notebooks that are to do, and say of each how long it took.

    The first two need no tables: meanwhile these are written, if nothing is to be made before.
    """
    from .base import progress
    from .evidence import judge as evidence
    from .show import notebooks as suite

    written = evidence.beside(run) if len(todo) > 2 else nullcontext()
    with written, suite.kernels(run, todo) as ready:
        for path in chosen:
            begun = time.monotonic()
            if path not in todo:
                print(f"{path.stem}: nothing changed, nothing to do")
                continue
            print(f"{path.stem}: running", flush=True)
            suite.execute(run, path, next(ready))
            print(f"{path.stem}: done in {progress.duration(time.monotonic() - begun)}")


def make_cells(run: "Run", pattern: str, ray: bool = False) -> int:
    """Train and evaluate the cells whose names match, one after the other or by Ray; for a share of a large run."""
    from .base import progress
    from .runs import cells, cluster
    from .runs import plan as grid
    from .runs import preflight as checks
    from .show import printed

    processes.share(run.config.batch_size)
    if processes.rank() == 0:
        cells.adopt_published(run)
    chosen = grid.named(run, pattern)
    checks.work(run, [cell for cell in chosen if cell.id == pattern or cells.record(run, cell) is None])
    if ray:
        cluster.make(run, chosen)
    for cell in chosen:
        begun = time.monotonic()
        was_done = cells.record(run, cell) is not None
        cells.finish(run, cell)
        if pattern == cell.id:  # named itself: with its model, which a published cell comes without
            cells.train(run, cell)
        took = "was done" if was_done else f"done in {progress.duration(time.monotonic() - begun)}"
        print(f"{cell.id}: {took}", flush=True)
        if processes.rank() == 0 and (pattern == cell.id or not was_done):
            print("\n".join(printed.scores(run, cell)), flush=True)
    processes.leave()
    return 0


def mend_tables(run: "Run") -> None:
    """Write again what is gone, damaged or out of date of the tables of a run whose cells are all finished."""
    from .evidence import judge as evidence
    from .evidence import tables
    from .runs import cells

    if not cells.missing(run) and not (tables.current(run) and evidence.current(run)):
        print("tables: some are missing, damaged or out of date: writing them again")
        evidence.judge(run)


def finish(run: "Run", worked: bool, wanted: bool) -> None:
    """Draw the figures if anything changed, publish if asked, and say where everything is."""
    from .base import config
    from .evidence import tables
    from .figures import drawn
    from .runs import cells
    from .show import printed
    from .show.reporting import report

    if not cells.missing(run) and tables.current(run):
        print(f"\n{printed.text(run, printed.MAIN)}", end="")
        if stale := worked or not drawn.current(run):
            from .figures import gallery  # which takes a second to load

            gallery.save_all(run)
        if stale or not report.current(run):
            report.write(run)
        print(f"\nreport     {paths.shown(run.folder)}/{report.PAGE}")
        print(f"tables     {paths.shown(run.folder)}/metrics.csv and beside it")
        print(f"figures    {paths.shown(run.folder)}/figures")
    print(f"notebooks  {paths.shown(run.folder)}/notebooks (executed .ipynb, and .html to read)")
    if said := printed.closing(run):
        print(f"\n{said}")
    if wanted:
        from .show import publish

        print(f"published  {len(publish.publish(run))} files, to {paths.shown(run.folder)}/published and figures")
    if run.fallback:
        print(config.FACTS_ONLY)


if __name__ == "__main__":
    sys.exit(main())
