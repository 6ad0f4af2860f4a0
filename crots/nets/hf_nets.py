"""Networks of transformers (the extra ``transformers``): ``hf:<folder>``, by the folder's own configuration."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from crots.errors import InputError
from crots.folders import HEAD, folder_card, read_config
from crots.nets.info import Family, NetInfo

PATTERN = "hf:<folder>"
# Of the deepest of these networks.
_MULTIPLE = 32
_EXTRA = "install it with: pip install 'crots-studio[transformers]'"


class Logits(nn.Module):
    """A model of transformers as a network: images in, logits out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Maps normalised images (N, 3, H, W) to logits (N, classes, h, w)."""
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


def build(name: str, classes: int) -> nn.Module:
    """Builds the network that a folder describes, with random weights.

    Raises:
        InputError: the package is missing, the folder is gone, or its configuration does not fit.
    """
    folder = Path(name.removeprefix(HEAD))
    values = read_config(folder)
    transformers = package()
    kind = values.pop("model_type")
    # They follow from the number of classes.
    for key in ("id2label", "label2id", "num_labels", "transformers_version", "architectures", "_name_or_path"):
        values.pop(key, None)
    with quiet(transformers):
        try:
            config = transformers.AutoConfig.for_model(kind, **values, num_labels=classes)
            return Logits(transformers.AutoModelForSemanticSegmentation.from_config(config).float())
        except NotImplementedError:
            raise
        except Exception as error:  # a configuration may be anybody's
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{folder}: its configuration makes no network ({reason[:160]})", field="net") from error


@functools.lru_cache(maxsize=64)
def info(name: str) -> NetInfo:
    """Returns the facts.

    Raises:
        InputError: the folder is gone or no model of transformers.
    """
    folder = Path(name.removeprefix(HEAD))
    return NetInfo(
        name, "hf", folder_card(folder).normalisation, multiple=_MULTIPLE, encoder=_encoder(read_config(folder))
    )


def _encoder(config: dict[str, Any]) -> tuple[str, ...]:
    kind = str(config["model_type"])
    return ("model.backbone.",) if kind == "upernet" else (f"model.{kind.replace('-', '_')}.",)


def read_state(folder: Path) -> dict[str, Tensor]:
    """Reads the weights of a model folder, under the names of its network.

    Raises:
        InputError: the package is missing, or weights are: nothing is ever silently random.
    """
    read_config(folder)
    transformers = package()
    with quiet(transformers):
        model, told = transformers.AutoModelForSemanticSegmentation.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    lacking = sorted(told["missing_keys"])
    if lacking or told.get("mismatched_keys"):
        names = ", ".join(map(str, lacking or told["mismatched_keys"]))
        raise InputError(f"{folder}: its weights do not fill the network: missing {names[:200]}; copy the folder again")
    return {f"model.{key}": tensor.detach() for key, tensor in model.float().state_dict().items()}


def package() -> Any:
    """Returns the package transformers.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            f"folders of Hugging Face models need transformers ({error}); {_EXTRA}", field="net"
        ) from error
    return transformers


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
