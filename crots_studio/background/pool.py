"""A few daemon threads for background work; superseded work is not started.

Daemon threads rather than an executor, whose threads the interpreter would wait for when the window is closed.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

# Work, where to put its result, where to put its failure.
Task = tuple[Callable[[], Any], Callable[[Any], None], Callable[[Exception], None], str | None, int]


class Pool:
    """Runs callables on a few threads; with a token, only the latest of that token."""

    def __init__(self, threads: int = 4) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._latest: dict[str, int] = {}
        self._count = 0
        self._open = 0
        self._lock = threading.Lock()
        self._threads = threads
        for number in range(threads):
            threading.Thread(target=self._loop, name=f"crots-pool-{number}", daemon=True).start()

    def submit(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        token: str | None = None,
    ) -> None:
        """Queues work; ``done`` or ``failed`` are called on the pool's thread.

        Args:
            work: to be done.
            done: gets the result.
            failed: gets the exception.
            token: of requests with the same token only the latest is worked on.
        """
        number = self._number(token)
        with self._lock:
            self._open += 1
        self._tasks.put((work, done, failed, token, number))

    def _number(self, token: str | None) -> int:
        """Numbers a request, which from now on is the latest of its token."""
        with self._lock:
            self._count += 1
            if token is not None:
                self._latest[token] = self._count
            return self._count

    def _superseded(self, token: str | None, number: int) -> bool:
        """Whether a later request with the same token was made."""
        return token is not None and self._latest.get(token) != number

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or running."""
        return self._open == 0

    def close(self) -> None:
        """Lets the threads end after their current work."""
        for _ in range(self._threads):
            self._tasks.put(None)

    def _loop(self) -> None:
        while (task := self._tasks.get()) is not None:
            work, done, failed, token, number = task
            try:
                if not self._superseded(token, number):
                    self._act(work, done, failed)
            finally:
                # Drop the references now: the next task may come much later.
                del task, work, done, failed
                with self._lock:
                    self._open -= 1

    def _act(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        try:
            result = work()
        except Exception as error:
            failed(error)
        else:
            done(result)
