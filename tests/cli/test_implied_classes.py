"""Where the user names no classes, every command takes those of the class map or of the model's own file."""

import contextlib
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from crots.config import Size
from crots.errors import InputError
from crots.nets.checkpoint_cards import checkpoint_card
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.project import Project
from crots.source_inputs import card_of
from crots.taxonomy import ClassSet, load_class_set

STRANGE = ClassSet("of a stranger", ("street", "rest"), ((1, 2, 3), (4, 5, 6)))
QUIET = ("--device", "cpu", "--threads", "1")
FORMS = ("safetensors", "checkpoint", "legacy checkpoint")


def write_model(folder, form, classes=STRANGE):
    """A model of these classes that says so, in a file of some form."""
    made = create_model("compact", classes, Size(64, 64))
    if form == "safetensors":
        path = folder / "own.safetensors"
        save_safetensors(path, made.net, made.card)
        return path
    path = folder / "own.pth"
    content = {"step": 3, "card": made.card.to_dict(), "student": made.net.state_dict(), "opt": [{"lr": 0.1}]}
    torch.save(content, path, _use_new_zipfile_serialization=form == "checkpoint")
    return path


@pytest.fixture
def pictures(tmp_path):
    """Two images, and labels in the strange classes."""
    for name, shade in (("a", 40), ("b", 200)):
        pixels = np.full((64, 64, 3), shade, np.uint8)
        pixels[:20] = 255 - shade
        labels = np.zeros((64, 64), np.uint8)
        labels[:20] = 1
        for kind, array in (("images", pixels), ("labels", labels)):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / kind / f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("form", FORMS)
def test_labelling_takes_the_classes_of_the_source(crots, pictures, form):
    source = write_model(pictures, form)
    out = pictures / "out"
    ran = crots("pseudo-label", "--images", pictures / "images", "--source", source, *QUIET, "--out", out)
    assert ran.code == 0, ran.err
    assert len(json.loads((out / "statistics.json").read_text())["pixels"]) == 2
    assert set(np.unique(np.asarray(Image.open(out / "label_ids" / "a.png")))) <= {0, 1}


@pytest.mark.parametrize("form", FORMS)
def test_scoring_takes_the_classes_of_the_model(crots, pictures, form):
    model = write_model(pictures, form)
    where = ["--images", pictures / "images", "--labels", pictures / "labels"]
    ran = crots("evaluate", "--checkpoint", model, *where, *QUIET, "--json", pictures / "scores.json")
    assert ran.code == 0, ran.err
    assert list(json.loads((pictures / "scores.json").read_text())["per_class_iou"]) == ["street", "rest"]


def test_adapting_takes_the_classes_of_the_student(crots, pictures):
    student = write_model(pictures, "safetensors")
    few = ["--steps", "1", "--batch", "2", "--size", "64x64"]
    ran = crots("adapt", "--images", pictures / "images", "--student", student, *few, *QUIET, "--out", pictures / "out")
    assert ran.code == 0, ran.err
    assert card_of(pictures / "out" / "student.safetensors").class_set.names == STRANGE.names


def test_a_class_map_names_the_target(crots, pictures):
    words = ["--labels", pictures / "labels", "--class-map", "cityscapes-to-camvid", "--encoding", "train"]
    ran = crots("convert-labels", *words, "--out", pictures / "out")
    assert ran.code == 0, ran.err
    # Road and sidewalk are 3 and 4 of CamVid.
    assert sorted(np.unique(np.asarray(Image.open(pictures / "out" / "label_ids" / "a.png")))) == [3, 4]


def test_a_set_that_is_shipped_brings_the_ids_of_its_label_files(crots, pictures):
    model = write_model(
        pictures, "safetensors", dataclasses.replace(load_class_set("cityscapes"), name="mine", raw_ids={})
    )
    for path in (pictures / "labels").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) * 4 + 7).save(path)
    where = ["--images", pictures / "images", "--labels", pictures / "labels", "--encoding", "raw"]
    ran = crots("evaluate", "--checkpoint", model, *where, *QUIET)
    assert ran.code == 0, ran.err


def test_a_source_that_names_none_needs_the_user_to(refused, pictures):
    source = pictures / "plain.pth"
    torch.save(create_model("compact", STRANGE, Size(64, 64)).net.state_dict(), source)
    words = ["--images", pictures / "images", "--net", "compact"]
    message = refused("pseudo-label", *words, "--source", source, "--out", pictures / "out")
    assert "no classes are given" in message
    assert "plain.pth names none" in message
    assert "--classes" in message
    message = refused("evaluate", *words, "--labels", pictures / "labels", "--checkpoint", source)
    assert "--classes" in message
    message = refused("evaluate", "--labels", pictures / "labels", "--predictions", pictures / "labels")
    assert "no classes are given; name" in message
    assert not (pictures / "out").exists()


def test_what_is_no_model_is_said_before_its_classes_are_asked_for(refused, pictures):
    where = ["--images", pictures / "images", "--labels", pictures / "labels"]
    assert "expected the source model" in refused("evaluate", "--checkpoint", pictures / "images", *where)
    numbered = dataclasses.replace(STRANGE, names=("LABEL_0", "LABEL_1"))
    student = write_model(pictures, "safetensors", numbered)
    message = refused("adapt", "--images", pictures / "images", "--student", student, "--out", pictures / "out")
    assert "its classes have no names" in message
    assert "--classes" in message


@pytest.mark.parametrize("form", FORMS[1:])
def test_a_project_takes_net_and_classes_of_a_checkpoint_without_torch(pictures, form):
    code = (
        "import sys; from crots.cli.main import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    words = ["init", pictures / "p", "--target", pictures / "images", "--source", write_model(pictures, form)]
    ran = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert "classes: of a stranger (2), as the source names them" in ran.stdout
    assert "(compact, as the file says)" in ran.stdout
    project = Project.open(pictures / "p")
    assert project.config.task.classes == "classes-of-a-stranger.toml"


@pytest.mark.parametrize("form", FORMS)
def test_a_project_is_not_made_with_other_classes_than_the_source_names(refused, pictures, form):
    words = ["--target", pictures / "images", "--source", write_model(pictures, form)]
    other = ["--classes", "cityscapes", "--source-classes", "cityscapes"]
    message = refused("init", pictures / "p", *words, *other)
    assert "is for 2 classes (street, rest ...), the class set cityscapes has 19" in message
    assert not (pictures / "p").exists()


@pytest.mark.safety
def test_a_damaged_checkpoint_has_a_card_or_none(tmp_path):
    whole = write_model(tmp_path, "legacy checkpoint").read_bytes()
    path, chance = tmp_path / "broken.pth", np.random.default_rng(0)
    for _ in range(40):
        broken = bytearray(whole[: chance.integers(len(whole) // 20)])
        for _ in range(chance.integers(4)):
            if broken:
                broken[chance.integers(len(broken))] = chance.integers(256)
        path.write_bytes(broken)
        with contextlib.suppress(InputError):
            checkpoint_card(path)
    for content in ([1], {"card": 3}, {"card": "x"}):
        torch.save(content, path)
        assert checkpoint_card(path) is None
    assert checkpoint_card(tmp_path) is checkpoint_card(tmp_path / "gone") is None


def test_an_encoder_of_no_network_stops_a_run_before_the_labelling(crots, pictures):
    pytest.importorskip("segmentation_models_pytorch")
    source = write_model(pictures, "safetensors")
    words = ["--target", pictures / "images", "--source", source, "--student", "smp:unet/resnet17"]
    assert crots("init", pictures / "p", *words, "--student-weights", "random").code == 0
    ran = crots("run", pictures / "p", *QUIET)
    assert ran.code == 2
    assert "unknown encoder 'resnet17'; did you mean resnet18" in ran.err
    assert not (pictures / "p" / "pseudo-labels").exists()
