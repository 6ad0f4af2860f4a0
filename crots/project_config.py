"""The configuration of a project: built from plain values and presets, read and written as TOML."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from crots import options as opt
from crots.config import (
    PROFILES,
    OptionInfo,
    Profile,
    changed,
    describe,
    from_mapping,
    profile_named,
    to_mapping,
    unknown_name,
)
from crots.errors import InputError
from crots.records import read_toml
from crots.resources import resource_folder
from crots.training_options import AdaptOptions, BaselineOptions

FORMAT = 1

_HEADER = (
    "# A CROTS project. Options that are not listed have the profile's defaults; `crots status` shows what is done.\n"
)


@dataclass(frozen=True)
class ProjectConfig:
    """All options of a project; the sections are those of `crots.options.SECTIONS`."""

    profile: Profile = "recommended"
    preset: str = ""
    data: opt.DataOptions = field(default_factory=opt.DataOptions)
    task: opt.TaskOptions = field(default_factory=opt.TaskOptions)
    source: opt.SourceOptions = field(default_factory=opt.SourceOptions)
    student: opt.StudentOptions = field(default_factory=opt.StudentOptions)
    runtime: opt.RuntimeOptions = field(default_factory=opt.RuntimeOptions)
    pseudo_label: opt.PseudoLabelOptions = field(default_factory=opt.PseudoLabelOptions)
    mine: opt.MineOptions = field(default_factory=opt.MineOptions)
    baseline: BaselineOptions = field(default_factory=BaselineOptions)
    adapt: AdaptOptions = field(default_factory=AdaptOptions)
    evaluate: opt.EvaluateOptions = field(default_factory=opt.EvaluateOptions)
    export: opt.ExportOptions = field(default_factory=opt.ExportOptions)


def build_config(
    values: Mapping[str, Mapping[str, Any]], *, profile: Profile = "recommended", preset: str = ""
) -> ProjectConfig:
    """Builds a configuration from sections of plain values, on top of a profile.

    Raises:
        InputError: an unknown section or option, or a value that does not fit.
    """
    sections: dict[str, Any] = {}
    given = {name.replace("-", "_"): section for name, section in values.items()}
    for name in given:
        if name not in opt.SECTIONS:
            raise unknown_name(name, name, list(opt.SECTIONS), what="section")
    for name, options_class in opt.SECTIONS.items():
        section = given.get(name, {})
        if not isinstance(section, Mapping):
            raise InputError(f"{name}: found {section!r}, expected a table of options", field=name)
        sections[name] = from_mapping(options_class, section, where=name, profile=profile)
    return ProjectConfig(profile=profile, preset=preset, **sections)


def config_values(config: ProjectConfig) -> dict[str, dict[str, Any]]:
    """Returns, by section, the options that differ from the profile's defaults, as plain values without ``None``."""
    values = {name: changed(getattr(config, name), config.profile) for name in opt.SECTIONS}
    return {
        name: {key: value if value is not None else "none" for key, value in section.items()}
        for name, section in values.items()
        if section
    }


def read_config(path: Path) -> ProjectConfig:
    """Reads the configuration of a project from its ``crots.toml``.

    Raises:
        InputError: it is damaged, or does not fit this version.
    """
    values = read_toml(path)
    if "format" not in values:
        raise InputError(
            f"{path}: found no format, expected `format = {FORMAT}`: the file is empty, cut off or none of a project; "
            "restore it from a copy, or make the project again"
        )
    if values.pop("format") != FORMAT:
        raise InputError(f"{path}: not a project of format {FORMAT}; it was made by another version of CROTS")
    profile, preset = _profile(values.pop("profile", "recommended"), path), str(values.pop("preset", ""))
    refuse_unstored(values, str(path))
    try:
        return build_config(values, profile=profile, preset=preset)
    except InputError as error:
        raise InputError(f"{path}: {error}", field=error.field) from None


def config_text(config: ProjectConfig) -> str:
    """Returns the ``crots.toml`` of a configuration: what differs from the profile's defaults."""
    head: dict[str, Any] = {"format": FORMAT, "profile": config.profile}
    if config.preset:
        head["preset"] = config.preset
    return _HEADER + tomli_w.dumps({**head, **config_values(config)})


def preset_names() -> tuple[str, ...]:
    """Names of the shipped presets."""
    return tuple(sorted(path.stem for path in (resource_folder() / "presets").glob("*.toml")))


def load_preset(name: str) -> tuple[Profile, dict[str, dict[str, Any]]]:
    """Returns a preset's profile and sections; ``name`` is a shipped one or a TOML file.

    Raises:
        InputError: there is no such preset, or it is not TOML.
    """
    path = Path(name) if name.endswith(".toml") else resource_folder() / "presets" / f"{name}.toml"
    if not path.is_file():
        raise unknown_name("preset", name, list(preset_names()), what="preset")
    values = read_toml(path)
    values.pop("description", None)
    refuse_unstored(values, str(path))
    return _profile(values.pop("profile", "recommended"), path), values


def refuse_unstored(values: Mapping[str, Any], where: str) -> None:
    """Refuses options of a single run, above all trust, where a file gives them.

    Args:
        values: sections of plain values.
        where: the file, for the message.

    Raises:
        InputError: naming file and option.
    """
    for section, options in values.items():
        options_class = opt.SECTIONS.get(section.replace("-", "_"))
        if options_class is None or not isinstance(options, Mapping):
            continue
        unstored = {info.name: info.flag for info in describe(options_class) if not info.stored}
        for key in options:
            if flag := unstored.get(key.replace("-", "_")):
                raise InputError(
                    f"{where}: {section}.{key}: found in a file, where it is not accepted; delete it there, and give "
                    f"{flag} when you start a run if you want it",
                    field=f"{section}.{key}",
                )


def _profile(value: Any, path: Path) -> Profile:
    profile = profile_named(value)
    if profile is None:
        raise InputError(f"{path}: profile {value!r}, expected one of {', '.join(PROFILES)}", field="profile")
    return profile


def override(config: ProjectConfig, settings: Mapping[str, Any]) -> ProjectConfig:
    """Returns the configuration with ``{"adapt.steps": "100"}`` applied.

    Raises:
        InputError: an unknown ``section.option``, or a value that does not fit.
    """
    for path, value in settings.items():
        section, _, name = path.replace("-", "_").partition(".")
        if section not in opt.SECTIONS or not name:
            raise unknown_name(path, section, list(opt.SECTIONS), what="section (expected section.option=value)")
        old = getattr(config, section)
        new = from_mapping(type(old), {**to_mapping(old), name: value}, where=section, profile=config.profile)
        config = dataclasses.replace(config, **{section: new})
    return config


def named_paths(config: ProjectConfig) -> dict[str, tuple[OptionInfo, Path | str]]:
    """Returns what the options that name files or folders hold, by ``section.option``, but for the empty ones."""
    found: dict[str, tuple[OptionInfo, Path | str]] = {}
    for path, info in opt.path_options().items():
        section, _, name = path.partition(".")
        if value := getattr(getattr(config, section), name):
            found[path] = (info, value)
    return found
