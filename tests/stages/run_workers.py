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
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import tiny_world as world
import torch
from many_steps import CASES, take_steps

import crots.cli.main
import crots.stages.distributed
import crots.stages.pipeline  # loaded before the first fork, since it takes seconds
from crots.errors import StageError
from crots.nets.model import check_batch, create_model
from crots.stages.training import Learner
from crots.stages.workers import session


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
    """Is told to stop, as by Ctrl-C, at a step."""
    original = Learner.exchange
    left = [step]

    def exchange(self):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGINT)
        original(self)

    Learner.exchange = exchange


def note_writes(path):
    """Lists what this worker moves to its place or saves."""
    original = Path.replace

    def replace(self, target):
        with Path(path).open("a") as file:
            file.write(f"{target}\n")
        return original(self, target)

    Path.replace = replace


TRAPS = {"fail_at": fail_at, "interrupt_at": interrupt_at, "note_writes": note_writes}


def steps(folder, out):
    """Takes steps of learners with many options; the first worker writes the figures."""
    with session("cpu") as workers:
        found = {name: take_steps(Path(folder), **options) for name, options in CASES.items()}
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


def warm_up():
    """Loads what the first dry run of a network loads, seconds of it, once for all runs."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = create_model("tiny_nets:plain", world.tiny_classes(Path(folder)), world.SIZE, trust=True)
        check_batch(model, 2, world.SIZE)


def main():
    warm_up()
    for line in sys.stdin:
        command = json.loads(line)
        port = free_port()
        children = [start(command, rank, port) for rank in range(command["world"])]
        print("started", *children, flush=True)
        print("ended", *(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)


if __name__ == "__main__":
    main()
