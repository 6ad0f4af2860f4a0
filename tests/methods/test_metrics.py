import math
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from crots.errors import InputError
from crots.methods.metrics import Confusion, mean_iou

NAMES = ("road", "car", "sky")


def official():
    """The evaluation of cityscapesscripts; importing it reads environment variables and may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")


def train_ids(evaluation, raw):
    table = np.full(256, 255, np.uint8)
    for label in evaluation.labels:
        if 0 <= label.trainId < 255 and label.id >= 0:
            table[label.id] = label.trainId
    return table[raw]


def official_scores(evaluation, folder, pairs):
    """Class name -> IoU as cityscapesscripts computes it from label files of raw ids."""
    predictions, truths = [], []
    for index, (truth, prediction) in enumerate(pairs):
        truths.append(str(folder / f"{index}_gtFine_labelIds.png"))
        predictions.append(str(folder / f"{index}_pred.png"))
        Image.fromarray(truth).save(truths[-1])
        Image.fromarray(prediction).save(predictions[-1])
    arguments = SimpleNamespace(
        evalLabels=[], evalInstLevelScore=False, evalPixelAccuracy=False, quiet=True, JSONOutput=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evaluation.evaluateImgLists(predictions, truths, arguments)


def street_pairs(seed, raw_ids, size=(24, 32)):
    """Truth and prediction in raw ids, correlated, both with ignored labels."""
    rng = np.random.default_rng(seed)
    for _ in range(3):
        truth = rng.choice(raw_ids, size).astype(np.uint8)
        guess = rng.choice(raw_ids, size).astype(np.uint8)
        yield truth, np.where(rng.random(size) < 0.6, truth, guess).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_iou_equals_the_official_cityscapes_evaluation(tmp_path, seed):
    evaluation = official()
    # Every raw id, ignored ones (0 to 6, 9, 10 ...) too, in truths and predictions; some classes occur nowhere.
    raw_ids = [label.id for label in evaluation.labels if label.id >= 0 and (label.id + seed) % 7]
    pairs = list(street_pairs(seed, raw_ids))
    expected = official_scores(evaluation, tmp_path, pairs)

    confusion = Confusion(19)
    for truth, prediction in pairs:
        confusion.add(train_ids(evaluation, truth), train_ids(evaluation, prediction))

    names = [label.name for label in sorted(evaluation.labels, key=lambda x: x.trainId) if 0 <= label.trainId < 255]
    report = confusion.report(names)
    assert confusion.ignored_predictions.sum() > 0
    for name in names:
        score = expected["classScores"][name]
        assert report["per_class_iou"][name] == (None if math.isnan(score) else score)
    assert None in report["per_class_iou"].values()
    assert report["miou"] == pytest.approx(expected["averageScoreClasses"], abs=1e-15)


def test_an_ignored_prediction_is_a_miss_and_nobodys_false_alarm():
    confusion = Confusion(3)
    confusion.add(np.array([[0, 0, 1, 255]]), np.array([[0, 255, 1, 2]]))
    assert confusion.iou() == [0.5, 1.0, None]
    assert confusion.ignored_predictions.tolist() == [1, 0, 0]


def test_report_has_the_keys_that_scripts_read():
    confusion = Confusion(3)
    confusion.add(np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 1, 1, 1]], np.uint8))
    report = confusion.report(NAMES, {"miou16": ("road", "sky"), "miou13": ("sky",)})
    assert report["per_class_iou"] == {"road": 0.5, "car": 2 / 3, "sky": None}
    assert report["miou"] == (0.5 + 2 / 3) / 2
    assert report["miou16"] == 0.5
    assert report["miou13"] is None
    assert report["confusion"] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert report["images"] == 1


def labels(classes, ignore):
    return st.integers(0, classes - 1) | st.just(ignore)


@settings(max_examples=80)
@given(
    data=st.data(),
    classes=st.integers(1, 6),
    ignore=st.sampled_from([255, 65535]),
    dtype=st.sampled_from([np.uint16, np.int32, np.int64]),
)
def test_iou_is_intersection_over_union_where_truth_is_labelled(data, classes, ignore, dtype):
    shape = (4, 5)
    truth, guess = (data.draw(arrays(dtype, shape, elements=labels(classes, ignore))) for _ in range(2))
    confusion = Confusion(classes, ignore)
    confusion.add(truth, guess)
    known = truth != ignore
    for index, score in enumerate(confusion.iou()):
        union = (known & ((truth == index) | (guess == index))).sum()
        both = (known & (truth == index) & (guess == index)).sum()
        assert score == (both / union if union else None)
    assert confusion.matrix.sum() + confusion.ignored_predictions.sum() == known.sum()


def test_merging_equals_adding_all():
    rng = np.random.default_rng(0)
    first, second, both = Confusion(4), Confusion(4), Confusion(4)
    for part in (first, second):
        truth, guess = rng.integers(0, 4, (2, 6, 6))
        part.add(truth, guess)
        both.add(truth, guess)
    first.merge(second)
    assert first.report("abcd") == both.report("abcd")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
@pytest.mark.parametrize(("bad", "where"), [(3, "labels"), (7, "prediction")])
def test_unknown_ids_are_named_and_not_counted(dtype, bad, where):
    good, wrong = np.zeros((2, 2), dtype), np.full((2, 2), bad, dtype)
    confusion = Confusion(3)
    with pytest.raises(InputError, match=rf"the {where} hold the ids {bad}, expected 0 to 2 or 255"):
        confusion.add(*((wrong, good) if where == "labels" else (good, wrong)))
    assert confusion.images == confusion.matrix.sum() == 0


def test_negative_and_huge_ids_are_named():
    confusion = Confusion(3)
    with pytest.raises(InputError, match="ids -1, 70000,"):
        confusion.add(np.array([[-1, 70000]]), np.array([[0, 0]]))


def test_different_sizes_are_refused():
    with pytest.raises(InputError, match="4x2 and 2x4 pixels"):
        Confusion(3).add(np.zeros((2, 4), np.uint8), np.zeros((4, 2), np.uint8))


def test_without_scores_there_is_no_mean():
    assert mean_iou([None, None]) is None
    assert Confusion(3).report(NAMES)["miou"] is None


def test_torch_free_modules_import_no_torch():
    modules = "metrics, patches, rare, schedule"
    code = f"import sys; from crots.methods import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
