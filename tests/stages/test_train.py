"""Training on ground truth, at working size and on crops."""

import numpy as np
import pytest

from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.errors import InputError
from crots.events import Metrics
from crots.execution.context import Context
from crots.stages.train import TrainJob, TrainLearner, supervise
from crots.training.loop import Training
from crots.training_options import TrainOptions
from tests.stages import tiny_world as world
from tests.stages.tiny_training import ENGINE, FEW, learner, student


def labelled_dataset(tmp_path, size=world.SIZE):
    images = world.write_images(tmp_path / "labelled" / "images", size=size)
    return open_dataset(images, layout="folder", labels=world.write_truth(tmp_path / "labelled" / "labels", size=size))


def trained(tmp_path, classes, size=world.SIZE, **options):
    dataset = labelled_dataset(tmp_path, size)
    cache = ImageCache(None, world.SIZE, 0)
    options = TrainOptions(**{**FEW, **options})
    return TrainLearner(student(classes), dataset, cache, ENGINE, options, seed=3, stage="train")


def test_train_learns_ground_truth_at_working_size(tmp_path, classes):
    made = trained(tmp_path, classes, size=world.Size(64, 48), flip=False)
    data = made.load(0)
    assert data.images.shape == (2, 32, 32, 3) and data.labels.shape == (2, 32, 32)
    assert set(np.unique(data.labels)) <= {0, 1, 2, 3}
    first = [float(made.step(number, made.load(number), 1e-2)["cross-entropy"]) for number in range(30)]
    assert np.mean(first[-5:]) < 0.6 * np.mean(first[:5])


def test_train_mirrors_and_jitters(tmp_path, classes):
    plain, flipped = (trained(tmp_path, classes, flip=flip) for flip in (False, True))
    differ = [not np.array_equal(plain.load(n).labels, flipped.load(n).labels) for n in range(6)]
    assert any(differ)
    losses = [float(trained(tmp_path, classes, jitter=jitter).step(0, trained(tmp_path, classes).load(0), 0.0)
                    ["cross-entropy"]) for jitter in (0.0, 1.0)]  # fmt: skip
    assert losses[0] != pytest.approx(losses[1])


def test_crops_and_their_scale_reach_baseline_and_train(tmp_path, material, classes):
    def made(**options):
        return learner(material, classes, **options), trained(tmp_path, classes, **options)

    crop = Size(16, 8)
    for whole, cut, scaled in zip(made(), made(crop=crop), made(crop=crop, scale=2.0), strict=True):
        assert whole.load(0).images.shape[1:3] == (32, 32)
        assert cut.load(0).images.shape[1:3] == cut.load(0).labels.shape[1:] == (8, 16)
        assert not np.array_equal(cut.load(0).images, scaled.load(0).images)
        assert not np.array_equal(cut.load(0).images, cut.load(len(material.samples)).images)
        assert np.isfinite(float(cut.step(0, cut.load(0), 1e-2)["cross-entropy"]))
    # Scale alone enlarges parts to the working size.
    assert learner(material, classes, scale=2.0).load(0).images.shape[1:3] == (32, 32)


def test_train_needs_labels(tmp_path, images, classes):
    cache = ImageCache(None, world.SIZE, 0)
    with pytest.raises(InputError, match="no labels found for its 6 images"):
        list(supervise(TrainJob(student(classes), open_dataset(images), cache, ENGINE, TrainOptions(**FEW),
                                Training(tmp_path / "run", 0)), Context("train")))  # fmt: skip


def test_train_as_a_stage(tmp_path, classes):
    events = list(
        supervise(TrainJob(student(classes), labelled_dataset(tmp_path), ImageCache(None, world.SIZE, 0), ENGINE,
                           TrainOptions(**FEW), Training(tmp_path / "run", 0)), Context("train"))
    )  # fmt: skip
    assert [event.step for event in world.of(events, Metrics)] == [1, 2, 3, 4, 5, 6]
