"""The rail panel: rows from the project, staleness at once, selection, keyboard, running one stage."""

import dataclasses

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStyleOptionViewItem

from crots.artefacts import CHOICE
from crots.events import Evaluated, StageFinished, StageStarted
from crots.files import write_json
from crots.project_status import StageStatus
from crots_studio.models.history import History
from crots_studio.models.project_form import Finding
from crots_studio.models.rail import RailRow, looking_rows, next_stage, rail_rows, summary
from crots_studio.models.run_state import RunState
from crots_studio.panels.rail import RailPanel
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def rail(show_panel):
    return show_panel(RailPanel, 220, 600)


@pytest.fixture
def finished(rail, open_project, tmp_path):
    return open_project(make_fake_project(tmp_path).folder)


def states(rail):
    return {row.key: row.state for row in rail.rows}


def test_without_a_project_there_are_no_rows(rail):
    assert rail.rows == [] and rail.list.count() == 0
    assert not rail.run_one.isEnabled()


def test_a_finished_project_has_times_and_scores(rail, finished):
    rows = {row.key: row for row in rail.rows}
    assert list(rows) == ["target", "source", *finished.stage_keys()]
    assert rows["adapt-2"].state == "done"
    assert rows["adapt-2"].miou.endswith("%") and rows["adapt-2"].time.endswith("s")
    assert rail.note.text() == "2 inputs, 7 of 7 stages done"
    assert rail.list.item(3).data(Qt.ItemDataRole.AccessibleTextRole).startswith("Baseline, done")


def test_a_changed_option_shows_what_becomes_stale(qtbot, session, rail, finished):
    session.opened.set_options({"adapt.steps": "7"})
    qtbot.waitUntil(lambda: states(rail)["adapt-1"] == "stale")
    assert states(rail)["baseline"] == "done"
    assert states(rail)["export"] == "stale"
    row = next(row for row in rail.rows if row.key == "adapt-1")
    assert row.reason == "Steps changed"
    session.opened.set_options({"adapt.steps": "100"})
    qtbot.waitUntil(lambda: states(rail)["adapt-1"] == "done")


def test_more_rounds_make_more_rows(qtbot, session, rail, finished):
    session.opened.set_options({"adapt.rounds": "3"})
    qtbot.waitUntil(lambda: "adapt-3" in states(rail))
    assert states(rail)["adapt-2"] == "done"


def test_a_stage_that_comes_or_goes_leads_nobody_away(qtbot, session, rail, finished):
    """Naming validation labels adds a stage: the page that they are named on stays where it is."""
    numbers = [row.key for row in rail.rows]
    rail.list.setCurrentRow(numbers.index("adapt-1"))
    led = []
    rail.chosen.connect(led.append)
    session.opened.set_options({"adapt.rounds": "1"})
    qtbot.waitUntil(lambda: "adapt-2" not in states(rail))
    session.opened.set_options({"data.val_labels": "none"})
    qtbot.waitUntil(lambda: "evaluate" not in states(rail))
    assert rail.current.key == "adapt-1" and not led


def test_a_partly_done_project_begins_at_the_next_stage(rail, open_project, tmp_path):
    open_project(make_fake_project(tmp_path, until="baseline").folder)
    assert rail.current.key == "mine"


def test_a_run_that_is_found_while_the_files_are_checked_leads_nobody_to_a_stage_that_is_done(
    qtbot, session, rail, finished, monkeypatch
):
    """A window that was opened again during the baseline showed Pseudo-labels."""
    keys = finished.stage_keys()
    rail.list.setCurrentRow(0)
    session.run.state.begin(detached=True)
    session.run.state.add([StageStarted(stage="baseline", total=9)])
    rail._show(rail_rows(looking_rows(keys), session.run.state, {}, History()))
    assert rail.current.key == "target"
    status = [StageStatus(key, "done" if key == "pseudo-label" else "waiting") for key in keys]
    rail._show(rail_rows(status, session.run.state, {}, History()))
    assert rail.current.key == "baseline"


def test_arrow_keys_go_through_the_stages(qtbot, rail, finished):
    seen = []
    rail.chosen.connect(seen.append)
    rail.list.setFocus()
    rail.list.setCurrentRow(2)
    qtbot.keyClick(rail.list, Qt.Key.Key_Down)
    assert seen == ["pseudo-label", "baseline"]
    assert rail.run_one.text() == "Run only Baseline"


def test_selection_survives_a_run(qtbot, session, rail, finished, scripted):
    rail.list.setCurrentRow(4)
    scripted(StageStarted(stage="mine", total=1), StageFinished(stage="mine", outcome="completed", seconds=1))
    with qtbot.waitSignal(session.run.ended):
        qtbot.mouseClick(rail.run_one, Qt.MouseButton.LeftButton)
        assert not rail.run_one.isEnabled()
    assert rail.list.currentRow() == 4
    assert scripted.requests[0].only == "mine"


def test_a_blocker_disables_the_button_and_says_why(session, rail, finished):
    rail.list.setCurrentRow(4)
    assert rail.run_one.isEnabled()
    session.run.set_blocker("Target images: gone")
    assert not rail.run_one.isEnabled()
    assert rail.run_one.toolTip() == "Target images: gone"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("source", "Source is an input: choose a stage below it to run it alone"),
        ("export", "Export cannot run alone yet: waiting"),
    ],
)
def test_a_row_that_cannot_run_alone_says_why(rail, open_project, tmp_path, key, why):
    open_project(make_fake_project(tmp_path, until="pseudo-label").folder)
    rail.list.setCurrentRow([row.key for row in rail.rows].index(key))
    assert not rail.run_one.isEnabled()
    assert rail.run_one.toolTip().startswith(why), rail.run_one.toolTip()


def test_a_round_that_is_not_needed_says_why_and_how_to_have_it_all_the_same(rail, open_project, tmp_path):
    project = make_fake_project(tmp_path, until="baseline")
    reason = "the student gains nothing; `adapt.stop_rounds` = false runs it anyway"
    write_json(project.stage_folder("baseline") / CHOICE, {"words": "kept", "ends_rounds": reason})
    open_project(project.folder)
    rail.list.setCurrentRow([row.key for row in rail.rows].index("adapt-1"))
    assert rail.run_one.toolTip() == (
        "Round 1 is not needed: the student gains nothing; switching off “Skip needless rounds” (settings, Adaptation) "
        "runs it anyway"
    )
    assert rail.note.text() == "2 inputs, 2 of 4 stages done"


def test_it_paints_in_both_themes(session, rail, finished):
    pictures = []
    for mode in ("light", "dark"):
        session.set_theme(mode)
        pictures.append(rail.grab().toImage())
    assert pictures[0] != pictures[1]


def test_a_round_that_went_back_and_one_that_is_not_needed_are_reported():
    kept = (
        "stopped after step 60 of 100 and went back to the checkpoint of step 40, the best healthy one: a class is lost"
    )
    status = [
        StageStatus("adapt-1", "done", kept=kept, problem="went back to the checkpoint of step 40"),
        StageStatus("adapt-2", "not needed"),
        StageStatus("export", "ready"),
    ]
    rows = {row.key: row for row in rail_rows(status, RunState(), {}, History())}
    assert rows["adapt-1"].warned
    assert rows["adapt-1"].text == "done, went back to the checkpoint of step 40", "the rest is in the tooltip"
    assert rows["adapt-1"].reason == kept and not rows["adapt-2"].warned
    assert rows["adapt-1"].look == "stale", "amber, not green"
    listed = list(rows.values())
    assert summary(listed) == "1 of 2 stages done, 1 with a warning", (
        "what is not needed is neither done nor to be done"
    )
    assert next_stage(listed).key == "export"


def test_a_model_that_scores_below_the_source_is_not_green_and_one_as_good_is():
    status = [StageStatus("baseline", "done"), StageStatus("adapt-1", "done"), StageStatus("adapt-2", "stale")]
    history = History()
    for number, (subject, miou) in enumerate(
        [("source", 0.412), ("baseline", 0.398), ("adapt-1", 0.4119), ("adapt-2", 0.3)], 1
    ):
        history.add([Evaluated(stage="evaluate", subject=subject, miou=miou, per_class_iou={}, time=float(number))])
    rows = {row.key: row for row in rail_rows(status, RunState(), {}, history)}
    assert rows["baseline"].warned and rows["baseline"].text == "done, scores below the source"
    assert rows["adapt-1"].look == "done" and rows["adapt-1"].text == "done", "as displayed they are even"
    assert not rows["adapt-2"].warned, "it will be trained again"


def test_an_input_with_faults_is_not_green():
    findings = {"data.target": Finding("warning", "1 of 4 cannot be read"), "source": Finding("good", "fine")}
    rows = {row.key: row for row in rail_rows([StageStatus("baseline", "ready")], RunState(), findings, History())}
    assert rows["target"].look == "stale" and rows["source"].look == "done"


def test_long_words_have_the_whole_width_and_the_time_only_room_beside_short_ones(rail):
    option = QStyleOptionViewItem()
    option.initFrom(rail.list)
    delegate = rail.list.itemDelegate()
    quick = RailRow("baseline", "Baseline", "done", "done", time="2 min 43 s")
    long = dataclasses.replace(quick, text="done, went back to the checkpoint of step 40")
    assert delegate._room(option, long, 200).width() > delegate._room(option, quick, 200).width()
    assert delegate._time(option, quick, 200) == quick.time and not delegate._time(option, long, 200)


def test_the_words_of_the_button_are_never_cut(qtbot, session, open_project, rail, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    qtbot.waitUntil(lambda: any(row.key == "pseudo-label" for row in rail.rows))
    rail.list.setCurrentRow(next(number for number, row in enumerate(rail.rows) if row.key == "pseudo-label"))
    for width in (rail.minimumWidth(), 320):
        rail.resize(width, 600)
        qtbot.waitUntil(lambda width=width: rail.width() == width)
        assert rail.run_one.minimumSizeHint().width() <= rail.run_one.width(), width
    assert rail.run_one.text() == "Run only Pseudo-labels"
