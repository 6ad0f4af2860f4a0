"""Closing the window during a run, of its own or of the queue: stop and keep, continue in a child process, or stay."""

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
        session.queue.halted.connect(self._queue_halted)

    def may_leave(self) -> bool:
        """Whether the window can close now; asks where it cannot."""
        session = self._session
        # A run that was started in a terminal does not depend on the window.
        run = session.run
        own = run.busy and not (run.detached and (self._leaves_it or not run.controllable))
        if not own and not session.queue.running:
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
        box.setInformativeText(self._about())
        keep = box.addButton("Stop and keep", QMessageBox.ButtonRole.AcceptRole)
        go_on = box.addButton("Continue in the background", QMessageBox.ButtonRole.AcceptRole)
        go_on.setEnabled(self._session.project is not None or not self._session.run.busy)
        back = box.addButton("Keep the window open", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(back)
        box.setEscapeButton(back)
        keep.clicked.connect(lambda: self.leave(go_on=False))
        go_on.clicked.connect(lambda: self.leave(go_on=True))
        box.finished.connect(box.deleteLater)
        self.question = box
        box.open()

    def _about(self) -> str:
        session = self._session
        apart = session.run.detached or not session.run.busy
        text = (
            "It runs in a separate process and can continue in the background; the window shows it again when you open "
            "the project. If you stop it, it ends after the current step and keeps the work so far."
            if apart
            else "Either way it stops here after the current step and keeps the work so far. In the background it then "
            "continues in a separate process."
        )
        waiting = session.queue.waiting if session.queue.running else 0
        return f"{text} The queue ({waiting} waiting) continues when you start it again." if waiting else text

    def leave(self, *, go_on: bool) -> None:
        """Stops the run and then closes the window; with ``go_on`` a child process takes over where it stopped."""
        self.under_way, self._go_on = True, go_on
        if go_on:
            self._session.queue.close()
        else:
            self._session.queue.stop()
        if go_on and self._session.run.detached:
            # A paused run would wait for a closed window.
            self._session.run.resume()
            self._window.close()
        elif self._session.run.busy:
            self._session.run.stop()
        elif not self._session.queue.running:
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

    def _queue_halted(self) -> None:
        if self.under_way and not self._session.run.busy:
            self._window.close()

    def _close_when_child_runs(self) -> None:
        if self._session.run.busy and not self._session.run.detached:
            QTimer.singleShot(_LOOK_MS, self._close_when_child_runs)
        elif self._handed_over and not self._session.run.busy:
            # No process could be started (the log shows why): only this window can continue.
            self.under_way = False
        else:
            self._window.close()
