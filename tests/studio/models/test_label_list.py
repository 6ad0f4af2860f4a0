"""The list of images: order, halves, classes, search; with and without pseudo-labels."""

import dataclasses

import numpy as np
import pytest

from crots.config import Size
from crots.taxonomy import load_class_set
from crots_studio.models.label_list import LabelList, glance, read_list
from tests.studio.fake_project import KEYS, make_fake_project

CLASSES = load_class_set("camvid")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_fake_project(tmp_path_factory.mktemp("labels"), until="pseudo-label")


@pytest.fixture(scope="module")
def labels(project):
    return read_list(project, CLASSES)


def names(labels, order):
    return [labels.keys[index] for index in order]


def test_all_images_are_there_with_their_files(labels):
    assert labels.keys == tuple(sorted(KEYS))
    assert labels.labelled
    assert all(labels.path(index).is_file() for index in range(len(labels)))


def test_sorted_by_entropy(labels):
    hardest = [labels.row(index).entropy for index in labels.arrange("hardest")]
    assert hardest == sorted(hardest, reverse=True)
    assert labels.arrange("easiest") == list(reversed(labels.arrange("hardest")))
    assert names(labels, labels.arrange("name")) == sorted(KEYS)


def test_halves_are_those_of_the_stage(labels, project):
    hard = names(labels, labels.arrange("name", part="hard"))
    listed = (project.stage_folder("pseudo-label") / "hard.txt").read_text().splitlines()
    assert {f"{key}.png" for key in hard} == {line.split()[0] for line in listed}
    assert len(hard) + len(labels.arrange("name", part="easy")) == len(KEYS)
    assert len(labels.arrange("name", part="easy")) == 3


def test_images_without_the_class_are_left_out(labels):
    bicyclist = CLASSES.index("bicyclist")
    assert names(labels, labels.arrange("class", shows=bicyclist)) == ["night/frame_3"]
    sign = CLASSES.index("sign")
    shown = labels.arrange("unsure", shows=sign)
    means = [labels.confidence[index, sign] / labels.pixels[index, sign] for index in shown]
    assert len(shown) == 2
    assert means == sorted(means)


@pytest.mark.parametrize(
    ("keys", "captions"),
    [
        (("ulm/ulm_0_294_leftImg8bit", "ulm/ulm_1_301_leftImg8bit"), ["ulm_0_294", "ulm_1_301"]),
        (("street_00010", "street_00020"), ["street_00010", "street_00020"]),
        (("a/rgb", "b/rgb"), ["a/rgb", "b/rgb"]),
        (("only_one",), ["only_one"]),
        (("frame", "frame_frame"), ["frame", "frame_frame"]),
    ],
)  # fmt: skip
def test_names_keep_what_distinguishes_images(keys, captions):
    labels = LabelList(keys=keys)
    assert [labels.name(index) for index in range(len(keys))] == captions


def test_the_figure_is_what_the_order_goes_by(labels):
    sign = CLASSES.index("sign")
    index = labels.arrange("class", shows=sign)[0]
    assert labels.figure(index, "hardest", sign) == f"{labels.entropy[index]:.2f}"
    assert labels.figure(index, "class", sign) == f"{labels.shares(index)[sign]:.1%}"
    mean = labels.confidence[index, sign] / labels.pixels[index, sign]
    assert labels.figure(index, "unsure", sign) == f"{mean:.2f}"
    looked = dataclasses.replace(labels, doubt=np.full(len(labels), 0.25, np.float32))
    assert looked.figure(index, "suspicious", None) == "0.25"
    assert LabelList(keys=("a",)).figure(0, "hardest", None) == ""


def test_search_ignores_case(labels):
    assert names(labels, labels.arrange("name", text="NIGHT/")) == ["night/frame_0", "night/frame_3", "night/frame_4"]
    assert labels.arrange("name", text="no such image") == []


def test_shares_sum_to_one(labels):
    assert labels.shares().sum() == pytest.approx(1)
    assert labels.shares(0).sum() == pytest.approx(1)
    assert LabelList().shares().sum() == 0


def test_without_pseudo_labels_images_are_listed_by_name(tmp_path):
    project = make_fake_project(tmp_path, until="")
    labels = read_list(project, CLASSES)
    assert labels.keys == tuple(sorted(KEYS))
    assert not labels.labelled
    assert labels.row(0).entropy is None
    assert labels.arrange("hardest", part="hard", shows=3) == list(range(len(KEYS)))


def test_a_glance_gives_the_first_images_only(tmp_path):
    project = make_fake_project(tmp_path, until="")
    seen = glance(project, most=2)
    assert seen.keys == tuple(sorted(KEYS)[:2])
    assert not seen.complete
    assert seen.path(0).is_file()


def test_a_glance_shows_no_label_files(tmp_path):
    project = make_fake_project(tmp_path, until="")
    for name in ("GT/a.png", "labels/b.png", "day/c_labelIds.png"):
        path = tmp_path / "target" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert glance(project).keys == tuple(sorted(KEYS))


def test_a_missing_folder_is_a_problem_in_words(tmp_path):
    project = make_fake_project(tmp_path, until="", sections={"data": {"target": str(tmp_path / "gone")}})
    assert "gone" in read_list(project, CLASSES).problem
    assert len(glance(project)) == 0
    project.config = dataclasses.replace(
        project.config, data=dataclasses.replace(project.config.data, target=None, size=Size(64, 48))
    )
    assert "target" in read_list(project, CLASSES).problem


def test_a_torn_line_and_lines_of_another_class_set_are_passed_over(tmp_path):
    project = make_fake_project(tmp_path, until="pseudo-label")
    path = project.stage_folder("pseudo-label") / "images.jsonl"
    path.write_text(path.read_text() + '{"key": "x", "image": "x.png", "pixels": [1], "entropy": 1}\n{"key": "y"')
    assert len(read_list(project, CLASSES)) == len(KEYS)
