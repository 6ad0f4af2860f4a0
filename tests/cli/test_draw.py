import io

import pytest

from crots.cli.draw import PlainScreen, QuietScreen, RichScreen, open_screen
from crots.cli.tables import Table, change, duration, percent, score_table
from crots.events import (
    ArtifactWritten,
    Evaluated,
    Metrics,
    Note,
    Progress,
    Scored,
    StageFinished,
    StageStarted,
)


def scored(subject, road, car, **more):
    known = [value for value in (road, car) if value is not None]
    return Evaluated(
        # A validation on the way is told by the stage that trains.
        stage=subject if "step" in more else "evaluate",
        subject=subject,
        miou=sum(known) / len(known),
        per_class_iou={"road": road, "car": car},
        **more,
    )


RUN = [
    StageStarted(stage="baseline", time=100.0, total=100, unit="steps", device="cpu"),
    Note(stage="baseline", text="the student [starts] from x.pth"),
    Metrics(stage="baseline", step=10, values={"cross-entropy": 0.51234}, time=105.0),
    Progress(stage="baseline", done=10, total=100, rate=3.25, time=109.0),
    Progress(stage="baseline", done=20, total=100, rate=3.25, time=119.0),
    scored("baseline", 0.5, 0.25, step=20),
    Scored(stage="baseline", step=20, values={"certainty": 0.5}),
    ArtifactWritten(stage="baseline", kind="model", path="out/student.safetensors"),
    StageFinished(stage="baseline", outcome="completed", seconds=200.4),
    StageStarted(stage="evaluate", total=4, unit="images"),
    scored("source", 0.5, 0.25),
    scored("baseline", 0.75, None, oracle=True),
    StageFinished(stage="evaluate", outcome="completed", seconds=3.0),
]


def drawn(screen, stream, events):
    for event in events:
        screen.show(event)
    screen.close()
    return stream.getvalue()


def test_plain_lines():
    stream = io.StringIO()
    text = drawn(PlainScreen(stream), stream, RUN)
    lines = text.splitlines()
    assert lines[0] == "[baseline] 100 steps on cpu"
    assert "the student [starts] from x.pth" in lines[1]
    # The second progress only: the first came too soon. Then ten steps took ten seconds.
    progress = [line for line in lines if "/100 steps" in line]
    assert progress == ["[baseline] 20/100 steps, 1 s per step, 1:20 left, cross-entropy 0.5123"]
    assert any("validation at step 20: mIoU 37.5" in line for line in lines)
    assert "[baseline] done in 3:20; cross-entropy 0.5123" in lines
    assert "mix.png" not in text


def test_scores_become_one_table_with_changes():
    stream = io.StringIO()
    lines = drawn(PlainScreen(stream), stream, RUN).splitlines()
    rows = {line.split()[0]: line.split() for line in lines[-6:]}
    assert rows["road"] == ["road", "50.0", "75.0", "+25.0"]
    assert rows["car"] == ["car", "25.0", "-", "-"]
    assert rows["mIoU"] == ["mIoU", "37.5", "75.0", "+37.5"]
    assert "(oracle)" in next(line for line in lines if line.startswith("class"))


def test_rich_screen_draws_the_same_and_survives_several_stages():
    stream = io.StringIO()
    stream.isatty = lambda: True
    text = drawn(RichScreen(stream), stream, RUN)
    for part in ("the student [starts] from x.pth", "done in 3:20", "validation at step 20", "+25.0", "oracle"):
        assert part in text, part


def test_failed_stage_is_reported_without_its_message():
    stream = io.StringIO()
    end = StageFinished(stage="mine", outcome="failed", seconds=1.0, exit_code=2, message="no such file")
    # The message is the last line of the program; twice would be one too often.
    assert drawn(PlainScreen(stream), stream, [end]) == "[mine] failed after 1 s\n"


def test_quiet_screen_shows_warnings_only():
    stream = io.StringIO()
    warning = Note(stage="mine", level="warning", text="no patches")
    assert drawn(QuietScreen(stream), stream, [*RUN, warning]) == "[mine] warning: no patches\n"


def test_screen_suits_the_stream():
    stream = io.StringIO()
    assert isinstance(open_screen(stream), PlainScreen)
    assert isinstance(open_screen(stream, quiet=True), QuietScreen)


def test_resumed_stage_says_so_and_its_eta_counts_from_there():
    stream = io.StringIO()
    events = [
        StageStarted(stage="b", time=0.0, total=100, resumed_at=50),
        Progress(stage="b", time=9.0, done=55, total=100),
        Progress(stage="b", time=19.0, done=60, total=100),
    ]
    text = drawn(PlainScreen(stream), stream, events)
    assert "continuing from 50" in text
    assert "1:20 left" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (201, "3:21"), (7380, "2:03:00")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_percent_and_change():
    assert [percent(0.1234), percent(None), change(0.5, 0.6), change(0.5, None)] == ["12.3", "-", "-10.0", "-"]


def test_plain_table_is_aligned():
    table = Table(("name", "n"), (("a", "1"), ("long name", "100")), total_from=1)
    assert table.plain().splitlines() == [
        "name         n",
        "---------  ---",
        "a            1",
        "---------  ---",
        "long name  100",
    ]


def test_score_table_of_one_subject_has_no_change():
    assert score_table([scored("source", 0.5, 0.5)]).headers == ("class (IoU, %)", "source")
