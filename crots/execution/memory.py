"""Peak memory of a piece of work."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil
import torch

from crots.execution.engine import Engine

_SAMPLE_SECONDS = 0.02


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
