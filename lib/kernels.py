"""Kernels for the notebooks of a run: while one is at work, the next one starts and imports what takes long."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from lib import paths
from lib.errors import UserError

# Its import takes 5 s; nothing of lib is imported ahead, so that a notebook meets lib as it is when it starts.
LONGEST_PATH = 50  # bytes of a temporary folder: the path of a socket may have 107, and has 50 more than that
SLOW = "import sentence_transformers; del sentence_transformers"


@contextmanager
def ahead(count: int) -> Iterator[Iterator[Any]]:
    """Give ``count`` kernel managers, one after the other; all of their kernels are gone at the end.

    Kernels are of this Python, whatever kernels are installed, and run nobody's start-up files. They are reached
    through a local socket file, not through a port of the machine, and get the environment of the moment: set it
    before. What a notebook made is on disk, so a kernel is not waited for: torch takes a second
    to leave.
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
        for left in reversed(range(count)):
            kernel, following = following, start(f"--IPKernelApp.exec_lines={SLOW}") if left else None
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
