"""What the baseline learns: the surest share of each class, mixed images, a moving average, labels made anew."""

import copy

import numpy as np
import pytest
import torch

from crots.errors import InputError, Stopped
from crots.events import Note
from crots.execution.context import Context
from crots.label_files import read_labels, write_labels
from crots.methods import selection
from crots.methods.batch_norm import batch_norms
from crots.stages import baseline as baseline_module
from crots.stages.baseline import BaselineJob, BaselineLearner, distil_student, refresh_steps
from crots.training.loop import REFRESHED, Training
from crots.training.refresh import make_refreshed, refreshed_folder
from crots.training_options import BaselineOptions
from tests.stages import tiny_world as world
from tests.stages.tiny_training import ENGINE, FEW, student, weights
from tests.stages.tiny_world import IGNORE

KEEPS = {"keep_ema": True, "ema_decay": 0.5}


def learner(material, classes, folder=None, *, trained=False, **options):
    options = BaselineOptions(**{**FEW, **world.PLAIN_LABELS, **options})
    return BaselineLearner(
        student(classes), material, ENGINE, options, folder=folder, trained=trained, seed=3, stage="baseline"
    )


def run(folder, material, classes, *, resume=False, context=None, **options):
    options = BaselineOptions(**{**FEW, **world.PLAIN_LABELS, "guard": False, **options})
    made = student(classes)
    context = context or Context("baseline", resume=resume)
    events = list(distil_student(BaselineJob(made, material, ENGINE, options, Training(folder, 3), True), context))
    return made, events


def test_the_most_confident_share_of_each_class_is_learnt(material, classes):
    labels, confidence = material.labels(range(6)), material.confidence(range(6))
    kept = learner(material, classes, keep_share=0.5).read_labels(range(6))
    for number in range(len(classes)):
        own = labels == number
        if own.any():
            least = confidence[own & (kept == number)].min()
            # Whoever is left out is less sure than whoever is kept, and at least half are kept.
            assert confidence[own & (kept == IGNORE)].max(initial=0.0) <= least
            assert (kept[own] != IGNORE).mean() >= 0.5
    assert (kept == IGNORE).mean() > 0.3
    assert np.array_equal(learner(material, classes).read_labels(range(6)), labels)


@pytest.mark.parametrize("trained", [True, False])
def test_a_trained_student_that_went_back_is_averaged_with_its_start(material, classes, trained):
    made = learner(material, classes, trained=trained, guard=True)
    start = weights(made.student)
    with torch.no_grad():
        for parameter in made.student.net.parameters():
            parameter.add_(1.0)
    end = weights(made.student)
    assert not made.average(went_back=False) and torch.equal(weights(made.student), end)
    assert made.average(went_back=True) == trained
    assert torch.allclose(weights(made.student), (start + end) / 2 if trained else end, atol=1e-6)


def test_a_fresh_student_learns_certain_labels_whatever_their_rank(material, classes, monkeypatch):
    monkeypatch.setattr(selection, "CERTAIN", 0.0)
    afresh, trained = (learner(material, classes, keep_share=0.5, trained=trained) for trained in (False, True))
    kept, fewer = (made.read_labels(range(6)) != IGNORE for made in (afresh, trained))
    assert kept[fewer].all() and kept.sum() > fewer.sum()


def test_labels_that_are_left_out_are_learnt_with_less_weight(material, classes):
    made = learner(material, classes, keep_share=0.5, unsure_weight=0.25, min_confidence=0.2)
    sure, source = made.read_labels(range(6)), material.labels(range(6), min_confidence=0.2)
    labels, weights = made.read_weighted(range(6), 0)
    assert (source == IGNORE).any() and np.array_equal(labels, source), "unsure labels, but none below min_confidence"
    assert np.array_equal(weights, np.where(sure == IGNORE, np.float32(0.25), np.float32(1)))
    assert (weights == 1).any() and (weights[source != IGNORE] == 0.25).any()
    ignored = learner(material, classes, keep_share=0.5, unsure_weight=0.0).read_weighted(range(6), 0)
    assert ignored[1] is None and np.array_equal(
        ignored[0], learner(material, classes, keep_share=0.5).read_labels(range(6))
    )
    assert learner(material, classes, unsure_weight=0.25).read_weighted(range(6), 0)[1] is None, "nothing is left out"


def test_labels_and_their_weights_come_from_one_reading_of_the_files(material, classes, monkeypatch):
    made = learner(material, classes, keep_share=0.5, unsure_weight=0.25)
    reads = []
    monkeypatch.setattr("crots.training.material.read_labels", lambda path: reads.append(path) or read_labels(path))
    made.read_weighted([0, 1], 0)
    assert len(reads) == len(set(reads)) == 2


def test_the_default_weight_of_unsure_labels_follows_the_confidence_of_the_source(
    tmp_path, material, classes, monkeypatch
):
    for least, weight in ((0.0, selection.UNSURE_WEIGHT), (1.1, 0.0)):
        monkeypatch.setattr(selection, "SURE_SOURCE", least)
        open_ = {"keep_share": 0.5, "unsure_weight": None}
        assert learner(material, classes, **open_).unsure_weight == weight
        assert learner(material, classes, **{**open_, "unsure_weight": 0.7}).unsure_weight == 0.7
        assert learner(material, classes, keep_share=1.0, unsure_weight=None).unsure_weight == 0.0
        _, events = run(tmp_path / str(least), material, classes, **open_)
        assert any(
            "less confident labels are learnt too" in event.text for event in events if isinstance(event, Note)
        ) == bool(weight)


@pytest.mark.parametrize("mix", ["none", "classmix", "spatialmix"])
def test_weights_move_with_their_labels(material, classes, mix):
    made = learner(material, classes, keep_share=0.5, unsure_weight=0.25, scale=1.5, batch=4, mix=mix, mix_share=0.5)
    # Labels that tell by themselves which of them are unsure.
    made.read_weighted = lambda indices, step: (
        (labels := (made.read_labels(indices) == IGNORE).astype(np.uint8)),
        np.where(labels, np.float32(0.25), np.float32(1)),
    )
    for step in range(6):
        data = made.load(step)
        tensors = [ENGINE.images(data.images), ENGINE.labels(data.labels), ENGINE.floats(data.weights)]
        _, labels, weights = made.mix(tensors, step)
        assert torch.equal(weights, torch.where(labels == 1, 0.25, 1.0))
        assert labels.bool().any() and not labels.bool().all()


def test_unsure_labels_change_what_is_learnt(tmp_path, material, classes):
    ends = [
        weights(run(tmp_path / str(share), material, classes, keep_share=0.5, unsure_weight=share)[0])
        for share in (0.0, 0.5)
    ]
    assert not torch.equal(*ends)


def test_frozen_batch_norm_keeps_its_statistics(tmp_path, material, classes):
    def statistics(model):
        return torch.cat([layer.running_mean.clone() for layer in batch_norms(model)])

    start = statistics(student(classes))
    frozen, _ = run(tmp_path / "a", material, classes, batch_norm="frozen")
    moving, _ = run(tmp_path / "b", material, classes, batch_norm="batch")
    assert torch.equal(statistics(frozen), start)
    assert not torch.equal(statistics(moving), start)


def test_the_moving_average_is_what_is_kept(tmp_path, material, classes):
    made = learner(material, classes, trained=True, **KEEPS)
    average, own = copy.deepcopy(made.student), made.student
    for step in range(4):
        made.step(step, made.load(step), 1e-2)
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), own.parameters(), strict=True):
                slow.lerp_(fast, 0.5)
    trained = weights(own).clone()
    with made.as_kept():
        parameters = torch.cat([value.flatten() for value in made.student.parameters()])
        expected = torch.cat([value.flatten() for value in average.parameters()])
        assert torch.allclose(parameters, expected, atol=1e-6)
    assert torch.equal(weights(made.student), trained)
    made.settle()
    assert torch.allclose(torch.cat([value.flatten() for value in made.student.parameters()]), expected, atol=1e-6)


@pytest.mark.parametrize("mix", ["classmix", "cutmix", "spatialmix"])
def test_a_share_of_the_images_is_mixed_with_their_labels(material, classes, mix):
    made = learner(material, classes, batch=4, mix=mix, mix_share=0.5, flip=False)
    mixed = whole = 0
    for step in range(12):
        data = made.load(step)
        images, labels = ENGINE.images(data.images).float(), ENGINE.labels(data.labels)
        images = torch.cat([images, labels.unsqueeze(1).float()], dim=1)
        found, found_labels = made.mix([images, labels], step)
        assert torch.equal(found[:, 3].long(), found_labels), "labels move with their images"
        same = (found == images).flatten(1).all(dim=1)
        whole, mixed = whole + int(same.sum()), mixed + int((~same).sum())
    assert mixed > 8 and whole > 8
    off = learner(material, classes, mix="none")
    assert off.mix([images, labels], 0)[0] is images


def test_labels_are_refreshed_evenly_between_40_and_80_per_cent():
    assert refresh_steps(BaselineOptions(steps=100, refresh=3)) == (40, 60, 80)
    assert refresh_steps(BaselineOptions(steps=100, refresh=1)) == (60,)
    assert refresh_steps(BaselineOptions(steps=100, refresh=0)) == ()
    assert refresh_steps(BaselineOptions(steps=1, refresh=3)) == ()


def test_a_refresh_without_the_moving_average_is_refused(tmp_path, material, classes):
    with pytest.raises(InputError, match="keep_ema"):
        run(tmp_path / "a", material, classes, refresh=1)


def test_a_refresh_that_loses_the_most_confident_source_pixels_is_undone_and_stays_so(tmp_path, material, classes):
    made = learner(material, classes, tmp_path / "stage", trained=True, refresh=1, keep_share=0.6, **KEEPS)
    # What the moving average says is wrong everywhere, and it is sure of some of it; it is not made again.
    rng, place = np.random.default_rng(0), refreshed_folder(tmp_path / "stage", 0)
    for number, sample in enumerate(material.samples):
        labels = material.labels([number])[0]
        write_labels(place / "label_ids" / f"{sample.key}.png", (labels + 1) % 4)
        world.write_confidence(place / "confidence" / f"{sample.key}.png", rng.random(labels.shape).astype(np.float32))
    text, step = made.refresh(0, lambda: None), made.refreshes[0]
    assert "not used" in text and "on average (at most 1%) would be lost" in text
    assert np.array_equal(made.read_labels(range(6), step), made.read_labels(range(6), step - 1))
    again = learner(material, classes, tmp_path / "stage", trained=True, refresh=1, keep_share=0.6, **KEEPS)
    assert np.array_equal(again.read_labels(range(6), step), made.read_labels(range(6), step - 1))
    assert again.refresh(0, lambda: None) == text, "a resumed run says and does the same"


@pytest.fixture
def every_refresh_counts(monkeypatch):
    """Lets refreshes of a student that has learnt little stand."""
    monkeypatch.setattr(baseline_module, "surest_lost", lambda mean, worst: "")


@pytest.mark.usefixtures("every_refresh_counts")
def test_a_refresh_changes_what_is_learnt_and_leaves_nothing_behind(tmp_path, material, classes):
    plain, _ = run(tmp_path / "a", material, classes, **KEEPS)
    anew, events = run(tmp_path / "b", material, classes, refresh=1, **KEEPS)
    notes = [event.text for event in events if isinstance(event, Note) and "labels refreshed" in event.text]
    assert len(notes) == 1 and "step 4" in notes[0]
    assert not torch.equal(weights(plain), weights(anew))
    assert not (tmp_path / "b" / REFRESHED).exists()


class _StopsAt(Context):
    """Stops at the n-th time it is asked."""

    left = 0

    def check(self):
        type(self).left -= 1
        if type(self).left == 0:
            raise Stopped("stopped")


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("asked", [3, 6, 8, 10, 12])
def test_a_run_that_was_stopped_before_in_or_after_a_refresh_ends_with_the_same_weights(
    tmp_path, material, classes, asked, counts, monkeypatch
):
    monkeypatch.setattr(baseline_module, "surest_lost", lambda mean, worst: "" if counts else "too much is lost")
    whole, _ = run(tmp_path / "a", material, classes, refresh=1, **KEEPS)
    _StopsAt.left = asked
    with pytest.raises(Stopped):
        run(tmp_path / "b", material, classes, context=_StopsAt("baseline"), refresh=1, **KEEPS)
    resumed, _ = run(tmp_path / "b", material, classes, resume=True, refresh=1, **KEEPS)
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.usefixtures("every_refresh_counts")
def test_corrections_win_over_refreshed_labels(tmp_path, material, classes):
    made = learner(material, classes, tmp_path / "stage", trained=True, refresh=1, **KEEPS)
    key = material.samples[0].key
    source = material.labels([0])[0]
    corrected = source.copy()
    corrected[:4] = np.where(source[:4] == world.CAR, world.ROAD, world.CAR)
    write_labels(tmp_path / "corrections" / f"{key}.png", corrected)
    object.__setattr__(material.pseudo_labels, "corrections", tmp_path / "corrections")
    made.refresh(0, lambda: None)
    fused = made.read_labels([0], made.refreshes[0])[0]
    assert np.array_equal(fused[:4], corrected[:4])


def test_a_damaged_refresh_is_made_again(tmp_path, material, classes):
    model = student(classes)
    first = make_refreshed(model, material, ENGINE, tmp_path / "r", lambda: None)
    labels = read_labels(tmp_path / "r" / "label_ids" / f"{material.samples[0].key}.png")
    (tmp_path / "r" / "ranks.json").write_text("[", encoding="utf-8")
    again = make_refreshed(model, material, ENGINE, tmp_path / "r", lambda: None)
    assert np.array_equal(first.table, again.table)
    assert labels.shape == (world.SIZE.height, world.SIZE.width)
