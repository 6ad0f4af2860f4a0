"""The two pages of the window: the welcome page, and the workspace, which is made after the first paint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QStackedWidget, QWidget

from crots_studio.panels.welcome import WelcomePanel
from crots_studio.session import Session

if TYPE_CHECKING:
    from crots_studio.workspace import Workspace


class Pages(QStackedWidget):
    """Makes the pages and shows the one that fits the session.

    Attributes:
        welcome: the welcome page.
        workspace: the page of an open project, None until it is made.

    Signals:
        built(): the workspace and all its panels are there.
        export_wanted(): the button of the notice after a run was pressed.
    """

    built = Signal()
    export_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.workspace: Workspace | None = None
        self._building = self._build()
        self._ended = False
        self.welcome = WelcomePanel(session)
        self.addWidget(self.welcome)

    def build_workspace(self) -> None:
        """Makes all panels that are not there yet."""
        for _ in self._building:
            pass

    def build_gently(self) -> None:
        """Makes the panels one by one, so that the window stays responsive."""
        if not self._ended and next(self._building, "done") != "done":
            QTimer.singleShot(0, self.build_gently)

    def _build(self) -> Iterator[None]:
        from crots_studio.workspace import Workspace

        yield
        page = Workspace(self._session, self.export_wanted.emit)
        yield from page.build_tabs()
        self.addWidget(page)
        self.workspace = page
        self.built.emit()

    def show_fitting(self) -> None:
        """Shows the workspace where there is a project or a run, otherwise the welcome page."""
        if self.workspace is not None:
            live = self._session.project is not None or self._session.run.busy
            self.setCurrentWidget(self.workspace if live else self.welcome)

    def show_tab(self, key: str) -> None:
        """Brings a tab to the front by its key."""
        if self.workspace is not None:
            self.workspace.show_tab(key)

    @property
    def topic(self) -> str:
        """The stage or input that the user is at; empty on the welcome page."""
        in_front = self.workspace is not None and self.currentWidget() is self.workspace
        return self.workspace.topic if in_front and self.workspace is not None else ""

    @property
    def undo_texts(self) -> tuple[str, str]:
        """The changes that can be undone and redone at the user's place; empty if there are none."""
        return self.workspace.undo_texts if self.workspace is not None else ("", "")

    def undo(self) -> None:
        """Undoes the last change at the user's place."""
        if self.workspace is not None:
            self.workspace.undo()

    def redo(self) -> None:
        """Redoes the change that was undone last."""
        if self.workspace is not None:
            self.workspace.redo()

    def end(self) -> None:
        """Remembers the layout; panels that are not there yet are not made any more."""
        self._ended = True
        if self.workspace is not None:
            self.workspace.remember_layout()
