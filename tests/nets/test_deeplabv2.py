import pytest
import torch
from torch import nn

from crots.nets.deeplabv2 import Classifier, DeepLabV2
from crots.nets.registry import build_net

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def resnet101():
    with torch.device("meta"):
        return build_net("deeplabv2_resnet101", 19)


def test_resnet101_is_adaptsegnets(resnet101):
    state = resnet101.state_dict()
    assert len(state) == 632
    assert sum(p.numel() for p in resnet101.parameters()) == 43_901_068
    assert len([key for key in state if not key.endswith("num_batches_tracked")]) == 528
    assert state["layer5.conv2d_list.3.weight"].shape == (19, 2048, 3, 3)
    assert state["layer3.22.conv2.weight"].shape == (256, 256, 3, 3)
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer4.2.bn3.bias"} <= set(state)
    assert "conv1.bias" not in state


def test_strides_and_dilations(resnet101):
    """Caffe style: the stride is on the first 1x1."""
    assert resnet101.layer2[0].conv1.stride == (2, 2)
    assert resnet101.layer2[0].conv2.stride == (1, 1)
    assert {block.conv2.dilation for block in resnet101.layer3} == {(2, 2)}
    assert {block.conv2.dilation for block in resnet101.layer4} == {(4, 4)}
    assert resnet101.maxpool.ceil_mode
    assert [conv.dilation[0] for conv in resnet101.layer5.conv2d_list] == [6, 12, 18, 24]
    assert [conv.padding[0] for conv in resnet101.layer5.conv2d_list] == [6, 12, 18, 24]


def test_output_stride_is_8_with_ceil(resnet101):
    images = torch.empty(1, 3, 512, 1024, device="meta")
    with torch.no_grad():
        assert resnet101(images).shape == (1, 19, 65, 129)


def test_batch_norm_affine_gets_no_gradient_but_statistics_move():
    net = build_net("deeplabv2_resnet18", 3).train()
    assert isinstance(net, DeepLabV2)
    before = net.bn1.running_mean.clone()
    net(torch.randn(1, 3, 33, 33, generator=torch.Generator().manual_seed(0))).sum().backward()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and all(norm.weight.grad is None and norm.bias.grad is None for norm in norms)
    assert not torch.equal(before, net.bn1.running_mean)
    assert net.conv1.weight.grad is not None


@pytest.mark.parametrize(("name", "active"), [("deeplabv2_resnet18", 2), ("deeplabv2_resnet18_aspp4", 4)])
def test_branches_follow_the_name(name, active):
    """Fault F1: two branches for weights trained so, four for others."""
    head = build_net(name, 3).layer5
    assert isinstance(head, Classifier)
    x = torch.randn(1, 512, 9, 9, generator=torch.Generator().manual_seed(0))
    expected = sum(branch(x) for branch in list(head.conv2d_list)[:active])
    assert torch.allclose(head(x), expected, atol=1e-5)
    rest = sum(branch(x) for branch in list(head.conv2d_list)[: 6 - active])
    assert not torch.allclose(head(x), rest, atol=1e-3)
    assert [branch.weight.requires_grad for branch in head.conv2d_list] == [i < active for i in range(4)]
