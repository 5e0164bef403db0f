"""How long the explorer takes to answer, once models and vectors are loaded: choosing a question, and asking one's own.

    .venv/bin/python -m benchmarks.explorer [PROFILE]

Each answer is two rankings of the whole pool and the page that shows them; medians and the slowest of 30. Models that
the store does not hold are trained first where that is quick (`smoke`); else the first data set's are asked for.
"""

import statistics
import sys
import time

from benchmarks import measured
from lib.runs import open as runs
from lib.show.explore import widgets as explorer_view

QUESTIONS = 30


def main() -> None:
    run = runs.open_run(sys.argv[1] if len(sys.argv) > 1 else "smoke")
    view = explorer_view.Explorer(run)
    result = {"profile": run.name, "passages": {}, "choosing, ms": {}, "asking, ms": {}}
    for name in view.models:
        view.dataset.value = name
        chosen = view.question.options[:: max(1, len(view.question.options) // QUESTIONS)][:QUESTIONS]
        own = [text.split(" · ", 1)[1] for text in chosen]
        result["passages"][name] = len(view.chosen().passages)
        result["choosing, ms"][name] = spread([milliseconds(view.question, text) for text in chosen[1:]])
        milliseconds(view.own, "models are loaded for the first")
        result["asking, ms"][name] = spread([milliseconds(view.own, text) for text in own])
    measured.write("explorer", result)


def milliseconds(control: object, text: str) -> float:
    """Milliseconds from a change of a control to the answer."""
    begun = time.perf_counter()
    control.value = text
    return 1000 * (time.perf_counter() - begun)


def spread(found: list[float]) -> dict[str, float]:
    return {"median": statistics.median(found), "slowest": max(found)}


if __name__ == "__main__":
    main()
