"""Evaluates a student while it trains: scores, alarms, the checkpoint to keep, and when the stage has to stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from crots.events import Evaluated, Event, Note, Scored
from crots.methods.alarms import Alarm, healthy, judge, usable, watches_others_alone
from crots.methods.scores import SOUND_OF_CLASS
from crots.methods.selection import LEAST
from crots.nets.model import Model
from crots.records import Count

Rule = Literal["last", "label-free", "oracle"]
Values = Mapping[str, float]
_NO_CLASS = (
    "the alarm for the loss of a single class is off, since the source is sure of none (a confidence of "
    f"{LEAST} or more on the most confident quarter of its pixels, {SOUND_OF_CLASS} at least); the others are on"
)
# Given a teacher, returns the student's label-free scores and a message for each vanishing class.
Scoring = Callable[[Model | None], tuple[dict[str, float], dict[str, str]]]


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of the student at ``step``.

    Attributes:
        values: the label-free scores.
        healthy: the checkpoint has no warning; the last healthy one is the label-free choice.
        alarms: all alarms of this evaluation, including those raised before.
        miou: against validation labels, None if there are none. Only the rule ``oracle`` uses it.
    """

    step: int
    values: Values = field(default_factory=dict)
    healthy: bool = True
    alarms: tuple[Alarm, ...] = ()
    miou: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Evaluation:
        """Reads the output of `to_dict`."""
        return Evaluation(**{**values, "alarms": tuple(Alarm(**alarm) for alarm in values["alarms"])})


class AlarmShape(TypedDict):
    """`Alarm` as plain data."""

    name: str
    text: str
    serious: bool


class EvaluationShape(TypedDict):
    """`Evaluation` as plain data."""

    step: Count
    values: dict[str, float]
    healthy: bool
    alarms: list[AlarmShape]
    miou: float | None


class Watch:
    """Evaluates the student of one run of a stage, and raises alarms.

    Attributes:
        rule: which evaluation's checkpoint the stage keeps.
        guard: a serious alarm ends the stage at the best healthy checkpoint.
        distils: the stage teaches the source's labels.

    Args:
        stage: its key.
        score: returns the student's label-free scores and a message for each vanishing class.
        validate: scores the student against labels, for the user to see.
        rule: see above.
        guard: see above.
        trained: the student was already a model of the same classes when the stage began, so its start is a
            reference, and a checkpoint to go back to.
        distils: see above.
    """

    def __init__(
        self,
        stage: str,
        *,
        score: Scoring | None = None,
        validate: Callable[[int], Evaluated] | None = None,
        rule: Rule = "last",
        guard: bool = False,
        trained: bool = True,
        distils: bool = False,
    ) -> None:
        self.rule, self.guard, self.distils = rule, guard, distils
        self._stage, self._score, self._validate, self._trained = stage, score, validate, trained

    @property
    def keeps(self) -> bool:
        """Whether checkpoints are kept at evaluations, including that of the start."""
        return self.guard or self.rule != "last"

    def evaluate(
        self, step: int, teacher: Model | None, before: Sequence[Evaluation]
    ) -> tuple[Evaluation, list[Event]]:
        """Evaluates the student in its current state.

        Args:
            step: optimiser steps so far.
            teacher: the student's moving average, if there is one.
            before: the earlier evaluations of the stage.

        Returns:
            The evaluation, and its events: each alarm once.
        """
        found, events = Evaluation(step), list[Event]()
        if self._score:
            values, lost = self._score(teacher)
            found = self._judged(step, values, lost, before)
            events.append(Scored(stage=self._stage, step=step, values=dict(found.values)))
            if not before and watches_others_alone(values, trained=self._trained):
                events.append(Note(stage=self._stage, text=_NO_CLASS))
        if self._validate:
            evaluated = self._validate(step)
            found = dataclasses.replace(found, miou=evaluated.miou)
            # Step 0 marks a finished model; the start was scored by the stage that made it.
            events += [evaluated] if step else []
        known = {alarm.name for earlier in before for alarm in earlier.alarms}
        fresh = [alarm for alarm in found.alarms if alarm.name not in known]
        return found, events + [Note(stage=self._stage, level="warning", text=alarm.text) for alarm in fresh]

    def _judged(self, step: int, values: Values, lost: Mapping[str, str], before: Sequence[Evaluation]) -> Evaluation:
        raised = judge(
            [*(earlier.values for earlier in before), values], lost, trained=self._trained, distils=self.distils
        )
        good = healthy(raised)
        # A trained start is always a valid choice, whatever alarms the images raise.
        good = good or step == 0 if self._trained else good and usable(values)
        # JSON and plots cannot show NaN; the alarm reports it.
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        return Evaluation(step, finite, good, tuple(raised))
