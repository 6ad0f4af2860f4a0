"""Scores: latest of each model, change since earlier ones, class colours, confusion shares and mistakes."""

import csv
import io

import numpy as np
import pytest

from crots.events import Evaluated, StageStarted
from crots.files import write_json, write_text
from crots.taxonomy import load_class_set
from crots_studio.models.history import History
from crots_studio.models.iou import (
    ClassLook,
    Score,
    Scores,
    confusion_csv,
    make_class_table,
    mistakes,
    normalised,
    read_reports,
    table_csv,
    validations_csv,
)

NAMES = ("road", "car", "pole")


def evaluated(subject, values, step=0, stage=None, **more):
    known = [value for value in values if value is not None]
    return Evaluated(
        stage=stage or (subject if step else "evaluate"), subject=subject, step=step, miou=sum(known) / len(known),
        per_class_iou=dict(zip(NAMES, values, strict=True)), **more,
    )  # fmt: skip


def finished():
    return Scores([
        evaluated("source", [0.5, 0.3, None]),
        evaluated("baseline", [0.6, 0.4, 0.1]),
        evaluated("adapt-1", [0.7, 0.3, 0.2]),
        evaluated("adapt-2", [0.8, 0.5, None]),
    ])  # fmt: skip


def test_a_round_is_compared_with_the_round_and_the_stage_before():
    scores = finished()
    assert scores.subjects == ("source", "baseline", "adapt-1", "adapt-2")
    assert scores.earlier("adapt-2") == ("adapt-1", "baseline")
    assert scores.earlier("adapt-1") == ("baseline", "source")
    assert scores.earlier("baseline") == ("source",)
    assert scores.earlier("source") == ()


def test_models_without_a_score_are_passed_over():
    scores = Scores([evaluated("source", [0.5, 0.3, 0.1]), evaluated("adapt-3", [0.5, 0.3, 0.1])])
    assert scores.earlier("adapt-3") == ("source",)


def test_table_has_changes_and_colours():
    look = ClassLook(load_class_set("cityscapes"))
    table = make_class_table(finished(), "adapt-2", look)
    assert table.compared == ("adapt-1", "baseline")
    # The order is that of the class set: pole stands before car there.
    assert [row.name for row in table.rows] == ["road", "pole", "car"]
    road, pole, car = table.rows
    assert road.changes == (pytest.approx(0.1), pytest.approx(0.2))
    assert pole.iou is None and pole.changes == (None, None)
    assert car.changes == (pytest.approx(0.2), pytest.approx(0.1))
    assert road.colour == (128, 64, 128)
    assert table.mean.changes[0] == pytest.approx(0.65 - 0.4)
    assert make_class_table(finished(), "adapt-7", look) is None


def test_unknown_classes_get_colours_of_their_own():
    look = ClassLook(load_class_set("demo"))
    made = {look.colour(name) for name in ("kerb", "tram", "kerb")}
    assert len(made) == 2 and not made & set(load_class_set("demo").palette)


def test_table_as_csv_equals_the_table():
    table = make_class_table(finished(), "adapt-2", ClassLook())
    rows = list(csv.reader(io.StringIO(table_csv(table))))
    assert rows[0] == ["class", "Round 2 IoU", "change since Round 1", "change since Baseline"]
    for row, found in zip(rows[1:], (*table.rows, table.mean), strict=True):
        assert row[0] == found.name
        changes = [None if found.iou is None or old is None else found.iou - old for old in found.earlier]
        assert [float(cell) if cell else None for cell in row[1:]] == [found.iou, *changes], "as exact as the scores"


def test_changes_are_those_of_the_figures_that_are_shown():
    scores = Scores([evaluated("source", [0.58749] * 3), evaluated("baseline", [0.63551] * 3)])
    table = make_class_table(scores, "baseline", ClassLook())
    assert table.mean.changes == (0.049,), "58.7 to 63.6 is 4.9, and not 4.8"


def test_validations_follow_restarts_and_resumptions():
    scores = Scores([evaluated("adapt-1", [0.1, 0.1, 0.1], 10), evaluated("adapt-1", [0.2, 0.2, 0.2], 20)])
    scores.add([evaluated("adapt-1", [0.9, 0.9, 0.9])])
    assert scores.latest("adapt-1").miou == pytest.approx(0.9)
    assert scores.add([StageStarted(stage="adapt-1", total=40, resumed_at=15)])
    assert [score.step for score in scores.validations("adapt-1")] == [10]
    assert scores.latest("adapt-1").miou == pytest.approx(0.1)
    scores.add([StageStarted(stage="adapt-1", total=40)])
    assert scores.latest("adapt-1") is None and scores.stages == ()
    assert not scores.add([StageStarted(stage="adapt-1", total=40)])


def test_validations_as_csv_equal_the_scores():
    scores = Scores([evaluated("adapt-1", [1 / 3, 0.1, None], 10), evaluated("adapt-1", [0.2, 2 / 7, 0.5], 20)])
    rows = list(csv.DictReader(io.StringIO(validations_csv(scores, ClassLook()))))
    for row, score in zip(rows, scores.validations("adapt-1"), strict=True):
        assert float(row["mIoU"]) == score.miou
        assert {name: float(row[name]) if row[name] else None for name in NAMES} == score.per_class


def test_reports_on_disk_stand_in_for_events(tmp_path):
    report = {"miou": 0.5, "per_class_iou": {"road": 0.5}, "confusion": [[3]], "images": 2}
    write_json(tmp_path / "baseline.json", report)
    write_text(tmp_path / "torn.json", '{"miou": 0.')
    write_json(tmp_path / "other.json", {"hello": 1})
    (score,) = read_reports(tmp_path)
    assert (score.subject, score.miou, score.images, score.confusion) == ("baseline", 0.5, 2, ((3,),))
    assert Scores(reports=[score]).latest("baseline") == score
    assert read_reports(tmp_path / "missing") == []
    assert Score.of_report("x", {"miou": None, "per_class_iou": {"road": None}}).miou is None


CONFUSION = ((90, 10, 0), (30, 60, 10), (0, 0, 0))


def test_shares_of_truth_and_of_prediction():
    rows = normalised(CONFUSION, "truth")
    assert rows[0].tolist() == [0.9, 0.1, 0]
    assert rows[2].tolist() == [0, 0, 0]
    columns = normalised(CONFUSION, "prediction")
    assert columns[:, 0].tolist() == [0.75, 0.25, 0]
    assert np.array_equal(normalised(CONFUSION, "pixels"), np.array(CONFUSION))


def test_commonest_mistakes_come_first_and_hits_are_none():
    found = mistakes(CONFUSION, NAMES)
    assert [(mistake.truth, mistake.prediction) for mistake in found] == [
        ("car", "road"), ("road", "car"), ("car", "pole"),
    ]  # fmt: skip
    assert found[0].share == pytest.approx(0.3) and found[0].pixels == 30


def test_confusion_as_csv_equals_the_matrix():
    rows = list(csv.reader(io.StringIO(confusion_csv(CONFUSION, NAMES))))
    assert rows[0][1:] == list(NAMES)
    assert [[int(cell) for cell in row[1:]] for row in rows[1:]] == [list(row) for row in CONFUSION]


def test_a_history_gives_the_same_scores_as_its_events():
    events = [
        StageStarted(stage="adapt-1", total=20, time=1),
        evaluated("adapt-1", [0.3, 0.3, 0.3], 10, time=2),
        evaluated("adapt-1", [0.5, 0.5, 0.5], time=3),
        evaluated("source", [0.2, 0.2, 0.2], time=4),
        StageStarted(stage="adapt-1", total=20, time=5),
    ]
    for count in range(1, len(events) + 1):
        live, past = Scores(events[:count]), Scores.of_history(History(events[:count]))
        assert live.subjects == past.subjects
        assert [live.latest(name) for name in live.subjects] == [past.latest(name) for name in past.subjects]
        assert live.validations("adapt-1") == past.validations("adapt-1")


def test_rounds_that_the_project_no_longer_has_do_not_count():
    events = [evaluated(f"adapt-{number}", [0.1 * number] * 3, step) for number in (1, 2, 10) for step in (5, 0)]
    scores = Scores([evaluated("baseline", [0.1, 0.1, 0.1]), *events])
    assert scores.subjects == ("baseline", "adapt-1", "adapt-2", "adapt-10")
    scores.rounds = 1
    assert scores.subjects == ("baseline", "adapt-1") and scores.stages == ("adapt-1",)
