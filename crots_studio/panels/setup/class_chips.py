"""The classes of a set as names with their colours, in as many lines as they need."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from crots.taxonomy import ClassSet
from crots_studio import theme

_SQUARE = 12
_GAP = 14


class ClassChips(QWidget):
    """Shows a class set; nothing where there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.classes: ClassSet | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setAccessibleName("Classes and their colours")
        self.hide()

    def show_classes(self, classes: ClassSet | None) -> None:
        """Shows other classes."""
        self.classes = classes
        self.setVisible(classes is not None)
        self.setAccessibleDescription(", ".join(classes.names) if classes else "")
        self.updateGeometry()
        self.update()

    def _places(self, width: int) -> list[QRect]:
        line, metrics = self.fontMetrics().height() + 6, self.fontMetrics()
        x = y = 0
        places = []
        for name in self.classes.names if self.classes else ():
            room = _SQUARE + 6 + metrics.horizontalAdvance(name)
            if x and x + room > width:
                x, y = 0, y + line
            places.append(QRect(x, y, room, line))
            x += room + _GAP
        return places

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """One line; more by `heightForWidth`."""
        return QSize(200, self.fontMetrics().height() + 6)

    def heightForWidth(self, width: int) -> int:  # noqa: N802 (Qt's name)
        """All lines."""
        places = self._places(width)
        return places[-1].bottom() + 1 if places else 0

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draws squares and names."""
        if self.classes is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for name, colour, place in zip(
            self.classes.names, self.classes.palette, self._places(self.width()), strict=True
        ):
            painter.setPen(QPen(QColor(128, 128, 128), 1))
            painter.setBrush(QColor(*colour))
            top = place.top() + (place.height() - _SQUARE) // 2
            painter.drawRoundedRect(QRect(place.left(), top, _SQUARE, _SQUARE), 3, 3)
            painter.setPen(QColor(theme.colours().muted))
            painter.drawText(place.adjusted(_SQUARE + 6, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, name)
