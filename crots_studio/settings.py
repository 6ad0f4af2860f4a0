"""Settings of the studio between sessions, in one INI file of the user."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

from crots_studio.models.recent import Recent
from crots_studio.theme import MODES, TEXT_SIZES

# Set by tests and by people who want several independent studios.
PLACE = "CROTS_STUDIO_SETTINGS"
# Images, labels and models of a project often lie side by side.
_LAST_BROWSED = "last browsed"


def settings_path() -> Path:
    """Where the settings are kept."""
    given = os.environ.get(PLACE)
    return Path(given) if given else Path(platformdirs.user_config_dir("crots-studio", appauthor=False)) / "studio.ini"


def _key(folder: Path, name: str) -> str:
    # A path in the place of a key would be taken apart at its slashes.
    return f"projects/{hashlib.sha256(str(folder).encode(errors='surrogatepass')).hexdigest()[:16]}/{name}"


class Settings:
    """Typed access to the settings file; an invalid value counts as not set."""

    def __init__(self, path: Path | None = None) -> None:
        self._store = QSettings(str(path or settings_path()), QSettings.Format.IniFormat)

    @property
    def home(self) -> Path:
        """The folder of the settings file, where the studio keeps what belongs to no project."""
        return Path(self._store.fileName()).parent

    @property
    def theme(self) -> str:
        """One of `crots_studio.theme.MODES`."""
        value = str(self._store.value("theme", "system"))
        return value if value in MODES else "system"

    @theme.setter
    def theme(self, mode: str) -> None:
        self._store.setValue("theme", mode)

    @property
    def text_size(self) -> str:
        """One of `crots_studio.theme.TEXT_SIZES`."""
        value = str(self._store.value("text_size", "normal"))
        return value if value in TEXT_SIZES else "normal"

    @text_size.setter
    def text_size(self, name: str) -> None:
        self._store.setValue("text_size", name)

    @property
    def recent(self) -> Recent:
        """Recently opened projects."""
        value: Any = self._store.value("recent", [])
        paths = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return Recent([str(path) for path in paths])

    @recent.setter
    def recent(self, recent: Recent) -> None:
        self._store.setValue("recent", recent.paths)

    def folder(self, purpose: str) -> str:
        """The folder a file dialog of this purpose was in last, the home folder at first."""
        return str(self._store.value(f"folders/{purpose}", str(Path.home())))

    def set_folder(self, purpose: str, folder: str) -> None:
        """Remembers the folder of a file dialog."""
        self._store.setValue(f"folders/{purpose}", folder)

    def browse_folder(self, purpose: str) -> str:
        """Where a file dialog begins that asks for inputs: where it was last, else where any of them was."""
        return str(self._store.value(f"folders/{purpose}", self.folder(_LAST_BROWSED)))

    def set_browse_folder(self, purpose: str, folder: str) -> None:
        """Remembers the folder of such a dialog."""
        self.set_folder(purpose, folder)
        self.set_folder(_LAST_BROWSED, folder)

    def layout(self, name: str) -> QByteArray:
        """Geometry or splitter state of a part of the window; empty at first."""
        value = self._store.value(f"layout/{name}")
        return value if isinstance(value, QByteArray) else QByteArray()

    def set_layout(self, name: str, state: QByteArray) -> None:
        """Remembers a geometry."""
        self._store.setValue(f"layout/{name}", state)

    def value(self, name: str, default: str = "") -> str:
        """Any other text a panel wants to remember."""
        return str(self._store.value(f"panels/{name}", default))

    def set_value(self, name: str, value: str) -> None:
        """Remembers a panel's text."""
        self._store.setValue(f"panels/{name}", value)

    def project_value(self, folder: Path, name: str) -> str:
        """What is remembered for one project; empty at first."""
        value = self._store.value(_key(folder, name), "")
        return value if isinstance(value, str) else ""

    def set_project_value(self, folder: Path, name: str, value: str) -> None:
        """Remembers something for one project."""
        self._store.setValue(_key(folder, name), value)

    def sync(self) -> None:
        """Writes to disk now."""
        self._store.sync()
