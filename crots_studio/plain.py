"""Text from files (names of classes and files, messages, notes) is shown as it stands: Qt would read tags in it."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget


class Label(QLabel):
    """A label whose text is plain, unless it is told that its text is rich; what comes into that is escaped."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)


def plain_tooltip(text: str) -> str:
    """Returns a tooltip that shows a text as it stands; a tooltip cannot be told that it is plain."""
    if "<" not in text and "&" not in text:
        return text
    lines = "<br>".join(map(html.escape, text.split("\n")))
    return f"<span>{lines}</span>"
