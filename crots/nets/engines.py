"""Engines for source models: one of our networks, a program, or an ONNX file, behind one interface.

A source takes images at the working size and returns predictions at that size, in its own classes.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from crots.card import ModelCard
from crots.config import Size
from crots.errors import InputError
from crots.nets.folding import folded
from crots.nets.model import Merge, Model, Normalise
from crots.nets.reasons import reason_of

if TYPE_CHECKING:
    from crots.nets.weights import LoadReport
    from crots.taxonomy import ClassSet

# Half precision sums to 1 within a few thousandths.
_UNEVEN = 0.02
# What probabilities in per cent, in bytes or in 16 bits sum to.
_UNITS = (100, 255, 65535)
# Greatest side that may be reduced to one pixel, and what rounding takes off a side.
_SMALLEST, _ROUNDED = 32, 8
# Logits of an untrained network may all be small and positive; a sigmoid's values reach further.
_WIDE = 0.5
# Enough for a network of stride 32 to give more than one value per channel.
_FOLDING_SIDE = 128
Output = Literal["logits", "probabilities", "labels"]

# Names of the main output in torchvision, transformers and most exporters.
_MAIN_OUTPUTS = ("logits", "out")

ONNX_TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(uint8)": torch.uint8,
}


@dataclass(frozen=True)
class SourceSpec:
    """The facts needed to run a source model.

    Attributes:
        path: its file.
        card: net, classes, normalisation and output, from the file or else from the options.
        fixed: the only input size that the source takes; None for any.
        batch: the only batch size that the source takes; 0 for any.
        multiple: both sides of its input must be multiples of this.
        output_name: of the output to read, where it has several; empty finds it.
    """

    path: Path
    card: ModelCard
    fixed: Size | None = None
    batch: int = 0
    multiple: int = 1
    output_name: str = ""


class Source(abc.ABC):
    """A source model ready to predict.

    Attributes:
        facts: what is known of it.
        report: how a checkpoint's tensors were used; None for programs.
        align_corners: how its logits are resized.
    """

    def __init__(self, facts: SourceSpec, report: LoadReport | None = None, *, align_corners: bool = False) -> None:
        self.facts = facts
        self.report = report
        self.align_corners = align_corners

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know of how a checkpoint was read: which of its entries, and what was left out."""
        return () if self.report is None else self.report.lines()[1:]

    @property
    def output(self) -> Output:
        """What the source outputs; ``labels`` have no `logits`."""
        return self.facts.card.output

    @property
    def classes(self) -> ClassSet:
        """The classes it predicts."""
        from crots.taxonomy import ClassSet

        return ClassSet.from_dict(self.facts.card.classes)

    @abc.abstractmethod
    def run(self, images: Tensor) -> Tensor:
        """Runs the model on RGB in 0..255 (N, 3, H, W) of a size it accepts; returns its raw output, channels first."""

    def logits(self, images: Tensor) -> Tensor:
        """Returns float32 logits (N, classes, H, W) for images (N, 3, H, W), uint8 or float RGB in 0..255.

        A source of probabilities gives their logarithms, whose softmax they are again.

        Raises:
            InputError: it outputs labels only, or another number of classes than its class set has, or fails.
        """
        return self.resized(self.views(images), _size(images))

    def flip_logits(self, images: Tensor, merge: Merge = "mean") -> Tensor:
        """Returns `logits` joined with those of the mirror images, mirrored back; see `Model.flip_logits`.

        Raises:
            InputError: as `logits`.
        """
        return self.resized(self.views(images, flip=True), _size(images), merge)

    @torch.no_grad()
    def views(self, images: Tensor, *, flip: bool = False) -> list[Tensor]:
        """Returns the source's output (N, classes, h, w) at its own resolution, for `resized` to resize once.

        Args:
            images: as for `logits`.
            flip: adds the prediction of the mirrored images, mirrored back.

        Raises:
            InputError: as `logits`.
        """
        if self.output == "labels":
            raise InputError(f"{self.facts.path} gives labels only, no logits or probabilities")
        answers = [self._answer(images)]
        if flip:
            answers.append(self._answer(images.flip(3)).flip(3))
        for answer in answers:
            self._check_classes(answer, len(images))
            self._check_values(answer)
        return [answer.float() for answer in answers]

    def resized(self, views: Sequence[Tensor], size: Size, merge: Merge = "mean") -> Tensor:
        """Resizes the outputs of `views` and merges them.

        Returns:
            Float32 logits (N, classes, size.height, size.width).
        """
        first, *others = [self._as_logits(view, size) for view in views]
        for other in others:
            first = first + other
        return first if merge == "sum" or not others else first / len(views)

    def _as_logits(self, answer: Tensor, size: Size) -> Tensor:
        if _size(answer) != size:
            shape = (size.height, size.width)
            answer = interpolate(answer, shape, mode="bilinear", align_corners=self.align_corners)
        if self.output == "probabilities":
            answer = answer.clamp_min(torch.finfo(torch.float32).tiny).log()
        return answer

    @torch.no_grad()
    def labels(self, images: Tensor) -> Tensor:
        """Returns the most likely classes (N, H, W), int64.

        Raises:
            InputError: it gives labels outside its classes, or fails.
        """
        if self.output != "labels":
            return self.logits(images).argmax(1)
        answer = self._answer(images)
        if answer.ndim != 4 or answer.shape[1] != 1 or len(answer) != len(images):
            found = tuple(answer.shape)
            raise InputError(
                f"{self.facts.path} gave {found} for {len(images)} images, expected labels (N, h, w); check "
                "source.output",
                field="source.output",
            )
        self._check_finite(answer)
        labels = interpolate(answer.float(), images.shape[-2:], mode="nearest-exact")[:, 0].long()
        self._check_labels(labels)
        return labels

    def _answer(self, images: Tensor) -> Tensor:
        size = self._input_size(images.shape[-1], images.shape[-2])
        x = images
        if (size.height, size.width) != tuple(images.shape[-2:]):
            x = interpolate(x.float(), (size.height, size.width), mode="bicubic", antialias=True).clamp(0, 255)
        try:
            answer = self._in_batches(x).to(images.device)
            self._check_sides(answer, _size(x))
            return answer
        except InputError:
            raise
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # a foreign program can raise anything
            raise InputError(
                f"{self.facts.path} failed on {x.shape[0]} images of {size}: {reason_of(error)}; "
                "check `source.size` and that it takes RGB images (N, 3, H, W)",
                field="source.size",
            ) from error

    def _in_batches(self, x: Tensor) -> Tensor:
        batch = self.facts.batch
        if not batch or x.shape[0] == batch:
            return self._formed(self.run(x), x.shape[0])
        answers = []
        for part in torch.split(x, batch):
            # Filled up with copies of the last image, whose predictions are discarded.
            full = torch.cat([part, part[-1:].expand(batch - part.shape[0], -1, -1, -1)])
            answers.append(self._formed(self.run(full), batch)[: part.shape[0]])
        return torch.cat(answers)

    def _formed(self, answer: Tensor, batch: int) -> Tensor:
        """Converts an output to the form (N, channels, h, w), with one channel of labels or one of scores per class.

        Exporters leave the batch out, put channels last, repeat labels in three channels for a picture, or give of two
        classes the score of the second alone.
        """
        count = 1 if self.output == "labels" else len(self.facts.card.classes["names"])
        if answer.ndim == 2 and batch == 1 and self.output == "labels":
            answer = answer[None]
        if answer.ndim == 3:
            answer = answer[None] if batch == 1 else answer[:, None]
        if answer.ndim != 4 or len(answer) != batch:
            return answer
        if answer.shape[1] != count and answer.shape[3] in {count, 1, *({3} if count == 1 else ())}:
            answer = answer.permute(0, 3, 1, 2)
        if self.output == "labels":
            repeated = answer.shape[1] == 3 and bool((answer == answer[:, :1]).all())
            return answer[:, :1] if repeated else answer
        return self._of_second(answer) if count == 2 and answer.shape[1] == 1 else answer

    def _of_second(self, score: Tensor) -> Tensor:
        """Returns scores (N, 2, h, w) where only the second class has one (N, 1, h, w), as models with a sigmoid do."""
        if self.output == "probabilities":
            return torch.cat([1 - score, score], 1)
        if bool(((score >= 0) & (score <= 1)).all()):
            raise InputError(
                f"{self.facts.path} should output logits, but gave one value from 0 to 1 for each pixel, as "
                "probabilities of the second class do; set `source.output` to probabilities",
                field="source.output",
            )
        return torch.cat([torch.zeros_like(score), score], 1)

    def _input_size(self, width: int, height: int) -> Size:
        if self.facts.fixed:
            return self.facts.fixed
        multiple = self.facts.multiple
        return Size(*(max(multiple, round(side / multiple) * multiple) for side in (width, height)))

    def _check_sides(self, answer: Tensor, size: Size) -> None:
        """Refuses outputs that are none of the whole upright image: turned, without a margin, or one for all pixels."""
        if answer.ndim != 4:
            return
        found = _size(answer)
        lost = (size.width - found.width, size.height - found.height)
        fault = ""
        if found == Size(1, 1) and max(size) > _SMALLEST:
            fault = "one value for the whole image, as networks that classify images do; choose another output"
        elif size.width != size.height and found == Size(size.height, size.width):
            fault = "a turned image; export it with height before width"
        elif size.width != size.height and lost[0] == lost[1] and lost[0] > _ROUNDED:
            fault = "an image without its margins, as convolutions without padding do; export it with padding"
        if fault:
            raise InputError(
                f"{self.facts.path} gave {found} for images of {size}: {fault}", field="source.output_name"
            )

    def _check_classes(self, answer: Tensor, images: int) -> None:
        expected = len(self.facts.card.classes["names"])
        if answer.ndim == 4 and answer.shape[:2] == (images, expected):
            return
        raise InputError(
            f"{self.facts.path} gave {tuple(answer.shape)} for {images} images, expected (N, {expected}, h, w) for the "
            f"{expected} classes of {self.facts.card.classes['name']}; check the source's class set and output",
            field="task.source_classes",
        )

    def _check_values(self, answer: Tensor) -> None:
        """Refuses outputs that are not finite, and those that are not of the declared kind."""
        self._check_finite(answer)
        sums = answer.sum(1, dtype=torch.float32)
        low, high = (float(value) for value in answer.aminmax())
        is_share = low >= 0 and high <= 1
        is_distribution = low >= 0 and float((sums - 1).abs().max()) < _UNEVEN
        unit = next((unit for unit in _UNITS if _is_even(sums / unit)), 0) if low >= 0 and answer.shape[1] > 1 else 0
        if self.output == "probabilities" and not is_distribution:
            remedy = "export it with a softmax"
            if unit:
                remedy = f"divide its output by {unit} in the file"
            elif not is_share:
                remedy = f"set `source.output` to logits, or {remedy}"
            least, most = float(sums.min()), float(sums.max())
            raise InputError(
                f"{self.facts.path} should output probabilities, but gave values from {low:.3g} to {high:.3g} whose "
                f"sums over the classes go from {least:.3g} to {most:.3g}, expected 1; {remedy}",
                field="source.output",
            )
        if self.output == "logits" and is_distribution and answer.shape[1] > 1:
            raise InputError(
                f"{self.facts.path} should output logits, but gave values that sum to 1 over the classes, as "
                "probabilities do; set `source.output` to probabilities",
                field="source.output",
            )
        if self.output != "logits":
            return
        if unit:
            raise InputError(
                f"{self.facts.path} should output logits, but gave values that sum to {unit} over the classes, as "
                f"probabilities in other units do; divide them by {unit} in the file, and set `source.output` to "
                "probabilities",
                field="source.output",
            )
        if is_share and any(_is_even(answer.sum(axis, dtype=torch.float32)) for axis in (2, 3)):
            raise InputError(
                f"{self.facts.path} should output logits, but gave values that sum to 1 over rows or columns, as a "
                "softmax over the wrong axis does; export it with the softmax over the classes, or without",
                field="source.output",
            )
        if low >= 0 and _is_even((-answer.float()).exp().sum(1)):
            raise InputError(
                f"{self.facts.path} should output logits, but gave the negative logarithms of probabilities; export it "
                "with their sign changed",
                field="source.output",
            )
        if is_share and high > _WIDE:
            raise InputError(
                f"{self.facts.path} should output logits, but gave values from {low:.3g} to {high:.3g}, as a sigmoid "
                "of each class does; export it without the sigmoid, or with a softmax",
                field="source.output",
            )

    def _check_finite(self, answer: Tensor) -> None:
        if not answer.is_floating_point() or bool(torch.isfinite(answer).all()):
            return
        # Of many pixels one may be meant, which is not 0 %.
        wrong, count = int((~torch.isfinite(answer)).sum()), answer.numel()
        remedy = "check its file, the normalisation (`source.mean`, `source.scale`) and the channel order"
        if answer.dtype == torch.float16:
            remedy = (
                "half precision (fp16) overflows at 65504: export it in fp32, or set `runtime.precision` to fp32 or "
                "bf16 if that chose fp16"
            )
        raise InputError(f"{self.facts.path} gave NaN or infinite values ({wrong:,} of {count:,}); {remedy}")

    def _check_labels(self, labels: Tensor) -> None:
        count = len(self.facts.card.classes["names"])
        wrong = labels[((labels < 0) | (labels >= count)) & (labels != self.classes.ignore)]
        if wrong.numel():
            raise InputError(
                f"{self.facts.path} gave the label {int(wrong[0])}, expected 0 to {count - 1} or "
                f"{self.classes.ignore}; check the source's class set",
                field="task.source_classes",
            )


class NetworkSource(Source):
    """A network of ours, with the source's weights."""

    def __init__(self, model: Model, facts: SourceSpec, report: LoadReport) -> None:
        super().__init__(facts, report, align_corners=model.info.align_corners)
        self.model = model.eval()

    def fold(self) -> None:
        """Makes batch norm part of the convolutions, where the network allows it; its statistics are then final."""
        multiple = self.model.info.multiple
        side = -(-_FOLDING_SIDE // multiple) * multiple
        images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        self.model.net, _ = folded(self.model.net, images.to(self.model.device))

    def run(self, images: Tensor) -> Tensor:
        """Runs the network; see `Source.run`."""
        logits: Tensor = self.model(images.to(self.model.device))
        return logits


class ProgramSource(Source):
    """A TorchScript or exported program, which has passed ``--trust``."""

    def __init__(self, program: Any, facts: SourceSpec, device: torch.device) -> None:
        super().__init__(facts)
        self.program = program
        self.device = device
        self.normalise = Normalise(facts.card.normalisation).to(device)

    def run(self, images: Tensor) -> Tensor:
        """Runs the program; see `Source.run`."""
        return _tensor_of(self.program(self.normalise(images.to(self.device))), self.facts)


class OnnxSource(Source):
    """An ONNX file in onnxruntime, which runs no code of the file's own."""

    def __init__(self, session: Any, facts: SourceSpec) -> None:
        super().__init__(facts)
        self.session = session
        self.normalise = Normalise(facts.card.normalisation)
        self.input = image_input(session, facts.path)
        self.answer = answer_name(session, facts.path, facts.output_name)
        self.channels_last = is_channels_last(self.input.shape)

    def run(self, images: Tensor) -> Tensor:
        """Runs the file on the session's device; see `Source.run`."""
        x, kind = self.normalise(images.cpu()), ONNX_TYPES[self.input.type]
        x = x.round().clamp(0, 255).to(kind) if kind == torch.uint8 else x.to(kind)
        if self.channels_last:
            x = x.permute(0, 2, 3, 1)
        (answer,) = self.session.run([self.answer], {self.input.name: x.contiguous().numpy()})
        return torch.from_numpy(answer)


def _is_even(sums: Tensor) -> bool:
    """Whether sums are all 1."""
    return float((sums - 1).abs().max()) < _UNEVEN


def _size(images: Tensor) -> Size:
    return Size(images.shape[-1], images.shape[-2])


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


def _tensor_of(answer: Any, facts: SourceSpec) -> Tensor:
    while not isinstance(answer, Tensor):
        if isinstance(answer, dict) and answer:
            answer = answer[choose_output([str(name) for name in answer], facts.path, facts.output_name)]
        elif isinstance(answer, (list, tuple)) and answer:
            answer = _item_of(answer, facts)
        else:
            found = type(answer).__name__
            raise InputError(f"the source gave a {found}; expected a tensor, or a dict or tuple of them")
    return answer


def _item_of(answers: Sequence[Any], facts: SourceSpec) -> Any:
    """Chooses one of the outputs of a program, which have no names but their places, 0, 1 ..."""
    places = [str(place) for place in range(len(answers))]
    if len(answers) == 1:
        return answers[0]
    if facts.output_name:
        return answers[int(choose_output(places, facts.path, facts.output_name))]
    classes = 1 if facts.card.output == "labels" else len(facts.card.classes["names"])
    fitting = [
        place
        for place, item in zip(places, answers, strict=True)
        if not isinstance(item, Tensor) or (item.ndim == 4 and classes in (item.shape[1], item.shape[3]))
    ]
    if len(fitting) > 1:
        shapes = ", ".join(
            f"{place} ({'x'.join(map(str, item.shape)) if isinstance(item, Tensor) else type(item).__name__})"
            for place, item in zip(places[:8], answers, strict=False)
        )
        raise InputError(
            f"{facts.path} has the outputs {shapes}; say which to read by its number (`source.output_name`)",
            field="source.output_name",
        )
    return answers[int(fitting[0]) if fitting else 0]
