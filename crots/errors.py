"""The errors that users see. Each message states what was found, what was expected and what to do next.

Anything else that escapes (``KeyError``, ``RuntimeError`` ...) is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping


class CrotsError(Exception):
    """Base of all expected errors.

    Attributes:
        exit_code: what the command line exits with.
        field: the option or input at fault in dotted form (``adapt.confidence``), if there is one; the studio shows
            the message beside that field.
        settings: options, as `crots.project_config.override` takes them, with which it would not have been raised; the
            studio offers them for a click.
    """

    exit_code = 1

    def __init__(self, message: str, *, field: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.settings = dict(settings or {})


class InputError(CrotsError):
    """Something the user gave is missing, malformed or does not fit; nothing was started."""

    exit_code = 2


class StageError(CrotsError):
    """A stage failed after it had started; its finished output stays on disk."""


class Stopped(CrotsError):
    """The user stopped the run; the work so far is kept in a checkpoint."""

    exit_code = 130


class NotBegun(Stopped):
    """The user stopped a stage before it had begun."""

    def __init__(self) -> None:
        super().__init__("stopped before it began; nothing was changed")
