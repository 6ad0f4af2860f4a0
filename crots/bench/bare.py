"""The bare network in plain PyTorch, without any of our code.

No decoding, normalising, up-sampling, loss, optimiser or moving average is in it: gradients begin at the
logits of the network's own resolution.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from crots.config import Size

# Share of a floating-point operation's peak is counted on products of this size.
_PRODUCT = {"cpu": 2048, "cuda": 8192}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Bare:
    """A network with inputs and gradients of the right shapes.

    Args:
        net: placed on its device in its memory layout; gets gradients, never steps.
        size: of the images.
        patch: of the hard patches.
        batch: images, and patches, per step.
        precision: ``fp32``, or the type of the autocast.
        channels_last: memory layout of the inputs.
    """

    def __init__(
        self, net: nn.Module, size: Size, patch: Size, batch: int, precision: str, *, channels_last: bool = True
    ) -> None:
        self.student = net
        self._teacher: nn.Module | None = None
        self._precision = precision
        self._device = next(net.parameters()).device
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.images = torch.randn(batch, 3, size.height, size.width, device=self._device).to(memory_format=layout)
        self.patches = torch.randn(batch, 3, patch.height, patch.width, device=self._device).to(memory_format=layout)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self._precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=DTYPES[self._precision])

    @torch.inference_mode()
    def flipped(self) -> None:
        """One forward pass of the images and one of their mirror images."""
        self.student.eval()
        with self._autocast():
            self.student(self.images)
            self.student(self.images.flip(3))

    def baseline(self) -> None:
        """Forward and backward on the images."""
        self.student.train()
        self._descend(self.images)
        self.student.zero_grad(set_to_none=True)

    def adapt(self) -> None:
        """The teacher forward on the images, the student forward and backward on as many mixes and patches."""
        if self._teacher is None:
            self._teacher = copy.deepcopy(self.student).requires_grad_(False).eval()
        with torch.no_grad(), self._autocast():
            self._teacher(self.images)
        self.student.train()
        self._descend(self.images)
        self._descend(self.patches)
        self.student.zero_grad(set_to_none=True)

    def _descend(self, x: Tensor) -> None:
        with self._autocast():
            logits = self.student(x)
        logits.backward(torch.full_like(logits, 1e-4))


def flops(net: nn.Module, images: Tensor, *, backward: bool) -> int:
    """Counts the floating-point operations of a pass over ``images`` (N, 3, H, W), without doing them.

    Returns:
        0 where the network does something that cannot be followed without data.
    """
    from torch.utils.flop_counter import FlopCounterMode

    twin = copy.deepcopy(net).to("meta").train(backward)
    x = torch.empty(images.shape, device="meta")
    # PyTorch's own formula takes the weights' gradient of a grouped convolution for that of a dense one.
    backward_formula = {torch.ops.aten.convolution_backward: _convolution_backward}
    counter = FlopCounterMode(display=False, custom_mapping=backward_formula)
    try:
        with counter, contextlib.nullcontext() if backward else torch.no_grad():
            logits = twin(x)
            if backward:
                logits.sum().backward()
    except (RuntimeError, NotImplementedError, ValueError):
        return 0
    return int(counter.get_total_flops())


def _convolution_backward(
    gradient: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    wanted: Sequence[bool],
    **_: Any,
) -> int:
    """Counts the gradient of the input, and that of the weights, each as much work as the pass forward."""
    from torch.utils.flop_counter import conv_flop_count

    forward: int = conv_flop_count(list(x), list(weight), list(gradient), transposed=transposed)
    return forward * (bool(wanted[0]) + bool(wanted[1]))


def peak_flops(device: torch.device, precision: str) -> float:
    """Measures the operations per second of a large matrix product: what the device reaches at best."""
    from crots.bench.clock import seconds

    side = _PRODUCT.get(device.type, _PRODUCT["cpu"])
    left, right = (torch.randn(side, side, device=device, dtype=DTYPES[precision]) for _ in range(2))
    asked = torch.get_float32_matmul_precision()
    # Convolutions may use TF32 by default; products are compared alike.
    torch.set_float32_matmul_precision("high" if torch.backends.cudnn.allow_tf32 else asked)

    def product() -> None:
        torch.mm(left, right)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    try:
        product()
        best = min(seconds(product) for _ in range(5))
    finally:
        torch.set_float32_matmul_precision(asked)
    return 2 * side**3 / best
