"""The tool bar for repainting labels: what a click does, with which class, how broad, and what was done."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSpinBox, QWidget

from crots.taxonomy import ClassSet
from crots_studio.plain import Label, plain_tooltip
from crots_studio.widgets.choice import snug
from crots_studio.widgets.class_legend import swatch

LOOK, FILL, BRUSH = "look", "fill", "brush"
_TOOLS = {
    LOOK: ("Look", "A drag moves the picture"),
    FILL: ("Fill region", "A click gives the region under the pointer the class chosen beside"),
    BRUSH: ("Brush", "A drag paints the class chosen beside; wheel and arrow keys still move the picture"),
}


class LabelTools(QWidget):
    """A row of controls.

    Signals:
        tool_changed(str): a key of the tools.
        undo_asked(), redo_asked(), reset_asked(): a button was pressed.
    """

    tool_changed = Signal(str)
    undo_asked = Signal()
    redo_asked = Signal()
    reset_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tool = QComboBox()
        self.tool.setAccessibleName("What the mouse does in the picture")
        for key, (text, tip) in _TOOLS.items():
            self.tool.addItem(text, key)
            self.tool.setItemData(self.tool.count() - 1, tip, 3)
        self.classes = QComboBox()
        self.classes.setAccessibleName("Class to paint")
        self.classes.setToolTip("Class to paint; ignored pixels count in no loss")
        self.classes.setMinimumContentsLength(6)
        self.classes.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.width_box = QSpinBox()
        self.width_box.setRange(1, 99)
        self.width_box.setValue(9)
        self.width_box.setSuffix(" px")
        self.width_box.setAccessibleName("Width of the brush in pixels")
        self.width_box.setToolTip("Width of the brush in pixels of the label")
        self.undo = QPushButton("&Undo")
        self.redo = QPushButton("Re&do")
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("Take all corrections of this image back")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        label = Label("&Correct")
        label.setBuddy(self.tool)
        row.addWidget(label)
        row.addWidget(self.tool)
        row.addWidget(self.classes, 1)
        row.addWidget(self.width_box)
        row.addStretch(1)
        for button in (self.undo, self.redo, self.reset):
            row.addWidget(snug(button))
        self.tool.currentIndexChanged.connect(self._tool_chosen)
        self.undo.clicked.connect(self.undo_asked)
        self.redo.clicked.connect(self.redo_asked)
        self.reset.clicked.connect(self.reset_asked)
        self._tool_chosen()

    @property
    def current(self) -> str:
        """The tool: look, fill or brush."""
        return str(self.tool.currentData())

    @property
    def label(self) -> int:
        """The label to paint."""
        return int(self.classes.currentData() if self.classes.count() else 0)

    @property
    def words(self) -> str:
        """Name of the class to paint."""
        return self.classes.currentText()

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
        self.tool.setEnabled(possible)
        if not possible:
            self.tool.setCurrentIndex(0)
        self._tool_chosen()

    def _tool_chosen(self) -> None:
        self.tool.setToolTip(plain_tooltip(_TOOLS[self.current][1]))
        self.classes.setEnabled(self.current != LOOK)
        self.width_box.setEnabled(self.current == BRUSH)
        self.tool_changed.emit(self.current)
