"""Names of stages and scored models in the window, and their order."""

from __future__ import annotations

from crots.artefacts import round_number

_TITLES = {
    "render": "Rendered towns",
    "train": "Source model",
    "target": "Target images",
    "source": "Source",
    "pseudo-label": "Pseudo-labels",
    "baseline": "Baseline",
    "mine": "Hard patches",
    "evaluate": "Evaluation",
    "export": "Export",
    "compare": "Comparison of methods",
}
_ORDER = ("render", "train", "target", "source", "pseudo-label", "baseline", "mine")
_LAST = ("evaluate", "export")


def title(key: str) -> str:
    """Returns the name of a stage or of a scored model: ``adapt-2`` is "Round 2"."""
    if (number := round_number(key)) is not None:
        return f"Round {number}"
    return _TITLES.get(key, key.replace("-", " ").capitalize())


def running_order(key: str) -> tuple[int, int, str]:
    """Sorts stages and models as they follow each other in a project; unknown ones come last."""
    if key in _ORDER:
        return _ORDER.index(key), 0, ""
    if (number := round_number(key)) is not None:
        return len(_ORDER), number, ""
    if key in _LAST:
        return len(_ORDER) + 1 + _LAST.index(key), 0, ""
    return len(_ORDER) + 1 + len(_LAST), 0, key
