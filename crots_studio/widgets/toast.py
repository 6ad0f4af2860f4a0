"""A message that floats over a page without changing its layout."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from crots_studio.plain import Label
from crots_studio.widgets.icon_button import IconButton

_WIDEST = 520
_MARGIN = 16
SHORT_MS = 2500


class Toast(QFrame):
    """Lies over its parent, near the lower right corner; hidden until it has something to say.

    Args:
        parent: the page it floats over; without one it is a widget like any other.
        name: for screen readers.
        lift: pixels that it keeps free beneath it.
    """

    def __init__(self, parent: QWidget | None = None, *, name: str = "Notification", lift: int = 0) -> None:
        super().__init__(parent)
        self._lift = lift
        self.setProperty("role", "toast")
        self.setAccessibleName(name)
        self.setAutoFillBackground(True)
        self.text = Label()
        self.text.setWordWrap(True)
        self.close_button = IconButton("close", "Dismiss notification", self.hide)
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(12, 8, 8, 8)
        self.row.setSpacing(8)
        self.row.addWidget(self.text, 1)
        self.row.addWidget(self.close_button)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self.hide()
        if parent is not None:
            parent.installEventFilter(self)

    def say(self, text: str, tone: str = "", milliseconds: int = 0) -> None:
        """Shows a text.

        Args:
            text: what to say.
            tone: ``good``, ``warning``, ``bad`` or nothing.
            milliseconds: after which it goes away; 0 for when it is dismissed.
        """
        self._timer.stop()
        self.text.setText(text)
        self.setProperty("tone", tone)
        self.style().polish(self)
        self.show()
        self.place()
        self.raise_()
        if milliseconds:
            self._timer.start(milliseconds)

    def place(self) -> None:
        """Moves to its corner, in the size that its text needs."""
        parent = self.parentWidget()
        if parent is None or self.isHidden():
            return
        beside = self.sizeHint().width() - self.text.sizeHint().width()
        room = self.text.fontMetrics().horizontalAdvance(self.text.text()) + 8
        width = min(_WIDEST, parent.width() - 2 * _MARGIN, beside + room)
        height = self.heightForWidth(width) if self.hasHeightForWidth() else self.sizeHint().height()
        self.setGeometry(
            parent.width() - width - _MARGIN, parent.height() - height - _MARGIN - self._lift, width, height
        )

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Follows the size of the page."""
        if event.type() == QEvent.Type.Resize and watched is self.parentWidget():
            self.place()
        return False
