"""Libraries that say too much: warnings of torch about itself that we know, and reports to their makers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

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


def onnx_runtime() -> Any:
    """Returns the module `onnxruntime`, which on Windows would report its use."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime
