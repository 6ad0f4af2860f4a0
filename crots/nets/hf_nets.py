"""Networks of folders that ``save_pretrained`` wrote: ``hf:<folder>``, by the folder's own configuration.

Those of transformers need the extra ``transformers``, those of segmentation-models-pytorch the extra ``zoo``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from crots.card import ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError
from crots.files import is_file
from crots.folders import (
    CARD,
    CONFIG,
    HEAD,
    PICKLE,
    PREPROCESSOR,
    TRANSFORMS,
    WEIGHTS,
    fixed_size,
    folder_card,
    is_query,
    is_smp,
    read_config,
    write_config,
    write_processor,
)
from crots.nets import smp_nets
from crots.nets.info import Family, NetInfo
from crots.nets.names import HF_PATTERN
from crots.nets.parts import INDEX
from crots.nets.queries import log_probabilities
from crots.nets.reasons import parsed
from crots.records import read_object

PATTERN = HF_PATTERN
# Of the deepest of these networks.
_MULTIPLE = 32
_COPY = "copy the folder again"
# Of a configuration that was saved in training: OneFormer then expects a text beside each image.
_ONLY_APPLIED: dict[str, dict[str, Any]] = {"oneformer": {"is_training": False}}
_TASK = "the task is semantic"
# The files of a tokenizer, any of which is enough.
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_LONGEST_TASK, _MARKS = 10_000, 3
_EXTRA = "install it with: pip install 'crots-studio[transformers]'"


class Logits(nn.Module):
    """A model of transformers as a network: images in, logits out.

    Args:
        model: it gives logits for pixels.
        fixed: the only size of images that it takes, to which others are resized; None for any.
    """

    def __init__(self, model: nn.Module, fixed: Size | None = None) -> None:
        super().__init__()
        self.model = model
        self.fixed = fixed

    def forward(self, images: Tensor) -> Tensor:
        """Maps normalised images (N, 3, H, W) to logits (N, classes, h, w)."""
        logits: Tensor = self.model(pixel_values=_resized(images, self.fixed)).logits
        return logits


class Queries(nn.Module):
    """A query model of transformers as a network: images in, logarithms of class probabilities out.

    Args:
        model: it gives masks, and scores of the classes for each.
        fixed: the only size of images that it takes, to which others are resized; None for any.
        task: the task (1, tokens), for a model that takes it as an input; see `_task`.
    """

    task: Tensor | None

    def __init__(self, model: nn.Module, fixed: Size | None, task: Tensor | None = None) -> None:
        super().__init__()
        self.model = model
        self.fixed = fixed
        # It comes from the folder's tokenizer, not from its weights.
        self.register_buffer("task", task, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps normalised images (N, 3, H, W) to log-probabilities (N, classes, H, W)."""
        task = {} if self.task is None else {"task_inputs": self.task.expand(len(images), -1)}
        answer = self.model(pixel_values=_resized(images, self.fixed), **task)
        return log_probabilities(
            answer.class_queries_logits, answer.masks_queries_logits, (images.shape[-2], images.shape[-1])
        )


def _resized(images: Tensor, fixed: Size | None) -> Tensor:
    if fixed is None or (images.shape[-1], images.shape[-2]) == fixed:
        return images
    return interpolate(images, (fixed.height, fixed.width), mode="bilinear", antialias=True)


def build(name: str, classes: int) -> nn.Module:
    """Builds the network that a folder describes, with random weights.

    Raises:
        InputError: the package is missing, the folder is gone, or its configuration does not fit.
    """
    folder = Path(name.removeprefix(HEAD))
    values = read_config(folder)
    if is_smp(values):
        return smp_nets.build_folder(values, classes, folder)
    transformers = package()
    query, fixed = is_query(values), fixed_size(values, folder)
    kind = values.pop("model_type")
    values |= _ONLY_APPLIED.get(kind, {})
    task = _task(transformers, folder, values) if kind == "oneformer" else None
    # They follow from the number of classes.
    for key in ("id2label", "label2id", "num_labels", "transformers_version", "architectures", "_name_or_path", CARD):
        values.pop(key, None)
    with quiet(transformers):
        try:
            config = transformers.AutoConfig.for_model(kind, **values, num_labels=classes)
            model = _kind_of(transformers, query=query).from_config(config).float()
            return Queries(model, fixed, task) if query else Logits(model, fixed)
        except NotImplementedError:
            raise
        except Exception as error:  # a configuration may come from anyone
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if isinstance(error, ImportError):
                raise InputError(f"{folder}: {reason[:160]} {_EXTRA}", field="net") from error
            raise InputError(
                f"{folder}: no network can be built from its configuration ({reason[:160]})", field="net"
            ) from error


def _task(transformers: Any, folder: Path, config: dict[str, Any]) -> Tensor:
    """The task of OneFormer in the tokens that it was trained with, as its processor of transformers writes it.

    Raises:
        InputError: the folder does not say how words become tokens.
    """
    length = config.get("task_seq_len", 77)
    tokens: list[int] = []
    if any(all(is_file(folder / name) for name in names) for names in _TOKENIZERS):
        if type(length) is not int or not 1 <= length <= _LONGEST_TASK:
            raise InputError(f"{folder / CONFIG}: task_seq_len is {str(length)[:60]}, expected a number of tokens")
        with quiet(transformers), parsed(folder / _TOKENIZERS[0][0], _unreadable_tokenizer):
            tokenizer = transformers.CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
            made = tokenizer(_TASK, padding="max_length", max_length=length, truncation=True)
            pairs = zip(made["input_ids"], made["attention_mask"], strict=True)
            tokens = [number * seen for number, seen in pairs]
    # If none of the words is known, only beginning, end and padding are left.
    if len(set(tokens)) <= _MARKS:
        raise InputError(
            f"{folder}: OneFormer has to be told its task in words, and this folder lacks the tokenizer for it; copy "
            "vocab.json and merges.txt (or tokenizer.json) from the original model"
        )
    return torch.tensor([tokens])


def _unreadable_tokenizer(path: Path, error: BaseException) -> InputError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(f"{path.parent}: its tokenizer cannot be read ({reason[:160]}); {_COPY}")


@functools.lru_cache(maxsize=64)
def info(name: str) -> NetInfo:
    """Returns the facts.

    Raises:
        InputError: the folder is gone or no model of transformers.
    """
    folder = Path(name.removeprefix(HEAD))
    if is_smp(config := read_config(folder)):
        return smp_nets.info_of(name, lambda: build(name, 2), _normalisation(folder_card(folder), config))
    # Those of one size are given images of any.
    multiple = 1 if fixed_size(config, folder) else _MULTIPLE
    return NetInfo(name, "hf", folder_card(folder).normalisation, multiple=multiple, encoder=_encoder(config))


def encoder_of(name: str) -> str:
    """Returns the encoder of segmentation-models-pytorch in a network's folder; empty for any other network."""
    config = read_config(Path(name.removeprefix(HEAD))) if name.startswith(HEAD) else {}
    return str(config.get("encoder_name", "")) if is_smp(config) else ""


def pretrained(name: str) -> nn.Module:
    """Builds such a network with the ImageNet weights of its encoder, which are fetched."""
    return smp_nets.pretrained_folder(read_config(Path(name.removeprefix(HEAD))))


def refined(card: ModelCard) -> ModelCard:
    """The card of a folder, with the normalisation and the size of the encoder where none of its files says one."""
    config = read_config(Path(card.net.removeprefix(HEAD)))
    if not is_smp(config):
        return card
    size = card.size if CARD in config else info(card.net).fixed or card.size
    return dataclasses.replace(card, normalisation=_normalisation(card, config), size=size)


def _normalisation(card: ModelCard, config: dict[str, Any]) -> Normalisation:
    if CARD in config or is_file(Path(card.net.removeprefix(HEAD)) / TRANSFORMS):
        return card.normalisation
    return smp_nets.normalisation(str(config.get("encoder_name")))


def _encoder(config: dict[str, Any]) -> tuple[str, ...]:
    kind = str(config["model_type"])
    return ("model.backbone.",) if kind == "upernet" else (f"model.{kind.replace('-', '_')}.",)


def read_state(folder: Path) -> dict[str, Tensor]:
    """Reads the weights of a model folder, under the names of its network.

    Raises:
        InputError: the package is missing, or weights are: nothing is ever silently random.
    """
    if is_smp(read_config(folder)):
        return smp_nets.read_folder(folder)
    pickled = _pickled(folder)
    transformers = package()
    config = read_config(folder)
    auto, applied = _kind_of(transformers, query=is_query(config)), _ONLY_APPLIED.get(config["model_type"], {})
    # Differing sizes are reported below, by what differs.
    asked: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}
    own = {"local_files_only": True, "trust_remote_code": False, **applied}
    with quiet(transformers):
        if pickled is None:
            model, loading = auto.from_pretrained(str(folder), **own, use_safetensors=True, **asked)
        else:
            settings = transformers.AutoConfig.from_pretrained(str(folder), **own)
            kind = _class_of(transformers, settings, folder, query=is_query(config))
            model, loading = kind.from_pretrained(None, config=settings, state_dict=pickled, **asked)
    # The weights of training losses follow from the configuration.
    lacking = sorted(key for key in loading["missing_keys"] if not key.startswith("criterion."))
    if differing := sorted(loading.get("mismatched_keys") or ()):
        raise InputError(f"{folder}: its weights do not fit its {CONFIG}: {_sizes(differing, folder)}")
    if lacking:
        others = sorted(loading.get("unexpected_keys") or ())
        but = f", but there are {_first(others)}; save them under the network's own names" if others else ""
        raise InputError(
            f"{folder}: its weights do not fill the network: missing {_first(lacking)}"
            f"{but or '; copy the folder again'}"
        )
    return {f"model.{key}": tensor.detach() for key, tensor in model.float().state_dict().items()}


def _pickled(folder: Path) -> dict[str, Tensor] | None:
    """The weights of a folder that holds them as a pickle, read without running it; None if it has safetensors.

    Raises:
        InputError: there are no weights, or they are damaged or hold code.
    """
    if is_file(folder / WEIGHTS) or is_file(folder / (WEIGHTS + INDEX)):
        return None
    if parts := sorted(folder.glob("*.safetensors")):
        raise InputError(
            f"{folder}: holds {parts[0].name}, and neither {WEIGHTS} nor {WEIGHTS}{INDEX}, which lists the parts; copy "
            "that file from the original model"
        )
    for name in (PICKLE, PICKLE + INDEX):
        if is_file(folder / name):
            from crots.nets.reading import read_weights

            return dict(read_weights(folder / name).tensors)
    raise InputError(f"{folder}: holds no {WEIGHTS}, which are the weights; copy it from the original model")


def _first(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
    return ", ".join(keys[:2]) + more


def _sizes(differing: Sequence[tuple[Any, ...]], folder: Path) -> str:
    """What weights of other sizes than in the configuration mean: most often, another number of classes."""
    key, stored, wanted = (differing[0] + ((), ()))[:3]
    config = read_config(folder)
    count = len(config["id2label"]) if isinstance(config.get("id2label"), dict) else config.get("num_labels", 2)
    if stored and wanted and stored[0] != wanted[0] and stored[1:] == wanted[1:] and wanted[0] == count:
        return f"they are of {stored[0]} classes, and it names {count}; correct id2label, which has to name each"
    return f"{key} is {tuple(stored)}, expected {tuple(wanted)}; copy the folder again"


def remarks(folder: Path) -> tuple[str, ...]:
    """Returns what the user should know of how a model folder is used, a sentence each."""
    config = read_config(folder)
    notes = []
    if is_query(config):
        notes.append("a query model: the classes of its masks are combined into probabilities per pixel")
    if size := fixed_size(config, folder):
        notes.append(
            f"it sees images of {size} only, and others are resized to it regardless of their aspect ratio; tiles of "
            "that size "
            f"(`data.tile` {size}) keep it"
        )
    return tuple(notes)


def write_folder(net: nn.Module, card: ModelCard, folder: Path) -> None:
    """Writes a network as `read_state` reads it: ``from_pretrained`` of its library takes the folder.

    Args:
        net: a network of transformers or segmentation-models-pytorch.
        card: its card.
        folder: gets the files; there is nothing in it.
    """
    if not isinstance(net, (Logits, Queries)):
        smp_nets.write_folder(net, card, folder)
        return
    names = card.classes["names"]
    config: Any = net.model.config
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    with quiet(package()):
        # In one file, however large.
        cast(Any, net.model).save_pretrained(folder, max_shard_size="1000GB")
    write_config(folder, card, read_object(folder / CONFIG, remedy="") or {})
    older = Path(card.net.removeprefix(HEAD)) / PREPROCESSOR
    write_processor(folder, card, read_object(older, remedy="copy the model's folder again") or {}, net.fixed)
    _check_processor(folder, card if net.fixed is None else dataclasses.replace(card, size=net.fixed))


def _check_processor(folder: Path, card: ModelCard) -> None:
    """Makes sure that the image processor of a folder does with an image of working size what the network expects."""
    transformers = package()
    width, height = card.size
    image = torch.arange(height * width * 3).remainder(251).to(torch.uint8).view(height, width, 3)
    with quiet(transformers):
        processor = transformers.AutoImageProcessor.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        found = torch.as_tensor(processor(images=image.numpy(), return_tensors="pt")["pixel_values"])
    mean, scale = (torch.tensor(row).view(1, 3, 1, 1) for row in (card.normalisation.mean, card.normalisation.scale))
    planes = image.permute(2, 0, 1)[None].float()
    wanted = ((planes.flip(1) if card.normalisation.channels == "bgr" else planes) - mean) / scale
    if found.shape != wanted.shape or not torch.allclose(found, wanted, atol=1e-3):
        raise ValueError("the image processor of this kind of model cannot normalise images as it was trained")


def _kind_of(transformers: Any, *, query: bool) -> Any:
    return transformers.AutoModelForUniversalSegmentation if query else transformers.AutoModelForSemanticSegmentation


def _class_of(transformers: Any, settings: Any, folder: Path, *, query: bool) -> Any:
    """The class of the model that settings describe; the automatic ones take no state dict, and read pickles.

    Raises:
        InputError: this version of the package knows none.
    """
    name = "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING" if query else "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING"
    known = getattr(transformers, name, {})
    if type(settings) not in known:
        raise InputError(
            f"{folder}: transformers {transformers.__version__} names no model of the type "
            f"{str(settings.model_type)[:80]!r} to load weights of a .bin file into; save them as safetensors "
            "(save_pretrained) where the model was made"
        )
    return known[type(settings)]


def package() -> Any:
    """Returns the package transformers.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"folders of Hugging Face models need transformers ({error}); {_EXTRA}", field="net"
        ) from error
    # The module replaces itself during import: a thread that waits for another's import would get the incomplete one.
    return sys.modules["transformers"]


@contextlib.contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Keeps the package's bars and remarks off the terminal."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)


FAMILY = Family((PATTERN,), build, info)
