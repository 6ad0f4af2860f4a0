"""Model folders of transformers (Hugging Face): what their own files say of classes and normalisation. No torch.

Nothing in such a folder is run: it is JSON and safetensors. One whose configuration asks for code of its own is
refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from crots.card import ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError
from crots.files import is_file
from crots.records import read_object
from crots.taxonomy import MOST_CLASSES, ClassSet

# Head of the names of such networks; the folder follows.
HEAD = "hf:"
CONFIG = "config.json"
_PREPROCESSOR = "preprocessor_config.json"
# Per-pixel heads. Others load by another class and give no logits for pixels.
MODEL_TYPES = (
    "beit", "data2vec-vision", "dpt", "mobilenet_v2", "mobilevit", "mobilevitv2", "segformer", "upernet",
)  # fmt: skip
_UNNAMED = re.compile(r"LABEL_\d+")
_REMEDY = "copy the model's folder again"
_SIZE = Size(512, 512)


def is_model_folder(path: Path) -> bool:
    """Whether a path is a folder with the configuration of a model."""
    # A path with impossible names is none.
    return is_file(path / CONFIG)


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the configuration of a model folder.

    Raises:
        InputError: it is missing or damaged, of a kind that gives no logits for pixels, or asks for code of its own.
    """
    found = read_object(folder / CONFIG, remedy=_REMEDY)
    if found is None:
        raise InputError(f"{folder}: holds no {CONFIG}, expected the folder of a model of transformers; check the path")
    if "auto_map" in found:
        raise InputError(
            f"{folder}: its {CONFIG} asks for code of its own (auto_map), which is never run; give an ONNX export, or "
            "predictions"
        )
    kind = found.get("model_type")
    if kind not in MODEL_TYPES:
        raise InputError(
            f"{folder}: is a model of the type {str(kind)[:60]!r}, expected one of {', '.join(MODEL_TYPES)}; give an "
            "ONNX export, or its predictions"
        )
    return found


def folder_card(folder: Path) -> ModelCard:
    """Returns what a model folder says of itself.

    Raises:
        InputError: as `read_config`, or its classes or its normalisation cannot be read.
    """
    config = read_config(folder)
    names = class_names(config, folder)
    classes = ClassSet.from_dict({"name": folder.name or "model", "names": names})
    return ModelCard(HEAD + str(folder), classes.to_dict(), _normalisation(folder), _SIZE)


def class_names(config: dict[str, Any], folder: Path) -> list[str]:
    """Returns the names under ``id2label``, by their numbers; transformers makes two where there is none."""
    labels = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    count = len(labels) if isinstance(labels, dict) else 0
    names = [labels.get(str(number)) for number in range(count)] if count <= MOST_CLASSES else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{folder / CONFIG}: id2label names no classes 0, 1, 2 ...; correct it")
    # Names may stand twice, in ADE20K's for example.
    return [name if names.index(name) == number else f"{name} ({number})" for number, name in enumerate(names)]


def unnamed(names: Any) -> bool:
    """Whether classes have no names but those that transformers makes up."""
    return all(isinstance(name, str) and _UNNAMED.fullmatch(name) for name in names)


def _normalisation(folder: Path) -> Normalisation:
    """What its image processor does to RGB in 0..255: multiply, subtract, divide."""
    found = read_object(folder / _PREPROCESSOR, remedy=_REMEDY)
    if found is None:
        raise InputError(
            f"{folder}: holds no {_PREPROCESSOR}, which says how images are normalised; copy it from where the "
            "model comes from"
        )
    factor = found.get("rescale_factor", 1 / 255) if found.get("do_rescale", True) else 1.0
    rows = []
    for name, plain in (("image_mean", 0.0), ("image_std", 1.0)):
        row = found.get(name) if found.get("do_normalize", True) else None
        row = [plain] * 3 if row is None else [row] * 3 if isinstance(row, (int, float)) else row
        fits = isinstance(row, list) and len(row) == 3 and all(type(part) in (int, float) for part in row)
        if not fits or type(factor) not in (int, float) or not factor or (name == "image_std" and 0 in row):
            raise InputError(f"{folder / _PREPROCESSOR}: {name} is {str(row)[:60]}, expected three numbers; {_REMEDY}")
        # Rounded, since 0.485 * 255 is 123.67499... in binary and cards are compared.
        rows.append(tuple(round(part / factor, 6) for part in row))
    (m0, m1, m2), (s0, s1, s2) = rows
    order = "bgr" if found.get("do_flip_channel_order") else "rgb"
    return Normalisation("bgr" if order == "bgr" else "rgb", (m0, m1, m2), (s0, s1, s2))
