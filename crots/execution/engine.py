"""Device, precision and memory layout of a stage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crots.execution.device import UNTRIED, resolve_device, resolve_precision
from crots.execution.workers import current
from crots.options import RuntimeOptions


class Engine:
    """A device with a precision, and the workers that share the work.

    Attributes:
        device: where the networks run.
        precision: the resolved one.
        workers: take each step together.
    """

    def __init__(self, options: RuntimeOptions) -> None:
        self.options = options
        self.workers = current()
        self.device = self.workers.device or resolve_device(options.device)
        self.precision = resolve_precision(options.precision, self.device)
        if options.threads:
            torch.set_num_threads(options.threads)

    @property
    def name(self) -> str:
        """The device in words, ``cuda:0 (NVIDIA H100)``."""
        several = f", one of {self.workers.world} workers" if self.workers.world > 1 else ""
        if self.device.type != "cuda":
            untried = " (CROTS was never tested on this device type)" if self.device.type in UNTRIED else ""
            return f"{self.device}{untried}{several}"
        return f"{self.device} ({torch.cuda.get_device_name(self.device)}){several}"

    def place(self, module: nn.Module) -> nn.Module:
        """Moves a network to the device in the chosen memory layout."""
        layout = torch.channels_last if self.options.channels_last else torch.contiguous_format
        return module.to(self.device).to(memory_format=layout)

    def images(self, batch: np.ndarray[Any, Any]) -> Tensor:
        """Moves uint8 images (N, H, W, 3) to the device as (N, 3, H, W)."""
        # A permuted view of NHWC memory is already channels-last: no copy.
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
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Autocast to the chosen precision."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def batch(self, asked: int) -> int:
        """Images per inference pass: the given number, or a default for the device."""
        return asked or (4 if self.device.type == "cuda" else 1)

    def synchronise(self) -> None:
        """Waits for the device; for timing only."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)


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
