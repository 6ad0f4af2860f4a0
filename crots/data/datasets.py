"""Data sets: the images of a folder, list file or data-set root, each with its label file if there is one.

Files are listed here; only those are opened that list others or hold outlines. No torch, so that choosing a folder is
checked at once.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crots.artefacts import LABEL_IDS
from crots.config import unknown_name
from crots.data.encodings import ENCODINGS, Encoding
from crots.data.folder_listing import key_of, keyed, list_files, list_folder, list_labels, lossy_note
from crots.data.foreign_labels import foreign_labels
from crots.data.label_studio import is_mask_name
from crots.data.layouts import SPLITS, Place, album_place, find_place, unused_labels
from crots.data.lists import read_list
from crots.data.masks import masks_among, measurements_among, other_pictures
from crots.data.matching import ENDINGS, label_ending, match, matched_names, some
from crots.data.polygons import ALBUMS, SUFFIX, album_labels, is_album, is_outlined
from crots.data.releases import SPLIT_NAMES
from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.events import Remark
from crots.files import expanded, files_below
from crots.image_formats import IMAGE_SUFFIXES, LABEL_SUFFIXES, UNREAD
from crots.taxonomy import ClassSet

_LABELS = tuple(LABEL_SUFFIXES)
_LAST_PART = re.compile(r"[^\w]?_?[^\W\d_]+$")
_NUMBER = re.compile(r"\d+")
# In uavid_train and uavid_val.
_SPLIT_WORD = re.compile(r"(?<![a-z])(train|val|test)(?![a-z])", re.IGNORECASE)
# In exports of labelme, which keeps arrays under the next name; of CVAT and VOC; and in results of ours.
_INNER = ("SegmentationClassPNG", "SegmentationClass", LABEL_IDS)
# JSON files of outlines that are opened to know them.
_OPENED = 4
# The least share of images with labels: fewer are no data set with gaps.
_MOST_LABELLED = 0.5
_ENCODING_OF = {"_labelTrainIds": "train", "_labelIds": "raw", "_color": "colour"}


@dataclass(frozen=True)
class Sample:
    """An image and, where there is one, its label file.

    Attributes:
        key: path below the data set's root, ``/`` between folders, without suffix.
        image: the image file.
        label: the label file.
    """

    key: str
    image: Path
    label: Path | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """The images of a folder in the order of their keys.

    Attributes:
        root: the folder that keys are relative to.
        layout: name in `crots.data.layouts.LAYOUTS`, or ``list`` or ``image``.
        split: ``train``, ``val`` ..., or empty where the layout has none.
        samples: at least one.
        encoding: how label files store classes; ``auto`` until `crots.data.labels.resolve_encoding` has looked.
        notes: what the user should know about how the folder was understood.
    """

    root: Path
    layout: str
    split: str
    samples: tuple[Sample, ...]
    encoding: Encoding = "auto"
    notes: tuple[Remark, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def keys(self) -> tuple[str, ...]:
        """The images' keys."""
        return tuple(sample.key for sample in self.samples)

    @property
    def why_unlabelled(self) -> str:
        """Why label files that were found are not used, in brackets; empty where none were found."""
        return "".join(f" ({note.text})" for note in self.notes if note.kind == "unused labels")

    @property
    def labelled(self) -> int:
        """How many images have a label file."""
        return sum(sample.label is not None for sample in self.samples)


def open_dataset(
    path: Path | str,
    *,
    layout: str = "auto",
    split: str = "train",
    labels: Path | str | None = None,
    encoding: Encoding = "auto",
    classes: ClassSet | None = None,
    root: Path | str | None = None,
    partial: bool = False,
) -> Dataset:
    """Lists the images of a folder, data-set root, list file or single image.

    Args:
        path: what the user picked.
        layout: name in `crots.data.layouts.LAYOUTS`; ``auto`` detects it.
        split: where the layout has splits.
        labels: a folder of label files for the images; None takes what the layout has, if anything.
        encoding: how label files store classes, where the user knows better.
        classes: helps to choose between label files of several encodings.
        root: where a list file's entries are relative to; None searches around the list file.
        partial: some images may lack labels, and some labels images, where both are given: the notes say which.

    Raises:
        InputError: nothing there, no image, two images of one key, unknown layout, or labels (where given) that do
            not belong to the images: most have none, or labels belong to no image.
    """
    if encoding not in ENCODINGS:
        raise unknown_name("encoding", encoding, list(ENCODINGS), what="encoding")
    path = expanded(path).absolute()
    label_root = None if labels is None else expanded(labels).absolute()
    place: Place | None = None
    if path.is_file():
        dataset = _open_file(path, split, root)
    elif path.is_dir():
        name, place = find_place(path, layout, split, classes)
        dataset = _placed(name, place, encoding, classes)
    else:
        raise InputError(f"{path}: no such file or folder; expected images, a data-set root or a list file")
    if label_root is not None:
        return _with_labels(dataset, place, label_root, encoding, classes, partial=partial)
    if path.is_dir() and not dataset.labelled and not dataset.notes and (foreign := foreign_labels(path)):
        return replace(dataset, notes=(unused_labels(foreign),))
    return dataset


def _open_file(path: Path, split: str, root: Path | str | None) -> Dataset:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Dataset(path.parent, "image", "", (Sample(path.stem, path),))
    if why := UNREAD.get(path.suffix.lower()):
        raise InputError(f"{path}: {why}")
    if path.suffix.lower() in ALBUMS:
        if not is_album(path):
            raise InputError(
                f"{path}: is no file of COCO, CVAT or Label Studio with the outlines of images; pick the folder of "
                "images"
            )
        return _placed("coco", album_place(path, "", ""), "auto", None)
    listed = read_list(path, split, None if root is None else expanded(root).absolute())
    samples = [Sample(key, image, label) for key, (image, label) in sorted(listed.entries.items())]
    endings = {label_ending(key_of(sample.label.name)) for sample in samples if sample.label is not None}
    encoding = _encoding(endings.pop()) if len(endings) == 1 else "auto"
    # Whatever split was asked for, a list is what its own name says.
    named = path.stem.lower()
    own = next((name for name, words in SPLIT_NAMES.items() if named in words), "")
    return Dataset(listed.root, "list", own, tuple(samples), encoding, tuple(map(Remark, listed.notes)))


def _encoding(ending: str) -> Encoding:
    found = _ENCODING_OF.get(ending, "auto")
    return next(name for name in ENCODINGS if name == found)


def _placed(name: str, place: Place, encoding: Encoding, classes: ClassSet | None) -> Dataset:
    found = _images(place)
    chosen = place.encoding if encoding == "auto" else encoding
    # Of outlines is said what lies outside of them, when they are read.
    if encoding == "auto" and (chosen == "polygons" or (chosen == "raw" and _only_counts(classes))):
        chosen = "auto"
    samples = tuple(Sample(key, image) for key, image in found.images.items())
    dataset = Dataset(place.images, name, place.split, samples, chosen, (*place.notes, *map(Remark, found.notes)))
    if place.labels is not None and place.labels.is_file():
        return _with_own_labels(dataset, place.labels, classes)
    if place.labels is not None:
        names = _names_in(place.labels, place)
        return _with_own_labels(dataset, place.labels, classes, names)
    if found.masks:
        return _with_own_labels(dataset, place.images, classes, found.masks)
    outlines = _outlined_files(place.images, found.others)
    return _with_own_labels(dataset, place.images, classes, outlines) if outlines else dataset


def _only_counts(classes: ClassSet | None) -> bool:
    """Whether a class set numbers its classes and no more: that says nothing of a data set's own ids."""
    return classes is not None and all(raw == train for raw, train in classes.raw_ids.items())


def _outlined_files(folder: Path, names: Sequence[str]) -> list[str]:
    """Which of the JSON files of a folder hold the outlines of an image; a few are opened."""
    sampled = [names[place] for place in evenly_spread(len(names), _OPENED)]
    kinds = {name: is_outlined(folder / name) for name in sampled}
    if all(kinds.values()):
        return list(names)
    return [name for name in names if kinds.get(name, is_outlined(folder / name))] if any(kinds.values()) else []


@dataclass(frozen=True)
class _Found:
    """What a folder holds: images by key, label files that lie among them, notes for the user, and JSON files."""

    images: dict[str, Path]
    masks: list[str]
    notes: tuple[str, ...]
    others: list[str]


def _images(place: Place) -> _Found:
    folder = place.images
    listing = list_folder(folder, {*IMAGE_SUFFIXES, SUFFIX})
    others = [name for name in listing.names if name.lower().endswith(SUFFIX)]
    names = [name for name in listing.names if not name.lower().endswith(SUFFIX)] if others else listing.names
    images, masks = _separated(names)
    if place.names:
        # A release's description states which files are its images.
        named = re.compile(place.names)
        images, masks = [name for name in names if named.search(place.within + key_of(name))], []
    unlisted: list[str] = []
    if place.stems is not None:
        unlisted = [name for name in images if key_of(name) not in place.stems]
        images = [name for name in images if key_of(name) in place.stems]
        if unlisted and not images:
            raise InputError(
                f"{folder}: none of the {len(unlisted)} images ({some(unlisted)}) is among those that the list of the "
                f"split or the file of labels names ({some(sorted(place.stems))}); the two are of different data"
            )
    if among := set() if place.names else masks_among(folder, images):
        images, masks = [name for name in images if name not in among], sorted([*masks, *among])
    if not images:
        suffixes, but = ", ".join(sorted(IMAGE_SUFFIXES)), f" ({listing.note})" if listing.note else ""
        raise InputError(f"{folder}: found no images{but}, expected files ending in {suffixes}; pick another folder")
    measured = measurements_among(folder, masks)
    masks = [name for name in masks if name not in measured]
    notes = [f"{len(masks)} label files among the images were left out ({some(masks)})"] if masks else []
    if measured:
        what = "files of numbers that are not classes, such as depths or instances,"
        notes.append(f"{len(measured)} {what} were left out ({some(sorted(measured))})")
    if unlisted:
        which = f"that the list of the split or the file of labels does not name ({some(unlisted)})"
        notes.append(f"{len(unlisted)} images {which} were left out")
    if not place.names and (alike := other_pictures(images)):
        notes.append(
            f"{len(alike)} of {len(images)} images have the names of others but for a word ({some(alike)}) and are "
            "targets too; where they are no photographs, move them away or give a list of the images"
        )
    notes += [listing.note] if listing.note else []
    return _Found(dict(sorted(keyed(folder, images).items())), masks, tuple(notes), others)


def _separated(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separates images from files that are labels by Cityscapes' names."""
    keys = {name: key for name in names if (key := key_of(name)).endswith(ENDINGS)}
    if not keys:
        return list(names), []
    endings = {name: label_ending(key) for name, key in keys.items()}
    certain = {keys[name].removesuffix(ending) for name, ending in endings.items() if ending not in ("", "_color")}
    masks = []
    for name, ending in endings.items():
        core = keys[name].removesuffix(ending)
        # Depth cameras use these names.
        if ending and (ending != "_color" or core in certain or core.endswith(("_gtFine", "_gtCoarse"))):
            masks.append(name)
    taken = set(masks)
    return [name for name in names if name not in taken], masks


def label_files(
    folder: Path, encoding: Encoding, classes: ClassSet | None, names: Sequence[str] | None = None
) -> tuple[dict[str, Path], Encoding]:
    """Lists label files; where an image has several (ids, train ids, colours) the fitting kind is taken.

    Args:
        folder: where they lie.
        encoding: the kind that is wanted.
        classes: the class set that the kind should fit.
        names: the files below the folder, where it holds others too.
    """
    if folder.is_file():
        found = album_labels(folder)
        return keyed(folder, list(found)), encoding
    if names is None:
        folder = _label_folder(folder)
        names = list_labels(folder)
    if outlines := [name for name in names if name.lower().endswith(SUFFIX)]:
        return keyed(folder, outlines), encoding
    names = [name for name in names if name.lower().endswith(_LABELS)]
    _check_names(folder, names)
    if not names and (outlines := _outlined_files(folder, list_files(folder, {SUFFIX}))):
        return keyed(folder, outlines), encoding
    kinds = {name: label_ending(key_of(name)) for name in names}
    chosen = next((kind for kind in _preference(encoding, classes) if kind in kinds.values()), "")
    if chosen == "_color" and encoding == "auto":
        # Pictures for people beside ids without an ending, or with one of their own: x_color, x_label.
        plain = {key_of(name) for name in names if not kinds[name]}
        plain |= {_LAST_PART.sub("", key) for key in plain}
        if {key_of(name).removesuffix(chosen) for name, kind in kinds.items() if kind == chosen} <= plain:
            return keyed(folder, [name for name in names if not kinds[name]]), encoding
    if chosen:
        names = [name for name in names if kinds[name] == chosen]
        # Tools write such names for ids of classes that are the user's own.
        unknown = chosen == "_labelIds" and _only_counts(classes)
        encoding = _encoding(chosen) if encoding == "auto" and not unknown else encoding
    return keyed(folder, names), encoding


def _label_folder(root: Path) -> Path:
    """Where labels lie in what somebody exported, or we wrote, which holds images, instances or colours besides."""
    return next((root / name for name in _INNER if (root / name).is_dir()), root)


def _check_names(folder: Path, names: Sequence[str]) -> None:
    """Refuses masks that do not say which image they are of."""
    masks = [name for name in names if is_mask_name(name.rpartition("/")[2])]
    if masks:
        raise InputError(
            f"{folder}: found {len(masks)} masks of Label Studio ({some(masks)}), which are named by the numbers of "
            "tasks and not by images; export the project as JSON, and give that file as the labels"
        )


def no_labels(folder: Path) -> str:
    """Says that a folder holds no label files, and what it holds instead; or that a file of many labels lists none."""
    if folder.is_file():
        return f"{folder}: lists no images, expected some with their labels; export the labels again"
    if foreign := foreign_labels(folder):
        return f"{folder}: found no label files that can be read; {foreign}"
    others = Counter(os.path.splitext(name)[1].lower() for name, _ in files_below(folder))  # noqa: PTH122 - may be many
    listed = some([f"{count} {suffix or 'other'} files" for suffix, count in others.most_common()])
    lossy = lossy_note(folder)
    but = lossy or (f", but {listed}" if listed else "")
    remedy = "store masks of two classes as PNG, what is above 127 as 255, or pick" if lossy else "pick"
    return (
        f"{folder}: found no label files{but}, expected ids or colours as PNG, TIFF, BMP, GIF or PGM, or outlines of "
        f"COCO, CVAT, Label Studio, labelme or Cityscapes; {remedy} another folder"
    )


def _preference(encoding: Encoding, classes: ClassSet | None) -> Sequence[str]:
    exact = [ending for ending, stored in _ENCODING_OF.items() if stored == encoding]
    if exact:
        return exact
    # Raw ids fit every class set that knows them, train ids only the set they were made for.
    knows_raw_ids = classes is None or bool(classes.raw_ids)
    return ("_labelIds", "_labelTrainIds", "_color") if knows_raw_ids else ("_labelTrainIds", "_color", "_labelIds")


def _with_own_labels(
    dataset: Dataset, folder: Path, classes: ClassSet | None, names: Sequence[str] | None = None
) -> Dataset:
    """Adds the labels that the layout has. None of this may stop a run that needs no labels, so faults become notes."""
    try:
        files, encoding = label_files(folder, dataset.encoding, classes, names)
        found = match(dataset.keys, files, what="label", folder=folder, partial=True)
    except InputError as error:
        return _replaced(dataset, {}, dataset.encoding, unused_labels(str(error)))
    if not files:
        return _replaced(dataset, {}, dataset.encoding, unused_labels(no_labels(folder)))
    if not found and folder == dataset.root:
        # Label files among the images that match none were already reported as left out.
        return dataset
    dataset = _replaced(dataset, found, encoding, None)
    named = matched_names(found, "label") if dataset.layout == "folder" else ""
    notes = (Remark(named, "names") if named else None, _lacking(dataset, folder))
    return replace(dataset, notes=(*dataset.notes, *filter(None, notes)))


def _lacking(dataset: Dataset, folder: Path) -> Remark | None:
    lacking = len(dataset) - dataset.labelled
    return Remark(f"{folder}: {lacking} of {len(dataset)} images have no label", "labels") if lacking else None


def with_labels_alone(dataset: Dataset) -> Dataset:
    """Returns the images of a data set that have labels, for scoring, with a warning that says how many have none.

    The same of labels that were named, that a list names, and that the data set has itself.

    Raises:
        InputError: most have none, though some have: the labels are perhaps another data set's.
    """
    samples = tuple(sample for sample in dataset.samples if sample.label is not None)
    note = _lacking(dataset, dataset.root)
    if not samples or note is None:
        return dataset
    if len(samples) < _MOST_LABELLED * len(dataset):
        lacking = [sample.key for sample in dataset.samples if sample.label is None]
        raise InputError(
            f"{note.text} ({some(lacking)}), expected labels for most; add the labels, or give the labelled images "
            "alone, as a folder or a list"
        )
    warning = Remark(f"{note.text} and are not scored", "warning")
    others = (other for other in dataset.notes if other.kind != "labels")
    return replace(dataset, samples=samples, notes=(*others, warning))


def _with_labels(
    dataset: Dataset, place: Place | None, folder: Path, encoding: Encoding, classes: ClassSet | None, *, partial: bool
) -> Dataset:
    """Adds the labels that the user gave; a few images may have none."""
    if "image_3" in dataset.root.parts and "image_3" not in folder.parts and "semantic" in folder.name:
        raise InputError(
            f"{folder}: the labels of KITTI are of the left camera (image_2), and do not fit images of the right "
            f"one in {dataset.root}; give the images of image_2, or no labels"
        )
    layouts = {sample.key: sample.label for sample in dataset.samples if sample.label is not None}
    known = place is not None and bool(layouts) and all(folder in label.parents for label in layouts.values())
    if place is not None and known and (partial or len(layouts) == len(dataset)):
        # Of a root or split more than these labels lies there: other kinds, other parts of the data set, its images.
        files, found = _labels_of(place, dataset.encoding, classes), layouts
    else:
        folder = _label_folder(folder)
        files, encoding = label_files(folder, encoding, classes, _candidates(dataset, place, folder))
        if not files:
            raise InputError(no_labels(folder))
        found = match(dataset.keys, files, what="label", folder=folder, partial=True)
        # Folders that do not belong together are no data set with gaps.
        if not found or (not partial and len(found) < _MOST_LABELLED * len(dataset)):
            match(dataset.keys, files, what="label", folder=folder)
    if encoding == "auto" and found.items() <= layouts.items():
        # The same files are read alike, whether they were named or not.
        encoding = dataset.encoding
    # What is said about labels of the layout's own is not about these.
    own = any(label.is_relative_to(folder) for label in layouts.values())
    left = ("labels", "unused labels", "names", *(() if own else ("classes",)))
    dataset = replace(dataset, notes=tuple(note for note in dataset.notes if note.kind not in left))
    used = set(found.values())
    folders = {path.parent for path in used}
    # Other splits may lie beside; but a label without image next to one that has its image means images are missing.
    extra = [key for key, path in files.items() if path not in used and path.parent in folders]
    listed = dataset.layout in ("list", "image") or (place is not None and place.stems is not None)
    if extra and not listed:
        if not partial:
            # With images that lack one, names are perhaps mistyped.
            match(dataset.keys, files, what="label", folder=folder)
            raise InputError(
                f"{folder}: found {len(used) + len(extra)} labels for {len(used)} images, expected as many; "
                f"no image for {some(extra)}; add the images or move these labels away"
            )
        surplus = Remark(f"{folder}: {len(extra)} labels have no image ({some(extra)})", "surplus labels")
        dataset = replace(dataset, notes=(*dataset.notes, surplus))
    parts = _different_parts(dataset.root, folder)
    doubt = f"images of {parts[0]} are given labels of {parts[1]}; make sure that they belong together" if parts else ""
    dataset = _replaced(dataset, found, encoding, Remark(doubt, "warning") if doubt else None)
    named = "" if known else matched_names(found, "label")
    notes = (Remark(named, "names") if named else None, None if partial else _lacking(dataset, folder))
    return replace(dataset, notes=(*dataset.notes, *filter(None, notes)))


def _labels_of(place: Place, encoding: Encoding, classes: ClassSet | None) -> dict[str, Path]:
    """The label files of a layout's place that are of one kind, also those without an image."""
    if place.labels is None or place.labels.is_file():
        return {}
    return label_files(place.labels, encoding, classes, _names_in(place.labels, place))[0]


def _names_in(folder: Path, place: Place) -> list[str]:
    named, start = re.compile(place.labels_named), place.labels_within
    also = {SUFFIX} if place.encoding == "polygons" else ()
    return [name for name in list_labels(folder, also) if named.search(start + key_of(name))]


def _candidates(dataset: Dataset, place: Place | None, folder: Path) -> list[str] | None:
    """What lies in a folder of labels without images: none of these, and none that are named as a release's are."""
    if folder.is_file():
        # A list of labels, or one file of COCO or CVAT.
        return None
    images = {sample.image for sample in dataset.samples}
    named = re.compile(place.names) if place is not None and place.names else None
    names = [name for name in list_labels(folder) if folder / name not in images]
    return [name for name in names if named is None or not named.search(key_of(name))]


def _different_parts(images: Path, labels: Path) -> tuple[str, str] | None:
    """The folders of images and of labels that name different parts of a data set: seq1 and seq2, train and val.

    Files of different parts often have the same names.
    """
    ours, theirs = (
        [part for part in one.parts if part not in other.parts] for one, other in ((images, labels), (labels, images))
    )
    kinds = (frozenset(SPLITS), frozenset({"left", "right"}))
    for one, other in itertools.product(ours, theirs):
        numbered = _NUMBER.search(one) and _NUMBER.sub("#", one) == _NUMBER.sub("#", other)
        named = _SPLIT_WORD.search(one) and _SPLIT_WORD.sub("#", one) == _SPLIT_WORD.sub("#", other)
        if numbered or named or any({one.lower(), other.lower()} <= kind for kind in kinds):
            return one, other
    return None


def _replaced(dataset: Dataset, labels: dict[str, Path], encoding: Encoding, note: Remark | None) -> Dataset:
    samples = tuple(Sample(sample.key, sample.image, labels.get(sample.key)) for sample in dataset.samples)
    notes = (*dataset.notes, note) if note else dataset.notes
    return Dataset(dataset.root, dataset.layout, dataset.split, samples, encoding, notes)
