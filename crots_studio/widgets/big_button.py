"""A large button with a title and a line that explains it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from crots_studio.plain import Label


class BigButton(QPushButton):
    """Calls ``act`` when it is clicked, or chosen with the Return key."""

    def __init__(self, title: str, words: str, act: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(title)
        self.setAccessibleDescription(words)
        self.setAutoDefault(True)
        self.clicked.connect(lambda: act())
        heading, line = Label(title), Label(words)
        heading.setProperty("role", "heading")
        line.setProperty("role", "muted")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(16, 10, 16, 10)
        self._column.setSpacing(2)
        for label in (heading, line):
            # Clicks are for the button.
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            self._column.addWidget(label)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As large as its two lines."""
        return self._column.sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """No smaller than its two lines."""
        return self._column.minimumSize()
