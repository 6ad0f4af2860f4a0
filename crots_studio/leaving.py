"""Closing the window during a run: stop and keep, continue in a child process, or stay."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QMainWindow, QMessageBox

from crots_studio.runs.run import RunEnd
from crots_studio.session import Session

_LOOK_MS = 50


class Leaving(QObject):
    """Asks, waits for the run to end after its step, and closes the window then.

    Attributes:
        under_way: the user chose to leave, and the run has not ended yet.
    """

    def __init__(self, window: QMainWindow, session: Session) -> None:
        super().__init__(window)
        self._window, self._session = window, session
        self.under_way = False
        self._go_on = self._handed_over = False
        self.question: QMessageBox | None = None
        session.run.ended.connect(self._ended)

    def may_leave(self) -> bool:
        """Whether the window can close now; asks where it cannot."""
        session = self._session
        # A run that was started in a terminal does not depend on the window.
        if not session.run.busy or (session.run.detached and (self._leaves_it or not session.run.controllable)):
            return True
        if not self.under_way:
            self._ask()
        return False

    @property
    def _leaves_it(self) -> bool:
        """Whether the run continues without the window."""
        return self.under_way and self._go_on

    def _ask(self) -> None:
        box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("A run is in progress")
        box.setText("A run is in progress. What should happen to it?")
        box.setInformativeText(
            "It runs in a separate process and can continue in the background; the window shows it again when you open "
            "the project. If you stop it, it ends after the current step and keeps the work so far."
            if self._session.run.detached
            else "Either way it stops here after the current step and keeps the work so far. In the background it then "
            "continues in a separate process."
        )
        keep = box.addButton("Stop and keep", QMessageBox.ButtonRole.AcceptRole)
        go_on = box.addButton("Continue in the background", QMessageBox.ButtonRole.AcceptRole)
        go_on.setEnabled(self._session.project is not None)
        back = box.addButton("Keep the window open", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(back)
        box.setEscapeButton(back)
        keep.clicked.connect(lambda: self.leave(go_on=False))
        go_on.clicked.connect(lambda: self.leave(go_on=True))
        box.finished.connect(box.deleteLater)
        self.question = box
        box.open()

    def leave(self, *, go_on: bool) -> None:
        """Stops the run and then closes the window; with ``go_on`` a child process takes over where it stopped."""
        self.under_way, self._go_on = True, go_on
        if go_on and self._session.run.detached:
            # A paused run would wait for a closed window.
            self._session.run.resume()
            self._window.close()
        elif self._session.run.busy:
            self._session.run.stop()
        else:
            # The run ended while the question stood there.
            self._window.close()

    def _ended(self, end: RunEnd) -> None:
        if not self.under_way:
            if self.question is not None:
                self.question = None
            return
        if end.outcome == "failed":
            # The run failed, so nothing can continue: the window stays and shows why.
            self.under_way = False
            return
        self._handed_over = self._go_on and end.outcome == "cancelled"
        if self._handed_over:
            self._session.run.start(self._session.run.request, in_child=True)
        QTimer.singleShot(0, self._close_when_child_runs)

    def _close_when_child_runs(self) -> None:
        if self._session.run.busy and not self._session.run.detached:
            QTimer.singleShot(_LOOK_MS, self._close_when_child_runs)
        elif self._handed_over and not self._session.run.busy:
            # No process could be started (the log shows why): only this window can continue.
            self.under_way = False
        else:
            self._window.close()
