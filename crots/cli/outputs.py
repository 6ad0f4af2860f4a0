"""Where commands outside a project write: only over their own earlier results, never over their inputs."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from crots.errors import InputError
from crots.events import from_json
from crots.execution.workers import current
from crots.files import exists, expanded, explained, is_file, is_partial, make_folder, remove_partials, write_json
from crots.inputs import refuse_inputs
from crots.ownership import Owned, check_replaceable, is_link, kind_of, link_status, remove_files, walk
from crots.project import CONFIG_NAME, Project
from crots.project_config import ProjectConfig, named_paths
from crots.records import read_json

if TYPE_CHECKING:
    from crots.data.datasets import Sample

# Records which command made a folder, with which options.
RECORD = "run.json"
# Which files it made. Missing while a run is incomplete; then everything among the results counts as its own.
LISTING = ".crots-files"
# The arguments that name what is written.
_OUTPUTS = ("out", "json", "events", "tensorboard")
# What file managers leave in a folder.
_CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini")
# Letters.
_LONGEST_EVENT = 2**20


def inputs_of(args: argparse.Namespace) -> list[Path]:
    """Returns the files and folders that the arguments of a command name, but for those that it writes."""
    found: list[Path] = []
    for name, value in vars(args).items():
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if name in _OUTPUTS or not isinstance(item, (Path, str)) or not str(item):
                continue
            path = expanded(item)
            # Text names a class set, a network ... or a file of it.
            if exists(path) and (isinstance(item, Path) or path.is_file()):
                found.append(path)
    return found


def inputs_of_config(config: ProjectConfig, root: Path) -> list[Path]:
    """Returns the files and folders that a configuration names, relative ones relative to ``root``."""
    named = [(info, root / expanded(value)) for info, value in named_paths(config).values()]
    return [path for info, path in named if info.path != "name or file" or (exists(path) and path.is_file())]


def check_file(path: Path, inputs: Iterable[Path], *, overwrite: bool, folder: Collection[str] = ()) -> None:
    """Makes sure that a file may be written, before the work for it begins, and that no project takes it for its own.

    Args:
        path: it replaces what is there when it is complete; a link itself, not what it leads to.
        inputs: what the command reads.
        overwrite: the user asked for that.
        folder: the names of the files, where it is a folder of those.

    Raises:
        InputError: it is read, or something is there.
    """
    refuse_inputs([path], inputs)
    with _readable(path):
        status = link_status(path)
    if status is None:
        _disown(path)
        return
    if folder:
        check_replaceable(path, folder)
    elif path.is_dir() or kind_of(status) not in ("a file", "a link"):
        kind = "a folder" if path.is_dir() else kind_of(status)
        raise InputError(f"{path}: is {kind}, expected the name of a file to write", field="out")
    if not overwrite and not (folder and not any(path.iterdir())):
        raise InputError(f"{path}: exists already; replace it with --overwrite, or choose another name", field="out")
    _disown(path)


def _disown(path: Path) -> None:
    """A stage of a project would replace or delete what it has listed, even if another program has written it since."""
    place = Path(os.path.realpath(path.parent)) / path.name
    for folder in place.parents:
        if is_file(folder / CONFIG_NAME):
            project = Project(folder, ProjectConfig())
            for listing in project.files("export").records.glob("*.files"):
                project.files(listing.stem).owned.disown([place])


def check_json_file(args: argparse.Namespace) -> None:
    """Makes sure that the file of ``--json``, if there is to be one, may be written.

    Raises:
        InputError: it is there already, or is read.
    """
    if args.json and args.json != "-":
        check_file(Path(args.json), inputs_of(args), overwrite=args.overwrite)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be written to ({reason}); choose another place", field="out") from error


@contextlib.contextmanager
def event_file(path: Path, args: argparse.Namespace) -> Iterator[IO[str]]:
    """Opens the file of ``--events`` for writing; one of an earlier run is replaced, a pipe or device written to.

    Args:
        path: the file.
        args: of the command.

    Raises:
        InputError: something else is there, or the command reads it.
        StageError: the file cannot be written.
    """
    refuse_inputs([path], inputs_of(args))
    if exists(path) and not path.is_file() and not path.is_dir():
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    with _readable(path):
        if link_status(path) is not None:
            _refuse_other_file(path)
    make_folder(path.parent)
    with explained(path):
        path.unlink(missing_ok=True)
        # Follows no link, even one that is made now.
        file = path.open("x", encoding="utf-8", newline="\n")
    with file:
        yield file


def _refuse_other_file(path: Path) -> None:
    """Makes sure that a file is the event stream of an earlier command."""
    if is_link(path) or not path.is_file():
        kind = "a link" if is_link(path) else "a folder"
        raise InputError(f"{path}: is {kind}, expected the name of a file to write events to", field="events")
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline(_LONGEST_EVENT)
    try:
        if first:
            from_json(first)
    except InputError:
        raise InputError(
            f"{path}: exists already and holds no events of an earlier run; choose another name for --events",
            field="events",
        ) from None


@dataclass(frozen=True)
class Claim:
    """The right to write results to a folder, and what will be noted there.

    Attributes:
        out: the folder.
        results: the files and folders below it that the command writes.
        record: for `RECORD`.
        foreign: files among the results that somebody else made; `take` and `settle` leave them alone.
        clear: results of an earlier run are deleted when all inputs have proved good.
    """

    out: Path
    results: tuple[str, ...]
    record: dict[str, Any]
    foreign: frozenset[str]
    clear: bool

    def take(self, samples: Iterable[Sample] = ()) -> None:
        """Notes what is made here; called when all inputs have proved good.

        Args:
            samples: images and labels that are read, which a list may name anywhere.

        Raises:
            InputError: one of them lies where the results go.
        """
        places = _places(self.out, self.results)
        refuse_inputs(places, _folders(samples), around=False)
        current().from_first(self._begin)

    def settle(self) -> None:
        """Notes which files were made, when all are; the first worker's work."""
        made = _files(self.out, self.results).difference(self.foreign)
        _owned(self.out, self.record["command"]).claim(made)

    def _begin(self) -> None:
        owned = _owned(self.out, self.record["command"])
        make_folder(self.out)
        remove_partials(self.out)
        ours = _files(self.out, self.results).difference(self.foreign)
        if self.clear:
            remove_files(owned.root, ours)
            ours = frozenset()
        if self.foreign:
            # A run that does not end leaves a listing that distinguishes those.
            owned.claim(ours)
        else:
            with explained(owned.listing):
                owned.listing.unlink(missing_ok=True)
        write_json(self.out / RECORD, self.record)


def claimed(
    out: Path,
    inputs: Iterable[Path],
    results: Collection[str],
    record: dict[str, Any],
    *,
    overwrite: bool = False,
    clear: bool = True,
) -> Claim:
    """Makes sure that a command's results may be written to a folder.

    Args:
        out: the folder.
        inputs: what the command reads.
        results: the files and folders below it that the command writes.
        record: says the ``command``.
        overwrite: the user wants files replaced that the command did not make.
        clear: see `Claim`.

    Raises:
        InputError: the results would lie in what is read, or replace it or what another command or somebody made.
    """
    if exists(out) and not out.is_dir():
        raise InputError(f"{out}: is a file, expected a folder to write to; choose another --out", field="out")
    refuse_inputs(_places(out, results), inputs)
    command = record["command"]
    with _readable(out):
        foreign = _foreign(out, results, command)
    if foreign and not overwrite:
        raise InputError(
            f"{out / min(foreign)}: exists already, and crots {command} did not write it; choose another folder for "
            "--out, or replace what is there with --overwrite",
            field="out",
        )
    return Claim(out, tuple(results), record, foreign - {RECORD}, clear)


def _foreign(out: Path, results: Iterable[str], command: str) -> frozenset[str]:
    """The files among the results that the command did not make, and the record of another one."""
    status = link_status(out / RECORD)
    if status is not None:
        _refuse_odd(out / RECORD, status)
    by_command = (read_json(out / RECORD) or {}).get("command") == command
    others = frozenset({RECORD}) if status is not None and not by_command else frozenset()
    owned, there = _owned(out, command), _files(out, results)
    if link_status(owned.listing) is None:
        # Of a run that was not complete, or of version 0.1.
        return others if by_command else others | there
    return others | there.difference(owned.names())


def _owned(out: Path, command: str) -> Owned:
    # The folder itself may be a link: the user named it.
    root = Path(os.path.realpath(out))
    return Owned(root, root / LISTING, f"crots {command}")


def _places(out: Path, results: Iterable[str]) -> list[Path]:
    return [out / name for name in (*results, RECORD, LISTING)]


def _files(out: Path, results: Iterable[str]) -> frozenset[str]:
    """The names below a folder of all files among the results.

    Raises:
        InputError: there is a link among them, through which they would be written.
    """
    found: list[str] = []
    for result in results:
        path = out / result
        status = link_status(path)
        if status is None:
            continue
        if not stat.S_ISDIR(status.st_mode):
            _refuse_odd(path, status)
            found.append(result)
            continue
        for name, entry in walk(path):
            if is_partial(entry.name) or entry.name in _CLUTTER:
                continue
            _refuse_odd(Path(entry.path), entry.stat(follow_symlinks=False))
            found.append(f"{result}/{name}")
    return frozenset(found)


def _refuse_odd(path: Path, status: os.stat_result) -> None:
    if (kind := kind_of(status)) != "a file":
        raise InputError(f"{path}: is {kind}, expected a file or folder of earlier results; move it away", field="out")


def _folders(samples: Iterable[Sample]) -> list[Path]:
    """Where images and labels lie."""
    found: dict[Path, None] = {}
    for sample in samples:
        for path in filter(None, (sample.image, sample.label)):
            found[path.parent] = None
            if is_link(path):
                found[Path(os.path.realpath(path))] = None
    return list(found)
