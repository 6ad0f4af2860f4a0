"""Writing files so that a kill, a full disk or a power cut leaves either the old file or the new one."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

from crots.errors import CrotsError, InputError, StageError

# Files that Windows leaves in folders of pictures; those of macOS and Linux are hidden.
_OF_VIEWERS = ("thumbs.db", "ehthumbs.db", "desktop.ini")
# Hidden, so that no listing takes it for data, and short, so that it fits wherever the final name does.
_PARTIAL = re.compile(r"\.[0-9a-f]{8}\.partial(\.\w+)?")
# Seconds between attempts.
_WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
# The beginning of Git LFS files that were not fetched.
_POINTER = b"version https://git-lfs"
# How libraries in Rust and C++ word the system's message.
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_OS_ERROR = re.compile(r"\b(?:os error |Os \{ code: )(\d{1,5})\b")
# Bytes that are left on a disk if a write failed because it is full.
_NEXT_TO_NOTHING = 2**16
_CAUSES = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EROFS: "the folder is read-only; choose another one",
    errno.EACCES: "no permission to write there; choose another folder or change its permissions",
    errno.EPERM: "no permission to write there; choose another folder or change its permissions",
    errno.EISDIR: "a folder has this name; move it away and run again",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another folder",
    errno.ENAMETOOLONG: "the name is too long for this file system; shorten it or choose a folder with a shorter path",
    errno.EFBIG: "the file is too large for this file system; choose another disk",
    **dict.fromkeys(
        (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT),
        "the disk does not respond; check that it is connected, and run again",
    ),
    errno.EEXIST: "a part of this path is a file, not a folder; choose another folder",
    errno.ELOOP: "its symbolic links form a loop; choose another folder",
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE),
        "too many files are open; close other programs or raise the limit (ulimit -n), and run again",
    ),
    errno.ENOMEM: "out of memory; close other programs and run again",
    errno.EBUSY: "another program uses it; close that and run again",
}
# How the allocators of the processor, CUDA, ONNX, OpenCV and the loader of libraries say that memory ran out.
_NO_MEMORY = re.compile(
    r"(?i)out ?of ?memory|can't allocate memory|cannot allocate memory|alloc_failed|failed to (re)?allocate|"
    r"insufficient memory|unable to allocate|failed to map segment"
)
# How the loaders of Linux, macOS and Windows say that a compiled library does not load.
_NOT_LOADED = re.compile(
    r"cannot open shared object|undefined symbol|DLL load failed|Library not loaded|symbol not found"
)


def machine_fault(error: BaseException) -> str:
    """Describes what a disk, a folder, a stream or a library refused; empty for an error of another kind."""
    if isinstance(error, ImportError):
        return _import_fault(error)
    if not isinstance(error, OSError):
        return ""
    if error.errno == errno.ENOENT:
        return _absent(error)
    # Whether it was read or written is not known here.
    cause = _CAUSES.get(error.errno or 0, "").replace("no permission to write there", "no permission there")
    if not cause or not error.filename:
        return cause
    place = _closed_folder(error.filename) if isinstance(error, PermissionError) else ""
    return f"cannot read or write {place or error.filename}: {cause}"


def _closed_folder(name: Any) -> str:
    """The folder that keeps a path from being reached: what was looked for in it may be no file that anybody knows."""
    if not isinstance(name, (str, bytes)):
        return ""
    folders = reversed(Path(os.fsdecode(name)).parents)
    return next((str(folder) for folder in folders if folder.is_dir() and not os.access(folder, os.X_OK)), "")


def way_to_read(error: OSError | ValueError, other: str) -> str:
    """Returns how a file that the system refuses to open can be read: by its permissions, or else ``other``."""
    return "change its permissions" if isinstance(error, PermissionError) else other


def _import_fault(error: ImportError) -> str:
    if out_of_memory(error):
        return "out of memory while libraries were loaded; close other programs and run again"
    if _NOT_LOADED.search(str(error)):
        return f"a library does not load ({error}); install crots-studio and its libraries anew"
    return ""


def _absent(error: OSError) -> str:
    if error.filename:
        return f"{error.filename}: no such file or folder; if it was moved or deleted meanwhile, put it back"
    try:
        Path.cwd()
    except FileNotFoundError:
        return "the current folder no longer exists; change to another one and run again"
    return ""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the processor or a GPU."""
    return isinstance(error, MemoryError) or mentions_memory(f"{type(error).__name__} {error}")


def mentions_memory(text: str) -> bool:
    """Whether the message of a library, or the output of a process, means that memory ran out."""
    return _NO_MEMORY.search(text) is not None


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an ``OSError`` while writing to ``path`` into a `StageError` with cause and remedy.

    Raises:
        StageError: the write failed for a reason that the user can fix (full disk, read-only folder ...).
    """
    try:
        yield
    except CrotsError:
        raise
    except Exception as error:
        # Libraries that write files raise errors of their own, which say less or nothing of the disk.
        number = error.errno if isinstance(error, OSError) else _system_error(str(error))
        known = _CAUSES.get(number or 0)
        full = _FULL.search(str(error)) or _is_full(path)
        cause = known or (_CAUSES[errno.ENOSPC] if full else "")
        if isinstance(error, FileNotFoundError) and not exists(path.parent):
            # The error names a temporary file.
            cause = f"the folder {path.parent} has gone; if it was moved, run again with its new place"
        if not cause:
            raise
        raise StageError(f"cannot write {path}: {cause}") from error


def _system_error(text: str) -> int:
    """The number of the system's error that a library in Rust names in its message; 0 if there is none."""
    found = _OS_ERROR.search(text)
    if not found:
        return 0
    number = int(found[1])
    # On Windows that number is of another list, which Python translates.
    return OSError(0, "", None, number).errno or 0 if sys.platform == "win32" else number


def _is_full(path: Path) -> bool:
    """Whether the disk of a path is almost full."""
    for folder in path.parents:
        with contextlib.suppress(OSError):
            return shutil.disk_usage(folder).free < _NEXT_TO_NOTHING
    return False


def expanded(path: Path | str) -> Path:
    """Resolves a leading ``~``; that of an unknown user stays as it is, and no file will be found there."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def exists(path: Path) -> bool:
    """Whether a path exists; False if the folder is not readable, or the name too long."""
    # Path.exists raises in these cases.
    return os.path.exists(path)  # noqa: PTH110


def free_place(wanted: Path) -> Path:
    """Returns a place where nothing lies, not even a broken link: ``out``, or else ``out-2``, ``out-3`` ..."""
    place, number = wanted, 1
    while os.path.lexists(place):
        number += 1
        place = wanted.with_name(f"{wanted.name}-{number}")
    return place


def is_file(path: Path) -> bool:
    """Whether a file exists; False too for impossible names, for which Path.is_file raises."""
    return os.path.isfile(path)  # noqa: PTH113


def file_or_name(value: Path | str, root: Path) -> str:
    """Returns the path of a file named relative to ``root``; a name that is not a file is that of a shipped one."""
    path = root / expanded(value)
    return str(path) if exists(path) and path.is_file() else str(value)


def make_folder(path: Path) -> Path:
    """Creates ``path`` and its parents if they are missing, and returns it.

    Raises:
        StageError: it cannot be created.
    """
    with explained(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:
            # Not in the table of causes: during a write, another file may be missing.
            raise StageError(f"cannot write {path}: no such drive or folder; choose another one") from error
    return path


@contextlib.contextmanager
def atomic_path(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` and moves the file there if the block ends without error.

    The temporary name keeps the suffix, since many writers choose their format by it.

    Args:
        path: the final place; its folder is created.
        durable: flush to the disk before the move, for files that must survive a power cut (checkpoints, records).

    Raises:
        StageError: the disk is full or the folder cannot be written.
    """
    make_folder(path.parent)
    partial = path.with_name(f".{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        with explained(path):
            yield partial
            if durable:
                with partial.open("rb+") as file:
                    os.fsync(file.fileno())
            move_file(partial, path)
    except BaseException:
        # A disk that became read-only refuses this too, with a less helpful message.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


class _DiskFile:
    """A file that remembers the disk's error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


@contextlib.contextmanager
def disk_file(path: Path) -> Iterator[Any]:
    """Opens a file for a library such as torch, which replaces the disk's error by one that does not name it.

    Raises:
        OSError: the disk's error.
    """
    with path.open("wb") as file:
        kept = _DiskFile(file)
        try:
            yield kept
        except RuntimeError as error:
            raise (kept.error or error) from error


def move_file(partial: Path, path: Path) -> None:
    """Moves a file, replacing an existing one.

    Windows refuses this while the old file is open, so it is tried again for a moment.
    """
    for wait in _WAITS if sys.platform == "win32" else ():
        with contextlib.suppress(PermissionError):
            partial.replace(path)
            return
        time.sleep(wait)
    partial.replace(path)


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Writes ``text`` as UTF-8, atomically."""
    with atomic_path(path, durable=durable) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Writes ``value`` as indented JSON, atomically."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    # File names may hold bytes that are not UTF-8; JSON can hold their escapes.
    write_text(path, text.encode(errors="backslashreplace").decode(), durable=durable)


def is_partial(name: str) -> bool:
    """Whether a file has the name of an unfinished one of `atomic_path`."""
    return _PARTIAL.fullmatch(name) is not None


def remove_partials(folder: Path) -> None:
    """Deletes temporary files of killed writers below ``folder``; call it only while nothing else writes there.

    Links are not followed.
    """
    for place, _, names in () if folder.is_symlink() else os.walk(folder):
        for name in filter(is_partial, names):
            Path(place, name).unlink(missing_ok=True)


def digest(value: Any) -> str:
    """Returns a short hexadecimal digest of a JSON-able value, equal for equal values on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_pointer(path: Path) -> bool:
    """Whether a file is what Git LFS leaves in the place of a large one that was not fetched."""
    try:
        with path.open("rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


def file_stamp(path: Path) -> list[Any]:
    """Returns size and modification time in nanoseconds: cheap evidence that a file has not changed."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def listing_digest(folder: Path, *, without: Path | None = None) -> str:
    """Returns a digest of names, sizes and times of all files below ``folder``, except those below ``without``.

    Names are relative, so that moving a dataset as a whole does not change it. Hidden files, files that viewers leave
    behind, broken and circular links, and pipes are skipped.

    Raises:
        InputError: a folder below cannot be read.
    """
    try:
        return _digest_of_rows(sorted(_rows(folder, without)))
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}); change its permissions or move it away"
        ) from error


def content_digest(path: Path) -> str:
    """Returns a digest of a file's bytes, or of the names and bytes of all files below a folder.

    For what users edit and undo by hand: times then differ, the content does not.

    Raises:
        InputError: something cannot be read.
    """
    try:
        if path.is_dir():
            names = sorted(name for name, _ in files_below(path))
            rows = []
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    rows.append([name, _hashed(path / name)])
            return _digest_of_rows(rows)
        if not is_file(path):
            # Reading a pipe would never end.
            raise InputError(f"{path}: is neither a file nor a folder; move it away")
        return _hashed(path)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); change its permissions") from error


def _hashed(path: Path) -> str:
    status = path.stat()
    return _hash(str(path), status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(maxsize=10_000)
def _hash(path: str, *_stamp: int) -> str:
    """A file is read again only when it changed."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def is_left_by_viewers(name: str) -> bool:
    """Whether a file is hidden, or left behind by a program that showed the folder; no input has such a name."""
    return name.startswith(".") or name.lower() in _OF_VIEWERS


def _rows(folder: Path, without: Path | None) -> Iterator[list[Any]]:
    for name, entry in files_below(folder, lambda entry: not without or Path(entry.path) != without):
        if is_left_by_viewers(entry.name):
            continue
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat()
            yield [name, status.st_size, status.st_mtime_ns]


def files_below(
    folder: Path,
    enters: Callable[[os.DirEntry[str]], bool] = lambda _entry: True,
    dead: Callable[[os.DirEntry[str]], None] = lambda _entry: None,
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yields relative name and entry of every file below a folder, in order; links to folders are followed.

    Each folder is entered once, by the first name that leads to it: circular links would otherwise be endless. There is
    no recursion, since folders of unknown origin may be nested as deeply as a disk allows.

    Args:
        folder: where to search.
        enters: decides whether to enter a folder below.
        dead: called with dead and circular links, and pipes.

    Raises:
        OSError: a folder cannot be read.
        InputError: it is, or a link in it leads to, the root of the system's disk, which would take minutes to walk.
    """
    seen: set[tuple[int, int]] = set()
    pending = [_entries(str(folder), "", seen)]
    while pending:
        for name, entry in pending[-1]:
            kind = entry_kind(entry)
            if kind == "file":
                yield name, entry
            elif kind == "folder" and enters(entry):
                pending.append(_entries(entry.path, name + os.sep, seen))
                break
            elif not kind:
                dead(entry)
        else:
            pending.pop()


def _entries(folder: str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    place = identity(folder)
    if place == _system_root():
        raise InputError(f"{folder}: is the root of the system's disk, expected the folder of a data set; choose that")
    # Some file systems on Windows have no file numbers.
    if place in seen and place[1]:
        return
    seen.add(place)
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        yield prefix + entry.name, entry


def entry_kind(entry: os.DirEntry[str]) -> Literal["file", "folder", ""]:
    """The status of a folder entry; None for broken and circular links, pipes, and entries that have just gone."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
    except OSError:
        return ""


def identity(folder: str) -> tuple[int, int]:
    """Identifies a folder, independently of the links that lead to it."""
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino


@functools.cache
def _system_root() -> tuple[int, int]:
    return identity(Path(os.path.expanduser("~")).anchor or os.sep)  # noqa: PTH111 - Path's raises without a home


def _digest_of_rows(rows: list[list[Any]], at_once: int = 1000) -> str:
    """`digest` of a long list in short steps: a single call of the encoder would block all other threads."""
    found = hashlib.sha256(b"[")
    for start in range(0, len(rows), at_once):
        text = json.dumps(rows[start : start + at_once], sort_keys=True, ensure_ascii=True, default=str)
        found.update((", " if start else "").encode() + text[1:-1].encode())
    found.update(b"]")
    return found.hexdigest()[:16]
