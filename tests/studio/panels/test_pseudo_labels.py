"""The panel of pseudo-labels, by its widgets."""

import os

import numpy as np
import psutil
import pytest
from PySide6.QtCore import Qt

from crots.events import StageFinished
from crots.taxonomy import load_class_set
from crots_studio import theme
from crots_studio.panels.pseudo_labels import PseudoLabelPanel
from tests.studio.controls import unnamed
from tests.studio.fake_project import KEYS, finish_stage, make_fake_project, scene
from tests.studio.waiting import labels_shown

# A longer soak: CROTS_SOAK=10000 makes it a thousand.
SWITCHES = int(os.environ.get("CROTS_SOAK", "1000")) // 10


@pytest.fixture
def panel(show_panel):
    return show_panel(PseudoLabelPanel, 820, 480)


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path, until="pseudo-label")


def test_without_a_project_it_says_what_to_do(panel):
    assert "project" in panel.area.views.views[0].empty_text
    assert not panel.area.isEnabled()


def test_images_are_listed_hardest_first_and_shown(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    assert len(panel.images.labels) == len(KEYS)
    assert panel.images.labels.row(panel.images.current).entropy == pytest.approx(0.7)
    assert panel.area.shown == ["Image", "Labels"]
    assert list(panel.area.contents) == ["Image", "Labels", "Confidence", "Entropy"]
    index = KEYS.index(panel.images.current_key)
    assert np.array_equal(panel.maps.labels, scene(index)[1])


def test_another_image_is_shown_by_the_keyboard(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    first = panel.images.current_key
    qtbot.keyClick(panel.area.views.views[0], Qt.Key.Key_PageDown)
    second = panel.images.current_key
    assert second != first
    labels_shown(qtbot, session, panel)
    assert second in panel.about.text()


def test_the_readout_names_class_and_confidence(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    panel.area.hovered.emit("Labels", 2, 2)
    assert "sky" in panel.readout.text()
    assert "confidence 0.9" in panel.readout.text()
    panel.area.hovered.emit("Labels", -1, -1)
    assert panel.readout.text() == ""


def test_filters_change_the_list(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    panel.images.show_class(10)
    assert panel.images.count.text() == "1 of 6 images"
    panel.images.show_class(None)
    panel.images.part.setCurrentIndex(2)
    assert panel.images.count.text() == "3 of 6 images"
    panel.images.search.setText("nothing like this")
    qtbot.waitUntil(lambda: panel.images.count.text().startswith("0 of"))
    assert panel.area.contents == {}
    assert "No image matches" in panel.images.thumbnails.empty_text


def test_sorting_by_class_takes_the_rarest_when_none_is_chosen(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    panel.images.order.setCurrentIndex(panel.images.order.findData("class"))
    assert panel.images.shows.currentText() == "sign"
    assert panel.images.count.text() == "2 of 6 images"


def test_the_legend_hides_classes_in_the_picture(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    panel.legend.show_all(False)
    view = panel.area.views.views[1]
    assert not any(colour >> 24 for colour in view.layers.labels.image.colorTable())


def test_before_the_stage_images_are_shown_and_after_it_labels(qtbot, panel, tmp_path, session, open_project):
    project = make_fake_project(tmp_path, until="")
    open_project(project.folder)
    qtbot.waitUntil(lambda: panel.maps is not None and panel.images.labels.complete, timeout=10_000)
    assert list(panel.area.contents) == ["Image"]
    assert "the stage Pseudo-labels makes them" in panel.about.text()
    finish_stage(project, "pseudo-label", load_class_set("camvid"))
    session.run.events_arrived.emit([StageFinished(stage="pseudo-label", outcome="completed", seconds=1)])
    labels_shown(qtbot, session, panel)
    assert "Labels" in panel.area.contents


def test_a_missing_folder_is_reported(qtbot, panel, tmp_path, open_project):
    project = make_fake_project(tmp_path, until="", sections={"data": {"target": str(tmp_path / "gone")}})
    open_project(project.folder)
    qtbot.waitUntil(lambda: "gone" in panel.area.views.views[0].empty_text, timeout=10_000)


def test_a_broken_image_is_reported_and_the_next_one_is_shown(qtbot, session, panel, project, tmp_path, open_project):
    (tmp_path / "target" / f"{KEYS[0]}.png").write_bytes(b"no picture")
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    panel.images.step(5)
    assert panel.images.current_key == KEYS[0]
    qtbot.waitUntil(lambda: "not an image" in panel.area.views.views[0].empty_text, timeout=10_000)
    panel.images.step(-1)
    labels_shown(qtbot, session, panel)
    assert panel.images.current_key in panel.about.text()


@pytest.mark.timeout(600)
def test_switching_images_keeps_no_more_than_the_store_may(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)

    def switch(times):
        for number in range(times):
            panel.images.go_to(KEYS[number % len(KEYS)])
            wanted = KEYS[number % len(KEYS)]
            qtbot.waitUntil(lambda wanted=wanted: panel.correction.key == wanted, timeout=20_000)
        return psutil.Process().memory_info().rss

    switch(20)
    before = switch(20)
    after = switch(SWITCHES)
    print(f"{SWITCHES} switches: {(after - before) / 2**20:+.1f} MiB")
    assert after - before < 32 * 2**20


def test_many_quick_switches_end_at_the_last_image(qtbot, session, panel, project, open_project):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    view = panel.images.thumbnails
    for number in range(200):
        view.setCurrentIndex(view.thumbnails.index(number % 6))
    labels_shown(qtbot, session, panel)
    assert panel.images.current_key in panel.about.text()
    assert np.array_equal(panel.maps.labels, scene(KEYS.index(panel.images.current_key))[1])


def test_both_themes_are_drawn(qtbot, panel, project, open_project, session):
    open_project(project.folder)
    labels_shown(qtbot, session, panel)
    pictures = []
    for dark in (False, True):
        theme.apply(dark)
        session.theme_changed.emit(dark)
        pictures.append(panel.grab().toImage())
    theme.apply(False)
    assert pictures[0] != pictures[1]


def test_every_control_has_a_name(panel):
    assert unnamed(panel) == []
