"""Silences known internal warnings of torch, and the telemetry of libraries."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

_KNOWN_OF_JIT = (
    # Newer versions deprecate TorchScript, but users still have and need such files.
    (r".*`?torch\.jit\.\w+`? is deprecated", FutureWarning),
    (r".*`?torch\.jit\.\w+`? is (deprecated|not supported)", DeprecationWarning),
)

# torch 2.10 builds tensors on the bytes of the file, which it only reads.
_KNOWN_OF_EXPORT = ((r"The given buffer is not writable", UserWarning),)


@contextlib.contextmanager
def torch_jit() -> Iterator[None]:
    """Silences the deprecation of TorchScript inside the block."""
    with _without(_KNOWN_OF_JIT):
        yield


@contextlib.contextmanager
def torch_export() -> Iterator[None]:
    """Silences the warnings about read-only buffers while an exported program is read inside the block."""
    with _without(_KNOWN_OF_EXPORT):
        yield


# Loggers of torch's exporter, and from which level on they are heard: what fails is raised as an error.
_EXPORTERS = {"torch.onnx": logging.ERROR, "torch.export": logging.CRITICAL}


@contextlib.contextmanager
def onnx_export() -> Iterator[None]:
    """Silences what torch logs of its own steps while it writes an ONNX file inside the block."""
    levels = {name: logging.getLogger(name).level for name in _EXPORTERS}
    for name, level in _EXPORTERS.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _without(known: Iterable[tuple[str, type[Warning]]]) -> Iterator[None]:
    with warnings.catch_warnings():
        for message, category in known:
            warnings.filterwarnings("ignore", message=message, category=category)
        yield


def onnx_runtime() -> Any:
    """Returns the module `onnxruntime`, which on Windows would report its use."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime
