"""Data, classes, source and student of a configuration, each opened when it is first used."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from torch import Tensor

from crots.artefacts import is_scoring
from crots.class_maps import ClassMap
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import Dataset
from crots.data.pixels import pixel_warnings
from crots.data.predictions import PredictionSet, glance
from crots.data.sizes import enlarged
from crots.data.tiles import Tiling
from crots.errors import InputError
from crots.events import Note, Remark
from crots.execution.batches import check_batch_size, passes
from crots.execution.engine import Engine
from crots.folders import check_formats
from crots.nets.imagenet import load_imagenet
from crots.nets.model import Model, check_batch, create_model
from crots.nets.reading import read_weights
from crots.nets.registry import net_info
from crots.nets.source import NetworkSource, Source, open_source
from crots.nets.weights import load_into, model_of
from crots.opening import Inputs
from crots.options import IMAGENET, PseudoLabelOptions
from crots.project_config import ProjectConfig
from crots.stages.labellers import Labeller, NetworkLabels, PredictedLabels
from crots.taxonomy import ClassSet
from crots.training.tiled import Tiles
from crots.training_options import Start, TrainingOptions
from crots.trust import code_of, is_factory, listed


class Workbench:
    """Everything a configuration names, opened and checked.

    Attributes:
        config: the options.
        root: what relative paths are relative to.
        inputs: what the options name.
        stage: key for notes.
        start: how the student of the last `new_student` starts.
        notes: what was decided on the way and the user should read.
    """

    def __init__(
        self,
        config: ProjectConfig,
        root: Path,
        cache_folder: Path | None,
        stage: str,
        *,
        classes: ClassSet | None = None,
    ) -> None:
        self.config, self.root, self.stage = config, root, stage
        self.notes: list[Note] = []
        self.start: Start = "random"
        self._cache_folder = cache_folder
        self.inputs = Inputs(config, root, classes=classes)
        if config.runtime.trust and (code := code_of(config, root)):
            self.note(f"this run may run third-party code, as you allowed: {listed(code)}")

    def trusts(self, net: str) -> bool:
        """Whether the network named in a file may be built: trust covers only what the options name."""
        return self.config.runtime.trust and net in (self.config.source.net, self.config.student.net)

    def path(self, value: Path | str) -> Path:
        """Resolves a path of the configuration."""
        return self.inputs.path(value)

    def note(self, text: str, *, warning: bool = False) -> None:
        """Keeps a note for the user for when the stage starts; the same note once."""
        note = Note(stage=self.stage, text=text, level="warning" if warning else "info", known=True)
        if all(old.text != text for old in self.notes):
            self.notes.append(note)

    def take(self, remarks: Iterable[Remark]) -> None:
        """Keeps what was found about the inputs as notes; see `note`."""
        for remark in remarks:
            self.note(remark.text, warning=remark.warning)

    @cached_property
    def engine(self) -> Engine:
        """Device and precision; scores are computed in fp32, unless the user chose another precision."""
        runtime = self.config.runtime
        if is_scoring(self.stage) and runtime.precision == "auto":
            # Rounding moves mIoU by up to half a point, and a score must not depend on how fast a processor is.
            runtime = dataclasses.replace(runtime, precision="fp32")
        return Engine(runtime)

    @property
    def classes(self) -> ClassSet:
        """The target's classes."""
        return self.inputs.classes

    @property
    def source_classes(self) -> ClassSet:
        """The source's classes."""
        return self.inputs.source_classes

    @property
    def class_map(self) -> ClassMap:
        """Joins the source's classes to the target's."""
        return self.inputs.class_map

    @property
    def dataset(self) -> Dataset:
        """The target's images, without labels."""
        return self.inputs.target

    @property
    def validation(self) -> Dataset | None:
        """Labelled images for scoring, None where none are named or those named have no labels."""
        if unscored := self.inputs.unscored:
            self.note(unscored, warning=True)
        found = self.inputs.validation
        self.take(note for note in (found.notes if found else ()) if note.warning)
        return found

    @cached_property
    def size(self) -> Size:
        """What a network sees at once: a tile, or an image at working size, asked for or proposed from the images."""
        if self.inputs.tiling is None and not self.config.data.size:
            self.note(self.inputs.proposed_size[1])
        return self.inputs.size

    @property
    def tiling(self) -> Tiling | None:
        """How images are cut into tiles; None where they are resized."""
        return self.inputs.tiling

    def tiles(self, batch: int = 0) -> Tiles | None:
        """Returns what runs networks on tiles; None where images are resized.

        Args:
            batch: tiles per forward pass; 0 is the device's usual number.
        """
        return Tiles(self.tiling, self.engine, self.engine.batch(batch)) if self.tiling else None

    @cached_property
    def cache(self) -> ImageCache:
        """Images at working size; at their own where they are cut into tiles."""
        limit = int(self.config.runtime.cache_gb * 1e9)
        size = None if self.tiling else self.size
        return ImageCache(self._cache_folder, size, limit, writers=self.engine.workers.world)

    def labeller(self) -> Labeller:
        """The labeller: the source model or its predictions, in the target's classes.

        Raises:
            InputError: no source is named, or it does not fit.
        """
        self.note_pixels(self.dataset)
        self.note_size(self.dataset)
        if self.config.source.predictions:
            images = {sample.key: sample.image for sample in self.dataset.samples}
            predictions, notes = self.predictions.lookup(images).resolved()
            self.take(notes)
            for warning in glance(predictions, images, self.stretched).warnings:
                self.note(warning, warning=True)
            return PredictedLabels(predictions, self.stretched)
        return self.network_labels(self.config.pseudo_label)

    def note_pixels(self, dataset: Dataset) -> None:
        """Warns of images that are nearly black, transparent, or of several frames."""
        for warning in pixel_warnings([sample.image for sample in dataset.samples]):
            self.note(warning.text, warning=True)

    def note_size(self, dataset: Dataset) -> None:
        """Warns of a working size or tiles far larger than the images."""
        if text := enlarged(dataset, size=self.config.data.size, tile=self.config.data.tile):
            self.note(text, warning=True)

    def network_labels(self, options: PseudoLabelOptions) -> NetworkLabels:
        """The source model as a labeller, in the target's classes."""
        return NetworkLabels(self.source, self.class_map, self.engine, options, self.tiles(options.batch))

    @property
    def stretched(self) -> Size | None:
        """The size that images are resized to, whatever their shape; None where they keep their own."""
        return None if self.tiling else self.size

    @property
    def predictions(self) -> PredictionSet:
        """The source's predictions, not yet matched to images."""
        found = self.inputs.predictions
        assert found is not None
        return found

    @cached_property
    def source(self) -> Source:
        """The source model.

        Raises:
            InputError: none is named, or its file does not fit.
        """
        source = open_source(
            self.inputs.source_file,
            options=dataclasses.replace(self.config.source, net=self.inputs.source_net),
            classes=self.source_classes,
            size=self.size,
            device=self.engine.device,
            trust=self.config.runtime.trust,
        )
        if isinstance(source, NetworkSource):
            self.engine.place(source.model)
        if source.remarks:
            self.note(f"the source {self.inputs.source_file.name}: {'; '.join(source.remarks)}")
        return source

    @property
    def student_net(self) -> str:
        """The student's network: the named one, or the source's."""
        return self.inputs.student_net

    def check_student(self) -> None:
        """Refuses the name of a student's network that cannot be built; code of others is not run for it.

        Raises:
            InputError: there is no such network.
        """
        named = self.config.student.net
        if named and not is_factory(named):
            net_info(named)

    def new_student(self) -> Model:
        """The student with the weights it starts from.

        Raises:
            InputError: there are none and random ones were not asked for, or they do not fit.
        """
        check_formats(self.config.export.formats, self.student_net)
        weights = self.inputs.student_weights
        model = create_model(
            self.student_net,
            self.classes,
            self.size,
            trust=self.trusts(self.student_net),
            seed=self.config.runtime.seed,
        )
        if self.tiling:
            model.card = dataclasses.replace(model.card, tile_overlap=self.tiling.overlap)
        if self.config.student.weights == IMAGENET:
            report, name = load_imagenet(model), "ImageNet weights"
        elif weights is None:
            self.note(f"the student {self.student_net} starts from random weights", warning=True)
            self.start = "random"
            return model
        else:
            report = load_into(model, weights, purpose="start", class_map=self.inputs.start_map)
            name = weights.name
        self.start = report.start
        self.note(f"the student {self.student_net} starts from {name}: {'; '.join(report.lines())}")
        return model

    def source_weights(self) -> tuple[dict[str, Tensor], str] | None:
        """The source's weights for the student and their file's name; None where its net or classes are others."""
        if not self.inputs.source_fits_student:
            return None
        model = create_model(self.student_net, self.classes, self.size, trust=self.trusts(self.student_net))
        path = self.inputs.source_file
        try:
            load_into(model, path, purpose="source", class_map=self.inputs.source_map)
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
        options.check()
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
