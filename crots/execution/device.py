"""Chooses device and precision if the options leave them open."""

from __future__ import annotations

import torch

from crots.errors import InputError


def resolve_device(name: str) -> torch.device:
    """Turns ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device.

    Raises:
        InputError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise InputError(f"device: found {name!r}, expected auto, cpu, cuda or cuda:N", field="runtime.device")
    if kind == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        found = f"{count} CUDA devices" if count else "no CUDA device"
        raise InputError(
            f"device: {name} was asked for and {found} found here; choose cpu as `runtime.device`",
            field="runtime.device",
        )
    return torch.device(f"cuda:{int(number or 0)}")


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
    if name == "fp16" and device.type == "cpu":
        raise InputError(
            "precision: fp16 needs CUDA; choose bf16 or fp32 for training on the CPU", field="runtime.precision"
        )
    return name
