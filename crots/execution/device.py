"""Chooses device and precision if the options leave them open."""

from __future__ import annotations

import torch

from crots.errors import InputError

# Device types that torch supports but CROTS was never tested on.
UNTRIED = ("mps", "xpu")


def device_count(kind: str) -> int:
    """Returns how many devices of a kind torch has here."""
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    found = getattr(torch, kind)
    return found.device_count() if found.is_available() else 0


def resolve_device(name: str) -> torch.device:
    """Turns ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``xpu`` into a device.

    Raises:
        InputError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", *UNTRIED) or (number and not (number.isascii() and number.isdigit())):
        raise InputError(
            f"device: found {name!r}, expected auto, cpu, cuda, cuda:N, mps or xpu", field="runtime.device"
        )
    if kind == "cpu":
        return torch.device("cpu")
    count, label = device_count(kind), kind.upper()
    if int(number or 0) >= count:
        found = f"{count} {label} devices" if count else f"no {label} device"
        raise InputError(
            f"device: {name} was requested, but {found} found here; choose cpu as `runtime.device`",
            field="runtime.device",
        )
    return torch.device(f"{kind}:{int(number or 0)}")


def resolve_precision(name: str, device: torch.device) -> str:
    """Turns ``auto`` into a precision that suits the device.

    Raises:
        InputError: the device has no such precision.
    """
    if name == "auto":
        if device.type != "cuda":
            # Which is faster depends on processor and network: a run of a project measures it (`crots.estimate`).
            return "fp32"
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if name == "fp16" and device.type != "cuda":
        raise InputError(
            f"precision: fp16 needs CUDA; choose bf16 or fp32 for training on {device.type}", field="runtime.precision"
        )
    return name
