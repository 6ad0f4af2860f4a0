"""A dialog that is never too low for its texts."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QDialog


class Dialog(QDialog):
    """Grows with texts that wrap: Qt leaves a window as high as it is, and cuts their last lines."""

    def event(self, event: QEvent) -> bool:
        """Looks where a text, or the width that it has, may have changed."""
        done = super().event(event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize, QEvent.Type.Show):
            self._make_room()
        return done

    def _make_room(self) -> None:
        layout = self.layout()
        if layout is None or not layout.hasHeightForWidth():
            return
        needed = min(layout.totalHeightForWidth(self.width()), self.screen().availableGeometry().height())
        if needed != self.minimumHeight():
            self.setMinimumHeight(needed)
