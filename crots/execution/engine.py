"""Device, precision and memory layout: how the arithmetic of a stage is done."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crots.errors import InputError
from crots.execution.workers import current
from crots.options import RuntimeOptions


def random_numpy(seed: int, stage: str, step: int, purpose: str = "") -> np.random.Generator:
    """Returns the generator of one step.

    Every draw of a run comes from (seed, stage, step, purpose), never from a generator that lives on: a resumed run
    draws what the uninterrupted one would have drawn, and so does any process of a distributed one.
    """
    return np.random.default_rng([seed, zlib.crc32(f"{stage}/{purpose}".encode()), step])


def seed_step(seed: int, stage: str, step: int, rank: int = 0) -> None:
    """Seeds torch's global generators, which dropout inside nets draws from, for one step of one worker."""
    purpose = f"torch {rank}" if rank else "torch"
    torch.manual_seed(int(random_numpy(seed, stage, step, purpose).integers(2**63)))


class Engine:
    """A device with a precision, and the workers who share the work.

    Attributes:
        device: where the networks run.
        precision: the resolved one.
        workers: who take each step together.
    """

    def __init__(self, options: RuntimeOptions) -> None:
        self.options = options
        self.workers = current()
        self.device = self.workers.device or resolve_device(options.device)
        self.precision = _resolve_precision(options.precision, self.device)
        if options.threads:
            torch.set_num_threads(options.threads)

    @property
    def name(self) -> str:
        """The device in words, ``cuda:0 (NVIDIA H100)``."""
        several = f", one of {self.workers.world} workers" if self.workers.world > 1 else ""
        if self.device.type != "cuda":
            return f"{self.device}{several}"
        return f"{self.device} ({torch.cuda.get_device_name(self.device)}){several}"

    def place(self, module: nn.Module) -> nn.Module:
        """Moves a network to the device in the chosen memory layout."""
        layout = torch.channels_last if self.options.channels_last else torch.contiguous_format
        return module.to(self.device).to(memory_format=layout)

    def images(self, batch: np.ndarray[Any, Any]) -> Tensor:
        """Moves uint8 images (N, H, W, 3) to the device as (N, 3, H, W)."""
        # A permuted view of NHWC memory is channels-last already: no copy on the way.
        tensor = self._move(torch.from_numpy(np.ascontiguousarray(batch))).permute(0, 3, 1, 2)
        return tensor if self.options.channels_last else tensor.contiguous()

    def labels(self, batch: np.ndarray[Any, Any]) -> Tensor:
        """Moves label maps (N, H, W) to the device as int64."""
        return self._move(torch.from_numpy(np.ascontiguousarray(batch).astype(np.int32))).long()

    def floats(self, batch: np.ndarray[Any, Any]) -> Tensor:
        """Moves an array to the device as float32."""
        return self._move(torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32)))

    def _move(self, tensor: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision where it was chosen."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def batch(self, asked: int) -> int:
        """Images an inference pass: what was asked for, or a default for the device."""
        return asked or (4 if self.device.type == "cuda" else 1)

    def synchronise(self) -> None:
        """Waits for the device; for timing only."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


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
            f"device: {name} was asked for and {found} found here; choose --device cpu", field="runtime.device"
        )
    return torch.device(f"cuda:{int(number or 0)}")


def _resolve_precision(name: str, device: torch.device) -> str:
    if name == "auto":
        if device.type != "cuda":
            # Without AMX, bf16 gains little on a processor and costs small networks time (`crots bench`).
            return "bf16" if has_amx() else "fp32"
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if name == "fp16" and device.type == "cpu":
        raise InputError(
            "precision: fp16 needs CUDA; choose bf16 or fp32 for training on the CPU", field="runtime.precision"
        )
    return name


def has_amx() -> bool:
    """Whether the processor multiplies bf16 matrices in tiles (AMX), as Intel's do since 2023."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private, so perhaps not of every release
    return bool(supported and supported())


@contextlib.contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Puts networks in eval mode for a block and restores each submodule's own mode after it."""
    modes = [(child, child.training) for module in modules for child in module.modules()]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for child, training in modes:
            child.training = training
