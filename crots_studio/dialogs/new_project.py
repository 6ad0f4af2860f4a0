"""Asks for the name, the place and the preset of a new project, or for the place of the demonstration."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from crots.files import exists, expanded, free_place
from crots.project import CONFIG_NAME, Project, unfit
from crots.project_config import ProjectConfig, load_preset, preset_names
from crots_studio.models.option_form import apply_preset
from crots_studio.models.project_like import config_like
from crots_studio.models.words import NO_PRESET
from crots_studio.plain import Label
from crots_studio.runs.demo import refusal
from crots_studio.settings import Settings
from crots_studio.widgets.dialog import Dialog
from crots_studio.widgets.path_field import PathField

# Names that are tried until one is free.
_MOST_NAMES = 100


class PlaceDialog(Dialog):
    """Asks for a folder that is to be made: a name and where it lies."""

    accept_label = "Create"

    def __init__(self, settings: Settings, title: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self._settings = settings
        self.name = QLineEdit(name)
        self.name.setAccessibleName("Name")
        self.name.selectAll()
        self.place = PathField("Location", "folder", settings)
        self.place.show_path(settings.folder("projects"))
        self.note = Label()
        self.note.setWordWrap(True)
        self.note.setMinimumHeight(2 * self.fontMetrics().height())
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.create_button = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.create_button.setText(self.accept_label)
        self.create_button.setProperty("role", "primary")
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self.form = QFormLayout()
        self.form.addRow("&Name", self.name)
        label = Label("&Location")
        label.setBuddy(self.place.edit)
        self.form.addRow(label, self.place)
        column = QVBoxLayout(self)
        column.addLayout(self.form)
        column.addWidget(self.note)
        column.addWidget(self.buttons)
        self.setMinimumWidth(540)
        self.name.textChanged.connect(lambda _: self.refresh())
        self.place.edit.textChanged.connect(lambda _: self.refresh())

    def _add_row(self, label: str, field: QWidget) -> None:
        """Adds a field that only some of these dialogs have; the Tab key goes there before the buttons."""
        self.form.addRow(label, field)
        before = field
        for button in self.buttons.buttons():
            self.setTabOrder(before, button)
            before = button

    def _suggest(self) -> None:
        """Begins with a name that can be had, as ``my-adaptation-2``; where none can, says why."""
        wanted = self.name.text()
        for number in range(2, _MOST_NAMES):
            if not self.fault:
                break
            self.name.setText(f"{wanted}-{number}")
        else:
            self.name.setText(wanted)
        self.name.selectAll()
        self.refresh()

    @property
    def folder(self) -> Path:
        """The folder."""
        # Absolute, so that it can be seen where that is.
        place = Path.cwd() / expanded(self.place.text or "~")
        return Path(os.path.normpath(place / self.name.text().strip()))

    @property
    def fault(self) -> str:
        """Why it cannot be made there; empty where it can."""
        if not self.name.text().strip():
            return "Enter a name."
        if exists(self.folder) and not self.folder.is_dir():
            return f"{self.folder} is a file: choose another name."
        return unwritable(self.folder)

    @property
    def summary(self) -> str:
        """What will happen."""
        if self.folder.is_dir():
            return f"The folder exists; the project's files will be written into it: {self.folder}"
        return f"A new folder will be created: {self.folder}"

    def refresh(self) -> None:
        """Says what will happen, or why it cannot."""
        fault = self.fault
        self.note.setText(f"✗ {fault}" if fault else self.summary)
        self.note.setProperty("role", "bad" if fault else "muted")
        self.note.style().unpolish(self.note)
        self.note.style().polish(self.note)
        self.create_button.setEnabled(not fault)

    def _accept(self) -> None:
        if not self.fault:
            self._settings.set_folder("projects", str(self.folder.parent))
            self.accept()


class NewProjectDialog(PlaceDialog):
    """Gives `folder` and `config` once it is accepted.

    Args:
        settings: remember the place.
        parent: over which it opens.
        like: a project whose options are taken over, its images only where asked for; None starts from a preset.
    """

    def __init__(self, settings: Settings, parent: QWidget | None = None, *, like: Project | None = None) -> None:
        title = f"New project like {like.folder.name}" if like else "New project"
        super().__init__(settings, title, free_place(like.folder).name if like else "my-adaptation", parent)
        self._like = like
        if like is not None:
            self.same_images = QCheckBox("Same i&mages: a variant to compare with it")
            self.place.show_path(str(like.folder.parent))
            self.same_images.toggled.connect(lambda _: self.refresh())
            self._add_row("", self.same_images)
            self.refresh()
            return
        self.preset = QComboBox()
        self.preset.setAccessibleName("Preset")
        self.preset.addItem(NO_PRESET, "")
        for name in preset_names():
            self.preset.addItem(name, name)
        self.preset.currentIndexChanged.connect(lambda _: self.refresh())
        self._add_row("P&reset", self.preset)
        self._suggest()

    @property
    def config(self) -> ProjectConfig:
        """The options it starts with."""
        if self._like is not None:
            return config_like(self._like, images=self.same_images.isChecked())
        name = self.preset.currentData()
        return apply_preset(ProjectConfig(), name) if name else ProjectConfig()

    @property
    def fault(self) -> str:
        """A folder that is in use cannot become a project."""
        return super().fault or unfit(self.folder)

    @property
    def summary(self) -> str:
        """Where, and what it starts with."""
        if self._like is not None:
            has = f"{super().summary}\nUses the options and the source of {self._like.folder.name}"
            return f"{has}, and its images." if self.same_images.isChecked() else f"{has}; choose its images."
        preset = self.preset.currentData()
        return f"{super().summary}\n{preset_summary(preset)}" if preset else super().summary


class DemoDialog(PlaceDialog):
    """Asks for the demonstration's folder; one that was stopped is resumed."""

    accept_label = "Start"

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(settings, "The demonstration", "crots-demo", parent)
        self._suggest()

    @property
    def fault(self) -> str:
        """A stopped demonstration is resumed; another project, or a folder in use, cannot become one."""
        return super().fault or refusal(self.folder)

    @property
    def summary(self) -> str:
        """What is going to happen, and how long it takes."""
        if exists(self.folder / CONFIG_NAME):
            return f"Continues the demonstration in {self.folder}."
        return (
            f"Renders a simulated and a realistic town into {self.folder}, trains a model on the first and adapts it "
            "to the second. This takes a few minutes on two CPU cores."
        )


def unwritable(folder: Path) -> str:
    """Says why a folder cannot be made or written in; empty where it can."""
    there = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder.parent)
    if not there.is_dir():
        return f"{there} is not a folder: choose another location."
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written to: choose another location."
    return ""


def preset_summary(name: str) -> str:
    """Says what a preset is for."""
    from crots.records import read_toml
    from crots.resources import shipped

    about = str(read_toml(shipped("presets")[name]).get("description", name))
    return f"{about} ({load_preset(name)[0]} profile)."
