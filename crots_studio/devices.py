"""The available devices and their memory in use. Loads torch, only off the window's thread."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from crots_studio.background.loading import preload_torch


@dataclass(frozen=True)
class Device:
    """A value of ``runtime.device`` and what people read."""

    name: str
    title: str


def find_devices() -> tuple[Device, ...]:
    """Returns the devices that torch sees; takes seconds, since it loads torch."""
    preload_torch()
    import torch

    from crots.execution.device import UNTRIED, device_count

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cards = [Device(f"cuda:{index}", f"cuda:{index} {torch.cuda.get_device_name(index)}") for index in range(count)]
    others = [Device(kind, f"{kind} (untested)") for kind in UNTRIED if device_count(kind)]
    return (Device("auto", "auto (cuda)" if cards else "auto (CPU)"), Device("cpu", "CPU"), *cards, *others)


def free_memory(device: str) -> tuple[int, str]:
    """Returns the free bytes where a run would go on, and what they are of; loads torch.

    Args:
        device: a value of ``runtime.device``.
    """
    preload_torch()
    import psutil
    import torch

    if device != "cpu" and torch.cuda.is_available():
        number = device.partition(":")[2]
        return int(torch.cuda.mem_get_info(int(number) if number else 0)[0]), "memory of the graphics card"
    return int(psutil.virtual_memory().available), "memory"


def gpu_memory() -> tuple[int, int] | None:
    """Returns bytes taken and bytes in all of the graphics card in use, None where this process uses none."""
    torch = sys.modules.get("torch")
    # During the import of torch the module is there and its parts are not.
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not hasattr(cuda, "is_initialized") or not cuda.is_initialized():
        return None
    free, total = cuda.mem_get_info()
    return total - free, total
