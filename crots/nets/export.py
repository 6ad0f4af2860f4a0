"""Models as files for other programs, each loaded back and compared with the network on real images.

ONNX and TorchScript files are self-contained: ``image``, float32 RGB in 0..255 (N, 3, H, W), gives ``logits``
(N, classes, H, W) at the images' size; normalisation and up-sampling are inside.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning
from torch.nn.functional import conv2d, interpolate, pad

from crots.card import CARD_KEY, ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError, StageError
from crots.files import atomic_path
from crots.folders import check_formats
from crots.nets.hf_nets import write_folder
from crots.nets.model import Model, check_runs
from crots.nets.quiet import onnx_export, torch_jit
from crots.nets.source import FIXED_KEY, MULTIPLE_KEY, load_exported
from crots.nets.weights import load_model, save_pth, save_safetensors
from crots.ownership import atomic_folder
from crots.program_cards import CARD_FILE

# The program normalises its input, which is RGB in 0..255.
AS_IT_COMES = Normalisation("rgb", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
# TorchScript has no types in some versions of torch.
_jit: Any = torch.jit
# Writes a model to a file; returns what the user should read.
Writer = Callable[[Model, Path], tuple[str, ...]]
# Share of pixels whose class must be the same in the file and in the network.
_AGREEMENT = 0.99
# At another size, the greatest difference of a logit as a share of all logits' span. Rounding makes a thousandth of it;
# pooling that was written for one size, as much as a tenth, and few pixels of an untrained network tell.
_APART = 0.01


@dataclass(frozen=True)
class ExportReport:
    """How a file compares with the network it was made from.

    Attributes:
        path: the file.
        format: its format.
        max_difference: largest absolute difference of a logit on the images.
        agreement: share of pixels given the same class, 0..1.
        images: how many images were compared.
        notes: what the user should read.
    """

    path: Path
    format: str
    max_difference: float
    agreement: float
    images: int
    notes: tuple[str, ...] = ()


def export_as(
    model: Model,
    path: Path,
    format: str,
    *,
    sample_images: Sequence[npt.NDArray[Any]] | Tensor,
    device: torch.device | str = "cpu",
    trust: bool = False,
) -> ExportReport:
    """Writes a model, loads the file back and compares the two in float32.

    Args:
        model: stays as it is, on its device.
        path: the file to write, for ``huggingface`` a folder; it replaces an older one only after it was written whole.
        format: ``pth``, ``safetensors``, ``onnx``, ``torchscript`` or ``huggingface``.
        sample_images: uint8 RGB, (H, W, 3) arrays or a tensor (N, 3, H, W), of a size that the network takes.
        device: where the two are compared.
        trust: the model was built by a user's own factory, which is run again to load a ``pth`` or ``safetensors``.

    Raises:
        InputError: unknown format, or the network does not take images of this size.
        StageError: the file cannot be written, or differs from the network; none is left then.
    """
    if format not in _WRITERS:
        raise InputError(f"found the format {format!r}, expected one of {', '.join(_WRITERS)}", field="export.formats")
    check_formats([format], model.card.net)
    own = copy.deepcopy(model).cpu().float().eval()
    batches, where = _batches(sample_images), torch.device(device)
    if batches:
        check_runs(own, Size(batches[0].shape[3], batches[0].shape[2]))
    faults: list[str] = []
    for write in _ways(own, format):
        try:
            return _attempt(own, path, format, write, batches, where, trust=trust)
        except _Fault as fault:
            faults.append(str(fault))
    raise StageError(
        f"{path}: this network cannot be written as {format} ({'; '.join(dict.fromkeys(faults))}); no file was kept; "
        "export another format"
    )


def _ways(model: Model, format: str) -> tuple[Writer, ...]:
    """The ways to write a format that may work."""
    # Pooling to a grid of 3 or 6 cells is written with the indices of the example, which other sizes do not have. That
    # shows only once the program runs, after most of the time that an export takes.
    if format == "onnx" and any(map(_pools_unevenly, model.modules())):
        return (_write_onnx_of_one_size,)
    return _WRITERS[format]


def _pools_unevenly(module: nn.Module) -> bool:
    """Whether a layer averages over a grid that does not divide sides that are multiples of a power of two."""
    if not isinstance(module, nn.AdaptiveAvgPool2d):
        return False
    size = module.output_size
    return any(cells and cells & (cells - 1) for cells in (size if isinstance(size, tuple) else (size,)))


class _Fault(Exception):
    """A network could not be written this way, or the file computes something else."""


def _attempt(
    model: Model,
    path: Path,
    format: str,
    write: Writer,
    batches: list[Tensor],
    device: torch.device,
    *,
    trust: bool,
) -> ExportReport:
    reload = {"onnx": _as_program, "torchscript": _as_program, "huggingface": _as_folder}.get(format, _as_model)
    # Compared under a temporary name: no wrong file stays, and only a right one replaces an older file.
    with atomic_folder(path) if format == "huggingface" else atomic_path(path, durable=True) as partial:
        try:
            notes = write(model, partial)
            loaded, any_size = reload(model, partial, device, trust)
            own = copy.deepcopy(model).to(device)
            difference, agreement = _compare(own, loaded, batches, device)
            if batches and any_size and agreement >= _AGREEMENT:
                other = _other_size(model, batches[0])
                apart, same = _compare(own, loaded, [other], device)
                if apart > _APART * _span(own, other.to(device)):
                    raise _Fault("it differs from the network at another size")
                agreement = min(agreement, same)
        except _Fault:
            raise
        except StageError as error:
            # A disk error; it names the unfinished file.
            raise StageError(str(error).replace(str(partial), str(path))) from error
        except (MemoryError, torch.OutOfMemoryError, OSError):
            raise
        except Exception as error:  # exporters and their programs can raise anything
            raise _Fault(_cause(error)) from error
        # Some systems cannot move an open file.
        del loaded
        if not agreement >= _AGREEMENT:
            raise _Fault(f"it differs from the network: {agreement:.1%} of the pixels get the same class")
    return ExportReport(path, format, difference, agreement, sum(map(len, batches)), notes)


def _cause(error: BaseException) -> str:
    """The cause of an exporter's failure: only the innermost error names it; the others name the step, in colour."""
    while (inner := error.__cause__) is not None:
        error = inner
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _batches(images: Sequence[npt.NDArray[Any]] | Tensor) -> list[Tensor]:
    if isinstance(images, Tensor):
        return list(torch.split(images, 1))
    return [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] for image in images]


@torch.no_grad()
def _compare(
    model: Model, loaded: Callable[[Tensor], Tensor], batches: list[Tensor], device: torch.device
) -> tuple[float, float]:
    differences, same = [0.0], [1.0] if not batches else []
    for images in batches:
        images = images.to(device)
        expected, found = model.logits(images), loaded(images)
        differences.append(float((expected - found).abs().max()))
        # Greater-or-equal is false for NaN, which so counts as a difference.
        same.append(float((expected.argmax(1) == found.argmax(1)).float().mean()) if differences[-1] >= 0 else 0.0)
    return max(differences), sum(same) / len(same)


@torch.no_grad()
def _span(model: Model, images: Tensor) -> float:
    logits = model.logits(images)
    return float(logits.max() - logits.min())


def _other_size(model: Model, images: Tensor) -> Tensor:
    """An image of the same kind, larger by a quarter: a program that takes any size must be right there as well.

    Its sides are odd multiples, which pools of 2 or 6 cells do not divide.
    """
    multiple = model.info.multiple
    height, width = ((-(-side * 5 // (4 * multiple)) | 1) * multiple for side in images.shape[2:])
    return interpolate(images[:1].float(), (height, width), mode="bilinear").round().to(images.dtype)


def _as_model(model: Model, path: Path, device: torch.device, trust: bool) -> tuple[Callable[[Tensor], Tensor], bool]:
    card = model.card
    loaded, _ = load_model(
        path, net=card.net, classes=model.classes, size=card.size, normalisation=card.normalisation, trust=trust
    )
    # The same network: there is nothing to compare at another size.
    return loaded.to(device).logits, False


def _as_folder(model: Model, path: Path, device: torch.device, trust: bool) -> tuple[Callable[[Tensor], Tensor], bool]:
    # Using only its own description, as other programs would read it.
    return load_model(path, classes=model.classes)[0].to(device).logits, False


def _as_program(model: Model, path: Path, device: torch.device, trust: bool) -> tuple[Callable[[Tensor], Tensor], bool]:
    # Trusted, since it is the file written a moment ago.
    source = load_exported(path, trust=True, device=device)
    if source.facts.batch > 1:
        # Here a batch would be filled up; other programs pass one image.
        raise _Fault(f"it only takes {source.facts.batch} images at once")
    return source.logits, source.facts.fixed is None


class Program(nn.Module):
    """What ONNX and TorchScript files hold: a model from RGB in 0..255 to logits of the same size."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Maps float32 (N, 3, H, W) to (N, classes, H, W)."""
        return self.model.upsample(self.model.bare(image), (image.shape[2], image.shape[3]))


def _write_pth(model: Model, path: Path) -> tuple[str, ...]:
    save_pth(path, model.net)
    needed = "plain weights: to load them, net, classes and normalisation must be given"
    overlap = model.card.tile_overlap
    tiles = "" if overlap is None else f"; it was trained on tiles of {model.card.size} that overlap by {overlap:g}"
    return (needed + tiles,)


def _write_safetensors(model: Model, path: Path) -> tuple[str, ...]:
    save_safetensors(path, model.net, model.card)
    return ()


def _write_huggingface(model: Model, path: Path) -> tuple[str, ...]:
    write_folder(model.net, model.card, path)
    return ("a folder for from_pretrained, with classes and normalisation",)


def _write_torchscript(model: Model, path: Path) -> tuple[str, ...]:
    _trace(model, path, _example(model), model.info.multiple)
    return ()


def _write_torchscript_of_one_size(model: Model, path: Path) -> tuple[str, ...]:
    width, height = model.card.size
    # Every input is resized to that size.
    _trace(model, path, torch.zeros(1, 3, height, width), 1, fixed=True)
    return (f"takes images of {width}x{height} only: tracing this network fixes its size",)


def _trace(model: Model, path: Path, example: Tensor, multiple: int, *, fixed: bool = False) -> None:
    program = Program(with_fixed_padding(model)).eval()
    about = {**_metadata(model), MULTIPLE_KEY: multiple} | ({FIXED_KEY: True} if fixed else {})
    with torch_jit(), torch.no_grad(), warnings.catch_warnings():
        # Sizes are read from the images' shape, which tracing records; what it warns of are Python numbers among them.
        warnings.filterwarnings("ignore", category=TracerWarning)
        # Tracing asks transformers' models for all they have, and some of it is deprecated.
        warnings.filterwarnings("ignore", category=FutureWarning)
        traced = _jit.trace(program, (example,), check_trace=False)
        # Into memory: given a path, libtorch ends the process where the disk is full.
        made = io.BytesIO()
        _jit.save(traced, made, _extra_files={CARD_FILE: json.dumps(about)})
    path.write_bytes(made.getbuffer())


def _write_onnx(model: Model, path: Path) -> tuple[str, ...]:
    _save_onnx(model, path, _example(model), _dynamic_shape(model.info.multiple))
    return ()


def _write_onnx_of_one_size(model: Model, path: Path) -> tuple[str, ...]:
    width, height = model.card.size
    _save_onnx(model, path, torch.zeros(1, 3, height, width), None)
    return (f"takes one image of {width}x{height} only: the exporter cannot do otherwise with this network",)


def _save_onnx(model: Model, path: Path, example: Tensor, dynamic: dict[int, Any] | None) -> None:
    made = _to_onnx(Program(with_fixed_padding(model)).eval(), example, dynamic)
    made.model.metadata_props[CARD_KEY] = json.dumps(_metadata(model)[CARD_KEY])
    made.model.metadata_props[MULTIPLE_KEY] = str(model.info.multiple)
    made.save(str(path), external_data=False)


def _to_onnx(program: Program, example: Tensor, dynamic: dict[int, Any] | None) -> Any:
    with torch.no_grad(), onnx_export(), warnings.catch_warnings():
        # Inside the exporter, about its own dependencies.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch(\.|$)|onnx")
        return torch.onnx.export(
            program,
            (example,),
            dynamo=True,
            dynamic_shapes=None if dynamic is None else (dynamic,),
            input_names=["image"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )


def _dynamic_shape(multiple: int) -> dict[int, Any]:
    def side(name: str) -> Any:
        if multiple == 1:
            return torch.export.Dim(name, min=16, max=16384)
        return torch.export.Dim(name, min=1, max=1024) * multiple

    return {0: torch.export.Dim("batch", min=1, max=1024), 2: side("height"), 3: side("width")}


def _example(model: Model) -> Tensor:
    # Two images, and sides unlike in both directions: ones and equal numbers would be taken for constants.
    multiple, tried = model.info.multiple, (Size(96, 64), model.card.size)
    for size in tried:
        height, width = (-(-side // multiple) * multiple for side in (size.height, size.width))
        width += multiple * (width == height)
        try:
            check_runs(model, Size(width, height))
            break
        except InputError:
            # It pools more than a small image has; the project's size is known to work.
            if size is tried[-1]:
                raise
    return torch.zeros(2, 3, height, width)


def _metadata(model: Model) -> dict[str, Any]:
    card: ModelCard = dataclasses.replace(model.card, normalisation=AS_IT_COMES)
    return {CARD_KEY: card.to_dict(), MULTIPLE_KEY: model.info.multiple}


class FixedPadding(nn.Module):
    """A convolution with TensorFlow's "same" padding where the input's sides are multiples of its stride.

    timm computes that padding from each image's size, which makes an exporter write and solve formulas for minutes;
    for such sides it is always the same.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.sides: list[int] = []
        # torch pads the last axis first.
        for kernel, stride, dilation in reversed(list(zip(conv.kernel_size, conv.stride, conv.dilation, strict=True))):
            total = max((kernel - 1) * dilation + 1 - stride, 0)
            self.sides += [total // 2, total - total // 2]

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, D, H / stride, W / stride)."""
        conv = self.conv
        return conv2d(pad(x, self.sides), conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups)


def with_fixed_padding(model: Model) -> Model:
    """Returns the model with timm's size-dependent padding made constant, where the sizes it takes allow that."""
    if model.info.multiple == 1:
        return model
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and type(child).__name__ == "Conv2dSame":
                setattr(module, name, FixedPadding(child))
    return model


# By format, the ways to write it: where the first does not work, or gives another network, the next is tried.
_WRITERS: dict[str, tuple[Writer, ...]] = {
    "pth": (_write_pth,),
    "safetensors": (_write_safetensors,),
    "onnx": (_write_onnx, _write_onnx_of_one_size),
    "torchscript": (_write_torchscript, _write_torchscript_of_one_size),
    "huggingface": (_write_huggingface,),
}
