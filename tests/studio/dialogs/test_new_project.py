"""The dialogs that ask for a folder: what they say of it before anything is made."""

import sys

import pytest
from PySide6.QtCore import Qt

from crots.demo.run import TINY, demo_config
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots_studio.dialogs.new_project import DemoDialog, NewProjectDialog, unwritable
from crots_studio.models.project_like import config_like
from tests.studio.controls import unnamed
from tests.studio.fake_project import make_fake_project


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


def test_an_existing_folder_is_reported(dialog, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "folder exists" in give(dialog, tmp_path, "empty")
    assert dialog.create_button.isEnabled()


def test_what_cannot_become_a_project_is_reported_before_it_is_tried(dialog, tmp_path):
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
        (tmp_path, "  ", "Enter a name"),
    ):
        assert words in give(dialog, place, name)
        assert not dialog.create_button.isEnabled()


def test_a_place_where_nothing_can_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert unwritable(tmp_path / "a" / "b") == f"{tmp_path} cannot be written to: choose another location."


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


@pytest.mark.parametrize(("kind", "name"), [(NewProjectDialog, "my-adaptation"), (DemoDialog, "crots-demo")])
def test_the_first_name_is_one_that_can_be_had(qtbot, settings, tmp_path, kind, name):
    """The dialog opened with an error about a name that nobody had typed."""
    settings.set_folder("projects", str(tmp_path))
    for used in (name, f"{name}-2"):
        Project.create(tmp_path / used, ProjectConfig())
    dialog = kind(settings)
    qtbot.addWidget(dialog)
    assert dialog.name.text() == f"{name}-3" and dialog.name.selectedText() == f"{name}-3"
    assert dialog.create_button.isEnabled() and dialog.note.property("role") == "muted"


def test_where_nothing_can_be_made_the_first_name_stays(qtbot, settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.set_folder("projects", str(tmp_path / "file"))
    dialog = NewProjectDialog(settings)
    qtbot.addWidget(dialog)
    assert dialog.name.text() == "my-adaptation" and "not a folder" in dialog.note.text()


def test_the_demonstration_continues_where_there_is_one(qtbot, settings, demo_dialog, tmp_path):
    Project.create(tmp_path / "crots-demo", demo_config(TINY))
    demo_dialog.refresh()
    assert "Continues the demonstration" in demo_dialog.note.text()
    qtbot.mouseClick(demo_dialog.create_button, Qt.MouseButton.LeftButton)
    assert demo_dialog.result() and settings.folder("projects") == str(tmp_path)


def test_what_cannot_become_the_demonstration_is_reported_before_it_is_tried(demo_dialog, tmp_path):
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


@pytest.fixture
def finished(tmp_path):
    """A project with options of its own, whose source and class map lie in its folder."""
    project = make_fake_project(tmp_path / "fake", sections={"adapt": {"mix": "cutmix"}})
    (project.folder / "map.toml").write_text("")
    files = {"source.file": "source/model.safetensors", "task.class_map": "map.toml", "data.layout": "folder"}
    return Project(project.folder, override(project.config, files))


def test_a_project_like_another_has_its_options_and_source_and_none_of_its_images(finished):
    config, old = config_like(finished), finished.config
    assert config.adapt == old.adapt and config.baseline == old.baseline and config.profile == old.profile
    assert config.data.target is None and config.data.val_images is None and config.data.val_labels is None
    assert config.data.layout == "auto" and config.data.size == old.data.size
    assert config.source.file == finished.folder / "source" / "model.safetensors"
    assert config.task.class_map == finished.folder / "map.toml"
    # A shipped class set stays a name.
    assert config.task.classes == old.task.classes and config.source.net == old.source.net
    assert old.data.target is not None, "the other project is left alone"


def test_predictions_of_the_other_images_are_not_taken_over(finished, tmp_path):
    box = {"source.file": "none", "source.predictions": "said", "source.confidence": "sure"}
    config = config_like(Project(finished.folder, override(finished.config, box)))
    assert config.source.predictions is None and config.source.confidence is None


def test_the_dialog_proposes_a_name_beside_the_other_and_makes_the_project(qtbot, settings, finished, tmp_path):
    (finished.folder.parent / f"{finished.folder.name}-2").mkdir()
    dialog = NewProjectDialog(settings, like=finished)
    qtbot.addWidget(dialog)
    assert dialog.folder == finished.folder.parent / f"{finished.folder.name}-3"
    assert "choose its images" in dialog.note.text() and not unnamed(dialog)
    made = Project.create(dialog.folder, dialog.config)
    assert Project.open(made.folder).config == config_like(finished)


def test_the_menu_and_a_run_ask_for_it(ready, monkeypatch, finished):
    asked = []
    monkeypatch.setattr(ready.project_actions, "_ask_for_project", lambda like=None: asked.append(like and like.folder))
    ready.menus.actions["New project like this"].trigger()
    ready.panels["compare"].like_wanted.emit(str(finished.folder))
    assert asked == [ready.session.project.folder, finished.folder]
    monkeypatch.setattr(ready.project_actions, "tell", lambda title, words: asked.append(words))
    ready.panels["compare"].like_wanted.emit(str(finished.folder / "nowhere"))
    assert "nowhere" in asked[-1]


def test_a_variant_takes_over_the_images_where_asked(qtbot, settings, tmp_path):
    project = make_fake_project(tmp_path / "fake")
    dialog = NewProjectDialog(settings, like=project)
    qtbot.addWidget(dialog)
    assert dialog.config.data.target is None and "choose its images" in dialog.note.text()
    dialog.same_images.setChecked(True)
    assert dialog.config.data.target == project.path(project.config.data.target)
    assert dialog.config.data.val_labels == project.path(project.config.data.val_labels)
    assert "and its images" in dialog.note.text() and not unnamed(dialog)
