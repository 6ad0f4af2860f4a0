"""Takes the README's pictures of the studio: ``xvfb-run python tools/draw_studio.py PROJECT resources/screenshots``."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before the studio is imported: its settings are not to be the user's own.
os.environ["CROTS_STUDIO_SETTINGS"] = str(Path(tempfile.mkdtemp()) / "settings.ini")

from PIL import Image

from crots_studio.app import make_application
from crots_studio.session import Session
from crots_studio.window import MainWindow

PATIENCE = 300.0


def _nothing(_panel: Any) -> None:
    pass


def _see_source(panel: Any) -> None:
    panel.glance.ask(3)


def _see_gain(panel: Any) -> None:
    """The validation image that gained most, of all models and the labels."""
    panel.which.setCurrentIndex(1)
    panel.sort.setCurrentIndex(panel.sort.findData("gain"))
    images = panel.images
    images.go_to(images.labels.keys[images.arranged[0]])


# File name, theme, tab, and what is done there first.
PICTURES: tuple[tuple[str, str, str, Callable[[Any], None]], ...] = (
    ("before-and-after", "dark", "before_after", _see_gain),
    ("set-up", "light", "setup", _see_source),
    ("monitor", "light", "monitor", _nothing),
)


def main(project: Path, out: Path) -> None:
    """Opens a finished project that has validation images and writes one PNG per panel."""
    app = make_application(["crots-studio"])
    session = Session()
    session.refresh_theme()
    window = MainWindow(session)
    window.resize(1280, 720)
    window.show()

    def settle(seconds: float = 1.0) -> None:
        """Waits so long, and then until nothing is read any more."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or (not session.errands.idle and time.monotonic() < end + PATIENCE):
            app.processEvents()
            time.sleep(0.005)

    settle()
    window.project_actions.go_to_project(project)
    settle(3)
    out.mkdir(parents=True, exist_ok=True)
    for name, theme, tab, prepare in PICTURES:
        session.set_theme(theme)
        window.pages.show_tab(tab)
        settle(2)
        prepare(window.panels[tab])
        settle(4)
        path = out / f"{name}.png"
        window.grab().save(str(path))
        with Image.open(path) as picture:
            picture.convert("RGB").save(path, optimize=True)
    # Threads that still decode pictures are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
