"""The help in a separate window."""

from __future__ import annotations

from PySide6.QtWidgets import QDialogButtonBox, QVBoxLayout, QWidget

from crots_studio.panels.help import HelpPanel
from crots_studio.session import Session
from crots_studio.widgets.dialog import Dialog


class HelpDialog(Dialog):
    """Explains the stages.

    Args:
        session: whose stage is explained at first.
        parent: the window.
        topic: a stage or an input to explain in its place.
    """

    def __init__(self, session: Session, parent: QWidget | None = None, *, topic: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle("What each stage does")
        self.panel = HelpPanel(session)
        if topic:
            self.panel.show_stage(topic)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.panel, 1)
        column.addWidget(buttons)
        self.resize(820, 420)
