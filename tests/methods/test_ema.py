import pytest
import torch
from torch import nn

from crots.methods.ema import Teacher, ema_decay

torch.set_num_threads(1)


def student():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()


def change(net):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    net[1].running_mean.add_(1.0)
    net[1].num_batches_tracked.add_(5)


@pytest.mark.parametrize(("step", "decay"), [(0, 0.0), (1, 0.5), (3, 0.75), (98, 0.98989898), (99, 0.99), (5000, 0.99)])
def test_decay_grows_to_its_limit(step, decay):
    assert ema_decay(step, 0.99) == pytest.approx(decay)


@pytest.mark.parametrize("buffers", [True, False])
def test_parameters_are_averaged_and_give_no_gradient(buffers):
    net = student()
    teacher = Teacher(net, buffers=buffers)
    before = [parameter.clone() for parameter in net.parameters()]
    change(net)
    teacher.follow(net, step=3)
    for old, new, mine in zip(before, net.parameters(), teacher.model.parameters(), strict=True):
        torch.testing.assert_close(mine, 0.75 * old + 0.25 * new)
        assert not mine.requires_grad
        assert new.requires_grad


def test_the_first_follow_copies_the_student_exactly():
    net = student()
    teacher = Teacher(net)
    change(net)
    teacher.follow(net, step=0)
    for key, value in net.state_dict().items():
        assert torch.equal(teacher.state_dict()[key], value), key


def test_a_corrected_teacher_is_in_eval_mode_and_its_statistics_follow_f4():
    net = student()
    teacher = Teacher(net, buffers=True)
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(2)) + 3
    statistics = teacher.model[1].running_mean.clone()
    teacher(images)
    assert not teacher.model.training
    assert torch.equal(teacher.model[1].running_mean, statistics)
    change(net)
    teacher.follow(net, step=1)
    torch.testing.assert_close(teacher.model[1].running_mean, 0.5 * statistics + 0.5 * net[1].running_mean)
    assert teacher.model[1].num_batches_tracked == net[1].num_batches_tracked == 5


def test_a_published_teacher_drifts_by_itself_f4():
    net = student()
    teacher = Teacher(net, buffers=False)
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(2)) + 3
    assert teacher.model.training
    teacher(images)
    drifted = teacher.model[1].running_mean.clone()
    assert not torch.equal(drifted, net[1].running_mean)
    change(net)
    teacher.follow(net, step=1)
    assert torch.equal(teacher.model[1].running_mean, drifted)


def test_the_student_is_left_alone():
    net = student()
    teacher = Teacher(net)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    change(teacher.model)
    teacher.follow(net, step=10)
    assert net.training
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_a_call_gives_no_graph():
    assert not Teacher(student())(torch.zeros(1, 3, 2, 2)).requires_grad


def test_state_is_restored():
    net = student()
    teacher, other = Teacher(net), Teacher(net)
    change(net)
    teacher.follow(net, step=7)
    other.load_state_dict(teacher.state_dict())
    for key, value in teacher.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)


def test_another_architecture_is_refused():
    with pytest.raises((ValueError, RuntimeError)):
        Teacher(student()).follow(nn.Conv2d(3, 4, 1), step=0)
