"""The buttons below a dialog that writes files: copy the command, open the folder, start, close."""

from __future__ import annotations

from PySide6.QtWidgets import QDialogButtonBox, QHBoxLayout, QPushButton, QWidget


class ResultButtons(QWidget):
    """A row of buttons, of which Return presses ``start``.

    Attributes:
        copy_command: copies the command line.
        open_folder: shows what was written.
        start: begins the work.
        close_button: closes the dialog, or stops the work.
    """

    def __init__(self, start: str, open_folder: str = "&Open folder", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.copy_command = QPushButton("Cop&y command")
        self.copy_command.setToolTip("The command line that writes the same files")
        self.open_folder = QPushButton(open_folder)
        box = QDialogButtonBox()
        self.start = box.addButton(start, QDialogButtonBox.ButtonRole.AcceptRole)
        self.start.setProperty("role", "primary")
        self.start.setDefault(True)
        self.close_button = box.addButton(QDialogButtonBox.StandardButton.Close)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self.copy_command, self.open_folder):
            button.setAutoDefault(False)
            row.addWidget(button)
        row.addWidget(box, 1)
