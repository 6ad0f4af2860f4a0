"""Loads torch's machine code before torch is imported, so that the window stays responsive.

Python holds its lock while the system loads an extension module, half a second for torch's libraries. Loaded through
ctypes, which lets go of the lock during a call, they are there already when the import asks for them.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import sys
import threading
from pathlib import Path

# What torch loads of itself, by site-packages folder; the CUDA build alone has all of them. They do not use Python, so
# they may be loaded without its lock. cuBLAS would otherwise pick another system's lighter half.
_LIBRARIES = (
    "nvidia/*/lib/libcublasLt.so.*",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libtorch_cuda.so",
    "nvidia/*/lib/libnvrtc-builtins.so.*",
    "nvidia/*/lib/libcusolver.so.*",
)
_lock = threading.Lock()
_loaded: set[Path] = set()


def preload_torch() -> bool:
    """Loads the libraries once; to be called on a thread beside the window's, before torch is imported there.

    Returns:
        Whether they are loaded; False where the system works in another way, which does no harm.
    """
    if not sys.platform.startswith("linux"):
        return False
    with _lock:
        if "torch" in sys.modules:
            return True
        spec = importlib.util.find_spec("torch")
        if spec is None or spec.origin is None:
            return False
        site = Path(spec.origin).parents[1]
        _loaded.update(path for name in _LIBRARIES for path in site.glob(name) if path not in _loaded and _open(path))
        return bool(_loaded)


def _open(path: Path) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        opener = ctypes.CDLL(None).dlopen
        opener.restype, opener.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
        return path.is_file() and bool(opener(os.fsencode(path), os.RTLD_LAZY))
    return False
