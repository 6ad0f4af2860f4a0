"""The files of one stage: its last complete result, and the work on the next one, which replaces it only when complete.

A stage writes and is resumed in a folder of its own for unfinished work. When it is complete, a journal says so, and
from then on the next result takes the place of the last: what the last one's listing names is deleted, the new files
are moved in, and listing and record are written. A kill in between is made good from the journal before anything else
is done. Until the journal is there, the last result and its record are as they were.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crots.earlier import earlier_names
from crots.errors import InputError
from crots.files import digest, is_partial, write_json, write_text
from crots.ownership import (
    Owned,
    check_place,
    in_the_way,
    is_below,
    is_link,
    link_status,
    make_folders,
    move_files,
    remove_files,
    remove_tree,
    walk,
)
from crots.records import read_json


@dataclass(frozen=True)
class StageFiles:
    """Where the files of one stage lie.

    Attributes:
        root: the folder of the project, below which all others lie.
        key: of the stage.
        final: gets the complete result.
        work: holds what is not finished.
        records: holds what is noted of both.
        own: what names of its files begin with, where others may keep files in ``final``; empty where all is its own.
    """

    root: Path
    key: str
    final: Path
    work: Path
    records: Path
    own: str = ""

    @property
    def record(self) -> Path:
        """The proof that there is a complete result, and with what it was made."""
        return self.records / f"{self.key}.json"

    @property
    def started(self) -> Path:
        """With what the unfinished work was begun; there is none without it."""
        return self.records / f"{self.key}.started.json"

    @property
    def journal(self) -> Path:
        """Says that the work is complete, until it is the result."""
        return self.records / f"{self.key}.publishing.json"

    @property
    def owned(self) -> Owned:
        """Which files in ``final`` are the stage's."""
        return Owned(self.final, self.records / f"{self.key}.files", f"the stage {self.key}")

    def continues(self, inputs: Mapping[str, Any]) -> bool:
        """Whether the unfinished work, if any, was begun with these inputs and so can be gone on with."""
        started = read_json(self.started)
        return started is not None and digest(started.get("inputs")) == digest(inputs)

    def begin(self, inputs: Mapping[str, Any]) -> bool:
        """Notes that work begins; True when unfinished work with the same inputs is continued.

        Raises:
            InputError: something that is not the stage's own lies where its result or its work belongs.
        """
        self.settle()
        self._refuse_foreign()
        # Nobody but a stranger puts a link there, and what is written through it would lie outside.
        continued = self.continues(inputs) and not any(is_link(Path(entry.path)) for _, entry in walk(self.work))
        if not continued:
            self.discard()
        self._note_start(inputs)
        return continued

    def publish(self, facts: Mapping[str, Any], *, without: Collection[str] = ()) -> None:
        """Makes the work the result.

        Args:
            facts: for the record, beside the inputs.
            without: files of the work that only an unfinished stage needs.

        Raises:
            InputError: something that is not the stage's own is in the way; the work is kept.
            StageError: a file cannot be moved; the next run does it.
        """
        names = [name for name, entry in walk(self.work) if entry.is_file(follow_symlinks=False)]
        names = [name for name in names if name not in without and not is_partial(name.rpartition("/")[2])]
        self._refuse_foreign()
        started = read_json(self.started) or {}
        record = {**started, **facts}
        # Escaped, since a file's name need not be text.
        write_text(self.journal, json.dumps({"files": names, "record": record}) + "\n", durable=True)
        self._publish(names, record)

    def settle(self) -> None:
        """Makes good what a kill left between work and result, and takes over the files of version 0.1.

        Raises:
            InputError: what is noted of the files is damaged, or something else lies in their place.
        """
        for path in (self.final, self.work, self.records):
            check_place(self.root, path, "folder")
        for path in (self.record, self.started, self.journal, self.owned.listing):
            check_place(self.records, path, "file")
        self._adopt()
        if link_status(self.journal):
            names, record = _read_journal(self.journal)
            self._publish(names, record)

    def _publish(self, names: Collection[str], record: Mapping[str, Any]) -> None:
        """Each step may be repeated after a kill."""
        ours = self.owned.names()
        remove_files(self.final, ours.difference(names))
        make_folders(self.work, self.final)
        move_files(self.work, self.final, names, ours)
        self.owned.claim(names)
        write_json(self.record, record, durable=True)
        self.started.unlink(missing_ok=True)
        remove_tree(self.work)
        self.journal.unlink()

    def discard(self) -> None:
        """Throws the unfinished work away; the last complete result stays.

        Raises:
            InputError: no work was begun, so that what lies in its place is somebody else's.
        """
        if self.started.exists():
            # First of all, so that after a kill in between no run goes on from what is left.
            self._note_start(None)
        elif found := next((name for name, _ in walk(self.work)), None):
            raise in_the_way(self.work / found)
        remove_tree(self.work)
        self.started.unlink(missing_ok=True)

    def _note_start(self, inputs: Mapping[str, Any] | None) -> None:
        # Version 0.1 did not say where, since it worked in the place of the result.
        started = {"inputs": inputs, "in": self.work.relative_to(self.root).as_posix()}
        write_json(self.started, started, durable=True)

    def _refuse_foreign(self) -> None:
        most = sys.maxsize if self.own else 1
        for name in self.owned.foreign(most):
            # A disk may take upper and lower case for the same.
            if name.lower().startswith(self.own):
                raise in_the_way(self.final / name)

    def _adopt(self) -> None:
        """Version 0.1 kept no listing; what it noted tells which files were its own."""
        noted = read_json(self.record) or read_json(self.started)
        if noted is not None and "in" not in noted and not self.owned.listing.exists():
            self.owned.claim(earlier_names(self.key, self.final))


def _read_journal(path: Path) -> tuple[list[str], dict[str, Any]]:
    found = read_json(path) or {}
    names, record = found.get("files"), found.get("record")
    if isinstance(names, list) and isinstance(record, dict) and all(map(_is_name, names)):
        return names, record
    raise InputError(f"{path}: is damaged; delete it, and the stage goes on from what it had done")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and is_below(value)
