import pytest
import torch
from torch import nn

from crots.nets.folding import folded
from crots.nets.registry import build_net


@pytest.mark.parametrize(("name", "layers"), [("compact", 19), ("deeplabv2_resnet18", 20)])
def test_logits_stay_the_same(name, layers):
    net = build_net(name, 5).eval()
    x = torch.randn(1, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    twin, count = folded(net, x)
    assert count == layers
    with torch.no_grad():
        expected = net(x)
        assert torch.allclose(twin(x), expected, atol=1e-4 * float(expected.abs().max()))
        # The network itself is as it was.
        assert torch.equal(net(x), expected)


class Shared(nn.Module):
    """The convolution's output is used beside its batch norm, too."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        nn.init.constant_(self.norm.weight, 3.0)

    def forward(self, x):
        y = self.convolution(x)
        return self.norm(y) + y


def test_a_network_that_cannot_be_folded_is_left_as_it_is():
    net, x = Shared().eval(), torch.randn(1, 3, 4, 4)
    twin, count = folded(net, x)
    assert count == 0
    assert torch.equal(twin(x), net(x))


class Twice(nn.Module):
    """One batch norm for two convolutions."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.second(self.norm(self.first(x))))


def test_a_layer_that_is_called_twice_is_not_folded():
    assert folded(Twice().eval(), torch.randn(1, 3, 4, 4))[1] == 0
