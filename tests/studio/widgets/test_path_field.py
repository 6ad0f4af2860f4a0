"""The line for a path with its dialog."""

import pytest
from PySide6.QtWidgets import QFileDialog

from crots.folders import CONFIG, WEIGHTS
from crots.project import Project
from crots.project_config import ProjectConfig
from crots_studio.panels.setup.panel import SetupPanel
from crots_studio.widgets.path_field import PathField


@pytest.mark.parametrize("saved", [True, False])
def test_a_file_of_a_saved_model_stands_for_its_folder(qtbot, settings, tmp_path, monkeypatch, saved):
    """Hugging Face models are folders, which a dialog for files does not let anybody choose."""
    field = PathField("Model file", "file", settings)
    qtbot.addWidget(field)
    (tmp_path / WEIGHTS).write_bytes(b"")
    if saved:
        (tmp_path / CONFIG).write_text("{}")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / WEIGHTS), ""))
    field.button.click()
    assert field.text == str(tmp_path if saved else tmp_path / WEIGHTS)


def test_the_dialog_says_how_a_model_s_folder_is_chosen(
    qtbot, session, show_panel, open_project, tmp_path, monkeypatch
):
    """Only its weights were listed, and nothing of a folder whose weights have another ending."""
    panel = show_panel(SetupPanel, 760, 900)
    open_project(Project.create(tmp_path / "project", ProjectConfig()).folder)
    asked = []
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: asked.append(args) or ("", ""))
    panel.file.button.click()
    (_, title, _, filters) = asked[0]
    assert title == "Model file, or of a Hugging Face folder its config.json"
    assert filters.startswith("Models (") and CONFIG in filters.partition(")")[0]


def test_a_dialog_begins_where_another_one_was(qtbot, settings, tmp_path, monkeypatch):
    """Images, labels and models lie side by side more often than at home; each field then remembers its own place."""
    began = []
    chosen = tmp_path / "data" / "images"
    chosen.mkdir(parents=True)

    def choose(_parent, _title, start):
        began.append(start)
        return str(chosen)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", choose)
    images, labels = (PathField(name, "folder", settings) for name in ("Images", "Labels"))
    for field in (images, labels):
        qtbot.addWidget(field)
    images.button.click()
    labels.button.click()
    assert began[1] == str(tmp_path / "data")
    assert settings.folder("projects") != began[1], "a project is not made among the images"
