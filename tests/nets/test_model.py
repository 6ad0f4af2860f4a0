import copy
import json

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from crots.card import CAFFE, ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError
from crots.nets.info import NetInfo
from crots.nets.model import Model, check_batch, check_runs, create_model
from crots.taxonomy import ClassSet

torch.set_num_threads(1)

NAMES = ("road", "car", "person")
CLASSES = ClassSet.from_dict(
    {
        "name": "three",
        "names": list(NAMES),
        "palette": [[0, 0, 0], [0, 0, 9], [9, 0, 0]],
        "raw_ids": {},
        "subsets": {},
        "published_rare": [],
    }
)


def toy(net=None, *, normalisation=None, multiple=1, align_corners=False):
    card = ModelCard("toy", CLASSES.to_dict(), normalisation or Normalisation(), Size(16, 8))
    info = NetInfo("toy", "user", multiple=multiple, align_corners=align_corners)
    return Model(net or nn.Conv2d(3, 3, 3, padding=1, stride=2), card, info).eval()


def some_images(n=2, height=8, width=16, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=rng)


def test_bgr_normalisation_reorders_then_subtracts():
    model = toy(nn.Identity(), normalisation=CAFFE)
    images = some_images(1)
    seen = model(images)
    expected = images.float()[:, [2, 1, 0]] - torch.tensor([104.00698793, 116.66876762, 122.67891434]).view(1, 3, 1, 1)
    assert torch.allclose(seen, expected)
    assert torch.equal(seen, model(images.float()))


def test_rgb_normalisation_is_torchvisions():
    images = some_images(1)
    expected = (images.float() / 255 - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    assert torch.allclose(toy(nn.Identity())(images), expected, atol=1e-5)


def test_normalisation_is_in_no_state_dict():
    model = toy()
    assert set(model.net.state_dict()) == {"weight", "bias"}
    assert set(model.state_dict()) == {"net.weight", "net.bias"}


@pytest.mark.parametrize("align", [True, False])
def test_logits_are_upsampled_the_familys_way(align):
    model = toy(align_corners=align)
    images = some_images()
    raw = model(images)
    assert raw.shape == (2, 3, 4, 8)
    assert torch.equal(model.logits(images), interpolate(raw, (8, 16), mode="bilinear", align_corners=align))
    assert model.logits(images, (5, 7)).shape == (2, 3, 5, 7)
    assert model.logits(images, Size(7, 5)).shape == (2, 3, 5, 7)


@pytest.mark.parametrize("align", [True, False])
def test_flip_logits(align):
    model = toy(align_corners=align)
    images = some_images()
    total = model.logits(images) + model.logits(images.flip(3)).flip(3)
    assert torch.allclose(model.flip_logits(images, "sum"), total, atol=1e-4)
    assert torch.allclose(model.flip_logits(images, "mean"), total / 2, atol=1e-4)
    assert torch.allclose(model.flip_logits(images), model.flip_logits(images.flip(3)).flip(3), atol=1e-4)


def test_sides_must_suit_the_net():
    model = toy(multiple=32)
    with pytest.raises(InputError, match="multiples of 32, found 480x360; the nearest size is 480x352"):
        model(some_images(1, 360, 480))
    with pytest.raises(InputError, match="the nearest size is 32x32"):
        model(some_images(1, 8, 16))


def test_a_net_that_gives_no_logits_is_named():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(InputError, match="net toy gave tuple"):
        toy(Pair())(some_images())


def test_create_model():
    model = create_model("deeplabv2_resnet18", CLASSES, Size(64, 32))
    assert model.card.normalisation == CAFFE and model.card.size == Size(64, 32)
    assert model.classes == CLASSES
    assert model.logits(some_images(1, 32, 64)).shape == (1, 3, 32, 64)
    assert ModelCard.from_dict(json.loads(json.dumps(model.card.to_dict()))) == model.card
    own = Normalisation("rgb", (1, 2, 3), (4, 5, 6))
    model = create_model("deeplabv2_resnet18", CLASSES, Size(64, 32), normalisation=own)
    assert model.card.normalisation == own
    model.set_normalisation(CAFFE)
    assert model.card.normalisation == CAFFE and model.normalise.reverse


def test_a_copy_is_independent():
    model = toy()
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.net.weight.zero_()
    assert model.net.weight.abs().sum() > 0


def test_half_precision_gives_float_logits():
    model = toy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(some_images()).dtype == torch.bfloat16
        assert model.logits(some_images()).dtype == torch.float32


def test_batch_of_one_is_refused_where_batch_norm_cannot_train():
    model = create_model("smp:deeplabv3plus/tu-tf_efficientnet_lite0", CLASSES, Size(64, 32)).eval()
    before = copy.deepcopy(model.net.state_dict())
    with pytest.raises(InputError, match="batch of at least 2"):
        check_batch(model, 1, Size(64, 32))
    check_batch(model, 2, Size(64, 32))
    with pytest.raises(InputError, match="multiples of 16"):
        check_batch(model, 2, Size(60, 32))
    assert not any(module.training for module in model.modules())
    after = model.net.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before), "the dry run touched the weights"


def test_batch_of_one_is_fine_elsewhere():
    check_batch(create_model("deeplabv2_resnet18", CLASSES, Size(64, 32)), 1, Size(64, 32))


def test_check_batch_says_nothing_where_it_cannot_tell():
    class Odd(nn.Module):
        def forward(self, x):
            return x if x.sum().item() > 0 else -x

    check_batch(toy(Odd()), 1, Size(16, 8))


class Picky(nn.Conv2d):
    """Takes one size alone and says so by an assertion, as transformers with learned positions do."""

    def forward(self, x):
        assert x.shape[-1] == 224, f"Input width ({x.shape[-1]}) does not match the model (224)."
        return super().forward(x)


def test_a_network_that_asserts_its_size_is_refused_with_its_words():
    model = toy(Picky(3, 2, 1))
    for check in (lambda: check_runs(model, Size(64, 32)), lambda: check_batch(model, 2, Size(64, 32))):
        with pytest.raises(InputError, match=r"cannot take images of 64x32 \(Input width \(64\) does not match"):
            check()
    check_runs(model, Size(224, 32))
