"""Why a model file cannot be read or run, in plain words: messages of libraries say it among much else."""

from __future__ import annotations

import codecs
import contextlib
import errno
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from crots.errors import CrotsError, InputError

_LONGEST = 300
# Bytes of a file that are looked at, and letters of a text that are shown.
_HEAD, _SHOWN = 64, 40
# What TFLite writes after the first four bytes.
_TFLITE = b"TFL3"
_KERAS = "a model of Keras or TensorFlow; export it as ONNX (tf2onnx)"
# Names inside the archives of programs that keep whole models in one.
_ARCHIVES = {
    "model.weights.h5": _KERAS,
    "metadata.json": _KERAS,
    "MAR-INF/MANIFEST.json": "an archive of TorchServe; unpack it, and choose the model file in it",
}
# Errors of the disk, which are not about a file's content.
_OF_THE_DISK = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)
# The prefix of onnxruntime's messages: a code, the file, and the place in its own sources.
_BEFORE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"|Load model from .*? failed:"
    r"|Exception during initialization: "
    r"|/\S+\.(?:cc|h):\d+ [^()]*?\(.*\)(?: const)? (?=\S)"
    r"|\w+\.cc:\d+ \w+ "
)
# How pickles begin, after the number of their form, and the number that torch writes before its own.
_PICKLE, _OF_TORCH = re.compile(rb"\x80[\2-\5]"), b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_ERROR = re.compile(r"\w*(?:Error|Exception): ")
# First bytes of files that are taken for models by mistake, and what they are.
_STRANGERS = {
    b"version https://git-lfs": "a Git LFS pointer; run `git lfs pull` in its repository",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"\xfd7zXZ": "an xz archive; unpack it",
    b"BZh": "a bzip2 archive; unpack it",
    b"\x28\xb5\x2f\xfd": "a zstd archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"\x89HDF": "an HDF5 file, as Keras writes it; export the model as ONNX",
    b"\x93NUMPY": "an array of NumPy, not a model; choose the model file",
    b"ftrt": "an engine of TensorRT, which runs on one kind of GPU only; give the ONNX file that it was built from",
    b"<!doc": "a web page; download the file again",
    b"<html": "a web page; download the file again",
    b"{": "text in JSON, not the weights themselves",
    b"<?xml": "an XML file, such as the first half of an OpenVINO model; give the ONNX file that it was made from",
    b"gguf": "a GGUF file, which holds rounded weights; use the original ones",
}


@contextlib.contextmanager
def parsed(path: Path, unreadable: Callable[[Path, BaseException], InputError]) -> Iterator[None]:
    """Turns whatever a library raises about the content of ``path`` into one `InputError`.

    Libraries raise any type at all for damaged files, and those in Rust one that is no ``Exception``.

    Args:
        path: the file that is parsed.
        unreadable: makes the error.

    Raises:
        InputError: the file cannot be parsed.
        MemoryError: there is not enough memory, which says nothing of the file.
    """
    try:
        yield
    except (CrotsError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if "allocate memory" in str(error):
            raise MemoryError(f"{path}: {error}") from error
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); copy it, or change its permissions"
            ) from error
        raise unreadable(path, error) from error


def reason_of(error: BaseException) -> str:
    """Returns what an error of a library says of its cause, in one line of limited length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # TorchScript quotes code and the calls that made it, and ends with the cause.
    text = lines[-1] if len(lines) > 1 and _ERROR.match(lines[-1]) else " ".join(lines)
    text = _BEFORE.sub("", text).strip(" .") or type(error).__name__
    return text if len(text) <= _LONGEST else text[:_LONGEST].rsplit(" ", 1)[0] + " ..."


def stranger(path: Path) -> str:
    """What kind of file was given instead of a model, by its first bytes, and what to do; empty if that is unknown."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        whole = file.read(_HEAD)
        if not whole:
            return "an empty file; copy or download it again"
        head = whole.lstrip().lower()
        for start, description in _STRANGERS.items():
            if head.startswith(start.lower()):
                return description
        if text := _text(whole):
            return f"text ({text!r}), not a model; choose or download another file"
        if _PICKLE.match(whole) and _OF_TORCH not in whole:
            return (
                "a pickle that PyTorch did not write, which can run code and is not read; save model.state_dict() with "
                "torch.save, or the weights as safetensors, where it was made"
            )
        if whole[4:8] == _TFLITE or path.name == "saved_model.pb":
            return _KERAS
        return _archived(path) if whole.startswith(b"PK") else _taped(path)
    return ""


def is_of_torch(path: Path) -> bool:
    """Whether a file is an archive that PyTorch wrote: weights, a program or an exported one."""
    with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:  # it may be damaged in any way
        return any(name.rpartition("/")[2] in ("data.pkl", "archive_format") for name in archive.namelist())
    return False


def _text(head: bytes) -> str:
    """The first line of a text file; empty for others."""
    try:
        # A character that is cut off at the end is ignored.
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < _HEAD)
    except UnicodeDecodeError:
        return ""
    plain = all(letter.isprintable() or letter.isspace() for letter in text)
    return (text.split("\n")[0].strip() or "blank")[:_SHOWN] if plain else ""


def _archived(path: Path) -> str:
    """What a zip archive is that PyTorch did not write; its own files are such archives too, with a pickle in them."""
    with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:  # it may be damaged in any way
        names = archive.namelist()
        if description := next((_ARCHIVES[name] for name in names if name in _ARCHIVES), ""):
            return description
        if names and all(name.endswith(".npy") for name in names):
            return "a file of arrays of NumPy, not a model; choose the model file"
        if names and not any(name.rpartition("/")[2] == "data.pkl" for name in names):
            more = f" and {len(names) - 1} more files" if len(names) > 1 else ""
            return f"a zip archive with {names[0][:80]}{more} in it; unpack it"
    return ""


def _taped(path: Path) -> str:
    """What a tar archive holds, but for those that the oldest versions of PyTorch wrote."""
    with contextlib.suppress(Exception), tarfile.open(path, "r:") as archive:  # it may be damaged in any way
        first = archive.next()
        if first is not None and first.name not in ("sys_info", "pickle", "tensors", "storages"):
            return f"a tar archive with {first.name[:80]} in it; unpack it"
    return ""
