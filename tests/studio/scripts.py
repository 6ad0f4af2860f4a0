"""Runs that last as long as a test wants, and one in another process that is none."""

import time

from crots.events import Progress, StageStarted
from crots_studio.runs.run import RunEnd

START = StageStarted(stage="baseline", total=100)


def step(seconds=0.02):
    return lambda control: time.sleep(seconds)


def long_run(scripted, steps=500):
    scripted(START, *([step(), Progress(stage="baseline", done=1, total=100, rate=3.0)] * steps))


class FakeChild:
    """A run in another process that ends when it is stopped."""

    detached = True
    controllable = True
    paused = False
    end = None

    def __init__(self, begun):
        self.begun = begun

    def stop(self):
        self.begun.append("stopped")
        self.end = RunEnd("cancelled", "baseline")

    def pause(self):
        self.begun.append("paused")

    def resume(self):
        self.begun.append("resumed")

    def start(self):
        self.begun.append("started")

    def drain(self):
        return []

    def memory(self):
        return 0
