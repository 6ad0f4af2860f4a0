"""The help: one topic per stage, with a title, four sentences and a picture, from ``resources/help``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from crots.resources import resource_folder

TOPICS = ("target", "source", "pseudo-label", "baseline", "mine", "adapt", "evaluate", "export")


@dataclass(frozen=True)
class Topic:
    """The explanation of a stage."""

    key: str
    title: str
    text: str
    picture: Path


def topic_of(stage: str) -> str:
    """Returns the topic of a stage: all rounds share one."""
    return "adapt" if stage.startswith("adapt") else stage if stage in TOPICS else TOPICS[0]


def read_topics() -> tuple[Topic, ...]:
    """Reads all topics, in the order of the stages."""
    return tuple(_read(key, resource_folder() / "help") for key in TOPICS)


def read_glossary() -> Topic:
    """Reads the glossary, the same that the documentation has."""
    return Topic("glossary", "Glossary", glossary_text(_glossary().read_text(encoding="utf-8")), Path())


def _glossary() -> Path:
    """Shipped with the resources once installed, in the documentation in a checkout."""
    installed = resource_folder() / "help" / "glossary.md"
    return installed if installed.is_file() else resource_folder().parent / "docs" / "glossary.md"


def glossary_text(markdown: str) -> str:
    """Turns a list of definitions in Markdown into plain lines, ``confidence: the probability ...``."""
    entries: list[tuple[str, list[str]]] = []
    for line in markdown.splitlines():
        if found := re.fullmatch(r"\*\*(.+)\*\*", line.strip()):
            entries.append((found[1], []))
        elif entries and line.strip():
            entries[-1][1].append(line.strip().removeprefix(":").strip())
    plain = [f"{term}: {' '.join(lines)}" for term, lines in entries]
    return "\n\n".join(re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text).replace("`", "") for text in plain)


def _read(key: str, folder: Path) -> Topic:
    heading, _, text = (folder / f"{key}.md").read_text(encoding="utf-8").partition("\n")
    return Topic(key, heading.lstrip("# ").strip(), text.strip(), folder / f"{key}.png")
