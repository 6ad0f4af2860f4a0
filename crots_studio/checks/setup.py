"""The inputs of a project, as the checks open them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from crots.opening import Inputs
from crots.project_config import ProjectConfig
from crots.trust import Code
from crots_studio.models.listing import target_dataset

# Shown in the rail.
NOT_CHOSEN = "not chosen yet"


class Setup(Inputs):
    """The inputs to check, opened as a run opens them, and the code that the user trusts.

    Checks run no third-party code, trusted or not: only runs do.

    Attributes:
        trusted: the code that the user trusted in this window.
    """

    def __init__(self, config: ProjectConfig, root: Path, trusted: Collection[Code] = ()) -> None:
        # A folder is listed once for all fields that ask for it.
        super().__init__(config, root, images=target_dataset)
        self.trusted = trusted
