"""What panels owe to people who use the keyboard and screen readers."""

from __future__ import annotations

from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QScrollBar,
    QTabBar,
    QWidget,
)

_CONTROLS = (QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)
# Parts of these belong to them and have no name of their own.
_WHOLE = (QComboBox, QAbstractSpinBox, QLineEdit, QAbstractItemView)


def unnamed(panel: QWidget) -> list[QWidget]:
    """Returns the controls that have neither text nor an accessible name."""
    found = [child for kind in _CONTROLS for child in panel.findChildren(kind)]
    return [child for child in found if not isinstance(child, QScrollBar) and not _named(child) and not _inside(child)]


def _named(child: QWidget) -> bool:
    return bool(child.accessibleName() or (isinstance(child, QAbstractButton) and child.text()))


def _inside(child: QWidget) -> bool:
    parent = child.parentWidget()
    while parent is not None:
        if isinstance(parent, _WHOLE):
            return True
        parent = parent.parentWidget()
    return False


def doubled_keys(window: QWidget) -> dict[str, list[str]]:
    """Returns the keys that two visible controls of a window or dialog, or entries of one menu, claim.

    Qt then takes neither, or goes from one to the other.
    """
    claims: dict[str, list[str]] = {}

    def claim(keys: QKeySequence, who: str) -> None:
        if not keys.isEmpty():
            claims.setdefault(keys.toString(), []).append(who)

    for action in window.menuBar().actions() if isinstance(window, QMainWindow) else ():
        claim(QKeySequence.mnemonic(action.text()), f"menu {action.text()}")
    for action in window.findChildren(QAction):
        claim(action.shortcut(), f"entry {action.text()}")
    for shortcut in window.findChildren(QShortcut):
        if shortcut.parent().isVisible() and shortcut.isEnabled():
            claim(shortcut.key(), f"shortcut of {shortcut.parent()}")
    for button in window.findChildren(QAbstractButton):
        if button.isVisible():
            claim(button.shortcut(), f"button {button.text()}")
    for label in window.findChildren(QLabel):
        if label.isVisible() and label.buddy() is not None:
            claim(QKeySequence.mnemonic(label.text()), f"label {label.text()}")
    for bar in window.findChildren(QTabBar):
        for number in range(bar.count() if bar.isVisible() else 0):
            claim(QKeySequence.mnemonic(bar.tabText(number)), f"tab {bar.tabText(number)}")
    for menu in window.findChildren(QMenu):
        for action in menu.actions():
            # Those of a menu count while it is open, and there alone.
            mnemonic = QKeySequence.mnemonic(action.text())
            if not mnemonic.isEmpty():
                claims.setdefault(f"{mnemonic.toString()} in {menu.title()} {id(menu)}", []).append(action.text())
    return {keys: who for keys, who in claims.items() if len(who) > 1}
