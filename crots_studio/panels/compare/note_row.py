"""Below the table of runs: title and note of the selected run, or of its project."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from crots.notes import LONGEST_NOTE, LONGEST_TITLE, RunNote, tidy
from crots_studio.models.runs import PastRun
from crots_studio.plain import Label
from crots_studio.widgets.controls import ElidedBox

_RUN, _PROJECT = "Run", "Project"


class NoteRow(QWidget):
    """Two fields for the run or the project of the selected row; what is typed is kept when a field is left.

    Signals:
        edited(PastRun, bool, Note): of that run, or of its project where True, the note is to be this.
    """

    edited = Signal(object, bool, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: PastRun | None = None
        self.of = ElidedBox()
        self.of.setAccessibleName("Title and note of the run or of its project")
        self.of.addItems([_RUN, _PROJECT])
        self.of.currentIndexChanged.connect(lambda _: self._fill())
        self.title, self.note = QLineEdit(), QLineEdit()
        self.title.setMaxLength(LONGEST_TITLE)
        self.note.setMaxLength(LONGEST_NOTE)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.of)
        for field, text, share in ((self.title, "&Title", 1), (self.note, "N&ote", 3)):
            label = Label(text)
            label.setBuddy(field)
            field.editingFinished.connect(self._edited)
            row.addWidget(label)
            row.addWidget(field, share)
        self.show_run(None)

    @property
    def _of_project(self) -> bool:
        return self.of.currentText() == _PROJECT

    @property
    def _kept(self) -> RunNote:
        if self._run is None:
            return RunNote()
        return self._run.project_note if self._of_project else self._run.note

    def show_run(self, run: PastRun | None) -> None:
        """Shows the fields of a run; what was typed for another one is kept first."""
        if run is not None and self._run is not None and run.key == self._run.key:
            self._run = run
            if not self.title.isModified() and not self.note.isModified():
                self._fill()
            return
        self._edited()
        self._run = run
        self._fill()

    def _fill(self) -> None:
        run, kept = self._run, self._kept
        for field in (self.of, self.title, self.note):
            field.setEnabled(run is not None)
        what = (run.project if self._of_project else run.model) if run is not None else ""
        self.title.setText(kept.title)
        # A line end of a note that was written elsewhere.
        self.note.setText(kept.note.replace("\n", " "))
        self.title.setPlaceholderText(f"a name for {what}" if what else "select a run")
        self.note.setPlaceholderText("for example why it was run and what the outcome was" if what else "")
        self.title.setAccessibleName(f"Title of {what}" if what else "Title of the selected run")
        self.note.setAccessibleName(f"Note on {what}" if what else "Note on the selected run")
        self.note.setCursorPosition(0)

    def _edited(self) -> None:
        if self._run is None or not (self.title.isModified() or self.note.isModified()):
            return
        # Untouched, it keeps its lines.
        note = self.note.text() if self.note.isModified() else self._kept.note
        self.title.setModified(False)
        self.note.setModified(False)
        if (found := tidy(self.title.text(), note)) != self._kept:
            self.edited.emit(self._run, self._of_project, found)
