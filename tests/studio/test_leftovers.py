"""What is closed is gone: a widget that stays is polished anew with every change of the theme, for ever."""

import gc
from importlib import import_module

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QMetaMethod
from PySide6.QtWidgets import QApplication

from crots_studio import theme
from crots_studio.session import Session
from crots_studio.window import MainWindow
from crots_studio.workspace_tabs import TABS
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def left(qtbot):
    """Says which widgets are left of those that were made since the test began."""
    # Kept, so that no new widget gets the identity of an old one.
    known = QApplication.allWidgets()
    before = set(map(id, known))

    def left():
        QApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        return sorted(type(widget).__name__ for widget in QApplication.allWidgets() if id(widget) not in before)

    yield left
    known.clear()


def show_and_close(qtbot, kind, session):
    widget = kind(session)
    widget.resize(900, 600)
    widget.show()
    qtbot.waitUntil(lambda: session.errands.idle)
    widget.close()
    widget.deleteLater()


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.key)
def test_a_closed_panel_leaves_nothing_behind(qtbot, settings, tmp_path, left, tab):
    panel = getattr(import_module(f"crots_studio.panels.{tab.module}"), tab.panel)
    session = Session(settings)
    show_and_close(qtbot, panel, session)
    with qtbot.waitSignal(session.opened.project_changed):
        session.opened.open_project(make_fake_project(tmp_path).folder)
    qtbot.waitUntil(lambda: not session.opened.looking)
    show_and_close(qtbot, panel, session)
    session.close()
    assert left() == []


def test_a_closed_window_leaves_nothing_behind(qtbot, settings, left):
    session = Session(settings)
    window = MainWindow(session)
    window.show()
    window.pages.build_workspace()
    window.close()
    window.deleteLater()
    session.close()
    del window, session
    assert left() == []


# What is made for a session beside the tabs.
OTHERS = (
    "panels.rail.RailPanel", "panels.run_bar.RunBar", "panels.log.LogPanel", "panels.settings.panel.SettingsPanel",
    "panels.welcome.WelcomePanel", "panels.help.HelpPanel", "dialogs.apply.ApplyDialog",
    "dialogs.labelling.ExportDoubtfulDialog", "dialogs.labelling.ImportCorrectedDialog", "dialogs.export.ExportDialog",
    "dialogs.queue.QueueDialog", "dialogs.help.HelpDialog", "window.MainWindow",
)  # fmt: skip


def listeners(session):
    """How many slots are connected to each signal of what outlives a panel."""
    found = {}
    for part in (QApplication.instance(), session, session.errands, session.opened, session.run, session.queue):
        meta = part.metaObject()
        for number in range(meta.methodCount()):
            method = meta.method(number)
            name = method.methodSignature().data().decode()
            # Plots connect themselves to the last one, once and for all.
            known = name.startswith(("destroyed", "aboutToQuit"))
            if method.methodType() == QMetaMethod.MethodType.Signal and not known:
                found[f"{type(part).__name__}.{name}"] = part.receivers(f"2{name}")
    return found


@pytest.mark.parametrize("path", [*(f"panels.{tab.module}.{tab.panel}" for tab in TABS), *OTHERS])
def test_what_is_closed_listens_no_more(qtbot, settings, tmp_path, path):
    """A lambda stays connected to the session for ever, and keeps the panel whose widgets it calls into."""
    session = Session(settings)
    with qtbot.waitSignal(session.opened.project_changed):
        session.opened.open_project(make_fake_project(tmp_path).folder)
    qtbot.waitUntil(lambda: not session.opened.looking and session.errands.idle, timeout=60_000)
    before = listeners(session)
    module, _, name = path.rpartition(".")
    kind = getattr(import_module(f"crots_studio.{module}"), name)
    widget = kind(session)
    if name == "MainWindow":
        widget.pages.build_workspace()
    qtbot.waitUntil(lambda: session.errands.idle, timeout=60_000)
    widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    left = {name: count - before[name] for name, count in listeners(session).items() if count != before[name]}
    session.close()
    assert left == {}


def test_a_theme_that_is_there_already_is_not_applied_again(qapp, monkeypatch):
    theme.apply(dark=False)
    applied = []
    monkeypatch.setattr(QApplication, "setStyleSheet", lambda self, sheet: applied.append(sheet))
    theme.apply(dark=False)
    assert applied == []
    theme.apply(dark=True)
    assert len(applied) == 1
