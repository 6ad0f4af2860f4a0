"""The versions of all packages, to be copied into a bug report."""

from __future__ import annotations

import importlib.metadata
import platform

from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialogButtonBox, QVBoxLayout, QWidget

import crots
from crots_studio.plain import Label
from crots_studio.session import Session
from crots_studio.widgets.dialog import Dialog

_PACKAGES = ("torch", "torchvision", "numpy", "onnxruntime", "PySide6-Essentials", "pyqtgraph")


def versions() -> str:
    """Returns versions, one per line; packages are asked for without importing them."""
    lines = [f"CROTS Studio {crots.__version__}", f"Python {platform.python_version()} on {platform.platform()}"]
    lines.append(f"Qt {qVersion()} ({QGuiApplication.platformName()})")
    for name in _PACKAGES:
        try:
            lines.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name} is not installed")
    return "\n".join(lines)


class AboutDialog(Dialog):
    """The about box."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About CROTS Studio")
        heading = Label("CROTS Studio")
        heading.setProperty("role", "heading")
        about = Label(
            "Adapts a segmentation model to your own images, without labels and without the data it was trained on, by "
            "cross-domain teacher-student learning (IJCV 132, 2024). Apache License 2.0."
        )
        about.setWordWrap(True)
        self.versions = Label(versions())
        self.versions.setAccessibleName("Versions")
        self.versions.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("&Copy versions", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.versions.text()))
        copy.clicked.connect(lambda: session.copied.emit("Copied the versions"))
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for widget in (heading, about, self.versions, buttons):
            column.addWidget(widget)
        self.setMinimumWidth(460)
        # Else Return would copy.
        buttons.button(QDialogButtonBox.StandardButton.Close).setFocus()
