"""The bar at the top: once nothing is left to run, it offers what comes next."""

from PySide6.QtCore import Qt

from crots_studio.panels.run_bar import RunBar
from tests.studio.fake_project import make_fake_project


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
