"""Asks for the name, place and preset of a new project."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from crots.project import CONFIG_NAME, ProjectConfig, load_preset, preset_names
from crots_studio.models.option_form import apply_preset
from crots_studio.settings import Settings
from crots_studio.widgets.path_field import PathField


class NewProjectDialog(QDialog):
    """Gives `folder` and `config` once it is accepted."""

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("New project")
        self._settings = settings
        self.name = QLineEdit("my-adaptation")
        self.name.setAccessibleName("Name")
        self.name.selectAll()
        self.place = PathField("Place", "folder", settings)
        self.place.show_path(settings.folder("projects"))
        self.preset = QComboBox()
        self.preset.setAccessibleName("Preset")
        self.preset.addItem("defaults", "")
        for name in preset_names():
            self.preset.addItem(name, name)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setMinimumHeight(2 * self.fontMetrics().height())
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.create_button = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.create_button.setText("Create")
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        form = QFormLayout()
        for label, widget in (("&Name", self.name), ("&Place", self.place), ("P&reset", self.preset)):
            form.addRow(label, widget)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.note)
        column.addWidget(self.buttons)
        self.setMinimumWidth(520)
        self.name.textChanged.connect(lambda _: self._refresh())
        self.place.edit.textChanged.connect(lambda _: self._refresh())
        self.preset.currentIndexChanged.connect(lambda _: self._refresh())
        self._refresh()

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return Path(self.place.text or ".").expanduser() / self.name.text().strip()

    @property
    def config(self) -> ProjectConfig:
        """The options it starts with."""
        name = self.preset.currentData()
        return apply_preset(ProjectConfig(), name) if name else ProjectConfig()

    @property
    def fault(self) -> str:
        """Why it cannot be made there; empty where it can."""
        if not self.name.text().strip():
            return "Give the project a name."
        if (self.folder / CONFIG_NAME).exists():
            return f"{self.folder} already holds a project: open it, or choose another name."
        if self.folder.is_file():
            return f"{self.folder} is a file: choose another name."
        return ""

    def _refresh(self) -> None:
        fault, preset = self.fault, self.preset.currentData()
        about = f"\nPreset: {load_preset(preset)[0]} profile" if preset else ""
        self.note.setText(f"✗ {fault}" if fault else f"A folder is made: {self.folder}{about}")
        self.note.setProperty("role", "bad" if fault else "muted")
        self.note.style().unpolish(self.note)
        self.note.style().polish(self.note)
        self.create_button.setEnabled(not fault)

    def _accept(self) -> None:
        if not self.fault:
            self._settings.set_folder("projects", str(self.folder.parent))
            self.accept()
