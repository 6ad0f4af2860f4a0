"""Networks on large images: tile by tile as in one pass, without seams, in little memory."""

import gc
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from crots.config import Size
from crots.data.tiles import Tiling
from crots.execution.engine import Engine
from crots.nets.model import create_model
from crots.options import RuntimeOptions
from crots.training.tiled import Tiles, logits_of
from tests.stages import tiny_world as world

ENGINE = Engine(RuntimeOptions(device="cpu"))


def tiles(size, overlap=0.25, batch=1):
    return Tiles(Tiling(Size(*size), overlap), ENGINE, batch)


def whole(cut, image, look, **how):
    """All blocks put together, (C, H, W), each pixel written once."""
    found, times = None, np.zeros(image.shape[:2], int)
    for window, block in cut.blocks(image, look, **how):
        found = np.full((len(block), *image.shape[:2]), np.nan) if found is None else found
        rows, columns = slice(window.y, window.y + window.height), slice(window.x, window.x + window.width)
        found[:, rows, columns] = block.numpy()
        times[rows, columns] += 1
    assert (times == 1).all()
    return found


def picture(height, width, seed=0):
    """Blobs of several sizes with noise: something of which a network says different things."""
    rng = np.random.default_rng(seed)
    image = rng.normal(128, 12, (height, width, 3))
    for step in (7, 61, 301):
        coarse = rng.normal(0, 40, (-(-height // step), -(-width // step), 3))
        image += np.kron(coarse, np.ones((step, step, 1)))[:height, :width]
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture
def model(tmp_path):
    found = create_model("tests.stages.tiny_nets:plain", world.tiny_classes(tmp_path), Size(64, 64), trust=True, seed=1)
    for layer in found.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1, generator=torch.Generator().manual_seed(2))
    return found


@pytest.mark.parametrize(("shape", "tile"), [((1000, 1504), (256, 192)), ((2000, 3000), (768, 512))])
def test_a_photograph_gets_the_labels_of_one_pass(model, shape, tile):
    image = picture(*shape)
    cut = tiles(tile)
    with torch.inference_mode():
        expected = model.eval().logits(ENGINE.images(image[None]))[0]
        best, second = expected.topk(2, dim=0).values
        labels = cut.labels(image, logits_of(model, ENGINE))
        different = torch.from_numpy(labels.astype(np.int64)) != expected.argmax(0)
    assert len(np.unique(labels)) > 1
    # Only where two classes are equally likely but for rounding.
    assert (best - second)[different].max() < 1e-4 if different.any() else True
    assert different.float().mean() < 1e-5


@pytest.mark.parametrize("size", [(96, 64), (64, 64), (200, 96)])
@pytest.mark.parametrize("shape", [(128, 224), (64, 96), (134, 226), (40, 300), (32, 46)])
@pytest.mark.parametrize("batch", [1, 3])
def test_logits_are_those_of_one_pass_whatever_the_size(model, size, shape, batch):
    image = picture(*shape)
    found = whole(tiles(size, 0.5, batch), image, logits_of(model, ENGINE))
    with torch.inference_mode():
        expected = model.eval().logits(ENGINE.images(image[None]))[0].numpy()
    # At the end of a side that is shorter than a tile the network sees the image mirrored, and not its border.
    height, width = (side if side >= tile else side - 8 for side, tile in zip(shape, size[::-1], strict=True))
    np.testing.assert_allclose(found[:, :height, :width], expected[:, :height, :width], rtol=0, atol=1e-5)


def steps(size):
    """A network that says of each tile a number of its own: the worst that a border between tiles can be."""
    number = itertools.count()

    def look(images):
        value = torch.tensor([float(next(number) % 2) for _ in images])
        return value[:, None, None, None].expand(-1, 2, *images.shape[-2:]).clone()

    return look


def test_there_is_no_seam_where_tiles_disagree():
    image = np.zeros((300, 500, 3), np.uint8)
    found = whole(tiles((128, 96)), image, steps((128, 96)))
    assert found.min() == 0 and found.max() == 1
    slope = max(np.abs(np.diff(found, axis=1)).max(), np.abs(np.diff(found, axis=2)).max())
    # The narrowest ramp is an eighth of 96 pixels.
    assert slope <= 1 / (96 // 8) + 1e-6


def test_labels_are_taken_from_one_tile_each():
    image = np.zeros((300, 500, 3), np.uint8)

    def look(images):
        return torch.full((len(images), 1, *images.shape[-2:]), 7)

    assert (tiles((128, 96)).labels(image, look, hard=True) == 7).all()


def live():
    """Bytes that all new tensors hold now."""
    # No isinstance: it makes some objects of torch warn.
    storages = [found.untyped_storage() for found in gc.get_objects() if type(found) is torch.Tensor]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def most_held(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    gc.freeze()
    try:
        return max(live() for _ in tiles((64, 64)).blocks(image, looked))
    finally:
        gc.unfreeze()


def looked(images):
    return torch.zeros(len(images), 8, *images.shape[-2:])


def test_memory_does_not_grow_with_the_height_and_hardly_with_the_width():
    small, tall, wide = most_held(128, 128), most_held(512, 128), most_held(128, 512)
    # A tile with what it leaves for its neighbours, and little more.
    assert 4 * 8 * 64 * 64 <= small < 3 * 4 * 8 * 64 * 64
    assert tall == small
    # Of a whole row only the overlaps are kept, 8 pixels of 64.
    assert wide - small <= 4 * 8 * 8 * (512 - 128)


def test_confidence_is_that_of_the_joined_logits(model):
    image = picture(96, 160)
    look = logits_of(model, ENGINE, flip=True)
    labels, confidence = tiles((64, 64)).likeliest(image, look)
    logits = torch.from_numpy(whole(tiles((64, 64)), image, look))
    assert (labels == logits.argmax(0).numpy()).all()
    np.testing.assert_allclose(confidence, torch.softmax(logits, 0).amax(0).numpy(), rtol=0, atol=1e-5)
