"""Opens what a project's options name: one result and one error for each input, for all callers.

The workbench of the stages, the survey of ``crots init``, the commands that run one stage and the studio's set-up page
all ask here, so that what one of them accepts no other refuses.
No torch, but for what a student's own weights file holds (`Inputs.start`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import filecmp
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from crots import rendering
from crots.card import ModelCard, check_classes, file_card, unnamed
from crots.class_files import shipped_name
from crots.class_maps import ClassMap, class_map_source, class_map_target, identity_map, load_class_map
from crots.config import Size
from crots.data.datasets import Dataset, open_dataset, with_labels_alone
from crots.data.pixels import PixelWarning, pixel_warnings
from crots.data.predictions import PredictionSet, open_predictions
from crots.data.sizes import enlarged, propose_size, proposed_tile, squeezed
from crots.data.spread import evenly_spread
from crots.data.tiles import Tiling
from crots.errors import InputError
from crots.events import Remark
from crots.files import expanded, file_or_name
from crots.folders import check_student, check_whole, folder_card, is_model_folder, why_no_model
from crots.methods.patches import cell_size
from crots.methods.rare import asked_rare
from crots.nets.checkpoint_cards import checkpoint_card
from crots.nets.names import check_net, sums_last_layers
from crots.nets.units import check_units
from crots.options import DEFAULT_NET, IMAGENET, DataOptions
from crots.program_cards import program_card
from crots.project_config import ProjectConfig
from crots.taxonomy import ClassSet, load_class_set
from crots.training_options import Start
from crots.trust import is_factory, program_kind

if TYPE_CHECKING:
    from crots.nets.weights import LoadReport

# Stands for the working size where the options give none: no network's parameters depend on it.
_ANY_SIZE = Size(512, 256)
# Validation images that have names of target images, and are compared with those.
_COMPARED = 20


def card_of(path: Path) -> ModelCard | None:
    """Returns the card of a model file or folder, as far as it can be read without torch.

    Raises:
        InputError: it says something that cannot be used.
    """
    if is_model_folder(path):
        return folder_card(path)
    return file_card(path) or program_card(path) or checkpoint_card(path)


ListImages = Callable[[Path, str, str], Dataset]


def list_images(path: Path, layout: str, split: str) -> Dataset:
    """Lists the images of a target; see `crots.data.datasets.open_dataset`."""
    return open_dataset(path, layout=layout, split=split)


class Inputs:
    """The inputs of a configuration; each is opened when first asked for.

    Attributes:
        config: the options.
        root: what relative paths are relative to.
    """

    def __init__(
        self,
        config: ProjectConfig,
        root: Path,
        *,
        images: ListImages = list_images,
        card: Callable[[Path], ModelCard | None] = card_of,
        classes: ClassSet | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            config: the options.
            root: what relative paths are relative to.
            images: lists the target's.
            card: reads what a model file says of itself.
            classes: the target's, in place of those that the options name.
        """
        self.config, self.root = config, root
        self._list_images, self._read_card, self._classes = images, card, classes

    def path(self, value: Path | str) -> Path:
        """Resolves a path of the configuration."""
        return self.root / expanded(value)

    @cached_property
    def classes(self) -> ClassSet:
        """The target's classes: those named, else those of `implied_classes`.

        Raises:
            InputError: there is no such class set, or none is named anywhere.
        """
        if self._classes is not None:
            return self._classes
        if self.config.task.classes:
            return load_class_set(file_or_name(self.config.task.classes, self.root))
        implied = self.implied_classes
        if implied is None:
            silent = self.config.source.file is not None and not self.config.source.predictions and not self.source_card
            # A file that is not a model has its own error.
            beside = f", and {self.source_file} names none" if silent else ""
            raise InputError(
                f"no classes are given{beside}; name a class set or its TOML file, by `task.classes`",
                field="task.classes",
            )
        # Files keep names and colours; the shipped set of these classes also knows the ids of label files.
        return load_class_set(name) if (name := shipped_name(implied)) else implied

    @cached_property
    def implied_classes(self) -> ClassSet | None:
        """The target's classes if the user chose none: those that the class map or the source's file names.

        None where neither names any, or where the source's classes were chosen, since the target's may then differ.

        Raises:
            InputError: as `source_classes`.
        """
        task, card = self.config.task, self.source_card
        if task.class_map:
            return class_map_target(file_or_name(task.class_map, self.root))
        if task.source_classes or card is None:
            return None
        return self.source_classes

    @cached_property
    def source_classes(self) -> ClassSet:
        """The source's classes: those named, else the class map's, else the source file's own, else the target's.

        Raises:
            InputError: there is no such class set or class map, or the source's file names other classes.
        """
        task, card = self.config.task, self.source_card
        file = str(self.config.source.file)
        if task.source_classes:
            named = load_class_set(file_or_name(task.source_classes, self.root))
            if card is not None:
                check_classes(card, file, named, "task.source_classes")
            return named
        if task.class_map and (mapped := class_map_source(file_or_name(task.class_map, self.root))) is not None:
            if card is not None:
                check_classes(card, file, mapped, "task.class_map", "give a class map from the file's classes")
            return mapped
        if card is not None and unnamed(card.classes["names"]):
            raise InputError(
                f"{self.config.source.file}: its {len(card.classes['names'])} classes have no names; give the class "
                "set that it was trained with, by `task.source_classes`",
                field="task.source_classes",
            )
        given = self._classes is not None or bool(task.classes or task.class_map)
        if card is not None and (not given or list(self.classes.names) != card.classes["names"]):
            return card.class_set
        return self.classes

    @cached_property
    def class_map(self) -> ClassMap:
        """Joins the source's classes to the target's.

        Raises:
            InputError: the classes differ and no map was given, or it does not fit them.
        """
        source, target = self.source_classes, self.classes
        if self.config.task.class_map:
            return load_class_map(file_or_name(self.config.task.class_map, self.root), source, target)
        if source.names != target.names:
            raise InputError(
                f"the source has the classes of {source.name}, the target those of {target.name}; give a class map "
                "between them, by `task.class_map`, or the source's classes as the target's too, by `task.classes`",
                field="task.class_map",
            )
        return identity_map(target)

    @cached_property
    def published_rare(self) -> tuple[int, ...]:
        """The published set of rare classes, in the target's classes; empty where there is none."""
        return published_rare(self.class_map)

    @cached_property
    def target(self) -> Dataset:
        """The target's images; their labels, should there be any, are not even listed.

        Raises:
            InputError: no folder is named, or it holds no images.
        """
        data = self.config.data
        if data.target is None:
            raise InputError("no target images are named; give `data.target`", field="data.target")
        dataset = self._list_images(self.path(data.target), data.layout, data.split)
        render(dataset, data)
        samples = dataset.samples
        if dataset.labelled:
            samples = tuple(dataclasses.replace(sample, label=None) for sample in samples)
        notes = tuple(note for note in dataset.notes if note.kind not in ("labels", "unused labels", "names"))
        if data.split not in (DataOptions().split, dataset.split):
            # Chosen where there is nothing to choose from: a plain folder, or a list or folder of one split.
            found = f"this is the split {dataset.split}" if dataset.split else "it has no splits"
            text = (
                f"{dataset.root}: {found}, so that `data.split` {data.split} leaves out none of {len(samples)} images"
            )
            notes = (*notes, Remark(text, "warning"))
        return dataclasses.replace(dataset, samples=samples, notes=notes)

    @cached_property
    def enlarged(self) -> str:
        """Says that the working size or the tiles asked for are far larger than the target's images; else empty."""
        return enlarged(self.target, size=self.config.data.size, tile=self.config.data.tile)

    @cached_property
    def squeezed(self) -> Size | None:
        """The size of most of the target's images if the working size asked for has another aspect ratio."""
        size = self.config.data.size
        return squeezed(self.target, size) if size else None

    @cached_property
    def pixel_warnings(self) -> tuple[PixelWarning, ...]:
        """Warnings about target images that are nearly black, transparent, or of several frames."""
        return pixel_warnings([sample.image for sample in self.target.samples])

    @property
    def validation(self) -> Dataset | None:
        """Labelled images for scoring; None where none are named, or those named have no labels.

        Raises:
            InputError: labels are named without images, or the folders do not fit together.
        """
        found = self._validation
        return found if found is not None and found.labelled else None

    @property
    def shared(self) -> str:
        """That validation images are target images too; empty where none is.

        Raises:
            InputError: as `validation` and `target`.
        """
        found = self.validation
        images = {sample.image for sample in self.target.samples} if found is not None else set()
        both = sum(sample.image in images for sample in found.samples) if found is not None else 0
        if found is None or not both:
            return ""
        return (
            f"{both} of {len(found)} validation images are target images too: their scores say little of other images"
        )

    @property
    def unscored_source(self) -> str:
        """Why predictions that are the source cannot be scored on the validation images; empty where they can.

        Raises:
            InputError: as `validation`, `target` and `predictions`.
        """
        found, predictions = self.validation, self.predictions
        if found is None or predictions is None:
            return ""
        try:
            own = predictions.lookup(found.keys, beside=self.target.keys).files
        except InputError as error:
            return f"the source cannot be scored: {error}"
        if name := self._taken_for_target(found, own):
            return (
                f"the source cannot be scored: {name} is a validation image and another target image, and the one "
                f"prediction of that name, {own[name]}, is taken for the target's; name the validation images otherwise"
            )
        return ""

    def _taken_for_target(self, validation: Dataset, own: Mapping[str, Path]) -> str:
        """The key of a validation image that would be scored with the prediction of another picture; or nothing."""
        targets = {sample.key: sample.image for sample in self.target.samples}
        shared = [sample for sample in validation.samples if sample.key in targets and sample.key in own]
        for sample in (shared[place] for place in evenly_spread(len(shared), _COMPARED)):
            # An unreadable one is reported where its pixels are needed.
            with contextlib.suppress(OSError):
                if not filecmp.cmp(sample.image, targets[sample.key], shallow=False):
                    return sample.key
        return ""

    @property
    def unscored(self) -> str:
        """Why nothing is scored although validation images are named; empty otherwise.

        Raises:
            InputError: as `validation`.
        """
        found = self._validation
        if found is None or found.labelled:
            return ""
        return (
            f"{found.root}: found no labels for the {len(found)} validation images{found.why_unlabelled}, so nothing "
            "is scored; give `data.val_labels`"
        )

    @cached_property
    def _validation(self) -> Dataset | None:
        data = self.config.data
        if data.val_images is None and data.val_labels is None:
            return None
        if data.val_images is None:
            raise InputError("`data.val_labels` is given without `data.val_images`; give both", field="data.val_images")
        dataset = open_dataset(
            self.path(data.val_images),
            layout=data.val_layout,
            split="val",
            labels=self.path(data.val_labels) if data.val_labels else None,
            encoding=data.val_encoding,
            classes=self.classes,
        )
        dataset = with_labels_alone(dataset)
        render(dataset, data)
        return dataset

    @cached_property
    def proposed_size(self) -> tuple[Size, str]:
        """The working size proposed from the target's images, with the reason."""
        return propose_size(self.target)

    @property
    def size(self) -> Size:
        """The input size of a network: a tile, or an image at working size, given or proposed from the images.

        Raises:
            InputError: as `tiling`.
        """
        return self.tiling.size if self.tiling else self.config.data.size or self.proposed_size[0]

    @property
    def stretched(self) -> Size | None:
        """The size that images are resized to, whatever their shape; None where they keep their own.

        Raises:
            InputError: as `tiling`.
        """
        return None if self.tiling else self.size

    @cached_property
    def proposed_tile(self) -> Size | None:
        """The size of tiles that the target's images suggest; None where resizing loses little."""
        return proposed_tile(self.target, self.proposed_size[0])

    @property
    def tiling(self) -> Tiling | None:
        """How images are cut into tiles; None where they are resized to the working size.

        Raises:
            InputError: both are asked for.
        """
        return tiling_of(self.config.data)

    @cached_property
    def predictions(self) -> PredictionSet | None:
        """The source's predictions, not yet matched to images; None where they are not the source.

        Raises:
            InputError: as `predictions_in`, and where the classes are not joined.
        """
        return None if self.config.source.predictions is None else self.predictions_in(self.class_map)

    def predictions_in(self, class_map: ClassMap) -> PredictionSet:
        """Opens the source's predictions.

        Args:
            class_map: from the source's classes to those of the result.

        Raises:
            InputError: a folder is missing, or holds none; or a source model is named too.
        """
        source = self.config.source
        assert source.predictions is not None
        if source.file is not None:
            raise InputError(
                "both `source.file` and `source.predictions` are given, expected one of them; leave the other out",
                field="source.file",
            )
        for path in map(self.path, filter(None, (source.predictions, source.confidence))):
            if not path.is_dir():
                kind = "a file" if path.exists() else "no such folder"
                raise InputError(f"{path}: {kind}, expected a folder of predictions; check the path")
        confidence = self.path(source.confidence) if source.confidence else None
        return open_predictions(
            self.path(source.predictions), confidence, self.source_classes, class_map, encoding=source.encoding
        )

    @property
    def source_file(self) -> Path:
        """The source model's file, which exists but was not opened.

        Raises:
            InputError: none is named, it is missing, or its mean or scale is given in other units.
        """
        file = self.config.source.file
        if file is None:
            raise InputError("no source is named; give `source.file` or `source.predictions`", field="source.file")
        path = self.path(file)
        check_units(self.config.source)
        if is_model_folder(path):
            return path
        if path.is_dir() or not path.exists():
            found, remedy = why_no_model(path)
            raise InputError(f"{path}: {found}, expected the source model; {remedy}", field="source.file")
        return path

    @cached_property
    def source_card(self) -> ModelCard | None:
        """The card in the source model's file; None if it has none, or predictions are the source."""
        source = self.config.source
        if source.file is None or source.predictions is not None:
            return None
        return self._read_card(self.path(source.file))

    @cached_property
    def source_net(self) -> str:
        """The source's network: the one named in the file, else the one in the options, else the default.

        Raises:
            InputError: the file holds another network than the one named, or one that would run code nobody named;
                or there is none of that name.
        """
        named, card = self.config.source.net, self.source_card
        # A program is no network whose weights could be taken.
        if card is None or named == card.net or closed(self.source_file):
            if card is None and not named and self.config.source.file and self.config.source.predictions is None:
                check_whole(self.source_file)
            check_net(named or DEFAULT_NET, "source.net")
            return named or DEFAULT_NET
        if is_factory(card.net):
            # Trust was given for the code that the options name; the file's own description may come from anyone.
            raise InputError(
                f"{self.config.source.file} says that it is a {card.net}, which would run code of a Python module that "
                f"the options do not name; if you trust it, name it as the network (`source.net` {card.net})",
                field="source.net",
            )
        if named:
            raise InputError(
                f"{self.config.source.file} holds a {card.net}, but the option names {named}; leave the network out",
                field="source.net",
            )
        check_net(card.net, "source.net")
        return card.net

    @property
    def student_net(self) -> str:
        """The student's network: the named one, or the source's.

        Raises:
            InputError: it cannot be trained.
        """
        net = self.config.student.net or self.source_net
        check_net(net, "student.net")
        check_student(net)
        return net

    @property
    def source_fits_student(self) -> bool:
        """Whether the source is a model file of the student's network and classes, as far as the options show.

        A class map may join its classes to the student's.

        Raises:
            InputError: as `class_map`.
        """
        source = self.config.source
        if source.file is None or source.predictions is not None or closed(self.path(source.file)):
            return False
        return self.student_net == self.source_net and (self._same_classes or self._joined is not None)

    @property
    def _same_classes(self) -> bool:
        return self.source_classes.names == self.classes.names

    @property
    def _joined(self) -> ClassMap | None:
        """The map that joins the classes of the source's last layer to the student's; None where none does."""
        if self._same_classes or self.config.task.class_map is None or not self.class_map.joins:
            return None
        net = self.student_net
        return None if is_factory(net) or sums_last_layers(net) else self.class_map

    @property
    def start_map(self) -> ClassMap | None:
        """How the classes of the file that the student starts from are joined to its own; None where they are not.

        Raises:
            InputError: as `class_map`.
        """
        return self._joined if self.starts_from_source else None

    @property
    def starts_from_source(self) -> bool:
        """Whether the student has the source's weights: it predicts these classes before it learns anything.

        Raises:
            InputError: what is known of the source cannot be used.
        """
        weights, source = self.config.student.weights, self.config.source.file
        if source is None or weights in ("random", IMAGENET):
            return False
        return (weights in ("", "source") or self.path(weights) == self.path(source)) and self.source_fits_student

    @property
    def start(self) -> Start | None:
        """How the student starts; None where only a run can tell, since its network is third-party code.

        Imports torch only to see what a weights file holds that is not the source's.

        Raises:
            InputError: as `student_weights` and `start_report`.
        """
        if self.student_weights is None:
            return "random" if self.config.student.weights == "random" else "pretrained"
        if self.starts_from_source:
            return "trained"
        return None if is_factory(self.student_net) else self.start_report.start

    @cached_property
    def start_report(self) -> LoadReport:
        """How the weights file that the student starts from fits it. Imports torch.

        Raises:
            InputError: it does not fit, or the student starts from no file.
        """
        from crots.nets.model import create_model
        from crots.nets.weights import load_into

        weights, data = self.student_weights, self.config.data
        if weights is None:
            raise InputError(f"`student.weights` is {self.config.student.weights!r}, expected a weights file")
        model = create_model(self.student_net, self.classes, data.size or data.tile or _ANY_SIZE)
        return load_into(model, weights, purpose="start", class_map=self.start_map)

    @property
    def student_weights(self) -> Path | None:
        """The file that the student starts from; None for random weights and for those of ImageNet.

        Raises:
            InputError: there is none and random ones were not asked for, or it is missing.
        """
        weights = self.config.student.weights
        if weights in ("random", IMAGENET):
            return None
        if weights not in ("", "source"):
            file = present(self.path(weights), "the student's weights", "student.weights")
            self._check_order(file)
            return file
        if self.source_fits_student:
            return self.source_file
        raise InputError(
            f"the student {self.student_net} has no weights to start from (the source's do not fit it, or there are "
            "none); give `student.net` and a file as `student.weights`, 'imagenet' to download those of its encoder, "
            "or 'random' to train it from scratch",
            field="student.weights",
        )

    def _check_order(self, weights: Path) -> None:
        """Refuses the source's own file where a class map changes the order of as many classes.

        By its shape, the last layer would be taken as it is, and each class be learnt as another from the start.
        """
        source = self.config.source.file
        if source is None or weights != self.path(source) or self._same_classes or self.config.task.class_map is None:
            return
        names = [self.class_map.names()[name] for name in self.source_classes.names]
        if len(names) == len(self.classes) and names != list(self.classes.names):
            raise InputError(
                f"{weights} gives the classes {', '.join(names[:4])} ... by the class map, expected "
                f"{', '.join(self.classes.names[:4])} ..., as the class set has them; list the classes in the order of "
                "the file, or give other weights",
                field="student.weights",
            )

    def check_stages(self, stages: Collection[str]) -> None:
        """Refuses options that a later stage would refuse, perhaps hours after the start of a run.

        Args:
            stages: kinds of the stages that will run.

        Raises:
            InputError: with the option.
        """
        if "baseline" in stages:
            self.config.baseline.check()
            _ = self.student_weights
        if "mine" in stages:
            if self.config.mine.rare.strip() != "auto":
                asked_rare(self.config.mine.rare, self.classes, self.published_rare)
            cell_size(self.size.height, self.size.width, self.config.mine.grid)
        if "adapt" in stages:
            self.config.adapt.check()


def render(dataset: Dataset, data: DataOptions) -> None:
    """Notes which bands of a data set's images are read, and what is white, for all that read them.

    Raises:
        InputError: the bands are not given as one or three numbers.
    """
    rendering.use((sample.image for sample in dataset.samples), rendering.parse_rendering(data.bands, data.white))


def tiling_of(data: DataOptions) -> Tiling | None:
    """Returns how images are cut into tiles; None where they are resized to the working size.

    Raises:
        InputError: both are asked for.
    """
    if data.tile is None:
        return None
    if data.size is not None:
        raise InputError(
            f"`data.size` is {data.size} and `data.tile` is {data.tile}, expected one of them: images are either "
            "resized to a working size or cut into tiles as they are; set the other to none",
            field="data.tile",
        )
    return Tiling(data.tile, data.tile_overlap)


def closed(path: Path) -> bool:
    """Whether a model file can be run but not trained on: ONNX, and programs."""
    return path.suffix.lower() in (".onnx", ".pt2") or program_kind(path) is not None


def present(path: Path, what: str, field: str) -> Path:
    """Returns the path of a file that is there.

    Raises:
        InputError: it is not, or is a folder.
    """
    if path.is_dir() or not path.exists():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {found}, expected {what}; check the path", field=field)
    return path


def published_rare(class_map: ClassMap) -> tuple[int, ...]:
    """Returns F11's set: that of the source's classes, in those of the target, else the target's own.

    What the map ignores is left out.
    """
    ids = (int(class_map.table[number]) for number in class_map.source.published_rare)
    mapped = tuple(sorted({number for number in ids if number != class_map.target.ignore}))
    return mapped or class_map.target.published_rare
