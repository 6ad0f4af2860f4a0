"""How fast a stage is and how long it takes: both are of one measure, and nothing is said before there is one."""

import pytest

from crots.events import Evaluated, Progress, StageFinished, StageStarted
from crots.execution.context import Meter
from crots.pace import Pace


def paced(*marks, total=1000, unit="steps", resumed_at=0):
    """A stage that began at 0 and noted at each time what was done."""
    pace = Pace()
    pace.add(StageStarted(stage="adapt-1", total=total, unit=unit, time=0.0, resumed_at=resumed_at))
    for time, done in marks:
        pace.add(Progress(stage="adapt-1", done=done, total=total, time=float(time)))
    return pace


def test_nothing_is_said_before_a_few_steady_steps():
    """After one step "0.504 images/s, 8:05:27 left" stood there, for work that took twenty minutes."""
    for marks in ([], [(40, 1)], [(40, 1), (41, 2)], [(40, 1), (44.5, 9)], [(40, 1), (50, 2)]):
        pace = paced(*marks)
        assert (pace.speed, pace.seconds_each, pace.seconds_left) == ("", None, None), marks
    # What comes before the first step, a validation of the start for one, is no measure of the others.
    pace = paced((40, 1), (45, 11))
    assert (pace.speed, pace.seconds_left) == ("2 steps/s", 989 / 2)


def test_what_was_done_before_a_stage_was_resumed_counts_as_done_and_took_no_time():
    pace = paced((30, 91), (36, 94), total=100, resumed_at=90)
    assert (pace.speed, pace.seconds_left) == ("2 s per step", 12)


def test_speed_and_time_left_say_the_same_when_the_machine_slows_down():
    marks = [(n, 10 * n) for n in range(1, 51)]
    pace = paced(*marks)
    assert (pace.speed, pace.seconds_left) == ("10 steps/s", 50)
    # Now a step takes five seconds.
    slow = [(50 + 5 * n, 500 + n) for n in range(1, 26)]
    pace = paced(*marks, *slow)
    assert (pace.speed, pace.seconds_left) == ("5 s per step", 475 * 5)
    pace = paced(*marks, *slow, *((175 + n / 4, 525 + n) for n in range(1, 241)))
    assert (pace.speed, pace.seconds_left) == ("4 steps/s", 235 / 4), "and so when it recovers"


@pytest.mark.parametrize("scoring", [0.0, 20.0, 120.0])
def test_validations_are_part_of_the_time_left_and_not_taken_for_slow_steps(scoring):
    """After one that took longer than a minute, a step seemed to take as long as it."""
    marks, time = [], 0.0
    for done in range(1, 1001):
        time += 0.5
        marks.append((time, done))
        time += scoring if done % 100 == 0 else 0
    for place in (250, 301, 305, 399, 650):
        pace = paced(*marks[:place])
        assert 0.6 < pace.seconds_left / (marks[-1][0] - marks[place - 1][0]) < 1.7, place


def test_files_of_unlike_kinds_tell_no_time():
    """The weights are written at once, and the ONNX file after a minute: "11 s left" stood there all the while."""
    assert paced((1, 1), (11, 3), total=9, unit="files").seconds_left is None


def test_after_the_last_step_no_time_is_named_for_what_follows():
    pace = paced((5, 10), (10, 20), total=20)
    assert (pace.speed, pace.seconds_left) == ("", None)
    pace = paced((5, 10), (15, 20), total=30)
    pace.add(Evaluated(stage="adapt-1", subject="adapt-1", miou=0.5, per_class_iou={}, step=20))
    assert pace.seconds_left == 10
    pace.add(StageFinished(stage="adapt-1", outcome="cancelled", seconds=15))
    assert pace.seconds_left is None


def test_the_speed_on_frames_of_which_nobody_knows_how_many_there_are():
    pace = paced((5, 10), (15, 20), total=0, unit="images")
    assert (pace.speed, pace.seconds_left) == ("1 s per image", None)


def test_a_pause_is_not_slow_work():
    pace = paced((5, 10), (15, 20))
    pace.forget()
    assert pace.seconds_left is None
    for time, done in ((600, 21), (610, 41)):
        pace.add(Progress(stage="adapt-1", done=done, total=1000, time=float(time)))
    assert pace.speed == "2 steps/s"


def test_the_first_steps_of_a_stage_are_no_rate(monkeypatch):
    now = iter((0.0, 40.0, 41.0, 42.0))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    meter = Meter("baseline", 100, images=2)
    assert [event.rate for done in (1, 5, 9) for event in meter.tick(done)] == [0, 8, 8]
