"""The classes with their colours: tick classes to show them, choose one to filter by it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from crots.arrays import Array
from crots.taxonomy import ClassSet
from crots_studio.plain import Label, plain_tooltip
from crots_studio.widgets.controls import snug

# Between black and white: seen on both.
EDGE = "#808080"


def swatch(colour: tuple[int, int, int], side: int = 14) -> QIcon:
    """Returns a filled square with a thin border, so that black and white are seen in both themes."""
    pixmap = QPixmap(side, side)
    pixmap.fill(QColor(*colour))
    painter = QPainter(pixmap)
    painter.setPen(QColor(EDGE))
    painter.drawRect(0, 0, side - 1, side - 1)
    painter.end()
    return QIcon(pixmap)


class ClassLegend(QWidget):
    """A ticked list of classes.

    Signals:
        shown_changed(frozenset[int]): the ticked classes.
        picked(int): the user went to a class.
    """

    shown_changed = Signal(object)
    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, title: str = "Classes") -> None:
        super().__init__(parent)
        self.list = TickList()
        self.list.setAccessibleName("Classes: ticked ones are drawn")
        self.list.setToolTip("Tick the classes to draw. Double-click one to see only that one, again to see all.")
        self.list.setIconSize(QSize(14, 14))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.itemChanged.connect(self._changed)
        self.list.itemDoubleClicked.connect(self._only)
        self.list.currentRowChanged.connect(self._went_to)
        heading = Label(title)
        heading.setBuddy(self.list)
        buttons = QHBoxLayout()
        buttons.addWidget(heading, 1)
        for text, shown, name in (("All", True, "Show all classes"), ("None", False, "Hide all classes")):
            button = QPushButton(text)
            button.setAccessibleName(name)
            button.setToolTip(plain_tooltip(name))
            snug(button)
            button.clicked.connect(lambda _=False, shown=shown: self.show_all(shown))
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(buttons)
        layout.addWidget(self.list)
        self.setMinimumWidth(150)

    def set_classes(self, classes: ClassSet | None) -> None:
        """Lists the classes of a set, all ticked."""
        names = tuple(classes.names) if classes else ()
        self.list.blockSignals(True)
        # Items that are there are kept: this comes with every change of the options.
        if self.list.count() > len(names):
            self.list.clear()
        self.list.setCurrentRow(-1)
        while self.list.count() < len(names):
            self.list.addItem(QListWidgetItem())
        for number, name in enumerate(names):
            item = self.list.item(number)
            item.setText(name)
            item.setIcon(swatch(classes.palette[number]))  # type: ignore[union-attr]
            item.setToolTip(plain_tooltip(name))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
        self.list.blockSignals(False)
        self._names = names

    def set_shares(self, shares: Array | None) -> None:
        """Writes the share of pixels, 0..1, behind each class; None writes nothing."""
        self.list.blockSignals(True)
        for number in range(self.list.count()):
            share = None if shares is None or number >= len(shares) else float(shares[number])
            item = self.list.item(number)
            item.setText(self._names[number] if share is None else f"{self._names[number]}  {percent(share)}")
        self.list.blockSignals(False)

    @property
    def shown(self) -> frozenset[int]:
        """The ticked classes."""
        ticked = Qt.CheckState.Checked
        return frozenset(n for n in range(self.list.count()) if self.list.item(n).checkState() == ticked)

    def choose(self, number: int) -> None:
        """Selects a class without a signal; a class that is not listed clears the selection."""
        with QSignalBlocker(self.list):
            self.list.setCurrentRow(number if 0 <= number < self.list.count() else -1)

    def _went_to(self, number: int) -> None:
        if number >= 0:
            self.picked.emit(number)

    def show_all(self, shown: bool = True) -> None:
        """Ticks all classes or none."""
        self._set(set(range(self.list.count())) if shown else set())

    def _only(self, item: QListWidgetItem) -> None:
        number = self.list.row(item)
        alone = self.shown == {number}
        self._set(set(range(self.list.count())) if alone else {number})

    def _set(self, shown: set[int]) -> None:
        self.list.blockSignals(True)
        for number in range(self.list.count()):
            state = Qt.CheckState.Checked if number in shown else Qt.CheckState.Unchecked
            self.list.item(number).setCheckState(state)
        self.list.blockSignals(False)
        self._changed()

    def _changed(self) -> None:
        self.shown_changed.emit(self.shown)


class TickList(QListWidget):
    """A list whose empty tick boxes are seen in the dark theme too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        show_boxes(self)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follows the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            show_boxes(self)


def show_boxes(view: QAbstractItemView) -> None:
    """Makes Fusion outline tick boxes in the colour of muted text: it takes a darker shade of the window's colour."""
    palette = view.palette()
    wanted = palette.color(QPalette.ColorGroup.Active, QPalette.ColorRole.PlaceholderText)
    if palette.color(QPalette.ColorGroup.Active, QPalette.ColorRole.Window) != wanted:
        palette.setColor(QPalette.ColorRole.Window, wanted)
        view.setPalette(palette)


def percent(share: float) -> str:
    """``12%``, ``0.4%``, ``<0.1%``, or a dash for nothing."""
    if share <= 0:
        return "–"  # noqa: RUF001 - a dash, for nothing
    if share < 0.001:
        return "<0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
