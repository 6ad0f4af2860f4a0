"""A large button with an icon, a title and a line that explains it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from crots_studio.icons import icon
from crots_studio.plain import Label

_SIDE = 24


class BigButton(QPushButton):
    """Calls ``act`` when it is clicked, or chosen with the Return key; ``sign`` is the name of an icon."""

    def __init__(
        self, title: str, text: str, act: Callable[[], object], sign: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.setAccessibleName(title)
        self.setAccessibleDescription(text)
        self.setAutoDefault(True)
        self.clicked.connect(lambda: act())
        heading, line = Label(title), Label(text)
        heading.setProperty("role", "heading")
        line.setProperty("role", "muted")
        picture = Label()
        picture.setPixmap(icon(sign, "accent").pixmap(_SIDE, _SIDE))
        self._picture, self._sign = picture, sign
        texts = QVBoxLayout()
        texts.setSpacing(2)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(16, 8, 16, 8)
        self._row.setSpacing(16)
        self._row.addWidget(picture)
        self._row.addLayout(texts, 1)
        texts.addWidget(heading)
        texts.addWidget(line)
        for label in (picture, heading, line):
            # Clicks on the labels belong to the button.
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Follows the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._picture.setPixmap(icon(self._sign, "accent").pixmap(_SIDE, _SIDE))

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As large as its two lines."""
        return self._row.sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """No smaller than its two lines."""
        return self._row.minimumSize()
