"""Every stage alone, on real files, with a real if small network."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from crots.config import Size
from crots.errors import Stopped
from crots.execution.control import Control
from crots.label_files import read_labels
from crots.nets.model import create_model
from crots.stages.adapt import AdaptLearner
from crots.taxonomy import load_class_set

NET = "compact"
SHORT = ("--steps", "2", "--batch", "2", "--device", "cpu", "--threads", "1")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A trained source: its checkpoint, and its plain weights."""
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def source(crots, city, shelf):
    """Plain weights of a model of the city's classes; trained once."""
    path = shelf / "source.pth"
    if not path.exists():
        words = ["--images", city / "images" / "train", "--labels", city / "labels" / "train", "--size", "64x64"]
        ran = crots("train", *words, "--net", NET, "--weights", "random", "--classes", "camvid", *SHORT,
                    "--out", shelf / "source")  # fmt: skip
        assert ran.code == 0, ran.err
        assert crots("extract", shelf / "source" / "checkpoint.pt", "--out", path).code == 0
    return path


@pytest.fixture
def labelled(crots, city, source, tmp_path):
    out = tmp_path / "labelled"
    ran = crots(*label_words(city, source), "--out", out)
    assert ran.code == 0, ran.err
    return out


def label_words(city, source):
    return [
        "pseudo-label", "--images", city / "images" / "train", "--source", source, "--net", NET, "--classes", "camvid",
        "--device", "cpu", "--threads", "1",
    ]  # fmt: skip


def baseline_words(city, labelled, source):
    return [
        "baseline", "--images", city / "images" / "train", "--pseudo-labels", labelled / "label_ids", "--net", NET,
        "--weights", source, "--classes", "camvid", *SHORT,
    ]  # fmt: skip


def adapt_words(city, student, *more):
    return [
        "adapt", "--images", city / "images" / "train", "--student", student, "--classes", "camvid", *SHORT, *more,
    ]  # fmt: skip


def tensors(path):
    state = torch.load(path, weights_only=True)
    return state.get("student", state)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
def test_files_in_files_out(crots, city, labelled, source, tmp_path):
    assert sorted(path.name for path in (labelled / "label_ids").iterdir()) == [f"im{k}.png" for k in range(4)]
    easy = (labelled / "easy.txt").read_text().split()
    hard = (labelled / "hard.txt").read_text().split()
    assert len(easy) == len(hard) == 4
    assert easy[0].endswith(".png")
    assert float(easy[1]) <= float(hard[1])

    mined = ["mine", "--images", city / "images" / "train", "--pseudo-labels", labelled, "--classes", "camvid"]
    assert crots(*mined, "--rare", "0,1,3", "--min-confidence", "0", "--out", tmp_path / "patches").code == 0

    ran = crots(*baseline_words(city, labelled, source), "--out", tmp_path / "base")
    assert ran.code == 0, ran.err
    student = tmp_path / "base" / "student.safetensors"

    ran = crots(*adapt_words(city, student, "--patches", tmp_path / "patches", "--rounds", "2",
                             "--no-stop-rounds", "--select", "last", "--average", "0"),
                "--out",
                tmp_path / "adapted", "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert [row["stage"] for row in json.loads(ran.out)["stages"]] == ["adapt-1", "adapt-2"]
    adapted = tmp_path / "adapted" / "adapt-2"

    scoring = [
        "--images",
        city / "images" / "val",
        "--labels",
        city / "labels" / "val",
        "--classes",
        "camvid",
        "--json",
    ]
    scores = json.loads(crots("evaluate", "--checkpoint", adapted / "student.safetensors", *scoring).out)
    assert scores["images"] == 2
    assert 0 <= scores["miou"] <= 1
    # What is kept is the moving average.
    teacher = crots("evaluate", "--checkpoint", adapted / "checkpoint.pt", "--weights", "teacher", *scoring)
    assert json.loads(teacher.out) == scores
    last = json.loads(crots("evaluate", "--checkpoint", adapted / "checkpoint.pt", *scoring).out)
    assert last["images"] == 2 and last != scores

    torchscript = tmp_path / "adapted.pt"
    exported = ["export", adapted / "student.safetensors", "--format", "torchscript", "--out", torchscript]
    ran = crots(*exported, "--images", city / "images" / "train")
    assert ran.code == 0, ran.err
    assert "largest difference" in ran.out

    predicting = ["predict", "--images", city / "images" / "val", "--device", "cpu"]
    assert crots(*predicting, "--checkpoint", torchscript, "--out", tmp_path / "a", "--trust").code == 0
    assert crots(*predicting, "--checkpoint", adapted / "student.safetensors", "--out", tmp_path / "b").code == 0
    for folder in ("label_ids", "label_color", "overlay"):
        assert sorted(path.name for path in (tmp_path / "a" / folder).iterdir()) == ["im0.png", "im1.png"]
    both = [read_labels(tmp_path / side / "label_ids" / "im0.png") for side in ("a", "b")]
    assert (both[0] == both[1]).mean() > 0.99
    refused = crots(*predicting, "--checkpoint", torchscript, "--out", tmp_path / "c")
    assert refused.code == 2
    assert "--trust" in refused.err


@pytest.mark.slow
def test_stopped_and_resumed_ends_as_if_never_stopped(crots, city, source, tmp_path, monkeypatch):
    words = adapt_words(city, source, "--net", NET, "--size", "64x64")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert crots(*words, "--out", whole).code == 0

    steps, step = [], AdaptLearner.step

    def counted(self, number, data, rate):
        steps.append(number)
        return step(self, number, data, rate)

    def stop_before_the_second(self):
        if steps:
            raise Stopped("stopped by the user; run again to resume")

    with monkeypatch.context() as patch:
        patch.setattr(AdaptLearner, "step", counted)
        patch.setattr(Control, "check", stop_before_the_second)
        stopped = crots(*words, "--out", halves)
    assert stopped.code == 130
    assert not (halves / "student.safetensors").exists()

    again = crots(*words, "--out", halves)
    assert again.code == 2
    assert "--resume" in again.err
    other = crots(*words, "--out", halves, "--resume", "--confidence", "0.5")
    assert other.code == 2
    assert "adapt.confidence" in other.err

    ran = crots(*words, "--out", halves, "--resume")
    assert ran.code == 0, ran.err
    assert "continuing from 1" in ran.out
    assert equal(tensors(halves / "checkpoint.pt"), tensors(whole / "checkpoint.pt"))
    assert crots(*words, "--out", halves, "--overwrite").code == 0


@pytest.mark.slow
def test_published_layout(crots, city, source, tmp_path):
    folder = tmp_path / "leftImg8bit" / "train" / "aachen"
    folder.mkdir(parents=True)
    for image in (city / "images" / "train").iterdir():
        shutil.copy(image, folder / f"{image.stem}_leftImg8bit.png")
    words = label_words(city, source)
    words[words.index("--images") + 1] = tmp_path / "leftImg8bit" / "train"
    ran = crots(*words, "--published-layout", "--profile", "published", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert (tmp_path / "out" / "label_ids" / "train" / "aachen" / "im0_gtFine_labelIds.png").is_file()
    # The next stage finds these names by itself.
    mined = ["mine", "--images", tmp_path / "leftImg8bit" / "train", "--pseudo-labels", tmp_path / "out" / "label_ids"]
    ran = crots(*mined, "--classes", "camvid", "--rare", "0,1,3", "--out", tmp_path / "patches")
    assert ran.code == 0, ran.err


def test_no_cuda(refused, city, source, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    words = label_words(city, source)
    words[words.index("cpu")] = "cuda"
    line = refused(*words, "--out", tmp_path / "out")
    assert "no CUDA device" in line
    assert not (tmp_path / "out").exists()


def test_checkpoint_for_other_classes(refused, city, source, tmp_path):
    words = label_words(city, source)
    words[words.index("camvid")] = "cityscapes"
    line = refused(*words, "--out", tmp_path / "out")
    assert "11" in line
    assert "19" in line


def test_checkpoint_for_another_net(refused, city, source, tmp_path):
    words = label_words(city, source)
    words[words.index(NET)] = "deeplabv2_resnet50"
    assert "another network" in refused(*words, "--out", tmp_path / "out")


def test_unknown_net(refused, city, source, tmp_path):
    words = label_words(city, source)
    words[words.index(NET)] = "deeplabv2_resnet81"
    assert "deeplabv2_resnet18" in refused(*words, "--out", tmp_path / "out")


def test_nan_weights(refused, city, source, tmp_path):
    state = torch.load(source, weights_only=True)
    state["stem.0.0.weight"][0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    line = refused(*label_words(city, tmp_path / "nan.pth"), "--out", tmp_path / "out")
    assert "NaN" in line
    assert "stem.0.0.weight" in line


class Code:
    """Pickles as a call of a function."""

    def __reduce__(self):
        return os.getcwd, ()


def test_pickle_with_code(refused, city, tmp_path):
    (tmp_path / "code.pth").write_bytes(pickle.dumps({"state_dict": Code()}, protocol=2))
    line = refused(*label_words(city, tmp_path / "code.pth"), "--out", tmp_path / "out")
    assert "pickle with code" in line


def test_missing_source(refused, city, tmp_path):
    assert "no such file" in refused(*label_words(city, tmp_path / "nothing.pth"), "--out", tmp_path / "out")


def test_truncated_image_stops_before_the_start(refused, crots, city, source, tmp_path):
    broken = city / "images" / "train" / "im2.png"
    broken.write_bytes(broken.read_bytes()[:200])
    line = refused(*label_words(city, source), "--size", "64x64", "--out", tmp_path / "out")
    assert "im2.png" in line
    assert "--skip-bad" in line
    ran = crots(*label_words(city, source), "--size", "64x64", "--skip-bad", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert not (tmp_path / "out" / "label_ids" / "im2.png").exists()


def test_a_resumed_run_evaluates_as_often(crots, refused, city, source, tmp_path):
    words = adapt_words(city, source, "--net", NET, "--size", "64x64", "--select", "label-free", "--out", tmp_path)
    assert crots(*words).code == 0
    assert "validate_every" in refused(*words, "--resume", "--validate-every", "2")


@pytest.mark.parametrize("command", ["adapt", "train", "baseline"])
def test_training_alone_stops_at_a_truncated_image_before_the_start(crots, refused, city, source, tmp_path, command):
    images, out = city / "images" / "train", tmp_path / "out"
    for name in ("im1.png", "im2.png"):
        (images / name).write_bytes((images / name).read_bytes()[:200])
    words = adapt_words(city, source, "--net", NET, "--size", "64x64", "--out", out)
    if command == "train":
        words = ["train", "--images", images, "--labels", city / "labels" / "train", "--size", "64x64", "--net", NET,
                 "--weights", source, "--classes", "camvid", *SHORT, "--out", out]  # fmt: skip
    if command == "baseline":
        words = ["baseline", "--images", images, "--pseudo-labels", city / "labels" / "train", "--net", NET,
                 "--weights", source, "--classes", "camvid", *SHORT, "--out", out]  # fmt: skip
    line = refused(*words)
    assert "im1.png" in line and "1 more" in line and "--skip-bad" in line
    assert not out.exists()
    ran = crots(*words, "--skip-bad")
    assert ran.code == 0, ran.err
    assert "2 unreadable images are left out" in ran.out
    assert (out / "student.safetensors").exists()


def test_predict_stops_at_a_broken_header_or_leaves_broken_images_out(crots, refused, city, shelf, source, tmp_path):
    images, out = city / "images" / "train", tmp_path / "out"
    for name in ("im1.png", "im2.png"):
        (images / name).write_bytes(b"no image")
    words = ["predict", "--checkpoint", shelf / "source" / "student.safetensors", "--images", images, "--device", "cpu"]
    line = refused(*words, "--out", out)
    assert "im1.png" in line and "1 more" in line and "--skip-bad" in line
    assert not out.exists()
    # Its header is whole, its pixels are not.
    (images / "im2.png").write_bytes((images / "im3.png").read_bytes()[:200])
    ran = crots(*words, "--out", out, "--skip-bad")
    assert ran.code == 0, ran.err
    assert "2 unreadable images are left out" in ran.out
    assert sorted(path.name for path in (out / "label_ids").iterdir()) == ["im0.png", "im3.png"]


def test_pseudo_labels_of_somebody_else_are_kept(refused, city, source, tmp_path):
    (tmp_path / "out" / "label_ids").mkdir(parents=True)
    (tmp_path / "out" / "label_ids" / "mine.png").write_bytes(b"precious")
    assert "did not write" in refused(*label_words(city, source), "--out", tmp_path / "out")
    assert (tmp_path / "out" / "label_ids" / "mine.png").exists()


def test_batch_that_cannot_be_split(refused, city, source, tmp_path):
    words = adapt_words(city, source, "--net", NET, "--size", "64x64", "--accumulate", "3")
    assert "accumulate" in refused(*words, "--out", tmp_path / "out")


def test_plain_weights_without_net(refused, city, source, tmp_path):
    assert "--net" in refused(*adapt_words(city, source), "--out", tmp_path / "out")


def test_folder_without_patches(refused, city, source, tmp_path):
    words = adapt_words(city, source, "--net", NET, "--size", "64x64", "--patches", city)
    assert "crots mine" in refused(*words, "--out", tmp_path / "out")


def test_random_weights_must_be_asked_for(refused, city, tmp_path):
    words = baseline_words(city, tmp_path, "random")
    position = words.index("--weights")
    assert "--weights" in refused(*words[:position], *words[position + 2 :], "--out", tmp_path / "out")


def test_train_without_labels(refused, city, tmp_path):
    line = refused("train", "--images", city / "images" / "train", "--net", NET, "--weights", "random", "--classes",
                   "camvid", *SHORT, "--out", tmp_path / "out")  # fmt: skip
    assert "--labels" in line


def test_labels_of_another_size(crots, city, tmp_path):
    labels = city / "labels" / "train"
    for path in labels.iterdir():
        Image.fromarray(read_labels(path)[::2]).save(path)
    ran = crots("train", "--images", city / "images" / "train", "--labels", labels, "--net", NET, "--weights", "random",
                "--classes", "camvid", *SHORT, "--out", tmp_path / "out")  # fmt: skip
    assert ran.code != 0
    assert "image's size" in ran.err


def test_extract_refuses_other_suffixes(refused, shelf, source, tmp_path):
    assert ".pth or .safetensors" in refused("extract", shelf / "source" / "checkpoint.pt", "--out", tmp_path / "x.bin")


def test_extract_of_plain_weights(refused, source, tmp_path):
    assert "student" in refused("extract", source, "--out", tmp_path / "x.pth")


def test_export_on_noise_says_so(crots, source, tmp_path):
    ran = crots("export", source, "--net", NET, "--classes", "camvid", "--size", "64x64", "--format", "safetensors",
                "--out", tmp_path / "x.safetensors")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "noise" in ran.out


def test_unwritable_out(crots, city, source, tmp_path):
    (tmp_path / "file").write_text("")
    ran = crots(*label_words(city, source), "--out", tmp_path / "file" / "out")
    assert ran.code == 1
    assert "cannot write" in ran.err


@pytest.mark.parametrize("command", ["train", "convert-labels"])
def test_the_flag_of_labels_that_can_be_read_in_two_ways(refused, tmp_path, command):
    """`crots train` has a flag for the validation labels too, which would change nothing."""
    for name in ("a", "b"):
        for folder, values in (("images", np.zeros((8, 8, 3))), ("labels", np.full((8, 8), 7))):
            (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(tmp_path / "in" / folder / f"{name}.png")
    words = [command, "--images", tmp_path / "in", "--classes", "cityscapes", "--out", tmp_path / "out"]
    more = ["--net", NET, "--weights", "random", "--size", "64x64"] if command == "train" else []
    line = refused(*words, *more)
    assert "can mean" in line and "choose one by --encoding" in line and "val" not in line


def test_labels_that_are_not_used_are_no_missing_labels(refused, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("im1", "im2", "im1.ah", "im1.vk", "im2.ah", "im2.vk"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "in" / f"{name}.png")
    line = refused("convert-labels", "--images", tmp_path / "in", "--classes", "vessels", "--out", tmp_path / "out")
    assert "the label of im1 may be" in line and "give --labels" in line


def test_a_source_learns_from_the_outlines_of_idd(crots, tmp_path):
    """The class set's file, and no model, knows the names that the outlines have."""
    for number in range(2):
        folders = [tmp_path / "in" / kind / "train" / "7" for kind in ("leftImg8bit", "gtFine")]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 64, 3), 90, np.uint8)).save(folders[0] / f"{number}_leftImg8bit.png")
        rows = [{"label": "parking", "polygon": [[0, 0], [60, 0], [60, 30]], "deleted": 0}]
        found = {"imgHeight": 32, "imgWidth": 64, "objects": rows}
        (folders[1] / f"{number}_gtFine_polygons.json").write_text(json.dumps(found))
    ran = crots("train", "--images", tmp_path / "in", "--classes", "idd", "--net", "compact", "--weights", "random",
                "--size", "64x32", *SHORT, "--out", tmp_path / "out")  # fmt: skip
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("command", ["predict", "pseudo-label"])
def test_which_weights_of_a_checkpoint_are_used_is_reported(crots, city, tmp_path, command):
    model = create_model("compact", load_class_set("camvid"), Size(64, 64))
    torch.save({"model": model.net.state_dict(), "model_ema": model.net.state_dict()}, tmp_path / "c.pth")
    words = ["--source" if command == "pseudo-label" else "--checkpoint", tmp_path / "c.pth", "--net", "compact"]
    ran = crots(command, *words, "--images", city / "images" / "val", "--classes", "camvid", "--size", "64x64",
                "--device", "cpu", "--out", tmp_path / "out")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "the moving average of the weights, model_ema, is used, not model" in ran.out + ran.err
