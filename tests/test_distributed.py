"""Several processes for one training: they share the batches of one process, and end with its losses and weights."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import distributed_worker as worker
import forked
import numpy as np
import pytest
import synthetic

from lib import __main__ as command
from lib.base import config, paths, processes
from lib.base.errors import UserError
from lib.data.sets import from_rows
from lib.encoders import load as encoders
from lib.runs import cells
from lib.runs import plan as grid
from lib.training.pairs import Pairs
from lib.training.sampling import LanguageBatchSampler

WORKER = Path(worker.__file__)
KILL_AT = 7  # in the second epoch, after the checkpoint of step 6
# Softmax does not see a key's bias: its gradient is rounding alone, which AdamW blows up to full steps.
NO_GRADIENT = "attention.self.key.bias"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(paths.ROOT), "OMP_NUM_THREADS": "1"}


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def launch(*arguments: str, timeout: int = 900) -> subprocess.CompletedProcess:
    """Run a module in two processes by torchrun."""
    where = ["--nproc-per-node=2", "--master-addr=127.0.0.1", f"--master-port={free_port()}"]
    line = [sys.executable, "-m", "torch.distributed.run", *where, *arguments]
    return subprocess.run(line, cwd=paths.ROOT, env=environment(), capture_output=True, text=True, timeout=timeout)


def train_together(server: forked.Server, *arguments: object) -> list[subprocess.CompletedProcess]:
    """Run the worker in two processes with what torchrun tells them."""
    told = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    ranks = [environment() | told | {"RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]
    jobs = [forked.job([WORKER, *arguments], paths.ROOT, one) for one in ranks]
    return server.run(*jobs, together=True)


def assert_same_weights(found: dict, expected: dict) -> None:
    for name, values in expected.items():
        if NO_GRADIENT not in name:
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def losses(log: dict) -> list[float]:
    return [step["loss"] for step in log["steps"]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    worker.write_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def alone(encoder, tmp_path_factory):
    """Log, texts and weights of a training by one process."""
    return worker.fit(encoder, tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def together(encoder, forking, tmp_path_factory):
    """A folder with what two processes made: ``left``, the checkpoints of a training of which the second was killed in
    the second epoch; ``resumed``, the same to its end; ``unbroken``; and ``validated``.
    """
    folder = tmp_path_factory.mktemp("together")
    ended = train_together(forking, encoder, folder, "resumed", KILL_AT)
    assert ended[1].returncode == -signal.SIGKILL and ended[0].returncode != 0
    assert not list(folder.glob("*.json"))
    shutil.copytree(folder / "resumed", folder / "left")
    for done in train_together(forking, encoder, folder, "resumed,unbroken,validated"):
        assert done.returncode == 0, done.stderr
    return folder


def read(folder: Path, name: str) -> list[tuple[dict, list, dict]]:
    """Log, texts and weights of both processes."""
    found = []
    for rank in (0, 1):
        value = json.loads((folder / f"{name}.{rank}.json").read_text())
        found.append((value["log"], value["seen"], dict(np.load(folder / f"{name}.{rank}.npz"))))
    return found


def shares(steps: int) -> list[list[list[str]]]:
    """The first words of the texts that the first and the second process should see, step by step."""
    found = from_rows("made up", worker.rows())
    pairs = Pairs.of(found)
    sampler = LanguageBatchSampler(worker.STRATEGY, pairs, worker.BATCH, worker.SEED)
    rows = [batch.rows for epoch in range(steps) for batch in sampler.batches(epoch)][:steps]
    queries, passages = found.queries["text"].str.split().str[0], found.passages["text"].str.split().str[0]
    half = worker.BATCH // 2
    return [
        [sorted([*queries[pairs.anchor[part]], *passages[pairs.positive[part]]]) for part in (r[:half], r[half:])]
        for r in rows
    ]


# --- two processes ---


@pytest.mark.slow
def test_two_processes_share_the_very_batches_of_one(alone, together):
    (first, seen, _), (second, others, _) = read(together, "unbroken")
    assert [list(pair) for pair in zip(seen, others, strict=True)] == shares(13)
    assert [sorted(a + b) for a, b in zip(seen, others, strict=True)] == alone[1]
    for log in (first, second):
        assert [[s["kind"], s["languages"]] for s in log["steps"]] == [
            [s["kind"], s["languages"]] for s in alone[0]["steps"]
        ]
    assert {"mono", "cross"} == {step["kind"] for step in first["steps"]}


@pytest.mark.slow
def test_losses_and_weights_are_those_of_one_process(alone, together, encoder):
    for log, _, weights in read(together, "unbroken"):
        np.testing.assert_allclose(losses(log), losses(alone[0]), rtol=0, atol=1.1e-5)  # the log has five decimals
        assert_same_weights(weights, alone[2])
    before = encoders.load(encoder, "cpu").state_dict()
    moved = [name for name, values in weights.items() if np.abs(values - before[name].numpy()).max() > 0.01]
    assert len(moved) > 30  # all but the word vectors, the unused pooler and what gets no gradient


@pytest.mark.slow
def test_a_killed_process_ends_the_training_which_then_goes_on_in_order(together):
    resumed, unbroken = read(together, "resumed"), read(together, "unbroken")
    assert [[seen, others] for seen, others in zip(resumed[0][1], resumed[1][1], strict=True)] == shares(13)[6:]
    for (log, _, weights), (whole, _, expected) in zip(resumed, unbroken, strict=True):
        assert log == whole
        assert all(np.array_equal(weights[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_one_process_can_go_on_where_two_were(alone, encoder, together, tmp_path):
    shutil.copytree(together / "left", tmp_path / "resumed")
    log, seen, weights = worker.fit(encoder, tmp_path / "resumed")
    assert seen == alone[1][6:]
    np.testing.assert_allclose(losses(log), losses(alone[0]), rtol=0, atol=1.1e-5)
    assert_same_weights(weights, alone[2])


@pytest.mark.slow
def test_two_processes_validate_and_choose_as_one_does(encoder, together, tmp_path):
    alone, _, expected = worker.fit(encoder, tmp_path / "validated")
    steps = [str(step) for step in alone["validation"]]
    for log, _, weights in read(together, "validated"):
        assert list(log["validation"]) == steps
        np.testing.assert_allclose([*log["validation"].values()], [*alone["validation"].values()], rtol=0, atol=1.1e-5)
        assert log["kept"] == alone["kept"]
        assert_same_weights(weights, expected)
    assert alone["kept"] < max(alone["validation"])  # else the last would do


# --- the command line ---


@pytest.fixture
def asked(own_folders):
    """Arguments of a run of two cells of a tiny encoder, as a person would type them."""
    overrides = ["steps=7", "batch_size=8", "warmup_steps=1", "learning_rate=0.1", "strategies=[none,hybrid]"]
    overrides += synthetic.own_files(own_folders)
    return ["--profile", "smoke", "--cells", "*", *(word for o in overrides for word in ("--set", o))]


@pytest.mark.slow
def test_two_processes_make_the_cells_of_one_and_the_first_alone_writes_and_speaks(asked, own_folders, monkeypatch):
    done = launch("-m", "lib", *asked)
    assert done.returncode == 0, done.stderr
    run = config.load("smoke", asked[5::2])
    none, trained = grid.plan(run.config)
    said = [line.strip().split(":")[0].split(" ")[0] for line in done.stdout.splitlines()]
    assert said == ["run", *(word for cell in (none, trained) for word in (cell.id, *run.config.eval))]
    found = [cells.record(run, cell) for cell in (none, trained)], [cells.ranks(run, cell) for cell in (none, trained)]
    assert (cells.train(run, trained) / "model" / "model.safetensors").exists()

    monkeypatch.setenv("HYBRID_RESULTS", str(own_folders / "alone"))
    monkeypatch.setenv("HYBRID_STORE", str(own_folders / "store alone"))
    assert command.main(asked) == 0
    for record, ranks, cell in zip(*found, (none, trained), strict=True):
        assert record["inputs"] == cells.record(run, cell)["inputs"]
        assert (ranks == cells.ranks(run, cell)).to_numpy().mean() > 0.99  # equal but for a rounding
    np.testing.assert_allclose(losses(found[0][1]["training"]), losses(cells.training_log(run, trained)), atol=1.1e-5)


def refused(arguments, monkeypatch, capsys, processes: int = 3) -> str:
    as_launched = {"WORLD_SIZE": processes, "RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 29500}
    for name, value in as_launched.items():
        monkeypatch.setenv(name, str(value))
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def test_a_batch_that_cannot_be_shared_equally_is_refused_before_any_work(asked, own_folders, monkeypatch, capsys):
    assert "batch_size=8 cannot be shared equally by 3 processes" in refused(asked, monkeypatch, capsys)
    assert not (own_folders / "results").exists() and not (own_folders / "store").exists()


def test_several_processes_run_no_notebooks(monkeypatch, capsys):
    assert "add --cells PATTERN" in refused(["--profile", "smoke"], monkeypatch, capsys, 2)


def test_a_process_that_would_train_on_something_else_is_refused(monkeypatch):
    processes.agree({"train_digest": "a"})  # alone it always agrees
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes, "told", lambda number: number + 1)
    with pytest.raises(UserError, match="process 1 of 2 would train on something else"):
        processes.agree({"train_digest": "b"})
