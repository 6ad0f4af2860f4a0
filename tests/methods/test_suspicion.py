import subprocess
import sys

import numpy as np
import pytest

from crots.methods.suspicion import Opinion, Region, doubt, suspicious_regions, threshold_of

IGNORE = 255
NAMES = ("road", "sky", "car")


def labels_with_a_car():
    labels = np.zeros((40, 88), np.uint8)
    labels[:20] = 1
    labels[25:35, 10:40] = 2
    return labels


def test_doubt_is_one_minus_confidence_and_higher_where_the_student_disagrees():
    labels = np.array([[0, 0, 0, IGNORE]], np.uint8)
    confidence = np.array([[0.9, 0.9, 0.1, 0.0]], np.float32)
    student = Opinion(np.array([[0, 1, 1, 1]]), np.array([[1.0, 0.8, 1.0, 1.0]], np.float32))
    assert doubt(labels, confidence, ignore=IGNORE) == pytest.approx(np.array([[0.1, 0.1, 0.9, 0.0]]), abs=1e-6)
    found = doubt(labels, confidence, ignore=IGNORE, student=student)
    assert found == pytest.approx(np.array([[0.1, 0.3, 1.0, 0.0]]), abs=1e-6)
    assert found.dtype == np.float32


def test_regions_are_connected_areas_of_one_class_worst_first():
    labels = labels_with_a_car()
    confidence = np.full(labels.shape, 0.95, np.float32)
    confidence[25:35, 10:40] = 0.4
    confidence[2:10, 60:80] = 0.5
    confidence[2:10, 2:8] = 0.5
    found = suspicious_regions(labels, doubt(labels, confidence, ignore=IGNORE), 0.4, ignore=IGNORE)
    assert [region.label for region in found] == [2, 1, 1]
    left, top, width, _ = found[0].box
    assert 8 <= left <= 12
    assert 23 <= top <= 27
    assert 27 <= width <= 33
    assert found[0].doubt == pytest.approx(0.6, abs=0.03)
    assert found[0].score == pytest.approx(found[0].area / labels.size * found[0].doubt)
    assert sorted((region.score for region in found), reverse=True) == [region.score for region in found]
    assert "car: doubt 0.6" in found[0].reason(NAMES)
    assert "low confidence" in found[0].reason(NAMES)


def test_the_students_class_is_the_reason():
    labels = labels_with_a_car()
    result = labels.copy()
    result[25:35, 10:30] = 0
    opinion = Opinion(result, np.ones(labels.shape, np.float32))
    found = doubt(labels, np.full(labels.shape, 0.9, np.float32), ignore=IGNORE, student=opinion)
    regions = suspicious_regions(labels, found, 0.25, ignore=IGNORE, student=result)
    assert len(regions) == 1
    assert (regions[0].label, regions[0].other) == (2, 0)
    assert regions[0].disagreement == pytest.approx(1.0, abs=0.1)
    assert "the student predicts road on" in regions[0].reason(NAMES)
    assert "low confidence" in Region((0, 0, 1, 1), 9, 2, 0.4, 0.1, 0, 0.02).reason(NAMES)


def test_specks_and_ignored_pixels_make_no_regions():
    labels = np.zeros((100, 440), np.uint8)
    labels[:50] = IGNORE
    confidence = np.ones(labels.shape, np.float32)
    confidence[:50] = 0
    confidence[80, 200] = 0
    found = doubt(labels, confidence, ignore=IGNORE)
    assert found[80, 200] == 1
    assert suspicious_regions(labels, found, 0.2, ignore=IGNORE) == []


def test_the_threshold_leaves_the_asked_share_above():
    histogram = np.full(100, 10)
    assert threshold_of(histogram, 0.2) == pytest.approx(0.8)
    assert threshold_of(histogram, 1.0) == pytest.approx(0.01)
    # All the same, and no doubt at all.
    alike = np.zeros(100, int)
    alike[0] = 500
    assert threshold_of(alike, 0.2) == pytest.approx(0.01)
    alike = np.zeros(100, int)
    alike[60] = 500
    assert threshold_of(alike, 0.2) > 0.6


def test_it_needs_no_torch():
    code = "import sys, crots.methods.suspicion, crots.stages.suspects; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=600).returncode == 0
