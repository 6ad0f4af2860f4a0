"""The collapse alarm: what a run's label-free scores say of its health, in words, and when it has to stop.

An alarm is a suspicion: only labels could prove it. The bounds were chosen on small runs between the rendered domains
of the demonstration, healthy ones and ones made to fail, so that no healthy run stops; each says what was seen there.
Scores are compared with those of the start of the same stage, never between stages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
# `source` and `fit` over their value at the start. Healthy runs kept 0.98 and 0.93 at least; runs that lost a sixth of
# their mIoU 0.95 and 0.75, runs that lost 40 % of it 0.83 and 0.35.
SOURCE_WARNS, SOURCE_STOPS = 0.95, 0.8
FIT_WARNS, FIT_STOPS = 0.85, 0.5
# `agreement` with the start: 0.88 in healthy runs, 0.65 in those that lost 40 %.
START_WARNS, START_STOPS = 0.75, 0.55
# `stability` of the class shares: 0.985 in healthy runs, 0.88 in those that lost 40 %.
SHARES_WARN, SHARES_STOP = 0.95, 0.8
# Of the classes that the start predicted: three of ten rare ones came and went in healthy runs.
CLASSES_STOP = 0.5
# `information` over its value at the start: 0.94 in healthy runs, 0.8 in those that lost 40 %.
INFORMATION_WARNS, INFORMATION_STOPS = 0.85, 0.5


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
    alarms += [Alarm(f"vanishing: {name}", text) for name, text in vanishing.items()]
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
    return [
        *_certainty(start, now),
        *_kept("source", start, now, SOURCE_WARNS, SOURCE_STOPS, "the source's confident labels are being lost"),
        *_kept("fit", start, now, FIT_WARNS, FIT_STOPS, "the labels have less and less to do with the images"),
        *_kept("agreement", start, now, START_WARNS, START_STOPS, "the student runs away from where it began"),
        *_kept("stability", start, now, SHARES_WARN, SHARES_STOP, "a few classes take over"),
        *_kept("information", start, now, INFORMATION_WARNS, INFORMATION_STOPS, "classes merge"),
        *_kept("classes kept", start, now, 0.0, CLASSES_STOP, "most classes vanish"),
    ]


def _certainty(start: Values, now: Values) -> list[Alarm]:
    before, after = start.get("certainty", 0.5), now.get("certainty", 0.5)
    if after < UNIFORM and after < before:
        text = (
            f"the student's predictions turn uniform (certainty {before:.2f} at the start, {after:.2f} now); {_SLOWER}"
        )
        return [Alarm("uniform", text, serious=True)]
    kept = min(now.get("agreement", 1.0), now.get("fit", 1.0))
    if after > OVERCONFIDENT and kept < START_WARNS:
        text = f"the student is sure of everything ({after:.3f}) and says other things than at the start; {_SLOWER}"
        return [Alarm("overconfident", text, serious=True)]
    if 1.0 - after < (1.0 - before) / 2 and kept < FIT_WARNS:
        text = (
            f"the student suddenly grows sure (certainty {before:.2f} at the start, {after:.2f} now) while it says "
            f"other things than before: it may be learning its own mistakes; {_SLOWER}"
        )
        return [Alarm("growing sure", text)]
    return []


def _kept(name: str, start: Values, now: Values, warns: float, stops: float, words: str) -> list[Alarm]:
    """An alarm where a score has fallen below a part of what it was at the start."""
    if name not in start or name not in now or start[name] <= 0.0:
        return []
    before, after = start[name], now[name]
    if after >= max(warns, stops) * before:
        return []
    serious = after < stops * before
    text = f"{words} ({name} {before:.2f} at the start, {after:.2f} now); {_SLOWER} or stop earlier"
    return [Alarm(f"{name} {'lost' if serious else 'falls'}", text, serious=serious)]


def _lost_again(looks: Sequence[Values]) -> list[Alarm]:
    """A student that began as something else: it cannot lose what it has not learnt yet."""
    best, now = max(look.get("fit", 0.0) for look in looks), looks[-1].get("fit", 0.0)
    if best < UNFITTING or now >= FIT_STOPS * best:
        return []
    text = f"the student loses what it had learnt (fit {best:.2f} before, {now:.2f} now); {_SLOWER}"
    return [Alarm("fit lost", text, serious=True)]


def usable(values: Values) -> bool:
    """Whether a student that began as something else has learnt the source's labels so far that it can be used."""
    return values.get("fit", 1.0) >= UNFITTING


def promise(values: Values, start: Values) -> float:
    """Returns the figure by which checkpoints of one run are compared without labels; greater is better."""
    views = [values[name] for name in ("flip", "scale", "colour") if name in values]
    consistency = sum(views) / len(views) if views else 0.0
    anchor = values.get("fit", values.get("agreement", 0.0))
    return values.get("information", 0.0) + consistency + 2 * anchor
