"""A dialog that fits its texts and the screen, and in which Return presses the button with the focus."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QPushButton, QToolButton


class Dialog(QDialog):
    """Grows with texts that wrap: Qt leaves a window as high as it is, and cuts their last lines."""

    def event(self, event: QEvent) -> bool:
        """Looks where a text, or the width that it has, may have changed; and at the screen when it is shown."""
        if event.type() == QEvent.Type.Show:
            # A small one at 150 % has 512 lines: the buttons below were cut.
            self.resize(self.size().boundedTo(self.screen().availableGeometry().size()))
        done = super().event(event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize, QEvent.Type.Show):
            self._make_room()
        return done

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's name)
        """Return presses the button that has the focus: Qt presses the dialog's default one, unless told otherwise."""
        button = self.focusWidget()
        return_key = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        held = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if return_key and not held and isinstance(button, (QPushButton, QToolButton)):
            button.click()
        else:
            super().keyPressEvent(event)

    def _make_room(self) -> None:
        layout = self.layout()
        if layout is None or not layout.hasHeightForWidth():
            return
        needed = min(layout.totalHeightForWidth(self.width()), self.screen().availableGeometry().height())
        if needed != self.minimumHeight():
            self.setMinimumHeight(needed)
