"""Data-set layouts: where the images and labels of a folder lie.

A layout is one function in `LAYOUTS`: it takes a folder and finds where images and labels lie, or None if the folder
has another layout. `crots.data.datasets` lists what lies there.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crots.artefacts import LABEL_IDS
from crots.config import unknown_name
from crots.data.encodings import Encoding
from crots.data.folder_listing import key_of, list_labels
from crots.data.lists import list_stems
from crots.data.matching import some, without_upload
from crots.data.polygons import ALBUMS, SUFFIX, album_labels, album_parts, is_album
from crots.data.releases import (
    RELEASES,
    SPLIT_NAMES,
    LabelKind,
    Release,
    ReleaseFolders,
    by_preference,
    find_release,
    folders_below,
    folders_in,
)
from crots.errors import InputError
from crots.events import Remark
from crots.files import is_file
from crots.image_formats import IMAGE_SUFFIXES
from crots.resources import shipped
from crots.taxonomy import ClassSet, load_class_set

SPLITS = ("train", "val", "test", "train_extra", "trainval", "training", "validation", "testing")
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "rgb", "RGB", "photos")
_LABEL_FOLDERS = (
    "labels", LABEL_IDS, "annotations", "masks", "label", "mask", "annotation", "gt", "semantic", "segmentation",
)  # fmt: skip
# What COCO appends to its splits: train2017.
_YEAR = re.compile(r"[_-]?20\d\d$")
# Folders in which each is the only one.
_DEEP = 3
# Files of a folder that are opened to find those of COCO and CVAT, and the words for all splits.
_FEW_ALBUMS = 8
_EVERY_SPLIT = frozenset(word for words in SPLIT_NAMES.values() for word in words)
# Labels of SegNet's form of CamVid.
_SEGNET = LabelKind("", "", "raw", "camvid")
_CAMVID_NAME = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_f?\d+")


@dataclass(frozen=True)
class Place:
    """Where a layout's images and labels lie.

    Attributes:
        images: the folder of images.
        labels: the folder of labels.
        split: the split, empty where there is none.
        encoding: how the labels store classes.
        names: a pattern of the images' keys; others are left out.
        within: what a key begins with for the pattern: the folder's place in that of the whole data set.
        labels_named: a pattern of the labels' keys.
        labels_within: as ``within``, of the labels.
        stems: the images' stems, where a list makes up the split.
        versions: layouts of other versions of the same images, of which the user has to choose one.
        notes: what the user should know.
    """

    images: Path
    labels: Path | None = None
    split: str = ""
    encoding: Encoding = "auto"
    names: str = ""
    within: str = ""
    labels_named: str = ""
    labels_within: str = ""
    stems: frozenset[str] | None = None
    versions: tuple[str, ...] = ()
    notes: tuple[Remark, ...] = ()


class AmbiguousLayout(InputError):
    """A folder holds several versions of the same images.

    Attributes:
        choices: the layouts that fit.
    """

    def __init__(self, folder: Path, choices: Sequence[str]) -> None:
        super().__init__(
            f"{folder}: holds several versions of the same images, as the layouts {', '.join(choices)} take them; "
            "choose one by `data.layout`, of validation images by `data.val_layout`"
        )
        self.choices = tuple(choices)


def unused_labels(why: str) -> Remark:
    """Says why label files that were found are not used."""
    return Remark(f"labels are not used: {why}", "unused labels")


def _cityscapes(path: Path, split: str) -> Place | None:
    """``leftImg8bit/<split>/<city>/*.png``, ``gtFine`` beside; any folder from the root to the city may be picked."""
    parts = path.parts
    # Each archive has a folder of its own: leftImg8bit_trainvaltest/leftImg8bit beside gtFine_trainvaltest/gtFine.
    archives = [path, *(folder for folder in folders_in(path) if folder.name.startswith("leftImg8bit_"))]
    if found := next((folder for folder in archives if (folder / "leftImg8bit").is_dir()), None):
        root, below = found, Path(split)
    elif "leftImg8bit" in parts:
        index = len(parts) - 1 - parts[::-1].index("leftImg8bit")
        root, below = Path(*parts[:index]), Path(*parts[index + 1 :])
        below = below if below.parts else Path(split)
    else:
        return None
    images = root / "leftImg8bit" / below
    if not images.is_dir():
        raise _no_split(root / "leftImg8bit", str(below))
    unpacked = [folder for folder in folders_in(root.parent) if folder.name.startswith(("gtFine_", "gtCoarse_"))]
    if root.name.startswith("leftImg8bit_"):
        # That of labels has none: gtCoarse beside leftImg8bit_trainextra/leftImg8bit.
        unpacked.append(root.parent)
    kinds = ("gtFine", "gtCoarse", "gtCoarse_daytime_trainvaltest")
    places = (folder / kind / below for folder in (root, *unpacked) for kind in kinds)
    return Place(images, next((place for place in places if place.is_dir()), None), split=below.parts[0])


def _released(name: str) -> Callable[[Path, str, ClassSet | None], Place | None]:
    """Makes the layout of a data set as it is released."""
    release = RELEASES[name]

    def layout(path: Path, split: str, classes: ClassSet | None) -> Place | None:
        found = find_release(release, path, split, folders_below(path))
        if found is None:
            return None
        wanted = None if classes is None else classes.name
        unfit, start = "", _start(found.within)
        for whole, kind in _most_listed_first(by_preference(found, wanted), _stems(found)):
            part = _part(whole, found.within, kind)
            folder = whole / part
            if misfit := _misfit(release, found, folder, kind, classes) or _other_ids(folder, kind, classes):
                unfit = unfit or misfit
            elif not kind.names or _holds(folder, kind, part):
                # Train ids are those of one class set alone.
                other = wanted is not None and kind.classes not in ("", wanted)
                encoding: Encoding = "auto" if other and kind.encoding == "train" else kind.encoding
                break
        else:
            why = (*([Remark(release.note)] if release.note else []), *([unused_labels(unfit)] if unfit else []))
            return Place(
                found.images, None, found.split, names=found.names, within=start, stems=_stems(found),
                versions=found.versions, notes=why,
            )  # fmt: skip
        return Place(
            found.images, folder, found.split, encoding, found.names, start, kind.names, _start(part), _stems(found),
            found.versions, _notes(release, found, kind, classes),
        )  # fmt: skip

    layout.__doc__ = release.about
    return layout


def _most_listed_first(
    kinds: list[tuple[Path, LabelKind]], stems: frozenset[str] | None
) -> list[tuple[Path, LabelKind]]:
    """Puts those kinds first that have labels of the most images of a list."""
    if stems is None or len(kinds) < 2:
        return kinds
    return sorted(kinds, key=lambda one: -len(stems & {key_of(name) for name in list_labels(one[0])}))


def _misfit(release: Release, found: ReleaseFolders, folder: Path, kind: LabelKind, classes: ClassSet | None) -> str:
    """Says that label files of ids are of other classes than the wanted ones, by the file that comes with them."""
    by_id = len({one.classes for one in release.kinds if one.own_classes}) > 1
    if classes is None or not kind.own_classes or not by_id:
        return ""
    own = _own_classes(found, kind)
    if own is None:
        others = [one.classes for one in release.kinds if one.classes != kind.classes]
        fits = classes.name == kind.classes or classes.name not in others
    else:
        fits = _names_of(own) == [name.lower() for name in classes.names]
    where = own or f"another version ({kind.own_classes})"
    return "" if fits else f"those in {folder} are of the classes in {where}; give that file as the class set"


def _other_ids(folder: Path, kind: LabelKind, classes: ClassSet | None) -> str:
    """Says that ids of one known class set are other classes in the wanted known one; users' own sets may do so."""
    if classes is None or kind.classes in ("", classes.name) or kind.encoding not in ("train", "raw", "synthia"):
        return ""
    if classes.name not in shipped("classes") or load_class_set(classes.name) != classes:
        return ""
    theirs, ours = (_names_by_id(one, kind.encoding) for one in (load_class_set(kind.classes), classes))
    if all(theirs[value] == ours[value] for value in theirs.keys() & ours.keys()):
        return ""
    return (
        f"those in {folder} are ids of the classes of {kind.classes}, which mean other classes in {classes.name}; "
        "choose "
        f"the class set {kind.classes}, or give labels of {classes.name}"
    )


def _names_by_id(classes: ClassSet, encoding: Encoding) -> dict[int, str]:
    ids = classes.raw_ids if encoding != "train" else {}
    ids = ids or {train: train for train in range(len(classes))}
    return {value: classes.names[train].lower() for value, train in ids.items() if train != classes.ignore}


def _names_of(own: Path) -> list[str]:
    try:
        return [name.lower() for name in load_class_set(own).names]
    except InputError:
        return []


def _own_classes(found: ReleaseFolders, kind: LabelKind) -> Path | None:
    return next(found.root.glob(kind.own_classes), None) if kind.own_classes else None


def _notes(release: Release, found: ReleaseFolders, kind: LabelKind, classes: ClassSet | None) -> tuple[Remark, ...]:
    own = (Remark(release.note),) if release.note else ()
    return (*own, *_class_notes(found, kind, classes))


def _class_notes(found: ReleaseFolders, kind: LabelKind, classes: ClassSet | None) -> tuple[Remark, ...]:
    own = _own_classes(found, kind)
    if own is not None:
        return () if classes is not None else (Remark(f"the class set of this data set is in {own}", "classes"),)
    wanted = None if classes is None else classes.name
    return (
        ()
        if kind.classes in ("", wanted)
        else (Remark(f"the class set of this data set is {kind.classes}", "classes"),)
    )


def _part(whole: Path, within: Path, kind: LabelKind) -> Path:
    """The part of a folder of labels that belongs to a part of the images: as deep as there are such labels."""
    for part in (within, *within.parents):
        if (whole / part).is_dir() and (not kind.names or _holds(whole / part, kind, part)):
            return part
    return Path()


def _start(part: Path) -> str:
    return "" if part == Path() else f"{part.as_posix()}/"


def _holds(folder: Path, kind: LabelKind, part: Path) -> bool:
    pattern, start = re.compile(kind.names), _start(part)
    also = {SUFFIX} if kind.encoding == "polygons" else ()
    return any(pattern.search(start + key_of(name)) for name in list_labels(folder, also))


def _stems(found: ReleaseFolders) -> frozenset[str] | None:
    if found.listed is None:
        return None
    return list_stems(found.listed)


def _gta5(path: Path, split: str) -> Place | None:
    """``images/00001.png`` and ``labels/00001.png``."""
    if not (path / "images").is_dir() or not (path / "labels").is_dir():
        return None
    # Data of other people have such names too, so their encoding is found as in any folder.
    return _images_and_labels(path, split, "auto") if _any_name(path / "images", re.compile(r"\d{5}\.")) else None


def _camvid(path: Path, split: str, classes: ClassSet | None) -> Place | None:
    """``train`` and ``trainannot`` (SegNet), ``train`` and ``train_labels``, or ``images`` with CamVid's file names."""
    for suffix in ("annot", "_labels"):
        pairs = [name for name in SPLITS if (path / name).is_dir() and (path / (name + suffix)).is_dir()]
        if pairs and split not in pairs:
            raise InputError(f"{path}: found the splits {', '.join(pairs)}, expected {split}; give one of them")
        if pairs:
            labels = path / (split + suffix)
            unfit = _other_ids(labels, _SEGNET, classes) if suffix == "annot" else ""
            notes = (unused_labels(unfit),) if unfit else ()
            return Place(path / split, None if unfit else labels, split, notes=notes)
    if (path / "images").is_dir() and _any_name(path / "images", _CAMVID_NAME):
        return _images_and_labels(path, split, "auto")
    return None


def _pairs(path: Path, split: str) -> Place | None:
    """``images`` and ``labels`` (or ``masks``, ``annotations`` ...) side by side, with or without splits below."""
    images = next((name for name in IMAGE_FOLDERS if (path / name).is_dir()), None)
    if images is None or not any((path / name).is_dir() for name in _LABEL_FOLDERS):
        return None
    return _images_and_labels(path, split, "auto", images)


def _splits(path: Path, split: str) -> Place | None:
    """Nothing but folders that are named after splits: ``train`` and ``val``, ``Train`` and ``Test`` ..."""
    found = {folder.name.lower(): folder for folder in folders_in(path) if not folder.name.startswith((".", "__"))}
    known = [name for name, words in SPLIT_NAMES.items() if found.keys() & set(words)]
    if len(known) < 2 or not found.keys() <= _EVERY_SPLIT:
        return None
    if any(name.suffix.lower() in IMAGE_SUFFIXES for name in path.iterdir()):
        return None
    ours = next((found[word] for word in SPLIT_NAMES.get(split, (split,)) if word in found), None)
    if ours is None:
        raise _no_split(path, split)
    return Place(ours, split=split)


def _folder(path: Path, split: str) -> Place | None:
    """Any folder of images, at any depth."""
    return Place(path)


def _without_classes(layout: Callable[[Path, str], Place | None]) -> Callable[..., Place | None]:
    @functools.wraps(layout)
    def placed(path: Path, split: str, classes: ClassSet | None) -> Place | None:
        return layout(path, split)

    return placed


def _coco(path: Path, split: str) -> Place | None:
    """COCO, CVAT and JSON of Label Studio, also as Roboflow exports it: images, and one file for each split."""
    named = SPLIT_NAMES.get(split, (split,))
    folders = (path, path / "annotations", *(path / word for word in named))
    files = {file: _words(file, path) for folder in folders for file in _albums_in(folder) if is_album(file)}
    ours = [file for file, words in files.items() if words & set(named)]
    others = [str(file.relative_to(path)) for file, words in files.items() if words & _EVERY_SPLIT]
    if not ours and others:
        raise InputError(f"{path}: found {some(others, 8)}, expected one of the split {split}; give another one")
    fitting = ours or list(files)
    if not fitting:
        return None
    place = album_place(fitting[0], split, split if ours else "")
    if len(fitting) == 1:
        return place
    rest = some([file.name for file in fitting[1:]])
    text = f"labels are those of {fitting[0].name}; for {rest}, give that file as the labels"
    return replace(place, notes=(Remark(text, "labels"),))


def _words(file: Path, root: Path) -> set[str]:
    """The parts of a file's path below a folder, without numbers: ``annotations``, ``instances`` and ``val``."""
    return set(re.findall(r"[a-z]+", str(file.relative_to(root)).lower()))


def _albums_in(folder: Path) -> list[Path]:
    """The files of a folder that may hold the labels of many images, where these are few: each has to be opened."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = sorted(folder / entry.name for entry in entries if entry.name.lower().endswith(ALBUMS))
    # A folder of labelme has a file for each image.
    return found if len(found) <= _FEW_ALBUMS else []


def album_place(file: Path, wanted: str, split: str) -> Place:
    """The images of a file of COCO, CVAT or Label Studio.

    Args:
        file: one of those.
        wanted: the split to take, where the file says which image is of which; empty takes all.
        split: that of the whole file, empty where it has none.
    """
    labels, parts = list(album_labels(file)), album_parts(file)
    if wanted and (named := {part.lower() for part in parts.values()}) & _EVERY_SPLIT:
        labels = [name for name in labels if parts.get(name, "").lower() in SPLIT_NAMES.get(wanted, (wanted,))]
        split = wanted
        if not labels:
            raise InputError(f"{file}: found images of {some(sorted(named), 8)}, expected the split {split}")
    first = next(iter(labels), "")
    names = [name for name in (first, without_upload(first)) if name]
    # Label Studio names files by what it called them when they were uploaded.
    labels = list(dict.fromkeys(label for name in labels for label in (name, without_upload(name))))
    above = [file.parent, file.parent.parent]
    places = [place for base in above for place in (base, *folders_below(base))]
    folder = next((place for place in places if any(is_file(place / name) for name in names)), None)
    if folder is None:
        raise InputError(
            f"{file}: found no image {first[:200] or '(it lists none)'} in {file.parent.parent} and the folders in it, "
            "expected the images beside the file or in a folder beside it; move them there"
        )
    return Place(folder, file, split, stems=frozenset(key_of(name) for name in labels))


LAYOUTS: dict[str, Callable[[Path, str, ClassSet | None], Place | None]] = {
    **{name: _released(name) for name in RELEASES},
    "coco": _without_classes(_coco),
    "cityscapes": _without_classes(_cityscapes),
    "gta5": _without_classes(_gta5),
    "camvid": _camvid,
    "pairs": _without_classes(_pairs),
    "splits": _without_classes(_splits),
    "folder": _without_classes(_folder),
}


def _images_and_labels(path: Path, split: str, encoding: Encoding, name: str = "images") -> Place:
    images = path / name
    label_root = next((path / name for name in _LABEL_FOLDERS if (path / name).is_dir()), None)
    splits = {name: name for name in SPLITS if (images / name).is_dir()}
    if not splits:
        named = {_YEAR.sub("", folder.name): folder.name for folder in folders_in(images)}
        splits = {name: named[name] for name in SPLITS if name in named}
    if not splits:
        return Place(images, label_root, encoding=encoding)
    if split not in splits:
        raise _no_split(images, split)
    folder = splits[split]
    labels = label_root / folder if label_root is not None and (label_root / folder).is_dir() else None
    return Place(images / folder, labels, split, encoding)


def _no_split(folder: Path, split: str) -> InputError:
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    names = some(found, 8) or "no subfolders"
    return InputError(f"{folder}: found {names}, expected the split {split}; give another one")


def _any_name(folder: Path, pattern: re.Pattern[str]) -> bool:
    """Whether a file up to one level below the folder has such a name; few are examined."""
    with os.scandir(folder) as entries:
        for index, entry in enumerate(entries):
            if pattern.match(entry.name) and is_file(Path(entry.path)):
                return True
            if os.path.isdir(entry.path) and _any_file(entry.path, pattern):  # noqa: PTH112
                return True
            if index > 100:
                break
    return False


def _any_file(folder: str, pattern: re.Pattern[str]) -> bool:
    with os.scandir(folder) as entries:
        return any(pattern.match(entry.name) for entry, _ in zip(entries, range(100), strict=False))


def find_place(path: Path, layout: str, split: str, classes: ClassSet | None) -> tuple[str, Place]:
    """Finds the layout of a folder and where its images and labels lie.

    Args:
        path: what the user picked: the root, or the folder around it.
        layout: name in `LAYOUTS`; ``auto`` takes the first that fits.
        split: where the layout has splits.
        classes: helps to choose between labels of several class sets.

    Raises:
        InputError: unknown layout or split, or the folder is of another layout.
        AmbiguousLayout: there are several versions of the same images.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise unknown_name("layout", layout, ["auto", *LAYOUTS], what="layout")
    # Archives often have one folder in them, which holds the data set.
    for base in _only_folders(path):
        for name, detector in LAYOUTS.items():
            # If nothing else fits, the picked folder is taken as a whole.
            if layout not in ("auto", name) or (name == "folder" and base != path and layout == "auto"):
                continue
            if (place := detector(base, split, classes)) is not None and (name != "folder" or layout == name):
                if layout == "auto" and place.versions:
                    raise AmbiguousLayout(base, sorted((name, *place.versions)))
                return name, place
    if layout == "auto":
        return "folder", Place(path)
    about = (LAYOUTS[layout].__doc__ or "").strip()
    raise InputError(f"{path}: not of the layout {layout}, expected {about[:-1]}; pick its root, or let auto decide")


def _only_folders(path: Path) -> list[Path]:
    """A folder, the only folder in it, and the only one in that, as long as there are no images beside."""
    found = [path]
    while len(found) <= _DEEP:
        inner = [folder for folder in folders_in(found[-1]) if not folder.name.startswith((".", "__"))]
        if len(inner) != 1 or any(name.suffix.lower() in IMAGE_SUFFIXES for name in found[-1].iterdir()):
            break
        found += inner
    return found
