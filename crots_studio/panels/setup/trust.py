"""The question whether third-party code may run; its answer holds for one project in one window."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from crots.trust import Code, listed


def ask_trust(code: Sequence[Code], parent: QWidget | None = None) -> bool:
    """Asks whether the named files and modules may run code; only a deliberate Yes is one."""
    box = QMessageBox(parent)
    box.setWindowTitle("Third-party code")
    box.setIcon(QMessageBox.Icon.Warning)
    # Names come from files: none may pass for text of the window.
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(f"This runs third-party code: {listed(code)}.")
    box.setInformativeText(
        "A run will execute it with all your rights, like any program that you start. Answer Yes only if you trust "
        "its author. Your answer holds for these names in this window until you close the project; it is not saved."
    )
    box.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No)
    box.setDefaultButton(QMessageBox.StandardButton.No)
    box.setEscapeButton(QMessageBox.StandardButton.No)
    return bool(box.exec() == QMessageBox.StandardButton.Yes)
