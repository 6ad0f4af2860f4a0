"""Suspicious labels: read from the project, first in the list, outlined with their reason, looked for by a button."""

import json
import time

import pytest
from PySide6.QtCore import Qt

from crots.errors import InputError
from crots_studio.models import suspicion
from crots_studio.models.suspicion import Suspicion
from crots_studio.panels import pseudo_labels
from crots_studio.panels.pseudo_labels import PseudoLabelPanel
from tests.studio.controls import unnamed
from tests.studio.fake_project import KEYS, make_fake_project
from tests.studio.waiting import labels_shown

WORST, NEXT = KEYS[2], KEYS[5]


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path)


def write_suspicion(project):
    images = [{"key": WORST, "doubt": 0.9, "regions": 2}, {"key": NEXT, "doubt": 0.5, "regions": 0}]
    reason = "car: doubt 0.90 on 20 pixels, the student predicts road on 80% of them"
    low = "sky: doubt 0.70 on 9 pixels, the source has low confidence"
    regions = [
        {"key": WORST, "box": [4, 6, 10, 8], "reason": reason, "doubt": 0.9},
        {"key": NEXT, "box": [8, 8, 4, 4], "reason": low, "doubt": 0.8},
        {"key": WORST, "box": [40, 20, 5, 5], "reason": low, "doubt": 0.7},
    ]
    path = project.folder / suspicion.INDEX
    path.parent.mkdir()
    path.write_text(json.dumps({"format": 1, "images": images, "regions": regions}))


@pytest.fixture
def panel(show_panel):
    return show_panel(PseudoLabelPanel, 900, 560)


def listed(panel):
    return [panel.images.labels.keys[index] for index in panel.images.arranged]


def by_suspicion(panel):
    panel.images.order.setCurrentIndex(panel.images.order.findData("suspicious"))


def test_the_most_suspicious_come_first_and_are_outlined(qtbot, session, panel, project, open_project):
    write_suspicion(project)
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    assert panel.area.contents["Labels"].outlines == ()
    by_suspicion(panel)
    assert listed(panel)[:2] == [WORST, NEXT] and len(listed(panel)) == len(KEYS)
    panel.images.go_to(WORST)
    qtbot.waitUntil(lambda: len(outlines(panel)) == 2, timeout=10_000)
    assert outlines(panel)[0].box == (4, 6, 10, 8)
    # The colours tell more doubt from less.
    assert len({outline.colour for outline in outlines(panel)}) == 2
    assert "2 suspicious regions" in panel.about.text()
    panel.images.order.setCurrentIndex(0)
    qtbot.waitUntil(lambda: not outlines(panel), timeout=10_000)


def test_a_key_goes_through_the_regions_of_all_images_worst_first(qtbot, session, panel, project, open_project):
    write_suspicion(project)
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    assert panel.regions.isVisible() and panel.regions.counter.text() == "3 regions"
    assert "the student predicts road" in panel.regions.list.itemText(0) and WORST in panel.regions.list.itemText(0)
    # A filter that hides the image gives way.
    panel.images.search.setText("night/frame_3")
    qtbot.waitUntil(lambda: all("night/frame_3" in key for key in listed(panel)))
    panel.images.thumbnails.setFocus()
    with qtbot.waitActive(panel):
        panel.activateWindow()
    for count, key, box in ((1, WORST, (4, 6, 10, 8)), (2, NEXT, (8, 8, 4, 4)), (3, WORST, (40, 20, 5, 5))):
        qtbot.keyClick(panel.images.thumbnails, Qt.Key.Key_N)
        assert panel.regions.counter.text() == f"{count} of 3"
        qtbot.waitUntil(lambda key=key, box=box: looks_at(panel, key, box), timeout=10_000)
    assert not panel.regions.next.isEnabled()
    qtbot.keyClick(panel.images.thumbnails, Qt.Key.Key_N)
    assert panel.regions.counter.text() == "3 of 3"
    qtbot.keyClick(panel.images.thumbnails, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: looks_at(panel, NEXT, (8, 8, 4, 4)), timeout=10_000)
    panel.regions.list.setCurrentIndex(0)
    qtbot.waitUntil(lambda: looks_at(panel, WORST, (4, 6, 10, 8)), timeout=10_000)


def looks_at(panel, key, box):
    place, size = panel.area.views.place, panel.area.contents["Image"].size
    strong = [outline.box for outline in outlines(panel) if outline.strong]
    near = abs(place.x * size.width - (box[0] + box[2] / 2)) < 0.3 * size.width / place.zoom
    return panel.images.current_key == key and strong == [box] and place.zoom > 1 and near


def test_a_region_of_an_image_that_is_gone_is_reported(qtbot, session, panel, project, open_project):
    write_suspicion(project)
    text = (project.folder / suspicion.INDEX).read_text().replace(NEXT, "gone/frame")
    (project.folder / suspicion.INDEX).write_text(text)
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    with qtbot.waitSignal(session.notice) as said:
        panel.regions.list.setCurrentIndex(1)
    assert "gone/frame" in said.args[0]


def test_without_a_search_there_is_nothing_to_go_through(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    assert not panel.regions.isVisible()


def outlines(panel):
    return panel.area.contents["Labels"].outlines


def test_the_button_looks_in_a_process_and_lists_what_was_found(
    qtbot, session, panel, project, open_project, monkeypatch
):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    asked = []

    def find(folder):
        asked.append(folder)
        write_suspicion(project)

    monkeypatch.setattr(pseudo_labels, "find_suspects", find)
    panel.suspect_button.click()
    assert not panel.suspect_button.isEnabled()
    qtbot.waitUntil(lambda: panel.suspect_button.isEnabled() and listed(panel)[:1] == [WORST], timeout=10_000)
    assert asked == [project.folder] and listed(panel)[0] == WORST


def test_what_the_command_says_is_a_problem_in_words(qtbot, session, panel, project, open_project, monkeypatch):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)

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


def test_the_focus_stays_beside_the_button_while_it_works(qtbot, session, panel, project, open_project, monkeypatch):
    """Qt moves it on from what is disabled: not into a field of another panel, which the next key would change."""
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    monkeypatch.setattr("crots_studio.panels.pseudo_labels.find_suspects", lambda _: time.sleep(0.3))
    with qtbot.waitActive(panel):
        panel.activateWindow()
    panel.suspect_button.setFocus()
    panel.suspect_button.click()
    assert panel.focusWidget() is panel.images.search
    qtbot.waitUntil(panel.suspect_button.isEnabled, timeout=10_000)
