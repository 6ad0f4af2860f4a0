"""What panels owe to people who use the keyboard and screen readers."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QWidget,
)

_CONTROLS = (QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)
# Parts of these belong to them and have no name of their own.
_WHOLE = (QComboBox, QAbstractSpinBox, QLineEdit, QAbstractItemView)


def unnamed(panel: QWidget) -> list[QWidget]:
    """Returns the controls that have neither text nor an accessible name."""
    found = [child for kind in _CONTROLS for child in panel.findChildren(kind)]
    return [child for child in found if not isinstance(child, QScrollBar) and not _named(child) and not _inside(child)]


def _named(child: QWidget) -> bool:
    return bool(child.accessibleName() or (isinstance(child, QAbstractButton) and child.text()))


def _inside(child: QWidget) -> bool:
    parent = child.parentWidget()
    while parent is not None:
        if isinstance(parent, _WHOLE):
            return True
        parent = parent.parentWidget()
    return False
