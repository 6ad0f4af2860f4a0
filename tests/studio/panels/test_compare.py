"""Comparing runs: this project's and others', ticking, removing, oracle marks, CSV that equals the table."""

import csv
import io
import json
from itertools import pairwise

import filelock
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QDropEvent
from PySide6.QtTest import QTest

from crots.eventlog import EventLog
from crots.events import Evaluated, Metrics, StageFinished, StageStarted
from crots.notes import RunNote, notes_path, read_notes, write_note
from crots.project import Project
from crots.project_config import build_config
from crots_studio import theme
from crots_studio.models.comparison_choice import ComparisonChoice
from crots_studio.models.image_ranking import Question
from crots_studio.models.runs import labels, read_runs
from crots_studio.panels.compare.bar_plot import BarPlot, Bars
from crots_studio.panels.compare.panel import ComparePanel
from crots_studio.panels.compare.run_chart import CLASSES, SCORES
from tests.studio.controls import unnamed


def training(stage, miou, **options):
    yield StageStarted(stage=stage, total=20, options={"steps": 20, **options})
    for step in (10, 20):
        yield Metrics(stage=stage, step=step, values={"loss": miou / step})
        per_class = {"road": miou, "sky": None}
        yield Evaluated(stage=stage, subject=stage, step=step, miou=miou, per_class_iou=per_class)
    yield StageFinished(stage=stage, outcome="completed", seconds=3.0)


def make(folder, *stages):
    project = Project.create(folder, build_config({"task": {"classes": "demo"}}))
    log = EventLog(project.events_path)
    for events in stages:
        for event in events:
            log.append(event)
    return project.folder


@pytest.fixture
def panel(show_panel):
    return show_panel(ComparePanel, 900, 600)


@pytest.fixture
def opened(qtbot, open_project, panel, tmp_path):
    open_project(make(tmp_path / "mine", training("baseline", 0.3), training("adapt-1", 0.5, mix="cutmix")))
    qtbot.waitUntil(lambda: len(panel.runs) == 2 and not panel.redraw.due)
    return panel


def test_a_run_that_was_killed_is_not_said_to_be_running_for_ever(qtbot, open_project, panel, tmp_path):
    folder = make(tmp_path / "mine", list(training("baseline", 0.3))[:-1])
    with filelock.FileLock(folder / ".lock"):
        open_project(folder)
        qtbot.waitUntil(lambda: [run.state for run in panel.runs] == ["running"])
    panel._session.run.busy_changed.emit(False)
    qtbot.waitUntil(lambda: [run.state for run in panel.runs] == ["unfinished"])


def row_of(panel, title):
    model = panel.table.model()
    return next(row for row in range(model.rowCount()) if model.index(row, 0).data() == title)


def test_nothing_to_compare_says_what_to_do(panel):
    assert panel.stack.currentIndex() == 0
    assert "drop their folders here" in panel.stack.currentWidget().text()
    assert panel.add_button.isEnabled() and not panel.save_table.isEnabled()


def test_own_runs_are_listed_and_drawn(opened):
    assert opened.what.currentText() == SCORES
    assert [bars.values for bars in opened.chart.bars.shown[1]] == [(30.0, None), (None, 50.0)]
    assert opened.table.isColumnHidden(1)
    opened.what.setCurrentIndex(opened.what.findText("loss over steps"))
    opened.what.activated.emit(0)
    assert opened.chart.curves.title == "loss"
    curve = opened.chart.curves.shown["Round 1"]
    assert curve.x.tolist() == [10, 20] and curve.y.tolist() == [0.05, 0.025]


def open_iou(panel, title, name):
    """Return on the IoU of a class."""
    model = panel.table.model()
    columns = [model.headerData(column, Qt.Orientation.Horizontal) for column in range(model.columnCount())]
    panel.table.setCurrentIndex(model.index(row_of(panel, title), columns.index(name)))
    QTest.keyClick(panel.table, Qt.Key.Key_Return)


def test_an_iou_asks_for_its_images(qtbot, session, opened, tmp_path):
    asked, said = [], []
    opened.images_wanted.connect(asked.append)
    session.notice.connect(said.append)
    open_iou(opened, "Round 1", "road")
    assert asked == [Question("adapt-1", "road")] and not said
    open_iou(opened, "Round 1", "mIoU %")
    assert len(asked) == 1
    other = make(tmp_path / "other", training("adapt-2", 0.6))
    opened.add_project(other)
    qtbot.waitUntil(lambda: len(opened.runs) == 3 and not opened.redraw.due)
    open_iou(opened, "Round 2", "road")
    assert len(asked) == 1 and "Open the project other" in said[0]


def test_unticking_takes_a_run_off_the_chart(qtbot, opened):
    opened.table.selectRow(row_of(opened, "Baseline"))
    opened.table.setFocus()
    qtbot.keyClick(opened.table, Qt.Key.Key_Space)
    assert [run.stage for run in opened.chosen] == ["adapt-1"]
    assert opened.chart.bars.shown[0] == ("Round 1",)


def test_names_of_bars_are_whole_in_two_lines_where_one_has_no_room(qtbot):
    plot = BarPlot("mIoU")
    qtbot.addWidget(plot)
    plot.resize(800, 300)
    plot.show()
    names = [f"a_project_{n}: Round {n}" for n in range(7)]
    plot.set_bars(names, [Bars("x", (1.0,) * 7, "#ff0000", width=0.6)])
    drawn = plot.names
    qtbot.waitUntil(lambda: drawn.written[2:3] == ("a_project_2:\nRound 2",) and not drawn.upright)
    plot.resize(2000, 300)
    qtbot.waitUntil(lambda: drawn.written == tuple(names) and not drawn.upright)
    plot.resize(300, 300)
    qtbot.waitUntil(lambda: drawn.written == tuple(names) and drawn.upright)


def test_upright_names_are_all_there(qtbot):
    plot = BarPlot("mIoU")
    qtbot.addWidget(plot)
    plot.resize(900, 300)
    names = [f"a long name of class {n:02d}" for n in range(30)]
    plot.set_bars(names, [Bars("x", (1.0,) * 30, "#ff0000")])
    plot.show()
    qtbot.waitUntil(lambda: plot.names.upright and [name for _, name in plot.names.upright_names()] == names)
    places = plot.names.upright_names()
    steps = {round(after - before) for (before, _), (after, _) in pairwise(places)}
    assert max(steps) - min(steps) <= 1 and places[0][0] > 0


def test_runs_without_a_score_have_no_bar(qtbot, open_project, panel, tmp_path):
    unscored = [event for event in training("train", 0.5) if not isinstance(event, Evaluated)]
    open_project(make(tmp_path / "mine", unscored, training("baseline", 0.3)))
    qtbot.waitUntil(lambda: len(panel.runs) == 2 and not panel.redraw.due)
    assert panel.chart.bars.shown[0] == ("Baseline",)
    panel.table.table.setData(panel.table.table.index(1, 0), Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    qtbot.waitUntil(lambda: len(panel.chosen) == 1 and not panel.redraw.due)
    message = "None of the ticked" in getattr(panel.chart.currentWidget(), "text", lambda: "")()
    assert message == (panel.chosen[0].stage == "train")


def test_another_project_is_added_marked_and_removed(qtbot, session, opened, tmp_path):
    other = make(tmp_path / "other", training("adapt-1", 0.9, select="oracle", mix="spatialmix"))
    opened.add_project(other)
    qtbot.waitUntil(lambda: len(opened.runs) == 3 and not opened.redraw.due)
    assert not opened.table.isColumnHidden(1)
    kept = ComparisonChoice.of_text(session.settings.project_value(session.project.folder, "compare"))
    assert kept.projects == [str(other)]
    assert "other: Round 1 (oracle)" in opened.chart.bars.shown[0]
    assert [bars.hatched for bars in opened.chart.bars.shown[1]] == [False, False, True]
    model = opened.table.model()
    texts = {model.index(row, 2).data() for row in range(model.rowCount())}
    assert texts == {"30.0", "50.0", "90.0 oracle"}
    differs = {model.index(row, 6).data() for row in range(model.rowCount())}
    assert differs == {"", "mix cutmix", "select oracle, mix spatialmix"}
    place = next(row for row in range(model.rowCount()) if model.index(row, 1).data() == "other")
    opened.table.selectRow(place)
    assert opened.remove_button.isEnabled()
    opened.remove_button.click()
    kept = ComparisonChoice.of_text(session.settings.project_value(session.project.folder, "compare"))
    assert len(opened.runs) == 2 and kept.projects == []


def test_the_own_project_cannot_be_removed(opened):
    opened.table.selectRow(0)
    assert not opened.remove_button.isEnabled()


def test_other_projects_are_remembered(qtbot, session, open_project, panel, tmp_path):
    mine, third = (make(tmp_path / name, training("baseline", 0.3)) for name in ("mine", "third"))
    open_project(mine)
    panel.add_project(make(tmp_path / "other", training("adapt-1", 0.9)))
    qtbot.waitUntil(lambda: len(panel.runs) == 2)
    open_project(third)
    qtbot.waitUntil(lambda: len(panel.runs) == 1)
    qtbot.waitUntil(lambda: session.errands.idle)
    assert len(panel.runs) == 1, "what one project is compared with is no business of another"
    open_project(mine)
    qtbot.waitUntil(lambda: len(panel.runs) == 2)


def test_ticks_are_remembered_for_each_project(qtbot, session, open_project, panel, tmp_path):
    mine = make(tmp_path / "mine", training("baseline", 0.3), training("adapt-1", 0.5))
    third = make(tmp_path / "third", training("baseline", 0.3))
    open_project(mine)
    qtbot.waitUntil(lambda: len(panel.chosen) == 2)
    first = panel.table.model().index(0, 0)
    panel.table.model().setData(first, Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    kept = {run.key for run in panel.chosen}
    assert len(kept) == 1
    open_project(third)
    qtbot.waitUntil(lambda: [run.project for run in panel.chosen] == ["third"])
    open_project(mine)
    qtbot.waitUntil(lambda: len(panel.runs) == 2)
    assert {run.key for run in panel.chosen} == kept


def test_colours_do_not_depend_on_what_was_opened_before(qtbot, session, open_project, panel, tmp_path):
    mine = make(tmp_path / "mine", training("baseline", 0.3), training("adapt-1", 0.5))
    open_project(mine)
    qtbot.waitUntil(lambda: len(panel.runs) == 2)
    before = [panel.colour_of(run) for run in panel.runs]
    open_project(make(tmp_path / "third", training("baseline", 0.3)))
    qtbot.waitUntil(lambda: len(panel.runs) == 1)
    assert panel.colour_of(panel.runs[0]) == before[0]
    open_project(mine)
    qtbot.waitUntil(lambda: len(panel.runs) == 2)
    assert [panel.colour_of(run) for run in panel.runs] == before


@pytest.mark.parametrize("dark", [False, True])
def test_colours_of_runs_never_run_out(qapp, dark):
    theme.apply(dark)
    try:
        colours = [theme.run_colour(place) for place in range(60)]
        assert len(set(colours)) == 60
        assert min(contrast(colour, theme.colours().background) for colour in colours) > 2.4
    finally:
        theme.apply(False)


def contrast(one, other):
    """As the web's accessibility guidelines measure it."""

    def light(name):
        parts = [value / 255 for value in QColor(name).getRgb()[:3]]
        parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda part: (
            st.lists(part, max_size=4)
            | st.dictionaries(st.sampled_from(["projects", "ticked", "unticked"]), part, max_size=3)
        ),
        max_leaves=12,
    ).map(json.dumps)
)
def test_a_choice_of_any_text_is_read_and_written_again(text):
    choice = ComparisonChoice.of_text(text)
    assert ComparisonChoice.of_text(choice.text) == choice


def test_a_folder_without_a_project_is_reported(qtbot, session, panel, tmp_path):
    with qtbot.waitSignal(session.problem) as problem:
        panel.add_project(tmp_path)
    assert "no crots.toml" in problem.args[0]


def test_a_folder_that_is_dropped_on_a_line_is_left_to_the_page(opened):
    assert not opened.note_row.title.acceptDrops() and not opened.note_row.note.acceptDrops()


def test_dropping_a_folder_adds_it(qtbot, opened, tmp_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(make(tmp_path / "other", training("adapt-1", 0.9))))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    opened.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, buttons, keys))
    qtbot.waitUntil(lambda: len(opened.runs) == 3)


def test_new_scores_of_a_live_run_arrive(qtbot, session, opened):
    log = EventLog(session.project.events_path)
    new = list(training("adapt-2", 0.6))
    for event in new:
        log.append(event)
    session.run.events_arrived.emit(new)
    qtbot.waitUntil(lambda: len(opened.runs) == 3)
    assert len(opened.chosen) == 3


def test_bars_by_class_leave_out_what_occurs_nowhere(opened):
    opened.what.setCurrentIndex(opened.what.findText(CLASSES))
    opened.what.activated.emit(1)
    groups, bars = opened.chart.bars.shown
    assert groups == ("road", "sky")
    assert [one.values for one in bars] == [(30.0, None), (50.0, None)]


def test_saved_numbers_equal_the_runs(opened):
    rows = list(csv.DictReader(io.StringIO(opened.run_table())))
    scores = [(row["model"], float(row["mIoU"]), row["sky"]) for row in rows]
    assert scores == [("baseline", 0.3, ""), ("adapt-1", 0.5, "")]
    opened.what.setCurrentIndex(opened.what.findText("loss over steps"))
    rows = list(csv.DictReader(io.StringIO(opened.chart_table())))
    assert [float(row["loss"]) for row in rows] == [0.03, 0.015, 0.05, 0.025]


def test_scores_sort_as_numbers(opened):
    opened.table.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    assert opened.table.model().index(0, 0).data() == "Round 1"


def test_a_project_whose_disk_is_not_there_today_stays_remembered(qtbot, session, open_project, panel, tmp_path):
    here, gone = make(tmp_path / "here", training("adapt-1", 0.9)), tmp_path / "gone"
    mine = make(tmp_path / "mine", training("baseline", 0.3))
    session.settings.set_project_value(mine, "compare", ComparisonChoice([str(gone), str(here)]).text)
    open_project(mine)
    qtbot.waitUntil(lambda: len(panel.runs) == 2)
    panel.add_project(make(tmp_path / "new", training("adapt-1", 0.8)))
    qtbot.waitUntil(lambda: len(panel.runs) == 3)
    kept = ComparisonChoice.of_text(session.settings.project_value(mine, "compare"))
    assert kept.projects == [str(gone), str(here), str(tmp_path / "new")]


def note(panel, title, text, *, of="Run"):
    """Types into the fields below the table and leaves them."""
    panel.note_row.of.setCurrentText(of)
    for field, words in ((panel.note_row.title, title), (panel.note_row.note, text)):
        field.selectAll()
        field.insert(words)
        field.setModified(True)
        field.editingFinished.emit()


def test_runs_and_projects_get_names_and_notes_which_can_be_undone(opened, session):
    row = opened.note_row
    assert not row.title.isEnabled() and not unnamed(opened)
    opened.table.selectRow(row_of(opened, "Round 1"))
    assert row.title.isEnabled() and "Round 1" in row.title.accessibleName()
    note(opened, "no mixing", "worse on poles")
    note(opened, "CamVid", "second try", of="Project")
    place = row_of(opened, "Round 1 (no mixing)")
    assert opened.table.model().index(place, 7).data() == "worse on poles" and opened.table.columnWidth(7) > 40
    assert opened.table.model().index(place, 1).data() == "CamVid" and opened.table.columnWidth(1) > 40
    assert opened.table.selected_run().stage == "adapt-1", "the row stays selected"
    run = next(run for run in read_runs(session.project.folder).runs if run.stage == "adapt-1")
    assert (run.note, run.project_note) == (RunNote("no mixing", "worse on poles"), RunNote("CamVid", "second try"))
    found = next(iter(csv.DictReader(io.StringIO(opened.run_table()))))
    assert found["project title"] == "CamVid"
    assert opened.history.undo_text == "Note of mine"
    for _ in range(3):
        opened.undo()
    assert read_notes(session.project.folder).project == RunNote()
    assert read_notes(session.project.folder).runs == {run.note_key: RunNote("no mixing", "")}
    opened.undo()
    opened.redo()
    assert row_of(opened, "Round 1 (no mixing)") >= 0
    assert opened.history.redo_text == "Note of Round 1"


def test_undo_goes_back_to_the_options_where_no_note_was_written(opened, session):
    session.opened.set_options({"adapt.steps": "77"})
    assert opened.history is session.opened
    opened.undo()
    assert session.project.config.adapt.steps != 77


def test_a_note_that_cannot_be_written_is_reported(opened, session):
    (session.project.folder / "records").mkdir(exist_ok=True)
    notes_path(session.project.folder).write_text("{")
    problems = []
    session.problem.connect(problems.append)
    opened.table.selectRow(0)
    note(opened, "lost", "")
    assert problems and "damaged" in problems[0] and opened.history is session.opened


def test_what_was_typed_is_kept_when_another_row_is_chosen(opened, session):
    opened.table.selectRow(row_of(opened, "Round 1"))
    opened.note_row.title.insert("typed")
    opened.note_row.title.setModified(True)
    opened.table.selectRow(row_of(opened, "Baseline"))
    assert row_of(opened, "Round 1 (typed)") >= 0 and opened.note_row.title.text() == ""


def test_two_projects_are_distinguished_by_their_titles(qtbot, opened, tmp_path):
    other = make(tmp_path / "other", training("baseline", 0.4))
    write_note(other, "", RunNote("upper bound", ""))
    opened.add_project(other)
    qtbot.waitUntil(lambda: len(opened.runs) == 3)
    assert "upper bound: Baseline" in labels(opened.runs)
