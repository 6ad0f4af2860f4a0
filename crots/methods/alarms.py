"""The collapse alarm: what a run's label-free scores say of its health, in words, and when it has to stop.

An alarm is a suspicion: only labels could prove it. Every score has two bounds, relative to the start of the stage:
beyond the first it warns, and a choice without labels passes such a checkpoint over; beyond the second the stage must
not go on. Between the bounds and the start no score was found that tells a gain from a loss, so the last checkpoint
without a warning is the label-free choice: of the looks that nothing speaks against the one that has learnt most.

The bounds come from small runs between the rendered domains of the demonstration, healthy and made to fail (learning
rates up to 100 times too high, labels of other images, noise), with two seeds; each says what was seen there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Values = Mapping[str, float]

# `scale` of a trained model: 0.8 on pictures of streets, 0.05 on pictures of noise.
UNREADABLE = 0.25
# `fit` of a student that learns the source's labels: 0.75 and more; 0.25 at most where they belong to other images.
UNFITTING = 0.4
# `information` of a start that has anything to lose: 0.19 after a short training from random weights, 0.02 before.
EMPTY = 0.1
# `certainty`, that is 1 minus the mean entropy over its greatest: no trained network was below 0.4.
UNIFORM = 0.05
# Torn apart by far too high a learning rate, models were surer than this; healthy ones stayed below 0.9.
OVERCONFIDENT = 0.98

VANISHING = "vanishing: "


class Bounds(NamedTuple):
    """Of a score over its value at the start: below ``warns`` it warns, below ``stops`` it is serious.

    ``words`` say what that means.
    """

    warns: float
    stops: float
    words: str


BOUNDS: dict[str, Bounds] = {
    # Runs that gained kept 0.92 and more; those that lost 40 % of their mIoU had 0.83 to 0.87.
    "source": Bounds(0.9, 0.8, "the source's confident labels are being lost"),
    # Gains of 4 points went with 0.87, of 1 point with 0.83; runs on noise that lost a point began with 0.77.
    "fit": Bounds(0.8, 0.5, "the labels have less and less to do with the images"),
    # 0.8 in runs that gained, 0.66 in those that lost 40 %.
    "agreement": Bounds(0.75, 0.55, "the student runs away from where it began"),
    # 0.97 in runs that gained, 0.91 in those that lost 40 %.
    "stability": Bounds(0.95, 0.8, "a few classes take over"),
    # 0.94 in runs that gained; 0.9 in those that lost a sixth, 0.8 in those that lost 40 %.
    "information": Bounds(0.93, 0.5, "classes merge"),
    # 0.9 in runs that gained; those that lost a sixth had 0.6, and so had some that lost a point.
    "classes kept": Bounds(0.75, 0.5, "classes vanish"),
    # Self-training raises it even where it fails; it fell by 1 % at most in runs that gained.
    "consistency": Bounds(0.93, 0.5, "labels depend more and more on how the image is seen"),
}


@dataclass(frozen=True)
class Alarm:
    """A suspicion.

    Attributes:
        name: what it is, the same for the same suspicion at a later look.
        text: what was seen and what to do, for the user.
        serious: the stage must not go on.
    """

    name: str
    text: str
    serious: bool = False


def judge(
    looks: Sequence[Values], vanishing: Mapping[str, str], *, trained: bool, distils: bool = False
) -> list[Alarm]:
    """Returns the alarms that the last of a stage's looks raises, serious ones first.

    Args:
        looks: label-free scores of all looks so far, the start's first.
        vanishing: by class, what is to be said of those that the student is about to lose.
        trained: the stage began with a model of these classes; otherwise the start says nothing.
        distils: the stage teaches the source's labels, so that a model that has nothing to do with them is wrong.
    """
    now = looks[-1]
    if not all(math.isfinite(value) for value in now.values()):
        return [Alarm("not finite", f"the student's outputs became infinite or NaN; {_SLOWER}", serious=True)]
    if not trained or looks[0].get("information", 1.0) < EMPTY:
        return _lost_again(looks)
    alarms = [*_of_the_start(looks[0], distils)] if len(looks) == 1 else [*_since_the_start(looks[0], now)]
    alarms += [Alarm(f"{VANISHING}{name}", text) for name, text in vanishing.items()]
    return sorted(alarms, key=lambda alarm: not alarm.serious)


_SLOWER = "lower the learning rate"


def _of_the_start(start: Values, distils: bool) -> list[Alarm]:
    """What the images and pseudo-labels themselves give reason to fear."""
    found: list[Alarm] = []
    if start.get("scale", 1.0) < UNREADABLE:
        text = (
            f"the model recognises nothing in these images: seen a little smaller, they get other labels (scale "
            f"{start['scale']:.2f}, expected {UNREADABLE} or more); look whether they are the right ones"
        )
        found.append(Alarm("unreadable", text, serious=True))
    if start.get("fit", 1.0) < UNFITTING:
        text = (
            f"the pseudo-labels have little to do with what the model sees in their images (fit {start['fit']:.2f}, "
            f"expected {UNFITTING} or more): do they belong to these images, and is the model one of this task? "
            "Where they are right, use the source itself"
        )
        found.append(Alarm("unfitting", text, serious=distils))
    return found


def _since_the_start(start: Values, now: Values) -> list[Alarm]:
    before, after = with_consistency(start), with_consistency(now)
    return [*_certainty(start, now), *(alarm for name in BOUNDS for alarm in _kept(name, before, after))]


def with_consistency(values: Values) -> Values:
    """Adds the mean of the scores that see each image in another view."""
    views = [values[name] for name in ("flip", "scale", "colour") if name in values]
    return {**values, "consistency": sum(views) / len(views)} if views else values


def _certainty(start: Values, now: Values) -> list[Alarm]:
    before, after = start.get("certainty", 0.5), now.get("certainty", 0.5)
    if after < UNIFORM and after < before:
        text = (
            f"the student's predictions turn uniform (certainty {before:.2f} at the start, {after:.2f} now); {_SLOWER}"
        )
        return [Alarm("uniform", text, serious=True)]
    others = min(now.get("agreement", 1.0) / BOUNDS["agreement"].warns, now.get("fit", 1.0) / BOUNDS["fit"].warns)
    if after > OVERCONFIDENT and others < 1.0:
        text = f"the student is sure of everything ({after:.3f}) and says other things than at the start; {_SLOWER}"
        return [Alarm("overconfident", text, serious=True)]
    if 1.0 - after < (1.0 - before) / 2 and others < 1.0:
        text = (
            f"the student suddenly grows sure (certainty {before:.2f} at the start, {after:.2f} now) while it says "
            f"other things than before: it may be learning its own mistakes; {_SLOWER}"
        )
        return [Alarm("growing sure", text)]
    return []


def _kept(name: str, start: Values, now: Values) -> list[Alarm]:
    """An alarm where a score has fallen below a part of what it was at the start."""
    if name not in start or name not in now or start[name] <= 0.0:
        return []
    before, after, bounds = start[name], now[name], BOUNDS[name]
    if after >= bounds.warns * before:
        return []
    serious = after < bounds.stops * before
    text = f"{bounds.words} ({name} {before:.2f} at the start, {after:.2f} now); {_SLOWER} or stop earlier"
    return [Alarm(f"{name} {'lost' if serious else 'falls'}", text, serious=serious)]


def _lost_again(looks: Sequence[Values]) -> list[Alarm]:
    """A student that began as something else: it cannot lose what it has not learnt yet."""
    best, now = max(look.get("fit", 0.0) for look in looks), looks[-1].get("fit", 0.0)
    if best < UNFITTING or now >= BOUNDS["fit"].stops * best:
        return []
    text = f"the student loses what it had learnt (fit {best:.2f} before, {now:.2f} now); {_SLOWER}"
    return [Alarm("fit lost", text, serious=True)]


def usable(values: Values) -> bool:
    """Whether a student that began as something else has learnt the source's labels so far that it can be used."""
    return values.get("fit", 1.0) >= UNFITTING


def healthy(alarms: Sequence[Alarm]) -> bool:
    """Whether nothing speaks against a checkpoint. A class that vanishes alone does not: it may be a mended mistake."""
    return all(alarm.name.startswith(VANISHING) for alarm in alarms)
