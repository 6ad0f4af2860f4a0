"""A project replaces and deletes only what it made: inputs, files of the user's and what links lead to stay."""

import contextlib
import json
import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crots.cli.main import main
from crots.config import Size
from crots.data.cache import ImageCache
from crots.errors import InputError
from crots.eventlog import EventLog, running
from crots.events import ArtifactWritten, Note, StageFinished, StageStarted
from crots.files import remove_partials, write_json
from crots.images import write_image
from crots.label_files import write_labels
from crots.project import Project, unfit
from crots.project_config import build_config, override
from crots.project_status import statuses
from crots.runner import discard, locked, run_project, tidy
from crots.training.patch_set import PatchCorrections
from tests import saved

pytestmark = pytest.mark.safety

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights there")
INPUTS = ("data.target", "data.val_images", "data.val_labels", "source.file", "source.predictions",
          "source.confidence", "student.weights", "task.class_map", "task.classes", "task.source_classes")  # fmt: skip
PLACES = ("pseudo-labels/label_ids", "patches", "baseline", "adapt-1", "evaluation", "export", "cache", "records",
          "unfinished/mine", "compare", "suspicion", "corrections/label_ids", "studio")  # fmt: skip


def write(path, text="of the user"):
    return saved.write(path, text)


def content(folder):
    """All bytes below a folder by path, with what links lead to."""
    return {path: path.readlink() if path.is_symlink() else path.read_bytes()
            for path in Path(folder).rglob("*") if path.is_symlink() or path.is_file()}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    for number in range(2):
        write_image(tmp_path / "images" / f"{number}.png", np.zeros((4, 4, 3), np.uint8))
    values = {"data": {"target": str(tmp_path / "images")}, "adapt": {"rounds": 1}, "student": {"weights": "random"}}
    return Project.create(tmp_path / "project", build_config(values))


def cheap(text="1"):
    """Stages that run no network: each writes a few files where its results are made."""

    def events(project, context):
        names = {"pseudo-label": ["label_ids/0.png", "images.jsonl"], "mine": ["labels/0_1.png", "patches.json"],
                 "export": ["adapted.pth"]}.get(context.stage, ["student.safetensors", "checkpoint.pt"])  # fmt: skip
        yield StageStarted(stage=context.stage, total=1)
        for name in names:
            path = write(project.work_folder(context.stage) / name, text)
            context.check()
            yield ArtifactWritten(stage=context.stage, kind="file", path=str(path))

    return mock.patch("crots.stages.project_stages.stage_events", events)


def run(project, text="1", **more):
    with cheap(text):
        return list(run_project(project, **more))


def interrupt(project, key, text="2"):
    """Runs a stage up to its first file, as a kill would end it."""
    with cheap(text):
        running = run_project(project, only=key)
        for event in running:
            if isinstance(event, ArtifactWritten):
                break
        running.close()


def states(project):
    return {status.key: status.state for status in statuses(project)}


# Inputs where the project writes (H1).


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("option", INPUTS)
def test_an_input_where_the_project_writes_is_refused_by_a_run(project, option, place):
    theirs = write(project.folder / place / "mine.toml")
    named = theirs if option in ("source.file", "student.weights") or option.startswith("task") else theirs.parent
    project.config = override(project.config, {option: str(named)})
    before = content(project.folder)
    with pytest.raises(InputError, match="where CROTS writes and would replace it; move it elsewhere") as error:
        run(project)
    assert error.value.field == option and str(named) in str(error.value) and "\n" not in str(error.value)
    assert {path: data for path, data in content(project.folder).items() if path.name != ".lock"} == before


@POSIX
def test_an_input_is_known_under_another_name(project, tmp_path):
    theirs = write(project.folder / "baseline" / "source.pth")
    (tmp_path / "elsewhere").symlink_to(theirs.parent)
    project.config = override(project.config, {"source.file": str(tmp_path / "elsewhere" / "source.pth")})
    with pytest.raises(InputError, match="baseline, where CROTS writes"):
        run(project)


def test_inputs_around_and_beside_what_is_written_are_used(tmp_path):
    write_image(tmp_path / "0.png", np.zeros((4, 4, 3), np.uint8))
    project = Project.create(tmp_path / "project", build_config({"data": {"target": str(tmp_path)}}))
    write(project.folder / "source" / "student.safetensors")
    write(project.folder / "class-map.toml")
    project.config = override(
        project.config, {"source.file": "source/student.safetensors", "task.class_map": "class-map.toml"}
    )
    assert run(project, until="pseudo-label")[-1].outcome == "completed"


def test_init_keeps_predictions_that_lie_where_it_would_write(tmp_path, capsys):
    theirs = write(tmp_path / "P" / "pseudo-labels" / "label_ids" / "0.png")
    write_image(tmp_path / "images" / "0.png", np.zeros((4, 4, 3), np.uint8))
    words = ["--target", str(tmp_path / "images"), "--classes", "camvid", "--predictions", str(theirs.parent)]
    assert main(["init", str(tmp_path / "P"), *words]) == 2
    assert "is in use, it holds pseudo-labels" in capsys.readouterr().err
    assert content(tmp_path / "P") == {theirs: b"of the user"}


# Folders in use (H2).


@pytest.mark.parametrize("name", ["patches/labels/handmade.png", "export/adapted.onnx", ".hidden"])
def test_a_folder_in_use_becomes_no_project(tmp_path, name):
    write(tmp_path / "E" / name)
    before = content(tmp_path)
    with pytest.raises(InputError, match=rf"is in use, it holds {name.split('/')[0]}; choose an empty or a new"):
        Project.create(tmp_path / "E", build_config({}))
    assert content(tmp_path) == before


def test_a_file_becomes_no_project_and_an_empty_folder_does(tmp_path):
    write(tmp_path / "file")
    with pytest.raises(InputError, match="is not a folder"):
        Project.create(tmp_path / "file", build_config({}))
    (tmp_path / "empty").mkdir()
    with mock.patch.object(Path, "iterdir", side_effect=PermissionError(13, "Permission denied")):
        assert "cannot be read (Permission denied)" in unfit(tmp_path / "empty")
    assert Project.create(tmp_path / "empty", build_config({})).folder == tmp_path / "empty"


def test_the_demonstration_replaces_nothing_of_another_project(project, capsys):
    write(project.folder / "source" / "student.safetensors")
    write(project.folder / "data" / "target" / "images" / "0.png")
    before = content(project.folder)
    assert main(["demo", str(project.folder), "--tiny"]) == 2
    assert "holds another project; choose another folder" in capsys.readouterr().err
    assert content(project.folder) == before


def test_the_demonstration_goes_into_no_folder_in_use(tmp_path, capsys):
    write(tmp_path / "D" / "source" / "student.safetensors")
    before = content(tmp_path)
    assert main(["demo", str(tmp_path / "D"), "--tiny"]) == 2
    assert "is in use, it holds source" in capsys.readouterr().err
    assert content(tmp_path) == before


def test_the_demonstration_trains_over_no_model_that_it_did_not_train(tmp_path):
    from crots.demo.run import TINY, DemoJob, open_project, train_source
    from crots.execution.context import Context

    project = open_project(tmp_path / "D", TINY)
    theirs = write(project.folder / "source" / "student.safetensors")
    with pytest.raises(InputError, match="was not made by CROTS"):
        list(train_source(DemoJob(project, TINY), Context("train", resume=True)))
    assert theirs.read_text() == "of the user"
    assert open_project(tmp_path / "D", TINY).config == project.config


# What is thrown away and replaced (H3, and results that stay until the next is complete).


def test_discarding_the_export_keeps_what_the_user_put_there(project):
    run(project, until="adapt-1")
    theirs = write(project.stage_folder("export") / "delivered.onnx")
    interrupt(project, "export")
    assert states(project)["export"] == "interrupted"
    discard(project, "export")
    assert content(project.stage_folder("export")) == {theirs: b"of the user"}
    assert states(project)["export"] == "ready" and not project.work_folder("export").exists()
    assert run(project)[-1].outcome == "completed"
    assert run(project, "2", only="export")[-1].outcome == "completed"
    assert theirs.read_text() == "of the user"


def test_cancel_and_discard_keep_the_result_before(project):
    run(project)
    before = {key: content(project.stage_folder(key)) for key in project.stage_keys()}
    records = content(project.folder / "records")
    project.config = override(project.config, {"baseline.learning_rate": 0.5})
    interrupt(project, "baseline")
    status = {status.key: status for status in statuses(project)}["baseline"]
    assert status.state == "interrupted" and "the previous result stays until then" in status.reason
    assert content(project.stage_folder("baseline")) == before["baseline"]
    discard(project, "baseline")
    assert {key: content(project.stage_folder(key)) for key in project.stage_keys()} == before
    assert content(project.folder / "records") == records
    assert states(project)["baseline"] == "stale"


def test_the_result_before_counts_again_where_the_options_are_changed_back(project):
    run(project)
    config = project.config
    project.config = override(config, {"baseline.learning_rate": 0.5})
    interrupt(project, "baseline")
    project.config = config
    assert set(states(project).values()) == {"done"} and run(project) == []


def test_a_later_stage_does_not_build_on_the_old_result_of_one_that_is_interrupted(project):
    run(project)
    project.config = override(project.config, {"pseudo_label.flip": False})
    interrupt(project, "pseudo-label")
    for key in ("mine", "baseline", "adapt-1", "export"):
        end = run(project, only=key)[-1]
        assert (end.outcome, end.exit_code) == ("failed", 2)
        assert end.message == f"{key}: pseudo-label, which it builds on, is interrupted; finish that first"
    assert {event.outcome for event in run(project, "2") if isinstance(event, StageFinished)} == {"completed"}
    assert set(states(project).values()) == {"done"}


def test_events_name_the_place_where_files_will_be(project):
    events = run(project)
    paths = [Path(event.path) for event in events if isinstance(event, ArtifactWritten)]
    assert paths and all(path.is_file() and "unfinished" not in path.parts for path in paths)
    assert f"{project.folder / 'unfinished'}" not in project.events_path.read_text()


def test_what_people_are_shown_of_a_stage(project):
    work, final = project.work_folder("pseudo-label"), project.stage_folder("pseudo-label")
    assert project.shown_folder("pseudo-label") == final
    interrupt(project, "pseudo-label")
    assert project.shown_folder("pseudo-label") == work
    run(project, until="pseudo-label")
    interrupt(project, "pseudo-label")
    assert project.shown_folder("pseudo-label") == final


@pytest.mark.parametrize("name", ["patches/notes.txt", "patches/labels/handmade.png", "evaluation/mine.json"])
def test_a_run_names_the_first_file_that_is_in_its_way_and_keeps_it(project, name):
    for image in (project.folder.parent / "images").iterdir():
        write_labels(project.folder.parent / "labels" / image.name, np.zeros((4, 4), np.uint8))
    project.config = override(project.config, {"data.val_images": "../images", "data.val_labels": "../labels"})
    run(project)
    write(project.folder / name)
    project.config = override(project.config, {"pseudo_label.flip": False, "evaluate.flip": False})
    before = content(project.folder / name.split("/")[0])
    ends = [event for event in run(project, "2") if isinstance(event, StageFinished)]
    assert ends[-1].outcome == "failed" and ends[-1].exit_code == 2
    assert f"{project.folder / name}: was not made by CROTS" in ends[-1].message
    assert content(project.folder / name.split("/")[0]) == before


# Links (H4, C3).


@POSIX
@pytest.mark.parametrize("name", [*dict.fromkeys(place.split("/")[0] for place in PLACES)])
def test_a_folder_that_is_a_link_is_refused_and_what_it_leads_to_stays(project, tmp_path, name):
    theirs = write(tmp_path / "elsewhere" / "labels" / "a.png")
    (project.folder / name).symlink_to(tmp_path / "elsewhere")
    for act in (lambda: run(project), lambda: discard(project, "mine")):
        with pytest.raises(InputError, match=rf"{name}: is a link, expected a folder that CROTS writes to; move it"):
            act()
    tidy(project)
    assert content(tmp_path / "elsewhere") == {theirs: b"of the user"}


@POSIX
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize("name", ["events.jsonl", ".lock", "records/mine.json", "studio/run.log"])
def test_what_is_no_file_in_the_place_of_one_is_refused(project, tmp_path, name, kind):
    theirs, place = write(tmp_path / ".profile", "echo\n"), project.folder / name
    place.parent.mkdir(exist_ok=True)
    {"link": lambda: place.symlink_to(theirs), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()
    if kind == "folder" and "/" in name:
        pytest.skip("a folder among those notes is in nobody's way")
    for act in (lambda: run(project), lambda: discard(project, "mine")):
        with pytest.raises(InputError, match=f"is a {kind}, expected a file that CROTS writes to"):
            act()
    if name == ".lock":
        assert not running(project.lock_path) and statuses(project)
    assert theirs.read_text() == "echo\n"


@POSIX
def test_the_stream_of_events_is_written_through_no_link(tmp_path):
    theirs, path = write(tmp_path / ".profile", "echo\n"), tmp_path / "project" / "events.jsonl"
    log = EventLog(path)
    log.append(Note(stage="mine", text="a"))
    path.unlink()
    path.symlink_to(theirs)
    with pytest.raises(InputError, match=r"events\.jsonl: is a link"):
        log.append(Note(stage="mine", text="$(touch x)"))
    with pytest.raises(InputError, match=r"events\.jsonl: is a link"):
        EventLog(path)
    assert theirs.read_text() == "echo\n"


@POSIX
def test_half_written_files_are_looked_for_behind_no_link(tmp_path):
    theirs = write(tmp_path / "elsewhere" / ".0123abcd.partial.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(theirs.parent)
    (tmp_path / "link").symlink_to(theirs.parent)
    remove_partials(tmp_path / "folder")
    remove_partials(tmp_path / "link")
    assert theirs.exists()


def test_tidying_deletes_only_what_has_the_name_of_a_half_written_file(project):
    theirs = write(project.folder / ".notes.partial.jsonl")
    ours = write(project.folder / ".0123abcd.partial.jsonl")
    tidy(project)
    assert theirs.exists() and not ours.exists()


@POSIX
def test_the_cache_writes_and_deletes_nothing_behind_a_link(tmp_path):
    picture = tmp_path / "0.png"
    write_image(picture, np.zeros((4, 4, 3), np.uint8))
    cache = ImageCache(tmp_path / "cache", Size(2, 2), 10**6)
    cache.get(picture)
    (entry,) = (tmp_path / "cache").rglob("*.npy")
    place = entry.name.split("-")[0]
    for name in (f"{place}-mine.npy", f"{place}-notes.npy"):
        write(entry.with_name(name))
    os.utime(picture, ns=(1, 1))
    cache.get(picture)
    assert not entry.exists() and (entry.with_name(f"{place}-mine.npy")).exists()
    entry.parent.rename(tmp_path / "elsewhere")
    entry.parent.symlink_to(tmp_path / "elsewhere")
    before = content(tmp_path / "elsewhere")
    os.utime(picture, ns=(2, 2))
    cache.get(picture)
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    ImageCache(tmp_path / "linked", Size(2, 2), 10**6).get(picture)
    assert content(tmp_path / "elsewhere") == before


@POSIX
@pytest.mark.parametrize("name", ["corrections", "corrections/patches.json"])
def test_corrections_are_written_through_no_link(tmp_path, name):
    theirs = write(tmp_path / "elsewhere" / "patches.json")
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(theirs if name.endswith("json") else theirs.parent)
    with pytest.raises(InputError, match="is a link"):
        PatchCorrections(frozenset({"a"})).write(tmp_path / "corrections")
    assert theirs.read_text() == "of the user"


@POSIX
def test_a_branch_of_a_comparison_begins_behind_no_link(project, tmp_path):
    from crots.comparison.plan import Branch

    home = project.folder / "compare" / "seed-0" / "tent"
    theirs = write(tmp_path / "elsewhere" / "adapt-1" / "student.safetensors")
    home.parent.mkdir(parents=True)
    home.symlink_to(tmp_path / "elsewhere")
    branch = Branch(project, project.config, home, {})
    for act in (lambda: branch.begin("adapt-1"), branch.check_places):
        with pytest.raises(InputError, match="tent: is a link, expected a folder"):
            act()
    assert content(tmp_path / "elsewhere") == {theirs: b"of the user"}


def test_a_branch_keeps_its_result_until_the_next_is_complete(project):
    from crots.comparison.plan import Branch

    branch = Branch(project, project.config, project.folder / "compare" / "tent", {})
    branch.begin("adapt-1")
    write(branch.work_folder("adapt-1") / "student.safetensors", "1")
    write(branch.work_folder("adapt-1") / "checkpoint.pt", "1")
    branch.finish("adapt-1", 1.0, None, without=("checkpoint.pt",))
    assert branch.finished("adapt-1") and [*branch.stage_folder("adapt-1").iterdir()] == [
        branch.stage_folder("adapt-1") / "student.safetensors"
    ]
    branch.config = override(branch.config, {"adapt.steps": 3})
    branch.begin("adapt-1")
    assert (branch.stage_folder("adapt-1") / "student.safetensors").read_text() == "1"


names = st.sampled_from(
    ["pseudo-labels", "label_ids", "0.png", "images.jsonl", "patches", "labels", "baseline", "student.safetensors",
     "records", "mine.json", "mine.files", "mine.started.json", "export", "adapted.pth", "mine", "unfinished", "cache",
     "events.jsonl", ".lock", "studio", "corrections", "patches.json", "suspicion", "compare", "0", "notes.txt"]
)  # fmt: skip
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@POSIX
@settings(max_examples=40)
@given(
    files=st.lists(paths, max_size=4),
    links=st.lists(paths, max_size=2),
    listed=st.lists(st.one_of(paths, paths.map(lambda path: f"../{path}"), st.just("/etc/passwd")), max_size=3),
    options=st.lists(st.tuples(st.sampled_from(INPUTS), paths), max_size=2),
    first=st.booleans(),
)
def test_whatever_a_project_holds_a_run_and_a_discard_keep_it(tmp_path_factory, files, links, listed, options, first):
    base = tmp_path_factory.mktemp("wild")
    write_image(base / "images" / "0.png", np.zeros((4, 4, 3), np.uint8))
    values = {"data": {"target": str(base / "images")}, "adapt": {"rounds": 1}}
    project = Project.create(base / "project", build_config(values))
    for name in ("a", "label_ids/0.png", "patches/labels/0_1.png", "student.safetensors"):
        write(base / "outside" / name)
    if first:
        run(project)
    theirs = {}
    for name in files:
        try:
            path = project.folder / name
            if not path.exists():
                theirs[write(path)] = b"of the user"
        except OSError:
            continue
    for name in links:
        try:
            path = project.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(base / "outside")
        except OSError:
            continue
    kept = {path: data for path, data in theirs.items() if path.parent != project.folder / "records"}
    if listed:
        lines = ["# Files made by the stage mine", *map(json.dumps, listed)]
        with contextlib.suppress(OSError):
            write(project.folder / "records" / "mine.files", "\n".join(lines) + "\n")
        # What the listing names below its folder is CROTS's own.
        kept = {path: data for path, data in kept.items() if project.stage_folder("mine") not in path.parents}
    # Taken last: the listing above may itself have gone through a link.
    outside = content(base / "outside") | content(base / "images")
    settings = {option: str(project.folder / name) for option, name in options if (project.folder / name).exists()}
    project.config = override(project.config, settings | {"pseudo_label.flip": False})
    unfinished = project.folder / "unfinished"
    for act in (lambda: run(project, "2"), lambda: discard(project, "mine"), lambda: interrupt(project, "baseline")):
        try:
            act()
        except (InputError, OSError):
            continue
    assert content(base / "outside") | content(base / "images") == outside
    # Work that was begun is CROTS's, with what somebody puts among it.
    kept = {path: data for path, data in kept.items() if unfinished not in path.parents}
    assert {path: path.read_bytes() if path.is_file() else None for path in kept} == kept


def test_a_lock_is_taken_and_given_back(project):
    with locked(project):
        assert running(project.lock_path)
    assert not running(project.lock_path)
    write_json(project.folder / "records" / "mine.json", {})
    with locked(project):
        pass


def test_a_file_of_the_users_in_the_place_of_the_lock_is_kept(project):
    write(project.lock_path)
    assert not running(project.lock_path)
    with pytest.raises(InputError, match=r"\.lock: found a file with content"), locked(project):
        pass
    assert project.lock_path.read_bytes() == b"of the user"
