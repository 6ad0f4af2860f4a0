"""What all learners share, by the learner of the adaptation."""

import copy

import pytest
import torch

from tests.stages.tiny_adapt import STILL, parameters


def gradients(learner, images, labels, weights=None):
    learner.optimiser.apply(0.0)
    loss = learner.accumulate(images, labels, weights)
    found = torch.cat([p.grad.flatten() for p in learner.student.net.parameters() if p.grad is not None])
    return float(loss), found.clone()


@pytest.mark.parametrize("form", ["none", "batch", "image", "pixel"])
def test_micro_batches_have_the_loss_and_gradient_of_the_whole_batch(make, form):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((4, 3, 32, 32), generator=generator) * 255
    labels = torch.randint(0, 4, (4, 32, 32), generator=generator)
    # Parts of the batch have different numbers of pixels that count.
    labels[0, :20] = 255
    weights = {
        "none": None, "batch": torch.tensor(0.3), "image": torch.rand(4, generator=generator),
        "pixel": torch.rand((4, 32, 32), generator=generator),
    }[form]  # fmt: skip
    whole, split = make(**STILL, batch_norm="frozen"), make(**STILL, batch_norm="frozen", accumulate=4)
    for learner in (whole, split):
        learner.set_modes()
    (loss, gradient), (other_loss, other) = (gradients(learner, images, labels, weights) for learner in (whole, split))
    assert other_loss == pytest.approx(loss, rel=1e-5)
    assert torch.allclose(gradient, other, rtol=1e-4, atol=1e-7)


def test_the_kept_weights_are_the_averages_for_the_length_of_a_block(make):
    learner = make(**STILL, keep_ema=True)
    with torch.no_grad():
        for parameter in learner.student.parameters():
            parameter.add_(1.0)
    student, teacher = parameters(learner.student), parameters(learner.teacher.model)
    assert not torch.equal(student, teacher)
    with learner.as_kept():
        assert torch.equal(parameters(learner.student), teacher)
    assert torch.equal(parameters(learner.student), student)
    learner.settle()
    assert torch.equal(parameters(learner.student), teacher)


def test_a_restored_learner_takes_the_same_step(make):
    # Every pixel counts, so that each step moves the weights.
    first, second = make(**STILL, confidence=0.0), make(**STILL, confidence=0.0)
    before = parameters(first.student)
    for number in range(2):
        first.step(number, first.load(number), 1e-2)
    assert not torch.equal(parameters(first.student), before)
    # A copy, as from a file: torch's optimisers share what they load.
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for learner in (first, second):
        learner.step(2, learner.load(2), 1e-2)
    assert torch.equal(parameters(first.student), parameters(second.student))
