"""The optimiser of a student: Adam as published, or AdamW with two learning rates and clipped gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from crots.execution.engine import Engine
from crots.nets.model import Model
from crots.training_options import TrainingOptions

State = dict[str, Any]


class Optimiser:
    """Adam or AdamW, with loss scaling for fp16.

    With AdamW the head learns at ``head_rate`` times the rate of the encoder, gradients are clipped to a norm of
    ``clip``, and norms and biases are exempt from weight decay.

    Args:
        model: the student; its info names the encoder.
        options: of the stage.
        engine: device and precision.
    """

    def __init__(self, model: Model, options: TrainingOptions, engine: Engine) -> None:
        self._clip = options.clip
        groups = parameter_groups(model.net, model.info.encoder, options)
        kind = torch.optim.Adam if options.optimiser == "adam" else torch.optim.AdamW
        self._adam = kind(groups, lr=options.rate, fused=True)
        self._scaler = torch.amp.GradScaler(engine.device.type, enabled=engine.precision == "fp16")

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of ``loss``."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def apply(self, rate: float) -> None:
        """Takes one step at this learning rate of the encoder and clears the gradients."""
        for group in self._adam.param_groups:
            group["lr"] = rate * group["factor"]
        if self._clip:
            self._scaler.unscale_(self._adam)
            parameters = [parameter for group in self._adam.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self._clip)
        self._scaler.step(self._adam)
        self._scaler.update()
        self._adam.zero_grad(set_to_none=True)

    def state_dict(self) -> State:
        """Adam's moments and the loss scale."""
        return {"adam": self._adam.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restores the output of `state_dict`."""
        self._adam.load_state_dict(state["adam"])
        self._scaler.load_state_dict(state["scaler"])


def parameter_groups(net: nn.Module, encoder: tuple[str, ...], options: TrainingOptions) -> list[dict[str, Any]]:
    """Returns the trained parameters in groups of one learning rate and weight decay.

    Args:
        net: the network.
        encoder: prefix of the names of its encoder's parameters; if empty, all learn at one rate.
        options: ``head_rate`` is the factor for the other parameters; Adam as published has one group.

    Returns:
        Groups for an optimiser of PyTorch; ``factor`` multiplies the stage's learning rate.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            of_head = bool(encoder) and not name.startswith(encoder)
            # Decay pulls weights towards 0, which is not neutral for the scale of a norm.
            decays = options.optimiser == "adam" or parameter.dim() > 1
            key = (options.head_rate if of_head else 1.0, options.weight_decay if decays else 0.0)
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "factor": factor, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]
