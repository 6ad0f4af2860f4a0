"""Undo and redo for all that is written at once: options, set-up, class map; and in the menu for what is in front."""

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QKeySequence, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QComboBox

from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots_studio.models.class_map import FILE
from crots_studio.workspace_tabs import TABS
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def mapped(qtbot, session, window, open_project, tmp_path):
    """A window with a project whose classes differ from the source's, at the set-up page."""
    folder = Project.create(tmp_path / "project", ProjectConfig()).folder
    project = open_project(folder)
    session.opened.set_options({"task.classes": "camvid", "task.source_classes": "cityscapes"})
    window.pages.show_tab("setup")
    editor = window.panels["setup"].class_map
    qtbot.waitUntil(lambda: editor.propose.isVisible(), timeout=10_000)
    editor.propose.click()
    qtbot.waitUntil(lambda: (folder / FILE).exists() and editor.table.rowCount() > 0, timeout=10_000)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
    return window, project, editor


def wheel(widget, steps=-1):
    place = QPointF(widget.rect().center())
    event = QWheelEvent(
        place, QPointF(widget.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, 120 * steps), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def test_the_wheel_over_the_class_map_changes_nothing(qtbot, session, mapped):
    window, project, editor = mapped
    window.tabs.setFocus()
    before = (project.folder / FILE).read_text(), session.opened.undo_text
    for row in range(editor.table.rowCount()):
        for steps in (-1, 1):
            wheel(editor.table.cellWidget(row, 1), steps)
    assert ((project.folder / FILE).read_text(), session.opened.undo_text) == before


def test_the_wheel_changes_no_control_that_the_user_has_not_gone_to(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
    seen = 0
    for tab in TABS:
        window.pages.show_tab(tab.key)
        qtbot.wait(5)
        window.tabs.setFocus()
        for kind in (QComboBox, QAbstractSpinBox):
            for control in window.findChildren(kind):
                if control.isVisible() and not control.hasFocus():
                    before = text_of(control)
                    wheel(control, 1), wheel(control, -1), wheel(control, -1)
                    assert text_of(control) == before and not control.hasFocus(), control.accessibleName()
                    seen += 1
    assert seen > 20


def text_of(control):
    return control.currentText() if isinstance(control, QComboBox) else control.text()


def choose(editor, row, text):
    box = editor.table.cellWidget(row, 1)
    box.setCurrentText(text)
    box.textActivated.emit(text)


def test_a_row_of_the_class_map_is_undone_and_done_again(qtbot, session, mapped):
    window, project, editor = mapped
    path, name = project.folder / FILE, next(iter(editor.table.form.rows))
    first, old = path.read_text(), editor.table.form.rows[name]
    choose(editor, 0, "sky")
    assert path.read_text() != first
    assert window.menus.actions["Undo"].text() == f"&Undo class map: {name} to sky"
    window.menus.actions["Undo"].trigger()
    assert path.read_text() == first
    qtbot.waitUntil(lambda: editor.table.form is not None and editor.table.form.rows[name] == old, timeout=10_000)
    qtbot.waitUntil(lambda: editor.table.cellWidget(0, 1).currentText() == old)
    window.menus.actions["Redo"].trigger()
    qtbot.waitUntil(lambda: editor.table.form.rows[name] == "sky", timeout=10_000)


def test_the_first_class_map_is_undone_with_its_file(qtbot, session, mapped):
    _window, project, _editor = mapped
    session.opened.undo()
    assert project.config.task.class_map is None and not (project.folder / FILE).exists()
    session.opened.redo()
    assert str(project.config.task.class_map) == FILE and (project.folder / FILE).exists()


def test_options_are_undone_one_by_one_whoever_changed_them(qtbot, session, window, open_project, tmp_path):
    folder = Project.create(tmp_path / "project", ProjectConfig()).folder
    project = open_project(folder)
    undo, redo = window.menus.actions["Undo"], window.menus.actions["Redo"]
    assert not undo.isEnabled() and not redo.isEnabled() and undo.text() == "&Undo"
    start = project.config
    session.opened.set_options({"adapt.steps": "77"})
    window.panels["setup"].fields.set_options({"data.size": "64x48"})
    assert undo.isEnabled() and undo.text() == "&Undo Working size (Images)"
    undo.trigger()
    assert project.config.adapt.steps == 77 and project.config.data.size == start.data.size
    assert undo.text() == "&Undo Steps (Adaptation)" and redo.text() == "&Redo Working size (Images)"
    undo.trigger()
    assert project.config == start and not undo.isEnabled()
    redo.trigger()
    qtbot.waitUntil(lambda: Project.open(folder).config.adapt.steps == 77)
    session.opened.set_options({"adapt.rounds": "9"})
    assert not redo.isEnabled()


def test_an_undo_leaves_what_was_changed_elsewhere(qtbot, session, open_project, tmp_path):
    project = open_project(Project.create(tmp_path / "project", ProjectConfig()).folder)
    session.opened.set_options({"adapt.steps": "77"})
    qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
    other = Project.open(project.folder)
    other.config = override(other.config, {"adapt.rounds": 9})
    other.save()
    session.opened.look_at_file()
    qtbot.waitUntil(lambda: project.config.adapt.rounds == 9, timeout=10_000)
    session.opened.undo()
    assert project.config.adapt.steps != 77 and project.config.adapt.rounds == 9


def test_a_line_shows_what_was_undone_even_while_it_has_the_focus(qtbot, session, window, open_project, tmp_path):
    open_project(Project.create(tmp_path / "project", ProjectConfig()).folder)
    window.pages.show_tab("setup")
    line = window.panels["setup"].size_line
    line.setFocus()
    qtbot.keyClicks(line, "64x48")
    line.editingFinished.emit()
    assert session.project.config.data.size is not None and line.text() == "64x48"
    session.opened.undo()
    assert session.project.config.data.size is None and line.text() == ""


def lines(window):
    """A line of each kind of the set-up page and the settings."""
    setup, settings = window.panels["setup"], window.settings_panel
    classes = next(box for box in setup.findChildren(QComboBox) if box.isEditable())
    return [setup.size_line, classes, next(box for box in settings.findChildren(QAbstractSpinBox) if box.isVisible())]


def test_ctrl_z_in_a_line_in_which_nothing_was_typed_undoes_the_last_change(
    qtbot, session, window, open_project, tmp_path
):
    open_project(Project.create(tmp_path / "project", ProjectConfig()).folder)
    window.show()
    window.pages.show_tab("setup")
    window.workspace.show_settings(True)
    window.settings_panel.go_to("adapt-1")
    window.activateWindow()
    before = session.project.config.adapt.steps
    for number, line in enumerate(lines(window)):
        session.opened.set_options({"adapt.steps": str(70 + number)})
        line.setFocus()
        qtbot.waitUntil(line.hasFocus)
        for keys, wanted in ((QKeySequence.StandardKey.Undo, before), (QKeySequence.StandardKey.Redo, 70 + number)):
            qtbot.keySequence(line, QKeySequence(keys))
            qtbot.waitUntil(lambda wanted=wanted: session.project.config.adapt.steps == wanted)
        session.opened.undo()


def test_what_was_typed_in_a_line_is_undone_there(qtbot, session, window, open_project, tmp_path):
    open_project(Project.create(tmp_path / "project", ProjectConfig()).folder)
    window.show()
    window.pages.show_tab("setup")
    window.activateWindow()
    session.opened.set_options({"adapt.steps": "70"})
    line = window.panels["setup"].size_line
    line.setFocus()
    qtbot.waitUntil(line.hasFocus)
    qtbot.keyClicks(line, "64")
    qtbot.keySequence(line, QKeySequence(QKeySequence.StandardKey.Undo))
    assert line.text() == "" and session.project.config.adapt.steps == 70


def test_each_tab_has_its_history_and_the_settings_beside_it_the_options(
    qtbot, session, window, open_project, tmp_path
):
    open_project(make_fake_project(tmp_path).folder)
    patches = window.panels["patches"]
    window.pages.show_tab("patches")
    qtbot.waitUntil(lambda: patches.history is not None and patches.gallery.current >= 0, timeout=10_000)
    undo = window.menus.actions["Undo"]
    assert not undo.isEnabled()
    patches.reject()
    assert undo.isEnabled() and undo.text() == "&Undo reject 1 patch"
    session.opened.set_options({"adapt.steps": "77"})
    assert undo.text() == "&Undo reject 1 patch"
    QApplication.instance().focusChanged.emit(None, window.settings_panel.search)
    assert undo.text() == "&Undo Steps (Adaptation)"
    undo.trigger()
    assert session.project.config.adapt.steps != 77 and patches.history.state.rejected
    window.pages.show_tab("monitor")
    assert not undo.isEnabled()
    window.pages.show_tab("patches")
    undo.trigger()
    assert not patches.history.state.rejected


def test_another_project_has_another_history(qtbot, session, window, open_project, tmp_path):
    first, second = (Project.create(tmp_path / name, ProjectConfig()).folder for name in ("a", "b"))
    open_project(first)
    session.opened.set_options({"adapt.steps": "77"})
    open_project(second)
    assert session.opened.undo_text == "" and not window.menus.actions["Undo"].isEnabled()
    session.opened.undo()
    assert Project.open(second).config == ProjectConfig()


def test_a_proposal_by_name_asks_before_it_replaces_rows(qtbot, session, mapped):
    _window, _project, editor = mapped
    names = list(editor.table.form.rows)
    proposed = dict(editor.table.form.rows)
    mapped_rows = [row for row, name in enumerate(names) if proposed[name] not in ("ignore", "sky")]
    edited, emptied = mapped_rows[:2]
    choose(editor, edited, "sky")
    choose(editor, emptied, "ignore")
    editor.propose.click()
    qtbot.waitUntil(lambda: hasattr(editor, "question"), timeout=10_000)
    assert editor.table.form.rows[names[edited]] == "sky", "nothing is replaced before the answer"
    assert f"{names[edited]}: sky" in editor.question.informativeText()
    button = next(button for button in editor.question.buttons() if button.text() == "Fill 1 ignored row")
    button.click()
    rows = editor.table.form.rows
    assert rows[names[edited]] == "sky" and rows[names[emptied]] == proposed[names[emptied]]
    session.opened.undo()
    qtbot.waitUntil(lambda: editor.table.form.rows[names[emptied]] == "ignore", timeout=10_000)
