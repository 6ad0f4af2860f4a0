"""The command palette: type a few letters of an action or option, and Return does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from crots_studio import theme
from crots_studio.models.palette import PaletteEntry, find
from crots_studio.plain import Label
from crots_studio.widgets.dialog import Dialog
from crots_studio.widgets.list_search import ListSearch

_SIZE = (560, 420)
# Pixels: at the sides of a line, and the column of the keys.
_SIDE, _KEYS = 10, 110
_ENTRY = Qt.ItemDataRole.UserRole


class EntryDelegate(QStyledItemDelegate):
    """Draws an entry: its title left, where it is found and its keys in columns at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802
        """As high as a control."""
        return QSize(200, theme.control_height())

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draws one line."""
        entry: PaletteEntry = index.data(_ENTRY)
        colours, rect = theme.colours(), option.rect
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        if chosen:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.primary))
            painter.drawRoundedRect(rect, theme.RADIUS, theme.RADIUS)
        inner = rect.adjusted(_SIDE, 0, -_SIDE, 0)
        middle, right = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignRight
        quiet = QColor("#ffffff" if chosen else colours.muted)
        metrics = painter.fontMetrics()
        painter.setPen(quiet)
        painter.drawText(inner, middle | right, entry.keys)
        place = inner.adjusted(0, 0, -_KEYS, 0)
        painter.drawText(place, middle | right, entry.place)
        room = place.width() - metrics.horizontalAdvance(entry.place) - _SIDE
        if entry.enabled:
            painter.setPen(QColor("#ffffff" if chosen else colours.text))
        title = metrics.elidedText(entry.title, Qt.TextElideMode.ElideRight, room)
        painter.drawText(inner, middle, title)
        painter.restore()


class PaletteDialog(Dialog):
    """Lists entries; what is chosen is done once the dialog has closed.

    Args:
        entries: what each entry does.
        parent: over which it opens.
    """

    def __init__(self, entries: Mapping[PaletteEntry, Callable[[], object]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries = dict(entries)
        self.setWindowTitle("Commands")
        self.resize(*_SIZE)
        self.list = QListWidget()
        self.search = ListSearch(self.list)
        self.search.setPlaceholderText("Type a command or an option")
        self.search.setAccessibleName("Find a command or an option")
        self.search.textChanged.connect(self._show)
        self.search.returnPressed.connect(self._choose)
        self.list.setAccessibleName("Commands and options")
        self.list.setProperty("role", "bare")
        self.list.setItemDelegate(EntryDelegate(self.list))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemActivated.connect(lambda _: self._choose())
        self.list.itemClicked.connect(lambda _: self._choose())
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.addWidget(self.search)
        column.addWidget(self.list, 1)
        self.nothing = Label("No command or option matches.")
        self.nothing.setProperty("role", "muted")
        column.addWidget(self.nothing)
        self._show("")
        self.search.setFocus()

    def _show(self, text: str) -> None:
        self.list.clear()
        for entry in find(self._entries, text):
            # For screen readers; the delegate draws its own.
            item = QListWidgetItem(", ".join(filter(None, (entry.title, entry.place, entry.keys))))
            item.setData(_ENTRY, entry)
            if not entry.enabled:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.nothing.setVisible(self.list.count() == 0)

    def _choose(self) -> None:
        item = self.list.currentItem()
        entry = item.data(_ENTRY) if item is not None else None
        if isinstance(entry, PaletteEntry) and entry.enabled:
            self.accept()
            # Later: a dialog that the entry opens would keep the click on this list from ending.
            QTimer.singleShot(0, self.parent() or self, self._entries[entry])
