"""The end of the process: quick, with its exit code, and without an abort, whatever threads are still at."""

import subprocess
import sys
import time

import pytest

START = """
import sys, threading, time
import numpy as np
from PySide6.QtCore import QTimer
import crots_studio.app as app
from crots_studio.models.image_store import PictureQueue

def busy(window):
    {busy}
    QTimer.singleShot(200, window.close)

real = app.open_first
def open_first(window, project):
    real(window, project)
    QTimer.singleShot(300, lambda: busy(window))
app.open_first = open_first
code = app.main([])
print("left", len(threading.enumerate()), flush=True)
sys.exit(code)
"""
WORK = {
    "an errand that lasts": "window.session.errands.in_background(lambda: time.sleep(60), print)",
    "an errand in machine code": (
        "import torch; window.session.errands.in_background("
        "lambda: [torch.ones(600, 600) @ torch.ones(600, 600) for _ in range(10**6)], print)"
    ),
    "pictures": "global q; q = PictureQueue(print); q.want('a', lambda: np.zeros((2, 2, 3), np.uint8))",
    "a run that ended on Qt's thread": (
        "from crots_studio.runs.thread import ThreadRun; global r; "
        "r = ThreadRun(lambda control: iter(())); r.start(); [time.sleep(0.01) for _ in range(500) if not r.end]"
    ),
    "a run in a plain thread": (
        "from crots_studio.runs.run import BackgroundRun; "
        "BackgroundRun(lambda control: iter(lambda: time.sleep(0.01), 1)).start()"
    ),
}


def marks_of(what):
    """Those that wait, or load torch, take seconds."""
    return [pytest.mark.slow] if any(word in what for word in ("machine", "lasts", "plain")) else []


@pytest.mark.parametrize("what", [pytest.param(what, marks=marks_of(what)) for what in WORK])
def test_the_process_ends_soon_and_well(what):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", START.format(busy=WORK[what])], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "terminate" not in done.stderr and "Fatal" not in done.stderr and "Traceback" not in done.stderr
    if what == "pictures":
        assert "left 1" in done.stdout, "every thread was ended and joined"
    assert time.monotonic() - started < 110


INTERRUPTED = """
import os, signal, sys
from PySide6.QtCore import QTimer
import crots_studio.app as app

# Python 3.11 on Windows has it not.
vars(os).pop("set_blocking", None)
real = app.open_first
def open_first(window, project):
    real(window, project)
    # The signal comes while Qt waits: nothing of Python runs that would notice it.
    QTimer.singleShot(300, lambda: signal.raise_signal(signal.SIGINT))
app.open_first = open_first
sys.exit(app.main([]))
"""


def test_an_interrupt_in_the_terminal_closes_the_window():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
