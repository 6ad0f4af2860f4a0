"""A slider with its number beside it, in the units of an option."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

from crots_studio.plain import Label, plain_tooltip
from crots_studio.widgets.controls import indent


class SliderRow(QWidget):
    """Label, slider and number; the two follow each other.

    Signals:
        changed(float): the value, while the slider moves too.
    """

    changed = Signal(float)

    def __init__(
        self,
        text: str,
        low: float,
        high: float,
        step: float,
        *,
        decimals: int = 2,
        tip: str = "",
        name: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._low, self._step = low, step
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, round((high - low) / step))
        self.slider.setPageStep(max(1, self.slider.maximum() // 10))
        self.slider.setMinimumWidth(60)
        self.number = QDoubleSpinBox()
        indent(self.number)
        self.number.setRange(low, high)
        self.number.setDecimals(decimals)
        self.number.setSingleStep(step)
        self.label = Label(text)
        self.label.setBuddy(self.slider)
        plain = name or text.replace("&", "")
        self.slider.setAccessibleName(plain)
        self.number.setAccessibleName(f"{plain}, number")
        for widget in (self, self.slider, self.number, self.label):
            widget.setToolTip(plain_tooltip(tip))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.label)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.number)
        self.slider.valueChanged.connect(self._slid)
        self.number.valueChanged.connect(self._typed)

    @property
    def value(self) -> float:
        """The number."""
        return float(self.number.value())

    def set_value(self, value: float) -> None:
        """Sets both without a signal."""
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.number.setValue(value)
            self.slider.setValue(round((value - self._low) / self._step))

    def _slid(self, place: int) -> None:
        with QSignalBlocker(self.number):
            self.number.setValue(self._low + place * self._step)
        self.changed.emit(self.value)

    def _typed(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(round((value - self._low) / self._step))
        self.changed.emit(value)
