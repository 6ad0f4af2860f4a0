"""Large images: what is held in memory for every pixel, beside the decoder's own 4 bytes of it."""

import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from crots.config import Size
from crots.data import feed
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.data.tiles import Tiling
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.images import read_image
from crots.label_files import write_confidence, write_labels
from crots.methods.metrics import Confusion
from crots.methods.rare import ClassStatistics
from crots.options import PredictOptions, PseudoLabelOptions, RuntimeOptions
from crots.stages.labellers import Labelled
from crots.stages.predict import ImageFrames, PredictJob, predict_frames
from crots.stages.pseudo_label import LabelJob, label_images
from crots.taxonomy import ClassSet
from crots.training.tiled import Tiles

CLASSES = ClassSet.from_dict({"name": "three", "names": ["a", "b", "c"]})
TILES = Tiles(Tiling(Size(512, 512), 0.25), Engine(RuntimeOptions(device="cpu")))
# Both of several strips.
SMALL, LARGE = Size(3000, 4200), Size(3000, 8400)


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def growth_of(work_on):
    """Bytes for every pixel by which the peak grows with an image."""
    small, large = (peak_of(work_on(size)) for size in (SMALL, LARGE))
    return (large - small) / (LARGE.width * LARGE.height - SMALL.width * SMALL.height)


def large_image(folder, size, count=1):
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, (10, 20, 30))
    for number in range(count):
        image.save(folder / f"{number}.png", compress_level=1)
    return folder


def predicting(folder, size, count=1):
    """Predicts large images tile by tile and writes all that can be written of them."""

    def look(images):
        return torch.zeros(len(images), 3, *images.shape[-2:])

    frames = ImageFrames(open_dataset(large_image(folder / str(size), size, count)).samples)

    def work():
        frames.check_headers(Context("predict").control)
        job = PredictJob(
            frames, lambda found: [TILES.labels(frame.image, look) for frame in found], CLASSES, PredictOptions(),
            folder / "out",
        )  # fmt: skip
        list(predict_frames(job, Context("predict")))

    return work


class Labels:
    """A source that labels large images tile by tile."""

    needs_images = True

    def prepare(self, batches):
        return False

    def label(self, samples, images):
        labels, confidence = TILES.likeliest(images[0], lambda batch: torch.zeros(len(batch), 3, *batch.shape[-2:]))
        return [Labelled(labels.astype(np.uint8), confidence, 0.5)]


def labelling(folder, size, count=1):
    """Writes the pseudo-labels of large images."""
    dataset = open_dataset(large_image(folder / str(size), size, count))
    cache = ImageCache(None, None, 0)
    job = LabelJob(dataset, cache, Labels(), CLASSES, PseudoLabelOptions(), folder / "out", tiling=TILES.tiling)
    return lambda: list(label_images(job, Context("pseudo-label")))


def test_an_image_is_decoded_without_copies_of_it(tmp_path):
    def reading(size):
        path = large_image(tmp_path / str(size), size) / "0.png"
        return lambda: read_image(path)

    assert growth_of(reading) < 3.1


def test_of_a_predicted_image_its_pixels_and_labels_are_held(tmp_path):
    # And a copy while the overlay is written, since OpenCV takes the colours the other way round.
    assert growth_of(lambda size: predicting(tmp_path, size)) < 3 + 1 + 3 + 0.2


def test_of_labelled_images_one_is_held_with_its_labels_and_confidence(tmp_path, monkeypatch):
    """While an image was labelled, the labels and the confidence of the one before it were held too."""
    monkeypatch.setattr(feed, "_HELD", 1)
    assert growth_of(lambda size: labelling(tmp_path, size, count=2)) < 3 + 1 + 4 + 1


def test_of_large_images_no_others_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "_HELD", 10**6)
    size = Size(1800, 1200)
    one, four = (peak_of(predicting(tmp_path / str(count), size, count)) for count in (1, 4))
    assert four - one < size.width * size.height


def test_how_many_are_loaded_ahead():
    assert [feed.ahead(4, size) for size in (0, 10**6, 3 * 24 * 10**6, 3 * 10**8)] == [4, 4, 1, 1]


@pytest.mark.parametrize("what", ["confidence", "labels", "score", "statistics"])
def test_maps_are_written_and_counted_in_strips(tmp_path, what):
    def work_on(size):
        labels = np.zeros((size.height, size.width), np.uint8)
        confidence = np.full(labels.shape, 0.5, np.float32)
        return {
            "confidence": lambda: write_confidence(tmp_path / "c.png", confidence),
            "labels": lambda: write_labels(tmp_path / "l.png", labels),
            "score": lambda: Confusion(3).add(labels, labels),
            "statistics": lambda: ClassStatistics(3).add(labels, confidence),
        }[what]

    assert growth_of(work_on) < (1.1 if what == "confidence" else 0.1)


def test_counts_in_strips_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 3, (2, 3000, 2000), np.uint8)
    confidence = rng.random(truth.shape, np.float32)
    confusion, statistics = Confusion(3), ClassStatistics(3)
    confusion.add(truth, found)
    statistics.add(truth, confidence)
    counts = np.bincount((truth * 3 + found).ravel(), minlength=9).reshape(3, 3)
    assert (confusion.matrix == counts).all() and confusion.images == 1
    assert (statistics.pixels == counts.sum(1)).all() and (statistics.images == 1).all()
    sums = np.bincount(truth.ravel(), confidence.ravel())
    np.testing.assert_allclose(statistics.confidence, sums, rtol=1e-9)
