"""A project: a folder with ``crots.toml``, artefacts, checkpoints and events, and its stages in running order.

Reading a project imports no torch, so ``crots status`` and the studio's stage rail are instant.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from crots import options as opt
from crots.artefacts import BEST, CHECKPOINT, CHOICE, CORRECTIONS, EVENTS, is_round, round_key, round_number
from crots.artefacts import CONFIG_NAME as CONFIG_NAME
from crots.config import defaults, to_mapping
from crots.contents import Check
from crots.decisions import holds, read_decisions
from crots.dependencies import Dependencies
from crots.differences import changed_inputs
from crots.errors import InputError
from crots.files import digest, exists, expanded, make_folder, write_text
from crots.inputs import check_inputs
from crots.ownership import check_place, walk
from crots.project_config import ProjectConfig, config_text, named_paths, override, read_config
from crots.records import is_plain, read_as, read_json
from crots.stagefiles import StageFiles

# Written into a project by commands other than a run.
COMPARISON = "compare"
SUSPICION = "suspicion"
STUDIO = "studio"
# Files of stages that are not complete.
UNFINISHED = "unfinished"
# Files that only an interrupted training stage needs.
CONTINUED_FROM = (CHECKPOINT, BEST)
_RECORD_REMEDY = "delete it and run again; the stage is run again"
_OF_A_ROUND = "the previous round "
# Why no patches are cut where no round follows.
NO_PATCHES = "only rounds train on hard patches, and none is needed"
_CHOICE_REMEDY = "delete it; it only says why this checkpoint was kept"


class _Record(TypedDict):
    """Required fields of a stage's record."""

    inputs: dict[str, Any]
    seconds: NotRequired[float | None]
    miou: NotRequired[float | None]


class _Hindsight(TypedDict):
    miou: float


class _Choice(TypedDict):
    """The fields of ``choice.json`` that are read."""

    words: NotRequired[str]
    kept: NotRequired[int]
    given_up: NotRequired[str]
    useless: NotRequired[bool]
    problem: NotRequired[str]
    rule: NotRequired[str]
    ends_rounds: NotRequired[str]
    oracle: NotRequired[_Hindsight | None]


class Project:
    """A project folder. Every path of its layout is given here and nowhere else.

    Attributes:
        may_end_at_baseline: a baseline may decide that no round follows it.
    """

    may_end_at_baseline = True

    def __init__(self, folder: Path, config: ProjectConfig) -> None:
        self.folder = folder
        self.config = config

    @staticmethod
    def create(folder: Path, config: ProjectConfig) -> Project:
        """Makes a new project, in a folder that is not there or is empty: it may replace what is in its folder.

        Raises:
            InputError: the folder is in use.
        """
        if problem := unfit(folder):
            raise InputError(problem, field="project")
        make_folder(folder)
        project = Project(folder.resolve(), config)
        project.save()
        return project

    @staticmethod
    def open(folder: Path) -> Project:
        """Opens a project.

        Raises:
            InputError: there is none, or its file does not fit this version.
        """
        path = folder / CONFIG_NAME
        if folder.is_file():
            named = folder.parent if folder.name == CONFIG_NAME else "the folder of a project"
            raise InputError(f"{folder}: is a file, expected the folder of a project; give {named}", field="project")
        if not is_plain(path, remedy=f"give a project's folder, with a {CONFIG_NAME} that you may read"):
            raise InputError(
                f"{folder}: no {CONFIG_NAME} there; give the folder of a project, or make one first", field="project"
            )
        return Project(folder.resolve(), read_config(path))

    def save(self) -> None:
        """Writes ``crots.toml`` atomically; paths inside the project are written relative to it."""
        check_place(self.folder, self.folder / CONFIG_NAME, "file")
        write_text(self.folder / CONFIG_NAME, config_text(self.config), durable=True)

    def path(self, value: Path | str) -> Path:
        """Resolves a path of the configuration: relative ones are relative to the project."""
        return self.folder / expanded(value)

    @property
    def events_path(self) -> Path:
        """The event stream."""
        return self.folder / EVENTS

    @property
    def cache_folder(self) -> Path:
        """Resized images; can be deleted at any time."""
        return self.folder / "cache"

    @property
    def lock_path(self) -> Path:
        """Held during a run."""
        return self.folder / ".lock"

    @property
    def estimate_path(self) -> Path:
        """Estimates of the stages, measured on this machine."""
        return self.home / "records" / "estimate.json"

    @property
    def decisions_path(self) -> Path:
        """Options that runs decided by measuring."""
        return self.home / "records" / "decided.json"

    @property
    def home(self) -> Path:
        """The folder in which stages, records and events lie."""
        return self.folder

    def stage_folder(self, key: str) -> Path:
        """The last complete result of a stage: ``pseudo-label`` has ``label_ids/`` there, ``adapt-1`` a student ..."""
        names = {"pseudo-label": "pseudo-labels", "mine": "patches", "evaluate": "evaluation", "suspects": SUSPICION}
        return self.home / names.get(key, key)

    def work_folder(self, key: str) -> Path:
        """Where a stage writes and is resumed; its files get into `stage_folder` when all of it is complete."""
        return self.home / UNFINISHED / key

    def shown_folder(self, key: str) -> Path:
        """The result to show to people: the last complete one, or the unfinished first one."""
        work = self.work_folder(key)
        return work if not self.record_path(key).exists() and work.is_dir() else self.stage_folder(key)

    def files(self, key: str) -> StageFiles:
        """The files of a stage and their records."""
        # Exported files may lie beside files of the user.
        own = "adapted." if key == "export" else ""
        return StageFiles(self.folder, key, self.stage_folder(key), self.work_folder(key), self.home / "records", own)

    @property
    def dependencies(self) -> Dependencies:
        """What the stages read, apart from each other's results."""
        return Dependencies(self.folder, self.config)

    @property
    def corrections_path(self) -> Path:
        """The user's corrections: ``patches.json`` (rejected, relabelled) and ``label_ids/`` (repainted)."""
        return self.folder / CORRECTIONS

    def record_path(self, key: str) -> Path:
        """The record of a finished stage, with its inputs."""
        return self.files(key).record

    def started_path(self, key: str) -> Path:
        """The record of a stage's unfinished work, with its inputs."""
        return self.files(key).started

    def config_of(self, key: str) -> ProjectConfig:
        """The options that a stage runs with: the project's, and what was decided for it by measuring.

        Raises:
            InputError: the file of decisions is damaged.
        """
        return override(self.config, self.decided(key))

    def decided(self, key: str) -> Mapping[str, str]:
        """Returns what was decided for a stage by measuring and still holds, by ``section.option``.

        Raises:
            InputError: the file of decisions is damaged.
        """
        decision = read_decisions(self.decisions_path).get(key)
        if decision is None:
            return {}
        now = self.dependencies.for_decision(key, decision["options"])
        usual = {
            name: to_mapping(defaults(type(getattr(self.config, name)), self.config.profile))
            for name in now
            if name in opt.SECTIONS
        }
        return decision["options"] if holds(decision, now, usual) else {}

    def round_keys(self) -> tuple[str, ...]:
        """``adapt-1`` ... of the configured rounds."""
        return tuple(round_key(number) for number in range(1, self.config.adapt.rounds + 1))

    def needed_rounds(self) -> tuple[str, ...]:
        """The rounds up to the stage that ended the sequence, where one did: `round_keys` without those not needed."""
        return self.training_keys()[1:]

    def training_keys(self) -> tuple[str, ...]:
        """The stages that train the student, in running order: the baseline and the rounds that are needed."""
        keys = ("baseline", *self.round_keys())
        ended = next((place for place, key in enumerate(keys, 1) if self.ends_rounds(key)), len(keys))
        return keys[:ended]

    def ends_rounds(self, key: str) -> str:
        """Returns why no round is needed after a finished stage; empty if one is."""
        if key == "baseline" and not self.may_end_at_baseline:
            return ""
        choice = self.choice(key) if self.config.adapt.stop_rounds else None
        ends = str(choice.get("ends_rounds", "")) if choice else ""
        # Of a baseline earlier versions wrote it like this and read it nowhere: its rounds were run, and are wanted.
        return "" if key == "baseline" and ends.startswith(_OF_A_ROUND) else ends

    def needless(self, key: str) -> str:
        """Returns why no other stage reads the result of this one, although it is a stage; empty where one does."""
        trained = self.training_keys()
        if key in self.round_keys():
            return "" if key in trained else self.ends_rounds(trained[-1])
        if key != "mine":
            return ""
        if len(trained) == 1:
            return NO_PATCHES
        return "" if self.config.adapt.patches else "`adapt.patches` is false, so that no round trains on hard patches"

    def choice(self, key: str) -> dict[str, Any] | None:
        """Returns the checkpoint that a finished training stage kept and why, None if it did not choose."""
        if not self.record_path(key).exists():
            return None
        return read_choice(self.stage_folder(key) / CHOICE)

    def stage_keys(self) -> tuple[str, ...]:
        """All stages in running order; ``evaluate`` only where validation labels are given."""
        scoring = ("evaluate",) if self.config.data.val_labels else ()
        return ("pseudo-label", "baseline", "mine", *self.round_keys(), *scoring, "export")

    def no_such_stage(self, name: str, choices: Sequence[str], *, where: str, field: str) -> InputError:
        """Returns the error for a name that is none of the choices of stages, with what to do.

        Args:
            name: as it was given.
            choices: what may be given.
            where: what the message begins with.
            field: of the error.
        """
        near = difflib.get_close_matches(name.lower(), choices, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        if name == "evaluate":
            hint = "; for an evaluation give `data.val_images` and `data.val_labels`"
        elif is_round(name) and round_number(name):
            hint = f"; `adapt.rounds` is {self.config.adapt.rounds}"
        return InputError(f"{where}: found {name!r}, expected one of {', '.join(choices)}{hint}", field=field)

    def upstream(self, key: str) -> tuple[str, ...]:
        """The stages whose results a stage reads."""
        trained = self.training_keys()
        if key in ("baseline", "mine"):
            return ("pseudo-label",)
        if number := round_number(key):
            before = "baseline" if number == 1 else round_key(number - 1)
            return (before, "mine") if self.config.adapt.patches else (before,)
        return {"evaluate": trained, "export": trained[-1:]}.get(key, ())

    def inputs(self) -> dict[str, dict[str, Any]]:
        """Everything each stage's result depends on, as plain data by stage; its digest is the stage's fingerprint."""
        values: dict[str, dict[str, Any]] = {}
        for key in self.stage_keys():
            values[key] = self._as_noted(key, self._own_inputs(key, values))
        return values

    def _own_inputs(self, key: str, earlier: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of a stage as this version notes them, given those of earlier stages."""
        after = {f"after {name}": digest(earlier[name]) for name in self.upstream(key)}
        return {**self.dependencies.of(key, self.config_of(key)), **after}

    def _as_noted(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs as they are noted for the stage, perhaps by an earlier version, where those say the same.

        Later stages have noted the digest of what is noted.
        """
        for noted in self.noted_inputs(key):
            if not any(changed_inputs(noted, inputs, self.config.profile)):
                return noted
        return inputs

    def noted_inputs(self, key: str) -> Iterator[dict[str, Any]]:
        """The inputs of the unfinished result of a stage and of the last one."""
        for path in (self.started_path(key), self.record_path(key)):
            if isinstance(inputs := (read_json(path) or {}).get("inputs"), dict):
                yield inputs

    def record(self, key: str) -> dict[str, Any] | None:
        """Returns what `finish` wrote, None while the stage is not done.

        Raises:
            InputError: it is damaged.
        """
        return self._read_record(self.record_path(key))

    def _read_record(self, path: Path) -> dict[str, Any] | None:
        return cast(dict[str, Any] | None, read_as(path, _Record, remedy=_RECORD_REMEDY))

    def resumable(self, key: str) -> bool:
        """Returns whether an interrupted run of a stage had the same inputs and so can be continued."""
        return self.files(key).continues(self.inputs()[key])

    def begin(self, key: str, check: Check = lambda: None) -> bool:
        """Notes that a stage begins; True when an interrupted run with the same inputs is continued.

        Until `finish` the last complete result of the stage stays as it is.

        Args:
            key: of the stage.
            check: called now and then while inputs are read; may raise an error, and then nothing has begun.

        Raises:
            InputError: something that CROTS did not make lies where the stage writes.
        """
        inputs, files = self.inputs(), self.files(key)
        # Copies of what earlier stages read too, or they would be compared at every start.
        for name in self._line(key):
            self.dependencies.note(name, check)
        # A result made anew is this version's: what an earlier one noted lacks the options that were added since, and
        # later stages would count as up to date.
        return files.begin(inputs[key] if files.continues(inputs[key]) else self._own_inputs(key, inputs))

    def finish(self, key: str, seconds: float, miou: float | None, *, without: Collection[str] = ()) -> None:
        """Makes what a stage has written its result, but for the files ``without``, and notes that it is done.

        Raises:
            InputError: something that CROTS did not make is in the way; what the stage has written is kept.
        """
        choice = read_choice(self.work_folder(key) / CHOICE) or {}
        if hindsight := choice.get("oracle"):
            # Of what was kept, not of the last step.
            miou = hindsight["miou"]
        self.files(key).publish({"seconds": seconds, "miou": miou}, without=without)

    def _line(self, key: str) -> list[str]:
        """A stage and all that its result comes from."""
        line = [key]
        for name in line:
            line += [other for other in self.upstream(name) if other not in line]
        return line

    def check_upstream(self, key: str) -> None:
        """Makes sure that a stage finds the results that it reads, and none that is old while a new one is half done.

        Raises:
            InputError: one is not done.
        """
        inputs = self.inputs()
        for name in self._line(key):
            if name != key and self.files(name).continues(inputs[name]):
                raise InputError(f"{key}: {name}, which it builds on, is interrupted; finish that first")
        for name in self.upstream(key):
            if self.record(name) is None:
                raise InputError(f"{key}: {name}, whose result it reads, is not done; run that first")

    def discard(self, key: str) -> None:
        """Throws away what an unfinished run of a stage has written; the last complete result stays."""
        files = self.files(key)
        files.settle()
        if files.started.exists():
            files.discard()

    def check_places(self) -> None:
        """Makes sure that what is written to the project is written there.

        Raises:
            InputError: a link, or something else than a project has, lies in the place of a file or folder of it.
        """
        for path in self._folders():
            check_place(self.folder, path, "folder")
        for path in self._files():
            check_place(self.folder, path, "file")

    def settle(self) -> None:
        """Completes moves of results that a kill interrupted; only while no run is active.

        Raises:
            InputError: what is noted of the files is damaged, or something else lies in their place.
        """
        for key in self.stage_keys():
            self.files(key).settle()

    def _folders(self) -> Iterator[Path]:
        """The folders that CROTS writes to."""
        names = ("records", UNFINISHED, COMPARISON, SUSPICION, STUDIO)
        yield from (self.folder / name for name in names)
        # Scores too, which may be from earlier labels.
        yield from (self.cache_folder, self.corrections_path, *map(self.stage_folder, (*self.stage_keys(), "evaluate")))

    def _files(self) -> Iterator[Path]:
        """The files that CROTS writes, except those of stages."""
        yield from (self.folder / CONFIG_NAME, self.events_path, self.lock_path)
        for folder in (self.folder / "records", self.folder / STUDIO):
            yield from (folder / name for name, _ in walk(folder))

    def check_inputs(self) -> None:
        """Makes sure that no input lies where the project writes, and so would be replaced or deleted.

        Raises:
            InputError: one does.
        """
        inputs = {name: self.path(value) for name, (_, value) in named_paths(self.config).items()}
        places = [*self._folders(), self.folder / CONFIG_NAME, self.events_path, self.lock_path]
        check_inputs(inputs, places)


def unfit(folder: Path) -> str:
    """Returns why a folder cannot become a project; empty if it can."""
    if exists(folder / CONFIG_NAME):
        return f"{folder} already holds a project; open it, or choose an empty folder"
    if not os.path.lexists(folder):
        return ""
    if not folder.is_dir():
        return f"{folder}: is not a folder; choose another place for the project"
    try:
        found = min((path.name for path in folder.iterdir()), default="")
    except OSError as error:
        return f"{folder}: cannot be read ({error.strerror}); choose another place for the project"
    return f"{folder}: is in use, it holds {found}; choose an empty or a new folder for the project" if found else ""


class InPlace(Project):
    """Stages write where their results are read: outside a project there is nothing to keep until they are complete."""

    def work_folder(self, key: str) -> Path:
        """The folder of the result."""
        return self.stage_folder(key)


def read_choice(path: Path) -> dict[str, Any] | None:
    """Reads the ``choice.json`` of a training stage; None where there is none.

    Raises:
        InputError: it is damaged.
    """
    choice = cast(dict[str, Any] | None, read_as(path, _Choice, remedy=_CHOICE_REMEDY))
    if choice is not None:
        choice.setdefault("problem", _unnoted_problem(choice))
    return choice


def _unnoted_problem(choice: Mapping[str, Any]) -> str:
    """What is wrong with what was kept, where an earlier version noted only what had led to it."""
    if choice.get("given_up"):
        step = choice.get("kept", 0)
        return f"went back to the checkpoint of step {step}" if step else "went back to its start"
    return "has not learnt the pseudo-labels" if choice.get("useless") else ""
