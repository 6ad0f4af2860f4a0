"""A step of a page as a card that folds: state and finding in its head, fields below."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from crots_studio.icons import icon
from crots_studio.plain import Elided, Label, plain_tooltip
from crots_studio.widgets.icon_button import SIDE

# Icon, colour and word of a level.
_LOOKS = {
    "good": ("check", "good", "ready"),
    "warning": ("alert", "warning", "has a warning"),
    "bad": ("close", "bad", "has an error"),
    "checking": ("refresh", "muted", "being checked"),
    "empty": ("", "muted", "not chosen yet"),
}


class StepCard(QFrame):
    """Holds a body under a head that unfolds it.

    Args:
        number: of the step, from 1.
        title: what it is about.
        body: its fields.
    """

    def __init__(self, number: int, title: str, body: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self._title, self._body = title, body
        self.level = "empty"
        self.sign = Label()
        self.sign.setFixedSize(QSize(SIDE, SIDE))
        name = Label(f"{number}  {title}")
        name.setProperty("role", "strong")
        self.summary = Elided()
        self.summary.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.fold = QPushButton()
        self.fold.setFlat(True)
        self.fold.setIconSize(QSize(SIDE, SIDE))
        self.fold.clicked.connect(lambda: self.unfold(self._body.isHidden()))
        head = QHBoxLayout()
        head.setContentsMargins(12, 4, 4, 4)
        head.setSpacing(8)
        head.addWidget(self.sign)
        head.addWidget(name)
        self._between = QWidget()
        head.addWidget(self.summary, 1)
        head.addWidget(self._between, 1)
        head.addWidget(self.fold)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 1, 1, 1)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(body)
        self.show_level("empty", "")
        self.unfold()

    @property
    def unfolded(self) -> bool:
        """Whether its fields are shown."""
        return not self._body.isHidden()

    def unfold(self, unfolded: bool = True) -> None:
        """Shows its fields, or its head alone."""
        self._body.setVisible(unfolded)
        # The fields show it themselves.
        self.summary.setVisible(not unfolded)
        self._between.setVisible(unfolded)
        self.fold.setIcon(icon("up" if unfolded else "down", "muted"))
        self.fold.setAccessibleName(f"{'Fold' if unfolded else 'Unfold'} {self._title}")
        self.fold.setToolTip(plain_tooltip(self.fold.accessibleName()))

    def show_level(self, level: str, summary: str) -> None:
        """Shows the state of the step: a level of `crots_studio.models.project_form`, and a few words."""
        self.level = level
        sign, role, word = _LOOKS[level]
        self.sign.setPixmap(icon(sign, role).pixmap(SIDE, SIDE) if sign else QPixmap())
        self.setAccessibleName(f"{self._title}: {word}")
        self.summary.setText(summary or word)
        self.summary.setToolTip(plain_tooltip(summary))
        self.summary.setProperty("role", role if level in ("warning", "bad") else "muted")
        self.summary.style().polish(self.summary)
