"""Opening a source model of any kind: the file's own description is merged with the options, and both are checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from crots.card import CARD_KEY, ModelCard, Normalisation, Output, read_card
from crots.config import Size
from crots.errors import InputError
from crots.limits import check_claim
from crots.nets.engines import NetworkSource, OnnxSource, ProgramSource, Source
from crots.nets.onnx_files import open_session, unreadable
from crots.nets.program_io import answer_name, image_input, is_channels_last
from crots.nets.quiet import torch_export, torch_jit
from crots.nets.reading import file_kind, read_weights
from crots.nets.reasons import parsed, reason_of
from crots.nets.source_spec import SourceSpec
from crots.nets.units import check_units, three
from crots.nets.weights import PUBLISHED_SIZE, agreed_card, model_of
from crots.options import SourceOptions
from crots.program_cards import CARD_FILE
from crots.records import parse
from crots.trust import PROGRAMS, is_factory

if TYPE_CHECKING:
    from crots.nets.model import Model
    from crots.taxonomy import ClassSet

__all__ = [
    "NetworkSource",
    "OnnxSource",
    "ProgramSource",
    "Source",
    "load_exported",
    "open_source",
]

# What the sides of a program's input must be multiples of.
MULTIPLE_KEY = "crots_multiple"
# Whether a program takes its card's size alone.
FIXED_KEY = "crots_fixed"

# Types of an ONNX output that can only be labels.
_WHOLE_NUMBERS = ("tensor(int", "tensor(uint", "tensor(bool")

# TorchScript has no types in some versions of torch.
_jit: Any = torch.jit
# A batch is filled up to the size that a program requires, which any file can claim.
_MOST_BATCH = 64


@dataclass(frozen=True)
class _Request:
    """The arguments of `open_source`."""

    path: Path
    options: SourceOptions
    classes: ClassSet | None
    size: Size | None
    device: torch.device


def open_source(
    path: Path,
    *,
    options: SourceOptions | None = None,
    classes: ClassSet | None = None,
    size: Size | None = None,
    device: torch.device | str = "cpu",
    trust: bool = False,
) -> Source:
    """Opens a source model of any kind; the file's content decides which.

    Args:
        path: a checkpoint, safetensors, ONNX file, TorchScript or exported program.
        options: of the source; None for the defaults.
        classes: the source's classes; None takes the file's.
        size: working size, for the card of a file that has none.
        device: where it runs.
        trust: allow programs and user factories, which run code.

    Raises:
        InputError: the file cannot be used, is not trusted, contradicts the options, or too little is known of it.
    """
    request = _Request(Path(path), options or SourceOptions(), classes, size, torch.device(device))
    kind = file_kind(request.path)
    if kind == "onnx":
        return _open_onnx(request)
    if kind == "weights" or kind == "safetensors":
        return _open_network(request, trust=trust)
    if not trust:
        raise InputError(
            f"{path} is {PROGRAMS[kind]}, which can run code; if you trust it, allow it by `runtime.trust`, or "
            "give an ONNX file, which cannot",
            field="runtime.trust",
        )
    return _open_torchscript(request) if kind == "torchscript" else _open_exported(request)


def load_exported(path: Path, *, trust: bool = False, device: torch.device | str = "cpu") -> Source:
    """Opens a self-describing file written by `crots.nets.export`.

    Raises:
        InputError: as `open_source`.
    """
    return open_source(path, device=device, trust=trust)


def _open_network(request: _Request, *, trust: bool) -> Source:
    options = request.options
    found = read_weights(request.path, prefix=options.prefix)
    if trust and found.card and is_factory(found.card.net) and found.card.net != options.net:
        # Trust was given for the code that the options name; the file's own description may come from anyone.
        raise InputError(
            f"{request.path} says that it is a {found.card.net}, which would run code of a Python module that the "
            f"options do not name; if you trust it, name it as the network (`source.net` {found.card.net})",
            field="source.net",
        )
    model, report = model_of(
        found,
        net=options.net or None,
        classes=request.classes,
        size=None if found.card else request.size,
        trust=trust,
        prefix=options.prefix,
    )
    normalise_as_told(model, options)
    if options.size:
        model.check_size(*options.size)
    facts = SourceSpec(request.path, model.card, fixed=options.size or model.info.fixed, multiple=model.info.multiple)
    return NetworkSource(model.to(request.device), facts, report)


def normalise_as_told(model: Model, options: SourceOptions) -> None:
    """Gives a network the channel order, mean and scale that the options name; what they leave out stays.

    Raises:
        InputError: a value is no number, or in other units than 0..255.
    """
    wanted, _ = _normalisation(options, model.card.normalisation)
    if wanted and wanted != model.card.normalisation:
        model.set_normalisation(wanted)


def _open_onnx(request: _Request) -> Source:
    session = open_session(request.path, request.device)
    with parsed(request.path, unreadable):
        metadata = session.get_modelmeta().custom_metadata_map
        card = read_card(metadata[CARD_KEY], request.path) if CARD_KEY in metadata else None
        shape = list(image_input(session, request.path).shape)
        if is_channels_last(shape):
            shape = [shape[0], shape[3], shape[1], shape[2]]
        chosen = answer_name(session, request.path, request.options.output_name)
        answer = next(item for item in session.get_outputs() if item.name == chosen)
        guess: Output | None = "labels" if answer.type.startswith(_WHOLE_NUMBERS) else None
        bytes_in = image_input(session, request.path).type == "tensor(uint8)"
        facts = _facts(
            request, card, shape, multiple=_whole(metadata.get(MULTIPLE_KEY)), guess=guess, bytes_in=bytes_in
        )
        return OnnxSource(session, facts)


def _open_torchscript(request: _Request) -> Source:
    extra = {CARD_FILE: ""}
    with parsed(request.path, partial(_unreadable, what="a TorchScript program")):
        check_claim(request.path, request.path.stat().st_size, "the file")
        with torch_jit():
            program = _jit.load(str(request.path), map_location=request.device, _extra_files=extra)
    card, multiple, fixed = _described(extra[CARD_FILE], request.path)
    shape = [1, 3, card.size.height, card.size.width] if card and fixed else []
    return ProgramSource(program.eval(), _facts(request, card, shape, multiple=multiple), request.device)


def _open_exported(request: _Request) -> Source:
    extra = {CARD_FILE: ""}
    with (
        parsed(request.path, partial(_unreadable, what="an exported program of this version of torch")),
        torch_export(),
    ):
        check_claim(request.path, request.path.stat().st_size, "the file")
        exported = torch.export.load(request.path, extra_files=extra)
        if request.device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            exported = move_to_device_pass(exported, request.device)
        shape = _exported_shape(exported)
        program = exported.module()
    card, multiple, _ = _described(extra[CARD_FILE], request.path)
    return ProgramSource(program, _facts(request, card, shape, multiple=multiple), request.device)


def _exported_shape(exported: Any) -> list[Any]:
    name = exported.graph_signature.user_inputs[0]
    node = next(node for node in exported.graph.nodes if node.name == name)
    return [side if isinstance(side, int) else str(side) for side in node.meta["val"].shape]


def _described(text: str | bytes, path: Path) -> tuple[ModelCard | None, int, bool]:
    """Card, multiple of the sides, and whether it takes the card's size alone, of a program of ours."""
    if not text:
        return None, 1, False
    with parsed(path, partial(_unreadable, what="a program with a description")):
        content = parse(text)
        return read_card(content[CARD_KEY], path), _whole(content.get(MULTIPLE_KEY)), content.get(FIXED_KEY) is True


def _whole(value: object) -> int:
    text = str(value)
    # A network's sides are multiples of a few pixels; not every digit of Unicode is one that int() reads.
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= 5 else 1


def _unreadable(path: Path, error: BaseException, *, what: str) -> InputError:
    return InputError(f"{path} cannot be read as {what} ({reason_of(error)}); copy or export it again")


def _facts(
    request: _Request,
    card: ModelCard | None,
    shape: list[Any],
    *,
    multiple: int,
    guess: Output | None = None,
    bytes_in: bool = False,
) -> SourceSpec:
    """Merges the description in a program's file with the options.

    Args:
        request: the options and what is known from elsewhere.
        card: the file's own description.
        shape: its input's, empty where unknown.
        multiple: of its input's sides.
        guess: the kind of output, by its form.
        bytes_in: it takes 8-bit images, which it normalises itself.
    """
    path, options = request.path, request.options
    if card:
        agreed_card(card, path, net=None, classes=request.classes)
    if bytes_in:
        options = _of_bytes(options, path)
    normalisation, untold = _normalisation(options, card.normalisation if card else None)
    output = options.output if options.output != "auto" else (card.output if card else guess)
    if output is None:
        untold.append("`source.output` (logits, probabilities or labels)")
    classes = request.classes.to_dict() if request.classes is not None else card.classes if card else None
    if classes is None:
        untold.append("its classes")
    if normalisation is None or output is None or classes is None:
        raise InputError(
            f"{path} does not describe its input and output; give {'; '.join(untold)}", field="source.output"
        )
    fixed, batch = _fixed(path, options, request.size, shape)
    base = card or ModelCard(path.name, classes, normalisation, request.size or PUBLISHED_SIZE)
    described = dataclasses.replace(base, classes=classes, normalisation=normalisation, output=output)
    return SourceSpec(path, described, fixed, batch, multiple, options.output_name)


def _of_bytes(options: SourceOptions, path: Path) -> SourceOptions:
    """The options of a model that takes 8-bit images: no mean to subtract and no scale to divide by."""
    for name, plain in (("mean", 0.0), ("scale", 1.0)):
        values = three(getattr(options, name), f"source.{name}")
        if values and any(part != plain for part in values):
            raise InputError(
                f"{path} takes images of 8 bits and normalises them itself, but `source.{name}` is "
                f"{getattr(options, name)}; leave it out",
                field=f"source.{name}",
            )
    return dataclasses.replace(options, mean="0", scale="1")


def _fixed(path: Path, options: SourceOptions, working: Size | None, shape: list[Any]) -> tuple[Size | None, int]:
    if not shape:
        return options.size, 0
    batch, height, width = (side if isinstance(side, int) and side > 0 else 0 for side in (shape[0], *shape[2:]))
    if batch > _MOST_BATCH:
        raise InputError(
            f"{path} takes {batch} images at once, expected {_MOST_BATCH} at most; export it for one image or any "
            "number of them"
        )
    if not (height and width):
        _check_side(path, options.size or working, height, width)
        return options.size, batch
    fixed = Size(width, height)
    if options.size and options.size != fixed:
        raise InputError(
            f"{path} only takes images of {fixed}, but `source.size` is {options.size}", field="source.size"
        )
    return fixed, batch


def _check_side(path: Path, size: Size | None, height: int, width: int) -> None:
    """Refuses a size that does not have the one side that a program requires."""
    if size is not None and (height or size.height, width or size.width) == (size.height, size.width):
        return
    if height or width:
        side = f"{height} pixels high" if height else f"{width} pixels wide"
        raise InputError(
            f"{path} only takes images {side}, but would get {size or 'any'}; give a size of which that is so "
            f"(`source.size`, as {Size(width or 2 * height, height or width)})",
            field="source.size",
        )


def _normalisation(options: SourceOptions, base: Normalisation | None) -> tuple[Normalisation | None, list[str]]:
    """Returns the normalisation, and what is still missing where that is None."""
    channels = options.channels if options.channels != "auto" else (base.channels if base else None)
    check_units(options)
    mean = three(options.mean, "source.mean") or (base.mean if base else None)
    scale = three(options.scale, "source.scale") or (base.scale if base else None)
    if channels and mean and scale:
        return Normalisation(channels, mean, scale), []
    values = {
        "`source.channels` (rgb or bgr)": channels,
        "`source.mean` (three numbers in 0..255 units)": mean,
        "`source.scale` (one or three numbers in 0..255 units)": scale,
    }
    return None, [name for name, value in values.items() if not value]
