"""A monkey at the window: presses, types, turns and drags whatever is enabled, from a seed, and closes what opens."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMainWindow,
    QMenu,
    QMessageBox,
    QPlainTextEdit,
    QScrollBar,
    QTabBar,
    QWidget,
)

KINDS = (
    QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit,
    QTabBar,
)  # fmt: skip
_KEYS = (
    Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Return, Qt.Key.Key_Escape,
    Qt.Key.Key_Tab, Qt.Key.Key_Space, Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp,
    Qt.Key.Key_Delete, Qt.Key.Key_F5, Qt.Key.Key_Plus, Qt.Key.Key_0, Qt.Key.Key_Z,
)  # fmt: skip
_TEXTS = ("", "0", "-1", "99999999", "camvid", "1e309", "nan", "a/b", "ä ß €", "'\"\\", "road")


class Monkey:
    """Acts on one window.

    Args:
        window: its top-level widget.
        seed: of its choices.
        forbidden: texts of buttons and menu entries that it leaves alone.
    """

    def __init__(self, window: QMainWindow, seed: int, forbidden: tuple[str, ...] = ()) -> None:
        self.window, self.random, self.forbidden = window, random.Random(seed), forbidden
        self.did: list[str] = []
        self._timer = QTimer(window, interval=120)
        self._timer.timeout.connect(self._close_what_opened)
        self._timer.start()

    def _close_what_opened(self) -> None:
        """Modal dialogs and menus wait for somebody; this one always says no."""
        popup, modal = QApplication.activePopupWidget(), QApplication.activeModalWidget()
        if isinstance(popup, QMenu) or popup is not None:
            popup.close()
        elif isinstance(modal, (QMessageBox, QFileDialog)):
            modal.reject()
        elif isinstance(modal, QDialog):
            if self.random.random() < 0.5:
                modal.reject()
            else:
                # Later: what opens another dialog would keep this timer from closing that.
                QTimer.singleShot(0, modal, lambda: self._once(modal))

    def act(self) -> None:
        """Does one thing to one control."""
        self._once(self.window)

    def _once(self, within: QWidget) -> None:
        if self.random.random() < 0.12 and within is self.window:
            return self._menu()
        controls = [widget for widget in within.findChildren(QWidget) if self._usable(widget)]
        if not controls:
            return None
        widget = self.random.choice(controls)
        self.did.append(f"{type(widget).__name__} {widget.accessibleName() or getattr(widget, 'text', str)()}")
        return self._use(widget)

    def _usable(self, widget: QWidget) -> bool:
        if not (isinstance(widget, KINDS) or "View" in type(widget).__name__ or "Plot" in type(widget).__name__):
            return False
        if isinstance(widget, QScrollBar) or not widget.isVisible() or not widget.isEnabled():
            return False
        text = widget.text().replace("&", "") if isinstance(widget, QAbstractButton) else ""
        return not any(word in text for word in self.forbidden)

    def _menu(self) -> None:
        actions = [
            action
            for menu in self.window.menuBar().findChildren(QMenu)
            for action in menu.actions()
            if action.isEnabled() and not action.menu() and not action.isSeparator()
            and not any(word in action.text().replace("&", "") for word in self.forbidden)
        ]  # fmt: skip
        if actions:
            action = self.random.choice(actions)
            self.did.append(f"menu {action.text()}")
            action.trigger()

    def _use(self, widget: QWidget) -> Any:
        draw = self.random.random()
        if draw < 0.12:
            return QTest.keyClick(widget, self.random.choice(_KEYS))
        if draw < 0.2:
            return self._drag(widget)
        ways: list[tuple[type, Callable[[Any], Any]]] = [
            (QComboBox, self._choose),
            (QAbstractSlider, lambda slider: slider.setValue(self.random.randint(slider.minimum(), slider.maximum()))),
            (QAbstractSpinBox, lambda box: box.stepBy(self.random.choice((-100, -1, 1, 100)))),
            (QLineEdit, self._type),
        ]
        for kind, way in ways:
            if isinstance(widget, kind):
                return way(widget)
        return QTest.mouseClick(self._surface(widget), Qt.MouseButton.LeftButton, pos=self._point(widget))

    def _choose(self, box: QComboBox) -> None:
        if box.count():
            index = self.random.randrange(box.count())
            box.setCurrentIndex(index)
            box.activated.emit(index)

    def _type(self, line: QLineEdit) -> None:
        if not line.isReadOnly():
            line.setText(self.random.choice(_TEXTS))
            QTest.keyClick(line, Qt.Key.Key_Return)

    def _surface(self, widget: QWidget) -> QWidget:
        viewport = getattr(widget, "viewport", None)
        return viewport() if callable(viewport) else widget

    def _point(self, widget: QWidget) -> QPoint:
        surface = self._surface(widget)
        return QPoint(self.random.randrange(max(1, surface.width())), self.random.randrange(max(1, surface.height())))

    def _drag(self, widget: QWidget) -> None:
        surface, button = self._surface(widget), Qt.MouseButton.LeftButton
        QTest.mousePress(surface, button, pos=self._point(widget))
        QTest.mouseMove(surface, self._point(widget))
        QTest.mouseRelease(surface, button, pos=self._point(widget))

    def stop(self) -> None:
        """Leaves the window alone, with nothing open before it."""
        for _ in range(50):
            opened = QApplication.activePopupWidget() or QApplication.activeModalWidget()
            if opened is None:
                break
            opened.close()
        self._timer.stop()
