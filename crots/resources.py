"""The folder of shipped data: presets, class sets, class maps, icons."""

from __future__ import annotations

from pathlib import Path


def resource_folder() -> Path:
    """Returns the resources folder: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "resources"
    return installed if installed.is_dir() else package.parent / "resources"


def shipped(kind: str) -> dict[str, Path]:
    """Returns the shipped TOML files of a kind (``classes``, ``class-maps``, ``presets``) by name, sorted."""
    return {path.stem: path for path in sorted((resource_folder() / kind).glob("*.toml"))}
