import pytest
import torch
import torch.nn.functional as F

from crots.methods.losses import confidence_weight, pad_to_multiple, weighted_cross_entropy

torch.set_num_threads(1)
IGNORE = 255


def example():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 6, 5, generator=generator)
    labels = torch.randint(0, 4, (3, 6, 5), generator=generator)
    confidence = torch.rand(3, 6, 5, generator=generator) ** torch.tensor([0.2, 1, 5]).view(3, 1, 1)
    return logits, labels, confidence


def test_weights_are_shares_of_confident_pixels_f3():
    _, _, confidence = example()
    sure = confidence >= 0.6
    assert confidence_weight(confidence, 0.6, "batch").item() == pytest.approx(sure.float().mean().item())
    torch.testing.assert_close(confidence_weight(confidence, 0.6, "image"), sure.float().mean((1, 2)))
    assert torch.equal(confidence_weight(confidence, 0.6, "pixel"), sure.float())


def test_a_pixel_at_the_threshold_counts():
    assert confidence_weight(torch.full((1, 1, 1), 0.5), 0.5, "batch").item() == 1


def test_the_three_weightings_weigh_differently_f3():
    logits, labels, confidence = example()
    pixel_losses = F.cross_entropy(logits, labels, reduction="none")
    sure = (confidence >= 0.6).float()
    expected = {
        "batch": sure.mean() * pixel_losses.mean(),
        "image": torch.stack([sure[i].mean() * pixel_losses[i].mean() for i in range(3)]).mean(),
        "pixel": (sure * pixel_losses).sum() / pixel_losses.numel(),
    }
    losses = {
        weighting: weighted_cross_entropy(logits, labels, confidence_weight(confidence, 0.6, weighting), IGNORE)
        for weighting in expected
    }
    for weighting, loss in losses.items():
        torch.testing.assert_close(loss, expected[weighting])
    assert len({round(loss.item(), 4) for loss in losses.values()}) == 3


def test_one_scalar_for_all_images_is_the_published_weight_f3():
    logits, labels, _ = example()
    loss = weighted_cross_entropy(logits, labels, torch.tensor(0.25), IGNORE)
    torch.testing.assert_close(loss, 0.25 * F.cross_entropy(logits, labels))


@pytest.mark.parametrize("weights", [None, torch.tensor(1.0), torch.ones(3), torch.ones(3, 6, 5)])
def test_ignored_pixels_count_nowhere(weights):
    logits, labels, _ = example()
    labels[:, :2] = IGNORE
    loss = weighted_cross_entropy(logits, labels, weights, IGNORE)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels, ignore_index=IGNORE))


@pytest.mark.parametrize("weights", [None, torch.tensor(1.0), torch.ones(3), torch.ones(3, 6, 5)])
def test_labels_that_are_all_ignored_give_zero_not_nan(weights):
    logits, labels, _ = example()
    logits.requires_grad_()
    loss = weighted_cross_entropy(logits, torch.full_like(labels, IGNORE), weights, IGNORE)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_an_ignored_image_makes_no_nan_of_the_others():
    logits, labels, _ = example()
    labels[1] = IGNORE
    loss = weighted_cross_entropy(logits, labels, torch.ones(3), IGNORE)
    means = [F.cross_entropy(logits[i : i + 1], labels[i : i + 1]) for i in (0, 2)]
    torch.testing.assert_close(loss, (means[0] + means[1]) / 3)


def test_narrow_types_are_accepted():
    logits, labels, _ = example()
    loss = weighted_cross_entropy(logits.bfloat16(), labels.to(torch.uint8), None, IGNORE)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_padding_repeats_the_border_and_ignores_it(dtype):
    images = torch.arange(2 * 3 * 5 * 6).view(2, 3, 5, 6).to(dtype)
    labels = torch.ones(2, 5, 6, dtype=torch.int64)
    padded, padded_labels = pad_to_multiple(images, labels, 4, IGNORE)
    assert padded.shape == (2, 3, 8, 8)
    assert padded.dtype == dtype
    assert torch.equal(padded[..., :5, :6], images)
    assert torch.equal(padded[..., 7, 7], images[..., 4, 5])
    assert torch.equal(padded[..., 2, 7], images[..., 2, 5])
    assert (padded_labels[:, :5, :6] == 1).all()
    assert (padded_labels == IGNORE).sum() == 2 * (64 - 30)


def test_fitting_images_are_passed_on():
    images = torch.zeros(1, 3, 8, 8)
    padded, labels = pad_to_multiple(images, None, 4, IGNORE)
    assert padded is images
    assert labels is None


def test_factors_by_class_multiply_the_loss_of_each_pixel_and_spare_ignored_ones():
    logits, labels = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    labels[0, 0] = IGNORE
    factors = torch.tensor([0.5, 1.0, 4.0])
    losses = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
    weighed = losses * factors[labels.clamp(max=2)]
    labelled = labels != IGNORE
    found = weighted_cross_entropy(logits, labels, None, IGNORE, factors)
    assert float(found) == pytest.approx(float(weighed.sum() / labelled.sum()))
    shares = torch.tensor([0.2, 0.9])
    means = weighed.sum(dim=(1, 2)) / labelled.sum(dim=(1, 2))
    assert float(weighted_cross_entropy(logits, labels, shares, IGNORE, factors)) == pytest.approx(
        float((shares * means).mean())
    )
