"""Weights in and out of networks, with a report of what matched; nothing is ever silently random.

Reading files is `crots.nets.reading`, the forms checkpoints come in are `crots.nets.forms`.
"""

from __future__ import annotations

import dataclasses
import json
import stat
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from crots.card import CARD_KEY, ModelCard, Normalisation, check_classes, unnamed
from crots.class_maps import ClassMap
from crots.config import Size
from crots.errors import InputError
from crots.files import atomic_path, disk_file
from crots.folders import check_whole
from crots.limits import check_claim
from crots.nets.forms import Fitted, fit, grouped
from crots.nets.model import Model, create_model
from crots.nets.reading import WeightsFile, read_weights
from crots.nets.registry import net_bytes, net_info
from crots.training_options import Start

if TYPE_CHECKING:
    from crots.taxonomy import ClassSet

__all__ = [
    "LoadReport", "Purpose", "WeightsFile", "agreed_card", "fill", "load_into", "load_model", "load_weights",
    "model_of", "read_weights", "save_pth", "save_safetensors",
]  # fmt: skip

Purpose = Literal["source", "start"]

PUBLISHED_SIZE = Size(1024, 512)
# A counter of training steps that changes no output; files from before PyTorch 0.4.1 lack it.
_COUNTER = "num_batches_tracked"
# Share of the encoder's tensors that initial weights must fill, and of all tensors where the encoder is unknown.
_ENOUGH_ENCODER = 0.9
_ENOUGH_WHOLE = 0.5
# Share of weights for the network's own parts that a file may have in excess; timm leaves out a few unused ones.
_FOREIGN_START = 0.1


@dataclass(frozen=True)
class LoadReport:
    """Report of how a file's tensors were used.

    Attributes:
        matched: keys of the network that were filled.
        missing: keys of the network that kept their random values.
        unexpected: keys of the file that the network does not know.
        dropped: keys of the file left out on purpose.
        notes: what the user should read, a sentence each.
        normalisation: what the weights were trained with, where their form implies it.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    normalisation: Normalisation | None = None

    @property
    def start(self) -> Start:
        """How a student starts from these weights: a file that fills the head too is a model of as many classes."""
        return "pretrained" if self.missing else "trained"

    def lines(self) -> tuple[str, ...]:
        """Returns the report for people, one fact per line."""
        rows = [f"{len(self.matched)} of {len(self.matched) + len(self.missing)} tensors matched"]
        if self.missing:
            rows.append(f"starting from random values: {grouped(self.missing)}")
        if self.unexpected:
            rows.append(f"in the file, unknown to the network: {grouped(self.unexpected)}")
        if self.dropped:
            rows.append(f"left out: {grouped(self.dropped)}")
        return (*rows, *self.notes)


def _hint(tensors: Mapping[str, Tensor]) -> str:
    """What the names of a file's tensors say of the program that it is from, if that has networks unknown here."""
    heads = {key.removeprefix("module.").removeprefix("model.").partition(".")[0] for key in tensors}
    if "decode_head" not in heads:
        return ""
    if "backbone" in heads:
        return (
            "; it seems to be a checkpoint of mmsegmentation, whose networks are not known here: give an ONNX export "
            "of the model (by mmdeploy), or a folder of its predictions"
        )
    return "; it seems to be from transformers: give the whole folder of the model, with its config.json"


def load_weights(
    net: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    name: str = "weights",
    purpose: Purpose = "source",
    prefix: str = "",
    class_map: ClassMap | None = None,
) -> LoadReport:
    """Fills a network; on an error it is left as it was.

    Args:
        net: the bare network.
        tensors: by the file's keys.
        name: the file, for messages.
        purpose: a ``source`` must fill every tensor; a ``start`` may leave out the head, not the encoder.
        prefix: of the file's keys; empty finds it.
        class_map: joins the classes of the file to those of the network; None where they are the same.

    Raises:
        InputError: the weights are for other classes or another network.
    """
    state = {key: value for key, value in net.state_dict().items() if isinstance(value, Tensor)}
    fitted = fit(tensors, state, prefix=prefix, name=name)
    fitted.origin = _hint(tensors)
    _check_numbers(fitted, state, name)
    _settle_shapes(fitted, state, name, purpose, class_map)
    chosen = {key: tensor for key, tensor in fitted.tensors.items() if key in state}
    report = _report(fitted, state, chosen)
    _check(report, fitted, state, name, purpose)
    # Through the original method: smp's own filters and warns.
    nn.Module.load_state_dict(net, chosen, strict=False)
    return report


def _check_numbers(fitted: Fitted, state: Mapping[str, Tensor], name: str) -> None:
    for key, tensor in fitted.tensors.items():
        if key in state and state[key].is_floating_point() and not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise InputError(
                f"{name} holds whole numbers ({kind}) in {key}, as a quantised model does, expected floating point; "
                "give the weights from before it was quantised, or an ONNX file"
            )


def _settle_shapes(
    fitted: Fitted, state: Mapping[str, Tensor], name: str, purpose: Purpose, class_map: ClassMap | None
) -> None:
    wrong = [key for key, tensor in fitted.tensors.items() if key in state and tensor.shape != state[key].shape]
    if not wrong:
        return
    counts = {_class_counts(fitted.tensors[key], state[key]) for key in wrong}
    pair = counts.pop()
    encoder, enough = _encoder_keys(state)
    # If the encoder's part is known: it has no classes.
    inside = enough == _ENOUGH_ENCODER and not set(wrong).isdisjoint(encoder)
    if counts or pair is None or inside:
        key = wrong[0]
        raise InputError(
            f"{name} is for another network: {key} is {_shape(fitted.tensors[key])} in the file and "
            f"{_shape(state[key])} in the network ({len(wrong)} tensors differ); give the network it was trained with"
            f"{fitted.origin}",
            field="net",
        )
    if pair == (1, 2):
        # softmax of (0, s) is the sigmoid of s.
        for key in wrong:
            fitted.tensors[key] = torch.cat([torch.zeros_like(fitted.tensors[key]), fitted.tensors[key]])
        fitted.notes.append("one score per pixel, as for a sigmoid: taken as that of the second class")
        return
    if class_map is not None and pair == (len(class_map.source), len(class_map.target)):
        last = sorted({layer for key in wrong if "aux" not in (layer := key.rpartition(".")[0])})
        if len(last) > 1:
            # Where their scores are summed, each would bring the logarithm of `joined_rows`.
            raise InputError(
                f"{name}: its classes cannot be joined to {pair[1]}, since its scores come from several layers "
                f"({', '.join(last)}); give the student other weights",
                field="student.weights",
            )
        if all(fitted.tensors[key].ndim > 1 for key in wrong if key.startswith(last[0])):
            raise InputError(
                f"{name}: its classes cannot be joined to {pair[1]}, since its last layer has no bias, "
                "which has to grow with the number of joined classes; give the student other weights",
                field="student.weights",
            )
        for key in wrong:
            fitted.tensors[key] = joined_rows(fitted.tensors[key], class_map)
        fitted.notes.append(f"its {pair[0]} classes joined to {pair[1]} in the last layer")
        return
    if purpose == "source":
        raise InputError(
            f"{name} gives {pair[0]} classes ({wrong[0]}), the class set has {pair[1]}; "
            "give the class set it was trained with",
            field="classes",
        )
    fitted.leave_out(wrong)
    fitted.headless = f"a network of {pair[0]} classes, not {pair[1]}"
    fitted.notes.append(f"{fitted.headless}: its last layer left out")


def joined_rows(rows: Tensor, class_map: ClassMap) -> Tensor:
    """Returns the weights or the bias of a last layer for joined classes.

    A class gets the mean of the rows that are joined, and a bias higher by the logarithm of their number: this is the
    greatest linear bound below the logarithm of the sum of their exponentials, whose softmax would be the sum of their
    probabilities (Jensen).

    Args:
        rows: (S, ...) of the source's classes; a bias has one dimension.
        class_map: `ClassMap.joins`.

    Returns:
        (T, ...) of the target's classes.
    """
    members = torch.from_numpy(class_map.matrix()[:, :-1]).to(rows).T
    counts = members.sum(dim=1)
    means = ((members @ rows.reshape(len(rows), -1)) / counts[:, None]).reshape(-1, *rows.shape[1:])
    return means + counts.log() if rows.ndim == 1 else means


def _class_counts(found: Tensor, expected: Tensor) -> tuple[int, int] | None:
    """The two numbers of classes, where that is all that differs between two tensors."""
    if found.ndim != expected.ndim or found.ndim == 0 or found.shape[1:] != expected.shape[1:]:
        return None
    return found.shape[0], expected.shape[0]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _report(fitted: Fitted, state: Mapping[str, Tensor], chosen: Mapping[str, Tensor]) -> LoadReport:
    missing = [key for key in state if key not in chosen]
    notes = list(fitted.notes)
    if any(key.endswith(_COUNTER) for key in missing) and not any(key.endswith(_COUNTER) for key in chosen):
        notes.append(f"an old file without {_COUNTER}, which changes no output")
    return LoadReport(
        matched=tuple(key for key in state if key in chosen),
        missing=tuple(key for key in missing if not key.endswith(_COUNTER)),
        unexpected=tuple(key for key in fitted.tensors if key not in state),
        dropped=tuple(fitted.dropped),
        notes=tuple(notes),
        normalisation=fitted.normalisation,
    )


def _check(report: LoadReport, fitted: Fitted, state: Mapping[str, Tensor], name: str, purpose: Purpose) -> None:
    encoder, enough = _encoder_keys(state)
    lacking = set(report.missing)
    share = 1 - sum(key in lacking for key in encoder) / max(1, len(encoder))
    if share < enough:
        raise InputError(
            f"{name} is for another network: it holds {share:.0%} of the encoder's tensors; missing "
            f"{grouped(report.missing)}; unknown {grouped(report.unexpected) or 'none'}; "
            f"give the network it was trained with, or the prefix of its keys{fitted.origin}",
            field="net",
        )
    if len(fitted.foreign) > (_FOREIGN_START * len(report.matched) if purpose == "start" else 0):
        raise InputError(
            f"{name} is for a larger network: it has {len(fitted.foreign)} weights that this one does not have "
            f"({grouped(sorted(fitted.foreign))}); give the network it was trained with",
            field="net",
        )
    if purpose == "start" or not report.missing:
        return
    if fitted.headless:
        raise InputError(
            f"{name} is {fitted.headless}: it can start a network that is to be trained, but it cannot be a source "
            f"(missing {grouped(report.missing)})",
            field="source.file",
        )
    raise InputError(
        f"{name} does not fill the network: missing {grouped(report.missing)}, first {report.missing[0]}; unknown "
        f"{grouped(report.unexpected) or 'none'}; give the network it was trained with{fitted.origin}",
        field="net",
    )


def _encoder_keys(state: Mapping[str, Tensor]) -> tuple[list[str], float]:
    keys = [key for key in state if not key.endswith(_COUNTER)]
    for prefix in ("encoder.", "backbone."):
        if inside := [key for key in keys if key.startswith(prefix)]:
            return inside, _ENOUGH_ENCODER
    if "layer5.conv2d_list.0.weight" in state:
        return [key for key in keys if not key.startswith("layer5.")], _ENOUGH_ENCODER
    return keys, _ENOUGH_WHOLE


def load_into(
    model: Model,
    path: Path,
    *,
    purpose: Purpose = "start",
    prefix: str = "",
    part: str = "",
    class_map: ClassMap | None = None,
) -> LoadReport:
    """Fills a model from a file and takes over the normalisation that the form of initial weights implies.

    Args:
        model: the model to fill.
        path: a weights file.
        purpose: as for `load_weights`.
        prefix: of the file's keys; empty finds it.
        part: entry of a training checkpoint (``student``, ``teacher``); empty finds it.
        class_map: as for `load_weights`.

    Raises:
        InputError: the file cannot be read or does not fit.
    """
    found = read_weights(path, part=part, prefix=prefix)
    if found.card and purpose == "source":
        agreed_card(found.card, path, net=None, classes=class_map.source if class_map else model.classes)
    report = _filled(model.net, found, purpose=purpose, prefix=prefix, class_map=class_map)
    if found.card and found.card.oracle:
        # A model trained from weights that were chosen by labels keeps that mark (fault F13).
        model.card = dataclasses.replace(model.card, oracle=True)
    if found.card and purpose == "start" and class_map is None:
        report = _with_names(report, found.card.class_set.names, model.classes.names, path)
    return _normalised(model, report, found.card.normalisation if found.card else report.normalisation)


def _with_names(report: LoadReport, found: tuple[str, ...], wanted: tuple[str, ...], path: Path) -> LoadReport:
    """Compares the classes of a whole model with the student's: as many of them need not be the same.

    Raises:
        InputError: they are the same in another order, so that each would be learnt as another from the start.
    """
    if report.start != "trained" or found == wanted or unnamed(found):
        return report
    if sorted(found) == sorted(wanted):
        raise InputError(
            f"{path} is for the same classes in another order ({', '.join(found[:4])} ...; the class set has "
            f"{', '.join(wanted[:4])} ...); list the classes in the order of the file",
            field="classes",
        )
    note = f"its classes {', '.join(found[:4])} ... are taken for {', '.join(wanted[:4])} ..., one after the other"
    return dataclasses.replace(report, notes=(*report.notes, note))


def fill(model: Model, tensors: Mapping[str, Tensor], name: str) -> LoadReport:
    """Starts a model from an encoder's weights; see `load_into`.

    Raises:
        InputError: they do not fit.
    """
    report = load_weights(model.net, tensors, name=name, purpose="start")
    return _normalised(model, report, report.normalisation)


def _normalised(model: Model, report: LoadReport, wanted: Normalisation | None) -> LoadReport:
    """Takes over the normalisation that weights need, and says so."""
    if not wanted or wanted == model.card.normalisation:
        return report
    model.set_normalisation(wanted)
    note = f"images are normalised as these weights expect: {wanted.channels}, mean {wanted.mean}, scale {wanted.scale}"
    return dataclasses.replace(report, notes=(*report.notes, note))


def load_model(
    path: Path,
    *,
    net: str | None = None,
    classes: ClassSet | None = None,
    size: Size | None = None,
    normalisation: Normalisation | None = None,
    trust: bool = False,
    prefix: str = "",
    part: str = "",
) -> tuple[Model, LoadReport]:
    """Makes the model that a file holds.

    Args:
        path: a self-describing file, or a plain one together with ``net`` and ``classes``.
        net: registry name; where the file says its own, the two must agree.
        classes: likewise.
        size: working size; None takes the file's, or the published 1024x512.
        normalisation: None takes the file's, or the network's usual one.
        trust: allow a user's own factory.
        prefix: of the file's keys; empty finds it.
        part: entry of a training checkpoint; empty finds it.

    Raises:
        InputError: the file cannot be read, does not say enough, contradicts the arguments, or does not fit.
    """
    found = read_weights(path, part=part, prefix=prefix)
    return model_of(found, net=net, classes=classes, size=size, normalisation=normalisation, trust=trust, prefix=prefix)


def model_of(
    found: WeightsFile,
    *,
    net: str | None = None,
    classes: ClassSet | None = None,
    size: Size | None = None,
    normalisation: Normalisation | None = None,
    trust: bool = False,
    prefix: str = "",
) -> tuple[Model, LoadReport]:
    """Makes the model of a file that was read already; see `load_model`.

    Raises:
        InputError: as `load_model`.
    """
    path = found.path
    if found.card:
        card = agreed_card(found.card, path, net=net, classes=classes)
        if classes is not None and unnamed(card.classes["names"]):
            card = dataclasses.replace(card, classes=classes.to_dict())
        net, classes = card.net, card.class_set
        if not trust:
            check_claim(path, net_bytes(net, len(classes)), f"its network {net} of {len(classes)} classes")
        size, normalisation = size or card.size, normalisation or card.normalisation
    if not net:
        check_whole(path)
    if not net or classes is None:
        lacking = " and ".join(word for word, given in (("its network", net), ("its classes", classes)) if not given)
        raise InputError(
            f"{path} holds plain weights and does not say {lacking}; name them (`source.net`, `task.classes`), "
            f"or give a safetensors file written by crots export{_hint(found.tensors)}",
            field="net",
        )
    size = net_info(net, trust=trust).fixed or size or PUBLISHED_SIZE
    model = create_model(net, classes, size, normalisation=normalisation, trust=trust)
    if found.card:
        kept = {name: getattr(found.card, name) for name in ("note", "oracle", "tile_overlap")}
        model.card = dataclasses.replace(model.card, **kept)
    return model.eval(), _filled(model.net, found, prefix=prefix)


def _filled(
    net: nn.Module,
    found: WeightsFile,
    *,
    purpose: Purpose = "source",
    prefix: str = "",
    class_map: ClassMap | None = None,
) -> LoadReport:
    """Fills a network from a file; a prefix that chose the entry is none of its keys."""
    prefix = "" if prefix.removesuffix(".") == found.entry else prefix
    report = load_weights(net, found.tensors, name=str(found.path), purpose=purpose, prefix=prefix, class_map=class_map)
    return dataclasses.replace(report, notes=(*found.notes, *report.notes))


def agreed_card(card: ModelCard, path: Path, *, net: str | None, classes: ClassSet | None) -> ModelCard:
    """Returns a file's card after comparing it with the options.

    Raises:
        InputError: the two contradict each other.
    """
    if net and net != card.net:
        raise InputError(f"{path} holds a {card.net}, but the option names {net}; leave the network out", field="net")
    if classes is not None:
        check_classes(card, path, classes, "classes")
    return card


def save_safetensors(path: Path, net: nn.Module, card: ModelCard) -> None:
    """Writes weights with their card, and its parts again as entries of their own for other programs.

    Raises:
        StageError: it cannot be written.
    """
    plain = card.to_dict()
    classes = card.class_set
    metadata = {
        "format": "pt",
        CARD_KEY: json.dumps(plain),
        "net": card.net,
        "classes": json.dumps(classes.names),
        "palette": json.dumps(classes.palette),
        "normalisation": json.dumps(plain["normalisation"]),
        "size": str(card.size),
    }
    # Cloned, since safetensors refuses tensors that share memory.
    tensors = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in net.state_dict().items()}
    with atomic_path(path, durable=True) as partial:
        # safetensors makes files readable by their owner only, which would not work in a shared folder.
        partial.touch()
        mode = partial.stat().st_mode
        save_file(tensors, partial, metadata)
        partial.chmod(stat.S_IMODE(mode))


def save_pth(path: Path, net: nn.Module) -> None:
    """Writes a plain state dict; a DeepLabV2's keys are AdaptSegNet's.

    Raises:
        StageError: it cannot be written.
    """
    state = OrderedDict((key, tensor.detach().cpu().contiguous()) for key, tensor in net.state_dict().items())
    # Through a file object: given a path, torch writes its random temporary name into the archive.
    with atomic_path(path, durable=True) as partial, disk_file(partial) as file:
        torch.save(state, file)
