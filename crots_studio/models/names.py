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
# Titles of the label-free scores; the first three are the most informative ones.
SCORES = {
    "source": "agreement with the source",
    "classes kept": "classes still predicted",
    "worst class": "worst class kept",
    "agreement": "agreement with the start",
    "surest": "most confident pixels kept",
    "certainty": "1 \u2212 entropy",
    "information": "mutual information",
    "neighbourhood": "neighbourhood density",
    "stability": "stability of class shares",
    "flip": "consistency under flips",
    "scale": "consistency under scaling",
    "colour": "consistency under colour changes",
    "consistency": "consistency of predictions",
    "teacher": "agreement with the teacher",
    "fit": "fit to the images",
}
_ORDER = ("render", "train", "target", "source", "pseudo-label", "baseline", "mine")
_LAST = ("evaluate", "export")


def title(key: str) -> str:
    """Returns the name of a stage or of a scored model: ``adapt-2`` is "Round 2"."""
    if (number := round_number(key)) is not None:
        return f"Round {number}"
    return _TITLES.get(key, key.replace("-", " ").capitalize())


def score_title(name: str) -> str:
    """Returns what a label-free score is called in the window."""
    return SCORES.get(name, name)


def running_order(key: str) -> tuple[int, int, str]:
    """Sorts stages and models as they follow each other in a project; unknown ones come last."""
    if key in _ORDER:
        return _ORDER.index(key), 0, ""
    if (number := round_number(key)) is not None:
        return len(_ORDER), number, ""
    if key in _LAST:
        return len(_ORDER) + 1 + _LAST.index(key), 0, ""
    return len(_ORDER) + 1 + len(_LAST), 0, key
