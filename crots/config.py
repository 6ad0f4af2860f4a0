"""Options described once: a frozen dataclass per group, from which TOML, flags, forms, help and tables are made.

Each field is made by `option` and so carries its help, range, unit, fault number and published value. This module and
those of the options import no torch, so that help, forms and status are instant.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from crots.errors import InputError
from crots.files import expanded

Profile = Literal["recommended", "published"]
PROFILES: tuple[Profile, ...] = ("recommended", "published")
# What version 0.1 called them; its projects are still read.
_EARLIER_PROFILES = {"corrected": "recommended"}


def profile_named(name: object) -> Profile | None:
    """Returns the profile of this name, or of the one that it had in version 0.1; None where there is none."""
    return next((profile for profile in PROFILES if profile == _EARLIER_PROFILES.get(str(name), name)), None)


# How an option names files: a folder, a file, or a file where it is not the name of something shipped.
PathKind = Literal["", "folder", "file", "name or file"]

_UNSET: Any = object()
_LONGEST_NAME = 80
_MOST_NAMES = 200
Options = TypeVar("Options")


class Size(NamedTuple):
    """Width and height in pixels, written ``512x256``."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class Grid(NamedTuple):
    """Rows and columns of a grid, written ``4x4``."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


class Duration(NamedTuple):
    """A time, written ``90m``, ``2h`` or ``1h30m``."""

    minutes: int

    def __str__(self) -> str:
        hours, minutes = divmod(self.minutes, 60)
        return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")


@dataclass(frozen=True)
class OptionInfo:
    """The description of one option; ``kind`` is its Python type, ``optional`` if ``None`` is allowed."""

    name: str
    kind: Any
    optional: bool
    default: Any
    published: Any
    help: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    unit: str
    fault: str
    affects_result: bool
    stored: bool
    title: str
    path: PathKind
    flag: str

    def default_for(self, profile: Profile) -> Any:
        """The value when the user gives none."""
        return self.published if profile == "published" else self.default


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    fault: str = "",
    published: Any = _UNSET,
    affects_result: bool = True,
    stored: bool = True,
    title: str = "",
    path: PathKind = "",
    flag: str = "",
) -> Any:
    """Declares a dataclass field with everything forms, flags and tables need.

    Args:
        default: value of the ``recommended`` profile, already of the field's type.
        help: one sentence.
        low: smallest allowed number, inclusive.
        high: largest allowed number, inclusive.
        choices: the allowed strings, if not all are allowed; not needed with a ``Literal`` type.
        unit: ``px``, ``steps`` ...
        fault: the fault of the published code that it corrects, ``F2``.
        published: value of the ``published`` profile, if it differs.
        affects_result: False for options of speed or display only; changing them makes no stage stale.
        stored: False for options of a single run, which must not be stored in a project file.
        title: what forms call it; empty makes ``Learning rate`` of ``learning_rate``.
        path: what kind of path it holds, if any.
        flag: its flag on the command line; empty makes ``--learning-rate``. A command may choose another.
    """
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "choices": choices,
        "unit": unit,
        "fault": fault,
        "published": default if published is _UNSET else published,
        "affects_result": affects_result,
        "stored": stored,
        "title": title,
        "path": path,
        "flag": flag,
    }
    return dataclasses.field(default=default, metadata=metadata)


def describe(options_class: type[Any]) -> tuple[OptionInfo, ...]:
    """Returns the description of every option of a class, in the order of its fields."""
    if options_class not in _described:
        hints = typing.get_type_hints(options_class)
        fields = dataclasses.fields(options_class)
        _described[options_class] = tuple(_describe(field, hints[field.name]) for field in fields)
    return _described[options_class]


# Type hints are slow to resolve, and options are built often.
_described: dict[type[Any], tuple[OptionInfo, ...]] = {}


def _describe(field: dataclasses.Field[Any], hint: Any) -> OptionInfo:
    kind, optional = _strip_optional(hint)
    metadata = dict(field.metadata)
    if typing.get_origin(kind) is Literal:
        metadata["choices"], kind = typing.get_args(kind), str
    metadata["title"] = metadata["title"] or field.name.replace("_", " ").capitalize()
    metadata["flag"] = metadata["flag"] or "--" + field.name.replace("_", "-")
    return OptionInfo(name=field.name, kind=kind, optional=optional, default=field.default, **metadata)


def _strip_optional(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        return rest[0], True
    return hint, False


def defaults(options_class: type[Options], profile: Profile) -> Options:
    """Returns the options of a profile."""
    return options_class(**{info.name: info.default_for(profile) for info in describe(options_class)})


def from_mapping(
    options_class: type[Options], values: Mapping[str, Any], *, where: str, profile: Profile = "recommended"
) -> Options:
    """Builds options from TOML values, flags or form entries, on top of the profile's defaults.

    Args:
        options_class: the dataclass to fill.
        values: by field name (dashes count as underscores); strings are parsed, so ``"512x256"`` is a `Size`.
        where: the path that errors name, ``adapt``.
        profile: whose defaults fill the rest.

    Raises:
        InputError: unknown name, wrong type or out of range; ``field`` says which.
    """
    known = {info.name: info for info in describe(options_class)}
    removed: Mapping[str, str] = getattr(options_class, "REMOVED", {})
    given: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name in removed:
            # Projects that left it off, as it was by default, lose nothing.
            if str(value) not in ("0", "0.0", "False"):
                text = f"{where}.{name}: this option was removed, {removed[name]}; delete it"
                raise InputError(text, field=f"{where}.{name}")
            continue
        if name not in known:
            raise unknown_name(f"{where}.{key}", key, list(known), what="option")
        if name in given:
            raise InputError(f"{where}.{name}: given twice, once with dashes; leave one out", field=f"{where}.{name}")
        given[name] = check(known[name], value, where=f"{where}.{name}")
    return dataclasses.replace(defaults(options_class, profile), **given)  # type: ignore[type-var]


def unknown_name(field: str, found: str, allowed: list[str], *, what: str, remedy: str = "") -> InputError:
    """Returns the error for a name that is not in a list, with the nearest ones, and what else may be done."""
    # Names that come from files may be of any length and number.
    found = found if len(found) <= _LONGEST_NAME else found[: _LONGEST_NAME - 3] + "..."
    near = difflib.get_close_matches(found, allowed, n=3, cutoff=0.5)
    rest = f" and {len(allowed) - _MOST_NAMES} more" if len(allowed) > _MOST_NAMES else ""
    hint = f"did you mean {' or '.join(near)}?" if near else f"the choices are {', '.join(allowed[:_MOST_NAMES])}{rest}"
    more = f"; {remedy}" if remedy else ""
    return InputError(f"{field}: unknown {what} {found!r}; {hint}{more}", field=field)


def check(info: OptionInfo, value: Any, *, where: str) -> Any:
    """Parses and checks one value.

    Raises:
        InputError: it does not fit; the message names ``where``, what was found and what is allowed.
    """
    if info.optional and (value is None or value == "none" or value == ""):
        return None
    try:
        parsed = parse(info.kind, value)
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{where}: found {value!r}, expected {expectation(info)}", field=where) from None
    if not _allowed(info, parsed):
        raise InputError(f"{where}: found {value!r}, expected {expectation(info)}", field=where)
    return parsed


def _allowed(info: OptionInfo, value: Any) -> bool:
    parts = value if isinstance(value, tuple) else (value,)
    if info.choices and not all(part in info.choices for part in parts):
        return False
    for number in parts:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            continue
        # "not (a <= b)" rather than "a > b", so that NaN is refused too.
        if info.low is not None and not number >= info.low:
            return False
        if info.high is not None and not number <= info.high:
            return False
        if number != number:
            return False
    return True


def expectation(info: OptionInfo) -> str:
    """Describes the values that an option takes: ``a number from 0 to 1``."""
    if info.choices:
        several = typing.get_origin(info.kind) is tuple
        return ("some of " if several else "one of ") + ", ".join(info.choices)
    expected = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        Path: "a path",
        Size: "a size like 512x256",
        Grid: "a grid like 4x4",
        Duration: "a time like 90m or 1h30m",
    }
    text = expected.get(info.kind, "a list separated by commas")
    low, high = _shown(info.low), _shown(info.high)
    if low and high:
        text += f" from {low} to {high}"
    elif low:
        text += f", at least {low}"
    elif high:
        text += f", at most {high}"
    return text + (f" ({info.unit})" if info.unit else "") + (" or none" if info.optional else "")


def _shown(limit: float | None) -> str:
    if limit is None:
        return ""
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def parse(kind: Any, value: Any) -> Any:
    """Converts a TOML value, a string or a value of the right type to ``kind``.

    Raises:
        ValueError: it is no such thing.
    """
    if kind is bool:
        return _parse_bool(value)
    if kind in (int, float):
        return _parse_number(kind, value)
    if kind in (Size, Grid):
        return kind(*_parse_pair(value))
    if kind is Duration:
        return _parse_duration(value)
    if kind is Path:
        return expanded(value)
    if kind is str:
        if not isinstance(value, str):
            raise ValueError("not text")
        return value
    if typing.get_origin(kind) is tuple:
        return _parse_list(typing.get_args(kind)[0], value)
    raise TypeError(f"options of type {kind} are not supported")


def _parse_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    booleans = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if str(value).lower() not in booleans:
        raise ValueError("not a truth value")
    return booleans[str(value).lower()]


def _parse_number(kind: type[int] | type[float], value: Any) -> int | float:
    if isinstance(value, bool):
        raise ValueError("not a number")
    number = float(value)
    if kind is float:
        return number
    if number != int(number):
        raise ValueError("not whole")
    return int(number)


def _parse_pair(value: Any) -> tuple[int, int]:
    parts = str(value).lower().split("x") if isinstance(value, str) else list(value)
    if len(parts) != 2:
        raise ValueError("not a pair")
    return int(_parse_number(int, parts[0])), int(_parse_number(int, parts[1]))


_DURATION = re.compile(r"(?:(\d{1,5})\s*h(?:rs?|ours?)?)?\s*(?:(\d{1,6})\s*m(?:in(?:ute)?s?)?)?")


def _parse_duration(value: Any) -> Duration:
    """Reads a time; a bare number could mean minutes or hours, and is refused."""
    found = _DURATION.fullmatch(str(value).strip().lower())
    minutes = 60 * int(found[1] or 0) + int(found[2] or 0) if found else 0
    if not minutes:
        raise ValueError("no time")
    return Duration(minutes)


def _parse_list(kind: Any, value: Any) -> tuple[Any, ...]:
    parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else list(value)
    return tuple(parse(kind, part) for part in parts)


def to_plain(value: Any) -> Any:
    """Converts an option's value to a type of TOML and JSON."""
    if isinstance(value, (Size, Grid, Duration)):
        return str(value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, tuple):
        return [to_plain(part) for part in value]
    return value


def shown(value: Any) -> str:
    """Formats an option's value as the user would type it; '' for None."""
    plain = to_plain(value)
    if plain is None or plain == "":
        return ""
    if isinstance(plain, bool):
        return "on" if plain else "off"
    if isinstance(plain, list):
        return ",".join(map(str, plain))
    return f"{plain:g}" if isinstance(plain, float) else str(plain)


def to_mapping(options: Any, *, only_result: bool = False) -> dict[str, Any]:
    """Returns options as plain values by name; with ``only_result`` only those that affect a result."""
    return {
        info.name: to_plain(getattr(options, info.name))
        for info in describe(type(options))
        if info.affects_result or not only_result
    }


def changed(options: Any, profile: Profile) -> dict[str, Any]:
    """Returns, as plain values, the stored options that differ from the profile's defaults."""
    base, now = to_mapping(defaults(type(options), profile)), to_mapping(options)
    return {
        info.name: now[info.name]
        for info in describe(type(options))
        if info.stored and now[info.name] != base[info.name]
    }
