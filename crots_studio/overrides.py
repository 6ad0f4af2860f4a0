"""A fault in an override of one of Qt's virtual functions is reported, and does not end the process.

On Python 3.11, PySide6 (seen with 6.9.2 to 6.11.3) crashes where an override raises while Python itself has called into
Qt: an answer to a click that repaints a list, the picture of a panel. From Python 3.12 on it does not. So
`crots_studio.app` imports this before all modules that derive from Qt's classes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QGraphicsItem

_VIRTUAL = re.compile(
    r"\w+Event|event|eventFilter|paint\w*|draw\w+|itemChange|boundingRect|shape|sizeHint|minimumSizeHint|heightForWidth"
    r"|data|setData|headerData|rowCount|columnCount|flags|displayText|done|reject|accept|run|clone|pixmap|scaledPixmap"
)
# What Qt gets where the base class has no answer of its own and None will not do.
_NEUTRAL = {"rowCount": 0, "columnCount": 0}
# Qt's own answer would go on: with an event loop that nobody ends, or as if the user had agreed.
_NOT_QTS = ("run", "accept", "done")


def guard_overrides() -> None:
    """Reports the exceptions of overrides in all subclasses of Qt's classes that are defined from now on."""
    for kind in (QObject, QGraphicsItem):
        kind.__init_subclass__ = classmethod(_guard)  # type: ignore[assignment,arg-type]


def _guard(cls: type, **arguments: Any) -> None:
    """In place of `__init_subclass__`, whose arguments PySide6 reads elsewhere."""
    bases = [base for base in cls.__mro__ if base.__module__.startswith("PySide6.")]
    for name, function in list(vars(cls).items()):
        if callable(function) and _VIRTUAL.fullmatch(name) and any(name in vars(base) for base in bases):
            setattr(cls, name, _guarded(cls, name, function))


def _guarded(cls: type, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return function(self, *arguments, **named)
        except Exception:
            sys.excepthook(*sys.exc_info())
        if name in _NOT_QTS:
            return None
        try:
            return getattr(super(cls, self), name)(*arguments, **named)
        except Exception:
            # A pure virtual function has nothing to fall back on.
            return _NEUTRAL.get(name)

    return call


if sys.version_info < (3, 12):
    guard_overrides()
