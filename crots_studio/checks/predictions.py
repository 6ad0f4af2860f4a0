"""Checks the predictions of a source that is a black box."""

from __future__ import annotations

from pathlib import Path

from crots.artefacts import CONFIDENCE
from crots.class_maps import ClassMap, UnknownIds, identity_map
from crots.data.predictions import glance
from crots.errors import InputError
from crots.project_config import override
from crots.taxonomy import ClassSet, load_class_set, shipped_class_sets
from crots_studio.checks.setup import Setup
from crots_studio.models.project_form import Finding, Offer
from crots_studio.models.words import fault_text, in_window, plural

# Class sets that are offered for predictions with unknown ids.
_SETS_OFFERED = 2


def check_predictions(setup: Setup) -> Finding:
    """Whether every image has a prediction, and whether these are in the classes of the source."""
    classes = setup.source_classes
    try:
        return _check_predictions_in(setup, _map_or_none(setup) or identity_map(classes))
    except UnknownIds as error:
        chosen = bool(setup.config.task.source_classes)
        text = fault_text(error) if chosen else f"{error.found}: the predictions have other classes than the target."
        return Finding("bad", text, brief="other classes", offers=_source_class_offers(setup))


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
        return Finding(
            "warning", in_window("; ".join((text, *seen.warnings))), brief=kind, offers=_confidence_offer(setup)
        )
    return Finding("good", text, brief=f"{len(found)} {kind}")


def _confidence_offer(setup: Setup) -> tuple[Offer, ...]:
    """Offers the confidence maps that lie beside the predictions."""
    source = setup.config.source
    if source.predictions is None or source.confidence is not None:
        return ()
    beside = setup.path(source.predictions).parent / CONFIDENCE
    text = f"Use the confidence in {beside.parent.name}/{CONFIDENCE}"
    return (Offer(text, {"source.confidence": str(beside)}),) if beside.is_dir() else ()


def _map_or_none(setup: Setup) -> ClassMap | None:
    try:
        return setup.class_map
    except InputError:  # reported beside the class map
        return None
