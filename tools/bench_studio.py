"""How much the window costs the training, and the training the window: ``python tools/bench_studio.py``.

Makes a small project, runs the same real `adapt` round in turns without and with a real window (plots and previews
open, one after the other in front), each in a process of its own, and prints

- the gaps between two turns of the window's event loop while it trains (wanted: 99 % under 50 ms, none over 250 ms);
- how much slower a step is than without the window (wanted: at most 5 %).

A real window needs a display; where there is none:
``xvfb-run -s "-screen 0 1280x720x24" python tools/bench_studio.py``.
Whatever else the machine does is measured too: run it on an idle one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crots.config import Size
from crots.demo.scenes import render
from crots.events import Event, Metrics, Progress, StageFinished
from crots.images import write_confidence, write_image, write_labels
from crots.project import Project, build_config

STAGE = "adapt-1"
IMAGES, VALIDATION = 24, 4
WARM_UP = 5
TICK_MS = 20
TABS = ("monitor", "preview", "pseudo_labels", "monitor", "before_after")
TAB_MS = 4000
LIMIT = 1200.0


def make_project(folder: Path, size: Size, steps: int, batch: int) -> Project:
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
    return project


def check(events: Iterable[Event]) -> None:
    """Ends the benchmark where a stage failed."""
    for event in events:
        if isinstance(event, StageFinished) and event.outcome != "completed":
            raise SystemExit(f"{event.stage} {event.outcome}: {event.message}\n{event.detail}")


def step_seconds(events: Sequence[Event]) -> float:
    """Returns the median time of a step, without the first ones; a median leaves validations out."""
    times = [event.time for event in events if isinstance(event, Metrics)][WARM_UP:]
    return statistics.median(np.diff(times))


def headless(folder: Path) -> dict[str, Any]:
    """Trains without a window."""
    from crots.runner import run_project

    events = list(run_project(Project.open(folder), only=STAGE))
    check(events)
    return {"step": step_seconds(events)}


def windowed(folder: Path) -> dict[str, Any]:
    """Trains with a window open and measures both."""
    from PySide6.QtCore import QTimer

    from crots_studio.app import Collector, make_application
    from crots_studio.background import RunRequest
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
    window.build_workspace()
    events: list[Event] = []
    gaps, shares = Gaps(), Shares()
    turns = iter(range(10**6))
    tabs = QTimer(window, interval=TAB_MS)

    def turn() -> None:
        gaps.tab = TABS[next(turns) % len(TABS)]
        window.show_tab(gaps.tab)

    tabs.timeout.connect(turn)

    def take(new: list[Event]) -> None:
        events.extend(new)
        if not gaps.training and any(isinstance(event, (Metrics, Progress)) for event in new):
            gaps.training = True
            shares.begin()

    def end() -> None:
        shares.end()
        application.quit()

    session.events_arrived.connect(take)
    session.run_ended.connect(lambda _: end())
    session.project_changed.connect(lambda: session.start_run(RunRequest(only=STAGE), in_child=False))
    session.project_changed.connect(tabs.start)
    session.open_project(folder)
    application.exec()
    platform = application.platformName()
    session.close()
    check(events)
    worst = sorted(zip(gaps.seconds, gaps.tabs, strict=True), reverse=True)[:5]
    before = max(gaps.before, default=0)
    found = {"gaps": gaps.seconds, "worst": worst, "before": before, "qt": platform, "shares": shares.found}
    return {"step": step_seconds(events), **found}


def display_server() -> Any:
    """Returns the process that draws what the window shows, None where it cannot be told."""
    import psutil

    display = os.environ.get("DISPLAY", "").partition(".")[0]
    for process in psutil.process_iter(("name", "cmdline")):
        if display and process.info["name"] in ("Xvfb", "Xorg", "X") and display in (process.info["cmdline"] or ()):
            return process
    return None


class Shares:
    """Which shares of a core the window's thread and the display's server took while it trained."""

    def __init__(self) -> None:
        self._server = display_server()
        self._start = (0.0, 0.0, 0.0)
        self.found: dict[str, float] = {}

    def _now(self) -> tuple[float, float, float]:
        server = sum(self._server.cpu_times()[:2]) if self._server else 0.0
        return time.perf_counter(), time.thread_time(), server

    def begin(self) -> None:
        """Training has begun; to be called on the window's thread."""
        self._start = self._now()

    def end(self) -> None:
        """Training has ended."""
        seconds, window, server = (now - then for now, then in zip(self._now(), self._start, strict=True))
        self.found = {"window": window / seconds, "server": server / seconds}


class Gaps:
    """Times between two turns of the event loop, in seconds; those before training began are kept apart."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.seconds: list[float] = []
        self.before: list[float] = []
        self.tabs: list[str] = []
        self.tab = TABS[0]
        self.training = False
        self._last = time.perf_counter()
        self._timer = QTimer(interval=TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now = time.perf_counter()
        if self.training:
            self.seconds.append(now - self._last)
            self.tabs.append(self.tab)
        else:
            self.before.append(now - self._last)
        self._last = now


def in_process(mode: str, folder: Path) -> dict[str, Any]:
    """Runs one side in a fresh process."""
    words = [sys.executable, __file__, "--mode", mode, "--project", str(folder)]
    print(f"{mode} ...", file=sys.stderr)
    # OpenMP's threads wait by spinning in a process's first thread and by sleeping in others; where something else
    # wants the cores too, that alone makes training without the window many times slower.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LIMIT, env=environment)
    if done.returncode:
        raise SystemExit(f"{mode} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(plain: list[dict[str, Any]], window: list[dict[str, Any]]) -> None:
    """Prints what was measured."""
    gaps = np.array([gap for run in window for gap in run["gaps"]]) * 1000
    alone, beside = (statistics.median(run["step"] for run in runs) for runs in (plain, window))
    print(f"window on {window[0]['qt']}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {len(gaps)} turns")
    print(f"event-loop gaps: 99 % under {np.percentile(gaps, 99):.0f} ms (wanted 50), worst {gaps.max():.0f} ms (250)")
    loading = max(run["before"] for run in window) * 1000
    print(f"  share of turns under 50 ms: {(gaps < 50).mean():.2%}; worst while torch was loaded: {loading:.0f} ms")
    worst = sorted((pair for run in window for pair in run["worst"]), reverse=True)[:5]
    print("  worst, with the tab in front: " + ", ".join(f"{gap * 1000:.0f} ms {tab}" for gap, tab in worst))
    took = {who: statistics.mean(run["shares"][who] for run in window) for who in ("window", "server")}
    print(f"of a core, the window's thread took {took['window']:.1%} and the display's server {took['server']:.1%}")
    change = f"{beside / alone - 1:+.1%}"
    print(f"a step: {alone * 1000:.1f} ms without, {beside * 1000:.1f} ms with the window: {change} (wanted 5 %)")
    for words, runs in (("without", plain), ("with", window)):
        print(f"  {words}: " + ", ".join(f"{run['step'] * 1000:.1f}" for run in runs))


def main() -> None:
    """Reads the arguments and runs both sides in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", default="256x128")
    parser.add_argument("--turns", type=int, default=4, help="runs of each side")
    parser.add_argument("--mode", choices=("headless", "window"), help=argparse.SUPPRESS)
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.mode:
        print(json.dumps((headless if args.mode == "headless" else windowed)(args.project)), flush=True)
        # Threads that still draw previews would be torn down with the interpreter.
        os._exit(0)
    width, height = map(int, args.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="crots-bench-") as name:
        project = make_project(Path(name), Size(width, height), args.steps, args.batch)
        sides: dict[str, list[dict[str, Any]]] = {"headless": [], "window": []}
        for turn in range(args.turns):
            # Forwards and backwards, so that a machine that grows slower or faster favours neither.
            for mode in list(sides)[:: -1 if turn % 2 else 1]:
                sides[mode].append(in_process(mode, project.folder))
    report(sides["headless"], sides["window"])


if __name__ == "__main__":
    main()
