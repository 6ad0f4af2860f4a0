"""A tile with warnings, until they are dismissed or the next training begins."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMessageBox, QSizePolicy, QVBoxLayout, QWidget

from crots.events import Event, Note, StageStarted
from crots_studio.icons import icon
from crots_studio.models.history import History
from crots_studio.models.monitor_tiles import NOTHING
from crots_studio.models.names import title
from crots_studio.models.words import in_question, in_window
from crots_studio.plain import ElidedLines, Label, plain_tooltip
from crots_studio.widgets.icon_button import SIDE, IconButton

# What begins after a training, and says nothing against what that has warned of.
_FOLLOWS = ("mine", "evaluate", "export")


class AlarmBanner(QFrame):
    """Shows the warnings of the latest training and of what followed it, the latest first, or that there are none.

    Its size never changes.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Warnings of the training")
        self.warnings: list[Note] = []
        # The stage whose warnings are the first; before it, nothing could have warned.
        self._since = ""
        self.sign = Label()
        self.caption = Label()
        self.caption.setProperty("role", "muted")
        self.text = ElidedLines()
        # Without any it reads like the tiles beside it.
        self.figure, self.note = Label(), Label()
        self.figure.setProperty("role", "figure")
        self.text.setProperty("role", "warning")
        self.note.setProperty("role", "muted")
        self.read_button = IconButton("list", "Read all alarms", self.read)
        self.close_button = IconButton("close", "Dismiss alarms", self.dismiss)
        for button in (self.read_button, self.close_button):
            policy = button.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            button.setSizePolicy(policy)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.caption)
        head.addWidget(self.sign)
        head.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(head)
        column.addWidget(self.figure)
        column.addWidget(self.note)
        column.addWidget(self.text, 1)
        # The buttons stand beside both lines, so that the caption is in line with those of the other tiles.
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(4)
        row.addLayout(column, 1)
        row.addWidget(self.read_button, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self._show()

    def show_history(self, history: History) -> None:
        """Shows the warnings of a project's stages in place of those before, as if they had just come."""
        self.warnings, self._since = [], ""
        begun = [(stage.started, stage) for stage in history.stages.values() if stage.started is not None]
        for started, stage in sorted(begun, key=lambda pair: pair[0].time):
            self._take([started, *stage.notes])
        self._show()

    def take(self, events: Iterable[Event]) -> None:
        """Takes in new events; when a training begins, the warnings of the previous one are dropped."""
        self._take(events)
        self._show()

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, StageStarted):
                # One that runs again repeats its own.
                follows = event.stage in _FOLLOWS and self._since not in ("", event.stage)
                self.warnings = [note for note in self.warnings if follows and note.stage != event.stage]
                self._since = self._since if follows else event.stage
            elif isinstance(event, Note) and event.level == "warning":
                self.warnings.insert(0, event)
                self._since = self._since or event.stage

    def dismiss(self) -> None:
        """Removes the warnings."""
        self.warnings = []
        self._show()

    def read(self) -> None:
        """Shows all of them as a whole, over the window; the text can be copied."""
        self.box = box = QMessageBox(QMessageBox.Icon.Warning, "Alarms", self.caption.text(), parent=self.window())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setInformativeText(in_question(self._all, gap="\n\n"))
        box.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        box.open()

    @property
    def _all(self) -> list[str]:
        return [f"{title(note.stage)}: {in_window(note.line)}" for note in self.warnings]

    def _show(self) -> None:
        warned, warnings = bool(self.warnings), self._all
        for button in (self.read_button, self.close_button):
            button.setVisible(warned)
        self.figure.setText("None" if self._since else NOTHING)
        self.note.setText(f"since {title(self._since)} began" if self._since else "nothing has run yet")
        self.sign.setVisible(warned or bool(self._since))
        self.sign.setPixmap(icon("alert" if warned else "check", "warning" if warned else "good").pixmap(SIDE, SIDE))
        self.caption.setText(f"Alarms ({len(warnings)})" if len(warnings) > 1 else "Alarms")
        self.figure.setVisible(not warned)
        self.note.setVisible(not warned)
        self.text.setVisible(warned)
        self.text.setText(warnings[0] if warned else "")
        self.setToolTip(plain_tooltip("\n".join(warnings)))
        self.setAccessibleDescription("\n".join(warnings) or f"{self.figure.text()} {self.note.text()}")
