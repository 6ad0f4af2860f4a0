"""What dialogs share that write or read files beside the window: a line of text, progress, buttons, and stopping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QProgressBar, QWidget

from crots.events import Event
from crots_studio.background.event_errand import EventErrand
from crots_studio.plain import Label
from crots_studio.session import Session
from crots_studio.widgets.dialog import Dialog
from crots_studio.widgets.result_buttons import ResultButtons

if TYPE_CHECKING:
    from crots.execution.control import Control


class WorkDialog(Dialog):
    """A form above, and below it what is missing, how far the work is, and its buttons.

    Args:
        session: runs the work beside the window.
        buttons: below the form.
        counted: what the progress counts, for screen readers: "Images predicted".
        parent: over which it opens.
    """

    def __init__(self, session: Session, buttons: ResultButtons, counted: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._errand = EventErrand(session.errands, self)
        self._errand.arrived.connect(self._take)
        self._errand.ended.connect(self._ended)
        self._errand.ended.connect(self._go_on)
        self.problem = Label()
        self.problem.setWordWrap(True)
        # Nothing below it moves when it gets its first words, nor when the progress comes and goes.
        self.problem.setMinimumHeight(self.fontMetrics().height())
        self.progress = QProgressBar(textVisible=False)
        self.progress.setAccessibleName(counted)
        policy = self.progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(policy)
        self.progress.hide()
        self.buttons = buttons
        buttons.copy_command.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._command()))
        buttons.open_folder.clicked.connect(self._open_folder)
        buttons.start.clicked.connect(self.start)
        buttons.close_button.clicked.connect(self.reject)

    def work(self, make: Callable[[Control], Iterator[Event]]) -> None:
        """Works beside the window; for this time no key that is pressed once more does anything but Escape."""
        # Qt would go from a button that is disabled to whichever comes next.
        self.setFocus()
        self._errand.start(make)

    def _go_on(self, error: Exception | None) -> None:
        """The keyboard goes on where the user does: all is done, or it is to be tried again."""
        if not self.hasFocus():
            return
        failed = error is not None or self.problem.property("role") == "bad"
        button = self.buttons.start if failed and self.buttons.start.isEnabled() else self.buttons.close_button
        button.setFocus()

    def start(self) -> None:
        """Starts the work, if the form is complete."""
        raise NotImplementedError

    def _command(self) -> str:
        """The command line that does the same."""
        raise NotImplementedError

    def _result_folder(self) -> Path | None:
        """The folder that can be shown, None for none yet."""
        raise NotImplementedError

    def _take(self, event: object) -> None:
        """Shows an event of the work."""
        raise NotImplementedError

    def _ended(self, error: Exception | None) -> None:
        """Shows the outcome."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether the work is going on."""
        return self._errand.running

    def say(self, text: str, role: str) -> None:
        """Shows a line below the form."""
        self.problem.setText(text)
        self.problem.setProperty("role", role)
        self.problem.style().polish(self.problem)

    def reject(self) -> None:
        """Stops the work; closes the dialog if there is none."""
        if self.running:
            self._errand.stop()
            self.say("Stopping ...", "muted")
            return
        self._errand.leave()
        super().reject()

    def _open_folder(self) -> None:
        folder = self._result_folder()
        if folder is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self.say(f"No file manager opened it; the folder is {folder}", "warning")
