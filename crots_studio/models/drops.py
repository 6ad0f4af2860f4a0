"""Guesses which options dropped files and folders are for, and which values they would replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crots.artefacts import LABEL_IDS
from crots.data.polygons import ALBUMS
from crots.folders import is_model_folder
from crots.image_formats import IMAGE_SUFFIXES
from crots.nets.parts import INDEX
from crots.project_config import ProjectConfig
from crots_studio.models.words import option_title

_MODEL_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".onnx", ".pt2", ".bin", ".pth.tar", INDEX)
# A list may have any name, but so may files that are dropped by mistake.
_LISTS = (".txt", ".lst", ".csv", ".tsv")
# One source at a time: choosing one kind clears the other.
_OTHER = {"source.file": "source.predictions", "source.predictions": "source.file"}


@dataclass(frozen=True)
class Drop:
    """The effect of a drop.

    Attributes:
        settings: options to set.
        lines: what becomes what, for each of them.
        replaced: the lines of those that have another value now.
        left: why some paths are not used.
    """

    settings: dict[str, str]
    lines: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def sort_drop(paths: Sequence[Path], config: ProjectConfig) -> Drop:
    """Assigns each path to an option; two paths for the same option are refused, since one would be lost."""
    meant: dict[str, list[Path]] = {}
    for path in paths:
        meant.setdefault(meaning(path), []).append(path)
    if len(meant.get("source.file", [])) == 1 and len(meant.get("source.predictions", [])) == 1:
        # A source is one or the other.
        meant["source"] = [*meant.pop("source.file"), *meant.pop("source.predictions")]
    settings: dict[str, str] = {}
    lines, replaced, left = [], [], []
    if unfit := meant.pop("", []):
        left.append(_unfit_message(unfit))
    for option, found in meant.items():
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            left.append(f"{names}: more than one file for {option_title(option)}; drop only one")
            continue
        before = _value(config, option) or _value(config, _OTHER.get(option, ""))
        line = f"{option_title(option)}: {found[0].name}"
        if before and before != str(found[0]):
            line += f" in place of {Path(before).name}"
            replaced.append(line)
        lines.append(line)
        settings[option] = str(found[0])
        if option in _OTHER:
            settings[_OTHER[option]] = "none"
    return Drop(settings, tuple(lines), tuple(replaced), tuple(left))


def _unfit_message(paths: Sequence[Path]) -> str:
    """Returns the error for files of a kind that is not accepted; for images it names their folder."""
    first, more = paths[0], f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    text = f"{first.name}{more}: expected a folder, a model, a class set (.toml) or a list ({' '.join(_LISTS)})"
    if first.suffix.lower() in IMAGE_SUFFIXES:
        text += f"; to use the images, drop their folder {first.parent.name}"
    return text


def meaning(path: Path) -> str:
    """Returns the option that a file or folder is most likely meant for; empty where it fits none."""
    if path.name.lower().endswith(_MODEL_SUFFIXES) or is_model_folder(path):
        return "source.file"
    if path.suffix == ".toml":
        return "task.classes"
    # Files of COCO, CVAT and Label Studio list images too; an error comes when one that does not is read.
    if path.is_file() and path.suffix.lower() not in (*_LISTS, *ALBUMS):
        return ""
    return "source.predictions" if path.is_dir() and _looks_like_predictions(path) else "data.target"


def _value(config: ProjectConfig, option: str) -> str:
    section, _, name = option.partition(".")
    value = getattr(getattr(config, section), name) if name else None
    # The class set has a default, so nothing is lost by replacing it.
    return str(value) if value is not None and value != getattr(getattr(ProjectConfig(), section), name) else ""


def _looks_like_predictions(folder: Path) -> bool:
    """Whether a folder calls itself predictions, or holds soft ones."""
    names = (folder.name, folder.parent.name)
    if LABEL_IDS in names or any("prediction" in name for name in names) or (folder / LABEL_IDS).is_dir():
        return True
    try:
        endings = {path.suffix.lower() for path in folder.iterdir()}
    except OSError:  # reported beside the field, once it is there
        return False
    return bool({".npz", ".npy"} & endings) and not endings & set(IMAGE_SUFFIXES)
