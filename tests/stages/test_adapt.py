"""One step of the adaptation: every switch reaches the arithmetic, and its test fails where it is ignored."""

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import tiny_world as world
import torch
from tiny_world import IGNORE

from crots.config import Size, defaults
from crots.data.cache import ImageCache
from crots.data.crops import Crops
from crots.data.layouts import open_dataset
from crots.images import write_image, write_labels
from crots.methods.losses import confidence_weight, weighted_cross_entropy
from crots.methods.patches import drop_unsure
from crots.nets.model import create_model
from crots.options import AdaptOptions, RuntimeOptions
from crots.stages.adapt import AdaptBatch, AdaptLearner, Mixed, mixing_beta
from crots.stages.engine import Engine
from crots.stages.material import Material, PseudoLabels
from crots.stages.patch_set import PatchSet
from crots.stages.workers import mix_groups

ENGINE = Engine(RuntimeOptions(device="cpu"))
# Nothing happens to the images but mixing, so that a test sees its own switch alone.
STILL = {"flip": 0.0, "jitter": 0.0, "blur": 0.0}


@pytest.fixture
def make(tmp_path, images, classes):
    """Makes learners that differ in their options only; ``patches`` are the light's 8x8 neighbourhoods."""
    for number in range(4):
        image, labels = world.paint(3 * number)
        write_image(tmp_path / "mined" / "patches" / f"p{number}.png", np.ascontiguousarray(image[:8, :8]))
        write_labels(tmp_path / "mined" / "labels" / f"p{number}.png", labels[:8, :8])

    def learner(
        *, net="tiny_nets:plain", patches=False, labels=None, seed=3, stage="adapt-1", profile="corrected", **options
    ):
        base = dataclasses.replace(
            defaults(AdaptOptions, profile),
            **{"batch": 4, "steps": 10, "learning_rate": 1e-2, "anchor": 0.0, **options},
        )
        student = create_model(net, classes, world.SIZE, trust=True, seed=1)
        labels = PseudoLabels.below(labels, classes) if labels else None
        material = Material(open_dataset(images).samples, ImageCache(None, world.SIZE, 0), labels)
        found = PatchSet.open(tmp_path / "mined", classes) if patches else None
        return AdaptLearner(student, material, found, ENGINE, base, seed=seed, stage=stage)

    return learner


def step(learner, number=0, rate=1e-2, data=None):
    figures = learner.step(number, data or learner.load(number), rate)
    return {name: float(value) for name, value in figures.items()}


def parameters(model):
    return torch.cat([tensor.detach().flatten() for tensor in model.parameters()])


def statistics(model):
    """Running means and variances, (M,)."""
    return torch.cat([tensor.flatten() for name, tensor in model.named_buffers() if "running" in name])


def head_bias(learner, value):
    """Moves all logits of student and teacher alike: probabilities stay as they are."""
    for model in (learner.student, learner.teacher.model):
        with torch.no_grad():
            model.net.head.bias.add_(value)


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


def test_f7_coins_fall_for_each_image_or_once_for_the_batch(make):
    for coins in ("image", "batch"):
        learner, mixed_up = make(coins=coins, batch=8, flip=0.5, jitter=0.5, blur=0.5), False
        for number in range(6):
            labels = learner.augment(ramp(), number).labels
            flipped = {bool(row[0, 0] > row[0, -1]) for row in labels}
            mixed_up |= len(flipped) == 2
        assert mixed_up is (coins == "image")


def test_augmentation_mirrors_labels_and_confidence_with_the_image_and_colours_the_image_alone(make):
    learner = make(batch=8, flip=0.5, jitter=0.0, blur=0.0)
    told = learner.augment(ramp(), 0)
    assert torch.equal(told.images[:, 0].long(), told.labels) and torch.equal(told.images[:, 0], told.confidence)
    assert not torch.equal(told.images, ramp().images)
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
    told = {
        channels: make(**{**STILL, "jitter": 1.0}, jitter_channels=channels)
        for channels in ("rgb", "bgr")
    }  # fmt: skip
    rgb, bgr = (learner.augment(Mixed(images, *ramp(4)[1:]), 0).images for learner in told.values())
    assert not torch.allclose(rgb, bgr, atol=1.0)
    swapped = told["rgb"].augment(Mixed(images.flip(1), *ramp(4)[1:]), 0).images.flip(1)
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
    rates = {
        name: [make(schedule=name, steps=60, batch=2, learning_rate=1.0).rate(number) for number in range(60)]
        for name in ("cosine", "restarts", "constant", "poly")
    }
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
        learner = make(net="tiny_nets:colour", mix=strategy, **STILL)
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
        figures = step(learner, data=AdaptBatch(data.images, None, data.patches, patch_labels))
        found[parts] = figures, parameters(learner.student)
    for parts in (2, 4):
        assert found[parts][0] == pytest.approx(found[1][0], rel=1e-4)
        assert torch.allclose(found[parts][1], found[1][1], atol=2e-5)


def test_patches_whose_pixels_are_all_ignored_teach_nothing(make):
    learner = make(patches=True, confidence=1.0, **STILL)
    data = learner.load(0)
    nothing = np.full_like(data.patch_labels, IGNORE)
    before = parameters(learner.student).clone()
    figures = step(learner, data=AdaptBatch(data.images, None, data.patches, nothing))
    assert figures["hard patch"] == 0 and torch.equal(parameters(learner.student), before)


def test_patches_of_any_size_are_padded_for_networks_that_need_it(make):
    learner = make(net="tiny_nets:plain32", patches=True, confidence=0.0, batch_norm="frozen", **STILL)
    assert learner.student.info.multiple == 32
    data = learner.load(0)
    assert data.patches.shape[1:3] == (8, 8)
    found = step(learner, data=data)["hard patch"]
    # By hand: the loss of the padded patch's own pixels alone.
    fresh = make(net="tiny_nets:plain32").student.eval()
    grown = np.pad(data.patches, ((0, 0), (0, 24), (0, 24), (0, 0)), mode="edge")
    with torch.no_grad():
        logits = fresh.logits(ENGINE.images(grown))[..., :8, :8]
        expected = weighted_cross_entropy(logits, ENGINE.labels(data.patch_labels), None, IGNORE)
    assert found == pytest.approx(float(expected), rel=1e-4)


def drawn_patches(learner, steps=400):
    """How often each patch is drawn, in shares."""
    drawn = np.bincount([index for number in range(steps) for index in learner._patch_order.batch(number)], minlength=4)
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
    whole = make(patches=True, batch=4)._patch_order
    assert all(sorted(whole.batch(number)) == [0, 1, 2, 3] for number in range(5))
    assert len(make(patches=True, batch=6)._patch_order.batch(0)) == 6


def test_draws_by_rarity_come_from_seed_stage_and_step(make):
    def drawn(number=7, **more):
        return [make(patches=True, batch=2, **more)._patch_order.batch(step) for step in range(number, number + 6)]

    assert drawn() == drawn()
    for other in (drawn(8), drawn(seed=4), drawn(stage="adapt-2")):
        assert drawn() != other


def test_crops_reach_adapt(make):
    made = make(crop=Size(16, 8))
    assert made.load(0).images.shape[1:3] == (8, 16)
    assert np.isfinite(step(made)["consistency"])


def test_balance_weighs_the_loss_by_the_sources_labels(make, tmp_path):
    labels = world.write_predictions(tmp_path / "source", wrong=0.0)
    plain, balanced = (make(**STILL, labels=labels, confidence=0.3, balance=power) for power in (0.0, 1.0))
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


def test_rare_crops_reach_adapt(make, tmp_path):
    labels = world.write_predictions(tmp_path / "source", wrong=0.0)

    def share(**options):
        made = make(labels=labels, anchor=0.5, crop=Size(8, 8), mix="classmix", **options)
        crops = np.concatenate([made.load(number).anchor.labels for number in range(9)])
        return (crops == world.LIGHT).any(axis=(1, 2)).mean()

    assert share(rare_crops=1.0) > 0.3 > share()


def test_spatialmix_cuts_a_mix_from_one_place_and_takes_images_of_rare_classes(make, tmp_path):
    labels = world.write_predictions(tmp_path / "source", wrong=0.0)
    size, crop = Size(32, 32), Size(8, 8)
    made = make(labels=labels, anchor=0.5, batch=8, crop=crop, scale=2.0, rare_crops=1.0)
    apart = make(labels=labels, anchor=0.5, batch=8, crop=crop, scale=2.0, mix="cutmix")
    chosen = made.choose(0)
    windows = made.draw_crops(0, chosen, size, None, mix_groups(8)).windows
    assert len(set(windows[:4])) == len(set(windows[4:])) == 1 and windows[0] != windows[4]
    assert len(set(apart.draw_crops(0, apart.choose(0), size, None).windows)) == 8
    data = made.load(0)
    images = made._material.images(chosen.indices)
    assert np.array_equal(data.images, Crops(windows, crop).images(images))
    shown = made._material.labels(chosen.indices)
    assert all((labels == wanted).any() for labels, wanted in zip(shown, chosen.wanted, strict=True))


def test_the_end_of_a_round_is_averaged_with_its_start(make):
    made = make(average=0.25)
    start = copy.deepcopy(made.student.net.state_dict())
    step(made)
    end = copy.deepcopy(made.student.net.state_dict())
    assert made.average()
    moved = 0
    for name, tensor in made.student.net.state_dict().items():
        expected = 0.25 * start[name] + 0.75 * end[name] if tensor.is_floating_point() else end[name]
        assert torch.allclose(tensor, expected, atol=1e-6)
        moved += not torch.equal(start[name], end[name])
    assert moved > 2
    plain = make(average=0.0)
    step(plain)
    assert not plain.average() and all(torch.equal(end[n], t) for n, t in plain.student.net.state_dict().items())


def test_an_anchor_holds_the_teacher_to_the_sources_labels(make, tmp_path, classes):
    labels = world.write_predictions(tmp_path / "source", wrong=0.0)
    made = make(anchor=1.0)
    made._material = dataclasses.replace(made._material, pseudo_labels=PseudoLabels.below(labels, classes))
    data = made.load(0)
    mixed = made.mix(made.engine.images(data.images), 0, data.anchor)
    free = made.mix(made.engine.images(data.images), 0)
    assert torch.allclose(mixed.confidence, torch.tensor(0.9), atol=0.01)
    assert not torch.equal(mixed.labels, free.labels)
    # Every pixel has the label of one of the images at that place.
    truth = torch.from_numpy(made._material.labels(made.order.batch(0))).long()
    assert (mixed.labels.unsqueeze(1) == truth.unsqueeze(0)).any(dim=1).all()
    assert np.isfinite(step(made, data=data)["consistency"])


def test_an_anchor_is_cropped_with_its_image(make, tmp_path, classes):
    labels = world.write_predictions(tmp_path / "source", wrong=0.0)
    made = make(anchor=0.5, crop=Size(16, 8), scale=2.0, mix="cutmix")
    made._material = dataclasses.replace(made._material, pseudo_labels=PseudoLabels.below(labels, classes))
    data = made.load(0)
    assert data.anchor.labels.shape == data.anchor.confidence.shape == (4, 8, 16)
    # Sky is blue and road is grey: labels and colours still belong together.
    blue = data.images[..., 2].astype(int) - data.images[..., 0]
    assert blue[data.anchor.labels == world.SKY].mean() > 60 > blue[data.anchor.labels == world.ROAD].mean()


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
    published, corrected = defaults(AdaptOptions, "published"), defaults(AdaptOptions, "corrected")
    expected = {
        "confidence_from": ("logit", "softmax"), "weighting": ("batch", "image"),
        "teacher_buffers": (False, True), "ema_when": ("before", "after"), "partners": ("repeated", "distinct"),
        "coins": ("batch", "image"), "jitter_channels": ("bgr", "rgb"), "batch_norm": ("separate", "mixes"),
        "select": ("oracle", "label-free"), "guard": (False, True), "stop_rounds": (False, True),
        "patch_sampling": ("uniform", "rarity"), "schedule": ("restarts", "cosine"),
    }  # fmt: skip
    for name, (theirs, ours) in expected.items():
        assert (getattr(published, name), getattr(corrected, name)) == (theirs, ours), name


def test_dropping_unsure_pixels_is_what_min_confidence_means():
    labels, confidence = np.array([[0, 1, 2]], np.uint8), np.array([[0.2, 0.5, 0.9]], np.float32)
    assert drop_unsure(labels, confidence, 0.5, IGNORE).tolist() == [[IGNORE, 1, 2]]
