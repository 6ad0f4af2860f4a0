"""The bar at the top: once nothing is left to run, it offers what comes next."""

import threading

from PySide6.QtCore import Qt

from crots.artefacts import CHOICE
from crots.eventlog import EventLog
from crots.events import Progress, StageStarted
from crots.files import write_json
from crots.opening import Inputs
from crots_studio.panels.run_bar import RunBar
from tests.studio.fake_project import fail_stage, make_fake_project


def test_export_is_offered_once_all_stages_are_done_and_not_before(qtbot, session, show_panel, open_project, tmp_path):
    bar = show_panel(RunBar, 1000, 60)
    assert not bar.export.isVisible(), "no project"
    open_project(make_fake_project(tmp_path).folder)
    qtbot.waitUntil(lambda: bar.export.isVisible(), timeout=60_000)
    assert bar.text.text() == "All stages are done" and not bar.estimate.isVisible()
    assert bar.export.property("role") == "primary" and not bar.run.isEnabled(), "one next step"
    with qtbot.waitSignal(bar.export_wanted):
        qtbot.mouseClick(bar.export, Qt.MouseButton.LeftButton)
    for button, wanted in ((bar.apply, bar.apply_wanted), (bar.report, bar.report_wanted)):
        with qtbot.waitSignal(wanted):
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    places = [button.pos() for button in (bar.device, bar.cancel, bar.stop, bar.pause, bar.run)]
    session.opened.set_options({"adapt.steps": "7"})
    qtbot.waitUntil(lambda: bar.estimate.isVisible() and not bar.export.isVisible(), timeout=60_000)
    assert not bar.apply.isVisible() and not bar.report.isVisible()
    assert places == [button.pos() for button in (bar.device, bar.cancel, bar.stop, bar.pause, bar.run)]


def test_what_will_run_and_what_it_replaces_is_said_before(qtbot, session, show_panel, open_project, tmp_path):
    bar = show_panel(RunBar, 1000, 60)
    open_project(make_fake_project(tmp_path, rounds=1).folder)
    session.opened.set_options({"adapt.steps": "7"})
    qtbot.waitUntil(lambda: bar.text.text() == "Ready to run 3 stages; replaces 3 results", timeout=60_000)
    tip = bar.run.toolTip()
    assert "Round 1, Evaluation, Export" in tip and "stays until the new one is complete" in tip


def test_only_stages_that_will_run_are_counted(qtbot, session, show_panel, open_project, tmp_path):
    """A student that starts afresh has no rounds: 7 were announced and 4 were run."""
    bar = show_panel(RunBar, 1000, 60)
    project = make_fake_project(tmp_path, until="")
    open_project(project.folder)
    qtbot.waitUntil(lambda: bar.text.text() == "Ready to run 4 stages", timeout=60_000)
    assert "Round" not in bar.run.toolTip() and "Hard patches" not in bar.run.toolTip()
    session.opened.set_options({"adapt.stop_rounds": "false"})
    qtbot.waitUntil(lambda: bar.text.text() == "Ready to run 7 stages", timeout=60_000)
    assert "Round 2" in bar.run.toolTip() and "would not help" not in bar.run.toolTip()


def test_rounds_that_may_be_left_out_are_no_promise(qtbot, session, show_panel, open_project, tmp_path):
    bar = show_panel(RunBar, 1000, 60)
    open_project(make_fake_project(tmp_path, until="baseline").folder)
    qtbot.waitUntil(lambda: bar.text.text() == "Ready to run up to 5 stages", timeout=60_000)
    assert "would not help" in bar.run.toolTip()


def test_how_a_file_of_weights_starts_a_student_is_found_out(
    qtbot, session, show_panel, open_project, tmp_path, monkeypatch
):
    monkeypatch.setattr(Inputs, "start", property(lambda self: "pretrained"))
    (tmp_path / "weights.pth").write_bytes(b"weights")
    bar = show_panel(RunBar, 1000, 60)
    weights = {"student": {"weights": str(tmp_path / "weights.pth")}}
    open_project(make_fake_project(tmp_path, until="", sections=weights).folder)
    qtbot.waitUntil(lambda: bar.text.text() == "Ready to run 4 stages", timeout=60_000)


def test_a_failure_is_named_with_its_stage(qtbot, session, show_panel, open_project, tmp_path):
    bar = show_panel(RunBar, 1000, 60)
    project = make_fake_project(tmp_path)
    fail_stage(project, "adapt-1", "the images are gone")
    open_project(project.folder)
    session.opened.set_options({"adapt.steps": "7"})
    text = "Round 1 failed: fix the cause, then Resume tries it again"
    qtbot.waitUntil(lambda: bar.text.text() == text, timeout=60_000)
    assert bar.run.text() == "Resume" and bar.run.isEnabled()


def test_the_bar_moves_before_the_first_step_and_after_the_last(
    qtbot, session, show_panel, open_project, tmp_path, scripted
):
    """It stood empty while an estimate was measured, and full while a stage was scored."""
    bar = show_panel(RunBar, 1000, 60)
    open_project(make_fake_project(tmp_path, until="mine").folder)
    qtbot.waitUntil(lambda: bar.run.isEnabled())
    gates = [threading.Event() for _ in range(3)]

    def at(number):
        return lambda control: gates[number].wait(600)

    scripted(
        StageStarted(stage="adapt-1", total=8),
        at(0),
        Progress(stage="adapt-1", done=2, total=8, rate=3.0),
        at(1),
        Progress(stage="adapt-1", done=8, total=8, rate=3.0),
        at(2),
    )
    qtbot.mouseClick(bar.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bar.text.text() == "Round 1: step 0 of 8")
    assert (bar.bar.minimum(), bar.bar.maximum()) == (0, 0), "Qt's way to say that the end is not known"
    gates[0].set()
    qtbot.waitUntil(lambda: bar.bar.maximum() > 0 and bar.bar.value() == bar.bar.maximum() // 4)
    gates[1].set()
    qtbot.waitUntil(lambda: bar.text.text() == "Round 1: step 8 of 8")
    assert bar.bar.maximum() == 0
    gates[2].set()
    qtbot.waitUntil(lambda: not session.run.busy)
    assert bar.bar.maximum() > 0 and not bar.bar.isVisible()


def test_what_is_wrong_with_a_model_is_said_beside_its_export(qtbot, session, show_panel, open_project, tmp_path):
    """A student that had learnt nothing was offered for export under "All stages are done"."""
    project = make_fake_project(tmp_path / "done")
    write_json(project.stage_folder("baseline") / CHOICE, {"problem": "has not learnt the pseudo-labels"})
    bar = show_panel(RunBar, 1000, 60)
    open_project(project.folder)
    qtbot.waitUntil(lambda: bar.text.text().endswith("all stages are done"))
    assert bar.text.text() == "Baseline has not learnt the pseudo-labels; all stages are done"
    assert bar.text.property("role") == "warning" and bar.export.isVisible()
    open_project(make_fake_project(tmp_path / "well").folder)
    qtbot.waitUntil(lambda: bar.text.text() == "All stages are done")
    assert bar.text.property("role") == "muted"


def test_work_that_would_begin_anew_is_not_called_resumed(qtbot, session, show_panel, open_project, tmp_path):
    bar = show_panel(RunBar, 1000, 60)
    project = make_fake_project(tmp_path, until="pseudo-label")
    project.begin("baseline")
    log = EventLog(project.events_path)
    log.append(StageStarted(stage="baseline", total=100))
    log.append(Progress(stage="baseline", done=40, total=100))
    open_project(project.folder)
    qtbot.waitUntil(lambda: bar.text.text() == "Interrupted: Resume continues from the last checkpoint", timeout=60_000)
    session.opened.set_options({"baseline.batch": "1"})
    qtbot.waitUntil(lambda: bar.text.text().startswith("Ready to run"), timeout=60_000)
    assert bar.run.text() == "Run"
