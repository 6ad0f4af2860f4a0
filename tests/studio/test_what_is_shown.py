"""What the window shows: help on what one is at, the log in order, tooltips in either theme."""

import time

import pytest
from PySide6.QtWidgets import QToolTip

from crots.errors import InputError
from crots.eventlog import EventLog
from crots.events import Note, StageFinished, StageStarted
from crots_studio import theme
from crots_studio.dialogs.help import HelpDialog
from crots_studio.models.help_topics import TOPICS, topic_of
from tests.studio.fake_project import make_fake_project


def test_f1_explains_what_the_user_is_at(qtbot, session, window, open_project, tmp_path, monkeypatch):
    open_project(make_fake_project(tmp_path / "fake").folder)
    asked = []
    monkeypatch.setattr(window.project_actions, "open_dialog", lambda *names, **options: asked.append(options["topic"]))

    def help_topic():
        window.menus.actions["Help on the stages"].trigger()
        return topic_of(asked[-1])

    for tab, topic in (
        ("setup", "target"),
        ("patches", "mine"),
        ("pseudo_labels", "pseudo-label"),
        ("preview", "adapt"),
    ):
        window.pages.show_tab(tab)
        assert help_topic() == topic
    keys = [row.key for row in window.rail.rows]
    for key, topic in (("export", "export"), ("adapt-2", "adapt"), ("source", "source")):
        window.rail.list.setCurrentRow(keys.index(key))
        assert help_topic() == topic
    session.run.state.running, session.run.state.stage = True, "baseline"
    window.pages.show_tab("monitor")
    assert help_topic() == "baseline"
    session.run.state.running = False


def test_the_help_opens_at_the_topic_it_is_asked_for(qtbot, session):
    dialog = HelpDialog(session, topic="mine")
    qtbot.addWidget(dialog)
    assert dialog.panel.list.currentRow() == TOPICS.index("mine")


def test_the_log_is_in_the_order_of_time_and_has_dates(qtbot, session, window, open_project, tmp_path):
    project = make_fake_project(tmp_path / "fake")
    log = EventLog(project.events_path)
    # The first stage was run again after the others.
    log.append(StageStarted(stage="pseudo-label", time=1_800_000_000.0, total=6, unit="images"))
    log.append(StageFinished(stage="pseudo-label", time=1_800_000_060.0, outcome="completed", seconds=60))
    open_project(project.folder)
    lines = window.log_panel.text.splitlines()
    stamps = [line[:19] for line in lines]
    assert stamps == sorted(stamps) and all(time.strptime(stamp, "%Y-%m-%d %H:%M:%S") for stamp in stamps)
    assert lines[-1].endswith("Pseudo-labels is done after 1 min 00 s")


@pytest.mark.parametrize("dark", [True, False])
def test_tooltips_can_be_read_after_the_theme_was_switched(qtbot, session, dark):
    for mode in (not dark, dark):
        session.set_theme("dark" if mode else "light")
    palette = QToolTip.palette()
    text, base = palette.toolTipText().color(), palette.toolTipBase().color()
    assert abs(text.lightness() - base.lightness()) > 110
    session.set_theme("light")


def test_the_glossary_of_the_documentation_is_in_the_help(qtbot, session):
    dialog = HelpDialog(session, topic="target")
    qtbot.addWidget(dialog)
    panel = dialog.panel
    panel.list.setCurrentRow(panel.list.count() - 1)
    assert panel.heading.text() == "Glossary" and panel.picture.isHidden()
    entries = dict(line.split(": ", 1) for line in panel.text.text().split("\n\n"))
    for term in ("pseudo-label", "student, teacher", "IoU, mIoU", "ignore index", "checkpoint", "global batch size"):
        assert entries[term].endswith("."), term
    assert not any(mark in panel.text.text() for mark in ("**", "](", "`"))
    panel.list.setCurrentRow(0)
    assert not panel.picture.isHidden()


FAULT = InputError("`mine.rare`: no class is called lamp")
IN_WORDS = "“Rare classes” (settings, Hard patches): no class is called lamp"


def colours_of(widget):
    image = widget.grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


@pytest.mark.parametrize("name", ["preview", "pseudo_labels", "patches", "before_after"])
def test_an_error_in_place_of_a_page_is_in_words_of_the_window_and_in_the_colour_of_errors(
    qtbot, session, window, open_project, tmp_path, name
):
    """It named options as files do, in the grey of an explanation."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    window.resize(1280, 720)
    window.show()
    window.pages.show_tab(name)
    qtbot.waitUntil(lambda: session.errands.idle)
    panel, bad = window.panels[name], theme.colours().bad
    shows = {"preview": lambda: panel.hint, "patches": lambda: panel.gallery}.get(
        name, lambda: panel.area.views.views[0]
    )
    panel._failed(FAULT)
    text = panel.hint.text() if name == "preview" else shows().empty_text
    assert text == IN_WORDS
    qtbot.waitUntil(lambda: bad in colours_of(shows()))
    panel._reload()
    qtbot.waitUntil(lambda: session.errands.idle)
    qtbot.waitUntil(lambda: bad not in colours_of(shows()))


def test_log_and_alarms_name_options_as_the_settings_do(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path / "fake").folder)
    note = Note(stage="mine", level="warning", text=str(FAULT), time=1_800_000_000.0)
    failed = StageFinished(stage="mine", time=1_800_000_001.0, outcome="failed", seconds=1, message=str(FAULT))
    window.log_panel.add_events([note, failed])
    session.errands.problem.emit(str(FAULT))
    assert window.log_panel.text.count(IN_WORDS) == 3 and "mine.rare" not in window.log_panel.text
    window.pages.show_tab("monitor")
    alarm = window.panels["monitor"].alarm
    alarm.take([note])
    assert alarm.warnings and all("mine.rare" not in line and IN_WORDS in line for line in alarm._all)
