"""All shortcuts in one list: those of the menus, collected automatically, and those of views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractButton,
    QDialogButtonBox,
    QHeaderView,
    QLineEdit,
    QMenu,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from crots_studio.session import Session
from crots_studio.widgets.dialog import Dialog

# Keys of widgets without an action: place, keys, effect.
OWN_KEYS = (
    ("Images", "+, -", "Zoom"),
    ("Images", "0", "Fit the image to the view"),
    ("Images", "Arrow keys", "Pan the zoomed image"),
    ("Images", "Z, X", "Hide the labels, or show them alone, while the key is held"),
    ("Images", "Page Up, Page Down", "Go to the previous or the next image"),
    ("Swipe", "Left, Right", "Move the divider"),
    ("Hard patches", "Del", "Exclude the selected patches from training"),
    ("Plots", "Left, Right", "Move the crosshair step by step"),
    ("Plots", "Shift+Left, Shift+Right, Up, Down", "Pan the plot"),
    ("Plots", "+, -", "Zoom"),
    ("Plots", "F, 0", "Show everything and follow the data"),
    ("Plots", "Esc", "Hide the crosshair"),
    ("Class table", "Esc", "Clear the selection"),
    ("Class table", "Return, Enter", "Show the images of the chosen class, the worst first"),
    ("Confusion matrix", "Arrow keys", "Walk through the cells"),
    ("Confusion matrix", "Return, Enter", "Show the images of the cell, the worst first"),
    ("Table of runs", "Space", "Show or hide the selected runs"),
)


@dataclass(frozen=True)
class Key:
    """One line of the list."""

    place: str
    keys: str
    what: str


def keys_of(window: QWidget) -> list[Key]:
    """Returns the keys of all actions and shortcuts below a widget, then those that views have of their own."""
    found: dict[Key, None] = {}
    for action in (*window.actions(), *window.findChildren(QAction)):
        keys = ", ".join(_text(sequence) for sequence in action.shortcuts())
        if keys:
            found.setdefault(Key(_place(action), keys, _plain(action.text())))
    for button in window.findChildren(QAbstractButton):
        keys = _text(button.shortcut())
        # Alt and a letter is underlined in the button's own words.
        if keys and not keys.startswith("Alt+"):
            found.setdefault(Key(_page_of(button), keys, _plain(button.text())))
    for shortcut in window.findChildren(QShortcut):
        if shortcut.key().toString():
            label = shortcut.whatsThis() or shortcut.objectName()
            found.setdefault(Key(_view_of(shortcut), _text(shortcut.key()), label))
    rows = [key for key in found if key.what]
    places = list(dict.fromkeys(key.place for key in rows))
    # In the order of the menus.
    return sorted(rows, key=lambda key: places.index(key.place)) + [Key(*row) for row in OWN_KEYS]


def _text(sequence: QKeySequence) -> str:
    return sequence.toString(QKeySequence.SequenceFormat.NativeText)


def _plain(text: str) -> str:
    return text.replace("&&", "\0").replace("&", "").replace("\0", "&").removesuffix("...").strip()


def _place(action: QAction) -> str:
    menus = [owner for owner in action.associatedObjects() if isinstance(owner, QMenu)]
    if menus and menus[0].title():
        return _plain(menus[0].title())
    widgets = [owner for owner in action.associatedObjects() if isinstance(owner, QWidget)]
    return next((owner.accessibleName() for owner in widgets if owner.accessibleName()), "Window")


def _page_of(widget: QWidget) -> str:
    """The panel that a button stands in."""
    owner = widget.parentWidget()
    while owner is not None and not owner.accessibleName():
        owner = owner.parentWidget()
    return owner.accessibleName() if owner is not None else "Window"


def _view_of(shortcut: QShortcut) -> str:
    parent = shortcut.parent()
    return parent.accessibleName() or "Window" if isinstance(parent, QWidget) else "Window"


class ShortcutsDialog(Dialog):
    """The list, with a field that narrows it."""

    def __init__(self, session: Session, parent: QWidget | None = None, keys: Iterable[Key] | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        self._keys = list(keys) if keys is not None else keys_of(parent) if parent else []
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find a key or what it does")
        self.search.setAccessibleName("Find a shortcut")
        self.search.setClearButtonEnabled(True)
        self.table = QTableWidget(len(self._keys), 3)
        self.table.setHorizontalHeaderLabels(["Keys", "What they do", "Where"])
        self.table.setAccessibleName("Shortcuts")
        self._fill()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for widget in (self.search, self.table, buttons):
            column.addWidget(widget)
        self.search.textChanged.connect(self._narrow)
        self.resize(640, 480)

    def _fill(self) -> None:
        for row, key in enumerate(self._keys):
            for column, text in enumerate((key.keys, key.what, key.place)):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setAlternatingRowColors(True)
        self.table.setTabKeyNavigation(False)
        self.table.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)

    def _narrow(self, text: str) -> None:
        words = text.lower().split()
        for row, key in enumerate(self._keys):
            whole = f"{key.keys} {key.what} {key.place}".lower()
            self.table.setRowHidden(row, not all(word in whole for word in words))
