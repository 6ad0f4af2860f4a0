"""The tools for repainting labels: the tool, its class and width, and undo."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QButtonGroup, QComboBox, QHBoxLayout, QPushButton, QSpinBox, QVBoxLayout, QWidget

from crots.taxonomy import ClassSet
from crots_studio.plain import plain_tooltip
from crots_studio.widgets.class_legend import swatch
from crots_studio.widgets.controls import ElidedBox, indent, snug
from crots_studio.widgets.icon_button import IconButton

LOOK, FILL, BRUSH, ERASER, PICKER, POLYGON = "look", "fill", "brush", "eraser", "picker", "polygon"
SUPERPIXELS = "superpixels"


@dataclass(frozen=True)
class Tool:
    """What the mouse does; ``keys`` chooses it."""

    key: str
    sign: str
    title: str
    tip: str
    keys: str


TOOLS = (
    Tool(LOOK, "hand", "Pan", "drag to move the image; no label is changed", "H"),
    Tool(FILL, "fill", "Fill region", "click a region to give it the chosen class", "F"),
    Tool(BRUSH, "brush", "Brush", "drag to paint the chosen class; space bar or middle button pan", "B"),
    Tool(ERASER, "eraser", "Eraser", "drag to restore the source's own labels", "E"),
    Tool(PICKER, "picker", "Pick a class", "click to choose the class under the pointer", "P"),
    Tool(SUPERPIXELS, "superpixels", "Superpixels", "click or drag to fill small areas up to image edges", "S"),
    Tool(POLYGON, "polygon", "Polygon", "click to set corners; click the first one or press Return to fill it", "G"),
)
# Tools whose width counts.
BROAD = (BRUSH, ERASER, SUPERPIXELS)
_WIDEST = 99
# Pixels.
_WIDEST_CHOICE = 280


class LabelTools(QWidget):
    """A row with the class and the width; the tools stand in a column of their own beside the picture.

    Attributes:
        column: the tools, undo and redo, one below the other.

    Signals:
        tool_changed(str): a key of the tools.
        class_changed(int): the label to paint.
        undo_asked(), redo_asked(), reset_asked(): a button was pressed.
    """

    tool_changed = Signal(str)
    class_changed = Signal(int)
    undo_asked = Signal()
    redo_asked = Signal()
    reset_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        self.tools: dict[str, IconButton] = {}
        for tool in TOOLS:
            button = IconButton(tool.sign, tool.title, tip=f"{tool.tip} ({tool.keys})")
            button.setCheckable(True)
            self._group.addButton(button)
            self.tools[tool.key] = button
        self.tools[LOOK].setChecked(True)
        self.classes = ElidedBox()
        self.classes.setAccessibleName("Class to paint")
        self.classes.setToolTip("Class to paint (1 to 9); ignored pixels are left out of the loss")
        self.classes.setMinimumContentsLength(6)
        self.classes.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.width_box = QSpinBox()
        indent(self.width_box)
        self.width_box.setRange(1, _WIDEST)
        self.width_box.setValue(9)
        self.width_box.setSuffix(" px")
        self.width_box.setAccessibleName("Width of the brush, or of a superpixel, in pixels")
        self.width_box.setToolTip("Width of the brush, or of a superpixel, in label pixels ([ and ])")
        self.undo = IconButton("undo", "Undo", self.undo_asked.emit)
        self.redo = IconButton("redo", "Redo", self.redo_asked.emit)
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("Undo all corrections of this image")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        # Wider, its arrow would be far from its name.
        self.classes.setMaximumWidth(_WIDEST_CHOICE)
        row.addWidget(self.classes, 3)
        row.addWidget(self.width_box)
        row.addWidget(snug(self.reset))
        row.addStretch(1)
        self.column = self._make_column()
        self.classes.currentIndexChanged.connect(lambda _: self.class_changed.emit(self.label))
        self._group.buttonClicked.connect(lambda _: self._tool_chosen())
        self.reset.clicked.connect(self.reset_asked)
        self._tool_chosen()

    def _make_column(self) -> QWidget:
        holder = QWidget(self)
        holder.setAccessibleName("Tools")
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for button in self.tools.values():
            column.addWidget(button)
        column.addSpacing(8)
        for other in (self.undo, self.redo):
            column.addWidget(other)
        column.addStretch(1)
        return holder

    @property
    def current(self) -> str:
        """The tool, a key of `TOOLS`."""
        return next(key for key, button in self.tools.items() if button.isChecked())

    def choose(self, key: str) -> None:
        """Takes up a tool, where it can be used now."""
        if self.tools[key].isEnabled() and not self.tools[key].isChecked():
            self.tools[key].setChecked(True)
            self._tool_chosen()

    @property
    def label(self) -> int:
        """The label to paint."""
        return int(self.classes.currentData() if self.classes.count() else 0)

    @property
    def name(self) -> str:
        """Name of the class to paint."""
        return self.classes.currentText()

    def choose_class(self, label: int) -> None:
        """Paints with a label from now on; one that there is not changes nothing."""
        if (place := self.classes.findData(label)) >= 0:
            self.classes.setCurrentIndex(place)

    def widen(self, step: int) -> None:
        """Makes the brush broader or narrower."""
        self.width_box.setValue(self.width_box.value() + step)

    def set_classes(self, classes: ClassSet | None) -> None:
        """Offers the classes of a set, and ignore."""
        chosen = self.classes.currentText()
        with QSignalBlocker(self.classes):
            self.classes.clear()
            for number, name in enumerate(classes.names if classes else ()):
                self.classes.addItem(swatch(classes.palette[number]), name, number)  # type: ignore[union-attr]
            if classes:
                self.classes.addItem(swatch((0, 0, 0)), "ignore", classes.ignore)
            self.classes.setCurrentIndex(max(0, self.classes.findText(chosen)))

    def show_state(self, undo: str, redo: str, *, corrected: bool, possible: bool) -> None:
        """Enables what can be done now."""
        for button, word, text in ((self.undo, "Undo", undo), (self.redo, "Redo", redo)):
            button.setEnabled(bool(text))
            button.setToolTip(plain_tooltip(f"{word}: {text}" if text else f"Nothing to {word.lower()}"))
        self.reset.setEnabled(corrected)
        for button in self.tools.values():
            button.setEnabled(possible)
        if not possible:
            self.tools[LOOK].setChecked(True)
        self._tool_chosen()

    def _tool_chosen(self) -> None:
        self.classes.setEnabled(self.current not in (LOOK, ERASER))
        self.width_box.setEnabled(self.current in BROAD)
        self.tool_changed.emit(self.current)
