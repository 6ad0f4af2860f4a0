"""Starting a run, with a question first if it would compete with another one: the queue's, or one in the background."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from crots_studio.models.run_queue import QueueEntry
from crots_studio.runs.run import RunRequest
from crots_studio.session import Session

_SHARE = (
    "Both would share this computer: each takes longer, and the memory of the graphics card may not be enough for two."
)


class RunQuestion(QMessageBox):
    """Asks whether to run now, after the others, or not at all.

    Args:
        session: whose project is to be run.
        parent: the window.
        request: what is to be run; only a whole project can wait in the queue.
        other: name of the project that is running.
    """

    def __init__(self, session: Session, parent: QWidget, request: RunRequest, other: str) -> None:
        super().__init__(parent)
        self._session = session
        assert session.project is not None
        self._folder = session.project.folder
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setIcon(QMessageBox.Icon.Question)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWindowTitle("Another run is in progress")
        self.setText(f"{other} is running. Run {self._folder.name} at the same time?")
        self.setInformativeText(_SHARE)
        self.queue_button = self.addButton("&Add to the queue", QMessageBox.ButtonRole.AcceptRole)
        self.queue_button.setVisible(request == RunRequest())
        self.queue_button.clicked.connect(self._queue)
        self.run_button = self.addButton("&Run now", QMessageBox.ButtonRole.DestructiveRole)
        self.run_button.clicked.connect(lambda: session.run.start(request))
        back = self.addButton(QMessageBox.StandardButton.Cancel)
        self.setDefaultButton(self.queue_button if request == RunRequest() else back)
        self.setEscapeButton(back)
        session.opened.project_changed.connect(self.reject)

    def _queue(self) -> None:
        queue = self._session.queue
        queue.add([str(self._folder)])
        begun = queue.running or queue.at_work
        label = "it runs in its turn" if begun else "Run > Queue of runs starts it"
        self._session.notice.emit(f"{self._folder.name} is in the queue: {label}.")


def other_run(session: Session) -> str:
    """Returns the folder of a project that a run here would compete with; empty for none."""
    left = session.run.left
    return session.queue.at_work or (str(left[0]) if left else "")


def start_run(session: Session, parent: QWidget, request: RunRequest | None = None) -> RunQuestion | None:
    """Starts a run of the open project; returns the question where it asks first.

    Args:
        session: whose project is run.
        parent: over whose window the question opens.
        request: what to run; all that is not done where it is not given.
    """
    if session.project is None or session.run.busy:
        return None
    other = other_run(session)
    if not other:
        session.run.start(request)
        return None
    if Path(other).resolve() == session.project.folder:
        session.notice.emit("The queue runs this project already; it is shown here in a moment.")
        return None
    question = RunQuestion(session, parent.window(), request or RunRequest(), QueueEntry(other).name)
    question.open()
    return question
