"""Brings the outputs of source models into one form, and refuses those that are not what the model's card says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crots.config import Size
from crots.errors import InputError
from crots.nets.source_spec import SourceSpec

# Half precision sums to 1 within a few thousandths.
_UNEVEN = 0.02
# What probabilities in per cent, in bytes or in 16 bits sum to.
_UNITS = (100, 255, 65535)
# Greatest side that may be reduced to one pixel, and the share of a side that rounding may remove.
_SMALLEST, _ROUNDED = 32, 8
# Images whose sides are multiples of this come out of a network at their size or a whole fraction of it, unless their
# margins are others; those are less than this share.
_BLOCK, _NEARLY = 8, 1.25
# Logits of an untrained network may all be small and positive; a sigmoid's values reach further.
_WIDE = 0.5


def formed(answer: Tensor, batch: int, spec: SourceSpec) -> Tensor:
    """Converts an output to the form (N, channels, h, w), with one channel of labels or one of scores per class.

    Exporters may leave out the batch, put channels last, repeat labels in three channels as for a picture, or output
    only the second of two classes' scores.

    Args:
        answer: the output.
        batch: N.
        spec: of the source.

    Raises:
        InputError: a source of logits gives a probability of the second class.
    """
    labels, count = spec.card.output == "labels", spec.channels
    if answer.ndim == 2 and batch == 1 and labels:
        answer = answer[None]
    if answer.ndim == 3:
        answer = answer[None] if batch == 1 else answer[:, None]
    if answer.ndim != 4 or len(answer) != batch:
        return answer
    if answer.shape[1] != count and answer.shape[3] in {count, 1, *({3} if count == 1 else ())}:
        answer = answer.permute(0, 3, 1, 2)
    if labels:
        repeated = answer.shape[1] == 3 and bool((answer == answer[:, :1]).all())
        return answer[:, :1] if repeated else answer
    return _score_of_second(answer, spec) if count == 2 and answer.shape[1] == 1 else answer


def check_sides(answer: Tensor, size: Size, spec: SourceSpec) -> None:
    """Refuses outputs that may not show the whole upright image: turned, with other margins, or one value for all.

    Args:
        answer: the output (N, channels, h, w); other forms are left to the other checks.
        size: of the images that it is of.
        spec: of the source.

    Raises:
        InputError: its sides do not fit.
    """
    if answer.ndim != 4:
        return
    found = Size(answer.shape[-1], answer.shape[-2])
    lost = (size.width - found.width, size.height - found.height)
    fault = ""
    if found == Size(1, 1) and max(size) > _SMALLEST:
        fault = "one value for the whole image, as networks that classify images do; choose another output"
    elif size.width != size.height and found == Size(size.height, size.width):
        fault = "a turned image; export it with height before width"
    elif size.width != size.height and lost[0] == lost[1] and lost[0] > _ROUNDED:
        fault = "an image without its margins, as convolutions without padding do; export it with padding"
    elif _is_doubtful(found, size):
        raise InputError(
            f"{spec.path} gave {found} for images of {size}: it resized the image inside, or added or cut off margins, "
            f"and which of the two cannot be told from the output; set `source.size` to {_fitting(found, size)} if it "
            "takes such images, which leaves nothing to resize or to add, else export it so that its output has the "
            "size of its input, or a whole fraction of it",
            field="source.size",
        )
    if fault:
        raise InputError(f"{spec.path} gave {found} for images of {size}: {fault}", field="source.output_name")


def _is_doubtful(found: Size, size: Size) -> bool:
    """Whether an output has a size that no stride of a network makes of the image's.

    Such an output is that of a resized image, or of one with other margins: to scale it would move what it shows.
    """
    sides = list(zip(found, size, strict=True))
    # A pixel more or less comes of rounding, or of corners that are aligned: 513 of 512.
    if all(abs(one - other) <= 1 for one, other in sides):
        return False
    whole = not (size.width % _BLOCK or size.height % _BLOCK)
    if whole and all(1 / _NEARLY < one / other < _NEARLY for one, other in sides):
        return True
    # One stride for both sides, each of which may be rounded.
    least = max(other / (one + 1) for one, other in sides)
    most = min(other / (one - 1) if one > 1 else math.inf for one, other in sides)
    return least > most


def _fitting(found: Size, size: Size) -> Size:
    """The size of images that an output of another form would fit: its own, or a multiple of it."""
    times = max(1, round(min(size.width / found.width, size.height / found.height)))
    return Size(found.width * times, found.height * times)


def check_scores(answer: Tensor, images: int, spec: SourceSpec, *, informative: bool = True) -> None:
    """Refuses logits or probabilities of another number of classes, that are not finite, of another kind, or all equal.

    Args:
        answer: the output, expected (N, classes, h, w).
        images: N.
        spec: of the source; its card says whether it outputs logits or probabilities.
        informative: refuse scores that are the same for every class at each pixel.

    Raises:
        InputError: they are.
    """
    if answer.ndim != 4 or answer.shape[:2] != (images, spec.class_count):
        remedy = "check the source's class set and output"
        if answer.ndim == 4 and answer.shape[:2] == (images, spec.class_count + 1):
            remedy += "; if one of them is void or background, add it to the source's classes, and map it to ignore"
        raise InputError(
            f"{spec.path} gave {tuple(answer.shape)} for {images} images, expected (N, {spec.class_count}, h, w) for "
            f"the {spec.class_count} classes of {spec.card.classes['name']}; {remedy}",
            field="task.source_classes",
        )
    _check_finite(answer, spec)
    if informative:
        _check_informative(answer, spec)
    fault = (_fault_of_probabilities if spec.card.output == "probabilities" else _fault_of_logits)(answer)
    if fault:
        raise InputError(f"{spec.path} should output {spec.card.output}, but gave {fault}", field="source.output")


def check_label_form(answer: Tensor, images: int, spec: SourceSpec) -> None:
    """Refuses an output that is not one finite label a pixel, (N, 1, h, w).

    Raises:
        InputError: it is not.
    """
    if answer.ndim != 4 or answer.shape[1] != 1 or len(answer) != images:
        found = tuple(answer.shape)
        raise InputError(
            f"{spec.path} gave {found} for {images} images, expected labels (N, h, w); check `source.output`",
            field="source.output",
        )
    _check_finite(answer, spec)
    if answer.is_floating_point() and bool((between := answer != answer.round()).any()):
        raise InputError(
            f"{spec.path} should output labels, but gave {float(answer[between][0]):.3g}, expected whole numbers; "
            "export it without scaling, resizing or averaging its labels",
            field="source.output",
        )


def check_labels(labels: Tensor, spec: SourceSpec) -> None:
    """Refuses labels outside the source's classes.

    Raises:
        InputError: there are such.
    """
    ignore = spec.card.class_set.ignore
    wrong = labels[((labels < 0) | (labels >= spec.class_count)) & (labels != ignore)]
    if wrong.numel():
        raise InputError(
            f"{spec.path} gave the label {int(wrong[0])}, expected 0 to {spec.class_count - 1} or {ignore}; check the "
            "source's class set",
            field="task.source_classes",
        )


def _score_of_second(score: Tensor, spec: SourceSpec) -> Tensor:
    """Returns scores (N, 2, h, w) where only the second class has one (N, 1, h, w), as models with a sigmoid do."""
    if spec.card.output == "probabilities":
        return torch.cat([1 - score, score], 1)
    if bool(((score >= 0) & (score <= 1)).all()):
        raise InputError(
            f"{spec.path} should output logits, but gave one value from 0 to 1 for each pixel, as probabilities of the "
            "second class do; set `source.output` to probabilities",
            field="source.output",
        )
    return torch.cat([torch.zeros_like(score), score], 1)


def _fault_of_probabilities(answer: Tensor) -> str:
    """Returns what supposed probabilities (N, classes, h, w) really are, with the remedy; empty if they are."""
    sums = answer.sum(1, dtype=torch.float32)
    low, high = (float(value) for value in answer.aminmax())
    if low >= 0 and _is_even(sums):
        return ""
    remedy = "export it with a softmax"
    if unit := _unit(answer, sums, low):
        remedy = f"divide its output by {unit} in the file"
    elif not (low >= 0 and high <= 1):
        remedy = f"set `source.output` to logits, or {remedy}"
    least, most = float(sums.min()), float(sums.max())
    return (
        f"values from {low:.3g} to {high:.3g} whose sums over the classes go from {least:.3g} to {most:.3g}, expected "
        f"1; {remedy}"
    )


def _fault_of_logits(answer: Tensor) -> str:
    """Returns what supposed logits (N, classes, h, w) are instead, with the remedy; empty if they are logits."""
    low = float(answer.amin())
    if low < 0:
        return ""
    sums, high = answer.sum(1, dtype=torch.float32), float(answer.amax())
    if answer.shape[1] > 1 and _is_even(sums):
        return "values that sum to 1 over the classes, as probabilities do; set `source.output` to probabilities"
    if unit := _unit(answer, sums, low):
        return (
            f"values that sum to {unit} over the classes, as probabilities in other units do; divide them by {unit} in "
            "the file, and set `source.output` to probabilities"
        )
    if high <= 1 and any(_is_even(answer.sum(axis, dtype=torch.float32)) for axis in (2, 3)):
        return (
            "values that sum to 1 over rows or columns, as a softmax over the wrong axis does; export it with the "
            "softmax over the classes, or without"
        )
    if _is_even((-answer.float()).exp().sum(1)):
        return "the negative logarithms of probabilities; export it with their sign changed"
    if _WIDE < high <= 1:
        return (
            f"values from {low:.3g} to {high:.3g}, as a sigmoid of each class does; export it without the sigmoid, or "
            "with a softmax"
        )
    return ""


def _unit(answer: Tensor, sums: Tensor, low: float) -> int:
    """What probabilities in other units sum to; 0 if they are none."""
    return next((unit for unit in _UNITS if _is_even(sums / unit)), 0) if low >= 0 and answer.shape[1] > 1 else 0


def _check_finite(answer: Tensor, spec: SourceSpec) -> None:
    # A value that is not finite makes the sum so, and a sum costs far less than a look at each. Large ones overflow it.
    if not answer.is_floating_point() or bool(torch.isfinite(answer.sum(dtype=torch.float32))):
        return
    if bool(torch.isfinite(answer).all()):
        return
    # A single pixel of many must not be shown as 0 %.
    wrong, count = int((~torch.isfinite(answer)).sum()), answer.numel()
    remedy = "check its file, the normalisation (`source.mean`, `source.scale`) and the channel order"
    if answer.dtype == torch.float16:
        remedy = (
            "half precision (fp16) overflows at 65504: export it in fp32, or set `runtime.precision` to fp32 or bf16 "
            "if that chose fp16"
        )
    raise InputError(f"{spec.path} gave NaN or infinite values ({wrong:,} of {count:,}); {remedy}")


def _check_informative(answer: Tensor, spec: SourceSpec) -> None:
    if answer.shape[1] < 2 or bool((answer != answer[:, :1]).any()):
        return
    low, high = (float(value) for value in answer.aminmax())
    each = f"{low:.3g}" if low == high else "one score"
    raise InputError(
        f"{spec.path} gave {each} for every class at every pixel, which says nothing; check its weights, the "
        "normalisation (`source.mean`, `source.scale`) and which output is taken",
        field="source.output_name",
    )


def _is_even(sums: Tensor) -> bool:
    """Whether sums are all 1."""
    return float((sums - 1).abs().max()) < _UNEVEN
