"""The help: one topic a stage, a title, four sentences and a picture, from ``resources/help``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crots.resources import resources

TOPICS = ("target", "source", "pseudo-label", "baseline", "mine", "adapt", "evaluate", "export")


@dataclass(frozen=True)
class Topic:
    """What is said of a stage."""

    key: str
    title: str
    text: str
    picture: Path


def topic_of(stage: str) -> str:
    """Returns the topic of a stage: all rounds share one."""
    return "adapt" if stage.startswith("adapt") else stage if stage in TOPICS else TOPICS[0]


def read_topics() -> tuple[Topic, ...]:
    """Reads all topics, in the order of the stages."""
    return tuple(_read(key, resources() / "help") for key in TOPICS)


def _read(key: str, folder: Path) -> Topic:
    heading, _, text = (folder / f"{key}.md").read_text(encoding="utf-8").partition("\n")
    return Topic(key, heading.lstrip("# ").strip(), text.strip(), folder / f"{key}.png")
