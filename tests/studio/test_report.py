"""The report from the menu: written beside the window, opened in the browser, refused with a reason."""

import pytest
from PySide6.QtGui import QDesktopServices

from crots_studio import actions
from tests.studio.fake_project import make_fake_project

NAME = "Create report"


@pytest.fixture
def opened(monkeypatch):
    pages = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: pages.append(url.toLocalFile()) or True)
    return pages


def report_of(qtbot, window, open_project, folder):
    open_project(folder)
    qtbot.waitUntil(lambda: window.session.errands.idle, timeout=30_000)
    return window.menus.actions[NAME]


def test_it_is_written_and_opened(qtbot, window, open_project, opened, tmp_path, monkeypatch):
    folder = make_fake_project(tmp_path).folder
    action = report_of(qtbot, window, open_project, folder)
    assert action.isEnabled()
    action.trigger()
    assert not action.isEnabled() and "being written" in action.toolTip()
    qtbot.waitUntil(lambda: bool(opened), timeout=60_000)
    assert opened == [str(folder / "report.html")]
    assert "what adaptation changed" in (folder / "report.html").read_text()
    assert action.isEnabled()


def test_the_button_beside_export_writes_it_and_says_so(qtbot, window, open_project, opened, tmp_path, monkeypatch):
    open_project(make_fake_project(tmp_path / "fake").folder)
    received = []
    window.session.notice.connect(received.append)
    monkeypatch.setattr("crots_studio.actions.write_report_page", lambda project: tmp_path / "report.html")
    bar = window.run_bar
    qtbot.waitUntil(lambda: not bar.report.isHidden(), timeout=60_000)
    bar.report.click()
    assert received and received[0].startswith("Writing the report")
    # Where it lies too: a browser may fail without a word.
    qtbot.waitUntil(lambda: received[-1] == f"The report is {tmp_path / 'report.html'}", timeout=60_000)
    assert opened


def test_a_failure_is_reported_in_a_box(qtbot, window, open_project, opened, tmp_path, monkeypatch):
    def fail(project):
        raise OSError("the disk is gone")

    monkeypatch.setattr(actions, "write_report_page", fail)
    action = report_of(qtbot, window, open_project, make_fake_project(tmp_path).folder)
    action.trigger()
    qtbot.waitUntil(lambda: hasattr(window.project_actions, "message"), timeout=10_000)
    assert "the disk is gone" in window.project_actions.message.text()
    window.project_actions.message.close()
    assert action.isEnabled() and not opened


def test_it_says_why_it_cannot_be_written(qtbot, window, open_project, tmp_path):
    action = window.menus.actions[NAME]
    assert not action.isEnabled() and "Open a project" in action.toolTip()
    report_of(qtbot, window, open_project, make_fake_project(tmp_path, until="").folder)
    assert not action.isEnabled() and "Nothing has run" in action.toolTip()
    window.session.opened.close_project()
    assert "Open a project" in action.toolTip()
