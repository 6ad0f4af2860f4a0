"""The report as one self-contained HTML page: no network, no script, no other file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crots.report.charts import SMALL, Stretch, chart, legend
from crots.report.class_table import class_section
from crots.report.facts import Curve, Facts, Picture, StageCurves
from crots.report.markup import Markup, picture, section, swatch, tag
from crots.report.provenance import provenance_section
from crots.report.words import ResultSummary, duration, summarise, title, when
from crots.resources import resource_folder

# Names may come from strangers: a browser must not load or run anything.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# The first line of every report, by which the next report knows that it may replace it.
MARK = "<!doctype html><!-- CROTS report -->"


def render_page(facts: Facts) -> str:
    """Returns the page; only its pictures are larger than text."""
    summary = summarise(facts.result, facts.changes)
    body = tag(
        "main",
        *_head(facts, summary),
        *_summary(summary),
        *class_section(facts),
        *_pictures(facts),
        *_curves(facts),
        *provenance_section(facts),
    )
    style = Markup((resource_folder() / "report.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{facts.note.title or facts.project}: what adaptation changed"),
        tag("style", style),
    )
    text = f"{MARK}\n{tag('html', head, tag('body', body), lang='en')}\n"
    # A file's name need not be text.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


# What it is about.


def _head(facts: Facts, summary: ResultSummary) -> list[Markup]:
    return [
        tag("h1", f"{facts.note.title or facts.project}: what adaptation changed"),
        *([tag("p", facts.note.note, class_="note")] if facts.note.note else []),
        tag(
            "p",
            f"{_from(facts)}. Made on {when(facts.made)} by CROTS {facts.versions.get('crots', '')}.",
            class_="soft",
        ),
        tag("p", summary.headline, class_=f"verdict {summary.tone}"),
        tag("div", *_tiles(facts), class_="tiles"),
        *_notes(facts),
        *([tag("ul", *(tag("li", gap, class_="warned") for gap in facts.gaps))] if facts.gaps else []),
    ]


def _notes(facts: Facts) -> list[Markup]:
    lines = [tag("li", tag("b", title(stage)), f": {note.line}") for stage, note in facts.run_notes.items()]
    return [tag("ul", *lines)] if lines else []


def _from(facts: Facts) -> str:
    source = facts.source
    name = source.file.name if source.file else source.folder
    folder = f" ({facts.target.folder})" if facts.target.folder else ""
    return f"From {name or 'a source that is gone'} to {facts.target.images:,} images without labels{folder}"


def _tiles(facts: Facts) -> list[Markup]:
    now = facts.result.score(facts.result.key)
    before = next((score for score in facts.result.scores if score is not now), None)
    found = []
    if now:
        text = f"{before.miou:.1%} → {now.miou:.1%}" if before else f"{now.miou:.1%}"
        found.append((text, f"mIoU, {title(before.subject)} → {title(now.subject)}" if before else "mIoU"))
    if facts.changes:
        found.append((f"{facts.changes.changed:.1%}", f"of labels changed ({len(facts.changes.images)} images)"))
    alarms = {remark.text for stage in facts.stages for remark in stage.remarks if remark.warning}
    # Most of them were shown as warnings, too.
    alarms |= {text for choice in facts.result.choices for text in choice.alarms}
    found.append((str(len(alarms)) if alarms else "none", "warnings and alarms"))
    spent = sum(stage.seconds or 0.0 for stage in facts.stages)
    found.append((duration(spent), f"in {sum(stage.seconds is not None for stage in facts.stages)} finished stages"))
    return [tag("div", tag("b", value), tag("span", label), class_="tile") for value, label in found]


def _summary(summary: ResultSummary) -> list[Markup]:
    parts = (
        ("What changed", summary.changed),
        ("Better", summary.better),
        ("Worse", summary.worse),
        ("How certain this is", summary.sure),
        ("What to check", summary.look),
    )
    found = [
        tag("section", tag("h3", heading), tag("ul", *(tag("li", _sentence(line)) for line in lines)))
        for heading, lines in parts
        if lines
    ]
    return section("Summary", tag("div", *found, class_="words")) if found else []


def _sentence(line: str) -> str:
    return line[:1].upper() + line[1:] + ("" if line.endswith((".", ":")) else ".")


# Pictures.


def _pictures(facts: Facts) -> list[Markup]:
    if not facts.changes or not facts.changes.pictures:
        return []
    shown = [part for row in facts.changes.pictures for part in _shots(row, title(facts.changes.model))]
    return section("Before and after", *_colours(facts), *shown)


def _colours(facts: Facts) -> list[Markup]:
    if facts.classes is None or facts.changes is None:
        return []
    seen = {row.name for row in facts.changes.classes}
    pairs = zip(facts.classes.names, facts.classes.colours, strict=True)
    keys = (tag("span", swatch(colour), name, class_="entry") for name, colour in pairs if name in seen)
    return [tag("p", *keys, class_="legend")]


def _shots(row: Picture, model: str) -> list[Markup]:
    parts = (
        ("photo", row.photo, "jpeg", "", "Photo"),
        ("labels of the source", row.before, "png", "labels", "Source"),
        (f"labels of {model}", row.after, "png", "labels", model.capitalize()),
    )
    figures = []
    for label, content, kind, look, caption in parts:
        image = tag("div", picture(content, kind, f"{row.key}: {label}"), class_=look)
        figures.append(tag("figure", image, tag("figcaption", caption)))
    heading = tag("h3", row.key, " ", tag("span", f"{row.kind}: {row.changed:.1%} of its labels", class_="soft small"))
    return [tag("div", heading, tag("div", *figures, class_="shots"))]


# Curves.


def _curves(facts: Facts) -> list[Markup]:
    losses = [Stretch(_with_steps(s), s.total, s.losses) for s in facts.curves]
    mious = [Stretch(_with_steps(s), s.total, [_in_percent(s.miou)] if s.miou else []) for s in facts.curves]
    scores = [Stretch(title(s.key), s.total, s.scores) for s in facts.curves]
    parts = [
        *_one_chart("Losses", losses),
        *_one_chart("mIoU on validation labels, percent", mious),
        *_multiples(scores),
    ]
    return section("Curves", *parts)


def _with_steps(stage: StageCurves) -> str:
    return f"{title(stage.key)}, {stage.total:,} steps"


def _in_percent(curve: Curve) -> Curve:
    return Curve(curve.name, curve.steps, tuple(100 * value for value in curve.values))


def _named(parts: Iterable[Stretch]) -> list[str]:
    return list(dict.fromkeys(curve.name for part in parts for curve in part.curves))


def _one_chart(heading: str, parts: Sequence[Stretch]) -> list[Markup]:
    parts = [part for part in parts if part.curves]
    if not parts:
        return []
    names = _named(parts)
    keys = [legend(names)] if len(names) > 1 else []
    return [tag("h3", heading), *keys, chart(parts, names, f"{heading} over optimiser steps")]


def _multiples(parts: Sequence[Stretch]) -> list[Markup]:
    found = []
    for name in _named(parts):
        own = [Stretch(p.title, p.length, [curve for curve in p.curves if curve.name == name]) for p in parts]
        own = [part for part in own if part.curves]
        first, last = own[0].curves[0].values[0], own[-1].curves[0].values[-1]
        label = f"{name} over optimiser steps"
        head = tag("p", tag("b", name), tag("span", f"{first:.3f} → {last:.3f}"))
        found.append(tag("div", head, chart(own, [name], label, SMALL)))
    if not found:
        return []
    text = (
        "Higher is better for every score. Agreement, stability and classes kept compare with the start of each stage; "
        "none of them proves a gain, a fall is a warning."
    )
    return [
        tag("h3", "Scores without labels"),
        tag("p", text, class_="soft small"),
        tag("div", *found, class_="multiples"),
    ]
