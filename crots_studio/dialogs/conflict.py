"""Asks which version to keep if options were changed both here and in the project's file."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from crots.project import CONFIG_NAME
from crots_studio.models.project_changes import MergedChanges
from crots_studio.models.words import in_question
from crots_studio.session import Session


class ConflictQuestion(QMessageBox):
    """Asks and passes the answer to the session; nothing is written to the file before."""

    def __init__(self, session: Session, merged: MergedChanges, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setIcon(QMessageBox.Icon.Warning)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWindowTitle("The project was changed elsewhere")
        self.setText(f"{CONFIG_NAME} was changed by another window or an editor, and the same options here:")
        self.setInformativeText(in_question(list(map(str, merged.conflicts))))
        self.mine = self.addButton("Keep the options in this window", QMessageBox.ButtonRole.AcceptRole)
        self.theirs = self.addButton("Use the options in the file", QMessageBox.ButtonRole.RejectRole)
        # Closed without an answer, it leaves the file as it is.
        self.setDefaultButton(self.theirs)
        self.setEscapeButton(self.theirs)
        self.finished.connect(lambda _: session.opened.settle_conflict(mine=self.clickedButton() is self.mine))
        session.opened.project_changed.connect(self.reject)
