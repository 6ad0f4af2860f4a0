"""Detects the encoding of label files from the class set, palettes and the values that occur.

One encoding that fits is used and reported. Where two fit and differ, and no evidence favours one, the user is asked.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from crots.data.encodings import Encoding
from crots.data.matching import some
from crots.errors import InputError
from crots.events import Remark
from crots.label_files import TRAIN_IDS, StoredLabels
from crots.taxonomy import ClassSet, Colour, count_labels

ENCODING_TEXTS: dict[Encoding, str] = {
    "train": "train ids",
    "raw": "the data set's own ids",
    "colour": "colours",
    "mask": "masks of two classes (0, and 1 or 255)",
    "from-one": "ids that count from 1 (0 is ignored)",
    "synthia": "SYNTHIA's 16-bit ids",
    "polygons": "outlines with class names (COCO, CVAT, Label Studio, labelme, Cityscapes)",
}
# Own ids, of a set that is common in both forms, are implausible where more than this share would have no class and
# the other reading sees so many times as many classes.
_MOST_VOID = 0.5
_MORE_CLASSES = 2
# Classes of a file that may be in another form than others.
_SEVERAL = 4
# Masks of which more is the thing than this share are as likely inverted.
_MOST_OF_A_THING = 0.75
# Of 16 bits.
_WHITE = 65535
Value = tuple[int, Colour | None]
CHOOSE = "choose one by `data.val_encoding`"
_CHOOSE_PREDICTED = "choose one by `source.encoding`"


class AmbiguousLabels(InputError):
    """Label files can be read in two ways that differ.

    Attributes:
        choices: by encoding what it would mean.
    """

    def __init__(
        self, where: str, choices: Mapping[Encoding, str], found: str, remedy: str, field: str = "data.val_encoding"
    ) -> None:
        either = " or ".join(f"{name} ({meaning})" for name, meaning in choices.items())
        super().__init__(f"{where}: the labels hold {found}, which can mean {either}; {remedy}", field=field)
        self.choices = dict(choices)


@dataclass(frozen=True)
class Seen:
    """What a label file holds.

    Attributes:
        path: the file.
        pixels: how often each value occurs, with its colour where the file has a palette.
        says: what the file states about itself.
    """

    path: Path
    pixels: Mapping[Value, int]
    says: str = ""

    @property
    def values(self) -> set[int]:
        """The values without their colours."""
        return {value for value, _ in self.pixels}


def seen_in(path: Path, stored: StoredLabels) -> Seen:
    """Counts what a file of ids holds; ``stored.values`` is (H, W)."""
    if stored.values.dtype.kind == "u":
        counts = count_labels(stored.values)
        values = np.flatnonzero(counts)
        found = {int(value): int(counts[value]) for value in values}
    else:
        every, numbers = np.unique(stored.values, return_counts=True)
        found = {int(value): int(number) for value, number in zip(every, numbers, strict=True)}
    return Seen(path, {(value, _colour(stored, value)): number for value, number in found.items()}, stored.says)


def _colour(stored: StoredLabels, value: int) -> Colour | None:
    if stored.palette is None:
        # Grey levels are colours too: black and white, for many a mask.
        return (value, value, value) if 0 <= value < 256 else None
    if not 0 <= value < len(stored.palette):
        return None
    red, green, blue = stored.palette[value].tolist()
    return red, green, blue


def voids(classes: ClassSet) -> frozenset[int]:
    """Values that mean no class in whatever set, unless the set names them: -1 and the greatest of 8 and 16 bits."""
    return frozenset({-1, 65535, classes.ignore})


def train_table(classes: ClassSet) -> dict[int, int]:
    """Returns value -> label of files that hold train ids."""
    return {**dict.fromkeys(voids(classes), classes.ignore), **{train: train for train in range(len(classes))}}


def raw_table(classes: ClassSet) -> dict[int, int]:
    """Returns value -> label of files that hold the data set's own ids; what the set does not name is missing."""
    return {**dict.fromkeys(voids(classes), classes.ignore), **classes.raw_ids}


def from_one_table(classes: ClassSet) -> dict[int, int]:
    """Returns value -> label of files whose classes count from 1; 0 is no class."""
    ids = {train + 1: train for train in range(len(classes))}
    return {**dict.fromkeys(voids(classes), classes.ignore), **ids, 0: classes.ignore}


def colour_table(classes: ClassSet) -> dict[Colour, int]:
    """Returns colour -> label; black means no class unless it is a class's."""
    known = dict.fromkeys(((0, 0, 0), *classes.ignored_colours), classes.ignore)
    return known | {colour: train for train, colour in enumerate(classes.palette)}


def mask_levels(values: Collection[Value]) -> dict[Value, int]:
    """Returns the brightness of the values of a mask: palettes of black and white say it better than their indices.

    White of 16 bits counts as that of 8.
    """
    if {value for value, _ in values} <= {0, _WHITE}:
        return {(value, colour): 255 if value else 0 for value, colour in values}
    colours = {colour for _, colour in values if colour is not None}
    by_colour = len(colours) == len(values) and colours <= {(0, 0, 0), (255, 255, 255)}
    return {(value, colour): colour[0] if by_colour and colour else value for value, colour in values}


@dataclass
class _Reading:
    encoding: Encoding
    labels: dict[Value, int]
    ignore: int
    void: float = 0.0
    seen: set[int] = field(default_factory=set)

    def differs(self, other: _Reading) -> bool:
        return self.labels != other.labels


class _Judge:
    """The readings of some files, and the choice among them."""

    def __init__(self, files: Sequence[Seen], classes: ClassSet, predicted: bool) -> None:
        self.files, self.classes, self.predicted = files, classes, predicted
        self.flag = "`source.encoding`" if predicted else "`data.val_encoding`"
        self.pixels: Counter[Value] = Counter()
        for file in files:
            self.pixels.update(file.pixels)
        self.values = sorted({value for value, _ in self.pixels})
        self.found = f"{ranges(self.values)} in {files_checked(len(files))}"

    def read(self, encoding: Encoding, label: Callable[[Value], int | None]) -> _Reading | None:
        """Makes a reading, where it knows every value and gives some pixel a class."""
        found = {value: label(value) for value in self.pixels}
        labels = {value: train for value, train in found.items() if train is not None}
        seen = set(labels.values()) - {self.classes.ignore}
        if len(labels) < len(found) or not seen:
            return None
        ignored = sum(count for value, count in self.pixels.items() if labels[value] == self.classes.ignore)
        return _Reading(encoding, labels, self.classes.ignore, ignored / max(1, self.pixels.total()), seen)

    def by_value(self, encoding: Encoding, table: Mapping[int, int]) -> _Reading | None:
        return self.read(encoding, lambda value: table.get(value[0]))

    def train(self) -> _Reading | None:
        return self.by_value("train", train_table(self.classes))

    def raw(self) -> _Reading | None:
        return self.by_value("raw", raw_table(self.classes)) if self.classes.raw_ids else None

    def loose(self) -> _Reading | None:
        """Own ids of a set that does not name its void ids: whatever it does not name is one."""
        if not self.classes.raw_ids or self.classes.lists_all_raw_ids:
            return None
        table = raw_table(self.classes)
        return self.read("raw", lambda value: table.get(value[0], self.classes.ignore) if value[0] < 65536 else None)

    def colour(self) -> _Reading | None:
        table = colour_table(self.classes)
        return self.read("colour", lambda value: None if value[1] is None else table.get(value[1]))

    def mask(self) -> _Reading | None:
        """Two classes as 0 and 255, or as black and white."""
        if len(self.classes) != 2:
            return None
        levels: dict[Value, int] = {}
        for file in self.files:
            own = mask_levels(file.pixels)
            if not set(own.values()) <= {0, 255} and not set(own.values()) <= {0, 1}:
                return None
            levels.update(own)
        if 255 not in levels.values():
            return None
        return self.read("mask", lambda value: min(1, levels[value]))

    def one_based(self) -> _Reading | None:
        known = None if self.classes.raw_ids else self.by_value("from-one", from_one_table(self.classes))
        return known if known is not None and len(self.classes) in self.values else None

    # The choice.

    def truth(self) -> tuple[Encoding, list[Remark]]:
        """How files of labels are read."""
        train, raw, mask, loose = self.train(), self.raw(), self.mask(), self.loose()
        if any(file.says.startswith(TRAIN_IDS) for file in self.files):
            if train is not None:
                return self.reported(train, "as the files themselves say")
            table = train_table(self.classes)
            if table.keys() >= set(self.values):
                # All of it is ignored; the colour of what is may be a class's.
                return self.nothing({"train": table})
        if (palette := self.colour()) is not None:
            return self.by_palette(palette, [reading for reading in (raw, train, mask) if reading is not None])
        if raw is not None or (train is not None and self.all_void()):
            return self.own_ids(raw, train)
        if mask is not None and (train is None or mask.differs(train)):
            return self.two_classes(mask, train)
        if train is not None:
            if loose is not None and loose.differs(train):
                raise self.ambiguous(self.meanings(train, loose))
            return self.reported(train)
        if loose is not None:
            self.refuse_train_ids_among(loose)
            unnamed = [value for value in self.values if value not in raw_table(self.classes)]
            encoding, notes = self.reported(
                loose, f"ids that the class set does not name are ignored: {ranges(unnamed)}"
            )
            return encoding, notes + self.of_another_set(unnamed, loose)
        if (counted := self.one_based()) is not None:
            raise self.ambiguous(
                self.meanings(counted),
                f"{CHOOSE}; or, where {len(self.classes)} means nothing, write ignored_ids = [{len(self.classes)}] "
                "into the file of the class set",
            )
        tables: dict[Encoding, dict[int, int]] = {"train": train_table(self.classes)}
        if self.classes.raw_ids:
            tables["raw"] = raw_table(self.classes)
            if not self.classes.lists_all_raw_ids:
                tables["raw"] = {**dict.fromkeys(range(65536), self.classes.ignore), **tables["raw"]}
        return self.nothing(tables)

    def predictions(self) -> tuple[Encoding, list[Remark]]:
        """How predictions are read, which hold train ids unless only something else fits."""
        train, raw, mask, palette = self.train(), self.raw(), self.mask(), self.colour()
        # A model predicts classes, none of the many ids that a data set ignores.
        known = voids(self.classes) - self.classes.raw_ids.keys()
        if raw is not None and any(
            label == raw.ignore and value not in known for (value, _), label in raw.labels.items()
        ):
            raw = None
        if mask is not None and (train is None or mask.differs(train)):
            return self.two_classes(mask, train)
        if train is not None:
            rivals = (raw, None if palette is None or self.without_colour(palette, train) else palette)
            for rival in () if any(file.says for file in self.files) else rivals:
                if rival is not None and rival.differs(train):
                    raise self.ambiguous(self.meanings(train, rival))
            return self.reported(train)
        for reading in (raw, palette):
            if reading is not None:
                return self.reported(reading)
        if (counted := self.one_based()) is not None:
            raise self.ambiguous(self.meanings(counted))
        return self.nothing({"train": train_table(self.classes)})

    def says_little(self) -> bool:
        """Whether the files hold at most one value that may be a class, so that other files may say more."""
        readings = (self.train(), self.raw(), self.loose(), self.mask(), self.colour())
        several = any(reading is not None and len(reading.seen) > 1 for reading in readings)
        return len(self.classes) > 1 and not several and len(set(self.values) - voids(self.classes)) < 2

    def of_another_set(self, unnamed: Sequence[int], own: _Reading) -> list[Remark]:
        """Warns where a class set only counts its classes and files hold several other ids, perhaps another set's."""
        counted = all(raw == train for raw, train in self.classes.raw_ids.items())
        # A single one is most often what is ignored.
        if not counted or len(unnamed) < 2:
            return []
        text = (
            f"labels hold ids that class set {self.classes.name} does not have ({ranges(unnamed)}, {own.void:.0%} of "
            "the pixels), so they may be labels of other classes; choose labels of its classes, or name these ids "
            "under ignored_ids in the class set's file"
        )
        return [Remark(text, "warning")]

    def refuse_train_ids_among(self, own: _Reading) -> None:
        """Raises an error if a file holds no own id but several train ids: some converter stopped half-way."""
        known = {
            file.path: sorted({v for v, c in file.pixels if own.labels[v, c] != own.ignore}) for file in self.files
        }
        for file in self.files:
            train = None if known[file.path] else _Judge([file], self.classes, self.predicted).train()
            if train is not None and len(train.seen) > 1:
                other = next(path for path, values in known.items() if values)
                raise InputError(
                    f"{file.path}: holds {ranges(sorted(file.values))}, as train ids, but {other.name} holds "
                    f"{ranges(known[other])}, ids of class set {self.classes.name}; expected labels of one kind; "
                    "convert the others, or name these ids under ignored_ids in the class set's file"
                )

    def all_void(self) -> bool:
        """Whether the class set ignores every value."""
        table = raw_table(self.classes)
        return bool(self.classes.raw_ids) and all(table.get(value) == self.classes.ignore for value in self.values)

    def own_ids(self, raw: _Reading | None, train: _Reading | None) -> tuple[Encoding, list[Remark]]:
        if raw is None:
            raw = _Reading("raw", dict.fromkeys(self.pixels, self.classes.ignore), self.classes.ignore, 1.0)
            if train is not None and not self.classes.also_train_ids:
                raise self.ambiguous(self.meanings(train, raw))
        if train is None and self.classes.also_train_ids:
            counted = self.by_value("from-one", from_one_table(self.classes))
            # Train ids that somebody counted from one are own ids as well, most of them of nothing.
            if counted is not None and len(self.classes) in self.values and self.says_more(counted, raw):
                raise self.ambiguous(self.meanings(counted, raw))
        if train is None or not raw.differs(train):
            encoding, notes = self.reported(raw)
            return encoding, notes + self.half_converted()
        if not self.classes.also_train_ids:
            return self.reported(raw, f"as class set {self.classes.name} says; {self.flag} train reads train ids")
        if self.says_more(train, raw):
            return self.reported(
                train, f"the data set's own ids would fit too, but leave {raw.void:.0%} of the pixels without a class; "
                f"{self.flag} raw reads those"
            )  # fmt: skip
        raise self.ambiguous(self.meanings(train, raw))

    def half_converted(self) -> list[Remark]:
        """Warns of files among own ids that would say much more as train ids, as where a converter stopped half-way."""
        if not self.classes.also_train_ids:
            return []
        alike = []
        for file in self.files:
            alone = _Judge([file], self.classes, self.predicted)
            train, raw = alone.train(), alone.raw()
            if train is not None and raw is not None and len(train.seen) >= _SEVERAL and self.says_more(train, raw):
                alike.append(file)
        if not alike or len(alike) == len(self.files):
            return []
        text = (
            f"{len(alike)} of {len(self.files)} files checked, such as {alike[0].path.name} "
            f"({ranges(sorted(alike[0].values))}), look like train ids, and the others are not; most of these pixels "
            "have no class as they are read; convert all files to one form"
        )
        return [Remark(text, "warning")]

    def says_more(self, other: _Reading, raw: _Reading) -> bool:
        """Whether own ids leave most pixels without a class, and another reading finds many more classes."""
        return raw.void > _MOST_VOID and len(other.seen) >= _MORE_CLASSES * len(raw.seen)

    def two_classes(self, mask: _Reading, train: _Reading | None) -> tuple[Encoding, list[Remark]]:
        whites = [value for value in (255, _WHITE) if value in self.values]
        white = " and ".join(map(str, whites))
        if any(label == 0 for (value, _), label in mask.labels.items() if value in whites):
            # A palette that shows 255 as black.
            raise self.ambiguous({"train": f"{white} is ignored", "mask": f"as coloured, {self.summary(mask)}"})
        # If some files hold 1 and others 255, then 255 may mean ignored.
        together = any(0 in file.values and file.values & set(whites) for file in self.files)
        if whites and (1 in self.values or not together):
            ones = f"1 and {white} are" if 1 in self.values else f"{white} is"
            raise self.ambiguous({"train": f"{white} is ignored", "mask": f"{ones} {self.classes.names[1]}"})
        if train is not None and not whites:
            raise self.ambiguous(self.meanings(train, mask))
        rest = f"0 is {self.classes.names[0]}, {white} is {self.classes.names[1]}; {self.flag} train ignores {white}"
        return self.reported(mask, rest)

    def by_palette(self, palette: _Reading, rivals: Sequence[_Reading]) -> tuple[Encoding, list[Remark]]:
        # Grey levels of files without a palette are weak evidence against the ids that a class set states.
        grey = all(colour == (value, value, value) for value, colour in self.pixels)
        for rival in rivals:
            if not palette.differs(rival):
                if grey and rivals[0].encoding == "raw" and rivals[0].differs(rival):
                    raise self.ambiguous(self.meanings(rivals[0], rival))
                return self.reported(rival, "and their colours say the same")
            if shared := self.without_colour(palette, rival):
                return self.reported(rival, f"and their colours say the same, except that {ranges(shared)} has none")
        if rivals:
            raise self.ambiguous(self.meanings(rivals[0], palette))
        return self.reported(palette)

    def without_colour(self, palette: _Reading, rival: _Reading) -> list[int]:
        """Ignored values whose colour is another value's, as what fills a palette up; empty where more differs."""
        apart = [value for value in self.pixels if palette.labels[value] != rival.labels[value]]
        others = {colour for value, colour in self.pixels if (value, colour) not in apart}
        filled = all(rival.labels[value] == rival.ignore and value[1] in others for value in apart)
        return sorted(value for value, _ in apart) if filled else []

    def nothing(self, tables: Mapping[Encoding, Mapping[int, int]]) -> tuple[Encoding, list[Remark]]:
        """No reading gives a pixel a class: either all of it is ignored, or values are unknown."""
        for encoding, table in tables.items():
            if all(value in table for value in self.values):
                labels = {value: table[value[0]] for value in self.pixels}
                empty = _Reading(encoding, labels, self.classes.ignore, 1.0)
                encoding, notes = self.reported(empty)
                # Of predictions that is said with other things that are odd about them.
                scored = [Remark("no pixel of them has a class, so they score nothing", "warning")]
                return encoding, notes if self.predicted else [*notes, *scored]
        known = {**tables["train"], **tables.get("raw", {})}
        worst = max(self.files, key=lambda file: len(file.values - known.keys()))
        wrong = sorted(worst.values - known.keys()) or sorted(worst.values - tables["train"].keys())
        raise unknown_ids(str(worst.path), wrong, self.classes)

    def reported(self, reading: _Reading, why: str = "") -> tuple[Encoding, list[Remark]]:
        text = f"labels are {ENCODING_TEXTS[reading.encoding]}: {self.found}" + (f"; {why}" if why else "")
        notes = [Remark(text, "labels")]
        # Of predictions that is said with other things that are odd about them.
        if reading.seen == {0} and len(self.classes) > 1 and not self.predicted:
            # Black files of colours without black, too, are the first class as far as anybody can see.
            ignored = " and ignored pixels" if reading.void else ""
            text = (
                f"nothing but {self.classes.names[0]}{ignored} occurs in them; if an id means another class or none, "
                "say so under ids or ignored_ids in the class set's file"
            )
            notes.append(Remark(text, "warning"))
        if inverted := self.inverted(reading):
            notes.append(Remark(inverted, "warning"))
        return reading.encoding, notes

    def inverted(self, reading: _Reading) -> str:
        """Says where masks of a thing before a background are nearly all thing, as where it is black in them."""
        if len(self.classes) != 2 or self.classes.raw_ids or self.classes.names[0].lower() != "background":
            return ""
        things = sum(count for value, count in self.pixels.items() if reading.labels[value] == 1)
        share = things / max(1, self.pixels.total())
        if share <= _MOST_OF_A_THING:
            return ""
        of_thing, of_rest = (
            sorted({value for (value, _), found in reading.labels.items() if found == label}) for label in (1, 0)
        )
        rest, thing = self.classes.names
        return (
            f"{thing} is {share:.0%} of their pixels, as if {thing} and {rest} were exchanged; if {ranges(of_thing)} "
            f"means {rest}, say so in the class set's file: ids = {of_thing} for {rest}, ids = {of_rest} for {thing}"
        )

    def ambiguous(self, choices: Mapping[Encoding, str], more: str = "") -> AmbiguousLabels:
        where = os.path.commonpath([file.path.parent for file in self.files])
        if self.predicted:
            return AmbiguousLabels(where, choices, self.found, _CHOOSE_PREDICTED, "source.encoding")
        return AmbiguousLabels(where, choices, self.found, more or CHOOSE)

    def meanings(self, *readings: _Reading) -> dict[Encoding, str]:
        return {reading.encoding: self.summary(reading) for reading in readings}

    def summary(self, reading: _Reading) -> str:
        """Summarises how a reading maps the values."""
        by_class: dict[str, list[int]] = {}
        for (value, _), label in sorted(reading.labels.items(), key=lambda item: item[0][0]):
            name = "ignored" if label == reading.ignore else self.classes.names[label]
            by_class.setdefault(name, []).append(value)
        ignored = by_class.pop("ignored", [])
        parts = [f"{ranges(values)} is {name}" for name, values in by_class.items()]
        if not parts:
            return f"{ranges(ignored)} ignored"
        return some(parts, 4) + (f", {ranges(ignored)} ignored" if ignored else "")


def read_as(files: Sequence[Seen], classes: ClassSet, *, predictions: bool = False) -> tuple[Encoding, list[Remark]]:
    """Chooses how files of ids are read.

    Args:
        files: what at least one of them holds.
        classes: the class set they should be in.
        predictions: a model made them, which gives train ids as a rule.

    Returns:
        The encoding, and notes for the user: how the labels are read and why, and warnings.

    Raises:
        AmbiguousLabels: two readings fit and differ.
        InputError: none fits.
    """
    judge = _Judge(files, classes, predictions)
    return judge.predictions() if predictions else judge.truth()


def says_little(files: Sequence[Seen], classes: ClassSet) -> bool:
    """Whether files of ids hold at most one value that may be a class, so that they do not tell how to read others."""
    return _Judge(files, classes, predicted=False).says_little()


def unknown_ids(where: str, ids: Sequence[int], classes: ClassSet) -> InputError:
    """The error for ids that a class set does not know, with remedies."""
    raw = f", or its {len(classes.raw_ids)} own ids" if classes.raw_ids else ""
    if all(0 <= value <= 65535 for value in ids):
        remedy = "choose another class set or encoding, or write into its file which class each id means (ids = [...]) "
        remedy += "or that it is ignored (ignored_ids = [...])"
    else:
        remedy = "labels are whole numbers from 0 to 65535, and -1 where they are ignored; write them in this form"
    return InputError(
        f"{where}: found the label ids {some(ids, 8)}, which class set {classes.name} does not know (0 to "
        f"{len(classes) - 1} and {classes.ignore}{raw}); {remedy}"
    )


def files_checked(files: int) -> str:
    """Says how many files were checked."""
    return f"{files} file{'s' * (files != 1)} checked"


def ranges(ids: Sequence[int]) -> str:
    """Formats sorted ids as ranges: ``0-10, 255``."""
    runs: list[list[int]] = []
    for value in ids:
        if runs and value == runs[-1][1] + 1 and value > 0:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return some([str(low) if low == high else f"{low}-{high}" for low, high in runs], 8)
