import errno
import json
import sys

import pytest

from crots.errors import InputError
from crots.eventlog import EventLog, last_endings, read_events, running, seconds_before
from crots.events import KINDS, Metrics, Note, Progress, StageFinished, StageStarted, from_json, to_json

pytestmark = pytest.mark.safety

EXAMPLES = [
    StageStarted(stage="baseline", total=10, options={"steps": 10}),
    Progress(stage="baseline", done=3, total=10, rate=1.5),
    Metrics(stage="baseline", step=3, values={"cross-entropy": 0.5}),
    Note(stage="baseline", text="näïve", level="warning"),
    StageFinished(stage="baseline", outcome="failed", seconds=2.0, message="no", exit_code=1),
    StageFinished(stage="mine", outcome="failed", seconds=2.0, cause="memory", settings={"data.skip_bad": "true"}),
    Note(stage="baseline", text="it starts from random weights", level="warning", known=True),
]


@pytest.mark.parametrize("event", EXAMPLES)
def test_events_survive_json(event):
    line = to_json(event)
    assert "\n" not in line and from_json(line) == event


def test_what_came_later_is_in_a_line_only_where_it_says_something():
    assert not {"cause", "settings"} & json.loads(to_json(EXAMPLES[4])).keys()
    assert not {"about", "known"} & json.loads(to_json(EXAMPLES[3])).keys()


@pytest.mark.parametrize("line", ["", "{", "[]", "null", '{"event": "Nonsense"}', '{"event": "Note", "oops": 1}'])
def test_a_foreign_line_is_no_event(line):
    with pytest.raises(InputError):
        from_json(line)


def test_all_kinds_are_frozen_and_carry_stage_and_time():
    assert all({"stage", "time"} <= set(kind.__dataclass_fields__) for kind in KINDS.values())


def test_a_torn_last_line_is_removed_and_skipped(tmp_path):
    path = tmp_path / "events.jsonl"
    EventLog(path).append(EXAMPLES[0])
    with path.open("a") as file:
        file.write('{"event": "Prog')
    assert list(read_events(path)) == [EXAMPLES[0]]
    log = EventLog(path)
    log.append(EXAMPLES[1])
    assert list(read_events(path)) == EXAMPLES[:2]


def test_dropping_removes_one_stage_after_a_position_and_nothing_else(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(EXAMPLES[0])
    kept = log.position
    log.append(EXAMPLES[1])
    other = Note(stage="mine", text="of another stage")
    log.append(other)
    log.append(EXAMPLES[2])
    log.drop("baseline", after=kept)
    assert list(read_events(log.path)) == [EXAMPLES[0], other]
    log.drop("baseline", after=10**9)
    assert len(list(read_events(log.path))) == 2


def test_a_stage_without_its_end_has_no_outcome(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for event in EXAMPLES[:2]:
        log.append(event)
    ending = last_endings(log.path)["baseline"]
    assert (ending.outcome, ending.done, ending.total) == (None, 3, 10)
    log.append(EXAMPLES[4])
    assert last_endings(log.path)["baseline"].outcome == "failed"


def test_running_is_detected_by_the_lock(tmp_path):
    import filelock

    lock = tmp_path / ".lock"
    assert not running(lock)
    with filelock.FileLock(lock):
        assert running(lock)
    assert not running(lock)


@pytest.mark.skipif(sys.platform == "win32", reason="another kind of lock")
def test_on_a_read_only_disk_only_the_holder_of_the_lock_runs(tmp_path, monkeypatch):
    import filelock

    lock, held = tmp_path / ".lock", filelock.FileLock(tmp_path / ".lock")
    lock.touch()

    def refuse(_):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(filelock.FileLock, "__enter__", refuse)
    assert not running(lock)
    held.acquire()
    assert running(lock)
    held.release()
    assert not running(lock)


def test_a_character_cut_by_a_kill_does_not_keep_the_project_from_opening(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(EXAMPLES[0])
    whole = path.read_bytes() + to_json(EXAMPLES[3]).encode()
    path.write_bytes(whole[: whole.index("ï".encode()) + 1])
    assert list(read_events(path)) == [EXAMPLES[0]]
    assert set(last_endings(path)) == {"baseline"}


@pytest.mark.parametrize("line", ['{"event": "Note", "stage": "mine", "text": "x", "time": "noon"}',
                                  '{"event": "Note", "stage": ["mine"], "text": "x"}'])  # fmt: skip
def test_an_event_of_another_make_is_passed_over(line):
    with pytest.raises(InputError):
        from_json(line)


def test_a_name_that_is_no_text_can_be_told_of(tmp_path):
    path = tmp_path / "events.jsonl"
    name = "caf\udce9.png"
    EventLog(path).append(Note(stage="mine", text=name))
    (found,) = read_events(path)
    assert found.text == name


@pytest.mark.parametrize("content", ["mine", "{}\n", "x\n" * 9, "\n"])
def test_a_file_of_somebody_elses_is_not_added_to(tmp_path, content):
    path = tmp_path / "events.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="is not an event stream"):
        EventLog(path)
    assert path.read_text(encoding="utf-8") == content


def test_a_stream_whose_first_line_is_torn_begins_again(tmp_path):
    path = tmp_path / "events.jsonl"
    for torn in ("", '{"ev', '{"event": "Sta'):
        path.write_text(torn, encoding="utf-8")
        assert EventLog(path).position == 0


def test_a_resumed_stage_took_what_all_its_parts_took(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")

    def told(kind, time, **values):
        log.append(kind(stage="baseline", time=time, **values))

    told(StageStarted, 0, total=10)
    told(Progress, 50, done=1, total=10)
    assert seconds_before(log.path, "baseline") == 0
    told(StageStarted, 100, total=10)
    told(Progress, 130, done=3, total=10)
    log.append(Progress(stage="mine", time=190, done=3, total=10))
    told(StageStarted, 200, total=10, resumed_at=3)
    told(Progress, 207, done=5, total=10)
    assert seconds_before(log.path, "baseline") == 30, "what was begun anew since counts no more, nor what lies between"
    told(StageStarted, 300, total=10, resumed_at=5)
    assert seconds_before(log.path, "baseline") == 37
    assert seconds_before(log.path, "mine") == 0
