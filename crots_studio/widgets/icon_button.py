"""A button that shows an icon; its name is in the tooltip and read by screen readers."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QToolButton, QWidget

from crots_studio.icons import icon
from crots_studio.plain import plain_tooltip

SIDE = 16


class IconButton(QToolButton):
    """Shows an icon.

    Args:
        name: of the icon, see `crots_studio.icons.icon`.
        label: what it does, two or three words.
        tip: more about it, in the tooltip.
        act: what a click does.
        flat: without an edge, until the pointer is on it.
        role: the icon's colour.
    """

    def __init__(
        self,
        name: str,
        label: str,
        act: Callable[[], object] | None = None,
        *,
        tip: str = "",
        flat: bool = True,
        role: str = "text",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setIconSize(QSize(SIDE, SIDE))
        self.setAutoRaise(flat)
        self._role, self._shown = role, ("", "", "")
        self.show_as(name, label, tip)
        if act is not None:
            self.clicked.connect(lambda: act())

    def show_as(self, name: str, label: str, tip: str = "") -> None:
        """Shows another icon with other words."""
        if (name, label, tip) == self._shown:
            return
        self._shown = name, label, tip
        self.setIcon(icon(name, self._role))
        self.setAccessibleName(label)
        self.setAccessibleDescription(tip)
        self.setToolTip(plain_tooltip(f"{label}: {tip}" if tip else label))
