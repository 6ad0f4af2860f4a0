"""Controls that take no more room than they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QPushButton, QStyle, QStyleOptionComboBox, QStylePainter

from crots_studio import theme
from crots_studio.plain import plain_tooltip


class ElidedBox(QComboBox):
    """A list whose chosen entry ends in an ellipsis where there is too little room, rather than in half a letter."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draws the frame, the arrow and what fits of the text."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(control, option, part, self).width()
        if not option.currentIcon.isNull():
            room -= option.iconSize.width() + theme.STEP
        option.currentText = option.fontMetrics.elidedText(option.currentText, Qt.TextElideMode.ElideRight, room)
        painter.drawComplexControl(control, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


def choice_box(name: str, entries: Mapping[Any, str]) -> QComboBox:
    """Returns a list of entries with their data; it may become narrower than its longest entry.

    Args:
        name: for screen readers and as tooltip.
        entries: text by data.
    """
    combo = ElidedBox()
    combo.setAccessibleName(name)
    combo.setToolTip(plain_tooltip(name))
    combo.setMinimumContentsLength(6)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    for key, text in entries.items():
        combo.addItem(text, key)
    return combo


def snug(button: QPushButton) -> QPushButton:
    """Limits a button's width to its text."""
    button.setMaximumWidth(button.fontMetrics().horizontalAdvance(button.text()) + 2 * theme.PADDING + 2)
    return button


def indent(box: QAbstractSpinBox) -> None:
    """Keeps a number as far from the edge as the text of other fields; a style sheet cannot."""
    box.lineEdit().setTextMargins(theme.STEP, 0, 0, 0)
