"""DeepLabV2 on a dilated ResNet of output stride 8, with the key names and shapes of AdaptSegNet's checkpoints.

Chen et al., "DeepLab" (TPAMI 2018); the Caffe-style ResNet strides in the first 1x1 convolution of a bottleneck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from crots.card import CAFFE
from crots.nets.info import Family, NetInfo

ASPP_RATES = (6, 12, 18, 24)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; the stride is on the first 1x1."""

    expansion: ClassVar[int] = 4

    def __init__(self, channels: int, planes: int, *, stride: int, dilation: int, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, planes * 4, stride) if shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, 4 * planes, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return out


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, as in ResNet-18."""

    expansion: ClassVar[int] = 1

    def __init__(self, channels: int, planes: int, *, stride: int, dilation: int, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, planes, stride) if shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, planes, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return out


def _shortcut(channels: int, planes: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes))


class Classifier(nn.Module):
    """Four parallel 3x3 convolutions of growing dilation; the first ``branches`` of them are summed.

    Fault F1: the published forward, like AdaptSegNet's, sums only two of the four. Weights trained so are only right
    with two, so the number belongs to the net; the idle branches stay in the checkpoint and get no gradient.
    """

    def __init__(self, channels: int, classes: int, branches: int) -> None:
        super().__init__()
        self.branches = branches
        self.conv2d_list = nn.ModuleList(
            nn.Conv2d(channels, classes, 3, padding=rate, dilation=rate) for rate in ASPP_RATES
        )
        for idle in list(self.conv2d_list)[branches:]:
            idle.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to logits (N, classes, H, W)."""
        logits: Tensor = self.conv2d_list[0](x)
        for branch in list(self.conv2d_list)[1 : self.branches]:
            logits = logits + branch(x)
        return logits


@dataclass(frozen=True)
class Variant:
    """Block type, blocks per layer, active branches of the classifier and planes of the first layer."""

    block: type[Bottleneck] | type[BasicBlock]
    layers: tuple[int, int, int, int]
    branches: int
    planes: int = 64


class DeepLabV2(nn.Module):
    """The whole network; see the file's head.

    Batch norm's scale and shift get no gradient, its running statistics move as usual.
    """

    def __init__(self, classes: int, variant: Variant) -> None:
        super().__init__()
        planes, expansion = variant.planes, variant.block.expansion
        self.conv1 = nn.Conv2d(3, planes, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.layer1 = _layer(variant, 0, planes, planes, stride=1, dilation=1)
        self.layer2 = _layer(variant, 1, planes * expansion, 2 * planes, stride=2, dilation=1)
        self.layer3 = _layer(variant, 2, 2 * planes * expansion, 4 * planes, stride=1, dilation=2)
        self.layer4 = _layer(variant, 3, 4 * planes * expansion, 8 * planes, stride=1, dilation=4)
        self.layer5 = Classifier(8 * planes * expansion, classes, variant.branches)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.requires_grad_(False)
                module.bias.requires_grad_(False)
        # Wide branches are summed: small weights keep the first softmax near uniform.
        for name, parameter in self.layer5.named_parameters():
            nn.init.normal_(parameter, std=0.01) if name.endswith("weight") else nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Maps normalised images (N, 3, H, W) to logits (N, classes, about H / 8, about W / 8)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.layer5(x)
        return logits


def _layer(variant: Variant, index: int, channels: int, planes: int, *, stride: int, dilation: int) -> nn.Sequential:
    out = planes * variant.block.expansion
    shortcut = stride != 1 or channels != out
    blocks = [variant.block(channels, planes, stride=stride, dilation=dilation, shortcut=shortcut)]
    for _ in range(1, variant.layers[index]):
        blocks.append(variant.block(out, planes, stride=1, dilation=dilation, shortcut=False))
    return nn.Sequential(*blocks)


_RESNETS: dict[str, tuple[type[Bottleneck] | type[BasicBlock], tuple[int, int, int, int]]] = {
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
}
VARIANTS: dict[str, Variant] = {
    f"deeplabv2_{resnet}{suffix}": Variant(block, layers, branches)
    for resnet, (block, layers) in _RESNETS.items()
    for suffix, branches in (("", 2), ("_aspp4", 4))
}


_ENCODER = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")


def build(name: str, classes: int) -> DeepLabV2:
    """Builds a variant; ``_aspp4`` in its name activates all four branches, else two act (fault F1)."""
    return DeepLabV2(classes, VARIANTS[name])


def info(name: str) -> NetInfo:
    """Returns the facts: Caffe normalisation, any size, corners aligned as published."""
    return NetInfo(name, "deeplabv2", CAFFE, multiple=1, align_corners=True, encoder=_ENCODER)


FAMILY = Family(tuple(VARIANTS), build, info)
