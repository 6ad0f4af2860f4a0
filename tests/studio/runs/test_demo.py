"""The demonstration, run to its end through the window's own buttons; and gone on with after a stop."""

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

import crots_studio.runs.demo
from crots.project import Project
from crots_studio.dialogs.new_project import DemoDialog
from crots_studio.runs.child import command_line
from crots_studio.runs.run import RunRequest

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A few images and steps in place of minutes."""
    source = crots_studio.runs.demo.demo_source
    small = lambda folder, *, tiny=False: source(folder, tiny=True)  # noqa: E731
    monkeypatch.setattr("crots_studio.runs.demo.demo_source", small)
    monkeypatch.setattr("crots_studio.runs.active.demo_source", small)


def answer(qtbot, folder):
    """Fills in the dialog that a click has opened."""
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, DemoDialog)
    dialog.place.take(str(folder.parent))
    dialog.name.selectAll()
    qtbot.keyClicks(dialog.name, folder.name)
    qtbot.mouseClick(dialog.create_button, Qt.MouseButton.LeftButton)


def test_it_runs_to_its_end_by_buttons(qtbot, session, window, tmp_path):
    folder = tmp_path / "demo"
    QTimer.singleShot(200, lambda: answer(qtbot, folder))
    with qtbot.waitSignal(session.run.ended, timeout=500_000) as ended:
        qtbot.mouseClick(window.welcome.demo, Qt.MouseButton.LeftButton)
    assert ended.args[0].outcome == "completed", ended.args[0]
    assert session.project.folder == folder
    qtbot.waitUntil(lambda: session.errands.idle, timeout=120_000)
    qtbot.waitUntil(lambda: all(row.state == "done" for row in window.rail.rows), timeout=20_000)
    assert [row.key for row in window.rail.rows][:2] == ["render", "train"]
    assert window.workspace.notifier.text.text().startswith("The run is finished")
    assert (folder / "export" / "adapted.onnx").exists()
    for tab in window.panels:
        window.pages.show_tab(tab)
        qtbot.wait(100)


def test_a_stopped_one_continues_with_run(qtbot, session, window, tmp_path):
    folder = tmp_path / "demo"
    window.project_actions.start_demo(folder)
    qtbot.waitUntil(lambda: "render" in session.opened.history.stages, timeout=120_000)
    session.run.stop()
    qtbot.waitUntil(lambda: not session.run.busy, timeout=120_000)
    assert session.project is not None or (folder / "crots.toml").exists()
    # What panels asked for before, torch among it, comes first.
    with qtbot.waitSignal(session.opened.project_changed, timeout=60_000):
        session.opened.open_project(folder)
    assert session.run.demo_unfinished
    assert command_line(Project.open(folder), RunRequest())[:2] == ["crots", "demo"]
    qtbot.waitUntil(lambda: not session.run.blocker and window.run_bar.run.isEnabled(), timeout=60_000)
    assert window.run_bar.run.text() == "Resume" and window.run_bar.text.text().startswith("Interrupted")
    # Nothing is wrong with files that the run is going to make.
    qtbot.waitUntil(lambda: all(row.state != "checking" for row in window.rail.rows), timeout=60_000)
    source = next(row for row in window.rail.rows if row.key == "source")
    assert (source.state, source.text) == ("missing", "not created yet")
    with qtbot.waitSignal(session.run.ended, timeout=500_000) as ended:
        qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    assert ended.args[0].outcome == "completed", ended.args[0]
    assert not session.run.demo_unfinished
