"""Which entry of a training checkpoint holds the weights to read.

Programs keep the network, its moving average (EMA), optimisers and more in one file, under names of their own. What is
chosen, and what else could have been, becomes a note.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crots.errors import InputError

# Where training programs put the state dict, the likelier first.
_ENTRIES = (
    "state_dict", "model_state_dict", "model_state", "student", "model", "net", "network", "module", "weights",
)  # fmt: skip
# Words in the names of moving averages of the weights, which are what programs evaluate with.
_AVERAGES = frozenset(("ema", "swa", "average", "averaged", "avg", "shadow", "polyak"))
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# A moving average has as many tensors as the weights; a few are its counters.
_ENOUGH = 0.5
# Its share where only parameters are averaged, and of its keys how many are compared.
_SOME, _SAMPLED = 0.2, 20
# How deeply entries may lie in each other: ``ema`` / ``module``, ``model`` / ``state_dict``.
_DEEPEST = 3
_LONGEST_KEY = 200
# Entries that hold tensors, but no network.
_NO_NETWORK = re.compile("optim|sched|scaler|rng|history", re.IGNORECASE)
# Keys that OpenMMLab's programs write beside the weights: mmengine, and mmcv before it.
_MMENGINE, _MMCV = "message_hub", "mmcv_version"


@dataclass(frozen=True)
class Entry:
    """The weights of a checkpoint.

    Attributes:
        tensors: by the file's keys.
        name: of the entry, ``ema.module``; empty for a plain state dict.
        notes: what was chosen and the user should read.
    """

    tensors: dict[str, Tensor]
    name: str = ""
    notes: tuple[str, ...] = ()


class NoTensors(InputError):
    """A checkpoint holds no weights in the form of tensors."""


def is_average(name: str) -> bool:
    """Whether the name of an entry, or the prefix of keys, says that it is a moving average of the weights."""
    return not _AVERAGES.isdisjoint(word.lower() for word in _WORD.findall(name[:_LONGEST_KEY]))


def find_entry(path: Path, content: Mapping[Any, Any], *, part: str = "", prefix: str = "") -> Entry:
    """Finds the weights in a checkpoint.

    Args:
        path: its file, for messages.
        content: of the file.
        part: entry that must hold them; empty finds it.
        prefix: as the user gives it; where it is the name of an entry, that one is taken.

    Raises:
        NoTensors: there are none.
        InputError: there are none under ``part``, or several networks of which none is the likelier.
    """
    if part:
        tensors = _tensors(content.get(part))
        if not tensors:
            raise InputError(f"{path} holds no network under {part!r}; found {_keys(content)}")
        return Entry(tensors, part)
    states = dict(_states(content, "", 1, set()))
    if (named := prefix.removesuffix(".")) in states:
        return Entry(_tensors(states[named]), named)
    chosen = _choose(path, content, states)
    return Entry(chosen.tensors, chosen.name, (*chosen.notes, *_unread(content, chosen)))


def _choose(path: Path, content: Mapping[Any, Any], states: Mapping[str, Mapping[Any, Any]]) -> Entry:
    plain = next((entry for entry in _ENTRIES if entry in states), "")
    own = sum(isinstance(value, Tensor) for value in content.values())
    if not plain and own >= _ENOUGH * max(map(len, states.values()), default=1):
        return Entry(_tensors(content))
    average = _average(states, plain)
    if average and plain and _holds_average(content):
        note = f"{plain} holds the moving average of the weights, as mmengine writes it, and is used"
        return Entry(_tensors(states[plain]), plain, (f"{note}; the prefix {average} selects the last weights",))
    if average:
        note = f"the moving average of the weights, {average}, is used"
        note += f", not {plain}; the prefix {plain} selects that" if plain else ""
        return Entry(_tensors(states[average]), average, (note,))
    if plain:
        return Entry(_tensors(states[plain]), plain, _rivals(states, plain))
    # Of several networks, such as a generator and a discriminator, only the user can choose.
    tops = [entry for entry in states if not any(entry.startswith(f"{other}.") for other in states)]
    if len(tops) > 1:
        raise InputError(
            f"{path} holds several networks: {', '.join(tops[:8])}; give the one to use as the prefix",
            field="source.prefix",
        )
    if not tops:
        raise NoTensors(
            f"{path} holds no tensors, found {_keys(content)}; expected a state dict, alone or under 'state_dict'"
        )
    return Entry(_tensors(states[tops[0]]), tops[0], (f"the weights lie under {tops[0]}",))


def _average(states: Mapping[str, Mapping[Any, Any]], plain: str) -> str:
    """The entry with a moving average of the weights; empty where there is none."""
    for entry, state in states.items():
        if is_average(entry) and len(state) >= _ENOUGH * len(states.get(plain, state)):
            return entry
    return ""


def _holds_average(content: Mapping[Any, Any]) -> bool:
    """Whether the program exchanges weights and average when it saves, so that the plain entry is the average."""
    meta = content.get("meta")
    return _MMENGINE in content or (isinstance(meta, Mapping) and "mmengine_version" in meta)


def _rivals(states: Mapping[str, Mapping[Any, Any]], chosen: str) -> tuple[str, ...]:
    """A note about other networks as large as the chosen one."""
    size = _ENOUGH * len(states[chosen])
    others = [
        entry
        for entry, state in states.items()
        if len(state) >= size and not f"{entry}.".startswith(f"{chosen}.") and not chosen.startswith(f"{entry}.")
    ]
    if not others:
        return ()
    return (f"{chosen} is used; the file also holds {', '.join(others[:4])}, which its name as the prefix selects",)


def _unread(content: Mapping[Any, Any], chosen: Entry) -> tuple[str, ...]:
    """Notes about moving averages in forms that are not read: lists without names, and names without dots."""
    notes = []
    if flat := _flat_copies(chosen.tensors):
        meta = content.get("meta")
        if isinstance(meta, Mapping) and _MMCV in meta:
            notes.append("the weights are the moving average written by mmcv; the last weights are not read")
        else:
            notes.append(
                f"it holds a moving average of the weights as well ({flat[:60]} ...), in a form that is not read; "
                "save the averaged network's state_dict() to use it"
            )
    for name, count in _lists(content, "", 1):
        if is_average(name) and not is_average(chosen.name) and count >= _SOME * len(chosen.tensors):
            notes.append(
                f"it holds a moving average of the weights as well ({name}), but as a list without names, which is not "
                "read; save the averaged network's state_dict() to use it"
            )
    return tuple(notes)


def _flat_copies(tensors: Mapping[str, Tensor]) -> str:
    """The first of the keys that are those of other tensors without their dots, as buffers are named; empty if none."""
    flat = [key for key in tensors if key.count(".") <= 1 and is_average(key)]
    if len(flat) < _SOME * len(tensors):
        return ""
    names = {_letters(key) for key in tensors.keys() - set(flat)}
    copies = sum(any(_letters(key).endswith(name) for name in names) for key in flat[:_SAMPLED])
    return flat[0] if copies >= _ENOUGH * len(flat[:_SAMPLED]) else ""


def _letters(key: str) -> str:
    return re.sub(r"[._]", "", key)


def _lists(content: Mapping[Any, Any], before: str, depth: int) -> Iterator[tuple[str, int]]:
    """Yields lists of tensors by name, and how many they hold."""
    for key, value in content.items():
        if not isinstance(key, str) or len(key) > _LONGEST_KEY or _NO_NETWORK.search(key):
            continue
        if isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) and item.ndim > 1 for item in value):
            yield before + key, len(value)
        elif isinstance(value, Mapping) and depth < 2:
            yield from _lists(value, f"{before}{key}.", depth + 1)


def _states(
    content: Mapping[Any, Any], before: str, depth: int, seen: set[int]
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yields the entries of a checkpoint that hold weights by name, outer ones first; each is visited once."""
    for key, value in content.items():
        fits = isinstance(key, str) and len(key) <= _LONGEST_KEY and isinstance(value, Mapping)
        if not fits or id(value) in seen or _NO_NETWORK.search(key):
            continue
        seen.add(id(value))
        if any(isinstance(item, Tensor) and (item.ndim > 1 or key in _ENTRIES) for item in value.values()):
            yield before + key, value
        if depth < _DEEPEST:
            yield from _states(value, f"{before}{key}.", depth + 1, seen)


def named_mappings(content: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """Yields the dictionaries in which the weights of a checkpoint may lie, with the keys that lead to each."""
    queue: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = [((), content)]
    seen = {id(content)}
    for names, mapping in queue:
        yield names, mapping
        for key, value in mapping.items() if len(names) < _DEEPEST else ():
            fits = isinstance(key, str) and len(key) <= _LONGEST_KEY and isinstance(value, Mapping)
            if fits and id(value) not in seen and not _NO_NETWORK.search(key):
                seen.add(id(value))
                queue.append(((*names, key), value))


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
                "network as it was trained, before it was quantized"
            )
    return found
