"""What the studio writes and deletes in a project is its own, and what it shows is the last complete result."""

import sys
import time

import numpy as np
import pytest

from crots.errors import InputError
from crots.eventlog import EventLog
from crots.events import Note, StageFinished
from crots.execution.control import Control
from crots.label_files import write_labels
from crots.project_config import override
from crots.runner import locked
from crots.taxonomy import load_class_set
from crots.training.material import PseudoLabels
from crots_studio.models.exporting import ExportForm, checkpoints, export_events
from crots_studio.models.image_store import ImageStore
from crots_studio.models.label_edit import LabelEdits
from crots_studio.models.label_list import read_list
from crots_studio.runs.child import ChildRun
from crots_studio.runs.run import RunRequest
from tests.studio.fake_project import CLASSES as CLASS_SET
from tests.studio.fake_project import KEYS, make_fake_project

CLASSES = load_class_set(CLASS_SET)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights there")


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path)


@POSIX
@pytest.mark.parametrize("name", ["studio", "studio/run.log", "studio/stop"])
def test_a_run_in_a_child_writes_and_deletes_nothing_behind_a_link(project, tmp_path, name):
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    for each in ("run.log", "stop"):
        (outside / each).write_text("of the user")
    place = project.folder / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside if name == "studio" else outside / place.name)
    with pytest.raises(InputError, match="is a link"):
        ChildRun(project, RunRequest()).start()
    assert {path.name: path.read_text() for path in outside.iterdir()} == dict.fromkeys(
        ("run.log", "stop"), "of the user"
    )


@POSIX
@pytest.mark.parametrize("name", ["corrections", "corrections/label_ids", "corrections/label_ids/day"])
def test_labels_are_repainted_and_reset_behind_no_link(project, tmp_path, name):
    labels = PseudoLabels.below(project.stage_folder("pseudo-label"), CLASSES, project.corrections_path / "label_ids")
    original = labels.read(KEYS[0])
    theirs = tmp_path / "elsewhere" / f"{KEYS[0]}.png"
    for path in (theirs, tmp_path / "elsewhere" / f"label_ids/{KEYS[0]}.png", tmp_path / "elsewhere" / "frame_0.png"):
        write_labels(path, original)
    place = project.folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "elsewhere")
    edits = LabelEdits(labels)
    edits.keys.add(KEYS[0])
    before = {path: path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*.png")}
    for act in (lambda: edits.paint(KEYS[0], [(5, 5)], 9, 3), lambda: edits.reset(KEYS[0])):
        with pytest.raises(InputError, match="is a link, expected a folder"):
            act()
    assert {path: path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*.png")} == before


def test_what_the_dialog_exports_is_the_users_also_where_the_stage_writes(project):
    (checkpoint, *_) = checkpoints(project)
    folder = project.stage_folder("export")
    form = ExportForm(checkpoint, ("safetensors",), folder, "adapted")
    # A placeholder holds no network, so that nothing is written: from then on the place is the user's all the same.
    assert list(export_events(project, form, Control()))[-1].outcome == "failed"
    (folder / "adapted.safetensors").write_text("of the user")
    with pytest.raises(InputError, match=r"adapted\.safetensors: was not made by CROTS"):
        project.begin("export")
    assert (folder / "adapted.safetensors").read_text() == "of the user"


def test_the_name_that_the_dialog_proposes_is_not_the_stages(project):
    assert not ExportForm.name.startswith(project.files("export").own)


def test_unfinished_labels_are_shown_until_there_are_complete_ones(tmp_path):
    project = make_fake_project(tmp_path, until="")
    image = tmp_path / "target" / f"{KEYS[0]}.png"
    store = ImageStore(project, CLASSES)
    assert store.maps(KEYS[0], image).labels is None and not read_list(project, CLASSES).labelled
    project.begin("pseudo-label")
    unfinished = project.work_folder("pseudo-label") / "label_ids" / f"{KEYS[0]}.png"
    write_labels(unfinished, np.zeros((48, 64), np.uint8))
    assert (store.maps(KEYS[0], image).labels == 0).all()
    project.finish("pseudo-label", 1.0, None)
    assert (store.maps(KEYS[0], image).labels == 0).all() and not unfinished.exists()
    project.config = override(project.config, {"pseudo_label.flip": False})
    project.begin("pseudo-label")
    write_labels(unfinished, np.ones((48, 64), np.uint8))
    assert (store.maps(KEYS[0], image).labels == 0).all(), "the complete ones count until then"
    project.finish("pseudo-label", 1.0, None)
    assert (store.maps(KEYS[0], image).labels == 1).all()


def test_the_end_of_a_stage_is_heard_when_its_result_is_in_its_place(project):
    with locked(project):
        project.begin("mine")
        run = ChildRun(project, None, after=time.time() - 10)
        run.start()
        log = EventLog(project.events_path)
        log.append(Note(stage="mine", text="cut"))
        log.append(StageFinished(stage="mine", outcome="completed", seconds=1.0))
        heard = wait_for(run, 1)
        time.sleep(0.3)
        assert [type(event) for event in [*heard, *run.drain()]] == [Note]
        project.finish("mine", 1.0, None)
        assert [type(event) for event in wait_for(run, 1)] == [StageFinished]


def wait_for(run, count, seconds=600):
    found, end = [], time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end
        found += run.drain()
        time.sleep(0.01)
    return found
