"""The cost estimate: worked by hand for a small run, and its constants against what they stand for."""

import csv
import json
from collections import Counter
from dataclasses import replace

import pytest
import torch

from lib.base import config, device, paths
from lib.data.catalog import SETS
from lib.data.released import mmarco
from lib.encoders.catalog import ENCODERS
from lib.runs import estimate as cost
from lib.runs import plan

SETTINGS = [
    "encoder=xlm-r", "train=[xquad-r]", "eval=[mlqa-r]", "strategies=[none, x-y, x-x-mono]", "seeds=[0, 1]",
    "steps=1000", "batch_size=100", "max_tokens=128",
]  # fmt: skip


def estimate(*overrides: str) -> cost.Cost:
    last = {text.split("=")[0]: text for text in (*SETTINGS, *overrides)}
    return cost.gpu(config.load("quick", list(last.values())))


def test_a_small_run_worked_by_hand():
    found = estimate()
    # 4 trainings of 1,000 steps; 100 x (32 + 128) = 16,000 tokens a step; 6 x 86e6 x 16,000 = 8.256e12 a step
    assert found.training_hours == pytest.approx(4 * 1000 * 8.256e12 / 1.248e14 / 3600)
    # 5 cells, each encodes 24,733 texts of 128 tokens, 2 x 86e6 each
    assert found.encoding_hours == pytest.approx(5 * 24_733 * 128 * 172e6 / 1.248e14 / 3600)
    # 278e6 parameters of 4 bytes: the encoder, 4 models, and 2 checkpoints of 3 times the weights
    assert found.disk == pytest.approx(1.112e9 * (1 + 4 + 6))
    assert found.gpu_memory == pytest.approx(4 * 1.112e9 + 16_000 * 34 * 12 * 768)
    assert found.memory == pytest.approx(2 * 1.112e9 + 2e9)


def test_held_out_questions_share_the_pool_and_evaluation_needs_no_training():
    alone = estimate("strategies=[none]")
    assert alone.training_hours == 0
    assert estimate("strategies=[none]", "eval=[mlqa-r, mlqa-r-heldout]").encoding_hours == alone.encoding_hours


def test_triples_cost_a_second_passage_the_download_and_the_memory_of_the_sample():
    pairs, triples = estimate(), estimate("train=[mmarco]")
    assert triples.training_hours / pairs.training_hours == pytest.approx((32 + 2 * 128) / (32 + 128))
    sample = mmarco.TRIPLES * 7_500
    assert triples.disk - pairs.disk == pytest.approx(33.2e9 + sample)
    assert triples.memory - pairs.memory == pytest.approx(7 * sample)


def test_labse_costs_the_hours_of_xlm_r_and_the_memory_of_its_larger_vocabulary():
    xlm_r, labse = estimate(), estimate("encoder=labse")
    assert labse.training_hours == xlm_r.training_hours
    assert labse.gpu_memory - xlm_r.gpu_memory == pytest.approx(16 * (384.9e6 - 192.0e6))
    assert estimate("encoder=org/name") == xlm_r  # not listed: taken for the size of a base model


def test_people_read_a_line_for_each_resource():
    shown = str(replace(estimate(), training_hours=2.04, encoding_hours=0.5, disk=61.4e9, gpu_memory=13e9, memory=3e10))
    assert [line.split()[0] for line in shown.splitlines()] == ["GPU", "disk", "GPU", "memory"]
    assert "2.5 (training 2.0, encoding 0.5)" in shown and "61 GB" in shown and "13 GB" in shown and "30 GB" in shown


def test_the_counts_of_texts_are_those_of_the_papers_tables():
    counts: Counter[str] = Counter()
    with open(paths.PUBLISHED / "eval_data.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["dataset"] != "miracl-dev" or row["language"] in ("ar", "en", "es", "hi", "ru", "th", "zh"):
                counts[row["dataset"]] += int(row["queries"]) + int(row["candidates"])
    german = 15_866_222 + 305
    assert counts + Counter({"miracl-dev": german}) == {name: row.texts for name, row in SETS.items() if row.texts}


def test_seconds_follow_from_what_an_encoder_takes_and_from_how_fast_the_machine_is(monkeypatch):
    run = config.load("full", ["encoder=[use-m]", "train=[xquad-r]", "strategies=[x-y]", "eval=[mlqa-r]", "seeds=[1]"])
    cells = plan.plan(run.config)

    def seconds(speed: float) -> float:
        monkeypatch.setattr(device, "operations_per_second", lambda precision: speed)
        return cost.seconds(run, cells)

    effort = ENCODERS["use-m"].effort
    by_hand = 80 * effort.step + 24_733 * (effort.text + cost.RANKED)  # billions; steps of 32 pairs; texts of MLQA-R
    assert seconds(1e11) == pytest.approx(cost.START + by_hand / 100)
    assert seconds(2e11) == pytest.approx(cost.START + by_hand / 200)


def test_only_a_transformer_is_estimated_in_the_precision_that_it_alone_gains_from(monkeypatch):
    asked = []
    monkeypatch.setattr(device, "operations_per_second", lambda precision: asked.append(precision) or 1e11)
    for encoder in ("e5-small-q4", "use-m", "static"):
        run = config.load("quick", [f"encoder={encoder}", "precision=bfloat16", "strategies=[none]", "eval=[mlqa-r]"])
        cost.seconds(run, plan.plan(run.config))
    assert asked == ["bfloat16", "float32", "float32"]


def test_a_process_held_to_older_instructions_is_an_older_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": True, "amx_bf16": True})
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert device.precision("auto") == "bfloat16"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert device.precision("auto") == "float32" and device.precision("bfloat16") == "bfloat16"


def test_a_machine_is_measured_once_in_a_second_or_two():
    device.operations_per_second.cache_clear()
    assert 1e8 < device.operations_per_second("float32") < 1e16
    assert device.operations_per_second("float32") == device.operations_per_second("float32")


def test_the_effort_of_each_encoder_is_what_was_measured():
    """Within a factor of 1.5: the rest of the factor of 2 that an estimate may be wrong by is the machine's."""
    measured = json.loads((paths.ROOT / "benchmarks" / "results" / "encoders.json").read_text(encoding="utf-8"))
    for name, step in measured["effort of a step"].items():
        known = ENCODERS[name].effort
        assert 2 / 3 < known.step / step < 3 / 2, name
        assert 2 / 3 < known.text / measured["effort of a text"][name] < 3 / 2, name
