"""What the machine can do: where models run, and in which precision."""

import os


def device() -> str:
    """``cuda`` if there is such a device, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def has_bfloat16() -> bool:
    """Whether bf16 arithmetic is done by the hardware (CPUs with AVX512-BF16 or AMX; recent GPUs)."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def precision(wanted: str) -> str:
    """``bfloat16`` or ``float32``: what is wanted, ``auto`` standing for the faster that the machine has."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if has_bfloat16() else "float32"


def describe() -> dict[str, str | int]:
    """The machine in a few words, for the record: no host name, no user."""
    import platform

    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else _cpu_name()
    return {
        "device": name,
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
    }


def _cpu_name() -> str:
    import platform

    import torch

    return torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine()
