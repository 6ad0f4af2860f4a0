"""The command palette, the size of text, what is copied, and the archive for a bug report."""

import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from crots.config import describe
from crots.options import SECTIONS
from crots_studio import theme
from crots_studio.dialogs.palette import PaletteDialog
from crots_studio.models.debug_bundle import write_bundle
from crots_studio.models.palette import PaletteEntry, find, rank
from tests.studio.fake_project import make_fake_project

ENTRIES = [
    PaletteEntry("Run all remaining stages", "Run"),
    PaletteEntry("Learning rate", "Settings, Adaptation", keywords="adapt.learning_rate"),
]


@pytest.fixture
def ready(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path / "fake").folder)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
    return window


def test_the_best_fit_comes_first():
    titles = ("Learning rate", "Head rate", "Quit")
    entries = [PaletteEntry("Warm up", keywords="learning rate"), *map(PaletteEntry, titles)]
    assert [entry.title for entry in find(entries, "rate learn")] == ["Learning rate", "Warm up"]
    assert find(entries, "rate")[0].title in ("Learning rate", "Head rate")
    assert find([PaletteEntry("Stop", enabled=False), PaletteEntry("Stop here")], "stop")[0].enabled
    assert find(entries, "zebra") == []


@given(st.text(max_size=30))
def test_every_input_gets_an_answer(text):
    found = find(ENTRIES, text)
    assert len(found) <= len(ENTRIES) and all(rank(entry, text) is not None for entry in found)


def test_every_action_and_every_option_can_be_found(ready):
    entries = ready.menus.palette_entries()
    titles = {entry.title for entry in entries}
    assert {"Run all remaining stages", "Export ...", "Theme: dark", "Text size: large", "Set-up"} <= titles
    options = {entry.keywords.split()[0] for entry in entries if entry.place.startswith("Settings")}
    assert options == {
        f"{name}.{info.name}" for name, kind in SECTIONS.items() for info in describe(kind) if info.stored
    }


def test_an_option_is_reached_by_typing_even_where_it_is_folded_away(qtbot, ready):
    ready.menus.actions["All commands"].trigger()
    palette = ready.menus.palette
    qtbot.keyClicks(palette.search, "adapt.clip")
    qtbot.keyClick(palette.search, Qt.Key.Key_Return)
    # Its row is made when its section is shown.
    qtbot.waitUntil(lambda: "adapt.clip" in ready.settings_panel.rows)
    qtbot.waitUntil(ready.settings_panel.rows["adapt.clip"].isVisible)
    assert ready.settings_panel.section.currentData() == "adapt"


def test_where_nothing_has_the_words_it_says_so(qtbot, ready):
    ready.menus.actions["All commands"].trigger()
    palette = ready.menus.palette
    assert palette.nothing.isHidden()
    palette.search.setText("zebra crossing")
    assert palette.list.count() == 0 and palette.nothing.isVisible()
    palette.search.setText("")
    assert palette.nothing.isHidden()


def test_an_action_is_done_by_typing_and_one_that_waits_is_not(qtbot, session, ready):
    ready.menus.actions["All commands"].trigger()
    palette = ready.menus.palette
    qtbot.keyClicks(palette.search, "pause")
    qtbot.keyClick(palette.search, Qt.Key.Key_Return)
    assert palette.isVisible(), "nothing runs that could be halted"
    palette.search.setText("theme: dark")
    qtbot.keyClick(palette.search, Qt.Key.Key_Down)
    palette.list.setCurrentRow(0)
    qtbot.keyClick(palette.search, Qt.Key.Key_Return)
    qtbot.waitUntil(theme.is_dark)
    assert session.settings.theme == "dark"
    session.set_theme("light")


def test_what_is_chosen_begins_after_the_click_has_ended(qtbot, ready):
    done = []
    entry = PaletteEntry("Export ...")
    palette = PaletteDialog({entry: lambda: done.append(palette.isVisible())}, ready)
    palette.open()
    place = palette.list.visualItemRect(palette.list.item(0)).center()
    qtbot.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert not done, "a dialog that it opens would keep the click from ending"
    qtbot.waitUntil(lambda: done == [False])


def test_text_grows_at_once_and_is_remembered(qtbot, session, ready, settings):
    before = ready.run_bar.run.fontMetrics().height()
    ready.menus.actions["Text size: very large"].trigger()
    qtbot.waitUntil(lambda: ready.run_bar.run.fontMetrics().height() > before)
    assert settings.text_size == "very large"
    session.set_text_size("normal")


def test_what_is_copied_is_reported(qtbot, session, ready):
    ready.menus.actions["Copy command that runs this project"].trigger()
    assert ready.workspace.notice.isVisible() and ready.workspace.notice.text.text().startswith("Copied")


def test_a_bug_report_has_log_options_and_versions_and_no_image(qtbot, session, ready, tmp_path, monkeypatch):
    path = tmp_path / "report"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    with qtbot.waitSignal(session.notice, timeout=10_000):
        ready.menus.actions["Save a bug report"].trigger()
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        assert sorted(archive.namelist()) == ["crots.toml", "events.jsonl", "log.txt", "versions.txt"]
        assert b"torch" in archive.read("versions.txt") and b"Baseline" in archive.read("log.txt")


def test_a_long_history_is_shown_from_its_end(tmp_path, monkeypatch):
    project = make_fake_project(tmp_path / "fake")
    monkeypatch.setattr("crots_studio.models.debug_bundle._MOST", 1000)
    with zipfile.ZipFile(write_bundle(tmp_path / "a.zip", project, "", "")) as archive:
        lines = archive.read("events.jsonl").splitlines()
    assert lines and all(line.startswith(b"{") and line.endswith(b"}") for line in lines)
    assert lines[-1] == project.events_path.read_bytes().splitlines()[-1]
