"""Files dropped on the window: said before, all of them taken, and nothing replaced without a question."""

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from crots.project import Project
from crots.project_config import ProjectConfig
from crots_studio.models.drops import meaning, sort_drop
from crots_studio.panels.setup.panel import SetupPanel
from crots_studio.settings import Settings
from crots_studio.widgets.path_field import PathField

BUTTON, KEYS, COPY = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction


@pytest.fixture
def files(tmp_path):
    """One of each kind."""
    for name in ("photos", "more", "predictions"):
        (tmp_path / name).mkdir()
    for name in ("model.pth", "other.onnx", "classes.toml"):
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.fixture
def panel(qtbot, session, show_panel, open_project, tmp_path):
    panel = show_panel(SetupPanel)
    open_project(Project.create(tmp_path / "project", ProjectConfig()).folder)
    return panel


def mime(paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def drag(widget, *paths):
    data = mime(paths)
    event = QDragEnterEvent(QPoint(5, 5), COPY, data, BUTTON, KEYS)
    event.ignore()
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def drop(widget, *paths):
    assert drag(widget, *paths)
    data = mime(paths)
    QApplication.sendEvent(widget, QDropEvent(QPointF(5, 5), COPY, data, BUTTON, KEYS))


def test_what_files_are_meant_for(files):
    meant = {"photos": "data.target", "predictions": "source.predictions", "model.pth": "source.file",
             "other.onnx": "source.file", "classes.toml": "task.classes"}  # fmt: skip
    assert {name: meaning(files / name) for name in meant} == meant


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("pytorch_model.bin", "source.file"),
        ("checkpoint.pth.tar", "source.file"),
        ("model.safetensors.index.json", "source.file"),
        ("instances_val.json", "data.target"),
        ("annotations.xml", "data.target"),
        ("photos.tar", ""),
    ],
)
def test_files_by_their_whole_name(tmp_path, name, option):
    (tmp_path / name).write_text("")
    assert meaning(tmp_path / name) == option


def test_a_file_of_another_kind_is_not_taken_for_a_list_of_images(session, panel, files):
    """A log became the target images, in place of those that were chosen."""
    for name in ("run.log", "a.jpg", "b.jpg", "list.txt"):
        (files / name).write_text("a.jpg\n")
    problems = []
    session.problem.connect(problems.append)
    drop(panel, files / "run.log", files / "model.pth")
    assert (session.project.config.data.target, session.project.config.source.file) == (None, files / "model.pth")
    assert len(problems) == 1 and problems[0].startswith("run.log: expected a folder, a model, a class set (.toml)")
    drop(panel, files / "a.jpg", files / "b.jpg")
    assert problems[1].startswith("a.jpg and 1 more: ") and problems[1].endswith(f"drop their folder {files.name}")
    drop(panel, files / "list.txt")
    assert session.project.config.data.target == files / "list.txt"


def test_all_that_is_dropped_together_is_taken(session, panel, files):
    drop(panel, files / "photos", files / "model.pth")
    config = session.project.config
    assert (config.data.target, config.source.file) == (files / "photos", files / "model.pth")
    session.opened.undo()
    assert session.project.config == ProjectConfig(), "together they came, together they go"


def test_while_it_is_dragged_the_page_says_what_a_drop_would_do(panel, files):
    assert panel.drop_hint.isHidden()
    assert drag(panel, files / "photos", files / "model.pth")
    assert panel.drop_hint.isVisible()
    assert panel.drop_hint.lines == ("Target images: photos", "Source model: model.pth")
    QApplication.sendEvent(panel, QDragLeaveEvent())
    assert panel.drop_hint.isHidden()


def test_nothing_is_replaced_without_a_question(session, panel, files):
    drop(panel, files / "photos")
    drop(panel, files / "more")
    assert session.project.config.data.target == files / "photos"
    assert panel.question.informativeText() == "Target images: more in place of photos"
    panel.question.reject()
    assert session.project.config.data.target == files / "photos"
    drop(panel, files / "more")
    next(button for button in panel.question.buttons() if button.text() == "Replace").click()
    assert session.project.config.data.target == files / "more"


def test_two_for_one_place_are_not_taken_but_told(qtbot, session, panel, files):
    with qtbot.waitSignal(session.problem) as problem:
        drop(panel, files / "photos", files / "more", files / "model.pth")
    assert "photos, more: more than one file for Target images" in problem.args[0]
    assert session.project.config.data.target is None and session.project.config.source.file == files / "model.pth"


def test_a_source_is_a_model_or_predictions_and_not_both(files):
    found = sort_drop([files / "model.pth", files / "predictions"], ProjectConfig())
    assert not found.settings and "more than one file for Source" in found.left[0]


def test_a_field_takes_one_path_and_says_so_and_leaves_several_to_the_page(qtbot, settings_file, files):
    field = PathField("Images", "folder", Settings(settings_file))
    qtbot.addWidget(field)
    field.show()
    field.take("/data/before")
    assert not drag(field, files / "photos", files / "more")
    assert drag(field, files / "photos") and field.drop_hint.lines == ("Images: photos in place of before",)
    drop(field, files / "photos")
    assert field.text == str(files / "photos") and field.drop_hint.isHidden()
