import numpy as np
import pytest
import torch
import torchvision.transforms.functional as tvf
from hypothesis import given, settings
from hypothesis import strategies as st

from crots.methods.augment import COLOUR_OPERATIONS, apply_blur, apply_flip, apply_jitter, apply_plan, plan_augment

torch.set_num_threads(1)
TORCHVISION = {
    "brightness": tvf.adjust_brightness,
    "contrast": tvf.adjust_contrast,
    "saturation": tvf.adjust_saturation,
    "hue": tvf.adjust_hue,
}


def some_images(count=5, height=40, width=30, seed=0):
    """Noise with grey, black, white and saturated pixels, where hue and its ties are delicate."""
    images = torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(seed))
    images[:, :, 0] = images[:, :1, 0]
    images[:, :, 1], images[:, :, 2] = 0, 255
    images[:, 0, 3], images[:, 1, 4], images[:, 2, 5] = 255, 0, 255
    images[:, 1, 6] = images[:, 0, 6]
    images[:, 2, 7] = images[:, 1, 7]
    return images.to(torch.uint8)


def plan_for(count=5, seed=0, **kwargs):
    return plan_augment(count, np.random.default_rng(seed), **kwargs)


@pytest.mark.parametrize("name", sorted(COLOUR_OPERATIONS))
def test_each_operation_equals_torchvisions(name):
    images = some_images() / 255
    values = [0.0, -0.25, 0.1, 0.5, 0.25] if name == "hue" else [1.0, 0.75, 1.25, 0.0, 1.1]
    changed = COLOUR_OPERATIONS[name](images, torch.tensor(values).view(-1, 1, 1, 1))
    for image, value, mine in zip(images, values, changed, strict=True):
        torch.testing.assert_close(mine, TORCHVISION[name](image, value), rtol=0, atol=2e-6)


def torchvision_jitter(plan, images):
    changed = []
    for i, image in enumerate(images / 255):
        for name in plan.order if plan.jitter[i] else ():
            image = TORCHVISION[name](image, float(plan.factors[name][i]))
        changed.append(image * 255)
    return torch.stack(changed)


@pytest.mark.parametrize("seed", range(4))
def test_jitter_equals_torchvisions_sequence_image_by_image(seed):
    images = some_images()
    plan = plan_for(seed=seed, jitter=0.7)
    torch.testing.assert_close(apply_jitter(plan, images), torchvision_jitter(plan, images), rtol=0, atol=2e-3)


def test_jitter_in_bgr_takes_blue_for_red_f8():
    images = some_images()
    plan = plan_for(jitter=1.0)
    bgr = apply_jitter(plan, images, channels="bgr")
    torch.testing.assert_close(bgr, torchvision_jitter(plan, images.flip(1)).flip(1), rtol=0, atol=2e-3)
    assert (bgr - apply_jitter(plan, images, channels="rgb")).abs().mean() > 1


def test_factors_are_drawn_as_torchvision_draws_them():
    plan = plan_for(4000, jitter=1.0, jitter_strength=0.25)
    for name, (low, high) in {"brightness": (0.75, 1.25), "contrast": (0.75, 1.25), "hue": (-0.25, 0.25)}.items():
        factors = plan.factors[name]
        assert low <= factors.min() < low + 0.01
        assert high - 0.01 < factors.max() <= high
        assert factors.mean() == pytest.approx((low + high) / 2, abs=0.02)
    orders = {plan_for(1, seed=seed).order for seed in range(300)}
    assert len(orders) == 24
    assert all(sorted(order) == sorted(COLOUR_OPERATIONS) for order in orders)


@pytest.mark.parametrize("what", ["flip", "jitter", "blur"])
def test_augmentation_is_drawn_for_each_image_f7(what):
    coins = {kind: [getattr(plan_for(6, seed, coins=kind, **{what: 0.5}), what) for seed in range(40)]
             for kind in ("image", "batch")}  # fmt: skip
    assert all(coin.all() or not coin.any() for coin in coins["batch"])
    assert {bool(coin[0]) for coin in coins["batch"]} == {True, False}
    assert sum(coin.any() and not coin.all() for coin in coins["image"]) > 20


def test_one_coin_for_the_batch_shares_the_blur_and_no_colours_f7():
    shared, own = (plan_for(6, coins=kind, jitter=1.0, blur=1.0) for kind in ("batch", "image"))
    assert len(set(shared.sigma.tolist())) == 1 and len(set(own.sigma.tolist())) == 6
    for plan in (shared, own):
        assert all(len(set(factors.tolist())) == 6 for factors in plan.factors.values())


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 0.0), (0.5, 0.5), (0.8, 0.8), (1.0, 1.0)])
def test_chances_are_kept(chance, expected):
    plan = plan_for(4000, flip=chance)
    assert plan.flip.mean() == pytest.approx(expected, abs=0.03)
    assert not plan.jitter.any()


def test_equal_seeds_give_equal_plans_whatever_is_switched_off():
    first, second = plan_for(jitter=1.0, blur=0.5), plan_for(flip=0.5, jitter=0.2, blur=0.5)
    assert first.order == second.order
    assert np.array_equal(first.blur, second.blur)
    assert np.array_equal(first.sigma, second.sigma)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_images_labels_and_confidences_are_mirrored_together(chance):
    images = some_images(8)
    labels = images[:, 0].long()
    confidence = images[:, 0] / 255
    plan = plan_for(8, flip=chance)
    for batch in (images, labels, confidence):
        for before, after, mirrored in zip(batch, apply_flip(plan, batch), plan.flip, strict=True):
            assert torch.equal(after, before.flip(-1) if mirrored else before)
            assert after.dtype == before.dtype


@pytest.mark.parametrize(("height", "width"), [(40, 30), (95, 160), (200, 30)])
def test_blur_equals_torchvisions_with_the_whole_kernel(height, width):
    images = some_images(4, height, width).float()
    plan = plan_for(4, blur=0.6)
    blurred = apply_blur(plan, images)
    assert plan.blur.any()
    for before, after, chosen, sigma in zip(images, blurred, plan.blur, plan.sigma, strict=True):
        kernel = [width // 10 | 1, height // 10 | 1]
        expected = tvf.gaussian_blur(before, kernel, float(sigma)) if chosen else before
        torch.testing.assert_close(after, expected, rtol=0, atol=2e-3)


def test_sigma_has_its_range():
    sigma = plan_for(4000, blur=1.0).sigma
    assert 0.15 <= sigma.min() < 0.17
    assert 1.13 < sigma.max() <= 1.15


@settings(max_examples=40)
@given(
    count=st.integers(1, 4), height=st.integers(1, 25), width=st.integers(1, 25), seed=st.integers(0, 999),
    chance=st.sampled_from([0.0, 0.5, 1.0]), strength=st.sampled_from([0.0, 0.25, 0.5]),
    channels=st.sampled_from(["rgb", "bgr"]),
)  # fmt: skip
def test_any_image_stays_an_image_and_the_input_unchanged(count, height, width, seed, chance, strength, channels):
    images = torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(seed))
    images = images.to(torch.uint8)
    copy = images.clone()
    plan = plan_for(count, seed, flip=chance, jitter=chance, jitter_strength=strength, blur=chance)
    changed = apply_plan(plan, images, channels=channels)
    assert changed.dtype == torch.float32
    assert changed.shape == images.shape
    assert -1e-3 <= changed.min() <= changed.max() <= 255.001
    assert torch.equal(images, copy)
    for before, after, touched in zip(images, changed, plan.flip | plan.jitter | plan.blur, strict=True):
        assert touched or torch.equal(before.float(), after)


def test_a_plan_for_another_batch_is_refused():
    with pytest.raises(ValueError, match="3 images"):
        apply_flip(plan_for(3), some_images(4))
