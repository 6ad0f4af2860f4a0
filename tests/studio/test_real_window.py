"""A real window on a real display: first paint, a project made and run with mouse and keyboard only, both themes."""

import json
import os
import sys

import numpy as np
import pytest

from crots.images import write_image
from crots.label_files import write_confidence, write_labels
from crots_studio.theme import LIGHT
from crots_studio.workspace_tabs import TABS
from tests.studio.fake_project import make_fake_project
from tests.studio.screen import available, fill_in, find_option, keep, start_run, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not available(), reason="needs Xvfb and xdotool"),
    pytest.mark.timeout(600),
]

ASKS = "A run is in progress"
KEEPS = "CROTS_SCREENSHOTS" in os.environ
# How long the first paint takes is measured by tools/bench_studio.py.
HEAVY = {"torch", "torchvision", "timm", "segmentation_models_pytorch", "onnx", "onnxruntime", "scipy"}
FIRST_PAINT = """
import json, sys
from PySide6.QtCore import QEvent, QObject, QTimer
import crots_studio.app as app
from crots_studio.window import MainWindow

class Watch(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and not hasattr(self, "told"):
            self.told = True
            print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), flush=True)
            QTimer.singleShot(0, lambda: [w.close() for w in app.QApplication.topLevelWidgets()])
        return False

watch = Watch()
show = MainWindow.open_up
def shown(self):
    self.welcome.installEventFilter(watch)
    show(self)
MainWindow.open_up = shown
sys.exit(app.main([]))
"""


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "studio.ini"
    path.write_text(f"[General]\ntheme=light\n[folders]\nprojects={tmp_path}\n")
    return {"CROTS_STUDIO_SETTINGS": str(path)}


def studio(screen, settings, *words):
    return screen.start(sys.executable, "-m", "crots_studio", *map(str, words), **settings)


def test_the_first_paint_waits_for_no_library_that_a_run_needs(screen, settings):
    program = screen.start(sys.executable, "-c", FIRST_PAINT, **settings)
    output, _ = program.communicate(timeout=600)
    assert program.returncode == 0, output
    assert not HEAVY & set(json.loads(output.splitlines()[0]))


def colours(picture):
    return {colour for _, colour in picture.getcolors(2**24)}


def brightness(picture):
    return float(np.asarray(picture).mean())


def test_the_welcome_page_can_be_seen_in_both_themes(screen, settings):
    studio(screen, settings)
    screen.window("CROTS Studio")
    wait_for(lambda: len(colours(screen.picture())) > 40, what="something painted")
    light = screen.settle()
    keep(light, "welcome-light")
    assert brightness(light) > 180
    wait_for(lambda: is_dark(screen), what="the dark theme")
    keep(screen.picture(), "welcome-dark")


def is_dark(screen):
    """Chooses the dark theme by the keys of its menu, once more where the first were lost; for `wait_for`."""
    screen.press("Escape", "Escape", "alt+v", "t", "d")
    return brightness(screen.picture()) < 90


def test_a_project_on_the_command_line_shows_its_stages(screen, settings, tmp_path):
    project = make_fake_project(tmp_path / "fake")
    program = studio(screen, settings, project.folder)
    screen.window("project - CROTS Studio")
    green = tuple(bytes.fromhex(LIGHT.good.removeprefix("#")))
    wait_for(lambda: green in colours(screen.picture().crop((0, 60, 220, 600))), what="stages that are done")
    screen.press("alt+1")
    shown = screen.settle()
    keep(shown, TABS[0].key)
    for number, tab in enumerate(TABS[1:], 2):
        before = shown.tobytes()
        screen.press(f"alt+{number}")
        wait_for(lambda before=before: screen.picture().tobytes() != before, what=f"the tab {tab.key}")
        shown = screen.settle() if KEEPS else screen.picture()
        keep(shown, tab.key)
    screen.press("ctrl+q")
    assert program.wait(300) == 0


@pytest.fixture
def material(tmp_path):
    """A target with predictions, as a user has them."""
    rng = np.random.default_rng(0)
    for number in range(4):
        name = f"{number}.png"
        write_image(tmp_path / "photos" / name, rng.integers(0, 255, (64, 96, 3), np.uint8))
        write_labels(tmp_path / "said" / name, rng.integers(0, 11, (64, 96)).astype(np.uint8))
        write_confidence(tmp_path / "sure" / name, np.full((64, 96), 0.9, np.float32))
    return tmp_path


def test_a_new_project_by_keyboard_then_run_to_an_onnx_file(screen, settings, material):
    """From an empty screen to an exported file: Ctrl+N, the fields of the page by Tab and typing, Ctrl+R."""
    program = studio(screen, settings)
    screen.window("CROTS Studio")
    screen.press("ctrl+n")
    screen.window("New project")
    screen.press("ctrl+a")
    screen.type("mine")
    screen.press("Return")
    folder = material / "mine"
    wait_for((folder / "crots.toml").exists, what="the project's file")
    screen.window("mine - CROTS Studio")
    fill_in(screen, folder, "data.target", material / "photos", "alt+i")
    fill_in(screen, folder, "task.classes", "camvid", "alt+s")
    screen.press("alt+p")
    fill_in(screen, folder, "source.predictions", material / "said", "alt+d")
    fill_in(screen, folder, "source.confidence", material / "sure", "alt+c")
    fill_in(screen, folder, "student.net", "compact", "alt+k")
    fill_in(screen, folder, "student.weights", "random", "alt+w")
    for option, steps in (("baseline.steps", 3), ("adapt.steps", 2)):
        find_option(screen, folder, option, steps)
    keep(screen.picture(), "set-up-by-keyboard")
    wait_for(lambda: start_run(screen, folder), timeout=600, what="the run")
    wait_for(lambda: (folder / "records" / "export.json").exists(), timeout=400, what="the export")
    assert (folder / "export" / "adapted.onnx").exists()
    wait_for(lambda: left(screen, program, "mine - CROTS Studio"), what="a window that knows of the end")
    assert program.wait(300) == 0


def left(screen, program, title):
    """Presses Ctrl+Q; says whether the window is gone. One that knows of a run asks, and stays."""
    keep(screen.picture(), "run-finished")
    screen.press("ctrl+q")
    if screen.do("search", "--onlyvisible", "--name", ASKS):
        screen.window(ASKS)
        screen.press("Escape")
        screen.gone(ASKS)
        screen.window(title)
    return program.poll() is not None
