"""Warnings of torch about itself that we know and that tell a user nothing."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

_KNOWN = (
    # Newer versions deprecate TorchScript, which users still have files of and ask for.
    (r".*`?torch\.jit\.\w+`? is deprecated", FutureWarning),
    (r".*`?torch\.jit\.\w+`? is (deprecated|not supported)", DeprecationWarning),
)


@contextlib.contextmanager
def torch_jit() -> Iterator[None]:
    """Silences the deprecation of TorchScript inside the block."""
    with warnings.catch_warnings():
        for message, category in _KNOWN:
            warnings.filterwarnings("ignore", message=message, category=category)
        yield
