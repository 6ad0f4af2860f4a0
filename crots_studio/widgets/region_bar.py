"""Doubtful regions, worst first: a list, buttons for the next and the previous one, and their number."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from crots_studio.models.words import plural
from crots_studio.plain import Label
from crots_studio.widgets.controls import ElidedBox
from crots_studio.widgets.icon_button import IconButton

# Pixels.
_NARROWEST = 110


class RegionBar(QWidget):
    """A row of controls; hidden where there is nothing to go through.

    Signals:
        chosen(int): a place in the list.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = ElidedBox()
        self.list.setAccessibleName("Doubtful regions, the worst first")
        self.list.setToolTip("Doubtful regions, the worst first (N: the next, Shift+N: the previous one)")
        self.list.setPlaceholderText("Doubtful regions, the worst first")
        # Its placeholder, which is longer than its room in a small window, would widen the whole page.
        self.list.setMinimumWidth(_NARROWEST)
        self.list.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.list.setMaxVisibleItems(20)
        self.counter = Label()
        self.counter.setProperty("role", "muted")
        self.before = IconButton("up", "Previous doubtful region", self.go_back, tip="Shift+N")
        self.next = IconButton("down", "Next doubtful region", self.go_on, tip="N")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.list, 1)
        row.addWidget(self.counter)
        row.addWidget(self.before)
        row.addWidget(self.next)
        self.list.currentIndexChanged.connect(self._went_to)
        self.set_regions(())

    @property
    def current(self) -> int:
        """The place that was visited last, -1 for none."""
        return self.list.currentIndex()

    def set_regions(self, regions: Sequence[str]) -> None:
        """Lists other regions, of which none is chosen yet."""
        with QSignalBlocker(self.list):
            self.list.clear()
            self.list.addItems(list(regions))
            self.list.setCurrentIndex(-1)
        self.setVisible(bool(regions))
        self._refresh()

    def go_on(self) -> None:
        """Goes to the next region, at first to the worst one."""
        self._go_to(self.current + 1)

    def go_back(self) -> None:
        """Goes to the region before."""
        self._go_to(self.current - 1)

    def _go_to(self, place: int) -> None:
        if 0 <= place < self.list.count():
            self.list.setCurrentIndex(place)

    def _went_to(self, place: int) -> None:
        self._refresh()
        if place >= 0:
            self.chosen.emit(place)

    def _refresh(self) -> None:
        place, count = self.current, self.list.count()
        self.counter.setText(f"{place + 1} of {count:,}" if place >= 0 else plural(count, "region"))
        self.before.setEnabled(place > 0)
        self.next.setEnabled(place + 1 < count)
