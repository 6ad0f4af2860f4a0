"""Looks at a student: on how many images, in which views, against which labels."""

import numpy as np
import pytest
import torch

from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.errors import InputError, Stopped
from crots.events import Note
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.images import write_image
from crots.label_files import write_labels
from crots.methods import alarms as alarms_module
from crots.methods import scores as scores_module
from crots.methods.alarms import judge
from crots.nets.model import create_model
from crots.options import RuntimeOptions
from crots.training.label_free import (
    IMAGES,
    LEAST_IMAGES,
    LabelFreeScores,
    confident_labels,
    images_to_score,
    surest_labels,
)
from crots.training.material import Material
from crots.training.watch import Watch
from crots.training_options import AdaptOptions
from tests.stages import tiny_nets
from tests.stages import tiny_world as world
from tests.stages.tiny_world import CAR

ENGINE = Engine(RuntimeOptions(device="cpu"))


def model(classes):
    return create_model("tests.stages.tiny_nets:colour", classes, world.SIZE, trust=True, seed=1)


def test_evaluations_are_a_small_part_of_a_run_however_short():
    for steps, looks in ((100_000, 11), (4000, 11), (300, 11), (150, 4), (100, 3)):
        images = images_to_score(AdaptOptions(steps=steps, batch=4), looks)
        assert LEAST_IMAGES <= images <= IMAGES
        # Two forward passes an image; a step has four for each of its four images.
        assert images == LEAST_IMAGES or 2 * images * looks <= 0.05 * steps * 16
    assert images_to_score(AdaptOptions(steps=4000), 11) == IMAGES
    assert images_to_score(AdaptOptions(steps=4), 5) == LEAST_IMAGES


def test_every_score_is_given_where_there_is_something_to_compare_with(classes, material):
    student, teacher = model(classes), model(classes)
    values, lost = LabelFreeScores(student, material, ENGINE, Context("adapt-1"))(teacher)
    assert {"flip", "colour", "teacher", "source", "fit", "agreement", "classes kept"} <= values.keys() and not lost
    assert values["teacher"] == values["agreement"] == 1.0
    assert values["source"] > 0.95 and values["fit"] > 0.9, "the net knows the colours"
    with torch.no_grad():
        teacher.net.head.bias[world.SKY] = 1e3
    assert LabelFreeScores(student, material, ENGINE, Context("adapt-1"))(teacher)[0]["teacher"] < 0.7
    bare = Material(material.samples, material.cache)
    assert not {"source", "fit", "teacher"} & LabelFreeScores(student, bare, ENGINE, Context("adapt-1"))()[0].keys()


def write_confidences(folder, number_of_class, least):
    """The source is as sure of a class as given, or up to 0.1 more, and surer of all others."""
    for number in range(6):
        labels = world.paint(number)[1]
        rng = np.random.default_rng(number)
        confidence = np.where(labels == number_of_class, least, 0.85) + 0.1 * rng.random(labels.shape)
        world.write_labels(folder / "label_ids" / f"{world.key(number)}.png", labels)
        world.write_confidence(folder / "confidence" / f"{world.key(number)}.png", confidence)


@pytest.mark.parametrize(("confidence", "doubted"), [(0.5, True), (0.75, False)])
def test_a_class_that_the_source_doubts_may_be_given_up(classes, material, tmp_path, monkeypatch, confidence, doubted):
    # The pictures are small.
    monkeypatch.setattr(scores_module, "SOUND_OF_CLASS", 5)
    write_confidences(tmp_path / "out", world.CAR, confidence)
    sure = surest_labels(material)[1]
    assert sure[world.CAR] != doubted and sure[world.SKY]
    student = model(classes)
    scores = LabelFreeScores(student, material, ENGINE, Context("adapt-1"))
    scores()
    with torch.no_grad():
        student.net.head.bias[world.CAR] = -1e3
    values = scores()[0]
    assert (values["worst class"] > 0.9) == doubted
    assert values["surest"] < 0.9, "losing several such classes at once shows"


@pytest.mark.parametrize(
    ("confidence", "trained", "empty", "told"),
    [(0.5, True, 0.0, True), (0.5, False, 0.0, False), (0.5, True, 1.0, False), (0.75, True, 0.0, False)],
)
def test_that_no_single_class_is_watched_is_said_once(
    classes, material, tmp_path, monkeypatch, confidence, trained, empty, told
):
    """The alarm was off without a word where the source is not sure of any class."""
    monkeypatch.setattr(scores_module, "SOUND_OF_CLASS", 5)
    for number in range(6):
        labels = world.paint(number)[1]
        world.write_labels(tmp_path / "out" / "label_ids" / f"{world.key(number)}.png", labels)
        sure = np.full(labels.shape, confidence, np.float32)
        world.write_confidence(tmp_path / "out" / "confidence" / f"{world.key(number)}.png", sure)
    scores = LabelFreeScores(model(classes), material, ENGINE, Context("adapt-1"), trained=trained)
    # The start of a network of colours has little information.
    monkeypatch.setattr(alarms_module, "EMPTY", empty)
    monkeypatch.setattr(alarms_module, "EMPTY_SHARE", empty)
    watch = Watch("adapt-1", score=scores, trained=trained)
    first, events = watch.evaluate(0, None, [])
    notes = [event.text for event in events if isinstance(event, Note) and event.level == "info"]
    assert ["the alarm for the loss of a single class is off" in text for text in notes] == [True] * told
    assert not [event for event in watch.evaluate(5, None, [first])[1] if isinstance(event, Note)]


def test_the_most_confident_quarter_of_each_class_counts_and_a_lost_class_shows(classes, material, tmp_path):
    write_confidences(tmp_path / "out", world.LIGHT, 0.72)
    half, (surest, _) = confident_labels(material), surest_labels(material)
    truth = material.labels(range(6))
    assert not (half == world.LIGHT).any(), "the surest half of all pixels cannot see them vanish"
    for number in range(4):
        assert (surest == number).sum() == pytest.approx(0.25 * (truth == number).sum(), rel=0.3)
        assert (truth[surest == number] == number).all()
    student = model(classes)
    scores = LabelFreeScores(student, material, ENGINE, Context("adapt-1"))
    before, _ = scores()
    with torch.no_grad():
        student.net.head.bias[world.CAR] = -1e3
    after, _ = scores()
    assert before["surest"] > 0.9 and before["worst class"] == 1.0
    assert before["surest"] - after["surest"] > 0.2


def test_labels_of_other_images_do_not_fit(classes, material, tmp_path):
    for number in range(6):
        labels = world.paint((number + 1) % 6)[1]
        write_labels(tmp_path / "out" / "label_ids" / f"{world.key(number)}.png", labels)
    values, _ = LabelFreeScores(model(classes), material, ENGINE, Context("baseline"))()
    assert values["fit"] < 0.4


def test_the_confident_half_counts_and_labels_of_another_size_are_refused(classes, material, tmp_path):
    found = confident_labels(material)
    assert found.shape == (6, 32, 32)
    assert (found[:, :, :15] == world.IGNORE).all() and (found[:, :, 17:] != world.IGNORE).all()
    write_labels(tmp_path / "out" / "label_ids" / f"{world.key(0)}.png", np.zeros((16, 24), np.uint8))
    with pytest.raises(InputError, match="24x16 pixels, expected the working size 32x32"):
        LabelFreeScores(model(classes), material, ENGINE, Context("adapt-1"))


def test_images_of_one_class_each_are_not_taken_for_unreadable(images, classes):
    """As tiles of aerial images: a class of its own in most, and different ones in all together."""
    for number, path in enumerate(sorted(images.rglob("*.png"))):
        write_image(path, np.full((32, 32, 3), tiny_nets.COLOURS[number % 3], np.uint8))
    values, lost = label_free_scores(model(classes), images, Context("baseline"))()
    assert values["information"] > alarms_module.EMPTY and not {"flip", "scale", "colour"} & values.keys()
    assert not judge([values], lost, trained=True, distils=True)
    half = np.full((32, 32, 3), tiny_nets.COLOURS[0], np.uint8)
    half[:16] = tiny_nets.COLOURS[1]
    write_image(sorted(images.rglob("*.png"))[4], half)
    student = model(classes)
    scores = label_free_scores(student, images, Context("baseline"))
    before = scores()[0]
    assert before["flip"] == 1.0 and before["scale"] > 0.8, "the one of several classes counts, and it alone"
    with torch.no_grad():
        student.net.head.bias[0] = 1e3
    assert scores()[0]["flip"] == 0.0, "a collapse shows"


def test_labels_of_one_class_alone_say_nothing_of_how_they_fit(classes, material, tmp_path):
    """As where the images that are looked at show no defect: a fresh student had not learnt the labels for ever."""
    for number in range(6):
        write_labels(tmp_path / "out" / "label_ids" / f"{world.key(number)}.png", np.zeros((32, 32), np.uint8))
    student = model(classes)
    with torch.no_grad():
        student.net.head.bias[0] = 1e3
    watch = Watch(
        "baseline",
        score=LabelFreeScores(student, material, ENGINE, Context("baseline"), trained=False),
        trained=False,
        distils=True,
    )
    found, _ = watch.evaluate(0, None, [])
    assert "fit" not in found.values and found.values["source"] == 1.0 and found.healthy


def test_an_untrained_start_is_no_reference(classes, material):
    student = create_model("tests.stages.tiny_nets:plain", classes, world.SIZE, trust=True, seed=1)
    values, _ = LabelFreeScores(student, material, ENGINE, Context("baseline"), trained=False)()
    assert "agreement" not in values
    assert values["stability"] < 1.0, "the classes are the source's"


def label_free_scores(model, images, context, labels=None, **more):
    data = Material(open_dataset(images).samples, ImageCache(None, world.SIZE, 0), labels)
    return LabelFreeScores(model, data, ENGINE, context, **more)


def test_a_stop_ends_label_free_scores_within_a_batch(images, classes):
    student = model(classes).train()
    context = Context("adapt-1")
    scores = label_free_scores(student, images, context)
    batches = []
    student.net.register_forward_hook(lambda *_: (batches.append(1), context.control.stop())[0])
    with pytest.raises(Stopped):
        scores()
    # The images themselves, and three more views of them.
    assert len(batches) == 4 and student.training
    with pytest.raises(Stopped):
        label_free_scores(student, images, context)


@pytest.mark.parametrize("stage", ["baseline", "adapt-1"])
def test_label_free_scores_warn_of_a_class_that_vanishes(images, classes, stage):
    student = model(classes)
    before = torch.get_rng_state()
    watch = Watch(stage, score=label_free_scores(student, images, Context(stage)))
    first, events = watch.evaluate(0, None, [])
    assert torch.equal(before, torch.get_rng_state())
    assert len(events) == 1 and events[0].values["classes kept"] == 1.0
    with torch.no_grad():
        student.net.head.bias[CAR] = -1e3
    lost, events = watch.evaluate(1, None, [first])
    (said,) = [event for event in world.of(events, Note) if "car is vanishing" in event.text]
    # The baseline has no patches that could weigh more.
    assert said.level == "warning" and ("patch_weight" in said.text) is (stage == "adapt-1")
    assert not world.of(watch.evaluate(2, None, [first, lost])[1], Note), "said once"
    assert first.healthy and not lost.healthy
