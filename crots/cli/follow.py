"""Runs an event stream to its end: shows it, writes it for programs, and lets Ctrl-C stop it gently."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import IO, Any

from crots.cli.board import Board, checked_writer
from crots.cli.draw import Screen, open_screen
from crots.cli.outputs import event_file, inputs_of
from crots.cli.terminal import say_json
from crots.errors import InputError, Stopped
from crots.events import ArtifactWritten, Evaluated, Event, Note, StageFinished, to_json
from crots.execution.control import STOP_FILE, Control
from crots.execution.workers import is_first
from crots.inputs import refuse_inputs

Events = Callable[[Control], Generator[Event, None, None]]
_LOOK_SECONDS = 0.3


class Record:
    """What ``--json`` prints: how the stages ended, what they wrote, the scores."""

    def __init__(self, command: str) -> None:
        self._values: dict[str, Any] = {"command": command, "outcome": "completed", "exit_code": 0, "message": ""}
        self._values |= {"stages": [], "artifacts": [], "scores": [], "notes": []}
        self.detail = ""

    def add(self, event: Event) -> None:
        """Records one event."""
        if isinstance(event, StageFinished):
            row = {"stage": event.stage, "outcome": event.outcome, "seconds": round(event.seconds, 3)}
            self._values["stages"].append(row | ({"message": event.message} if event.message else {}))
            if event.outcome != "completed":
                self.end(event.outcome, event.exit_code or 1, event.message)
                self.detail = event.detail
        elif isinstance(event, ArtifactWritten):
            self._values["artifacts"].append({"stage": event.stage, "kind": event.kind, "path": event.path})
        elif isinstance(event, Note):
            self._values["notes"].append({"stage": event.stage, "level": event.level, "text": event.line})
        elif isinstance(event, Evaluated) and event.step == 0:
            self._values["scores"].append({
                "subject": event.subject, "miou": event.miou, "per_class_iou": event.per_class_iou,
                "images": event.images, "oracle": event.oracle,
            })  # fmt: skip

    def end(self, outcome: str, code: int, message: str) -> None:
        """Summarises how the command ended."""
        self._values |= {"outcome": outcome, "exit_code": code, "message": message}

    @property
    def exit_code(self) -> int:
        """The exit code."""
        return int(self._values["exit_code"])

    @property
    def message(self) -> str:
        """Why it did not complete."""
        return str(self._values["message"])

    def to_json(self, result: Mapping[str, Any] | None = None) -> str:
        """Returns one line of JSON, with ``result`` under that name."""
        return json.dumps(self._values | ({"result": result} if result else {}), ensure_ascii=False)


def follow_events(
    events: Events,
    args: argparse.Namespace,
    *,
    command: str,
    result: Callable[[], Mapping[str, Any] | None] | None = None,
) -> int:
    """Draws a stream of events until it ends; of several workers, the first one draws.

    When the reader of standard output goes, as ``| head`` does, the run stops as by Ctrl-C: it is not left to work
    unseen, and what it did is kept.

    Args:
        events: makes the stream; given the control that Ctrl-C uses.
        args: of the command, with those of `crots.cli.flags.add_run_flags`.
        command: its name.
        result: what ``--json`` gives beyond the events, asked for at the end.

    Returns:
        The exit code.

    Raises:
        InputError: the run could not begin.
        BrokenPipeError: the reader of standard output has gone, and there is nothing else to tell.
    """
    as_json = args.json is True
    if as_json and args.events == "-":
        raise InputError("--json and --events - both write to standard output; give --events a file")
    if board := getattr(args, "tensorboard", None):
        # Before anything is written or replaced, such as the events of an earlier run.
        checked_writer(board)
    control, record = Control(), Record(command)
    to_stdout = not as_json and args.events != "-" and args.json != "-"
    shown = is_first()
    unread = False
    screen = open_screen(sys.stdout if to_stdout else sys.stderr, quiet=args.quiet or not shown)
    try:
        with (
            gentle_interrupt(control, screen),
            stop_file(control),
            event_lines(args if shown else None) as lines,
            open_board(args if shown else None) as curves,
            contextlib.closing(events(control)) as stream,
        ):
            for event in stream:
                record.add(event)
                if curves:
                    curves.show(event)
                try:
                    if lines and not (unread and lines is sys.stdout):
                        say_json(to_json(event), lines)
                    if shown and not unread:
                        screen.show(event)
                except BrokenPipeError:
                    unread = True
                    control.stop()
    finally:
        with contextlib.suppress(BrokenPipeError) if unread else contextlib.nullcontext():
            screen.close()
    if unread and record.exit_code in (0, Stopped.exit_code):
        raise BrokenPipeError
    if as_json and shown:
        say_json(record.to_json(result() if result else None))
    if record.exit_code:
        _complain(record, debug=args.debug)
    return record.exit_code


def _complain(record: Record, *, debug: bool) -> None:
    from crots.cli.main import complain, keep_traceback

    message = record.message
    if record.detail:
        message = keep_traceback(message, record.detail, debug=debug)
    complain(message, record.exit_code)


@contextlib.contextmanager
def event_lines(args: argparse.Namespace | None) -> Iterator[IO[str] | None]:
    """Opens where ``--events`` writes; nowhere without arguments.

    Raises:
        InputError: something else is there.
        StageError: the file cannot be written.
    """
    if args is None or args.events is None:
        yield None
    elif args.events == "-":
        yield sys.stdout
    else:
        with event_file(Path(args.events), args) as file:
            yield file


@contextlib.contextmanager
def open_board(args: argparse.Namespace | None) -> Iterator[Board | None]:
    """Opens the folder of ``--tensorboard``; none without arguments.

    Raises:
        InputError: TensorBoard is not installed, or a file is there.
        StageError: the folder cannot be written.
    """
    folder: Path | None = getattr(args, "tensorboard", None)
    if args is None or folder is None:
        yield None
        return
    refuse_inputs([folder], inputs_of(args), around=False)
    with contextlib.closing(Board(folder)) as curves:
        yield curves


@contextlib.contextmanager
def gentle_interrupt(control: Control, screen: Screen) -> Iterator[None]:
    """Ctrl-C asks the run to stop after its step; a second one stops at once, a third kills."""

    def interrupted(number: int, frame: FrameType | None) -> None:
        if control.stopping:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise KeyboardInterrupt
        control.stop()
        # The signal may have come in the middle of a write, and a stream refuses a second one then.
        with contextlib.suppress(RuntimeError):
            screen.say("stopping after this step, the work so far is kept; Ctrl-C again stops at once")

    try:
        before = signal.signal(signal.SIGINT, interrupted)
    except ValueError:  # not in the main thread, where no signal arrives anyway
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def stop_file(control: Control) -> Iterator[None]:
    """Stops the run after its step once the file of `STOP_FILE` is there."""
    name = os.environ.get(STOP_FILE)
    if not name:
        yield
        return
    path, ended = Path(name), threading.Event()

    def look() -> None:
        while not path.exists():
            if ended.wait(_LOOK_SECONDS):
                return
        control.stop()

    threading.Thread(target=look, name="crots-stop-file", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
