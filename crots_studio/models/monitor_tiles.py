"""The tiles above the monitor's plots: score, remaining time and loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crots.text import gain, points
from crots_studio.models.history import History
from crots_studio.models.iou import Scores
from crots_studio.models.names import title
from crots_studio.models.run_state import RunState
from crots_studio.models.series import Curves, Figure
from crots_studio.models.words import duration

NOTHING = "–"  # noqa: RUF001 - a dash
# Shares of a curve of which the means are compared.
_PART = 0.2
_SAME = 0.02
# In standard errors of such a mean.
_NOISE = 2.0
# Fewer values are no trend: the last of three rises by chance every other time.
_TREND = 5


@dataclass(frozen=True)
class TileText:
    """A figure, a note, and its tone: a role of labels."""

    figure: str = NOTHING
    note: str = ""
    tone: str = "muted"


def miou_tile(scores: Scores, labelled: bool = False) -> TileText:
    """The score of the latest model and its change since the source.

    Args:
        scores: of all models so far.
        labelled: whether there are validation labels, so that a score will come.
    """
    known = [score for score in map(scores.latest, scores.subjects) if score is not None and score.miou is not None]
    if not known:
        return TileText(note="not scored yet" if labelled else "no validation labels")
    last, first = known[-1], known[0]
    assert last.miou is not None and first.miou is not None
    figure, name = f"{last.miou:.1%}", title(last.subject)
    if last is first:
        return TileText(figure, name)
    change = gain(last.miou, first.miou)
    tone = "good" if change > 0 else "bad" if change < 0 else "muted"
    shown = points(change).replace("-", "\u2212")
    return TileText(figure, f"{shown} vs {title(first.subject)} ({name})", tone)


def time_tile(run: RunState, history: History) -> TileText:
    """Remaining time of the running stage; without a run, the time that the stages took."""
    if run.running:
        left = run.seconds_left
        text = duration(left) if left is not None and not run.paused else "paused" if run.paused else NOTHING
        # The run bar has the room for what is done before the first stage.
        opening = not run.stage and not run.paused and not run.stopping
        return TileText(text, f"{run.text.partition(':')[0].removesuffix(' ...')} ..." if opening else run.text)
    ends = [stage.finished for stage in history.stages.values() if stage.finished is not None]
    if not ends:
        return TileText(note="nothing has run yet")
    return TileText(duration(sum(end.seconds for end in ends)), "all stages together")


def loss_tile(curves: Curves) -> TileText:
    """The loss of the latest stage that trains, and whether it falls."""
    for stage in reversed(curves.stages):
        figures = curves.figures([stage], "loss")
        wanted = Figure("loss", "loss") if Figure("loss", "loss") in figures else next(iter(figures), None)
        if wanted is None:
            continue
        values = curves.series(stage, wanted).values
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        if len(values) < _TREND:
            count = "one value" if len(values) == 1 else f"{len(values)} values"
            return TileText(f"{values[-1]:.3g}", f"{title(stage)}: {count} so far")
        part = max(1, round(len(values) * _PART))
        before, now = float(values[:part].mean()), float(values[-part:].mean())
        moved = now - before
        # A few noisy values rise or fall by chance.
        noise = _NOISE * float(values.std()) / math.sqrt(part)
        steady = abs(moved) <= max(_SAME * abs(before), noise)
        way = "steady" if steady else "falling" if moved < 0 else "rising"
        return TileText(f"{values[-1]:.3g}", f"{title(stage)}: {way}", "warning" if way == "rising" else "muted")
    return TileText(note="no values yet")
