"""Checks the fields of a project. Runs off the window's thread and imports torch where needed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from crots.artefacts import CONFIDENCE
from crots.class_files import shipped_name
from crots.class_maps import ClassMap, UnknownIds, identity_map
from crots.config import Size
from crots.data.datasets import Dataset, Sample
from crots.data.labels import tried_labels
from crots.data.layouts import IMAGE_FOLDERS, SPLITS
from crots.data.predictions import glance
from crots.data.readings import WORDS, AmbiguousLabels
from crots.errors import CrotsError, InputError
from crots.folders import check_formats, is_model_folder
from crots.images import image_size, read_image
from crots.nets.units import OtherUnits, check_units
from crots.opening import Inputs
from crots.options import DEFAULT_NET, IMAGENET
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots.taxonomy import ClassSet, load_class_set, shipped_class_sets
from crots.training.budget import few_images
from crots.trust import PROGRAMS, Code, code_of, is_factory, listed, program_kind
from crots_studio.background.loading import preload_torch
from crots_studio.models.class_map import ClassMapForm
from crots_studio.models.listing import target_dataset
from crots_studio.models.project_form import TITLES, Finding, Level, Offer, classes_chosen
from crots_studio.models.words import in_window, listing, net_title, plural

# Files of a folder of which the header is read: enough to notice a wrong kind, few enough for a network drive.
_HEADERS = 200
# Files that are decoded, which finds those cut short: these many, and as many more as a moment allows.
_OPENED = 6
_MOST_OPENED = 60
_OPENED_PIXELS = 40_000_000
# The usual orders of bands, of photographs from above and of satellites; and of white, as a share, in 8 bits, and as
# satellites give reflectance.
_BANDS, _WHITES = ("1,2,3", "3,2,1"), ("1", "255", "10000")
# How notes begin that are warnings.
_NOTED = "warning: "
# In a warning of `crots.data.pixels`.
_WHITE = re.compile(r"`data\.white` (\d+)")
# A photograph has thousands of colours, a label map one per class.
_LABEL_COLOURS = 40
# An image of another shape than the working size by more is visibly squeezed.
_SQUEEZED = 0.1
# The options of each check that name files or folders.
INPUTS = {
    "data.target": (("data", "target"),),
    "task.classes": (("task", "classes"),),
    "task.source_classes": (("task", "source_classes"),),
    "task.class_map": (("task", "class_map"),),
    "source": (("source", "file"), ("source", "predictions"), ("source", "confidence")),
    "student": (("student", "weights"),),
    "validation": (("data", "val_images"), ("data", "val_labels")),
}
# Class sets that are offered for predictions with unknown ids.
_SETS_OFFERED = 2
# Above this multiple of the proposed size's pixels, the finding mentions memory.
_LARGER = 4


class Setup(Inputs):
    """The inputs to check, opened as a run opens them, and the code that the user trusts.

    Checks run no third-party code, trusted or not: only runs do.

    Attributes:
        trusted: the code that the user trusted in this window.
    """

    def __init__(self, config: ProjectConfig, root: Path, trusted: Collection[Code] = ()) -> None:
        # A folder is listed once for all fields that ask for it.
        super().__init__(config, root, images=target_dataset)
        self.trusted = trusted


def check(name: str, config: ProjectConfig, root: Path, trusted: Collection[Code] = ()) -> Finding:
    """Checks one field; every error becomes a finding."""
    setup = Setup(config, root, trusted)
    try:
        _check_place(name, setup)
        return CHECKS[name](setup)
    except CrotsError as error:
        if owner := _said_beside(name, setup, str(error)):
            return Finding("empty", f"Checked once this is fixed: {TITLES[owner]}.")
        # Labels that can be read in two ways are a question.
        choices = error.choices if isinstance(error, AmbiguousLabels) else {}
        field = error.field or ""
        offers = tuple(Offer(f"Read as {WORDS[name]}", {field: name}) for name in choices)
        if isinstance(error, OtherUnits):
            offers = (Offer(f"Use {error.value}", {field: error.value}),)
        return Finding("bad", in_window(str(error)), offers=offers)
    except OSError as error:
        return Finding("bad", f"cannot be read: {error.strerror or error}")
    except Exception as error:  # a broken file may raise anything; the window must go on
        return Finding("bad", f"{type(error).__name__}: {error}")


def _check_place(name: str, setup: Setup) -> None:
    """Refuses the field's own inputs where the project writes, as a run does."""
    config, empty = setup.config, ProjectConfig()
    alone = {section: getattr(empty, section) for section in ("data", "task", "source", "student")}
    for section, option in INPUTS.get(name, ()):
        value = getattr(getattr(config, section), option)
        alone[section] = dataclasses.replace(alone[section], **{option: value})
    Project(setup.root, dataclasses.replace(config, **alone)).check_inputs()


def _said_beside(name: str, setup: Setup, message: str) -> str:
    """The field further up that already shows this error; empty where there is none."""
    for owner, look in (
        ("data.target", lambda: setup.target),
        ("task.classes", lambda: setup.classes),
        ("task.source_classes", lambda: setup.source_classes),
        ("task.class_map", lambda: setup.class_map),
    ):
        if owner == name:
            break
        if owner == "data.target" and setup.config.data.target is None:
            continue
        try:
            look()
        except (CrotsError, OSError) as error:
            if str(error) == message:
                return owner
    return ""


# Shown in the rail.
_NOT_CHOSEN = "not chosen yet"


def check_target(setup: Setup) -> Finding:
    """Counts, layout and sizes of the target's images."""
    if setup.config.data.target is None:
        return Finding(
            "empty", "Choose a folder, a list file or the root of a data set; or drop one here.", brief=_NOT_CHOSEN
        )
    dataset = setup.target
    sizes, faults = _sizes(dataset.samples)
    checked = len(sizes) + len(faults)
    broken, like_labels, asked = _opened(dataset.samples, sizes)
    faults += [fault for fault in broken if fault not in faults]
    text = f"{plural(len(dataset), 'image')}, {_layout(dataset)}, {_size_words(sizes)}"
    offers = _rendered(asked)
    if like_labels:
        text += "; they look like label maps, not like photographs"
    if faults:
        text += f"; {len(faults)} of the {checked} checked cannot be read"
        if setup.config.data.skip_bad and not asked:
            text += " and will be skipped"
        else:
            # As the details are seen by pointing only, the first is named here.
            text += f"; a run would stop there: {faults[0]}"
            offers = offers or (Offer("Skip such images", {"data.skip_bad": "true"}),)
    offers += tuple(_brighter(warning) for warning in setup.pixel_warnings if _WHITE.search(warning))
    text = in_window("; ".join((text, *setup.pixel_warnings)))
    level: Level = "warning" if faults or like_labels or setup.pixel_warnings else "good"
    if asked or (faults and not setup.config.data.skip_bad):
        level = "bad"
    return Finding(level, text, (*faults, *dataset.notes), plural(len(dataset), "image"), offers)


def _layout(dataset: Dataset) -> str:
    words = "a list" if dataset.layout == "list" else f"{dataset.layout} layout"
    return f"{words}, split {dataset.split}" if dataset.split else words


def _spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Picks samples from all over the list."""
    places = sorted({round(index * (len(samples) - 1) / max(1, most - 1)) for index in range(most)})
    return [samples[place] for place in places]


def _sizes(samples: Sequence[Sample]) -> tuple[list[Size], list[str]]:
    sizes, faults = [], []
    for sample in _spread(samples, _HEADERS):
        try:
            sizes.append(image_size(sample.image))
        except InputError as error:
            faults.append(str(error))
    return sizes, faults


def _rendered(asked: Collection[str]) -> tuple[Offer, ...]:
    """Offers what images of many bands, or of floating-point values, have to be given before they can be read."""
    if "data.bands" in asked:
        return tuple(Offer(f"Take bands {bands} as red, green, blue", {"data.bands": bands}) for bands in _BANDS)
    if "data.white" in asked:
        return tuple(Offer(f"Take {white} as white", {"data.white": white}) for white in _WHITES)
    return ()


def _brighter(warning: str) -> Offer:
    """Offers the value of white that a warning about dark images names."""
    found = _WHITE.search(warning)
    assert found is not None
    return Offer(f"Take {found[1]} as white", {"data.white": found[1]})


def _opened(samples: Sequence[Sample], sizes: Sequence[Size]) -> tuple[list[str], bool, set[str]]:
    """Decodes some, since a truncated file has a sound header.

    Returns:
        What is wrong, whether all look like label maps, and the options that some have to be given.
    """
    faults, counts, asked = [], [], set()
    largest = max((size.width * size.height for size in sizes), default=1)
    most = min(_MOST_OPENED, max(_OPENED, _OPENED_PIXELS // largest))
    for sample in _spread(samples, most):
        try:
            # Every fourth pixel of every fourth row shows enough of the colours.
            pixels = read_image(sample.image)[::4, ::4].astype(np.uint32)
            counts.append(np.unique(pixels @ np.array([65536, 256, 1], np.uint32)).size)
        except InputError as error:
            faults.append(str(error))
            asked |= {error.field} if error.field else set()
    return faults, bool(counts) and max(counts) <= _LABEL_COLOURS and min(counts) > 1, asked


def _size_words(sizes: Sequence[Size]) -> str:
    counts = {size: sizes.count(size) for size in sizes}
    if not counts:
        return "no size could be read"
    ranked = sorted(counts, key=lambda size: -counts[size])
    return str(ranked[0]) if len(ranked) == 1 else f"{len(ranked)} sizes, most often {ranked[0]}"


def check_size(setup: Setup) -> Finding:
    """The working size, or the one that will be proposed; or how images are cut into tiles."""
    data = setup.config.data
    if data.target is None:
        chosen = data.size is not None or data.tile is not None
        words = "Checked against the images" if chosen else "Proposed from the images"
        return Finding("empty", f"{words} once they are chosen.")
    if setup.tiling:
        text = f"Images are cut into tiles of {data.tile} as they are; neighbours overlap by {data.tile_overlap:.0%}"
        return Finding("good", text, offers=(Offer("Resize them instead", {"data.tile": "none"}),))
    proposal, reason = setup.proposed_size
    if data.size is None:
        tile = setup.proposed_tile
        offers = (Offer(f"Cut into tiles of {tile}", {"data.tile": str(tile)}),) if tile else ()
        return Finding("good", reason[0].upper() + reason[1:], offers=offers)
    if data.size == proposal:
        return Finding("good", f"As proposed: {reason}")
    offer = Offer(f"Use the proposal {proposal}", {"data.size": "none"})
    text = f"Images are resized to {data.size}; proposed from the images: {proposal}"
    shape = (data.size.width / data.size.height) / (proposal.width / proposal.height)
    if not 1 - _SQUEEZED < shape < 1 / (1 - _SQUEEZED):
        return Finding("warning", f"{text}, which has another aspect ratio", offers=(offer,))
    larger = data.size.width * data.size.height > _LARGER * proposal.width * proposal.height
    return Finding("warning" if larger else "good", text + (", which is smaller" if larger else ""), offers=(offer,))


def check_classes(setup: Setup) -> Finding:
    """The target's class set."""
    if not setup.config.task.classes:
        return Finding("bad", "Choose the classes of the adapted model.")
    found = _class_words(setup.classes)
    source = setup.config.source
    if not classes_chosen(setup.config) and source.file is None and source.predictions is None:
        # Nobody has chosen them, and no source speaks for them.
        text = f"{setup.classes.name} unless you choose others: the classes that the adapted model is to predict."
        return Finding("empty", text, offers=_classes_of_layout(setup))
    # They stand below with their colours.
    return dataclasses.replace(found, plain_to_see=True)


def _classes_of_layout(setup: Setup) -> tuple[Offer, ...]:
    """Offers the classes of the data set whose layout the images have."""
    try:
        layout = setup.target.layout if setup.config.data.target is not None else ""
    except (CrotsError, OSError):  # reported beside the images
        return ()
    fits = layout in shipped_class_sets() and layout != setup.config.task.classes
    return (Offer(f"Use {layout}, as the images' folder is laid out", {"task.classes": layout}),) if fits else ()


def _class_words(classes: ClassSet) -> Finding:
    return Finding(
        "good", f"{plural(len(classes), 'class').replace('classs', 'classes')}: {listing(classes.names, 240)}"
    )


def check_source_classes(setup: Setup) -> Finding:
    """The source's class set, if it differs from the target's."""
    if not setup.config.task.source_classes and setup.source_classes.names == setup.classes.names:
        return Finding("good", "The same as the target's.", plain_to_see=True)
    found = _class_words(setup.source_classes)
    if setup.config.task.source_classes:
        return found
    where = "the class map" if setup.config.task.class_map else "the source's file"
    return dataclasses.replace(found, text=f"From {where}: {setup.source_classes.name}, {found.text}")


def check_class_map(setup: Setup) -> Finding:
    """Whether a class map between the two sets is needed and given."""
    source, target = setup.source_classes, setup.classes
    same = source.names == target.names
    if setup.config.task.class_map is None and same:
        return Finding("good", "Not needed: source and target have the same classes.", plain_to_see=True)
    if setup.config.task.class_map is None:
        words = f"The source has the classes of {source.name}, the target those of {target.name}."
        return Finding("bad", f"{words} Choose a class map, or propose one by name.", offers=_class_offers(setup))
    try:
        joined = setup.class_map
    except InputError as error:
        return Finding("bad", in_window(str(error)), offers=_class_offers(setup))
    form = ClassMapForm(source, target, joined.names())
    return Finding("warning" if form.unreached else "good", form.summary[0].upper() + form.summary[1:])


def _class_offers(setup: Setup) -> tuple[Offer, ...]:
    """Offers that make a class map unnecessary."""
    task, source = setup.config.task, setup.source_classes
    if task.class_map is not None:
        needless = source.names == setup.classes.names or not task.source_classes
        return (Offer("Use no class map", {"task.class_map": "none"}),) if needless else ()
    words, named = f"Use the source's classes ({source.name})", task.source_classes or shipped_name(source)
    # Those of a file may go by no name.
    return (Offer(words, {"task.classes": named}) if named else Offer(words, classes=source),)


def check_source(setup: Setup) -> Finding:
    """The source model's file, or its predictions."""
    source = setup.config.source
    if source.predictions is not None:
        return _check_predictions(setup)
    if source.file is None:
        return Finding(
            "empty",
            "Choose the source model's file, or the folder of its predictions; or drop one here.",
            brief=_NOT_CHOSEN,
        )
    path = setup.path(source.file)
    check_units(source)
    try:
        return _check_model(setup, path)
    except CrotsError as error:
        # A file dialog shows files; the model is the folder that they lie in.
        if not is_model_folder(path.parent):
            raise
        text = f"{path.name} is part of the model in the folder {path.parent.name}. It cannot be used alone: {error}"
        return Finding("bad", in_window(text), offers=(Offer("Use the folder", {"source.file": str(path.parent)}),))


def _check_predictions(setup: Setup) -> Finding:
    classes = setup.source_classes
    try:
        return _check_predictions_in(setup, _map_or_none(setup) or identity_map(classes))
    except UnknownIds as error:
        text = f"{str(error).rpartition(';')[0]}: the predictions have other classes than the target."
        if setup.config.task.source_classes:
            text = f"{error}"
        return Finding("bad", in_window(text), brief="other classes", offers=_source_class_offers(setup))


def _source_class_offers(setup: Setup) -> tuple[Offer, ...]:
    """Offers the smallest class sets that hold all ids of the predictions checked."""
    fits: list[ClassSet] = []
    for classes in sorted(map(load_class_set, shipped_class_sets()), key=len):
        try:
            _check_predictions_in(Setup(override(setup.config, _read_in(classes)), setup.root), identity_map(classes))
        except InputError:
            continue
        if all(classes.names != known.names for known in fits):
            fits.append(classes)
        if len(fits) == _SETS_OFFERED:
            break
    return tuple(Offer(f"Read as {classes.name}", _read_in(classes)) for classes in fits)


def _read_in(classes: ClassSet) -> dict[str, str]:
    return {"task.source_classes": classes.name, "task.class_map": "none"}


def _check_predictions_in(setup: Setup, class_map: ClassMap) -> Finding:
    classes = setup.source_classes
    found = setup.predictions_in(class_map)
    images: dict[str, Path] = {}
    matched = ""
    if setup.config.data.target is not None:
        images = {sample.key: sample.image for sample in setup.target.samples}
        found = found.lookup(images)
        matched = "every target image has one, "
    kind = "soft predictions" if found.soft else "label maps"
    # Ids and channels that are no classes of the source are refused here.
    seen = glance(found, images, setup.stretched if images else None)
    fits = f"classes within 0 to {len(classes) - 1} in {plural(seen.count, 'file')} checked"
    text = f"{len(found)} {kind}, {matched}{fits}"
    if seen.confidence is not None:
        text += f", mean confidence {seen.confidence:.0%}"
    if seen.warnings:
        return Finding("warning", "; ".join((text, *seen.warnings)), brief=kind, offers=_confidence_offer(setup))
    return Finding("good", text, brief=f"{len(found)} {kind}")


def _confidence_offer(setup: Setup) -> tuple[Offer, ...]:
    """Offers the confidence maps that lie beside the predictions."""
    source = setup.config.source
    if source.predictions is None or source.confidence is not None:
        return ()
    beside = setup.path(source.predictions).parent / CONFIDENCE
    words = f"Use the confidence in {beside.parent.name}/{CONFIDENCE}"
    return (Offer(words, {"source.confidence": str(beside)}),) if beside.is_dir() else ()


def _map_or_none(setup: Setup) -> ClassMap | None:
    try:
        return setup.class_map
    except InputError:  # reported beside the class map
        return None


def _code_finding(code: Sequence[Code], setup: Setup, brief: str) -> Finding:
    """The finding about third-party code, which is neither imported nor opened here."""
    if untrusted := tuple(piece for piece in code if piece not in setup.trusted):
        text = f"A run would execute third-party code: {listed(untrusted)}."
        return Finding("bad", text, brief="not trusted", offers=(Offer("I trust this", trust=untrusted),))
    return Finding("good", f"{listed(code)}: trusted in this window; checked when it runs", brief=brief)


def _check_model(setup: Setup, path: Path) -> Finding:
    code = [piece for piece in code_of(setup.config, setup.root) if piece.option.startswith("source.")]
    if code and path.is_file():
        kind = program_kind(path)
        return _code_finding(code, setup, PROGRAMS[kind].split(" ", 1)[1] if kind else setup.config.source.net)
    # torch is loaded only here, on a thread beside the window.
    preload_torch()
    from crots.nets.reading import file_kind

    if file_kind(path) == "onnx":
        return _check_onnx(setup, path)
    from crots.nets.weights import load_model, read_weights

    named, card = setup.config.source.net, read_weights(path).card
    if card is not None and named != card.net and (named or setup.source_card is None):
        # Training checkpoints say it where torch alone can read it.
        offer = Offer(f"Use {card.net}", {"source.net": card.net})
        text = f"The file holds a {card.net}, but {setup.config.source.net or DEFAULT_NET} is chosen."
        return Finding("bad", text, offers=(offer,), brief="another network")
    net = setup.source_net
    model, report = load_model(path, net=net, classes=setup.source_classes, prefix=setup.config.source.prefix)
    lines = report.lines()
    own = ", as the file says" if card is not None and not named else ""
    text = f"{net}{own}, {len(model.classes)} classes: {lines[0]}"
    return Finding("warning" if report.missing else "good", text, tuple(lines[1:]), net_title(net))


def _check_onnx(setup: Setup, path: Path) -> Finding:
    from crots.nets.source import open_source

    config = setup.config
    size = setup.size if config.data.size or config.data.target else Size(512, 256)
    import torch

    source = open_source(
        path, options=config.source, classes=setup.source_classes, size=size, device=torch.device("cpu")
    )
    return Finding("good", f"ONNX model, gives {getattr(source, 'output', 'logits')}", brief="ONNX model")


def check_student(setup: Setup) -> Finding:
    """The network to adapt and its initial weights."""
    config = setup.config
    chosen = (config.source.file, config.source.predictions, config.student.net, config.student.weights)
    if not any(chosen):
        words = "The same network as the source's, starting from its weights; predictions need a choice here."
        return Finding("empty", words, brief=_NOT_CHOSEN)
    net, weights = setup.student_net, config.student.weights
    check_formats(config.export.formats, net)
    if is_factory(net):
        code = [piece for piece in code_of(config, setup.root) if piece.name == net]
        return _code_finding(code, setup, net)
    preload_torch()
    from crots.nets.model import create_model
    from crots.nets.registry import net_info

    net_info(net)
    if weights == "random":
        return Finding("warning", f"{net} from random weights: it needs long training; pretrained weights are better")
    if weights == IMAGENET:
        from crots.nets.imagenet import weights_name

        return _afresh(setup, f"{net} from ImageNet weights ({weights_name(net)}), downloaded when it is trained")
    if weights in ("", "source"):
        return _start_from_source(setup, net)
    from crots.nets.weights import load_into

    size = config.data.size or Size(512, 256)
    model = create_model(net, setup.classes, size)
    start = setup.student_weights
    assert start is not None
    report = load_into(model, start, purpose="start")
    lines = report.lines()
    if report.missing:
        return _afresh(setup, f"{net}: {lines[0]}", lines[1:])
    return Finding("good", f"{net}: {lines[0]}", tuple(lines[1:]))


def _afresh(setup: Setup, text: str, details: Sequence[str] = ()) -> Finding:
    """A student that has to learn the classes from the target's images."""
    few = ""
    if setup.config.data.target is not None and not setup.tiling:
        # What is wrong with the images stands beside them.
        with contextlib.suppress(InputError):
            few = few_images(len(setup.target))
    if few:
        return Finding("warning", f"{few[0].upper()}{few[1:]}.", (text, *details))
    return Finding("good", text, tuple(details))


def _start_from_source(setup: Setup, net: str) -> Finding:
    if setup.source_fits_student:
        return Finding("good", f"{net}, starting from the source's weights")
    differ = setup.config.task.class_map is None and setup.source_classes.names != setup.classes.names
    if setup.config.source.file is not None and differ:
        # With the source's classes they may fit, so nothing else is offered yet.
        return Finding("empty", f"Checked once this is fixed: {TITLES['task.class_map']}.")
    why = "the source's do not fit" if setup.config.source.predictions is None else "predictions have none"
    text = f"{net} has no weights to start from: {why}. Choose a weights file, or one of these."
    offers = (Offer("Start from random weights", {"student.weights": "random"}),)
    from crots.nets.imagenet import weights_name

    try:
        weights_name(net)
    except InputError:
        return Finding("bad", text.replace("one of these", "random weights"), offers=offers)
    imagenet = Offer("Start from ImageNet weights (downloaded when it is trained)", {"student.weights": IMAGENET})
    return Finding("bad", text, offers=(imagenet, *offers))


def check_validation(setup: Setup) -> Finding:
    """Images with labels for scoring; may be left empty."""
    data = setup.config.data
    if data.val_images is None and data.val_labels is None:
        text = "Optional: labelled images, used only to score the results."
        return Finding("empty", text, offers=_validation_offer(setup))
    if data.val_images is None:
        return Finding("bad", "Labels are chosen, but not their images; choose the folder of images too.")
    classes, dataset = setup.classes, setup.validation
    if dataset is None:
        return Finding("warning", in_window(setup.unscored))
    dataset = tried_labels(dataset, classes)
    labelled = [sample for sample in dataset.samples if sample.label is not None]
    text = f"{plural(len(dataset), 'image')}, {len(labelled)} with labels; ids fit the {len(classes)} classes"
    brief = plural(len(labelled), "labelled image")
    if data.val_labels is None:
        folder = _label_folder(dataset)
        offer = Offer(f"Use {folder.parent.name}/{folder.name}", {"data.val_labels": str(folder)})
        text += "; name the folder of the labels too, or no stage evaluates the result"
        return Finding("warning", text, dataset.notes, brief, (offer,))
    if warnings := _scoring_warnings(setup, dataset):
        return Finding("warning", in_window("; ".join((text, *warnings))), dataset.notes, brief)
    return Finding("good", text, dataset.notes, brief)


def _scoring_warnings(setup: Setup, dataset: Dataset) -> list[str]:
    """What will not stop a run, but makes scores say less than they seem to."""
    warnings = [note.removeprefix(_NOTED) for note in dataset.notes if note.startswith(_NOTED)]
    if setup.config.data.target is None:
        return warnings
    # Faults of the target and of the predictions are said beside them.
    with contextlib.suppress(InputError):
        warnings += filter(None, [setup.shared])
    with contextlib.suppress(InputError):
        warnings += filter(None, [setup.unscored_source])
    return warnings


def _label_folder(dataset: Dataset) -> Path:
    """The folder of all labels of a data set."""
    return Path(os.path.commonpath([sample.label.parent for sample in dataset.samples if sample.label is not None]))


def _validation_offer(setup: Setup) -> tuple[Offer, ...]:
    """Offers the labelled validation images of the data set that the target's images are a split of."""
    data = setup.config.data
    if data.target is None:
        return ()
    for folder in _data_set_folders(setup.path(data.target)):
        settings = {"data.val_images": str(folder)}
        other = Setup(override(setup.config, settings), setup.root)
        try:
            found = other.validation
            if found is None or found.layout in ("folder", "list"):
                continue
            trained = {sample.image for sample in setup.target.samples}
            settings["data.val_labels"] = str(_label_folder(found))
            fits = check_validation(Setup(override(setup.config, settings), setup.root)).level in ("good", "warning")
            if not fits or any(sample.image in trained for sample in found.samples):
                continue
        except (CrotsError, OSError):  # no such split, or labels of other classes
            continue
        return (Offer(f"Score on the {plural(found.labelled, 'labelled image')} of {folder.name}", settings),)
    return ()


def _data_set_folders(target: Path) -> list[Path]:
    """The folder of the target and those above that its names show to be of the same data set."""
    folders = [target]
    if target.name.lower() in SPLITS:
        folders.append(target.parent)
    if folders[-1].name in IMAGE_FOLDERS:
        folders.append(folders[-1].parent)
    return folders


CHECKS: dict[str, Callable[[Setup], Finding]] = {
    "data.target": check_target,
    "data.size": check_size,
    "task.classes": check_classes,
    "task.source_classes": check_source_classes,
    "task.class_map": check_class_map,
    "source": check_source,
    "student": check_student,
    "validation": check_validation,
}
