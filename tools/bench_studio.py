"""How much the window slows down the training, and the training the window: ``python tools/bench_studio.py``.

Makes a small project and runs the same real `adapt` round in two processes, without and with a real window (plots
and previews open, one after the other in front). They take turns of a few seconds, each halted while the other goes
on, so that a machine that grows slower or faster favours neither. Printed are

- the gaps between two turns of the window's event loop while it trains (wanted: 99 % under 50 ms, none over 250 ms);
- how much slower a step is than without the window (wanted: at most 5 %);
- what the window's thread, the threads that read pictures for it, and the display's server took of a core.

A real window needs a display; where there is none:
``xvfb-run -s "-screen 0 1280x720x24" python tools/bench_studio.py``.
Whatever else the machine does is measured too: run it on an idle one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from crots.config import Size
from crots.demo.scenes import render
from crots.events import Evaluated, Event, Metrics, StageFinished
from crots.images import write_image
from crots.label_files import write_confidence, write_labels
from crots.project import Project
from crots.project_config import build_config

STAGE = "adapt-1"
IMAGES, VALIDATION = 24, 4
WARM_UP = 5
TICK_MS = 20
TABS = ("monitor", "preview", "pseudo_labels", "monitor", "before_after")
TAB_MS = 4000
TURN = 10.0
# After it was halted a process first does what it could not, all at once.
CATCH_UP = 0.5
LIMIT = 1800.0
SIDES = ("without", "with")

# From and to, in seconds since the epoch.
Span = tuple[float, float]
Durations = npt.NDArray[np.float64]


def make_project(folder: Path, size: Size, steps: int, batch: int) -> Path:
    """Writes a target of drawn streets with predictions and a project whose stages before `STAGE` are done."""
    for number in range(IMAGES + VALIDATION):
        image, labels = render("real", number, 0, size)
        part = "target" if number < IMAGES else "val"
        write_image(folder / part / f"{number:03}.png", image)
        write_labels(folder / f"{part}_labels" / f"{number:03}.png", labels)
        sure = np.full(labels.shape, 0.98, np.float32)
        write_confidence(folder / f"{part}_confidence" / f"{number:03}.png", sure)
    training = {"batch": batch, "log_every": 1, "steps": 2}
    config = build_config({
        "data": {"target": str(folder / "target"), "size": str(size), "val_images": str(folder / "val"),
                 "val_labels": str(folder / "val_labels"), "val_encoding": "train"},
        "task": {"classes": "demo"},
        "source": {"predictions": str(folder / "target_labels"), "confidence": str(folder / "target_confidence")},
        "student": {"net": "torchvision:lraspp_mobilenet_v3_large", "weights": "random"},
        "runtime": {"device": "cpu"},
        "baseline": training,
        "adapt": {**training, "steps": steps, "rounds": 1, "confidence": 0.0, "validate_every": max(2, steps // 3)},
    })  # fmt: skip
    project = Project.create(folder / "project", config)
    from crots.runner import run_project

    check(list(run_project(project, until="mine")))
    return project.folder


def check(events: Iterable[Event]) -> None:
    """Ends the benchmark where a stage failed."""
    for event in events:
        if isinstance(event, StageFinished) and event.outcome != "completed":
            raise SystemExit(f"{event.stage} {event.outcome}: {event.message}\n{event.detail}")


def steps_of(events: Sequence[Event]) -> list[Span]:
    """Returns from when to when each step went on, without the first ones and those that a validation followed."""
    kept = [event for event in events if isinstance(event, (Metrics, Evaluated))]
    pairs = [pair for pair in pairwise(kept) if all(isinstance(event, Metrics) for event in pair)]
    return [(before.time, after.time) for before, after in pairs][WARM_UP:]


class Shares:
    """Processor seconds since the training began, by who spent them."""

    def __init__(self) -> None:
        self._process, self._server = psutil.Process(), display_server()
        self._threads: dict[int, float] = {}
        self._others: dict[str, float] = {}
        self.began = 0.0

    def _now(self) -> tuple[dict[int, float], dict[str, float]]:
        threads = {thread.id: thread.user_time + thread.system_time for thread in self._process.threads()}
        server = sum(self._server.cpu_times()[:2]) if self._server else 0.0
        return threads, {"the whole process": sum(self._process.cpu_times()[:2]), "the display's server": server}

    def begin(self) -> None:
        """Training has begun."""
        self.began = time.time()
        self._threads, self._others = self._now()

    def found(self) -> dict[str, float]:
        """Returns the seconds."""
        threads, others = self._now()
        spent = {number: seconds - self._threads.get(number, 0.0) for number, seconds in threads.items()}
        ours = [thread for thread in threading.enumerate() if type(thread) is threading.Thread]
        return {
            "the window's thread": spent.get(threading.main_thread().native_id or 0, 0.0),
            "threads that read pictures": sum(spent.get(thread.native_id or 0, 0.0) for thread in ours),
            **{who: seconds - self._others.get(who, 0.0) for who, seconds in others.items()},
        }


def display_server() -> psutil.Process | None:
    """Returns the process that draws what the window shows, None where it cannot be told."""
    display = os.environ.get("DISPLAY", "").partition(".")[0]
    for process in psutil.process_iter(("name", "cmdline")):
        if display and process.info["name"] in ("Xvfb", "Xorg", "X") and display in (process.info["cmdline"] or ()):
            return process
    return None


class Measured:
    """What both sides measure."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._shares = Shares()

    def add(self, events: list[Event]) -> None:
        """Takes what the run told."""
        if not self._shares.began and any(isinstance(event, Metrics) for event in events):
            self._shares.begin()
        self._events.extend(events)

    def found(self) -> dict[str, Any]:
        """Returns it, once the run has ended."""
        check(self._events)
        return {"steps": steps_of(self._events), "shares": self._shares.found(), "began": self._shares.began}


def without(folder: Path) -> dict[str, Any]:
    """Trains without a window."""
    from crots.runner import run_project

    measured = Measured()
    for event in run_project(Project.open(folder), only=STAGE):
        measured.add([event])
    return measured.found()


def beside(folder: Path) -> dict[str, Any]:
    """Trains with a window open and measures both."""
    from PySide6.QtCore import QTimer

    from crots_studio.app import Collector, make_application
    from crots_studio.runs.run import RunRequest
    from crots_studio.session import Session
    from crots_studio.settings import Settings
    from crots_studio.window import MainWindow

    application = make_application(["bench"])
    session = Session(Settings(folder.parent / "studio.ini"))
    session.refresh_theme()
    window = MainWindow(session)
    window.dialogs_are_quiet = True
    Collector(session)
    window.show()
    window.pages.build_workspace()
    measured, loop = Measured(), Loop()
    turns = iter(range(10**6))
    tabs = QTimer(window, interval=TAB_MS)

    def turn() -> None:
        loop.tab = TABS[next(turns) % len(TABS)]
        window.pages.show_tab(loop.tab)

    tabs.timeout.connect(turn)

    session.run.events_arrived.connect(measured.add)
    found: dict[str, Any] = {}

    def end() -> None:
        # Before the threads end that read pictures for the window.
        found.update(measured.found())
        application.quit()

    session.run.ended.connect(lambda _: end())
    session.opened.project_changed.connect(lambda: session.run.start(RunRequest(only=STAGE), in_child=False))
    session.opened.project_changed.connect(tabs.start)
    session.opened.open_project(folder)
    application.exec()
    found |= {"gaps": loop.gaps, "tabs": loop.tabs, "qt": application.platformName()}
    session.close()
    return found


class Loop:
    """When the event loop turned, and which tab was in front."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.gaps: list[Span] = []
        self.tabs: list[str] = []
        self.tab = TABS[0]
        self._last = time.time()
        self._timer = QTimer(interval=TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now = time.time()
        self.gaps.append((self._last, now))
        self.tabs.append(self.tab)
        self._last = now


def start(side: str, folder: Path) -> psutil.Popen:
    """Starts one side in a fresh process."""
    words = [sys.executable, __file__, "--side", side, "--project", str(folder)]
    # OpenMP's threads wait by spinning in a process's first thread and by sleeping in others; where something else
    # wants the cores too, that alone makes training without the window many times slower.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    with said_by(folder).open("w", encoding="utf-8") as log:
        return psutil.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=environment)


def said_by(project: Path) -> Path:
    """Where a side's output goes: a pipe that nobody reads would halt it."""
    return project.with_name("output.txt")


def take_turns(processes: dict[str, psutil.Popen]) -> dict[str, list[Span]]:
    """Lets one go on at a time until one has ended; returns when which did."""
    spans: dict[str, list[Span]] = {side: [] for side in processes}
    for process in processes.values():
        process.suspend()
    began = time.time()
    while time.time() < began + LIMIT:
        for side, process in processes.items():
            process.resume()
            since = time.time()
            ended = not goes_on(process, TURN)
            spans[side].append((since + CATCH_UP, time.time()))
            if ended:
                return spans
            process.suspend()
    raise SystemExit(f"neither side had ended after {LIMIT:.0f} s")


def goes_on(process: psutil.Popen, seconds: float) -> bool:
    """Waits, and says whether the process is still there."""
    try:
        process.wait(seconds)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        return True
    return False


def finish(process: psutil.Popen, folder: Path, spans: list[Span]) -> dict[str, Any]:
    """Lets a side go on to its end where it has not come to it, and returns what it measured."""
    if process.poll() is None:
        process.resume()
        since = time.time()
        goes_on(process, LIMIT)
        spans.append((since + CATCH_UP, time.time()))
    said = said_by(folder).read_text("utf-8")
    if process.returncode:
        raise SystemExit(f"{folder.parent.name} the window failed:\n{said[-4000:]}")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def durations(parts: Iterable[Span], spans: Sequence[Span]) -> Durations:
    """Returns the milliseconds of those parts that lie in one of the spans, whole; 0 for the others."""
    return np.array([
        1000 * (end - begin) * any(since <= begin and end <= until for since, until in spans) for begin, end in parts
    ])  # fmt: skip


def report_window(found: dict[str, Any], spans: Sequence[Span]) -> None:
    """Prints how long the window's event loop was held."""
    began = found["began"]
    loading = durations(found["gaps"], [(since, min(until, began)) for since, until in spans])
    every = durations(found["gaps"], [(max(since, began), until) for since, until in spans])
    gaps = every[every > 0]
    print(f"event-loop gaps: 99 % under {np.percentile(gaps, 99):.0f} ms (wanted 50), worst {gaps.max():.0f} ms (250)")
    print(f"  {len(gaps)} turns, {(gaps < 50).mean():.2%} under 50 ms; worst while it loaded: {loading.max():.0f} ms")
    worst = [f"{every[number]:.0f} ms {found['tabs'][number]}" for number in np.argsort(-every)[:5]]
    print("  worst, with the tab in front: " + ", ".join(worst))


def report_steps(found: dict[str, dict[str, Any]], spans: dict[str, list[Span]]) -> None:
    """Prints how long a step took on each side, and who worked."""
    steps = {}
    for side in SIDES:
        every = durations(found[side]["steps"], spans[side])
        steps[side] = every[every > 0]
        began, shares = found[side]["began"], found[side]["shares"]
        seconds = sum(max(0.0, until - max(since - CATCH_UP, began)) for since, until in spans[side])
        took = ", ".join(f"{who} {spent / seconds:.1%}" for who, spent in shares.items() if spent)
        print(f"{side} the window: {len(steps[side])} steps, median {np.median(steps[side]):.1f} ms")
        print(f"  of a core: {took}")
    alone, beside = (steps[side].mean() for side in SIDES)
    doubt = beside / alone * sum(some.var() / len(some) / some.mean() ** 2 for some in steps.values()) ** 0.5
    change = f"{beside / alone - 1:+.1%} ± {doubt:.1%}"
    print(f"a step: {alone:.1f} ms without, {beside:.1f} ms with the window: {change} (wanted 5 %)")


def main() -> None:
    """Reads the arguments and runs both sides in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", default="256x128")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps((without if args.side == "without" else beside)(args.project)), flush=True)
        # Threads that still draw previews would be torn down with the interpreter.
        os._exit(0)
    width, height = map(int, args.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="crots-bench-") as name:
        folders = {side: make_project(Path(name) / side, Size(width, height), args.steps, args.batch) for side in SIDES}
        processes = {side: start(side, folder) for side, folder in folders.items()}
        spans = take_turns(processes)
        found = {side: finish(process, folders[side], spans[side]) for side, process in processes.items()}
    print(f"window on {found['with']['qt']}, {os.cpu_count()} cores")
    report_window(found["with"], spans["with"])
    report_steps(found, spans)


if __name__ == "__main__":
    main()
