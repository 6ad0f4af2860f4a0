"""The page of an open project: run bar above, rail left, tabs in the middle, settings right, log below."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QApplication,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from crots.artefacts import section_of
from crots_studio.icons import icon
from crots_studio.panels.log import LogPanel
from crots_studio.panels.rail import RailPanel
from crots_studio.panels.run_bar import RunBar
from crots_studio.panels.settings.panel import SettingsPanel
from crots_studio.session import Session
from crots_studio.widgets.icon_button import SIDE
from crots_studio.widgets.image_view import ImageView
from crots_studio.widgets.notifier import Notifier
from crots_studio.widgets.page import Page
from crots_studio.widgets.toast import SHORT_MS, Toast
from crots_studio.widgets.undo_keys import UndoKeys
from crots_studio.widgets.wheel import leave_wheel_below
from crots_studio.workspace_tabs import TABS, Tab

# Pixels: from this width on there is room for the settings beside any tab.
_ROOMY = 1500
_LOG_HEIGHT = 150
_SETTINGS_WIDTH = 320
_RAIL_WIDTH = 208
# What a tab takes at least beside the other two.
_MIDDLE = 740


class ChangeHistory(Protocol):
    """Changes that can be taken back."""

    @property
    def undo_text(self) -> str:
        """The change that would be undone, empty if there is none."""

    @property
    def redo_text(self) -> str:
        """The change that would be redone, likewise."""


@runtime_checkable
class Corrected(Protocol):
    """A panel whose contents the user corrects."""

    @property
    def history(self) -> ChangeHistory | None:
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

    Signals:
        settings_shown(bool): the settings appeared beside the tab in front, or went away.
    """

    settings_shown = Signal(bool)

    def __init__(self, session: Session, export: Callable[[], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.panels: dict[str, QWidget] = {}
        self._pages: dict[str, Page] = {}
        self.rail = RailPanel(session)
        self.settings_panel = SettingsPanel(session)
        self.log_panel = LogPanel(session)
        self.run_bar = RunBar(session)
        self.run_bar.export_wanted.connect(lambda: export())
        self.notifier = Notifier(session, self, more=("Export ...", export))
        self.notice = Toast(self, name="Notice", lift=36)
        session.copied.connect(self._say_copied)
        session.notice.connect(self._say)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Views")
        self.tabs.tabBar().setIconSize(QSize(SIDE, SIDE))
        self._settings_wanted: dict[str, bool] = {}
        # When they were last seen.
        self._settings_width = _SETTINGS_WIDTH
        self._rail_width = _RAIL_WIDTH
        # The section of the settings that was chosen by hand beside a tab.
        self._sections: dict[str, str] = {}
        self._with_icons = True
        self.settings_button = QPushButton("Settings")
        self.settings_button.setIcon(icon("setup"))
        self.settings_button.setAccessibleName("Settings")
        self.settings_button.setFlat(True)
        self.settings_button.setCheckable(True)
        self.settings_button.setToolTip("All options of the chosen stage (F3)")
        self.settings_button.clicked.connect(self.show_settings)
        self.tabs.setCornerWidget(_held(self.settings_button))
        self.tabs.currentChanged.connect(lambda _: self._fit())
        self.log_panel.unfolded.connect(self._log_unfolded)
        self._lay_out()
        self.rail.chosen.connect(self.show_stage)
        self.settings_panel.section.activated.connect(self._section_chosen)
        self._in_settings = False
        self._topic = ""
        self._folder: Path | None = None
        session.opened.project_changed.connect(self._look_from_the_start)
        self.tabs.currentChanged.connect(lambda _: self._another_tab())
        self._running_stage = ""
        session.run.changed.connect(self._follow_run)
        self._undo_keys = UndoKeys(self)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._focus_moved)

    # Methods, not lambdas: a session would keep those alive, and with them the window.
    def _say_copied(self, text: str) -> None:
        self.notice.say(text, "good", SHORT_MS)

    def _say(self, text: str) -> None:
        self.notice.say(text, milliseconds=3 * SHORT_MS)

    def _look_from_the_start(self) -> None:
        """Shows another project from its beginning and whole, wherever the last one was scrolled or zoomed."""
        project = self._session.project
        folder = project.folder if project is not None else None
        if folder == self._folder:
            return
        self._folder = folder
        for area in self.findChildren(QAbstractScrollArea):
            if isinstance(area, ImageView):
                area.fit()
            elif not isinstance(area, QPlainTextEdit):
                # The log stays at its end.
                area.verticalScrollBar().setValue(0)
                area.horizontalScrollBar().setValue(0)

    @property
    def topic(self) -> str:
        """The stage or input that the user is at: that of the tab in front, or the one chosen in the rail since."""
        if self._topic:
            return self._topic
        run, row = self._session.run.state, self.rail.current
        return run.stage if run.running and run.stage else row.key if row is not None else ""

    def _another_tab(self) -> None:
        tab = self._tab
        self._topic = tab.topic if tab is not None else ""
        self._in_settings = False
        if tab is not None:
            self.settings_panel.follow(self._sections.get(tab.key) or tab.section or self._training_stage)
        self._session.opened.undo_changed.emit()

    def _follow_run(self) -> None:
        """Shows the section of the stage that begins to train, unless another was chosen here or in the rail."""
        run, tab = self._session.run.state, self._tab
        stage = run.stage if run.running else ""
        if stage == self._running_stage:
            return
        self._running_stage = stage
        if tab is None or tab.section or tab.key in self._sections or self._topic:
            return
        if _trains(stage) and not self._in_settings:
            self.settings_panel.follow(stage)

    @property
    def _training_stage(self) -> str:
        """The stage that is at work or chosen if it trains, otherwise the adaptation."""
        return self.topic if _trains(self.topic) else "adapt"

    def _section_chosen(self, index: int) -> None:
        if (tab := self._tab) is not None:
            self._sections[tab.key] = self.settings_panel.section.itemData(index)

    def _lay_out(self) -> None:
        self.rows = QSplitter(Qt.Orientation.Vertical)
        self.rows.addWidget(self.tabs)
        self.rows.addWidget(self.log_panel)
        self.rows.setChildrenCollapsible(False)
        self.rows.setStretchFactor(0, 1)
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        for widget in (self.rail, self.rows, self.settings_panel):
            self.columns.addWidget(widget)
        for splitter in (self.rows, self.columns):
            # What they part has room of its own.
            splitter.setProperty("role", "frame")
        self.columns.setStretchFactor(1, 1)
        self.columns.setChildrenCollapsible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.run_bar)
        column.addWidget(self.columns, 1)
        self._restore_layout()

    def _restore_layout(self) -> None:
        self.columns.setSizes([_RAIL_WIDTH, 752, _SETTINGS_WIDTH])
        for name, splitter in self._splitters.items():
            splitter.restoreState(self._session.settings.layout(name))

    @property
    def _splitters(self) -> dict[str, QSplitter]:
        return {"columns": self.columns, "rows": self.rows}

    @property
    def _tab(self) -> Tab | None:
        number = self.tabs.currentIndex()
        return TABS[number] if 0 <= number < len(TABS) else None

    @property
    def panel_in_front(self) -> QWidget | None:
        """The panel of the tab in front."""
        tab = self._tab
        return self.panels.get(tab.key) if tab is not None else None

    def show_settings(self, shown: bool) -> None:
        """Shows or hides the settings beside the tab in front; it is remembered for that tab."""
        if (tab := self._tab) is not None:
            self._settings_wanted[tab.key] = shown
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Makes room where there is little."""
        super().resizeEvent(event)
        if not self.log_panel.is_unfolded:
            # The layout of an earlier session may have kept room for it.
            self._log_unfolded(False)
        self._fit()

    def _fit(self) -> None:
        """Folds the settings away where the tab needs their room, and leaves out icons of tabs that are too many."""
        tab = self._tab
        if tab is None:
            return
        # Set-up asks for the same folders and models.
        usual = tab.key != "setup" and self.width() >= _ROOMY
        shown = self._settings_wanted.get(tab.key, usual)
        changed = shown == self.settings_panel.isHidden()
        self._fold_rail(shown)
        rail, middle, beside = self.columns.sizes()
        self.settings_panel.setVisible(shown)
        if changed and shown and rail and middle:
            # The room is taken from the tab: a narrower rail would break its words.
            beside = beside or self._settings_width
            self.columns.setSizes([rail, max(rail + middle - beside, 1), beside])
        elif changed and beside:
            self._settings_width = beside
        self.settings_button.setChecked(shown)
        # The panel has the word itself.
        self.settings_button.setText("" if shown else "Settings")
        if changed:
            self.settings_shown.emit(shown)
        room = self.width() - self.rail.width() - (self.settings_panel.width() if shown else 0)
        room -= self.settings_button.sizeHint().width() + 24
        bar = self.tabs.tabBar()
        per_icon = (SIDE + 4) * bar.count()
        width = bar.sizeHint().width() - (per_icon if self._with_icons else 0)
        self._show_icons(width + per_icon <= room)

    def _fold_rail(self, settings: bool) -> None:
        """Leaves only the pictures of the stages where there is no room for all three columns."""
        folded = settings and self.width() < self._rail_width + _MIDDLE + self._settings_width
        if folded == self.rail.folded:
            return
        sizes = self.columns.sizes()
        if folded and sizes[0]:
            self._rail_width = sizes[0]
        self.rail.fold(folded)
        wanted = self.rail.minimumWidth() if folded else self._rail_width
        self.columns.setSizes([wanted, max(sizes[1] + sizes[0] - wanted, 1), sizes[2]])

    def _show_icons(self, shown: bool) -> None:
        if shown == self._with_icons:
            return
        self._with_icons = shown
        for number in range(self.tabs.count()):
            self.tabs.setTabIcon(number, icon(TABS[number].icon) if shown else QIcon())

    def _log_unfolded(self, unfolded: bool) -> None:
        whole, height = sum(self.rows.sizes()), self.rows.sizes()[1]
        # Folded, it would keep its share, and leave it empty.
        wanted = max(height, _LOG_HEIGHT) if unfolded else self.log_panel.maximumHeight()
        if wanted != height:
            self.rows.setSizes([whole - wanted, wanted])

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
            self._pages[tab.key] = page = Page(panel)
            place = self.tabs.addTab(page, icon(tab.icon) if self._with_icons else QIcon(), tab.title)
            self.tabs.setTabToolTip(place, tab.tip)
        leave_wheel_below(self)
        self._put_last()
        for key in ("monitor", "compare"):
            self.panels[key].images_wanted.connect(self._show_images)  # type: ignore[attr-defined]
        self.panels["setup"].checked.connect(self.rail.take_findings)  # type: ignore[attr-defined]

    def _put_last(self) -> None:
        """Lets the Tab key come to what stands beside or below the pages after them, though it was made before."""
        # Not by walking through Qt's order: asking a widget for the next one, or for its proxy, makes PySide take that
        # for its child, and two that are each other's children crash when they go.
        for splitter, widget in ((self.columns, self.settings_panel), (self.rows, self.log_panel)):
            widget.setParent(None)
            splitter.addWidget(widget)
        self._restore_layout()

    def _show_images(self, question: object) -> None:
        self.show_tab("before_after")
        self.panels["before_after"].show_images(question)  # type: ignore[attr-defined]

    def show_tab(self, key: str) -> None:
        """Brings a tab to the front by its key."""
        if key in self.panels:
            self.tabs.setCurrentWidget(self._pages[key])

    def show_stage(self, key: str) -> None:
        """Shows what belongs to a stage or an input."""
        if key in ("target", "source"):
            self.show_tab("setup")
        self.settings_panel.go_to(key)
        self._topic = key
        show = getattr(self.panel_in_front, "show_stage", None)
        if callable(show):
            show(key)

    # Undo: the labels and the patches each have a history of their own, all options of the project another.

    @property
    def _panel_with_history(self) -> Corrected | None:
        """The tab in front, where it is corrected and the user is not in the settings beside it."""
        panel: object = self.panel_in_front
        return panel if isinstance(panel, Corrected) and not self._in_settings else None

    @property
    def undo_texts(self) -> tuple[str, str]:
        """The changes that can be undone and redone at the user's place; empty if there are none."""
        panel = self._panel_with_history
        history = self._session.opened if panel is None else panel.history
        return (history.undo_text, history.redo_text) if history is not None else ("", "")

    def undo(self) -> None:
        """Undoes the last change at the user's place."""
        (self._panel_with_history or self._session.opened).undo()

    def redo(self) -> None:
        """Makes the change again that was taken back last."""
        (self._panel_with_history or self._session.opened).redo()

    def _focus_moved(self, old: QWidget | None, new: QWidget | None) -> None:
        # A menu takes the focus for as long as it is open.
        inside = new is not None and self.isAncestorOf(new)
        self._undo_keys.follow(old, new if inside else None)
        if new is not None and inside:
            self._in_settings = self.settings_panel.isAncestorOf(new)
            self._session.opened.undo_changed.emit()


def _trains(stage: str) -> bool:
    return section_of(stage) in ("baseline", "adapt")


def _held(widget: QWidget) -> QWidget:
    """A corner of tabs gives its widget no air."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(4, 0, 8, 4)
    row.addWidget(widget)
    return holder
