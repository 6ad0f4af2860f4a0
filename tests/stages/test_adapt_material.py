"""What a step of the adaptation looks at: patches, crops, class weights and the start."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from crots.config import Size
from crots.label_files import write_labels
from crots.methods.losses import confidence_weight, weighted_cross_entropy
from crots.methods.pseudo import ConfidentLabels
from crots.stages.adapt import AdaptBatch
from crots.training.material import PseudoLabels
from tests.stages import tiny_world as world
from tests.stages.tiny_adapt import ENGINE, STILL, parameters, step
from tests.stages.tiny_world import IGNORE


def test_patches_whose_pixels_are_all_ignored_teach_nothing(make):
    learner = make(patches=True, confidence=1.0, **STILL)
    data = learner.load(0)
    nothing = np.full_like(data.patch_labels, IGNORE)
    before = parameters(learner.student).clone()
    figures = step(learner, data=AdaptBatch(data.images, data.patches, nothing))
    assert figures["hard patch"] == 0 and torch.equal(parameters(learner.student), before)


def test_patches_of_any_size_are_padded_for_networks_that_need_it(make):
    learner = make(net="tests.stages.tiny_nets:plain32", patches=True, confidence=0.0, batch_norm="frozen", **STILL)
    assert learner.student.info.multiple == 32
    data = learner.load(0)
    assert data.patches.shape[1:3] == (8, 8)
    found = step(learner, data=data)["hard patch"]
    # By hand: the loss of the padded patch's own pixels alone.
    fresh = make(net="tests.stages.tiny_nets:plain32").student.eval()
    grown = np.pad(data.patches, ((0, 0), (0, 24), (0, 24), (0, 0)), mode="edge")
    with torch.no_grad():
        logits = fresh.logits(ENGINE.images(grown))[..., :8, :8]
        expected = weighted_cross_entropy(logits, ENGINE.labels(data.patch_labels), None, IGNORE)
    assert found == pytest.approx(float(expected), rel=1e-4)


def drawn_patches(learner, steps=400):
    """How often each patch is drawn, in shares."""
    drawn = np.bincount([index for number in range(steps) for index in learner.patch_order.batch(number)], minlength=4)
    return drawn / drawn.sum()


def test_patches_are_drawn_by_rarity_or_alike(make, tmp_path):
    # One patch of the road alone, two with the sky, one with a single pixel of the car.
    for number, (other, pixels) in enumerate(((0, 0), (world.SKY, 16), (world.SKY, 16), (world.CAR, 1))):
        make()
        labels = np.full((8, 8), world.ROAD, np.uint8)
        labels.flat[:pixels] = other
        write_labels(tmp_path / "mined" / "labels" / f"p{number}.png", labels)
    assert drawn_patches(make(patches=True, batch=1, patch_sampling="uniform")) == pytest.approx([0.25] * 4, abs=1e-6)
    shares = np.array([223, 32, 1]) / 256
    chances = shares[[0, 1, 1, 2]] ** -0.5
    chances /= chances.sum()
    assert drawn_patches(make(patches=True, batch=1), steps=3000) == pytest.approx(chances, abs=0.03)
    # A batch repeats no patch while there are enough.
    whole = make(patches=True, batch=4).patch_order
    assert all(sorted(whole.batch(number)) == [0, 1, 2, 3] for number in range(5))
    assert len(make(patches=True, batch=6).patch_order.batch(0)) == 6


def test_draws_by_rarity_come_from_seed_stage_and_step(make):
    def drawn(number=7, **more):
        return [make(patches=True, batch=2, **more).patch_order.batch(step) for step in range(number, number + 6)]

    assert drawn() == drawn()
    for other in (drawn(8), drawn(seed=4), drawn(stage="adapt-2")):
        assert drawn() != other


def seen(learner, number=0):
    """What the student sees of a step before its colours change."""
    data = learner.load(number)
    mixed = learner.mix(learner.engine.images(data.images), number)
    return learner.crop(mixed, number)


def taught_by_the_source(learner, folder, classes):
    """Has the first step's labels come from correct pseudo-labels, where a teacher of two layers would guess."""
    labels = PseudoLabels.below(world.write_predictions(folder, wrong=0.0), classes)
    learner.material = dataclasses.replace(learner.material, pseudo_labels=labels)
    truth = torch.from_numpy(learner.material.labels(learner.choose(0))).long()
    learner.teach = lambda images: ConfidentLabels(truth, torch.full(truth.shape, 0.9))
    return learner


def test_crops_reach_adapt(make):
    made = make(crop=Size(16, 8))
    shown = seen(made)
    assert shown.images.shape == (4, 3, 8, 16)
    assert shown.labels.shape == shown.confidence.shape == (4, 8, 16)
    assert np.isfinite(step(made)["consistency"])


def test_without_crops_mixes_stay_as_they_are(make):
    made = make()
    data = made.load(0)
    mixed = made.mix(made.engine.images(data.images), 0)
    assert made.crop(mixed, 0) is mixed


def test_the_teacher_labels_whole_images_and_the_student_sees_crops(make, monkeypatch):
    made, shapes = make(crop=Size(16, 8), scale=2.0, **STILL), {"teacher": [], "student": []}
    for name, model in (("teacher", made.teacher.model), ("student", made.student)):
        logits = model.logits
        monkeypatch.setattr(
            model,
            "logits",
            lambda images, logits=logits, name=name: shapes[name].append(images.shape) or logits(images),
        )
    step(made)
    assert {tuple(shape[-2:]) for shape in shapes["teacher"]} == {(32, 32)}
    assert {tuple(shape[-2:]) for shape in shapes["student"]} == {(8, 16)}


def test_balance_weighs_the_loss_by_the_sources_labels(make, tmp_path):
    labels = world.write_predictions(tmp_path / "source", wrong=0.0)
    plain, balanced = (make(**STILL, labels=labels, confidence=0.3, balance=power) for power in (0.0, 0.5))
    assert plain.class_weights is None
    weights = balanced.class_weights
    assert weights[world.LIGHT] > weights[world.CAR] > weights[world.SKY]
    mixed = plain.mix(plain.engine.images(plain.load(0).images), 0)
    shares = confidence_weight(mixed.confidence, plain.options.confidence, "image")
    with torch.no_grad():
        plain.student.train()
        losses = torch.nn.functional.cross_entropy(plain.student.logits(mixed.images), mixed.labels, reduction="none")
    expected = (shares * (losses * weights[mixed.labels]).mean(dim=(1, 2))).mean()
    assert step(balanced)["consistency"] == pytest.approx(float(expected), rel=1e-4)
    assert step(plain)["consistency"] != pytest.approx(float(expected), rel=1e-2)


def test_each_crop_has_a_place_of_its_own_and_spatialmix_mixes_whole_images(make, tmp_path, classes):
    made = taught_by_the_source(make(batch=8, crop=Size(8, 8), scale=2.0, beta=0.0), tmp_path / "source", classes)
    windows = made.draw_crops(0, Size(32, 32)).windows
    assert len(set(windows)) == 8
    mixed = made.mix(made.engine.images(made.load(0).images), 0)
    truth = torch.from_numpy(made.material.labels(made.choose(0))).long()
    # Every pixel of a mix comes from the same place of some image, and so does every pixel of its crop.
    assert (mixed.labels.unsqueeze(1) == truth.unsqueeze(0)).any(dim=1).all()
    shown = made.crop(mixed, 0)
    for number, window in enumerate(windows):
        part = mixed.labels[number, window.y : window.y + window.height, window.x : window.x + window.width]
        assert set(shown.labels[number].unique().tolist()) <= set(part.unique().tolist())


def test_the_end_of_a_round_is_averaged_with_its_start(make):
    made = make(average=0.25)
    start = copy.deepcopy(made.student.net.state_dict())
    step(made)
    end = copy.deepcopy(made.student.net.state_dict())
    assert made.average(went_back=False)
    moved = 0
    for name, tensor in made.student.net.state_dict().items():
        expected = 0.25 * start[name] + 0.75 * end[name] if tensor.is_floating_point() else end[name]
        assert torch.allclose(tensor, expected, atol=1e-6)
        moved += not torch.equal(start[name], end[name])
    assert moved > 2
    plain = make(average=0.0)
    step(plain)
    assert not plain.average(went_back=True)
    assert all(torch.equal(end[name], tensor) for name, tensor in plain.student.net.state_dict().items())


def test_labels_are_cropped_with_their_image(make, tmp_path, classes):
    made = make(crop=Size(16, 8), scale=2.0, mix="cutmix")
    shown = seen(taught_by_the_source(made, tmp_path / "source", classes))
    # Sky is blue and road is grey: labels and colours still belong together.
    blue = shown.images[:, 2] - shown.images[:, 0]
    assert blue[shown.labels == world.SKY].mean() > 60 > blue[shown.labels == world.ROAD].mean()
