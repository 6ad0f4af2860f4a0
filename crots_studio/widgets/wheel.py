"""The mouse wheel scrolls pages, and changes a value only in a control with the focus."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QWidget


class _WheelFilter(QObject):
    """Passes the wheel on to what scrolls, from a control without the focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Called by Qt for every event of the control."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def leave_wheel(widget: QWidget) -> None:
    """Keeps the wheel from a control until it has the focus, which the wheel does not give it either."""
    if widget.findChild(_WheelFilter, options=Qt.FindChildOption.FindDirectChildrenOnly) is None:
        if widget.focusPolicy() == Qt.FocusPolicy.WheelFocus:
            widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.installEventFilter(_WheelFilter(widget))


def leave_wheel_below(widget: QWidget) -> None:
    """Does so for all lists and number fields in a part of the window."""
    for kind in (QComboBox, QAbstractSpinBox):
        for child in widget.findChildren(kind):
            leave_wheel(child)
