"""Networks of a few layers for the tests, named ``tiny_nets:plain`` and so on; they need ``runtime.trust``."""

import torch
from torch import nn

from crots.card import Normalisation

# Red, green, blue of the classes of `tiny_world`, which its pictures are painted with.
COLOURS = ((70, 70, 80), (120, 170, 220), (200, 60, 50), (240, 220, 40))
PLAIN_RANGE = Normalisation("rgb", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


class Plain(nn.Module):
    """Two convolutions with batch norm at half of the resolution."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.head(torch.relu(self.bn2(self.conv2(x))))


class Still(Plain):
    """Batch norm that keeps its statistics, so that an image's logits never depend on the others of a batch."""

    def train(self, mode=True):
        super().train(mode)
        self.bn1.eval()
        self.bn2.eval()
        return self


class Pooling(Plain):
    """Batch norm over a single value per image, as in DeepLabV3's image pooling."""

    def __init__(self, classes):
        super().__init__(classes)
        self.pooled = nn.BatchNorm2d(classes)

    def forward(self, x):
        logits = super().forward(x)
        return logits + self.pooled(logits.mean(dim=(2, 3), keepdim=True))


class Colour(nn.Module):
    """Nearest colour: logits fall with the squared distance to the colour of a class, scaled by ``sharpness``."""

    sharpness = 20.0

    def __init__(self, classes):
        super().__init__()
        self.head = nn.Conv2d(3, classes, 1)
        colours = torch.tensor(COLOURS[:classes]).float() / 255
        with torch.no_grad():
            self.head.weight.copy_(2 * self.sharpness * colours[:, :, None, None])
            self.head.bias.copy_(-self.sharpness * (colours**2).sum(1))

    def forward(self, x):
        return self.head(x)


def plain(classes):
    return Plain(classes)


def plain32(classes):
    return Plain(classes)


def still(classes):
    return Still(classes)


def pooling(classes):
    return Pooling(classes)


def colour(classes):
    return Colour(classes)


plain32.multiple = 32
colour.normalisation = PLAIN_RANGE
