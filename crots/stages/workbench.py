"""From a configuration to what stages need: data, classes, source, student. Each is made when first asked for."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path

from torch import Tensor

from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.layouts import Dataset, open_dataset
from crots.data.predictions import PredictionSet, open_predictions
from crots.data.sizes import propose_size
from crots.errors import InputError
from crots.events import Note
from crots.execution.batches import check_batch_size, passes
from crots.execution.engine import Engine
from crots.files import expanded, file_or_name
from crots.nets.model import Model, check_batch, create_model
from crots.nets.reading import read_weights
from crots.nets.source import NetworkSource, Source, open_source
from crots.nets.weights import load_into, model_of
from crots.options import TrainingOptions
from crots.project import ProjectConfig
from crots.stages.labellers import Labeller, NetworkLabels, PredictedLabels
from crots.taxonomy import ClassMap, ClassSet, identity_map, load_class_map, load_class_set
from crots.training.budget import Start
from crots.trust import code_of, listed


class Workbench:
    """Everything a configuration names, opened and checked.

    Attributes:
        config: the options.
        root: what relative paths are relative to.
        stage: key for notes.
        start: what the student that `new_student` gave last knows before it learns.
        notes: what was decided on the way and the user should read.
    """

    def __init__(self, config: ProjectConfig, root: Path, cache_folder: Path | None, stage: str) -> None:
        self.config, self.root, self.stage = config, root, stage
        self.notes: list[Note] = []
        self.start: Start = "random"
        self._cache_folder = cache_folder
        if config.runtime.trust and (code := code_of(config, root)):
            self.note(f"this run may run code of others, as you allowed: {listed(code)}")

    def trusts(self, net: str) -> bool:
        """Whether a network may be built that a file names: trust covers what the options name and nothing else."""
        return self.config.runtime.trust and net in (self.config.source.net, self.config.student.net)

    def path(self, value: Path | str) -> Path:
        """Resolves a path of the configuration."""
        return self.root / expanded(value)

    def note(self, text: str, *, warning: bool = False) -> None:
        """Keeps something to tell the user when the stage starts; the same thing once."""
        note = Note(stage=self.stage, text=text, level="warning" if warning else "info")
        if all(old.text != text for old in self.notes):
            self.notes.append(note)

    @cached_property
    def engine(self) -> Engine:
        """Device and precision."""
        return Engine(self.config.runtime)

    @cached_property
    def classes(self) -> ClassSet:
        """The target's classes."""
        return load_class_set(file_or_name(self.config.task.classes, self.root))

    @cached_property
    def source_classes(self) -> ClassSet:
        """The source's classes: the target's unless others are named."""
        name = self.config.task.source_classes
        return load_class_set(file_or_name(name, self.root)) if name else self.classes

    @cached_property
    def class_map(self) -> ClassMap:
        """Joins the source's classes to the target's.

        Raises:
            InputError: the classes differ and no map was given.
        """
        if self.config.task.class_map:
            named = self.source_classes if self.config.task.source_classes else None
            return load_class_map(file_or_name(self.config.task.class_map, self.root), named, self.classes)
        if self.source_classes.names != self.classes.names:
            raise InputError(
                f"the source has the classes of {self.source_classes.name}, the target those of {self.classes.name}; "
                "give a class map (--class-map FILE) that joins them",
                field="task.class_map",
            )
        return identity_map(self.classes)

    @cached_property
    def dataset(self) -> Dataset:
        """The target's images; their labels, should there be any, are not even listed.

        Raises:
            InputError: no folder is named, or it holds no images.
        """
        data = self.config.data
        if data.target is None:
            raise InputError("no target images are named; give --target DIR", field="data.target")
        dataset = open_dataset(self.path(data.target), layout=data.layout, split=data.split)
        samples = tuple(dataclasses.replace(sample, label=None) for sample in dataset.samples)
        return dataclasses.replace(dataset, samples=samples)

    @cached_property
    def validation(self) -> Dataset | None:
        """Labelled images for scoring, None where none are named or those named have no labels."""
        data = self.config.data
        if data.val_images is None and data.val_labels is None:
            return None
        if data.val_images is None:
            raise InputError("validation labels are named without their images", field="data.val_images")
        dataset = open_dataset(
            self.path(data.val_images),
            layout=data.val_layout,
            split="val",
            labels=self.path(data.val_labels) if data.val_labels else None,
            encoding=data.val_encoding,
            classes=self.classes,
        )
        return dataset if dataset.labelled else None

    @cached_property
    def size(self) -> Size:
        """The working size: what was asked for, or proposed from the images."""
        if self.config.data.size:
            return self.config.data.size
        size, reason = propose_size(self.dataset)
        self.note(reason)
        return size

    @cached_property
    def cache(self) -> ImageCache:
        """Images at working size."""
        limit = int(self.config.runtime.cache_gb * 1e9)
        return ImageCache(self._cache_folder, self.size, limit, writers=self.engine.workers.world)

    def labeller(self) -> Labeller:
        """The source, running or as predictions, speaking in the target's classes.

        Raises:
            InputError: no source is named, or it does not fit.
        """
        if self.config.source.predictions:
            predictions = self.predictions.lookup([sample.key for sample in self.dataset.samples])
            if not predictions.soft and not predictions.confidences:
                self.note("the predictions have no confidence: every pixel counts as certain", warning=True)
            return PredictedLabels(predictions, self.size)
        return NetworkLabels(self.source, self.class_map, self.engine, self.config.pseudo_label)

    @cached_property
    def predictions(self) -> PredictionSet:
        """The source's predictions, not yet matched to images."""
        source = self.config.source
        assert source.predictions is not None
        confidence = self.path(source.confidence) if source.confidence else None
        return open_predictions(self.path(source.predictions), confidence, self.source_classes, self.class_map)

    @cached_property
    def source(self) -> Source:
        """The source model.

        Raises:
            InputError: none is named, or its file does not fit.
        """
        options = self.config.source
        if options.file is None:
            raise InputError("no source is named; give --source FILE or --predictions DIR", field="source.file")
        source = open_source(
            self.path(options.file),
            options=options,
            classes=self.source_classes,
            size=self.size,
            device=self.engine.device,
            trust=self.config.runtime.trust,
        )
        if isinstance(source, NetworkSource):
            self.engine.place(source.model)
        return source

    @property
    def student_net(self) -> str:
        """The student's network: the named one, or the source's."""
        return self.config.student.net or self.config.source.net

    @property
    def student_is_source(self) -> bool:
        """Whether the student starts as the source itself: a white box of the same net and classes."""
        file = self.config.source.file
        if file is None or self.student_net != self.config.source.net or self.config.student.weights == "random":
            return False
        return self._starting_weights() == self.path(file)

    def new_student(self) -> Model:
        """The student with the weights it starts from.

        Raises:
            InputError: there are none and random ones were not asked for, or they do not fit.
        """
        weights = self._starting_weights()
        model = create_model(
            self.student_net,
            self.classes,
            self.size,
            trust=self.config.runtime.trust,
            seed=self.config.runtime.seed,
        )
        if weights is None:
            self.note(f"the student {self.student_net} starts from random weights", warning=True)
            self.start = "random"
            return model
        report = load_into(model, weights, purpose="start")
        # A file that fills the head too is a model of as many classes.
        self.start = "pretrained" if report.missing else "trained"
        self.note(f"the student {self.student_net} starts from {weights.name}: {'; '.join(report.lines())}")
        return model

    def _starting_weights(self) -> Path | None:
        source, student = self.config.source, self.config.student
        if student.weights == "random":
            return None
        if student.weights not in ("", "source"):
            return self.path(student.weights)
        if source.file and self.student_net == source.net and self.class_map.source.names == self.classes.names:
            return self.path(source.file)
        raise InputError(
            f"the student {self.student_net} has no weights to start from (the source's do not fit it); give "
            "--student-weights FILE, or 'random' to train it from nothing",
            field="student.weights",
        )

    @property
    def starts_from_source(self) -> bool:
        """Whether `new_student` has the source's weights: it is a model of these classes before it learns anything."""
        source = self.config.source.file
        return source is not None and self._starting_weights() == self.path(source)

    def source_weights(self) -> tuple[dict[str, Tensor], str] | None:
        """The source's weights for the student and their file's name; None where its net or classes are others."""
        source = self.config.source
        same = self.student_net == source.net and self.class_map.source.names == self.classes.names
        if not source.file or not same:
            return None
        model = create_model(self.student_net, self.classes, self.size, trust=self.config.runtime.trust)
        path = self.path(source.file)
        try:
            load_into(model, path, purpose="source")
        except InputError:
            # It runs as a source, say as ONNX, and has no weights to be had.
            return None
        return model.net.state_dict(), f"the source ({path.name})"

    def load_student(self, path: Path) -> Model:
        """A model that an earlier stage wrote.

        Raises:
            InputError: the file is missing or for other classes.
        """
        try:
            found = read_weights(path)
            model, _ = model_of(found, trust=found.card is not None and self.trusts(found.card.net))
        except InputError as error:
            raise InputError(f"{error}; or run the stage {path.parent.name} again", field=error.field) from error
        if model.classes.names != self.classes.names:
            raise InputError(
                f"{path}: made for the classes of {model.classes.name} ({len(model.classes)}), expected those of "
                f"{self.classes.name} ({len(self.classes)}); choose the class set it was made for"
            )
        return model

    def check_training(self, model: Model, options: TrainingOptions, sizes: list[Size]) -> None:
        """Refuses, before the run, batches that the net cannot train on.

        Raises:
            InputError: with the reason.
        """
        if options.batch % options.accumulate:
            raise InputError(
                f"batch {options.batch} cannot be split into {options.accumulate} equal parts; choose accumulate so "
                "that it divides the batch",
                field="accumulate",
            )
        world = self.engine.workers.world
        check_batch_size(options.batch, world)
        # Only patches are padded.
        model.check_size(self.size.width, self.size.height)
        if options.crop:
            model.check_size(*options.crop)
            sizes = [options.crop if size == self.size else size for size in sizes]
        for size in sizes:
            multiple = model.info.multiple
            padded = Size(*(-(-side // multiple) * multiple for side in size))
            at_once = options.batch // passes(options.batch, options.accumulate, world)
            # On CUDA batch norm sees the images of all workers.
            check_batch(model, at_once if self.engine.device.type == "cuda" else at_once // world, padded)
