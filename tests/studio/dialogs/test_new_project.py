"""The dialogs that ask for a folder: what they say of it before anything is made."""

import sys

import pytest
from PySide6.QtCore import Qt

from crots.demo.run import TINY, demo_config
from crots.project import Project, ProjectConfig, override
from crots_studio.dialogs.new_project import DemoDialog, NewProjectDialog, unwritable


@pytest.fixture
def dialog(qtbot, settings):
    dialog = NewProjectDialog(settings)
    qtbot.addWidget(dialog)
    return dialog


def give(dialog, place, name):
    dialog.place.edit.setText(str(place))
    dialog.name.setText(name)
    return dialog.note.text()


def test_a_new_folder_is_named_in_full(dialog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert give(dialog, "relative", "x") == f"A new folder will be created: {tmp_path / 'relative' / 'x'}"
    assert give(dialog, tmp_path, "../y").endswith(str(tmp_path.parent / "y"))
    assert dialog.create_button.isEnabled()


def test_a_folder_that_is_there_is_said_so(dialog, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "folder exists" in give(dialog, tmp_path, "empty")
    assert dialog.create_button.isEnabled()


def test_what_cannot_become_a_project_is_said_before_it_is_tried(dialog, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "photo.png").touch()
    Project.create(tmp_path / "old", ProjectConfig())
    for place, name, words in (
        (tmp_path, "file", "is a file"),
        (tmp_path / "file", "x", "is not a folder"),
        (tmp_path / "file" / "deeper", "x", "is not a folder"),
        (tmp_path, "old", "already holds a project"),
        (tmp_path, "used", "is in use, it holds photo.png"),
        (tmp_path, "  ", "Give it a name"),
    ):
        assert words in give(dialog, place, name)
        assert not dialog.create_button.isEnabled()


def test_a_place_where_nothing_can_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert unwritable(tmp_path / "a" / "b") == f"Nothing can be written in {tmp_path}: choose another place."


@pytest.mark.skipif(sys.platform == "win32", reason="no symbolic links without a right to them")
def test_a_link_to_nowhere_is_no_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert "is not a folder" in unwritable(tmp_path / "link" / "x")


@pytest.fixture
def demo_dialog(qtbot, settings, tmp_path):
    dialog = DemoDialog(settings)
    qtbot.addWidget(dialog)
    dialog.place.edit.setText(str(tmp_path))
    return dialog


def test_the_demonstration_goes_on_where_there_is_one(qtbot, settings, demo_dialog, tmp_path):
    Project.create(tmp_path / "crots-demo", demo_config(TINY))
    demo_dialog.refresh()
    assert "Continues the demonstration" in demo_dialog.note.text()
    qtbot.mouseClick(demo_dialog.create_button, Qt.MouseButton.LeftButton)
    assert demo_dialog.result() and settings.folder("projects") == str(tmp_path)


def test_what_cannot_become_the_demonstration_is_said_before_it_is_tried(demo_dialog, tmp_path):
    Project.create(tmp_path / "other", ProjectConfig())
    # The same classes make no demonstration.
    Project.create(tmp_path / "alike", override(ProjectConfig(), {"task.classes": "demo"}))
    for name, file in (("torn", "crots.toml"), ("used", "photo.png")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("[", encoding="utf-8")
    for name, words in (
        ("other", "holds another project; choose another folder"),
        ("alike", "holds another project; choose another folder"),
        ("torn", "crots.toml"),
        ("used", "is in use, it holds photo.png"),
    ):
        assert words in give(demo_dialog, tmp_path, name)
        assert not demo_dialog.create_button.isEnabled()
