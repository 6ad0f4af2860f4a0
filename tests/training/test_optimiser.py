import pytest
import torch

from crots.training.optimiser import Optimiser, parameter_groups
from crots.training_options import BaselineOptions
from tests.stages import tiny_world as world
from tests.stages.tiny_training import ENGINE, student


def test_the_head_learns_faster_and_norms_do_not_decay(classes):
    net = student(classes).net
    options = BaselineOptions(optimiser="adamw", head_rate=5.0, weight_decay=0.1)
    groups = parameter_groups(net, ("conv1", "bn1"), options)
    by_factor = {group["factor"] for group in groups}
    assert by_factor == {1.0, 5.0}
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.dim() > 1 else 0.0)
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))


def test_nothing_known_of_the_encoder_is_one_rate_and_adam_one_group(classes):
    net = student(classes).net
    assert {group["factor"] for group in parameter_groups(net, (), BaselineOptions(head_rate=5.0))} == {1.0}
    assert len(parameter_groups(net, (), BaselineOptions(optimiser="adam", weight_decay=0.1))) == 1


def test_adam_is_unchanged(classes):
    ours, theirs = student(classes), student(classes)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    plain = {**world.PLAIN, "learning_rate": 1e-4, "weight_decay": 0.01}
    mine = Optimiser(ours, BaselineOptions(**plain), ENGINE)
    plain = torch.optim.Adam(theirs.net.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    for _ in range(3):
        mine.backward(ours.logits(images).square().mean())
        mine.apply(1e-3)
        plain.param_groups[0]["lr"] = 1e-3
        theirs.logits(images).square().mean().backward()
        plain.step()
        plain.zero_grad()
    for own, other in zip(ours.net.parameters(), theirs.net.parameters(), strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_a_gradient_is_shortened_to_the_norm_asked(classes, clip, monkeypatch):
    made = student(classes)
    optimiser = Optimiser(made, BaselineOptions(optimiser="adamw", learning_rate=1e-4, clip=clip), ENGINE)
    optimiser.backward(1e4 * made.logits(torch.full((1, 3, 32, 32), 9.0)).square().mean())
    seen = []
    step = torch.optim.AdamW.step

    def look(*args, **kwargs):
        grads = [parameter.grad.flatten() for parameter in made.net.parameters() if parameter.grad is not None]
        seen.append(float(torch.cat(grads).norm()))
        return step(*args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", look)
    optimiser.apply(1e-3)
    assert seen[0] == pytest.approx(0.5, rel=1e-3) if clip else seen[0] > 10
