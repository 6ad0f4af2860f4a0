"""Corrections: undo and redo, on disk at once, and felt by the loss's input."""

import numpy as np
import pytest
import torch

from crots.card import IMAGENET, ModelCard
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.errors import StageError
from crots.execution.engine import Engine
from crots.nets.info import NetInfo
from crots.nets.model import Model
from crots.options import RuntimeOptions
from crots.stages.adapt import AdaptLearner
from crots.taxonomy import load_class_set
from crots.training.material import Material, PseudoLabels
from crots.training.patch_set import PatchCorrections, PatchSet
from crots.training_options import AdaptOptions
from crots_studio.models.corrections import Corrections
from tests.studio.fake_project import SIZE, make_fake_project

CLASSES = load_class_set("camvid")
SIGN, POLE = CLASSES.index("sign"), CLASSES.index("pole")


def test_undo_and_redo_walk_through_the_states(tmp_path):
    corrections = Corrections(tmp_path)
    corrections.reject(["a", "b"])
    corrections.relabel(["c"], 6, 2, "sign to pole")
    assert corrections.undo_text == "relabel sign to pole in 1 patch"
    after = corrections.state
    corrections.undo()
    assert corrections.state.relabelled == {}
    assert corrections.redo_text == "relabel sign to pole in 1 patch"
    corrections.undo()
    assert corrections.state.rejected == frozenset()
    assert corrections.undo_text == ""
    corrections.undo()
    corrections.redo()
    corrections.redo()
    assert corrections.state == after
    corrections.redo()
    assert corrections.state == after


def test_every_state_is_on_disk(tmp_path):
    corrections = Corrections(tmp_path)
    for change in (
        lambda: corrections.reject(["a"]),
        lambda: corrections.relabel(["b"], 6, CLASSES.ignore),
        corrections.undo,
        corrections.redo,
    ):
        change()
        assert PatchCorrections.read(tmp_path) == corrections.state
    assert Corrections(tmp_path).state == corrections.state


def test_a_new_change_forgets_what_was_undone(tmp_path):
    corrections = Corrections(tmp_path)
    corrections.reject(["a"])
    corrections.undo()
    corrections.reject(["b"])
    assert corrections.redo_text == ""
    assert corrections.state.rejected == {"b"}


def test_changes_that_change_nothing_are_no_steps(tmp_path):
    corrections = Corrections(tmp_path)
    corrections.reject([])
    corrections.restore(["never touched"])
    corrections.relabel(["a"], 3, 3)
    assert corrections.undo_text == ""
    assert corrections.state == PatchCorrections()


def test_restoring_forgets_rejection_and_relabelling(tmp_path):
    corrections = Corrections(tmp_path)
    corrections.reject(["a", "b"])
    corrections.relabel(["a"], 1, 2)
    corrections.restore(["a"])
    assert corrections.state == PatchCorrections(frozenset({"b"}))


def test_relabelling_to_itself_undoes_it(tmp_path):
    corrections = Corrections(tmp_path)
    corrections.relabel(["a"], 1, 2)
    corrections.relabel(["a"], 1, 1)
    assert corrections.state.relabelled == {}


def test_where_the_disk_says_no_nothing_has_changed(tmp_path, monkeypatch):
    def full(self, folder):
        raise StageError("the disk is full")

    heard = []
    corrections = Corrections(tmp_path, lambda: heard.append(1))
    monkeypatch.setattr(PatchCorrections, "write", full)
    with pytest.raises(StageError):
        corrections.reject(["a"])
    assert corrections.state == PatchCorrections()
    assert corrections.undo_text == ""
    assert heard == []


def test_observers_see_what_can_be_undone(tmp_path):
    heard = []
    corrections = Corrections(tmp_path, lambda: heard.append((corrections.undo_text, corrections.redo_text)))
    corrections.reject(["a"])
    corrections.undo()
    assert heard == [("reject 1 patch", ""), ("", "reject 1 patch")]


def test_observers_hear_of_every_change(tmp_path):
    heard = []
    corrections = Corrections(tmp_path, lambda: heard.append(corrections.state))
    corrections.reject(["a"])
    corrections.undo()
    assert [sorted(state.rejected) for state in heard] == [["a"], []]


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, len(CLASSES), 1)

    def forward(self, images):
        return self.layer(images)


@pytest.fixture
def learner_of(tmp_path):
    torch.set_num_threads(1)
    project = make_fake_project(tmp_path, until="mine")

    def make():
        card = ModelCard("tiny", CLASSES.to_dict(), IMAGENET, SIZE)
        model = Model(Tiny(), card, NetInfo("tiny", "test", IMAGENET, 1))
        labels = PseudoLabels.below(project.stage_folder("pseudo-label"), CLASSES)
        samples = open_dataset(tmp_path / "target").samples
        material = Material(samples, ImageCache(None, Size(*SIZE), 0), labels)
        patches = PatchSet.open(project.stage_folder("mine"), CLASSES, PatchCorrections.read(project.corrections_path))
        engine = Engine(RuntimeOptions(device="cpu", threads=1))
        # Drawn by rarity, relabelled patches would come in another order.
        options = AdaptOptions(steps=10, batch=4, patch_sampling="uniform", scale=1.0)
        return AdaptLearner(model, material, patches, engine, options, seed=0, stage="adapt-1")

    return project, make


def pictures_and_labels(learner, steps=4):
    batches = [learner.load(step) for step in range(steps)]
    return np.concatenate([batch.patches for batch in batches]), np.concatenate(
        [batch.patch_labels for batch in batches]
    )


def test_a_rejected_patch_never_reaches_the_loss(learner_of):
    project, make = learner_of
    before, _ = pictures_and_labels(make())
    from crots.images import read_image

    bad = read_image(project.stage_folder("mine") / "patches" / "day" / "frame_0_8.png")
    assert any(np.array_equal(bad, picture) for picture in before)
    Corrections(project.corrections_path).reject(["day/frame_0_8"])
    after, _ = pictures_and_labels(make())
    assert not any(np.array_equal(bad, picture) for picture in after)


def test_a_relabelled_patch_reaches_the_loss_with_its_new_labels(learner_of):
    project, make = learner_of
    pictures, before = pictures_and_labels(make())
    assert (before == SIGN).any()
    corrections = Corrections(project.corrections_path)
    names = ["day/frame_0_4", "day/frame_0_8", "night/frame_0_4", "night/frame_0_8"]
    corrections.relabel(names, SIGN, CLASSES.ignore, "sign to ignore")
    same, after = pictures_and_labels(make())
    assert np.array_equal(pictures, same)
    assert not (after == SIGN).any()
    assert np.array_equal(after == CLASSES.ignore, (before == SIGN) | (before == CLASSES.ignore))
    corrections.undo()
    assert np.array_equal(pictures_and_labels(make())[1], before)


def test_a_correction_changes_the_loss_itself_and_makes_the_rounds_stale(learner_of):
    project, make = learner_of

    def loss():
        torch.manual_seed(0)
        learner = make()
        data = learner.load(0)
        return float(learner.step(0, data, 0.0)["hard patch"])

    before = loss()
    assert loss() == before
    fingerprint = project.inputs()["adapt-1"]
    corrections = Corrections(project.corrections_path)
    corrections.relabel(["day/frame_0_4", "day/frame_0_8", "night/frame_0_4", "night/frame_0_8"], SIGN, POLE)
    assert loss() != before
    assert project.inputs()["adapt-1"] != fingerprint
