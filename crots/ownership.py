"""Which files below a folder CROTS made, by a listing; only those are replaced or deleted, and never through a link."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from crots.errors import InputError, StageError
from crots.files import explained, is_partial, make_folder, move_file, write_text
from crots.records import parse, read_plain

_HEADER = "# Files made by "
# What file managers leave in every folder that somebody looks at: nobody's work, and in nobody's way.
_CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


class Owned:
    """The files below ``root`` that CROTS made, by their listing.

    A listing holds names only, since a project that is copied gets new times; the first line says who made them.
    """

    def __init__(self, root: Path, listing: Path, maker: str) -> None:
        """Names the folder.

        Args:
            root: what the names are relative to.
            listing: where they are kept; it may lie in ``root``.
            maker: the stage or command; files of another one are not its own.
        """
        self.root, self.listing, self.maker = root, listing, maker

    def names(self) -> frozenset[str]:
        """Returns the listed names, relative with ``/``; none where there is no listing, or it is another maker's.

        Raises:
            InputError: the listing is damaged, or names something that cannot lie below ``root``.
        """
        lines = self._lines()
        if not lines or lines[0] != f"{_HEADER}{self.maker}":
            return frozenset()
        return frozenset(self._name(number, line) for number, line in enumerate(lines[1:], 2))

    def foreign(self, most: int = 3) -> list[str]:
        """Returns the first names below ``root`` that are not listed, a link or folder in a listed place among them.

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
        """Notes, durably and at once, that these files are CROTS's own.

        Raises:
            InputError: a name does not lie below ``root``.
        """
        listed = sorted(set(names))
        for name in listed:
            if not is_below(name):
                raise InputError(f"{self.listing}: {name!r} does not lie below {self.root}; nothing was noted")
        lines = [f"{_HEADER}{self.maker}", *map(json.dumps, listed)]
        write_text(self.listing, "\n".join(lines) + "\n", durable=True)

    def disown(self, paths: Iterable[Path]) -> None:
        """Strikes files off the listing: what somebody else writes in their place is not CROTS's own."""
        names = self.names()
        theirs = {path.relative_to(self.root).as_posix() for path in paths if path.is_relative_to(self.root)}
        if names & theirs:
            self.claim(names - theirs)

    def remove(self) -> None:
        """Deletes the listed files, the folders below ``root`` that became empty by that, and then the listing.

        What a link leads to, a link itself, and a folder in the place of a file stay.

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
    """Whether a name is a plain relative one with ``/``: it cannot lead out of the folder that it is relative to."""
    if os.name == "nt" and re.search(r"[\\:]", name):
        return False
    parts = name.split("/")
    return _is_possible(name) and not _DRIVE.match(name) and not {"", ".", ".."}.intersection(parts)


def _is_possible(name: str) -> bool:
    """Whether a disk could have such a name: JSON knows halves of letters, too."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def link_status(path: Path) -> os.stat_result | None:
    """What lies at a path, without following a link; None where there is nothing."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # A listing may say any name.
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise


def is_link(path: Path) -> bool:
    """Whether a path is a link to another place, a junction of Windows among them."""
    status = link_status(path)
    return status is not None and _leads_away(status)


def _leads_away(status: os.stat_result) -> bool:
    # Only Windows has the second; None is equal to no tag.
    junction = getattr(status, "st_reparse_tag", 0) == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    return stat.S_ISLNK(status.st_mode) or junction


def kind_of(status: os.stat_result) -> str:
    """Says in words what lies there: ``a link``, ``a folder`` ..."""
    if _leads_away(status):
        return "a link"
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(status.st_mode), "a device")


def walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yields name and entry of everything below a folder that is not itself a folder, in order; follows no link.

    Raises:
        InputError: ``root`` is a link, or a folder cannot be looked into.
    """
    _refuse_link(root)
    if root.is_dir():
        yield from _walk(str(root))


def _walk(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    # No recursion: a stranger's folders may be nested as deep as their disk allows.
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
        raise InputError(f"{folder}: cannot be looked into ({error.strerror}); move it away") from None
    for entry in ordered:
        yield f"{prefix}{entry.name}", entry


def remove_files(root: Path, names: Iterable[str]) -> None:
    """Deletes files below ``root``, then the folders below it that became empty by that; follows no link.

    Args:
        root: the folder, which stays.
        names: relative with ``/``, each as `is_below` wants it.

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
    # The deepest first.
    for folder in sorted(filter(None, real), key=lambda name: -name.count("/")):
        if real[folder]:
            with contextlib.suppress(OSError):
                (root / folder).rmdir()


def _is_real(root: Path, folder: str, known: dict[str, bool]) -> bool:
    """Whether a folder below ``root`` is there and reached without a link."""
    unknown: list[str] = []
    while folder not in known:
        unknown.append(folder)
        folder = folder.rpartition("/")[0]
    # No recursion: a listing may say any name.
    for name in reversed(unknown):
        status = link_status(root / name) if known[name.rpartition("/")[0]] else None
        known[name] = status is not None and stat.S_ISDIR(status.st_mode) and not _leads_away(status)
        folder = name
    return known[folder]


def _refuse_link(root: Path) -> None:
    if is_link(root):
        raise InputError(f"{root}: is a link, expected a folder; what it leads to was left alone. Remove the link")


def check_place(root: Path, path: Path, kind: Literal["file", "folder"]) -> None:
    """Makes sure that what is written to ``path`` is written there: no link lies on the way from ``root``, or there.

    Raises:
        InputError: a part is a link, or something else than a folder, or ``path`` something else than ``kind``.
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
    """Moves files below one folder to the same names below another one of the same disk; what is moved already stays.

    Args:
        source: where they are; those that are not there count as moved.
        target: where they belong.
        names: relative with ``/``, each as `is_below` wants it.
        ours: what may be replaced.

    Raises:
        InputError: something that is not ours is in the way; it is left alone.
        StageError: a file cannot be moved.
    """
    real: dict[str, bool] = {"": True}
    for name in names:
        path, place = source / name, target / name
        # What is reached through a link is not of the work, however the names came about.
        if not _is_real(source, name.rpartition("/")[0], real) or link_status(path) is None:
            continue
        check_place(target, place, "file")
        if name not in ours and link_status(place) is not None:
            raise in_the_way(place)
        make_folder(place.parent)
        with explained(place):
            move_file(path, place)


def make_folders(source: Path, target: Path) -> None:
    """Makes, below one folder, the folders that are below another, empty ones too.

    Raises:
        InputError: a link or a file is in the way.
    """
    for place, names, _ in os.walk(source):
        names[:] = (name for name in names if not is_link(Path(place, name)))
        folder = target / Path(place).relative_to(source)
        check_place(target, folder, "folder")
        make_folder(folder)


def in_the_way(path: Path) -> InputError:
    """Says that something lies where CROTS writes, and was left alone."""
    return InputError(f"{path}: was not made by CROTS and is in the way of what it writes; move it away and run again")


def remove_tree(folder: Path) -> None:
    """Deletes a folder with all that is in it; a link in it goes, not what it leads to.

    Raises:
        InputError: the folder itself is a link.
        StageError: something in it cannot be deleted.
    """
    _refuse_link(folder)
    try:
        with explained(folder), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
    except RecursionError:
        raise StageError(f"{folder}: its folders are nested too deep to be deleted; delete it yourself") from None
