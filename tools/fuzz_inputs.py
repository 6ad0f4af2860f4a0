"""Damages files of every kind and gives them to the commands that read them: ``python tools/fuzz_inputs.py``.

Each input is a sound file with a few changes, drawn from a seed, and the command line runs on it inside a worker
process. Wanted is one line for whatever cannot be read. It falls through where

- it ends with a bug in CROTS or any other exception, or the process dies;
- it works for over 20 s, or waits for over 100 (hang);
- the process ever holds over 2 GB (memory).

The table counts by kind; the exit code is 1 where anything fell through. With ``--keep DIR`` the files that did lie
there, each beside a text with its command line and its output.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import random
import shlex
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

SECONDS = 20.0
MEMORY = 2 * 10**9
# What a process may reserve beyond what it has at its start, so that one fault does not take the whole machine.
# How much longer, by the clock, a process may take that waits, for its turn or for ever.
_BUSY = 5
# The seed of an input that is left as it is.
SOUND = -1
_HEADROOM = 6 * 10**9
_FAULT = "a bug in CROTS"
_COLUMNS = ("inputs", "refused", "accepted", "traceback", "crash", "hang", "memory")
FELL = _COLUMNS[3:]


@dataclass(frozen=True)
class Task:
    """One input: the place of its kind in the list, and its seed."""

    kind: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """The outcome of one input: one of the columns, and the output."""

    verdict: str
    said: str = ""
    seconds: float = 0.0


@dataclass
class VerdictTable:
    """Counts by kind."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, kind: str, verdict: str) -> None:
        """Counts one input."""
        self.counts.setdefault(kind, Counter()).update(("inputs", verdict))

    def total(self) -> Counter[str]:
        """Returns the sums."""
        return sum(self.counts.values(), Counter())

    def lines(self) -> Iterator[str]:
        """Yields the table as text."""
        yield f"{'kind':<26}" + "".join(f"{name:>11}" for name in _COLUMNS)
        for kind, counts in [*self.counts.items(), ("all", self.total())]:
            yield f"{kind:<26}" + "".join(f"{counts[name]:>11}" for name in _COLUMNS)


# ---------------------------------------------------------------- in the worker


def serve(pipe: Connection, world: str) -> None:
    """Runs tasks until the pipe closes, in a copy of the world of its own."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    # Decoders of videos write there themselves.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    place = Path(tempfile.mkdtemp(prefix="fuzz-", dir=Path(world).parent))
    shutil.copytree(world, place / "world")
    tempfile.tempdir = str(place)
    _warm_up(place / "world", Path(world))
    _limit_memory()
    pipe.send("ready")
    with contextlib.suppress(EOFError):
        while task := pipe.recv():
            pipe.send(run(task, place / "world", Path(world)))


def _warm_up(world: Path, sound: Path) -> None:
    """Loads what the commands load at their first call, which counts for no input."""
    from fuzz_kinds import KINDS

    first = {kind.words[0]: index for index, kind in enumerate(KINDS) if (sound / kind.file).is_file()}
    for index in first.values():
        run(Task(index, SOUND), world, sound)


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        reserved = psutil.Process().memory_info().vms + _HEADROOM
        resource.setrlimit(resource.RLIMIT_AS, (reserved, reserved))


def damaged(task: Task, sound: Path) -> bytes:
    """Returns the content of an input; the same for the same task."""
    from fuzz_kinds import KINDS

    rng = random.Random(task.seed)
    kind = KINDS[task.kind]
    content = (sound / kind.file).read_bytes()
    if task.seed == SOUND:
        return content
    try:
        return kind.mutate(content, rng)
    except (ValueError, TypeError, IndexError, AttributeError, KeyError):  # the format has no place for such a value
        from fuzz_mutations import in_bytes

        return in_bytes(content, rng)


def run(task: Task, world: Path, sound: Path) -> Outcome:
    """Puts a damaged file into the world, runs its command, and makes the world whole again."""
    from fuzz_kinds import KINDS

    kind = KINDS[task.kind]
    file = world / kind.file
    file.write_bytes(damaged(task, sound))
    words = [word.format(file=file, world=world) for word in kind.words]
    began = time.monotonic()
    _forget_peak()
    verdict, said = judge(words)
    seconds = time.monotonic() - began
    if verdict in ("refused", "accepted") and _peak() > MEMORY:
        verdict, said = "memory", f"{_peak() / 1e9:.1f} GB\n{said}"
    _restore(kind.file, world, sound, whole=kind.writes)
    return Outcome(verdict, said, seconds)


def judge(words: list[str]) -> tuple[str, str]:
    """Runs a command; returns how it took its input, and what it wrote."""
    from crots.cli.main import main

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            code = main([*words, "--debug"])
    except BaseException:
        return "traceback", f"{said.getvalue()}\n{traceback.format_exc()}"
    text = said.getvalue()
    # What was caught in a stage is told by an event, and a warning of Python's is no line of ours.
    if _FAULT in text or "Traceback" in text:
        return "traceback", text
    return ("accepted" if code == 0 else "refused"), text


def _restore(file: str, world: Path, sound: Path, *, whole: bool) -> None:
    shutil.rmtree(world / "out", ignore_errors=True)
    (world / "out").mkdir()
    if whole:
        project = Path(file).parts[0]
        shutil.rmtree(world / project, ignore_errors=True)
        shutil.copytree(sound / project, world / project)
    else:
        shutil.copy2(sound / file, world / file)


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # only Linux has it
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Returns the most memory that this process held since `_forget_peak`; not on Linux, what it holds now."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)


# ---------------------------------------------------------------- in the parent


class Worker:
    """A process that runs tasks, and is replaced when it dies or hangs."""

    def __init__(self, world: Path) -> None:
        self._world = world
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, str(self._world)), daemon=True)
        self._process.start()
        other.close()
        self._pipe.recv()

    def ask(self, task: Task) -> Outcome:
        """Runs one task."""
        self._pipe.send(task)
        try:
            if self._answers():
                return self._pipe.recv()  # type: ignore[no-any-return]
            verdict = Outcome("hang", f"over {SECONDS:.0f} s")
        except EOFError:
            self._process.join()
            verdict = Outcome("crash", f"the process died with {self._process.exitcode}")
        self.stop()
        self._start()
        return verdict

    def _answers(self) -> bool:
        """Waits until it has worked for `SECONDS`; a machine that is busy with other things gets more by the clock."""
        worked, began = self._worked(), time.monotonic()
        while time.monotonic() - began < SECONDS * _BUSY:
            if self._pipe.poll(1.0):
                return True
            if self._worked() - worked > SECONDS:
                return False
        return False

    def _worked(self) -> float:
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:  # it died, which the pipe tells
            return 0.0
        return float(times.user + times.system)

    def stop(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()


def tasks(count: int, seed: int, names: list[str]) -> list[Task]:
    """Returns the inputs of a run: each kind by its share, at least once, in a drawn order."""
    from fuzz_kinds import KINDS

    chosen = [index for index, kind in enumerate(KINDS) if not names or kind.name in names]
    if not chosen:
        raise SystemExit(f"no such kind; there are {', '.join(kind.name for kind in KINDS)}")
    whole = sum(KINDS[index].share for index in chosen)
    drawn = [index for index in chosen for _ in range(max(1, count * KINDS[index].share // whole))]
    drawn += chosen * (max(0, count - len(drawn)) // len(chosen) + 1)
    rng = random.Random(seed)
    made = [Task(index, rng.getrandbits(48)) for index in drawn[:count]]
    rng.shuffle(made)
    return made


def keep(folder: Path, task: Task, outcome: Outcome, world: Path) -> None:
    """Writes an input that fell through, and a text beside it."""
    from fuzz_kinds import KINDS

    kind = KINDS[task.kind]
    path = folder / f"{outcome.verdict}-{kind.name.replace(' ', '-')}-{task.seed}{Path(kind.file).suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(damaged(task, world))
    words = shlex.join(word.format(file=path, world="WORLD") for word in kind.words)
    path.with_name(path.name + ".txt").write_text(
        f"crots {words}\nin place of WORLD/{kind.file}\n{outcome.seconds:.1f} s\n{outcome.said}\n", errors="replace"
    )


def fuzz(made: list[Task], world: Path, workers: int, kept: Path | None) -> VerdictTable:
    """Runs all tasks and counts."""
    from fuzz_kinds import KINDS

    table, lock, pending = VerdictTable(), threading.Lock(), iter(made)

    def work() -> None:
        worker = Worker(world)
        while True:
            with lock:
                task = next(pending, None)
            if task is None:
                return worker.stop()
            outcome = worker.ask(task)
            with lock:
                table.add(KINDS[task.kind].name, outcome.verdict)
                if outcome.verdict in FELL or (task.seed == SOUND and outcome.verdict != "accepted"):
                    last = (outcome.said.strip().splitlines() or [""])[-1]
                    print(f"{outcome.verdict}: {KINDS[task.kind].name}, seed {task.seed}: {last[:200]}", flush=True)
                    if kept:
                        keep(kept, task, outcome, world)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return table


def main() -> int:
    """Runs the fuzz and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=10_000, metavar="N", help="damaged files to try [default 10000]")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all draws [default 0]")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes at once [default 2]")
    parser.add_argument("--kinds", default="", metavar="A,B", help="only these kinds of files")
    parser.add_argument("--sound", action="store_true", help="try the files undamaged, once each; all must be accepted")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="gets the files that fell through")
    args = parser.parse_args()
    names = [name.strip() for name in args.kinds.split(",") if name.strip()]
    with tempfile.TemporaryDirectory(prefix="fuzz-inputs-", ignore_cleanup_errors=True) as folder:
        from fuzz_kinds import KINDS, make_world

        made = tasks(args.inputs, args.seed, names)
        if args.sound:
            made = [Task(index, SOUND) for index in sorted({task.kind for task in made}) if KINDS[index].sound]
        world = Path(folder) / "sound"
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            make_world(world, [KINDS[index] for index in sorted({task.kind for task in made})])
        began = time.monotonic()
        table = fuzz(made, world, args.workers, args.keep)
        took = time.monotonic() - began
    print("\n".join(table.lines()))
    total = table.total()
    print(f"{total['inputs']} inputs in {took:.0f} s, {total['inputs'] / max(took, 0.001):.1f} a second")
    return 1 if any(total[verdict] for verdict in (*FELL, *(["refused"] if args.sound else []))) else 0


if __name__ == "__main__":
    sys.exit(main())
