"""Suspicious labels: read from the project, first in the list, outlined with their reason, looked for by a button."""

import json
import time

import pytest

from crots.errors import InputError
from crots_studio.models import suspicion
from crots_studio.models.suspicion import Suspicion
from crots_studio.panels import pseudo_labels
from crots_studio.panels.pseudo_labels import PseudoLabelPanel
from tests.studio.controls import unnamed
from tests.studio.fake_project import KEYS, make_fake_project

WORST, NEXT = KEYS[2], KEYS[5]


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path)


def write_suspicion(project):
    images = [{"key": WORST, "doubt": 0.9, "regions": 2}, {"key": NEXT, "doubt": 0.5, "regions": 0}]
    reason = "car: doubt 0.90 on 20 pixels, the student predicts road on 80% of them"
    regions = [
        {"key": WORST, "box": [4, 6, 10, 8], "reason": reason},
        {"key": WORST, "box": [40, 20, 5, 5], "reason": "sky: doubt 0.70 on 9 pixels, the source has low confidence"},
    ]
    path = project.folder / suspicion.INDEX
    path.parent.mkdir()
    path.write_text(json.dumps({"format": 1, "images": images, "regions": regions}))


@pytest.fixture
def panel(show_panel):
    return show_panel(PseudoLabelPanel, 900, 560)


def listed(panel):
    return [panel.images.labels.keys[index] for index in panel.images._order]


def by_suspicion(panel):
    panel.images.order.setCurrentIndex(panel.images.order.findData("suspicious"))


def ready(qtbot, panel):
    qtbot.waitUntil(lambda: panel._maps is not None and panel.images.labels.labelled, timeout=10_000)
    qtbot.waitUntil(lambda: panel._session.errands.idle, timeout=10_000)
    qtbot.wait(20)


def test_the_most_suspicious_come_first_and_are_outlined(qtbot, panel, project, open_project):
    write_suspicion(project)
    open_project(project.folder)
    ready(qtbot, panel)
    assert panel.area._contents["Labels"].lines == ()
    by_suspicion(panel)
    assert listed(panel)[:2] == [WORST, NEXT] and len(listed(panel)) == len(KEYS)
    panel.images.go_to(WORST)
    qtbot.waitUntil(lambda: len(panel.area._contents["Labels"].lines) == 8, timeout=10_000)
    assert panel.area._contents["Labels"].lines[0] == (4, 6, 14, 6)
    assert "2 suspicious regions" in panel.about.text() and "the student predicts road" in panel.about.text()
    panel.images.order.setCurrentIndex(0)
    qtbot.waitUntil(lambda: not panel.area._contents["Labels"].lines, timeout=10_000)


def test_the_button_looks_in_a_process_and_lists_what_was_found(qtbot, panel, project, open_project, monkeypatch):
    open_project(project.folder)
    ready(qtbot, panel)
    asked = []

    def find(folder):
        asked.append(folder)
        write_suspicion(project)

    monkeypatch.setattr(pseudo_labels, "find_suspects", find)
    panel.suspect_button.click()
    assert not panel.suspect_button.isEnabled()
    qtbot.waitUntil(lambda: panel.suspect_button.isEnabled() and bool(panel._suspicion.doubt), timeout=10_000)
    assert asked == [project.folder] and listed(panel)[0] == WORST


def test_what_the_command_says_is_a_problem_in_words(qtbot, session, panel, project, open_project, monkeypatch):
    open_project(project.folder)
    ready(qtbot, panel)

    def refuse(folder):
        raise InputError("the source gave no confidence")

    monkeypatch.setattr(pseudo_labels, "find_suspects", refuse)
    with qtbot.waitSignal(session.problem) as problem:
        panel.suspect_button.click()
    assert problem.args == ["the source gave no confidence"] and panel.suspect_button.isEnabled()


def test_a_torn_file_counts_as_none(project):
    write_suspicion(project)
    path = project.folder / suspicion.INDEX
    assert Suspicion.read(project.folder).doubt[WORST] == 0.9
    path.write_text('{"images": [{"key": "a"}]}')
    assert not Suspicion.read(project.folder).doubt
    path.write_text("{")
    assert not Suspicion.read(project.folder).doubt


def test_every_control_has_a_name(panel):
    assert unnamed(panel) == []


def test_the_focus_stays_beside_the_button_while_it_works(qtbot, panel, project, open_project, monkeypatch):
    """Qt moves it on from what is disabled: not into a field of another panel, which the next key would change."""
    open_project(project.folder)
    ready(qtbot, panel)
    monkeypatch.setattr("crots_studio.panels.pseudo_labels.find_suspects", lambda _: time.sleep(0.3))
    with qtbot.waitActive(panel):
        panel.activateWindow()
    panel.suspect_button.setFocus()
    panel.suspect_button.click()
    assert panel.focusWidget() is panel.images.search
    qtbot.waitUntil(panel.suspect_button.isEnabled, timeout=10_000)
