"""Reading weights files without running code from them: tensors, and the card where the file holds one.

PyTorch files are read with ``weights_only=True`` and an allow-list of plain containers, or with safetensors; nothing
else. `crots.nets.weights` matches files to networks.
"""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor

from crots.card import CARD_KEY, ModelCard, read_card
from crots.errors import InputError
from crots.files import is_pointer
from crots.folders import folder_card, is_model_folder
from crots.limits import check_claim
from crots.nets.claims import claimed_by_pickles
from crots.nets.entries import NoTensors, find_entry, named_mappings
from crots.nets.heads import check_head
from crots.nets.parts import check_file, first_part, other_parts
from crots.nets.reasons import parsed, stranger
from crots.trust import program_kind

FileKind = Literal["weights", "safetensors", "onnx", "torchscript", "exported"]
WeightsKind = Literal["plain", "nested", "lightning", "safetensors"]

# Held while torch knows the stand-ins: it forgets them for all threads when one of them is done.
_READING = threading.Lock()
# Elements checked for finiteness in one step, which takes a few bytes for each.
_AT_ONCE = 2**24
# Packages whose checkpoints hold objects of their own.
_OPENMMLAB = ("mmengine.", "mmcv.", "mmseg.")
_PLAIN = re.compile(r"[\w. -]{1,100}")
_NOT_WEIGHTS = {
    "torchscript": "a TorchScript program, which holds code",
    "exported": "an exported program, which holds code",
    "onnx": "an ONNX file",
}


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds.

    Attributes:
        path: the file.
        tensors: by key, on the CPU, as the file spells them.
        card: the description in the file; None for the files of other programs.
        kind: ``plain`` state dict, ``nested`` in a training checkpoint, ``lightning`` or ``safetensors``.
        entry: of the checkpoint that was read, ``ema.module``; empty for a plain state dict.
        notes: what was chosen on the way and the user should read.
    """

    path: Path
    tensors: dict[str, Tensor]
    card: ModelCard | None
    kind: WeightsKind
    entry: str = ""
    notes: tuple[str, ...] = ()


def file_kind(path: Path) -> FileKind:
    """Determines the kind of a model file by its content, or by the suffix of ONNX; any pickle counts as weights.

    Raises:
        InputError: there is no such file.
    """
    if is_model_folder(path):
        return "safetensors"
    check_file(path)
    if path.suffix.lower() == ".onnx":
        return "onnx"
    with parsed(path, _damaged):
        with path.open("rb") as file:
            head = file.read(9)
        # Regardless of its name: a file of torch begins like a zip archive or a pickle.
        named = path.suffix.lower() == ".safetensors" and not head.startswith((b"PK\x03\x04", b"\x80\x02"))
        if named or head[8:] == b"{":
            return "safetensors"
        return program_kind(path) or "weights"


def read_weights(path: Path, *, part: str = "", prefix: str = "") -> WeightsFile:
    """Reads all tensors of a weights file; of one of several parts, those of the others beside it too.

    Args:
        path: ``.pth``, ``.pt``, ``.ckpt``, ``.safetensors`` ...; its content decides, not its suffix.
        part: entry of a training checkpoint that holds several networks (``student``, ``teacher``); empty finds it.
        prefix: as the user gives it, of keys; where it is the name of an entry, that one is read.

    Raises:
        InputError: it is missing, damaged, holds code, no tensors, or NaN; or one of its parts is missing.
    """
    if is_model_folder(path):
        return _read_folder(path)
    path = first_part(path)
    parts = other_parts(path)
    found = _read_one(path, part, prefix)
    for other in parts:
        found.tensors.update(_read_one(other, part, prefix).tensors)
    if not parts:
        return found
    return replace(found, notes=(*found.notes, f"read with the other parts: {', '.join(p.name for p in parts)}"))


def _read_folder(folder: Path) -> WeightsFile:
    from crots.nets.hf_nets import read_state, refined, remarks

    card = refined(folder_card(folder))
    with parsed(folder, _damaged_folder):
        check_claim(folder, sum(path.stat().st_size for path in folder.glob("*.safetensors")), "its files")
        tensors = read_state(folder)
        for key, tensor in tensors.items():
            _check_finite(folder, key, tensor)
    return WeightsFile(folder, tensors, card, "safetensors", notes=remarks(folder))


def _damaged_folder(folder: Path, error: BaseException) -> InputError:
    try:
        check_head(folder)
    except InputError as found:
        return found
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(f"{folder}: its weights cannot be read ({reason[:160]}); copy the folder again")


def _read_one(path: Path, part: str, prefix: str) -> WeightsFile:
    kind = file_kind(path)
    if kind in _NOT_WEIGHTS:
        raise InputError(f"{path} is {_NOT_WEIGHTS[kind]}, and not a weights file; it can be used as a source model")
    with parsed(path, _damaged):
        check_claim(path, path.stat().st_size, "the file")
        found = _read_safetensors(path) if kind == "safetensors" else _read_torch(path, part, prefix)
        for key, tensor in found.tensors.items():
            _check_finite(path, key, tensor)
    return found


def _check_finite(path: Path, key: str, tensor: Tensor) -> None:
    if tensor.is_complex():
        raise InputError(
            f"{path}: the weights hold complex numbers in {key}, expected real ones; it is no network here"
        )
    if not tensor.is_floating_point():
        return
    if tensor.element_size() == 1:
        tensor = tensor.float()
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        # It repeats its numbers, so only those that are stored are checked.
        length = tensor.untyped_storage().nbytes() // tensor.element_size()
        tensor = tensor.as_strided((length,), (1,), 0)
    for part in torch.split(tensor.flatten(), _AT_ONCE):
        if not bool(torch.isfinite(part).all()):
            raise InputError(f"{path}: the weights hold NaN or infinity in {key}; use an earlier checkpoint")


def _read_safetensors(path: Path) -> WeightsFile:
    with safe_open(path, framework="pt", device="cpu") as file:
        metadata = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    if not tensors:
        raise InputError(f"{path} holds no tensors; expected the weights of a network")
    card = read_card(metadata[CARD_KEY], path) if CARD_KEY in metadata else None
    return WeightsFile(path, tensors, card, "safetensors")


def _read_torch(path: Path, part: str, prefix: str) -> WeightsFile:
    content = _unpickle(path)
    if not isinstance(content, Mapping):
        held = "an object without weights" if isinstance(content, _Inert) else f"a {type(content).__name__}"
        held = "an array of NumPy" if isinstance(content, _Array) else held
        raise InputError(f"{path} holds {held}; expected a state dict (names and tensors)")
    try:
        found = find_entry(path, content, part=part, prefix=prefix)
    except NoTensors:
        _refuse_arrays(path, content, {})
        raise
    _refuse_arrays(path, content, found.tensors)
    kind: WeightsKind = "nested" if found.name else "plain"
    if "pytorch-lightning_version" in content:
        kind = "lightning"
    card = read_card(content["card"], path) if isinstance(content.get("card"), dict) else None
    return WeightsFile(path, found.tensors, card, kind, found.name, found.notes)


def _refuse_arrays(path: Path, content: Mapping[Any, Any], tensors: Mapping[str, Tensor]) -> None:
    """Refuses weights that are arrays of NumPy, all or most of them: those are not read.

    Raises:
        InputError: they are, with a line that converts them.
    """
    for names, mapping in named_mappings(content):
        arrays = [key for key, value in mapping.items() if isinstance(key, str) and isinstance(value, _Array)]
        if len(arrays) > len(tensors) and tensors.keys() <= mapping.keys():
            entry = "".join(f"[{_pasted(name)}]" for name in names)
            raise InputError(
                f"{path} holds its weights as arrays of NumPy ({arrays[0][:80]!r} and {len(arrays) - 1} more), "
                "expected tensors of PyTorch; arrays are not read, since that can run code of the file's author. If "
                'you trust the file, convert it: python -c "import torch; state = '
                f"torch.load({_pasted(path.name)}, weights_only=False){entry}; torch.save({{key: "
                f'torch.as_tensor(value) for key, value in state.items()}}, {_pasted(path.stem + "_tensors.pth")})"'
            )


def _pasted(name: str) -> str:
    """A name in a line that people paste into a shell, which is not to run what a stranger called an entry."""
    return f"'{name}'" if _PLAIN.fullmatch(name) else "'...'"


def _unpickle(path: Path) -> Any:
    check_claim(path, claimed_by_pickles(path), "its tensors")
    try:
        with (
            _READING,
            torch.serialization.safe_globals(_plain_containers()),
            warnings.catch_warnings(),
            path.open("rb") as file,
        ):
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            # An open file, since torch goes by the suffix of a path.
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error


class _Inert:
    """Stands for an object of another program that holds no weights, and forgets what it is given."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


class _Array(_Inert):
    """Stands for an array of NumPy, which it forgets as well: only that there was one is known."""


class _Items:
    """Stands for a list of another kind; torch extends only those of Python."""

    def __new__(cls, *_: object) -> Any:
        """Makes one of Python instead."""
        return []


class _Names:
    """Stands for a dictionary of another kind; torch fills only those of Python."""

    def __new__(cls, *_: object) -> Any:
        """Makes one of Python instead."""
        return OrderedDict()


# What training programs keep beside the weights: curves, times, states of random numbers, and settings. The stand-in
# takes the place of the named class or function, which is neither imported nor called.
_BESIDE: dict[type, tuple[str, ...]] = {
    _Array: (
        *(f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core")),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    ),
    _Inert: (
        *(f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")),
        # Not even single numbers are made: a forged type of object makes NumPy follow any address that the file names.
        "numpy.ndarray", "numpy.dtype",
        *(f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
        "types.SimpleNamespace", "uuid.UUID", "decimal.Decimal", "typing.Any",
        *(f"builtins.{name}" for name in ("list", "dict", "tuple", "int", "float", "str")),
        "omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig",
        "omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata",
        *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "String", "Integer", "Float", "Boolean", "Path", "Enum")),
    ),
    _Items: ("collections.deque",),
    _Names: (
        "collections.defaultdict", "yacs.config.CfgNode", "fvcore.common.config.CfgNode",
        "detectron2.config.config.CfgNode", "easydict.EasyDict", "addict.addict.Dict", "munch.Munch",
    ),
}  # fmt: skip


def _plain_containers() -> list[Any]:
    """Harmless things found in checkpoints, by the names they are pickled under; stand-ins where that is enough."""
    lightning = (
        "lightning.fabric.utilities.data.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
    )
    paths = ("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath")
    return [
        argparse.Namespace,
        *((OrderedDict, name) for name in lightning),
        *((pathlib.PurePosixPath, name) for name in paths),
        *((stand_in, name) for stand_in, names in _BESIDE.items() for name in names),
    ]


def _refused(path: Path, error: BaseException) -> InputError:
    found = re.search(r"GLOBAL (\S+)", str(error))
    if not found:
        return _damaged(path, error)
    remedy = "save model.state_dict() instead of the object, or convert it to safetensors where it was made"
    if found[1].startswith(_OPENMMLAB):
        # Their networks are not built here, so that a state dict would be of no use.
        remedy = "give an ONNX export of the model (by mmdeploy), or a folder of its predictions"
    return InputError(
        f"{path} was refused: it is a pickle with code in it ({found[1]}), and only tensors in plain containers are "
        f"read; {remedy}"
    )


def _damaged(path: Path, error: BaseException) -> InputError:
    size = path.stat().st_size if path.exists() else 0
    if is_pointer(path):
        return InputError(
            f"{path}: is a Git LFS pointer, not the weights themselves; run `git lfs pull` in its repository"
        )
    if message := stranger(path):
        return InputError(f"{path} is {message}; expected a state dict (.pth, .ckpt) or safetensors")
    reason = type(error).__name__
    # The informative part of torch's message; the rest advises to switch the safety off.
    for message in ("failed finding central directory", "unexpected EOF", "HeaderTooLarge", "not a ZIP archive",
                  "InvalidHeader", "MetadataIncompleteBuffer", "incomplete metadata"):  # fmt: skip
        if message in str(error):
            reason = message
    return InputError(
        f"{path} ({size} bytes) is truncated, damaged or no weights file ({reason}); "
        "expected a state dict (.pth, .ckpt) or safetensors; copy or download it again"
    )
