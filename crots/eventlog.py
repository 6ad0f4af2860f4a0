"""The event stream of a project on disk: appending, reading, and removing what a resumed stage will repeat."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from crots.errors import InputError, StageError
from crots.events import Event, Outcome, Progress, StageFinished, StageStarted, from_json, to_json
from crots.files import atomic_path, explained, make_folder
from crots.ownership import check_place, kind_of, link_status
from crots.records import is_plain, parse

# First characters of every stream.
_FIRST = b'{"event"'


class EventLog:
    """Appends events to a file; a line is on disk before the next event is made.

    Raises:
        InputError: the path is a link, not a file, or not an event stream.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        check_place(path.parent, path, "file")
        self._drop_torn_line()

    @property
    def position(self) -> int:
        """Bytes written so far; a checkpoint remembers it."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, event: Event) -> None:
        """Writes one event.

        Raises:
            StageError: the disk is full or read-only; the stream is then as it was before.
        """
        before = self.position
        try:
            with explained(self.path), open(self.path, "ab", opener=_no_link) as file:
                # File names may hold bytes that are not UTF-8; JSON can hold their escapes.
                file.write(f"{to_json(event)}\n".encode(errors="backslashreplace"))
        except StageError:
            # The half-written line of a full disk would corrupt the next one.
            with contextlib.suppress(OSError):
                os.truncate(self.path, before)
            raise

    def drop(self, stage: str, *, after: int) -> None:
        """Removes the events of ``stage`` that were written after byte ``after``: a resumed run repeats them."""
        if self.position <= after:
            return
        content = self.path.read_bytes()
        kept = [line for line in content[after:].splitlines(keepends=True) if _fields(line).get("stage") != stage]
        with atomic_path(self.path) as partial:
            partial.write_bytes(content[:after] + b"".join(kept))

    def drop_latest(self, stage: str) -> None:
        """Removes the events of the latest run of ``stage`` since its beginning, for a run that starts over."""
        place, start = 0, None
        for line in self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else ():
            event = _fields(line)
            if event.get("event") == "StageStarted" and event.get("stage") == stage and not event.get("resumed_at"):
                start = place
            place += len(line)
        if start is not None:
            self.drop(stage, after=start)

    def _drop_torn_line(self) -> None:
        """A process killed during a write leaves a line without its end."""
        if not is_plain(self.path):
            return
        with explained(self.path):
            content = self.path.read_bytes()
        if not content.startswith(_FIRST) and not _FIRST.startswith(content):
            raise InputError(f"{self.path}: is not an event stream of CROTS; move it away")
        if content and not content.endswith(b"\n"):
            with atomic_path(self.path) as partial:
                partial.write_bytes(content[: content.rfind(b"\n") + 1])


def _no_link(path: str, flags: int) -> int:
    """Opens a file, but not a link that has replaced it since it was checked."""
    try:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InputError(f"{path}: is a link, expected a file that CROTS writes to; move it away") from error


def _fields(line: bytes) -> dict[str, Any]:
    """The event of a line; None if a power cut damaged it."""
    try:
        found = parse(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_events(path: Path) -> Iterator[Event]:
    """Yields the events of a stream; damaged lines and events of later versions are skipped.

    Raises:
        InputError: the path is not a file, or cannot be read.
    """
    if not is_plain(path):
        return
    try:
        yield from _readable(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None


def _readable(path: Path) -> Iterator[Event]:
    # A kill may cut a character of several bytes.
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield from_json(line)
            except InputError:
                continue


@dataclass(frozen=True)
class Ending:
    """How far a stage came in its latest run; ``outcome`` is None while it has no end."""

    outcome: Outcome | None = None
    message: str = ""
    done: int = 0
    total: int = 0


def last_endings(path: Path) -> dict[str, Ending]:
    """Returns how the latest run of each stage in a stream ended, in the order in which they began.

    In a run that is in progress only the last one is at work: others without an end were killed.
    """
    endings: dict[str, Ending] = {}
    for event in read_events(path):
        old = endings.get(event.stage, Ending())
        if isinstance(event, StageStarted):
            endings.pop(event.stage, None)
            endings[event.stage] = Ending(done=event.resumed_at, total=event.total)
        elif isinstance(event, Progress):
            endings[event.stage] = dataclasses.replace(old, done=event.done, total=event.total)
        elif isinstance(event, StageFinished):
            endings[event.stage] = dataclasses.replace(old, outcome=event.outcome, message=event.message)
    return endings


def seconds_before(path: Path, stage: str) -> float:
    """Returns the seconds of the earlier parts of a resumed stage, 0 if the stage started over."""
    spent = begun = latest = 0.0
    for event in read_events(path):
        if event.stage != stage:
            continue
        if isinstance(event, StageStarted):
            spent = spent + max(0.0, latest - begun) if event.resumed_at else 0.0
            begun = event.time
        latest = event.time
    return spent


def running(lock_path: Path) -> bool:
    """Returns whether a process holds the lock of a project."""
    status = link_status(lock_path)
    if status is None or kind_of(status) != "a file" or status.st_size:
        # Taking a lock writes to its file or empties it, so a file with content is another program's.
        return False
    try:
        with filelock.FileLock(lock_path, timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return _held(lock_path)


def _held(lock_path: Path) -> bool:
    """Whether a lock is held that this process may not take: on a read-only disk, or of another user."""
    if sys.platform == "win32" or not lock_path.is_file():
        return False
    import fcntl

    try:
        with lock_path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
