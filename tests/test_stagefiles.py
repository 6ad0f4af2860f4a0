"""Results of stages: replaced only when complete, whatever happens in between; nothing of others is touched."""

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.errors import InputError
from crots.ownership import walk
from crots.records import read_json
from crots.stagefiles import StageFiles
from tests.saved import write

pytestmark = pytest.mark.safety

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights there")
OLD = {"labels/a.png": "old", "labels/b.png": "old", "index.json": "old"}
NEW = {"labels/b.png": "new", "labels/c/d.png": "new", "index.json": "new"}


def content(folder):
    return {name: (folder / name).read_text() for name, _ in walk(folder)}


def stage(root, key="mine", final="patches", own=""):
    return StageFiles(root, key, root / final, root / "unfinished" / key, root / "records", own)


def work(files, names):
    for name, text in names.items():
        write(files.work / name, text)


def done(files, names, inputs=None):
    files.begin(inputs or {"steps": 1})
    work(files, names)
    files.publish({"seconds": 1})


def test_a_complete_result_takes_the_place_of_the_last(tmp_path):
    files = stage(tmp_path)
    done(files, OLD)
    assert content(files.final) == OLD and files.owned.names() == set(OLD)
    files.begin({"steps": 2})
    work(files, NEW)
    assert content(files.final) == OLD and read_json(files.record)["inputs"] == {"steps": 1}
    files.publish({"seconds": 2})
    assert content(files.final) == NEW and files.owned.names() == set(NEW)
    assert read_json(files.record) == {"inputs": {"steps": 2}, "in": "unfinished/mine", "seconds": 2}
    assert not files.work.exists() and not files.started.exists() and not files.journal.exists()


def test_what_only_unfinished_work_needs_and_half_written_files_go(tmp_path):
    files = stage(tmp_path)
    files.begin({})
    work(files, {"student": "a", "checkpoint.pt": "b", ".0123abcd.partial.pt": "c"})
    files.publish({}, without=("checkpoint.pt",))
    assert content(files.final) == {"student": "a"} and not files.work.exists()


def test_empty_folders_are_part_of_a_result(tmp_path):
    files = stage(tmp_path)
    files.begin({})
    (files.work / "patches").mkdir(parents=True)
    files.publish({})
    assert (files.final / "patches").is_dir()


def test_unfinished_work_is_resumed_or_discarded(tmp_path):
    files = stage(tmp_path)
    done(files, OLD)
    assert files.begin({"steps": 2}) is False
    work(files, NEW)
    assert files.begin({"steps": 2}) is True and content(files.work) == NEW
    assert files.begin({"steps": 3}) is False and not files.work.exists()
    work(files, NEW)
    files.discard()
    assert not files.work.exists() and not files.started.exists()
    assert content(files.final) == OLD and read_json(files.record)["inputs"] == {"steps": 1}


class KillError(BaseException):
    pass


STEPS = ("remove_files", "make_folders", "move_file", "claim", "write_json", "remove_tree", "unlink")


def dying(monkeypatch, name, count, when):
    """Lets the process die before or after the n-th of the steps of publishing, or in the middle of the moves."""
    import crots.ownership

    places = {
        "move_file": (crots.ownership, "move_file"),
        "claim": (crots.ownership.Owned, "claim"),
        "unlink": (Path, "unlink"),
    }
    owner, attribute = places.get(name, (crots.stagefiles, name))
    original, calls = getattr(owner, attribute), []

    def step(*args, **more):
        calls.append(args)
        if len(calls) == count and when == "before":
            raise KillError
        result = original(*args, **more)
        if len(calls) == count:
            raise KillError
        return result

    monkeypatch.setattr(owner, attribute, step)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", STEPS)
def test_a_kill_at_any_step_of_publishing_leaves_the_old_result_or_is_made_good(
    tmp_path, monkeypatch, name, count, when
):
    files = stage(tmp_path)
    done(files, OLD)
    write(files.final.with_name("export") / "of the user")
    files.begin({"steps": 2})
    work(files, NEW)
    with monkeypatch.context() as patch:
        dying(patch, name, count, when)
        try:
            files.publish({"seconds": 2})
        except KillError:
            assert files.journal.exists() or content(files.final) == NEW
    # As at the beginning of the next run; being killed again changes nothing.
    with monkeypatch.context() as patch:
        dying(patch, "move_file", 1, "after")
        with contextlib.suppress(KillError):
            files.settle()
    files.settle()
    assert content(files.final) == NEW and files.owned.names() == set(NEW)
    assert read_json(files.record)["inputs"] == {"steps": 2} and read_json(files.record)["seconds"] == 2
    assert not files.work.exists() and not files.started.exists() and not files.journal.exists()


def test_a_kill_before_the_journal_leaves_work_and_result_as_they_were(tmp_path, monkeypatch):
    files = stage(tmp_path)
    done(files, OLD)
    files.begin({"steps": 2})
    work(files, NEW)
    with monkeypatch.context() as patch:
        dying(patch, "write_text", 1, "before")
        with pytest.raises(KillError):
            files.publish({})
    assert content(files.final) == OLD and content(files.work) == NEW
    assert files.begin({"steps": 2}) is True


@pytest.mark.parametrize("count", [1, 2])
def test_a_kill_while_work_is_discarded_leaves_nothing_to_continue_from(tmp_path, monkeypatch, count):
    files = stage(tmp_path)
    files.begin({"steps": 2})
    work(files, NEW)
    with monkeypatch.context() as patch:
        dying(patch, "write_json" if count == 1 else "remove_tree", 1, "after" if count == 1 else "before")
        with pytest.raises(KillError):
            files.discard()
    assert not files.continues({"steps": 2})
    files.discard()
    assert not files.work.exists() and files.begin({"steps": 2}) is False


@pytest.mark.parametrize("name", ["mine.txt", "labels/handmade.png", "labels/a.png", "new/folder/x"])
def test_a_foreign_file_in_a_folder_of_ours_is_named_and_kept(tmp_path, name):
    files = stage(tmp_path)
    if name != "labels/a.png":
        done(files, OLD)
    write(files.final / name, "of the user")
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"was not made by CROTS and is in the way.*move it away") as error:
        files.begin({"steps": 2})
    assert str(files.final / name) in str(error.value) and "\n" not in str(error.value)
    assert content(tmp_path) == before


def test_a_foreign_file_that_came_while_the_stage_ran_is_kept_and_so_is_the_work(tmp_path):
    files = stage(tmp_path)
    files.begin({"steps": 1})
    work(files, NEW)
    write(files.final / "index.json", "of the user")
    with pytest.raises(InputError, match=r"index\.json: was not made by CROTS"):
        files.publish({})
    assert content(files.final) == {"index.json": "of the user"} and content(files.work) == NEW
    (files.final / "index.json").unlink()
    assert files.begin({"steps": 1}) is True
    files.publish({})
    assert content(files.final) == NEW


def test_a_foreign_file_that_came_between_kill_and_repair_is_kept(tmp_path, monkeypatch):
    files = stage(tmp_path)
    files.begin({"steps": 1})
    work(files, NEW)
    with monkeypatch.context() as patch:
        dying(patch, "move_file", 1, "before")
        with pytest.raises(KillError):
            files.publish({})
    place = write(files.final / "labels" / "b.png", "of the user")
    with pytest.raises(InputError, match=r"b\.png: was not made by CROTS"):
        files.settle()
    assert place.read_text() == "of the user"
    place.unlink()
    files.settle()
    assert content(files.final) == NEW


def test_where_others_may_write_only_what_has_our_name_is_in_the_way(tmp_path):
    files = stage(tmp_path, "export", "export", "adapted.")
    theirs = write(files.final / "delivered.onnx", "of the user")
    done(files, {"adapted.onnx": "1", "adapted.pth": "1"})
    done(files, {"adapted.onnx": "2"}, {"steps": 2})
    assert content(files.final) == {"delivered.onnx": "of the user", "adapted.onnx": "2"}
    files.owned.disown([files.final / "adapted.onnx", tmp_path / "elsewhere"])
    with pytest.raises(InputError, match=r"adapted\.onnx: was not made by CROTS"):
        files.begin({"steps": 3})
    (files.final / "adapted.onnx").rename(files.final / "ADAPTED.pt")
    with pytest.raises(InputError, match=r"ADAPTED\.pt: was not made by CROTS"):
        files.begin({"steps": 3})
    assert theirs.exists()


def test_work_without_a_record_is_left_alone(tmp_path):
    files = stage(tmp_path)
    theirs = write(files.work / "a", "of the user")
    with pytest.raises(InputError, match="was not made by CROTS"):
        files.begin({})
    assert theirs.exists()


@POSIX
@pytest.mark.parametrize("name", ["patches", "unfinished", "unfinished/mine", "records"])
def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path, name):
    root = tmp_path / "project"
    files, outside = stage(root), write(tmp_path / "outside" / "labels" / "a.png", "of the user")
    done(files, OLD)
    files.begin({"steps": 2})
    work(files, NEW)
    (root / name).rename(tmp_path / "moved")
    (root / name).symlink_to(outside.parent.parent)
    for act in (lambda: files.begin({"steps": 3}), files.settle):
        with pytest.raises(InputError, match="is a link, expected a folder"):
            act()
    assert outside.read_text() == "of the user" and content(tmp_path / "outside") == {"labels/a.png": "of the user"}


@POSIX
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize("name", ["mine.json", "mine.started.json", "mine.publishing.json", "mine.files"])
def test_what_is_no_file_in_the_place_of_a_note_is_refused(tmp_path, name, kind):
    files, place = stage(tmp_path), tmp_path / "records" / name
    outside = write(tmp_path / "outside", "of the user")
    place.parent.mkdir()
    {"link": lambda: place.symlink_to(outside), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()
    with pytest.raises(InputError, match=f"{name}: is a {kind}, expected a file"):
        files.begin({})
    assert outside.read_text() == "of the user"


@POSIX
def test_nothing_is_moved_through_a_link_below_the_folder(tmp_path):
    files = stage(tmp_path / "project", "export", "export", "adapted.")
    outside = tmp_path / "outside"
    outside.mkdir()
    files.begin({})
    work(files, {"adapted.d/a": "new"})
    files.final.mkdir()
    (files.final / "adapted.d").symlink_to(outside)
    with pytest.raises(InputError, match=r"adapted\.d: was not made by CROTS"):
        files.publish({})
    (files.final / "adapted.d").rename(files.final / "adapted")
    files.publish({})
    assert not list(outside.iterdir())


DAMAGED = ["", "null", "[]", "{}", '{"files": 3, "record": {}}', '{"files": ["../a"], "record": {}}',
           '{"files": [null], "record": {}}', '{"files": ["a"], "record": 1}', "[" * 100_000, "\0"]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_journal_is_one_line_and_changes_nothing(tmp_path, text):
    files = stage(tmp_path)
    done(files, OLD)
    files.journal.write_text(text)
    with pytest.raises(InputError, match=r"mine\.publishing\.json: is damaged; delete it"):
        files.settle()
    assert content(files.final) == OLD


def test_a_journal_of_unknown_origin_leads_nowhere(tmp_path):
    root = tmp_path / "project"
    files, outside = stage(root), write(tmp_path / "outside", "of the user")
    theirs = write(root / "patches" / "a", "of the user")
    write(root / "records" / "mine.publishing.json", json.dumps({"files": ["a"], "record": {}}))
    write(files.work / "a", "forged")
    with pytest.raises(InputError, match="was not made by CROTS"):
        files.settle()
    assert outside.exists() and theirs.read_text() == "of the user"


def test_the_files_of_version_0_1_are_taken_over_by_its_indices(tmp_path):
    files = stage(tmp_path)
    write(files.record, json.dumps({"inputs": {"steps": 1}, "seconds": 1}))
    index = {"patches": [{"name": "day/a_1"}, {"name": "../../outside"}, {"name": 3}, "x"]}
    write(files.final / "patches.json", json.dumps(index))
    for folder in ("patches", "labels", "color_labels"):
        write(files.final / folder / "day" / "a_1.png", "old")
    files.settle()
    pictures = {f"{folder}/day/a_1.png" for folder in ("patches", "labels", "color_labels")}
    assert files.owned.names() == {"patches.json", *pictures}
    done(files, NEW, {"steps": 2})
    assert content(files.final) == NEW


def test_a_handmade_file_among_those_of_version_0_1_is_kept(tmp_path):
    files = stage(tmp_path)
    write(files.record, json.dumps({"inputs": {"steps": 1}, "seconds": 1}))
    write(files.final / "patches.json", json.dumps({"patches": []}))
    theirs = write(files.final / "labels" / "handmade.png")
    with pytest.raises(InputError, match=r"handmade\.png: was not made by CROTS"):
        files.begin({"steps": 2})
    assert theirs.exists()


@pytest.mark.parametrize(
    ("key", "index", "text", "names"),
    [
        (
            "pseudo-label",
            "images.jsonl",
            '{"key": "a"}\n{"key":\n',
            ["label_ids/a.png", "confidence/a.png", "easy.txt"],
        ),
        ("suspects", "suspicion.json", '{"images": [{"key": "a"}]}', ["doubt/a.png", "student/a.png"]),
        ("adapt-2", "checkpoint.pt", "x", ["student.safetensors", "teacher.safetensors", "choice.json", "best.pt"]),
        ("evaluate", "adapt-1.json", "x", ["source.json", "baseline.json"]),
        ("export", "adapted.pth", "x", ["adapted.onnx", "adapted.pt", "adapted.safetensors"]),
    ],
)
def test_what_version_0_1_wrote_for_each_stage_is_known(tmp_path, key, index, text, names):
    from crots.earlier import earlier_names

    write(tmp_path / index, text)
    for name in (*names, "of the user.png", "label_ids/of the user.png"):
        write(tmp_path / name)
    assert earlier_names(key, tmp_path) == {index, *names}


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '{"patches": 3}', "[" * 100_000, "\0"])
def test_a_damaged_index_of_version_0_1_names_nothing_else(tmp_path, text):
    from crots.earlier import earlier_names

    for name in ("patches.json", "images.jsonl", "suspicion.json"):
        write(tmp_path / name, text)
    assert earlier_names("mine", tmp_path) == {"patches.json"}
    assert earlier_names("pseudo-label", tmp_path) == {"images.jsonl"}
    assert earlier_names("suspects", tmp_path) == {"suspicion.json"}


@POSIX
def test_a_pipe_among_the_records_does_not_block(tmp_path):
    from crots.earlier import earlier_names

    files = stage(tmp_path)
    for name in ("patches.json", "images.jsonl", "suspicion.json"):
        os.mkfifo(tmp_path / name)
    for key in ("mine", "pseudo-label", "suspects"):
        assert earlier_names(key, tmp_path) == set()
    files.records.mkdir(parents=True)
    os.mkfifo(files.started)
    assert not files.continues({"steps": 1})


segments = st.sampled_from(["a", "b", "labels", "index.json", ".."])
paths = st.lists(segments, min_size=1, max_size=3).map("/".join).filter(lambda name: ".." not in name.split("/"))
wild = st.lists(segments, min_size=1, max_size=4).map("/".join)
trees = st.dictionaries(paths, st.just("of the user"), max_size=5)


@POSIX
@given(
    theirs=trees,
    links=st.lists(st.tuples(paths, st.sampled_from(["patches", "unfinished/mine", "records", "."])), max_size=2),
    listing=st.lists(wild, max_size=5),
    journal=st.none() | st.lists(wild, max_size=4),
    results=st.lists(st.dictionaries(paths, st.text(max_size=3), min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_whatever_lies_there_the_files_of_others_stay(tmp_path_factory, theirs, links, listing, journal, results):
    base = tmp_path_factory.mktemp("wild")
    root, outside = base / "project", base / "outside"
    files = stage(root)
    for name in ("a", "labels/a", "mine/a", "index.json"):
        write(outside / name, "of the user")
    for place in (root / "patches", root / "notes", files.work):
        for name, text in theirs.items():
            try:
                write(place / name, text)
            except OSError:
                continue
    for name, place in links:
        link = root / place / name
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(outside, target_is_directory=True)
        except OSError:
            continue
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file() and not path.is_symlink()}
    try:
        if listing:
            lines = ["# Files made by the stage mine", *map(json.dumps, listing)]
            write(root / "records" / "mine.files", "\n".join(lines) + "\n")
        if journal is not None:
            write(root / "records" / "mine.publishing.json", json.dumps({"files": journal, "record": {}}))
    except OSError:
        pass
    claimed = {root / "patches" / name for name in listing}
    moved = {files.work / name for name in journal or ()}
    for number, result in enumerate(results):
        try:
            files.begin({"steps": number})
            for name, text in result.items():
                write(files.work / name, text)
            files.publish({})
        except (InputError, OSError):
            continue
    # A listing and a journal are CROTS's word: what they name below the folder counts as its own.
    kept = {path: data for path, data in before.items() if path not in claimed | moved}
    kept = {path: data for path, data in kept.items() if journal is None or files.work not in path.parents}
    assert {path: path.read_bytes() if path.is_file() else None for path in kept} == kept
