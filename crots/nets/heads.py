"""Refuses files that are not models, by their first bytes, and by their length if these state one. No torch.

Whether the tensors fit a network shows when the file is read; an empty, truncated or text file is recognised at once.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from crots.errors import InputError
from crots.files import is_file, is_pointer
from crots.folders import WEIGHTS, is_model_folder
from crots.nets.parts import INDEX, first_part, other_parts
from crots.nets.reasons import is_of_torch, stranger
from crots.program_cards import is_whole_onnx
from crots.records import parse
from crots.trust import program_kind

# Of `torch.save`, as a zip archive, and as a pickle with its protocol.
_ARCHIVE, _PICKLE, _PROTOCOLS = b"PK\x03\x04", 0x80, range(2, 6)
# Of safetensors: the length of its head, and the longest that the library reads.
_LENGTH, _LONGEST = 8, 100 * 2**20
# Of a tar archive, as the oldest versions of torch wrote.
_TAR, _TAR_PLACE = b"ustar", 257


def check_head(path: Path, field: str | None = None) -> None:
    """Makes sure that a model file or folder can be one; missing files are reported elsewhere.

    Args:
        path: of the model.
        field: the option that names it, if known.

    Raises:
        InputError: it is empty, cut short, a Git LFS pointer, a text or anything else, or one of its parts is missing.
    """
    for file in _files(path, field):
        try:
            if _may_be_model(file):
                continue
        except OSError as error:
            raise InputError(
                f"{file}: cannot be read ({error.strerror}); copy it, or change its permissions", field=field
            ) from error
        raise InputError(_refusal(file), field=field)


def _files(path: Path, field: str | None) -> list[Path]:
    try:
        if is_model_folder(path):
            if is_file(path / (WEIGHTS + INDEX)):
                first_part(path / (WEIGHTS + INDEX))
            return sorted(path.glob("*.safetensors")) or sorted(path.glob("pytorch_model*.bin"))
        if not is_file(path) or path.suffix.lower() == ".onnx":
            return [path] if is_file(path) else []
        first = first_part(path)
        return [first, *other_parts(first)]
    except InputError as error:
        raise InputError(str(error), field=field) from error


def _may_be_model(path: Path) -> bool:
    if path.suffix.lower() == ".onnx":
        return is_whole_onnx(path)
    with path.open("rb") as file:
        head = file.read(_TAR_PLACE + len(_TAR))
    if head.startswith(_ARCHIVE):
        return zipfile.is_zipfile(path) and (program_kind(path) is not None or not stranger(path))
    if len(head) > 1 and head[0] == _PICKLE and head[1] in _PROTOCOLS:
        return True
    return (head[_TAR_PLACE:] == _TAR and not stranger(path)) or _is_whole_safetensors(path)


def _is_whole_safetensors(path: Path) -> bool:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if not 2 <= length <= min(_LONGEST, size - _LENGTH):
            return False
        try:
            head = parse(file.read(length), most=_LONGEST)
            ends = [int(about["data_offsets"][1]) for name, about in head.items() if name != "__metadata__"]
        except (ValueError, OverflowError, TypeError, KeyError, IndexError, AttributeError):
            return False
    return _LENGTH + length + max(ends, default=0) <= size


def _refusal(path: Path) -> str:
    if is_pointer(path):
        return f"{path}: is a Git LFS pointer, not the weights themselves; run `git lfs pull` in its repository"
    if path.suffix.lower() == ".onnx" and is_of_torch(path):
        return f"{path} is a file of PyTorch under the suffix {path.suffix}; rename it to .pt"
    wanted = "an ONNX file" if path.suffix.lower() == ".onnx" else "a state dict (.pth, .ckpt) or safetensors"
    if reason := stranger(path):
        return f"{path} is {reason}; expected {wanted}"
    return (
        f"{path} ({path.stat().st_size} bytes) is cut short, damaged or no model file; expected {wanted}; copy or "
        "download it again"
    )
