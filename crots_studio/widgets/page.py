"""The page of a tab: what does not fit into its width is scrolled to, instead of being squeezed and cut."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget


class Page(QScrollArea):
    """Holds one panel and gives it the least width that it needs; the height is the tab's."""

    def __init__(self, panel: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._panel = panel
        self.setWidget(panel)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Narrower than its panel, and as high."""
        return QSize(200, self._panel.minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """The panel follows."""
        super().resizeEvent(event)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """The panel's content needs more or less room."""
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        # By default a scroll area makes a panel with long texts as high as these would be in a narrow column.
        room, least = self.viewport().size(), self._panel.minimumSizeHint()
        self._panel.resize(max(room.width(), least.width()), max(room.height(), least.height()))
