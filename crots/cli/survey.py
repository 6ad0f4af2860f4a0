"""Finds, counts and checks every input of a configuration before anything is written.

Without torch, but for what a student's own weights file holds where images are few (`crots.opening.Inputs.start`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crots.class_maps import ClassMap
from crots.cli.terminal import presentable
from crots.data.datasets import Dataset
from crots.data.labels import tried_labels
from crots.data.matching import some
from crots.data.pixels import like_labels, unread
from crots.data.predictions import glance
from crots.errors import InputError
from crots.events import Remark
from crots.folders import check_formats
from crots.nets.heads import check_head
from crots.opening import Inputs
from crots.options import IMAGENET
from crots.project_config import ProjectConfig
from crots.source_inputs import closed
from crots.taxonomy import ClassSet
from crots.text import plural
from crots.training.budget import few_to_start
from crots.trust import code_of, listed


@dataclass
class Survey:
    """What was found.

    Attributes:
        facts: for programs.
        lines: for people.
        warnings: what will not stop a run, but should be known.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {**self.facts, "warnings": self.warnings}


class _Surveyor:
    def __init__(self, config: ProjectConfig, root: Path, classes: ClassSet | None, whence: str) -> None:
        self.config, self.root, self.found = config, root, Survey()
        self.inputs, self.whence = Inputs(config, root, classes=classes), whence
        self.faults: list[InputError] = []

    def attempt(self, look: Callable[[], Any]) -> Any:
        """Checks one part; an error in it does not keep the others from being checked."""
        try:
            return look()
        except InputError as error:
            if str(error) not in map(str, self.faults):
                self.faults.append(error)
            return None

    def classes(self) -> ClassSet:
        classes = self.inputs.classes
        self.found.facts["classes"] = {"name": classes.name, "count": len(classes)}
        self.found.lines.append(f"classes: {classes.name} ({len(classes)}){self.whence}")
        return classes

    def class_map(self) -> ClassMap:
        found = self.inputs.class_map
        if self.config.task.class_map:
            self.found.lines.append(
                f"class map: {len(found.source)} classes of {found.source.name} to {found.target.name}"
            )
            if found.unreached:
                self.found.warnings.append(
                    f"the class map gives no class of {found.source.name} for {some(found.unreached, 8)}, so nothing "
                    "is labelled as such"
                )
        return found

    def target(self) -> Dataset:
        dataset = self.inputs.target
        asked, tiling = self.config.data.size, self.inputs.tiling
        size, reason = (asked, f"working size {asked}, as given") if asked else self.inputs.proposed_size
        if asked and self.inputs.squeezed:
            reason += f", which squeezes most images ({self.inputs.squeezed})"
        if tiling:
            size, reason = tiling.size, f"images are cut into tiles of {tiling.size}, as given"
        where = f", split {dataset.split}" if dataset.split else ""
        self.found.facts["target"] = {"layout": dataset.layout, "split": dataset.split, "images": len(dataset)}
        self.found.facts["size"] = str(size)
        self.found.lines.append(
            f"target: {plural(len(dataset), 'image')} in {dataset.root} (layout {dataset.layout}{where})"
        )
        self.found.lines.append(reason)
        self._take(dataset.notes)
        self.found.warnings += [warning.text for warning in self.inputs.pixel_warnings]
        if like_labels([sample.image for sample in dataset.samples]):
            self.found.warnings.append(
                "the images hold few distinct values or colours, as label maps do; if they are labels, give the folder "
                "of the photographs"
            )
        self._pixels(dataset)
        if self.inputs.enlarged:
            self.found.warnings.append(self.inputs.enlarged)
        return dataset

    def _pixels(self, dataset: Dataset) -> None:
        """Reads a few images: bands and white have to be chosen before a run, and unreadable images stop it.

        Raises:
            InputError: one cannot be read, and is not to be left out.
        """
        faults, checked = unread([sample.image for sample in dataset.samples])
        if not faults:
            return
        asked = next((fault for fault in faults if fault.field), None)
        if asked is not None:
            raise asked
        message = f"{len(faults)} of {checked} images checked cannot be read; {faults[0]}"
        if not self.config.data.skip_bad:
            raise InputError(f"{message}; repair or remove such images, or leave them out with `data.skip_bad`")
        self.found.warnings.append(f"{message}; such images will be left out")

    def validation(self) -> Dataset | None:
        dataset, unscored = self.inputs.validation, self.inputs.unscored
        if unscored:
            self.found.warnings.append(unscored)
        elif dataset is None:
            self.found.lines.append("validation: none, so nothing is scored; --val-images and --val-labels add it")
        if dataset is None:
            return None
        self.found.facts["validation"] = {"images": len(dataset), "labels": dataset.labelled}
        self.found.lines.append(
            f"validation: {plural(dataset.labelled, 'labelled image')} in {dataset.root}, for scoring only"
        )
        self._take(note for note in dataset.notes if note.warning or note.kind == "names")
        if self.config.data.val_labels is None:
            folder = os.path.commonpath([sample.label.parent for sample in dataset.samples if sample.label])
            self.found.warnings.append(
                "no stage will evaluate the result, since the folder of the validation labels was not named; give "
                f"`data.val_labels` {folder}"
            )
        if faults := unread([sample.image for sample in dataset.samples])[0]:
            self.found.warnings.append(f"the validation images cannot all be read: {faults[0]}")
        try:
            self._labels(dataset)
        except InputError as error:
            self.found.warnings.append(f"a run will refuse the validation labels: {error}")
        return dataset

    def _labels(self, dataset: Dataset) -> None:
        """Reports how the labels are read, and reads a few."""
        known = len(dataset.notes)
        dataset = tried_labels(dataset, self.inputs.classes)
        self._take(dataset.notes[known:])

    def _take(self, remarks: Iterable[Remark]) -> None:
        for remark in remarks:
            (self.found.warnings if remark.warning else self.found.lines).append(remark.text)

    def source(self, class_map: ClassMap | None, target: Dataset | None, validation: Dataset | None) -> None:
        if self.config.source.predictions is not None:
            # Without a class map they cannot be opened, and that is reported already.
            if class_map is not None:
                self._predictions(target, validation)
            return
        file = self.inputs.source_file
        check_head(file, "source.file")
        net = "" if closed(file) else self.inputs.source_net
        self.found.facts["source"] = {"file": str(self.config.source.file), "net": net}
        own = ", as the file says" if self.inputs.source_card else ""
        if not self.inputs.source_card and not self.config.source.net:
            own = ", by default; --net names another"
        self.found.lines.append(f"source: {self.config.source.file}" + (f" ({net}{own})" if net else ""))

    def _predictions(self, target: Dataset | None, validation: Dataset | None) -> None:
        found = self.inputs.predictions
        assert found is not None
        sort = "soft" if found.soft else "hard labels" + (" with confidence" if found.confidences else "")
        self.found.facts["source"] = {
            "predictions": len(found),
            "soft": found.soft,
            "confidence": len(found.confidences),
        }
        self.found.lines.append(f"source: {len(found)} predictions in {found.folder} ({sort})")
        images = {sample.key: sample.image for sample in target.samples} if target is not None else {}
        found, notes = (found.lookup(images) if images else found).resolved()
        self._take([*notes, *found.name_notes()])
        self.found.warnings += glance(found, images, self.inputs.stretched if images else None).warnings
        if validation is not None and target is not None:
            self.found.warnings += filter(None, [self.inputs.unscored_source])

    def student(self, class_map: ClassMap | None, target: Dataset | None) -> None:
        weights = self.config.student.weights
        net = self.inputs.student_net
        check_formats(self.config.export.formats, net)
        if class_map is not None or weights not in ("", "source"):
            started = self.inputs.student_weights
            if started is not None and weights not in ("", "source"):
                check_head(started, "student.weights")
            if started is None and weights != IMAGENET:
                self.found.warnings.append(f"the student {net} starts from random weights, which takes long to train")
        self.found.facts["student"] = {"net": net, "weights": weights or "source"}
        self.found.lines.append(f"student: {net}, starting from {weights or 'the source'}")
        if class_map is not None and target is not None and (few := few_to_start(self.inputs)):
            self.found.warnings.append(few)

    def code(self) -> None:
        """Lists the code that needs --trust; none of it is imported or run here."""
        code = code_of(self.config, self.root)
        self.found.facts["code"] = [{"option": piece.option, "name": piece.name} for piece in code]
        if code:
            kept = ", which no project keeps" if self.config.runtime.trust else ""
            self.found.warnings.append(
                f"a run executes third-party code: {listed(code)}; if you trust it, start every run with --trust{kept}"
            )
        elif self.config.runtime.trust:
            self.found.lines.append("--trust is not needed: nothing here runs third-party code")


def survey_inputs(config: ProjectConfig, root: Path, *, classes: ClassSet | None = None, whence: str = "") -> Survey:
    """Checks everything a configuration names.

    Args:
        config: the options.
        root: what relative paths are relative to.
        classes: the target's, in place of those that the options name.
        whence: added to the line about them.

    Raises:
        InputError: something is missing or does not fit; all faults stand in one message.
    """
    surveyor = _Surveyor(config, root, classes, whence)
    classes = surveyor.attempt(surveyor.classes)
    class_map = None if classes is None else surveyor.attempt(surveyor.class_map)
    target = surveyor.attempt(surveyor.target)
    # Its labels are in these classes.
    validation = None if classes is None else surveyor.attempt(surveyor.validation)
    if target is not None and validation is not None:
        surveyor.found.lines += filter(None, [surveyor.inputs.shared])
    surveyor.attempt(lambda: surveyor.source(class_map, target, validation))
    surveyor.attempt(lambda: surveyor.student(class_map, target))
    if class_map is not None and target is not None:
        surveyor.attempt(lambda: surveyor.inputs.check_stages(("baseline", "mine", "adapt")))
    surveyor.code()
    surveyor.found.lines[:] = list(dict.fromkeys(surveyor.found.lines))
    if len(surveyor.faults) == 1:
        raise surveyor.faults[0]
    if surveyor.faults:
        # Flags here already: options are named by them only where they lead a message.
        listed = " | ".join(presentable(str(fault)) for fault in surveyor.faults)
        raise InputError(f"{len(surveyor.faults)} things to fix: {listed}")
    return dataclasses.replace(surveyor.found)
