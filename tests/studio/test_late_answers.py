"""What was asked of one project is not answered into another, nor into a window without one."""

import threading

import numpy as np
import pytest
from PySide6.QtCore import Qt

import crots_studio.panels.patches.panel as patches
import crots_studio.panels.setup.class_map as class_map
from crots.errors import StageError
from crots.images import write_image
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots_studio.models.class_map import FILE
from crots_studio.models.predictions import ModelPrediction, Predictions
from crots_studio.panels import preview, pseudo_labels
from crots_studio.panels.before_after import BeforeAfterPanel
from crots_studio.panels.patches.panel import PatchPanel
from crots_studio.panels.preview import PreviewPanel
from crots_studio.panels.pseudo_labels import PseudoLabelPanel
from crots_studio.panels.setup.panel import SetupPanel
from tests.studio.fake_project import SIZE, make_fake_project


@pytest.fixture
def gate(monkeypatch):
    """Makes a function wait until the gate is opened."""

    def hold(place, name):
        event, inner = threading.Event(), getattr(place, name)

        def waiting(*args, **more):
            event.wait(300)
            return inner(*args, **more)

        monkeypatch.setattr(place, name, waiting)
        return event

    return hold


def settle(qtbot, session):
    qtbot.waitUntil(lambda: session.errands.idle, timeout=20_000)
    qtbot.wait(50)


def test_a_prediction_of_another_project_s_model_is_not_shown(
    qtbot, session, show_panel, open_project, tmp_path, monkeypatch
):
    first, second = make_fake_project(tmp_path / "a", rounds=1), make_fake_project(tmp_path / "b", rounds=1)
    gate, begun = threading.Event(), threading.Event()

    def run(self, subject, image):
        label = 1 if self._project.folder == first.folder else 2
        if label == 1:
            begun.set()
            gate.wait(300)
        else:
            # The first project's answer comes before this one's picture.
            gate.set()
        return ModelPrediction(np.full((SIZE.height, SIZE.width), label, np.uint8), None)

    monkeypatch.setattr(Predictions, "_run", run)
    panel = show_panel(BeforeAfterPanel)
    open_project(first.folder)
    qtbot.waitUntil(begun.is_set)
    show_image, answered = panel._show_image, []
    # As where the picture lies on a slow disk.
    monkeypatch.setattr(panel, "_show_image", answered.append)
    open_project(second.folder)
    qtbot.waitUntil(lambda: bool(panel.images.labels.labelled))
    gate.set()
    settle(qtbot, session)
    monkeypatch.undo()
    monkeypatch.setattr(Predictions, "_run", run)
    for found in answered:
        show_image(found)
    qtbot.waitUntil(lambda: len(panel.predicted) == 3, timeout=10_000)
    assert (panel.predicted["baseline"].labels == 2).all()


@pytest.mark.parametrize(
    ("kind", "module", "empty"),
    [
        (
            PseudoLabelPanel,
            pseudo_labels,
            lambda panel: panel.correction.edits is None and not len(panel.images.labels),
        ),
        (PatchPanel, patches, lambda panel: panel.history is None),
        (PreviewPanel, preview, lambda panel: panel.material is None),
    ],
)
def test_a_list_that_comes_after_its_project_was_closed_is_not_shown(
    qtbot, session, show_panel, open_project, tmp_path, gate, kind, module, empty
):
    project = make_fake_project(tmp_path)
    held = gate(module, "_read")
    panel = show_panel(kind)
    open_project(project.folder)
    session.opened.close_project()
    held.set()
    settle(qtbot, session)
    assert empty(panel), "its tools would write into a project that is closed"


def mapped(folder):
    config = override(ProjectConfig(), {"task.classes": "camvid", "task.source_classes": "cityscapes"})
    return Project.create(folder, config)


def test_a_class_map_proposed_for_one_project_is_not_written_into_another(
    qtbot, session, show_panel, open_project, tmp_path, gate
):
    first, second = mapped(tmp_path / "a"), mapped(tmp_path / "b")
    panel = show_panel(SetupPanel)
    open_project(first.folder)
    settle(qtbot, session)
    held = gate(class_map, "_proposal")
    panel.class_map.propose.click()
    open_project(second.folder)
    held.set()
    settle(qtbot, session)
    assert not (second.folder / FILE).exists() and session.project.config.task.class_map is None


def test_a_class_map_that_was_fixed_in_an_editor_is_read_when_the_project_is_opened_again(
    qtbot, session, show_panel, open_project, tmp_path
):
    project = mapped(tmp_path / "a")
    panel = show_panel(SetupPanel)
    open_project(project.folder)
    settle(qtbot, session)
    panel.class_map.propose.click()
    qtbot.waitUntil(lambda: session.project.config.task.class_map is not None)
    settle(qtbot, session)
    session.opened.close_project()
    file = project.folder / FILE
    file.write_text(file.read_text().replace('truck = "car"', 'truck = "ignore"'))
    open_project(project.folder)
    settle(qtbot, session)
    assert panel.class_map.table.form.rows["truck"] == "ignore"


def test_a_class_map_that_cannot_be_written_is_one_line(
    qtbot, session, show_panel, open_project, tmp_path, monkeypatch
):
    panel = show_panel(SetupPanel)
    open_project(mapped(tmp_path / "a").folder)
    settle(qtbot, session)

    def refuse(*args):
        raise StageError("cannot write class-map.toml: the disk is full; free some space and run again")

    monkeypatch.setattr("crots_studio.models.class_map.write_text", refuse)
    with qtbot.waitSignal(session.problem) as problem:
        panel.class_map.propose.click()
    assert "the disk is full" in problem.args[0] and session.project.config.task.class_map is None


def test_suspects_of_a_project_that_is_left_change_nothing_here(
    qtbot, session, show_panel, open_project, tmp_path, monkeypatch
):
    first, second = make_fake_project(tmp_path / "a"), make_fake_project(tmp_path / "b")
    held = threading.Event()
    monkeypatch.setattr(pseudo_labels, "find_suspects", lambda folder: held.wait(300))
    panel = show_panel(PseudoLabelPanel)
    open_project(first.folder)
    settle(qtbot, session)
    panel.suspect_button.click()
    open_project(second.folder)
    qtbot.waitUntil(lambda: panel.images.labels.labelled)
    held.set()
    settle(qtbot, session)
    assert panel.images.order.currentData() != "suspicious" and panel.suspect_button.isEnabled()


def test_patches_are_cut_in_the_project_whose_classes_were_ticked(
    qtbot, session, show_panel, open_project, tmp_path, scripted
):
    first, second = make_fake_project(tmp_path / "a"), make_fake_project(tmp_path / "b")
    scripted()
    panel = show_panel(PatchPanel)
    open_project(first.folder)
    settle(qtbot, session)
    panel.rare.timer.setInterval(300)
    panel.rare.table.item(0, 0).setCheckState(Qt.CheckState.Checked)
    assert panel.rare.timer.isActive()
    open_project(second.folder)
    qtbot.wait(500)
    assert scripted.requests == []


def test_a_run_leaves_the_device_to_itself(qtbot, session, show_panel, open_project, tmp_path, scripted):
    panel = show_panel(BeforeAfterPanel)
    open_project(make_fake_project(tmp_path, until="pseudo-label").folder)
    settle(qtbot, session)
    assert panel.predictions.device is None
    busy = []
    session.run.busy_changed.connect(lambda _: busy.append(panel.predictions.device))
    scripted()
    with qtbot.waitSignal(session.run.ended):
        session.run.start()
    assert busy == ["cpu", None]


def test_a_picture_that_changed_while_the_project_was_closed_is_loaded_again(
    qtbot, session, show_panel, open_project, tmp_path
):
    project = make_fake_project(tmp_path)
    panel = show_panel(PseudoLabelPanel)
    model = panel.images.thumbnails.thumbnails

    def first():
        qtbot.waitUntil(lambda: panel.images.labels.labelled and model.picture(0) is not None, timeout=10_000)
        return model.picture(0)

    open_project(project.folder)
    path = panel.images.labels.path(panel.images.arranged[0]) if first() else None
    path.write_bytes(b"broken")
    session.opened.close_project()
    open_project(project.folder)
    assert isinstance(first(), str), "it says that the file cannot be read"
    write_image(path, np.full((48, 64, 3), 90, np.uint8))
    session.opened.close_project()
    open_project(project.folder)
    assert not isinstance(first(), str)
