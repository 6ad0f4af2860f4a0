"""Checks the network to adapt and what it starts from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from crots.config import Size
from crots.errors import InputError
from crots.folders import check_formats
from crots.options import IMAGENET
from crots.training.budget import few_images
from crots.trust import code_of, is_factory
from crots_studio.background.loading import preload_torch
from crots_studio.checks.setup import NOT_CHOSEN, Setup
from crots_studio.checks.third_party import code_finding
from crots_studio.models.project_form import TITLES, Finding, Offer


def check_student(setup: Setup) -> Finding:
    """The network to adapt and its initial weights."""
    config = setup.config
    chosen = (config.source.file, config.source.predictions, config.student.net, config.student.weights)
    if not any(chosen):
        words = "The same network as the source's, starting from its weights; predictions need a choice here."
        return Finding("empty", words, brief=NOT_CHOSEN)
    net, weights = setup.student_net, config.student.weights
    check_formats(config.export.formats, net)
    if is_factory(net):
        code = [piece for piece in code_of(config, setup.root) if piece.name == net]
        return code_finding(code, setup, net)
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
