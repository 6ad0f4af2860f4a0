"""Data sets as they are released: where images and labels lie below the root, one description each.

`RELEASES` is data; `place` finds the root from whatever folder of it was picked.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from crots.data.encodings import Encoding
from crots.errors import InputError

_SPLITS = ("train", "val", "test", "trainval")
# What the folders of splits are called, where a data set has no names of its own.
SPLIT_NAMES: dict[str, tuple[str, ...]] = {
    "train": ("train", "training", "trn"), "val": ("val", "valid", "validation"), "test": ("test", "testing"),
}  # fmt: skip
# The split of an export that has none.
_WHOLE = "default"
_LEVELS_UP = 6
# Entries of a folder that is looked into for a root; those of images have more.
_FEW = 50
# Begins patterns of the keys of files that lie in a folder named after the split.
_OF_SPLIT = r"(^|/){split}/.*"
_LONG = {"train": "training", "val": "validation", "test": "testing"}
_CAPITAL = {"train": "Train", "val": "Val", "test": "Test"}


@dataclass(frozen=True)
class LabelKind:
    """Label files of one kind.

    Attributes:
        folder: below the root; ``{split}`` stands for the split's folder.
        names: a pattern of their keys below the folder, ``{split}`` as above; empty takes all.
        encoding: how they store classes.
        classes: the shipped class set of their ids.
        own_classes: a pattern of a file below the root that says their classes, and can be given as class set.
    """

    folder: str
    names: str = ""
    encoding: Encoding = "auto"
    classes: str = ""
    own_classes: str = ""


@dataclass(frozen=True)
class Release:
    """A data set as it is released.

    Attributes:
        about: what it is, for people.
        images: folder below the root; ``{split}`` stands for the split's folder.
        kinds: its label files, the preferred kind first.
        names: a pattern of the images' keys, ``{split}`` as above; others are left out.
        splits: split -> its folder, where they differ.
        marks: patterns of files or folders below the root, all of which are there.
        listed: patterns of files of stems that make up a split.
        rivals: folders below the root with other pictures of the same places, as of other bands: which of them are
            wanted depends on the model, so that the user has to pick one.
        usual: a folder below the root whose images are meant, where it is there and the root was picked.
        versions: layouts of other versions of the same images in the same folder: the user has to choose one.
        note: what the user should know of the choice of images.
    """

    about: str
    images: str
    kinds: tuple[LabelKind, ...]
    names: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    listed: str = ""
    rivals: tuple[str, ...] = ()
    usual: str = ""
    versions: tuple[str, ...] = ()
    note: str = ""


_POTSDAM = ("2_Ortho_RGB", "3_Ortho_IRRG", "4_Ortho_RGBIR")


def _potsdam(folder: str, bands: str) -> Release:
    kinds = (("all", "_label"), ("for_participants", "_label"))
    eroded = (("all_noBoundary", "_label_noBoundary"), ("for_participants_no_Boundary", "_label_noBoundary"))
    return Release(
        f"ISPRS Potsdam: {folder} ({bands}) and 5_Labels_all (or 5_Labels_for_participants, _noBoundary).",
        folder,
        tuple(LabelKind(f"5_Labels_{kind}", f"(?i){end}$", "auto", "isprs") for kind, end in (*kinds, *eroded)),
        marks=(f"{folder}/top_potsdam_*",),
        rivals=tuple(other for other in _POTSDAM if other != folder),
    )


_FOGGY = {"cityscapes-foggy": "leftImg8bit_foggy", "cityscapes-foggy-dbf": "leftImg8bit_foggyDBF"}


_BETAS = {"0.005": "the thinnest fog", "0.01": "fog of middle density", "0.02": "the densest fog"}


_GT_FINE = (
    LabelKind("gtFine/{split}", r"_gtFine_labelIds$", "raw", "cityscapes"),
    LabelKind("gtFine/{split}", r"_gtFine_labelTrainIds$", "train", "cityscapes"),
)


def _made_of(about: str, folder: str, names: str, note: str) -> Release:
    return Release(
        f"{about}: {folder}/<split> and gtFine/<split>.",
        folder + "/{split}",
        _GT_FINE,
        names=names,
        usual="leftImg8bit",
        note=note,
    )


def _foggy(folder: str, beta: str, name: str) -> Release:
    return Release(
        f"Foggy Cityscapes: {folder}/<split>, of which {_BETAS[beta]} (beta {beta}), and gtFine/<split>.",
        folder + "/{split}",
        _GT_FINE,
        names=rf"_foggy(DBF)?_beta_{re.escape(beta)}$",
        marks=(f"{folder}/*/*/*_beta_{beta}.png",),
        rivals=tuple(other for other in _FOGGY.values() if other != folder),
        usual="leftImg8bit",
        versions=tuple(f"{name}-{other}" for other in _BETAS if other != beta),
        note=f"of each image the one in {_BETAS[beta]} (beta {beta}) is taken",
    )


RELEASES: dict[str, Release] = {
    "idd": Release(
        "India Driving Dataset (and Lite): leftImg8bit and gtFine with labels of level 3, or the outlines.",
        "leftImg8bit/{split}",
        (
            LabelKind("gtFine/{split}", r"(?i)_labellevel3ids$", "train", "idd"),
            LabelKind("gtFine/{split}", r"(?i)_labelcstrainids$", "train", "cityscapes"),
            LabelKind("gtFine/{split}", r"(?<!_inst)_label$", "train", "idd-lite"),
            # What is downloaded; the others are drawn from it by a program of the authors.
            LabelKind("gtFine/{split}", r"_gtFine_polygons$", "polygons", "idd"),
        ),
        names=r"(_leftImg8bit|_image)$",
        # Outlines alone are told from those of Cityscapes by the names: numbers, where cities have letters.
        marks=(
            "gtFine/*/*/*_[lL]abel[lL]evel3*|gtFine/*/*/*_[lL]abelcs[tT]rain*|gtFine/*/*/*_label.png"
            "|gtFine/*/[0-9]*/[0-9]*_gtFine_polygons.json|gtFine/*/[0-9]*/frame[0-9]*_gtFine_polygons.json",
        ),
    ),
    "acdc-archives": Release(
        "ACDC as unpacked: rgb_anon_trainvaltest/rgb_anon and gt_trainval/gt.",
        "rgb_anon_trainvaltest/rgb_anon",
        (
            LabelKind("gt_trainval/gt", _OF_SPLIT + r"_gt_labelTrainIds$", "train", "cityscapes"),
            LabelKind("gt_trainval/gt", _OF_SPLIT + r"_gt_labelIds$", "raw", "cityscapes"),
        ),
        names=r"(^|/){split}/(?!.*_ref(_|/|$)).*_rgb_anon$",
    ),
    "acdc": Release(
        "ACDC: rgb_anon/<weather>/<split> and gt, without the reference images.",
        "rgb_anon",
        (
            LabelKind("gt", _OF_SPLIT + r"_gt_labelTrainIds$", "train", "cityscapes"),
            LabelKind("gt", _OF_SPLIT + r"_gt_labelIds$", "raw", "cityscapes"),
            LabelKind("gt_trainval/gt", _OF_SPLIT + r"_gt_labelTrainIds$", "train", "cityscapes"),
        ),
        names=r"(^|/){split}/(?!.*_ref(_|/|$)).*_rgb_anon$",
        marks=("rgb_anon/fog|rgb_anon/night|rgb_anon/rain|rgb_anon/snow",),
    ),
    "dark-zurich": Release(
        "Dark Zurich: rgb_anon/<split>/night and gt.",
        "rgb_anon/{split}",
        (LabelKind("gt/{split}", r"_gt_labelTrainIds$", "train", "cityscapes"),),
        names=r"(^|/)night/.*_rgb_anon$",
        marks=("rgb_anon/*/night|rgb_anon/night",),
    ),
    "bdd100k": Release(
        "BDD100K: images/10k/<split> and labels/sem_seg/masks/<split>.",
        "images/10k/{split}",
        (LabelKind("labels/sem_seg/masks/{split}", "", "train", "cityscapes"),),
    ),
    "bdd100k-old": Release(
        "BDD100K in its first form: seg/images/<split> and seg/labels/<split>.",
        "seg/images/{split}",
        (LabelKind("seg/labels/{split}", r"_train_id$", "train", "cityscapes"),),
    ),
    "mapillary": Release(
        "Mapillary Vistas: <split>/images and <split>/v1.2/labels (or labels).",
        "{split}/images",
        (
            LabelKind("{split}/v1.2/labels", "", "raw", "mapillary", "config_v1.2.json"),
            LabelKind("{split}/labels", "", "raw", "mapillary", "config.json"),
            LabelKind("{split}/v2.0/labels", own_classes="config_v2.0.json"),
        ),
        splits=_LONG,
        marks=("training/v1.2/labels|training/v2.0/labels|validation/v1.2/labels|validation/v2.0/labels|config*.json",),
    ),
    "synthia": Release(
        "SYNTHIA-RAND-CITYSCAPES: RGB and GT/LABELS, whose first channel of 16 bits is the class.",
        "RGB",
        (LabelKind("GT/LABELS", "", "synthia", "synthia"), LabelKind("parsed_LABELS", "", "raw", "synthia")),
        marks=("GT/LABELS|parsed_LABELS",),
    ),
    "kitti": Release(
        "KITTI semantics: training/image_2 and training/semantic.",
        "{split}/image_2",
        (
            LabelKind("{split}/semantic", "", "raw", "cityscapes"),
            LabelKind("{split}/semantic_rgb", "", "colour", "cityscapes"),
        ),
        splits={"train": "training", "val": "training", "test": "testing"},
    ),
    "camvid-raw": Release(
        "CamVid: 701_StillsRaw_full and LabeledApproved_full in 32 colours.",
        "701_StillsRaw_full",
        (LabelKind("LabeledApproved_full", r"_L$", "colour", "camvid32"),),
    ),
    "loveda": Release(
        "LoveDA: Train/Urban/images_png and masks_png, also Rural; 0 is ignored.",
        "{split}",
        (LabelKind("{split}", r"(^|/)masks_png/", "raw", "loveda"),),
        names=r"(^|/)images_png/",
        splits=_CAPITAL,
        marks=("*/Urban/images_png|*/Rural/images_png",),
    ),
    "uavid": Release(
        "UAVid: uavid_train/seq1/Images and Labels, in colours.",
        "{split}",
        (LabelKind("{split}", r"(^|/)Labels/", "colour", "uavid"),),
        names=r"(^|/)Images/",
        splits={name: f"uavid_{name}" for name in ("train", "val", "test")},
        marks=("uavid_*/seq*/Images",),
    ),
    "cityscapes-rain": _made_of(
        "Rain Cityscapes",
        "leftImg8bit_rain",
        "_leftImg8bit_rain_",
        "of each image there are several, with other rain, which share its labels",
    ),
    "cityscapes-sequence": _made_of(
        "Sequences of Cityscapes", "leftImg8bit_sequence", "_leftImg8bit$", "one frame in 30 has labels"
    ),
    **{f"{name}-{beta}": _foggy(folder, beta, name) for name, folder in _FOGGY.items() for beta in _BETAS},
    "potsdam-rgb": _potsdam(_POTSDAM[0], "red, green, blue"),
    "potsdam-irrg": _potsdam(_POTSDAM[1], "infrared, red, green"),
    "potsdam-rgbir": _potsdam(_POTSDAM[2], "four bands"),
    "vaihingen": Release(
        "ISPRS Vaihingen: top/top_mosaic_09cm_area1.tif and gts_for_participants (or the complete ground truth).",
        "top",
        (
            LabelKind("ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE", "", "auto", "isprs"),
            LabelKind("gts_for_participants", "", "auto", "isprs"),
            LabelKind("ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE", "", "auto", "isprs"),
        ),
        marks=("top/top_mosaic_*",),
    ),
    "ade20k": Release(
        "ADE20K (scene parsing): images/<split> and annotations/<split>; 0 is ignored.",
        "images/{split}",
        (LabelKind("annotations/{split}", "", "raw", "ade20k"),),
        splits={"train": "training", "val": "validation"},
        marks=("annotations/training|annotations/validation",),
    ),
    "aeroscapes": Release(
        "AeroScapes: JPEGImages and SegmentationClass, with ImageSets/trn.txt and val.txt.",
        "JPEGImages",
        (LabelKind("SegmentationClass", "", "raw", "aeroscapes"),),
        listed="ImageSets/{split}.txt",
        marks=("ImageSets/trn.txt", "SegmentationClass", "Visualizations"),
    ),
    "voc": Release(
        "PASCAL VOC, and exports of CVAT, Datumaro and labelme: JPEGImages, SegmentationClass, ImageSets.",
        "JPEGImages",
        (
            # Of labelme, which keeps arrays under the usual name.
            LabelKind("SegmentationClassPNG", "", "auto", "voc", "labelmap.txt"),
            LabelKind("SegmentationClass", "", "auto", "voc", "labelmap.txt"),
            # Labels of more images, by others: of the lists trainaug and train_aug.
            LabelKind("SegmentationClassAug", "", "auto", "voc", "labelmap.txt"),
        ),
        listed="ImageSets/Segmentation/{split}.txt|ImageSets/{split}.txt",
        marks=("SegmentationClass|SegmentationClassAug",),
    ),
    "drive": Release(
        "DRIVE: <split>/images/21_training.tif and <split>/1st_manual/21_manual1.gif.",
        "{split}/images",
        (LabelKind("{split}/1st_manual", r"_manual1$", "auto", "vessels"),),
        splits={"train": "training", "val": "test"},
        marks=("training/images/*_training.*|test/images/*_test.*",),
    ),
    "stare": Release(
        "STARE: stare-images/im0001.ppm and labels-ah/im0001.ah.ppm.",
        "stare-images",
        (LabelKind("labels-ah", "", "auto", "vessels"), LabelKind("labels-vk", "", "auto", "vessels")),
    ),
    "chase": Release(
        "CHASE_DB1: Image_01L.jpg and Image_01L_1stHO.png in one folder.",
        "",
        (LabelKind("", r"_1stHO$", "auto", "vessels"),),
        names=r"(^|/)Image_\d+[LR]$",
        marks=("Image_[0-9][0-9][LR].jpg", "*_1stHO.png"),
    ),
    "labelme-folders": Release(
        "What labelme_json_to_dataset writes: x_json/img.png and x_json/label.png.",
        "",
        (LabelKind("", r"(^|/)label$"),),
        names=r"(^|/)img$",
        marks=("*/img.png", "*/label.png", "*/label_viz.png"),
    ),
    "hrf": Release(
        "HRF: images/01_dr.JPG and manual1/01_dr.tif; mask holds the field of view.",
        "images",
        (LabelKind("manual1", "", "auto", "vessels"),),
        marks=("manual1",),
    ),
    "cityscapes-export": Release(
        "Exports of CVAT and Datumaro in the form of Cityscapes: imgsFine/leftImg8bit/<split> and gtFine/<split>.",
        "imgsFine/leftImg8bit/{split}",
        (LabelKind("gtFine/{split}", r"_gtFine_labelIds$"),),
        marks=("gtFine",),
    ),
    "mmsegmentation": Release(
        "The folders of mmsegmentation: img_dir/<split> and ann_dir/<split>.",
        "img_dir/{split}",
        (LabelKind("ann_dir/{split}"),),
        marks=("ann_dir",),
    ),
    "splits-of-pairs": Release(
        "Splits with images and labels (or masks) in each: train/images and train/labels.",
        "{split}/images",
        (LabelKind("{split}/labels"), LabelKind("{split}/masks"), LabelKind("{split}/annotations")),
        splits={},
        marks=("*/labels|*/masks|*/annotations",),
    ),
}


@dataclass(frozen=True)
class ReleaseFolders:
    """Where images and labels of a release lie on this disk.

    Attributes:
        root: the data set's root.
        images: the folder of images, or the part of it that was picked.
        within: where that part lies in the folder.
        split: its split, empty where it has none.
        names: the pattern of the images' keys relative to the whole folder.
        kinds: label files that may be there, with the folders of all of them.
        listed: the file of the split's stems.
        versions: layouts of other versions of the images that are there.
    """

    root: Path
    images: Path
    within: Path
    split: str
    names: str
    kinds: tuple[tuple[Path, LabelKind], ...]
    listed: Path | None
    versions: tuple[str, ...] = ()


def find_release(release: Release, path: Path, split: str, inner: Sequence[Path] = ()) -> ReleaseFolders | None:
    """Returns where images and labels lie, seen from the root, a part of it or a folder above; None where they do not.

    Args:
        release: what it might be.
        path: the folder that was picked.
        split: the wanted one, where ``path`` does not lie in another.
        inner: folders below ``path`` that may be the root.
    """
    for base in _bases(release, path, inner):
        below = path.relative_to(base).parts if path.is_relative_to(base) else ()
        # Several splits may be one folder: of these the wanted one was picked.
        own = {theirs: ours for ours, theirs in (*release.splits.items(), (split, release.splits.get(split)))}
        picked = next((part for part in below if _is_split(release, base, part)), "")
        folder = picked or _folder_of(release, base, split)
        images = base / release.images.format(split=folder)
        if not _marked(release, base):
            continue
        if not images.is_dir():
            if others := _other_splits(release, base, path):
                raise InputError(f"{base}: found {', '.join(others)}, expected the split {split}; give another one")
            continue
        folders = [base / kind.folder.format(split=folder) for kind in release.kinds]
        if not any(_along(path, place) for place in (images, *folders)):
            continue
        within = path.relative_to(images) if path.is_relative_to(images) else Path()
        if release.usual and (base / release.usual).is_dir() and base.is_relative_to(path):
            continue
        rivals = [name for name in release.rivals if (base / name).is_dir()]
        if rivals and not path.is_relative_to(images):
            if not base.is_relative_to(path):
                # Labels alone were picked.
                continue
            several = ", ".join((images.relative_to(base).parts[0], *rivals))
            raise InputError(
                f"{base}: found {several}, which show the same places in another form, such as other bands; pick "
                "the one that the model is for"
            )
        named = re.escape(folder)
        kinds = [replace(kind, names=kind.names.replace("{split}", named)) for kind in release.kinds]
        places = (base / one for one in release.listed.split("|") if one)
        listed = next(filter(None, (_list_of(place, split) for place in places)), None)
        has_splits = "{split}" in release.images + release.names or listed is not None
        return ReleaseFolders(
            base,
            images / within,
            within,
            (own.get(folder) or _split_of(folder) if picked else split) if has_splits else "",
            release.names.replace("{split}", named),
            tuple((place, kind) for place, kind in zip(folders, kinds, strict=True) if place.is_dir()),
            listed,
            tuple(name for name in release.versions if _marked(RELEASES[name], base)),
        )
    return None


def folders_below(path: Path) -> list[Path]:
    """Returns the folders of a folder and theirs, where these are few: a root may lie there."""
    found: list[Path] = []
    for folder in (path, *folders_in(path)):
        found += folders_in(folder)
    return found


def folders_in(folder: Path) -> list[Path]:
    """Returns the folders of a folder; none where it holds many entries, as folders of images do."""
    try:
        with os.scandir(folder) as entries:
            first = [Path(entry.path) for entry, _ in zip(entries, range(_FEW + 1), strict=False)]
    except OSError:
        # Not readable, so it cannot be used as a data set.
        return []
    # Path.is_dir, since a directory entry's raises for links in a circle.
    return sorted(entry for entry in first if entry.is_dir()) if len(first) <= _FEW else []


def _bases(release: Release, path: Path, inner: Sequence[Path]) -> Iterator[Path]:
    yield path
    if release.images:
        # Archives often have one folder in them.
        yield from inner
        yield from list(path.parents)[:_LEVELS_UP]


def _folder_of(release: Release, base: Path, split: str) -> str:
    """The folder of a split: the release's own, or the first that is there of those that it may be called."""
    if split in release.splits:
        return release.splits[split]
    names = (*SPLIT_NAMES.get(split, (split,)), *([_WHOLE] if split == "train" else []))
    return next((word for word in names if (base / release.images.format(split=word)).is_dir()), split)


def _split_of(folder: str) -> str:
    return next((split for split, names in SPLIT_NAMES.items() if folder in names), folder)


def _is_split(release: Release, base: Path, part: str) -> bool:
    if part in release.splits.values():
        return True
    known = {*_SPLITS, _WHOLE}.union(*SPLIT_NAMES.values())
    return part in known and (base / release.images.format(split=part)).is_dir()


def _other_splits(release: Release, base: Path, path: Path) -> list[str]:
    """The splits that are there, where the folder that was picked lies above them."""
    if "{split}" not in release.images or not base.is_relative_to(path):
        return []
    names = dict.fromkeys((*_SPLITS, *release.splits))
    folders = {name: base / release.images.format(split=_folder_of(release, base, name)) for name in names}
    return [name for name, folder in folders.items() if folder.is_dir()]


def _list_of(pattern: Path, split: str) -> Path | None:
    """Finds the list of a split, whatever it is called; None where there is none of any split.

    Raises:
        InputError: there are lists of other splits only: taking all images would be wrong.
    """
    with contextlib.suppress(OSError), os.scandir(pattern.parent) as entries:
        found = {Path(entry.name).stem.lower(): Path(entry.path) for entry in entries if entry.name.endswith(".txt")}
        if ours := next((found[word] for word in (split, *SPLIT_NAMES.get(split, ())) if word in found), None):
            return ours
        words = (word for names in SPLIT_NAMES.values() for word in names)
        if others := [name for name in dict.fromkeys((*_SPLITS, *words)) if name in found]:
            raise InputError(
                f"{pattern.parent}: found {', '.join(others)}, expected the split {split}; give another one"
            )
    return None


def _marked(release: Release, base: Path) -> bool:
    try:
        return all(any(next(base.glob(one), None) for one in mark.split("|")) for mark in release.marks)
    except OSError:
        return False


def _along(path: Path, place: Path) -> bool:
    return path.is_relative_to(place) or place.is_relative_to(path)


def by_preference(found: ReleaseFolders, classes: str | None) -> list[tuple[Path, LabelKind]]:
    """Returns the kinds of labels, those of the wanted class set first."""
    return sorted(found.kinds, key=lambda one: one[1].classes != classes)
