"""Panels that name classes, where a class map joins 19 of them to 11 or 7: none shows an id or name of the source."""

import json

import pytest
from PySide6.QtWidgets import QComboBox

from crots.taxonomy import load_class_set
from crots_studio.panels.monitor.panel import MonitorPanel
from crots_studio.panels.patches.panel import PatchPanel
from crots_studio.panels.pseudo_labels import PseudoLabelPanel
from crots_studio.panels.settings.panel import SettingsPanel
from tests.studio.fake_project import make_fake_project
from tests.studio.waiting import labels_shown

CITYSCAPES = load_class_set("cityscapes")
TO_SEVEN = {
    "road": "drivable", "sidewalk": "non-drivable", "building": "construction", "wall": "roadside objects",
    "fence": "roadside objects", "pole": "roadside objects", "traffic light": "roadside objects",
    "traffic sign": "ignore", "vegetation": "construction", "terrain": "non-drivable", "sky": "sky",
    "person": "living things", "rider": "living things", "car": "vehicles", "truck": "vehicles", "bus": "vehicles",
    "train": "vehicles", "motorcycle": "vehicles", "bicycle": "vehicles",
}  # fmt: skip
# Of traffic light, traffic sign, rider, train, motorcycle and bicycle.
RARE = {
    "camvid": {"sign", "bicyclist", "car"},
    "idd-lite": {"roadside objects", "living things", "vehicles"},
}


@pytest.fixture(params=list(RARE))
def classes(request):
    return load_class_set(request.param)


@pytest.fixture
def made(tmp_path, classes):
    """Makes a project whose predictions have 19 classes, up to a stage; the published ones are rare."""

    def make(until):
        names = "cityscapes-to-camvid"
        if classes.name != "camvid":
            lines = [f'"{name}" = "{to}"' for name, to in TO_SEVEN.items()]
            names = str(tmp_path / "map.toml")
            (tmp_path / "map.toml").write_text("\n".join(['source = "cityscapes"', *lines]))
        task = {"classes": classes.name, "source_classes": "cityscapes", "class_map": names}
        return make_fake_project(
            tmp_path, until=until, sections={"task": task, "mine": {"rare": "published"}}, classes=classes
        )

    return make


def offered(box: QComboBox):
    """All entries but the first, which is every class."""
    return [box.itemText(place) for place in range(1, box.count())]


@pytest.mark.parametrize("until", ["", "pseudo-label", "mine"])
def test_the_published_rare_classes_are_the_targets(qtbot, show_panel, open_project, made, classes, until):
    panel = show_panel(PatchPanel, 820, 480)
    open_project(made(until).folder)
    table = panel.rare.table
    qtbot.waitUntil(lambda: table.rowCount() == len(classes))
    assert [table.item(place, 0).text() for place in range(len(classes))] == list(classes.names)
    assert {classes.names[number] for number in table.rare} == RARE[classes.name]
    assert panel.rare.mode.currentData() == "published"
    assert panel.rare.mode.model().item(panel.rare.mode.findData("published")).isEnabled()
    assert offered(panel.filters.shows) == list(classes.names)


def test_patches_are_cut_of_the_rare_classes_shown(qtbot, session, show_panel, open_project, made, classes):
    panel = show_panel(PatchPanel, 820, 480)
    project = open_project(made("pseudo-label").folder)
    qtbot.waitUntil(lambda: panel.rare.cut_button.isEnabled())
    panel.rare.cut_button.click()
    index = project.stage_folder("mine") / "patches.json"
    qtbot.waitUntil(lambda: index.is_file() and not session.run.busy)
    assert {row["name"] for row in json.loads(index.read_text())["rare"]} == RARE[classes.name]
    assert {row["id"] for row in json.loads(index.read_text())["rare"]} == set(panel.rare.table.rare)


def test_ticking_a_class_writes_names_of_the_target(qtbot, session, show_panel, open_project, made, classes):
    panel = show_panel(PatchPanel, 820, 480)
    open_project(made("mine").folder)
    qtbot.waitUntil(lambda: panel.rare.table.rowCount() == len(classes))
    panel.rare.at_once.setChecked(False)
    panel.rare.mode.setCurrentIndex(panel.rare.mode.findData("own"))
    panel.rare.mode.activated.emit(panel.rare.mode.currentIndex())
    chosen = {name.strip() for name in session.project.config.mine.rare.split(",")}
    assert chosen == RARE[classes.name]
    assert {classes.names[number] for number in panel.rare.table.rare} == chosen


def test_another_class_map_shows_its_own_rare_classes_at_once(qtbot, session, show_panel, open_project, made, classes):
    panel = show_panel(PatchPanel, 820, 480)
    open_project(made("").folder)
    qtbot.waitUntil(lambda: panel.rare.table.rowCount() == len(classes))
    session.opened.set_options({"task.classes": "cityscapes", "task.class_map": ""})
    published = {CITYSCAPES.names[number] for number in CITYSCAPES.published_rare}
    qtbot.waitUntil(lambda: {CITYSCAPES.names[number] for number in panel.rare.table.rare} == published)
    assert offered(panel.filters.shows) == list(CITYSCAPES.names)


def test_settings_take_the_classes_of_the_target(qtbot, session, show_panel, open_project, made, classes):
    panel = show_panel(SettingsPanel, 330, 700)
    open_project(made("").folder)
    panel.go_to("mine")
    line = panel.rows["mine.rare"]
    assert line.editor.text() == "published" and not line.error.text()
    session.opened.set_options({"mine.rare": ", ".join(sorted(RARE[classes.name]))})
    assert line.editor.text() == ", ".join(sorted(RARE[classes.name])) and not line.error.text()


def test_the_list_of_images_offers_the_classes_of_the_target(qtbot, session, show_panel, open_project, made, classes):
    panel = show_panel(PseudoLabelPanel, 820, 480)
    open_project(made("pseudo-label").folder)
    labels_shown(qtbot, session, panel)
    images = panel.images
    assert offered(images.shows) == list(classes.names)
    assert images.labels.pixels.shape[1] == len(classes)
    images.order.setCurrentIndex(images.order.findData("class"))
    images.order.activated.emit(images.order.currentIndex())
    shares = images.labels.shares()
    rarest = min((number for number in range(len(classes)) if shares[number] > 0), key=lambda number: shares[number])
    qtbot.waitUntil(lambda: images.shows.currentText() == classes.names[rarest])


def test_scores_are_of_the_classes_of_the_target(qtbot, show_panel, open_project, made, classes):
    panel = show_panel(MonitorPanel, 900, 600)
    open_project(made("evaluate").folder)
    panel.tabs.setCurrentWidget(panel.classes)
    table = panel.classes.table.model_of_classes
    qtbot.waitUntil(lambda: table.rowCount() == len(classes))
    colours = dict(zip(classes.names, classes.palette, strict=True))
    assert {row.name: row.colour for row in table.table.rows} == colours
