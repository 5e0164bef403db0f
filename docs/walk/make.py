"""Takes the pictures of README and report in this folder: ``python docs/walk/make.py results/default/report.html``."""

import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import browser  # noqa: E402

# name: what to scroll to, dark or not, and the window
VIEWS = {
    "answer": ("body", False, browser.DESKTOP),
    "claims-dark": ("#claims", True, browser.DESKTOP),
    "figures": ("#figures", False, browser.DESKTOP),
    "phone": ("#main-table", False, browser.PHONE),
}
# About as a code host shows it.
PAGE = """<!doctype html><meta charset="utf-8"><base href="{root}/"><style>
body {{ font: 16px/1.5 sans-serif; color: #1f2328; max-width: 880px; margin: 24px auto; padding: 0 24px }}
h1, h2 {{ border-bottom: 1px solid #d1d9e0; padding-bottom: .3em }} img {{ max-width: 100% }}
table {{ border-collapse: collapse }} td, th {{ border: 1px solid #d1d9e0; padding: 6px 13px }}
code {{ background: #f0f1f3; border-radius: 6px; padding: .2em .4em; font-size: 85% }} a {{ color: #0969da }}
</style>{body}"""


def main(report: Path) -> None:
    """Write ``report-<view>.png`` for each view of a report, and ``readme.png``, the first screen of README."""
    with browser.chromium() as chromium, tempfile.TemporaryDirectory() as scratch:
        for name, (place, dark, window) in VIEWS.items():
            take(chromium, report, f"report-{name}", place, dark, window)
        page = Path(scratch) / "readme.html"
        page.write_text(rendered(ROOT / "README.md"), encoding="utf-8")
        take(chromium, page, "readme", "body", False, browser.DESKTOP)


def take(chromium, page: Path, name: str, place: str, dark: bool, window: dict) -> None:
    with browser.opened(chromium, page.resolve().as_uri(), dark=dark, viewport=window) as (opened, errors):
        opened.locator(place).first.evaluate("part => part.scrollIntoView()")
        browser.screenshot(opened, FOLDER / f"{name}.png")
    if errors:
        sys.exit(f"{page}: {errors[0]}")


def rendered(markdown: Path) -> str:
    """A page of Markdown as HTML."""
    import mistune

    body = mistune.create_markdown(escape=False, plugins=["table"])(markdown.read_text(encoding="utf-8"))
    return PAGE.format(root=ROOT.as_uri(), body=body)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
