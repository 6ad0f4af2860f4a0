"""A run on a QThread: asked for its end it answers at once."""

import threading
import time

from crots_studio.runs.thread import ThreadRun

PATIENCE = 600


class Lingering(ThreadRun):
    """Its thread goes on after the run itself has ended."""

    def __init__(self):
        self.over, self.may_end = threading.Event(), threading.Event()
        super().__init__(lambda control: iter(()))

    def work(self):
        super().work()
        self.over.set()
        assert self.may_end.wait(PATIENCE)


def test_the_end_is_there_only_with_the_thread_s_and_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr("crots_studio.runs.run.preload_torch", lambda: True)
    run = Lingering()
    assert run.end is None
    run.start()
    try:
        assert run.over.wait(PATIENCE)
        assert run.end is None, "answers while the thread goes on"
    finally:
        run.may_end.set()
    limit = time.monotonic() + PATIENCE
    while run.end is None and time.monotonic() < limit:
        time.sleep(0.005)
    assert run.end is not None and run.end.outcome == "completed"


def test_a_run_beside_the_window_leaves_long_work_in_machine_code_to_other_processes():
    assert ThreadRun(lambda control: iter(())).control.beside_window
