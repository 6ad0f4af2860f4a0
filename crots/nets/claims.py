"""Reads the sizes that a PyTorch file states, without allocating any of it.

A tensor is stored as an offset into a storage, sizes and strides, and torch trusts all of them: a few bytes can request
any amount of memory, or more of a storage than the file holds, so that torch reads past its end. So the pickles are
first read with stand-ins for everything that they name, which only add up sizes.
"""

from __future__ import annotations

import functools
import math
import pickle
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

# The C unpickler reserves memory for as many memo entries as a file states; this one does not.
_Unpickler = pickle._Unpickler
# A legacy file holds its magic number, protocol, system and content, before the bytes of the storages.
_LEGACY_PICKLES = 4
_MAGIC = 0x1950A86A20F9469CFC6C
# Most read operations of a pickle; a thousand tensors take about 200,000. A zip of 1 MB may hold a pickle of 1 GB.
_MOST_STEPS = 8 * 10**6
# Bytes of a pickle that is read for its plain data; that of a thousand tensors has about 150,000.
_MOST_PLAIN = 64 * 2**20
# Bytes of an element by the names that torch's storages and tensors have; all others are counted in bytes.
_WIDTHS = {
    "": 4, "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "QInt32": 4,
    "ComplexDouble": 16, "ComplexFloat": 8,
}  # fmt: skip
# Newer types are stored as bytes, and the tensor has the type.
_WIDEST_NEW = 8


@dataclass(frozen=True)
class _Storage:
    """A storage of ``size`` elements of ``width`` bytes."""

    size: int
    width: int


@dataclass
class _Claims:
    """Sums of sizes while pickles are read.

    Attributes:
        storages: bytes by key.
        tensors: bytes of all tensors if each had its own storage.
        other: bytes of what is made directly.
    """

    storages: dict[str, int] = field(default_factory=dict)
    tensors: int = 0
    other: int = 0


class _StandIn:
    """Stand-in for any object that a pickle names, builds or fills."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def add(self, item: Any) -> None: ...


class _Bounded:
    """A file that limits each read to its size, and the number of reads: a length in a pickle may be any number."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left, self._steps = file, size, 0

    def read(self, count: int) -> bytes:
        """Reads at most ``count`` bytes."""
        return self._taken(self._file.read(min(count, self._left)))

    def readline(self) -> bytes:
        """Reads a line."""
        return self._taken(self._file.readline(self._left))

    def _taken(self, found: bytes) -> bytes:
        self._left -= len(found)
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ValueError(f"its pickle takes more than {_MOST_STEPS:,} steps")
        return found


class _Reader(_Unpickler):
    """Reads a pickle of unknown origin: nothing in it is imported, called or allocated."""

    def __init__(self, file: _Bounded, claims: _Claims) -> None:
        super().__init__(file, encoding="latin1")
        self._bounded, self._claims = file, claims

    def _pass_frame(self) -> None:
        """Reads the length of a frame and no more: a whole one would be read at once."""
        self._bounded.read(8)

    def _refuse_byte_array(self) -> None:
        """Refuses byte arrays that would be allocated before they are read; torch's tensors need none."""
        raise pickle.UnpicklingError("a byte array")

    dispatch: ClassVar[dict[int, Any]] = {
        **_Unpickler.dispatch,
        pickle.FRAME[0]: _pass_frame,
        pickle.BYTEARRAY8[0]: _refuse_byte_array,
    }

    def find_class(self, module: str, name: str) -> Any:
        if name.startswith("_rebuild_tensor"):
            return functools.partial(self._rebuild, _WIDEST_NEW if name.endswith("v3") else 0)
        if name in ("bytearray", "dtype") or (name.endswith(("Tensor", "Storage")) and module.startswith("torch")):
            return _maker(self._claims, name)
        return _StandIn

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] not in ("storage", b"storage"):
            return _StandIn()
        kind, key, size = pid[1], str(pid[2]), pid[4]
        storage = _Storage(_count(size), getattr(kind, "width", 1))
        self._claims.storages[key] = max(self._claims.storages.get(key, 0), storage.size * storage.width)
        return storage

    def _rebuild(self, width: int, storage: Any, offset: Any, sizes: Any, strides: Any, *_: Any) -> Any:
        if isinstance(storage, _Storage):
            self._claims.tensors += _tensor_bytes(width or storage.width, offset, sizes, strides)
        return _StandIn()


def _maker(claims: _Claims, name: str) -> type[_StandIn]:
    """Returns the stand-in of a class whose arguments state its size; for storages the element size is known."""

    class Maker(_StandIn):
        width = _width(name)

        def __new__(cls, *args: Any, **__: Any) -> Any:
            numbers = [number for arg in args for number in _numbers(arg)]
            claims.other += cls.width * math.prod(numbers) if numbers else 0
            return object.__new__(cls)

    return Maker


def _width(name: str) -> int:
    return _WIDTHS.get(name.removesuffix("Tensor").removesuffix("Storage"), 1)


def _numbers(arg: Any) -> Iterator[int]:
    if type(arg) is int:
        yield _count(arg)
    elif isinstance(arg, str):  # a type such as V1000000
        yield from (int(digits[:30]) for digits in re.findall(r"\d+", arg))


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"found the size {value!r}")
    return value


def _tensor_bytes(width: int, offset: Any, sizes: Any, strides: Any) -> int:
    """Bytes of a tensor, and of the storage that it needs, whichever is more."""
    sizes, strides = [_count(size) for size in sizes], [_count(stride) for stride in strides]
    elements = math.prod(sizes)
    reach = _count(offset) + 1 + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    return width * (max(elements, reach) if elements else 0)


def claimed_by_pickles(path: Path) -> int:
    """Returns how many bytes the storages, tensors and buffers of a PyTorch file take when loaded.

    Raises:
        ValueError: it claims more of a storage than it holds.
        Exception: it is damaged, in any other way.
    """
    claims = _Claims()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return _claimed_in_archive(archive, claims)
    held = path.stat().st_size
    with path.open("rb") as file:
        bounded = _Bounded(file, held)
        for number in range(_LEGACY_PICKLES):
            found = _Reader(bounded, claims).load()
            if number == 0 and found != _MAGIC:
                break  # torch refuses it, with an error that depends on the kind of pickle
    if sum(claims.storages.values()) > held:
        raise ValueError("its storages are larger than the file")
    return max(held, claims.tensors) + claims.other


def plain_content(path: Path) -> Any:
    """Returns what a PyTorch file holds, with stand-ins for all that is not plain data; nothing in it is run.

    Raises:
        Exception: it is not a PyTorch file, or is damaged in any way.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
            size = archive.getinfo(name).file_size
            if size > _MOST_PLAIN:
                raise ValueError(f"its pickle has {size:,} bytes")
            with archive.open(name) as file:
                return _Reader(_Bounded(file, size), _Claims()).load()
    with path.open("rb") as file:
        bounded = _Bounded(file, min(path.stat().st_size, _MOST_PLAIN))
        found = _Reader(bounded, _Claims()).load()
        for _ in range(_LEGACY_PICKLES - 1 if found == _MAGIC else 0):
            found = _Reader(bounded, _Claims()).load()
        return found


def _claimed_in_archive(archive: zipfile.ZipFile, claims: _Claims) -> int:
    members = archive.infolist()
    sizes = {member.filename: member.file_size for member in members}
    if len(sizes) < len(members):
        raise ValueError("an entry occurs twice")
    for name in sizes:
        root, slash, last = name.rpartition("/")
        if last != "data.pkl":
            continue
        with archive.open(name) as file:
            _Reader(_Bounded(file, sizes[name]), claims).load()
        for key, claimed in claims.storages.items():
            if claimed > sizes.get(f"{root}{slash}data/{key}", 0):
                raise ValueError("a storage is larger than its entry")
        claims.storages.clear()
    return max(sum(sizes.values()), claims.tensors) + claims.other
