"""List files: one image per line, relative to the data set's folder; a label or a number may follow.

The published form is ``aachen/aachen_000000_000019_leftImg8bit.png``, one per line, with the folder given apart. Here
the folder is searched for around the list file, or is named in the file's first line as ``# root: FOLDER``.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crots.data.folder_listing import key_of, keyed, list_files, list_labels
from crots.data.matching import is_whole_path, label_ending, match, some
from crots.errors import InputError
from crots.files import expanded, is_file, way_to_read
from crots.image_formats import IMAGE_SUFFIXES, LABEL_SUFFIXES
from crots.limits import check_file_size

_SUFFIX = "|".join(re.escape(suffix) for suffix in sorted(IMAGE_SUFFIXES, reverse=True))
_LINE = re.compile(rf"(?P<image>.+?(?:{_SUFFIX}))(?:[\s,;]+(?P<rest>.*))?$", re.IGNORECASE)
_ROOT = re.compile(r"#\s*root\s*[:=]\s*(?P<root>.+)", re.IGNORECASE)
# As tables and shells put around names with blanks.
_QUOTED = re.compile(r'(?:^|(?<=[,;\t]))"([^"]+)"(?=$|[,;\t])')
_TABLES = (".csv", ".tsv")
_LEVELS_UP = 5
_STEMS_CHECKED = 20
_COMMON = (".jpg", ".png", ".jpeg", ".JPG", ".tif", ".bmp")
# Where labels lie beside JPEGImages.
_LABELS = ("SegmentationClassPNG", "SegmentationClass", "SegmentationClassAug")
# A list of half a million images.
_MOST_BYTES = 64 * 10**6


@dataclass(frozen=True)
class ListedFiles:
    """What a list file names.

    Attributes:
        root: the folder that its entries are relative to.
        entries: key -> image and, where named or found, label.
        notes: what the user should know.
    """

    root: Path
    entries: dict[str, tuple[Path, Path | None]]
    notes: tuple[str, ...] = ()


def read_list(path: Path, split: str, root: Path | None = None) -> ListedFiles:
    """Reads a list file.

    Args:
        path: the text file.
        split: ``train`` ..., for entries below ``leftImg8bit/<split>``; the list's own name counts too.
        root: the folder its entries are relative to; None searches for it.

    Raises:
        InputError: it is no list of images, or files that it names do not exist.
    """
    lines = _lines(path)
    declared = next((found["root"].strip() for line in lines[:5] if (found := _ROOT.match(line))), None)
    if root is None and declared:
        root = (path.parent / expanded(declared)).absolute()
    if stems := _stems(lines):
        return _listed_stems(path, split, root, stems)
    if path.suffix.lower() in _TABLES and lines and not _LINE.match(lines[0]):
        # What the columns are called; blank, so that lines keep their numbers.
        lines[0] = ""
    rows = [_row(line, path, number) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not rows:
        raise InputError(f"{path}: the list is empty, expected one image path per line")
    base, rows = _find_root(path, split, root, rows)
    return _resolve(path, base, rows)


def list_stems(path: Path) -> frozenset[str]:
    """Returns the names, without suffixes, that a list such as VOC's has; all that they may be, as names have blanks.

    Raises:
        InputError: it is no text.
    """
    rows = [line for line in _lines(path) if line and not line.startswith("#")]
    named = [found["image"] for line in rows if (found := _LINE.match(line))]
    images = (key_of(name).rpartition("/")[2] for name in named)
    return frozenset({*images, *(name for line in rows for name in _names_of(line))})


def _names_of(line: str) -> tuple[str, ...]:
    """The names that a line may begin with, longest first: names have blanks, and numbers follow them."""
    return line, line.rsplit(maxsplit=1)[0], line.split()[0]


def _lines(path: Path) -> list[str]:
    try:
        check_file_size(path, _MOST_BYTES, "list")
        content = path.read_bytes()
        # What shells of Windows write.
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if not wide and b"\0" in content:
            raise InputError(f"{path}: neither an image nor a text file; expected images or a list of them")
        lines = content.decode("utf-16" if wide else "utf-8-sig").splitlines()
        return [_QUOTED.sub(r"\1", line.strip()) for line in lines]
    except UnicodeDecodeError:
        raise InputError(f"{path}: neither an image nor a text file; expected images or a list of them") from None
    except OSError as error:
        remedy = way_to_read(error, "choose another list")
        raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None


def _stems(lines: list[str]) -> list[str]:
    """Returns the lines of a list that leaves out the suffixes, as those of VOC do."""
    rows = [line for line in lines if line and not line.startswith("#")]
    if any(_LINE.match(line) for line in rows[:_STEMS_CHECKED]):
        return []
    return list(dict.fromkeys(line.replace("\\", "/") for line in rows))


def _listed_stems(path: Path, split: str, root: Path | None, stems: list[str]) -> ListedFiles:
    bases = [root] if root is not None else _around(path)
    places = [place for base in bases for place in (base / "JPEGImages", *_places(base, split, path.stem))]
    for place in dict.fromkeys(places):
        if not any(is_file(place / f"{name}{suffix}") for name in _names_of(stems[0]) for suffix in _COMMON):
            continue
        files = {key_of(name): place / name for name in list_files(place, IMAGE_SUFFIXES)}
        stems = [next((name for name in _names_of(stem) if name in files), stem.split()[0]) for stem in stems]
        stems = list(dict.fromkeys(stems))
        missing = [stem for stem in stems if stem not in files]
        if missing:
            raise InputError(
                f"{path}: {len(missing)} of {len(stems)} images are not in {place} ({some(missing)[:400]}); correct "
                "the list or add the files"
            )
        folders = [place.parent / name for name in _LABELS]
        labels = [keyed(folder, list_labels(folder)) for folder in folders if folder.is_dir()]
        found = max(labels, key=lambda one: len(one.keys() & set(stems)), default={})
        return ListedFiles(place, {stem: (files[stem], found.get(stem)) for stem in stems})
    raise InputError(
        f"{path}: found no image {stems[0][:200]}, with any suffix, in {path.parent} and the folders around it, "
        "expected an image path such as aachen/x.png, or a name in JPEGImages; begin the list with the line "
        "`# root: FOLDER`"
    )


def _row(line: str, path: Path, number: int) -> tuple[str, str | None]:
    found = _LINE.match(line)
    if not found:
        raise InputError(f"{path}, line {number}: found {line[:80]!r}, expected an image path such as aachen/x.png")
    rest = (found["rest"] or "").strip()
    # Easy and hard lists carry an entropy where others carry a label.
    is_label = Path(rest).suffix.lower() in LABEL_SUFFIXES
    return found["image"].replace("\\", "/"), rest.replace("\\", "/") if is_label else None


def _find_root(
    path: Path, split: str, root: Path | None, rows: list[tuple[str, str | None]]
) -> tuple[Path, list[tuple[str, str | None]]]:
    """Finds the folder that the paths of a list are relative to.

    Returns:
        The folder, and the rows; whole paths of another computer without what they have above it.
    """
    first = rows[0][0]
    bases = [root] if root is not None else _around(path)
    tried = [place for base in bases for place in _places(base, split, path.stem)]
    parts = first.split("/") if is_whole_path(first) else [first]
    for count in range(len(parts)):
        head = "".join(f"{part}/" for part in parts[:count])
        for place in tried:
            if is_file(place / first.removeprefix(head)):
                return place, [(image.removeprefix(head), label and label.removeprefix(head)) for image, label in rows]
    where = root if root is not None else f"{path.parent} and the folders around it"
    raise InputError(
        f"{path}: found no file {first[:200]} in {where}, expected it below the data set's folder; "
        "begin the list with the line `# root: FOLDER`"
    )


def _around(path: Path) -> list[Path]:
    """The list's folder and those above it; on each level also the folder named like the list's (``cityscapes``)."""
    ancestors = list(path.absolute().parents)[:_LEVELS_UP]
    name = path.absolute().parent.name
    return [base for ancestor in ancestors for base in (ancestor, ancestor / name, ancestor / "data" / name)]


def _places(base: Path, split: str, stem: str) -> Iterator[Path]:
    yield base
    for name in dict.fromkeys((split, stem)):
        yield base / "leftImg8bit" / name
        yield base / "images" / name
        yield base / name
    yield from (base / name for name in ("leftImg8bit", "images", "RGB"))


def _resolve(path: Path, base: Path, rows: list[tuple[str, str | None]]) -> ListedFiles:
    images = dict(rows)
    missing = [name for name in images if not is_file(base / name)]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(images)} files are not in {base} ({some(missing)[:400]}); "
            "correct the list or add the files"
        )
    root, names = _relative(base, list(images))
    labels = {key_of(name): label for name, label in zip(names, images.values(), strict=True)}
    files = keyed(root, names)
    notes = [f"{len(rows) - len(images)} lines are duplicates and count once"] if len(rows) > len(images) else []
    found = _named_labels(path, base, labels) or _cityscapes_labels(base, list(files))
    return ListedFiles(root, {key: (image, found.get(key)) for key, image in files.items()}, tuple(notes))


def _relative(base: Path, names: list[str]) -> tuple[Path, list[str]]:
    """Makes names relative to a folder that holds them all, where some are absolute or point upwards."""
    if not any(Path(name).is_absolute() or ".." in Path(name).parts for name in names):
        return base, names
    full = [os.path.normpath(base / name) for name in names]
    root = os.path.commonpath([os.path.dirname(name) for name in full])  # noqa: PTH120
    return Path(root), [os.path.relpath(name, root) for name in full]


def _named_labels(path: Path, base: Path, labels: dict[str, str | None]) -> dict[str, Path]:
    named = {key: label for key, label in labels.items() if label is not None}
    if not named:
        return {}
    roots = [base, *list(base.parents)[:3]]
    first = next(iter(named.values()))
    root = next((place for place in roots if is_file(place / first)), None)
    # Labels may be absent where only images are needed; a stage that needs them raises its own error.
    return {} if root is None else {key: root / label for key, label in named.items() if is_file(root / label)}


def _cityscapes_labels(base: Path, keys: list[str]) -> dict[str, Path]:
    """Labels in ``gtFine`` beside the ``leftImg8bit`` that the list points into."""
    parts = base.parts
    if "leftImg8bit" not in parts:
        return {}
    index = parts.index("leftImg8bit")
    folder = Path(*parts[:index], "gtFine", *parts[index + 1 :])
    if not folder.is_dir():
        return {}
    names = [name for name in list_files(folder, {".png"}) if label_ending(key_of(name)) == "_labelIds"]
    try:
        return match(keys, keyed(folder, names), what="label", folder=folder, partial=True)
    except InputError:
        return {}
