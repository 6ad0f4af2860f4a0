"""Explains why a run failed, with the end of the log and remedies to apply with one click."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QDialogButtonBox, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

import crots
from crots_studio.models.failures import Advice, report_text
from crots_studio.plain import Label
from crots_studio.widgets.dialog import Dialog


class FailureDialog(Dialog):
    """Shows `Advice`; `settings` is what the user chose to change, `again` whether to run again."""

    def __init__(self, advice: Advice, log: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(advice.heading)
        self.advice, self._log = advice, log
        self.settings: Mapping[str, str] = {}
        self.again = False
        heading = Label(advice.heading)
        heading.setProperty("role", "heading")
        message, todo = Label(advice.message), Label(advice.todo)
        column = QVBoxLayout(self)
        column.addWidget(heading)
        for label in (message, todo):
            label.setWordWrap(True)
            column.addWidget(label)
        self.remedies: list[QPushButton] = []
        for remedy in advice.remedies:
            button = QPushButton(f"Use {remedy.label}, and run again")
            button.setAutoDefault(False)
            button.clicked.connect(lambda _=False, settings=remedy.settings: self._mend(settings))
            self.remedies.append(button)
            column.addWidget(button)
        self.tail = QPlainTextEdit("\n".join(filter(None, (log, advice.detail))))
        self.tail.setReadOnly(True)
        self.tail.setAccessibleName("End of the log")
        self.tail.setTabChangesFocus(True)
        self.tail.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.tail.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        column.addWidget(self.tail, 1)
        column.addWidget(buttons := self._buttons())
        # Else Return would copy: it means the first button.
        buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)
        # Before the first stage there is no log, and an empty box would be most of the dialog.
        self.tail.setVisible(bool(self.tail.toPlainText()))
        self.resize(720, 440 if self.tail.isVisibleTo(self) else self.sizeHint().height())
        scroll = self.tail.verticalScrollBar()
        scroll.setValue(scroll.maximum())

    def _buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = box.addButton("Copy report", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(self.copy_report)
        again = box.addButton("Run again", QDialogButtonBox.ButtonRole.ActionRole)
        again.clicked.connect(lambda: self._mend({}))
        box.rejected.connect(self.reject)
        return box

    def _mend(self, settings: Mapping[str, str]) -> None:
        self.settings, self.again = settings, True
        self.accept()

    def copy_report(self) -> None:
        """Copies everything that a bug report needs."""
        versions = f"CROTS {crots.__version__}, Python {platform.python_version()}, {platform.platform()}"
        QGuiApplication.clipboard().setText(report_text(self.advice, self._log.splitlines(), versions))
