"""Checks the network to adapt and what it starts from."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from crots.errors import InputError
from crots.folders import check_formats
from crots.options import IMAGENET
from crots.training.budget import few_to_start
from crots.trust import code_of, is_factory
from crots_studio.background.loading import preload_torch
from crots_studio.checks.setup import NOT_CHOSEN, Setup
from crots_studio.checks.third_party import code_finding
from crots_studio.models.project_form import TITLES, Finding, Offer
from crots_studio.models.words import net_title

if TYPE_CHECKING:
    from crots.nets.info import NetInfo


def check_student(setup: Setup) -> Finding:
    """The network to adapt and its initial weights."""
    config = setup.config
    chosen = (config.source.file, config.source.predictions, config.student.net, config.student.weights)
    if not any(chosen):
        text = "The same network as the source's, starting from its weights; predictions need a choice here."
        return Finding("empty", text, brief=NOT_CHOSEN)
    net, weights = setup.student_net, config.student.weights
    check_formats(config.export.formats, net)
    if is_factory(net):
        code = [piece for piece in code_of(config, setup.root) if piece.name == net]
        return code_finding(code, setup, net)
    preload_torch()
    from crots.nets.registry import net_info

    if misfit := _misfit(setup, net_info(net)):
        return misfit
    if weights in ("", "source"):
        return _start_from_source(setup, net)
    if weights == "random":
        found = Finding(
            "warning", f"{net_title(net)} from random weights: it needs long training; pretrained weights are better"
        )
    elif weights == IMAGENET:
        from crots.nets.imagenet import weights_name

        found = Finding(
            "good", f"{net_title(net)} from ImageNet weights ({weights_name(net)}), downloaded when it is trained"
        )
    else:
        first, *rest = setup.start_report.lines()
        found = Finding("good", f"{net_title(net)}: {first}", tuple(rest))
    few = ""
    if config.data.target is not None:
        # Faults of the images are shown beside them.
        with contextlib.suppress(InputError):
            few = few_to_start(setup)
    if not few:
        return found
    return Finding("warning", f"{few[0].upper()}{few[1:]}.", (found.text, *found.details))


def _misfit(setup: Setup, info: NetInfo) -> Finding | None:
    """Where the network cannot be trained at the working size, which every run refuses."""
    data = setup.config.data
    if data.target is None:
        return None
    # Faults of the images and of their size are shown beside them.
    try:
        size = setup.size
    except InputError:
        return None
    near, what = info.nearest_size(size), "tiles are" if setup.tiling else "the working size is"
    if near == size:
        return None
    takes = f"only images of {info.fixed}" if info.fixed else f"sides that are multiples of {info.multiple}"
    option = "data.tile" if setup.tiling else "data.size"
    text = f"{net_title(info.name)} takes {takes}, but {what} {size}."
    return Finding("bad", text, brief="another size", offers=(Offer(f"Use {near}", {option: str(near)}),))


def _start_from_source(setup: Setup, net: str) -> Finding:
    if setup.source_fits_student:
        return Finding("good", f"{net_title(net)}, starting from the source's weights")
    differ = setup.config.task.class_map is None and setup.source_classes.names != setup.classes.names
    if setup.config.source.file is not None and differ:
        # With the source's classes they may fit, so nothing else is offered yet.
        return Finding("empty", f"Checked once this is fixed: {TITLES['task.class_map']}.")
    why = "the source's do not fit" if setup.config.source.predictions is None else "predictions have none"
    text = f"{net_title(net)} has no weights to start from: {why}. Choose a weights file, or one of these."
    offers = (Offer("Start from random weights", {"student.weights": "random"}),)
    from crots.nets.imagenet import weights_name

    try:
        weights_name(net)
    except InputError:
        return Finding("bad", text.replace("one of these", "random weights"), offers=offers)
    imagenet = Offer("Start from ImageNet weights (downloaded when it is trained)", {"student.weights": IMAGENET})
    return Finding("bad", text, offers=(imagenet, *offers))
