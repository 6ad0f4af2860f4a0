"""The dialog of the queue: what it shows, its keys, and how the window and Compare fill it."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox

from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots_studio import theme
from crots_studio.dialogs.queue import QueueDialog
from crots_studio.panels.compare.panel import ComparePanel
from crots_studio.panels.setup import trust
from tests.studio.controls import unnamed
from tests.studio.fake_project import make_fake_project
from tests.studio.runs.test_queue import FakeRun


@pytest.fixture
def dialog(qtbot, session):
    session.queue.start_run = FakeRun
    session.queue.why_not_ready = lambda project, trusted: ""
    dialog = QueueDialog(session)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def rows(dialog):
    cells = range(dialog.table.columnCount())
    return [tuple(dialog.table.item(row, cell).text() for cell in cells) for row in range(dialog.table.rowCount())]


def test_it_says_what_to_do_while_it_is_empty(dialog):
    assert "empty" in dialog.message.text() and not dialog.start.isEnabled() and not dialog.stop.isEnabled()
    assert not unnamed(dialog)


def test_all_of_it_works_by_keyboard(qtbot, session, dialog, projects):
    for folder in projects:
        dialog.add(folder)
    assert [row[:2] for row in rows(dialog)] == [("one", "waiting"), ("two", "waiting"), ("three", "waiting")]
    assert "Nothing runs until you press Start" in dialog.message.text()
    dialog.table.setFocus()
    dialog.table.selectRow(2)
    qtbot.keyClick(dialog.table, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert [row[0] for row in rows(dialog)] == ["one", "three", "two"]
    assert dialog.selected == [projects[2]], "the moved one stays selected"
    qtbot.keyClick(dialog.table, Qt.Key.Key_Delete)
    assert [row[0] for row in rows(dialog)] == ["one", "two"]
    qtbot.keyClick(dialog.table, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert [row[0] for row in rows(dialog)] == ["one", "three", "two"]
    assert "Move three" in dialog.undo_button.toolTip()
    qtbot.keyClick(dialog, Qt.Key.Key_S, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: "step 4 of 10" in rows(dialog)[0][2])
    assert rows(dialog)[0][1] == "running" and dialog.stop.isEnabled() and not dialog.start.isEnabled()
    qtbot.keyClick(dialog, Qt.Key.Key_T, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: not session.queue.running)
    assert rows(dialog)[0][1:] == ("waiting", "Stopped; it continues from there.")


def test_a_long_name_has_the_room_that_there_is(qtbot, session, dialog, tmp_path):
    """It ended after 200 pixels beside an empty column, and names of one study differ at their end."""
    for end in ("day", "night"):
        folder = tmp_path / f"adapt-the-vendor-s-model-to-the-{end}"
        session.queue.add([str(Project.create(folder, ProjectConfig()).folder)])
    again = QueueDialog(session)
    qtbot.addWidget(again)
    for shown in (dialog, again):
        assert 200 < shown.table.columnWidth(0) <= shown.width() * 2 // 5
        assert shown.table.textElideMode() == Qt.TextElideMode.ElideMiddle


def test_a_project_that_is_gone_is_shown(qtbot, session, dialog, tmp_path):
    session.queue.add([str(tmp_path / "gone")])
    qtbot.waitUntil(lambda: rows(dialog)[0][1] == "gone")
    assert "no project" in rows(dialog)[0][2]
    colour = dialog.table.item(0, 1).foreground().color().name()
    assert colour == theme.colours().bad
    dialog.add(str(tmp_path / "other"))
    assert "crots.toml" in dialog.message.text() and dialog.table.rowCount() == 1


def test_a_waiting_project_that_is_not_ready_says_so_before_the_start(qtbot, session, dialog, projects, tmp_path):
    asked, missing = [], {"one": "choose the target images in Set-up"}

    def why(project, trusted):
        asked.append(project.folder.name)
        return missing.get(project.folder.name, "")

    session.queue.why_not_ready = why
    # A dialog that becomes active asks anew.
    with qtbot.waitActive(dialog):
        pass
    session.queue.add(projects[:2])
    qtbot.waitUntil(lambda: rows(dialog)[0][1] == "not ready")
    assert rows(dialog)[0][2] == "It would fail at once: choose the target images in Set-up"
    assert rows(dialog)[1][1] == "waiting" and dialog.message.text().startswith("1 waiting, 1 not ready.")
    assert dialog.table.item(0, 1).foreground().color().name() == theme.colours().bad
    dialog._ask()
    qtbot.waitUntil(lambda: session.errands.idle)
    assert sorted(asked) == ["one", "two"], "images and models are not opened every two seconds"
    missing.clear()
    project = Project.open(tmp_path / "one")
    Project(project.folder, override(project.config, {"baseline.steps": "7"})).save()
    dialog._ask()
    qtbot.waitUntil(lambda: rows(dialog)[0][1] == "waiting")


def test_projects_that_are_called_alike_are_told_apart(session, dialog, tmp_path):
    for town in ("bern", "zug"):
        dialog.add(str(Project.create(tmp_path / town / "project", ProjectConfig()).folder))
    dialog.add(str(Project.create(tmp_path / "other", ProjectConfig()).folder))
    assert [row[0] for row in rows(dialog)] == ["bern/project", "zug/project", "other"]


def test_third_party_code_does_not_make_a_project_unready(qtbot, session, dialog, projects, tmp_path):
    """Start asks about it."""
    project = Project.open(tmp_path / "one")
    Project(project.folder, override(project.config, {"source.net": "odd.module:make"})).save()
    trusted = []
    session.queue.why_not_ready = lambda project, code: trusted.extend(piece.name for piece in code) or "looked"
    session.queue.add(projects[:1])
    qtbot.waitUntil(lambda: rows(dialog)[0][1] == "not ready")
    assert trusted == ["odd.module:make"]


def test_a_failed_one_is_run_again_at_the_end(qtbot, session, dialog, projects, tmp_path):
    session.queue.add([str(tmp_path / "gone"), projects[0]])
    dialog.begin()
    qtbot.waitUntil(lambda: session.queue.entries[0].state == "failed")
    dialog.table.selectRow(0)
    dialog.again_button.click()
    assert [entry.name for entry in session.queue.entries] == ["one", "gone"]
    session.queue.stop()
    qtbot.waitUntil(lambda: not session.queue.running)


@pytest.mark.parametrize("answer", [True, False])
def test_start_asks_for_trust_once(qtbot, session, dialog, projects, monkeypatch, answer, tmp_path):
    project = Project.open(tmp_path / "one")
    Project(project.folder, override(project.config, {"source.net": "odd.module:make"})).save()
    asked = []
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    monkeypatch.setattr(trust.QMessageBox, "exec", lambda box: asked.append(box.text()) or (yes if answer else no))
    session.queue.add(projects[:1])
    dialog.begin()
    qtbot.waitUntil(lambda: session.queue.entries[0].state == ("running" if answer else "failed"))
    assert len(asked) == 1 and "odd.module" in asked[0]
    if answer:
        assert session.queue.run is not None or session.queue.current
        qtbot.waitUntil(lambda: session.queue.run is not None)
        assert session.queue.run.project.config.runtime.trust
        session.queue.stop()
    qtbot.waitUntil(lambda: not session.queue.running)


def test_the_menu_queues_the_open_project_and_the_window_says_what_runs(qtbot, session, window, open_project, tmp_path):
    session.queue.start_run = FakeRun
    project = make_fake_project(tmp_path / "fake")
    action = window.menus.actions["Add this project to the queue"]
    assert not action.isEnabled() and "Open a project" in action.toolTip()
    open_project(project.folder)
    qtbot.waitUntil(action.isEnabled)
    action.trigger()
    dialog = window.project_actions.queue_dialog
    assert dialog.isVisible() and [entry.folder for entry in session.queue.entries] == [str(project.folder)]
    session.queue.start()
    qtbot.waitUntil(lambda: window.run_bar.text.text() == "Queue: project is running")
    window.close()
    assert window.isVisible() and "one" not in window.leaving.question.text()
    assert window.leaving.question.isVisible()
    window.leaving.leave(go_on=False)
    qtbot.waitUntil(lambda: not window.isVisible())
    assert session.queue.entries[0].state == "waiting"


def test_a_project_that_is_not_ready_is_not_queued_and_the_entry_says_why(qtbot, session, window, open_project, folder):
    open_project(folder)
    action = window.menus.actions["Add this project to the queue"]
    qtbot.waitUntil(lambda: action.toolTip() == "Not ready: choose the target images in Set-up")
    assert not action.isEnabled()


def test_closing_the_window_can_leave_the_run_to_itself(qtbot, session, window, projects):
    session.queue.start_run = FakeRun
    session.queue.why_not_ready = lambda project, trusted: ""
    session.queue.add(projects)
    session.queue.start()
    qtbot.waitUntil(lambda: session.queue.run is not None)
    run = session.queue.run
    window.close()
    assert "(2 waiting)" in window.leaving.question.informativeText()
    window.leaving.leave(go_on=True)
    assert not window.isVisible() and run.end is None
    assert [entry.state for entry in session.queue.entries] == ["running", "waiting", "waiting"]


def test_compare_queues_the_projects_of_selected_runs(qtbot, show_panel, open_project, tmp_path):
    project = make_fake_project(tmp_path / "fake")
    panel = show_panel(ComparePanel)
    open_project(project.folder)
    qtbot.waitUntil(lambda: panel.table.table.rowCount() > 0)
    assert not panel.queue_button.isEnabled()
    panel.table.selectRow(0)
    with qtbot.waitSignal(panel.queue_wanted) as asked:
        panel.queue_button.click()
    assert asked.args == [[str(project.folder)]]
