"""A path to type, drop or choose; signals a change when typing has ended, not for every key."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget

from crots.files import exists, expanded
from crots.folders import WRITTEN, is_model_folder
from crots_studio.settings import Settings
from crots_studio.widgets.drop_hint import DropHint, dropped_paths

Wanted = Literal["folder", "file"]
_SETTLED_MS = 500


class PathField(QWidget):
    """A line for a path with a button that opens a dialog.

    Args:
        name: accessible name.
        wanted: what the dialog offers; typed and dropped paths may be either.
        settings: remembers the folder of the dialog.
        title: of the dialog, by default the name.
        filters: of a file dialog, as Qt wants them.
    """

    changed = Signal(str)

    def __init__(
        self,
        name: str,
        wanted: Wanted,
        settings: Settings,
        *,
        title: str = "",
        filters: str = "",
        placeholder: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._name, self._wanted, self._settings, self._filters = name, wanted, settings, filters
        self.title = title or name
        self._last = ""
        self.edit = QLineEdit()
        self.edit.setClearButtonEnabled(True)
        self.edit.setPlaceholderText(placeholder)
        self.edit.setAccessibleName(name)
        # The line leaves drops to this widget, which takes the path rather than a file:// address.
        self.edit.setAcceptDrops(False)
        self.button = QPushButton("Browse ...")
        self.button.setAutoDefault(False)
        self.button.setAccessibleName(f"Browse for {name}")
        self.setFocusProxy(self.edit)
        self.setAcceptDrops(True)
        self.drop_hint = DropHint(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.edit, 1)
        row.addWidget(self.button)
        self._settled = QTimer(self, singleShot=True, interval=_SETTLED_MS)
        self._settled.timeout.connect(self._tell)
        self.edit.textEdited.connect(lambda _: self._settled.start())
        self.edit.editingFinished.connect(self._tell)
        self.button.clicked.connect(self._browse)

    @property
    def text(self) -> str:
        """The path as typed."""
        return self.edit.text().strip()

    def show_path(self, path: str) -> None:
        """Shows a path without a signal, and not while the user types."""
        self._last = path
        if self.text != path and not (self.edit.hasFocus() and self._settled.isActive()):
            self.edit.setText(path)

    def take(self, path: str) -> None:
        """Takes a path as if it had been chosen."""
        self.edit.setText(path)
        self._tell()

    def _tell(self) -> None:
        self._settled.stop()
        if self.text != self._last:
            self._last = self.text
            self.changed.emit(self.text)

    def _browse(self) -> None:
        start = self.text if self.text and exists(expanded(self.text)) else self._settings.browse_folder(self._name)
        if self._wanted == "folder":
            chosen = QFileDialog.getExistingDirectory(self, self.title, start)
        else:
            chosen, _ = QFileDialog.getOpenFileName(self, self.title, start, self._filters)
        if chosen:
            self._settings.set_browse_folder(self._name, str(Path(chosen).parent))
            self.take(_whole(chosen))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 (Qt's name)
        """Takes one local file or folder; several are left to the page, which knows where each belongs."""
        if len(dropped_paths(event)) == 1:
            event.acceptProposedAction()
            before = f" in place of {Path(self.text).name}" if self.text else ""
            self.drop_hint.tell([f"{self._name}: {dropped_paths(event)[0].name}{before}"])

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 (Qt's name)
        """Takes the path that was dropped."""
        if paths := dropped_paths(event):
            event.acceptProposedAction()
            self.take(_whole(str(paths[0])))


def _whole(chosen: str) -> str:
    """Takes the folder of a saved model where one of its files was chosen: dialogs for files offer no folders."""
    path = Path(chosen)
    return str(path.parent) if path.name in WRITTEN and is_model_folder(path.parent) else chosen
