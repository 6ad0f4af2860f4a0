import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.methods.selection import (
    CERTAIN,
    LEAST,
    LEVELS,
    SURE_SOURCE,
    UNSURE_WEIGHT,
    class_thresholds,
    confidence_histogram,
    fuse_by_rank,
    keep_thresholds,
    learnt_thresholds,
    left_out_weight,
    rank_table,
    ranks,
)

IGNORE = 255


def random_maps(seed, pixels=500):
    """Labels of one common and two rare classes and ignore, with confidences as they are stored."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, IGNORE], pixels, p=[0.84, 0.02, 0.02, 0.12]).astype(np.uint8)
    stored = rng.integers(0, LEVELS, pixels) / (LEVELS - 1)
    return labels, stored.astype(np.float32)


def test_a_histogram_counts_each_class_and_leaves_out_ignore():
    labels = np.array([[0, 1], [1, IGNORE]], np.uint8)
    confidence = np.array([[1.0, 0.5], [0.0, 1.0]], np.float32)
    pixels = confidence_histogram(labels, confidence, 2)
    assert pixels.shape == (2, LEVELS)
    assert pixels.sum() == 3
    assert pixels[0, LEVELS - 1] == 1
    assert pixels[1, 0] == 1


@given(st.integers(0, 10**6), st.sampled_from([0.25, 0.5, 0.66, 0.9]))
def test_the_most_confident_share_of_every_class_is_kept_however_rare(seed, share):
    labels, confidence = random_maps(seed)
    thresholds = keep_thresholds(confidence_histogram(labels, confidence, 3), share)
    for number in range(3):
        own = confidence[labels == number]
        if len(own):
            kept = (own >= thresholds[number]).sum()
            equal = (np.abs(own - thresholds[number]) < 1 / (LEVELS - 1)).sum()
            assert share * len(own) <= kept <= np.ceil(share * len(own)) + equal


def test_everything_is_kept_with_a_share_of_one_and_a_missing_class_has_no_threshold():
    labels, confidence = np.array([0, 0], np.uint8), np.array([0.0, 1.0], np.float32)
    assert keep_thresholds(confidence_histogram(labels, confidence, 2), 1.0).tolist() == [0.0, 0.0]


@given(st.integers(0, 10**6), st.sampled_from([0.25, 0.66, 1.0]), st.sampled_from([0.3, 0.9]))
def test_in_a_round_the_certain_labels_and_the_best_of_each_class_are_learnt(seed, share, certain):
    labels, confidence = random_maps(seed)
    pixels = confidence_histogram(labels, confidence, 4)
    own, found = keep_thresholds(pixels, share), class_thresholds(pixels, share, certain)
    for number in range(4):
        expected = min(max(own[number], LEAST), certain) if pixels[number].any() else certain
        assert found[number] == np.float32(expected)
    assert class_thresholds(pixels, 0.0, certain).tolist() == [np.float32(certain)] * 4


@given(st.integers(0, 10**6), st.sampled_from([0.25, 0.66, 0.9]))
def test_certain_labels_are_learnt_whatever_their_rank(seed, share):
    labels, confidence = random_maps(seed)
    pixels = confidence_histogram(labels, confidence, 3)
    by_rank, learnt = keep_thresholds(pixels, share), learnt_thresholds(pixels, share)
    overall = keep_thresholds(pixels.sum(axis=0, keepdims=True), share)[0]
    assert learnt.tolist() == [min(own, max(overall, np.float32(CERTAIN))) for own in by_rank]
    known = labels < 3
    assert (confidence[known] >= learnt_thresholds(pixels, 1.0)[labels[known]]).all()


def test_no_third_of_a_class_that_is_confident_everywhere_is_left_out():
    # Road at 0.92 to 1, a pole at 0.3 to 0.6: the pole's threshold is its own, the road has none of its own.
    labels = np.repeat(np.array([0, 1], np.uint8), 1000)
    confidence = np.concatenate([np.linspace(0.92, 1, 1000), np.linspace(0.3, 0.6, 1000)]).astype(np.float32)
    pixels = confidence_histogram(labels, confidence, 2)
    road, pole = learnt_thresholds(pixels, 0.66)
    assert road == np.float32(CERTAIN) and pole == keep_thresholds(pixels, 0.66)[1]


def test_a_source_that_is_confident_everywhere_still_loses_its_least_confident_labels():
    labels = np.zeros(1000, np.uint8)
    confidence = np.linspace(0.95, 1, 1000).astype(np.float32)
    threshold = learnt_thresholds(confidence_histogram(labels, confidence, 1), 0.5)[0]
    assert 0.4 < (confidence >= threshold).mean() < 0.6


def of_confidence(*means):
    """A histogram of classes whose pixels all have one confidence, the first class a hundred times as frequent."""
    labels = np.repeat(np.arange(len(means)), [1000, *[10] * (len(means) - 1)]).astype(np.uint8)
    return confidence_histogram(labels, np.array(means, np.float32)[labels], len(means))


def test_left_out_labels_are_learnt_where_the_source_is_confident_in_every_class():
    assert left_out_weight(of_confidence(0.97, 0.83)) == UNSURE_WEIGHT
    # However sure it is of most pixels, a class that it is unsure of counts as much as any other.
    assert left_out_weight(of_confidence(0.99, 0.6)) == 0.0
    absent = np.vstack([of_confidence(0.97, 0.83), np.zeros((3, LEVELS), np.int64)])
    assert left_out_weight(absent) == UNSURE_WEIGHT
    assert left_out_weight(np.zeros((3, LEVELS), np.int64)) == 0.0
    assert 0.5 < SURE_SOURCE < 1


def test_a_rank_is_the_share_of_its_class_that_is_less_sure():
    labels = np.array([0] * 4 + [1] * 2 + [IGNORE], np.uint8)
    confidence = np.array([0.2, 0.4, 0.6, 0.8, 0.3, 0.9, 1.0], np.float32)
    table = rank_table(confidence_histogram(labels, confidence, 2))
    assert ranks(labels, confidence, table).tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875, 0.25, 0.75, 0.0])


def test_ranks_do_not_depend_on_how_sure_a_model_is_in_all():
    labels, confidence = random_maps(3)
    calm = ranks(labels, confidence, rank_table(confidence_histogram(labels, confidence, 3)))
    bold = 0.5 + confidence / 2
    # Twice as many confidences share a step, so ranks may move by the pixels of one.
    other = ranks(labels, bold, rank_table(confidence_histogram(labels, bold, 3)))
    assert np.abs(calm - other).max() < 0.2


def test_equal_labels_stay_unless_both_are_unsure_and_of_two_the_clearly_more_confident_wins():
    source = np.array([0, 0, 0, 0, 0, IGNORE], np.uint8)
    student = np.array([0, 0, 1, 1, 1, 1], np.uint8)
    fused = fuse_by_rank(
        source, np.array([0.1, 0.1, 0.9, 0.1, 0.7, 0.0], np.float32),
        student, np.array([0.1, 0.3, 0.1, 0.9, 0.8, 0.9], np.float32),
        IGNORE,
    )  # fmt: skip
    assert fused.tolist() == [IGNORE, 0, 0, 1, IGNORE, 1]
    assert fused.dtype == np.uint8
