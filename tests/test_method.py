"""What the page on method says an encoder costs is what published cells and the benchmark say."""

import gzip
import json
import statistics
from collections import defaultdict

from lib.base import paths
from lib.runs.names import name

PAGE = (paths.ROOT / "docs" / "method.md").read_text(encoding="utf-8")
CELLS = paths.ROOT / "results" / "full" / "published" / "cells"
BENCHMARK = paths.ROOT / "benchmarks" / "results" / "encoders.json"
STEPS = 80


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


def test_the_table_of_costs_is_that_of_the_published_cells():
    found = defaultdict(list)
    for path in sorted(CELLS.glob("*_seed?.json.gz")):
        made = json.loads(gzip.decompress(path.read_bytes()))["made"]
        found[path.name.split("_")[0], made["device"]].append(made["evaluation_seconds"])
    assert found
    steps = json.loads(BENCHMARK.read_text(encoding="utf-8"))
    for (encoder, device), seconds in found.items():
        measured = device == steps["machine"]["device"] and encoder in steps["seconds a step of 32 pairs"]
        training = minutes(STEPS * steps["seconds a step of 32 pairs"][encoder]) if measured else "not measured"
        row = f"| {name(encoder)} | {device} | {training} | {minutes(statistics.median(seconds))} | {len(seconds)} |"
        assert row in PAGE, row
