"""The page of an open project: rail left, tabs in the middle, settings right, log and run bar below."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QSplitter, QTabWidget, QVBoxLayout, QWidget

from crots_studio.panels.log import LogPanel
from crots_studio.panels.rail import RailPanel
from crots_studio.panels.run_bar import RunBar
from crots_studio.panels.settings.panel import SettingsPanel
from crots_studio.session import Session
from crots_studio.widgets.notifier import Notifier
from crots_studio.widgets.wheel import leave_wheel_below
from crots_studio.workspace_tabs import TABS


class History(Protocol):
    """Changes that can be taken back."""

    @property
    def undo_text(self) -> str:
        """What would be taken back, empty for nothing."""

    @property
    def redo_text(self) -> str:
        """What would be done again, likewise."""


@runtime_checkable
class Corrected(Protocol):
    """A panel whose contents the user corrects."""

    @property
    def history(self) -> History | None:
        """Its changes; None while it shows nothing."""

    def undo(self) -> None:
        """Takes the last one back."""

    def redo(self) -> None:
        """Makes it again."""


class Workspace(QWidget):
    """Holds the panels; joins rail, settings and tabs.

    Args:
        session: what all of it is about.
        export: what the button of the notice after a run does.
    """

    def __init__(self, session: Session, export: Callable[[], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.panels: dict[str, QWidget] = {}
        self.rail = RailPanel(session)
        self.settings_panel = SettingsPanel(session)
        self.log_panel = LogPanel(session)
        self.run_bar = RunBar(session)
        self.notifier = Notifier(session, more=("Export ...", export))
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Views")
        self._lay_out()
        self.rail.chosen.connect(self.show_stage)
        self._in_settings = False
        self.tabs.currentChanged.connect(lambda _: self._another_tab())
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._focus_moved)

    def _another_tab(self) -> None:
        self._in_settings = False
        self._session.undo_changed.emit()

    def _lay_out(self) -> None:
        self.rows = QSplitter(Qt.Orientation.Vertical)
        self.rows.addWidget(self.tabs)
        self.rows.addWidget(self.log_panel)
        self.rows.setSizes([470, 110])
        self.rows.setCollapsible(0, False)
        self.rows.setStretchFactor(0, 1)
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        for widget in (self.rail, self.rows, self.settings_panel):
            self.columns.addWidget(widget)
        self.columns.setSizes([195, 768, 317])
        self.columns.setStretchFactor(1, 1)
        self.columns.setCollapsible(1, False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notifier)
        column.addWidget(self.columns, 1)
        column.addWidget(self.run_bar)
        for name, splitter in self._splitters.items():
            splitter.restoreState(self._session.settings.layout(name))

    @property
    def _splitters(self) -> dict[str, QSplitter]:
        return {"columns": self.columns, "rows": self.rows}

    def remember_layout(self) -> None:
        """Keeps the splitters' places for the next session."""
        for name, splitter in self._splitters.items():
            self._session.settings.set_layout(name, splitter.saveState())

    def build_tabs(self) -> Iterator[None]:
        """Makes the panels of the tabs, yielding before each."""
        for tab in TABS:
            yield
            module = importlib.import_module(f"crots_studio.panels.{tab.module}")
            panel: QWidget = getattr(module, tab.panel)(self._session)
            self.panels[tab.key] = panel
            self.tabs.setTabToolTip(self.tabs.addTab(panel, tab.title), tab.tip)
        leave_wheel_below(self)
        self.panels["setup"].checked.connect(self.rail.take_findings)  # type: ignore[attr-defined]

    def show_tab(self, key: str) -> None:
        """Brings a tab to the front by its key."""
        if key in self.panels:
            self.tabs.setCurrentWidget(self.panels[key])

    def show_stage(self, key: str) -> None:
        """Shows what belongs to a stage or an input."""
        self.settings_panel.go_to(key)
        if key in ("target", "source"):
            self.show_tab("setup")
        show = getattr(self.tabs.currentWidget(), "show_stage", None)
        if callable(show):
            show(key)

    # Undo: the labels and the patches each have a history of their own, all options of the project another.

    @property
    def _panel_with_history(self) -> Corrected | None:
        """The tab in front, where it is corrected and the user is not in the settings beside it."""
        panel = self.tabs.currentWidget()
        return panel if isinstance(panel, Corrected) and not self._in_settings else None

    @property
    def undo_texts(self) -> tuple[str, str]:
        """What can be undone and done again where the user is; empty for nothing."""
        panel = self._panel_with_history
        history = self._session if panel is None else panel.history
        return (history.undo_text, history.redo_text) if history is not None else ("", "")

    def undo(self) -> None:
        """Takes the last change back of what the user works at."""
        (self._panel_with_history or self._session).undo()

    def redo(self) -> None:
        """Makes the change again that was taken back last."""
        (self._panel_with_history or self._session).redo()

    def _focus_moved(self, _old: QWidget | None, new: QWidget | None) -> None:
        # A menu takes the focus for as long as it is open.
        if new is not None and self.isAncestorOf(new):
            self._in_settings = self.settings_panel.isAncestorOf(new)
            self._session.undo_changed.emit()
