"""The effect of a drop, shown over the page during a drag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QColor, QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLineEdit, QWidget

from crots_studio import theme


def dropped_paths(event: QDropEvent) -> list[Path]:
    """Returns all local paths of what is dragged."""
    urls = event.mimeData().urls() if event.mimeData().hasUrls() else []
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


def leave_drops(page: QWidget) -> None:
    """Lets the lines of a page leave files that are dropped on them to the page: they would show a file:// address."""
    for line in page.findChildren(QLineEdit):
        line.setAcceptDrops(False)


class DropHint(QWidget):
    """Covers a page with a frame and a text about the drop; hidden until shown.

    Args:
        page: what it covers; it follows its size.
    """

    def __init__(self, page: QWidget) -> None:
        super().__init__(page)
        self._page = page
        self.lines: tuple[str, ...] = ()
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("What a drop does")
        page.installEventFilter(self)
        self.hide()

    def tell(self, lines: Sequence[str]) -> None:
        """Shows what a drop would do, one line per file."""
        self.lines = tuple(lines)
        self.setGeometry(self._page.rect())
        self.raise_()
        self.show()
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Hides when the drag leaves or ends."""
        if event.type() in (QEvent.Type.DragLeave, QEvent.Type.Drop, QEvent.Type.Resize, QEvent.Type.Hide):
            self.hide()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draws frame and words."""
        painter = QPainter(self)
        back = QColor(theme.colours().background)
        back.setAlphaF(0.85)
        painter.fillRect(self.rect(), back)
        painter.setPen(QPen(QColor(theme.colours().accent), 3, Qt.PenStyle.DashLine))
        painter.drawRect(self.rect().adjusted(6, 6, -7, -7))
        painter.setPen(QColor(theme.colours().text))
        flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        painter.drawText(self.rect().adjusted(24, 24, -24, -24), flags, "\n".join(self.lines))
