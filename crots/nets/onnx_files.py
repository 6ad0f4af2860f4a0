"""Opening untrusted ONNX files: references to other files and the memory that they claim are checked first.

onnxruntime folds constants while it opens a file, so that a shape in a file of a few bytes is a tensor in memory.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from crots.errors import InputError
from crots.limits import check_claim
from crots.nets.onnx_outline import outline
from crots.nets.parts import check_file
from crots.nets.quiet import onnx_runtime
from crots.nets.reasons import is_of_torch, parsed, reason_of, stranger

# Operators whose output size is given by a constant among their inputs.
_SHAPED_BY = {"ConstantOfShape": 0, "Expand": 1, "RandomNormal": None, "RandomUniform": None}
_REPEATED_BY = {"Tile": 1}
_WIDEST = 8
# Files of more bytes take the parser so long that the window would freeze.
_LARGE = 2**23
# Messages of onnxruntime about files that are not damaged, with the remedy.
_OWN_OPERATOR = "it uses operators of another program; export it with those of ONNX alone"
_REMEDIES = {
    "IR version": "update onnxruntime, or export it for an older version of ONNX",
    "Opset": "update onnxruntime, or export it with an older opset_version",
    "No opset import for domain": _OWN_OPERATOR,
    "is not a registered function/op": _OWN_OPERATOR,
}


def open_session(path: Path, device: torch.device) -> Any:
    """Returns an onnxruntime session of a file that was checked.

    Raises:
        InputError: it is missing, damaged, reaches outside its folder, or claims more memory than the limit.
    """
    check_file(path)
    with parsed(path, unreadable):
        _check(path)
        return _session(path, device)


def unreadable(path: Path, error: BaseException) -> InputError:
    """Returns the error for a file that is not an ONNX file, or one for another version, in one line."""
    if is_of_torch(path):
        return InputError(f"{path} is a file of PyTorch under the suffix {path.suffix}; rename it to .pt")
    if text := stranger(path):
        return InputError(f"{path} is {text}; expected an ONNX file")
    reason = reason_of(error)
    remedy = next((text for sign, text in _REMEDIES.items() if sign in reason), "copy or export it again")
    return InputError(f"{path} cannot be read as an ONNX file ({reason}); {remedy}")


def _session(path: Path, device: torch.device) -> Any:
    onnxruntime = onnx_runtime()

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    # Its messages are raised as errors.
    settings.log_severity_level = 4
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
    return onnxruntime.InferenceSession(str(path), settings, providers=providers)


def _parsed(path: Path) -> Any:
    """The model in a file; for a large one without the values of its weights, which are not needed here."""
    import onnx

    if path.stat().st_size > _LARGE:
        # The parser reports what cannot be read.
        with contextlib.suppress(ValueError):
            return onnx.load_model_from_string(outline(path))
    return onnx.load(str(path), load_external_data=False)


def _check(path: Path) -> None:
    check_claim(path, path.stat().st_size, "the file")
    model = _parsed(path)
    claimed = 0
    for graph in _graphs(model):
        for tensor in _tensors(graph):
            _check_place(path, tensor)
            claimed += _bytes_of(tensor)
        claimed += _made_by(graph)
    check_claim(path, claimed, "its tensors")
    for item in (*model.graph.input, *model.graph.output):
        sides = [side.dim_value for side in item.type.tensor_type.shape.dim]
        check_claim(path, _WIDEST * math.prod(max(1, side) for side in sides), f"its {item.name[:40]!r} of {sides[:8]}")


def _graphs(model: Any) -> Iterator[Any]:
    """Yields the graph, those inside its nodes, and the functions, whose nodes are all that is asked of them."""
    pending = [model.graph, *model.functions]
    while pending:
        graph = pending.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                pending += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _tensors(graph: Any) -> Iterator[Any]:
    yield from getattr(graph, "initializer", ())
    for sparse in getattr(graph, "sparse_initializer", ()):
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from ([attribute.t] if attribute.HasField("t") else [])
            yield from attribute.tensors


def _bytes_of(tensor: Any) -> int:
    return _WIDEST // 2 * math.prod(max(0, int(side)) for side in tensor.dims)


def _check_place(path: Path, tensor: Any) -> None:
    """Refuses data outside the file that do not lie in its own folder, or are reached by a link."""
    if not tensor.external_data:
        return
    name = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    parts = name.replace("\\", "/").split("/")
    inside = name and ".." not in parts and not os.path.isabs(name) and ":" not in parts[0]  # noqa: PTH117
    steps = [path.parent.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    if inside and not any(step.is_symlink() for step in steps) and not steps[-1].exists():
        raise InputError(
            f"{path}: its weights lie in another file, {name[:200]!r}, which is missing; copy it to {path.parent}, or "
            "export the model again as one file"
        )
    if not inside or any(step.is_symlink() for step in steps) or not steps[-1].is_file():
        raise InputError(
            f"{path}: its data lie in {name[:200]!r}, expected a file in its own folder, no link; "
            "export it again as one file"
        )
    _check_length(path, tensor, steps[-1])


def _check_length(path: Path, tensor: Any, place: Path) -> None:
    stated = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = (int(text) if (text := stated.get(key, "0")).isdecimal() else 0 for key in ("offset", "length"))
    if offset + length > (held := place.stat().st_size):
        message = stranger(place) or f"cut short: it holds {held:,} bytes, expected {offset + length:,}; copy it again"
        raise InputError(f"{path}: its weights lie in {place.name[:200]}, which is {message}")


def _made_by(graph: Any) -> int:
    """Bytes of what nodes make of constant shapes."""
    constants = dict(_constants(graph))
    return sum(_made_by_node(node, constants) for node in graph.node)


def _constants(graph: Any) -> Iterator[tuple[str, list[int]]]:
    """Yields short lists of whole numbers by name; a shape or a count of repeats is one."""
    for tensor in getattr(graph, "initializer", ()):
        yield tensor.name, _whole(tensor)
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" and node.output else ():
            found = _whole(attribute.t) if attribute.HasField("t") else list(attribute.ints)
            yield node.output[0], found


def _whole(tensor: Any) -> list[int]:
    from onnx import TensorProto, numpy_helper

    short = math.prod(max(0, side) for side in tensor.dims) <= 16
    if not short or tensor.data_type != TensorProto.INT64 or tensor.external_data:
        return []
    return [int(value) for value in numpy_helper.to_array(tensor).reshape(-1)]


def _made_by_node(node: Any, constants: dict[str, list[int]]) -> int:
    if node.op_type in _SHAPED_BY:
        place = _SHAPED_BY[node.op_type]
        if place is None:
            return _WIDEST * _product(side for item in node.attribute if item.name == "shape" for side in item.ints)
        return _WIDEST * _product(_input(node, place, constants))
    if node.op_type in _REPEATED_BY:
        return _WIDEST * _product(_input(node, _REPEATED_BY[node.op_type], constants))
    if node.op_type == "Range":
        start, limit, step = (_input(node, place, constants) for place in range(3))
        return _WIDEST * abs(limit[0] - start[0]) // max(1, abs(step[0])) if start and limit and step else 0
    return 0


def _input(node: Any, place: int, constants: dict[str, list[int]]) -> list[int]:
    return constants.get(node.input[place], []) if len(node.input) > place else []


def _product(sides: Iterable[int]) -> int:
    sides = list(sides)
    return math.prod(max(1, side) for side in sides) if sides else 0
