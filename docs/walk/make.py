"""Takes the pictures of the report in this folder: ``python docs/walk/make.py results/full/report.html``."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1] / "tests"))

import browser  # noqa: E402

# name: what to scroll to, dark or not, and the window
VIEWS = {
    "answer": ("body", False, browser.DESKTOP),
    "claims-dark": ("#claims", True, browser.DESKTOP),
    "figures": ("#figures", False, browser.DESKTOP),
    "phone": ("#main-table", False, browser.PHONE),
}


def main(report: Path) -> None:
    """Write ``report-<view>.png`` for each view of a report."""
    with browser.chromium() as chromium:
        for name, (place, dark, window) in VIEWS.items():
            with browser.opened(chromium, report.resolve().as_uri(), dark=dark, viewport=window) as (page, errors):
                page.locator(place).evaluate("part => part.scrollIntoView()")
                browser.screenshot(page, FOLDER / f"report-{name}.png")
            if errors:
                sys.exit(f"{report}: {errors[0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
