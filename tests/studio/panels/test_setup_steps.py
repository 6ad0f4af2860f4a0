"""Set-up as steps: cards that fold and say how they stand, classes in colours, a look at the source's labels."""

from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import Qt

from crots.errors import InputError
from crots.images import write_image
from crots.project import Project
from crots.project_config import ProjectConfig, build_config
from crots_studio.models.project_form import Finding, step_state
from crots_studio.models.source_glance import COUNT, HEIGHT, Glance, read_tiles
from crots_studio.panels.setup import source_glance
from crots_studio.panels.setup.panel import SetupPanel
from tests.studio.fake_project import KEYS, make_fake_project


@pytest.fixture
def panel(qtbot, session, show_panel, open_project, tmp_path):
    panel = show_panel(SetupPanel, 900, 900)
    open_project(make_fake_project(tmp_path / "fake").folder)
    qtbot.waitUntil(lambda: session.errands.idle and not panel.form.blocker, timeout=30_000)
    return panel


def test_cards_say_how_they_stand_and_fold(qtbot, session, panel):
    assert panel.ready.text() == "5 of 5 ready"
    assert {card.level for card in panel.cards} <= {"good", "warning"}
    card = panel.cards[0]
    assert card.summary.text() in {panel.form.findings[name].text for name in ("data.target", "data.size")}
    assert not card.summary.isVisible(), "the fields say it"
    qtbot.mouseClick(card.fold, Qt.MouseButton.LeftButton)
    assert card.summary.isVisible() and not panel.target.isVisible() and card.fold.accessibleName().startswith("Unfold")
    qtbot.mouseClick(card.fold, Qt.MouseButton.LeftButton)
    assert panel.target.isVisible()
    session.opened.set_options({"data.target": "nowhere"})
    qtbot.waitUntil(lambda: card.level == "bad", timeout=10_000)
    assert int(panel.ready.text().split()[0]) < 5 and "nowhere" in card.summary.text()


def test_a_new_project_says_what_is_to_be_chosen(qtbot, session, show_panel, open_project, tmp_path):
    panel = show_panel(SetupPanel, 900, 900)
    open_project(Project.create(tmp_path / "new", ProjectConfig()).folder)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
    assert panel.cards[0].level == "empty"
    assert panel.cards[1].level == "empty", "nobody has chosen classes"
    assert not panel.ready.text().startswith("5") and panel.glance.isHidden()
    assert panel.cards[-1].summary.text() == "none", "validation is not wanted by a run"


def test_the_strip_of_images_says_when_a_click_does_something(qtbot, session, show_panel, open_project, tmp_path):
    panel = show_panel(SetupPanel, 900, 900)
    for number in range(2):
        write_image(tmp_path / "photos" / f"{number}.png", np.full((48, 64, 3), 80, np.uint8))
    config = build_config({"data": {"target": str(tmp_path / "photos")}})
    open_project(Project.create(tmp_path / "new", config).folder)
    qtbot.waitUntil(lambda: panel.glance.text.text().startswith("Once a source is chosen"))
    session.opened.set_options({"source.file": "nowhere.pth"})
    qtbot.waitUntil(lambda: panel.glance.text.text().startswith("Click an image"))


def test_the_images_take_their_room_before_they_are_read(qtbot, session, show_panel, open_project, tmp_path):
    """A page that moves when they arrive moves under the next click."""
    for number in range(2):
        write_image(tmp_path / "photos" / f"{number}.png", np.full((48, 64, 3), 80, np.uint8))
    panel = show_panel(SetupPanel, 900, 900)
    open_project(Project.create(tmp_path / "new", ProjectConfig()).folder)
    qtbot.waitUntil(lambda: session.errands.idle)
    session.opened.set_options({"data.target": str(tmp_path / "photos")})
    assert panel.glance.isVisible() and not panel.glance.tiles
    qtbot.waitUntil(lambda: panel.glance.height() >= HEIGHT)
    below = panel.cards[1].y()
    qtbot.waitUntil(lambda: len(panel.glance.buttons) == 2 and session.errands.idle)
    assert panel.cards[1].y() == below and panel.glance.isVisible()
    session.opened.set_options({"data.target": str(tmp_path / "nowhere")})
    qtbot.waitUntil(lambda: panel.form.findings["data.target"].level == "bad" and panel.glance.isHidden())


def test_classes_stand_there_with_their_colours(qtbot, session, panel):
    assert panel.chips.isVisible() and "road" in panel.chips.accessibleDescription()
    session.opened.set_options({"task.classes": "cityscapes"})
    qtbot.waitUntil(lambda: "traffic light" in panel.chips.accessibleDescription(), timeout=10_000)
    assert panel.chips.heightForWidth(200) > panel.chips.heightForWidth(2000)


def test_nothing_is_shown_beside_a_field_that_shows_it_itself(panel):
    beside = panel.fields.findings
    assert not any(beside[name].isVisible() for name in ("task.source_classes", "task.class_map"))
    assert beside["task.classes"].text().endswith("classes"), "their names stand below"
    assert panel.class_map.note.isVisible() and beside["data.target"].isVisible()


def test_the_images_are_from_all_over_the_folder(tmp_path):
    for number in range(100):
        write_image(tmp_path / "video" / f"{number:03}.png", np.zeros((4, 4, 3), np.uint8))
    project = Project.create(tmp_path / "new", build_config({"data": {"target": str(tmp_path / "video")}}))
    keys = [int(tile.key) for tile in read_tiles(project)]
    assert len(keys) == COUNT and keys == sorted(keys) and (keys[0], keys[-1]) == (0, 99)


def test_the_images_are_those_that_a_run_takes(tmp_path):
    """A data set's folder holds confidence maps, other splits and labels besides."""
    root = tmp_path / "city"
    for split, name in (("train", "0001TP_006690"), ("val", "0016E5_07959")):
        write_image(root / "images" / split / f"{name}.png", np.zeros((36, 48, 3), np.uint8))
        write_image(root / "black_box" / "confidence" / split / f"{name}.png", np.full((36, 48, 3), 255, np.uint8))
    project = Project.create(tmp_path / "new", build_config({"data": {"target": str(root)}}))
    assert [tile.path for tile in read_tiles(project)] == [root / "images" / "train" / "0001TP_006690.png"]


def test_a_click_on_an_image_shows_what_the_source_says(qtbot, session, panel, monkeypatch):
    asked = []
    ask = source_glance.ask_source
    monkeypatch.setattr(source_glance, "ask_source", lambda *given: asked.append(given) or ask(*given))
    glance = panel.glance
    qtbot.waitUntil(lambda: bool(glance.buttons), timeout=10_000)
    assert len(glance.buttons) == min(COUNT, len(KEYS)) and not asked
    assert all(tile.picture.shape[0] == HEIGHT for tile in glance.tiles)
    before = glance.buttons[1].icon().pixmap(64, 64).toImage()
    qtbot.mouseClick(glance.buttons[1], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: glance.text.text().startswith(f"{glance.tiles[1].key}: road"), timeout=60_000)
    assert "mean confidence" in glance.text.text() and len(asked) == 1
    assert glance.buttons[1].icon().pixmap(64, 64).toImage() != before


@pytest.mark.parametrize(("sure", "level"), [(0.09, "warning"), (0.6, "good")])
def test_a_source_that_only_guesses_is_no_good_sign(qtbot, session, panel, monkeypatch, sure, level):
    glance = panel.glance
    qtbot.waitUntil(lambda: bool(glance.buttons))
    found = SimpleNamespace(labels=np.zeros((6, 8), np.uint8), confidence=np.full((6, 8), sure, np.float32))
    monkeypatch.setattr("crots_studio.models.source_glance.Predictions.predict", lambda *_, **__: found)
    qtbot.mouseClick(glance.buttons[1], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: f"mean confidence {sure:.2f}" in glance.text.text())
    assert glance.text.property("role") == level
    assert ("hardly more than a guess" in glance.text.text()) == (level == "warning")


def test_small_images_show_how_they_are_cut_into_tiles(qtbot, session, panel):
    glance = panel.glance
    qtbot.waitUntil(lambda: bool(glance.buttons), timeout=10_000)

    def drawn():
        # The first image gets the source's prediction by itself.
        return glance.buttons[1].icon().pixmap(300, 300).toImage()

    def tip():
        return glance.buttons[1].toolTip()

    before = drawn()
    assert "tiles" not in tip() and max(glance.tiles[0].size) > 32
    session.opened.set_options({"data.size": "none", "data.tile": "32x32"})
    qtbot.waitUntil(lambda: "tiles of" in tip(), timeout=10_000)
    assert drawn() != before
    session.opened.set_options({"data.tile": "none"})
    qtbot.waitUntil(lambda: "tiles of" not in tip(), timeout=10_000)
    assert drawn() == before


def test_the_first_image_shows_what_the_source_says_by_itself_once_somebody_looks(
    qtbot, session, show_panel, open_project, monkeypatch, tmp_path
):
    asked = []

    def ask(project, tile):
        asked.append((project.config.source.predictions, tile.key))
        return Glance(tile.picture, "road 100%")

    monkeypatch.setattr(source_glance, "ask_source", ask)
    panel = show_panel(SetupPanel, 900, 900)
    panel.hide()
    project = open_project(make_fake_project(tmp_path / "fake").folder) or session.project

    def settled():
        qtbot.waitUntil(lambda: session.errands.idle and not panel.form.blocker, timeout=30_000)
        qtbot.wait(50)

    settled()
    assert panel.glance.tiles and asked == [], "a network runs only while the strip is visible"
    panel.show()
    settled()
    first = (project.config.source.predictions, panel.glance.tiles[0].key)
    assert asked == [first] and "road 100%" in panel.glance.text.text()
    assert panel.glance.buttons[0].isChecked()
    # The same source is not asked again, another one is, and none that cannot be used.
    session.opened.set_options({"adapt.steps": "7"})
    settled()
    assert asked == [first]
    session.opened.set_options({"source.predictions": "nowhere"})
    qtbot.waitUntil(lambda: panel.cards[2].level == "bad", timeout=10_000)
    assert asked == [first] and "Click an image" in panel.glance.text.text(), "what another source says is gone"
    session.opened.set_options({"source.predictions": str(first[0])})
    settled()
    assert asked == [first, first]


def test_a_source_without_an_answer_is_reported_beneath(qtbot, session, panel, monkeypatch):
    def refuse(project, tile):
        raise InputError("it runs third-party code; add --trust if you trust it")

    monkeypatch.setattr(source_glance, "ask_source", refuse)
    qtbot.waitUntil(lambda: bool(panel.glance.buttons), timeout=10_000)
    panel.glance.ask(1)
    qtbot.waitUntil(lambda: "third-party code" in panel.glance.text.text(), timeout=10_000)
    assert panel.glance.text.property("role") == "bad" and not panel.glance.buttons[1].isChecked()


def test_the_source_is_asked_with_the_trust_of_this_window_alone(session, panel, monkeypatch, qtbot):
    given = []

    def ask(project, tile):
        given.append(project.config.runtime.trust)
        return Glance(tile.picture, "road 100%")

    monkeypatch.setattr(source_glance, "ask_source", ask)
    qtbot.waitUntil(lambda: bool(panel.glance.buttons), timeout=10_000)
    panel.glance.ask(0)
    qtbot.waitUntil(lambda: "road 100%" in panel.glance.text.text(), timeout=10_000)
    assert given == [False]


def test_shipped_class_maps_are_offered_by_name(qtbot, session, panel):
    offered = [panel.class_map.shipped.itemText(number) for number in range(panel.class_map.shipped.count())]
    assert "cityscapes-to-camvid" in offered
    panel.class_map.shipped.activated.emit(offered.index("cityscapes-to-camvid"))
    assert str(session.project.config.task.class_map) == "cityscapes-to-camvid"


def test_a_step_is_as_good_as_its_worst_field():
    good, warning, bad = Finding("good", "6 images"), Finding("warning", "two sizes"), Finding("bad", "not there")
    assert step_state([good, warning]) == ("warning", "two sizes")
    assert step_state([good, bad, warning]) == ("bad", "not there")
    assert step_state([good, Finding("good", "64x32")]) == ("good", "6 images")
    assert step_state([]) == ("empty", "")
