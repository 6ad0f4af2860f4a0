"""From an empty screen through CamVid to an ONNX file, in a real window with mouse and keyboard only.

Minutes long, so it waits for ``CROTS_WALK=1``; ``CROTS_SCREENSHOTS=FOLDER`` keeps a picture of every step.
"""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tests.studio.screen import available, fill_in, find_option, keep, start_run, wait_for

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("CROTS_WALK"), reason="minutes long: set CROTS_WALK=1"),
    pytest.mark.skipif(not (DATA / "camvid").is_dir(), reason="needs the CamVid images beside the repository"),
    pytest.mark.skipif(not available(), reason="needs Xvfb and xdotool"),
    pytest.mark.timeout(7200),
]
FAST = {
    "baseline.steps": 12, "baseline.batch": 4, "adapt.steps": 8, "adapt.batch": 4, "adapt.rounds": 1,
}  # fmt: skip


def test_camvid_from_an_empty_screen_to_an_onnx_file(screen, tmp_path):
    settings = tmp_path / "studio.ini"
    settings.write_text(f"[General]\ntheme=light\n[folders]\nprojects={tmp_path}\n")
    program = screen.start(sys.executable, "-m", "crots_studio", CROTS_STUDIO_SETTINGS=str(settings))
    screen.window("CROTS Studio")
    screen.settle()
    keep(screen.picture(), "walk-01-empty")
    screen.press("ctrl+n")
    screen.window("New project")
    screen.press("ctrl+a")
    screen.type("camvid walk")
    keep(screen.picture(), "walk-02-new")
    screen.press("Return")
    folder = tmp_path / "camvid walk"
    wait_for((folder / "crots.toml").exists, what="the project's file")
    screen.window("camvid walk - CROTS Studio")
    set_up(screen, folder, DATA.resolve())
    for option, value in FAST.items():
        find_option(screen, folder, option, value)
    screen.press("alt+1")
    keep(screen.picture(), "walk-05-ready")
    wait_for(lambda: start_run(screen, folder), timeout=180, what="the run")
    follow(screen, folder)
    assert (folder / "export" / "adapted.onnx").stat().st_size > 10**6
    report = json.loads((folder / "evaluation" / "adapt-1.json").read_text())
    assert report["images"] == 101 and report["miou"] > 0
    time.sleep(5)
    look_around(screen)
    screen.press("ctrl+q")
    assert program.wait(300) == 0


def set_up(screen, folder, data):
    """Fills in the page of the set-up by its keys."""
    camvid = data / "camvid"
    fill_in(screen, folder, "data.target", camvid / "images" / "train", "alt+i")
    fill_in(screen, folder, "data.size", "160x128", "alt+z")
    fill_in(screen, folder, "task.classes", "camvid", "alt+s")
    fill_in(screen, folder, "task.source_classes", "cityscapes", "alt+o")
    keep(screen.picture(), "walk-03-classes")
    wait_for(lambda: proposed(screen, folder), 90, "the proposal of a class map")
    keep(screen.picture(), "walk-03-proposed")
    screen.press("alt+p")
    fill_in(screen, folder, "source.predictions", camvid / "black_box" / "label_ids", "alt+d")
    fill_in(screen, folder, "source.confidence", camvid / "black_box" / "confidence", "alt+c")
    fill_in(screen, folder, "student.net", "smp:deeplabv3plus/tu-tf_efficientnet_lite0", "alt+k")
    fill_in(screen, folder, "student.weights", data / "weights" / "tf_efficientnet_lite0_imagenet.pth", "alt+w")
    keep(screen.picture(), "walk-04-student")
    fill_in(screen, folder, "data.val_images", camvid / "images" / "val", "alt+a")
    fill_in(screen, folder, "data.val_labels", camvid / "labels" / "val", "alt+t")


def proposed(screen, folder):
    screen.press("alt+b")
    time.sleep(1)
    return "class_map" in (folder / "crots.toml").read_text()


def follow(screen, folder):
    """Watches the run to its end, with a picture now and then."""
    number, last, events, seen = 0, time.monotonic(), folder / "events.jsonl", (0, time.monotonic())
    while not (folder / "records" / "export.json").exists():
        # However slow the machine is: something must happen now and then.
        if events.stat().st_size != seen[0]:
            seen = events.stat().st_size, time.monotonic()
        assert time.monotonic() - seen[1] < 900, events.read_text()[-2000:]
        if time.monotonic() - last > 20:
            number, last = number + 1, time.monotonic()
            keep(screen.picture(), f"walk-06-running-{number:02}")
        time.sleep(0.5)


def look_around(screen):
    """All tabs in both themes; a click of the mouse where there is something to click."""
    for theme, key in (("light", "l"), ("dark", "d")):
        screen.press("alt+v", "t", key)
        for number in range(1, 8):
            screen.press(f"alt+{number}")
            time.sleep(2.5)
            keep(screen.picture(), f"walk-07-{theme}-{number}")
    screen.click(110, 300)
    time.sleep(1)
    keep(screen.picture(), "walk-08-clicked")
