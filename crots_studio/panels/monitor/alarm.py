"""A line that warns of what the user should not overlook, until he dismisses it or the next stage begins."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QWidget

from crots.events import Event, Note, StageStarted
from crots_studio.models.names import title
from crots_studio.plain import Label, plain_tooltip


class Alarm(QFrame):
    """Shows the warnings of the stage at work, the latest first; hidden while there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("Warnings of the stage")
        self.warnings: list[Note] = []
        self.text = Label()
        self.text.setWordWrap(True)
        self.text.setProperty("role", "warning")
        close = QToolButton()
        close.setText("\u2715")
        close.setAutoRaise(True)
        close.setToolTip("Dismiss")
        close.setAccessibleName("Dismiss warning")
        close.clicked.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 4, 2)
        row.addWidget(self.text, 1)
        row.addWidget(close)
        self.hide()

    def take(self, events: Iterable[Event]) -> None:
        """Takes in new events; a stage that begins makes the warnings of the one before history."""
        for event in events:
            if isinstance(event, StageStarted):
                self.dismiss()
            elif isinstance(event, Note) and event.level == "warning":
                self.warnings.insert(0, event)
        self._show()

    def dismiss(self) -> None:
        """Takes the warnings away."""
        self.warnings = []
        self._show()

    def _show(self) -> None:
        self.setVisible(bool(self.warnings))
        if self.warnings:
            latest, more = self.warnings[0], len(self.warnings) - 1
            others = "\n".join(f"{title(note.stage)}: {note.text}" for note in self.warnings)
            self.text.setText(f"{title(latest.stage)}: {latest.text}" + (f"  (and {more} more)" if more else ""))
            self.setToolTip(plain_tooltip(others if more else ""))
