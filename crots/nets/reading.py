"""Reading weights files without running code from them: tensors, and the card where the file holds one.

PyTorch files are read with ``weights_only=True`` and an allow-list of plain containers, or with safetensors; nothing
else. `crots.nets.weights` matches files to networks.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import pickle
import re
import reprlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from crots.card import CARD_KEY, ModelCard, file_card, read_card
from crots.errors import CrotsError, InputError
from crots.files import exists, is_file, is_pointer
from crots.folders import folder_card, is_model_folder
from crots.limits import check_claim
from crots.nets.claims import claimed_by_pickles
from crots.trust import program_kind

FileKind = Literal["weights", "safetensors", "onnx", "torchscript", "exported"]
WeightsKind = Literal["plain", "nested", "lightning", "safetensors"]

# Elements checked for finiteness in one step, which takes a few bytes for each.
_AT_ONCE = 2**24
# Where training programs put the state dict, the likelier first.
_ENTRIES = (
    "state_dict", "model_state_dict", "model_state", "student", "model", "net", "network", "module", "weights",
)  # fmt: skip
# Where they put a moving average of the weights (EMA), which is what they evaluate with.
_AVERAGES = (
    "ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "params_ema", "model_state_dict_ema", "ema",
)  # fmt: skip
# A moving average has as many tensors as the weights; a few are its counters.
_ENOUGH_AVERAGED = 0.5
# How deeply entries may lie in each other: ``ema`` / ``module``, ``model`` / ``state_dict``.
_DEEPEST = 3
_PART = re.compile(r"(?P<head>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")
# Parts of one model; any name can say any number.
_MOST_PARTS = 1000
_LONGEST_KEY = 200
# Entries that hold tensors, but no network.
_NO_NETWORK = re.compile("optim|sched|scaler|rng|history", re.IGNORECASE)
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
        card: what the file says of itself; None for the files of other programs.
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
    with parsed(path):
        with path.open("rb") as file:
            head = file.read(9)
        if path.suffix.lower() == ".safetensors" or head[8:] == b"{":
            return "safetensors"
        return program_kind(path) or "weights"


@contextlib.contextmanager
def parsed(path: Path, unreadable: Callable[[Path, BaseException], InputError] | None = None) -> Iterator[None]:
    """Turns whatever a library raises about the content of ``path`` into one `InputError`.

    Libraries raise any type at all for damaged files, and those in Rust one that is no ``Exception``.

    Args:
        path: the file that is parsed.
        unreadable: makes the error; None says that the file is damaged.

    Raises:
        InputError: the file cannot be parsed.
        MemoryError: there is not enough memory, which says nothing of the file.
    """
    try:
        yield
    except (CrotsError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if "allocate memory" in str(error):
            raise MemoryError(f"{path}: {error}") from error
        raise (unreadable or _damaged)(path, error) from error


def check_file(path: Path) -> None:
    """Raises an error that names the file where it is missing or a folder (fault F15: never silently random).

    Raises:
        InputError: there is no such file.
    """
    if not is_file(path) and exists(path) and path.is_dir():
        raise InputError(f"{path} is a folder; expected a model file (.pth, .ckpt, .safetensors, .onnx ...)")
    if not is_file(path):
        raise InputError(f"found no file {path}; check the path of the model file")


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
    parts = _parts(path)
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
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(f"{folder}: its weights cannot be read ({reason[:160]}); copy the folder again")


def _parts(path: Path) -> list[Path]:
    """The other files of a model that was written in several, ``model-00001-of-00003.safetensors``."""
    named = _PART.fullmatch(path.name)
    if not named:
        return []
    count = int(named["count"])
    if count > _MOST_PARTS:
        raise InputError(f"{path} says that it is one of {count} parts, expected {_MOST_PARTS} at most")
    names = [f"{named['head']}-{number:05}-of-{count:05}{named['suffix']}" for number in range(1, count + 1)]
    others = [path.with_name(name) for name in names if name != path.name]
    missing = [other.name for other in others if not is_file(other)]
    if missing:
        raise InputError(
            f"{path} is part {int(named['number'])} of {count} of a model; missing beside it: "
            f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}; put all parts into one folder"
        )
    return others


def _read_one(path: Path, part: str, prefix: str) -> WeightsFile:
    kind = file_kind(path)
    if kind in _NOT_WEIGHTS:
        raise InputError(f"{path} is {_NOT_WEIGHTS[kind]}, and not a weights file; it can be used as a source model")
    with parsed(path):
        check_claim(path, path.stat().st_size, "the file")
        found = _read_safetensors(path) if kind == "safetensors" else _read_torch(path, part, prefix)
        for key, tensor in found.tensors.items():
            _check_finite(path, key, tensor)
    return found


def _check_finite(path: Path, key: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        return
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


def model_card(path: Path) -> ModelCard | None:
    """Returns the card of a weights file of any form; None for programs, ONNX files, and where it has none.

    Raises:
        InputError: it cannot be read.
    """
    if is_model_folder(path):
        return folder_card(path)
    kind = file_kind(path)
    if kind in _NOT_WEIGHTS:
        return None
    return file_card(path) if kind == "safetensors" else read_weights(path).card


def _read_torch(path: Path, part: str, prefix: str) -> WeightsFile:
    content = _unpickle(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}; expected a state dict (names and tensors)")
    tensors, entry, notes = _find_tensors(path, content, part, prefix)
    card = content.get("card")
    kind: WeightsKind = "nested" if entry else "plain"
    if "pytorch-lightning_version" in content:
        kind = "lightning"
    return WeightsFile(path, tensors, read_card(card, path) if isinstance(card, dict) else None, kind, entry, notes)


def _find_tensors(
    path: Path, content: Mapping[Any, Any], part: str, prefix: str
) -> tuple[dict[str, Tensor], str, tuple[str, ...]]:
    """Finds the weights in a checkpoint: tensors, the entry that holds them, and a note about it."""
    if part:
        tensors = _tensors(content.get(part))
        if not tensors:
            raise InputError(f"{path} holds no network under {part!r}; found {_keys(content)}")
        return tensors, part, ()
    states = dict(_states(content, "", 1, set()))
    own = sum(isinstance(value, Tensor) for value in content.values())
    if (named := prefix.removesuffix(".")) in states:
        return _tensors(states[named]), named, ()
    plain = next((entry for entry in _ENTRIES if entry in states), "")
    if not plain and own >= _ENOUGH_AVERAGED * max(map(len, states.values()), default=1):
        return _tensors(content), "", ()
    if average := _average(states, plain):
        note = f"the moving average of the weights, {average}, is taken"
        note += f", not {plain}; the prefix {plain} takes that" if plain else ""
        return _tensors(states[average]), average, (note,)
    if plain:
        return _tensors(states[plain]), plain, ()
    # Of several, say, a network and its discriminator, only the user can choose.
    tops = [entry for entry in states if not any(entry.startswith(f"{other}.") for other in states)]
    if len(tops) > 1:
        raise InputError(
            f"{path} holds several networks: {', '.join(tops[:8])}; give the one to use as the prefix",
            field="source.prefix",
        )
    if not tops:
        raise InputError(
            f"{path} holds no tensors, found {_keys(content)}; expected a state dict, alone or under 'state_dict'"
        )
    return _tensors(states[tops[0]]), tops[0], (f"the weights lie under {tops[0]}",)


def _average(states: Mapping[str, Mapping[Any, Any]], plain: str) -> str:
    """The entry with a moving average of the weights; empty where there is none."""
    for name in _AVERAGES:
        for entry, state in states.items():
            same = entry.split(".", 1)[0] == name
            if same and len(state) >= _ENOUGH_AVERAGED * len(states.get(plain, state)):
                return entry
    return ""


def _states(
    content: Mapping[Any, Any], before: str, depth: int, seen: set[int]
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yields the entries of a checkpoint that hold weights by name, outer ones first; each is looked into once."""
    for key, value in content.items():
        fits = isinstance(key, str) and len(key) <= _LONGEST_KEY and isinstance(value, Mapping)
        if not fits or id(value) in seen or _NO_NETWORK.search(key):
            continue
        seen.add(id(value))
        if any(isinstance(item, Tensor) and (item.ndim > 1 or key in _ENTRIES) for item in value.values()):
            yield before + key, value
        if depth < _DEEPEST:
            yield from _states(value, f"{before}{key}.", depth + 1, seen)


def _keys(content: Mapping[Any, Any]) -> str:
    # A key may be anything that a pickle can build, of any size.
    return (
        ", ".join(str(key)[:80] if isinstance(key, str) else reprlib.repr(key) for key in list(content)[:8])
        or "nothing"
    )


def _tensors(value: object) -> dict[str, Tensor]:
    if not isinstance(value, Mapping):
        return {}
    found = {key: item.detach() for key, item in value.items() if isinstance(key, str) and isinstance(item, Tensor)}
    for key, tensor in found.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_nested:
            raise InputError(
                f"{key} is a sparse, quantized or empty tensor, expected plain numbers; save model.state_dict() of the "
                "network as it was trained"
            )
    return found


def _unpickle(path: Path) -> Any:
    check_claim(path, claimed_by_pickles(path), "its tensors")
    try:
        with torch.serialization.safe_globals(_plain_containers()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error


def _plain_containers() -> list[Any]:
    """Harmless things found in checkpoints, by the names they are pickled under; stand-ins where that is enough."""
    lightning = (
        "lightning.fabric.utilities.data.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
    )
    paths = ("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath")
    scalar = np.float64(0).__reduce__()[0]
    return [
        argparse.Namespace,
        *((OrderedDict, name) for name in lightning),
        *((pathlib.PurePosixPath, name) for name in paths),
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        np.dtype,
        *(type(np.dtype(name)) for name in ("bool", "int32", "int64", "float32", "float64")),
    ]


def _refused(path: Path, error: BaseException) -> InputError:
    found = re.search(r"GLOBAL (\S+)", str(error))
    if not found:
        return _damaged(path, error)
    return InputError(
        f"{path} was refused: it is a pickle with code in it ({found[1]}), and only tensors in plain containers are "
        "read; save model.state_dict() instead of the object, or convert it to safetensors where it was made"
    )


def _damaged(path: Path, error: BaseException) -> InputError:
    size = path.stat().st_size if path.exists() else 0
    if is_pointer(path):
        return InputError(
            f"{path}: is a pointer of Git LFS, not the weights themselves; run `git lfs pull` where it comes from"
        )
    reason = type(error).__name__
    # The informative part of torch's message; the rest advises to switch the safety off.
    for words in ("failed finding central directory", "unexpected EOF", "HeaderTooLarge", "not a ZIP archive",
                  "InvalidHeader", "MetadataIncompleteBuffer", "incomplete metadata", "Permission denied"):  # fmt: skip
        if words in str(error):
            reason = words
    return InputError(
        f"{path} ({size} bytes) is truncated, damaged or no weights file ({reason}); "
        "expected a state dict (.pth, .ckpt) or safetensors; copy or download it again"
    )
