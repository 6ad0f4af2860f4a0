"""Pseudo-labels and patches of a class set that takes 16 bits, in files that take 8."""

import numpy as np
import pytest

from crots.arrays import Array
from crots.label_files import write_confidence, write_labels
from crots.methods.selection import fuse_by_rank
from crots.taxonomy import ClassSet, make_palette
from crots.training.material import PseudoLabels
from crots.training.patch_set import PatchCorrections, PatchSet

MANY = ClassSet("many", tuple(f"class {number}" for number in range(300)), tuple(make_palette(300)))
LOW: Array = np.arange(64, dtype=np.uint16).reshape(8, 8)


@pytest.fixture
def labels(tmp_path):
    write_labels(tmp_path / "label_ids" / "one.png", LOW)
    write_confidence(tmp_path / "confidence" / "one.png", np.where(LOW < 32, 0.2, 0.9))
    return PseudoLabels.below(tmp_path, MANY, tmp_path / "corrections")


@pytest.mark.parametrize("least", [0.5, np.full(300, 0.5, np.float32)])
def test_an_image_of_low_ids_alone_has_its_unsure_labels_ignored(labels, least):
    found = labels.read("one", min_confidence=least)
    assert np.array_equal(found, np.where(LOW < 32, MANY.ignore, LOW))


def test_what_neither_model_is_sure_of_is_ignored_and_no_class(labels):
    source = labels.read("one")
    unsure = np.zeros(LOW.shape, np.float32)
    assert (fuse_by_rank(source, unsure, source, unsure, MANY.ignore) == MANY.ignore).all()


def test_high_ids_can_be_corrected_to(labels, tmp_path):
    repainted = LOW.copy()
    repainted[0, 0] = 299
    write_labels(tmp_path / "corrections" / "one.png", repainted)
    assert labels.read("one")[0, 0] == 299 and labels.repainted("one").sum() == 1
    write_labels(tmp_path / "mined" / "patches" / "p.png", LOW)
    write_labels(tmp_path / "mined" / "labels" / "p.png", LOW)
    patches = PatchSet.open(tmp_path / "mined", MANY, PatchCorrections(relabelled={"p": {0: 299}}))
    assert patches.labels([0])[0, 0, 0] == 299
