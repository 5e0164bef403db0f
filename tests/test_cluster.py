"""Ray: the same cells and the same search with and without it, also when a worker is killed in the middle."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import synthetic

from lib.base import config
from lib.base.errors import UserError
from lib.evaluation import shards as miracl
from lib.runs import cells, cluster
from lib.runs import plan as grid

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def run(folder):
    """A run of four tiny cells, with results and store of its own."""
    overrides = ["steps=4", "batch_size=8", "warmup_steps=1", "strategies=[none,x-x-mono,x-y,hybrid]"]
    return config.load("smoke", [*overrides, *synthetic.own_files(folder)])


@pytest.fixture(scope="module")
def two_nodes(folder):
    """Two machines of one core each, played by this one."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("HYBRID_RESULTS", str(folder / "results"))
        patch.setenv("HYBRID_STORE", str(folder / "store"))
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        started.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", started.address)
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import the tests
        yield started
        ray.shutdown()
        started.shutdown()


def die_once(marker: Path) -> None:
    """Kill the worker, as a machine that fails does, unless that has been done before."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def tell(log: Path, what: str) -> None:
    with open(log, "a") as file:
        file.write(what + "\n")


def finished_after_death(folder: Path, run, cell) -> dict[str, bytes]:
    """As `cluster.finished`; the worker that makes x-y dies at its first attempt, with the model trained."""
    tell(folder / "cells.log", cell.label)
    if cell.label == "x-y":
        cells.train(run, cell)
        die_once(folder / "cell died")
    return FINISHED(run, cell)


FINISHED = cluster.finished


def test_a_worker_that_dies_costs_one_cell_and_the_cells_are_those_made_without_ray(
    run, folder, two_nodes, monkeypatch
):
    plan = grid.plan(run.config)
    monkeypatch.setattr(cluster, "finished", partial(finished_after_death, folder))
    cluster.make(run, plan)
    started = (folder / "cells.log").read_text().split()
    assert sorted(started) == ["hybrid-0.5", "none", "x-x-mono", "x-y", "x-y"]
    assert cells.missing(run) == []
    made = {cell.id: (cells.record(run, cell), cells.files(run, cell)[0].read_bytes()) for cell in plan}
    cluster.make(run, plan)  # nothing is left to do
    assert (folder / "cells.log").read_text().split() == started

    monkeypatch.setenv("HYBRID_RESULTS", str(folder / "alone"))
    monkeypatch.setenv("HYBRID_STORE", str(folder / "store alone"))
    for cell in plan:
        record, table = cells.finish(run, cell), cells.files(run, cell)[0].read_bytes()
        assert {**record, "made": None} == {**made[cell.id][0], "made": None}
        assert table == made[cell.id][1]


def with_a_death(function, log: Path, marker: Path, shard: list) -> object:
    tell(log, shard[0][0])
    if shard[0][0] == "d40":
        die_once(marker)
    return function(shard)


def test_a_search_over_shards_is_the_same_with_a_worker_killed(folder, two_nodes):
    rows = synthetic.rows(100)
    texts = [row["p"]["en"] for row in rows]
    queries = [" ".join(texts[n : n + 3]) for n in range(0, 90, 9)]
    model = synthetic.encoder(texts)
    passages = [(f"d{number}", text) for number, text in enumerate(texts)]
    shards = [passages[start : start + 20] for start in range(0, 100, 20)]

    def each(function, items):
        return cluster.each(partial(with_a_death, function, folder / "shards.log", folder / "shard died"), items)

    counted = []
    docids, scores = miracl.search_by_shard(model, queries, iter(shards), 10, advance=counted.append, each=each)
    expected = miracl.search_by_shard(model, queries, shards, 10)
    assert np.array_equal(docids, expected[0]) and np.array_equal(scores, expected[1])
    assert counted == [20] * 5
    assert sorted((folder / "shards.log").read_text().split()) == ["d0", "d20", "d40", "d40", "d60", "d80"]


def test_few_items_of_many_are_taken_before_they_are_needed(two_nodes):
    taken = []

    def items():
        for number in range(12):
            taken.append(number)
            yield number

    found = cluster.each(abs, items())
    first = next(found)
    assert len(taken) <= 2 * cluster.AHEAD + 1
    assert sorted([first, *found]) == list(range(12))


def raise_mistake(number: int) -> None:
    raise UserError(f"row {number}: no text")


def always_die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_mistakes_and_lost_workers_are_told_in_one_line(two_nodes, monkeypatch):
    with pytest.raises(UserError, match="^row 3: no text$"):
        list(cluster.each(raise_mistake, [3]))
    monkeypatch.setattr(cluster, "RETRIES", 0)
    with pytest.raises(UserError, match="a worker of Ray died at one piece, in attempt 1 of 1"):
        list(cluster.each(always_die, [1]))
