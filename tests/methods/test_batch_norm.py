import math

import pytest
import torch
from torch import nn

from crots.errors import InputError
from crots.methods.batch_norm import (
    forget_statistics,
    mean_entropy,
    read_statistics,
    set_statistics,
    take_statistics,
    train_affine_only,
)


def test_statistics_become_the_plain_mean_of_the_batches():
    net = nn.Sequential(nn.BatchNorm2d(2))
    with torch.no_grad():
        net(torch.full((2, 2, 4, 4), 100.0))
        forget_statistics(net)
        for value in (1.0, 2.0, 6.0):
            net(torch.full((2, 2, 4, 4), value))
    assert torch.allclose(net[0].running_mean, torch.full((2,), 3.0))


def test_only_scale_and_shift_get_gradients():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    net[1].requires_grad_(False)
    train_affine_only(net)
    assert {name for name, parameter in net.named_parameters() if parameter.requires_grad} == {"1.weight", "1.bias"}


@pytest.mark.parametrize("act", [forget_statistics, train_affine_only])
def test_no_batch_norm_is_reported(act):
    with pytest.raises(InputError, match="no batch norm"):
        act(nn.Conv2d(3, 4, 1))


def test_batch_norm_without_scale_is_reported():
    with pytest.raises(InputError, match="no scale"):
        train_affine_only(nn.Sequential(nn.BatchNorm2d(4, affine=False)))


def test_entropy_is_that_of_the_softmax():
    assert float(mean_entropy(torch.zeros(2, 4, 3, 3))) == pytest.approx(math.log(4))
    sure = torch.zeros(1, 3, 2, 2)
    sure[:, 0] = 60
    assert float(mean_entropy(sure)) == pytest.approx(0, abs=1e-6)


def test_taken_statistics_are_those_of_the_batches_and_nothing_else_changes():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.5))
    weights = net[0].weight.clone()
    batches = [torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(n)) * 3 + n for n in range(3)]
    take_statistics(net, batches, net)
    features = [net[0](batch) for batch in batches]
    expected = torch.stack([one.mean(dim=(0, 2, 3)) for one in features]).mean(dim=0)
    torch.testing.assert_close(net[1].running_mean, expected)
    assert torch.equal(net[0].weight, weights)
    assert not any(layer.training for layer in net.modules()) and net[1].momentum == 0.1


def test_statistics_are_a_mean_of_own_and_target_and_go_back_exactly():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    own = read_statistics(net)
    take_statistics(net, [torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)) + 2], net)
    target = read_statistics(net)
    assert not torch.equal(own.means[0], target.means[0])
    set_statistics(net, own, target, 0.25)
    assert torch.allclose(net[1].running_mean, 0.75 * own.means[0] + 0.25 * target.means[0])
    assert torch.allclose(net[1].running_var, 0.75 * own.variances[0] + 0.25 * target.variances[0])
    set_statistics(net, own, target, 0.0)
    assert torch.equal(net[1].running_mean, own.means[0])
    set_statistics(net, own, target, 1.0)
    assert torch.equal(net[1].running_var, target.variances[0])


def test_a_network_without_batch_norm_has_no_statistics_and_none_are_set():
    net = nn.Conv2d(3, 4, 1)
    assert read_statistics(net) == ((), ())
    set_statistics(net, read_statistics(net), read_statistics(net), 0.5)
