"""The log and the problems of a project, to read, copy and save; one line of it until one asks for more."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from crots.errors import CrotsError
from crots.events import Event
from crots.files import write_text
from crots_studio.icons import icon
from crots_studio.models.log_lines import LogLine, to_lines
from crots_studio.models.words import fault_text, plural
from crots_studio.plain import Elided
from crots_studio.session import Session
from crots_studio.widgets.icon_button import SIDE, IconButton

_MOST_LINES = 5000
# Qt's value for no limit.
_MOST_PIXELS = 16777215
_MOST_PROBLEMS = 500
_SIGNS = {"info": "·", "warning": "!", "error": "✗"}


class LogPanel(QWidget):
    """Two tabs: every line, and what the user should not miss; folded, the latest line and the number of problems.

    Signals:
        unfolded(bool): it was opened or folded.
    """

    unfolded = Signal(bool)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.lines = QPlainTextEdit()
        self.lines.setReadOnly(True)
        self.lines.setMaximumBlockCount(_MOST_LINES)
        self.lines.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.lines.setAccessibleName("Log")
        self.lines.setTabChangesFocus(True)
        self.lines.setPlaceholderText("Messages of a run appear here.")
        self.problems = QListWidget()
        self.problems.setAccessibleName("Problems")
        self.problems.setWordWrap(True)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.lines, "Log")
        self.tabs.addTab(self.problems, "Problems")
        self.tabs.setCornerWidget(self._buttons())
        self.foot = self._folded_line()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.foot)
        column.addWidget(self.tabs)
        self.unfold(session.settings.value("log unfolded") == "yes")
        session.opened.project_changed.connect(self._another_project)
        session.opened.history_changed.connect(self._another_project)
        session.run.events_arrived.connect(self.add_events)
        session.problem.connect(self.add_problem)
        session.notice.connect(self._note)

    def _buttons(self) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 4, 0)
        for label, act in (("Copy", self.copy), ("Save ...", self._save), ("Clear", self.clear)):
            button = QPushButton(label)
            button.setAccessibleName(f"{label.removesuffix(' ...')} the log")
            button.setFlat(True)
            button.clicked.connect(act)
            row.addWidget(button)
        row.addWidget(IconButton("down", "Fold the log", lambda: self.unfold(False)))
        return holder

    def _folded_line(self) -> QFrame:
        foot = QFrame()
        foot.setProperty("role", "foot")
        self.latest = Elided()
        self.latest.setProperty("role", "muted")
        self.problem_button = QPushButton()
        self.problem_button.setFlat(True)
        self.problem_button.setIcon(icon("alert", "warning"))
        self.problem_button.setIconSize(QSize(SIDE, SIDE))
        self.problem_button.clicked.connect(self.show_problems)
        self.more = IconButton("up", "Unfold the log", lambda: self.unfold(True))
        row = QHBoxLayout(foot)
        row.setContentsMargins(12, 2, 4, 2)
        row.setSpacing(4)
        row.addWidget(self.latest, 1)
        row.addWidget(self.problem_button)
        row.addWidget(self.more)
        return foot

    @property
    def is_unfolded(self) -> bool:
        """Whether more than the latest line is shown."""
        return not self.tabs.isHidden()

    def unfold(self, unfolded: bool = True) -> None:
        """Shows all of it, or the latest line alone; the next session begins with the same."""
        self.tabs.setVisible(unfolded)
        self.foot.setVisible(not unfolded)
        self.setMaximumHeight(_MOST_PIXELS if unfolded else self.foot.sizeHint().height())
        self._session.settings.set_value("log unfolded", "yes" if unfolded else "no")
        self.unfolded.emit(unfolded)
        if unfolded:
            # Laid out only now: folded, it could not be scrolled to its end.
            QTimer.singleShot(0, self, self._show_latest)

    def _show_latest(self) -> None:
        bar = self.lines.verticalScrollBar()
        bar.setValue(bar.maximum())

    def show_problems(self) -> None:
        """Unfolds the list of problems."""
        self.unfold()
        self.tabs.setCurrentWidget(self.problems)

    @property
    def text(self) -> str:
        """The whole log."""
        return self.lines.toPlainText()

    def copy(self) -> None:
        """Puts what is marked, or all, of the visible tab on the clipboard."""
        if self.tabs.currentWidget() is self.problems:
            lines = [self.problems.item(number).text() for number in range(self.problems.count())]
            QGuiApplication.clipboard().setText("\n".join(lines))
        else:
            marked = self.lines.textCursor().selection().toPlainText()
            QGuiApplication.clipboard().setText(marked or self.text)
        self._session.copied.emit("Copied")

    def clear(self) -> None:
        """Empties both lists; nothing on disk is touched."""
        self.lines.clear()
        self.problems.clear()
        self.latest.setText("Nothing has been logged yet")
        self._count()

    def _save(self) -> None:
        start = str(Path(self._session.settings.folder("log")) / "crots.log")
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the log", start)
        if not chosen:
            return
        try:
            write_text(Path(chosen), self.text + "\n")
        except (CrotsError, OSError) as error:
            self.add_problem(f"the log could not be saved: {fault_text(error)}")

    def _another_project(self) -> None:
        self.clear()
        history = self._session.opened.history
        events = [
            event
            for stage in history.stages.values()
            for event in (stage.started, *stage.notes, *stage.evaluations, stage.finished)
            if event is not None
        ]
        self.add_events(sorted(events, key=lambda event: event.time))

    def add_events(self, events: list[Event]) -> None:
        """Appends the lines of events."""
        self.add_lines(to_lines(events))

    def _note(self, text: str) -> None:
        self.add_lines([LogLine(time.time(), "info", text)])

    def add_lines(self, lines: list[LogLine]) -> None:
        """Appends lines; the view follows the end unless the user has scrolled away from it."""
        if lines:
            bar = self.lines.verticalScrollBar()
            at_end = bar.value() >= bar.maximum() - 2
            aside = self.lines.horizontalScrollBar().value()
            self.lines.appendPlainText("\n".join(map(str, lines)))
            self.latest.setText(str(lines[-1]))
            # Qt follows the end of a long line, and hides the time of all.
            self.lines.horizontalScrollBar().setValue(aside)
            if at_end:
                bar.setValue(bar.maximum())
        for line in lines:
            if line.level != "info":
                self.problems.addItem(QListWidgetItem(f"{_SIGNS[line.level]} {line}"))
        while self.problems.count() > _MOST_PROBLEMS:
            self.problems.takeItem(0)
        self._count()

    def add_problem(self, text: str) -> None:
        """Appends a message that is not from an event."""
        self.add_lines([LogLine(time.time(), "error", text)])

    def _count(self) -> None:
        count = self.problems.count()
        self.tabs.setTabText(1, f"Problems ({count})" if count else "Problems")
        self.problem_button.setText(plural(count, "problem"))
        self.problem_button.setVisible(count > 0)
