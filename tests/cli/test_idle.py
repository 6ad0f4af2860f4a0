"""Options that were typed and reach nothing are refused, with the reason."""

import numpy as np
import pytest
from PIL import Image

from crots.cli.idle import RULES
from crots.options import all_options
from crots.project import Project

pytestmark = pytest.mark.safety


@pytest.fixture
def predictions(city, tmp_path):
    """Of the training and the validation images."""
    folder = tmp_path / "said"
    for image in sorted((city / "images").rglob("*.png")):
        path = folder / image.relative_to(city / "images")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((64, 64), 3, np.uint8)).save(path)
    return folder


@pytest.fixture
def black(city, predictions):
    return [
        "--target", city / "images" / "train", "--classes", "camvid", "--predictions", predictions / "train",
        "--student", "compact", "--student-weights", "random",
    ]  # fmt: skip


@pytest.fixture
def white(city, weights):
    return ["--target", city / "images" / "train", "--classes", "camvid", "--source", weights, "--net", "compact"]


def given_without_effect(line, *flags):
    return all(flag in line for flag in flags) and "given without effect" in line and "leave" in line


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("--source-channels", "bgr", "--source-mean", "1,2,3"), ("--source-channels, --source-mean are",)),
        (("--source-size", "64x64"), ("--source-size",)),
        (("--source-output", "labels"), ("--source-output",)),
        (("--source-prefix", "model."), ("--source-prefix",)),
        (("--net", "compact"), ("--net",)),
        (("--tile-overlap", "0.4"), ("--tile-overlap", "or give --tile")),
        (("--target-statistics", "0.1"), ("--target-statistics",)),
    ],
)
def test_a_project_of_predictions(refused, black, tmp_path, words, flags):
    assert given_without_effect(refused("init", tmp_path / "p", *black, *words), *flags)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("--predictions-encoding", "raw"), ("--predictions-encoding", "--predictions")),
        (("--confidence", "{city}"), ("--confidence", "--predictions")),
        (("--source-output", "probabilities"), ("--source-output",)),
        (("--source-output-name", "out"), ("--source-output-name",)),
    ],
)
def test_a_project_of_a_model(refused, white, city, tmp_path, words, flags):
    words = [word.format(city=city) for word in words]
    assert given_without_effect(refused("init", tmp_path / "p", *white, *words), *flags)


def test_what_has_an_effect_or_is_the_default_is_taken(crots, city, black, white, tmp_path):
    # Without a student's network the source's is taken.
    named = ["--net" if word == "--student" else word for word in black]
    assert crots("init", tmp_path / "a", *named).code == 0
    assert crots("init", tmp_path / "b", *black, "--source-channels", "auto", "--tile-overlap", "0.25").code == 0
    assert crots("init", tmp_path / "c", *white, "--source-channels", "bgr", "--source-output", "logits").code == 0
    scored = ["--val-images", city / "images" / "val", "--val-labels", city / "labels" / "val"]
    more = ("--val-encoding", "train", "--set", "evaluate.flip=true")
    assert crots("init", tmp_path / "d", *white, *scored, *more).code == 0
    # A preset's options were not typed.
    (tmp_path / "preset.toml").write_text('[source]\nchannels = "bgr"\n')
    assert crots("init", tmp_path / "e", *black, "--preset", tmp_path / "preset.toml").code == 0


def test_a_list_has_no_layout(refused, city, black, tmp_path):
    listed = tmp_path / "images.txt"
    listed.write_text("".join(f"{path}\n" for path in sorted((city / "images" / "train").iterdir())))
    line = refused("init", tmp_path / "p", *black, "--target", listed, "--layout", "camvid")
    assert given_without_effect(line, "--layout")


def test_what_a_project_stores_may_have_an_effect_later(crots, city, black, tmp_path):
    later = ["--val-encoding", "train", "--val-layout", "folder"]
    for option in ("evaluate.flip=true", "adapt.patches=false", "mine.grid=2x2", "source.channels=bgr"):
        later += ["--set", option]
    ran = crots("init", tmp_path / "p", *black, *later)
    assert ran.code == 0, ran.err
    config = Project.open(tmp_path / "p").config
    assert config.evaluate.flip and config.mine.grid == (2, 2) and config.source.channels == "bgr"


def test_an_estimate_logs_nothing(crots, refused, black, tmp_path):
    assert crots("init", tmp_path / "p", *black).code == 0
    line = refused("run", tmp_path / "p", "--estimate", "--tensorboard", tmp_path / "b", "--events", "-")
    assert given_without_effect(line, "--events, --tensorboard are")


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("--flip",), ("--flip",)),
        (("--net", "compact"), ("--net",)),
        (("--channels", "bgr"), ("--channels",)),
        (("--input-size", "64x64"), ("--input-size",)),
        (("--weights", "teacher"), ("--weights",)),
        (("--tile", "64x64"), ("--tile",)),
        (("--layout", "camvid"), ("--layout", "--images")),
        (("--overwrite",), ("--overwrite", "--json")),
    ],
)
def test_scores_of_predictions(refused, city, predictions, words, flags):
    labels = ["--labels", city / "labels" / "val", "--classes", "camvid"]
    line = refused("evaluate", "--predictions", predictions / "val", *labels, *words)
    assert given_without_effect(line, *flags)


@pytest.fixture
def model(tmp_path):
    from crots.config import Size
    from crots.nets.model import create_model
    from crots.nets.weights import save_safetensors
    from crots.taxonomy import load_class_set

    made = create_model("compact", load_class_set("camvid"), Size(64, 64), seed=1)
    save_safetensors(tmp_path / "m.safetensors", made.net, made.card)
    return tmp_path / "m.safetensors"


def test_a_file_of_one_model(crots, refused, city, model, tmp_path):
    images, labels = city / "images" / "val", city / "labels" / "val"
    score = ["evaluate", "--checkpoint", model, "--images", images, "--labels", labels]
    assert given_without_effect(refused(*score, "--weights", "teacher"), "--weights", "m.safetensors holds one model")
    assert given_without_effect(refused(*score, "--input-size", "32x32"), "--input-size", "--size")
    ran = crots(*score, "--weights", "student")
    assert ran.code == 0, "the one that there is"
    out = ["export", model, "--format", "onnx", "--out", tmp_path / "m.onnx"]
    assert given_without_effect(refused(*out, "--weights", "teacher"), "--weights")
    assert given_without_effect(refused(*out, "--split", "val"), "--split", "--images")
    predict = ["predict", "--checkpoint", model, "--images", images, "--out", tmp_path / "out"]
    assert given_without_effect(refused(*predict, "--output", "labels"), "--output")
    assert given_without_effect(refused(*predict, "--no-overlay", "--opacity", "0.2"), "--opacity")
    assert "nothing to write" in refused(*predict, "--no-ids", "--no-colour", "--no-overlay")


def test_a_split_that_is_asked_for_in_vain_is_warned_of(crots, city, model, tmp_path):
    images = city / "images" / "train"
    predict = ["predict", "--checkpoint", model, "--images", images, "--out", tmp_path / "out", "--split", "val"]
    ran = crots(*predict)
    assert ran.code == 0 and "it has no splits, so that --split val leaves out none of 4 images" in ran.out


def test_a_project_is_no_model(crots, refused, city, white, tmp_path):
    assert crots("init", tmp_path / "p", *white).code == 0
    score = ["evaluate", "--images", city / "images" / "val", "--labels", city / "labels" / "val", "--checkpoint"]
    assert "a project, expected the source model; run it, and" in refused(*score, tmp_path / "p")
    made = tmp_path / "p" / "baseline" / "student.safetensors"
    made.parent.mkdir()
    made.write_bytes(b"")
    assert f"such as {made}" in refused("export", tmp_path / "p", "--format", "onnx", "--out", tmp_path / "m.onnx")


def test_commands_without_options_of_a_project(refused, crots, city, model, black, tmp_path):
    assert crots("init", tmp_path / "p", *black).code == 0
    for words, flags in (
        (("inspect", tmp_path / "p", "--classes", "camvid"), ("--classes", "is a project")),
        (("inspect", model, "--labels", city), ("--labels", "is a model")),
        (("inspect", city / "images" / "val", "--net", "compact"), ("--net",)),
        (("inspect", city / "labels" / "val", "--confidence", city, "--labels", city), ("--labels",)),
        (("suspects", tmp_path / "p", "--tool", "labelme"), ("--tool", "--export")),
        (("suspects", tmp_path / "p", "--import", city, "--top", "20"), ("--top",)),
        (("options", "--markdown", "--json"), ("--markdown",)),
        (("convert-labels", "--labels", city, "--classes", "camvid", "--split", "val", "--out", "x"), ("--split",)),
        (
            ("adapt", "--images", city / "images" / "val", "--student", model, "--pseudo-labels", city, "--out", "x"),
            ("--pseudo-labels", "--balance"),
        ),
        (
            ("adapt", "--images", city / "images" / "val", "--student", model, "--patch-weight", "2", "--out", "x"),
            ("--patch-weight",),
        ),
    ):
        assert given_without_effect(refused(*words), *flags), words


def test_the_rules_name_options_that_there_are():
    assert {option for rule in RULES for option in rule.options} <= set(all_options())
