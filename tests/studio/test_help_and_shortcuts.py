"""Help, shortcuts, about, and the notice at a run's end."""

import itertools
import re
import struct
from pathlib import Path

import pytest
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QMainWindow, QPushButton, QSystemTrayIcon, QWidget

import crots_studio
from crots.artefacts import CHOICE
from crots.errors import NotBegun
from crots.events import Evaluated, Note
from crots.files import write_json
from crots.project import Project
from crots.project_config import ProjectConfig
from crots.runner import failure
from crots.stages.workbench import Workbench
from crots_studio.dialogs.about import AboutDialog
from crots_studio.dialogs.help import HelpDialog
from crots_studio.dialogs.shortcuts import OWN_KEYS, ShortcutsDialog, keys_of
from crots_studio.models.help_topics import TOPICS, read_topics, topic_of
from crots_studio.models.iou import Scores
from crots_studio.panels.help import HelpPanel
from crots_studio.panels.monitor.panel import MonitorPanel
from crots_studio.runs.run import RunEnd, RunRequest, end_of
from crots_studio.widgets.notifier import Notifier, notice_for
from tests.studio.fake_project import make_fake_project


@pytest.mark.parametrize("topic", read_topics(), ids=lambda topic: topic.key)
def test_every_topic_has_four_sentences_and_a_picture(topic):
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z])", topic.text)
    assert len(sentences) == 4, sentences
    assert topic.title and topic.text.endswith(".")
    head = topic.picture.read_bytes()[:24]
    width, height = struct.unpack(">II", head[16:24])
    assert head[1:4] == b"PNG" and width >= 2 * height
    assert topic.picture.stat().st_size < 100_000


def test_every_stage_has_a_topic():
    assert topic_of("adapt-7") == "adapt"
    assert {topic_of(key) for key in ("pseudo-label", "baseline", "mine", "evaluate", "export")} <= set(TOPICS)


def test_help_shows_text_and_picture(qtbot, session):
    panel = HelpPanel(session)
    qtbot.addWidget(panel)
    panel.resize(800, 400)
    panel.show()
    panel.show_stage("adapt-2")
    assert panel.heading.text() == "Adaptation rounds"
    assert "teacher" in panel.text.text()
    assert panel.picture.pixmap().width() > 200
    for row in range(panel.list.count()):
        panel.list.setCurrentRow(row)
        assert not panel.picture.pixmap().isNull()


def test_help_opens_as_a_dialog(qtbot, session):
    dialog = HelpDialog(session)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.panel.list.currentRow() == 0


@pytest.fixture
def window(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    menu = window.menuBar().addMenu("&Run")
    for text, keys in (("&Start all ...", "Ctrl+R"), ("No key", "")):
        action = QAction(text, window)
        if keys:
            action.setShortcut(QKeySequence(keys))
        menu.addAction(action)
    return window


def test_every_action_with_a_key_is_listed(window, session, qtbot):
    rows = keys_of(window)
    assert (rows[0].place, rows[0].keys, rows[0].what) == ("Run", "Ctrl+R", "Start all")
    assert not any(row.what == "No key" for row in rows)
    dialog = ShortcutsDialog(session, window)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.search.setText("start run")
    shown = [row for row in range(dialog.table.rowCount()) if not dialog.table.isRowHidden(row)]
    assert shown == [0]


def test_about_names_versions_without_importing_torch(qtbot, session):
    dialog = AboutDialog(session)
    qtbot.addWidget(dialog)
    assert "torch 2" in dialog.versions.text() and "PySide6" in dialog.versions.text()
    next(button for button in dialog.findChildren(QPushButton) if "Copy" in button.text()).click()
    assert QGuiApplication.clipboard().text() == dialog.versions.text()


def test_keys_that_views_handle_themselves_are_listed():
    """Each key that a view of the studio asks for stands in the dialog."""
    words = {"Plus": "+", "Equal": "+", "Minus": "-", "PageDown": "Page Down", "PageUp": "Page Up", "Delete": "Del",
             "Escape": "Esc", "Up": "Arrow keys", "Down": "Arrow keys"}  # fmt: skip
    listed = {key for _, keys, _ in OWN_KEYS for key in keys.split(", ")}
    for path in Path(crots_studio.__file__).parent.rglob("*.py"):
        for key in re.findall(r"Key\.Key_(\w+)", path.read_text(encoding="utf-8")):
            assert words.get(key, key) in listed, f"{path.name}: {key}"


def test_keys_of_buttons_and_lists_say_where_they_act(window, session, qtbot):
    panel = QWidget(window)
    panel.setAccessibleName("Set-up")
    for text, keys in (("&Check again", "F5"), ("&Mnemonic", "")):
        button = QPushButton(text, panel)
        if keys:
            button.setShortcut(keys)
    rows = {row.keys: row for row in keys_of(window)}
    assert (rows["F5"].place, rows["F5"].what) == ("Set-up", "Check again")
    assert "Alt+M" not in rows


def scored(subject, miou):
    return Evaluated(stage="evaluate", subject=subject, miou=miou, per_class_iou={"road": miou})


def test_the_end_of_a_run_is_reported_with_its_score(qtbot, session):
    pressed = []
    notifier = Notifier(session, more=("Export", lambda: pressed.append(1)))
    qtbot.addWidget(notifier)
    session.opened.history.add([scored("source", 0.4), scored("adapt-2", 0.525)])
    session.run.ended.emit(RunEnd("completed", "export"))
    assert notifier.isVisible()
    assert notifier.text.text() == "The run is finished. Round 2: mIoU 52.5%, +12.5 against Source"
    notifier.more.click()
    assert pressed
    session.run.busy_changed.emit(True)
    assert not notifier.isVisible()


def test_a_rerun_says_what_corrected_labels_changed(qtbot, session, open_project, tmp_path):
    project = open_project(make_fake_project(tmp_path / "fake").folder)
    notifier = Notifier(session)
    qtbot.addWidget(notifier)
    before = Scores.of_history(session.opened.history).latest("adapt-2").miou
    session.run.busy_changed.emit(True)
    session.run.ended.emit(RunEnd("completed", "export"))
    assert "before" not in notifier.text.text(), "nothing was replaced"
    corrections = project.corrections_path / "label_ids" / "city"
    corrections.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (corrections / name).touch()
    for change, role in ((0.031, "good"), (-0.02, "warning")):
        session.run.busy_changed.emit(True)
        session.opened.history.add([scored("adapt-2", before + change)])
        session.run.ended.emit(RunEnd("completed", "export"))
        sign = "+" if change > 0 else "\u2212"
        moved = abs(change) if change > 0 else 0.051
        words = f", {sign}{100 * moved:.1f} against the result before; labels of 2 images are corrected"
        assert notifier.text.text().endswith(words) and notifier.text.property("role") == role


def test_a_stage_alone_is_reported_without_the_scores_of_later_ones(qtbot, session):
    notifier = Notifier(session)
    qtbot.addWidget(notifier)
    session.opened.history.add([scored("source", 0.4), scored("baseline", 0.45), scored("adapt-2", 0.525)])
    for only, words in (
        ("pseudo-label", "Pseudo-labels is done."),
        ("baseline", "Baseline: mIoU 45.0%, +5.0 against Source"),
        ("evaluate", "Round 2: mIoU 52.5%, +12.5 against Source"),
    ):
        session.run.request = RunRequest(only=only)
        session.run.ended.emit(RunEnd("completed", only))
        assert notifier.text.text() == f"The run is finished. {words}"


def test_failures_and_stops_are_reported_too(qtbot, session):
    notifier = Notifier(session)
    qtbot.addWidget(notifier)
    session.run.ended.emit(RunEnd("failed", "adapt-1", "out of memory"))
    assert "Round 1: out of memory" in notifier.text.text()
    session.run.ended.emit(RunEnd("cancelled", "adapt-1"))
    assert "can be resumed" in notifier.text.text() and notifier.more.isHidden()
    session.run.state.discarding = True
    session.run.ended.emit(RunEnd("cancelled", "adapt-1"))
    assert "can be resumed" not in notifier.text.text() and "Round 1 was discarded" in notifier.text.text()
    session.run.ended.emit(RunEnd("failed", "", "no process"))
    assert notifier.text.text() == "The run failed. No process"


def test_the_topics_of_the_help_lie_one_below_the_other(qtbot, session):
    dialog = HelpDialog(session)
    qtbot.addWidget(dialog)
    dialog.show()
    topics = dialog.panel.list
    rows = [topics.visualItemRect(topics.item(row)) for row in range(topics.count())]
    assert all(above.bottom() < below.top() for above, below in itertools.pairwise(rows))
    assert min(row.height() for row in rows) >= topics.fontMetrics().height() + 8


def test_a_run_that_the_guard_stopped_is_reported_in_amber_with_the_reason(
    qtbot, session, open_project, tmp_path, monkeypatch
):
    project = open_project(make_fake_project(tmp_path / "fake").folder)
    notifier = Notifier(session)
    qtbot.addWidget(notifier)
    session.run.ended.emit(RunEnd("completed", "export"))
    assert notifier.text.property("role") == "good"
    words = "stopped after step 60 of 100 and went back to the checkpoint of step 40, the best healthy one"
    write_json(project.stage_folder("adapt-1") / CHOICE, {"words": words, "problem": "went back to its start"})
    session.run.ended.emit(RunEnd("completed", "export"))
    assert notifier.text.property("role") == "warning"
    assert "with a warning" in notifier.text.text() and f"Round 1: {words}." in notifier.text.text()
    # A later run that did not touch this round is not blamed for it.
    monkeypatch.setattr("crots_studio.widgets.notifier.time.time", lambda: 2_000_000_000.0)
    session.run.busy_changed.emit(True)
    session.run.ended.emit(RunEnd("completed", "export"))
    assert notifier.text.property("role") == "good"


def test_a_run_with_warnings_is_not_reported_as_all_well(qtbot, session, open_project, tmp_path, monkeypatch):
    """A round that had learnt nothing ended with a green note; only the folded log told of it."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    notifier = Notifier(session)
    qtbot.addWidget(notifier)
    for count, (stage, words) in enumerate((("mine", "there are no patches"), ("adapt-1", "it learnt nothing")), 1):
        session.opened.history.add([Note(stage=stage, level="warning", text=words)])
        session.run.ended.emit(RunEnd("completed", "export"))
        assert notifier.text.property("role") == "warning"
        message = notifier.text.text()
        assert message.startswith("The run is finished, with " + ("a warning. " if count == 1 else "2 warnings. "))
        assert f": {words}. " in message and ("The log has the other." in message) == (count == 2)
    monkeypatch.setattr("crots_studio.widgets.notifier.time.time", lambda: 2_000_000_000.0)
    session.run.busy_changed.emit(True)
    session.run.ended.emit(RunEnd("completed", "export"))
    assert notifier.text.property("role") == "good", "the warnings of an earlier run"


def test_what_was_known_before_the_run_does_not_question_its_result(qtbot, session, open_project, tmp_path):
    """A student that starts from random weights, as it was asked for, turned the end of every run amber."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    notifier = Notifier(session)
    qtbot.addWidget(notifier)
    bench = Workbench(session.project.config, session.project.folder, None, "baseline")
    bench.note("the student starts from random weights", warning=True)
    session.opened.history.add(bench.notes)
    session.run.ended.emit(RunEnd("completed", "export"))
    assert notifier.text.property("role") == "good" and "warning" not in notifier.text.text()


def test_the_desktop_is_notified_if_possible(qtbot, session, monkeypatch):
    received = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "supportsMessages", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", lambda *words: received.append(words[1:3]))
    monkeypatch.setattr(QSystemTrayIcon, "show", lambda _: None)
    notifier = Notifier(session)
    qtbot.addWidget(notifier)
    notifier.window().isActiveWindow = lambda: False
    session.run.ended.emit(RunEnd("completed", "export"))
    assert received == [("The run is finished", "All stages that were asked for are done.")]


def test_notices_of_a_run_go_with_its_project(qtbot, session, open_project, tmp_path):
    notifier = Notifier(session, more=("Export ...", lambda: None))
    qtbot.addWidget(notifier)
    for name, shown in (("a", True), ("b", False)):
        folder = Project.create(tmp_path / name, ProjectConfig()).folder
        if name == "b":
            session.opened.open_project(folder)
            qtbot.waitUntil(lambda folder=folder: session.project.folder == folder)
        else:
            open_project(folder)
            session.run.ended.emit(RunEnd("failed", "baseline", "the disk is full"))
        assert notifier.isVisible() == shown


def test_a_stage_that_was_stopped_before_it_began_is_not_shown_to_continue(qtbot, session):
    end = end_of(failure(NotBegun(), "baseline", 0.0))
    assert end.outcome == "cancelled"
    found = notice_for(end, Scores(), discarded=True)
    assert found == ("The run was stopped", "Baseline was stopped before it began; nothing was changed.", False)


def test_the_notice_tells_of_a_round_that_the_project_has(qtbot, session, open_project, tmp_path):
    open_project(make_fake_project(tmp_path / "fake").folder)
    session.opened.set_options({"adapt.rounds": "1"})
    notifier = Notifier(session)
    qtbot.addWidget(notifier)
    session.run.ended.emit(RunEnd("completed", "export"))
    assert "Round 1: mIoU" in notifier.text.text()


def test_the_monitor_follows_the_number_of_rounds(qtbot, session, open_project, tmp_path):
    panel = MonitorPanel(session)
    qtbot.addWidget(panel)
    open_project(make_fake_project(tmp_path / "fake").folder)
    panel.show()
    panel.tabs.setCurrentWidget(panel.classes)
    qtbot.waitUntil(lambda: panel.classes.subject.currentData() == "adapt-2")
    session.opened.set_options({"adapt.rounds": "1"})
    qtbot.waitUntil(lambda: panel.classes.subject.currentData() == "adapt-1")
