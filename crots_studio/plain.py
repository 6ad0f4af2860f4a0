"""Text from files (names of classes and files, messages, notes) is shown literally: Qt would interpret tags in it."""

from __future__ import annotations

import html

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QTextLayout
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget


class Label(QLabel):
    """A label whose text is plain unless it is set to rich text, into which values are escaped."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)


class Elided(Label):
    """One line that shrinks if its neighbours need room: it ends in an ellipsis, and a tooltip shows the whole."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Wide enough for a few letters."""
        return QSize(24, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draws what there is room for."""
        painter = QPainter(self)
        line = self.text().partition("\n")[0]
        shown = self.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, self.contentsRect().width())
        role = self.foregroundRole()
        self.style().drawItemText(
            painter, self.contentsRect(), self.alignment(), self.palette(), self.isEnabled(), shown, role
        )


class ElidedLines(Label):
    """As many lines as there is room for; where the text is longer, the last one ends in an ellipsis."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """A few letters of one line."""
        return QSize(24, self.fontMetrics().height())

    @property
    def shown(self) -> str:
        """What there is room for, line by line."""
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        room, metrics, text = self.contentsRect(), self.fontMetrics(), self.text().replace("\n", "\u2028")
        most, begun = max(1, room.height() // metrics.height()), 0
        lines: list[str] = []
        layout = QTextLayout(text, self.font())
        layout.beginLayout()
        while len(lines) < most and (line := layout.createLine()).isValid():
            line.setLineWidth(room.width())
            begun, end = line.textStart(), line.textStart() + line.textLength()
            lines.append(text[begun:end].rstrip())
        layout.endLayout()
        if lines:
            lines[-1] = metrics.elidedText(text[begun:], Qt.TextElideMode.ElideRight, room.width())
        return lines

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draws what there is room for."""
        self.style().drawItemText(
            QPainter(self), self.contentsRect(), self.alignment(), self.palette(), self.isEnabled(), self.shown,
            self.foregroundRole(),
        )  # fmt: skip


def plain_tooltip(text: str) -> str:
    """Returns a tooltip that shows a text literally; tooltips have no switch for plain text."""
    if "<" not in text and "&" not in text:
        return text
    lines = "<br>".join(map(html.escape, text.split("\n")))
    return f"<span>{lines}</span>"


def strong(escaped: str) -> str:
    """Returns rich text that stands out, in the weight that the studio's font has; what comes in is escaped already."""
    return f"<b style='font-weight:600'>{escaped}</b>"
