"""Draws an event stream for people: bars on a terminal, plain lines elsewhere. A screen never changes a run."""

from __future__ import annotations

from typing import IO, Any, Protocol

from crots.cli.tables import Table, duration, percent, score_table
from crots.cli.terminal import presentable, say, say_lines
from crots.events import (
    ArtifactWritten,
    Evaluated,
    Event,
    Metrics,
    Note,
    Progress,
    Scored,
    StageFinished,
    StageStarted,
)
from crots.pace import Pace
from crots.text import plural, printable

_SECONDS_BETWEEN_LINES = 10.0


class Screen(Protocol):
    """Shows events as they come."""

    def show(self, event: Event) -> None:
        """Shows one event."""
        ...

    def say(self, text: str) -> None:
        """Shows a line that is no event."""
        ...

    def close(self) -> None:
        """Leaves the terminal as it was."""
        ...


def open_screen(stream: IO[str], *, quiet: bool = False) -> Screen:
    """Returns the screen that suits a stream."""
    if quiet:
        return QuietScreen(stream)
    return RichScreen(stream) if stream.isatty() else PlainScreen(stream)


def is_result(event: Event) -> bool:
    """Whether an event is a final score for the table at the end, not a validation during training."""
    return isinstance(event, Evaluated) and event.step == 0


class PlainScreen:
    """Lines of text, at most one of progress every ten seconds; for logs and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._pace = Pace()
        self._shown = 0.0
        self._figures = ""
        self._scores: list[Evaluated] = []

    def say(self, text: str) -> None:
        """Writes a line."""
        say(text, self._stream)

    def close(self) -> None:
        """Does nothing: there is nothing to clean up."""

    def show(self, event: Event) -> None:
        """Writes the lines of one event, if it has any."""
        self._pace.add(event)
        if isinstance(event, StageStarted):
            self._start(event)
        elif isinstance(event, Metrics):
            self._figures = figures(event.values)
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Evaluated) and is_result(event):
            self._scores.append(event)
        elif isinstance(event, StageFinished):
            self._finish(event)
        elif line := describe(event):
            self.say(f"[{event.stage}] {line}")

    def _start(self, event: StageStarted) -> None:
        self._figures, self._shown = "", event.time
        self.say(f"[{event.stage}] {opening(event)}")

    def _progress(self, event: Progress) -> None:
        if event.time - self._shown < _SECONDS_BETWEEN_LINES:
            return
        self._shown = event.time
        parts = f"{event.done}/{event.total} {self._pace.unit}", self._pace.speed, time_left(self._pace), self._figures
        self.say(f"[{event.stage}] " + ", ".join(filter(None, parts)))

    def _finish(self, event: StageFinished) -> None:
        if self._scores:
            say_lines(score_table(self._scores).plain(), self._stream)
            self._scores = []
        self.say(f"[{event.stage}] {ending(event)}" + (f"; {self._figures}" if self._figures else ""))


class QuietScreen:
    """Warnings only."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def say(self, text: str) -> None:
        """Says nothing."""

    def close(self) -> None:
        """Does nothing: there is nothing to clean up."""

    def show(self, event: Event) -> None:
        """Shows warnings."""
        if isinstance(event, Note) and event.level == "warning":
            say(f"[{event.stage}] {describe(event)}", self._stream)


class RichScreen:
    """Progress bars with speed, remaining time and latest figures; finished stages stay as lines above."""

    def __init__(self, stream: IO[str]) -> None:
        # Imported here: a pipe or --json pays nothing for it.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(file=stream, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self._bars = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}", markup=False),
            TextColumn("{task.fields[pace]}", markup=False),
            TextColumn("{task.fields[figures]}", style="dim", markup=False),
            console=self._console,
            transient=True,
        )
        self._task: Any = None
        self._pace = Pace()
        self._scores: list[Evaluated] = []

    def say(self, text: str) -> None:
        """Writes a line above the bars."""
        self._print(text)

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(presentable(text), style=style or None)

    def close(self) -> None:
        """Removes the bars and shows the cursor again."""
        self._bars.stop()

    def show(self, event: Event) -> None:
        """Draws one event."""
        self._pace.add(event)
        if isinstance(event, StageStarted):
            self._start(event)
        elif isinstance(event, Progress):
            pace = ", ".join(filter(None, (self._pace.speed, time_left(self._pace))))
            self._update(completed=event.done, total=event.total, pace=pace)
        elif isinstance(event, Metrics):
            self._update(figures=printable(figures(event.values)))
        elif isinstance(event, Evaluated) and is_result(event):
            self._scores.append(event)
        elif isinstance(event, StageFinished):
            self._finish(event)
        elif line := describe(event):
            style = "yellow" if isinstance(event, Note) and event.level == "warning" else "dim"
            self._print(f"  {line}", style)

    def _start(self, event: StageStarted) -> None:
        self._bars.start()
        self._print(f"{event.stage}: {opening(event)}", "bold")
        self._task = self._bars.add_task(
            printable(event.stage), total=event.total, completed=event.resumed_at, unit=printable(event.unit),
            pace="", figures="",
        )  # fmt: skip

    def _update(self, **fields: Any) -> None:
        if self._task is not None:
            self._bars.update(self._task, **fields)

    def _finish(self, event: StageFinished) -> None:
        figures_now = ""
        if self._task is not None:
            figures_now = str(self._bars.tasks[-1].fields["figures"])
            self._bars.remove_task(self._task)
            self._task = None
        self._bars.stop()
        if self._scores:
            self._console.print(score_table(self._scores).rich())
            self._scores = []
        style = {"completed": "green", "cancelled": "yellow"}.get(event.outcome, "red")
        tail = f"; {figures_now}" if figures_now else ""
        self._print(f"{event.stage}: {ending(event)}{tail}", style)


def time_left(pace: Pace) -> str:
    """Says how long the stage will still take; empty while that is not known."""
    left = pace.seconds_left
    return "" if left is None else f"{duration(left)} left"


def opening(event: StageStarted) -> str:
    """Describes the start of a stage."""
    text = plural(event.total, event.unit.removesuffix("s"))
    text += "" if event.unit == "files" else f" on {event.device}"
    return text + (f", continuing from {event.resumed_at}" if event.resumed_at else "")


def ending(event: StageFinished) -> str:
    """Describes the end of a stage."""
    if event.outcome == "completed":
        return f"done in {duration(event.seconds)}"
    # The error itself is the last line of the program, on standard error.
    return f"{'stopped' if event.outcome == 'cancelled' else 'failed'} after {duration(event.seconds)}"


def figures(values: dict[str, float]) -> str:
    """Writes training figures shortly."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def describe(event: Event) -> str:
    """Describes an event in one line; '' for an event that is not shown."""
    if isinstance(event, Note):
        return ("warning: " if event.level == "warning" else "") + event.line
    if isinstance(event, ArtifactWritten):
        return f"{event.kind}: {event.path}"
    if isinstance(event, Evaluated):
        oracle = " (these labels choose the checkpoint: oracle)" if event.oracle else ""
        # During training the subject is the stage itself.
        what = f"validation at step {event.step}" if event.subject == event.stage else event.subject
        return f"{what}: mIoU {percent(event.miou)}{oracle}"
    if isinstance(event, Scored):
        return f"label-free scores at step {event.step}: {figures(event.values)}"
    return ""


def show_table(table: Table, stream: IO[str]) -> None:
    """Shows a table in the way that suits the stream."""
    if not stream.isatty():
        say_lines(table.plain(), stream)
        return
    from rich.console import Console

    Console(file=stream, highlight=False).print(table.rich())
