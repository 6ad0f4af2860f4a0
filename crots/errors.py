"""The errors a user can meet. Each message says what was found, what was expected and what to do next.

Anything else that escapes (``KeyError``, ``RuntimeError`` ...) is a fault of ours and keeps its traceback.
"""

from __future__ import annotations


class CrotsError(Exception):
    """Base of all expected errors.

    Attributes:
        exit_code: what the command line exits with.
        field: the option or input at fault in dotted form (``adapt.confidence``), where there is one; the studio shows
            the message beside that field.
    """

    exit_code = 1

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InputError(CrotsError):
    """Something the user gave is missing, malformed or does not fit; nothing was started."""

    exit_code = 2


class StageError(CrotsError):
    """A stage could not go on after it had started; what it had finished stays on disk."""


class Stopped(CrotsError):
    """The user asked to stop; the work so far is kept in a checkpoint."""

    exit_code = 130
