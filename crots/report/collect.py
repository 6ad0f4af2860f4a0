"""Collects facts from a project's files without a network or torch; unreadable parts become gaps."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import platform
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from crots import __version__
from crots.artefacts import LABEL_IDS, PATCH_INDEX, STATISTICS
from crots.config import describe, shown
from crots.data.folder_listing import list_files
from crots.errors import CrotsError, InputError
from crots.eventlog import read_events
from crots.files import exists
from crots.image_formats import LABEL_SUFFIXES
from crots.images import image_size
from crots.notes import RunNote, read_notes, stage_notes
from crots.opening import Inputs
from crots.options import SECTIONS
from crots.project import Project
from crots.project_config import config_values
from crots.project_status import StageStatus
from crots.records import read_json
from crots.report.curves import StageLog, stage_logs
from crots.report.facts import ClassFacts, Facts, FileFact, Setting, SourceFacts, StageCurves, StageFacts, TargetFacts
from crots.report.results import mapping, number, record, result_of
from crots.student_start import foreseen
from crots.taxonomy import ClassSet

T = TypeVar("T")
_PROGRAMS = ("torch", "torchvision", "numpy")
_PREDICTIONS = (*LABEL_SUFFIXES, ".npz", ".npy")


def collect_facts(project: Project) -> Facts:
    """Returns all that a project's files say.

    Raises:
        InputError: nothing has run yet, so there is nothing to report.
    """
    if not any(record(project, key) for key in project.stage_keys()):
        raise InputError(f"{project.folder}: no stage of it is done yet; run it first with `crots run`")
    return _Collector(project).facts()


class _Collector:
    """Collects one part after the other; what fails is left out and noted."""

    def __init__(self, project: Project) -> None:
        self._project, self._config = project, project.config
        self._inputs = Inputs(project.config, project.folder)
        self._gaps: list[str] = []

    def facts(self) -> Facts:
        project, config = self._project, self._config
        stages: dict[str, StageLog] = {}
        stages = self._attempt(lambda: stage_logs(read_events(project.events_path)), stages)
        classes = self._attempt(self._classes, None)
        return Facts(
            project=project.folder.name,
            made=datetime.now().astimezone().isoformat(timespec="minutes"),
            profile=config.profile,
            preset=config.preset,
            settings=settings_of(project),
            source=self._source(),
            classes=classes,
            target=self._target(),
            stages=self._attempt(lambda: self._stages(stages), ()),
            result=result_of(project),
            versions=versions(),
            shares=self._shares(classes),
            outputs=self._outputs(),
            curves=self._curves(stages),
            note=self._attempt(lambda: read_notes(project.folder).project, RunNote()),
            run_notes=self._attempt(lambda: stage_notes(project.folder, project.events_path), {}),
            gaps=tuple(self._gaps),
        )

    def _attempt(self, look: Callable[[], T], otherwise: T) -> T:
        try:
            return look()
        except (CrotsError, OSError, ValueError) as error:
            self._gaps.append(str(error))
            return otherwise

    def _source(self) -> SourceFacts:
        source, start = self._config.source, self._config.student.weights or "source"
        net = self._attempt(lambda: self._inputs.source_net, source.net)
        facts = SourceFacts(net=net, student=self._config.student.net or net, weights=start)
        if source.predictions:
            count = self._attempt(lambda: self._count(source.predictions), 0)
            sure = self._attempt(lambda: self._count(source.confidence), 0) if source.confidence else None
            return dataclasses.replace(
                facts, net="", folder=source.predictions.as_posix(), predictions=count, confidence=sure
            )
        path = self._project.path(source.file) if source.file else None
        file = self._attempt(lambda: file_fact(path), None) if path else None
        return dataclasses.replace(facts, file=file)

    def _count(self, folder: Path | None) -> int:
        return len(list_files(self._project.path(folder or ""), _PREDICTIONS))

    def _classes(self) -> ClassFacts:
        classes = self._inputs.classes
        facts = ClassFacts(classes.name, classes.names, classes.palette)
        if not self._config.task.class_map:
            return facts
        joined = self._inputs.class_map
        mapped = {
            name: _name_of(classes, int(place)) for name, place in zip(joined.source.names, joined.table, strict=True)
        }
        return dataclasses.replace(facts, source_name=joined.source.name, mapped=mapped)

    def _target(self) -> TargetFacts:
        labels = self._project.stage_folder("pseudo-label") / LABEL_IDS
        made: list[str] = []
        if exists(labels):
            made = self._attempt(lambda: list_files(labels, (".png",)), made)
        size, tile = self._config.data.size, self._config.data.tile
        if size is None and tile is None and made:
            size = self._attempt(lambda: image_size(labels / made[0]), None)
        folder = self._config.data.target
        corrections = self._project.corrections_path
        repainted = sum(1 for _ in (corrections / LABEL_IDS).rglob("*.png"))
        patches = mapping(read_json(corrections / PATCH_INDEX))
        return TargetFacts(
            folder=folder.as_posix() if folder else "",
            images=len(made),
            size=f"tiles of {tile}" if tile else str(size) if size else "",
            repainted=repainted,
            patches=len({*_names(patches.get("rejected")), *_names(patches.get("relabelled"))}),
        )

    def _stages(self, stages: dict[str, StageLog]) -> tuple[StageFacts, ...]:
        def facts(status: StageStatus) -> StageFacts:
            log = stages.get(status.key, StageLog())
            return StageFacts(
                key=status.key,
                state=status.state,
                reason=status.reason,
                seconds=status.took,
                kept=status.kept,
                device=log.device,
                ended=log.ended,
                remarks=tuple(log.remarks),
                changed=bool(status.changes),
            )

        return tuple(map(facts, foreseen(self._project)))

    def _shares(self, classes: ClassFacts | None) -> dict[str, float]:
        path = self._project.stage_folder("pseudo-label") / STATISTICS
        if classes is None or not record(self._project, "pseudo-label"):
            return {}
        found = mapping(read_json(path)).get("pixels")
        pixels = [number(count) or 0.0 for count in found] if isinstance(found, list) else []
        if len(pixels) != len(classes.names) or not sum(pixels):
            self._gaps.append(f"{path}: cannot be read; the shares of the classes are left out")
            return {}
        return {name: count / sum(pixels) for name, count in zip(classes.names, pixels, strict=True)}

    def _outputs(self) -> tuple[FileFact, ...]:
        folder = self._project.stage_folder("export")
        if not record(self._project, "export"):
            return ()
        paths = sorted(path for path in folder.glob("adapted.*") if path.is_file())
        return tuple(filter(None, (self._attempt(partial(file_fact, path), None) for path in paths)))

    def _curves(self, stages: dict[str, StageLog]) -> tuple[StageCurves, ...]:
        keys = [key for key in self._project.training_keys() if key in stages]
        return tuple(filter(None, (stages[key].curves(key) for key in keys)))


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, (list, dict)) else []


def _name_of(classes: ClassSet, place: int) -> str:
    return classes.names[place] if place < len(classes) else "ignore"


def settings_of(project: Project) -> tuple[Setting, ...]:
    """Returns the options that differ from the profile's defaults."""
    config = project.config
    found: list[Setting] = []
    for section, values in config_values(config).items():
        for info in describe(SECTIONS[section]):
            if info.name in values:
                now, usual = getattr(getattr(config, section), info.name), info.default_for(config.profile)
                found.append(Setting(f"{section}.{info.name}", shown(now) or "none", shown(usual), info.help))
    return tuple(found)


def file_fact(path: Path) -> FileFact:
    """Returns name, size and SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return FileFact(path.name, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), so that its hash is left out") from error


def versions() -> dict[str, str]:
    """Returns the versions of the programs that made the report, without importing them."""
    found = {"crots": __version__, "python": platform.python_version()}
    for name in _PROGRAMS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "platform": platform.platform()}
