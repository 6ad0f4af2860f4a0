"""Third-party code: which options of a project name any, found without importing or running it. No torch.

Trust is given by the user who starts a run, for that run (``--trust``; in the studio an answer that only the window
remembers), and only for code that the options name. No file can give it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from crots.files import expanded
from crots.project_config import ProjectConfig

ProgramKind = Literal["torchscript", "exported"]

# Prefixes of network names, up to the colon, that are families of this package; any other is a Python module.
OWN_FAMILIES = ("torchvision:", "smp:", "hf:")
PROGRAMS: dict[ProgramKind, str] = {"torchscript": "a TorchScript program", "exported": "an exported program"}


@dataclass(frozen=True)
class Code:
    """A piece of third-party code that a run would execute.

    Attributes:
        option: the option that names it, ``source.file``.
        name: ``package.module:factory``, or the path of a program.
        description: of it, for the user.
        stamp: of a file's content, so that another file of the same name is not the same code.
    """

    option: str
    name: str
    description: str
    stamp: tuple[int, int] = (0, 0)


def is_factory(net: str) -> bool:
    """Whether a network's name is ``package.module:factory``, which imports that module."""
    head, colon, _ = net.partition(":")
    return bool(colon) and head + colon not in OWN_FAMILIES


def program_kind(path: Path) -> ProgramKind | None:
    """Recognises a program of torch by the names in its archive; None for weights, other and missing files."""
    try:
        # Reading a pipe would block.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                return None
        with zipfile.ZipFile(path) as archive:
            listed = set(archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    # torch puts everything into one folder, whose name varies.
    names = listed | {name.partition("/")[2] for name in listed}
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return "exported"
    return "torchscript" if "constants.pkl" in names else None


def code_of(config: ProjectConfig, root: Path) -> tuple[Code, ...]:
    """Returns all third-party code that a run with these options would execute.

    Args:
        config: the options.
        root: what relative paths are relative to.
    """
    return tuple(_code(config, root))


def _code(config: ProjectConfig, root: Path) -> Iterator[Code]:
    source, student = config.source, config.student
    used = source.predictions is None or not student.net
    for option, net in (("source.net", source.net if used else ""), ("student.net", student.net)):
        if is_factory(net):
            yield Code(option, net, f"the Python module {_quoted(net.partition(':')[0])} (network {_quoted(net)})")
    if source.file is None or source.predictions is not None:
        return
    path = root / expanded(source.file)
    if kind := program_kind(path):
        status = path.stat()
        yield Code(
            "source.file",
            str(path),
            f"the file {_quoted(str(path))}, {PROGRAMS[kind]}",
            (status.st_mtime_ns, status.st_size),
        )


def _quoted(text: str) -> str:
    """Quotes a name so that it cannot imitate other text: line ends and direction marks are escaped."""
    return f"'{text}'" if text.isprintable() else repr(text)


def listed(code: Collection[Code]) -> str:
    """Lists the code for a message, each piece once."""
    return "; ".join(dict.fromkeys(piece.description for piece in code))


def with_trust(config: ProjectConfig, root: Path, trusted: Collection[Code]) -> ProjectConfig:
    """Returns the options for a run: trusted if the user has accepted each piece of code that they name."""
    code = code_of(config, root)
    given = bool(code) and all(piece in trusted for piece in code)
    return replace(config, runtime=replace(config.runtime, trust=given))
