"""Ctrl+Z in a line in which nothing was typed undoes the last change of the project; Qt's line would swallow it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QLineEdit, QWidget


class UndoKeys(QObject):
    """Watches the widget that has the focus."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._watched: QWidget | None = None

    def follow(self, old: QWidget | None, new: QWidget | None) -> None:
        """The focus went from one widget to another."""
        for widget in (old, self._watched):
            if widget is not None:
                widget.removeEventFilter(self)
        self._watched = new if _line(new) is not None else None
        if self._watched is not None:
            self._watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Leaves the keys to the menu where the line itself has nothing to undo or redo."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            line = _line(watched)
            undo, redo = event.matches(QKeySequence.StandardKey.Undo), event.matches(QKeySequence.StandardKey.Redo)
            if line is not None and ((undo and not line.isUndoAvailable()) or (redo and not line.isRedoAvailable())):
                event.ignore()
                return True
        return super().eventFilter(watched, event)


def _line(widget: QObject | None) -> QLineEdit | None:
    """The line that takes the keys of a widget."""
    if isinstance(widget, QComboBox | QAbstractSpinBox):
        return widget.lineEdit()
    return widget if isinstance(widget, QLineEdit) else None
