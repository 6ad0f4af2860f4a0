"""Seconds and bytes: repeats that take turns, so that whatever else the machine does hits both alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from statistics import median
from types import TracebackType

import psutil
import torch

from crots.execution.engine import Engine

Work = Callable[[], object]
_SAMPLE_SECONDS = 0.02


def seconds(work: Work, engine: Engine | None = None) -> float:
    """Returns how long ``work`` takes, the device's part of it included."""
    if engine:
        engine.synchronise()
    began = time.perf_counter()
    work()
    if engine:
        engine.synchronise()
    return time.perf_counter() - began


def taking_turns(*works: Work, repeats: int, engine: Engine | None = None) -> list[float]:
    """Returns the median seconds of each work; all warm up once, then take turns."""
    for work in works:
        work()
    rounds = [[seconds(work, engine) for work in works] for _ in range(repeats)]
    return [median(column) for column in zip(*rounds, strict=True)]


class PeakMemory:
    """The greatest memory of this process, and of the device, from entering to leaving a block.

    Attributes:
        host: bytes resident in the process.
        device: bytes that the process holds on the CUDA device; 0 elsewhere.
    """

    def __init__(self, engine: Engine) -> None:
        self.host = 0
        self.device = 0
        self._cuda = engine.device if engine.device.type == "cuda" else None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        if self._cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._cuda)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the watch; what comes later does not count."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        if self._cuda:
            self.device = torch.cuda.max_memory_reserved(self._cuda)

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.host = max(self.host, process.memory_info().rss)
            if self._over.wait(_SAMPLE_SECONDS):
                return
