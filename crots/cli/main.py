"""``crots``: finds the command, runs it, and turns every error into one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence

from crots import __version__, limits
from crots.cli.command import flags_by_option, make_parser, profile_in
from crots.cli.commands import GROUPS, load_command
from crots.cli.flags import taken
from crots.cli.terminal import OutputError, presentable, say, say_lines, use_flags
from crots.errors import CrotsError, InputError, Stopped
from crots.execution.workers import is_first, launched
from crots.files import machine_fault, out_of_memory
from crots.interpreter import keep_to_ourselves

# The exit code that a shell reports if the reader of a program's output has ended, as with `| head`: 128 + SIGPIPE.
UNREAD = 141
# Seconds.
_FIRST_SPEAKS = 3.0
ABOUT = "Adapts a semantic segmentation model to your own unlabelled images, without the data it was trained on."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments; None takes the process's.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong use, 130 stopped by the user, 141 its output is no longer read.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    keep_to_ourselves()
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # Names of files and classes may hold what the terminal cannot show.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code = dispatch(words)
        sys.stdout.flush()
        return code
    except CrotsError as error:
        return complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return complain("stopped", 130)
    except BrokenPipeError:
        # The reader of our output has gone; the interpreter must not try to flush into it when it exits.
        _write_no_more()
        return UNREAD
    except Exception as error:
        if out_of_memory(error):
            return complain("out of memory; close other programs, or use smaller images or a smaller batch", 1)
        if message := _refused_output(error) or machine_fault(error):
            _write_no_more()
            return complain(message, 1)
        # A bug in CROTS.
        return complain(own_fault(error, debug="--debug" in words), 1)


def _open_closed_streams() -> None:
    """Opens the standard streams that are closed: otherwise the next file opened would take the place of one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        with contextlib.suppress(OSError):
            while (opened := os.open(os.devnull, os.O_RDWR)) < number:
                pass
            if opened > number:
                os.close(opened)
        setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115, PTH123 - until we end


def _write_no_more() -> None:
    """Closes standard output: the interpreter must not try to flush into it when it exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refused_output(error: Exception) -> str:
    """Describes an error in writing standard output; empty for other errors."""
    if not isinstance(error, OutputError):
        return ""
    reason = machine_fault(error.reason) or error.reason.strerror or str(error.reason)
    return f"cannot write to standard output: {reason}"


def dispatch(words: list[str]) -> int:
    """Runs a command line.

    Raises:
        InputError: wrong use.
    """
    if words[:1] in (["--version"], ["-V"]):
        say(f"crots {__version__}")
        return 0
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if not words or words[0] in ("-h", "--help"):
        say_lines(overview(), sys.stdout if words else sys.stderr)
        return 0 if words else 2
    command = load_command(words[0])
    if launched() and not command.shared:
        raise InputError(
            f"crots {command.name} cannot be shared by several workers; run it without torchrun (shared are "
            "crots run and the training, labelling, mining and scoring stages)"
        )
    parser = make_parser(command, profile_in(words))
    try:
        args = parser.parse_strictly(words[1:])
    except SystemExit as done:  # --help
        return int(done.code or 0)
    use_flags(flags_by_option(parser))
    limits.use(taken(args, limits.SECTION))
    return command.run(args)


def overview() -> str:
    """Returns the help of ``crots`` itself."""
    lines = ["usage: crots COMMAND [options]", "", ABOUT]
    for title, commands in GROUPS.items():
        lines += ["", title]
        lines += [f"  {name:<16}{summary}" for name, summary in commands.items()]
    return "\n".join([*lines, "", "`crots COMMAND --help` explains a command; `crots demo` shows them all at work."])


def complain(message: str, code: int) -> int:
    """Writes one line to standard error and returns the code."""
    if not is_first():
        # If all workers fail alike, the launcher ends this one once rank 0 has reported the error.
        time.sleep(_FIRST_SPEAKS)
        if code == Stopped.exit_code:
            return code
        message = f"worker {os.environ['RANK']}: {message}"
    with contextlib.suppress(BrokenPipeError, OutputError):
        # Before the prefix, so that an option which leads the message is named by its flag.
        say(f"crots: {presentable(' '.join(message.split()))}", sys.stderr)
    return code


def own_fault(error: Exception, *, debug: bool) -> str:
    """Keeps the traceback of an unexpected error and says where."""
    detail = "".join(traceback.format_exception(error))
    return keep_traceback(f"unexpected {type(error).__name__}: {error}", detail, debug=debug)


def keep_traceback(message: str, detail: str, *, debug: bool) -> str:
    """Writes a traceback to a file, or with ``debug`` to standard error; returns the message with its place."""
    if debug:
        say_lines(detail, sys.stderr)
        return f"{message} (a bug in CROTS; please report it with the lines above)"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="crots-fault-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(detail)
    except OSError:  # a full disk, too
        return f"{message} (a bug in CROTS; run it again with --debug, and please report the lines it shows)"
    return f"{message} (a bug in CROTS; the traceback is in {file.name}, please report it)"


if __name__ == "__main__":
    # `crots/__main__.py` keeps foreign modules of the current folder out first, which is too late here.
    sys.exit(complain("found python -m crots.cli.main, expected python -m crots; run that instead", 2))
