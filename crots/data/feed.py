"""Loading ahead: threads prepare the next items while the current one is worked on.

Decoding and resizing release Python's lock, so threads suffice; no processes to start, pickle for, or clean up after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


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
            if len(waiting) >= max(1, depth):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
