"""Reading files that may be damaged or of unknown origin: everything in a project folder, and settings.

A file has to be a regular file of bounded size with text or JSON of bounded depth and of the expected types;
anything else is an `InputError` that names the file and the remedy.
"""

from __future__ import annotations

import codecs
import dataclasses
import functools
import json
import math
import os
import re
import stat
import tomllib
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from crots.errors import InputError
from crots.files import way_to_read

T = TypeVar("T")
Check = Callable[[Any], bool]

# Bytes; the index of a million patches takes about 300 MB.
LARGEST = 1 << 30
# Nested brackets; our own files have at most six levels.
DEEPEST = 64
# Bytes.
_LARGEST_TOML = 1 << 23
# The time that Python's TOML reader takes for a key grows with the square of its parts.
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:\.[ \t]*+{_PART}){{{DEEPEST}}}")
_INTEGERS = range(-(1 << 63), 1 << 63)
_COUNTS = range(1 << 31)
# Never part of a file name.
_IMPOSSIBLE = re.compile(r"[\x00\ud800-\udfff]")


def is_safe_key(key: Any, *, windows: bool = os.name == "nt") -> bool:
    """Whether a key, or a path of this form, stays in the folder it is joined to: ``aachen/street_01``.

    Args:
        key: with ``/`` between its parts.
        windows: whether backslashes separate names too, and colons name drives and streams.
    """
    if not isinstance(key, str) or _IMPOSSIBLE.search(key):
        return False
    parts = re.split(r"[/\\]" if windows else "/", key)
    return not any(part in ("", ".", "..") for part in parts) and not (windows and ":" in key)


def _is_number_word(text: Any) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10


# Constraints beyond the types.
Key = Annotated[str, is_safe_key]
Digits = Annotated[str, _is_number_word]
Count = Annotated[int, _COUNTS.__contains__]
# Seconds since the epoch, within the range of calendars.
Moment = Annotated[float, lambda value: 0 <= value < 3e10]


def read_plain(path: Path, *, most: int = LARGEST, remedy: str = "delete it or move it away") -> bytes | None:
    """Returns the content of a file; None if there is none.

    Args:
        path: the file.
        most: greatest size in bytes.
        remedy: what the user can do if it cannot be read.

    Raises:
        InputError: it is not a regular file, too large, or cannot be read.
    """
    try:
        # Checked before opening: reading a pipe would block for ever.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            found = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise InputError(f"{path}: found {found}, expected a file; {remedy}")
        if status.st_size > most:
            raise InputError(f"{path}: found {status.st_size} bytes, expected {most} at most; {remedy}")
        return path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError(f"{path}: is a broken link, expected a file; {remedy}") from None
        return None
    except NotADirectoryError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); {way_to_read(error, remedy)}") from None


def is_plain(path: Path, *, remedy: str = "delete it or move it away") -> bool:
    """Whether a file exists; to be called before a library opens it.

    Raises:
        InputError: it is not a regular file.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {way_to_read(error, remedy)}") from None
    if not stat.S_ISREG(mode):
        found = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise InputError(f"{path}: found {found}, expected a file; {remedy}")
    return True


def read_object(path: Path, *, remedy: str = "delete it or move it away") -> dict[str, Any] | None:
    """Reads a JSON object; None if there is no file.

    Raises:
        InputError: it is damaged.
    """
    content = read_plain(path, remedy=remedy)
    if content is None:
        return None
    try:
        found = parse(content)
    except ValueError as error:
        raise InputError(f"{path}: is damaged ({error}); {remedy}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: is damaged (found {named(found)}, expected an object); {remedy}")
    return found


def read_as(path: Path, shape: type[T], *, remedy: str = "delete it or move it away") -> T | None:
    """Reads a JSON object whose fields have the types of ``shape``, a `TypedDict`; None if there is no file.

    Raises:
        InputError: it is damaged, or a field is missing or of another type.
    """
    found = read_object(path, remedy=remedy)
    if found is None or fits(found, shape):
        return found  # type: ignore[return-value]
    raise InputError(f"{path}: is damaged ({misfit(found, shape)}); {remedy}")


def read_json(path: Path) -> dict[str, Any] | None:
    """Reads an optional JSON object; None if the file is missing or damaged."""
    try:
        return read_object(path)
    except InputError:
        return None


def parse(content: bytes | str, *, most: int = LARGEST) -> Any:
    """Reads JSON of unknown origin, with or without a byte-order mark.

    Args:
        content: the JSON.
        most: greatest length in bytes or characters.

    Raises:
        ValueError: it is not JSON, longer than ``most``, or nested too deeply.
    """
    if len(content) > most:
        raise ValueError(f"{len(content):,} characters, expected at most {most:,}")
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode() if isinstance(content, bytes) else content
        found = json.loads(text)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Fast path: a line of the event stream has few brackets, and there may be a million lines.
    if text.count("[") + text.count("{") > DEEPEST and _depth(found) > DEEPEST:
        raise ValueError("it is nested too deeply")
    return found


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        depth += 1
        inner = [list(item.values()) if isinstance(item, dict) else item for item in level if _is_nest(item)]
        level = [item for items in inner for item in items if _is_nest(item)]
    return depth


def _is_nest(value: Any) -> bool:
    return isinstance(value, (dict, list))


def fits(value: Any, annotation: Any) -> bool:
    """Whether plain JSON data has the form of an annotation: a dataclass, `TypedDict`, list, dict, union ..."""
    return _check_of(annotation)(value)


def misfit(values: Mapping[str, Any], shape: type) -> str:
    """Names the first field of an object that does not fit ``shape``."""
    for name, (annotation, needed) in _fields(shape).items():
        if name not in values and needed:
            return f"{name} is missing"
        if name in values and not fits(values[name], annotation):
            return f"{name} is not of the expected form, found {named(values[name])}"
    return "there are unknown fields"


def named(value: Any) -> str:
    """Names the kind of a JSON value."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")


def _fields(shape: Any) -> dict[str, tuple[Any, bool]]:
    """The annotation of each field, and whether it must be there."""
    hints = get_type_hints(shape, include_extras=True)
    if is_typeddict(shape):
        # Python does not resolve NotRequired in string annotations.
        optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
        return {name: (get_args(h)[0] if name in optional else h, name not in optional) for name, h in hints.items()}
    missing = dataclasses.MISSING
    return {
        field.name: (hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(shape)
    }


@functools.cache
def _check_of(annotation: Any) -> Check:
    """Builds and caches the check of an annotation: the event stream may hold a million values."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Annotated:
        base, rule = _check_of(arguments[0]), arguments[1]
        return lambda value: base(value) and rule(value)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in arguments
    if origin in (Union, types.UnionType):
        checks = tuple(map(_check_of, arguments))
        return lambda value: any(check(value) for check in checks)
    if origin in (list, tuple):
        return _list_check(annotation)
    if origin in (dict, Mapping):
        key, item = map(_check_of, arguments)
        return lambda value: isinstance(value, dict) and all(key(k) and item(v) for k, v in value.items())
    return _object_check(annotation)


def _list_check(annotation: Any) -> Check:
    arguments = get_args(annotation)
    item = _check_of(arguments[0])
    length = len(arguments) if get_origin(annotation) is tuple and arguments[-1] is not Ellipsis else None
    return lambda value: isinstance(value, (list, tuple)) and length in (None, len(value)) and all(map(item, value))


def _object_check(shape: Any) -> Check:
    checks = {name: (_check_of(annotation), needed) for name, (annotation, needed) in _fields(shape).items()}
    # A dataclass is built from the fields, so all must be known; a TypedDict may hold more.
    closed = not is_typeddict(shape)

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or (closed and not value.keys() <= checks.keys()):
            return False
        return all(fitting(value[name]) if name in value else not needed for name, (fitting, needed) in checks.items())

    return check


def _is_int(value: Any) -> bool:
    return type(value) is int and value in _INTEGERS


def _is_float(value: Any) -> bool:
    return _is_int(value) or (type(value) is float and math.isfinite(value))


_PLAIN: dict[Any, Check] = {
    Any: lambda _value: True,
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: _is_int,
    float: _is_float,
    type(None): lambda value: value is None,
}


def read_toml(path: Path, what: str = "") -> dict[str, Any]:
    """Reads a TOML file, with or without a byte-order mark.

    Args:
        path: the file.
        what: kind of file, for errors.

    Raises:
        InputError: it is missing, not a file, or not TOML.
    """
    name = f"{what} {path}".strip()
    content = read_plain(path, most=_LARGEST_TOML, remedy="give a TOML file")
    if content is None:
        raise InputError(f"{name}: no such file; give the path of a TOML file")
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
        if _LONG_KEY.search(text):
            raise ValueError(f"a key has more than {DEEPEST} parts")
        found = tomllib.loads(text)
        _refuse_long_integers(found)
        return found
    except UnicodeDecodeError:
        raise InputError(f"{name}: is not UTF-8 text; save it as UTF-8 in your editor") from None
    except RecursionError:
        raise InputError(f"{name}: cannot be read as TOML (it is nested too deeply); simplify it") from None
    except ValueError as error:
        raise InputError(f"{name}: cannot be read as TOML ({error}); correct that line") from None


def _refuse_long_integers(values: Any) -> None:
    """Refuses integers of more than 64 bits: Python reads them in hexadecimal but cannot print them."""
    pending = [values]
    while pending:
        value = pending.pop()
        if type(value) is int and value not in _INTEGERS:
            raise ValueError("an integer has more than 64 bits")
        pending.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
