"""What commands outside a project may write over: their own earlier results, never what they read or others made."""

import contextlib
import json
import os
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crots.cli.main import main
from crots.cli.outputs import LISTING, check_file, claimed, event_file
from crots.data.datasets import Sample
from crots.errors import InputError
from crots.events import Note, to_json
from crots.inputs import refuse_inputs
from crots.project import Project
from crots.project_config import ProjectConfig

pytestmark = pytest.mark.safety

links = pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
RESULTS = ("label_ids", "easy.txt")
RECORD = {"command": "predict"}


def contents(folder):
    """Every file below a folder with its bytes, and every link with its target."""
    return {
        path.relative_to(folder).as_posix(): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def write(out, *names):
    for name in names:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"by the command: {name}")


def run(out, *names, overwrite=False, clear=True, samples=(), inputs=()):
    """A command that writes some files."""
    claim = claimed(out, inputs, RESULTS, RECORD, overwrite=overwrite, clear=clear)
    claim.take(samples)
    write(out, *names)
    return claim


def complete(*args, **kwargs):
    run(*args, **kwargs).settle()


# Folders.


def test_a_result_is_replaced_by_the_same_command(tmp_path):
    complete(tmp_path, "label_ids/a.png", "label_ids/b/c.png", "easy.txt")
    complete(tmp_path, "label_ids/a.png")
    assert set(contents(tmp_path)) == {"label_ids/a.png", "run.json", LISTING}


def test_a_result_of_another_command_is_kept(tmp_path):
    complete(tmp_path, "label_ids/a.png")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="crots mine did not write"):
        claimed(tmp_path, (), RESULTS, {"command": "mine"})
    with pytest.raises(InputError, match=r"run\.json"):
        claimed(tmp_path, (), ("patches",), {"command": "mine"})
    assert contents(tmp_path) == before


def test_what_was_put_among_the_results_is_kept(tmp_path):
    complete(tmp_path, "label_ids/a.png")
    (tmp_path / "label_ids" / "handmade.png").write_text("mine")
    with pytest.raises(InputError, match=r"handmade\.png.*--overwrite"):
        run(tmp_path, "label_ids/a.png")
    complete(tmp_path, "label_ids/b.png", overwrite=True)
    assert (tmp_path / "label_ids" / "handmade.png").read_text() == "mine"
    assert not (tmp_path / "label_ids" / "a.png").exists()
    # It does not become the command's own by that.
    with pytest.raises(InputError, match=r"handmade\.png"):
        run(tmp_path, "label_ids/a.png")


def test_a_killed_run_can_be_repeated(tmp_path):
    complete(tmp_path, "label_ids/a.png")
    run(tmp_path, "label_ids/b.png")
    complete(tmp_path, "label_ids/c.png")
    assert set(contents(tmp_path)) == {"label_ids/c.png", "run.json", LISTING}


def test_nothing_is_deleted_where_the_inputs_prove_bad(tmp_path):
    complete(tmp_path, "label_ids/a.png")
    before = contents(tmp_path)
    claimed(tmp_path, (), RESULTS, RECORD)
    assert contents(tmp_path) == before


def test_without_clearing_others_stay(tmp_path):
    complete(tmp_path, "label_ids/a.png", clear=False)
    complete(tmp_path, "label_ids/b.png", clear=False)
    complete(tmp_path, "label_ids/a.png", clear=False)
    assert {"label_ids/a.png", "label_ids/b.png"} < set(contents(tmp_path))


@links
@pytest.mark.parametrize("place", ["label_ids", "label_ids/sub", "label_ids/a.png", "easy.txt"])
def test_nothing_is_written_through_a_link(tmp_path, place):
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    (elsewhere / "folder").mkdir(parents=True)
    write(elsewhere, "folder/a.png", "file")
    (out / place).parent.mkdir(parents=True)
    (out / place).symlink_to(elsewhere / ("file" if "." in place else "folder"))
    with pytest.raises(InputError, match="link"):
        run(out, "label_ids/a.png", overwrite=True)


@links
def test_a_folder_that_the_user_named_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real", target_is_directory=True)
    complete(tmp_path / "out", "label_ids/a.png")
    complete(tmp_path / "out", "label_ids/b.png")
    assert set(contents(tmp_path / "real")) == {"label_ids/b.png", "run.json", LISTING}


def test_an_image_that_a_list_names_is_not_replaced(tmp_path):
    write(tmp_path, "label_ids/a.png")
    sample = Sample("a", tmp_path / "label_ids" / "a.png")
    with pytest.raises(InputError, match="which is read"):
        run(tmp_path, "label_ids/a.png", overwrite=True, samples=[sample])


# Any relation of what is read and what is written.

NAMES = ("a", "b", "label_ids", "A")
WAYS = ("plain", "dots", "link", "case")


def way(root, path, kind, number):
    """Another name of a path."""
    if kind == "dots":
        return path.parent / ".." / path.parent.name / path.name
    if kind == "link" and sys.platform != "win32":
        link = root / f"link{number}"
        link.symlink_to(path)
        return link
    if kind == "case":
        swapped = path.with_name(path.name.swapcase())
        # Another folder where the disk tells them apart.
        return swapped if swapped.exists() else path
    return path


PLACES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(PLACES, PLACES, st.sampled_from(WAYS), st.sampled_from(WAYS), st.booleans())
def test_no_byte_of_an_input_changes(tmp_path_factory, where, out, way_in, way_out, overwrite):
    root = tmp_path_factory.mktemp("any")
    write(root / "data" / where, "x.png", "label_ids/x.png", "sub/label_ids/x.png", "easy.txt")
    (root / "data" / out).mkdir(parents=True, exist_ok=True)
    source = way(root, root / "data" / where, way_in, 0)
    target = way(root, root / "data" / out, way_out, 1)
    before = contents(root / "data" / where)
    with contextlib.suppress(InputError):
        complete(target, "label_ids/x.png", "easy.txt", overwrite=overwrite, inputs=[source])
    after = contents(root / "data" / where)
    assert {name: after.get(name) for name in before} == before
    shutil.rmtree(root)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["", "val", "label_ids", "val/label_ids", "..", "../other", "new/deep"]),
    st.sampled_from(WAYS),
    st.booleans(),
)
def test_labels_are_never_converted_in_place(city, tmp_path_factory, out, kind, overwrite):
    root = tmp_path_factory.mktemp("labels")
    shutil.copytree(city / "labels", root / "labels")
    shutil.copytree(city / "labels" / "val", root / "labels" / "label_ids")
    before = contents(root)
    target = root / "labels" / out
    target = way(root, target, kind, 1) if target.is_dir() else target
    words = ["convert-labels", "--labels", root / "labels", "--classes", "camvid", "--out", target]
    code = main([str(word) for word in (*words, *(["--overwrite"] if overwrite else []), "--quiet")])
    after = contents(root)
    assert {name: after.get(name) for name in before} == before
    assert code == 0 or set(after) - set(before) <= {"link1"}
    shutil.rmtree(root)


def test_a_list_of_places(tmp_path):
    write(tmp_path, "in/a.png")
    for place in ("in", "in/a.png", "in/new", "in/new/../other", "new/../in"):
        with pytest.raises(InputError):
            refuse_inputs([tmp_path / place], [tmp_path / "in"])
    with pytest.raises(InputError):
        refuse_inputs([tmp_path], [tmp_path / "in"])
    refuse_inputs([tmp_path / "other", tmp_path / "inn"], [tmp_path / "in", tmp_path / "missing"])


# Single files.


def test_a_file_is_replaced_on_request_only(tmp_path):
    write(tmp_path, "a.onnx")
    check_file(tmp_path / "new.onnx", (), overwrite=False)
    with pytest.raises(InputError, match="--overwrite"):
        check_file(tmp_path / "a.onnx", (), overwrite=False)
    check_file(tmp_path / "a.onnx", (), overwrite=True)
    with pytest.raises(InputError, match="which this command reads"):
        check_file(tmp_path / "a.onnx", [tmp_path / "a.onnx"], overwrite=True)
    with pytest.raises(InputError, match="is a folder"):
        check_file(tmp_path, (), overwrite=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe"):
        check_file(tmp_path / "pipe", (), overwrite=True)


@pytest.mark.skipif(sys.platform == "win32", reason="other files are the same there")
def test_a_hard_link_to_an_input_is_the_input(tmp_path):
    write(tmp_path, "a.pth")
    os.link(tmp_path / "a.pth", tmp_path / "b.pth")
    with pytest.raises(InputError, match="which this command reads"):
        check_file(tmp_path / "b.pth", [tmp_path / "a.pth"], overwrite=True)


@links
def test_a_loop_of_links(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError):
        check_file(tmp_path / "loop" / "a.pth", (), overwrite=True)
    with pytest.raises(InputError):
        claimed(tmp_path / "loop", (), RESULTS, RECORD)


@pytest.mark.parametrize("above", [".", "sub/.."])
def test_what_the_user_writes_into_a_project_is_no_stages(tmp_path, above):
    project = Project.create(tmp_path / "p", ProjectConfig())
    owned = project.files("export").owned
    (tmp_path / "p" / "export" / "sub").mkdir(parents=True)
    write(owned.root, "adapted.onnx", "adapted.pth")
    owned.claim(["adapted.onnx", "adapted.pth", "adapted.pt"])
    place = owned.root / above / "adapted.onnx"
    with pytest.raises(InputError, match="--overwrite"):
        check_file(place, (), overwrite=False)
    assert owned.names() == {"adapted.onnx", "adapted.pth", "adapted.pt"}
    check_file(place, (), overwrite=True)
    # Of an earlier result, and deleted since.
    check_file(owned.root / above / "adapted.pt", (), overwrite=False)
    assert owned.names() == {"adapted.pth"}


@pytest.mark.parametrize("command", ["extract", "export"])
def test_a_model_is_not_written_over_itself(refused, weights, command):
    words = [command, weights, "--out", weights]
    words += ["--format", "pth"] if command == "export" else []
    before = weights.read_bytes()
    for more in ((), ("--overwrite",)):
        assert "which this command reads" in refused(*words, *more)
    assert weights.read_bytes() == before


def test_a_model_is_not_written_over_a_file(refused, weights, tmp_path):
    (tmp_path / "notes.pth").write_text("mine")
    assert "--overwrite" in refused("extract", weights, "--out", tmp_path / "notes.pth")
    assert (tmp_path / "notes.pth").read_text() == "mine"


def test_predictions_do_not_go_among_the_images(refused, city, weights):
    images = city / "images" / "train"
    for out in (images, images / "new", images / "label_ids" / ".."):
        words = ["predict", "--checkpoint", weights, "--images", images, "--out", out]
        assert "which this command reads" in refused(*words, "--overwrite")


def test_scores_do_not_replace_a_file(refused, crots, city, tmp_path):
    words = ["evaluate", "--predictions", city / "labels" / "val", "--labels", city / "labels" / "val"]
    words += ["--classes", "camvid", "--quiet", "--json"]
    out = tmp_path / "scores.json"
    assert crots(*words, out).code == 0
    assert "--overwrite" in refused(*words, out)
    assert crots(*words, out, "--overwrite").code == 0
    label = city / "labels" / "val" / "im0.png"
    before = label.read_bytes()
    assert "which this command reads" in refused(*words, label, "--overwrite")
    assert label.read_bytes() == before


def test_a_measurement_does_not_replace_a_file(refused, tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    assert "--overwrite" in refused("bench", "--json", tmp_path / "notes.json")


# The stream of events.


def events_to(path, **more):
    with event_file(path, Namespace(events=str(path), **more)) as file:
        file.write(to_json(Note(stage="a", text="new")) + "\n")


def test_events_replace_those_of_an_earlier_run_alone(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    events_to(path)
    events_to(path)
    assert json.loads(path.read_text())["text"] == "new"
    for text in ("mine", '{"event": "no"}\n', "\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="no events of an earlier run"):
            events_to(path)
        assert path.read_text() == text
    path.write_text("")
    events_to(path)


def test_events_do_not_go_into_a_project(tmp_path):
    project = tmp_path / "project"
    events_to(tmp_path / "old.jsonl")
    project.mkdir()
    shutil.copy(tmp_path / "old.jsonl", project / "events.jsonl")
    with pytest.raises(InputError, match="which this command reads"):
        events_to(project / "events.jsonl", project=project)


@links
def test_events_are_not_written_through_a_link(tmp_path):
    events_to(tmp_path / "real.jsonl")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    (tmp_path / "dangling.jsonl").symlink_to(tmp_path / "new.jsonl")
    for name in ("link.jsonl", "dangling.jsonl"):
        with pytest.raises(InputError, match="is a link"):
            events_to(tmp_path / name)
    assert not (tmp_path / "new.jsonl").exists()


def test_events_may_go_to_a_device():
    events_to(Path(os.devnull))
    assert Path(os.devnull).exists()
