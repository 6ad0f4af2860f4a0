"""Which input and output of a program or an ONNX file to use, where it has several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crots.errors import InputError
from crots.nets.source_spec import SourceSpec

# Names of the main output in torchvision, transformers and most exporters.
_MAIN_OUTPUTS = ("logits", "out")

ONNX_TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(uint8)": torch.uint8,
}


def image_input(session: Any, path: Path) -> Any:
    """Returns the description of an ONNX session's only input.

    Raises:
        InputError: it takes something else than one batch of images.
    """
    inputs = session.get_inputs()
    found = inputs[0] if len(inputs) == 1 else None
    if found is None or found.type not in ONNX_TYPES or len(found.shape) != 4:
        listed = ", ".join(f"{item.name} {item.type} {item.shape}" for item in inputs) or "none"
        raise InputError(
            f"{path} has the inputs {listed}; expected one batch of images (N, 3, H, W); export it with images as its "
            "only input, and whatever else it takes as constants"
        )
    sides = [side for side in (found.shape[1], found.shape[3]) if isinstance(side, int) and side > 0]
    if isinstance(found.shape[1], int) and 3 not in sides:
        raise InputError(
            f"{path} takes images of {found.shape[1]} channels ({found.name} {found.shape}), expected 3 (RGB or BGR); "
            "export it with a first step that makes its channels of three"
        )
    return found


def is_channels_last(shape: list[Any]) -> bool:
    """Says whether an input's shape is (N, H, W, 3)."""
    return bool(shape[3] == 3 and shape[1] != 3)


def answer_name(session: Any, path: Path, wanted: str = "") -> str:
    """Returns the name of the output of an ONNX session to read; see `choose_output`.

    Raises:
        InputError: it is ambiguous, or there is none of that name.
    """
    # An output whose sides do not fit an image holds neither labels nor scores; labels may lack the batch.
    ranks = [(item.name, len(item.shape or ())) for item in session.get_outputs()]
    shaped = [name for name, rank in ranks if rank in (0, 3, 4)] or [name for name, rank in ranks if rank == 2]
    names = [item.name for item in session.get_outputs()]
    return choose_output(names if wanted else shaped or names, path, wanted)


def choose_output(names: Sequence[str], path: Path, wanted: str = "") -> str:
    """Chooses one of several outputs by name: ``logits`` or ``out`` where there is one, never an auxiliary head.

    Args:
        names: of the outputs; at least one.
        path: the file, for errors.
        wanted: what the user named; empty finds it.

    Raises:
        InputError: it is ambiguous, or there is none of that name.
    """
    if wanted:
        if wanted not in names:
            raise InputError(
                f"{path} has no output {wanted!r}, found {', '.join(names[:8])}; correct `source.output_name`",
                field="source.output_name",
            )
        return wanted
    if known := next((name for name in _MAIN_OUTPUTS if name in names), None):
        return known
    main = [name for name in names if not name.lower().startswith("aux")] or list(names)
    if len(main) > 1:
        raise InputError(
            f"{path} has the outputs {', '.join(main[:8])}; say which to read (`source.output_name`)",
            field="source.output_name",
        )
    return main[0]


def tensor_of(answer: Any, spec: SourceSpec) -> Tensor:
    """Returns the tensor to read of what a program returned, which may hold several by name or by place.

    Raises:
        InputError: it is ambiguous, or holds no tensor.
    """
    while not isinstance(answer, Tensor):
        if isinstance(answer, dict) and answer:
            answer = answer[choose_output([str(name) for name in answer], spec.path, spec.output_name)]
        elif isinstance(answer, (list, tuple)) and answer:
            answer = _item_of(answer, spec)
        else:
            found = type(answer).__name__
            raise InputError(f"the source gave a {found}; expected a tensor, or a dict or tuple of them")
    return answer


def _item_of(answers: Sequence[Any], spec: SourceSpec) -> Any:
    """Chooses one of the outputs of a program, which have no names but their places, 0, 1 ..."""
    places = [str(place) for place in range(len(answers))]
    if len(answers) == 1:
        return answers[0]
    if spec.output_name:
        return answers[int(choose_output(places, spec.path, spec.output_name))]
    fitting = [
        place
        for place, item in zip(places, answers, strict=True)
        if not isinstance(item, Tensor) or (item.ndim == 4 and spec.channels in (item.shape[1], item.shape[3]))
    ]
    if len(fitting) > 1:
        shapes = ", ".join(
            f"{place} ({'x'.join(map(str, item.shape)) if isinstance(item, Tensor) else type(item).__name__})"
            for place, item in zip(places[:8], answers, strict=False)
        )
        raise InputError(
            f"{spec.path} has the outputs {shapes}; say which to read by its number (`source.output_name`)",
            field="source.output_name",
        )
    return answers[int(fitting[0]) if fitting else 0]
