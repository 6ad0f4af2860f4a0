"""One figure with its name and a note, at the top of a page of results."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from crots_studio.plain import Elided, Label, plain_tooltip

# Pixels: as wide as this, its words are shown whole whatever the room.
_WIDE = 220


class Tile(QFrame):
    """A card with a caption, a figure and a note beneath; its height never changes."""

    def __init__(self, caption: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.caption, self.figure, self.note = Label(caption), Label(), Elided()
        self.caption.setProperty("role", "muted")
        self.figure.setProperty("role", "figure")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(0)
        for label in (self.caption, self.figure, self.note):
            column.addWidget(label)
        self.say("–")  # noqa: RUF001 - a dash, for nothing yet

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Never cuts its figure, nor a note of the usual length."""
        hint = super().minimumSizeHint()
        return QSize(max(hint.width(), min(self.sizeHint().width(), _WIDE)), hint.height())

    def say(self, figure: str, note: str = "", tone: str = "muted") -> None:
        """Shows a figure and a note in the colour of a role of labels."""
        self.figure.setText(figure)
        self.note.setText(note or " ")
        self.note.setToolTip(plain_tooltip(note))
        if self.note.property("role") != tone:
            self.note.setProperty("role", tone)
            self.note.style().polish(self.note)
        self.setAccessibleName(": ".join(filter(None, (self.caption.text(), f"{figure} {note}".strip()))))
