"""A headless Chromium for tests of pages; skipped, with a word, where there is none.

A test module keeps one browser open for itself, and no longer: Playwright holds an event loop, in which no notebook
can be executed::

    @pytest.fixture(scope="module")
    def chromium():
        with browser.chromium() as started:
            yield started

    def test_a_page_is_quiet(chromium):
        with browser.opened(chromium, path.as_uri()) as (page, errors):
            page.get_by_role("button", name="Compare").click()
            assert browser.violations(page) == []
        assert errors == []
"""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"width": 380, "height": 760}
DESKTOP = {"width": 1200, "height": 860}


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser of PATH, started headless, as Playwright's ``Browser``; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser test: pip install playwright")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser test: none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as started:
        # In a container there is no user namespace for the sandbox; the pages are our own.
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, url: str, dark: bool = False, **settings: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page at ``url`` in a context of its own, and the list of what goes wrong in it, which grows while it is open.

    Args:
        browser: what `chromium` gives.
        url: for a file, ``path.as_uri()``.
        dark: whether the reader prefers dark colours.
        settings: of Playwright's ``new_context``, such as ``viewport=PHONE``.
    """
    colours = "dark" if dark else "light"
    context = browser.new_context(
        **{"viewport": DESKTOP, "color_scheme": colours, "reduced_motion": "reduce"} | settings
    )
    page, errors = context.new_page(), []
    page.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda asked: errors.append(f"not loaded: {asked.url}"))
    try:
        page.goto(url)
        yield page, errors
    finally:
        context.close()


def tree(text: str, part: bool = False) -> Any:
    """A page, or a part of one, as an element tree; fails at what the HTML standard calls a parse error."""
    from tinyhtml5.parser import HTMLParser

    parser = HTMLParser(namespace_html_elements=False)
    found = parser.parse_fragment(text) if part else parser.parse(text)
    assert parser.errors == []
    return found


def violations(page: Any, only: str | None = None) -> list[str]:
    """What axe finds wrong with a page for people who use a keyboard, a screen reader or high contrast.

    Args:
        only: one rule of axe, such as ``color-contrast``; else all.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    options = {"runOnly": {"type": "rule", "values": [only]}} if only else None
    found = axe.Axe().run(page, options=options).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


def screenshot(page: Any, path: Path, most_bytes: int = 200_000, **settings: Any) -> None:
    """Write what a page shows as a PNG for the documentation, in as many colours as ``most_bytes`` allow."""
    picture = Image.open(io.BytesIO(page.screenshot(**settings))).convert("RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in (256, 128, 64, 32, 16):
        few = picture.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
        if path.stat().st_size <= most_bytes:
            return
    raise ValueError(f"{path.name} is larger than {most_bytes} bytes even in 16 colours: show less of the page")
