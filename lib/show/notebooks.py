"""Run the notebooks of a run one after the other, each in a kernel of its own, and skip what is done."""

import json
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..base import paths
from ..base import store as artifacts
from ..base.config import Run, as_dict
from ..base.errors import UserError
from ..evidence import tables
from ..runs import cells

ANSI = re.compile(r"\x1b\[[0-9;]*m")


LONGEST_PATH = 50  # bytes of a temporary folder: the path of a socket may have 107, and has 50 more than that
# What is imported ahead; nothing of lib, so that a notebook meets lib as it is when it starts.
TO_SHOW = "import matplotlib.figure, pandas, scipy.special; del matplotlib, pandas, scipy"
TO_TRAIN = "import sentence_transformers; del sentence_transformers"  # 5 s
TRAINS = "lib.replicate("  # in a notebook: it trains also where all cells are there


class NotebookFailed(Exception):
    """A notebook stopped; the message names it, the cell, and the last line of the error."""


def notebooks(only: str | None = None, start: str | None = None) -> list[Path]:
    """The notebooks to run, in order.

    Args:
        only: run just this one, named by its number or its name.
        start: run this one and those after it.
    """
    found = sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    wanted = only or start
    if wanted is None:
        return found
    stem = Path(wanted).stem
    matches = [i for i, path in enumerate(found) if stem in (path.stem, path.stem[:2])]
    if not matches:
        raise UserError(f"notebook '{wanted}' does not exist; choose one of: {', '.join(p.stem for p in found)}")
    return [found[matches[0]]] if only else found[matches[0] :]


def not_done(run: Run, chosen: Sequence[Path]) -> list[Path]:
    """Those of some notebooks that were not executed to their end with this configuration, code and results."""
    settings = _settings(run)
    shown = {None, _results(run)}  # None: it was executed before there were results, which it does not show
    return [
        notebook
        for notebook in chosen
        if not any(
            artifacts.is_current(_marker(run, notebook), _made_from(notebook, settings, each), run.folder / "notebooks")
            for each in shown
        )
    ]


def outputs(run: Run, notebook: Path) -> list[Path]:
    """The executed notebook, and the same as HTML."""
    folder = run.folder / "notebooks"
    return [folder / notebook.name, folder / f"{notebook.stem}.html"]


@contextmanager
def kernels(run: Run, todo: Sequence[Path]) -> Iterator[Iterator[Any]]:
    """Kernels for some notebooks of a run (see `ahead`), whose progress is shown meanwhile."""
    is_made = not cells.missing(run)
    shows = [is_made and TRAINS not in path.read_text(encoding="utf-8") for path in todo]
    with _environment(run), ahead([TO_SHOW if only else TO_TRAIN for only in shows]) as ready:
        yield ready


@contextmanager
def ahead(imports: Sequence[str]) -> Iterator[Iterator[Any]]:
    """Give kernel managers, one after the other; all of their kernels are gone at the end.

    There is one for each of ``imports``, Python that all but the first have run before they are given.
    Kernels are of this Python, whatever kernels are installed, and run nobody's start-up files. They are reached
    through a local socket file, not through a port of the machine, and get the environment of the moment: set it
    before. What a notebook made is on disk, so a kernel is not waited for: torch takes a second to leave.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    started: list[AsyncKernelManager] = []

    def start(*arguments: str) -> AsyncKernelManager:
        connection = str(Path(sockets) / f"{uuid4().hex}.json")  # its sockets get its name
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=connection)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        manager._kernel_spec = KernelSpec(argv=command, display_name="Python 3", language="python")
        clean = {**os.environ, "IPYTHONDIR": sockets}
        run_sync(manager.start_kernel)(cwd=str(paths.ROOT), extra_arguments=list(arguments), env=clean)
        started.append(manager)
        return manager

    def stop() -> None:
        manager = started.pop(0)
        run_sync(manager.shutdown_kernel)(now=True)

    def give() -> Iterator[AsyncKernelManager]:
        following = start()
        for code in (*imports[1:], ""):
            kernel, following = following, start(f"--IPKernelApp.exec_lines={code}") if code else None
            yield kernel
            stop()

    with tempfile.TemporaryDirectory(dir=_short_folder()) as sockets:
        try:
            yield give()
        finally:
            while started:
                stop()


def _short_folder() -> str:
    """A temporary folder whose path leaves room for the name of a socket; those of clusters can be long.

    Raises:
        UserError: there is none.
    """
    places = (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")
    for place in places:
        if len(os.fsencode(place)) <= LONGEST_PATH and os.access(place, os.W_OK | os.X_OK):
            return place
    raise UserError(f"TMPDIR={places[0]}: longer than {LONGEST_PATH} bytes, and {places[1]} cannot be written to")


def execute(run: Run, notebook: Path, kernel: Any) -> None:
    """Execute a notebook in a kernel with papermill, write its HTML, and mark it as done.

    Done is what this function has seen through to its end: the metadata of a notebook whose kernel was killed
    says that all cells are complete.

    Raises:
        NotebookFailed: a cell raised, or the kernel died.
    """
    import papermill

    executed, page = outputs(run, notebook)
    executed.parent.mkdir(parents=True, exist_ok=True)
    _marker(run, notebook).unlink(missing_ok=True)
    parameters = {"profile": run.profile, "overrides": list(run.overrides)}
    parameters |= {name: True for name, wanted in {"finished": run.finished, "facts": run.fallback}.items() if wanted}
    _check_parameters(notebook, parameters)
    with tempfile.TemporaryDirectory(prefix=f".{notebook.stem}.", dir=executed.parent) as scratch:
        target = Path(scratch) / notebook.name
        try:
            papermill.execute_notebook(
                _literal(notebook),
                _literal(target),
                parameters,
                km=kernel,
                progress_bar=False,
                cwd=str(paths.ROOT),
            )
        except Exception as error:  # a cell's exception, a dead kernel, a kernel that does not start
            kept = executed.with_name(f"{notebook.stem}.failed.ipynb")
            if target.exists():
                shutil.move(target, kept)
            raise NotebookFailed(_explain(notebook, error, kept)) from error
        page_text = _html(target)
        target.replace(executed)
    executed.with_name(f"{notebook.stem}.failed.ipynb").unlink(missing_ok=True)
    artifacts.write_text(page, page_text)
    made_from = _made_from(notebook, _settings(run), _results(run))
    artifacts.write_seal(_marker(run, notebook), made_from, outputs(run, notebook))


def _marker(run: Run, notebook: Path) -> Path:
    return run.folder / "notebooks" / f".{notebook.stem}.done.json"


def _settings(run: Run) -> list[Any]:
    """What the output of all notebooks depends on: the code, the configuration and the data."""
    inputs = [cells.made_from(run, cell) for cell in cells.of(run)]
    return [artifacts.code([""]), [run.name, as_dict(run.config), inputs]]


def _made_from(notebook: Path, settings: list[Any], results: str | None) -> dict[str, Any]:
    return {"key": artifacts.digest([artifacts.file_digest(notebook), *settings]), "results": results}


def _results(run: Run) -> str | None:
    """Which results a notebook could show; None while they are not all there, as for the first two."""
    return None if cells.missing(run) else tables.digest(run)


def _check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """papermill injects names that a notebook does not know, and goes on: that run would ignore them."""
    import papermill

    known = papermill.inspect_notebook(_literal(notebook))
    if unknown := sorted(set(parameters) - set(known)):
        raise NotebookFailed(f"{notebook.name}: its parameters cell does not know {', '.join(unknown)}")


def _explain(notebook: Path, error: Exception, kept: Path) -> str:
    """One line for the terminal: which notebook, which cell, what happened."""
    detail = f"{getattr(error, 'ename', type(error).__name__)}: {getattr(error, 'evalue', None) or error}"
    last = ANSI.sub("", detail).strip().splitlines()[0]
    if type(error).__name__ == "DeadKernelError":
        last += ", killed from outside, as it is when the machine runs out of memory"
    number = getattr(error, "cell_index", None)
    if number is None and kept.exists():
        number = _last_started(kept)
    where = f"{notebook.name}, cell {number}" if number is not None else notebook.name
    return f"{where}: {last}" + (f" (see {paths.shown(kept)})" if kept.exists() else "")


def _literal(path: Path) -> str:
    """A path as papermill takes it, for which braces stand for a parameter."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _last_started(notebook: Path) -> int | None:
    """Index of the last code cell that papermill has started, with or without an answer: where a kernel died."""
    try:
        found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except ValueError:  # the notebook itself could not be written to its end, as on a full disk
        return None
    started = [i for i, c in enumerate(found) if c["metadata"].get("papermill", {}).get("start_time")]
    return started[-1] if started else None


def _html(notebook: Path) -> str:
    """The notebook as a page that loads nothing from elsewhere; it has no formulas and no widgets."""
    from nbconvert import HTMLExporter

    page = HTMLExporter(embed_images=True, mathjax_url="", require_js_url="").from_filename(str(notebook))[0]
    return page.replace('<script src=""></script>', "")


@contextmanager
def _environment(run: Run) -> Iterator[None]:
    """What the kernel inherits: the decision on the data, and a file to report progress to, shown meanwhile."""
    with tempfile.NamedTemporaryFile("r", suffix=".progress", encoding="utf-8") as report:
        added = {paths.FROM: os.environ.get(paths.FROM) or os.getcwd()}
        added |= {"HYBRID_PROGRESS": report.name, "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}
        before = {name: os.environ.get(name) for name in added}
        os.environ.update(added)
        stop = threading.Event()
        shower = threading.Thread(target=_show, args=(report, stop), daemon=True)
        shower.start()
        try:
            yield
        finally:
            stop.set()
            shower.join()
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _show(report: Any, stop: threading.Event) -> None:
    """Show the last line of the report: in place at a terminal, else one line a minute."""
    live, waited, shown = sys.stderr.isatty(), 0.0, False
    while not stop.wait(0.5):
        waited += 0.5
        lines = report.read().splitlines()
        if lines and live:
            print(f"\r\x1b[K   {lines[-1]}", end="", file=sys.stderr, flush=True)
            shown = True
        elif lines and waited >= 60:
            print(f"   {lines[-1]}", file=sys.stderr, flush=True)
            waited = 0.0
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
