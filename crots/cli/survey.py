"""What a configuration points at: found, counted and checked, without torch, before anything is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crots.data.layouts import Dataset, open_dataset
from crots.data.predictions import open_predictions
from crots.data.sizes import propose_size
from crots.errors import InputError
from crots.project import ProjectConfig
from crots.taxonomy import ClassMap, ClassSet, identity_map, load_class_map, load_class_set
from crots.trust import code_of, listed

# Sources that can be run but not trained on.
_CLOSED = (".onnx", ".pt2")


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
    def __init__(self, config: ProjectConfig, root: Path) -> None:
        self.config, self.root, self.found = config, root, Survey()
        self.faults: list[InputError] = []

    def attempt(self, look: Callable[[], Any]) -> Any:
        """Does one part; a fault does not keep the others from being looked at."""
        try:
            return look()
        except InputError as error:
            self.faults.append(error)
            return None

    def classes(self) -> ClassSet:
        task = self.config.task
        classes = load_class_set(task.classes)
        self.found.facts["classes"] = {"name": classes.name, "count": len(classes)}
        self.found.lines.append(f"classes: {classes.name} ({len(classes)})")
        return classes

    def class_map(self, classes: ClassSet) -> ClassMap:
        task = self.config.task
        source = load_class_set(task.source_classes) if task.source_classes else None
        if task.class_map:
            found = load_class_map(task.class_map, source, classes)
            self.found.lines.append(f"class map: {len(found.source)} classes of {found.source.name} to {classes.name}")
            return found
        if source is not None and source.names != classes.names:
            raise InputError(
                f"the source has the classes of {source.name}, the target those of {classes.name}; give a class map "
                "(--class-map FILE) that joins them",
                field="task.class_map",
            )
        return identity_map(classes)

    def target(self) -> Dataset:
        data = self.config.data
        if data.target is None:
            raise InputError("no target images are named; give --target DIR", field="data.target")
        dataset = open_dataset(self.root / data.target, layout=data.layout, split=data.split)
        where = f", split {dataset.split}" if dataset.split else ""
        size, reason = (data.size, f"working size {data.size}, as asked for") if data.size else propose_size(dataset)
        self.found.facts["target"] = {"layout": dataset.layout, "split": dataset.split, "images": len(dataset)}
        self.found.facts["size"] = str(size)
        self.found.lines.append(f"target: {len(dataset)} images in {dataset.root} (layout {dataset.layout}{where})")
        self.found.lines.append(reason)
        self.found.lines += [note for note in dataset.notes if "label" not in note]
        return dataset

    def validation(self, classes: ClassSet | None) -> Dataset | None:
        data = self.config.data
        if data.val_images is None and data.val_labels is None:
            self.found.lines.append("validation: none, so nothing is scored; --val-images and --val-labels add it")
            return None
        if data.val_images is None:
            raise InputError("--val-labels is given without --val-images; give both", field="data.val_images")
        labels = self.root / data.val_labels if data.val_labels else None
        dataset = open_dataset(
            self.root / data.val_images, layout=data.val_layout, split="val", labels=labels,
            encoding=data.val_encoding, classes=classes,
        )  # fmt: skip
        if not dataset.labelled:
            raise InputError(f"{dataset.root}: found no labels for the validation images; give --val-labels DIR")
        self.found.facts["validation"] = {"images": len(dataset), "labels": dataset.labelled}
        self.found.lines.append(f"validation: {dataset.labelled} labelled images in {dataset.root}, for scoring only")
        return dataset

    def source(self, class_map: ClassMap | None, target: Dataset | None, validation: Dataset | None) -> None:
        source = self.config.source
        if source.file and source.predictions:
            raise InputError("both --source and --predictions are given, expected one of them; leave the other out")
        if source.file:
            self._exists(source.file, "the source model")
            net = "" if source.file.suffix.lower() in _CLOSED else source.net
            self.found.facts["source"] = {"file": str(source.file), "net": net}
            self.found.lines.append(f"source: {source.file}" + (f" ({net})" if net else ""))
        elif source.predictions:
            self._predictions(class_map, target, validation)
        else:
            raise InputError("no source is named; give --source FILE or --predictions DIR", field="source.file")

    def _predictions(self, class_map: ClassMap | None, target: Dataset | None, validation: Dataset | None) -> None:
        source = self.config.source
        assert source.predictions is not None
        for path in filter(None, (source.predictions, source.confidence)):
            if not (self.root / path).is_dir():
                kind = "a file" if (self.root / path).exists() else "no such folder"
                raise InputError(f"{self.root / path}: {kind}, expected a folder of predictions; check the path")
        if class_map is None:
            return
        confidence = self.root / source.confidence if source.confidence else None
        found = open_predictions(self.root / source.predictions, confidence, class_map.source, class_map)
        sort = "soft" if found.soft else "hard labels" + (" with confidence" if found.confidences else "")
        self.found.facts["source"] = {
            "predictions": len(found),
            "soft": found.soft,
            "confidence": len(found.confidences),
        }
        self.found.lines.append(f"source: {len(found)} predictions in {found.folder} ({sort})")
        if not found.soft and not found.confidences:
            self.found.warnings.append("the predictions have no confidence: every pixel counts as certain")
        if target is not None:
            found.lookup(target.keys)
        if validation is not None:
            try:
                found.lookup(validation.keys)
            except InputError as error:
                self.found.warnings.append(f"the source cannot be scored: {error}")

    def student(self, class_map: ClassMap | None) -> None:
        source, student = self.config.source, self.config.student
        net = student.net or source.net
        if student.weights not in ("", "source", "random"):
            self._exists(Path(student.weights), "the student's weights")
        elif student.weights == "random":
            self.found.warnings.append(f"the student {net} starts from random weights, which takes long to train")
        elif class_map is not None and not self._source_fits(net, class_map):
            raise InputError(
                f"the student {net} has no weights to start from (the source's do not fit it, or there are none); give "
                "--student NET --student-weights FILE, or 'random' to train it from nothing",
                field="student.weights",
            )
        self.found.facts["student"] = {"net": net, "weights": student.weights or "source"}
        self.found.lines.append(f"student: {net}, starting from {student.weights or 'the source'}")

    def code(self) -> None:
        """Says what only --trust will let run; nothing of it is imported or run here."""
        code = code_of(self.config, self.root)
        self.found.facts["code"] = [{"option": piece.option, "name": piece.name} for piece in code]
        if code:
            kept = ", which no project keeps" if self.config.runtime.trust else ""
            self.found.warnings.append(
                f"a run will run code of others: {listed(code)}; if you trust it, start every run with --trust{kept}"
            )
        elif self.config.runtime.trust:
            self.found.lines.append("--trust is not needed: nothing here runs code of others")

    def _source_fits(self, net: str, class_map: ClassMap) -> bool:
        source = self.config.source
        if not source.file or source.file.suffix.lower() in _CLOSED:
            return False
        return net == source.net and class_map.source.names == class_map.target.names

    def _exists(self, path: Path, what: str) -> None:
        path = self.root / path
        if path.is_dir() or not path.exists():
            found = "a folder" if path.is_dir() else "no such file"
            raise InputError(f"{path}: {found}, expected {what}; check the path")


def survey(config: ProjectConfig, root: Path) -> Survey:
    """Looks at everything a configuration names.

    Args:
        config: the options.
        root: what relative paths are relative to.

    Raises:
        InputError: something is missing or does not fit; all faults stand in one message.
    """
    surveyor = _Surveyor(config, root)
    classes = surveyor.attempt(surveyor.classes)
    class_map = None if classes is None else surveyor.attempt(lambda: surveyor.class_map(classes))
    target = surveyor.attempt(surveyor.target)
    validation = surveyor.attempt(lambda: surveyor.validation(classes))
    surveyor.attempt(lambda: surveyor.source(class_map, target, validation))
    surveyor.attempt(lambda: surveyor.student(class_map))
    surveyor.code()
    surveyor.found.lines[:] = list(dict.fromkeys(surveyor.found.lines))
    if len(surveyor.faults) == 1:
        raise surveyor.faults[0]
    if surveyor.faults:
        listed = " | ".join(str(fault) for fault in surveyor.faults)
        raise InputError(f"{len(surveyor.faults)} things to mend: {listed}")
    return dataclasses.replace(surveyor.found)
