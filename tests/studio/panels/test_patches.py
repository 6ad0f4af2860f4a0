"""The panel of hard patches, by its widgets."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PySide6.QtCore import QItemSelectionModel, Qt

from crots.artefacts import CHOICE
from crots.files import write_json
from crots.project import Project
from crots.taxonomy import load_class_set
from crots.training.patch_set import PatchCorrections, PatchSet
from crots_studio import theme
from crots_studio.panels.patches.panel import PatchPanel
from tests.studio.controls import unnamed
from tests.studio.fake_project import make_fake_project

CLASSES = load_class_set("camvid")
CAR, SIGN = CLASSES.index("car"), CLASSES.index("sign")


@pytest.fixture
def panel(show_panel):
    return show_panel(PatchPanel, 820, 480)


@pytest.fixture
def opened(qtbot, panel, tmp_path, open_project):
    project = open_project(make_fake_project(tmp_path, until="mine").folder)
    qtbot.waitUntil(lambda: len(panel.arranged) == 8, timeout=10_000)
    return project


def select(panel, *rows):
    view = panel.gallery
    view.clearSelection()
    for row in rows:
        index = view.thumbnails.index(row)
        view.selectionModel().select(index, QItemSelectionModel.SelectionFlag.Select)


def names(panel):
    return list(panel.arranged)


def test_patches_of_a_set_with_more_classes_are_not_shown(qtbot, panel, opened, session):
    session.opened.set_options({"task.classes": "vessels"})
    qtbot.waitUntil(lambda: panel.gallery.thumbnails.rowCount() == 0, timeout=10_000)
    qtbot.waitUntil(lambda: "another class set" in panel.gallery.empty_text, timeout=10_000)
    # The pictures were painted with names that the set lacks, which ended the process.
    panel.gallery.grab()


def test_patches_with_unsure_pixels_are_shown(qtbot, panel, tmp_path, open_project):
    """Those of every real run have some: the gallery stayed empty, as if no patch had been cut."""
    project = make_fake_project(tmp_path, until="mine")
    path = project.stage_folder("mine") / "patches.json"
    index = json.loads(path.read_text())
    for row in index["patches"]:
        row["pixels"][str(CLASSES.ignore)] = 7
    path.write_text(json.dumps(index))
    open_project(project.folder)
    qtbot.waitUntil(lambda: len(panel.arranged) == len(index["patches"]) > 0, timeout=10_000)


def test_without_a_project_it_says_what_to_do(panel):
    assert "project" in panel.gallery.empty_text
    assert not panel.rare.cut_button.isEnabled()


def test_before_the_labels_it_says_which_stage_to_run(qtbot, panel, tmp_path, open_project):
    rounds = {"adapt": {"stop_rounds": False}}
    open_project(make_fake_project(tmp_path, until="", sections=rounds).folder)
    qtbot.waitUntil(lambda: "Pseudo-labels" in panel.gallery.empty_text, timeout=10_000)
    assert not panel.rare.cut_button.isEnabled()


def test_labelled_but_not_cut(qtbot, panel, tmp_path, open_project):
    rounds = {"adapt": {"stop_rounds": False}}
    open_project(make_fake_project(tmp_path, until="pseudo-label", sections=rounds).folder)
    qtbot.waitUntil(lambda: "press Cut" in panel.gallery.empty_text, timeout=10_000)
    assert panel.rare.cut_button.isEnabled()
    assert panel.rare.table.rare == {2, 6, 10}


@pytest.mark.parametrize("until", ["", "pseudo-label"])
def test_a_student_that_starts_afresh_needs_none(qtbot, panel, tmp_path, open_project, until):
    """The page asked to cut patches that no round would be trained on."""
    open_project(make_fake_project(tmp_path, until=until).folder)
    qtbot.waitUntil(lambda: "no round needs them" in panel.gallery.empty_text)
    qtbot.waitUntil(lambda: panel.rare.state.text().startswith("Not needed"))
    assert panel.rare.cut_button.isEnabled() == bool(until), "to look at them all the same"


def test_what_is_rare_and_why(panel, opened):
    assert panel.rare.table.rare == {2, 6, 10}
    panel.rare.table.setCurrentCell(SIGN, 0)
    assert "least confident" in panel.rare.why.text()
    assert panel.filters.shows.currentText() == "sign"
    assert panel.rare.table.item(SIGN, 3).text() == "4"
    panel.rare.table.setCurrentCell(0, 0)
    assert panel.rare.why.text() == "sky: not rare"


def test_filtered_by_class_and_confidence(panel, opened):
    panel.filters.shows.setCurrentText("bicyclist")
    assert len(panel.arranged) == 2
    panel.filters.shows.setCurrentIndex(0)
    panel.filters.least.number.setValue(0.62)
    assert 0 < len(panel.arranged) < 8
    assert panel.count.text() == f"{len(panel.arranged)} of 8"
    panel.filters.least.number.setValue(1)
    assert panel.gallery.empty_text == "No patch matches the filter."


def test_reject_undo_redo_are_kept_in_the_project(qtbot, panel, opened):
    select(panel, 0, 1)
    first = names(panel)[:2]
    qtbot.keyClick(panel.gallery, Qt.Key.Key_Delete)
    assert PatchCorrections.read(opened.corrections_path).rejected == set(first)
    assert panel.undo_button.toolTip().startswith("Undo: reject 2 patches")
    panel.undo_button.click()
    assert PatchCorrections.read(opened.corrections_path).rejected == frozenset()
    panel.redo_button.click()
    patches = PatchSet.open(opened.stage_folder("mine"), CLASSES, PatchCorrections.read(opened.corrections_path))
    assert len(patches) == 6
    panel.filters.which.setCurrentIndex(panel.filters.which.findData("rejected"))
    assert sorted(names(panel)) == sorted(first)


def test_relabel_changes_what_training_reads(panel, opened):
    panel.filters.shows.setCurrentText("sign")
    select(panel, *range(len(panel.arranged)))
    detail = panel.detail
    detail.old.setCurrentIndex(detail.old.findData(SIGN))
    detail.new.setCurrentIndex(detail.new.findData(CLASSES.ignore))
    detail.relabel.click()
    patches = PatchSet.open(opened.stage_folder("mine"), CLASSES, PatchCorrections.read(opened.corrections_path))
    assert not (patches.labels(range(len(patches))) == SIGN).any()
    assert panel.undo_button.toolTip().startswith("Undo: relabel sign to ignore in 4 patches")


def test_the_large_picture_shows_the_new_labels(qtbot, panel, opened):
    panel.filters.shows.setCurrentText("sign")
    select(panel, 0)
    qtbot.waitUntil(lambda: panel.detail.views.views[1].content is not None, timeout=10_000)
    panel.relabel(SIGN, CAR)
    qtbot.waitUntil(lambda: bool((panel.detail.views.views[1].content.labels == CAR).any()), timeout=10_000)
    assert panel.detail.restore.isEnabled()
    panel.restore()
    qtbot.waitUntil(lambda: bool((panel.detail.views.views[1].content.labels == SIGN).any()), timeout=10_000)


def test_the_rare_set_is_written_and_patches_are_cut_again_without_a_network(qtbot, panel, opened, session):
    before = set(names(panel))
    panel.rare.table.item(CAR, 0).setCheckState(Qt.CheckState.Checked)
    assert session.project.config.mine.rare == "pole, sign, car, bicyclist"
    assert panel.rare.mode.currentData() == "own"
    qtbot.waitUntil(lambda: len(panel.arranged) > 8, timeout=60_000)
    assert before <= set(names(panel))
    index = json.loads((opened.stage_folder("mine") / "patches.json").read_text())
    assert [row["name"] for row in index["rare"]] == ["pole", "sign", "car", "bicyclist"]
    qtbot.waitUntil(lambda: not session.run.busy and session.errands.idle, timeout=10_000)
    assert Project.open(opened.folder).config.mine.rare == "pole, sign, car, bicyclist"
    qtbot.waitUntil(lambda: panel.rare.state.text() == "", timeout=10_000)


def test_without_automatic_cutting_patches_wait_for_the_button(qtbot, panel, opened, session):
    panel.rare.at_once.setChecked(False)
    panel.rare.table.item(CAR, 0).setCheckState(Qt.CheckState.Checked)
    qtbot.waitUntil(lambda: "not up to date" in panel.rare.state.text(), timeout=10_000)
    assert not session.run.busy
    assert len(panel.arranged) == 8


def test_patches_of_labels_that_were_corrected_since_are_not_up_to_date(qtbot, panel, opened, session):
    """The rail called the stage stale, and the page of its patches was silent; corrected patches need no new cut."""
    select(panel, 0)
    panel.reject()
    qtbot.waitUntil(lambda: session.errands.idle)
    session.opened.refresh_status()
    qtbot.waitUntil(lambda: session.errands.idle and panel.rare.state.text() == "")
    labels = next((opened.stage_folder("pseudo-label") / "label_ids").rglob("*.png"))
    corrected = opened.corrections_path / labels.relative_to(opened.stage_folder("pseudo-label"))
    corrected.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(labels, corrected)
    session.opened.refresh_status()
    qtbot.waitUntil(lambda: "not up to date: your corrections changed" in panel.rare.state.text())


def test_patches_that_no_round_needs_are_not_asked_for(qtbot, panel, open_project, tmp_path):
    project = make_fake_project(tmp_path, until="baseline")
    write_json(project.stage_folder("baseline") / CHOICE, {"words": "kept", "ends_rounds": "no round gains"})
    open_project(project.folder)
    qtbot.waitUntil(lambda: "no round needs them" in panel.gallery.empty_text)
    qtbot.waitUntil(lambda: panel.rare.state.text().startswith("Not needed: only rounds train on hard patches"))


def test_a_rare_class_that_the_set_does_not_have_is_named(panel, opened, session):
    panel.rare.at_once.setChecked(False)
    mine = dataclasses.replace(session.project.config.mine, rare="lamp")
    session.opened.save_config(dataclasses.replace(session.project.config, mine=mine))
    panel.rare.refresh()
    why = panel.rare.why
    assert "lamp" in why.text() and not panel.rare.table.rare
    # As the settings call the option, and no explanation in grey.
    assert "“Rare classes” (settings, Hard patches)" in why.text() and "mine.rare" not in why.text()
    assert why.property("role") == "bad" and why.palette().windowText().color().name() == theme.colours().bad
    panel.rare.mode.setCurrentIndex(0)
    panel.rare.mode.activated.emit(0)
    panel.rare.refresh()
    assert "lamp" not in why.text() and panel.rare.table.rare
    assert why.property("role") == "muted"


def test_back_to_the_found_set(qtbot, panel, opened, session):
    panel.rare.at_once.setChecked(False)
    panel.rare.table.item(CAR, 0).setCheckState(Qt.CheckState.Checked)
    panel.rare.mode.setCurrentIndex(0)
    panel.rare.mode.activated.emit(0)
    assert session.project.config.mine.rare == "auto"
    assert panel.rare.table.rare == {2, 6, 10}


def test_corrections_stay_when_the_panel_reads_again(qtbot, panel, opened, session):
    select(panel, 0)
    panel.reject()
    session.opened.project_changed.emit()
    qtbot.waitUntil(lambda: session.errands.idle)
    qtbot.wait(50)
    assert panel.undo_button.isEnabled(), "a new cut does not forget what can be undone"
    panel.undo()
    assert PatchCorrections.read(opened.corrections_path).rejected == frozenset()


def test_pictures_of_patches_are_read_out(qtbot, panel, opened):
    select(panel, 0)
    qtbot.waitUntil(lambda: panel.detail.views.views[1].content is not None, timeout=10_000)
    assert all(view.content.outlines for view in panel.detail.views.views), "the rare class is boxed"
    labels = panel.detail.views.views[1].content.labels
    y, x = np.argwhere(labels < len(CLASSES))[0]
    panel.detail.views.hovered.emit(1, int(x), int(y))
    assert CLASSES.names[labels[y, x]] in panel.detail.readout.text()


def test_every_control_has_a_name(panel):
    assert unnamed(panel) == []


def test_an_undone_rejection_leaves_no_stage_stale(qtbot, session, panel, open_project, tmp_path):
    open_project(make_fake_project(tmp_path / "whole").folder)
    qtbot.waitUntil(lambda: panel.gallery.current >= 0, timeout=10_000)
    stale = lambda: [status.key for status in session.opened.status if status.state == "stale"]  # noqa: E731
    panel.reject()
    qtbot.waitUntil(lambda: bool(stale()) and not session.opened.looking, timeout=10_000)
    panel.undo()
    qtbot.waitUntil(lambda: not stale() and not session.opened.looking, timeout=10_000)
