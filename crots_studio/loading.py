"""Loads torch's machine code before torch is imported, so that the window answers meanwhile.

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

# It knows nothing of Python, so it may be loaded without Python's lock.
_LIBRARY = "libtorch_cpu.so"
_lock = threading.Lock()


def preload_torch() -> bool:
    """Loads the library once; to be called on a thread beside the window's, before torch is imported there.

    Returns:
        Whether it is loaded; False where the system works in another way, which does no harm.
    """
    if not sys.platform.startswith("linux"):
        return False
    with _lock:
        if "torch" in sys.modules:
            return True
        spec = importlib.util.find_spec("torch")
        if spec is None or spec.origin is None:
            return False
        return _open(Path(spec.origin).parent / "lib" / _LIBRARY)


def _open(path: Path) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        opener = ctypes.CDLL(None).dlopen
        opener.restype, opener.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
        return path.is_file() and bool(opener(os.fsencode(path), os.RTLD_LAZY))
    return False
