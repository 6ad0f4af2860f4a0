"""Names of the files and folders that stages write, and the keys of the stages."""

from __future__ import annotations

# The file of a project's options, which tells its folder.
CONFIG_NAME = "crots.toml"
# The event stream of a project, and of each method of a comparison.
EVENTS = "events.jsonl"
# Folders of label maps, as `crots pseudo-label` and `crots predict` write them.
LABEL_IDS = "label_ids"
LABEL_COLOUR = "label_color"
CONFIDENCE = "confidence"
# Beside them, of the pseudo-label stage.
EASY, HARD = "easy.txt", "hard.txt"
# One line per image: key, entropy and class statistics. A resumed run reads from it what is done.
IMAGE_ROWS = "images.jsonl"
STATISTICS = "statistics.json"
SKIPPED = "skipped.json"
# The folder of a project in which the user's corrections of label maps and patches lie.
CORRECTIONS = "corrections"
# Of the mining stage; corrections of patches have the same name in their own folder.
PATCHES = "patches"
PATCH_LABELS = "labels"
PATCH_COLOURS = "color_labels"
PATCH_INDEX = "patches.json"
# Of a training stage: the last step, what it kept, and why.
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
STUDENT = "student.safetensors"
TEACHER = "teacher.safetensors"
CHOICE = "choice.json"

_ROUND = "adapt-"


def round_key(number: int) -> str:
    """Returns the key of a round of adaptation, from 1: ``adapt-1``."""
    return f"{_ROUND}{number}"


def is_round(key: str) -> bool:
    """Whether a key is that of a round of adaptation."""
    return key.startswith(_ROUND)


def round_number(key: str) -> int | None:
    """Returns the number of a round, 2 of ``adapt-2``; None for every other stage."""
    number = key.removeprefix(_ROUND)
    return int(number) if is_round(key) and number.isascii() and number.isdigit() else None


def stage_kind(key: str) -> str:
    """Returns what kind of stage a key names: all rounds are ``adapt``."""
    return "adapt" if is_round(key) else key


def is_scoring(key: str) -> bool:
    """Whether the result of a stage is scores, which must not depend on the precision that a machine prefers."""
    return key == "evaluate"


def section_of(key: str) -> str:
    """Returns the section of the options that a stage has: ``adapt`` of ``adapt-2``, ``pseudo_label``."""
    return stage_kind(key).replace("-", "_")
