"""The queue as a list and as a file: order, what counts as open, two windows at once, damage."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.errors import CrotsError, InputError
from crots.project import Project
from crots.project_config import ProjectConfig
from crots.runner import locked
from crots_studio.models.run_queue import (
    STATES,
    QueueEntry,
    QueueFile,
    added,
    following,
    marked,
    moved,
    removed,
    restored,
    standing,
)

ENTRIES = tuple(QueueEntry(f"/p/{name}") for name in "abc")


def names(entries):
    return "".join(entry.name for entry in entries)


def test_a_project_is_in_the_queue_once():
    assert names(added(ENTRIES, ["/p/a", "/p/d"])) == "abcd"
    ended = marked(ENTRIES, "/p/a", "failed", "no images")
    again = added(ended, ["/p/a"])
    assert names(again) == "bca" and again[-1] == QueueEntry("/p/a")


@given(st.permutations("abcd"), st.sampled_from("abcd"), st.integers(-9, 9))
def test_moving_changes_the_order_only(order, name, by):
    entries = tuple(QueueEntry(f"/p/{letter}") for letter in order)
    after = moved(entries, f"/p/{name}", by)
    assert sorted(names(after)) == sorted(order)
    place = order.index(name)
    assert names(after).index(name) == min(max(place + by, 0), len(order) - 1)
    assert [letter for letter in names(after) if letter != name] == [letter for letter in order if letter != name]


def test_what_was_begun_is_first_and_what_ended_is_not_run_again():
    assert following(marked(ENTRIES, "/p/b", "running")).name == "b"
    assert following(marked(ENTRIES, "/p/a", "done")).name == "b"
    assert following(marked(marked(ENTRIES[:2], "/p/a", "failed"), "/p/b", "done")) is None


def test_undo_keeps_what_has_run_since():
    before = ENTRIES
    now = removed(marked(before, "/p/a", "done", "gained"), ["/p/c"])
    back = restored(now, before)
    assert names(back) == "abc" and back[0].state == "done"
    failed = marked(before, "/p/a", "failed", "why")
    assert restored(added(failed, ["/p/a"]), failed)[0].words == "why", "it was only queued again"


def test_the_file_keeps_it_and_two_windows_share_it(tmp_path):
    one, other = (QueueFile(tmp_path / "new" / "queue.json") for _ in range(2))
    assert one.read() == () and one.stamp == ()
    one.change(lambda entries: added(entries, ["/p/a"]))
    other.change(lambda entries: added(entries, ["/p/\udcffb"]))
    assert one.read() == other.read() == (QueueEntry("/p/a"), QueueEntry("/p/\udcffb"))
    assert one.claim() and not other.claim()
    one.release()
    assert other.claim()
    other.release()


WILD = (
    "", "[]", "{}", '{"queue": 3}', '{"queue": [{"folder": 3}]}', "{" * 100_000, '{"queue": [[]]}',
    json.dumps({"queue": [{"folder": "/a", "state": "exploded", "words": "", "ended": 0.0}]}),
    json.dumps({"queue": [{"folder": "/a", "state": "done", "words": "", "ended": -1.0}]}),
)  # fmt: skip


@pytest.mark.parametrize("text", WILD)
def test_a_damaged_file_is_reported_and_not_overwritten(tmp_path, text):
    path = tmp_path / "queue.json"
    path.write_text(text)
    with pytest.raises(InputError):
        QueueFile(path).read()
    with pytest.raises(CrotsError):
        QueueFile(path).change(lambda entries: added(entries, ["/p/a"]))
    assert path.read_text() == text


def test_a_project_twice_in_the_file_is_one(tmp_path):
    row = {"folder": "/p/a", "state": "waiting", "words": "", "ended": 0.0}
    (tmp_path / "queue.json").write_text(json.dumps({"queue": [row, row]}))
    assert QueueFile(tmp_path / "queue.json").read() == (QueueEntry("/p/a"),)


def look(entry, *, here, missing=""):
    return standing(entry, here=here, why_not_ready=lambda _: missing)


def test_the_state_of_a_project(tmp_path):
    project = Project.create(tmp_path / "a", ProjectConfig())
    entry = QueueEntry(str(project.folder))
    assert look(entry, here=False) == ("waiting", "")
    assert look(entry, here=False, missing="no images") == ("not ready", "It would fail at once: no images")
    begun = marked((entry,), entry.folder, "running")[0]
    assert look(begun, here=True)[0] == "running"
    assert look(begun, here=False)[0] == "interrupted"
    with locked(project):
        assert look(begun, here=False)[0] == "running"
    assert look(QueueEntry(str(tmp_path / "gone")), here=False)[0] == "gone"
    (project.folder / "crots.toml").write_text("not toml")
    assert look(begun, here=False)[0] == "interrupted" and look(entry, here=False)[0] == "not ready"
    assert set(STATES) == {"waiting", "running", "done", "failed"}
