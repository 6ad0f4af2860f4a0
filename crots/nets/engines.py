"""Engines for source models: one of our networks, a program, or an ONNX file, behind one interface.

A source takes images at the working size and returns predictions at that size, in its own classes.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from crots.card import Output
from crots.config import Size
from crots.errors import InputError
from crots.nets.folding import folded
from crots.nets.model import Merge, Model, Normalise
from crots.nets.outputs import check_label_form, check_labels, check_scores, check_sides, formed
from crots.nets.program_io import ONNX_TYPES, answer_name, image_input, is_channels_last, tensor_of
from crots.nets.reasons import reason_of
from crots.nets.source_spec import SourceSpec

if TYPE_CHECKING:
    from crots.nets.weights import LoadReport
    from crots.taxonomy import ClassSet

# Enough for a network of stride 32 to give more than one value per channel.
_FOLDING_SIDE = 128


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
        self._informative = False

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks for the user on how a checkpoint was read: which of its entries, and what was left out."""
        return () if self.report is None else self.report.lines()[1:]

    @property
    def output(self) -> Output:
        """What the source outputs; ``labels`` have no `logits`."""
        return self.facts.card.output

    @property
    def classes(self) -> ClassSet:
        """The classes it predicts."""
        return self.facts.card.class_set

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
            # Of a single blank image later on a model need not say anything.
            check_scores(answer, len(images), self.facts, informative=not self._informative)
            self._informative = True
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
        check_label_form(answer, len(images), self.facts)
        labels = interpolate(answer.float(), images.shape[-2:], mode="nearest-exact")[:, 0].long()
        check_labels(labels, self.facts)
        return labels

    def _answer(self, images: Tensor) -> Tensor:
        size = self._input_size(images.shape[-1], images.shape[-2])
        x = images
        if (size.height, size.width) != tuple(images.shape[-2:]):
            x = interpolate(x.float(), (size.height, size.width), mode="bicubic", antialias=True).clamp(0, 255)
        try:
            answer = self._in_batches(x).to(images.device)
            check_sides(answer, _size(x), self.facts)
            return answer
        except InputError:
            raise
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # a third-party program can raise anything
            raise InputError(
                f"{self.facts.path} failed on {x.shape[0]} images of {size}: {reason_of(error)}; "
                "check `source.size` and that it takes RGB images (N, 3, H, W)",
                field="source.size",
            ) from error

    def _in_batches(self, x: Tensor) -> Tensor:
        batch = self.facts.batch
        if not batch or x.shape[0] == batch:
            return formed(self.run(x), x.shape[0], self.facts)
        answers = []
        for part in torch.split(x, batch):
            # Filled up with copies of the last image, whose predictions are discarded.
            full = torch.cat([part, part[-1:].expand(batch - part.shape[0], -1, -1, -1)])
            answers.append(formed(self.run(full), batch, self.facts)[: part.shape[0]])
        return torch.cat(answers)

    def _input_size(self, width: int, height: int) -> Size:
        if self.facts.fixed:
            return self.facts.fixed
        multiple = self.facts.multiple
        return Size(*(max(multiple, round(side / multiple) * multiple) for side in (width, height)))


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
        # A program of half precision takes such images, too.
        kinds = (tensor.dtype for tensor in (*program.parameters(), *program.buffers()) if tensor.is_floating_point())
        self.kind = next(kinds, torch.float32)

    def run(self, images: Tensor) -> Tensor:
        """Runs the program; see `Source.run`."""
        return tensor_of(self.program(self.normalise(images.to(self.device)).to(self.kind)), self.facts)


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


def _size(images: Tensor) -> Size:
    return Size(images.shape[-1], images.shape[-2])
