"""The curves of a plot with their latest values; a click shows or hides one. Many scroll, so that the plot has room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QToolButton, QWidget
from superqt import QFlowLayout

from crots_studio.plain import plain_tooltip

_MOST_ROWS = 2
_SPACING = 2
# Entries look like text until they are pointed at or have the focus.
_FLAT = """
QToolButton {
    border: 1px solid transparent; padding: 0px 2px; background: transparent; min-height: 0; min-width: 0;
}
QToolButton:checked { background: transparent; border-color: transparent; }
QToolButton:hover, QToolButton:focus { border: 1px solid palette(highlight); border-radius: 2px; }
"""


class PlotLegend(QScrollArea):
    """Entries that flow like words.

    Signals:
        toggled(str, bool): the user shows or hides a curve.
    """

    toggled = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entries: dict[str, QToolButton] = {}
        self._most_rows = _MOST_ROWS
        self._looks: dict[str, tuple[object, ...]] = {}
        self._body = QWidget()
        self._flow = QFlowLayout(self._body)
        self._flow.setContentsMargins(0, 0, 0, 0)
        self._flow.setHorizontalSpacing(3 * _SPACING)
        self._flow.setVerticalSpacing(_SPACING)
        self.setWidget(self._body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(80)
        self.viewport().setAutoFillBackground(False)
        self._body.setAutoFillBackground(False)
        self._body.installEventFilter(self)
        self._take_room()

    def add(self, name: str, shown: bool) -> None:
        """Adds an entry at the end."""
        button = QToolButton()
        button.setCheckable(True)
        button.setChecked(shown)
        button.setAutoRaise(True)
        button.setStyleSheet(_FLAT)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setIconSize(QSize(10, 10))
        button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        button.setToolTip(plain_tooltip(f"Show or hide {name}"))
        button.setAccessibleName(f"Show {name}")
        button.toggled.connect(lambda shown: self.toggled.emit(name, shown))
        self.entries[name] = button
        self._flow.addWidget(button)

    def drop(self, name: str) -> None:
        """Removes an entry."""
        self._looks.pop(name, None)
        if button := self.entries.pop(name, None):
            self._flow.removeWidget(button)
            button.deleteLater()

    def explain(self, descriptions: Mapping[str, str]) -> None:
        """Explains the curves in tooltips."""
        for name, button in self.entries.items():
            tip = f"{descriptions[name]}\nClick to show or hide" if name in descriptions else f"Show or hide {name}"
            if button.toolTip() != tip:
                button.setToolTip(plain_tooltip(tip))

    def show_entry(self, name: str, text: str, colour: str, *, shown: bool, dashed: bool) -> None:
        """Writes the text of an entry and draws its square, hollow for what is hidden; unchanged ones cost nothing."""
        button = self.entries.get(name)
        if button is None:
            return
        if button.text() != text:
            button.setText(text)
        look = (colour, shown, dashed)
        if self._looks.get(name) != look:
            self._looks[name] = look
            button.setIcon(swatch(colour, filled=shown, dashed=dashed))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Shows all entries at once, for a picture: nobody can scroll in one. A hidden legend is seen meanwhile."""
        hidden = self.isHidden()
        self._most_rows = max(_MOST_ROWS, len(self.entries))
        self.show()
        self._take_room()
        try:
            yield
        finally:
            self._most_rows = _MOST_ROWS
            self.setHidden(hidden)
            self._take_room()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Takes as much room as the entries need, up to a few rows."""
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self._take_room()
        return False

    def _take_room(self) -> None:
        row = max((button.sizeHint().height() for button in self.entries.values()), default=0)
        wanted = self._flow.heightForWidth(self.width()) if row else 0
        height = max(0, min(wanted, self._most_rows * (row + _SPACING)))
        if height != self.maximumHeight() or height != self.minimumHeight():
            self.setFixedHeight(height)


def swatch(colour: str, *, filled: bool = True, dashed: bool = False, size: int = 10) -> QIcon:
    """A small square in a colour, hollow for what is hidden, in two halves for a dashed curve."""
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setPen(QColor(colour))
    painter.setBrush(QColor(colour) if filled else Qt.BrushStyle.NoBrush)
    painter.drawRect(0, 0, size - 1, size - 1)
    if dashed:
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Clear)
        painter.fillRect(size // 2 - 1, 0, 2, size, Qt.GlobalColor.transparent)
    painter.end()
    return QIcon(pixmap)
