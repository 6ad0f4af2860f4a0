"""Which hard patches the gallery shows, and in which order."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from crots.taxonomy import ClassSet
from crots_studio.models.patch_gallery import ORDERS, STATES, PatchFilter
from crots_studio.widgets.class_legend import swatch
from crots_studio.widgets.controls import choice_box
from crots_studio.widgets.slider_row import SliderRow


class PatchFilters(QWidget):
    """Class, state and order in a row; the least confidence is a slider that its owner places.

    Signals:
        changed(): another choice.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shows = choice_box("Patches that show a class", {})
        self.shows.setToolTip("Show patches with pixels of this class")
        self.which = choice_box("Kept, rejected or relabelled patches", STATES)
        self.order = choice_box("Order of the patches", ORDERS)
        tip = "Show patches whose rare pixels have at least this confidence"
        self.least = SliderRow("Co&nfidence from", 0, 1, 0.01, tip=tip)
        self.least.slider.setMinimumWidth(36)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for combo in (self.shows, self.which, self.order):
            row.addWidget(combo, 1)
            combo.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.least.changed.connect(lambda _: self.changed.emit())

    @property
    def chosen(self) -> PatchFilter:
        """What is chosen now."""
        return PatchFilter(
            shows=self.shows.currentData(),
            least=self.least.value,
            state=self.which.currentData(),
            order=self.order.currentData(),
        )

    def set_classes(self, classes: ClassSet) -> None:
        """Offers the classes of a set; the chosen one stays where it can."""
        chosen = self.shows.currentData()
        with QSignalBlocker(self.shows):
            self.shows.clear()
            self.shows.addItem("Any class", None)
            for number, name in enumerate(classes.names):
                self.shows.addItem(swatch(classes.palette[number]), name, number)
            self.shows.setCurrentIndex(max(0, self.shows.findData(chosen)))
