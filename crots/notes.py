"""Titles and notes of the user for a project and its runs, kept with the project; nothing depends on them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, TypedDict

from crots.eventlog import read_events
from crots.events import StageStarted
from crots.files import make_folder, write_json
from crots.ownership import check_place
from crots.records import read_as

LONGEST_TITLE = 120
LONGEST_NOTE = 4000


@dataclass(frozen=True)
class RunNote:
    """A title and a note for a project or a run; either may be empty."""

    title: str = ""
    note: str = ""

    def __bool__(self) -> bool:
        return bool(self.title or self.note)

    @property
    def line(self) -> str:
        """Both in a line: ``no mixing: worse on poles``."""
        return ": ".join(filter(None, (self.title, " ".join(self.note.split()))))


def tidy(title: str, note: str) -> RunNote:
    """Returns what a person typed or pasted, within bounds: a title is one line without control characters."""
    line = "".join(filter(str.isprintable, " ".join(title.split())))
    text = "".join(letter for letter in note.expandtabs() if letter == "\n" or letter.isprintable())
    return RunNote(line[:LONGEST_TITLE].strip(), text.strip()[:LONGEST_NOTE])


@dataclass(frozen=True)
class Notes:
    """Of one project.

    Attributes:
        project: its own.
        runs: by `run_key`.
    """

    project: RunNote = RunNote()
    runs: dict[str, RunNote] = field(default_factory=dict)

    def of(self, key: str) -> RunNote:
        """Returns the note of a run, of the project itself for an empty key."""
        return self.runs.get(key, RunNote()) if key else self.project

    def having(self, key: str, note: RunNote) -> Notes:
        """Returns them with one replaced; an empty one is none."""
        if not key:
            return replace(self, project=note)
        rest = {other: kept for other, kept in self.runs.items() if other != key}
        return replace(self, runs={**rest, key: note} if note else rest)


def run_key(stage: str, started: float) -> str:
    """Identifies a run of a stage: by when it began, which no later run shares."""
    return f"{stage}@{started:.3f}"


class _Note(TypedDict):
    title: Annotated[str, lambda text: len(text) <= LONGEST_TITLE and text.isprintable()]
    note: Annotated[str, lambda text: len(text) <= LONGEST_NOTE]


class _NotesShape(TypedDict):
    project: _Note
    runs: dict[str, _Note]


def notes_path(folder: Path) -> Path:
    """Where a project keeps them."""
    return folder / "records" / "notes.json"


def read_notes(folder: Path) -> Notes:
    """Returns the notes of a project; empty where there are none.

    Raises:
        InputError: their file is damaged.
    """
    found = read_as(notes_path(folder), _NotesShape)
    if found is None:
        return Notes()
    return Notes(RunNote(**found["project"]), {key: RunNote(**note) for key, note in found["runs"].items()})


def write_note(folder: Path, key: str, note: RunNote) -> None:
    """Replaces the note of a run, or of the project for an empty key.

    Raises:
        CrotsError: the file is damaged or cannot be written; it is as it was.
    """
    notes = read_notes(folder).having(key, note)
    path = notes_path(folder)
    check_place(folder, path, "file")
    make_folder(path.parent)
    values = {"project": asdict(notes.project), "runs": {key: asdict(note) for key, note in notes.runs.items()}}
    write_json(path, values, durable=True)


def latest_runs(events_path: Path) -> dict[str, str]:
    """Returns the `run_key` of the latest run of each training stage in a stream."""
    started: dict[str, float] = {}
    for event in read_events(events_path):
        if not isinstance(event, StageStarted) or event.unit != "steps":
            continue
        if not event.resumed_at or event.stage not in started:
            started[event.stage] = event.time
    return {stage: run_key(stage, time) for stage, time in started.items()}


def stage_notes(folder: Path, events_path: Path) -> dict[str, RunNote]:
    """Returns the notes of the latest runs, by stage, and of the source.

    Raises:
        InputError: the notes or the events cannot be read.
    """
    notes = read_notes(folder)
    if not notes.runs:
        return {}
    keys = {"source": run_key("source", 0.0), **latest_runs(events_path)}
    return {stage: notes.of(key) for stage, key in keys.items() if notes.of(key)}
