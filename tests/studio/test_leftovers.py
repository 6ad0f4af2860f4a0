"""What is closed is gone: a widget that stays is polished anew with every change of the theme, for ever."""

import gc
from importlib import import_module

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
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


def test_a_theme_that_is_there_already_is_not_applied_again(qapp, monkeypatch):
    theme.apply(dark=False)
    applied = []
    monkeypatch.setattr(QApplication, "setStyleSheet", lambda self, sheet: applied.append(sheet))
    theme.apply(dark=False)
    assert applied == []
    theme.apply(dark=True)
    assert len(applied) == 1
