"""Fixtures of the studio's tests: no display, settings in a temporary file, Qt's warnings are failures."""

import gc
import os
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QSettings

from crots.errors import Stopped
from crots.events import StageFinished
from crots.project import Project
from crots.project_config import ProjectConfig
from crots_studio.app import Collector
from crots_studio.session import Session
from crots_studio.settings import PLACE, Settings
from crots_studio.window import MainWindow
from tests.studio.screen import Screen

# Milliseconds that every wait may take at least: others may leave a machine that they share a twentieth of its time.
PATIENCE = 600_000

# What the offscreen platform lacks, said by Qt at every show().
HARMLESS = ("This plugin does not support", "propagateSizeHints", "XDG_RUNTIME_DIR")


@pytest.fixture(autouse=True, scope="module")
def garbage_waits_for_this_thread():
    """As in the studio itself: a collection on another thread would destroy widgets and timers there."""
    gc.collect()
    # As the studio does too: with all of torch and the libraries in it, each collection would take seconds.
    gc.freeze()
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def little_garbage(garbage_waits_for_this_thread):
    """What one test leaves is gone before the next, or every change of the theme would polish its widgets too."""
    # Not at a test's own end: pytest still holds its fixtures then.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def home_elsewhere(tmp_path_factory):
    """File dialogs begin in the home folder, which holds nothing that a test made: the monkey makes projects there."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "home", classmethod(lambda _: home))
        yield


class PatientBot(QtBot):
    """A wait ends when what it waits for is there; how long that takes is not what these tests are about."""

    def waitSignal(self, *args, timeout=0, **options):
        """Waits for a signal."""
        return super().waitSignal(*args, timeout=max(timeout, PATIENCE), **options)

    def waitSignals(self, *args, timeout=0, **options):
        """Waits for several signals."""
        return super().waitSignals(*args, timeout=max(timeout, PATIENCE), **options)

    def waitUntil(self, *args, timeout=0):
        """Waits until a condition holds."""
        super().waitUntil(*args, timeout=max(timeout, PATIENCE))

    def waitExposed(self, *args, timeout=0):
        """Waits until a window is on the screen."""
        return super().waitExposed(*args, timeout=max(timeout, PATIENCE))

    def waitActive(self, *args, timeout=0):
        """Waits until a window has the focus."""
        return super().waitActive(*args, timeout=max(timeout, PATIENCE))


@pytest.fixture
def qtbot(qapp, request):
    """In place of pytest-qt's own, with its five seconds for a wait."""
    return PatientBot(request)


@pytest.fixture(autouse=True)
def settings_file(tmp_path, monkeypatch):
    """The user's own settings are never read or written."""
    path = tmp_path / "settings" / "studio.ini"
    monkeypatch.setenv(PLACE, str(path))
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))
    return path


@pytest.fixture(autouse=True)
def no_qt_warnings(qtlog):
    """A warning of Qt fails the test; pytest-qt already fails it for an exception in a slot."""
    yield
    bad = [record.message for record in qtlog.records if record.log_type_name not in ("QtDebugMsg", "QtInfoMsg")]
    assert not [text for text in bad if not any(word in text for word in HARMLESS)]


@pytest.fixture
def settings(settings_file):
    """Settings in a temporary file."""
    return Settings(settings_file)


@pytest.fixture
def session(qtbot, settings):
    """A session without a project; a run that still goes on is stopped at the end."""
    session = Session(settings)
    # As the application does: sizes and fonts are those that people see.
    session.refresh_theme()
    collect = gc.collect
    Collector(session)
    yield session
    if session.run.busy:
        session.run.stop()
        qtbot.waitUntil(lambda: not session.run.busy, timeout=30_000)
    session.close()
    gc.collect = collect


@pytest.fixture
def open_project(qtbot, session):
    """Opens a project folder in the session and waits until it is there."""

    def open_it(folder):
        with qtbot.waitSignal(session.opened.project_changed, timeout=10_000):
            session.opened.open_project(folder)
        qtbot.waitUntil(lambda: not session.opened.looking, timeout=10_000)
        return session.project

    return open_it


@pytest.fixture
def show_panel(qtbot, session):
    """Shows one panel by itself, of a size in pixels."""

    def show(kind, width=900, height=560):
        panel = kind(session)
        qtbot.addWidget(panel)
        panel.resize(width, height)
        panel.show()
        return panel

    return show


@pytest.fixture
def scripted(session):
    """Replaces the runner: events are passed on, callables are called with the control, each after asking it."""

    def script(*steps):
        def make(project, request):
            script.requests.append(request)

            def source(control):
                for step in steps:
                    control.check()
                    if callable(step):
                        step(control)
                    else:
                        yield step

            return as_a_stage(source)

        session.run.make_source = make

    script.requests = []
    return script


def as_a_stage(source):
    """Ends a stop as the real runner does: with an event."""

    def run(control):
        try:
            yield from source(control)
        except Stopped as stop:
            yield StageFinished(stage="baseline", outcome="cancelled", seconds=1, exit_code=130, message=str(stop))

    return run


@pytest.fixture
def window(qtbot, session):
    """A shown window with all panels."""
    window = MainWindow(session)

    def end_run(_):
        if session.run.busy:
            session.run.stop()
            qtbot.waitUntil(lambda: not session.run.busy, timeout=30_000)

    qtbot.addWidget(window, before_close_func=end_run)
    window.show()
    window.pages.build_workspace()
    return window


@pytest.fixture
def folder(tmp_path):
    return Project.create(tmp_path / "project", ProjectConfig()).folder


@pytest.fixture
def projects(tmp_path):
    return [str(Project.create(tmp_path / name, ProjectConfig()).folder) for name in ("one", "two", "three")]


@pytest.fixture
def screen():
    """A display with a real window system."""
    screen = Screen()
    yield screen
    screen.close()


@pytest.fixture
def ready(qtbot, session, window, open_project, folder):
    """A window with an open project that nothing keeps from running."""
    open_project(folder)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
    qtbot.wait(50)
    session.run.set_blocker = lambda reason: None
    session.run.blocker = ""
    session.run.blocker_changed.emit("")
    return window
