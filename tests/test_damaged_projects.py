"""A project whose files are damaged or a stranger's: every reader gives an answer or one line."""

import contextlib
import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crots.cli.main import main
from crots.comparison.table import read_results, read_score
from crots.errors import CrotsError
from crots.eventlog import EventLog, read_events
from crots.events import Progress
from crots.files import write_json
from crots.project import Project
from crots.project_config import build_config
from crots.project_status import statuses
from crots.stages.pseudo_label import read_rows
from crots.stages.suspicion_file import load_suspicion
from crots.taxonomy import load_class_set
from crots.training.patch_set import PatchCorrections, load_index
from crots_studio.models.history import History
from crots_studio.models.iou import Scores, read_reports
from crots_studio.models.label_list import read_labelled
from crots_studio.models.methods_table import MethodsTable
from crots_studio.models.patch_gallery import PatchGallery, read_statistics
from crots_studio.models.suspicion import Suspicion
from crots_studio.runs.child import remembered

pytestmark = pytest.mark.safety

CLASSES = load_class_set("camvid")
K = len(CLASSES)
SPREAD = {"mean": 0.5, "deviation": None, "values": [0.5]}
ROW = {
    "method": "adapt", "title": "t", "about": "a", "note": "", "checkpoint": "last", "oracle": False, "seeds": [0],
    "miou": SPREAD, "per_class_iou": dict.fromkeys(CLASSES.names, SPREAD), "difference": None,
    "cost": {"steps": 1, "passes": 1, "seconds": SPREAD},
}  # fmt: skip
IMAGE = {"key": "a", "image": "a.png", "entropy": 0.5, "pixels": [1] * K, "confidence": [0.5] * K, "images": [1] * K}
FILES = {
    "records/baseline.json": {"inputs": {"a": {"b": 1}}, "seconds": 1.5, "miou": 0.5},
    "records/mine.started.json": {"inputs": {}},
    "baseline/choice.json": {"words": "kept", "ends_rounds": "", "oracle": {"miou": 0.5}},
    "records/evaluate.json": {"inputs": {}, "seconds": 1.0, "miou": None},
    "evaluation/baseline.json": {"miou": 0.5, "per_class_iou": {"sky": 0.5}, "images": 3, "confusion": [[1]]},
    "pseudo-labels/statistics.json": {"pixels": [1] * K, "confidence": [0.5] * K, "images": [1] * K},
    "patches/patches.json": {
        "grid": "2x2", "rare": [{"id": 1, "name": "n", "reason": "r"}],
        "patches": [{"name": "a_1", "image": "a", "cell": 1, "pixels": {"1": 5}, "confidence": 0.5, "classes": [1]}],
    },
    "corrections/patches.json": {"rejected": ["a_1"], "relabelled": {"a_1": {"1": 2}}},
    "suspicion/suspicion.json": {
        "images": [{"key": "a", "doubt": 0.5, "suspicious": 0.5, "regions": 1}],
        "regions": [{"key": "a", "box": [1, 2, 3, 4], "reason": "r"}],
    },
    "compare/results.json": {
        "complete": True, "seeds": [0], "classes": list(CLASSES.names), "images": 1, "reference": "adapt",
        "budget": {"batch": 1, "baseline steps": 1, "steps a round": 1, "rounds": 1}, "rows": [ROW],
    },
    "compare/score.json": {
        "inputs": "x", "seed": 0, "seconds": 1.0,
        "report": {"miou": 0.5, "per_class_iou": dict.fromkeys(CLASSES.names, 0.5), "images": 1},
    },
    "studio/run.json": {"pid": 1, "started": 1.0, "seeds": [0], "steps": 1},
    "pseudo-labels/images.jsonl": IMAGE,
    "pseudo-labels/hard.txt": "a.png 0.5",
    "events.jsonl": {"event": "Metrics", "stage": "baseline", "time": 1.0, "step": 1, "values": {"x": 1.0}},
    "crots.toml": "format = 1\nprofile = 'corrected'\n[task]\nclasses = 'camvid'\n",
    ".lock": "",
}  # fmt: skip
WILD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), st.text(max_size=5),
    st.sampled_from(["../../x", "/etc/passwd", "\ud800", "\0", [], {}, [[]], [{}], {"a": 1}, -1, 1 << 40, 1e300]),
)  # fmt: skip


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged") / "p"
    project = Project.create(folder, build_config({"adapt": {"rounds": 2}}))
    restore(project.folder, FILES)
    return project


def restore(folder, names):
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(FILES[name]), encoding="utf-8")


def read_all(folder):
    """Reads the project as the command line and every panel of the studio do."""
    assert main(["status", str(folder)]) in (0, 1, 2)
    labels, scores = folder / "pseudo-labels", []
    readers = (
        lambda: statuses(Project.open(folder)),
        lambda: scores.extend(read_reports(folder / "evaluation")),
        lambda: Scores.of_history(History.read(folder / "events.jsonl"), scores),
        lambda: read_rows(labels / "images.jsonl", K),
        lambda: read_labelled(labels, folder, CLASSES),
        lambda: read_statistics(labels, CLASSES),
        lambda: PatchGallery.open(folder / "patches").counts(PatchCorrections.read(folder / "corrections")),
        lambda: load_index(folder / "patches"),
        lambda: Suspicion.read(folder),
        lambda: load_suspicion(folder / "suspicion" / "suspicion.json"),
        lambda: MethodsTable.read(folder).caption,
        lambda: read_results(folder / "compare" / "results.json"),
        lambda: read_score(folder / "compare" / "score.json", CLASSES.names),
        lambda: remembered(Project(folder, build_config({}))),
        lambda: list(read_events(folder / "events.jsonl")),
        lambda: EventLog(folder / "events.jsonl"),
    )
    for reader in readers:
        with contextlib.suppress(CrotsError):
            reader()


def no_fault(capsys, folder):
    read_all(folder)
    message = capsys.readouterr().err
    assert "a bug in CROTS" not in message and "Traceback" not in message


def test_a_valid_project_is_read(project, capsys):
    assert main(["status", str(project.folder)]) == 0
    assert PatchCorrections.read(project.folder / "corrections").rejected == {"a_1"}
    assert (
        len(PatchGallery.open(project.folder / "patches"))
        == len(read_rows(project.folder / "pseudo-labels/images.jsonl", K))
        == 1
    )
    assert MethodsTable.read(project.folder) and Suspicion.read(project.folder).regions
    assert read_score(project.folder / "compare/score.json", CLASSES.names) and read_reports(
        project.folder / "evaluation"
    )
    no_fault(capsys, project.folder)


def changed(value, draw):
    """One place of plain data, at any depth, made something else, left out, or joined by something wild."""
    if isinstance(value, (dict, list)) and value and draw(st.integers(0, 3)):
        copy = value.copy()
        place = (
            draw(st.sampled_from(sorted(value))) if isinstance(value, dict) else draw(st.integers(0, len(value) - 1))
        )
        if draw(st.integers(0, 5)) == 0:
            del copy[place]
        else:
            copy[place] = changed(value[place], draw)
        return copy
    return draw(WILD)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_any_damage_is_one_line_or_passed_over(project, capsys, data):
    name = data.draw(st.sampled_from(sorted(FILES)))
    path = project.folder / name
    try:
        if isinstance(FILES[name], dict) and data.draw(st.booleans()):
            path.write_text(json.dumps(changed(FILES[name], data.draw)) + "\n", encoding="utf-8")
        else:
            content = bytearray(text_of(FILES[name]).encode())
            for _ in range(data.draw(st.integers(0, 3))):
                content[data.draw(st.integers(0, max(0, len(content) - 1))) :][:1] = data.draw(st.binary(max_size=3))
            cut = data.draw(st.integers(0, len(content)))
            path.write_bytes(data.draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe"])) + bytes(content[:cut]))
        no_fault(capsys, project.folder)
    finally:
        restore(project.folder, [name])


def make_folder(path):
    path.mkdir()


def make_pipe(path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names there")
    os.mkfifo(path)


def make_dangling(path):
    path.symlink_to(path.with_name("gone"))


def make_circle(path):
    path.symlink_to(path.name)


def make_deep(path):
    path.write_text('{"inputs":' * 100_000)


@pytest.mark.parametrize("make", [make_folder, make_pipe, make_dangling, make_circle, make_deep])
@pytest.mark.parametrize("name", sorted(FILES))
def test_what_is_no_file_is_one_line_or_passed_over(project, capsys, name, make):
    path = project.folder / name
    path.unlink()
    try:
        make(path)
        no_fault(capsys, project.folder)
    finally:
        for left in (path, path.with_name("gone")):
            left.unlink(missing_ok=True) if left.is_symlink() or not left.is_dir() else None
        restore(project.folder, [name])


@pytest.mark.parametrize("content", ["[]", "{", '{"inputs": 3}', '{"inputs": {}, "seconds": "long"}', "null"])
def test_a_damaged_record_is_named_with_the_way_out(project, capsys, content):
    (project.folder / "records" / "baseline.json").write_text(content)
    assert main(["status", str(project.folder)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "baseline.json: is damaged" in message and "delete it and run again" in message
    (project.folder / "records" / "baseline.json").unlink()
    assert main(["status", str(project.folder)]) == 0
    restore(project.folder, ["records/baseline.json"])


@pytest.mark.parametrize("content", ['{"rejected": ["a_1"], "rel', "[]", "", '{"rejected": {"a": 1}}'])
def test_torn_corrections_are_never_taken_for_none_nor_overwritten(tmp_path, content):
    path = tmp_path / "patches.json"
    path.write_text(content)
    with pytest.raises(CrotsError, match=r"patches\.json: is damaged .*repair it, or move it away"):
        PatchCorrections.read(tmp_path)
    with pytest.raises(CrotsError, match="is damaged"):
        PatchCorrections(frozenset({"b_2"})).write(tmp_path)
    assert path.read_text() == content


def test_keys_that_lead_out_of_the_project_are_left_out(tmp_path):
    rows = [
        {**IMAGE, name: value} for name in ("key", "image") for value in ("../../secret", "/etc/passwd", "a/../../b")
    ]
    (tmp_path / "images.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, IMAGE]))
    listed = read_labelled(tmp_path, tmp_path / "images", CLASSES)
    assert listed.keys == ("a",) and listed.path(0) == tmp_path / "images" / "a.png"
    index = FILES["patches/patches.json"]
    write_json(tmp_path / "patches.json", {**index, "patches": [{**index["patches"][0], "name": "../../x"}]})
    with pytest.raises(CrotsError, match="is damaged"):
        PatchGallery.open(tmp_path)


def test_events_with_fields_of_a_wrong_type_are_passed_over(tmp_path):
    sound = Progress(stage="baseline", done=1, total=2)
    path = tmp_path / "events.jsonl"
    EventLog(path).append(sound)
    with path.open("a") as file:
        for line in (
            {"event": "Progress", "stage": "b", "time": 1, "done": "1", "total": 2},
            {"event": "Metrics", "stage": "b", "time": 1, "step": 1, "values": {"x": None}},
            {"event": "StageFinished", "stage": "b", "time": 1, "outcome": "lost", "seconds": 1},
            {"event": "StageStarted", "stage": "b", "time": 1e300, "total": 1},
            {"event": ["Progress"], "stage": "b"},
        ):
            file.write(json.dumps(line) + "\n")
        file.write("[" * 100_000 + "\n")
    EventLog(path).append(sound)
    assert list(read_events(path)) == [sound, sound]
