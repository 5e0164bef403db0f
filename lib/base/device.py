"""What the machine can do: where models run, and in which precision."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

CALIBRATION = 1.0  # seconds


def device() -> str:
    """``cuda`` if there is such a device, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def has_bfloat16() -> bool:
    """Whether bf16 arithmetic is done by the hardware (CPUs with AVX512-BF16 or AMX; recent GPUs).

    A process that is held to older instructions, by ``ATEN_CPU_CAPABILITY=avx2``, counts as such an older machine.
    """
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.backends.cpu.get_cpu_capability() == "AVX2":
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def precision(wanted: str) -> str:
    """``bfloat16`` or ``float32``: what is wanted, ``auto`` standing for the faster that the machine has."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if has_bfloat16() else "float32"


@contextmanager
def as_fresh() -> Iterator[None]:
    """Work as a new process would, whatever somebody has set in this one, and leave random states as they were.

    Autocast, gradients that are off, another default type or device: none of them changes a number.
    """
    import random

    import numpy as np
    import torch

    of_python, of_numpy, dtype = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    forked = torch.random.fork_rng(range(torch.cuda.device_count()))
    usual = nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    torch.set_default_dtype(torch.float32)
    try:
        with forked, usual, _without_autocast(), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def _without_autocast() -> Any:
    """Set an autocast around us aside, if there is one.

    Weights that autocast has cast to bf16 are kept until the outermost one ends. Within another one, a training would
    see the weights of its first step in each step: nothing is kept there, and where there is none, none is begun.
    """
    import torch

    is_within_one = torch.autocast_increment_nesting() > 1
    torch.autocast_decrement_nesting()
    return torch.autocast(device(), enabled=False, cache_enabled=False) if is_within_one else nullcontext()


@cache
def operations_per_second(precision: str) -> float:
    """Measure, in a second or two, the floating-point operations a second of a feed-forward layer of an encoder.

    Args:
        precision: ``bfloat16`` or ``float32``.
    """
    import torch
    from torch.nn import functional
    from torch.utils.benchmark import Timer

    rows, hidden, inner = 1024, 384, 1536
    there = {"dtype": getattr(torch, precision), "device": device()}
    x, up, down = (torch.full(shape, 0.01, **there) for shape in ((rows, hidden), (inner, hidden), (hidden, inner)))

    def layer() -> float:  # one number of the result, which a GPU must have computed first
        found = functional.linear(functional.gelu(functional.linear(x, up)), down)
        return functional.layer_norm(found, (hidden,)).sum().item()

    timer = Timer("layer()", globals={"layer": layer}, num_threads=torch.get_num_threads())
    with torch.inference_mode():
        seconds = timer.blocked_autorange(min_run_time=CALIBRATION).mean
    return 4 * rows * hidden * inner / seconds


def describe() -> dict[str, str | int]:
    """The machine in a few words, for the record: no host name, no user."""
    import platform

    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    else:
        name = torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine()
    return {
        "device": name,
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
    }
