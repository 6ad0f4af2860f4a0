"""One option of the form: label, the widget that fits its type, unit, reset, and its error beneath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from crots_studio.models.option_form import OptionField, shown
from crots_studio.models.palette import PaletteEntry, rank
from crots_studio.plain import Label, plain_tooltip, strong
from crots_studio.settings import Settings
from crots_studio.widgets.controls import indent
from crots_studio.widgets.icon_button import IconButton
from crots_studio.widgets.path_field import PathField
from crots_studio.widgets.wheel import leave_wheel

_TYPED_MS = 600
_EDITOR_WIDTH = 132
# Beside a slider.
_NUMBER_WIDTH = 58
_PLACES = 100


class OptionRow(QWidget):
    """Shows an `OptionField`; ``edited`` carries the new value, ``reset`` asks for the default."""

    edited = Signal(str, object)
    reset = Signal(str)

    def __init__(self, field: OptionField, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path, self._settings = field.path, settings
        self.label = Label(field.title)
        # Our own words; bold for what was changed.
        self.label.setTextFormat(Qt.TextFormat.AutoText)
        # A long title goes on in the next line, or the whole page would be wider than the panel.
        self.label.setWordWrap(True)
        self.error = Label()
        self.error.setWordWrap(True)
        self.error.setProperty("role", "bad")
        self.reset_button = IconButton("reset", f"Reset {field.title}", lambda: self.reset.emit(self.path))
        self.editor, self._show = self._make_editor(field)
        self.editor.setAccessibleName(field.title)
        self.label.setBuddy(self.editor)
        self.slider = self._make_slider(field) if field.share else None
        self._lay_out(field)
        self.show_field(field)

    def _lay_out(self, field: OptionField) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 2)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(0)
        wide = field.kind in ("path", "choices")
        grid.addWidget(self.label, 0, 0)
        if wide:
            grid.addWidget(self.editor, 1, 0, 1, 3)
            grid.addWidget(self.reset_button, 0, 2)
            grid.addWidget(self.error, 2, 0, 1, 3)
        else:
            grid.addWidget(self._with_slider() if self.slider is not None else self.editor, 0, 1)
            grid.addWidget(self.reset_button, 0, 2)
            grid.addWidget(self.error, 1, 0, 1, 3)
        grid.setColumnStretch(0, 1)
        if not wide:
            # One width for all rows, each of which is a grid of its own.
            self.editor.setFixedWidth(_EDITOR_WIDTH if self.slider is None else _NUMBER_WIDTH)
        # Room for the button whether it is there or not, so that nothing jumps.
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset_button.setSizePolicy(policy)

    def _make_slider(self, field: OptionField) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(0, _PLACES)
        # One change of the project for one movement, not a hundred.
        slider.setTracking(False)
        slider.setAccessibleName(f"{field.title}, slider")
        low, high = float(field.info.low or 0), float(field.info.high or 1)
        slider.valueChanged.connect(lambda place: self._edit(round(low + place * (high - low) / _PLACES, 4)))
        leave_wheel(slider)
        return slider

    def _with_slider(self) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        assert self.slider is not None
        row.addWidget(self.slider, 1)
        row.addWidget(self.editor)
        holder.setFixedWidth(_EDITOR_WIDTH)
        return holder

    def _show_slider(self, field: OptionField) -> None:
        if self.slider is None or field.error:
            return
        low, high = float(field.info.low or 0), float(field.info.high or 1)
        self.slider.blockSignals(True)
        self.slider.setValue(round((float(field.value) - low) / (high - low) * _PLACES))
        self.slider.blockSignals(False)
        self.slider.setToolTip(plain_tooltip(field.tooltip))

    def rank(self, text: str) -> int | None:
        """Returns how well the option matches the text of a search, smaller is better; None if it does not match."""
        return rank(PaletteEntry(self._field.title, keywords=f"{self.path} {self._field.tooltip}"), text)

    @property
    def stops(self) -> list[QWidget]:
        """Where the Tab key stops in this row, in order."""
        if isinstance(self.editor, PathField):
            parts: list[QWidget] = [self.editor.edit, self.editor.button]
        elif isinstance(self.editor, (QAbstractSpinBox, QComboBox, QLineEdit, QCheckBox)):
            parts = [self.editor]
        else:
            parts = list(self.editor.findChildren(QCheckBox))
        sliders: list[QWidget] = [self.slider] if self.slider is not None else []
        return [*parts, *sliders, self.reset_button]

    def show_field(self, field: OptionField) -> None:
        """Shows another value, default or error of the same option."""
        self._field = field
        self._show(field)
        self._show_slider(field)
        self.label.setText(strong(field.title) if field.changed else field.title)
        self.reset_button.setVisible(field.changed or bool(field.error))
        self.error.setText(f"✗ {field.error}" if field.error else "")
        self.error.setVisible(bool(field.error))
        for widget in (self.label, self.editor):
            widget.setToolTip(plain_tooltip(field.tooltip))
        self.reset_button.setToolTip(plain_tooltip(f"Back to {shown(field.default) or field.placeholder or 'nothing'}"))
        state = "changed. " if field.changed else ""
        self.editor.setAccessibleDescription(f"{state}{field.error or field.tooltip}")

    def _make_editor(self, field: OptionField) -> tuple[QWidget, Callable[[OptionField], None]]:
        makers = {
            "switch": self._switch,
            "choice": self._choice,
            "choices": self._choices,
            "whole": self._whole,
            "path": self._path,
            "text": self._text,
        }
        return makers[field.kind](field)

    def _edit(self, value: Any) -> None:
        self.edited.emit(self.path, value)

    def _switch(self, field: OptionField) -> tuple[QWidget, Callable[[OptionField], None]]:
        box = QCheckBox()
        box.clicked.connect(self._edit)
        return box, lambda field: box.setChecked(bool(field.value))

    def _choice(self, field: OptionField) -> tuple[QWidget, Callable[[OptionField], None]]:
        box = QComboBox()
        box.addItems(list(field.info.choices))
        box.textActivated.connect(self._edit)
        leave_wheel(box)
        return box, lambda field: box.setCurrentText(str(field.value))

    def _choices(self, field: OptionField) -> tuple[QWidget, Callable[[OptionField], None]]:
        holder = QWidget()
        # One below the other: a row of them is wider than the panel.
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        boxes = {name: QCheckBox(name) for name in field.info.choices}

        def changed() -> None:
            self._edit([name for name, box in boxes.items() if box.isChecked()])

        for name, box in boxes.items():
            box.setAccessibleName(f"{field.title}: {name}")
            box.clicked.connect(changed)
            column.addWidget(box)
        holder.setFocusProxy(next(iter(boxes.values())))

        def show(field: OptionField) -> None:
            for name, box in boxes.items():
                box.setChecked(name in field.value)

        return holder, show

    def _whole(self, field: OptionField) -> tuple[QWidget, Callable[[OptionField], None]]:
        box = QSpinBox()
        indent(box)
        box.setRange(*field.limits)
        box.setGroupSeparatorShown(False)
        box.setKeyboardTracking(False)
        if field.info.unit:
            box.setSuffix(f" {field.info.unit}")
        # Qt shows it in place of the least number.
        box.setSpecialValueText(field.special)
        box.valueChanged.connect(self._edit)
        leave_wheel(box)

        def show(field: OptionField) -> None:
            if not box.hasFocus() or box.value() != field.value:
                box.blockSignals(True)
                box.setValue(int(field.value))
                box.blockSignals(False)

        return box, show

    def _path(self, field: OptionField) -> tuple[QWidget, Callable[[OptionField], None]]:
        kind: Literal["folder", "file"] = "folder" if field.info.path == "folder" else "file"
        box = PathField(field.title, kind, self._settings, placeholder="none")
        box.changed.connect(self._edit)
        return box, lambda field: box.show_path(field.text)

    def _text(self, field: OptionField) -> tuple[QWidget, Callable[[OptionField], None]]:
        box = QLineEdit()
        box.setPlaceholderText(field.placeholder)
        timer = QTimer(box, singleShot=True, interval=_TYPED_MS)

        def changed() -> None:
            timer.stop()
            if box.isModified():
                box.setModified(False)
                self._edit(box.text().strip())

        timer.timeout.connect(changed)
        box.textEdited.connect(lambda _: timer.start())
        box.editingFinished.connect(changed)

        def show(field: OptionField) -> None:
            # Half-typed numbers such as "1e-" must not raise an error yet.
            if not box.isModified() and not (box.hasFocus() and field.error):
                box.setText(field.text)
                box.setModified(False)

        return box, show
