"""The round trip through a labelling tool from the window: what is refused, what goes out, what comes back, undo."""

import json

import cv2
import pytest
from PySide6.QtGui import QGuiApplication

from crots.images import read_image
from crots_studio.dialogs.labelling import ExportDoubtfulDialog, ImportCorrectedDialog
from crots_studio.models.labelling import ImportForm, LabellingExport, new_folder
from crots_studio.models.words import command_text
from crots_studio.panels.pseudo_labels import PseudoLabelPanel
from crots_studio.widgets.path_field import PathField
from tests.studio.controls import unnamed
from tests.studio.fake_project import make_fake_project
from tests.studio.panels.test_suspicion import WORST, write_suspicion


@pytest.fixture
def project(tmp_path):
    project = make_fake_project(tmp_path / "fake")
    write_suspicion(project)
    return project


@pytest.fixture
def opened(qtbot, session, open_project, project):
    open_project(project.folder)

    def show(kind):
        dialog = kind(session)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return show


def finish(qtbot, dialog):
    qtbot.waitUntil(lambda: not dialog.running)
    return dialog.problem.text()


def test_forms_say_what_is_missing(project, tmp_path):
    def export(out):
        return LabellingExport(project, 3, "cvat", out)

    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "x").touch()
    assert "Choose a new folder" in export(None).problem()
    assert "not empty" in export(tmp_path / "used").problem()
    assert "in the project" in export(project.folder / "x").problem()
    assert "among the target images" in export(project.path(project.config.data.target) / "x").problem()
    assert export(new_folder(project)).problem() == ""
    assert "unpack" in ImportForm(project, tmp_path / "gone").problem()
    assert "Choose the unpacked export" in ImportForm(project, None).problem()
    assert "--import" in ImportForm(project, tmp_path).command()


@pytest.mark.parametrize("tool", ["cvat", "labelme"])
def test_what_goes_out_comes_back_and_can_be_undone(qtbot, session, opened, project, show_panel, tool):
    panel = show_panel(PseudoLabelPanel)
    qtbot.waitUntil(lambda: panel.images.labels.labelled)
    dialog = opened(ExportDoubtfulDialog)
    assert not unnamed(dialog)
    dialog.count.setValue(2)
    dialog.tool.setCurrentIndex(dialog.tool.findData(tool))
    out = dialog.content.out
    dialog.buttons.copy_command.click()
    words = ["crots", "suspects", str(project.folder), "--top", "2", "--export", str(out), "--tool", tool]
    assert QGuiApplication.clipboard().text() == command_text(words)
    dialog.start()
    found = finish(qtbot, dialog)
    assert found.startswith("2 images with pseudo-labels written to"), found
    assert dialog.buttons.open_folder.isEnabled() and dialog.content.out != out
    assert dialog.buttons.start.isEnabled() and dialog.buttons.copy_command.isEnabled(), "to the next folder"
    back = opened(ImportCorrectedDialog)
    assert not back.buttons.start.isEnabled() and not unnamed(back)
    back.source.show_path(str(out))
    back.refresh()
    back.start()
    assert "0 of 2 images were corrected" in finish(qtbot, back)
    assert panel.history.undo_text == ""
    correct(out, tool)
    back.start()
    found = finish(qtbot, back)
    assert found.startswith("1 of 2 images were corrected") and WORST in found, found
    qtbot.waitUntil(lambda: panel.history is not None and panel.history.undo_text == f"import of {WORST}")
    corrected = project.corrections_path / "label_ids" / f"{WORST}.png"
    assert corrected.is_file()
    panel.undo()
    assert not corrected.exists()
    panel.history.redo()
    assert corrected.is_file()


def correct(out, tool):
    """As a person in the tool would: the upper left corner is given the class of the middle."""
    if tool == "cvat":
        path = out / "SegmentationClass" / f"{WORST}.png"
        colours = read_image(path)
        colours[:6, :6] = colours[colours.shape[0] - 2, colours.shape[1] // 2]
        cv2.imwrite(str(path), colours[..., ::-1])
        return
    path = out / f"{WORST}.json"
    found = json.loads(path.read_text())
    label = next(shape["label"] for shape in found["shapes"][::-1])
    square = [[0, 0], [6, 0], [6, 6], [0, 6]]
    found["shapes"].append({**found["shapes"][0], "label": label, "points": square, "shape_type": "polygon"})
    path.write_text(json.dumps(found))


def test_empty_fields_say_what_belongs_there(opened):
    for kind in (ExportDoubtfulDialog, ImportCorrectedDialog):
        fields = opened(kind).findChildren(PathField)
        assert fields and all(field.edit.placeholderText() for field in fields)
    assert opened(ExportDoubtfulDialog).count.text() == "20 most doubtful"


def test_a_folder_of_something_else_is_reported(qtbot, opened, tmp_path):
    back = opened(ImportCorrectedDialog)
    (tmp_path / "other").mkdir()
    back.source.show_path(str(tmp_path / "other"))
    back.refresh()
    back.start()
    found = finish(qtbot, back)
    assert "labelme" in found and back.problem.property("role") == "bad"


def test_the_panel_and_the_menu_open_them(qtbot, session, window, open_project, project, monkeypatch):
    asked = []
    monkeypatch.setattr(window.project_actions, "open_dialog", lambda *names: asked.append(names))
    assert not window.menus.actions["Export doubtful images"].isEnabled()
    open_project(project.folder)
    panel = window.panels["pseudo_labels"]
    for action in panel.tool_menu.actions():
        action.trigger()
    window.menus.actions["Export doubtful images"].trigger()
    window.menus.actions["Import corrected labels"].trigger()
    names = [name for _, name in asked]
    assert names == ["ExportDoubtfulDialog", "ImportCorrectedDialog"] * 2


def test_nothing_starts_while_a_run_is_active(opened, session, monkeypatch):
    monkeypatch.setattr(type(session.run), "busy", property(lambda run: True))
    dialog = opened(ExportDoubtfulDialog)
    assert not dialog.buttons.start.isEnabled() and "run has ended" in dialog.problem.text()
    monkeypatch.undo()
