"""A learner of the adaptation on painted pictures, and what tests ask of it."""

import torch

from crots.execution.engine import Engine
from crots.options import RuntimeOptions

ENGINE = Engine(RuntimeOptions(device="cpu"))
# Nothing happens to the images but mixing, so that a test sees its own switch alone.
STILL = {"flip": 0.0, "jitter": 0.0, "blur": 0.0}


def step(learner, number=0, rate=1e-2, data=None):
    figures = learner.step(number, data or learner.load(number), rate)
    return {name: float(value) for name, value in figures.items()}


def parameters(model):
    return torch.cat([tensor.detach().flatten() for tensor in model.parameters()])


def statistics(model):
    """Running means and variances, (M,)."""
    return torch.cat([tensor.flatten() for name, tensor in model.named_buffers() if "running" in name])


def head_bias(learner, value):
    """Moves all logits of student and teacher alike: probabilities stay as they are."""
    for model in (learner.student, learner.teacher.model):
        with torch.no_grad():
            model.net.head.bias.add_(value)
