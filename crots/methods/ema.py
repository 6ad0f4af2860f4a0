"""The teacher: a moving average of the student."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


def ema_decay(step: int, limit: float) -> float:
    """Returns the decay of a step: ``min(1 - 1 / (step + 1), limit)``.

    Args:
        step: number of earlier updates; at 0 the teacher becomes the student.
        limit: greatest decay.
    """
    return min(1.0 - 1.0 / (step + 1), limit)


class Teacher(Generic[Net]):
    """Exponential moving average of a student of the same architecture; has no gradients.

    Attributes:
        model: the averaged network, to be called under ``torch.no_grad()``.
        buffers: the teacher runs in eval mode and its buffers follow the student's. False keeps fault F4: only
            parameters follow, and the teacher runs in train mode, so that its batch norm drifts by itself.
        decay: greatest decay.
        ramp: the decay rises from 0 (`ema_decay`), so that the first steps of an untrained student are soon forgotten;
        otherwise the teacher starts as a copy of the student with the full decay.
    """

    def __init__(self, student: Net, *, buffers: bool = True, decay: float = 0.99, ramp: bool = True) -> None:
        self.model: Net = copy.deepcopy(student)
        self.model.requires_grad_(False)
        self.model.train(not buffers)
        self.buffers = buffers
        self.decay = decay
        self.ramp = ramp

    @torch.no_grad()
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the teacher on the same arguments as the student."""
        return self.model(*args, **kwargs)

    @torch.no_grad()
    def follow(self, student: nn.Module, step: int) -> None:
        """Moves the teacher towards the student.

        Args:
            student: of the teacher's architecture.
            step: number of earlier updates.
        """
        weight = 1.0 - (ema_decay(step, self.decay) if self.ramp else self.decay)
        _move(self.model.parameters(), student.parameters(), weight)
        if self.buffers:
            _move(self.model.buffers(), student.buffers(), weight)

    def state_dict(self) -> dict[str, Any]:
        """Returns parameters and buffers of the averaged network."""
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the output of `state_dict`; every key must match."""
        self.model.load_state_dict(state)


def copied_weights(net: nn.Module) -> dict[str, Tensor]:
    """Copies the floating-point weights and statistics of a network, to the host."""
    return {name: tensor.cpu().clone() for name, tensor in net.state_dict().items() if tensor.is_floating_point()}


@torch.no_grad()
def average_with(net: nn.Module, start: Mapping[str, Tensor], share: float) -> None:
    """Averages a network with what it was trained from (WiSE-FT: Wortsman et al., CVPR 2022).

    Networks fine-tuned from one start stay so close that the mean of their weights works as well: it keeps most of what
    training gained and loses little of what it forgot, without needing a label.

    Args:
        net: after training; changed in place.
        start: as `copied_weights` returned it before.
        share: of the start in the mean, 0..1.
    """
    for name, tensor in net.state_dict().items():
        if name in start:
            tensor.lerp_(start[name].to(tensor.device), share)


def _move(own: Iterable[Tensor], other: Iterable[Tensor], weight: float) -> None:
    """Interpolates floating tensors by ``weight`` in one batched operation; counters are copied."""
    pairs = list(zip(own, other, strict=True))
    averaged = [pair for pair in pairs if pair[0].is_floating_point()]
    for mine, theirs in pairs:
        if not mine.is_floating_point():
            mine.copy_(theirs)
    if averaged:
        torch._foreach_lerp_([mine for mine, _ in averaged], [theirs.detach() for _, theirs in averaged], weight)
