"""Forms of checkpoints: maps the keys of a file to the keys of a network.

Each known form that needs more than a prefix is one function here, listed in `FORMS`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from crots.card import IMAGENET, Normalisation
from crots.errors import InputError
from crots.nets.entries import is_average

# Where networks keep an encoder whose weights come in a file of its own.
_ENCODERS = ("encoder.model.", "encoder.", "backbone.")
_DEEPEST_PREFIX = 4
# What torch inserts after the name of a part; at the beginning of a key it is a prefix as any other.
_WRAPPER = re.compile(r"\.(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.|$)")


@dataclass
class Fitted:
    """The tensors of a file under a network's names.

    Attributes:
        tensors: by the network's key where it has one, else by the file's.
        prefix: what was taken off the file's keys.
        added: what was put before them, where a file holds only an encoder.
        dropped: keys left out on purpose; ``notes`` say why.
        notes: what the user should read.
        foreign: weights in the network's own parts that it does not have, as a ResNet-101 has over a ResNet-50.
        headless: the file has no classifier that could serve, for the reason given.
        normalisation: what the weights were trained with, where the form implies it.
        origin: what the file's keys say of the program it is from, for messages; empty where that does not matter.
    """

    tensors: dict[str, Tensor]
    prefix: str = ""
    added: str = ""
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    headless: str = ""
    normalisation: Normalisation | None = None
    origin: str = ""

    def leave_out(self, keys: Iterable[str]) -> None:
        """Drops these keys."""
        for key in keys:
            del self.tensors[key]
            self.dropped.append(key)

    def drop(self, prefix: str) -> bool:
        """Drops all keys under a prefix and says whether there were any."""
        keys = [key for key in self.tensors if key.startswith(prefix)]
        self.leave_out(keys)
        return bool(keys)

    def has(self, prefix: str) -> bool:
        """Says whether any key is under a prefix."""
        return any(key.startswith(prefix) for key in self.tensors)


def fit(tensors: Mapping[str, Tensor], expected: Iterable[str], *, prefix: str = "", name: str = "weights") -> Fitted:
    """Renames the tensors of a file after a network's keys.

    Args:
        tensors: by the file's keys.
        expected: the network's keys.
        prefix: of the file's keys; empty finds the one under which most keys match.
        name: the file, for messages.

    Raises:
        InputError: several prefixes match equally well, or the given one does not occur.
    """
    expected = list(expected)
    fitted = _rename(_unwrapped(tensors, name), expected, _WRAPPER.sub("", prefix), name)
    for form in FORMS:
        form(fitted, frozenset(expected))
    return fitted


def _unwrapped(tensors: Mapping[str, Tensor], name: str) -> Mapping[str, Tensor]:
    """Removes from keys that a part was compiled, sharded or recomputed by itself."""
    plain = {_WRAPPER.sub("", key): tensor for key, tensor in tensors.items()}
    if len(plain) < len(tensors):
        raise InputError(f"{name}: holds weights of a compiled or sharded part twice; save one of them alone")
    return plain


def _rename(tensors: Mapping[str, Tensor], expected: list[str], prefix: str, name: str) -> Fitted:
    targets = _targets(expected)
    strip, add, choice = _best(tensors, targets, _given(tensors, prefix, name), name)
    fitted = Fitted({}, strip, add)
    for key, tensor in tensors.items():
        if not key.startswith(strip):
            # Another part of the file, such as a loss or a second network.
            fitted.dropped.append(key)
            continue
        rest = key[len(strip) :]
        fitted.tensors[_lookup(targets[add], rest) or rest] = tensor
    if strip:
        fitted.notes.append(f"keys start with {strip}")
    if choice:
        fitted.notes.append(choice)
    own = {_canonical(rest).split(".", 1)[0] for rest in targets[add]}
    fitted.foreign = [
        key
        for key in fitted.tensors.keys() - set(expected)
        if key.endswith(".weight") and _canonical(key).split(".", 1)[0] in own
    ]
    return fitted


def _targets(expected: list[str]) -> dict[str, dict[str, str]]:
    """For every prefix that a file may lack: the network's keys by what the file would call them."""
    additions = ["", *(encoder for encoder in _ENCODERS if any(key.startswith(encoder) for key in expected))]
    whole = _common_prefix(expected)
    if whole and whole not in additions:
        additions.append(whole)
    tables: dict[str, dict[str, str]] = {}
    for add in additions:
        exact = {key[len(add) :]: key for key in expected if key.startswith(add)}
        # Exact names win over canonical ones.
        tables[add] = {_canonical(rest): key for rest, key in exact.items()} | exact
    return tables


def _lookup(names: Mapping[str, str], rest: str) -> str | None:
    return names.get(rest) or names.get(_canonical(rest))


def _canonical(key: str) -> str:
    # timm flattens stages.0.blocks into stages_0.blocks where it gives features only.
    return re.sub(r"_(\d+)(?=\.)", r".\1", key)


def _common_prefix(keys: list[str]) -> str:
    heads = {key.split(".", 1)[0] for key in keys}
    return f"{heads.pop()}." if len(heads) == 1 and all("." in key for key in keys) else ""


def _given(tensors: Mapping[str, Tensor], prefix: str, name: str) -> str | None:
    if not prefix:
        return None
    prefix = prefix if prefix.endswith(".") else f"{prefix}."
    if not any(key.startswith(prefix) for key in tensors):
        heads = sorted({key.split(".", 1)[0] for key in tensors})
        raise InputError(
            f"{name}: no key starts with the prefix {prefix!r}; found keys under {', '.join(heads[:8])}",
            field="source.prefix",
        )
    return prefix


def _best(
    tensors: Mapping[str, Tensor], targets: dict[str, dict[str, str]], given: str | None, name: str
) -> tuple[str, str, str]:
    """What to take off keys, what to put before them, and a note where an average could be chosen."""
    counts: Counter[tuple[str, str]] = Counter()
    for key in tensors:
        for strip in _heads(key) if given is None else [given]:
            for add, names in targets.items():
                if key.startswith(strip) and _lookup(names, key[len(strip) :]):
                    counts[strip, add] += 1
    if not counts:
        return given or "", "", ""
    most = max(counts.values())
    best = sorted((pair for pair, count in counts.items() if count == most), key=lambda pair: (len(pair[1]), pair[0]))
    strips = [strip for strip, add in best if add == best[0][1]]
    averages = [strip for strip in strips if is_average(strip)]
    if len(strips) == 2 and len(averages) == 1:
        (average,), (other,) = averages, set(strips) - set(averages)
        if not other:
            note = f"the moving average of the weights lies under {average}; that prefix selects it"
            return "", best[0][1], note
        note = f"the moving average of the weights, {average}, is used, not {other}; the prefix {other} selects that"
        return average, best[0][1], note
    if len(strips) > 1 and strips[0]:
        raise InputError(
            f"{name} holds the network {len(strips)} times, under {', '.join(strips)}; "
            "give the prefix of the one to use",
            field="source.prefix",
        )
    return *best[0], ""


def _heads(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join([*parts[:depth], ""]) for depth in range(min(_DEEPEST_PREFIX, len(parts) - 1) + 1)]


def _mscoco(fitted: Fitted, expected: frozenset[str]) -> None:
    """The MS-COCO initialisation DeepLabV2 is trained from: its classifier, of any size, is for other classes."""
    if fitted.prefix.endswith("Scale.") and fitted.drop("layer5."):
        fitted.headless = "the MS-COCO initialisation, whose layer5 is for other classes"
        fitted.notes.append(f"{fitted.headless}: layer5 left out")


def _multi_level(fitted: Fitted, expected: frozenset[str]) -> None:
    """AdaptSegNet's multi-level release: layer5 is an auxiliary head on layer3, the real one is layer6."""
    if not fitted.has("layer6.") or any(key.startswith("layer6.") for key in expected):
        return
    fitted.drop("layer5.")
    for key in [key for key in fitted.tensors if key.startswith("layer6.")]:
        fitted.tensors["layer5." + key.removeprefix("layer6.")] = fitted.tensors.pop(key)
    fitted.notes.append("a multi-level AdaptSegNet: its auxiliary layer5 left out, its layer6 taken as layer5")


def _resnet(fitted: Fitted, expected: frozenset[str]) -> None:
    """An ImageNet ResNet classifier, such as torchvision's, for a DeepLabV2."""
    if "fc.weight" in expected or not fitted.drop("fc."):
        return
    fitted.headless = "an image classifier (its fc left out)"
    note = fitted.headless
    if "layer5.conv2d_list.0.weight" in expected:
        fitted.normalisation = IMAGENET
        note += ", trained with RGB images normalised as torchvision does and with strides in the 3x3 convolutions"
    fitted.notes.append(note)


def _encoder(fitted: Fitted, expected: frozenset[str]) -> None:
    """A file that holds an encoder alone: what its classifier was made of has no place."""
    if not fitted.added:
        return
    rest = [key for key in fitted.tensors if key not in expected]
    fitted.leave_out(rest)
    fitted.headless = fitted.headless or "an encoder without a segmentation head"
    tail = f"; {grouped(rest)} not used there" if rest else ""
    fitted.notes.append(f"an encoder, loaded into {fitted.added.rstrip('.')}{tail}")


def _auxiliary(fitted: Fitted, expected: frozenset[str]) -> None:
    """The second head of torchvision's networks, which only helps their training."""
    if "aux_classifier.0.weight" not in expected and fitted.drop("aux_classifier."):
        fitted.notes.append("auxiliary classifier left out")


FORMS: tuple[Callable[[Fitted, frozenset[str]], None], ...] = (_mscoco, _multi_level, _resnet, _encoder, _auxiliary)


def grouped(keys: Iterable[str]) -> str:
    """Names keys by their first part with counts, ``layer5 (8), fc (2)``."""
    counts = Counter(key.split(".", 1)[0] for key in keys)
    parts = [f"{head} ({count})" if count > 1 else head for head, count in counts.items()]
    return ", ".join(parts[:8]) + (f" and {len(parts) - 8} more" if len(parts) > 8 else "")
