"""The page's table of the classes: scores where labels exist, shares of pixels where they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crots.report.facts import ClassChange, Facts, ModelScore
from crots.report.markup import Markup, html_table, joined, section, swatch, tag
from crots.report.results import changed_names
from crots.report.words import EVEN, small, title
from crots.text import gain, points

NOTHING = "-"


def class_section(facts: Facts) -> list[Markup]:
    """Returns the table with its explanations; nothing where nothing is known of any class."""
    scores = [score for score in facts.result.scores if score.per_class]
    changes = {row.name: row for row in facts.changes.classes} if facts.changes else {}
    shares = {} if changes else facts.shares
    named = [*(facts.classes.names if facts.classes else ()), *changes, *(name for s in scores for name in s.per_class)]
    if not (scores or changes or shares):
        return []
    gains = changed_names(scores[0].per_class, scores[-1].per_class) if len(scores) > 1 else {}
    headers = [
        "class",
        *(f"{title(score.subject)} IoU" for score in scores),
        *(["change"] if gains else []),
        *(["pixels before", "pixels now", "kept where sure" if _sure(facts) else "kept"] if changes else []),
        *(["pixels"] if shares else []),
    ]
    rows = [
        [
            _class_name(facts, name),
            *(_percent(score.per_class.get(name)) for score in scores),
            *([_gain(gains.get(name))] if gains else []),
            *(_share_cells(changes.get(name)) if changes else []),
            *([small(shares.get(name, 0.0))] if shares else []),
        ]
        for name in dict.fromkeys(named)
    ]
    shown = html_table(
        headers, [*rows, *_mean(scores, len(headers), gains)], numbers=range(1, len(headers)), class_="classes"
    )
    return section("Classes", shown, *(tag("p", line, class_="soft small") for line in _explained(facts, scores)))


def _sure(facts: Facts) -> bool:
    return bool(facts.changes and facts.changes.sure)


def _class_name(facts: Facts, name: str) -> Markup:
    known = dict(zip(facts.classes.names, facts.classes.colours, strict=True)) if facts.classes else {}
    return joined([swatch(known[name]), name] if name in known else [name])


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f}"


def _gain(change: float | None) -> Markup:
    if change is None:
        return joined([NOTHING])
    tone = "up" if change >= EVEN else "down" if change <= -EVEN else "even"
    return tag("span", points(change), class_=tone)


def _share_cells(row: ClassChange | None) -> list[str]:
    if row is None:
        return [NOTHING] * 3
    kept = NOTHING if row.kept is None else f"{row.kept:.0%}"
    mark = [" ", tag("span", "vanishing", class_="tag")] if row.vanishing else []
    return [small(row.before), joined([small(row.after), *mark]), kept]


def _mean(scores: Sequence[ModelScore], columns: int, gains: Mapping[str, float]) -> list[list[str]]:
    if not scores:
        return []
    cells = ["mIoU", *(_percent(score.miou) for score in scores)]
    cells += [_gain(gain(scores[-1].miou, scores[0].miou))] if gains else []
    return [[tag("b", cell) for cell in [*cells, *[""] * (columns - len(cells))]]]


def _explained(facts: Facts, scores: Sequence[ModelScore]) -> list[str]:
    lines = []
    if scores:
        now = scores[-1]
        images = f" on {now.images} images" if now.images else ""
        lines.append(
            f"IoU in percent, measured on validation labels{images}; change is from {title(scores[0].subject)}."
        )
        if any(score.oracle for score in scores):
            listed = ", ".join(title(score.subject) for score in scores if score.oracle)
            lines.append(f"Chosen by these very labels (oracle): {listed}.")
    if facts.changes:
        of = (
            "the more confident half of the source's pixels of this class"
            if _sure(facts)
            else "the source's pixels of this class"
        )
        lines.append(
            f"Pixels: share of the pixels of {len(facts.changes.images)} target images that the source (before) and "
            f"{title(facts.changes.model)} (now) predict as this class; no labels needed. Kept: the unchanged "
            f"share of {of}."
        )
        if facts.changes.mirrored:
            # A second pass of the model over these images would cost as much time again.
            lines.append(
                f"The source's labels average each image with its mirror image, {title(facts.changes.model)} sees it "
                "once: a small part of the changes, at edges, is due to that."
            )
        if any(row.vanishing for row in facts.changes.classes):
            lines.append("Vanishing: less than a quarter is left; lost, or false positives that were corrected.")
    elif facts.shares:
        lines.append(f"Pixels: share of the pseudo-labels of all {facts.target.images:,} target images.")
    return lines
