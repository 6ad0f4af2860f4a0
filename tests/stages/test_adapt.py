"""One step of the adaptation: every switch reaches the arithmetic, and its test fails where it is ignored."""

import copy
import itertools

import numpy as np
import pytest
import torch

from crots.config import defaults
from crots.errors import Stopped
from crots.methods import selection
from crots.methods.patches import drop_unsure
from crots.stages.adapt import AdaptBatch, Mixed, mixing_beta
from crots.training_options import AdaptOptions
from tests.stages.tiny_adapt import ENGINE, STILL, head_bias, parameters, statistics, step
from tests.stages.tiny_world import IGNORE


def test_f2_confidence_is_a_probability_or_a_raw_logit(make):
    moved = {}
    for source in ("softmax", "logit"):
        learner = make(confidence_from=source, **STILL)
        head_bias(learner, 5.0)
        before = parameters(learner.student)
        figures = step(learner)
        moved[source] = not torch.equal(parameters(learner.student), before)
        assert figures["confidence weight"] == (0.0 if source == "softmax" else 1.0)
    # Unsure by its probabilities, the teacher teaches nothing; by its raw logits it teaches everything.
    assert moved == {"softmax": False, "logit": True}


def mixed_of(learner, number=0):
    images = learner.engine.images(learner.load(number).images)
    return learner.augment(learner.mix(images, number), number)


def expected_consistency(learner, mixed, weighting):
    """The loss by its definition, pixel by pixel."""
    student = copy.deepcopy(learner.student).train()
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(student.logits(mixed.images), mixed.labels, reduction="none")
    sure = (mixed.confidence >= learner.options.confidence).float()
    if weighting == "batch":
        return float(sure.mean() * losses.mean())
    if weighting == "image":
        return float((sure.mean(dim=(1, 2)) * losses.mean(dim=(1, 2))).mean())
    return float((sure * losses).mean())


def test_f3_weights_are_of_the_batch_of_images_or_of_pixels(make):
    found = {}
    for weighting in ("batch", "image", "pixel"):
        learner = make(weighting=weighting, confidence=0.4, **STILL)
        # Logits far enough apart that some pixels are sure and others are not.
        for model in (learner.student, learner.teacher.model):
            with torch.no_grad():
                model.net.head.weight.mul_(2)
        expected = expected_consistency(learner, mixed_of(learner), weighting)
        found[weighting] = step(learner)["consistency"]
        assert found[weighting] == pytest.approx(expected, rel=1e-4), weighting
    assert len({round(value, 5) for value in found.values()}) == 3


def test_the_most_confident_share_of_each_class_counts(make, monkeypatch):
    monkeypatch.setattr(selection, "LEAST", 0.0)  # the teacher of this test is unsure of everything
    found = {}
    for share in (0.0, 0.5):
        learner = make(confidence=0.99, keep_share=share, weighting="pixel", **STILL)
        learner.begin(lambda: None)
        found[share] = step(learner)["confidence weight"]
        images = ENGINE.images(learner.material.images(range(6)))
        with torch.no_grad():
            taught = learner.teach(images)
        counts = taught.confidence >= learner._threshold_of(taught.labels)
        for number in taught.labels.unique():
            own = counts[taught.labels == number].float().mean()
            assert own >= share, "at least the share of every class that the teacher predicts"
            assert share or own == 0, "without a share, nothing of what is unsure"
    assert found[0.0] == 0 < found[0.5]


def test_a_stop_is_seen_while_the_thresholds_are_found(make):
    def stop():
        raise Stopped("stopped")

    learner = make(keep_share=0.5, **STILL)
    with pytest.raises(Stopped):
        learner.begin(stop)


def test_f4_the_teachers_statistics_follow_the_student_or_drift_by_themselves(make):
    following, drifting = make(teacher_buffers=True, **STILL), make(teacher_buffers=False, **STILL)
    images = ENGINE.images(following.load(0).images)
    fresh = statistics(following.teacher.model).clone()
    alone, together = (following.mix(part, 0).confidence for part in (images[:1], images[:1].repeat(4, 1, 1, 1)))
    assert torch.allclose(alone[0], together[0], atol=1e-5)
    assert torch.equal(statistics(following.teacher.model), fresh)
    drifting.mix(images, 0)
    assert not torch.allclose(statistics(drifting.teacher.model), fresh)
    for learner, same in ((following, True), (drifting, False)):
        step(learner)
        found = torch.allclose(statistics(learner.teacher.model), statistics(learner.student))
        # The first time that it follows, the teacher becomes the student.
        assert found is same
        assert torch.equal(parameters(learner.teacher.model), parameters(learner.student))


def test_f5_the_teacher_follows_after_or_before_the_optimiser(make):
    for when in ("after", "before"):
        learner = make(ema_when=when, confidence=0.0, **STILL)
        before = parameters(learner.student).clone()
        step(learner)
        after, teacher = parameters(learner.student).clone(), parameters(learner.teacher.model).clone()
        assert not torch.equal(before, after)
        assert torch.equal(teacher, after if when == "after" else before)
        # The second time it goes half of the way, to the student of after or before the second step.
        step(learner, 1)
        middle = (teacher + (parameters(learner.student) if when == "after" else after)) / 2
        assert torch.allclose(parameters(learner.teacher.model), middle, atol=1e-6)


def test_the_teacher_is_the_moving_average_of_the_paper(make):
    learner = make(confidence=0.0, ema_decay=0.9, **STILL)
    teacher = parameters(learner.teacher.model).clone()
    for number in range(4):
        step(learner, number)
        keep = min(1 - 1 / (number + 1), 0.9)
        teacher = keep * teacher + (1 - keep) * parameters(learner.student)
        assert torch.allclose(parameters(learner.teacher.model), teacher, atol=1e-6)
    capped = make(confidence=0.0, ema_decay=0.0, **STILL)
    for number in range(3):
        step(capped, number)
    assert torch.equal(parameters(capped.teacher.model), parameters(capped.student))


def sources(learner, steps=12):
    """Which images show in each mix, over several steps; image i is painted with the grey i."""
    count = learner.options.batch
    images = torch.arange(count).view(-1, 1, 1, 1).expand(count, 3, 32, 32).to(torch.uint8).contiguous()
    return [mix.unique().tolist() for number in range(steps) for mix in learner.mix(images, number).images]


def test_f6_partners_are_distinct_or_drawn_with_replacement(make):
    # A split point in the middle leaves every quadrant some pixels.
    assert all(len(shown) == 4 for shown in sources(make(partners="distinct", beta=0.0)))
    repeated = [len(shown) for shown in sources(make(partners="repeated", beta=0.0))]
    assert min(repeated) < 4 and 1 not in repeated


def test_f6_partners_with_replacement_come_from_the_whole_batch(make):
    def beyond(partners):
        shown = sources(make(batch=8, partners=partners, beta=0.0))
        groups = [{int(grey) // 4 for grey in greys} for greys in shown]
        return max(map(len, groups))

    # The greys tell who is in a mix; groups of four are 0 to 3 and 4 to 7.
    assert (beyond("repeated"), beyond("distinct")) == (2, 1)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_small_batches_mix_too(make, batch):
    for partners in ("distinct", "repeated"):
        learner = make(batch=batch, partners=partners, beta=0.0)
        assert {len(shown) for shown in sources(learner)} <= set(range(1, batch + 1))
        step(learner)


def ramp(count=8):
    """Images whose columns tell whether they were mirrored."""
    columns = torch.arange(32).float().expand(count, 3, 32, 32) * 4
    return Mixed(columns.clone(), columns[:, 0].long(), columns[:, 0].clone())


def test_f7_augmentation_is_drawn_for_each_image_or_once_for_the_batch(make):
    for coins in ("image", "batch"):
        learner, mixed_up = make(coins=coins, batch=8, flip=0.5, jitter=0.5, blur=0.5), False
        for number in range(6):
            labels = learner.augment(ramp(), number).labels
            flipped = {bool(row[0, 0] > row[0, -1]) for row in labels}
            mixed_up |= len(flipped) == 2
        assert mixed_up is (coins == "image")


def test_augmentation_mirrors_labels_and_confidence_with_the_image_and_colours_the_image_alone(make):
    learner = make(batch=8, flip=0.5, jitter=0.0, blur=0.0)
    found = learner.augment(ramp(), 0)
    assert torch.equal(found.images[:, 0].long(), found.labels) and torch.equal(found.images[:, 0], found.confidence)
    assert not torch.equal(found.images, ramp().images)
    for name in ("jitter", "blur"):
        learner = make(batch=8, **{**STILL, name: 1.0})
        coloured = learner.augment(Mixed(torch.rand(8, 3, 32, 32) * 255, *ramp()[1:]), 0)
        assert torch.equal(coloured.labels, ramp().labels) and torch.equal(coloured.confidence, ramp().confidence)
        still = make(batch=8, **STILL).augment(ramp(), 0)
        assert torch.equal(still.images, ramp().images)


def test_jitter_strength_reaches_the_images(make):
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    change = [
        float((make(**{**STILL, "jitter": 1.0}, jitter_strength=s).augment(Mixed(images, *ramp(4)[1:]), 0).images
               - images).abs().mean())
        for s in (0.0, 0.1, 0.5)
    ]  # fmt: skip
    assert change[0] == pytest.approx(0, abs=0.01) and change[0] < change[1] < change[2]


def test_f8_jitter_works_in_rgb_or_takes_blue_for_red(make):
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    found = {
        channels: make(**{**STILL, "jitter": 1.0}, jitter_channels=channels)
        for channels in ("rgb", "bgr")
    }  # fmt: skip
    rgb, bgr = (learner.augment(Mixed(images, *ramp(4)[1:]), 0).images for learner in found.values())
    assert not torch.allclose(rgb, bgr, atol=1.0)
    swapped = found["rgb"].augment(Mixed(images.flip(1), *ramp(4)[1:]), 0).images.flip(1)
    assert torch.allclose(bgr, swapped, atol=1e-3)


def test_f9_patches_enter_the_running_statistics_or_do_not_or_nothing_does(make):
    fresh = statistics(make().student)
    found = {}
    for batch_norm in ("separate", "mixes", "frozen"):
        learner = make(batch_norm=batch_norm, patches=True, confidence=0.0, **STILL)
        before = parameters(learner.student).clone()
        figures = step(learner)
        assert "hard patch" in figures and not torch.equal(parameters(learner.student), before)
        found[batch_norm] = statistics(learner.student)
    mixes_alone = make(batch_norm="separate", confidence=0.0, **STILL)
    step(mixes_alone)
    assert torch.allclose(found["mixes"], statistics(mixes_alone.student))
    assert not torch.allclose(found["separate"], found["mixes"])
    assert torch.equal(found["frozen"], fresh)
    # The momenta are put back, or the mixes would not be learnt either at the next step.
    again = make(batch_norm="mixes", patches=True, confidence=0.0, **STILL)
    step(again)
    assert all(layer.momentum == 0.1 for layer in again.student.modules() if hasattr(layer, "momentum"))


def test_f14_the_schedule_reaches_the_optimiser(make):
    # Six images, batch 2: an epoch has 3 steps, so the published cosine is at zero in steps 30 to 32, then rises.
    learners = {
        name: make(schedule=name, steps=60, batch=2, learning_rate=1.0)
        for name in ("cosine", "restarts", "constant", "poly")
    }
    rates = {name: [learner.rate(number) for number in range(60)] for name, learner in learners.items()}
    assert rates["restarts"][30] == pytest.approx(0) and rates["restarts"][59] > rates["restarts"][33] > 0
    assert all(a > b for a, b in itertools.pairwise(rates["cosine"])) and rates["cosine"][30] == pytest.approx(0.5)
    assert set(rates["constant"]) == {1.0} and len({tuple(row) for row in rates.values()}) == 4
    learner = make(schedule="restarts", confidence=0.0, steps=60, batch=2, **STILL)
    for number, moves in ((29, True), (30, False), (33, True)):
        before = parameters(learner.student).clone()
        step(learner, number, learner.rate(number))
        assert torch.equal(parameters(learner.student), before) is not moves, number


def test_the_loss_on_patches_counts_with_its_weight(make):
    plain = make(confidence=0.0, patches=True, patch_weight=0.0, batch_norm="frozen", **STILL)
    heavy = make(confidence=0.0, patches=True, patch_weight=10.0, batch_norm="frozen", **STILL)
    none = make(confidence=0.0, batch_norm="frozen", **STILL)
    figures = [step(learner) for learner in (plain, heavy, none)]
    assert figures[0]["hard patch"] == pytest.approx(figures[1]["hard patch"], rel=1e-5)
    assert figures[1]["loss"] == pytest.approx(figures[1]["consistency"] + 10 * figures[1]["hard patch"], rel=1e-5)
    assert torch.allclose(parameters(plain.student), parameters(none.student), atol=1e-7)
    assert not torch.allclose(parameters(heavy.student), parameters(none.student), atol=1e-4)


def test_the_beta_of_the_split_point_depends_on_patches_and_can_be_set():
    assert mixing_beta(AdaptOptions(patches=True)) == 0.25
    assert mixing_beta(AdaptOptions(patches=False)) == 0.5
    assert mixing_beta(AdaptOptions(beta=0.0)) == 0.0


def test_beta_and_strategy_reach_the_mix(make):
    def mixed(**options):
        learner = make(**options, **STILL)
        return learner.mix(ENGINE.images(learner.load(0).images), 0)

    found = [mixed(beta=0.0), mixed(beta=5.0), mixed(mix="cutmix"), mixed(mix="classmix")]
    for first in range(4):
        for second in range(first):
            assert not torch.equal(found[first].images, found[second].images)


def test_mixes_carry_the_labels_of_the_pixels_they_show(make):
    # Nearest-colour logits label every pixel by itself, so the labels of a mix must be those of its own pixels.
    for strategy in ("spatialmix", "cutmix", "classmix"):
        learner = make(net="tests.stages.tiny_nets:colour", mix=strategy, **STILL)
        images = ENGINE.images(learner.load(0).images)
        mixed = learner.mix(images, 0)
        assert not torch.equal(mixed.images, images)
        logits = learner.student.logits(mixed.images)
        assert torch.equal(mixed.labels, logits.argmax(1))
        assert torch.allclose(mixed.confidence, logits.softmax(1).amax(1), atol=1e-5)


@pytest.mark.parametrize("weighting", ["batch", "image", "pixel"])
def test_accumulation_gives_the_same_loss_and_weights_as_none(make, weighting):
    found = {}
    for parts in (1, 2, 4):
        learner = make(
            accumulate=parts, weighting=weighting, batch_norm="frozen", patches=True, confidence=0.3, patch_weight=1.0
        )
        data = learner.load(0)
        # Parts with unequal shares of ignored pixels: the mean is over all pixels, not over the parts' means.
        patch_labels = data.patch_labels.copy()
        patch_labels[0], patch_labels[1, :4] = IGNORE, IGNORE
        figures = step(learner, data=AdaptBatch(data.images, data.patches, patch_labels))
        found[parts] = figures, parameters(learner.student)
    for parts in (2, 4):
        assert found[parts][0] == pytest.approx(found[1][0], rel=1e-4)
        assert torch.allclose(found[parts][1], found[1][1], atol=2e-5)


def test_every_draw_depends_on_seed_stage_and_step_alone(make):
    def drawn(number=0, **more):
        learner = make(**more)
        return mixed_of(learner, number).images

    assert torch.equal(drawn(), drawn())
    for other in (drawn(1), drawn(seed=4), drawn(stage="adapt-2")):
        assert not torch.equal(drawn(), other)


def test_an_epoch_shows_every_image_once(make):
    learner = make(batch=2)
    for epoch in range(3):
        shown = [index for number in range(3) for index in learner.order.batch(3 * epoch + number)]
        assert sorted(shown) == list(range(6))
    orders = {tuple(learner.order.batch(3 * epoch)) for epoch in range(8)}
    assert len(orders) > 1


def test_profiles_set_every_switch_of_adapt():
    published, recommended = defaults(AdaptOptions, "published"), defaults(AdaptOptions, "recommended")
    expected = {
        "confidence_from": ("logit", "softmax"), "weighting": ("batch", "pixel"),
        "teacher_buffers": (False, True), "ema_when": ("before", "after"), "partners": ("repeated", "distinct"),
        "coins": ("batch", "image"), "jitter_channels": ("bgr", "rgb"), "batch_norm": ("separate", "frozen"),
        "select": ("oracle", "label-free"), "guard": (False, True), "stop_rounds": (False, True),
        "patch_sampling": ("uniform", "rarity"), "schedule": ("restarts", "cosine"), "optimiser": ("adam", "adamw"),
        "head_rate": (1.0, 5.0), "warm_up": (0.0, 0.05), "weight_decay": (0.0, 0.01), "clip": (0.0, 1.0),
        "keep_ema": (False, True), "ema_decay": (0.99, None), "scale": (1.0, 1.5), "learning_rate": (1e-5, 5e-5),
        "batch": (4, 6), "steps": (4000, 0), "rounds": (2, 1),
    }  # fmt: skip
    for name, (theirs, ours) in expected.items():
        assert (getattr(published, name), getattr(recommended, name)) == (theirs, ours), name


def test_dropping_unsure_pixels_is_what_min_confidence_means():
    labels, confidence = np.array([[0, 1, 2]], np.uint8), np.array([[0.2, 0.5, 0.9]], np.float32)
    assert drop_unsure(labels, confidence, 0.5, IGNORE).tolist() == [[IGNORE, 1, 2]]
