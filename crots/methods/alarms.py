"""The collapse alarm: judges a run by its label-free scores, and decides when it has to stop.

An alarm is a suspicion, which only labels could prove. Every score has two bounds, relative to the start of the stage.
Beyond the first it warns, and the label-free choice skips the checkpoint; beyond the second the stage must stop. Within
the bounds no score was found that separates gains from losses, so the label-free choice is the last checkpoint without
a warning: of those without one, it has been trained longest.

The bounds come from small runs between the rendered domains of the demonstration, healthy and made to fail (learning
rates up to 100 times too high, labels of other images, noise), with two seeds; the comments state what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Values = Mapping[str, float]

# `scale` of a trained model: 0.8 on pictures of streets, 0.05 on pictures of noise.
UNREADABLE = 0.25
# `fit` of a student that learns the source's labels: 0.75 and more; at most 0.25 if they belong to other images.
UNFITTING = 0.4
# `information` of a useful start: 0.19 after a short training from random weights, 0.02 before.
EMPTY = 0.1
# Where one class has nearly all pixels, so that `information` can be at most `SKEWED`, it is compared with that most:
# 0.09 and 0.21 of it in models of spots on 0.5 % of the pixels, 0.002 of random weights, which can have all of 1.
SKEWED, EMPTY_SHARE = 0.5, 0.05
# `certainty`, 1 minus the normalised mean entropy: no trained network was below 0.4.
UNIFORM = 0.05
# Models ruined by far too high a learning rate were more certain than this; healthy ones stayed below 0.9.
OVERCONFIDENT = 0.98

VANISHING = "vanishing: "

# Share of the pixels beyond which a class is everywhere: a few others at the images' borders change nothing.
EVERYWHERE = 0.9999

# How many of the source's most confident pixels refreshed labels may change: mean over classes, and in any one class.
MOST_LOST, MOST_LOST_OF_CLASS = 0.01, 0.1


class Bounds(NamedTuple):
    """Bounds of a score relative to its value at the start: below ``warns`` it warns, below ``stops`` it is serious.

    ``meaning`` says what that shows.
    """

    warns: float
    stops: float
    meaning: str


BOUNDS: dict[str, Bounds] = {
    # Runs that gained kept 0.92 and more; those that lost 40 % of their mIoU had 0.83 to 0.87.
    "source": Bounds(0.9, 0.8, "the source's confident labels are being lost"),
    # A run that gained a little had 0.93 and 0.88: some of the most confident pixels of a weak source are wrong.
    # One that lost a fifth on noise had 0.80 and 0.32.
    "surest": Bounds(0.9, 0.82, "the source's most confident pixels of each class are being lost"),
    # Runs that gained had 0.91 and more; one that lost 4 points had 0.8 at its end, and 0.89 where it fell below its
    # source.
    "worst class": Bounds(0.9, 0.35, "a class that the source is sure of is being lost"),
    # Runs that gained 4 points had 0.87, 1 point 0.83; runs on noise that lost a point began with 0.77.
    "fit": Bounds(0.8, 0.5, "the predictions fit the images less and less"),
    # 0.8 in runs that gained, 0.66 in those that lost 40 %.
    "agreement": Bounds(0.75, 0.55, "the student drifts away from its start"),
    # 0.97 in runs that gained, 0.91 in those that lost 40 %.
    "stability": Bounds(0.95, 0.8, "a few classes take over"),
    # 0.94 in runs that gained; 0.9 in those that lost a sixth, 0.8 in those that lost 40 %.
    "information": Bounds(0.93, 0.5, "classes merge"),
    # 0.9 in runs that gained; those that lost a sixth had 0.6, and so had some that lost a point.
    "classes kept": Bounds(0.75, 0.5, "classes vanish"),
    # Self-training raises it even in failing runs; it fell by at most 1 % in runs that gained.
    "consistency": Bounds(0.93, 0.5, "predictions depend more and more on flip, scale and colour"),
}


@dataclass(frozen=True)
class Alarm:
    """A suspicion.

    Attributes:
        name: identifies the suspicion, so that it is reported once.
        text: what was found and what to do, for the user.
        serious: the stage must stop.
    """

    name: str
    text: str
    serious: bool = False


def judge(
    looks: Sequence[Values], vanishing: Mapping[str, str], *, trained: bool, distils: bool = False
) -> list[Alarm]:
    """Returns the alarms of the latest evaluation of a stage, serious ones first.

    Args:
        looks: label-free scores of all evaluations so far, beginning with the start.
        vanishing: by class, the message about each class that the student is about to lose.
        trained: the stage began with a model of these classes; otherwise the start is no reference.
        distils: the stage trains on the source's labels, so a model that does not fit them is wrong.
    """
    now = looks[-1]
    if not all(math.isfinite(value) for value in now.values()):
        return [Alarm("not finite", f"the student's outputs became infinite or NaN; {_SLOWER}", serious=True)]
    if not _is_reference(looks[0], trained):
        return _lost_again(looks)
    alarms = [*_of_the_start(looks[0], distils)] if len(looks) == 1 else [*_since_the_start(looks[0], now)]
    alarms += [Alarm(f"{VANISHING}{name}", text) for name, text in vanishing.items()]
    return sorted(alarms, key=lambda alarm: not alarm.serious)


def watches_others_alone(start: Values, *, trained: bool) -> bool:
    """Whether the loss of a single class would raise no alarm, while other losses do.

    Args:
        start: label-free scores of the start of a stage.
        trained: see `judge`.
    """
    return _is_reference(start, trained) and "surest" in start and "worst class" not in start


def _is_reference(start: Values, trained: bool) -> bool:
    return trained and informative(start)


def informative(start: Values) -> bool:
    """Whether the label-free scores of a start show a model that can be lost, and not one that says nothing yet."""
    information, certainty = start.get("information", 1.0), start.get("certainty", 0.5)
    # The entropy of the mean prediction: the most that the information can be, small where other classes are rare.
    most = information + 1.0 - certainty
    return information >= (EMPTY if most >= SKEWED else EMPTY_SHARE * most)


# Of float32.
_ROUNDING = 1e-6
_SLOWER = "lower the learning rate"


def _of_the_start(start: Values, distils: bool) -> list[Alarm]:
    """Alarms about the images and the pseudo-labels themselves."""
    found: list[Alarm] = []
    if start.get("scale", 1.0) < UNREADABLE:
        text = (
            f"the model recognises nothing in these images: slightly reduced in size, they get other labels (scale "
            f"{start['scale']:.2f}, expected {UNREADABLE} or more); check that they are the right ones"
        )
        found.append(Alarm("unreadable", text, serious=True))
    if start.get("fit", 1.0) < UNFITTING:
        text = (
            f"the pseudo-labels hardly fit what the model predicts on their images (fit {start['fit']:.2f}, "
            f"expected {UNFITTING} or more): do they belong to these images, and is the model one for this task? "
            "If they are right, use the source itself"
        )
        found.append(Alarm("unfitting", text, serious=distils))
    return found


def _since_the_start(start: Values, now: Values) -> list[Alarm]:
    before, after = with_consistency(start), with_consistency(now)
    return [*_certainty(start, now), *(alarm for name in BOUNDS for alarm in _kept(name, before, after))]


def surest_lost(mean: float, worst: float) -> str:
    """Returns why too many of the source's most confident pixels are lost; empty if they are not.

    Args:
        mean: loss of the share kept of each class's surest pixels, as a mean over classes.
        worst: the greatest loss of a class.
    """
    parts = (("on average", mean, MOST_LOST), ("in the worst class", worst, MOST_LOST_OF_CLASS))
    too_many = [f"{share:.2%} {where} (at most {most:.0%})" for where, share, most in parts if share > most + _ROUNDING]
    lost = " and ".join(too_many)
    return f"of the source's most confident pixels of each class, {lost} would be lost" if lost else ""


def with_consistency(values: Values) -> Values:
    """Adds the mean of the scores that compare two views of each image."""
    views = [values[name] for name in ("flip", "scale", "colour") if name in values]
    return {**values, "consistency": sum(views) / len(views)} if views else values


def _certainty(start: Values, now: Values) -> list[Alarm]:
    before, after = start.get("certainty", 0.5), now.get("certainty", 0.5)
    if after < UNIFORM and after < before:
        text = f"the predictions become uniform (certainty {before:.2f} at the start, {after:.2f} now); {_SLOWER}"
        return [Alarm("uniform", text, serious=True)]
    others = min(now.get("agreement", 1.0) / BOUNDS["agreement"].warns, now.get("fit", 1.0) / BOUNDS["fit"].warns)
    if after > OVERCONFIDENT and others < 1.0:
        text = f"the student is certain of nearly every pixel ({after:.3f}) and has changed since the start; {_SLOWER}"
        return [Alarm("overconfident", text, serious=True)]
    if 1.0 - after < (1.0 - before) / 2 and others < 1.0:
        text = (
            f"the student suddenly becomes certain (certainty {before:.2f} at the start, {after:.2f} now) and predicts "
            f"other classes than before: it may be learning its own mistakes; {_SLOWER}"
        )
        return [Alarm("growing sure", text)]
    return []


def _kept(name: str, start: Values, now: Values) -> list[Alarm]:
    """An alarm if a score has fallen below its bound relative to the start."""
    if name not in start or name not in now or start[name] <= 0.0:
        return []
    before, after, bounds = start[name], now[name], BOUNDS[name]
    if after >= bounds.warns * before:
        return []
    serious = after < bounds.stops * before
    text = f"{bounds.meaning} ({name} {before:.2f} at the start, {after:.2f} now); {_SLOWER} or stop earlier"
    return [Alarm(f"{name} {'lost' if serious else 'falls'}", text, serious=serious)]


def _lost_again(looks: Sequence[Values]) -> list[Alarm]:
    """Alarms for a student that did not start trained: it cannot lose what it has not learnt yet."""
    best, now = max(look.get("fit", 0.0) for look in looks), looks[-1].get("fit", 0.0)
    if best < UNFITTING or now >= BOUNDS["fit"].stops * best:
        return []
    text = f"the student loses what it had learnt (fit {best:.2f} before, {now:.2f} now); {_SLOWER}"
    return [Alarm("fit lost", text, serious=True)]


def everywhere(pixels: Sequence[float]) -> int | None:
    """Returns the class that nearly all pixels have, where there are others; None if there is none.

    Args:
        pixels: of each class.
    """
    most = max(range(len(pixels)), key=pixels.__getitem__, default=0)
    return most if len(pixels) > 1 and pixels[most] > EVERYWHERE * sum(pixels) else None


def source_checks(*, predictions: bool) -> str:
    """What to look at where the source says one class everywhere, or none at all.

    Args:
        predictions: the source is a folder of them, and no model that could be read wrongly.
    """
    if predictions:
        return "the model that made the predictions, the class set of their ids, and the class map"
    return "the weights of the source, its mean, scale and channel order, its class set, and the class map"


def usable(values: Values) -> bool:
    """Whether a student that did not start trained has learnt the source's labels well enough to be used."""
    return values.get("fit", 1.0) >= UNFITTING


def healthy(alarms: Sequence[Alarm]) -> bool:
    """Whether a checkpoint has no warning. A vanishing class alone does not count: it may be a corrected mistake."""
    return all(alarm.name.startswith(VANISHING) for alarm in alarms)
