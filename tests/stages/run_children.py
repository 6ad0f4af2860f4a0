"""Runs projects in processes that can be killed: torch is loaded once, each run is a fork of this one.

Reads commands from standard input, one JSON object a line: ``{"project": folder, "die": null}``, where ``die`` may be
``["replace", pattern, n, "before" or "after"]`` (kill yourself when the n-th file whose name fits is moved to its
place) or ``["write", pattern, n]`` (kill yourself when half of the n-th such file is written). Answers with a line
``started PID`` and, when that process is gone, ``ended STATUS``.
"""

import fnmatch
import json
import os
import signal
import sys
import traceback
from pathlib import Path

import torch

import crots.stages.project_stages  # noqa: F401 - loaded before the first fork, since it takes seconds
from crots.project import Project
from crots.runner import run_project
from tests.stages import tiny_world as world


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def trap_replace(pattern, number, when):
    """Dies at the n-th move of a finished file to its place."""
    original, left = Path.replace, [number]

    def replace(self, target):
        fits = fnmatch.fnmatch(str(target), pattern)
        left[0] -= fits
        if fits and not left[0] and when == "before":
            die()
        moved = original(self, target)
        if fits and not left[0]:
            die()
        return moved

    Path.replace = replace


def trap_write(pattern, number):
    """Dies with half of a file written, before it is moved to its place; checkpoints are written by ``torch.save``."""
    original, left = torch.save, [number]

    def save(state, kept):
        original(state, kept)
        # What a checkpoint is given to write to keeps the file in its hands.
        kept._file.flush()
        path = Path(kept._file.name)
        left[0] -= fnmatch.fnmatch(str(path), pattern)
        if not left[0]:
            os.truncate(path, path.stat().st_size // 2)
            die()

    torch.save = save


def run(folder, trap):
    torch.set_num_threads(1)
    if trap:
        {"replace": trap_replace, "write": trap_write}[trap[0]](*trap[1:])
    for event in run_project(world.trusted(Project.open(Path(folder)))):
        if getattr(event, "outcome", "completed") != "completed":
            raise RuntimeError(event.message)


def main():
    world.warm_up()
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if not child:
            status = 1
            try:
                run(command["project"], command["die"])
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        print("started", child, flush=True)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
