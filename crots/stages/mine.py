"""Hard patches: cells of target images in which the pseudo-labels show a rare class. Runs no network."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from crots.arrays import Array
from crots.artefacts import IMAGE_ROWS, PATCH_COLOURS, PATCH_INDEX, PATCH_LABELS, PATCHES
from crots.config import Size, to_mapping
from crots.data.cache import ImageCache
from crots.data.datasets import Sample
from crots.data.feed import prefetch, readers
from crots.data.tiles import TileSample, place_of, read_sample
from crots.errors import InputError
from crots.events import ArtifactWritten, Event, Note, StageStarted, Unit
from crots.execution.context import Context, Meter
from crots.execution.workers import current
from crots.files import make_folder, write_json
from crots.images import read_image, resize_image, write_image
from crots.label_files import write_colours, write_labels
from crots.methods.patches import drop_unsure, grid_cells, select_cells
from crots.methods.rare import ClassStatistics, RareClass, asked_rare, rare_classes
from crots.options import MineOptions
from crots.stages.pseudo_label import read_rows, total_statistics
from crots.text import plural
from crots.training.material import PseudoLabels


@dataclass(frozen=True)
class MineJob:
    """One run of the stage.

    Attributes:
        samples: the target's images that have pseudo-labels, or tiles of them.
        cache: gives them at working size; images of pseudo-labels of another size are resized to those.
        pseudo_labels: where the labels and their confidence are.
        published_rare: F11's hard-coded set, for ``rare = "published"``.
        out: gets ``patches/``, ``labels/``, ``color_labels/`` and ``patches.json``.
        clear: all that is in those folders is of an earlier run, and is deleted.
    """

    samples: Sequence[Sample]
    cache: ImageCache
    pseudo_labels: PseudoLabels
    options: MineOptions
    out: Path
    published_rare: tuple[int, ...] = ()
    clear: bool = True


@dataclass(frozen=True)
class Patch:
    """One patch as ``patches.json`` lists it.

    Attributes:
        name: ``<base name>_<k>``.
        image: key of the image it is from.
        cell: 1..rows*columns, row-major.
        pixels: pixels of each class in it, by train id.
        confidence: mean over its rare pixels, 0..1.
        classes: the rare classes in it, train ids.
    """

    name: str
    image: str
    cell: int
    pixels: dict[int, int]
    confidence: float
    classes: list[int]


def mine_patches(job: MineJob, context: Context) -> Iterator[Event]:
    """Cuts out every cell that shows a rare class.

    Raises:
        InputError: base names repeat and ``keep_folders`` is off, or the rare classes are not of the set.
    """
    names = patch_names(job.samples, keep_folders=job.options.keep_folders)
    yield StageStarted(stage=context.stage, total=len(names), unit=_unit(job), options=to_mapping(job.options))
    workers = current()
    rare = workers.from_first(lambda: find_rare(job))
    for row in rare:
        yield Note(stage=context.stage, text=f"rare class {row.name}: {row.reason}")
    workers.from_first(lambda: _prepare(job.out, clear=job.clear))
    meter, cut = Meter(context.stage, len(names)), []
    cutting = prefetch(
        workers.dealt(job.samples),
        lambda sample: _cut(job, sample, names[sample.key], rare) if sample else [],
        workers=readers(),
        depth=2 * readers(),
    )
    try:
        for done, found in enumerate(cutting, 1):
            context.check()
            cut.append(found)
            yield from meter.tick(min(len(names), done * workers.world))
    finally:
        cutting.close()
    # In the order of the images, whichever worker cut them.
    patches = [patch for turn in zip(*workers.gathered(cut), strict=True) for found in turn for patch in found]
    index = {"grid": str(job.options.grid), "rare": list(map(asdict, rare)), "patches": list(map(asdict, patches))}
    workers.from_first(lambda: write_json(job.out / PATCH_INDEX, index))
    yield ArtifactWritten(stage=context.stage, kind="patches", path=str(job.out))
    yield _summary(patches, rare, job, context)


def _prepare(out: Path, *, clear: bool) -> None:
    for folder in (PATCHES, PATCH_LABELS, PATCH_COLOURS):
        if clear:
            shutil.rmtree(out / folder, ignore_errors=True)
        make_folder(out / folder)


def patch_names(samples: Sequence[Sample], *, keep_folders: bool) -> dict[str, str]:
    """Returns, by image key, the name that its patches begin with.

    Raises:
        InputError: equal base names in two folders, and the folders are not to be kept.
    """
    if keep_folders:
        return {sample.key: sample.key for sample in samples}
    names = {sample.key: PurePosixPath(sample.key).name for sample in samples}
    repeated = [name for name, count in Counter(names.values()).items() if count > 1]
    if repeated:
        where = [key for key, name in names.items() if name == repeated[0]]
        raise InputError(
            f"{len(repeated)} base names occur in several folders ({' and '.join(where[:3])}), so their patches would "
            "overwrite each other; rename them, or keep the folders with `mine.keep_folders`",
            field="mine.keep_folders",
        )
    return names


@dataclass(frozen=True)
class Rare:
    """A class that patches are cut for, and the reason."""

    id: int
    name: str
    reason: str


def find_rare(job: MineJob) -> list[Rare]:
    """Returns the rare classes that the options ask for (F11).

    Raises:
        InputError: a class that the set does not have.
    """
    classes = job.pseudo_labels.classes
    asked = asked_rare(job.options.rare, classes, job.published_rare)
    if asked is None:
        return [Rare(row.id, classes.names[row.id], row.reason) for row in _found(job)]
    return [Rare(number, classes.names[number], reason) for number, reason in asked.items()]


def _found(job: MineJob) -> list[RareClass]:
    return rare_classes(statistics_of(job), job.options.rare_count)


def statistics_of(job: MineJob) -> ClassStatistics:
    """Class statistics of the pseudo-labels: those written with them, or counted again from the label files."""
    labels = job.pseudo_labels
    if not labels.corrected and (written := written_statistics(labels, job.samples)):
        return written
    total = ClassStatistics(len(labels.classes))
    for key in _keys(job.samples):
        total.add(labels.read(key), labels.read_confidence(key))
    return total


def written_statistics(labels: PseudoLabels, samples: Sequence[Sample]) -> ClassStatistics | None:
    """Class statistics that were written with the pseudo-labels, without corrections; None where some are missing."""
    rows = {row["key"]: row for row in read_rows(labels.labels.parent / IMAGE_ROWS, len(labels.classes))}
    keys = _keys(samples)
    if not all(key in rows for key in keys):
        return None
    return total_statistics((rows[key] for key in keys), len(labels.classes))


def _keys(samples: Sequence[Sample]) -> list[str]:
    """The keys of the whole images, where there are tiles: these overlap."""
    return list(dict.fromkeys(place_of(sample)[0] for sample in samples))


def _cut(job: MineJob, sample: Sample, name: str, rare: Sequence[Rare]) -> list[Patch]:
    """Writes the patches of one image and returns their descriptions."""
    key, window = place_of(sample)
    labels = job.pseudo_labels.read(key, window=window)
    confidence = job.pseudo_labels.read_confidence(key, window)
    kept = drop_unsure(labels, confidence, job.options.min_confidence, job.pseudo_labels.classes.ignore)
    wanted = [row.id for row in rare]
    cells = select_cells(kept, wanted, job.options.grid, job.options.min_pixels)
    if not cells:
        return []
    image = _image_for(job.cache, sample, Size(labels.shape[1], labels.shape[0]))
    places = grid_cells(labels.shape[0], labels.shape[1], job.options.grid)
    found = {cell: places[cell - 1] for cell in cells}
    # Kind by kind, which keeps the processor's caches warm.
    for cell, place in found.items():
        write_image(job.out / PATCHES / f"{name}_{cell}.png", image[place])
    for cell, place in found.items():
        write_labels(job.out / PATCH_LABELS / f"{name}_{cell}.png", kept[place])
    palette = job.pseudo_labels.classes.palette_array()
    for cell, place in found.items():
        write_colours(job.out / PATCH_COLOURS / f"{name}_{cell}.png", kept[place], palette)
    return [
        _patch(f"{name}_{cell}", key, cell, kept[place], confidence[place], wanted) for cell, place in found.items()
    ]


def _image_for(cache: ImageCache, sample: Sample, size: Size) -> Array:
    if isinstance(sample, TileSample) or cache.size == size:
        return read_sample(cache, sample)
    return resize_image(read_image(sample.image), size)


def _patch(name: str, image: str, cell: int, labels: Array, confidence: Array, rare: Sequence[int]) -> Patch:
    counts = np.bincount(labels.ravel())
    pixels = {int(number): int(counts[number]) for number in np.flatnonzero(counts)}
    is_rare = np.isin(labels, rare)
    mean = float(confidence[is_rare].mean())
    return Patch(name, image, cell, pixels, round(mean, 4), [number for number in rare if number in pixels])


def _summary(patches: Sequence[Patch], rare: Sequence[Rare], job: MineJob, context: Context) -> Note:
    options = job.options
    if not patches:
        pixels = "a pixel" if options.min_pixels == 1 else f"{options.min_pixels} pixels"
        # Classes without a confident pixel count as rare, even if they fill every image.
        sure = f" with a confidence of {options.min_confidence:g} or more" if options.min_confidence else ""
        return Note(
            stage=context.stage,
            level="warning",
            text=f"no cell has {pixels} of {', '.join(row.name for row in rare) or 'a rare class'}{sure}, so there are "
            "no patches; the next rounds train on mixes only",
        )
    counts = Counter(number for patch in patches for number in patch.classes)
    listed = ", ".join(f"{row.name} {counts[row.id]}" for row in rare)
    images = plural(len({place_of(sample)[0] for sample in job.samples}), "image")
    return Note(stage=context.stage, text=f"cut {plural(len(patches), 'patch', 'patches')} from {images} ({listed})")


def _unit(job: MineJob) -> Unit:
    return "tiles" if any(isinstance(sample, TileSample) for sample in job.samples) else "images"
