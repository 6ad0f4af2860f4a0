"""Wild clicking on all enabled controls of the whole window raises nothing and draws no warning of Qt.

``CROTS_MONKEY=300`` goes on for that many seconds with seeds of the clock; ``CROTS_MONKEY_SEED`` repeats one.
"""

import os
import time

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QDesktopServices

from crots.events import Metrics, Progress, StageFinished, StageStarted
from tests.studio.fake_project import make_fake_project
from tests.studio.monkey import Monkey

SECONDS = float(os.environ.get("CROTS_MONKEY", "0"))
ACTIONS = 120
# What leaves the window, or loads and trains networks for longer than the test lasts.
FORBIDDEN = ("Quit", "Cut patches", "Try the demonstration", "Close project", "Compare methods", "Find suspicious")
pytestmark = [pytest.mark.timeout(max(1200, 3 * SECONDS)), pytest.mark.slow] if SECONDS else []


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path)


@pytest.fixture
def ready(qtbot, session, window, open_project, project, scripted, monkeypatch, tmp_path):
    """The window with the finished project; a run is a short script."""
    # Projects that it makes with a relative place land here.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: True)
    metrics = [Metrics(stage="baseline", step=step, values={"loss": 1 / step}) for step in range(1, 40)]
    progress = [Progress(stage="baseline", done=step, total=40) for step in range(1, 40)]
    steps = [
        thing
        for pair in zip(metrics, progress, strict=True)
        for thing in (*pair, lambda control: time.sleep(0.01))
    ]  # fmt: skip
    scripted(
        StageStarted(stage="baseline", total=40),
        *steps,
        StageFinished(stage="baseline", outcome="completed", seconds=1),
    )
    window.dialogs_are_quiet = True
    open_project(project.folder)
    # A child process would run the real stages.
    monkeypatch.setattr(type(session.run), "in_child", property(lambda self: False, lambda self, value: None))
    return window


def rampage(qtbot, session, window, seed, enough):
    """Acts until ``enough`` says so; what it did last is shown where something breaks."""
    monkey = Monkey(window, seed, FORBIDDEN)
    try:
        while not enough(len(monkey.did)):
            # Within an event loop, as all that users do: outside of one, Qt destroys too early what is deleted later.
            QTimer.singleShot(0, monkey.act)
            qtbot.wait(5)
    finally:
        print(f"seed {seed}, {len(monkey.did)} actions, the last: {monkey.did[-15:]}")
        monkey.stop()
    return monkey


def settle(qtbot, session):
    if session.run.busy:
        session.run.resume()
        session.run.stop()
    qtbot.waitUntil(lambda: not session.run.busy, timeout=60_000)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=60_000)


def test_a_few_hundred_wild_actions(qtbot, session, ready):
    problems = []
    session.problem.connect(lambda text: problems.append(text))
    monkey = rampage(qtbot, session, ready, 11, lambda done: done >= ACTIONS)
    settle(qtbot, session)
    assert len(monkey.did) >= ACTIONS
    assert not [text for text in problems if "unexpected" in text]
    assert session.project is not None and ready.isVisible()


@pytest.mark.skipif(not SECONDS, reason="set CROTS_MONKEY to a number of seconds")
def test_wild_actions_for_minutes(qtbot, session, ready):
    end = time.monotonic() + SECONDS
    seed = int(os.environ.get("CROTS_MONKEY_SEED", time.time_ns() % 10**6))
    rampage(qtbot, session, ready, seed, lambda done: time.monotonic() > end)
    settle(qtbot, session)
