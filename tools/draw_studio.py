"""Takes the README's pictures of the studio: ``xvfb-run python tools/draw_studio.py DEMO resources/screenshots``."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

# Before the studio is imported: its settings are not to be the user's own.
os.environ["CROTS_STUDIO_SETTINGS"] = str(Path(tempfile.mkdtemp()) / "settings.ini")

from crots_studio.app import make_application
from crots_studio.session import Session
from crots_studio.window import MainWindow

# File name, theme, tab.
PICTURES = (
    ("set-up", "light", "setup"),
    ("pseudo-labels", "dark", "pseudo_labels"),
    ("monitor", "light", "monitor"),
)


def main(project: Path, out: Path) -> None:
    """Opens a finished demonstration and writes one PNG a panel."""
    app = make_application(["crots-studio"])
    session = Session()
    session.refresh_theme()
    window = MainWindow(session)
    window.resize(1280, 720)
    window.show()

    def settle(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            app.processEvents()
            time.sleep(0.005)

    settle(1)
    window.project_actions.go_to_project(project)
    settle(4)
    out.mkdir(parents=True, exist_ok=True)
    for name, theme, tab in PICTURES:
        session.set_theme(theme)
        window.pages.show_tab(tab)
        settle(8)
        if tab == "setup":
            # The source's prediction for one of the images.
            window.panels[tab].glance.ask(4)  # type: ignore[attr-defined]
            settle(15)
        window.grab().save(str(out / f"{name}.png"))
    # Threads that still decode pictures are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
