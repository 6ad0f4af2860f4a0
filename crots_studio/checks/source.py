"""Checks the source: a model's file or folder, or predictions."""

from __future__ import annotations

from pathlib import Path

from crots.config import Size
from crots.errors import CrotsError
from crots.folders import is_model_folder
from crots.nets.units import check_units
from crots.options import DEFAULT_NET
from crots.trust import PROGRAMS, code_of, program_kind
from crots_studio.background.loading import preload_torch
from crots_studio.checks.predictions import check_predictions
from crots_studio.checks.setup import NOT_CHOSEN, Setup
from crots_studio.checks.third_party import code_finding
from crots_studio.models.project_form import Finding, Offer
from crots_studio.models.words import fault_text, in_window, net_title


def check_source(setup: Setup) -> Finding:
    """The source model's file, or its predictions."""
    source = setup.config.source
    if source.predictions is not None:
        return check_predictions(setup)
    if source.file is None:
        return Finding(
            "empty",
            "Choose the source model's file, or the folder of its predictions; or drop one here.",
            brief=NOT_CHOSEN,
        )
    path = setup.path(source.file)
    check_units(source)
    try:
        return _check_model(setup, path)
    except CrotsError as error:
        # A file dialog shows files; the model is the folder that they lie in.
        if not is_model_folder(path.parent):
            raise
        text = f"{path.name} is part of the model in the folder {path.parent.name}. It cannot be used alone"
        text = f"{text}: {fault_text(error)}"
        return Finding("bad", text, offers=(Offer("Use the folder", {"source.file": str(path.parent)}),))


def _check_model(setup: Setup, path: Path) -> Finding:
    code = [piece for piece in code_of(setup.config, setup.root) if piece.option.startswith("source.")]
    if code and path.is_file():
        kind = program_kind(path)
        return code_finding(code, setup, PROGRAMS[kind].split(" ", 1)[1] if kind else setup.config.source.net)
    # torch is loaded only here, on a thread beside the window.
    preload_torch()
    from crots.nets.reading import file_kind

    if file_kind(path) == "onnx":
        return _check_onnx(setup, path)
    from crots.nets.weights import load_model, read_weights

    named, card = setup.config.source.net, read_weights(path).card
    if card is not None and named != card.net and (named or setup.source_card is None):
        # In training checkpoints only torch can read it.
        offer = Offer(f"Use {card.net}", {"source.net": card.net})
        text = f"The file holds a {card.net}, but {setup.config.source.net or DEFAULT_NET} is chosen."
        return Finding("bad", text, offers=(offer,), brief="another network")
    net = setup.source_net
    model, report = load_model(path, net=net, classes=setup.source_classes, prefix=setup.config.source.prefix)
    lines = report.lines()
    own = ", as the file says" if card is not None and not named else ""
    # What was chosen among several weights is not for the details, which are seen by pointing only.
    text = in_window("; ".join((f"{net_title(net)}{own}, {len(model.classes)} classes: {lines[0]}", *report.notes)))
    details = tuple(line for line in lines[1:] if line not in report.notes)
    return Finding("warning" if report.missing else "good", text, details, net_title(net))


def _check_onnx(setup: Setup, path: Path) -> Finding:
    from crots.nets.source import open_source

    config = setup.config
    size = setup.size if config.data.size or config.data.target else Size(512, 256)
    import torch

    source = open_source(
        path, options=config.source, classes=setup.source_classes, size=size, device=torch.device("cpu")
    )
    return Finding("good", f"ONNX model, gives {getattr(source, 'output', 'logits')}", brief="ONNX model")
