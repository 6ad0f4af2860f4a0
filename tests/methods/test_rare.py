import json

import numpy as np
import pytest

from crots.errors import InputError
from crots.methods.rare import ClassStatistics, asked_rare, rare_classes, rule_count
from crots.taxonomy import ClassSet


def statistics(pixels, means):
    stats = ClassStatistics(len(pixels))
    stats.pixels[:] = pixels
    stats.confidence[:] = np.array(pixels) * np.array(means)
    return stats


def random_pair(seed, classes=6):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (9, 7)).astype(np.uint8)
    labels[0] = 255
    return labels, rng.random((9, 7)).astype(np.float32)


def test_statistics_count_pixels_confidence_and_images():
    stats = ClassStatistics(6)
    pairs = [random_pair(seed) for seed in range(3)]
    for labels, confidence in pairs:
        stats.add(labels, confidence)
    for k in range(6):
        assert stats.pixels[k] == sum((labels == k).sum() for labels, _ in pairs)
        assert stats.confidence[k] == pytest.approx(sum(float(conf[labels == k].sum()) for labels, conf in pairs))
        assert stats.images[k] == sum((labels == k).any() for labels, _ in pairs)
    assert stats.pixels.sum() == 3 * 8 * 7


def test_statistics_merge_and_survive_json():
    first, second, both = ClassStatistics(6), ClassStatistics(6), ClassStatistics(6)
    for stats, seed in ((first, 0), (second, 1)):
        stats.add(*random_pair(seed))
        both.add(*random_pair(seed))
    first.merge(second)
    assert first.to_dict() == both.to_dict()
    assert ClassStatistics.from_dict(json.loads(json.dumps(both.to_dict()))).to_dict() == both.to_dict()


@pytest.mark.parametrize(("classes", "count"), [(19, 5), (16, 4), (11, 3), (7, 2), (2, 1), (1, 1), (150, 39)])
def test_each_rule_gives_five_classes_of_nineteen(classes, count):
    assert rule_count(classes) == count


def test_both_rules_are_joined_f11():
    stats = statistics([1000, 10, 800, 20, 900, 700], [0.9, 0.8, 0.3, 0.4, 0.95, 0.99])
    found = rare_classes(stats, 2)
    assert [(rare.id, rare.rules) for rare in found] == [
        (1, ("frequency",)),
        (2, ("confidence",)),
        (3, ("confidence", "frequency")),
    ]
    assert found[2].reason == "among the least confident (mean 0.40) and among the least frequent (0.58% of pixels)"
    assert found[1].share == pytest.approx(800 / 3430)


def test_classes_never_predicted_cannot_be_mined():
    stats = statistics([100, 0, 50, 60], [0.9, 0.0, 0.8, 0.5])
    assert [rare.id for rare in rare_classes(stats, 1)] == [2, 3]
    assert rare_classes(ClassStatistics(4)) == []


def test_without_confidence_only_frequency_counts():
    stats = ClassStatistics(5)
    labels = np.repeat(np.arange(5), [50, 40, 5, 30, 20]).reshape(5, 29)
    stats.add(labels, np.ones(labels.shape, np.float32))
    assert [(rare.id, rare.rules) for rare in rare_classes(stats, 1)] == [(2, ("frequency",))]


def test_the_published_count_of_19_classes_is_found_by_default():
    stats = statistics([1000 - k for k in range(19)], [0.5 + 0.01 * k for k in range(19)])
    assert [rare.id for rare in rare_classes(stats)] == [0, 1, 2, 3, 4, 14, 15, 16, 17, 18]


def test_a_class_that_most_pixels_show_is_not_among_the_least_frequent():
    """Of few predicted classes all were, and every cell of every image became a patch."""
    assert rare_classes(statistics([400, 0], [0.9, 0])) == []
    found = rare_classes(statistics([900, 60, 40], [0.9, 0.9, 0.9]), 3)
    assert [(rare.id, rare.reason) for rare in found] == [
        (1, "among the least frequent (6% of pixels)"), (2, "among the least frequent (4% of pixels)"),
    ]  # fmt: skip
    # It may be the least confident all the same.
    found = rare_classes(statistics([900, 60, 40], [0.3, 0.9, 0.8]), 1)
    assert [(rare.id, rare.rules) for rare in found] == [(0, ("confidence",)), (2, ("frequency",))]
    # Of two that share all pixels evenly, either may be.
    assert [rare.id for rare in rare_classes(statistics([200, 200], [0.9, 0.9]), 1)] == [0]


@pytest.mark.parametrize(
    ("asked", "message"), [("lamp", "unknown class 'lamp'"), ("²", "unknown class '²'"), ("2", "found train id 2")]
)
def test_what_is_no_rare_class_is_refused_under_the_name_of_the_option(asked, message):
    with pytest.raises(InputError, match=f"`mine.rare`: .*{message}") as caught:
        asked_rare(f"a, {asked}", ClassSet.from_dict({"name": "two", "names": ["a", "b"]}), ())
    assert caught.value.field == "mine.rare"
