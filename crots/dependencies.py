"""What the result of each stage depends on: options, files and corrections, as plain data. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.artefacts import CORRECTIONS, LABEL_IDS, PATCH_INDEX, is_round, section_of, stage_kind
from crots.config import to_mapping
from crots.contents import Check, Contents
from crots.decisions import BUDGET
from crots.differences import Change
from crots.errors import InputError
from crots.files import content_digest, exists, expanded, file_stamp, listing_digest
from crots.project_config import ProjectConfig
from crots.training_options import TrainingOptions


@dataclass(frozen=True)
class Dependencies:
    """What the stages of a project read, apart from each other's results.

    Attributes:
        folder: the project, which relative paths start from; nothing inside counts as one of its inputs.
        config: its options.
    """

    folder: Path
    config: ProjectConfig

    def of(self, key: str, config: ProjectConfig) -> dict[str, Any]:
        """Returns what a stage's own result depends on.

        Args:
            key: of the stage.
            config: the options that it runs with, some of which may be decided by measuring.
        """
        section = section_of(key)
        values: dict[str, Any] = {section: to_mapping(getattr(config, section), only_result=True)}
        values["runtime"] = to_mapping(config.runtime, only_result=True)
        if key == "pseudo-label":
            values |= self._source()
        if key == "baseline":
            values["student"] = to_mapping(self.config.student) | self.stamps(self.config.student.weights)
        if key in ("baseline", "mine"):
            values["corrections"] = self._corrections("files of", LABEL_IDS)
        options = getattr(config, section)
        if isinstance(options, TrainingOptions) and options.kept_by_evaluations:
            # Only checkpoints that were evaluated can be kept.
            values[section]["validate_every"] = options.validate_every
        if is_round(key) and self.config.adapt.patches:
            values["corrections"] = self._corrections("file", PATCH_INDEX)
        if key == "evaluate" or (is_round(key) and self.config.adapt.select == "oracle"):
            values["data"] = self.validation()
        return values

    def for_decision(self, key: str, options: Collection[str]) -> dict[str, dict[str, Any]]:
        """Returns what a decision for a stage is made for; with other options or images it no longer holds.

        Args:
            key: of the stage.
            options: what the decision is about; only with a time budget does that and the number of images matter.
        """
        sections = {"data", "task", "source", "student", "runtime", section_of(key)}
        values = {name: to_mapping(getattr(self.config, name), only_result=True) for name in sorted(sections)}
        del values["runtime"]["seed"]
        if BUDGET in options:
            values["budget"] = {"time": str(self.config.runtime.time_budget), **self.stamps(self.config.data.target)}
        return values

    def validation(self) -> dict[str, Any]:
        """Returns the options of the validation data, and evidence of their content."""
        data = self.config.data
        values = {name: value for name, value in to_mapping(data).items() if name.startswith("val_")}
        return values | self.stamps(data.val_images) | self.stamps(data.val_labels)

    def stamps(self, value: Path | str | None) -> dict[str, Any]:
        """Returns evidence of the present content of a file or of all files of a folder; empty if there is none."""
        if not value or not exists(self._path(value)):
            return {}
        name, stamp = self._stamp(value)
        return {name: self._contents.stamp(name, self._path(value), stamp, without=self.folder)}

    def note(self, key: str, check: Check) -> None:
        """Stores digests of the files that a stage will read, so that a copy of them is recognised.

        Args:
            key: of the stage.
            check: see `Contents.note`.
        """
        for value in self.read_by(key):
            if exists(self._path(value)):
                name, stamp = self._stamp(value)
                self._contents.note(name, self._path(value), stamp, without=self.folder, check=check)

    def read_by(self, key: str) -> list[Path | str]:
        """Returns the files and folders that a stage reads as its own inputs, and names, which may be of files."""
        data, task, source = self.config.data, self.config.task, self.config.source
        scored = (data.val_images, data.val_labels)
        read: dict[str, tuple[Path | str | None, ...]] = {
            "pseudo-label": (
                data.target, task.classes, task.class_map, source.file, source.predictions, source.confidence
            ),
            "baseline": (self.config.student.weights,),
            "evaluate": scored,
            "adapt": scored if self.config.adapt.select == "oracle" else (),
        }  # fmt: skip
        return list(filter(None, read.get(stage_kind(key), ())))

    def with_missing(self, key: str, changes: Iterable[Change]) -> Iterator[Change]:
        """Yields the changes of a stage's inputs, those of files and folders that are not there any more as such."""
        gone = {f"{kind} {value}": str(value) for value in self.read_by(key) for kind in ("file", "files of")
                if not exists(self._path(value))}  # fmt: skip
        source = self.config.source
        from_source = [str(value) for value in (source.file, source.predictions, source.confidence) if value]
        for change in changes:
            if change.section == "source" and change.name == "files":
                lost = [value for value in from_source if value in gone.values()]
                yield from [dataclasses.replace(change, missing=value) for value in lost] or [change]
            else:
                yield dataclasses.replace(change, missing=gone.get(change.name, ""))

    def missing(self, key: str) -> list[str]:
        """Returns the files and folders that a stage reads and that are not there, but for what may be a name."""
        named = (self.config.task.classes, self.config.task.class_map, self.config.student.weights)
        return [str(value) for value in self.read_by(key) if value not in named and not exists(self._path(value))]

    def _source(self) -> dict[str, Any]:
        config = self.config
        files = (config.source.file, config.source.predictions, config.source.confidence)
        stamps = [self.stamps(file) for file in files if file]
        return {
            "data": _data_values(config.data) | self.stamps(config.data.target),
            "task": to_mapping(config.task) | self.stamps(config.task.class_map) | self.stamps(config.task.classes),
            # A net that is not named is the file's own, or this.
            "source": to_mapping(config.source, only_result=True)
            | {"files": stamps, "net": config.source.net or opt.DEFAULT_NET},
        }

    def _corrections(self, kind: str, name: str) -> dict[str, Any]:
        """The digest of corrections by content, so that undoing a correction leaves nothing stale."""
        path = self.folder / CORRECTIONS / name
        return {f"{kind} {CORRECTIONS}/{name}": content_digest(path)} if exists(path) else {}

    def _stamp(self, value: Path | str) -> tuple[str, Any]:
        """Names a file or folder that is there, and gives its sizes and times."""
        path = self._path(value)
        if path.is_dir():
            return f"files of {value}", listing_digest(path, without=self.folder)
        try:
            return f"file {value}", file_stamp(path)
        except OSError as error:  # it has gone, or its disk has
            raise InputError(f"{path}: cannot be read ({error.strerror}); check that it exists") from None

    def _path(self, value: Path | str) -> Path:
        return self.folder / expanded(value)

    @property
    def _contents(self) -> Contents:
        return Contents(self.folder / "records" / "contents.json")


def _data_values(data: opt.DataOptions) -> dict[str, Any]:
    """The options of the images; those of tiles only if images are cut, so that they make nothing else stale."""
    values = to_mapping(data, only_result=True)
    return values if data.tile else {name: value for name, value in values.items() if not name.startswith("tile")}
