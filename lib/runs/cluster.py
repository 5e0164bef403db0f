"""Cells and corpus shards as tasks of Ray, on this machine and others (the optional extra ``ray``)::

    cluster.make(run, grid.plan(run.config))
    miracl.evaluate(model, "en", each=cluster.each)

Each piece is a task of its own, which Ray starts again where its worker or machine is lost; the functions, and so the
results, are those that run without it. ``RAY_ADDRESS`` names a cluster that is there already; without it one is
started on this machine alone. Machines of a cluster trust each other: Ray listens without a password, so keep its
ports inside.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from ..base import paths, progress
from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError
from . import cells
from .plan import Cell

RETRIES = 3
AHEAD = 2  # pieces handed out for each that can be worked on: none waits, and few are in memory
PASSED_ON = ("HYBRID_RESULTS", "HYBRID_STORE", "HYBRID_DATA_MIRROR", "IR_DATASETS_HOME")

Item, Found = TypeVar("Item"), TypeVar("Found")


def make(run: Run, chosen: Iterable[Cell]) -> None:
    """Finish cells, each in a task; returns when all are in the run's folder.

    A cell comes back as its two files, so that machines need not share that folder. Those of a shared store go on
    with each other's checkpoints.

    Raises:
        UserError: as `runs.cells.finish`, or a cell's worker died in each attempt.
    """
    missing = [cell for cell in chosen if cells.record(run, cell) is None]
    with progress.task("making cells with Ray", len(missing)) as task:
        for files in each(partial(finished, run), missing):
            for name, content in files.items():
                with artifacts.replacing(run.folder / "cells" / name) as temporary:
                    temporary.write_bytes(content)
            task.advance()


def finished(run: Run, cell: Cell) -> dict[str, bytes]:
    """The files of a cell by name, made if need be: the task that `make` hands out."""
    cells.finish(run, cell)
    return {path.name: path.read_bytes() for path in cells.files(run, cell)}


def each(function: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
    """What ``function`` makes of each item, in the order in which they are done; else as the built-in `map`.

    Items are taken as places get free, so that a corpus larger than memory can be handed out shard by shard.

    Raises:
        UserError: the function's, or an item's worker died in each attempt.
    """
    ray = connected()
    places, needed = _places(ray)
    task = ray.remote(max_retries=RETRIES, **needed)(_apply)
    shared, waiting = ray.put(function), iter(items)
    pending = [task.remote(shared, item) for item in islice(waiting, AHEAD * places)]
    while pending:
        (done,), pending = ray.wait(pending)
        yield _result(ray, done)
        pending += [task.remote(shared, item) for item in islice(waiting, 1)]


def connected() -> Any:
    """Ray, connected to the cluster that ``RAY_ADDRESS`` names, else to one of this machine, started if need be."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError("the package ray is missing; pip install '.[ray]' brings it") from error
    if not ray.is_initialized():
        there = os.environ.get("RAY_ADDRESS")
        here = {} if there else {"address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False}
        variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        variables["PYTHONPATH"] = str(paths.ROOT)
        ray.init(runtime_env={"env_vars": variables}, log_to_driver=False, logging_level="ERROR", **here)
    return ray


def _apply(function: Callable[[Item], Found], item: Item) -> Found:
    return function(item)


def _places(ray: Any) -> tuple[int, dict[str, float]]:
    """How many pieces are worked on at once, and what each needs: a GPU, or where there are none, a whole machine.

    A machine's cores then work on one piece, as without Ray: that keeps its memory, and the last digits.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if gpus := int(sum(node.get("GPU", 0) for node in nodes)):
        return gpus, {"num_gpus": 1, "num_cpus": 1}
    cores = [node["CPU"] for node in nodes if node.get("CPU")]
    return int(sum(count // min(cores) for count in cores)), {"num_cpus": min(cores)}


def _result(ray: Any, done: Any) -> Any:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause)) from None
        raise
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        attempts = f"attempt {RETRIES + 1} of {RETRIES + 1}"
        raise UserError(f"a worker of Ray died at one piece, in {attempts}; has its machine enough memory?") from error
