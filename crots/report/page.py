"""The report as one HTML page that needs nothing besides itself: no network, no script, no other file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crots.report.charts import SMALL, Part, chart, legend
from crots.report.facts import ClassChange, Curve, Facts, FileFact, Picture, Score, StageCurves, StageFacts
from crots.report.markup import Markup, joined, picture, table, tag
from crots.report.results import changed_names
from crots.report.words import EVEN, Story, points, small, story, title
from crots.resources import resources

NOTHING = "-"
# States that nobody needs to do anything about.
_SETTLED = ("done", "not needed", "ready", "waiting")
# Whatever a name in it says, a browser loads and runs nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(facts: Facts) -> str:
    """Returns the page; only its pictures are larger than text."""
    told = story(facts.result, facts.changes)
    body = tag(
        "main",
        *_head(facts, told),
        *_words(told),
        *_classes(facts),
        *_pictures(facts),
        *_curves(facts),
        *_stages(facts),
        *_inputs(facts),
        *_settings(facts),
        *_versions(facts),
    )
    style = Markup((resources() / "report.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{facts.project}: what adaptation changed"),
        tag("style", style),
    )
    text = f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"
    # A file's name need not be text.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _section(heading: str, *parts: str) -> list[Markup]:
    return [tag("section", tag("h2", heading), *parts)] if parts else []


# What it is about.


def _head(facts: Facts, told: Story) -> list[Markup]:
    return [
        tag("h1", f"{facts.project}: what adaptation changed"),
        tag(
            "p",
            f"{_from(facts)}. Made on {_when(facts.made)} by CROTS {facts.versions.get('crots', '')}.",
            class_="soft",
        ),
        tag("p", told.headline, class_=f"verdict {told.tone}"),
        tag("div", *_tiles(facts), class_="tiles"),
        *([tag("ul", *(tag("li", gap, class_="warned") for gap in facts.gaps))] if facts.gaps else []),
    ]


def _from(facts: Facts) -> str:
    source = facts.source
    name = source.file.name if source.file else source.folder
    where = f"{facts.target.images:,} images without labels"
    return f"From {name or 'a source that is gone'} to {where}" + (
        f" ({facts.target.folder})" * bool(facts.target.folder)
    )


def _when(moment: str) -> str:
    """``2026-11-29 01:16``, in the time zone of the computer that it was made on."""
    return moment[:16].replace("T", " ")


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
    # Most of them were told as warnings, too.
    alarms |= {text for choice in facts.result.choices for text in choice.alarms}
    found.append((str(len(alarms)) if alarms else "none", "warnings and alarms"))
    spent = sum(stage.seconds or 0.0 for stage in facts.stages)
    found.append((duration(spent), f"in {sum(stage.seconds is not None for stage in facts.stages)} finished stages"))
    return [tag("div", tag("b", value), tag("span", label), class_="tile") for value, label in found]


def duration(seconds: float | None) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds is None:
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _words(told: Story) -> list[Markup]:
    parts = (
        ("What changed", told.changed),
        ("Better", told.better),
        ("Worse", told.worse),
        ("How sure this is", told.sure),
        ("What to look at", told.look),
    )
    found = [
        tag("section", tag("h3", heading), tag("ul", *(tag("li", _sentence(line)) for line in lines)))
        for heading, lines in parts
        if lines
    ]
    return _section("In words", tag("div", *found, class_="words")) if found else []


def _sentence(line: str) -> str:
    return line[:1].upper() + line[1:] + ("" if line.endswith((".", ":")) else ".")


# Classes.


def _classes(facts: Facts) -> list[Markup]:
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
    shown = table(
        headers, [*rows, *_mean(scores, len(headers), gains)], numbers=range(1, len(headers)), class_="classes"
    )
    return _section("Classes", shown, *(tag("p", line, class_="soft small") for line in _explained(facts, scores)))


def _sure(facts: Facts) -> bool:
    return bool(facts.changes and facts.changes.sure)


def _class_name(facts: Facts, name: str) -> Markup:
    known = dict(zip(facts.classes.names, facts.classes.colours, strict=True)) if facts.classes else {}
    return joined([_swatch(known[name]), name] if name in known else [name])


def _swatch(colour: tuple[int, int, int]) -> Markup:
    red, green, blue = colour
    return tag("span", class_="swatch", style=f"background:rgb({red},{green},{blue})")


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f}"


def _gain(gain: float | None) -> Markup:
    if gain is None:
        return joined([NOTHING])
    tone = "up" if gain >= EVEN else "down" if gain <= -EVEN else "even"
    return tag("span", points(gain), class_=tone)


def _share_cells(row: ClassChange | None) -> list[str]:
    if row is None:
        return [NOTHING] * 3
    kept = NOTHING if row.kept is None else f"{row.kept:.0%}"
    mark = [" ", tag("span", "vanishing", class_="tag")] if row.vanishing else []
    return [small(row.before), joined([small(row.after), *mark]), kept]


def _mean(scores: Sequence[Score], columns: int, gains: Mapping[str, float]) -> list[list[str]]:
    if not scores:
        return []
    cells = ["mIoU", *(_percent(score.miou) for score in scores)]
    cells += [_gain(scores[-1].miou - scores[0].miou)] if gains else []
    return [[tag("b", cell) for cell in [*cells, *[""] * (columns - len(cells))]]]


def _explained(facts: Facts, scores: Sequence[Score]) -> list[str]:
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
        of = "the surer half of the source's pixels of that class" if _sure(facts) else "the source's pixels of it"
        lines.append(
            f"Pixels: share of {len(facts.changes.images)} target images that the source called so (before) and "
            f"{title(facts.changes.model)} calls so (now), no labels needed. Kept: of {of}, those still called so."
        )
        if any(row.vanishing for row in facts.changes.classes):
            lines.append("Vanishing: less than a quarter is left; lost, or false alarms that were mended.")
    elif facts.shares:
        lines.append(f"Pixels: share of the pseudo-labels of all {facts.target.images:,} target images.")
    return lines


# Pictures.


def _pictures(facts: Facts) -> list[Markup]:
    if not facts.changes or not facts.changes.pictures:
        return []
    shown = [part for row in facts.changes.pictures for part in _shots(row, title(facts.changes.model))]
    return _section("Before and after", *_colours(facts), *shown)


def _colours(facts: Facts) -> list[Markup]:
    if facts.classes is None or facts.changes is None:
        return []
    seen = {row.name for row in facts.changes.classes}
    pairs = zip(facts.classes.names, facts.classes.colours, strict=True)
    keys = (tag("span", _swatch(colour), name, class_="entry") for name, colour in pairs if name in seen)
    return [tag("p", *keys, class_="legend")]


def _shots(row: Picture, model: str) -> list[Markup]:
    parts = (
        ("photo", row.photo, "jpeg", "", "Photo"),
        ("labels of the source", row.before, "png", "labels", "Source"),
        (f"labels of {model}", row.after, "png", "labels", model.capitalize()),
    )
    figures = []
    for words, content, kind, look, caption in parts:
        image = tag("div", picture(content, kind, f"{row.key}: {words}"), class_=look)
        figures.append(tag("figure", image, tag("figcaption", caption)))
    heading = tag("h3", row.key, " ", tag("span", f"{row.kind}: {row.changed:.1%} of its labels", class_="soft small"))
    return [tag("div", heading, tag("div", *figures, class_="shots"))]


# Curves.


def _curves(facts: Facts) -> list[Markup]:
    losses = [Part(_with_steps(s), s.total, s.losses) for s in facts.curves]
    mious = [Part(_with_steps(s), s.total, [_in_percent(s.miou)] if s.miou else []) for s in facts.curves]
    scores = [Part(title(s.key), s.total, s.scores) for s in facts.curves]
    parts = [
        *_one_chart("Losses", losses),
        *_one_chart("mIoU on validation labels, percent", mious),
        *_multiples(scores),
    ]
    return _section("Curves", *parts)


def _with_steps(stage: StageCurves) -> str:
    return f"{title(stage.key)}, {stage.total:,} steps"


def _in_percent(curve: Curve) -> Curve:
    return Curve(curve.name, curve.steps, tuple(100 * value for value in curve.values))


def _named(parts: Iterable[Part]) -> list[str]:
    return list(dict.fromkeys(curve.name for part in parts for curve in part.curves))


def _one_chart(heading: str, parts: Sequence[Part]) -> list[Markup]:
    parts = [part for part in parts if part.curves]
    if not parts:
        return []
    names = _named(parts)
    keys = [legend(names)] if len(names) > 1 else []
    return [tag("h3", heading), *keys, chart(parts, names, f"{heading} over optimiser steps")]


def _multiples(parts: Sequence[Part]) -> list[Markup]:
    found = []
    for name in _named(parts):
        own = [Part(p.title, p.length, [curve for curve in p.curves if curve.name == name]) for p in parts]
        own = [part for part in own if part.curves]
        first, last = own[0].curves[0].values[0], own[-1].curves[0].values[-1]
        words = f"{name} over optimiser steps"
        head = tag("p", tag("b", name), tag("span", f"{first:.3f} → {last:.3f}"))
        found.append(tag("div", head, chart(own, [name], words, SMALL)))
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


# How it was made.


def _stages(facts: Facts) -> list[Markup]:
    if not facts.stages:
        return []
    rows = [
        [title(s.key).capitalize(), _state(s), duration(s.seconds), _when(s.ended), s.device, _said(s)]
        for s in facts.stages
    ]
    return _section(
        "Stages",
        table(("stage", "state", "time", "ended", "device", "what it said"), rows, numbers=(2,), class_="stages"),
    )


def _state(stage: StageFacts) -> Markup:
    return tag("span", stage.state, **_warned(stage.state not in _SETTLED))


def _said(stage: StageFacts) -> Markup:
    lines = [tag("li", stage.reason, **_warned(stage.state not in _SETTLED))] if stage.reason else []
    told = [remark.text for remark in stage.remarks]
    lines += [tag("li", f"kept: {stage.kept}")] if stage.kept and stage.kept not in "; ".join(told) else []
    lines += [tag("li", f"Warning: {r.text}" if r.warning else r.text, **_warned(r.warning)) for r in stage.remarks]
    return tag("ul", *lines, class_="small") if lines else joined([""])


def _warned(warning: bool) -> dict[str, str]:
    return {"class_": "warned"} if warning else {}


def _inputs(facts: Facts) -> list[Markup]:
    source, target = facts.source, facts.target
    rows: list[tuple[str, str]] = []
    if source.file:
        rows += [("source model", _file(source.file)), ("its network", source.net or NOTHING)]
    elif source.folder:
        sure = "" if source.confidence is None else f", {source.confidence:,} with confidence"
        rows.append(("source predictions", f"{source.folder}: {source.predictions:,} files{sure}"))
    rows.append(("student", f"{source.student or NOTHING}, started from {source.weights}"))
    rows.append(("target images", f"{target.folder}: {target.images:,} labelled by the source"))
    rows += [("working size", target.size)] if target.size else []
    rows += [("classes", f"{facts.classes.name} ({len(facts.classes.names)})")] if facts.classes else []
    by_hand = [(target.repainted, "images repainted"), (target.patches, "hard patches rejected or relabelled")]
    said = ", ".join(f"{count:,} {what}" for count, what in by_hand if count)
    rows.append(("corrections by hand", said or "none"))
    rows += [("exported", _file(output)) for output in facts.outputs]
    return _section("Inputs and outputs", table((), rows, class_="values"), *_class_map(facts))


def _file(fact: FileFact) -> Markup:
    return joined([f"{fact.name}, {fact.bytes:,} bytes, SHA-256 ", tag("code", fact.sha256)])


def _class_map(facts: Facts) -> list[Markup]:
    if facts.classes is None or not facts.classes.mapped:
        return []
    pairs = (tag("p", f"{old} → {new}") for old, new in facts.classes.mapped.items())
    heading = f"Class map: {facts.classes.source_name} to {facts.classes.name}"
    return [tag("h3", heading), tag("div", *pairs, class_="pairs")]


def _settings(facts: Facts) -> list[Markup]:
    base = f"profile {facts.profile}" + (f", preset {facts.preset}" if facts.preset else "")
    text = f"Options that differ from the defaults of {base}; all others are as the command crots options lists them."
    rows = [[tag("code", s.path), tag("code", s.value), s.default or NOTHING, s.help] for s in facts.settings]
    shown = [table(("option", "value", "default", "what it does"), rows)] if rows else []
    stale = ", ".join(title(stage.key) for stage in facts.stages if stage.state == "stale")
    warned = f"These are the options as they are now; some have changed since these stages ran: {stale}."
    more = [tag("p", warned, class_="warned small")] if stale else []
    return _section("Settings", tag("p", text, class_="soft small"), *more, *shown)


def _versions(facts: Facts) -> list[Markup]:
    listed = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return [tag("footer", tag("p", f"Made with {listed}."))]
