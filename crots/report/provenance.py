"""The last part of the page: stages, inputs, settings and program versions."""

from __future__ import annotations

from crots.report.facts import Facts, FileFact, StageFacts
from crots.report.markup import Markup, html_table, joined, section, tag
from crots.report.words import duration, title, when

NOTHING = "-"
# States that need no action.
_SETTLED = ("done", "not needed", "ready", "waiting")


def provenance_section(facts: Facts) -> list[Markup]:
    """Returns stages, inputs and outputs, settings and versions."""
    return [*_stages(facts), *_inputs(facts), *_settings(facts), *_versions(facts)]


def _stages(facts: Facts) -> list[Markup]:
    if not facts.stages:
        return []
    rows = [
        [title(s.key).capitalize(), _state(s), duration(s.seconds), when(s.ended), s.device, _notes(s)]
        for s in facts.stages
    ]
    return section(
        "Stages",
        html_table(("stage", "state", "time", "ended", "device", "notes"), rows, numbers=(2,), class_="stages"),
    )


def _state(stage: StageFacts) -> Markup:
    return tag("span", stage.state, **_warned(stage.state not in _SETTLED))


def _notes(stage: StageFacts) -> Markup:
    lines = [tag("li", stage.reason, **_warned(stage.state not in _SETTLED))] if stage.reason else []
    texts = [remark.text for remark in stage.remarks]
    lines += [tag("li", f"kept: {stage.kept}")] if stage.kept and stage.kept not in "; ".join(texts) else []
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
    listed = ", ".join(f"{count:,} {what}" for count, what in by_hand if count)
    rows.append(("corrections by hand", listed or "none"))
    rows += [("exported", _file(output)) for output in facts.outputs]
    return section("Inputs and outputs", html_table((), rows, class_="values"), *_class_map(facts))


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
    shown = [html_table(("option", "value", "default", "what it does"), rows)] if rows else []
    stale = ", ".join(title(stage.key) for stage in facts.stages if stage.changed)
    warned = f"These are the options as they are now; some have changed since these stages ran: {stale}."
    more = [tag("p", warned, class_="warned small")] if stale else []
    return section("Settings", tag("p", text, class_="soft small"), *more, *shown)


def _versions(facts: Facts) -> list[Markup]:
    listed = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return [tag("footer", tag("p", f"Made with {listed}."))]
