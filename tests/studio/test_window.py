"""The window: without torch at first, pages, menus, a run by its buttons, failures, closing while a run goes on."""

import subprocess
import sys
import threading

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QListWidget, QScrollArea, QWidget

from crots.errors import InputError, StageError
from crots.events import Progress, StageFinished, StageStarted
from crots.project import Project
from crots.project_config import ProjectConfig
from crots.runner import failure
from crots.taxonomy import load_class_set
from crots_studio import theme
from crots_studio.models.patch_gallery import RareRow
from crots_studio.runs.run import RunRequest
from crots_studio.window import MainWindow
from crots_studio.workspace_tabs import TABS
from tests.studio.controls import doubled_keys
from tests.studio.fake_project import fail_stage, make_fake_project
from tests.studio.scripts import START, FakeChild, long_run


def test_the_window_is_there_before_torch_and_within_a_second_of_work(tmp_path):
    code = (
        "import sys, time\n"
        "from crots_studio.app import *\n"
        "app = make_application(['x'])\n"
        "session = Session()\n"
        "session.refresh_theme()\n"
        "window = MainWindow(session)\n"
        "window.show()\n"
        "app.processEvents()\n"
        "heavy = {'torch', 'pyqtgraph', 'cv2', 'superqt'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "window.pages.build_workspace()\n"
        "assert 'torch' not in sys.modules, 'building the panels imported torch'\n"
        "session.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_a_project_turns_the_page_and_closing_it_turns_back(qtbot, session, window, open_project, folder):
    assert window.pages.currentWidget() is window.welcome
    open_project(folder)
    assert window.pages.currentWidget() is window.workspace
    assert "project" in window.windowTitle()
    window.project_actions.close_project()
    assert window.pages.currentWidget() is window.welcome
    assert window.welcome.recent.count() == 1


def test_a_folder_without_a_project_is_reported_in_a_box(qtbot, window, tmp_path):
    window.project_actions.go_to_project(tmp_path)
    qtbot.waitUntil(lambda: hasattr(window.project_actions, "message"))
    assert "no crots.toml" in window.project_actions.message.text()
    window.project_actions.message.close()


def test_every_tab_has_its_panel(window):
    assert [window.tabs.tabText(index) for index in range(window.tabs.count())] == [tab.title for tab in TABS]


def test_every_control_can_be_reached_and_has_a_name(ready, qtbot):
    for tab in TABS:
        ready.pages.show_tab(tab.key)
        qtbot.wait(10)
    kinds = (QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox, QListWidget)
    lacking = []
    for widget in ready.findChildren(QWidget):
        if not isinstance(widget, kinds) or is_part(widget):
            continue
        button = isinstance(widget, QAbstractButton)
        name = widget.accessibleName() or (widget.text() if button else "") or buddy_text(ready, widget)
        if not name.strip():
            lacking.append(describe(widget))
        elif widget.focusPolicy() & Qt.FocusPolicy.TabFocus == Qt.FocusPolicy.NoFocus and not in_tool_bar(widget):
            lacking.append(f"{describe(widget)} cannot be reached by Tab")
    assert not lacking, "\n".join(lacking)


def is_part(widget):
    """Parts that Qt itself puts into other controls."""
    parent = widget.parent()
    if parent is not None and parent.inherits("QTableView") and type(widget) is QAbstractButton:
        return True
    if parent is not None and parent.inherits("QMenuBar"):
        return True
    names = ("qt_spinbox_lineedit", "ScrollLeftButton", "ScrollRightButton", "qt_toolbar_ext_button")
    return widget.objectName() in names or isinstance(parent, (QComboBox, QLineEdit, QAbstractSpinBox))


def in_tool_bar(widget):
    return widget.inherits("QToolButton") and widget.parent() is not None and widget.parent().inherits("QTabBar")


def buddy_text(window, widget):
    labels = [label for label in window.findChildren(QWidget) if label.inherits("QLabel")]
    return next((label.text() for label in labels if label.buddy() is widget), "")


def describe(widget):
    chain = [widget]
    while chain[-1].parent() is not None and len(chain) < 5:
        chain.append(chain[-1].parent())
    return " < ".join(type(part).__name__ for part in chain)


def test_it_fits_1280_by_720(ready):
    assert ready.minimumSizeHint().width() <= 1280
    assert ready.minimumSizeHint().height() <= 720


def test_both_themes_reach_palette_and_signal(qtbot, session, window):
    for mode in ("dark", "light"):
        with qtbot.waitSignal(session.theme_changed) as changed:
            session.set_theme(mode)
        assert changed.args == [mode == "dark"]
        assert theme.is_dark() == (mode == "dark")
        text, base = window.palette().text().color(), window.palette().base().color()
        assert abs(text.lightness() - base.lightness()) > 120


def test_run_pause_resume_stop_by_buttons(qtbot, session, ready, scripted):
    long_run(scripted)
    bar = ready.run_bar
    qtbot.mouseClick(bar.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.run.state.done == 1)
    assert bar.stop.isEnabled() and not bar.run.isEnabled()
    assert "step 1 of 100" in bar.text.text()
    assert not bar.pace.text(), "how long it takes is not known after one step"
    qtbot.mouseClick(bar.pause, Qt.MouseButton.LeftButton)
    assert bar.pause.accessibleName() == "Resume" and "paused" in bar.text.text()
    qtbot.mouseClick(bar.pause, Qt.MouseButton.LeftButton)
    assert bar.pause.accessibleName() == "Pause"
    qtbot.mouseClick(bar.stop, Qt.MouseButton.LeftButton)
    assert "stopping" in bar.text.text() and not bar.stop.isEnabled()
    qtbot.waitUntil(lambda: not session.run.busy)
    qtbot.waitUntil(lambda: bar.run.isEnabled())
    assert not bar.stop.isEnabled()
    assert scripted.requests[0].only is None


def test_a_stage_alone_from_the_rail(qtbot, session, ready, scripted):
    scripted(START, StageFinished(stage="baseline", outcome="completed", seconds=1))
    keys = [row.key for row in ready.rail.rows]
    ready.rail.list.setCurrentRow(keys.index("pseudo-label"))
    assert ready.settings_panel.section.currentData() == "pseudo_label"
    with qtbot.waitSignal(session.run.ended):
        qtbot.mouseClick(ready.rail.run_one, Qt.MouseButton.LeftButton)
    assert scripted.requests[0].only == "pseudo-label"


def test_what_cannot_run_alone_says_why_when_asked_by_its_keys(session, ready, scripted):
    """Ctrl+Shift+R did nothing at all while an input was chosen."""
    received = []
    session.notice.connect(received.append)
    number = next(place for place, row in enumerate(ready.rail.rows) if row.key == "target")
    ready.rail.list.setCurrentRow(number)
    ready.menus.actions["Run only the selected stage"].trigger()
    assert received == ["Target images is an input: choose a stage below it to run it alone"] and not session.run.busy


def test_run_is_refused_with_its_reason(qtbot, session, window, open_project, folder):
    open_project(folder)
    # The fields are checked in any order; the first of those that lack something is named in the end.
    qtbot.waitUntil(lambda: "choose the target images" in window.run_bar.text.text(), timeout=30_000)
    assert not window.run_bar.run.isEnabled()
    assert not window.menus.actions["Run all remaining stages"].isEnabled()


def test_out_of_memory_offers_a_smaller_batch_and_runs_again(qtbot, session, ready, scripted):
    scripted(START, failure(MemoryError(), "baseline", 1.0))
    with qtbot.waitSignal(session.run.ended):
        session.run.start()
    dialog = ready.failure
    assert "memory" in dialog.windowTitle() or "memory" in dialog.advice.heading
    assert dialog.remedies
    scripted(START, StageFinished(stage="baseline", outcome="completed", seconds=1))
    with qtbot.waitSignal(session.run.ended):
        qtbot.mouseClick(dialog.remedies[0], Qt.MouseButton.LeftButton)
    assert session.project.config.baseline.accumulate > 1


def test_an_error_of_ours_shows_the_traceback_and_can_be_copied(qtbot, session, ready, scripted):
    def fail(control):
        raise ZeroDivisionError("oh")

    scripted(START, fail)
    with qtbot.waitSignal(session.run.ended):
        session.run.start()
    assert "ZeroDivisionError" in ready.failure.tail.toPlainText()
    ready.failure.copy_report()
    ready.failure.reject()


def test_an_input_error_is_one_line_without_traceback(qtbot, session, ready, scripted):
    def fail(control):
        raise InputError("data.size: found 7, expected at least 8")

    scripted(fail)
    with qtbot.waitSignal(session.run.ended):
        session.run.start()
    assert "Traceback" not in ready.failure.tail.toPlainText()
    ready.failure.reject()


def test_closing_during_a_run_asks_and_stop_and_keep_ends_it(qtbot, session, ready, scripted):
    long_run(scripted)
    session.run.start()
    qtbot.waitUntil(lambda: session.run.state.done == 1)
    assert not ready.close()
    assert ready.leaving.question.isVisible()
    buttons = {button.text(): button for button in ready.leaving.question.buttons()}
    qtbot.mouseClick(buttons["Stop and keep"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not session.run.busy)
    qtbot.waitUntil(lambda: not ready.isVisible())


def test_closing_can_be_thought_better_of(qtbot, session, ready, scripted):
    long_run(scripted)
    session.run.start()
    ready.close()
    buttons = {button.text(): button for button in ready.leaving.question.buttons()}
    qtbot.mouseClick(buttons["Keep the window open"], Qt.MouseButton.LeftButton)
    assert session.run.busy and ready.isVisible()


def test_going_on_without_the_window_hands_over_to_a_child(qtbot, session, ready, scripted, monkeypatch):
    long_run(scripted)
    begun = []
    monkeypatch.setattr(session.run, "child_run", lambda request: FakeChild(begun))
    session.run.start()
    qtbot.waitUntil(lambda: session.run.state.done == 1)
    ready.close()
    buttons = {button.text(): button for button in ready.leaving.question.buttons()}
    qtbot.mouseClick(buttons["Continue in the background"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not ready.isVisible(), timeout=10_000)
    assert begun == ["started"]
    assert session.run.leave()


def test_where_no_child_can_take_over_the_window_stays_and_says_so(qtbot, session, ready, scripted, monkeypatch):
    long_run(scripted)
    monkeypatch.setattr(FakeChild, "start", refuse_to_start)
    monkeypatch.setattr(session.run, "child_run", lambda request: FakeChild([]))
    session.run.start()
    qtbot.waitUntil(lambda: session.run.state.done == 1)
    ready.leaving.leave(go_on=True)
    qtbot.waitUntil(lambda: not session.run.busy and not ready.leaving.under_way)
    qtbot.waitUntil(lambda: "no more processes" in ready.log_panel.text)
    qtbot.wait(100)
    assert ready.isVisible()


def refuse_to_start(child):
    raise OSError("no more processes")


def test_a_run_that_fails_while_the_window_waits_for_it_is_shown(qtbot, session, ready, scripted):
    begun = threading.Event()

    def fail(control):
        begun.set()
        control.wait_for_stop(300)
        raise StageError("cannot write checkpoint.pt: the disk is full; free some space and run again")

    scripted(START, fail)
    session.run.start()
    assert begun.wait(300)
    ready.leaving.leave(go_on=False)
    qtbot.waitUntil(lambda: not session.run.busy)
    qtbot.waitUntil(lambda: "disk is full" in ready.log_panel.text + ready.failure.advice.message)
    qtbot.wait(100)
    assert ready.isVisible()
    ready.failure.reject()


def test_the_welcome_page_offers_nothing_that_does_nothing(session, window):
    setup = next(action for action in window.findChildren(QAction) if action.text() == TABS[0].title)
    assert not setup.isEnabled()
    session.run.busy_changed.emit(False)
    assert not setup.isEnabled()


def test_a_recent_project_that_has_gone_is_shown_as_gone(qtbot, session, window, open_project, folder):
    open_project(folder)
    session.opened.close_project()
    folder.rename(folder.with_name("elsewhere"))
    window.welcome.recent.itemClicked.emit(window.welcome.recent.item(0))
    qtbot.waitUntil(lambda: hasattr(window.project_actions, "message"))
    assert "crots init" not in window.project_actions.message.text()
    window.project_actions.message.close()
    # The disk is looked at beside the window.
    qtbot.waitUntil(lambda: "(not found)" in window.welcome.recent.item(0).text())


@pytest.mark.parametrize("answer", ["Stop and keep", "Continue in the background"])
def test_closing_over_a_run_in_another_process_asks_too(qtbot, session, ready, answer):
    child = FakeChild([])
    session.run.begin(child)
    session.run.pause()
    assert not ready.close() and "separate process" in ready.leaving.question.informativeText()
    buttons = {button.text(): button for button in ready.leaving.question.buttons()}
    qtbot.mouseClick(buttons[answer], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not ready.isVisible(), timeout=10_000)
    # A halted process would wait for ever.
    assert child.begun[-1] == ("stopped" if answer == "Stop and keep" else "resumed")
    assert session.run.leave()


def test_one_of_a_terminal_is_left_alone(session, ready):
    child = FakeChild([])
    child.controllable = False
    session.run.begin(child)
    bar = ready.run_bar
    assert not bar.stop.isEnabled() and "another window" in bar.stop.toolTip() and bar.memory.text() == ""
    assert ready.close() and child.begun == ["started"]
    assert session.run.leave()


def test_another_project_is_refused_during_a_run(qtbot, session, ready, scripted, tmp_path):
    long_run(scripted)
    session.run.start()
    other = Project.create(tmp_path / "other", ProjectConfig()).folder
    ready.project_actions.go_to_project(other)
    assert "Stop the run" in ready.project_actions.message.text()
    ready.project_actions.message.close()
    assert session.project.folder.name == "project"


def test_an_interrupted_project_offers_to_resume(qtbot, session, window, folder):
    project = Project.open(folder)
    project.begin("pseudo-label")
    (folder / "events.jsonl").write_text(
        '{"event": "StageStarted", "stage": "pseudo-label", "time": 5, "total": 100}\n'
        '{"event": "Progress", "stage": "pseudo-label", "time": 6, "done": 30, "total": 100}\n'
    )
    with qtbot.waitSignal(session.opened.project_changed):
        session.opened.open_project(folder)
    qtbot.waitUntil(lambda: window.run_bar.run.text() == "Resume")
    row = next(row for row in window.rail.rows if row.key == "pseudo-label")
    assert row.text == "interrupted at 30%"


def test_the_window_answers_while_a_run_floods_it(qtbot, session, ready, scripted):
    events = [Progress(stage="baseline", done=number, total=20_000) for number in range(20_000)]
    scripted(START, *events)
    ticks = []
    timer = QTimer(interval=0)
    timer.timeout.connect(lambda: ticks.append(session.run.busy))
    timer.start()
    with qtbot.waitSignal(session.run.ended, timeout=60_000):
        session.run.start()
    # How fast it is the benchmark measures; here the window only has to come to its own work in between.
    assert ticks.count(True) > 5


def test_layout_is_remembered(qtbot, session, window):
    window.pages.setCurrentWidget(window.workspace)
    qtbot.wait(20)
    window.workspace.show_settings(True)
    window.workspace.columns.setSizes([260, 380, 340])
    before = window.workspace.columns.sizes()
    window.close()
    again = MainWindow(session)
    qtbot.addWidget(again)
    again.resize(window.size())
    again.show()
    again.pages.build_workspace()
    again.pages.setCurrentWidget(again.workspace)
    again.workspace.show_settings(True)
    qtbot.wait(20)
    columns = again.workspace.columns
    qtbot.waitUntil(lambda: all(abs(a - b) < 40 for a, b in zip(before, columns.sizes(), strict=True)))


def test_long_names_push_no_panel_aside(qtbot, session, ready):
    ready.resize(1280, 720)
    before = ready.rail.width(), ready.settings_panel.width()
    detail = ready.panels["patches"].detail
    ready.pages.show_tab("patches")
    detail.title.setText("a_name_without_any_space_" * 12)
    detail.readout.setText("another_one_" * 20)
    ready.panels["pseudo_labels"].about.setText("a_name_without_any_space_" * 12)
    qtbot.wait(50)
    ready.pages.show_tab("pseudo_labels")
    qtbot.wait(50)
    assert (ready.rail.width(), ready.settings_panel.width()) == before


@pytest.mark.parametrize("finished", [False, True])
def test_no_key_means_two_things(qtbot, session, window, open_project, tmp_path, finished):
    project = make_fake_project(tmp_path / "fake") if finished else Project.create(tmp_path / "new", ProjectConfig())
    open_project(project.folder)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
    for name, panel in window.panels.items():
        window.pages.show_tab(name)
        qtbot.waitUntil(panel.isVisible)
        views = getattr(panel, "tabs", None)
        for number in range(views.count() if views is not None else 1):
            if views is not None:
                views.setCurrentIndex(number)
            qtbot.wait(20)
            assert not doubled_keys(window), name


def test_undo_by_keys_reaches_the_patches(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path / "fake").folder)
    window.pages.show_tab("patches")
    panel = window.panels["patches"]
    qtbot.waitUntil(lambda: panel.gallery.current >= 0, timeout=30_000)
    with qtbot.waitActive(window):
        window.activateWindow()
    panel.gallery.setFocus()
    qtbot.keyClick(panel.gallery, Qt.Key.Key_Delete)
    assert panel.undo_button.isEnabled()
    qtbot.keyClick(panel.gallery, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not panel.undo_button.isEnabled() and panel.redo_button.isEnabled()


def test_on_a_small_screen_the_window_fills_it(qtbot, session):
    window = MainWindow(session)
    qtbot.addWidget(window)
    room = window.screen().availableGeometry()
    window.setMinimumSize(100, 100)
    window.resize(room.width() - 100, room.height() - 100)
    window.open_up()
    assert not window.isMaximized()
    window.resize(room.width() + 100, 300)
    window.open_up()
    assert window.isMaximized()


def test_cutting_patches_leaves_the_user_where_he_is(qtbot, session, ready, scripted):
    scripted(StageStarted(stage="mine", total=1), StageFinished(stage="mine", outcome="completed", seconds=1))
    ready.pages.show_tab("patches")
    with qtbot.waitSignal(session.run.ended):
        session.run.start(RunRequest(only="mine"))
    assert ready.workspace.panel_in_front is ready.panels["patches"]
    assert ready.workspace.notifier.isHidden()
    with qtbot.waitSignal(session.run.ended):
        session.run.start(RunRequest(only="baseline"))
    assert ready.workspace.panel_in_front is ready.panels["monitor"]
    assert not ready.workspace.notifier.isHidden()


def test_thumbnails_stand_in_two_columns_at_1280_by_720(qtbot, session, ready):
    ready.resize(1280, 720)
    for tab in ("pseudo_labels", "before_after"):
        ready.pages.show_tab(tab)
        qtbot.wait(50)
        view = ready.panels[tab].images.thumbnails
        beside = view.verticalScrollBar().sizeHint().width() + 2 * view.frameWidth()
        qtbot.waitUntil(lambda view=view, beside=beside: view.width() - beside >= 2 * view.gridSize().width())


def test_patches_have_room_at_1280_by_720(qtbot, session, ready):
    ready.resize(1280, 720)
    ready.pages.show_tab("patches")
    panel, classes = ready.panels["patches"], load_class_set("demo")
    rows = [
        RareRow(id=n, name=name, share=0.05, confidence=0.5, images=1, rare=True, reason="", patches=2025, kept=2024)
        for n, name in enumerate(classes.names)
    ]
    table = panel.rare.table
    table.show_rows(rows, classes)
    qtbot.wait(50)
    # No name is cut.
    qtbot.waitUntil(lambda: table.sizeHintForColumn(0) <= table.columnWidth(0))
    first, second = panel.detail.views.views[:2]
    # Picture and labels do not overlap.
    qtbot.waitUntil(lambda: first.geometry().right() < second.geometry().left())
    qtbot.waitUntil(lambda: second.geometry().right() <= panel.detail.views.width())


def test_another_project_is_seen_whole_from_its_start_and_with_its_own_process_choice(
    qtbot, session, window, open_project, tmp_path
):
    first, second = (make_fake_project(tmp_path / name).folder for name in ("a", "b"))
    open_project(first)
    window.resize(1000, 640)
    qtbot.mouseClick(window.run_bar.apart, Qt.MouseButton.LeftButton)
    assert session.run.in_child
    area, scrolls = window.panels["pseudo_labels"].area, window.panels["setup"].findChild(QScrollArea)
    window.pages.show_tab("pseudo_labels")
    qtbot.waitUntil(lambda: bool(area.shown), timeout=10_000)
    area.views.views[0].zoom_by(4)
    window.pages.show_tab("setup")
    qtbot.waitUntil(lambda: scrolls.verticalScrollBar().maximum() > 0)
    scrolls.verticalScrollBar().setValue(100)
    assert area.views.place.zoom > 1 and scrolls.verticalScrollBar().value() > 0
    open_project(second)
    assert area.views.place.zoom == 1 and scrolls.verticalScrollBar().value() == 0
    assert not session.run.in_child and not window.run_bar.apart.isChecked()
    open_project(first)
    assert session.run.in_child and window.run_bar.apart.isChecked()


def test_why_a_stage_failed_can_be_read_again_after_its_project_was_closed(
    qtbot, session, window, open_project, tmp_path
):
    """The dialog came once, and after that the reason stood in a tooltip only."""
    project = make_fake_project(tmp_path)
    fail_stage(project, "adapt-1", "the images are gone")
    open_project(project.folder)
    session.opened.set_options({"adapt.steps": "7"})
    rail = window.rail
    qtbot.waitUntil(lambda: any(row.state == "failed" for row in rail.rows))
    row = next(row for row in rail.rows if row.state == "failed")
    assert row.key == "adapt-1" and row.text == "failed; its earlier result is kept"
    offered = {action.text(): action for action in rail.menu_of(row).actions()}
    assert not offered["Discard the unfinished work ..."].isEnabled(), "it had not begun"
    assert offered["Apply its model ..."].isEnabled(), "that of its earlier result"
    offered["Why it failed ..."].trigger()
    assert window.failure.advice.heading == "Round 1 cannot continue"
    assert "The images are gone" in window.failure.advice.message
    window.failure.reject()
    done = next(row for row in rail.rows if row.state == "done")
    assert "Why it failed ..." not in [action.text() for action in rail.menu_of(done).actions()]
