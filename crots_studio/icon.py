"""The application's icon, drawn by ``tools/draw_icon.py``."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QIcon

from crots.resources import resource_folder

# Pixels.
SIZES = (16, 32, 48, 64, 128, 256)


def icon_path(side: int) -> Path:
    """Returns the picture of a size."""
    return resource_folder() / "icons" / f"crots-studio-{side}.png"


def app_icon() -> QIcon:
    """Reads the icon in all sizes; needs an application."""
    icon = QIcon()
    for side in SIZES:
        icon.addFile(str(icon_path(side)))
    return icon
