"""What all benchmarks share: alternating runs, medians, and a result that says on which machine it was measured."""

import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from lib.base import device, paths
from lib.base import store as artifacts

RESULTS = paths.ROOT / "benchmarks" / "results"
REPEATS = 5


def alternating(rivals: Mapping[str, Callable[[], Any]], repeats: int = REPEATS) -> dict[str, float]:
    """Median seconds of each rival, run in turns, after one turn that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(repeats + 1):
        for name, work in rivals.items():
            started = time.perf_counter()
            work()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in seconds.items()}


def write(name: str, result: Mapping[str, Any]) -> None:
    """Print a result, and `keep` it."""
    print(keep(name, result))


def keep(name: str, result: Mapping[str, Any]) -> str:
    """Keep a result in ``benchmarks/results`` with the machine that it was measured on; returns the text."""
    rounded = json.loads(json.dumps(result), parse_float=lambda text: float(f"{float(text):.4g}"))
    machine = device.describe() | {"instructions": torch.backends.cpu.get_cpu_capability()}
    text = json.dumps({"benchmark": name, **rounded, "machine": machine}, indent=1, ensure_ascii=False)
    artifacts.write_text(RESULTS / f"{name}.json", text + "\n")
    return text
