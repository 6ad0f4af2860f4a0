"""A tile with warnings, until they are dismissed or the next stage begins."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from crots.events import Event, Note, StageStarted
from crots_studio.icons import icon
from crots_studio.models.names import title
from crots_studio.plain import Label, plain_tooltip
from crots_studio.widgets.icon_button import SIDE, IconButton


class AlarmBanner(QFrame):
    """Shows the warnings of the running stage, the latest first, or that there are none; its size never changes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Warnings of the stage")
        self.warnings: list[Note] = []
        self.sign = Label()
        caption = Label("Alarms")
        caption.setProperty("role", "muted")
        self.text = Label()
        self.text.setWordWrap(True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.close_button = IconButton("close", "Dismiss warning", self.dismiss)
        policy = self.close_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.close_button.setSizePolicy(policy)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self.sign)
        head.addWidget(caption, 1)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.text, 1)
        # The button stands beside both lines, so that the caption is in line with those of the other tiles.
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        row.addLayout(column, 1)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self._show()

    def take(self, events: Iterable[Event]) -> None:
        """Takes in new events; when a stage begins, the warnings of the previous one are dropped."""
        for event in events:
            if isinstance(event, StageStarted):
                self.dismiss()
            elif isinstance(event, Note) and event.level == "warning":
                self.warnings.insert(0, event)
        self._show()

    def dismiss(self) -> None:
        """Removes the warnings."""
        self.warnings = []
        self._show()

    def _show(self) -> None:
        warned = bool(self.warnings)
        self.close_button.setVisible(warned)
        self.sign.setPixmap(icon("alert" if warned else "check", "warning" if warned else "good").pixmap(SIDE, SIDE))
        self.text.setProperty("role", "warning" if warned else "muted")
        self.text.style().polish(self.text)
        if not warned:
            self.text.setText("None in this stage")
            self.setToolTip("")
            return
        latest, more = self.warnings[0], len(self.warnings) - 1
        others = "\n".join(f"{title(note.stage)}: {note.text}" for note in self.warnings)
        self.text.setText(f"{title(latest.stage)}: {latest.text}" + (f"  (and {more} more)" if more else ""))
        self.setToolTip(plain_tooltip(others))
