"""The options form: every option of a section with value, range, help and error, and the equivalent command line."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from crots.config import OptionInfo, Profile, check, describe, expectation, to_plain
from crots.errors import InputError
from crots.files import exists
from crots.options import SECTIONS, all_options, path_options
from crots.project_config import ProjectConfig, config_values, override
from crots_studio.models.option_groups import GROUPS, IN_SET_UP, group_of, is_advanced, special_name
from crots_studio.models.words import command_text, fault_text, option_title, section_title

Kind = Literal["switch", "choice", "choices", "whole", "text", "path"]
# Sections that a preset adds to instead of resetting.
_KEPT = ("data", "task", "source", "student", "runtime")
# A spin box cannot hold more.
_MOST_WHOLE = 2**31 - 1


def shown(value: Any) -> str:
    """Writes a value as the user would type it; nothing for none."""
    plain = to_plain(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "on" if plain else "off"
    if isinstance(plain, list):
        return ", ".join(map(str, plain))
    if isinstance(plain, float):
        short = f"{plain:g}"
        return short if float(short) == plain else repr(plain)
    return str(plain)


@dataclass(frozen=True)
class OptionField:
    """One line of the form.

    Attributes:
        section: as in ``crots.toml``.
        info: the option's description.
        value: what the project has.
        profile: whose defaults count.
        error: why the typed value is invalid, empty where it was accepted.
        typed: the typed value if it was not accepted.
    """

    section: str
    info: OptionInfo
    value: Any
    profile: Profile
    error: str = ""
    typed: str = ""

    @property
    def path(self) -> str:
        """``adapt.learning_rate``."""
        return f"{self.section}.{self.info.name}"

    @property
    def title(self) -> str:
        """``Learning rate``."""
        return option_title(self.path)

    @property
    def kind(self) -> Kind:
        """Which widget fits."""
        info = self.info
        if info.kind is bool:
            return "switch"
        if info.choices:
            return "choices" if typing.get_origin(info.kind) is tuple else "choice"
        if info.kind is int and not info.optional:
            return "whole"
        return "path" if info.kind is Path else "text"

    @property
    def default(self) -> Any:
        """The profile's value."""
        return self.info.default_for(self.profile)

    @property
    def changed(self) -> bool:
        """Whether the project differs from the profile."""
        return bool(to_plain(self.value) != to_plain(self.default))

    @property
    def text(self) -> str:
        """What an entry field holds."""
        return self.typed if self.error else shown(self.value)

    @property
    def placeholder(self) -> str:
        """What an empty entry field says."""
        return self.special or ("none" if self.info.optional else "")

    @property
    def special(self) -> str:
        """The meaning of 0, none or an empty field, such as ``automatic``; empty if it has no special meaning."""
        return special_name(self.section, self.info)

    @property
    def group(self) -> str:
        """The heading that it is listed under."""
        return group_of(self.section, self.info.name)

    @property
    def folded(self) -> bool:
        """Whether it is shown on request: one of Set-up's, or one that is seldom changed and not changed here."""
        if self.group == IN_SET_UP:
            return not self.error
        return is_advanced(self.section, self.info.name) and not self.changed and not self.error

    @property
    def share(self) -> bool:
        """Whether it is a number between 0 and about 1, for which a slider is handy."""
        info = self.info
        return info.kind is float and not info.optional and info.low is not None and info.high in (0.5, 0.9, 1)

    @property
    def limits(self) -> tuple[int, int]:
        """Range of a spin box."""
        low = -_MOST_WHOLE if self.info.low is None else int(self.info.low)
        return low, min(_MOST_WHOLE, _MOST_WHOLE if self.info.high is None else int(self.info.high))

    @property
    def tooltip(self) -> str:
        """Help, range, defaults and the fault of the published code that it fixes."""
        info = self.info
        lines = [info.help, f"Value: {expectation(info)}."]
        default, published = shown(info.default) or "none", shown(info.published) or "none"
        lines.append(f"Default {default}" + (f", published {published}." if published != default else "."))
        if info.fault:
            lines.append(f"Fixes {info.fault} of the published code.")
        if not info.affects_result:
            lines.append("Does not change results, so no stage becomes stale.")
        lines.append(f"In crots.toml and on the command line: {self.path}")
        return "\n".join(lines)


class OptionForm:
    """What was typed into the form, on top of a configuration."""

    def __init__(self, config: ProjectConfig) -> None:
        self.config = config
        self._typed: dict[str, tuple[str, str]] = {}

    def take(self, config: ProjectConfig) -> None:
        """Follows the project; invalid input stays until it is corrected or reset."""
        self.config = config

    def fields(self, section: str) -> list[OptionField]:
        """Returns the lines of a section, group by group."""
        options = getattr(self.config, section)
        infos = sorted(
            (info for info in describe(SECTIONS[section]) if info.stored),
            key=lambda info: (GROUPS.index(group_of(section, info.name)), is_advanced(section, info.name)),
        )
        return [self._field(section, info, getattr(options, info.name)) for info in infos]

    def field(self, path: str) -> OptionField:
        """Returns one line."""
        section, _, name = path.partition(".")
        return next(field for field in self.fields(section) if field.info.name == name)

    def _field(self, section: str, info: OptionInfo, value: Any) -> OptionField:
        typed, error = self._typed.get(f"{section}.{info.name}", ("", ""))
        return OptionField(section, info, value, self.config.profile, error, typed)

    def edit(self, path: str, value: Any) -> bool:
        """Puts a typed value into ``config``; returns False if it is invalid, and the field then has an error."""
        field = self.field(path)
        try:
            check(field.info, value, where=field.title)
            self.config = override(self.config, {path: value})
        except InputError as error:
            self._typed[path] = (str(value), fault_text(error))
            return False
        self._typed.pop(path, None)
        return True

    def reset(self, path: str) -> None:
        """Goes back to the profile's value."""
        field = self.field(path)
        self._typed.pop(path, None)
        self.config = override(self.config, {path: to_plain(field.default)})

    def reset_section(self, section: str) -> None:
        """Goes back to the profile's values of a whole section."""
        for field in self.fields(section):
            if field.changed or field.error:
                self.reset(field.path)

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field."""
        return {path: error for path, (_, error) in self._typed.items()}


def init_command(config: ProjectConfig, folder: Path) -> str:
    """Returns the command that makes the same project in a terminal, in a new folder beside this one."""
    words = ["crots", "init", str(_beside(folder)), "--profile", config.profile]
    for section, values in config_values(config).items():
        for name, value in values.items():
            here = folder / str(value)
            if f"{section}.{name}" in path_options() and exists(here):
                value = here
            words += ["--set", f"{section}.{name}={_typed(value)}"]
    return command_text(words)


def _beside(folder: Path) -> Path:
    """The folder for a copy: the project's own if it does not exist yet, else the first free name."""
    names = (folder.name, *(f"{folder.name}-{number}" for number in range(2, 1000)))
    return next(path for path in map(folder.with_name, names) if not exists(path))


def run_command(folder: Path, only: str | None = None, *, trust: bool = False) -> str:
    """Returns the command that runs a project, or one stage of it, in a terminal."""
    more = [*(["--only", only] if only else []), *(["--trust"] if trust else [])]
    return command_text(["crots", "run", str(folder), *more])


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def apply_preset(config: ProjectConfig, name: str) -> ProjectConfig:
    """Returns the configuration with a preset's options; the options that name the user's files are kept.

    Raises:
        InputError: there is no such preset.
    """
    from crots.project_config import build_config, load_preset

    profile, preset = load_preset(name)
    kept: dict[str, dict[str, Any]] = {
        section: dict(values) for section, values in config_values(config).items() if section in _KEPT
    }
    for section, values in preset.items():
        section = section.replace("-", "_")
        mine = kept.setdefault(section, {})
        mine |= {key: value for key, value in values.items() if _is_taken_over(f"{section}.{key}")}
    return build_config(kept, profile=profile, preset=name)


def _is_taken_over(option: str) -> bool:
    """A preset proposes names and sizes; it must not replace the user's own choice of files."""
    info = all_options().get(option)
    return info is None or not (info.path and info.kind is Path)


def preset_effect(name: str) -> str:
    """Describes what applying a preset changes, and what it keeps.

    Raises:
        InputError: there is no such preset.
    """
    from crots.project_config import load_preset

    profile, preset = load_preset(name)
    named = [
        f"{option_title(f'{section}.{info.name}').lower()} of {section_title(section).lower()}: "
        f"{shown(given.get(info.name, info.default_for(profile)))}"
        for section in _KEPT
        for given in [preset.get(section, {})]
        for info in describe(SECTIONS[section])
        # The values in the file, and those whose default differs in its profile.
        if _is_taken_over(f"{section}.{info.name}")
        and (info.name in given or info.default_for(profile) != info.default)
    ]
    text = "It resets the options of all stages; your files are kept."
    return f"{text}\nIt also sets {'; '.join(named)}." if named else text
