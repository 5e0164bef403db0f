"""What somebody has set in the process that a training or an audit runs in changes no number, and stays as it was."""

import json
import random
from contextlib import nullcontext

import numpy as np
import odd_encoders
import pytest
import synthetic
import torch

from lib.base import config, device
from lib.runs import cells
from lib.runs import plan as grid
from lib.runs.preflight import work

STATES = {
    "nothing": nullcontext,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "another device": lambda: torch.device("meta"),
}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Train and score a tiny encoder in a store of its own; gives losses, digest of the ranks and precision."""
    rows = [row | {"split": "test" if n % 2 else "train"} for n, row in enumerate(synthetic.rows(48))]
    file = tmp_path / "my.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [text for row in rows for side in "qp" for text in row[side].values()]
    synthetic.encoder(words).save(str(tmp_path / "tiny"), create_model_card=False)

    def make(name: str) -> tuple[list[float], str, str]:
        for key in ("store", "results"):
            monkeypatch.setenv(f"HYBRID_{key.upper()}", str(tmp_path / name / key))
        mine = [f"encoder={tmp_path / 'tiny'}", f"train={file}", f"eval={file}-heldout"]
        run = config.load("smoke", [*mine, "steps=4", "batch_size=8", "warmup_steps=1", "strategies=[hybrid]"])
        (cell,) = grid.plan(run.config)
        work(run, [cell])
        record = cells.finish(run, cell)
        return [step["loss"] for step in record["training"]["steps"]], record["sha256"], record["made"]["precision"]

    return make


def test_what_is_set_in_torch_changes_no_number(made):
    found = {}
    for name, state in STATES.items():
        with state():
            found[name] = made(name)
    torch.set_default_dtype(torch.bfloat16)
    try:
        found["another type"] = made("another type")
        assert torch.get_default_dtype() == torch.bfloat16
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(one == found["nothing"] for one in found.values())


def test_random_states_are_as_before(made):
    for put in (random.seed, np.random.seed, torch.manual_seed):
        put(7)
    made("a first time")  # some libraries draw when they are imported
    for put in (random.seed, np.random.seed, torch.manual_seed):
        put(7)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    for put in (random.seed, np.random.seed, torch.manual_seed):
        put(7)
    made("again")
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_what_was_set_is_set_again_after_a_failure():
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(ValueError), torch.no_grad(), device.as_fresh():
            assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
            raise ValueError
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_training_in_bfloat16_learns_as_one_in_float32_does(tmp_path, monkeypatch):
    """Step by step the losses are alike; they are not if a step sees weights of the first."""
    monkeypatch.setenv("HYBRID_STORE", str(tmp_path / "store"))
    file = tmp_path / "my.jsonl"
    file.write_text("".join(json.dumps(row | {"split": "train"}) + "\n" for row in synthetic.rows(48)))
    encoder = odd_encoders.whole(tmp_path)
    losses = {}
    for precision in ("float32", "bfloat16"):
        mine = [f"encoder={encoder}", f"train={file}", "eval=facts", f"precision={precision}", "strategies=[hybrid]"]
        mine += ["steps=16", "batch_size=8", "warmup_steps=1", "learning_rate=0.03"]
        run = config.load("smoke", mine)
        log = cells.training_log(run, grid.plan(run.config)[0])
        losses[precision] = np.array([step["loss"] for step in log["steps"]])
    assert losses["float32"][-4:].mean() < losses["float32"][:4].mean() / 2
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], atol=0.02)


@pytest.mark.parametrize("state", [nullcontext, STATES["autocast"], lambda: torch.autocast("cpu", enabled=False)])
def test_weights_that_were_trained_are_used_in_the_next_step(state):
    """Autocast keeps weights that it has cast until the outermost one ends: a step must not see those of another."""
    layer, given = torch.nn.Linear(4, 4), torch.ones(1, 4)
    with state(), device.as_fresh(), device.as_fresh():
        seen = []
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16):
                seen.append(layer(given).detach().float())
            layer.weight.data.add_(1)
    torch.testing.assert_close(seen[1] - seen[0], torch.full((1, 4), 4.0), atol=0.1, rtol=0)
