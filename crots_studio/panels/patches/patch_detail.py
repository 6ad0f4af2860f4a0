"""One or several chosen patches: picture and labels large, and what to do with them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from crots.taxonomy import ClassSet
from crots_studio.plain import Label, plain_tooltip
from crots_studio.widgets.class_legend import swatch
from crots_studio.widgets.controls import ElidedBox, snug
from crots_studio.widgets.linked_views import LinkedViews
from crots_studio.widgets.picture_layers import Content


class PatchDetail(QWidget):
    """Pictures of the current patch, and buttons for the chosen ones.

    Signals:
        reject_asked(), restore_asked(): for the chosen patches.
        relabel_asked(int, int): replace a class by another, or by ignore, in them.
    """

    reject_asked = Signal()
    restore_asked = Signal()
    relabel_asked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.views = LinkedViews(columns=2)
        self.views.show_contents([None, None])
        self.views.setAccessibleName("The chosen patch and its labels")
        self.title = Label()
        self.title.setTextFormat(Qt.TextFormat.RichText)
        self.readout = Label()
        for label in (self.title, self.readout):
            label.setWordWrap(True)
            # A long name must not push the other panels aside.
            label.setMinimumWidth(1)
        self.readout.setAccessibleName("Class under the pointer")
        self.reject = _button("Re&ject", "Exclude the selected patches from training (Delete)")
        self.restore = _button("Res&tore", "Restore the selected patches as they were cut")
        self.old = ElidedBox()
        self.old.setAccessibleName("Class to replace")
        self.new = ElidedBox()
        self.new.setAccessibleName("Class to put in its place")
        self.relabel = _button("Re&label", "Replace the class in the labels of the chosen patches")
        self._ignore = 255
        self._build()
        self.reject.clicked.connect(self.reject_asked)
        self.restore.clicked.connect(self.restore_asked)
        self.relabel.clicked.connect(lambda: self.relabel_asked.emit(self.old.currentData(), self.new.currentData()))
        self.old.currentIndexChanged.connect(lambda _: self._enable())
        self.new.currentIndexChanged.connect(lambda _: self._enable())
        self._chosen = 0

    def _build(self) -> None:
        for combo in (self.old, self.new):
            combo.setMinimumContentsLength(3)
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        top, change = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.title, 3)
        top.addWidget(self.readout, 1)
        change.setSpacing(4)
        change.addWidget(self.old, 1)
        change.addWidget(Label("to"))
        change.addWidget(self.new, 1)
        for button in (snug(self.relabel), self.reject, snug(self.restore)):
            change.addWidget(button)
        # The pictures have the whole width: beside the buttons they would be stamps on a small screen.
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.views, 1)
        layout.addLayout(top)
        layout.addLayout(change)

    def set_classes(self, classes: ClassSet) -> None:
        """Fills the list of classes to relabel to."""
        self._ignore = classes.ignore
        self.new.clear()
        self.new.addItem("ignore", classes.ignore)
        for number, name in enumerate(classes.names):
            self.new.addItem(swatch(classes.palette[number]), name, number)

    def show_patch(self, contents: Sequence[Content | None], title: str, tip: str = "") -> None:
        """Shows picture and labels of the current patch; the title is rich text."""
        self.views.show_contents(contents)
        self.title.setText(title)
        self.title.setToolTip(plain_tooltip(tip))
        self.readout.setText("")

    def show_choice(self, count: int, present: Sequence[int], classes: ClassSet | None, *, correctable: bool) -> None:
        """Says what the buttons act on.

        Args:
            count: chosen patches.
            present: classes in them as they were cut, the likeliest to be wrong first.
            classes: of the labels.
            correctable: whether any of them was rejected or relabelled.
        """
        self._chosen = count
        before = self.old.currentData()
        self.old.blockSignals(True)
        self.old.clear()
        for number in present:
            if classes is not None and number < len(classes):
                self.old.addItem(swatch(classes.palette[number]), classes.names[number], number)
        place = self.old.findData(before)
        self.old.setCurrentIndex(max(0, place))
        self.old.blockSignals(False)
        self.reject.setText(f"Re&ject {count:,}" if count > 1 else "Re&ject")
        self.restore.setEnabled(correctable)
        self._enable()

    def _enable(self) -> None:
        self.reject.setEnabled(self._chosen > 0)
        self.new.setEnabled(self._chosen > 0)
        self.old.setEnabled(self._chosen > 0)
        different = self.old.currentData() != self.new.currentData()
        self.relabel.setEnabled(self._chosen > 0 and self.old.count() > 0 and different)
        if not self._chosen:
            self.restore.setEnabled(False)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(plain_tooltip(tip))
    button.setAccessibleName(tip)
    return button
