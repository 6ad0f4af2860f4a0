"""Label-free scores of a student while it learns: to show, to choose a checkpoint by, and as an alarm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from crots.data.cache import ImageCache
from crots.data.layouts import Sample
from crots.events import Event, Note, Scored
from crots.methods.scores import Summary, collapsed_classes, join, score, summarise
from crots.nets.model import Model
from crots.stages.context import Context
from crots.stages.engine import Engine, evaluating

IMAGES = 32
_PIXELS = 256


class LabelFreeScores:
    """Scores a student on a fixed handful of target images, against the model that it started from.

    Args:
        student: in the state that it starts from.
        samples: the target's images; up to `IMAGES` of them, evenly spread, are looked at.
        cache: gives them at working size.
        engine: device and precision.
        context: of the stage; a stop is asked for before each batch of images.

    Raises:
        Stopped: the user asked to stop, here or while the student is scored.
    """

    def __init__(
        self, student: Model, samples: Sequence[Sample], cache: ImageCache, engine: Engine, context: Context
    ) -> None:
        places = np.unique(np.linspace(0, len(samples) - 1, min(IMAGES, len(samples))).round().astype(int))
        self._samples = [samples[place] for place in places]
        self._student, self._cache, self._engine, self._context = student, cache, engine, context
        engine.place(student)
        self._start = self._look()
        self._warned: set[int] = set()

    @torch.inference_mode()
    def _look(self) -> Summary:
        # One seed for every call: `agreement` compares the same pixels.
        generator = torch.Generator().manual_seed(0)
        batch = self._engine.batch(0)
        summaries: list[Summary] = []
        with evaluating(self._student), self._engine.autocast():
            for first in range(0, len(self._samples), batch):
                self._context.control.check()
                images = [self._cache.get(sample.image) for sample in self._samples[first : first + batch]]
                logits = self._student.logits(self._engine.images(np.stack(images)))
                summaries.append(summarise(logits, _PIXELS, generator))
        return join(summaries)

    def __call__(self, step: int) -> list[Event]:
        """Scores the student as it is now; warns once of each class that vanishes."""
        now = self._look()
        lost = collapsed_classes(self._start.shares.mean(dim=0), now.shares.mean(dim=0))
        values = score(now, self._start)
        values["classes kept"] = 1.0 - len(lost) / len(self._student.classes)
        events: list[Event] = [Scored(stage=self._context.stage, step=step, values=values)]
        fresh = [number for number in lost if number not in self._warned]
        self._warned.update(fresh)
        return events + [self._warning(number, now) for number in fresh]

    def _warning(self, number: int, now: Summary) -> Note:
        name = self._student.classes.names[number]
        before, after = (float(summary.shares.mean(dim=0)[number]) for summary in (self._start, now))
        text = (
            f"class {name} is vanishing: predicted on {before:.2%} of the pixels at the start and on {after:.2%} now; "
            "if these were right, stop and lower the learning rate or raise the patches' weight"
        )
        return Note(stage=self._context.stage, level="warning", text=text)


def label_free_score(events: Sequence[Event]) -> float:
    """Returns the figure whose greatest checkpoint ``select = "label-free"`` keeps.

    Information maximisation rewards sure and varied predictions; a class that vanishes outweighs it.
    """
    values = next(event.values for event in events if isinstance(event, Scored))
    return values["information"] - 2.0 * (1.0 - values["classes kept"])
