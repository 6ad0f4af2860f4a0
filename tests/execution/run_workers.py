"""Starts workers as ``torchrun`` does, but as forks of this process, so that torch is loaded once.

Reads commands from standard input, one JSON object a line: ``{"world": 2, "out": folder, "words": [...]}`` runs the
command line in each worker; ``{"call": name, ...}`` calls a function of this file. ``"trap": [rank, name, ...]`` breaks
something in one worker. Output goes to ``<out>/<rank>.txt``. Answers with a line ``started PID PID`` and, when all are
gone, ``ended STATUS STATUS``.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path

import torch

import crots.cli.main
import crots.execution.group
import crots.stages.project_stages  # loaded before the first fork, since it takes seconds
from crots.errors import InputError, StageError, Stopped
from crots.execution.control import Control
from crots.execution.launch import process_group
from crots.execution.workers import by_first
from crots.training import loop
from crots.training.learner import Learner
from tests.stages import tiny_world as world
from tests.stages.many_steps import CASES, take_steps


def fail_at(step):
    """Fails at a step as a full disk would."""
    original = Learner.exchange
    left = [step]

    def exchange(self):
        left[0] -= 1
        if not left[0]:
            raise StageError("the disk of this worker is full")
        original(self)

    Learner.exchange = exchange


def interrupt_at(step):
    """Is told to stop, as by Ctrl-C, at a step; those that are only timed do not count."""
    original = loop.seed_step
    left = [step]

    def seed_step(*words):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGINT)
        original(*words)

    loop.seed_step = seed_step


def note_writes(path):
    """Lists what this worker moves to its place or saves."""
    original = Path.replace

    def replace(self, target):
        with Path(path).open("a") as file:
            file.write(f"{target}\n")
        return original(self, target)

    Path.replace = replace


TRAPS = {"fail_at": fail_at, "interrupt_at": interrupt_at, "note_writes": note_writes}


def talk():
    """Says everything that workers can say to each other."""
    with process_group("cpu") as workers:
        rank, control, began = workers.rank, Control(), time.monotonic()
        if workers.first:
            control.pause()
            threading.Timer(0.4, control.resume).start()
        workers.check(control)
        assert time.monotonic() - began > 0.3, "the others wait for one that is paused"
        assert workers.gathered(rank * 2) == [0, 2] and workers.any(rank == 1) and not workers.any(False)
        assert workers.from_first(lambda: f"said by {rank}") == "said by 0"
        assert workers.together(lambda: rank) == rank
        assert list(by_first(lambda: iter((1, 2)))) == ([1, 2] if workers.first else [])
        images = torch.full((2, 3, 4, 4), rank, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
        joined = workers.joined(images)
        assert joined[:, 0, 0, 0].tolist() == [0, 0, 1, 1]
        assert joined.is_contiguous(memory_format=torch.channels_last)
        norm = torch.nn.BatchNorm1d(2)
        norm.running_mean.fill_(rank)
        workers.share_statistics(norm.eval())
        assert norm.running_mean.tolist() == [rank, rank], "frozen statistics stay"
        workers.share_statistics(norm.train())
        assert norm.running_mean.tolist() == [0.5, 0.5] and norm.running_var.tolist() == [1.0, 1.0]
        norm.running_mean.fill_(rank + 5)
        workers.align(norm)
        assert norm.running_mean.tolist() == [5.0, 5.0]
        for say, who, expected in (
            (workers.from_first, 0, "wrong"),
            (workers.together, 1, "worker 1: wrong"),
            (lambda make: list(by_first(lambda: iter([make()]))), 0, "wrong"),
        ):
            try:
                say(partial(refuse, rank == who))
            except InputError as error:
                assert (str(error), error.field) == (expected, "some.field")
            else:
                raise AssertionError("a failure is everyone's")
        if rank == 1:
            control.stop()
        try:
            workers.check(control)
        except Stopped:
            return 0
    return 1


def refuse(wrong):
    if wrong:
        raise InputError("wrong", field="some.field")


def steps(folder, out, names):
    """Takes steps of learners with many options; the first worker writes the figures."""
    with process_group("cpu") as workers:
        found = {name: take_steps(Path(folder), **CASES[name]) for name in names}
        told = workers.gathered({name: weights for name, (_, weights) in found.items()})
        assert all(torch.equal(told[0][name], other[name]) for other in told for name in other), "weights drift apart"
        if workers.first:
            torch.save(found, out)
    return 0


def act(command, rank):
    torch.set_num_threads(1)
    # No launcher ends the others when the first has spoken.
    crots.cli.main._FIRST_SPEAKS = 0.3
    trap = command.get("trap")
    if trap and trap[0] == rank:
        TRAPS[trap[1]](*trap[2:])
    if "call" in command:
        return globals()[command["call"]](*command["args"])
    return crots.cli.main.main(command["words"])


def start(command, rank, port):
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.alarm(100)
        count = str(command["world"])
        if command["world"] > 1:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        out = os.open(Path(command["out"]) / f"{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        status = act(command, rank)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main():
    world.warm_up()
    for line in sys.stdin:
        command = json.loads(line)
        port = free_port()
        children = [start(command, rank, port) for rank in range(command["world"])]
        print("started", *children, flush=True)
        print("ended", *(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)


if __name__ == "__main__":
    main()
