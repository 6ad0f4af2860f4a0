"""The installed networks and their description: parameters, local weights, whether training fits in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crots.config import Size
from crots_studio.background.loading import preload_torch
from crots_studio.models.words import byte_count

if TYPE_CHECKING:
    from crots.nets.catalogue import NetFacts

# Share of free memory reserved for activations and everything else.
_ROOM = 0.5


@dataclass(frozen=True)
class NetSummary:
    """The description of a network; ``level`` is ``good``, or ``warning`` if it may not fit."""

    lines: tuple[str, ...]
    level: str


def read_names() -> tuple[str, ...]:
    """Returns all networks; loads torch, so not on the window's thread."""
    preload_torch()
    from crots.nets.catalogue import installed_nets

    return installed_nets()


def read_facts(name: str, classes: int) -> NetFacts:
    """Returns what is known of a network; loads torch.

    Args:
        name: of the network.
        classes: channels of its logits.

    Raises:
        InputError: it cannot be built.
    """
    preload_torch()
    from crots.nets.catalogue import net_facts

    return net_facts(name, classes)


def net_summary(facts: NetFacts, size: Size | None, free: int, where: str) -> NetSummary:
    """Says what is known of a network.

    Args:
        facts: of it.
        size: the working size of the project, None where there is none yet.
        free: bytes that are free.
        where: what they are of: ``memory``, ``memory of the graphics card``.
    """
    needed, level = facts.training_bytes, "good"
    lines = [f"{facts.parameters / 1e6:.1f} million parameters"]
    memory = f"training takes {byte_count(needed)} plus the activations; {byte_count(free)} of {where} are free"
    if needed > _ROOM * free:
        level, memory = "warning", f"may not fit: {memory}"
    lines.append(memory)
    if size is not None and (size.width % facts.multiple or size.height % facts.multiple):
        lines.append(f"takes sides that are multiples of {facts.multiple}; the working size is {size}")
        level = "warning"
    lines += [f"pretrained weights found: {path}" for path in facts.weights]
    if not facts.weights:
        lines.append("no pretrained weights on this computer")
    return NetSummary(tuple(lines), level)


def find(names: Sequence[str], text: str) -> list[str]:
    """Returns the names that contain all words of a text; case does not matter."""
    words = text.lower().replace("/", " ").replace(":", " ").split()
    return [name for name in names if all(word in name.lower() for word in words)]
