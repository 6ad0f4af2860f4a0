"""The monitor: live figures, zoom that stays, crosshair, smoothing, saving; no drawing while hidden, no loss."""

import csv
import io
import os
import sys
from functools import partial

import numpy as np
import psutil
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage
from PySide6.QtWidgets import QAbstractButton, QComboBox, QFileDialog, QLabel, QMessageBox, QTableView

from crots.eventlog import EventLog
from crots.events import Evaluated, Metrics, Note, Scored, StageStarted
from crots.methods.alarms import BOUNDS
from crots_studio import theme
from crots_studio.models.healthy import Level, healthy_descriptions
from crots_studio.models.image_ranking import Question
from crots_studio.models.names import score_title
from crots_studio.models.series import Figure
from crots_studio.panels.monitor.panel import MonitorPanel, TrainingCurves
from crots_studio.widgets import plot_tools
from crots_studio.widgets.plot_curve import PlotCurve
from crots_studio.widgets.series_plot import SeriesPlot
from tests.studio.fake_project import make_fake_project

LOSS = Figure("loss", "loss")
# A longer soak: CROTS_SOAK=10000 pytest tests/studio/panels/test_monitor.py -k repaints
REPAINTS = int(os.environ.get("CROTS_SOAK", "1000"))


def losses(first, last, stage="baseline"):
    values = {step: {"loss": 10.0 / step, "learning rate": 1e-4} for step in range(first, last)}
    return [Metrics(stage=stage, step=step, values=values[step]) for step in values]


def evaluated(stage, miou, step):
    return Evaluated(
        stage=stage, subject=stage, step=step, miou=miou, per_class_iou={"road": miou, "sky": miou / 2, "sea": None},
        confusion=[[8, 2, 0], [1, 9, 0], [0, 0, 0]],
    )  # fmt: skip


def arrive(session, events):
    """Events of a run, which are in the history when panels hear of them."""
    session.opened.history.add(events)
    session.run.events_arrived.emit(events)


@pytest.fixture
def panel(show_panel):
    return show_panel(MonitorPanel, 900, 600)


@pytest.fixture
def tell(qtbot, session, panel):
    """Sends events as a run does and waits until the tab in front has drawn them; hidden ones wait."""

    def tell(events):
        arrive(session, list(events))
        tabs = panel.training, panel.classes, panel.confusion
        qtbot.waitUntil(lambda: not any(tab.redraw.due for tab in tabs if tab.isVisible()))

    return tell


def drawn(plot, name):
    """What pyqtgraph was given, before its own thinning out."""
    return line(plot, name).getOriginalDataset()


def line(plot, name):
    return next(item for item in plot.canvas.getPlotItem().listDataItems() if item.name() == name)


def hidden_by_names(plot, curve):
    """Points of a curve that lie under the name of a stage."""
    box = plot.canvas.getViewBox()
    points = [box.mapViewToScene(QPointF(x, y)) for x, y in zip(curve.x, curve.y, strict=True) if np.isfinite(y)]
    labels = [line.label for line in plot.marks.lines if getattr(line, "label", None) is not None]
    boxes = [label.mapRectToScene(label.boundingRect()) for label in labels if label.isVisible()]
    return [point for point in points if any(box.contains(point) for box in boxes)]


def test_nothing_yet_says_what_to_do(panel):
    assert panel.training.stack.currentIndex() == 0
    assert "Start a run" in panel.training.stack.currentWidget().text()
    assert not panel.training.save.isEnabled()


def test_a_run_without_figures_yet_does_not_ask_for_a_run(session, panel):
    session.run.busy_changed.emit(True)
    text = panel.training.empty.text()
    assert "Start a run" not in text and "first training steps" in text
    assert panel.training.empty.accessibleName() == text
    session.run.busy_changed.emit(False)
    assert "Start a run" in panel.training.empty.text()


def test_figures_appear_as_they_arrive(panel, tell):
    tell([StageStarted(stage="baseline", total=100), *losses(1, 20)])
    plot = panel.training.plots["loss"]
    assert drawn(plot, "loss")[0].tolist() == list(range(1, 20))
    tell(losses(20, 30))
    assert len(drawn(plot, "loss")[0]) == 29
    assert "0.345" in plot.legend.entries["loss"].text()
    assert panel.training.plots["rate"].isVisible() and not panel.training.plots["weight"].isVisible()


def test_events_are_batched_into_few_redraws(qtbot, session, panel, tell, monkeypatch):
    tell(losses(1, 3))
    plot, count = panel.training.plots["loss"], []
    monkeypatch.setattr(plot, "set_curves", lambda curves, draw=plot.set_curves: (count.append(1), draw(curves)))
    for step in range(3, 203):
        arrive(session, losses(step, step + 1))
    qtbot.waitUntil(lambda: not panel.training.redraw.due)
    assert len(count) <= 2
    assert len(drawn(panel.training.plots["loss"], "loss")[0]) == 202


def test_a_hidden_panel_draws_nothing_and_catches_up(qtbot, session, panel, tell):
    tell(losses(1, 10))
    panel.tabs.setCurrentIndex(1)
    arrive(session, losses(10, 50))
    qtbot.wait(300)
    assert len(drawn(panel.training.plots["loss"], "loss")[0]) == 9
    panel.tabs.setCurrentIndex(0)
    assert len(drawn(panel.training.plots["loss"], "loss")[0]) == 49


def test_zoom_stays_put_while_data_flow_until_fit(qtbot, panel, tell):
    tell(losses(1, 100))
    plot = panel.training.plots["loss"]
    view = plot.canvas.getViewBox()
    qtbot.keyClick(plot.canvas, Qt.Key.Key_Plus)
    zoomed = view.viewRange()
    assert not plot.following
    tell(losses(100, 400))
    assert view.viewRange() == zoomed
    assert panel.training.plots["rate"].canvas.getViewBox().viewRange()[0] == pytest.approx(zoomed[0], rel=0.1)
    panel.training.tools.fit.click()
    qtbot.waitUntil(lambda: plot.following and view.viewRange()[0][1] >= 399)
    assert panel.training.held.isHidden()


def test_a_wheel_turn_zooms_and_is_reported(qtbot, panel, tell):
    tell(losses(1, 100))
    view = panel.training.plots["rate"].canvas.getViewBox()
    view.scaleBy((0.5, 0.5))
    view.sigRangeChangedManually.emit((True, True))
    assert panel.training.held.isVisible()
    before = view.viewRange()
    tell(losses(100, 300))
    assert view.viewRange() == before


def test_the_crosshair_walks_by_keys_in_all_plots_alike(qtbot, panel, tell):
    tell(losses(1, 50))
    plots = panel.training.plots
    qtbot.keyClick(plots["loss"].canvas, Qt.Key.Key_Left)
    assert plots["loss"].cursor_step == 49
    qtbot.keyClick(plots["loss"].canvas, Qt.Key.Key_Left)
    assert plots["loss"].cursor_step == plots["rate"].cursor_step == 48
    assert f"{10 / 48:.3g}" in plots["loss"].legend.entries["loss"].text()
    qtbot.keyClick(plots["loss"].canvas, Qt.Key.Key_Escape)
    assert plots["rate"].cursor_step is None


def test_smoothing_is_remembered_and_changes_the_picture_only(qtbot, session, panel, tell):
    tell(losses(1, 50))
    panel.training.tools.smoothing.setCurrentIndex(3)
    y = drawn(panel.training.plots["loss"], "loss")[1]
    values = 10.0 / np.arange(1, 50)
    assert y[-1] == pytest.approx(values[-10:].mean())
    assert session.settings.value("training/smoothing") == "mean of 10"
    rows = list(csv.DictReader(io.StringIO(panel.training.table())))
    assert [float(row["loss"]) for row in rows] == values.tolist()


def test_the_first_and_the_last_model_have_their_names(qtbot, panel, tell):
    tell([evaluated(stage, 0.5, 10) for stage in ("source", "baseline", "adapt-1")])
    panel.tabs.setCurrentWidget(panel.classes)
    panel.classes.axis.setCurrentIndex(1)
    panel.classes.axis.activated.emit(1)
    (left, right), (low, _) = panel.classes.plot.canvas.getViewBox().viewRange()
    assert left <= -0.4 and right >= 2.4
    assert low > 10, "the values alone decide on the height"


def test_the_log_scale_is_remembered_and_drawn(qtbot, session, panel):
    panel.training.tools.log.setChecked(True)
    again = MonitorPanel(session)
    qtbot.addWidget(again)
    assert again.training.tools.log.isChecked() and again.training.plots["loss"]._log


def test_log_scale_leaves_out_what_has_no_logarithm(qtbot, panel, tell):
    losses = enumerate([1, 0, -1, 100], 1)
    tell([Metrics(stage="baseline", step=step, values={"loss": value}) for step, value in losses])
    panel.training.tools.log.setChecked(True)
    x, y = drawn(panel.training.plots["loss"], "loss")
    assert np.isnan(y).tolist() == [False, True, True, False]
    assert len(x) == 4


def test_one_stage_can_be_shown_alone(qtbot, panel, tell):
    tell([StageStarted(stage="baseline", total=100), *losses(1, 100), *losses(1, 10, "adapt-1")])
    combo = panel.training.stage
    assert [combo.itemText(place) for place in range(combo.count())] == ["whole run", "Baseline", "Round 1"]
    assert drawn(panel.training.plots["loss"], "loss")[0][-1] == 109
    combo.setCurrentIndex(2)
    assert drawn(panel.training.plots["loss"], "loss")[0][-1] == 9
    assert "baseline" not in panel.training.table()


def test_legend_hides_a_curve_and_new_data_do_not_bring_it_back(qtbot, panel, tell):
    tell(losses(1, 10))
    plot = panel.training.plots["loss"]
    plot.legend.entries["loss"].click()
    tell(losses(10, 20))
    assert "loss" not in plot.shown
    assert not line(plot, "loss").isVisible()


def test_curves_have_the_colours_of_the_live_run_when_it_is_opened_again(qtbot, panel, tell, show_panel):
    tell([Scored(stage="baseline", step=1, values={"certainty": 0.5})])
    tell([evaluated("baseline", 0.5, 1)])
    again = show_panel(MonitorPanel, 900, 600)
    looks = []
    for one in (panel, again):
        one.training.more_scores.setChecked(True)
        qtbot.waitUntil(lambda one=one: bool(one.training.plots["score"].shown) and not one.training.redraw.due)
        looks.append({name: curve.colour for name, curve in one.training.plots["score"].shown.items()})
    assert looks[0] == looks[1]


def test_a_legend_of_many_curves_leaves_room_to_the_plot(qtbot, panel, tell):
    names = [f"score number {number}" for number in range(12)]
    values = {name: 0.5 + number / 100 for number, name in enumerate(names)}
    tell([Scored(stage="baseline", step=step, values=values) for step in (1, 2)])
    plot = panel.training.plots["score"]
    panel.training.more_scores.click()
    qtbot.waitUntil(lambda: plot.legend.verticalScrollBar().maximum() > 0)
    assert plot.legend.height() < 80 < plot.canvas.height()
    looks = {(curve.colour, curve.dashed) for curve in plot.shown.values()}
    assert len(looks) == len(names), "each can be told apart"
    few = panel.training.plots["loss"]
    tell(losses(1, 3))
    qtbot.waitUntil(lambda: few.legend.height() > 0)
    assert few.legend.verticalScrollBar().maximum() == 0


def test_a_picture_has_every_entry_of_every_legend(qtbot, monkeypatch, panel, tell):
    values = {f"score number {number}": 0.5 + number / 100 for number in range(12)}
    tell([Scored(stage="baseline", step=step, values=values) for step in (1, 2)])
    legend = panel.training.plots["score"].legend
    panel.training.more_scores.click()
    qtbot.waitUntil(lambda: legend.verticalScrollBar().maximum() > 0)
    seen, draw = [], plot_tools.rendered

    def look(widget, scale):
        seen.append([entry.visibleRegion().isEmpty() for entry in legend.entries.values()])
        return draw(widget, scale)

    monkeypatch.setattr(plot_tools, "rendered", look)
    plot_tools.picture(panel.training.area)
    assert seen == [[False] * 12]
    assert legend.verticalScrollBar().maximum() > 0, "on screen it is as small as before"


def test_values_stand_beside_the_crosshair_only_where_there_are_some(qtbot, panel, tell):
    tell([StageStarted(stage="baseline", total=100), *losses(1, 50), *losses(1, 50, "adapt-1")])
    tell([Metrics(stage="adapt-1", step=step, values={"consistency": 1.0}) for step in (10, 20)])
    plot = panel.training.plots["loss"]
    plot.set_cursor(20.0)
    assert set(plot.values_at(20.0)) == {"loss"}
    assert plot.legend.entries["consistency"].text() == "consistency"
    curve = plot.shown["consistency"]
    assert set(plot.values_at(curve.x[np.isfinite(curve.y)][0] + 4)) == {"loss", "consistency"}
    last = max(curve.x[-1] for curve in plot.shown.values())
    assert plot.values_at(last + 2)["loss"][0] == last, "just beyond the end is the end"
    assert plot.values_at(last + 500) == {}


def test_scores_say_what_they_can_and_cannot_tell(qtbot, open_project, panel, tell, tmp_path):
    make_fake_project(tmp_path / "fake")
    open_project(tmp_path / "fake" / "project")
    tell([Scored(stage="baseline", step=1, values={"certainty": 0.5})])
    panel.training.more_scores.click()
    entries, name = panel.training.plots["score"].legend.entries, score_title("certainty")
    qtbot.waitUntil(lambda: name in entries and "more certain" in entries[name].toolTip())


def test_past_events_come_back_with_a_project(qtbot, session, open_project, panel, tmp_path):
    make_fake_project(tmp_path / "fake")
    open_project(tmp_path / "fake" / "project")
    qtbot.waitUntil(lambda: panel.training.stack.currentIndex() == 1)
    assert panel.training.chosen == ("baseline", "adapt-1", "adapt-2")
    panel.tabs.setCurrentWidget(panel.classes)
    assert panel.classes.subject.currentText() == "Round 2"
    assert panel.classes.table.model_of_classes.rowCount() == 11
    panel.tabs.setCurrentWidget(panel.confusion)
    assert panel.confusion.view.matrix.rowCount() == 11


def test_classes_follow_the_latest_model_until_one_is_chosen(qtbot, session, panel):
    panel.tabs.setCurrentWidget(panel.classes)
    send = partial(arrive, session)
    send([evaluated("baseline", 0.4, 10), evaluated("adapt-1", 0.3, 10)])
    table = panel.classes.table.model_of_classes
    qtbot.waitUntil(lambda: table.table is not None and table.table.subject == "adapt-1")
    cell = table.index(0, 2)
    assert cell.data() == "\u221210.0" and "fell since Baseline" in panel.classes.summary.text()
    assert table.index(2, 1).data() == "\u2013"
    panel.classes.subject.setCurrentIndex(0)
    panel.classes.subject.activated.emit(0)
    send([evaluated("adapt-1", 0.6, 20)])
    qtbot.wait(250)
    assert table.table.subject == "baseline"


def test_a_selected_class_stands_out(qtbot, session, panel):
    panel.tabs.setCurrentWidget(panel.classes)
    arrive(session, [evaluated("baseline", 0.4, 10), evaluated("baseline", 0.5, 20)])
    qtbot.waitUntil(lambda: panel.classes.table.model_of_classes.rowCount() == 3)
    panel.classes.table.selectRow(1)
    plot = panel.classes.plot
    assert plot.emphasised == "sky"
    assert line(plot, "sky").opts["pen"].width() == 2
    assert "sea" not in plot.names
    qtbot.keyClick(panel.classes, Qt.Key.Key_Escape)
    assert plot.emphasised is None


def test_confusion_reads_out_cells_and_finds_mistakes(qtbot, session, panel):
    panel.tabs.setCurrentWidget(panel.confusion)
    arrive(session, [evaluated("baseline", 0.4, 10)])
    qtbot.waitUntil(lambda: panel.confusion.view.matrix.rowCount() == 3)
    panel.confusion.mistakes.setCurrentRow(0)
    assert panel.confusion.view.currentIndex().row() == 0
    assert "20% of road is predicted as sky (2 pixels)" in panel.confusion.read_out.text()
    panel.confusion.way.setCurrentIndex(1)
    panel.confusion.way.activated.emit(1)
    assert panel.confusion.view.matrix.index(0, 0).data() == "89"


def test_a_cell_and_an_iou_ask_for_their_images_by_mouse_and_key(qtbot, session, panel):
    asked = []
    panel.images_wanted.connect(asked.append)
    panel.tabs.setCurrentWidget(panel.confusion)
    arrive(session, [evaluated("baseline", 0.4, 10)])
    view = panel.confusion.view
    qtbot.waitUntil(lambda: view.matrix.rowCount() == 3)
    cell = view.visualRect(view.matrix.index(0, 1)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    qtbot.keyClick(view, Qt.Key.Key_Return)
    names = view.matrix.names
    assert asked == 2 * [Question("baseline", names[0], names[1])]
    panel.tabs.setCurrentWidget(panel.classes)
    table = panel.classes.table
    qtbot.waitUntil(lambda: table.model().rowCount() == 3)
    asked.clear()
    for column, count in ((0, 0), (1, 1)):
        place = table.visualRect(table.model().index(1, column)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert len(asked) == count
    with qtbot.waitActive(panel):
        panel.activateWindow()
    table.setFocus()
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert asked == 2 * [Question("baseline", str(table.model().index(1, 0).data()))]


def test_saving_gives_the_very_numbers_and_a_picture(qtbot, monkeypatch, tmp_path, panel, tell):
    """The CSV on disk equals every recorded figure, digit by digit."""
    tell([*losses(1, 500), Scored(stage="baseline", step=7, values={"information": 1 / 3})])
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out.csv"), ""))
    panel.training.save.table_action.trigger()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8"))))
    curves = panel.training.curves
    for figure in curves.figures():
        series = curves.series("baseline", figure)
        read = [(float(row["step"]), float(row[figure.name])) for row in rows if row[figure.name]]
        assert read == list(zip(series.steps.tolist(), series.values.tolist(), strict=True))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out.png"), ""))
    panel.training.save.picture_action.trigger()
    image = QImage(str(tmp_path / "out.png"))
    assert image.width() == 2 * panel.training.area.width()


def test_a_name_without_a_suffix_replaces_no_file_unasked(monkeypatch, tmp_path, panel, tell):
    tell(losses(1, 5))
    (tmp_path / "out.csv").write_text("mine")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out"), ""))
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)
    panel.training.save.table_action.trigger()
    assert (tmp_path / "out.csv").read_text() == "mine"
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    panel.training.save.table_action.trigger()
    assert (tmp_path / "out.csv").read_text() != "mine"


def test_a_failed_save_is_reported(qtbot, monkeypatch, tmp_path, session, panel, tell):
    tell(losses(1, 5))
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "file" / "out.csv"), ""))
    with qtbot.waitSignal(session.problem) as problem:
        panel.training.save.table_action.trigger()
    assert "was not saved" in problem.args[0]


def test_both_themes_recolour_the_plots(qtbot, session, panel, tell):
    tell(losses(1, 5))
    colours = set()
    for mode in ("light", "dark"):
        session.set_theme(mode)
        qtbot.waitUntil(lambda: not panel.training.redraw.due)
        background = panel.training.plots["loss"].canvas.backgroundBrush().color().name()
        colours.add((background, panel.training.plots["loss"].shown["loss"].colour))
    assert len(colours) == 2


def test_curves_take_the_theme_at_once(qtbot, session, panel, tell):
    """For one redraw, up to two seconds, the curves had the old theme's colours on the new background."""
    tell(losses(1, 5))
    plot = panel.training.plots["loss"]

    def pen():
        return line(plot, "loss").opts["pen"].color().name()

    for mode in ("dark", "light"):
        panel.training.redraw._rest_ms = 2000
        before = pen()
        session.set_theme(mode)
        assert pen() != before and not panel.training.redraw.due
    # A tab that is hidden meanwhile does so when it is seen.
    panel.tabs.setCurrentWidget(panel.classes)
    before = pen()
    session.set_theme("dark")
    assert panel.training.redraw.due
    panel.tabs.setCurrentWidget(panel.training)
    assert pen() != before
    session.set_theme("light")


def test_names_at_the_ends_of_curves_take_the_theme_at_once(qtbot):
    plot, steps = SeriesPlot("mIoU"), np.arange(9.0)
    qtbot.addWidget(plot)
    plot.resize(800, 300)
    plot.show()
    plot.set_curves([PlotCurve("car", steps, steps, "#c04040"), PlotCurve("bus", steps, 9 - steps, "#4040c0")])
    theme.apply(True)
    try:
        plot.recolour()
        names = [item for item in plot.canvas.getPlotItem().items if isinstance(item, pg.TextItem)]
        assert len(names) == 2
        assert {item.fill.color().name() for item in names} == {QColor(theme.colours().background).name()}
    finally:
        theme.apply(False)


def test_every_control_has_an_accessible_name(panel):
    for kind in (QAbstractButton, QComboBox, QTableView):
        for widget in panel.findChildren(kind):
            if widget.isVisibleTo(panel) and widget.metaObject().className() != "QTableCornerButton":
                named = widget.accessibleName() or getattr(widget, "text", str)()
                assert named or isinstance(widget.parent(), QComboBox), widget


def test_a_vanishing_class_is_not_overlooked(qtbot, session, panel):
    vanishing = [Note(stage="adapt-1", level="warning", text=f"class {name} is vanishing") for name in ("pole", "sign")]
    arrive(session, [Note(stage="adapt-1", text="nothing to worry about"), *vanishing])
    height = panel.alarm.height()
    assert panel.alarm.text.text() == "Round 1: class sign is vanishing" and panel.alarm.caption.text() == "Alarms (2)"
    arrive(session, [StageStarted(stage="adapt-2", total=9)])
    assert panel.alarm.accessibleDescription() == "None since Round 2 began" and not panel.alarm.warnings
    assert panel.alarm.figure.isVisible() and not panel.alarm.text.isVisible()
    assert panel.alarm.isVisible() and panel.alarm.height() == height, "nothing moves"


def test_before_a_first_stage_no_alarms_are_said_to_be_none(qtbot, panel, open_project, tmp_path):
    """A green sign stood there, beside tiles that said that nothing has run."""
    open_project(make_fake_project(tmp_path, until="").folder)
    assert panel.alarm.accessibleDescription() == "\u2013 nothing has run yet" and panel.alarm.sign.isHidden()
    panel.alarm.take([StageStarted(stage="baseline", total=10)])
    assert panel.alarm.accessibleDescription() == "None since Baseline began" and not panel.alarm.sign.isHidden()


def test_what_a_training_warned_of_stays_when_it_is_scored_and_exported(qtbot, session, panel, open_project, tmp_path):
    """The student had learnt nothing, and once it was exported the tile said None, in green."""
    project = make_fake_project(tmp_path, rounds=1)
    useless = Note(stage="baseline", level="warning", text="the student has not learnt the pseudo-labels")
    other = Note(stage="evaluate", level="warning", text="the source is not scored")
    log = EventLog(project.events_path)
    starts = [StageStarted(stage=stage, total=9) for stage in ("baseline", "evaluate", "export")]
    for event in (starts[0], useless, starts[1], other, starts[2]):
        log.append(event)
    open_project(project.folder)
    assert [note.text for note in panel.alarm.warnings] == [other.text, useless.text]
    panel.alarm.take([StageStarted(stage="evaluate", total=2)])
    assert [note.text for note in panel.alarm.warnings] == [useless.text], "that one will say it again"
    panel.alarm.take([StageStarted(stage="adapt-1", total=2)])
    assert not panel.alarm.warnings


LONG = [
    "the source's confident labels are being lost (source 0.92 at the start, 0.71 now); lower the learning rate",
    "the student suddenly becomes certain (certainty 0.52 at the start, 0.91 now) and predicts other classes than "
    "before: it may be learning its own mistakes; lower the learning rate",
]


def test_a_long_alarm_ends_in_an_ellipsis_and_can_be_read_as_a_whole(qtbot, session, panel):
    height = panel.alarm.height()
    arrive(session, [Note(stage="adapt-1", level="warning", text=text) for text in LONG])
    whole = [f"Round 1: {text}" for text in reversed(LONG)]
    alarm = panel.alarm
    qtbot.waitUntil(lambda: alarm.text.shown.endswith("\u2026"))
    assert whole[0].startswith(alarm.text.shown.rstrip("\u2026").replace("\n", " ")) and alarm.height() == height
    assert all(text in alarm.toolTip() and text in alarm.accessibleDescription() for text in whole)
    alarm.read_button.setFocus()
    qtbot.keyClick(alarm.read_button, Qt.Key.Key_Space)
    assert alarm.box.isVisible() and alarm.box.informativeText() == "\n\n".join(whole)
    alarm.box.close()
    panel.resize(4000, panel.height())
    qtbot.waitUntil(lambda: alarm.text.shown.replace("\n", " ") == whole[0])


def test_plots_of_different_widths_show_the_same_steps(qtbot, panel, tell):
    values = {"loss": 1.0, "confidence weight": 0.5, "learning rate": 1e-4}
    tell(
        [StageStarted(stage="baseline", total=40), *(Metrics(stage="baseline", step=s, values=values) for s in (1, 20))]
    )
    tell([Scored(stage="baseline", step=20, values={"agreement": 0.5}), evaluated("baseline", 0.5, 20)])
    plots = panel.training.plots
    qtbot.waitUntil(lambda: all(plot.isVisible() for plot in plots.values()))
    tell([Metrics(stage="baseline", step=40, values=values)])

    def shown():
        return [plot.canvas.getViewBox().viewRange()[0] for plot in plots.values()]

    qtbot.waitUntil(lambda: all(shown()[0] == each and each[0] <= 1 and each[1] >= 40 for each in shown()))
    assert len({plot.width() for plot in plots.values()}) > 1
    plots["rate"].canvas.getViewBox().setXRange(5, 10, padding=0)
    plots["rate"].canvas.getViewBox().sigRangeChangedManually.emit((True, True))
    assert plots["miou"].canvas.getViewBox().viewRange()[0] == [5, 10]
    assert plots["score"].canvas.getViewBox().viewRange()[0] == [5, 10]


def test_the_score_has_a_plot_of_its_own_in_per_cent_and_a_tile(qtbot, session, open_project, panel, tmp_path):
    make_fake_project(tmp_path / "fake")
    open_project(tmp_path / "fake" / "project")
    plot = panel.training.plots["miou"]
    qtbot.waitUntil(lambda: "mIoU" in plot.shown)
    shown = plot.shown["mIoU"].y
    last = panel.scores.latest("adapt-2").miou
    assert 1 < np.nanmax(shown) <= 100 and "mIoU" not in panel.training.plots["score"].names
    assert panel.miou.figure.text() == f"{last:.1%}"
    assert panel.miou.note.text().endswith(" vs Source (Round 2)")
    assert not hidden_by_names(plot, plot.shown["mIoU"])
    assert panel.miou.note.property("role") == "good" and "Round 2" in panel.loss.note.text()
    assert len(plot.marks.tints) == 3, "a band a stage"
    assert panel.training.table().startswith("stage,step,"), "saved as recorded"


def test_the_sources_score_is_the_line_to_beat(qtbot, session, open_project, panel, tmp_path):
    make_fake_project(tmp_path / "fake")
    open_project(tmp_path / "fake" / "project")
    plot = panel.training.plots["miou"]
    qtbot.waitUntil(lambda: "Source" in plot.shown)
    line, curve = plot.shown["Source"], plot.shown["mIoU"]
    assert set(line.y) == {100 * panel.scores.latest("source").miou} and line.dashed
    assert (line.x[0], line.x[-1]) == (np.nanmin(curve.x), np.nanmax(curve.x))
    assert "mIoU" not in plot.ends.named, "the plot is called so"
    assert plot.values_at(float(curve.x[0]))["Source"][1] == line.y[0], "read beside the crosshair too"
    assert not panel.training.table().count("Source"), "saved as recorded"


def test_a_project_without_the_sources_score_has_no_such_line(qtbot, panel, tell):
    tell([StageStarted(stage="baseline", total=40), evaluated("baseline", 0.5, 20)])
    qtbot.waitUntil(lambda: panel.training.plots["miou"].names == ("mIoU",))
    tell([evaluated("source", 0.4, 0)])
    qtbot.waitUntil(lambda: panel.training.plots["miou"].names == ("mIoU", "Source"))


def test_the_captions_of_all_tiles_are_in_line(qtbot, panel):
    places = [tile.caption.mapTo(panel, tile.caption.rect().center()).y() for tile in (panel.miou, panel.loss)]
    alarms = next(label for label in panel.alarm.findChildren(QLabel) if label.text() == "Alarms")
    assert {*places, alarms.mapTo(panel, alarms.rect().center()).y()} == {places[0]}


def test_a_few_scores_are_drawn_and_the_others_on_request(qtbot, panel, tell):
    names = ("certainty", "agreement", "source", "stability", "information", "flip")
    tell([Scored(stage="baseline", step=step, values=dict.fromkeys(names, 0.5)) for step in (1, 2)])
    plot = panel.training.plots["score"]
    few = ["agreement with the source", "agreement with the start", "1 \u2212 entropy"]
    assert list(plot.names) == few, "three, in the words of the field"
    panel.training.more_scores.click()
    assert list(plot.names)[:3] == few and set(plot.names) == {score_title(name) for name in names}


def test_the_healthy_range_of_the_scores_ends_where_the_guard_warns(qtbot, panel, tell):
    looks = [(0, 0.9, 0.8), (10, 0.85, 0.7), (20, 0.8, 0.6)]
    tell(
        [
            StageStarted(stage="baseline", total=20, unit="steps"),
            *(Scored(stage="baseline", step=step, values={"source": s, "certainty": c}) for step, s, c in looks),
            StageStarted(stage="adapt-1", total=40, unit="steps"),
            Scored(stage="adapt-1", step=0, values={"source": 0.5, "certainty": 0.7}),
            Scored(stage="adapt-1", step=40, values={"source": 0.5, "certainty": 0.7}),
            # Nothing can be lost by a model that knew nothing at its start.
            StageStarted(stage="adapt-2", total=10, unit="steps"),
            Scored(stage="adapt-2", step=0, values={"source": 0.3, "information": 0.02}),
            Scored(stage="adapt-2", step=10, values={"source": 0.1, "information": 0.2}),
        ]
    )
    plot = panel.training.plots["score"]
    bound = BOUNDS["source"].warns
    # Each stage has its own, relative to its start; certainty is judged in another way.
    name = score_title("source")
    assert plot.levels == (Level(name, 0, 20, bound * 0.9), Level(name, 20, 60, bound * 0.5))
    plot.set_shown(name, False)
    assert plot.levels == ()
    assert f"{bound:.0%}" in healthy_descriptions()["source"]


def test_names_at_the_ends_of_curves_cover_no_curve(qtbot, panel, tell):
    """A short round leaves less room than a name takes; the legend names what has none."""
    panel.resize(900, 600)
    tell([StageStarted(stage="baseline", total=200), *losses(10, 200)])
    names = ("consistency", "hard patch", "loss")
    tell([StageStarted(stage="adapt-1", total=12)])
    tell([
        Metrics(stage="adapt-1", step=step, values=dict(zip(names, (0.0, 1 + step / 20, 0.01 * step), strict=True)))
        for step in range(1, 13)
    ])  # fmt: skip
    plot = panel.training.plots["loss"]
    qtbot.waitUntil(lambda: {"loss", *names} <= set(plot.names))
    box = plot.canvas.getViewBox()
    (left, right), (low, high) = box.viewRange()

    def pixels(curve):
        return (curve.x - left) / (right - left) * box.width(), (curve.y - low) / (high - low) * box.height()

    for name in plot.ends.named:
        rect = plot.ends.place_of(name)
        for curve in plot.shown.values():
            x, y = pixels(curve)
            inside = (x > rect.left) & (x < rect.right) & (y > rect.low + 4) & (y < rect.high - 4)
            assert not inside.any(), (name, curve.name)
        assert rect.left >= 0 and rect.right <= box.width()


def test_steps_are_whole(qtbot, panel, tell):
    tell([Scored(stage="baseline", step=0, values={"source": 0.5})])
    tell([Scored(stage="baseline", step=1, values={"source": 0.6})])
    axis = panel.training.plots["score"].canvas.getPlotItem().getAxis("bottom")
    ticks = [tick for _, level in axis.tickValues(*axis.range, axis.size().width()) for tick in level]
    assert ticks and all(float(tick).is_integer() for tick in ticks)


def test_what_a_demonstration_trains_its_source_with_is_no_part_of_the_axis(qtbot, panel, tell):
    tell([StageStarted(stage="train", total=500), *losses(1, 500, "train")])
    tell([StageStarted(stage="baseline", total=20), *losses(1, 20)])
    assert panel.training.chosen == ("baseline",)
    panel.training.stage.setCurrentIndex(panel.training.stage.findData("train"))
    assert panel.training.chosen == ("train",)


@pytest.mark.timeout(REPAINTS)
def test_many_repaints_lose_no_reference_to_none_and_no_memory(qtbot, panel, tell):
    """PySide6 6.12 on Python 3.11 loses some at each repaint and aborts after a minute; 6.11 gains some, harmlessly."""
    panel.resize(500, 350)
    tell(losses(1, 100))
    curves, plot = panel.training.curves, panel.training.plots["loss"]

    def repaint(first, last):
        for step in range(first, last):
            curves.add(losses(step, step + 1))
            panel.training.redraw.now()
            plot.grab()

    repaint(100, 200)
    references, memory = sys.getrefcount(None), psutil.Process().memory_info().rss
    repaint(200, 100 + REPAINTS)
    assert sys.getrefcount(None) > references - 100
    assert psutil.Process().memory_info().rss - memory < 40e6


def test_scores_before_the_first_loss_are_followed_and_share_their_steps_with_what_comes_later(
    show_panel, qtbot, session
):
    panel = show_panel(MonitorPanel, 800, 500)
    training = panel.findChild(TrainingCurves)

    def take(*events):
        arrive(session, list(events))
        training.redraw.now()

    def steps(group):
        return training.plots[group].canvas.getViewBox().viewRange()[0]

    take(StageStarted(stage="baseline", total=100))
    for step in range(1, 9):
        take(Scored(stage="baseline", step=step, values={"agreement": step / 10}))
    qtbot.waitUntil(lambda: steps("score")[0] <= 1 and 8 <= steps("score")[1] < 12)
    take(Metrics(stage="baseline", step=4, values={"loss": 1.0}))
    qtbot.waitUntil(lambda: steps("loss")[0] <= 1 and steps("loss")[1] >= 8)  # the steps of all plots
    qtbot.waitUntil(lambda: steps("score") == pytest.approx(steps("loss"), abs=0.5))


def test_names_of_stages_that_would_run_into_each_other_are_left_out(qtbot):
    plot = SeriesPlot("loss")
    qtbot.addWidget(plot)
    plot.resize(560, 240)
    plot.show()
    x = np.arange(0, 1001.0)
    plot.set_curves([PlotCurve("loss", x, x, "#336699")])
    plot.set_marks([(0.0, "Source model"), (700.0, "Baseline"), (720.0, "Round 1"), (900.0, "Round 2")])
    qtbot.waitUntil(lambda: [line.label.isVisible() for line in plot.marks.lines] == [True, False, True, True])


# Class sets, plots of different widths, rounds that are gone, single points, many classes.


def scored(panel, **classes):
    names = list(classes) or ["road", "sky"]
    return Evaluated(
        stage="evaluate", subject="baseline", step=0, miou=0.5, per_class_iou=dict.fromkeys(names, 0.5),
        confusion=np.diag(np.full(len(names), 9)).tolist(),
    )  # fmt: skip


CLASS_SET = """name = "{name}"
[[classes]]
name = "{first}"
colour = {colour}
[[classes]]
name = "{second}"
colour = [1, 2, 3]
"""


def test_classes_and_confusion_follow_the_class_set(qtbot, session, open_project, panel, tell, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    tell([scored(panel, Sky=1, Road=1)])
    for one in (panel.classes, panel.confusion):
        panel.tabs.setCurrentWidget(one)
        qtbot.waitUntil(lambda one=one: not one.redraw.due)
    first = panel.classes.look
    session.opened.set_options({"task.classes": "demo"})
    names = panel.classes.look.names
    assert names != first.names and panel.confusion.look.names == names
    session.opened.set_options({"task.classes": "camvid"})
    assert panel.classes.look.names == first.names


def test_the_matrix_takes_order_and_colours_of_the_class_set(qtbot, session, open_project, panel, tell, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    session.opened.set_options({"task.classes": "demo"})
    names = panel.confusion.look.names
    turned = dict.fromkeys(names[::-1], 1)
    panel.tabs.setCurrentWidget(panel.confusion)
    tell([scored(panel, **turned)])
    panel.confusion.subject.setCurrentIndex(panel.confusion.subject.findData("baseline"))
    panel.confusion.subject.activated.emit(panel.confusion.subject.currentIndex())
    matrix = panel.confusion.view.matrix
    assert matrix.names == names
    assert matrix.colours == tuple(map(panel.confusion.look.colour, names))
    received = []
    matrix.headerDataChanged.connect(lambda *where: received.append(where))
    matrix.show(names, tuple((9, 9, 9) for _ in names), matrix.shares, matrix.texts, matrix.tips)
    assert received, "the header shows other colours at once"


def test_many_classes_show_the_most_mistaken_first(qtbot, panel, tell):
    panel.tabs.setCurrentWidget(panel.confusion)
    count = 60
    pixels = np.diag(np.full(count, 100))
    pixels[7, 50] = 80
    names = [f"class {number}" for number in range(count)]
    tell([Evaluated(stage="evaluate", subject="baseline", step=0, miou=0.5, per_class_iou=dict.fromkeys(names, 0.5),
                    confusion=pixels.tolist())])  # fmt: skip
    matrix, which = panel.confusion.view.matrix, panel.confusion.which
    qtbot.waitUntil(lambda: which.isVisible() and len(matrix.names) == 20, timeout=10_000)
    assert {"class 7", "class 50"} <= set(matrix.names)
    row, column = matrix.names.index("class 7"), matrix.names.index("class 50")
    assert matrix.shares[row, column] == pytest.approx(80 / 180)
    assert "44% of class 7 is predicted as class 50" in matrix.tips[row][column]
    which.setCurrentIndex(which.findData("all"))
    which.activated.emit(which.currentIndex())
    assert len(matrix.names) == count


def test_linked_plots_show_the_same_steps_whatever_their_widths(qtbot, panel, tell):
    values = {"loss": 1.0, "confidence weight": 0.5, "learning rate": 1e-4}
    tell([Metrics(stage="adapt-1", step=step, values=values) for step in range(1, 101)])
    plots = [plot for plot in panel.training.plots.values() if plot.isVisible()]
    assert len({plot.canvas.width() for plot in plots}) > 1, "one is as wide as two others"
    tell([Metrics(stage="adapt-1", step=step, values=values) for step in range(101, 201)])

    def ranges():
        return [plot.canvas.getViewBox().viewRange()[0] for plot in plots]

    qtbot.waitUntil(lambda: all(right >= 200 for _, right in ranges()))
    assert all(left <= 1 for left, _ in ranges())
    # The user zooms in any of them: all follow.
    for plot in plots:
        plot.canvas.getViewBox().setXRange(50, 60, padding=0)
        plot.canvas.getViewBox().sigRangeChangedManually.emit(plot.canvas.getViewBox().mouseEnabled())
        qtbot.waitUntil(lambda: all(shown == pytest.approx([50, 60], abs=1) for shown in ranges()))
        panel.training.tools.fit.click()
        qtbot.waitUntil(lambda: all(right >= 200 for _, right in ranges()))


def test_curves_of_a_round_that_is_gone_leave_the_legend(qtbot, session, open_project, panel, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    qtbot.waitUntil(lambda: not panel.training.redraw.due)
    assert panel.training.stage.findData("adapt-2") >= 0
    arrive(session, [Metrics(stage="adapt-2", step=1, values={"an old loss": 1.0})])
    qtbot.waitUntil(lambda: "an old loss" in panel.training.plots["loss"].legend.entries)
    session.opened.set_options({"adapt.rounds": "1"})
    qtbot.waitUntil(lambda: "an old loss" not in panel.training.plots["loss"].legend.entries)
    assert panel.training.stage.findData("adapt-2") < 0


@pytest.mark.parametrize("value", [1.726e-5, 1e-4, 0.42, 250.0, 0.0])
def test_a_single_point_has_an_axis_of_its_size(qtbot, value):
    plot = SeriesPlot("one")
    qtbot.addWidget(plot)
    plot.resize(400, 300)
    plot.show()
    plot.set_curves([PlotCurve("only", np.array([100.0]), np.array([value]), "#ff0000")])
    (left, right), (low, high) = plot.canvas.getViewBox().viewRange()
    assert left < 100 < right and low < value < high
    assert high - low <= max(1.0 * abs(value), 2.5 if value == 0 else 0)
    axis = plot.canvas.getPlotItem().getAxis("left")
    ticks = [
        text for spacing, places in axis.tickValues(low, high, 150) for text in axis.tickStrings(places, 1, spacing)
    ]
    assert max(map(QFontMetrics(axis.font()).horizontalAdvance, ticks)) < axis.width(), "a longer one is left out"
    plot.set_curves([PlotCurve("only", np.array([100.0, 200.0]), np.array([value, value + 1]), "#ff0000")])
    assert plot.canvas.getViewBox().viewRange()[0][0] > 80, "two points need no room for one"


def test_scores_that_differ_by_tenths_do_not_fill_the_plot(qtbot, panel, tell):
    """A score that moves by 0.3 points looked as if it rose and fell steeply."""
    points = [evaluated("baseline", miou, 6 * step) for step, miou in enumerate((0.617, 0.619, 0.616), 1)]
    tell([StageStarted(stage="baseline", total=60), *points])
    plot = panel.training.plots["miou"]
    qtbot.waitUntil(lambda: plot.names == ("mIoU",))
    qtbot.waitUntil(lambda: plot.canvas.getViewBox().viewRange()[1][1] > 61.9)
    low, high = plot.canvas.getViewBox().viewRange()[1]
    assert high - low >= 2 and low < 61.6
