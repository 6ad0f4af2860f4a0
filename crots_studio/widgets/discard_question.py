"""The confirmation before unfinished work is discarded, with what is lost and what is kept."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from crots_studio.models.discarding import loss
from crots_studio.session import Session


class DiscardQuestion(QMessageBox):
    """Asks, and discards only then: the stage that is at work, or one that was interrupted.

    It never blocks, so that a run continues and is shown meanwhile. If the stage ends before the answer, the question
    closes: a yes would concern another stage.

    Args:
        session: whose run or stage it is.
        parent: the window.
        stage: an interrupted stage; empty for the active run.
    """

    def __init__(self, session: Session, parent: QWidget, stage: str = "") -> None:
        super().__init__(parent)
        self._session, self._cancels = session, not stage
        self.stage = stage or session.run.state.stage
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setIcon(QMessageBox.Icon.Warning)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWindowTitle("Cancel and discard" if self._cancels else "Discard")
        self.discard_button = self.addButton("Discard", QMessageBox.ButtonRole.DestructiveRole)
        self.discard_button.clicked.connect(self._discard)
        if self._cancels:
            stop = self.addButton("Stop and keep", QMessageBox.ButtonRole.AcceptRole)
            stop.clicked.connect(lambda: session.run.stop())
        back = self.addButton("Keep running" if self._cancels else "Keep", QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(back)
        self.setEscapeButton(back)
        session.run.changed.connect(self._follow)
        session.opened.project_changed.connect(self.reject)
        self._say()

    def _say(self) -> None:
        run, project = self._session.run.state, self._session.project
        if self._cancels:
            found = loss(project, self.stage, done=run.done, total=run.total, unit=run.unit)
        else:
            ending = next((row for row in self._session.opened.status if row.key == self.stage), None)
            started = self._session.opened.history.stage(self.stage).started
            done, total = (ending.done, ending.total) if ending is not None else (0, 0)
            found = loss(project, self.stage, done=done, total=total, unit=started.unit if started else "steps")
        label = f"{found.goes} {found.stays}"
        if label != self.informativeText():
            self.setText(found.question)
            self.setInformativeText(label)

    def _follow(self) -> None:
        run = self._session.run.state
        fits = (run.running and not run.stopping and run.stage == self.stage) if self._cancels else not run.running
        if fits:
            self._say()
        else:
            self.reject()

    def _discard(self) -> None:
        if self._cancels:
            self._session.run.stop(discard=True)
        else:
            self._session.run.discard_stage(self.stage)


def ask_to_discard(session: Session, parent: QWidget, stage: str = "") -> DiscardQuestion | None:
    """Opens the question; None where there is nothing to lose, so that the run is simply stopped.

    Args:
        session: whose run or stage it is.
        parent: over whose window it opens.
        stage: an interrupted stage; empty for the active run.
    """
    if not stage and not session.run.state.stage:
        # It has not begun: there is nothing to discard.
        session.run.stop()
        return None
    question = DiscardQuestion(session, parent.window(), stage)
    question.open()
    return question
