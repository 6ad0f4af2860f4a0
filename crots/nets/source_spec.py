"""The facts that are needed to run a source model. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crots.card import ModelCard
from crots.config import Size


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

    @property
    def channels(self) -> int:
        """Channels of its output: one of labels, or one of scores for each class."""
        return 1 if self.card.output == "labels" else self.class_count

    @property
    def class_count(self) -> int:
        """The number of its classes."""
        return len(self.card.classes["names"])
