"""Models in several files: the parts by their names, or by a list of them. No torch."""

from __future__ import annotations

import re
from pathlib import Path

from crots.errors import InputError
from crots.files import exists, is_file, is_pointer
from crots.nets.reasons import parsed
from crots.records import parse

_PART = re.compile(r"(?P<head>.+?)(?P<number>\d{1,5})(?P<of>[-_.]?of[-_.]?)(?P<count>\d{1,5})(?P<suffix>\.\w+)")
# What lists the parts of a model by the names of its tensors, and the largest that is read.
INDEX, _LARGEST_INDEX = ".index.json", 64 * 2**20
# Parts of one model; any name can say any number.
_MOST_PARTS = 1000


def check_file(path: Path) -> None:
    """Raises an error that names the file where it is missing or a folder (fault F15: never silently random).

    Raises:
        InputError: there is no such file.
    """
    if not is_file(path) and exists(path) and path.is_dir():
        raise InputError(f"{path} is a folder; expected a model file (.pth, .ckpt, .safetensors, .onnx ...)")
    if not is_file(path):
        raise InputError(f"found no file {path}; check the path of the model file")


def other_parts(path: Path) -> list[Path]:
    """The other files of a model that was written in several, ``model-00001-of-00003.safetensors``.

    Raises:
        InputError: one of them is missing.
    """
    named = _PART.fullmatch(path.name)
    if not named:
        return []
    count = int(named["count"])
    if count > _MOST_PARTS:
        raise InputError(f"{path} says that it is one of {count} parts, expected {_MOST_PARTS} at most")
    width, tail = len(named["number"]), f"{named['of']}{named['count']}{named['suffix']}"
    # Some programs count from 0.
    zero = f"{named['head']}{0:0{width}}{tail}"
    first = 0 if zero == path.name or is_file(path.with_name(zero)) else 1
    names = [f"{named['head']}{number:0{width}}{tail}" for number in range(first, first + count)]
    if path.name not in names:
        return []
    others = [path.with_name(name) for name in names if name != path.name]
    missing = [other.name for other in others if not is_file(other)]
    if missing:
        raise InputError(
            f"{path} is part {names.index(path.name) + 1} of {count} of a model; missing beside it: "
            f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}; put all parts into one folder"
        )
    return others


def first_part(path: Path) -> Path:
    """The first part of a model, where ``path`` is the list of its parts; else ``path`` itself.

    Raises:
        InputError: the list is damaged, or a part is not beside it.
    """
    if not path.name.lower().endswith(INDEX):
        return path
    check_file(path)
    with parsed(path, _damaged_list):
        # Names alone are taken, so that a list reaches no other folder.
        names = sorted({str(name) for name in parse(path.read_bytes(), most=_LARGEST_INDEX)["weight_map"].values()})
    for name in names:
        if "/" in name or "\\" in name or not is_file(path.with_name(name)):
            raise InputError(
                f"{path} lists the part {name[:100]}, which is not beside it; put all parts into one folder"
            )
    if not names:
        raise InputError(f"{path} lists no parts of a model; choose the file that holds the weights")
    return path.with_name(names[0])


def _damaged_list(path: Path, error: BaseException) -> InputError:
    if is_pointer(path):
        return InputError(
            f"{path}: is a Git LFS pointer, not the list of weights itself; run `git lfs pull` in its repository"
        )
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(f"{path}: no list of the parts of a model ({reason[:160]}); copy or download it again")
