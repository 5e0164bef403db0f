"""Kernels for the notebooks of a run: while one is at work, the next one starts and imports what takes long."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from lib.base import paths

# Its import takes 5 s; nothing of lib is imported ahead, so that a notebook meets lib as it is when it starts.
SLOW = "import sentence_transformers; del sentence_transformers"


@contextmanager
def ahead(count: int) -> Iterator[Iterator[Any]]:
    """Give ``count`` kernel managers, one after the other; all of their kernels are gone at the end.

    Kernels are reached through a local socket file, not through a port of the machine, and get the environment of
    the moment: set it before. What a notebook made is on disk, so a kernel is not waited for: torch takes a second
    to leave.
    """
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    started: list[AsyncKernelManager] = []

    def start(*arguments: str) -> AsyncKernelManager:
        connection = str(Path(sockets) / f"{uuid4().hex}.json")  # its sockets get its name
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=connection)
        run_sync(manager.start_kernel)(cwd=str(paths.ROOT), extra_arguments=list(arguments))
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

    with tempfile.TemporaryDirectory() as sockets:
        try:
            yield give()
        finally:
            while started:
                stop()
