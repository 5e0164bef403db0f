"""Progress of long work: a line that notebooks and the command line can show, quiet where nobody looks.

Work reports to the file that ``HYBRID_PROGRESS`` names (the command line sets it for the notebooks that it runs,
and shows its last line); without it, to the notebook or the terminal that it was called from, else nowhere.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import processes

_listeners: list[Callable[[str], Any]] = []


class Task:
    """A counted piece of work that says how far it is, at most once a second."""

    def __init__(self, title: str, total: int):
        self.title, self.total, self.done = title, total, 0
        self.started = self._said = time.monotonic()

    def advance(self, by: int = 1) -> None:
        """Count ``by`` units as done."""
        self.done += by
        if time.monotonic() - self._said >= 1 or self.done >= self.total:
            self._said = time.monotonic()
            _say(self.line())

    def line(self) -> str:
        """The state in words: what, how far, how long it will still take."""
        spent = time.monotonic() - self.started
        left = spent / self.done * (self.total - self.done) if self.done else 0
        return f"{self.title}: {self.done:,} of {self.total:,}, {duration(left)} left"


def duration(seconds: float) -> str:
    """A length of time for people: ``42 s``, ``3 min 05 s`` or ``2 h 10 min``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def task(title: str, total: int) -> Iterator[Task]:
    """Report on ``total`` units of work while the block runs."""
    try:
        with _line_below_the_cell():
            yield Task(title, total)
    finally:
        if not os.environ.get("HYBRID_PROGRESS") and sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)


@contextmanager
def heard(listener: Callable[[str], Any]) -> Iterator[None]:
    """Give what the work of the block reports to ``listener`` as well, as a notebook shows it in a place of its own."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def _line_below_the_cell() -> Iterator[None]:
    """In a notebook that a person runs, a line that changes in place and is empty at the end."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel") or _listeners or os.environ.get("HYBRID_PROGRESS"):
        yield
        return
    from IPython.display import display

    place = display({"text/plain": ""}, raw=True, display_id=True)

    def show(line: str) -> None:
        place.update({"text/plain": line}, raw=True)

    try:
        with heard(show):
            yield
    finally:
        show("")


def _say(line: str) -> None:
    if processes.rank() > 0:
        return
    for listener in _listeners:
        listener(line)
    if path := os.environ.get("HYBRID_PROGRESS"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    elif sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
