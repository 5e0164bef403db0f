"""The command line behind ``run_all.sh``; ``python -m lib --help`` says what it takes."""

import argparse
import fnmatch
import os
import sys
import time

from lib import paths
from lib.errors import UserError

USAGE = "./run_all.sh [--profile NAME] [--only NOTEBOOK | --from NOTEBOOK] [--set KEY=VALUE ...] [more]"


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    from lib import config

    take = argparse.ArgumentParser(
        prog="run_all.sh",
        usage=USAGE,
        allow_abbrev=False,
        description="Runs the notebooks: prepares data, fine-tunes, evaluates, measures bias, draws the figures. "
        "What is done already is not done again.",
    )
    take.add_argument("--profile", default="default", help=f"one of {', '.join(config.profiles())} (default: default)")
    some = take.add_mutually_exclusive_group()
    some.add_argument("--only", metavar="NOTEBOOK", help="run one notebook, e.g. 03")
    some.add_argument("--from", dest="start", metavar="NOTEBOOK", help="run this notebook and those after it")
    take.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="change a key of the profile"
    )
    take.add_argument("--dry-run", action="store_true", help="say what would be done, and how long it would take")
    take.add_argument(
        "--cells", metavar="PATTERN", help="make only the cells of these names, such as '*_seed0', and run no notebook"
    )
    take.add_argument("--finished", action="store_true", help="make nothing: show what the finished cells say")
    take.add_argument("--force", action="store_true", help="train and evaluate again, also what is published")
    take.add_argument("--publish", action="store_true", help="then copy figures and tables to where they are tracked")
    take.add_argument("--lab", action="store_true", help="open JupyterLab on this machine, with a token")
    return take


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 a notebook failed, 2 a mistake in what was asked."""
    try:
        asked = parser().parse_args(arguments)
        return lab() if asked.lab else go(asked)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; what is finished is kept: the same command goes on from there", file=sys.stderr)
        return 130


def lab() -> int:
    """JupyterLab on the loopback address, with its token, in the notebooks' folder."""
    command = ["jupyter", "lab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={paths.ROOT}"]
    os.execvp(command[0], command)
    return 0


def go(asked: argparse.Namespace) -> int:
    """Plan, run what is not done, and say where the results are."""
    from lib import cells, cost, runs, suite

    started = time.monotonic()
    chosen = suite.notebooks(asked.only, asked.start)
    run = runs.open(asked.profile, asked.overrides, asked.finished)
    print(runs.banner(run))
    if run.profile == "paper":
        print(cost.estimate(run))
    if asked.cells:
        return make_cells(run, asked.cells)
    if asked.dry_run:
        return show_plan(run, chosen, asked.force)
    if asked.force:
        cells.forget(run)
    elif adopted := cells.adopt_published(run):
        print(f"{len(adopted)} training cells come with this repository, finished; --force makes them anew")
    missing = cells.missing(run)
    todo = [path for path in chosen if asked.force or missing or not suite.is_done(run, path)]
    if missing:
        print(f"{len(missing)} cells to make: {runs.estimate_text(run, missing)}")
    try:
        execute(run, chosen, todo)
    except suite.NotebookFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finish(run, bool(todo), asked.publish)
    print(f"{'all done' if todo else 'nothing had changed'}, {runs.progress.duration(time.monotonic() - started)}")
    return 0


def execute(run: object, chosen: list, todo: list) -> None:
    """Execute the notebooks that are to do, and say of each how long it took."""
    from lib import progress, suite

    with suite.kernels(run, len(todo)) as ready:
        for path in chosen:
            begun = time.monotonic()
            if path not in todo:
                print(f"{path.stem}: nothing changed, nothing to do")
                continue
            print(f"{path.stem}: running", flush=True)
            suite.execute(run, path, next(ready))
            print(f"{path.stem}: done in {progress.duration(time.monotonic() - begun)}")


def make_cells(run: object, pattern: str) -> int:
    """Train and evaluate the cells whose names match, one after the other; for a share of a large run."""
    from lib import cells, progress

    cells.adopt_published(run)
    chosen = [cell for cell in cells.plan(run.config) if fnmatch.fnmatchcase(cell.id, pattern)]
    if not chosen:
        raise UserError(f"--cells {pattern}: no cell of run {run.name} has such a name; --dry-run lists them")
    for cell in chosen:
        begun = time.monotonic()
        was_done = cells.record(run, cell) is not None
        cells.finish(run, cell)
        took = "was done" if was_done else f"done in {progress.duration(time.monotonic() - begun)}"
        print(f"{cell.id}: {took}", flush=True)
    return 0


def show_plan(run: object, chosen: list, force: bool) -> int:
    """Print what a run would do: notebooks, cells, downloads, time."""
    from lib import cells, download, runs, suite

    print("\nNotebooks")
    for path in chosen:
        print(f"  {path.stem:32} {'nothing to do' if not force and suite.is_done(run, path) else 'to run'}")
    print("\nTraining and evaluation")
    todo = []
    for cell in cells.of(run):
        state = "to do"
        if not force and cells.record(run, cell):
            state = "done"
        elif not force and cells.is_published(run, cell):
            state = "comes with the repository"
        else:
            todo.append(cell)
        print(f"  {cell.id:44} scored on {', '.join(cells.evaluated(cell, run.config)):20} {state}")
    print("\nData")
    for name in dict.fromkeys(n.removesuffix("-heldout") for n in (*run.config.train, *run.config.eval)):
        size = sum(file.bytes for file in download.files_of(name)) / 1e6
        named = {"facts": "embedded", "facts-new": "embedded", "mmarco": "33 GB through ir_datasets"}
        source = download.status(name) if size else named.get(name, "your file")
        print(f"  {name:16} {f'{size:.0f} MB, ' if size else ''}{source}")
    if run.profile != "paper":  # its cost, for GPUs, stands above
        print(f"\nEstimate: {runs.estimate_text(run, todo)}")
    return 0


def finish(run: object, worked: bool, wanted: bool) -> None:
    """Draw the figures if anything changed, publish if asked, and say where everything is."""
    from lib import cells, config, gallery, suite, tables

    if not cells.missing(run) and tables.current(run):
        if worked or not (run.folder / "figures").exists():
            gallery.save_all(run)
        print(f"\ntables     {paths.shown(run.folder)}/metrics.csv and beside it")
        print(f"figures    {paths.shown(run.folder)}/figures")
    print(f"notebooks  {paths.shown(run.folder)}/notebooks (executed .ipynb, and .html to read)")
    if wanted:
        print(f"published  {len(suite.publish(run))} files, to {paths.shown(run.folder)}/published and figures")
    if run.fallback:
        print(config.FACTS_ONLY)


if __name__ == "__main__":
    sys.exit(main())
