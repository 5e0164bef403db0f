"""The explorer as a person meets it: in JupyterLab, in a browser. ``python tests/test_explorer_browser.py`` makes the
pictures of ``docs/walk``."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import browser
import nbformat
import pytest
import synthetic

from lib.base import config, paths
from lib.runs import cells
from lib.runs import open as runs
from lib.runs import plan as grid
from lib.show.explore import explorer

LISTS = ".explorer .lists"
PICTURES = paths.ROOT / "docs" / "walk"
WINDOW = {"width": 1280, "height": 1000}


@contextmanager
def jupyterlab(folder: Path, dark: bool = False, parameters: str = "", **environment: str) -> Iterator[str]:
    """JupyterLab with a copy of the notebook, as `lib.__main__.lab` starts it; gives the notebook's address.

    Settings, kernels, results and the store lie in ``folder``; ``parameters`` take the place of the first code cell.
    """
    for module in ("jupyterlab", "ipywidgets"):
        pytest.importorskip(module, reason=f"no explorer in JupyterLab: pip install {module}")
    (folder / "notebooks").mkdir()
    notebook = nbformat.read(paths.NOTEBOOKS / "explore.ipynb", nbformat.NO_CONVERT)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source = parameters or first.source
    nbformat.write(notebook, folder / "notebooks" / "explore.ipynb")
    kernel = folder / "data" / "kernels" / "hybrid-batches" / "kernel.json"
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    for path, content in {
        kernel: {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Hybrid batches",
            "language": "python",
        },
        settings / "notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False},
        settings / "themes.jupyterlab-settings": {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"},
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    folders = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
    own = {f"JUPYTER_{name}": str(folder / path) for name, path in folders.items()}
    own |= {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    own |= {"IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": str(paths.ROOT), "HF_HUB_OFFLINE": "1"}
    own |= {"HYBRID_RESULTS": str(folder / "results"), "HYBRID_STORE": str(folder / "store")} | environment
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--IdentityProvider.token={token}"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", f"--ServerApp.root_dir={folder}"]
    with open(folder / "jupyterlab.log", "w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=folder)
        try:
            _wait(f"http://127.0.0.1:{port}/api?token={token}", server, folder / "jupyterlab.log")
            yield f"http://127.0.0.1:{port}/lab/tree/notebooks/explore.ipynb?token={token}"
        finally:
            server.terminate()  # and its kernels with it
            server.wait(20)


def _wait(address: str, server: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.3)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def run_all(page) -> None:
    """Run all cells, and wait for the explorer's lists."""
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    page.get_by_text("Hybrid batches | Idle").wait_for(timeout=60_000)
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    page.locator(".explorer-controls").wait_for(timeout=90_000)
    page.locator(LISTS).wait_for()


def changed(page, before: str) -> str:
    """The text of the lists once it is another."""
    page.wait_for_function(
        "([lists, before]) => document.querySelector(lists).innerText !== before", arg=[LISTS, before]
    )
    return page.locator(LISTS).inner_text()


def ask(page, label: str, text: str) -> None:
    """Write a text into a field and leave it by Enter."""
    page.get_by_label(label, exact=True).fill(text)
    page.get_by_label(label, exact=True).press("Enter")


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as started:
        yield started


@pytest.mark.slow
def test_choose_compare_and_type_in_jupyterlab(chromium, kept, tmp_path):
    synthetic.store_with(kept, tmp_path)
    with synthetic.folders(tmp_path):  # finished: what is quick to make hangs on how busy the machine is
        smoke = config.load("smoke")
        for cell in grid.plan(smoke.config):
            if cell.label in ("x-y", "hybrid-0.5"):
                cells.finish(smoke, cell)
    with jupyterlab(tmp_path) as address, browser.opened(chromium, address, viewport=WINDOW) as (page, errors):
        run_all(page)
        lists = page.locator(LISTS)
        assert lists.locator("h3").all_inner_texts() == [
            "no fine-tuning static",
            "hybrid 0.5 static trained on the facts corpus, seed 0",
        ]
        assert lists.locator("tbody tr").count() == 20
        quiet = list(errors)  # what JupyterLab itself says while it starts

        before = lists.inner_text()
        page.get_by_label("Query language").select_option("Arabic (ar)")
        before = changed(page, before)
        question = page.locator(".explorer .question")
        assert (question.get_attribute("lang"), question.get_attribute("dir")) == ("ar", "rtl")
        assert question.evaluate("element => getComputedStyle(element).direction") == "rtl"

        options = page.locator(".explorer-controls datalist option")
        ask(page, "Question", options.nth(40).get_attribute("value"))
        before = changed(page, before)
        assert page.locator(".explorer .ranks tbody tr").count() == 2

        page.get_by_label("Left").select_option("x-y, static trained on the facts corpus, seed 0")
        before = changed(page, before)
        assert lists.locator("h3").first.inner_text() == "x-y static trained on the facts corpus, seed 0"

        ask(page, "Or ask", "Which currency is used in Japan?")
        before = changed(page, before)
        assert "no right answers are known" in page.locator("div.explorer").inner_text()
        assert page.locator(".explorer .ranks").count() == 0
        assert not [line for line in errors[len(quiet) :] if "favicon" not in line]


def walk(chromium, folder: Path, **environment: str) -> None:
    """The pictures of ``docs/walk``: comparing, another script, a question of one's own in the dark.

    Of models of `quick` on the facts corpus, whose texts are nobody else's.
    """
    with synthetic.folders(folder):
        run = runs.open_run("quick", facts=True)
        for cell in grid.plan(run.config):
            if cell.strategy in (grid.NONE, "hybrid"):
                cells.finish(run, cell)
                explorer.retriever(run, cell, run.config.eval[0])
    parameters = 'profile, overrides, finished, facts = "quick", [], True, True'
    kept = {"HYBRID_STORE": str(folder / "store"), "HYBRID_RESULTS": str(folder / "results")} | environment
    for name, dark in (("light", False), ("dark", True)):
        (folder / name).mkdir()
        with (
            jupyterlab(folder / name, dark, parameters, **kept) as address,
            browser.opened(chromium, address, dark, viewport=WINDOW) as (page, _),
        ):
            run_all(page)
            page.keyboard.press("Control+b")  # closes the list of files
            before = page.locator(LISTS).inner_text()
            if dark:
                ask(page, "Or ask", "Where in the world is Khartoum?")
                picture(page, before, "explorer-own-question-dark.png")
            else:
                ask(page, "Question", "101 · Where in the world is this place: Khartoum?")
                picture(page, before, "explorer-compare.png")
                before = page.locator(LISTS).inner_text()
                page.get_by_label("Query language").select_option("Arabic (ar)")
                picture(page, before, "explorer-arabic.png")


def picture(page, before: str, name: str) -> None:
    """Save what the page shows once the lists are others than before."""
    changed(page, before)
    page.locator(".explorer-controls").evaluate("element => element.scrollIntoView({block: 'start'})")
    page.wait_for_timeout(500)
    browser.screenshot(page, PICTURES / name)


if __name__ == "__main__":
    with browser.chromium() as started, tempfile.TemporaryDirectory() as scratch:
        walk(started, Path(scratch))
