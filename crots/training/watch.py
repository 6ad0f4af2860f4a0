"""Looks at a student on its way: what was seen, which checkpoint is kept for it, and when a stage has to stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from crots.events import Evaluated, Event, Note, Scored
from crots.methods.alarms import Alarm, healthy, judge, usable
from crots.nets.model import Model
from crots.records import Count

Rule = Literal["last", "label-free", "oracle"]
Values = Mapping[str, float]
# Given a teacher, the student's label-free scores and what is to be said of classes that vanish.
Scoring = Callable[[Model | None], tuple[dict[str, float], dict[str, str]]]


@dataclass(frozen=True)
class Look:
    """What was seen at ``step``.

    Attributes:
        values: the label-free scores.
        healthy: nothing speaks against its checkpoint; the last such look is the label-free choice.
        alarms: raised at this look, also those raised before.
        miou: against validation labels, None where there are none. Only the rule ``oracle`` goes by it.
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
    def from_dict(values: Mapping[str, Any]) -> Look:
        """Reads what `to_dict` gave."""
        return Look(**{**values, "alarms": tuple(Alarm(**alarm) for alarm in values["alarms"])})


class AlarmShape(TypedDict):
    """`Alarm` as plain data."""

    name: str
    text: str
    serious: bool


class LookShape(TypedDict):
    """`Look` as plain data."""

    step: Count
    values: dict[str, float]
    healthy: bool
    alarms: list[AlarmShape]
    miou: float | None


class Watch:
    """Looks at the student of one run of a stage, and judges.

    Attributes:
        rule: which look's checkpoint the stage keeps.
        guard: a serious alarm ends the stage at the best healthy checkpoint.

    Args:
        stage: its key.
        score: gives the student's label-free scores and what is to be said of classes that vanish.
        validate: scores the student against labels, for the user to see.
        rule: see above.
        guard: see above.
        trained: the student was a model of the same classes already when the stage began, so that its start is one to
            go back to, and one that it must not run away from.
        distils: the stage teaches the source's labels.
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
        self.rule, self.guard = rule, guard
        self._stage, self._score, self._validate, self._trained = stage, score, validate, trained
        self._distils = distils

    @property
    def keeps(self) -> bool:
        """Whether checkpoints are put by at looks, that of the start included."""
        return self.guard or self.rule != "last"

    def look(self, step: int, teacher: Model | None, before: Sequence[Look]) -> tuple[Look, list[Event]]:
        """Looks at the student as it is now.

        Args:
            step: optimiser steps so far.
            teacher: the student's moving average, where there is one.
            before: the earlier looks of the stage.

        Returns:
            What was seen, and what is to be told of it: each alarm once.
        """
        look, events = Look(step), list[Event]()
        if self._score:
            values, lost = self._score(teacher)
            look = self._judged(step, values, lost, before)
            events.append(Scored(stage=self._stage, step=step, values=dict(look.values)))
        if self._validate:
            evaluated = self._validate(step)
            look = dataclasses.replace(look, miou=evaluated.miou)
            # Step 0 is the mark of a finished model; the start was scored by the stage that made it.
            events += [evaluated] if step else []
        said = {alarm.name for earlier in before for alarm in earlier.alarms}
        fresh = [alarm for alarm in look.alarms if alarm.name not in said]
        return look, events + [Note(stage=self._stage, level="warning", text=alarm.text) for alarm in fresh]

    def _judged(self, step: int, values: Values, lost: Mapping[str, str], before: Sequence[Look]) -> Look:
        raised = judge([*(look.values for look in before), values], lost, trained=self._trained, distils=self._distils)
        good = healthy(raised)
        # Nothing is better than a trained start, whatever is said of the images.
        good = good or step == 0 if self._trained else good and usable(values)
        # Neither JSON nor a plot has a place for NaN; the alarm says it.
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        return Look(step, finite, good, tuple(raised))
