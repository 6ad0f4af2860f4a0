"""Checks the class sets of source and target, and the map between them."""

from __future__ import annotations

import dataclasses

from crots.class_files import shipped_name
from crots.errors import CrotsError, InputError
from crots.taxonomy import ClassSet, shipped_class_sets
from crots_studio.checks.setup import Setup
from crots_studio.models.class_map import ClassMapForm
from crots_studio.models.project_form import Finding, Offer, classes_chosen
from crots_studio.models.words import fault_text, listing, plural


def check_classes(setup: Setup) -> Finding:
    """The target's class set."""
    if not setup.config.task.classes:
        return Finding("bad", "Choose the classes of the adapted model.")
    found = _class_finding(setup.classes)
    source = setup.config.source
    if not classes_chosen(setup.config) and source.file is None and source.predictions is None:
        # The user has not chosen them, and no source names them.
        text = f"{setup.classes.name} unless you choose others: the classes that the adapted model is to predict."
        return Finding("empty", text, offers=_classes_of_layout(setup))
    # They stand below with their colours; how many there are keeps the line of the hint above.
    return dataclasses.replace(found, plain_to_see=True, brief=found.text.partition(":")[0])


def _classes_of_layout(setup: Setup) -> tuple[Offer, ...]:
    """Offers the classes of the data set whose layout the images have."""
    try:
        layout = setup.target.layout if setup.config.data.target is not None else ""
    except (CrotsError, OSError):  # reported beside the images
        return ()
    fits = layout in shipped_class_sets() and layout != setup.config.task.classes
    return (Offer(f"Use {layout}, as the images' folder is laid out", {"task.classes": layout}),) if fits else ()


def _class_finding(classes: ClassSet) -> Finding:
    return Finding(
        "good", f"{plural(len(classes), 'class').replace('classs', 'classes')}: {listing(classes.names, 240)}"
    )


def check_source_classes(setup: Setup) -> Finding:
    """The source's class set, if it differs from the target's."""
    if not setup.config.task.source_classes and setup.source_classes.names == setup.classes.names:
        return Finding("good", "The same as the target's.", plain_to_see=True)
    found = _class_finding(setup.source_classes)
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
        text = f"The source has the classes of {source.name}, the target those of {target.name}."
        return Finding("bad", f"{text} Choose a class map, or propose one by name.", offers=_class_offers(setup))
    try:
        joined = setup.class_map
    except InputError as error:
        return Finding("bad", fault_text(error), offers=_class_offers(setup))
    form = ClassMapForm(source, target, joined.names())
    return Finding("warning" if form.unreached else "good", form.summary[0].upper() + form.summary[1:])


def _class_offers(setup: Setup) -> tuple[Offer, ...]:
    """Offers that make a class map unnecessary."""
    task, source = setup.config.task, setup.source_classes
    if task.class_map is not None:
        needless = source.names == setup.classes.names or not task.source_classes
        return (Offer("Use no class map", {"task.class_map": "none"}),) if needless else ()
    text, named = f"Use the source's classes ({source.name})", task.source_classes or shipped_name(source)
    # Classes in a file may have no name of a class set.
    return (Offer(text, {"task.classes": named}) if named else Offer(text, classes=source),)
