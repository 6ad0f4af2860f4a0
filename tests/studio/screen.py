"""A display of its own for a real window: Xvfb, mouse and keyboard by xdotool, pictures of the screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageGrab

from crots.project import Project

SIZE = (1280, 720)


def available() -> bool:
    """Whether this computer can show windows that nobody sees."""
    return sys.platform.startswith("linux") and all(map(shutil.which, ("Xvfb", "xdotool")))


class Screen:
    """An X server and what a person would do in front of it."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        geometry = f"{SIZE[0]}x{SIZE[1]}x24"
        # A server that starts again when its last client leaves refuses the program that comes at that moment; and on a
        # busy machine a key stays down so long that it would repeat.
        settings = ["-screen", "0", geometry, "-nolisten", "tcp", "-noreset", "-r"]
        command = ["Xvfb", "-displayfd", str(writing), *settings]
        self._server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            self.name = f":{pipe.readline().strip()}"
        self._programs: list[subprocess.Popen[str]] = []

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are to appear here; nothing may point Qt at other plugins."""
        left_out = ("QT_QPA_PLATFORM", "QT_QPA_PLATFORM_PLUGIN_PATH", "WAYLAND_DISPLAY")
        kept = {key: value for key, value in os.environ.items() if key not in left_out}
        return {**kept, "DISPLAY": self.name, "QT_QPA_PLATFORM": "xcb"}

    def start(self, *command: str, **more: str) -> subprocess.Popen[str]:
        """Starts a program on this screen."""
        program = subprocess.Popen(
            command, env=self.environment | more, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._programs.append(program)
        return program

    def do(self, *words: str) -> str:
        """Runs xdotool."""
        done = subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, text=True, timeout=600)
        return done.stdout.strip()

    def window(self, title: str, timeout: float = 600) -> str:
        """Waits for a visible window of this title, gives it the keyboard and returns its number."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if found := self.do("search", "--onlyvisible", "--name", title):
                number = found.splitlines()[-1]
                self.do("windowfocus", "--sync", number)
                return number
            for program in self._programs:
                assert program.poll() is None, f"no window called {title!r}: {program.communicate()[0]}"
            time.sleep(0.1)
        raise AssertionError(f"no window called {title!r}")

    def gone(self, title: str, timeout: float = 600) -> None:
        """Waits until no such window is visible."""
        end = time.monotonic() + timeout
        while self.do("search", "--onlyvisible", "--name", title):
            assert time.monotonic() < end, f"{title!r} is still there"
            time.sleep(0.1)

    def press(self, *keys: str) -> None:
        """Presses keys, ``ctrl+n``, one after the other."""
        for key in keys:
            self.do("key", key)
            time.sleep(0.3)

    def type(self, text: str) -> None:
        """Types text."""
        self.do("type", "--delay", "5", text)

    def click(self, x: int, y: int) -> None:
        """Clicks at a place of the screen."""
        self.do("mousemove", "--sync", str(x), str(y), "click", "1")

    def picture(self) -> Image.Image:
        """Returns what a person would see."""
        return ImageGrab.grab(xdisplay=self.name).convert("RGB")

    def settle(self, timeout: float = 600) -> Image.Image:
        """Waits until nothing moves any more and returns the picture."""
        end, before, since = time.monotonic() + timeout, self.picture(), time.monotonic()
        while time.monotonic() - since < 1.5:
            assert time.monotonic() < end, "the screen does not come to rest"
            time.sleep(0.2)
            now = self.picture()
            if now.tobytes() != before.tobytes():
                before, since = now, time.monotonic()
        return before

    def close(self) -> None:
        """Ends the programs and the server."""
        for program in (*self._programs, self._server):
            if program.poll() is None:
                program.terminate()
        for program in (*self._programs, self._server):
            try:
                program.wait(300)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
            if program.stdout is not None:
                program.stdout.close()


def wait_for(condition, timeout: float = 600, what: str = "it") -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)


def keep(picture: Image.Image, name: str) -> None:
    """Keeps a picture for somebody to look at, where a folder is named for that."""
    if folder := os.environ.get("CROTS_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        picture.save(Path(folder) / f"{name}.png")


def fill_in(screen: Screen, folder: Path, option: str, value: object, keys: str) -> None:
    """Goes to a field by its key, replaces what stands there, and waits until the project's file has it."""
    section, name = option.split(".")
    screen.press(keys, "ctrl+a")
    screen.type(str(value))
    screen.press("Tab")
    wait_for(lambda: str(getattr(getattr(Project.open(folder).config, section), name)) == str(value), 60, option)


def find_option(screen: Screen, folder: Path, option: str, value: object) -> None:
    """Looks for an option in the settings, goes on to its field and types a value."""
    section, name = option.split(".")
    screen.press("ctrl+f", "ctrl+a")
    screen.type(option)
    screen.press("Return", "ctrl+a")
    screen.type(str(value))
    screen.press("Return")
    wait_for(lambda: str(getattr(getattr(Project.open(folder).config, section), name)) == str(value), 60, option)


def start_run(screen, folder):
    """Presses Run; says whether the run has begun, for `wait_for`."""
    screen.press("ctrl+r")
    return (folder / "events.jsonl").exists()
