import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crots.methods.scores import (
    SCORES,
    agreement,
    agreement_beyond_chance,
    certainty,
    class_shares,
    collapsed_classes,
    describe,
    fit,
    histogram_drift,
    information,
    join,
    kept,
    kept_by_class,
    neighbourhood,
    score,
    stability,
    summarise,
    surest,
    worst_class,
)

torch.set_num_threads(1)
CLASSES = 4


def summary_of(labels, sureness=8.0, seed=0):
    """Summary of logits that say ``labels`` (N, H, W)."""
    logits = sureness * torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).float()
    return summarise(logits, 50, torch.Generator().manual_seed(seed))


def varied():
    return torch.randint(0, CLASSES, (3, 12, 10), generator=torch.Generator().manual_seed(5))


def test_certainty_runs_from_zero_to_one():
    assert certainty(summary_of(varied(), 0.0), None).item() == pytest.approx(0, abs=1e-6)
    assert certainty(summary_of(varied(), 100.0), None).item() == pytest.approx(1)


def test_information_falls_in_a_collapse_that_certainty_does_not_see():
    diverse, collapsed = summary_of(varied()), summary_of(torch.zeros_like(varied()))
    assert certainty(collapsed, None).item() == pytest.approx(certainty(diverse, None).item(), abs=1e-5)
    assert information(diverse, None).item() > 0.9
    assert information(collapsed, None).item() < 0.1


def test_neighbourhood_is_high_for_dense_clusters():
    dense = summary_of(varied(), 8.0)
    noise = torch.randn(3, CLASSES, 12, 10, generator=torch.Generator().manual_seed(1)) * 2
    scattered = summarise(noise, 50, torch.Generator().manual_seed(0))
    assert neighbourhood(dense, None) > neighbourhood(scattered, None)
    assert neighbourhood(summary_of(torch.zeros_like(varied())), None).item() == pytest.approx(1, abs=1e-4)


def test_neighbourhood_follows_its_definition():
    pixels = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
    features = pixels / pixels.norm(dim=1, keepdim=True)
    entropies = []
    for i in range(6):
        others = torch.tensor([float(features[i] @ features[j]) for j in range(6) if j != i])
        chances = (others / 0.05).softmax(0)
        entropies.append(-(chances * chances.log()).sum().item())
    summary = summary_of(varied())._replace(pixels=pixels)
    expected = sum(entropies) / 6 / math.log(5)
    assert neighbourhood(summary, None).item() == pytest.approx(expected, abs=1e-5)


def test_agreement_counts_kept_labels_at_the_same_places():
    labels = varied()
    changed = labels.clone()
    changed[0] = (changed[0] + 1) % CLASSES
    assert agreement(summary_of(labels), summary_of(labels, 3.0)).item() == 1
    assert agreement(summary_of(changed), summary_of(labels)).item() == pytest.approx(2 / 3)


def test_stability_falls_when_class_shares_move():
    labels = varied()
    assert stability(summary_of(labels), summary_of(labels.flip(-1))).item() == pytest.approx(1, abs=1e-6)
    assert stability(summary_of(torch.zeros_like(labels)), summary_of(torch.ones_like(labels))).item() == 0


def test_a_summary_is_the_same_in_parts():
    logits = torch.randn(4, CLASSES, 6, 5, generator=torch.Generator().manual_seed(0))
    whole = summarise(logits, 7, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    parts = join([summarise(part, 7, generator) for part in logits.split(2)])
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(whole.probability, logits.softmax(1).mean((2, 3)))
    torch.testing.assert_close(whole.shares[1], class_shares(logits[1].argmax(0), CLASSES))
    assert whole.pixels.shape == (28, CLASSES)


def test_sampled_pixels_are_pixels_of_their_image():
    logits = torch.randn(2, CLASSES, 3, 3, generator=torch.Generator().manual_seed(0))
    pixels = summarise(logits, 20, torch.Generator().manual_seed(1)).pixels
    for image, sampled in zip(logits.softmax(1), pixels.split(20), strict=True):
        known = image.flatten(1).T
        assert torch.cdist(sampled, known).amin(dim=1).max() < 1e-5
        assert len(sampled.unique(dim=0)) > 4


def test_score_gives_every_score_as_a_number():
    scores = score(summary_of(varied()), summary_of(varied(), 2.0))
    assert scores.keys() == {"certainty", "information", "neighbourhood", "agreement", "stability"}
    assert all(isinstance(value, float) and -1e-5 <= value <= 1 + 1e-5 for value in scores.values())


def test_class_shares_leave_out_ignored_labels():
    labels = torch.tensor([[0, 0, 1, 255], [2, 255, 255, 255]])
    assert class_shares(labels, 4).tolist() == [0.5, 0.25, 0.25, 0.0]
    assert class_shares(torch.full((2, 2), 255), 4).tolist() == [0.0] * 4


def test_drift_is_zero_for_equal_and_one_for_disjoint_histograms():
    first, second = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    assert histogram_drift(first, first).item() == pytest.approx(0, abs=1e-6)
    assert histogram_drift(first, second).item() == pytest.approx(1)
    assert 0 < histogram_drift(first, torch.tensor([0.6, 0.4, 0.0])).item() < 0.1


def test_the_alarm_names_classes_that_vanish():
    reference = torch.tensor([0.9, 0.05, 0.04, 0.01, 0.00001])
    shares = torch.tensor([0.96, 0.001, 0.039, 0.0, 0.0])
    assert collapsed_classes(reference, shares) == [1, 3]
    assert collapsed_classes(reference, reference) == []
    assert collapsed_classes(reference, shares, factor=0.01) == [3]


def test_agreement_beyond_chance_is_worth_nothing_in_a_collapse():
    labels = varied()
    assert agreement_beyond_chance(labels, labels, CLASSES).tolist() == pytest.approx([1.0] * 3)
    same = torch.zeros_like(labels)
    assert agreement_beyond_chance(same, same, CLASSES).tolist() == [0.0] * 3
    shuffled = labels.flatten(1)[:, torch.randperm(120, generator=torch.Generator().manual_seed(0))].view_as(labels)
    assert agreement_beyond_chance(labels, shuffled, CLASSES).abs().max() < 0.25
    # Half of the labels agree by themselves, the other half by chance of 1 in 2: kappa of 0.75 agreement is 0.5.
    first, second = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 0, 1, 0]]])
    assert agreement_beyond_chance(first, second, 2).item() == pytest.approx(0.5)


def test_kept_labels_leave_out_ignored_pixels():
    ours, theirs = torch.tensor([[[0, 1, 2, 3]], [[0, 0, 0, 0]]]), torch.tensor([[[0, 1, 9, 9]], [[9, 9, 9, 9]]])
    assert kept(ours, theirs, 9).tolist() == [1.0, 0.0]
    assert kept(ours, theirs).tolist() == [0.5, 0.0]


def test_fit_tells_labels_of_the_image_from_labels_of_others():
    summary = summary_of(varied())

    def told(own, others):
        return fit(summary._replace(source=torch.tensor(own), others=torch.tensor(others)), None)

    assert told([0.9, 0.9], [0.5, 0.3]).item() == pytest.approx(0.5 / 0.6)
    assert told([0.7, 0.7], [0.7, 0.7]).item() == 0
    assert told([0.2], [0.7]).item() < 0
    assert fit(summary, None) is None


def test_scores_of_what_was_compared_are_given_and_each_is_explained():
    scores = score(summary_of(varied())._replace(flip=torch.tensor([0.5, 0.7])), summary_of(varied()))
    assert scores["flip"] == pytest.approx(0.6) and "scale" not in scores
    words = describe()
    assert words.keys() == SCORES.keys()
    assert all(len(text) > 100 and "\n" not in text for text in words.values())


def test_the_mean_over_classes_sees_a_rare_class_that_is_lost():
    kept, total = torch.tensor([990.0, 0.0, 10.0]), torch.tensor([1000.0, 60.0, 20.0])
    start = summary_of(varied())._replace(surest=torch.stack([total, total]).unsqueeze(0))
    now = start._replace(surest=torch.stack([kept, total]).unsqueeze(0))
    # The third class has too few pixels to count.
    assert surest(now, start).item() == pytest.approx((0.99 + 0.0) / 2)
    # Only the first has enough to tell something by itself.
    assert worst_class(now, start).item() == pytest.approx(0.99)
    assert worst_class(start, start).item() == 1.0
    assert worst_class(now._replace(sure=torch.tensor([[False, True, True]])), start) is None, "no class is left"
    few = start._replace(surest=start.surest / 1000)
    assert surest(few, few) is None and worst_class(few, few) is None
    assert surest(summary_of(varied()), None) is None


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 1000))
def test_pixels_are_counted_by_class(images, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (images, 4, 5), generator=generator)
    reference = torch.randint(classes + 1, (images, 4, 5), generator=generator)
    reference[reference == classes] = 255
    found = kept_by_class(labels, reference, classes)
    for image in range(images):
        for number in range(classes):
            own = reference[image] == number
            assert found[image, 1, number] == own.sum()
            assert found[image, 0, number] == (own & (labels[image] == number)).sum()
