"""Scoring: the contract's figures, sizes of labels, subjects, what is refused."""

import json

import numpy as np
import pytest
import torch

from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.data.predictions import open_predictions
from crots.errors import InputError, Stopped
from crots.events import Evaluated, Note, Progress, StageStarted
from crots.execution.context import Context
from crots.execution.control import Control
from crots.execution.engine import Engine
from crots.images import read_image
from crots.label_files import write_labels
from crots.nets.model import create_model
from crots.options import RuntimeOptions
from crots.stages.evaluate import (
    EvaluateJob,
    Subject,
    evaluate_subjects,
    labelled,
    predict_from_files,
    predict_with_model,
    score_model,
)
from crots.stages.image_scores import read_image_scores
from crots.taxonomy import load_class_set
from tests.stages import tiny_world as world
from tests.stages.tiny_world import CAR, IGNORE, LIGHT

ENGINE = Engine(RuntimeOptions(device="cpu"))


@pytest.fixture
def truths(tmp_path, images):
    return open_dataset(images, labels=world.write_truth(tmp_path / "truth"))


def saying(answer):
    """A subject's model that says ``answer(number)`` of each picture."""
    return lambda: lambda samples, sizes: [answer(int(sample.key[-3:])) for sample in samples]


def scored(dataset, classes, answer, out=None, **more):
    job = EvaluateJob(dataset, classes, [Subject("model", saying(answer), **more)], out)
    return world.of(evaluate_subjects(job, Context("evaluate")), Evaluated)[0]


def iou(predictions, truths, number):
    hits = sum(int(((p == number) & (t == number)).sum()) for p, t in zip(predictions, truths, strict=True))
    union = sum(
        int((((p == number) | (t == number)) & (t != IGNORE)).sum()) for p, t in zip(predictions, truths, strict=True)
    )
    return hits / union if union else None


def test_the_figures_are_those_of_the_contract(tmp_path, truths, classes):
    def answer(number):
        rng = np.random.default_rng(number)
        labels = world.paint(number)[1]
        return np.where(rng.random(labels.shape) < 0.3, CAR, np.where(labels == LIGHT, 0, labels)).astype(np.uint8)

    event = scored(truths, classes, answer, tmp_path / "scores")
    report = json.loads((tmp_path / "scores" / "model.json").read_text())
    expected = [iou([answer(n) for n in range(6)], [world.paint(n)[1] for n in range(6)], k) for k in range(4)]
    assert list(report["per_class_iou"].values()) == pytest.approx(expected)
    assert list(report["per_class_iou"]) == list(world.NAMES)
    assert report["miou"] == pytest.approx(np.mean(expected)) == event.miou
    assert report["big"] == pytest.approx(np.mean(expected[:2])), "the class set's own subset"
    assert report["images"] == 6 and np.array(report["confusion"]).sum() == 6 * 32 * 32
    assert event.confusion == report["confusion"] and event.subject == "model" and not event.oracle
    assert "oracle" not in report
    # Image by image the same.
    images = read_image_scores(tmp_path / "scores", "model")
    assert images.classes == world.NAMES and len(images.keys) == 6
    for truth in range(4):
        for said in range(4):
            assert images.confused(truth, said).sum() == report["confusion"][truth][said]
        assert images.wrong(truth).sum() == sum(
            report["confusion"][truth][other] + report["confusion"][other][truth]
            for other in range(4)
            if other != truth
        )
    right = [(answer(n) == world.paint(n)[1]).mean() for n in range(6)]
    assert sorted(images.quality()) == pytest.approx(sorted(right))


def test_miou16_and_miou13_are_reported_where_the_class_set_has_them(tmp_path, images):
    cityscapes = load_class_set("cityscapes")
    for number in range(6):
        ids = np.arange(1024, dtype=np.uint8).reshape(32, 32) % 19
        write_labels(tmp_path / "truth" / f"{world.key(number)}.png", ids)
    dataset = open_dataset(images, labels=tmp_path / "truth", encoding="train")
    wrong = {9, 14, 16}

    def answer(number):
        ids = np.arange(1024, dtype=np.uint8).reshape(32, 32) % 19
        return np.where(np.isin(ids, list(wrong)), IGNORE, ids).astype(np.uint8)

    scored(dataset, cityscapes, answer, tmp_path / "scores")
    report = json.loads((tmp_path / "scores" / "model.json").read_text())
    # Terrain, truck and train are just the three that the 16 classes lack: predicted as nothing, they are missed.
    assert report["miou16"] == report["miou13"] == 1.0 and report["miou"] == pytest.approx(16 / 19)


def test_a_class_that_occurs_nowhere_has_no_score_and_ignored_truth_counts_for_nothing(tmp_path, images, classes):
    labels = np.zeros((32, 32), np.uint8)
    labels[:8] = IGNORE
    for number in range(6):
        write_labels(tmp_path / "truth" / f"{world.key(number)}.png", labels)
    dataset = open_dataset(images, labels=tmp_path / "truth")
    answer = np.zeros((32, 32), np.uint8)
    answer[:8] = CAR
    event = scored(dataset, classes, lambda _: answer)
    assert event.per_class_iou == {"road": 1.0, "sky": None, "car": None, "light": None} and event.miou == 1.0


def test_oracle_subjects_are_marked(tmp_path, truths, classes):
    event = scored(truths, classes, lambda n: world.paint(n)[1], tmp_path / "scores", oracle=True)
    assert event.oracle and event.miou == 1.0
    assert json.loads((tmp_path / "scores" / "model.json").read_text())["oracle"] is True


def test_subjects_are_opened_one_after_the_other_and_progress_covers_them_all(truths, classes):
    opened = []

    def subject(name):
        def load():
            opened.append((name, len(done)))
            return saying(lambda n: world.paint(n)[1])()

        return Subject(name, load)

    done = []
    job = EvaluateJob(truths, classes, [subject("baseline"), subject("adapt-1")], batch=4)
    for event in evaluate_subjects(job, Context("evaluate")):
        done += world.of([event], Evaluated)
        if isinstance(event, StageStarted):
            assert event.total == 12
        if isinstance(event, Progress):
            assert event.done <= event.total == 12
    assert opened == [("baseline", 0), ("adapt-1", 1)] and [event.subject for event in done] == ["baseline", "adapt-1"]


def test_a_model_is_scored_at_the_labels_own_size(tmp_path, classes):
    size = world.Size(64, 48)
    images = world.write_images(tmp_path / "large", 3, size=size)
    dataset = open_dataset(images, labels=world.write_truth(tmp_path / "truth", 3, size=size))
    model = create_model("tests.stages.tiny_nets:colour", classes, world.SIZE, trust=True)
    cache = ImageCache(None, world.SIZE, 0)
    sizes = []

    def read(sample):
        sizes.append(cache.get(sample.image).shape)
        return cache.get(sample.image)

    predict = predict_with_model(model, ENGINE, read, flip=False)
    job = EvaluateJob(dataset, classes, [Subject("model", lambda: predict)])
    event = world.of(evaluate_subjects(job, Context("evaluate")), Evaluated)[0]
    assert set(sizes) == {(32, 32, 3)}
    # Squeezed to 32x32 and back, the picture keeps its large parts.
    assert event.per_class_iou["road"] > 0.9 and event.per_class_iou["sky"] > 0.9


def test_flip_adds_the_mirror_image(truths, classes):
    model = create_model("tests.stages.tiny_nets:plain", classes, world.SIZE, trust=True, seed=1)
    sample = truths.samples[0]
    batch = torch.from_numpy(read_image(sample.image)[None]).permute(0, 3, 1, 2)
    model.eval()
    with torch.no_grad():
        logits = {False: model(batch), True: model(batch) + model(batch.flip(3)).flip(3)}
    found = {}
    for flip in (False, True):
        predict = predict_with_model(model, ENGINE, lambda s: read_image(s.image), flip=flip)
        found[flip] = predict([sample], [world.SIZE])[0]
        expected = model.upsample(logits[flip], (32, 32)).argmax(1)[0].numpy()
        assert (found[flip] == expected).mean() > 0.999
    assert not np.array_equal(found[False], found[True])


def test_scoring_leaves_the_model_in_training(truths, classes):
    model = create_model("tests.stages.tiny_nets:plain", classes, world.SIZE, trust=True).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    cache = ImageCache(None, world.SIZE, 0)
    report = score_model(model, truths, classes, ENGINE, cache, Control(), flip=False, batch=4)
    assert model.training and all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert report["images"] == 6
    stopped = Control()
    stopped.stop()
    with pytest.raises(Stopped):
        score_model(model, truths, classes, ENGINE, cache, stopped, flip=False, batch=1)


def test_predictions_on_disk_are_scored(tmp_path, truths, classes):
    world.write_predictions(tmp_path / "said", wrong=0.2)
    found = open_predictions(tmp_path / "said", None, classes).lookup(truths.keys)
    job = EvaluateJob(truths, classes, [Subject("said", lambda: predict_from_files(found))])
    event = world.of(evaluate_subjects(job, Context("evaluate")), Evaluated)[0]
    assert 0.3 < event.miou < 0.9 and event.images == 6


def test_images_without_labels_are_left_out_and_none_at_all_is_an_error(tmp_path, images, classes):
    labels = world.write_truth(tmp_path / "truth", 6)
    dataset = open_dataset(images, labels=labels)
    some = [sample if number else world.dataclasses.replace(sample, label=None) for number, sample in
            enumerate(dataset.samples)]  # fmt: skip
    assert len(labelled(world.dataclasses.replace(dataset, samples=tuple(some)))) == 5
    with pytest.raises(InputError, match="no labels found for its 6 images; give `data"):
        list(evaluate_subjects(EvaluateJob(open_dataset(images), classes, []), Context("evaluate")))


@pytest.mark.parametrize(
    ("labels", "part"),
    [(np.full((32, 32), 9, np.uint8), "9"), (np.zeros((16, 32), np.uint8), "labels must have their image's size")],
)
def test_labels_that_do_not_fit_are_refused_with_the_file(tmp_path, truths, classes, labels, part):
    write_labels(tmp_path / "truth" / f"{world.key(3)}.png", labels)
    with pytest.raises(InputError, match=part) as caught:
        scored(truths, classes, lambda n: world.paint(n)[1])
    assert "street_003" in str(caught.value)


def test_a_stop_ends_the_scoring(truths, classes):
    control = Control()
    control.stop()
    job = EvaluateJob(truths, classes, [Subject("model", saying(lambda n: world.paint(n)[1]))])
    with pytest.raises(Stopped):
        list(evaluate_subjects(job, Context("evaluate", control)))


@pytest.mark.parametrize("void", [0, 4, 20, 32])
def test_predictions_of_no_class_are_said_where_they_are_many(truths, classes, void):
    answer = np.zeros((32, 32), np.uint8)
    answer[:void] = IGNORE
    job = EvaluateJob(truths, classes, [Subject("source", saying(lambda _: answer))])
    events = list(evaluate_subjects(job, Context("evaluate")))
    notes = [event.text for event in events if isinstance(event, Note) and "predicts no class" in event.text]
    assert len(notes) == (void > 9)
    if void == 32:
        assert notes[0].startswith("source predicts no class for 100% of the labelled pixels, which count as wrong")
