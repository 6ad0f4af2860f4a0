import argparse
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from crots.cli import main as main_module
from crots.cli.follow import follow_events
from crots.errors import InputError
from crots.events import ArtifactWritten, Evaluated, Note, Progress, StageFinished, StageStarted, from_json
from crots.execution.context import Context
from crots.runner import run_stage

SCRIPT = [
    StageStarted(stage="mine", total=2),
    Note(stage="mine", level="warning", text="careful"),
    Progress(stage="mine", done=2, total=2),
    Evaluated(stage="mine", subject="source", miou=0.5, per_class_iou={"road": 0.5}),
    ArtifactWritten(stage="mine", kind="patches", path="out"),
    StageFinished(stage="mine", outcome="completed", seconds=1.5),
]


def arguments(**changes):
    return argparse.Namespace(**{"json": False, "events": None, "quiet": False, "debug": False, **changes})


def script(events):
    def make(control):
        yield from events

    return make


def steps_until_stopped(control, *, total=100, at=3, signals=1):
    """A stage of a hundred steps whose user presses Ctrl-C in the third."""

    def body(context):
        yield StageStarted(stage="adapt-1", total=total)
        for step in range(total):
            context.control.check()
            if step == at:
                for _ in range(signals):
                    os.kill(os.getpid(), signal.SIGINT)
            yield Progress(stage="adapt-1", done=step + 1, total=total)

    yield from run_stage(body, Context("adapt-1", control))


def test_draws_and_returns_zero(capsys):
    assert follow_events(script(SCRIPT), arguments(), command="mine") == 0
    captured = capsys.readouterr()
    assert "[mine] done in 2 s" in captured.out
    assert captured.err == ""


def test_json_is_one_object_and_nothing_else_on_stdout(capsys):
    assert follow_events(script(SCRIPT), arguments(json=True), command="mine") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["command"] == "mine"
    assert found["exit_code"] == 0
    assert found["stages"] == [{"stage": "mine", "outcome": "completed", "seconds": 1.5}]
    assert found["artifacts"] == [{"stage": "mine", "kind": "patches", "path": "out"}]
    assert found["scores"][0]["miou"] == 0.5
    assert "careful" in captured.err


def test_events_on_stdout_and_nothing_else(capsys):
    assert follow_events(script(SCRIPT), arguments(events="-"), command="mine") == 0
    captured = capsys.readouterr()
    assert [from_json(line) for line in captured.out.splitlines()] == SCRIPT
    assert "done in" in captured.err


def test_events_to_a_file(capsys, tmp_path):
    path = tmp_path / "sub" / "events.jsonl"
    assert follow_events(script(SCRIPT), arguments(events=str(path)), command="mine") == 0
    assert [from_json(line) for line in path.read_text().splitlines()] == SCRIPT
    assert "done in" in capsys.readouterr().out


def test_both_on_stdout_is_wrong_use():
    with pytest.raises(InputError, match="standard output"):
        follow_events(script(SCRIPT), arguments(events="-", json=True), command="mine")


def test_failure_has_its_exit_code_and_one_line(capsys):
    end = StageFinished(stage="mine", outcome="failed", seconds=1.0, exit_code=2, message="x.png: broken; mend it")
    assert follow_events(script([*SCRIPT[:1], end]), arguments(json=True), command="mine") == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "crots: x.png: broken; mend it"
    found = json.loads(captured.out)
    assert (found["outcome"], found["exit_code"]) == ("failed", 2)
    assert found["message"] == "x.png: broken; mend it"


def test_a_bug_in_a_stage_keeps_its_traceback_in_a_file(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(main_module.tempfile, "tempdir", str(tmp_path))

    def body(context):
        yield StageStarted(stage="mine", total=1)
        raise KeyError("ours")

    code = follow_events(lambda control: run_stage(body, Context("mine", control)), arguments(), command="mine")
    captured = capsys.readouterr()
    (kept,) = tmp_path.iterdir()
    assert code == 1
    assert "KeyError" in captured.err
    assert str(kept) in captured.err
    assert "Traceback" not in captured.err
    assert "KeyError" in kept.read_text()


def test_ctrl_c_stops_after_the_step(capsys):
    before = signal.getsignal(signal.SIGINT)
    assert follow_events(steps_until_stopped, arguments(json=True), command="adapt") == 130
    found = json.loads(capsys.readouterr().out)
    assert found["outcome"] == "cancelled"
    assert found["stages"][-1]["stage"] == "adapt-1"
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_lets_the_step_finish(capsys):
    follow_events(steps_until_stopped, arguments(events="-"), command="adapt")
    events = [from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3, 4]
    assert isinstance(events[-1], StageFinished)


def test_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt):
        follow_events(lambda control: steps_until_stopped(control, signals=2), arguments(), command="adapt")


def test_exit_codes_of_a_process():
    code = textwrap.dedent("""
        import argparse, os, signal, sys
        from crots.cli import main
        from crots.cli.follow import follow_events
        from crots.events import StageStarted
        from crots.runner import run_stage
        from crots.execution.context import Context

        def body(context):
            yield StageStarted(stage="b", total=9)
            for _ in range(int(sys.argv[1])):
                os.kill(os.getpid(), signal.SIGINT)
            context.control.check()

        args = argparse.Namespace(json=False, events=None, quiet=False, debug=False)
        main.dispatch = lambda words: follow_events(lambda c: run_stage(body, Context("b", c)), args, command="b")
        sys.exit(main.main([]))
    """)
    for presses in ("1", "2"):
        ran = subprocess.run([sys.executable, "-c", code, presses], capture_output=True, text=True, timeout=600)
        assert ran.returncode == 130, ran
        assert ran.stderr.splitlines()[-1].startswith("crots: stopped")
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("events", ["-", "events.jsonl"])
def test_a_run_whose_output_is_no_longer_read_stops_as_by_ctrl_c(events, tmp_path):
    code = textwrap.dedent("""
        import argparse, sys
        from crots.cli import main
        from crots.cli.follow import follow_events
        from crots.events import Note, StageStarted
        from crots.execution.context import Context
        from crots.runner import run_stage

        def body(context):
            yield StageStarted(stage="b", total=9)
            while True:
                context.control.check()
                yield Note(stage="b", text="working")

        args = argparse.Namespace(json=False, events=sys.argv[1], quiet=False, debug=False)
        main.dispatch = lambda words: follow_events(lambda c: run_stage(body, Context("b", c)), args, command="b")
        code = main.main([])
        open("ended", "w").close()
        sys.exit(code)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", code, events], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline()
    process.stdout.close()
    shown = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=600) == 141
    assert (tmp_path / "ended").exists()
    if events == "-":
        # The screen's lines go to standard error then, and end with what is read.
        assert "crots: " not in shown and "Traceback" not in shown
    else:
        assert shown == ""
        last = json.loads((tmp_path / events).read_text().splitlines()[-1])
        assert (last["event"], last["outcome"]) == ("StageFinished", "cancelled"), last


def test_stream_is_closed_when_drawing_fails(monkeypatch):
    closed = []

    def make(control):
        try:
            yield from SCRIPT
        finally:
            closed.append(True)

    def fail(self, event):
        raise BrokenPipeError

    monkeypatch.setattr("crots.cli.draw.PlainScreen.show", fail)
    with pytest.raises(BrokenPipeError):
        follow_events(make, arguments(), command="mine")
    assert closed
