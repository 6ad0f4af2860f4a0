"""The gallery of hard patches: filters, counts, reasons, and the rare set as an option."""

import numpy as np
import pytest

from crots.errors import InputError
from crots.methods.rare import asked_rare
from crots.options import MineOptions
from crots.taxonomy import ClassSet, load_class_set
from crots.training.patch_set import PatchCorrections, PatchSet
from crots_studio.models.patch_gallery import (
    PatchFilter,
    PatchGallery,
    class_rows,
    outline,
    rare_boxes,
    rare_now,
    rare_option,
    read_statistics,
)
from tests.studio.fake_project import make_fake_project

CLASSES = load_class_set("camvid")
SIGN, POLE, BICYCLIST = (CLASSES.index(name) for name in ("sign", "pole", "bicyclist"))
NONE = PatchCorrections()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_fake_project(tmp_path_factory.mktemp("patches"), until="mine")


@pytest.fixture(scope="module")
def gallery(project):
    return PatchGallery.open(project.stage_folder("mine"))


@pytest.fixture(scope="module")
def statistics(project):
    return read_statistics(project.stage_folder("pseudo-label"), CLASSES)


def shown(gallery, wanted, corrections=NONE):
    return [gallery.rows[index] for index in gallery.arrange(wanted, corrections)]


def test_all_patches_are_listed_with_their_files(gallery, project):
    assert gallery.mined
    assert len(gallery) == len(PatchSet.open(project.stage_folder("mine"), CLASSES))
    assert all(gallery.picture(row).is_file() for row in gallery.rows)


def test_filtered_by_class_and_confidence(gallery):
    signs = shown(gallery, PatchFilter(shows=SIGN))
    assert signs
    assert all(SIGN in row.pixels for row in signs)
    sure = shown(gallery, PatchFilter(least=0.6))
    assert 0 < len(sure) < len(gallery)
    assert all(row.confidence >= 0.6 for row in sure)


def test_orders(gallery):
    confidences = [row.confidence for row in shown(gallery, PatchFilter(order="least sure"))]
    assert confidences == sorted(confidences)
    names = [row.name for row in shown(gallery, PatchFilter(order="name"))]
    assert names == sorted(names)
    pixels = [row.rare_pixels() for row in shown(gallery, PatchFilter(order="most pixels"))]
    assert pixels == sorted(pixels, reverse=True)


def test_filtered_by_what_the_user_said(gallery):
    first, second = gallery.rows[0].name, gallery.rows[1].name
    corrections = PatchCorrections(frozenset({first}), {second: {SIGN: POLE}})
    assert [row.name for row in shown(gallery, PatchFilter(state="rejected"), corrections)] == [first]
    assert [row.name for row in shown(gallery, PatchFilter(state="relabelled"), corrections)] == [second]
    assert len(shown(gallery, PatchFilter(state="kept"), corrections)) == len(gallery) - 1


def test_counts_by_class(gallery):
    rejected = next(row for row in gallery.rows if BICYCLIST in row.classes)
    total, kept = gallery.counts(PatchCorrections(frozenset({rejected.name})))[BICYCLIST]
    assert (total, kept) == (2, 1)


def test_pictures_are_read_as_training_reads_them(gallery, project):
    row = next(row for row in gallery.rows if SIGN in row.pixels)
    corrections = PatchCorrections(relabelled={row.name: {SIGN: CLASSES.ignore}})
    patches = PatchSet.open(project.stage_folder("mine"), CLASSES, corrections)
    index = patches.names.index(row.name)
    image, labels = gallery.read(row, corrections)
    assert np.array_equal(labels, patches.labels([index])[0])
    assert np.array_equal(image, patches.images([index])[0])


def test_the_table_says_what_is_rare_and_why(gallery, statistics):
    rare = rare_now(MineOptions(), CLASSES, statistics, ())
    assert set(rare) == set(gallery.rare)
    rows = class_rows(CLASSES, statistics, rare, gallery, NONE)
    assert [row.name for row in rows] == list(CLASSES.names)
    sign = rows[SIGN]
    assert sign.rare
    assert "least" in sign.reason
    assert sign.patches == sign.kept == 4
    assert rows[CLASSES.index("fence")].confidence is None
    assert "never predicted" in rows[CLASSES.index("fence")].reason
    assert sum(row.share for row in rows) == pytest.approx(1)


def test_the_table_stands_without_statistics():
    rows = class_rows(CLASSES, None, {}, PatchGallery(), NONE)
    assert len(rows) == len(CLASSES)
    assert not any(row.patches for row in rows)


def test_rare_sets_of_all_kinds(statistics):
    assert rare_now(MineOptions(rare="published"), CLASSES, statistics, (1, 2)) == {
        1: "in the published set",
        2: "in the published set",
    }
    assert set(rare_now(MineOptions(rare="sign, 2"), CLASSES, statistics, ())) == {SIGN, POLE}
    assert rare_now(MineOptions(), CLASSES, None, ()) == {}
    with pytest.raises(InputError):
        rare_now(MineOptions(rare="lamp"), CLASSES, statistics, ())


@pytest.mark.parametrize(
    "names", [("a", "b", "c"), ("auto", "b", "c"), ("a, b", "b", "c"), ("1", "0", "c"), (" x", "b", "c")]
)
def test_a_chosen_set_means_the_same_after_writing(names):
    classes = ClassSet("odd", names, ((1, 1, 1), (2, 2, 2), (3, 3, 3)))
    for chosen in ({0}, {0, 1}, {1, 2}, {0, 1, 2}):
        written = rare_option(chosen, classes)
        assert written not in ("auto", "published")
        assert set(asked_rare(written, classes, ())) == chosen


def test_nothing_mined_is_an_empty_gallery(tmp_path):
    gallery = PatchGallery.open(tmp_path)
    assert not gallery.mined
    assert gallery.arrange(PatchFilter(), NONE) == []
    assert read_statistics(tmp_path, CLASSES) is None


def test_outlines_run_between_labels():
    edges = outline(np.array([[1, 1, 2], [1, 1, 2]]))
    assert edges.tolist() == [[False, True, False], [False, True, False]]


def test_a_few_pixels_of_a_rare_class_are_boxed():
    labels = np.zeros((20, 30), np.uint8)
    labels[5, 7:9] = 3
    labels[0, 29] = 4
    assert rare_boxes(labels, (3, 4, 9)) == [(6, 4, 4, 3), (28, 0, 2, 2)]
    assert rare_boxes(labels, (0,)) == [], "it is everywhere"
