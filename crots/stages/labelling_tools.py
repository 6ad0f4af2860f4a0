"""Exports doubtful pseudo-labels to a labelling tool, and imports what was corrected there.

Two formats reach most tools: CVAT's *Segmentation mask 1.1*, which is the layout of VOC with a list of colours, and
the JSON files of labelme. Pictures have the size of the pseudo-labels, so that labels come back pixel for pixel.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from crots.arrays import Array
from crots.classlists import is_void, read_class_list
from crots.data.cache import ImageCache
from crots.data.datasets import Sample
from crots.data.folder_listing import keyed, list_files, list_labels, lossy_note
from crots.data.matching import match, some
from crots.data.polygons import SUFFIX, is_labelled, outlined, painted, thin_shapes
from crots.errors import InputError
from crots.events import ArtifactWritten, Event, Note, StageStarted
from crots.execution.context import Context, metered
from crots.files import write_text
from crots.images import write_image
from crots.label_files import read_labels, write_labels
from crots.ownership import atomic_folder, check_place
from crots.taxonomy import ClassSet, Colour, make_palette
from crots.training.material import PseudoLabels

Tool = Literal["cvat", "labelme"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
_LABELMAP, _MASKS, _PICTURES = "labelmap.txt", "SegmentationClass", "JPEGImages"
_LIST = Path("ImageSets", "Segmentation", "default.txt")
_IGNORED = "ignore"
# Pixels without a shape; black in CVAT's masks.
_UNCHANGED = -1
_BLACK: Colour = (0, 0, 0)
# If more pixels differ, the labels come from another run or other images.
_MOST_CHANGED = 0.5


@dataclass(frozen=True)
class ExportDoubtfulJob:
    """One export.

    Attributes:
        samples: the images, most doubtful first.
        cache: gives them at the size of their labels.
        labels: the pseudo-labels with the corrections made so far.
        out: a new folder.
        tool: whose format is written.
    """

    samples: Sequence[Sample]
    cache: ImageCache
    labels: PseudoLabels
    out: Path
    tool: Tool


def export_doubtful(job: ExportDoubtfulJob, context: Context) -> Iterator[Event]:
    """Writes images and their pseudo-labels for a labelling tool."""
    yield StageStarted(stage=context.stage, total=len(job.samples), unit="images")
    # An incomplete export would be taken for a complete one.
    with atomic_folder(job.out) as partial:
        yield from _written(dataclasses.replace(job, out=partial), context)
    yield ArtifactWritten(stage=context.stage, kind="labels", path=str(job.out))
    yield Note(
        stage=context.stage,
        text=f"wrote {len(job.samples)} images with their pseudo-labels; correct them, then run crots suspects with "
        "--import and the folder that the tool exported",
    )


def _written(job: ExportDoubtfulJob, context: Context) -> Iterator[Event]:
    write = _write_cvat if job.tool == "cvat" else _write_labelme
    yield from metered(job.samples, len(job.samples), context, lambda sample: write(job, sample))
    if job.tool == "cvat":
        write_text(job.out / _LABELMAP, _labelmap(job.labels.classes))
        write_text(job.out / _LIST, "".join(f"{sample.key}\n" for sample in job.samples))


def _write_cvat(job: ExportDoubtfulJob, sample: Sample) -> None:
    labels = job.labels.read(sample.key)
    colours = np.zeros((65536, 3), np.uint8)
    colours[: len(job.labels.classes)] = _colours(job.labels.classes)[:-1]
    write_image(job.out / _MASKS / f"{sample.key}.png", colours[labels])
    write_image(job.out / _PICTURES / f"{sample.key}.jpg", job.cache.get(sample.image))


def _write_labelme(job: ExportDoubtfulJob, sample: Sample) -> None:
    labels, classes, picture = job.labels.read(sample.key), job.labels.classes, job.out / f"{sample.key}.jpg"
    write_image(picture, job.cache.get(sample.image))
    found = {
        "version": "5.5.0",
        "flags": {},
        # Ignored areas get shapes too, since they may lie within others.
        "shapes": outlined(labels, {**dict(enumerate(classes.names)), classes.ignore: f"__{_IGNORED}__"}),
        "imagePath": picture.name,
        "imageData": None,
        "imageHeight": labels.shape[0],
        "imageWidth": labels.shape[1],
    }
    write_text(job.out / f"{sample.key}{SUFFIX}", json.dumps(found, ensure_ascii=False))


def _cvat_names(classes: ClassSet) -> list[str]:
    """The names of the classes as CVAT accepts them: `background` is reserved for black, and colons separate fields."""
    names: list[str] = []
    for name in classes.names:
        plain = " ".join(name.replace(":", " ").replace("#", " ").split()) or "class"
        plain = f"{plain} class" if plain.lower() == "background" or is_void(plain) else plain
        names.append(plain if plain not in names else f"{plain} {len(names)}")
    return names


def _colours(classes: ClassSet) -> list[Colour]:
    """A colour for each class, and the last for what is to be ignored; none twice and none black."""
    seen: set[Colour] = {_BLACK}
    colours: list[Colour | None] = []
    for colour in classes.palette:
        colours.append(None if colour in seen else colour)
        seen.add(colour)
    made = iter(make_palette(colours.count(None) + 1, seen))
    return [*(next(made) if colour is None else colour for colour in colours), next(made)]


def _labelmap(classes: ClassSet) -> str:
    names = [*_cvat_names(classes), _IGNORED]
    rows = [("background", _BLACK), *zip(names, _colours(classes), strict=True)]
    lines = [f"{name}:{red},{green},{blue}::" for name, (red, green, blue) in rows]
    return "\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n"


# The way back.


@dataclass(frozen=True)
class ImportCorrectedJob:
    """One import.

    Attributes:
        folder: the unpacked export of the tool.
        keys: of the images that have pseudo-labels.
        labels: these, with the folder that corrections go to.
        root: of the project, that nothing is written outside of it.
    """

    folder: Path
    keys: Sequence[str]
    labels: PseudoLabels
    root: Path


@dataclass(frozen=True)
class CorrectedFiles:
    """The export of a labelling tool: its label files by key, and for CVAT the list of colours."""

    files: Mapping[str, Path]
    labelmap: Path | None = None


def corrected_files(folder: Path) -> CorrectedFiles:
    """Detects the tool that wrote a folder, and lists its labels.

    Raises:
        InputError: it is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; unpack the export of the labelling tool, and give that folder")
    inner = [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir())]
    if root := next((path for path in inner if (path / _MASKS).is_dir() and (path / _LABELMAP).is_file()), None):
        masks, lossy = list_labels(root / _MASKS), lossy_note(root / _MASKS)
        if lossy or not masks:
            raise InputError(
                f"{root / _MASKS}: found {len(masks) or 'no'} masks{lossy}; export them again as Segmentation mask 1.1"
            )
        return CorrectedFiles(keyed(root / _MASKS, masks), root / _LABELMAP)
    names = [name for name in list_files(folder, {SUFFIX}) if is_labelled(folder / name)]
    if not names:
        raise InputError(
            f"{folder}: found neither {_LABELMAP} and {_MASKS} (CVAT, format Segmentation mask 1.1) nor JSON files of "
            "labelme; give the unpacked folder"
        )
    return CorrectedFiles(keyed(folder, names))


def import_corrected(job: ImportCorrectedJob, context: Context) -> Iterator[Event]:
    """Imports corrections made in a labelling tool into the project.

    Raises:
        InputError: the folder is no tool's, its labels are not of this project, or name other classes.
    """
    found = corrected_files(job.folder)
    files, classes = found.files, job.labels.classes
    own = {key: Path(key) for key in job.keys}
    images = {name: path.as_posix() for name, path in match(files, own, what="image", folder=job.folder).items()}
    table = _cvat_table(found.labelmap, classes) if found.labelmap else None
    yield StageStarted(stage=context.stage, total=len(files), unit="images")
    changed: dict[str, Array] = {}
    counts = [0, 0]

    def look(name: str) -> None:
        corrected = _read_cvat(files[name], table) if table else painted(files[name], classes, _UNCHANGED)
        before = job.labels.read(images[name])
        if corrected.shape != before.shape:
            raise InputError(
                f"{files[name]}: is {corrected.shape[1]}x{corrected.shape[0]}, but the pseudo-labels of {images[name]} "
                f"are {before.shape[1]}x{before.shape[0]}; correct the pictures that were exported, in their size"
            )
        after = np.where(corrected == _UNCHANGED, before, corrected).astype(before.dtype)
        counts[0] += int((after != before).sum())
        counts[1] += before.size
        if not np.array_equal(after, before):
            changed[images[name]] = after

    yield from metered(sorted(files), len(files), context, look)
    share = counts[0] / max(1, counts[1])
    if share > _MOST_CHANGED:
        raise InputError(
            f"{job.folder}: {share:.0%} of the pixels differ from the pseudo-labels, which were probably made again "
            "since the export, or belong to other images; nothing was imported; export them again"
        )
    assert job.labels.corrections is not None
    for key, labels in changed.items():
        path = job.labels.corrections / f"{key}.png"
        check_place(job.root, path, "file")
        write_labels(path, labels)
    listed = f" ({some(sorted(changed))})" if changed else ""
    thin = 0 if table else sum(thin_shapes(path) for path in files.values())
    if thin:
        yield Note(stage=context.stage, text=f"{thin} lines and points were passed over, since they cover no pixel")
    yield Note(
        stage=context.stage,
        text=f"{len(changed)} of {len(files)} images were corrected{listed}, {share:.1%} of their pixels; "
        + ("run the project again to use the corrections" if changed else "nothing to import"),
    )


def _cvat_table(labelmap: Path, classes: ClassSet) -> dict[int, int]:
    """Colour -> label of the list of colours that came back; names count, since a tool may choose other colours."""
    found = read_class_list(labelmap)
    known = {_word(name): train for train, name in enumerate(_cvat_names(classes))}
    table = {0: _UNCHANGED}
    for row in found["classes"]:
        colour = row.get("colour")
        if _word(row["name"]) == "background" or colour is None or colour == list(_BLACK):
            continue
        if _word(row["name"]) not in known:
            raise InputError(
                f"{labelmap}: names the class {row['name']!r}, which class set {classes.name} does not have; rename it "
                "in the labelling tool, or make a project with that class"
            )
        table[_code(colour)] = known[_word(row["name"])]
    table |= {_code(colour): classes.ignore for colour in found["ignored_colours"]}
    return table


def _word(name: str) -> str:
    return " ".join(name.lower().split())


def _code(colour: Sequence[int]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _read_cvat(path: Path, table: Mapping[int, int]) -> Array:
    colours = read_labels(path, colour=True).astype(np.int32)
    codes = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2] if colours.ndim == 3 else colours * 65793
    values, places = np.unique(codes, return_inverse=True)
    if unknown := [int(value) for value in values if int(value) not in table]:
        wrong = [f"({code >> 16}, {code >> 8 & 255}, {code & 255})" for code in unknown]
        raise InputError(f"{path}: holds the colours {some(wrong)}, which {_LABELMAP} does not name; export it again")
    return np.array([table[int(value)] for value in values])[places].reshape(codes.shape)
