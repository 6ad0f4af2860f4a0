"""Opens a model file that the user names, with a workbench of its working size."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crots.arrays import Array
from crots.card import ModelCard
from crots.cli.alone import Desk
from crots.config import Size
from crots.data.sizes import propose_size
from crots.errors import InputError
from crots.nets.reading import WeightsFile, file_kind, read_weights
from crots.nets.source import normalise_as_told
from crots.nets.weights import LoadReport, model_of
from crots.opening import tiling_of
from crots.stages.applying import seen_as, size_without_card, tiling_for
from crots.taxonomy import load_class_set
from crots.trust import is_factory

if TYPE_CHECKING:
    from crots.data.datasets import Dataset
    from crots.nets.model import Model
    from crots.stages.workbench import Workbench


def open_model(
    desk: Desk,
    path: Path,
    *,
    net: str | None,
    classes: str | None = None,
    part: str = "",
    images: Dataset | None = None,
) -> tuple[Model, Workbench]:
    """Opens a weights file or training checkpoint.

    The working size is what the user asked for, else the model's own, else one proposed from the images.

    Args:
        desk: its options.
        path: the file.
        net: network of a file of plain weights.
        classes: class set that the model must have; None takes the file's.
        part: ``student`` or ``teacher`` of a training checkpoint; empty finds it.
        images: what the size is proposed from; None takes the target's, if there are any.

    Raises:
        InputError: the file cannot be read, does not say enough, or is for other classes.
    """
    prefix = desk.config.source.prefix
    found = read_weights(path, part=part, prefix=prefix)
    desk = as_made(desk, found.card)
    tiling = tiling_of(desk.config.data)
    size = (
        tiling.size if tiling else desk.config.data.size or (found.card.size if found.card else _size_of(desk, images))
    )
    expected = load_class_set(classes) if classes else None
    model, report = model_of(
        found, net=net, classes=expected, size=size, trust=desk.config.runtime.trust, prefix=prefix
    )
    normalise_as_told(model, desk.config.source)
    model.card = dataclasses.replace(model.card, tile_overlap=tiling.overlap if tiling else None)
    bench = desk.bench(size)
    if is_factory(model.card.net):
        bench.note(f"this runs third-party code, as you allowed: network {model.card.net}")
    seen = seen_as(tiling, size)
    bench.note(f"{path.name}: {model.card.net}, {len(model.classes)} classes, {seen}; {'; '.join(report.lines())}")
    return model, bench


def as_made(desk: Desk, card: ModelCard | None) -> Desk:
    """Returns a desk whose images are cut into tiles if the model was made for tiles and the user gave no size."""
    data = desk.config.data
    tiling = tiling_for(data, card)
    if tiling is None or data.tile:
        return desk
    data = dataclasses.replace(data, tile=tiling.size, tile_overlap=tiling.overlap)
    return dataclasses.replace(desk, config=dataclasses.replace(desk.config, data=data))


def _size_of(desk: Desk, images: Dataset | None) -> Size:
    return propose_size(images)[0] if images is not None else size_without_card(desk.bench())


def noise(count: int, size: Size) -> list[Array]:
    """Returns images (H, W, 3) uint8 of noise, always the same."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size.height, size.width, 3), dtype=np.uint8) for _ in range(count)]


def inspect_model(path: Path, *, classes: str | None, net: str | None) -> dict[str, Any]:
    """Describes a model file, as `crots.data.inspection` describes folders.

    Args:
        path: the file.
        classes: class set to compare it with.
        net: network to compare it with; without it the tensors are only listed.
    """
    found: dict[str, Any] = {"path": str(path), "kind": "model", "summary": [], "counts": {}, "problems": []}
    try:
        kind = file_kind(path)
        found["kind"] = "model folder" if path.is_dir() else _KINDS[kind]
        if kind in ("weights", "safetensors"):
            _describe_weights(found, read_weights(path), classes, net)
        elif kind == "onnx":
            _describe_onnx(found, path)
        else:
            found["summary"].append("holds code, so it is opened only with --trust, as a source or in crots predict")
    except InputError as error:
        found["problems"].append(str(error))
    return found


_KINDS = {
    "weights": "checkpoint",
    "safetensors": "safetensors model",
    "onnx": "ONNX model",
    "torchscript": "TorchScript program",
    "exported": "exported program",
}


def _describe_weights(found: dict[str, Any], file: WeightsFile, classes: str | None, net: str | None) -> None:
    numbers = sum(tensor.numel() for tensor in file.tensors.values())
    found["counts"] = {"tensors": len(file.tensors), "numbers": numbers}
    kinds = {"plain": "a plain state dict", "nested": "a training checkpoint", "lightning": "a Lightning checkpoint"}
    found["summary"].append(
        f"{kinds.get(file.kind, file.kind)}: {len(file.tensors)} tensors, {numbers:,} numbers, "
        f"{next(iter(file.tensors))} to {list(file.tensors)[-1]}"
    )
    if file.card:
        card = file.card
        found["card"] = card.to_dict()
        names = ", ".join(card.classes["names"])
        found["summary"].append(
            f"{card.net} for {len(card.classes['names'])} classes ({names}), made for {card.made_for}"
        )
        found["summary"] += ["oracle: its checkpoint was chosen with labels of the target"] if card.oracle else []
    if net and not classes:
        raise InputError("--net needs --classes to compare the file with; give the class set, too")
    if is_factory(net or (file.card.net if file.card else "")):
        found["summary"].append(
            "its network is a Python function, which is not called while inspecting: not compared with it"
        )
    elif net or file.card:
        found["summary"] += _compared(file, classes, net).lines()
    elif classes:
        raise InputError("--classes needs --net to compare the file with; give the network, too")


def _compared(file: WeightsFile, classes: str | None, net: str | None) -> LoadReport:
    """Loads the weights as a source would be loaded."""
    return model_of(file, net=net, classes=load_class_set(classes) if classes else None)[1]


def _describe_onnx(found: dict[str, Any], path: Path) -> None:
    from crots.card import CARD_KEY, read_card
    from crots.nets.onnx_files import open_session, unreadable
    from crots.nets.reasons import parsed

    session = open_session(path, torch.device("cpu"))
    with parsed(path, unreadable):
        ends = (("input", session.get_inputs()), ("output", session.get_outputs()))
        metadata = session.get_modelmeta().custom_metadata_map
        for word, items in ends:
            # Names are decoded only here.
            found["summary"] += [f"{word} {item.name}: {item.type} {item.shape}" for item in items]
    if CARD_KEY in metadata:
        card = read_card(metadata[CARD_KEY], path)
        found["card"] = card.to_dict()
        found["summary"].append(
            f"{card.net} for the classes {', '.join(card.classes['names'])}, made for {card.made_for}"
        )
    else:
        found["summary"].append(
            "does not describe its classes, normalisation and output: give them by --source-classes, "
            "--source-channels, --source-mean, --source-scale and --source-output"
        )
