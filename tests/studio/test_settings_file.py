"""The settings file: whatever stands in it, the studio starts."""

import threading

import pytest
from PySide6.QtCore import QByteArray, QRect, QSettings

from crots_studio.models.recent import Recent
from crots_studio.panels.welcome import WelcomePanel
from crots_studio.settings import Settings
from crots_studio.window import MainWindow


@pytest.mark.parametrize(
    "value", [5, "x", "", [], ["a", "b"], {"a": 1}, QRect(1, 2, 3, 4), QByteArray(b"ab"), ["a" * 5000], None]
)
def test_values_of_wrong_types_count_as_not_set(qtbot, session, settings_file, value):
    store = QSettings(str(settings_file), QSettings.Format.IniFormat)
    for name in ("theme", "text_size", "recent", "folders/projects", "layout/window"):
        store.setValue(name, value)
    store.sync()
    settings = Settings(settings_file)
    assert settings.theme == "system" and settings.text_size == "normal"
    assert all(isinstance(path, str) for path in settings.recent.paths)
    assert isinstance(settings.folder("projects"), str) and isinstance(settings.layout("window"), QByteArray)
    session.settings = settings
    qtbot.addWidget(WelcomePanel(session))
    qtbot.addWidget(MainWindow(session))


def test_a_file_that_is_no_settings_file(qtbot, session, settings_file):
    settings_file.parent.mkdir(exist_ok=True)
    settings_file.write_bytes(bytes(range(256)) * 20)
    session.settings = Settings(settings_file)
    qtbot.addWidget(MainWindow(session))
    session.set_theme("dark")
    assert session.settings.theme == "dark"


def test_a_drive_that_does_not_answer_does_not_hold_the_window_up(qtbot, session, tmp_path, monkeypatch):
    session.settings.recent = session.settings.recent.opened(tmp_path / "far away")
    answered, rows = threading.Event(), Recent.rows
    monkeypatch.setattr(Recent, "rows", lambda recent: answered.wait(300) and rows(recent))
    welcome = WelcomePanel(session)
    qtbot.addWidget(welcome)
    assert welcome.recent.count() == 1 and "not found" not in welcome.recent.item(0).text()
    answered.set()
    qtbot.waitUntil(lambda: "not found" in welcome.recent.item(0).text())
