"""Reading checkpoints of a training stage, which may be truncated, of unknown origin, or of another network."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crots.errors import StageError
from crots.files import atomic_path, disk_file
from crots.records import Count, fits, is_plain
from crots.training.learner import Learner, State


def save_checkpoint(path: Path, state: State) -> None:
    """Writes a checkpoint, atomically.

    Raises:
        StageError: the disk is full or the folder cannot be written.
    """
    with atomic_path(path, durable=True) as partial, disk_file(partial) as file:
        torch.save(state, file)


class DamagedError(StageError):
    """The checkpoint is damaged or not of this stage."""


def read_checkpoint(path: Path, learner: Learner, *, weights_only: bool = False) -> State:
    """Reads a checkpoint and checks that it fits this learner, before any of it is restored.

    Args:
        path: the file.
        learner: whose weights and optimiser it has to fit.
        weights_only: it has no optimiser state.

    Raises:
        DamagedError: it is truncated or does not fit.
        InputError: it is not a regular file.
        StageError: it cannot be read because of the disk or its permissions; the file may be intact.
    """
    if not is_plain(path):
        raise DamagedError(f"{path}: is missing")
    try:
        state = torch.load(path, map_location=learner.engine.device, weights_only=True)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except OSError as error:
        # For a truncated file the loader seeks before its beginning, which is an OSError too.
        if error.errno == errno.EINVAL:
            raise DamagedError(f"{path}: is damaged (it is truncated)") from error
        raise StageError(f"{path}: cannot be read ({error.strerror or error}); check its disk") from error
    except Exception as error:  # the loader raises all kinds of exceptions on damaged files
        raise DamagedError(f"{path}: is damaged ({type(error).__name__})") from error
    if problem := _problem(state, learner, weights_only=weights_only):
        raise DamagedError(f"{path}: is damaged ({problem})")
    if not weights_only and state["optimiser"]["scaler"].keys() != learner.optimiser.state_dict()["scaler"].keys():
        # The file may be intact and hold days of work.
        raise StageError(f"{path}: was written on another device or with another precision; continue with those")
    return dict(state)


def _problem(state: Any, learner: Learner, *, weights_only: bool) -> str:
    if not isinstance(state, dict) or not fits(state.get("step"), Count):
        return "it holds no step"
    for name, own in learner.weights().items():
        if not _same_form(state.get(name), own):
            return f"the weights of the {name} are not those of this network"
    if weights_only:
        return ""
    if not fits(state.get("events"), Count) or not isinstance(state.get("looks"), list):
        return "it does not hold the state of the stage"
    if state["step"] > learner.options.total:
        return f"step {state['step']} of {learner.options.total}"
    return "" if _fits_optimiser(state.get("optimiser"), learner) else "the optimiser's state is not of this stage"


def _same_form(found: Any, own: Any) -> bool:
    if not isinstance(own, Mapping):
        return found is own or type(found) is type(own)
    if not isinstance(found, Mapping) or found.keys() != own.keys():
        return False
    return all(_same_tensor(found[name], value) for name, value in own.items())


def _same_tensor(found: Any, own: Any) -> bool:
    if not isinstance(own, Tensor):
        return type(found) is type(own)
    return isinstance(found, Tensor) and found.shape == own.shape and found.dtype == own.dtype


def _fits_optimiser(found: Any, learner: Learner) -> bool:
    """Checks the form of an optimiser's state against the learner's, which is empty before its first step."""
    own = learner.optimiser.state_dict()
    if not isinstance(found, dict) or found.keys() != own.keys():
        return False
    scale = found["scaler"]
    numbers = isinstance(scale, dict) and all(isinstance(value, (int, float)) for value in scale.values())
    return numbers and _same_nest(found["adam"], own["adam"], _shapes(learner))


def _shapes(learner: Learner) -> set[tuple[int, ...]]:
    return {tuple(parameter.shape) for parameter in learner.student.net.parameters()} | {()}


def _same_nest(found: Any, own: Any, shapes: set[tuple[int, ...]]) -> bool:
    if isinstance(own, Mapping) and not own:
        return isinstance(found, Mapping) and all(_is_state(value, shapes) for value in found.values())
    if isinstance(own, Mapping):
        same = isinstance(found, Mapping) and found.keys() == own.keys()
        return same and all(_same_nest(found[name], value, shapes) for name, value in own.items())
    if isinstance(own, (list, tuple)):
        same = isinstance(found, (list, tuple)) and len(found) == len(own)
        return same and all(_same_nest(one, other, shapes) for one, other in zip(found, own, strict=True))
    if isinstance(own, Tensor):
        return _same_tensor(found, own)
    numbers = isinstance(own, (int, float)) and isinstance(found, (int, float))
    return numbers or type(found) is type(own)


def _is_state(value: Any, shapes: set[tuple[int, ...]]) -> bool:
    """Whether this is the optimiser state of one parameter: tensors of its shape, and numbers."""
    if isinstance(value, Mapping):
        return all(_is_state(item, shapes) for item in value.values())
    if isinstance(value, Tensor):
        return tuple(value.shape) in shapes
    return value is None or isinstance(value, (int, float, str))
