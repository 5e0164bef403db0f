"""The same work on many things, shared by several processes of this machine."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any

COUNT = min(4, os.cpu_count() or 1)  # processes, each of up to 350 MB


def each(work: Callable[[Any], Any], things: Sequence[Any], worth: int = 2) -> list[Any]:
    """What ``work`` makes of each thing, in their order.

    Args:
        work: a function of a module, or a `functools.partial` of one, which other processes can be given.
        things: what it takes, one at a time.
        worth: of fewer things than that it is done here: to start a process takes a second.
    """
    if COUNT > 1 and len(things) >= worth and parent_process() is None:  # not within one of these processes
        try:
            with ProcessPoolExecutor(COUNT, get_context("spawn"), initializer=_ready) as pool:
                return list(pool.map(work, things))
        except (BrokenProcessPool, OSError):  # killed or not started, as where memory is short: here it needs less
            pass
    return [work(thing) for thing in things]


def _ready() -> None:
    """What a process does first: it leaves Ctrl-C to the one that started it, and ends when that one has.

    Remarks on what it reads were made by that one, which read it before.
    """
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()
