"""Stages that write files for others: extract, export, predict, convert-labels."""

import json
from collections import OrderedDict

import cv2
import numpy as np
import pytest
import torch

from crots.artefacts import CHECKPOINT, STUDENT, TEACHER
from crots.class_maps import identity_map, load_class_map
from crots.data.datasets import open_dataset
from crots.errors import InputError, Stopped
from crots.events import ArtifactWritten, Note, Progress, StageStarted
from crots.execution.context import Context
from crots.execution.control import Control
from crots.execution.engine import Engine
from crots.images import read_image
from crots.label_files import read_labels, write_labels
from crots.nets.model import create_model
from crots.nets.source import load_exported
from crots.nets.weights import load_model, save_safetensors
from crots.options import PredictOptions, RuntimeOptions
from crots.stages.adapt import AdaptLearner
from crots.stages.baseline import BaselineLearner
from crots.stages.convert_labels import ConvertJob, convert
from crots.stages.export import ExportJob, export_model
from crots.stages.extract import ExtractJob, extract_model
from crots.stages.predict import ImageFrames, PredictJob, VideoFrames, at_working_size, overlay, predict_frames
from crots.taxonomy import ClassSet, load_class_set
from crots.training.loop import Training, train
from crots.training.material import Material, PseudoLabels
from crots.training_options import AdaptOptions, BaselineOptions
from tests.stages import tiny_world as world
from tests.stages.tiny_world import CAR, IGNORE

pytestmark = pytest.mark.safety

ENGINE = Engine(RuntimeOptions(device="cpu"))
FEW = {**world.PLAIN, "steps": 3, "batch": 2, "checkpoint_every": 1, "learning_rate": 1e-2}


@pytest.fixture
def trained(tmp_path, images, classes):
    """A short round of adaptation, in ``run``."""
    made = create_model("tests.stages.tiny_nets:plain", classes, world.SIZE, trust=True)
    material = Material(open_dataset(images).samples, world_cache())
    learner = AdaptLearner(
        made,
        material,
        None,
        ENGINE,
        AdaptOptions(**FEW, confidence=0.0, average=0.0),
        seed=0,
        stage="adapt-1",
    )
    list(train(learner, Training(tmp_path / "run", 0), Context("adapt-1")))
    return tmp_path / "run"


def world_cache():
    from crots.data.cache import ImageCache

    return ImageCache(None, world.SIZE, 0)


@pytest.mark.parametrize(("part", "file"), [("student", STUDENT), ("teacher", TEACHER)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_extract_gives_the_weights_of_student_or_teacher(tmp_path, trained, classes, part, file, suffix):
    out = tmp_path / f"plain{suffix}"
    events = list(extract_model(ExtractJob(trained / CHECKPOINT, out, part, trust=True), Context("extract")))
    assert world.of(events, ArtifactWritten)[0].path == str(out)
    expected = load_model(trained / file, trust=True)[0].net.state_dict()
    if suffix == ".pth":
        found = torch.load(out, weights_only=True)
        assert isinstance(found, OrderedDict)
    else:
        model, _ = load_model(out, trust=True)
        found = model.net.state_dict()
        assert model.classes.names == classes.names and model.card.net == "tests.stages.tiny_nets:plain"
    assert list(found) == list(expected) and all(torch.equal(found[name], expected[name]) for name in expected)


def test_extract_refuses_what_is_no_checkpoint(tmp_path, trained, images, classes):
    with pytest.raises(InputError, match=r"expected .pth or .safetensors"):
        list(extract_model(ExtractJob(trained / CHECKPOINT, tmp_path / "plain.onnx", trust=True), Context("extract")))
    (tmp_path / "nonsense.pt").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"nonsense.pt"):
        list(extract_model(ExtractJob(tmp_path / "nonsense.pt", tmp_path / "a.pth"), Context("extract")))
    # A baseline has no teacher.
    for number in range(6):
        write_labels(tmp_path / "out" / "label_ids" / f"{world.key(number)}.png", world.paint(number)[1])
    material = Material(open_dataset(images).samples, world_cache(), PseudoLabels.below(tmp_path / "out", classes))
    student = create_model("tests.stages.tiny_nets:plain", classes, world.SIZE, trust=True)
    options = BaselineOptions(**FEW, **world.PLAIN_LABELS)
    learner = BaselineLearner(student, material, ENGINE, options, seed=0, stage="baseline")
    list(train(learner, Training(tmp_path / "base", 0), Context("baseline")))
    job = ExtractJob(tmp_path / "base" / CHECKPOINT, tmp_path / "a.pth", "teacher", trust=True)
    with pytest.raises(InputError, match="teacher"):
        list(extract_model(job, Context("extract")))
    assert not (tmp_path / "a.pth").exists()


def test_export_writes_each_format_and_tells_the_largest_difference(tmp_path, images, classes):
    model = create_model("tests.stages.tiny_nets:plain", classes, world.SIZE, trust=True, seed=1)
    pictures = [read_image(sample.image) for sample in open_dataset(images).samples[:3]]
    targets = {"safetensors": tmp_path / "a.safetensors", "pth": tmp_path / "a.pth", "torchscript": tmp_path / "a.pt"}
    events = list(export_model(ExportJob(model, targets, pictures, torch.device("cpu")), Context("export")))
    assert world.of(events, StageStarted)[0].total == 3
    assert [(event.done, event.total) for event in world.of(events, Progress)] == [(1, 3), (2, 3), (3, 3)]
    assert [event.path for event in world.of(events, ArtifactWritten)] == [str(path) for path in targets.values()]
    assert sum("largest difference" in event.text and "3 images" in event.text for event in world.of(events, Note)) == 3
    source = load_exported(targets["torchscript"], trust=True)
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    with torch.no_grad():
        assert torch.allclose(source.logits(batch), model.eval().logits(batch), atol=1e-4)


def test_export_stops_between_two_formats(tmp_path, images, classes):
    model = create_model("tests.stages.tiny_nets:plain", classes, world.SIZE, trust=True)
    pictures = [read_image(open_dataset(images).samples[0].image)]
    control = Control()
    targets = {"safetensors": tmp_path / "a.safetensors", "pth": tmp_path / "a.pth"}
    with pytest.raises(Stopped):
        for event in export_model(ExportJob(model, targets, pictures, torch.device("cpu")), Context("e", control)):
            if isinstance(event, ArtifactWritten):
                control.stop()
    assert targets["safetensors"].exists() and not targets["pth"].exists()


def by_colour(frames):
    """The painter's own labels, read back from the colours."""
    colours = np.array(world.COLOURS)
    return [((frame.image[:, :, None].astype(int) - colours) ** 2).sum(-1).argmin(-1) for frame in frames]


def predicting(frames, classes, out, predictor=by_colour, *, batch=2, video=0.0, **options):
    return PredictJob(frames, predictor, classes, PredictOptions(**options), out, batch=batch, video=video)


def test_predict_writes_ids_colours_and_overlays_at_the_pictures_own_size(tmp_path, classes):
    world.write_images(tmp_path / "images", 2)
    world.write_images(tmp_path / "images", 2, first=2, size=world.Size(64, 48))
    frames = ImageFrames(open_dataset(tmp_path / "images").samples)
    batches = []

    def predictor(frames):
        batches.append([frame.image.shape for frame in frames])
        return by_colour(frames)

    out = tmp_path / "out"
    events = list(predict_frames(predicting(frames, classes, out, predictor, batch=4), Context("predict")))
    assert all(len(set(batch)) == 1 for batch in batches) and sum(map(len, batches)) == 4
    for number in range(4):
        name, size = f"{world.key(number)}.png", world.SIZE if number < 2 else world.Size(64, 48)
        ids = read_labels(out / "label_ids" / name)
        assert (ids == world.paint(number, size)[1]).mean() > 0.99 and ids.dtype == np.uint8
        colours = read_image(out / "label_color" / name)
        assert np.array_equal(colours, classes.palette_array()[ids])
        image = read_image(tmp_path / "images" / name).astype(float)
        assert np.abs(read_image(out / "overlay" / name) - (image + colours) / 2).max() <= 1
    assert world.of(events, StageStarted)[0].total == 4 and "predicted 4 images" in world.of(events, Note)[-1].text


@pytest.mark.parametrize("name", ["ids", "colour", "overlay"])
def test_predict_writes_only_what_is_asked_for(tmp_path, images, classes, name):
    frames = ImageFrames(open_dataset(images).samples)
    wanted = {**dict.fromkeys(("ids", "colour", "overlay"), False), name: True}
    list(predict_frames(predicting(frames, classes, tmp_path / "out", **wanted), Context("predict")))
    folder = {"ids": "label_ids", "colour": "label_color", "overlay": "overlay"}[name]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {folder}


def test_the_opacity_of_overlays():
    classes = ClassSet.from_dict({"name": "one", "names": ["a"], "palette": [[200, 200, 200]]})
    laid = [
        overlay(np.full((2, 2, 3), 100, np.uint8), np.zeros((2, 2), int), classes, value) for value in (0.0, 0.25, 1.0)
    ]
    assert [int(picture[0, 0, 0]) for picture in laid] == [100, 125, 200]


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(5):
        writer.write(cv2.cvtColor(world.paint(number, world.Size(64, 48))[0], cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def test_a_video_becomes_ids_for_each_frame_and_an_overlay_video(tmp_path, video, classes):
    frames = VideoFrames(video)
    assert len(frames) == 5 and frames.rate == 10
    out = tmp_path / "out"
    list(predict_frames(predicting(frames, classes, out, video=frames.rate), Context("predict")))
    assert world.files_below(out / "label_ids") == {f"drive_{number:06d}.png" for number in range(1, 6)}
    for number in range(5):
        ids = read_labels(out / "label_ids" / f"drive_{number + 1:06d}.png")
        assert (ids == world.paint(number, world.Size(64, 48))[1]).mean() > 0.95
    film = cv2.VideoCapture(str(out / "overlay.mp4"))
    assert (film.get(cv2.CAP_PROP_FRAME_COUNT), film.get(cv2.CAP_PROP_FPS)) == (5, 10)
    assert (film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (64, 48)
    film.release()
    assert not (out / "overlay").exists()


def test_a_video_without_its_overlay(tmp_path, video, classes):
    job = predicting(VideoFrames(video), classes, tmp_path / "out", video=10.0, overlay=False)
    list(predict_frames(job, Context("predict")))
    assert world.files_below(tmp_path / "out") == {
        f"{folder}/drive_{number:06d}.png" for folder in ("label_ids", "label_color") for number in range(1, 6)
    }


def test_what_is_no_video_is_refused(tmp_path, capfd):
    path = tmp_path / "drive.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(InputError, match="cannot be read as a video"):
        VideoFrames(path)


def test_a_broken_picture_is_named(tmp_path, images, classes):
    path = images / f"{world.key(2)}.png"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="street_002"):
        list(
            predict_frames(predicting(ImageFrames(open_dataset(images).samples), classes, tmp_path / "o"), Context("p"))
        )


def test_predictions_stop(tmp_path, images, classes):
    control = Control()
    control.stop()
    with pytest.raises(Stopped):
        list(predict_frames(predicting(ImageFrames(open_dataset(images).samples), classes, tmp_path / "o"),
                     Context("predict", control)))  # fmt: skip


def test_pictures_of_any_size_come_to_the_working_size():
    pictures = [np.zeros((48, 64, 3), np.uint8), np.zeros((10, 7, 3), np.uint8)]
    assert at_working_size(pictures, world.SIZE).shape == (2, 32, 32, 3)


def conversion(dataset, class_map, out, **more):
    return list(convert(ConvertJob(dataset, class_map, out, **more), Context("convert-labels")))


def test_raw_ids_become_train_ids(tmp_path, images):
    cityscapes = load_class_set("cityscapes")
    raw = np.full((32, 32), 7, np.uint8)
    raw[8:16], raw[16:24], raw[24:] = 26, 33, 4
    for number in range(6):
        write_labels(tmp_path / "raw" / f"{world.key(number)}.png", raw)
    dataset = open_dataset(images, labels=tmp_path / "raw", encoding="raw")
    events = conversion(dataset, identity_map(cityscapes), tmp_path / "out", colour=True)
    for number in range(6):
        found = read_labels(tmp_path / "out" / "label_ids" / f"{world.key(number)}.png")
        assert found[::8, 0].tolist() == [0, 13, 18, IGNORE] and found.dtype == np.uint8
        colours = read_image(tmp_path / "out" / "label_color" / f"{world.key(number)}.png")
        assert colours[0, 0].tolist() == list(cityscapes.palette[0]) and not colours[24:].any()
    note = world.of(events, Note)[-1].text
    assert "wrote 6 label files" in note and "sidewalk" in note and "bicycle" not in note


def test_labels_become_those_of_another_class_set(tmp_path, images):
    class_map = load_class_map("cityscapes-to-camvid", None, load_class_set("camvid"))
    for number in range(6):
        write_labels(tmp_path / "labels" / f"{world.key(number)}.png", np.full((32, 32), 13, np.uint8))
    dataset = open_dataset(images, labels=tmp_path / "labels", encoding="train")
    conversion(dataset, class_map, tmp_path / "out")
    found = read_labels(tmp_path / "out" / "label_ids" / f"{world.key(0)}.png")
    assert (found == load_class_set("camvid").index("car")).all()
    assert not (tmp_path / "out" / "label_color").exists()


def test_labels_of_none_of_the_classes_and_unknown_ids_are_refused(tmp_path, images, classes):
    for number in range(6):
        write_labels(tmp_path / "labels" / f"{world.key(number)}.png", np.full((32, 32), IGNORE, np.uint8))
    dataset = open_dataset(images, labels=tmp_path / "labels", encoding="train")
    with pytest.raises(InputError, match="no pixel holds a class of tiny"):
        conversion(dataset, identity_map(classes), tmp_path / "out")
    write_labels(tmp_path / "labels" / f"{world.key(0)}.png", np.full((32, 32), 77, np.uint8))
    with pytest.raises(InputError, match="77"):
        conversion(dataset, identity_map(classes), tmp_path / "out")
    with pytest.raises(InputError, match="no labels found"):
        conversion(open_dataset(images), identity_map(classes), tmp_path / "out")


def test_the_card_of_an_exported_student_says_all_that_is_needed(tmp_path, classes):
    model = create_model("tests.stages.tiny_nets:colour", classes, world.SIZE, trust=True)
    save_safetensors(tmp_path / "a.safetensors", model.net, model.card)
    header, _ = world.weights_of(tmp_path / "a.safetensors")
    found = header["__metadata__"]
    assert json.loads(found["classes"]) == list(world.NAMES) and found["size"] == "32x32"
    assert json.loads(found["normalisation"])["channels"] == "rgb" and CAR == 2
