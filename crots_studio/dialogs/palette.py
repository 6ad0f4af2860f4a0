"""The command palette: type a few letters of an action or option, and Return does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from crots_studio import theme
from crots_studio.models.palette import Entry, find
from crots_studio.widgets.list_search import ListSearch

_SIZE = (560, 400)
_ENTRY = Qt.ItemDataRole.UserRole


class PaletteDialog(QDialog):
    """Lists entries; what is chosen is done once the dialog has closed.

    Args:
        entries: what each entry does.
        parent: over which it opens.
    """

    def __init__(self, entries: Mapping[Entry, Callable[[], object]], parent: QWidget | None = None) -> None:
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
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemActivated.connect(lambda _: self._choose())
        self.list.itemClicked.connect(lambda _: self._choose())
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.addWidget(self.search)
        column.addWidget(self.list, 1)
        self._show("")
        self.search.setFocus()

    def _show(self, text: str) -> None:
        self.list.clear()
        for entry in find(self._entries, text):
            item = QListWidgetItem(f"{entry.title}    {entry.place}{'    ' + entry.keys if entry.keys else ''}")
            item.setData(_ENTRY, entry)
            if not entry.enabled:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
                item.setForeground(QColor(theme.colours().muted))
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _choose(self) -> None:
        item = self.list.currentItem()
        entry = item.data(_ENTRY) if item is not None else None
        if isinstance(entry, Entry) and entry.enabled:
            self.accept()
            self._entries[entry]()
