"""Loading ahead: threads prepare the next items while the current one is worked on.

Decoding and resizing release Python's lock, so threads suffice; no processes to start, pickle for, or clean up after.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

# Bytes of the items that wait. Preparing a larger one is short beside the network's work on it.
_HELD = 2**27

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


@dataclass
class Waiting:
    """How long the consumers of `prefetch` stood idle, in seconds."""

    seconds: float = 0.0


_WAITING: ContextVar[Waiting | None] = ContextVar("waiting", default=None)


@contextlib.contextmanager
def count_waiting() -> Iterator[Waiting]:
    """Adds up, for the length of a block, the time that this thread waits for data."""
    waiting = Waiting()
    token = _WAITING.set(waiting)
    try:
        yield waiting
    finally:
        _WAITING.reset(token)


def readers() -> int:
    """Threads for decoding whole data sets: one per core, since a core decodes only about ten photographs a second.

    Workers that ``torchrun`` started on one machine share its cores.
    """
    return max(2, min(16, (os.cpu_count() or 2) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def ahead(most: int, size: int) -> int:
    """Returns how many items `prefetch` may hold: fewer of large ones, whose memory would otherwise grow with them.

    Args:
        most: of small ones.
        size: of an item in bytes.
    """
    return max(1, min(most, _HELD // max(1, size)))


def prefetch(
    items: Iterable[Item], load: Callable[[Item], Loaded], *, workers: int = 2, depth: int = 4
) -> Generator[Loaded, None, None]:
    """Yields ``load(item)`` for each item, in order, while threads load the following ones.

    Close the iterator (or let it go) to stop early: what has not begun is dropped, what has begun is waited for.

    Args:
        items: may be endless; at most ``depth`` are taken ahead, on the consumer's thread.
        load: runs on several threads at once.
        workers: threads; 0 loads on the consumer's thread.
        depth: how many items may be in the making or waiting.

    Raises:
        Exception: whatever ``load`` raised for an item, when that item's turn comes.
    """
    if workers <= 0:
        yield from map(load, items)
        return
    waiting: deque[Future[Loaded]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
    try:
        for item in items:
            waiting.append(pool.submit(load, item))
            del item  # it may be large, and the next one is made while it is not needed any more
            if len(waiting) >= max(1, depth):
                yield _wait(waiting.popleft())
        while waiting:
            yield _wait(waiting.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _wait(future: Future[Loaded]) -> Loaded:
    waiting = _WAITING.get()
    if waiting is None or future.done():
        return future.result()
    began = time.perf_counter()
    try:
        return future.result()
    finally:
        waiting.seconds += time.perf_counter() - began
