"""One chart of several runs: a figure over steps, or scores as bars; oracle runs are dashed or hatched."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QStackedWidget

from crots_studio.models.iou import ClassLook
from crots_studio.models.runs import PastRun, class_names, labels
from crots_studio.models.series import MIOU, Figure
from crots_studio.panels.compare.bar_plot import BarPlot, Bars
from crots_studio.widgets.plot_curve import PlotCurve
from crots_studio.widgets.plot_tools import EmptyState
from crots_studio.widgets.series_plot import SeriesPlot

_NO_SCORES = (
    "None of the ticked runs has a score.\n\nScores need validation images with labels; curves of training are in the "
    "list above."
)
SCORES, CLASSES = "mIoU of each model", "IoU of each class"
# What a chart can show: a figure over steps, or one of the two above.
What = Figure | str


class RunChart(QStackedWidget):
    """Shows curves or bars, depending on the figure."""

    def __init__(self, colour: Callable[[PastRun], str]) -> None:
        super().__init__()
        self._colour = colour
        self.curves, self.bars = SeriesPlot(MIOU), BarPlot(SCORES)
        for widget in (self.curves, self.bars, EmptyState(_NO_SCORES)):
            self.addWidget(widget)

    def show_runs(self, what: What, runs: Sequence[PastRun], look: ClassLook, points: int) -> None:
        """Draws some runs; noisy figures as the mean over ``points``."""
        names = [name + (" (oracle)" if run.oracle else "") for name, run in zip(labels(runs), runs, strict=True)]
        pairs = list(zip(runs, names, strict=True))
        scored = [(run, name) for run, name in pairs if run.score is not None and run.score.miou is not None]
        self.setCurrentIndex(0 if isinstance(what, Figure) else 1 if scored or not runs else 2)
        if isinstance(what, Figure):
            self.curves.set_title(what.name)
            self.curves.set_curves([self._curve(run, name, what, points) for run, name in pairs])
        elif what == CLASSES:
            classes = class_names(runs, look)
            self.bars.set_bars(classes, [self._class_bars(run, name, classes) for run, name in scored])
        else:
            bars = [self._score_bar(run, place, len(scored)) for place, (run, _) in enumerate(scored)]
            self.bars.set_bars([name for _, name in scored], bars)

    def _curve(self, run: PastRun, name: str, figure: Figure, points: int) -> PlotCurve:
        points = points if figure.group in ("loss", "weight") else 1
        x, raw = run.curves.joined(figure, [run.stage])
        y = run.curves.joined(figure, [run.stage], points)[1] if points > 1 else raw
        return PlotCurve(name, x, y, self._colour(run), raw if points > 1 else None, dashed=run.oracle)

    def _class_bars(self, run: PastRun, name: str, classes: Sequence[str]) -> Bars:
        per_class = run.score.per_class if run.score else {}
        return Bars(name, tuple(_percent(per_class.get(one)) for one in classes), self._colour(run), run.oracle)

    def _score_bar(self, run: PastRun, place: int, count: int) -> Bars:
        values: list[float | None] = [None] * count
        values[place] = _percent(run.score.miou if run.score else None)
        return Bars(run.title, tuple(values), self._colour(run), run.oracle, width=0.6)

    def fit(self) -> None:
        """Shows everything again."""
        self.curves.fit()

    def recolour(self) -> None:
        """Takes over the theme's colours."""
        self.curves.recolour()
        self.bars.recolour()


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
