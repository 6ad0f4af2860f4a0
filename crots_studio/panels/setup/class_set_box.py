"""The list of class sets: a click anywhere in it opens it, and its last entry asks for a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QLocale, QObject, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QComboBox, QFileDialog, QStyledItemDelegate

from crots_studio.settings import Settings

_FILE = "file"
_PURPOSE = "Class sets"


class ClassSetBox(QComboBox):
    """An editable list that opens like any other list.

    Args:
        name: title of the dialog.
        settings: remember its folder.
        nothing: what an empty entry stands for.

    Signals:
        file_chosen(str): path of the user's own class set.
        dismissed(): no file was chosen.
    """

    file_chosen = Signal(str)
    dismissed = Signal()

    def __init__(self, name: str, settings: Settings, *, nothing: str = "") -> None:
        super().__init__()
        self._name, self._settings = name, settings
        self._typing = False
        self.setItemDelegate(_Named(nothing, self))
        self.activated.connect(self._entry_chosen)

    def complete(self) -> None:
        """Adds the entry for a file once the class sets are there."""
        self.addItem("Choose a file ...", _FILE)
        line = self.lineEdit()
        assert line is not None
        line.installEventFilter(self)
        line.textEdited.connect(lambda _: self._type(True))
        line.editingFinished.connect(lambda: self._type(False))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Opens the list at a click on its text, which looks like that of any list, unless something is typed there."""
        line = self.lineEdit()
        if (
            watched is line
            and line is not None
            and event.type() == QEvent.Type.MouseButtonRelease
            and isinstance(event, QMouseEvent)
            and event.button() == Qt.MouseButton.LeftButton
            and not self._typing
            and not line.hasSelectedText()
        ):
            self.showPopup()
        return super().eventFilter(watched, event)

    def _type(self, on: bool) -> None:
        self._typing = on

    def _entry_chosen(self, index: int) -> None:
        if self.itemData(index) != _FILE:
            return
        start = self._settings.browse_folder(_PURPOSE)
        chosen, _ = QFileDialog.getOpenFileName(self, self._name, start, "Class sets (*.toml)")
        if chosen:
            self._settings.set_browse_folder(_PURPOSE, str(Path(chosen).parent))
            self.setEditText(chosen)
            self.file_chosen.emit(chosen)
        else:
            self.dismissed.emit()


class _Named(QStyledItemDelegate):
    """Names the entry that has no text."""

    def __init__(self, nothing: str, parent: QObject) -> None:
        super().__init__(parent)
        self._nothing = nothing

    def displayText(self, value: object, locale: QLocale | QLocale.Language) -> str:  # noqa: N802 (Qt's name)
        """Called by Qt for the text of an entry."""
        return super().displayText(value, locale) or self._nothing
