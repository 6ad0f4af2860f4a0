"""Model folders of ``save_pretrained``: what their own files say of network, classes and normalisation. No torch.

Those of transformers (Hugging Face) have a ``model_type``, those of segmentation-models-pytorch a ``_model_class``.
Nothing in such a folder is run: it is JSON and tensors. One whose configuration asks for code of its own is
refused.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crots.artefacts import CONFIG_NAME, STUDENT
from crots.card import IMAGENET, ModelCard, Normalisation, read_card, unnamed
from crots.config import Size
from crots.errors import InputError
from crots.files import is_file, is_pointer, write_json
from crots.records import read_object
from crots.taxonomy import MOST_CLASSES, ClassSet

# Head of the names of such networks; the folder follows.
HEAD = "hf:"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
# The weights of older folders.
PICKLE = "pytorch_model.bin"
PREPROCESSOR = "preprocessor_config.json"
# Where newer versions of transformers keep it if the model takes text too, and its entry there.
_PROCESSOR, _OF_IMAGES = "processor_config.json", "image_processor"
# The file in which albumentations stores transforms, beside a model of segmentation-models-pytorch.
TRANSFORMS = "albumentations_config_eval.json"
# What a folder that is written holds.
WRITTEN = (CONFIG, WEIGHTS, PREPROCESSOR)
# The entry of a configuration that holds the rest of its card; both libraries pass over it.
CARD = "_crots"
# Per-pixel heads. Others load by another class and give no logits for pixels.
MODEL_TYPES = (
    "beit", "data2vec-vision", "dpt", "mobilenet_v2", "mobilevit", "mobilevitv2", "segformer", "upernet",
)  # fmt: skip
# Query models, whose masks `crots.nets.queries` joins. Sources only, see `check_student`.
QUERY_TYPES = ("eomt", "eomt_dinov3", "mask2former", "maskformer", "oneformer")
# Those that take one size of images only, a square: their positions are learnt for it, or their head counts on it.
_FIXED_TYPES = ("beit", "data2vec-vision", "dpt", "eomt", "eomt_dinov3")
# If a configuration states none: 640 for query models, for the others the default of transformers.
_USUAL_SIDES = {"beit": 224, "data2vec-vision": 224, "dpt": 384}
# Of segmentation-models-pytorch.
MODEL_CLASSES = (
    "DPT", "DeepLabV3", "DeepLabV3Plus", "FPN", "Linknet", "MAnet", "PAN", "PSPNet", "Segformer", "UPerNet", "Unet",
    "UnetPlusPlus",
)  # fmt: skip
# Heads of the names of networks that such a folder can hold.
_FOLDER_NETS = (HEAD, "smp:")
# The weights of a folder in parts, or as a pickle, and the lists of such parts.
_PART = re.compile(r"(?:pytorch_)?model[-.].*(?:safetensors|bin|json)|pytorch_model\.bin")
_REMEDY = "copy the model's folder again"
_SIZE = Size(512, 512)
_LARGEST_SIDE = 4096


def is_model_folder(path: Path) -> bool:
    """Whether a path is a folder with the configuration of a model."""
    # A path with impossible names is none.
    return is_file(path / CONFIG)


def check_model_file(path: Path) -> None:
    """Raises an error unless a path is a file, or the folder of a model.

    Raises:
        InputError: it is neither.
    """
    if not is_file(path) and not is_model_folder(path):
        found, remedy = why_no_model(path)
        raise InputError(f"{path}: {found}, expected a model file or training checkpoint; {remedy}")


def why_no_model(path: Path) -> tuple[str, str]:
    """Returns what lies at a path that is neither a model file nor the folder of a model, and what to do."""
    if not path.is_dir():
        # Models of a hub have names of two words.
        named = not path.is_absolute() and len(path.parts) == 2 and not path.parent.is_dir()
        remedy = "if it is a name on a hub, download that model first, and give its folder" if named else ""
        return "no such file", remedy or "check the path"
    if is_file(path / CONFIG_NAME):
        made = [path / name for name in ("export/adapted.safetensors", f"baseline/{STUDENT}")]
        there = next(filter(is_file, made), None)
        return (
            "a project",
            f"give one of its models, such as {there}" if there else "run it, and give one of its models",
        )
    if is_file(path / "adapter_config.json"):
        return "an adapter alone (PEFT)", "merge it into its model (merge_and_unload), and save that"
    if is_file(path / "saved_model.pb"):
        return "a model of TensorFlow", "export it as ONNX (tf2onnx)"
    # The cache of a hub keeps each version in a folder of its own.
    inner = [folder.parent for form in ("*", "snapshots/*") for folder in sorted(path.glob(f"{form}/{CONFIG}"))]
    if inner:
        return f"a folder without {CONFIG}", f"give the folder in it that has one, {inner[-1]}"
    return f"a folder without {CONFIG}", "check the path"


def check_whole(path: Path) -> None:
    """Raises an error for a file that is a part of a model folder, and says little without it.

    Raises:
        InputError: it is.
    """
    if (path.name in WRITTEN or _PART.fullmatch(path.name)) and is_model_folder(path.parent):
        raise InputError(
            f"{path} is a part of the model in the folder {path.parent}, whose other files say its network and "
            "classes; give that folder",
            field="source.file",
        )


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the configuration of a model folder.

    Raises:
        InputError: it is missing or damaged, of a kind that gives no logits for pixels, or asks for code of its own.
    """
    if is_pointer(folder / CONFIG):
        raise InputError(
            f"{folder / CONFIG}: is a Git LFS pointer, not the configuration; run `git lfs pull` in its repository"
        )
    found = read_object(folder / CONFIG, remedy=_REMEDY)
    if found is None:
        raise InputError(f"{folder}: holds no {CONFIG}, expected the folder of a transformers model; check the path")
    if "auto_map" in found:
        raise InputError(
            f"{folder}: its {CONFIG} requires custom code (auto_map), which is never run; give an ONNX export, or "
            "predictions"
        )
    if is_smp(found):
        _check_smp(found, folder)
        return found
    kind = found.get("model_type")
    if kind not in (*MODEL_TYPES, *QUERY_TYPES):
        raise InputError(
            f"{folder}: is a model of the type {str(kind)[:60]!r}, expected one of "
            f"{', '.join((*MODEL_TYPES, *QUERY_TYPES))}; give an ONNX export, or its predictions"
        )
    return found


def is_query(config: dict[str, Any]) -> bool:
    """Whether a configuration is that of a query model."""
    return config.get("model_type") in QUERY_TYPES


def fixed_size(config: dict[str, Any], folder: Path) -> Size | None:
    """Returns the only size of images that a model of transformers takes; None for any.

    Raises:
        InputError: it says none.
    """
    if config.get("model_type") not in _FIXED_TYPES:
        return None
    side = config.get("image_size", _USUAL_SIDES.get(config["model_type"], 640))
    if isinstance(side, list) and len(side) == 2 and side[0] == side[1]:
        side = side[0]
    if type(side) is not int or not 1 <= side <= _LARGEST_SIDE:
        raise InputError(
            f"{folder / CONFIG}: image_size is {str(side)[:60]}, expected the side of its images in pixels; {_REMEDY}"
        )
    return Size(side, side)


def check_student(net: str) -> None:
    """Refuses networks that can label images, but not be trained here.

    Raises:
        InputError: it is a query model, which learns by matching its masks to objects, not from labels of pixels.
    """
    folder = Path(net.removeprefix(HEAD))
    if not net.startswith(HEAD) or not is_model_folder(folder) or not is_query(config := read_config(folder)):
        return
    raise InputError(
        f"{folder} is a query model ({config['model_type']}): it can be the source, but not the student, since it is "
        "trained on object masks and not on pixel labels; choose another network for the student (`student.net`) and "
        "its starting weights (`student.weights`)",
        field="student.net",
    )


def is_smp(config: dict[str, Any]) -> bool:
    """Whether a configuration is one of segmentation-models-pytorch."""
    return "_model_class" in config


def _check_smp(config: dict[str, Any], folder: Path) -> None:
    if config["_model_class"] not in MODEL_CLASSES:
        raise InputError(
            f"{folder}: is a {str(config['_model_class'])[:60]!r} of segmentation-models-pytorch, expected one of "
            f"{', '.join(MODEL_CLASSES)}; give an ONNX export, or its predictions"
        )
    if config.get("in_channels", 3) != 3:
        raise InputError(
            f"{folder}: takes images of {str(config['in_channels'])[:20]} channels, expected 3; give its predictions"
        )


def check_formats(formats: Iterable[str], net: str) -> None:
    """Refuses, before a run, formats that a network cannot be written in.

    Raises:
        InputError: there is one.
    """
    if "huggingface" in formats and not net.startswith(_FOLDER_NETS):
        raise InputError(
            f"the network {net} cannot be written in the format huggingface, which holds those of transformers and "
            "segmentation-models-pytorch; choose another format",
            field="export.formats",
        )


def folder_card(folder: Path) -> ModelCard:
    """Returns the card of a model folder, from its own files.

    Raises:
        InputError: as `read_config`, or its classes or its normalisation cannot be read.
    """
    config, net = read_config(folder), HEAD + str(folder)
    names = class_names(config, folder)
    own = config.get(CARD)
    card = None if own is None else read_card({**own, "net": net} if isinstance(own, dict) else own, folder / CONFIG)
    if is_smp(config):
        normalisation = card.normalisation if card is not None else _of_albumentations(folder)
        if card is not None and len(card.classes["names"]) == len(names):
            return card
    else:
        normalisation = _normalisation(folder)
        if card is not None and card.classes["names"] == names:
            return dataclasses.replace(card, normalisation=normalisation)
    classes = ClassSet.from_dict({"name": folder.name or "model", "names": names})
    return ModelCard(net, classes.to_dict(), normalisation, fixed_size(config, folder) or _SIZE)


def write_config(folder: Path, card: ModelCard, config: dict[str, Any]) -> None:
    """Writes the configuration of a model folder, with the entries that its library does not write."""
    about = card.to_dict()
    # The folder may be moved.
    del about["net"]
    write_json(folder / CONFIG, {**config, CARD: about})


def write_processor(folder: Path, card: ModelCard, processor: dict[str, Any], fixed: Size | None = None) -> None:
    """Writes how images are normalised for a model of transformers.

    Args:
        folder: of the model.
        card: of the model.
        processor: settings of an older image processor; what the card says replaces them.
        fixed: the only size that the model takes, if there is one.
    """
    mean, scale = ([part / 255 for part in row] for row in (card.normalisation.mean, card.normalisation.scale))
    settings = {
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": (mean, scale) != ([0] * 3, [1] * 3),
        "image_mean": mean,
        "image_std": scale,
        # Whole images, as in training, or tiles of them, which are as they are.
        "do_resize": card.tile_overlap is None or fixed is not None,
        "size": dict(zip(("width", "height"), fixed or card.size, strict=True)),
        "do_center_crop": False,
        # Labels have the numbers of the card's classes.
        "do_reduce_labels": False,
    }
    if "do_flip_channel_order" in processor or card.normalisation.channels == "bgr":
        settings["do_flip_channel_order"] = card.normalisation.channels == "bgr"
    if "keep_aspect_ratio" in processor:
        settings["keep_aspect_ratio"] = False
    write_json(folder / PREPROCESSOR, {**processor, **settings})


def class_names(config: dict[str, Any], folder: Path) -> list[str]:
    """Returns the names under ``id2label``, by their numbers; where there is none, transformers makes some up.

    segmentation-models-pytorch keeps no names, so they are those that transformers would make up.

    Raises:
        InputError: there are none.
    """
    labels: Any = config.get("id2label")
    if is_smp(config) or "id2label" not in config:
        number = config.get("classes", 1) if is_smp(config) else config.get("num_labels", 2)
        fits = type(number) is int and 1 <= number <= MOST_CLASSES
        labels = {str(label): f"LABEL_{label}" for label in range(number if fits else 0)}
    count = len(labels) if isinstance(labels, dict) else 0
    names = [labels.get(str(number)) for number in range(count)] if count <= MOST_CLASSES else []
    if not names or not all(isinstance(name, str) and name for name in names):
        key = "classes gives no number of" if is_smp(config) else "id2label names no"
        raise InputError(f"{folder / CONFIG}: {key} classes 0, 1, 2 ...; correct it")
    if count == 1:
        # One score per pixel, that of the second class against the first.
        names = ["LABEL_0", "LABEL_1"] if unnamed(names) else ["background", *names]
    # Names may repeat, as in ADE20K.
    return [name if names.index(name) == number else f"{name} ({number})" for number, name in enumerate(names)]


def _of_albumentations(folder: Path) -> Normalisation:
    """What the transforms beside a model of segmentation-models-pytorch do; ImageNet's where there are none."""
    found = read_object(folder / TRANSFORMS, remedy=_REMEDY)
    if found is None:
        return IMAGENET
    pending: list[Any] = [found]
    while pending:
        part = pending.pop()
        pending += part if isinstance(part, list) else []
        if isinstance(part, dict) and str(part.get("__class_fullname__")).rpartition(".")[2] == "Normalize":
            return _of_normalize(part, folder)
        pending += part.values() if isinstance(part, dict) else []
    return IMAGENET


def _of_normalize(part: dict[str, Any], folder: Path) -> Normalisation:
    most = part.get("max_pixel_value", 255.0)
    rows = [part.get("mean", [0.485, 0.456, 0.406]), part.get("std", [0.229, 0.224, 0.225])]
    rows = [row if isinstance(row, list) else [row] * 3 for row in rows]
    numbers = [most, *rows[0], *rows[1]]
    plain = part.get("normalization", "standard") == "standard"
    if not plain or not all(type(number) in (int, float) for number in numbers) or [len(row) for row in rows] != [3, 3]:
        raise InputError(
            f"{folder / TRANSFORMS}: found {str(part)[:80]}, expected a mean and a standard deviation of three "
            f"channels; {_REMEDY}"
        )
    (m0, m1, m2), (s0, s1, s2) = ([round(most * value, 6) for value in row] for row in rows)
    if 0 in (s0, s1, s2):
        raise InputError(f"{folder / TRANSFORMS}: divides by 0; correct it")
    return Normalisation("rgb", (m0, m1, m2), (s0, s1, s2))


def _normalisation(folder: Path) -> Normalisation:
    """What its image processor does to RGB in 0..255: multiply, subtract, divide."""
    found = read_object(folder / PREPROCESSOR, remedy=_REMEDY)
    if found is None:
        found = (read_object(folder / _PROCESSOR, remedy=_REMEDY) or {}).get(_OF_IMAGES)
    if not isinstance(found, dict):
        raise InputError(
            f"{folder}: holds no {PREPROCESSOR}, which says how images are normalised; copy it from the original model"
        )
    factor = found.get("rescale_factor", 1 / 255) if found.get("do_rescale", True) else 1.0
    rows = []
    for name, plain in (("image_mean", 0.0), ("image_std", 1.0)):
        row = found.get(name) if found.get("do_normalize", True) else None
        row = [plain] * 3 if row is None else [row] * 3 if isinstance(row, (int, float)) else row
        fits = isinstance(row, list) and len(row) == 3 and all(type(part) in (int, float) for part in row)
        if not fits or type(factor) not in (int, float) or not factor or (name == "image_std" and 0 in row):
            raise InputError(f"{folder / PREPROCESSOR}: {name} is {str(row)[:60]}, expected three numbers; {_REMEDY}")
        # Rounded, since 0.485 * 255 is 123.67499... in binary and cards are compared.
        rows.append(tuple(round(part / factor, 6) for part in row))
    (m0, m1, m2), (s0, s1, s2) = rows
    order = "bgr" if found.get("do_flip_channel_order") else "rgb"
    return Normalisation("bgr" if order == "bgr" else "rgb", (m0, m1, m2), (s0, s1, s2))
