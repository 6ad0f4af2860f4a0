"""The files of one stage: its last complete result, and the work on the next, which replaces it only when complete.

A stage writes and is resumed in its own folder for unfinished work. When the work is complete, a journal is written and
then it replaces the last result: the files in the last listing are deleted, the new files are moved in, and listing and
record are written. After a kill in between, the replacement is completed from the journal before anything else. Until
the journal exists, the last result and its record stay as they were.
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
    """The places of the files of one stage.

    Attributes:
        root: the folder of the project, below which all others lie.
        key: of the stage.
        final: folder of the complete result.
        work: folder of unfinished work.
        records: folder of the records of both.
        own: prefix of its file names if others may keep files in ``final``; empty if all files are its own.
    """

    root: Path
    key: str
    final: Path
    work: Path
    records: Path
    own: str = ""

    @property
    def record(self) -> Path:
        """The record of the complete result, with the inputs that it was made from."""
        return self.records / f"{self.key}.json"

    @property
    def started(self) -> Path:
        """The inputs of the unfinished work; without this file there is none."""
        return self.records / f"{self.key}.started.json"

    @property
    def journal(self) -> Path:
        """Exists while complete work is being moved to the result."""
        return self.records / f"{self.key}.publishing.json"

    @property
    def owned(self) -> Owned:
        """The listing of the stage's files in ``final``."""
        return Owned(self.final, self.records / f"{self.key}.files", f"the stage {self.key}")

    def read_start(self) -> dict[str, Any] | None:
        """What was noted when the unfinished work began, without damaged ``inputs``; None where there is none."""
        started = read_json(self.started)
        if started is not None and not isinstance(started.get("inputs"), dict):
            started.pop("inputs", None)
        return started

    def continues(self, inputs: Mapping[str, Any]) -> bool:
        """Whether there is unfinished work that was begun with these inputs and so can be continued."""
        started = self.read_start()
        return started is not None and digest(started.get("inputs")) == digest(inputs)

    def begin(self, inputs: Mapping[str, Any]) -> bool:
        """Records that work begins; True if unfinished work with the same inputs is continued.

        Raises:
            InputError: files that are not the stage's own lie where its result or its work belongs.
        """
        self.settle()
        self._refuse_foreign()
        # We never create a link there, and writing through one would leave the project.
        continued = self.continues(inputs) and not any(is_link(Path(entry.path)) for _, entry in walk(self.work))
        if not continued:
            self.discard()
        self._note_start(inputs)
        return continued

    def publish(self, facts: Mapping[str, Any], *, without: Collection[str] = ()) -> None:
        """Turns the work into the result.

        Args:
            facts: for the record, beside the inputs.
            without: files of the work that only an unfinished stage needs.

        Raises:
            InputError: a file that is not the stage's own is in the way; the work is kept.
            StageError: a file cannot be moved; the next run tries again.
        """
        names = [name for name, entry in walk(self.work) if entry.is_file(follow_symlinks=False)]
        names = [name for name in names if name not in without and not any(map(is_partial, name.split("/")))]
        self._refuse_foreign()
        started = read_json(self.started) or {}
        record = {**started, **facts}
        # Escaped, since file names may hold bytes that are not UTF-8.
        write_text(self.journal, json.dumps({"files": names, "record": record}) + "\n", durable=True)
        self._publish(names, record)

    def settle(self) -> None:
        """Completes a replacement that a kill interrupted, and takes over the files of version 0.1.

        Raises:
            InputError: the records of the files are damaged, or other files lie in their place.
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
        """Moves the work to the result; each step may be repeated after a kill."""
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
        """Deletes the unfinished work; the last complete result stays.

        Raises:
            InputError: no work was begun, so the files in its place belong to someone else.
        """
        if self.started.exists():
            # First, so that after a kill in between no run continues from the remains.
            self._note_start(None)
        elif found := next((name for name, _ in walk(self.work)), None):
            raise in_the_way(self.work / found)
        remove_tree(self.work)
        self.started.unlink(missing_ok=True)

    def _note_start(self, inputs: Mapping[str, Any] | None) -> None:
        # Version 0.1 worked in the place of the result.
        started = {"inputs": inputs, "in": self.work.relative_to(self.root).as_posix()}
        write_json(self.started, started, durable=True)

    def _refuse_foreign(self) -> None:
        most = sys.maxsize if self.own else 1
        for name in self.owned.foreign(most):
            # Upper and lower case may mean the same file.
            if name.lower().startswith(self.own):
                raise in_the_way(self.final / name)

    def _adopt(self) -> None:
        """Writes the listing that version 0.1 did not keep, from its records."""
        noted = read_json(self.record) or read_json(self.started)
        if noted is not None and "in" not in noted and not self.owned.listing.exists():
            self.owned.claim(earlier_names(self.key, self.final))


def _read_journal(path: Path) -> tuple[list[str], dict[str, Any]]:
    found = read_json(path) or {}
    names, record = found.get("files"), found.get("record")
    if isinstance(names, list) and isinstance(record, dict) and all(map(_is_name, names)):
        return names, record
    raise InputError(f"{path}: is damaged; delete it, and the stage continues from its unfinished work")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and is_below(value)
