"""Flags that were typed and would reach nothing: refused, since who types one expects something of it.

What ``--set`` stores in a project, and flags about validation, may have an effect later, once the project has changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from crots.cli.flags import given
from crots.config import describe
from crots.errors import InputError
from crots.files import exists, expanded
from crots.options import IMAGENET, SECTIONS
from crots.project_config import ProjectConfig


@dataclass(frozen=True)
class Rule:
    """Options that have no effect under a condition.

    Attributes:
        options: as ``section.option``.
        idle: whether they have none; given the configuration and what its relative paths are relative to.
        why: what was found, so that they have none.
        remedy: what else helps than to leave them out.
    """

    options: tuple[str, ...]
    idle: Callable[[ProjectConfig, Path], bool]
    why: str
    remedy: str = ""


def predicted(config: ProjectConfig, root: Path) -> bool:
    """Whether predictions are the source; both together are refused where they are opened."""
    return config.source.predictions is not None and config.source.file is None


def _source_file(config: ProjectConfig, root: Path) -> Path | None:
    """The source model's file, where there is one and it is the source."""
    file = config.source.file
    path = None if file is None or config.source.predictions is not None else root / expanded(file)
    return path if path is not None and exists(path) else None


def _program(config: ProjectConfig, root: Path) -> bool:
    from crots.source_inputs import closed

    path = _source_file(config, root)
    return path is not None and closed(path)


def _network(config: ProjectConfig, root: Path) -> bool:
    return _source_file(config, root) is not None and not _program(config, root)


def _is_file(value: Path | None, root: Path) -> bool:
    return value is not None and (root / expanded(value)).is_file()


_OF_MODELS = ("prefix", "size", "channels", "mean", "scale", "output", "output_name")
_PREDICTED = "`source.predictions` are the source, so that no model is run"
_PROGRAM = "the source is a program, whose network and weights are inside"
_NETWORK = "the source is the weights of a network, whose logits are read"
_OR_MODEL = "give the model by `source.file` in their place"
_OR_PROGRAM = "give an ONNX file or a program, which may have other outputs"

RULES = (
    Rule(tuple(f"source.{name}" for name in _OF_MODELS), predicted, _PREDICTED, _OR_MODEL),
    Rule(
        tuple(f"pseudo_label.{name}" for name in ("flip", "flip_merge", "batch_norm", "batch")),
        predicted,
        _PREDICTED,
        _OR_MODEL,
    ),
    Rule(
        ("source.encoding", "source.confidence"),
        lambda config, root: config.source.predictions is None and config.source.file is not None,
        "the source is a model and not predictions",
        "give `source.predictions` in its place",
    ),
    Rule(("source.prefix",), _program, _PROGRAM),
    Rule(
        ("pseudo_label.batch_norm",),
        lambda config, root: _program(config, root) and config.pseudo_label.batch_norm != "source",
        f"{_PROGRAM}, its batch-norm statistics too",
    ),
    Rule(("source.output_name",), _network, _NETWORK, _OR_PROGRAM),
    Rule(
        ("source.output",),
        lambda config, root: _network(config, root) and config.source.output != "logits",
        _NETWORK,
        _OR_PROGRAM,
    ),
    Rule(
        ("pseudo_label.flip_merge",),
        lambda config, root: not config.pseudo_label.flip,
        "`pseudo_label.flip` is false, so that there is one prediction",
    ),
    Rule(
        ("data.tile_overlap",),
        lambda config, root: config.data.tile is None,
        "images are not cut into tiles of a given size",
        "give `data.tile`",
    ),
    Rule(
        ("data.layout",),
        lambda config, root: _is_file(config.data.target, root),
        "the images are those of one file, which has no layout",
    ),
    Rule(
        ("data.val_layout",),
        lambda config, root: _is_file(config.data.val_images, root),
        "the validation images are those of one file, which has no layout",
    ),
    Rule(
        ("student.target_statistics",),
        lambda config, root: config.student.weights in ("random", IMAGENET),
        "the student is no model of these classes at its start, so that it takes the target's alone",
    ),
    Rule(
        ("baseline.mix_share",),
        lambda config, root: config.baseline.mix == "none",
        "`baseline.mix` is none, so that no images are mixed",
    ),
    Rule(
        ("adapt.patch_sampling", "adapt.patch_weight"),
        lambda config, root: not config.adapt.patches,
        "there are no hard patches",
        "give some",
    ),
    Rule(
        ("adapt.jitter_strength", "adapt.jitter_channels"),
        lambda config, root: config.adapt.jitter == 0,
        "`adapt.jitter` is 0, so that no colours are changed",
    ),
)
# The network of the source is that of the student too, where none is named.
_OF_THE_NET = (
    Rule(("source.net",), predicted, _PREDICTED, _OR_MODEL),
    Rule(("source.net",), _program, _PROGRAM),
)


def refuse_idle(
    config: ProjectConfig, typed: Collection[str], root: Path, *, more: Sequence[Rule] = (), student: bool = False
) -> None:
    """Makes sure that the options that were typed have an effect.

    Args:
        config: that they are part of.
        typed: their names, as ``section.option``; one that was set to its default is none.
        root: what relative paths of the configuration are relative to.
        more: rules of the command, besides those of all.
        student: the command trains a student, which has the source's network where none is named.

    Raises:
        InputError: with the options, why they have none, and what to do.
    """
    names = [name.replace("-", "_") for name in typed]
    changed = [name for name in names if name.partition(".")[0] in SECTIONS and _changed(config, name)]
    nets = () if student and not config.student.net else _OF_THE_NET
    for rule in (*more, *RULES, *nets):
        found = [name for name in changed if name in rule.options]
        if found and rule.idle(config, root):
            raise without_effect([f"`{name}`" for name in found], rule.why, rule.remedy, field=found[0])


def without_effect(options: Sequence[str], why: str, remedy: str = "", *, field: str | None = None) -> InputError:
    """Returns the error about options that have no effect.

    Args:
        options: as the message names them.
        why: what was found.
        remedy: what else helps than to leave them out.
        field: the first of them.
    """
    verb, them = ("is given without effect", "it") if len(options) == 1 else ("are given without effect", "them")
    also = f", or {remedy}" if remedy else ""
    return InputError(f"{', '.join(options)} {verb}: {why}; leave {them} out{also}", field=field)


def refuse_given(args: argparse.Namespace, flags: Sequence[str], why: str, remedy: str = "") -> None:
    """Refuses flags of a command that were typed although they have no effect.

    Args:
        args: of the command.
        flags: as they are typed.
        why: what was found, so that they have none.
        remedy: what else helps than to leave them out.

    Raises:
        InputError: with those that were typed.
    """
    found = [flag for flag in flags if flag in args.typed]
    if found:
        raise without_effect(found, why, remedy)


def typed_options(args: argparse.Namespace) -> list[str]:
    """Returns the options that were typed as flags, as ``section.option``."""
    return [f"{section}.{name}" for section, options in given(args).items() for name in options]


def _changed(config: ProjectConfig, name: str) -> bool:
    section, _, option = name.partition(".")
    usual = next(info for info in describe(SECTIONS[section]) if info.name == option).default_for(config.profile)
    return bool(getattr(getattr(config, section), option) != usual)
