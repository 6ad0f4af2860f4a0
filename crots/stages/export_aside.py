"""One export in a process of its own: exporters hold Python's lock for seconds, in which a window would freeze.

The same module is what that process runs. It ends by itself when the process that waits for it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch

from crots.arrays import Array
from crots.errors import CrotsError, InputError, StageError
from crots.execution.control import Control
from crots.files import explained, make_folder, move_file, out_of_memory, write_json
from crots.interpreter import child_environment, module_command
from crots.nets.export import ExportReport, export_as
from crots.nets.model import Model
from crots.nets.weights import load_model, save_safetensors
from crots.ownership import remove_tree
from crots.records import fits, read_json

# Formats that hold a whole program; the others are written quickly.
PROGRAMS = ("onnx", "torchscript")
_POLL = 0.1
_MODEL, _IMAGES, _JOB, _REPORT, _OUTPUT = "model.safetensors", "images.npz", "job.json", "report.json", "output.txt"


class _Job(TypedDict):
    name: str
    format: str
    device: str
    trust: bool
    threads: int


class _Report(TypedDict):
    max_difference: float
    agreement: float
    images: int
    notes: list[str]


class _Failure(TypedDict):
    kind: str
    message: str
    field: str | None


def export_in_child(
    model: Model,
    path: Path,
    format: str,
    *,
    sample_images: Sequence[Array],
    device: torch.device,
    trust: bool,
    control: Control,
) -> ExportReport:
    """Does what `export_as` does, in another process; a stop ends that at once.

    Args:
        model: stays as it is.
        path: the file to write.
        format: one of `PROGRAMS`.
        sample_images: on which file and network are compared.
        device: where the two are compared.
        trust: the model was built by a user's own factory, which the other process runs again.
        control: the user's stop.

    Raises:
        InputError: as `export_as`.
        StageError: likewise, or the process was killed.
        Stopped: by the user; no file is left.
    """
    make_folder(path.parent)
    # The name of an unfinished file: it is found where both processes were killed.
    folder = path.with_name(f".{secrets.token_hex(4)}.partial")
    try:
        with explained(path):
            folder.mkdir()
            save_safetensors(folder / _MODEL, model.net, model.card)
            np.savez(folder / _IMAGES, *sample_images)
            job = _Job(name=path.name, format=format, device=str(device), trust=trust, threads=torch.get_num_threads())
            write_json(folder / _JOB, job)
            code = _run(folder, control)
            report = _report_of(folder, path, format, code)
            move_file(folder / path.name, path)
        return report
    finally:
        with contextlib.suppress(CrotsError):
            remove_tree(folder)


def _run(folder: Path, control: Control) -> int:
    with (folder / _OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            module_command(__spec__.name, str(folder)), stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
            env=child_environment(),
            # Windows would open a console.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
    try:
        while process.poll() is None:
            if control.wait_for_stop(_POLL):
                control.check()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()
    return process.returncode


def _report_of(folder: Path, path: Path, format: str, code: int) -> ExportReport:
    found = read_json(folder / _REPORT) or {}
    if fits(found, _Report):
        return ExportReport(path, format, **{**found, "notes": tuple(found["notes"])})
    if not fits(found, _Failure):
        last = (folder / _OUTPUT).read_text(errors="replace").strip().splitlines()[-1:]
        cause = last[0] if last and code >= 0 else "it was killed"
        raise StageError(f"{path}: the process that writes it ended with code {code}: {cause}; no file was kept")
    message = found["message"].replace(str(folder / path.name), str(path))
    if found["kind"] == "MemoryError":
        raise MemoryError(message)
    kind = InputError if found["kind"] == "InputError" else StageError
    raise kind(message, field=found["field"])


# The other process.


def main(folder: Path) -> None:
    """Writes the file of a job and a report, or what it failed with, into the job's folder."""
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    job = json.loads((folder / _JOB).read_text(encoding="utf-8"))
    write_json(folder / _REPORT, _work(folder, job))


def _work(folder: Path, job: _Job) -> _Report | _Failure:
    torch.set_num_threads(job["threads"])
    try:
        model, _ = load_model(folder / _MODEL, trust=job["trust"])
        with np.load(folder / _IMAGES) as stored:
            images = [stored[name] for name in stored.files]
        path, device = folder / job["name"], torch.device(job["device"])
        report = export_as(model.eval(), path, job["format"], sample_images=images, device=device, trust=job["trust"])
    except CrotsError as error:
        return _Failure(kind=type(error).__name__, message=str(error), field=error.field)
    except Exception as error:
        if not out_of_memory(error):
            raise
        return _Failure(kind="MemoryError", message=str(error), field=None)
    return _Report(
        max_difference=report.max_difference,
        agreement=report.agreement,
        images=report.images,
        notes=list(report.notes),
    )


def _end_with_parent(folder: Path) -> None:
    """Its input ends when the parent process no longer waits."""
    # Not through sys.stdin, whose lock the interpreter needs when it ends.
    while os.read(0, 1024):
        pass
    with contextlib.suppress(CrotsError):
        remove_tree(folder)
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
