"""The listing of files that CROTS made below a folder; only those are replaced or deleted, never through a link."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from crots.errors import InputError, StageError
from crots.files import explained, is_partial, make_folder, move_file, way_to_read, write_text
from crots.records import parse, read_plain

_HEADER = "# Files made by "
# Files that file managers leave in folders; they are ignored.
_CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


class Owned:
    """The files below ``root`` that CROTS made, by their listing.

    A listing holds names only, since copying a project changes the times; the first line names the maker.
    """

    def __init__(self, root: Path, listing: Path, maker: str) -> None:
        """Binds a folder to its listing.

        Args:
                    root: what the names are relative to.
                    listing: the file that holds the names; it may lie in ``root``.
                    maker: the stage or command; files of other makers are not its own.
        """
        self.root, self.listing, self.maker = root, listing, maker

    def names(self) -> frozenset[str]:
        """Returns the listed names, relative with ``/``; none if there is no listing, or if it is another maker's.

        Raises:
            InputError: the listing is damaged, or names something that cannot lie below ``root``.
        """
        lines = self._lines()
        if not lines or lines[0] != f"{_HEADER}{self.maker}":
            return frozenset()
        return frozenset(self._name(number, line) for number, line in enumerate(lines[1:], 2))

    def foreign(self, most: int = 3) -> list[str]:
        """Returns the first names below ``root`` that are not listed; links and folders in a listed place count.

        Raises:
            InputError: the listing is damaged, or ``root`` is a link.
        """
        found: list[str] = []
        names = self.names()
        for name, entry in walk(self.root):
            if name in names and not entry.is_symlink():
                continue
            if is_partial(entry.name) or entry.name in _CLUTTER or self._is_listing(entry):
                continue
            found.append(name)
            if len(found) >= most:
                break
        return found

    def claim(self, names: Iterable[str]) -> None:
        """Records durably that CROTS made these files.

        Raises:
            InputError: a name does not lie below ``root``.
        """
        listed = sorted(set(names))
        for name in listed:
            if not is_below(name):
                raise InputError(f"{self.listing}: {name!r} does not lie below {self.root}; nothing was recorded")
        lines = [f"{_HEADER}{self.maker}", *map(json.dumps, listed)]
        write_text(self.listing, "\n".join(lines) + "\n", durable=True)

    def disown(self, paths: Iterable[Path]) -> None:
        """Removes files, and those in folders, from the listing: what others write there is not CROTS's own."""
        names = self.names()
        theirs = [path.relative_to(self.root).as_posix() for path in paths if path.is_relative_to(self.root)]
        # One of the paths may be a folder.
        kept = {name for name in names if not any(name == path or name.startswith(f"{path}/") for path in theirs)}
        if kept != names:
            self.claim(kept)

    def remove(self) -> None:
        """Deletes the listed files, the folders below ``root`` that become empty, and then the listing.

        Links, their targets, and folders in the place of a file stay.

        Raises:
            InputError: the listing is damaged, or ``root`` is a link.
            StageError: a file cannot be deleted.
        """
        names = self.names()
        remove_files(self.root, names)
        if names:
            self.listing.unlink(missing_ok=True)

    def _is_listing(self, entry: os.DirEntry[str]) -> bool:
        return entry.name == self.listing.name and Path(entry.path) == self.root / self.listing.name == self.listing

    def _lines(self) -> list[str]:
        status = link_status(self.listing)
        if status is None:
            return []
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{self.listing}: is {kind_of(status)}, expected a file; {_WAY_OUT}")
        try:
            return (read_plain(self.listing, remedy=_WAY_OUT) or b"").decode().splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{self.listing}: cannot be read ({error}); {_WAY_OUT}") from None

    def _name(self, number: int, line: str) -> str:
        with contextlib.suppress(ValueError):
            name = parse(line)
            if isinstance(name, str) and is_below(name):
                return name
        found = ascii(line if len(line) <= 60 else f"{line[:60]}...")
        raise InputError(
            f"{self.listing}, line {number}: found {found}, expected the name of a file below the folder; {_WAY_OUT}"
        )


_WAY_OUT = "delete it, and move the files that it should list out of the way"


def is_below(name: str) -> bool:
    """Whether a name is a plain relative path with ``/`` that cannot lead out of its folder."""
    if os.name == "nt" and re.search(r"[\\:]", name):
        return False
    parts = name.split("/")
    return _is_possible(name) and not _DRIVE.match(name) and not {"", ".", ".."}.intersection(parts)


def _is_possible(name: str) -> bool:
    """Whether a file could have this name: JSON may hold lone surrogates."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def link_status(path: Path) -> os.stat_result | None:
    """The status of a path, without following links; None if there is nothing."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # A listing may hold any name.
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise


def is_link(path: Path) -> bool:
    """Whether a path is a link to another place, a junction of Windows among them."""
    status = link_status(path)
    return status is not None and _leads_away(status)


def _leads_away(status: os.stat_result) -> bool:
    # Only Windows has the second; None equals no tag.
    junction = getattr(status, "st_reparse_tag", 0) == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    return stat.S_ISLNK(status.st_mode) or junction


def kind_of(status: os.stat_result) -> str:
    """Names the kind of a file: ``a link``, ``a folder`` ..."""
    if _leads_away(status):
        return "a link"
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(status.st_mode), "a device")


def walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yields name and entry of everything below a folder that is not a folder, in order; follows no link.

    Raises:
        InputError: ``root`` is a link, or a folder cannot be read.
    """
    _refuse_link(root)
    if root.is_dir():
        yield from _walk(str(root))


def _walk(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    # No recursion: folders of unknown origin may be nested as deeply as a disk allows.
    pending = [_entries(root, "")]
    while pending:
        for name, entry in pending[-1]:
            if entry.is_dir(follow_symlinks=False) and not is_link(Path(entry.path)):
                pending.append(_entries(entry.path, f"{name}/"))
                break
            yield name, entry
        else:
            pending.pop()


def _entries(folder: str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); {way_to_read(error, 'move it away')}") from None
    for entry in ordered:
        yield f"{prefix}{entry.name}", entry


def remove_files(root: Path, names: Iterable[str]) -> None:
    """Deletes files below ``root``, then the folders below it that become empty; follows no link.

    Args:
        root: the folder, which stays.
        names: relative with ``/``, each accepted by `is_below`.

    Raises:
        InputError: ``root`` is a link.
        StageError: a file cannot be deleted.
    """
    _refuse_link(root)
    real: dict[str, bool] = {"": True}
    for name in names:
        path = root / name
        if not _is_real(root, str(PurePosixPath(name).parent).removeprefix("."), real):
            continue
        status = link_status(path)
        if status is not None and stat.S_ISREG(status.st_mode) and not _leads_away(status):
            with explained(path):
                path.unlink(missing_ok=True)
    # Deepest first.
    for folder in sorted(filter(None, real), key=lambda name: -name.count("/")):
        if real[folder]:
            with contextlib.suppress(OSError):
                (root / folder).rmdir()


def _is_real(root: Path, folder: str, known: dict[str, bool]) -> bool:
    """Whether a folder below ``root`` exists and is reached without a link."""
    unknown: list[str] = []
    while folder not in known:
        unknown.append(folder)
        folder = folder.rpartition("/")[0]
    # No recursion: a listing may hold any name.
    for name in reversed(unknown):
        status = link_status(root / name) if known[name.rpartition("/")[0]] else None
        known[name] = status is not None and stat.S_ISDIR(status.st_mode) and not _leads_away(status)
        folder = name
    return known[folder]


def _refuse_link(root: Path) -> None:
    if is_link(root):
        raise InputError(f"{root}: is a link, expected a folder; its target was left alone. Remove the link")


def check_place(root: Path, path: Path, kind: Literal["file", "folder"]) -> None:
    """Makes sure that writing to ``path`` follows no link, on the way from ``root`` or at the end.

    Raises:
        InputError: a part is a link or not a folder, or ``path`` is not of ``kind``.
    """
    names = path.relative_to(root).parts
    parts = [root.joinpath(*names[:count]) for count in range(len(names) + 1)]
    for part in parts:
        status = link_status(part)
        if status is None:
            return
        wanted = kind if part == path else "folder"
        found = kind_of(status)
        if found != f"a {wanted}":
            raise InputError(f"{part}: is {found}, expected a {wanted} that CROTS writes to; move it away")


def move_files(source: Path, target: Path, names: Iterable[str], ours: Collection[str] = ()) -> None:
    """Moves files to the same names below another folder of the same disk; files that were moved before stay.

    Args:
        source: the folder to move from; missing files count as moved.
        target: the folder to move to.
        names: relative with ``/``, each accepted by `is_below`.
        ours: files that may be replaced.

    Raises:
        InputError: a file that is not ours is in the way; it is left alone.
        StageError: a file cannot be moved.
    """
    real: dict[str, bool] = {"": True}
    for name in names:
        path, place = source / name, target / name
        # Files behind a link do not belong to the work.
        if not _is_real(source, name.rpartition("/")[0], real) or link_status(path) is None:
            continue
        check_place(target, place, "file")
        if name not in ours and link_status(place) is not None:
            raise in_the_way(place)
        make_folder(place.parent)
        with explained(place):
            move_file(path, place)


def make_folders(source: Path, target: Path) -> None:
    """Creates below one folder all folders that exist below another.

    Raises:
        InputError: a link or a file is in the way.
    """
    for place, names, _ in os.walk(source):
        names[:] = (name for name in names if not is_link(Path(place, name)))
        folder = target / Path(place).relative_to(source)
        check_place(target, folder, "folder")
        make_folder(folder)


def in_the_way(path: Path) -> InputError:
    """Returns the error for a file that is in the way of an output; it was left alone."""
    return InputError(f"{path}: was not made by CROTS and is in the way of its output; move it away and run again")


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``path`` that gets its name if the block ends without error.

    Raises:
        InputError: something is there that is no older folder of the same files; it is left alone.
        StageError: the disk is full or the folder cannot be written.
    """
    make_folder(path.parent)
    partial, older = (path.with_name(f".{secrets.token_hex(4)}.partial") for _ in range(2))
    try:
        with explained(path):
            partial.mkdir()
            yield partial
            for _, entry in walk(partial):
                with Path(entry.path).open("rb+") as file:
                    os.fsync(file.fileno())
            check_replaceable(path, [name for name, _ in walk(partial)])
            if link_status(path) is not None:
                move_file(path, older)
            try:
                move_file(partial, path)
            except OSError:
                if link_status(older) is not None:
                    move_file(older, path)
                raise
    except StageError as error:
        # The name of the unfinished folder would mean nothing to the user.
        raise StageError(str(error).replace(str(partial), str(path))) from error
    finally:
        for left in (partial, older):
            # A disk that became read-only refuses this too, with a less helpful message.
            with contextlib.suppress(StageError):
                remove_tree(left)


def check_replaceable(path: Path, names: Collection[str]) -> None:
    """Makes sure that nothing is lost where a folder is written to ``path``.

    Args:
        path: its place.
        names: of the files in it.

    Raises:
        InputError: something else is there.
    """
    status = link_status(path)
    if status is None:
        return
    if kind_of(status) != "a folder":
        raise InputError(f"{path}: is {kind_of(status)}, expected the name of a folder to write", field="out")
    for name, entry in _entries(str(path), ""):
        if kind_of(entry.stat(follow_symlinks=False)) != "a file" or name not in (*names, *_CLUTTER):
            raise InputError(
                f"{path}: exists and contains {name}, which the export does not write; choose another name",
                field="out",
            )


def remove_tree(folder: Path) -> None:
    """Deletes a folder with its content; links in it are deleted, not their targets.

    Raises:
        InputError: the folder itself is a link.
        StageError: something in it cannot be deleted.
    """
    _refuse_link(folder)
    try:
        with explained(folder), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
    except RecursionError:
        raise StageError(f"{folder}: its folders are nested too deeply to be deleted; delete it yourself") from None
