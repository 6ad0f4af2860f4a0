"""The summary of what a run changed: what got better or worse, how certain that is, and what to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from crots import text
from crots.artefacts import STUDENT, round_number
from crots.methods.alarms import source_checks, with_consistency
from crots.report.facts import Changes, ClassChange, KeptModel, ModelScore, Result
from crots.report.results import SOURCE, changed_names

Tone = Literal["better", "worse", "even", "harm", "unknown"]

# mIoU: a single run cannot show a smaller difference.
EVEN = 0.005
# Change of a class's IoU: a smaller one is not mentioned.
WORTH_SAYING = 0.02
# A class is lost if its IoU falls from above the first value to below the second.
_RECOGNISED, _LOST = 0.05, 0.01
# Of a share of pixels: a class has become more or less frequent beyond this factor, if it is this frequent at all.
_FACTOR, _FREQUENT = 1.25, 1e-3
# Of the consistency of labels over views, 0..1: a smaller rise is none.
_RISE = 0.01
# Of the source's surest pixels of a class: a smaller share is listed for checking.
_KEPT = 0.8
_FEW_IMAGES = 20
_HARM = "Not measured against labels; there are signs of harm."
_HARMLESS = "Not measured against labels; no label-free score indicates harm."
_NAMES = 6


@dataclass(frozen=True)
class ResultSummary:
    """A report's sentences.

    Attributes:
        tone: of the whole, for its colour.
        headline: the whole in a sentence.
        changed: what changed, good or bad.
        better: what speaks for the result.
        worse: what speaks against it.
        sure: how far this can be relied on.
        look: what a person should check.
    """

    tone: Tone
    headline: str
    changed: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    sure: tuple[str, ...] = ()
    look: tuple[str, ...] = ()


def title(key: str) -> str:
    """The title of a model: ``adapt-2`` is "round 2"."""
    number = round_number(key)
    return key if number is None else f"round {number}"


def summarise(result: Result, changes: Changes | None = None) -> ResultSummary:
    """Returns the sentences of a result.

    Args:
        result: of the project.
        changes: source and adapted model compared on target images, where that was done.
    """
    if not result.key:
        return ResultSummary("unknown", "Nothing is trained on these labels of the source yet.")
    now = result.score(result.key)
    before = next((score for score in result.scores if score.subject != result.key), None)
    summary = _measured(before, now, result) if now else _unmeasured(result)
    given_up = [f"{title(choice.key)} was stopped: {choice.given_up}" for choice in result.choices if choice.given_up]
    summary = _add(summary, worse=given_up)
    if result.everywhere:
        text = f"the source says {result.everywhere} nearly everywhere, so that there is nothing else to learn from it"
        summary = _add(summary, worse=[text], look=[source_checks(predictions=result.predictions)])
        if now is None:
            summary = replace(summary, tone="harm", headline=_HARM)
    lost = set(_vanishing(result, changes))
    if now is None and lost:
        summary = _add(summary, worse=[f"perhaps lost (or false positives that were corrected): {names(sorted(lost))}"])
        if summary.headline == _HARMLESS:
            count = "1 class" if len(lost) == 1 else f"{len(lost)} classes"
            summary = replace(summary, headline=f"Not measured against labels; {count} may have been lost.")
    return _add(summary, changed=_changed(changes), look=_to_check(changes, measured=now is not None))


def _add(summary: ResultSummary, **more: Sequence[str]) -> ResultSummary:
    values = {name: (*getattr(summary, name), *lines) for name, lines in more.items()}
    return ResultSummary(**{**vars(summary), **values})


# With labels.


def _measured(before: ModelScore | None, now: ModelScore, result: Result) -> ResultSummary:
    if before is None:
        found = f"mIoU is {now.miou:.1%} ({title(now.subject)}); no earlier model was scored, so the gain is unknown."
        return ResultSummary("unknown", found, sure=_sureness(now))
    change = text.gain(now.miou, before.miou)
    tone: Tone = "even" if abs(change) < EVEN else "better" if change > 0 else "worse"
    by_class = changed_names(before.per_class, now.per_class)
    gained = sorted((name for name in by_class if by_class[name] >= WORTH_SAYING), key=lambda name: -by_class[name])
    fell = sorted((name for name in by_class if by_class[name] <= -WORTH_SAYING), key=lambda name: by_class[name])
    return ResultSummary(
        tone,
        _headline(before, now, tone),
        better=_class_lines("gained", gained, by_class),
        worse=(*_class_lines("lost", fell, by_class), *_not_recognised(before, now)),
        sure=_sureness(now),
        look=(*_better_model(now, result), *_use_the_source(before, tone, result)),
    )


def _headline(before: ModelScore, now: ModelScore, tone: Tone) -> str:
    old, new = f"{before.miou:.1%} ({title(before.subject)})", f"{now.miou:.1%} ({title(now.subject)})"
    change = text.points(text.gain(now.miou, before.miou))
    if tone == "even":
        return f"About as good as before: mIoU {old} and {new} now, {change} points."
    verbs = ("Better", "rose") if tone == "better" else ("Worse", "fell")
    return f"{verbs[0]}: mIoU {verbs[1]} from {old} to {new}, {change} points."


def _class_lines(word: str, classes: Sequence[str], by_class: Mapping[str, float]) -> tuple[str, ...]:
    if not classes:
        return ()
    count = "1 class" if len(classes) == 1 else f"{len(classes)} classes"
    listed = names([f"{name} {text.points(by_class[name])}" for name in classes])
    return (f"{count} {word} {100 * WORTH_SAYING:g} points of IoU or more: {listed}",)


def _not_recognised(before: ModelScore, now: ModelScore) -> tuple[str, ...]:
    old, new = before.per_class, now.per_class
    gone = [
        name for name, iou in new.items() if iou is not None and iou < _LOST and (old.get(name) or 0.0) >= _RECOGNISED
    ]
    return (f"no longer recognised at all: {names(gone)}",) if gone else ()


def _sureness(now: ModelScore) -> tuple[str, ...]:
    count = f"{now.images} labelled" if now.images else "labelled"
    lines = [f"Measured on {count} validation images, which were not used for training."]
    if now.step:
        lines[0] = f"Measured on {count} validation images during training; no evaluation has been run since."
    if now.oracle:
        lines.append("These labels also chose the checkpoint (oracle): on other images expect less.")
    few = f"Only {now.images} images: " if 0 < now.images < _FEW_IMAGES else ""
    text = (
        "a point of mIoU, and more for a rare class, can be chance: another seed or other images shift scores as much."
    )
    lines.append(f"{few}{text if few else text[0].upper() + text[1:]}")
    return tuple(lines)


def _better_model(now: ModelScore, result: Result) -> tuple[str, ...]:
    others = [score for score in result.scores if score.subject not in (SOURCE, now.subject)]
    best = max(others, key=lambda score: score.miou, default=now)
    if text.gain(best.miou, now.miou) < EVEN:
        return ()
    where = f"{best.subject}/{STUDENT}"
    # Which may not be exported yet.
    what = f"{title(now.subject)}, which is the result"
    return (f"{title(best.subject)} scored higher ({best.miou:.1%}) than {what}; its model is {where}",)


def _use_the_source(before: ModelScore, tone: Tone, result: Result) -> tuple[str, ...]:
    if tone != "worse" or before.subject != SOURCE:
        return ()
    more = "a student that did not start from it learns only what the target's images show: add all that it will label"
    both = "crots predict can label images with both, each pixel by the more confident of the two"
    best = "the source itself is the better model here"
    return (best, *([more] if result.other_start else []), *([both] if result.predictions else []))


# Without labels.


def _unmeasured(result: Result) -> ResultSummary:
    last = result.choices[-1] if result.choices else None
    worse = [f"{title(choice.key)}: {text}" for choice in result.choices for text in choice.alarms]
    if worse:
        headline = _HARM
    elif last and (last.given_up or last.kept == 0):
        stopped = "was stopped by an alarm and " if last.given_up else ""
        kept = f"went back to step {last.kept}" if last.kept else "kept its starting weights"
        headline = f"Not measured against labels; {title(last.key)} {stopped}{kept}."
    else:
        headline = _HARMLESS
    sure = (
        "Without labels, a collapse can be detected, a small loss cannot, and no gain can be proved: these are "
        "indications.",
    )
    ask = (
        "20 to 50 labelled images of the target, given for validation, would show whether it is better; "
        "they are never used for training",
    )
    tone: Tone = "harm" if worse else "unknown"
    changed = _kept(result.choices)
    return ResultSummary(
        tone, headline, changed=changed, better=_signs(result.choices), worse=tuple(worse), sure=sure, look=ask
    )


def _kept(choices: Sequence[KeptModel]) -> tuple[str, ...]:
    share = choices[-1].end.get("source") if choices else None
    return (f"{share:.1%} of the source's most confident pixels keep their label",) if share is not None else ()


def _signs(choices: Sequence[KeptModel]) -> tuple[str, ...]:
    """Evidence for a result that needs no labels."""
    first = next((choice.start for choice in choices if choice.start), {})
    end = choices[-1].end if choices else {}
    old, new = with_consistency(first).get("consistency"), with_consistency(end).get("consistency")
    if old is None or new is None or new - old < _RISE:
        return ()
    return (
        f"labels are more consistent when an image is mirrored, smaller or recoloured ({old:.2f} before, "
        f"{new:.2f} now); training raises this by itself, so it is a weak sign",
    )


def _vanishing(result: Result, changes: Changes | None) -> list[str]:
    seen = [row.name for row in changes.classes if row.vanishing] if changes else []
    return [*(result.choices[-1].vanishing if result.choices else ()), *seen]


# On the target's images.


def _changed(changes: Changes | None) -> list[str]:
    if changes is None:
        return []
    count = "1 target image" if len(changes.images) == 1 else f"{len(changes.images)} target images"
    lines = [
        f"On {count}, {title(changes.model)} gives {changes.changed:.1%} of the pixels another label than the source."
    ]
    more = [row for row in changes.classes if row.after >= _FREQUENT and row.after > _FACTOR * row.before]
    less = [row for row in changes.classes if row.before >= _FREQUENT and row.before > _FACTOR * row.after]
    lines += [f"Predicted more often: {_shares(more)}."] if more else []
    lines += [f"Predicted less often: {_shares(less)}."] if less else []
    return lines


def _shares(rows: Sequence[ClassChange]) -> str:
    ranked = sorted(rows, key=lambda row: -abs(row.after - row.before))
    return names([f"{row.name} {small(row.before)} → {small(row.after)}" for row in ranked])


def small(share: float) -> str:
    """A share of pixels: ``3.2%``, ``0.04%``, ``0``."""
    return "0" if share == 0 else f"{share:.1%}" if share >= 0.01 else f"{share:.2%}" if share >= 5e-5 else "<0.01%"


def _to_check(changes: Changes | None, *, measured: bool) -> list[str]:
    if changes is None or not changes.images:
        return []
    most = [f"{key} ({share:.0%})" for key, share in list(changes.images.items())[:3] if share]
    lines = [f"of the images compared, those whose labels changed most: {names(most)}"] if most else []
    doubtful = [row for row in changes.classes if row.kept is not None and row.kept < _KEPT]
    if changes.sure and doubtful:
        ranked = sorted(doubtful, key=lambda row: row.kept or 0.0)
        listed = names([f"{row.name} ({row.kept:.0%} kept)" for row in ranked])
        lines.append(f"classes that changed where the source was most confident: {listed}")
    return lines


def names(listed: Iterable[str]) -> str:
    """Lists names with commas, the first few: ``road, sky and 3 more``."""
    found = list(listed)
    rest = len(found) - _NAMES
    return ", ".join(found) if rest <= 1 else f"{', '.join(found[:_NAMES])} and {rest} more"


def summary(result: Result) -> list[str]:
    """Returns what a run changed in a few lines for a terminal; none where nothing is trained."""
    return summary_lines(summarise(result)) if result.key else []


def summary_lines(summary: ResultSummary) -> list[str]:
    """Returns a summary in lines for a terminal: what speaks for it (+), against it (-), and the rest."""
    marked = [
        ("=", summary.changed),
        ("+", summary.better),
        ("-", summary.worse),
        ("?", summary.sure),
        (">", summary.look),
    ]
    return [summary.headline, *(f"  {mark} {line}" for mark, lines in marked for line in lines)]


def duration(seconds: float | None) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    return "-" if seconds is None else text.duration(seconds)


def when(moment: str) -> str:
    """``2026-11-29 01:16``, in the time zone of the computer that it was made on."""
    return moment[:16].replace("T", " ")
