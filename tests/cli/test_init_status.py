import dataclasses
import json
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from PIL import Image

from crots.config import Size
from crots.eventlog import EventLog
from crots.events import StageFinished
from crots.files import write_json
from crots.images import write_image
from crots.label_files import read_labels, write_labels
from crots.nets.model import create_model
from crots.nets.weights import save_pth, save_safetensors
from crots.opening import Inputs
from crots.project import Project
from crots.project_config import override
from crots.taxonomy import ClassSet, load_class_set
from crots.training.budget import few_images
from tests.banded import write_tiff

pytestmark = pytest.mark.safety


@pytest.fixture
def words(city, weights):
    """A white-box project of the city."""
    return [
        "--target", city / "images" / "train", "--classes", "camvid", "--source", weights,
        "--net", "deeplabv2_resnet18",
    ]  # fmt: skip


@pytest.fixture
def predictions(city, tmp_path):
    """What a Cityscapes model says of the training images: road and sky."""
    folder = tmp_path / "said" / "label_ids"
    for image in sorted((city / "images" / "train").iterdir()):
        labels = np.full((64, 64), 10, np.uint8)
        labels[32:] = 0
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(folder / image.name)
    return folder


def black_box(city, predictions):
    return [
        "--target", city / "images" / "train", "--classes", "camvid", "--predictions", predictions,
        "--source-classes", "cityscapes", "--class-map", "cityscapes-to-camvid",
        "--student", "deeplabv2_resnet18", "--student-weights", "random",
    ]  # fmt: skip


def test_round_trip(crots, city, words, tmp_path):
    val = ["--val-images", city / "images" / "val", "--val-labels", city / "labels" / "val"]
    ran = crots("init", tmp_path / "p", *words, *val, "--set", "adapt.steps=7", "--set", "mine.rare=3,car")
    assert ran.code == 0, ran.err
    assert "4 images" in ran.out
    assert "working size 64x64" in ran.out
    assert "2 labelled images" in ran.out
    config = Project.open(tmp_path / "p").config
    assert (config.adapt.steps, config.mine.rare, config.source.net) == (7, "3,car", "deeplabv2_resnet18")
    shown = crots("status", tmp_path / "p")
    assert shown.code == 0
    assert "evaluate" in shown.out
    stages = json.loads(crots("status", tmp_path / "p", "--json").out)["stages"]
    assert [row["state"] for row in stages] == ["ready"] + ["waiting"] * 5
    assert stages[0] | {"stage": "", "state": ""} == {
        "stage": "", "state": "", "reason": "", "seconds": None, "miou": None, "oracle": False, "done": 0, "total": 0,
        "kept": "", "problem": "", "result": False, "title": "", "note": "",
    }  # fmt: skip


def test_rounds_that_a_fresh_student_will_not_need_do_not_wait(crots, words, tmp_path):
    assert crots("init", tmp_path / "p", *words, "--set", "student.weights=random").code == 0
    stages = json.loads(crots("status", tmp_path / "p", "--json").out)["stages"]
    states = {row["stage"]: row["state"] for row in stages}
    assert states["adapt-1"] == states["mine"] == "not needed" and states["baseline"] == states["export"] == "waiting"
    assert "adapt-1: not needed" in crots("inspect", tmp_path / "p").out


def test_paths_become_absolute(crots, city, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (city / "images" / "train").rename(tmp_path / "photos")
    ran = crots(
        "init", "p", "--target", "photos", "--classes", "camvid", "--source", "source.pth",
        "--net", "deeplabv2_resnet18",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    values = tomllib.loads((tmp_path / "p" / "crots.toml").read_text())
    assert values["data"]["target"] == (tmp_path / "photos").as_posix()
    assert values["source"]["file"] == (tmp_path / "source.pth").as_posix()


def test_shipped_names_stay_names(crots, city, predictions, tmp_path):
    ran = crots("init", tmp_path / "p", *black_box(city, predictions))
    assert ran.code == 0, ran.err
    task = Project.open(tmp_path / "p").config.task
    assert (task.classes, str(task.class_map)) == ("camvid", "cityscapes-to-camvid")
    assert "every pixel counts as certain" in ran.out


def test_a_folder_that_is_called_like_a_class_set_is_not_taken_for_it(crots, city, predictions, tmp_path, monkeypatch):
    """Data sets lie in folders of their names, and commands are given beside them."""
    for name in ("camvid", "cityscapes", "cityscapes-to-camvid", "random"):
        (tmp_path / "here" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    ran = crots("init", tmp_path / "p", *black_box(city, predictions))
    assert ran.code == 0, ran.err
    config = Project.open(tmp_path / "p").config
    assert (config.task.classes, str(config.task.class_map)) == ("camvid", "cityscapes-to-camvid")
    assert (config.task.source_classes, str(config.student.weights)) == ("cityscapes", "random")


def test_preset_then_flags_then_set(crots, words, tmp_path):
    # The preset names rare classes by Cityscapes's ids, which CamVid does not have.
    ours = ("--set", "adapt.batch=2", "--set", "mine.rare=auto")
    ran = crots("init", tmp_path / "p", *words, "--preset", "gta5-to-cityscapes", *ours)
    assert ran.code == 0, ran.err
    config = Project.open(tmp_path / "p").config
    assert (config.profile, config.preset) == ("published", "gta5-to-cityscapes")
    assert (config.task.classes, config.adapt.batch, config.adapt.rounds) == ("camvid", 2, 3)
    assert config.adapt.confidence_from == "logit"


def test_rare_classes_that_the_set_does_not_have_are_refused(refused, words, tmp_path):
    line = refused("init", tmp_path / "p", *words, "--preset", "gta5-to-cityscapes")
    assert "found train id 12, expected 0 to 10" in line and not (tmp_path / "p").exists()
    assert "name others, or set it to auto" in line


def test_profile_wins_over_the_presets(crots, words, tmp_path):
    rare = ("--set", "mine.rare=auto")
    crots("init", tmp_path / "p", *words, "--preset", "gta5-to-cityscapes", "--profile", "recommended", *rare)
    assert Project.open(tmp_path / "p").config.adapt.confidence_from == "softmax"


def test_json(crots, words, tmp_path):
    found = json.loads(crots("init", tmp_path / "p", *words, "--json").out)
    assert found["target"] == {"layout": "folder", "split": "", "images": 4}
    assert found["size"] == "64x64"


def test_a_size_far_above_that_of_the_images_is_a_warning(crots, words, tmp_path):
    ran = crots("init", tmp_path / "p", *words, "--size", "640x640")
    assert ran.code == 0 and "--size 640x640 has 100 times as many pixels as most images (64x64)" in ran.out
    assert "most images" not in crots("init", tmp_path / "other", *words, "--size", "128x128").out
    ran = crots("init", tmp_path / "wide", *words, "--size", "64x32")
    assert "working size 64x32, as given, which squeezes most images (64x64)" in ran.out


def test_few_images_for_a_student_that_starts_afresh_are_a_warning(crots, city, words, predictions, weights, tmp_path):
    few = "learns the classes from the 4 target images alone, and with fewer than 100"
    task = black_box(city, predictions)
    assert few in crots("init", tmp_path / "fresh", *task).out
    cut = crots("init", tmp_path / "tiles", *task, "--tile", "32x32").out
    assert "from the 36 tiles of target images alone" in cut
    for classes, knows in (("camvid", True), ("cityscapes", False)):
        made = create_model("deeplabv2_resnet18", load_class_set(classes), Size(64, 64))
        save_safetensors(tmp_path / f"{classes}.safetensors", made.net, made.card)
        save_pth(tmp_path / f"{classes}.pth", made.net)
        for name in (f"{classes}.safetensors", f"{classes}.pth"):
            started = crots("init", tmp_path / f"from {name}", *task[:-1], tmp_path / name)
            assert started.code == 0 and (few in started.out) != knows, name
    wrong = create_model("compact", load_class_set("camvid"), Size(64, 64))
    save_pth(tmp_path / "wrong.pth", wrong.net)
    refused = crots("init", tmp_path / "refused", *task[:-1], tmp_path / "wrong.pth")
    assert refused.code == 2 and "is for another network" in refused.err
    assert few not in crots("init", tmp_path / "white", *words).out
    assert few_images(100) == ""


def test_labels_at_fault_stop_no_project_but_are_said(crots, city, words, tmp_path):
    val = ["--val-images", city / "images" / "val", "--val-labels", city / "labels" / "val"]
    ran = crots("init", tmp_path / "sound", *words, *val)
    assert ran.code == 0 and "labels are " in ran.out and "refuse" not in ran.out
    paths = sorted((city / "labels" / "val").iterdir())
    for label in paths:
        write_labels(label, read_labels(label)[::2, ::2])
    ran = crots("init", tmp_path / "small", *words, *val)
    assert ran.code == 0 and "warning: a run will refuse the validation labels: " in ran.out
    assert "labels must have their image's size" in ran.out
    for label in paths:
        label.write_bytes(b"not a picture")
    ran = crots("init", tmp_path / "broken", *words, *val)
    assert ran.code == 0 and "refuse the validation labels" in ran.out and "not an image" in ran.out


def test_validation_images_that_are_targets_too_are_counted(crots, city, words, tmp_path):
    val = ["--val-images", city / "images" / "train", "--val-labels", city / "images" / "labels"]
    for image in (city / "images" / "train").iterdir():
        write_labels(city / "images" / "labels" / image.name, np.zeros(read_labels(image).shape[:2], np.uint8))
    ran = crots("init", tmp_path / "p", *words, *val)
    assert ran.code == 0 and "4 of 4 validation images are target images too" in ran.out


def test_predictions_of_the_validation_images_are_looked_for_among_all(crots, city, predictions, tmp_path):
    val = ["--val-images", city / "images" / "val", "--val-labels", city / "labels" / "val"]
    words = [*black_box(city, tmp_path / "all"), *val]
    for path in [*(city / "images" / "val").iterdir(), *(city / "labels" / "val").iterdir()]:
        path.rename(path.with_stem(f"val_{path.stem}"))
    for image in sorted((city / "images").rglob("*.png")):
        write_labels(tmp_path / "all" / image.parent.name / image.name, np.zeros((64, 64), np.uint8))
    assert "the source cannot be scored" not in crots("init", tmp_path / "p", *words).out
    for image in (tmp_path / "all" / "val").iterdir():
        image.unlink()
    assert "warning: the source cannot be scored: " in crots("init", tmp_path / "q", *words).out


def test_label_maps_as_targets_are_said(crots, city, words, tmp_path):
    message = "hold few distinct values or colours, as label maps do"
    assert message not in crots("init", tmp_path / "photos", *words).out
    ran = crots("init", tmp_path / "labels", *replaced(words, "--target", city / "labels" / "val"))
    assert ran.code == 0 and message in ran.out


def replaced(words, flag, value):
    position = words.index(flag)
    return [*words[: position + 1], value, *words[position + 2 :]]


@pytest.mark.parametrize(
    ("flag", "value", "parts"),
    [
        ("--target", "nowhere", ("nowhere", "no such file or folder")),
        ("--classes", "camvit", ("camvit", "camvid")),
        ("--source", "nowhere.pth", ("nowhere.pth", "no such file")),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_made(refused, words, tmp_path, flag, value, parts):
    line = refused("init", tmp_path / "p", *replaced(words, flag, value))
    assert all(part in line for part in parts), line
    assert not (tmp_path / "p").exists()


def test_all_faults_at_once(refused, words, tmp_path):
    line = refused("init", tmp_path / "p", *replaced(replaced(words, "--target", "a"), "--source", "b.pth"))
    assert "2 things to fix" in line
    assert "b.pth" in line


def test_empty_target(refused, words, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "found no images" in refused("init", tmp_path / "p", *replaced(words, "--target", tmp_path / "empty"))


def test_no_source(refused, words, tmp_path):
    assert "--source or --predictions" in refused("init", tmp_path / "p", *words[:4])


def test_two_sources(refused, words, predictions, tmp_path):
    assert "leave the other out" in refused("init", tmp_path / "p", *words, "--predictions", predictions)


def test_unmatched_predictions(refused, city, predictions, tmp_path):
    (predictions / "im3.png").unlink()
    line = refused("init", tmp_path / "p", *black_box(city, predictions))
    assert "1 of 4 images (im3)" in line


def test_labels_that_no_stage_will_evaluate_are_said(crots, city, words, tmp_path):
    # Those of the layout are found, and seen during training alone.
    ran = crots("init", tmp_path / "p", *words, "--val-images", city)
    assert ran.code == 0 and "validation: 2 labelled images" in ran.out
    labels = city / "labels" / "val"
    assert "no stage will evaluate the result" in ran.out and f"give --val-labels {labels}" in ran.out
    ran = crots("init", tmp_path / "q", *words, "--val-images", city, "--val-labels", labels)
    assert ran.code == 0 and "no stage will evaluate" not in ran.out
    assert "evaluate" in crots("status", tmp_path / "q").out


def test_unequal_validation_counts(crots, refused, city, words, tmp_path):
    (city / "labels" / "val" / "im1.png").unlink()
    images = city / "images" / "val"
    val = ["--val-images", images, "--val-labels", city / "labels" / "val"]
    ran = crots("init", tmp_path / "p", *words, *val)
    assert ran.code == 0 and f"warning: {images}: 1 of 2 images have no label and are not scored" in ran.out
    assert "validation: 1 labelled image" in ran.out
    (images / "im2.png").write_bytes((images / "im1.png").read_bytes())
    assert "2 of 3 images" in refused("init", tmp_path / "q", *words, *val)


def test_other_classes_without_a_map(refused, words, tmp_path):
    assert "--class-map" in refused("init", tmp_path / "p", *words, "--source-classes", "cityscapes")


def test_black_box_needs_a_start(refused, city, predictions, tmp_path):
    line = refused("init", tmp_path / "p", *black_box(city, predictions)[:-4])
    assert "--student-weights" in line


def test_unknown_options(refused, words, tmp_path):
    assert "steps" in refused("init", tmp_path / "p", *words, "--set", "adapt.stepz=4")
    assert "adapt" in refused("init", tmp_path / "p", *words, "--set", "adpat.steps=4")
    assert "adapt.steps" in refused("init", tmp_path / "p", *words, "--set", "adapt.steps=-4")
    assert "quick" in refused("init", tmp_path / "p", *words, "--preset", "quik")


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["--student", "deeplabv2_resnet100"], ["--student: ", "deeplabv2_resnet101"]),
        (["--net", "torchvision:deeplab_resnet50"], ["--net: ", "torchvision:deeplabv3_resnet50"]),
        (["--source-mean", "0.485,0.456,0.406"], ["--source-mean: ", "123.675,116.28,103.53"]),
        (["--source-scale", "0.229,0.224,0.225"], ["--source-scale: ", "58.395,57.12,57.375"]),
    ],
)
def test_names_of_no_network_and_other_units_make_no_project(refused, words, tmp_path, more, parts):
    message = refused("init", tmp_path / "p", *words, *more)
    assert all(part in message for part in parts)
    assert not (tmp_path / "p").exists()


def test_images_that_a_run_could_not_read_make_no_project(crots, refused, words, tmp_path):
    write_tiff(tmp_path / "many" / "a.tif", np.full((8, 8, 5), 100, np.uint16))
    for name in ("a", "b"):
        write_image(tmp_path / "cut" / f"{name}.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    content = (tmp_path / "cut" / "b.png").read_bytes()
    (tmp_path / "cut" / "b.png").write_bytes(content[:3000])
    (tmp_path / "share").mkdir()
    Image.fromarray(np.full((64, 64), 0.5, np.float32)).save(tmp_path / "share" / "a.tif")
    for number in range(20):
        write_image(tmp_path / "late" / f"{number:02}.png", np.full((64, 64, 3), 10 * number, np.uint8))
    (tmp_path / "late" / "01.png").write_bytes(content[:3000])
    for name, part in (("many", "--bands"), ("cut", "--skip-bad"), ("late", "01.png"), ("share", "--white")):
        message = refused("init", tmp_path / "p", *words, "--target", tmp_path / name)
        assert part in message
    assert not (tmp_path / "p").exists()
    ran = crots("init", tmp_path / "p", *words, "--target", tmp_path / "cut", "--skip-bad")
    assert ran.code == 0, ran.err
    assert "1 of 2 images checked cannot be read" in ran.out
    ran = crots("init", tmp_path / "q", *words, "--target", tmp_path / "share", "--white", "1")
    assert ran.code == 0, ran.err
    assert "16 bits" not in ran.out


def test_second_project_in_one_folder(refused, crots, words, tmp_path):
    assert crots("init", tmp_path / "p", *words).code == 0
    assert "already holds a project" in refused("init", tmp_path / "p", *words)


def test_status_needs_a_project(refused, tmp_path):
    assert "the folder of a project" in refused("status", tmp_path)
    file = tmp_path / "crots.toml"
    file.write_text("")
    assert f"is a file, expected the folder of a project; give {tmp_path}" in refused("status", file)


def test_broken_project_file(refused, tmp_path):
    (tmp_path / "crots.toml").write_text("format = 1\n[adapt\n")
    assert "TOML" in refused("status", tmp_path)
    (tmp_path / "crots.toml").write_text("format = 1\n[adapt]\nstepz = 3\n")
    assert "adapt.stepz" in refused("status", tmp_path)


def test_status_of_stages(crots, city, words, tmp_path):
    val = ["--val-images", city / "images" / "val", "--val-labels", city / "labels" / "val"]
    crots("init", tmp_path / "p", *words, *val, "--set", "adapt.select=oracle")
    project = Project.open(tmp_path / "p")
    for key in ("pseudo-label", "baseline", "mine", "adapt-1"):
        project.begin(key)
        project.finish(key, 75.0, None)
    project.begin("evaluate")
    write_json(project.work_folder("evaluate") / "baseline.json", {"miou": 0.25})
    write_json(project.work_folder("evaluate") / "source.json", {"miou": 0.5})
    project.finish("evaluate", 3.0, 0.25)
    (tmp_path / "source.pth").write_bytes(b"another one")
    rows = {row["stage"]: row for row in json.loads(crots("status", tmp_path / "p", "--json").out)["stages"]}
    assert rows["pseudo-label"]["state"] == "stale"
    assert "source" in rows["pseudo-label"]["reason"]
    assert rows["pseudo-label"]["miou"] == 0.5
    assert rows["baseline"]["miou"] == 0.25
    assert not rows["baseline"]["oracle"]
    assert rows["adapt-1"]["oracle"]
    Project(project.folder, override(project.config, {"baseline.steps": "7"})).save()
    project = Project.open(tmp_path / "p")
    project.begin("baseline")
    project.finish("baseline", 75.0, 0.125)
    again = {row["stage"]: row for row in json.loads(crots("status", tmp_path / "p", "--json").out)["stages"]}
    assert again["baseline"]["miou"] == 0.125, "the evaluation scored the model before"
    text = crots("status", tmp_path / "p").out
    assert "1:15" in text
    assert "oracle" in text
    # Its next run was refused before it began.
    failure = StageFinished(stage="pseudo-label", outcome="failed", seconds=1, message="the images are gone")
    EventLog(project.events_path).append(failure)
    (line,) = (line for line in crots("status", tmp_path / "p").out.splitlines() if line.startswith("pseudo-label"))
    assert line.split()[1] == "failed" and line.endswith("the images are gone; its earlier result is kept")
    assert "1:15" not in line
    found = crots("inspect", tmp_path / "p")
    assert found.code == 1 and "pseudo-label failed: the images are gone" in found.out + found.err


def test_status_and_init_need_no_torch(crots, words, tmp_path):
    code = (
        "import sys; from crots.cli.main import main; code = main(sys.argv[2:]); "
        "assert not set(sys.argv[1].split(',')) & set(sys.modules); sys.exit(code)"
    )
    init = [sys.executable, "-c", code, "torch", "init", tmp_path / "p", *words]
    ran = subprocess.run(list(map(str, init)), capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    status = [sys.executable, "-c", code, "torch,numpy,rich", "status", str(tmp_path / "p")]
    ran = subprocess.run(status, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def described(tmp_path):
    """Writes a self-describing source of the given classes, and returns the words that name it."""

    def write(classes):
        made = create_model("compact", classes, Size(64, 64))
        save_safetensors(tmp_path / "own.safetensors", made.net, made.card)
        return ["--source", tmp_path / "own.safetensors"]

    return write


STRANGE = ClassSet("of a stranger", ("street", "rest"), ((1, 2, 3), (4, 5, 6)), {7: 0, 8: 1, 0: 255})


def test_without_a_class_set_the_target_gets_those_that_the_source_names(crots, city, described, tmp_path):
    target = ["--target", city / "images" / "train"]
    ran = crots("init", tmp_path / "p", *target, *described(STRANGE))
    assert ran.code == 0, ran.err
    assert "classes: of a stranger (2), as the source names them" in ran.out
    project = Project.open(tmp_path / "p")
    assert Inputs(project.config, project.folder).classes == STRANGE
    assert Inputs(project.config, project.folder).class_map.source == STRANGE
    assert crots("status", tmp_path / "p").code == 0


def test_a_source_of_shipped_classes_gives_the_target_their_name(crots, city, described, tmp_path):
    target = ["--target", city / "images" / "train"]
    renamed = dataclasses.replace(load_class_set("camvid"), name="what the folder is called")
    ran = crots("init", tmp_path / "p", *target, *described(renamed))
    assert ran.code == 0, ran.err
    assert "classes: camvid (11), as the source names them" in ran.out
    assert Project.open(tmp_path / "p").config.task.classes == "camvid"
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["crots.toml"]


def test_a_hugging_face_folder_gives_the_target_its_classes(crots, city, tmp_path):
    folder = tmp_path / "segformer-of-roofs"
    write_json(folder / "config.json", {"model_type": "segformer", "id2label": {"0": "roof", "1": "rest"}})
    write_json(folder / "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    ran = crots("init", tmp_path / "p", "--target", city / "images" / "train", "--source", folder)
    assert ran.code == 0, ran.err
    assert "classes: segformer-of-roofs (2), as the source names them" in ran.out
    project = Project.open(tmp_path / "p")
    assert Inputs(project.config, project.folder).classes.names == ("roof", "rest")


def test_classes_without_names_are_asked_for(refused, city, tmp_path):
    folder = tmp_path / "model"
    write_json(folder / "config.json", {"model_type": "segformer", "id2label": {"0": "LABEL_0", "1": "LABEL_1"}})
    write_json(folder / "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    line = refused("init", tmp_path / "p", "--target", city / "images" / "train", "--source", folder)
    assert "2 classes have no names" in line and "--source-classes" in line


@pytest.mark.parametrize("words", [["--classes", "cityscapes"], ["--set", "task.classes=cityscapes"]])
def test_classes_that_were_chosen_are_never_replaced(refused, city, described, words, tmp_path):
    line = refused("init", tmp_path / "p", "--target", city / "images" / "train", *described(STRANGE), *words)
    assert "the target those of cityscapes" in line and "--class-map" in line and "--classes" in line


def test_a_class_map_that_names_its_target_gives_it_the_classes(crots, city, predictions, tmp_path):
    words = [word for word in black_box(city, predictions) if word not in ("--classes", "camvid")]
    ran = crots("init", tmp_path / "p", *words)
    assert ran.code == 0, ran.err
    assert "classes: camvid (11), as the class map names them" in ran.out
    assert Project.open(tmp_path / "p").config.task.classes == "camvid"


def test_classes_that_nobody_names_are_said_to_be_the_default(crots, city, predictions, tmp_path):
    ran = crots(
        "init", tmp_path / "p", "--target", city / "images" / "train", "--predictions", predictions,
        "--student", "deeplabv2_resnet18", "--student-weights", "random",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "classes: cityscapes (19), by default; --classes names others" in ran.out


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NO_MODELS = {
    b"": "is an empty file",
    b"hello world\n": "is text ('hello world')",
    "über alles".encode(): "is text ('über alles')",
    POINTER: "is a Git LFS pointer, not the weights themselves; run `git lfs pull`",
    b"<!DOCTYPE html><html>": "is a web page",
    bytes(range(128, 256)): "(128 bytes) is cut short, damaged or no model file",
    b"PK\x03\x04" + bytes(60): "(64 bytes) is cut short",
    (300).to_bytes(8, "little") + b'{"a":{"dtype":"F32"': "(27 bytes) is cut short",
    (32).to_bytes(8, "little") + b'{"a":{"data_offsets":[0,1e400]}}': "(40 bytes) is cut short",
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".onnx", ".ckpt"])
@pytest.mark.parametrize("content", NO_MODELS)
def test_what_is_no_model_makes_no_project(refused, city, tmp_path, suffix, content):
    (tmp_path / f"m{suffix}").write_bytes(content)
    words = ["init", tmp_path / "p", "--target", city / "images", "--classes", "camvid", "--student", "compact"]
    message = refused(*words, "--source", tmp_path / f"m{suffix}", "--student-weights", "random")
    assert NO_MODELS[content] in message and f"m{suffix}" in message
    assert not (tmp_path / "p").exists()
    words += ["--predictions", city / "labels"]
    message = refused(*words, "--student-weights", tmp_path / f"m{suffix}")
    assert NO_MODELS[content] in message


def test_tensors_that_are_cut_short_make_no_project(crots, refused, words, tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(100)}, tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    more = [*words, "--source", tmp_path / "m.safetensors"]
    for end in (4, 20, len(whole) - 1):
        (tmp_path / "m.safetensors").write_bytes(whole[:end])
        assert "cut short" in refused("init", tmp_path / "p", *more)
    (tmp_path / "m.safetensors").write_bytes(whole)
    assert crots("init", tmp_path / "p", *more).code == 0


def test_a_model_folder_whose_weights_were_not_fetched_makes_no_project(refused, words, tmp_path):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text("{}")
    (tmp_path / "hf" / "model.safetensors").write_bytes(POINTER)
    assert "model.safetensors: is a Git LFS pointer" in refused(
        "init", tmp_path / "p", *words, "--source", tmp_path / "hf"
    )


def test_a_part_of_a_model_alone_makes_no_project(crots, refused, words, tmp_path):
    import torch
    from safetensors.torch import save_file

    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    save_file({"a": torch.zeros(3)}, tmp_path / names[0])
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1]}}))
    assert f"missing beside it: {names[1]}" in refused("init", tmp_path / "p", *words, "--source", tmp_path / names[0])
    assert f"lists the part {names[1]}" in refused("init", tmp_path / "p", *words, "--source", index)
    (tmp_path / "hf").mkdir()
    for path in (tmp_path / names[0], index):
        (tmp_path / "hf" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "hf" / "config.json").write_text("{}")
    assert f"lists the part {names[1]}" in refused("init", tmp_path / "p", *words, "--source", tmp_path / "hf")
    save_file({"b": torch.zeros(3)}, tmp_path / names[1])
    assert crots("init", tmp_path / "p", *words, "--source", index).code == 0


def test_init_shows_how_labels_and_predictions_were_matched_with_images(crots, city, predictions, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    for path in sorted((city / "images" / "val").iterdir()):
        shutil.copy(next((city / "labels" / "val").glob(f"{path.stem}*")), labels / f"truth {path.stem}.png")
    for path in list(predictions.rglob("*.png")):
        path.rename(path.with_name(f"guess {path.name}"))
    task = [*black_box(city, predictions), "--val-images", city / "images" / "val", "--val-labels", labels]
    ran = crots("init", tmp_path / "p", *task)
    assert "labels are matched by name, as truth " in ran.out, ran.err
    assert "predictions are matched by name, as guess " in ran.out
