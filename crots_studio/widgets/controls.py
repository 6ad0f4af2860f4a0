"""Controls that take no more room than they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QPushButton, QStyle, QStyleOptionComboBox, QStylePainter

from crots_studio import theme
from crots_studio.plain import Label, plain_tooltip


class ElidedBox(QComboBox):
    """A list whose chosen entry ends in an ellipsis where there is too little room, rather than in half a letter."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draws the frame, the arrow and what fits of the text."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        if self.currentIndex() < 0:
            option.currentText = self.placeholderText()
        control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(control, option, part, self).width()
        if not option.currentIcon.isNull():
            room -= option.iconSize.width() + theme.STEP
        option.currentText = option.fontMetrics.elidedText(option.currentText, Qt.TextElideMode.ElideRight, room)
        painter.drawComplexControl(control, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class PercentLabel(Label):
    """The figure of a slider; one of more or fewer digits moves nothing beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._keep_width()

    def show_percent(self, value: int) -> None:
        """Shows a value of 0..100."""
        self.setText(f"{value}%")

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Follows the size of the text."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._keep_width()

    def _keep_width(self) -> None:
        self.setFixedWidth(self.fontMetrics().horizontalAdvance("100%") + 4)


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


class _Snug(QObject):
    """Limits its button's width to the text, in the size that the user has chosen last."""

    def __init__(self, button: QPushButton) -> None:
        super().__init__(button)
        self._button = button
        button.installEventFilter(self)
        self._fit()

    def _fit(self) -> None:
        label = self._button.text().replace("&", "")
        width = self._button.fontMetrics().horizontalAdvance(label) + 2 * theme.PADDING + 4
        if width != self._button.maximumWidth():
            self._button.setMaximumWidth(width)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Text of another size needs another width."""
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange, QEvent.Type.Show):
            self._fit()
        return super().eventFilter(watched, event)


def snug(button: QPushButton) -> QPushButton:
    """Limits a button's width to its text."""
    _Snug(button)
    return button


def indent(box: QAbstractSpinBox) -> None:
    """Keeps a number as far from the edge as the text of other fields; a style sheet cannot."""
    box.lineEdit().setTextMargins(2 * theme.STEP, 0, 0, 0)
