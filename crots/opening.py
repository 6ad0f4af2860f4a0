"""Opens what a project's options name: one result and one error for each input, for all callers.

The workbench of the stages, the survey of ``crots init``, the commands that run one stage and the studio's set-up page
all ask here, so that what one of them accepts no other refuses.
What the source is: `crots.source_inputs`; what the student starts from: `crots.student_inputs`.
No torch, but for what a student's own weights file holds (`Inputs.start`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import filecmp
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path

from crots import rendering
from crots.card import ModelCard
from crots.class_maps import ClassMap
from crots.config import Size
from crots.data.datasets import Dataset, open_dataset, with_labels_alone
from crots.data.pixels import PixelWarning, pixel_warnings
from crots.data.sizes import enlarged, propose_size, proposed_tile, squeezed
from crots.data.spread import evenly_spread
from crots.data.tiles import Tiling
from crots.errors import InputError
from crots.events import Remark
from crots.methods.patches import cell_size
from crots.methods.rare import asked_rare
from crots.options import DataOptions
from crots.project_config import ProjectConfig
from crots.source_inputs import card_of
from crots.student_inputs import StudentInputs
from crots.taxonomy import ClassSet

# Validation images that have names of target images, and are compared with those.
_COMPARED = 20


ListImages = Callable[[Path, str, str], Dataset]


def list_images(path: Path, layout: str, split: str) -> Dataset:
    """Lists the images of a target; see `crots.data.datasets.open_dataset`."""
    return open_dataset(path, layout=layout, split=split)


class Inputs(StudentInputs):
    """The inputs of a configuration; each is opened when first asked for."""

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
        super().__init__(config, root, card=card, classes=classes)
        self._list_images = images

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


def published_rare(class_map: ClassMap) -> tuple[int, ...]:
    """Returns F11's set: that of the source's classes, in those of the target, else the target's own.

    What the map ignores is left out.
    """
    ids = (int(class_map.table[number]) for number in class_map.source.published_rare)
    mapped = tuple(sorted({number for number in ids if number != class_map.target.ignore}))
    return mapped or class_map.target.published_rare
