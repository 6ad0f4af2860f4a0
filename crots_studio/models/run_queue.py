"""The list of projects waiting to be run one after another, and the file that keeps it between sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import filelock

from crots.errors import CrotsError, StageError
from crots.eventlog import running
from crots.files import exists, make_folder, write_json
from crots.project import CONFIG_NAME, Project
from crots.records import Moment, read_as
from crots_studio.models.words import fault_text

State = Literal["waiting", "running", "done", "failed"]
STATES: tuple[State, ...] = ("waiting", "running", "done", "failed")
# States of projects that are not finished; an interrupted run comes first.
OPEN: tuple[State, ...] = ("running", "waiting")
_WAIT = 2.0  # seconds for another window that writes at this moment


@dataclass(frozen=True)
class QueueEntry:
    """A project of the queue, which has it once.

    Attributes:
        folder: absolute.
        state: ``running`` also where a window that is gone had begun it.
        words: why it failed, or how it ended.
        ended: seconds since 1970, 0 while it has no end.
    """

    folder: str
    state: State = "waiting"
    words: str = ""
    ended: float = 0.0

    @property
    def name(self) -> str:
        """The folder's own name."""
        return Path(self.folder).name or self.folder


Entries = tuple[QueueEntry, ...]


def names_of(entries: Entries) -> list[str]:
    """The folders' own names, with the folder above where two projects are called alike."""
    names = [entry.name for entry in entries]
    return [
        f"{Path(entry.folder).parent.name}/{name}" if names.count(name) > 1 else name
        for entry, name in zip(entries, names, strict=True)
    ]


def added(entries: Entries, folders: Iterable[str]) -> Entries:
    """Puts projects at the end; one that has ended is run again, one that waits or runs keeps its place."""
    for folder in folders:
        if not any(entry.folder == folder and entry.state in OPEN for entry in entries):
            entries = (*(entry for entry in entries if entry.folder != folder), QueueEntry(folder))
    return entries


def removed(entries: Entries, folders: Iterable[str]) -> Entries:
    """Takes projects out; their files are kept."""
    gone = set(folders)
    return tuple(entry for entry in entries if entry.folder not in gone)


def moved(entries: Entries, folder: str, by: int) -> Entries:
    """Moves a project towards the beginning (negative) or the end, as far as there is room."""
    place = next((place for place, entry in enumerate(entries) if entry.folder == folder), None)
    if place is None:
        return entries
    rest = removed(entries, [folder])
    new = min(max(place + by, 0), len(rest))
    return (*rest[:new], entries[place], *rest[new:])


def marked(entries: Entries, folder: str, state: State, message: str = "") -> Entries:
    """Notes how a project of the queue stands now; one that was taken out meanwhile stays out."""
    ended = time.time() if state in ("done", "failed") else 0.0
    return tuple(
        replace(entry, state=state, words=message, ended=ended) if entry.folder == folder else entry
        for entry in entries
    )


def restored(entries: Entries, wanted: Entries) -> Entries:
    """Returns the projects and the order of ``wanted``, each as it stands now where it is still in the queue."""
    now = {entry.folder: entry for entry in entries}
    return tuple(_as_it_stands(now.get(entry.folder), entry) for entry in wanted)


def _as_it_stands(now: QueueEntry | None, before: QueueEntry) -> QueueEntry:
    # One that has ended and was only queued again is as it was.
    requeued = now is not None and now.state == "waiting" and before.state in ("done", "failed")
    return before if now is None or requeued else now


def following(entries: Sequence[QueueEntry]) -> QueueEntry | None:
    """Returns the project to run next, None at the end."""
    return next((entry for state in OPEN for entry in entries if entry.state == state), None)


class _QueueRow(TypedDict):
    folder: str
    state: Annotated[str, STATES.__contains__]
    words: str
    ended: Moment


class _QueueShape(TypedDict):
    queue: list[_QueueRow]


class QueueFile:
    """The queue on disk, which several windows may show and change.

    Args:
        path: beside the settings.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._running = filelock.FileLock(path.with_suffix(".running.lock"))

    @property
    def stamp(self) -> tuple[int, ...]:
        """Differs after every change; empty where there is no file."""
        try:
            status = self.path.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def read(self) -> Entries:
        """Returns the queue; empty where there is none.

        Raises:
            InputError: the file is damaged.
        """
        found = read_as(self.path, _QueueShape)
        rows = found["queue"] if found is not None else []
        return tuple({row["folder"]: QueueEntry(**row) for row in rows}.values())  # type: ignore[arg-type]

    def change(self, act: Callable[[Entries], Entries]) -> Entries:
        """Reads, changes and writes the queue while no other window does, and returns it.

        Raises:
            CrotsError: it cannot be read or written; it is as it was.
        """
        make_folder(self.path.parent)
        try:
            with filelock.FileLock(self.path.with_suffix(".lock"), timeout=_WAIT):
                before = self.read()
                after = act(before)
                if after != before:
                    write_json(self.path, {"queue": [asdict(entry) for entry in after]})
                return after
        except (OSError, filelock.Timeout) as error:
            raise StageError(f"{self.path}: the queue of runs cannot be written ({fault_text(error)})") from None

    def claim(self) -> bool:
        """Makes this window the one that runs the queue; False where another one does."""
        try:
            make_folder(self.path.parent)
            self._running.acquire(timeout=0)
        except filelock.Timeout:
            return False
        except OSError as error:
            raise StageError(
                f"{self.path.parent}: the queue of runs cannot be started there ({fault_text(error)})"
            ) from None
        return True

    @property
    def claimed_elsewhere(self) -> bool:
        """Whether another window runs the queue."""
        if self._running.is_locked or not exists(self.path):
            return False
        try:
            with self._running.acquire(timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # nobody can write there
            return False

    def release(self) -> None:
        """Another window may run the queue."""
        self._running.release()


NOT_READY = "not ready"


def standing(entry: QueueEntry, *, here: bool, why_not_ready: Callable[[Project], str]) -> tuple[str, str]:
    """Returns the state of a project of the queue, as a word and as a sentence; reads the disk.

    Args:
        entry: of the queue.
        here: whether this window runs it.
        why_not_ready: asks the checks of Set-up; only of a project that waits.
    """
    folder = Path(entry.folder)
    if not exists(folder / CONFIG_NAME):
        return "gone", f"There is no project in {folder} any more."
    if entry.state == "running" and not here:
        try:
            going_on = running(Project.open(folder).lock_path)
        except CrotsError as error:
            return "interrupted", fault_text(error)
        if going_on:
            return "running", "Runs in the background or in another window; Start follows it and then continues."
        return "interrupted", "The studio was closed; Start continues from the last checkpoint."
    if entry.state == "waiting" and not here:
        try:
            reason = why_not_ready(Project.open(folder))
        except CrotsError as error:
            reason = fault_text(error)
        if reason:
            return NOT_READY, f"It would fail at once: {reason}"
    return entry.state, entry.words
