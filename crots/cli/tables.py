"""Tables of text: made once, shown plainly or by rich."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crots.events import Evaluated
from crots.text import gain, points, printable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

NOTHING = "-"


@dataclass(frozen=True)
class Table:
    """A table of text; the first column is aligned left, and so are those in ``left``."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)
    # Rows from this one on are sums of those above.
    total_from: int | None = None

    def plain(self) -> str:
        """Returns the table as aligned lines."""
        headers, *rows = self._printable()
        widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
        lines = [self._line(headers, widths), "  ".join("-" * width for width in widths)]
        for number, row in enumerate(rows):
            if number == self.total_from:
                lines.append(lines[1])
            lines.append(self._line(row, widths))
        return "\n".join(lines)

    def _printable(self) -> list[tuple[str, ...]]:
        return [tuple(map(printable, row)) for row in (self.headers, *self.rows)]

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            word.ljust(width) if column in self.left else word.rjust(width)
            for column, (word, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    def rich(self) -> RichTable:
        """Returns the table for a terminal, gains green and losses red."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        headers, *rows = self._printable()
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for column, header in enumerate(headers):
            # As text: a word alone would be read as markup.
            table.add_column(Text(header), justify="left" if column in self.left else "right", no_wrap=column == 0)
        for number, row in enumerate(rows):
            if number == self.total_from:
                table.add_section()
            table.add_row(*(Text(word, style=_style(word)) for word in row))
        return table


def _style(word: str) -> str:
    if word == NOTHING:
        return ""
    return {"+": "green", "-": "red"}.get(word[:1], "")


def percent(value: float | None) -> str:
    """Formats a score of 0..1 in percent."""
    return NOTHING if value is None else f"{100 * value:.1f}"


def change(value: float | None, before: float | None) -> str:
    """Formats the change of a score in percentage points."""
    return NOTHING if value is None or before is None else points(gain(value, before))


def duration(seconds: float | None) -> str:
    """Formats a time: ``8 s``, ``3:21``, ``2:03:00``."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def score_table(scores: Sequence[Evaluated]) -> Table:
    """Returns per-class IoU in percent of one or more subjects, each but the first with its change.

    Args:
        scores: of one class set, at least one.
    """
    headers = ["class (IoU, %)"]
    for number, score in enumerate(scores):
        headers += [score.subject + (" (oracle)" if score.oracle else ""), *(["change"] if number else [])]
    rows = [_score_row(name, [score.per_class_iou.get(name) for score in scores]) for name in scores[0].per_class_iou]
    rows.append(_score_row("mIoU", [score.miou for score in scores]))
    return Table(tuple(headers), tuple(rows), total_from=len(rows) - 1)


def _score_row(name: str, values: Sequence[float | None]) -> tuple[str, ...]:
    cells = [name, percent(values[0])]
    for before, value in itertools.pairwise(values):
        cells += [percent(value), change(value, before)]
    return tuple(cells)
