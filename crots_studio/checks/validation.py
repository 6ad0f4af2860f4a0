"""Checks the labelled images for scoring, and offers those of the same data set."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from crots.data.datasets import Dataset
from crots.data.labels import tried_labels
from crots.data.layouts import IMAGE_FOLDERS, SPLITS
from crots.errors import CrotsError, InputError
from crots.project_config import override
from crots_studio.checks.setup import Setup
from crots_studio.models.project_form import Finding, Offer
from crots_studio.models.words import in_window, plural


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
    text = f"{plural(len(dataset), 'image')}, {len(labelled)} with labels"
    if not any(note.warning for note in dataset.notes):
        text += f"; ids fit the {len(classes)} classes"
    brief, notes = plural(len(labelled), "labelled image"), tuple(in_window(note.line) for note in dataset.notes)
    if data.val_labels is None:
        folder = _label_folder(dataset)
        offer = Offer(f"Use {folder.parent.name}/{folder.name}", {"data.val_labels": str(folder)})
        text += "; name the folder of the labels too, or no stage evaluates the result"
        return Finding("warning", text, notes, brief, (offer,))
    if warnings := _scoring_warnings(setup, dataset):
        return Finding("warning", in_window("; ".join((text, *warnings))), notes, brief)
    return Finding("good", text, notes, brief)


def _scoring_warnings(setup: Setup, dataset: Dataset) -> list[str]:
    """Warnings that do not stop a run, but make scores less meaningful than they seem."""
    warnings = [note.text for note in dataset.notes if note.warning]
    if setup.config.data.target is None:
        return warnings
    # Faults of the target and of the predictions are shown beside those fields.
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
    # Where a version of the images was chosen, it is the one to score on.
    layouts = dict.fromkeys((data.layout, data.val_layout))
    for folder, layout in itertools.product(_data_set_folders(setup.path(data.target)), layouts):
        settings = {"data.val_images": str(folder)}
        if layout != data.val_layout:
            settings["data.val_layout"] = layout
        other = Setup(override(setup.config, settings), setup.root)
        try:
            found = other.validation
            if found is None or found.layout in ("folder", "list"):
                continue
            trained = {sample.image for sample in setup.target.samples}
            settings["data.val_labels"] = str(_label_folder(found))
            fits = _labels_fit(Setup(override(setup.config, settings), setup.root))
            if not fits or any(sample.image in trained for sample in found.samples):
                continue
        except (CrotsError, OSError):  # no such split, or labels of other classes
            continue
        return (Offer(f"Score on the {plural(found.labelled, 'labelled image')} of {folder.name}", settings),)
    return ()


def _labels_fit(setup: Setup) -> bool:
    """Whether labels can be scored on without a doubt about what they mean: nobody has chosen them yet."""
    dataset = setup.validation
    doubtful = dataset is None or any(note.warning for note in tried_labels(dataset, setup.classes).notes)
    return not doubtful and check_validation(setup).level in ("good", "warning")


def _data_set_folders(target: Path) -> list[Path]:
    """The folder of the target and those above that its names show to be of the same data set."""
    folders = [target]
    if target.name.lower() in SPLITS:
        folders.append(target.parent)
    if folders[-1].name in IMAGE_FOLDERS:
        folders.append(folders[-1].parent)
    return folders
