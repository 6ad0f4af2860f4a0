"""Repainted pseudo-labels: regions, strokes, undo, on disk at once, stale at once, and felt by the loss's input."""

import numpy as np
import pytest
import torch
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.errors import StageError
from crots.execution.engine import Engine
from crots.label_files import read_confidence, read_labels, write_labels
from crots.nets.model import create_model
from crots.options import RuntimeOptions
from crots.stages.baseline import BaselineLearner
from crots.taxonomy import load_class_set
from crots.training.material import Material, PseudoLabels
from crots.training_options import BaselineOptions
from crots_studio.models.label_edit import LabelEdits, region, stroke
from crots_studio.panels.pseudo_labels import PseudoLabelPanel
from tests.studio.controls import unnamed
from tests.studio.fake_project import CLASSES as CLASS_SET
from tests.studio.fake_project import KEYS, SIZE, make_fake_project, scene

CLASSES = load_class_set(CLASS_SET)
SKY, BUILDING, CAR, IGNORE = 0, 1, 8, 255
KEY = KEYS[0]


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path)


@pytest.fixture
def labels(project):
    return PseudoLabels.below(project.stage_folder("pseudo-label"), CLASSES, project.corrections_path / "label_ids")


def test_a_region_is_4_connected():
    found = region(np.array([[1, 1, 2], [2, 2, 1], [1, 2, 2]]), 1, 0)
    assert found.tolist() == [[True, True, False], [False, False, False], [False, False, False]]
    assert region(np.array([[1, 1, 2], [2, 2, 1], [1, 2, 2]]), 0, 1).sum() == 4


def test_a_stroke_is_as_broad_as_its_brush_and_has_no_gaps():
    one = stroke((20, 20), [(3, 3)], 1)
    assert one.sum() == 1 and one[3, 3]
    line = stroke((20, 20), [(2, 10), (17, 10)], 5)
    assert line[10, 2:18].all() and line[8:13, 10].all() and not line[6, 10] and not line[14, 10]


def test_what_is_repainted_is_read_by_training_and_certain(project, labels):
    edits = LabelEdits(labels)
    before = labels.read(KEY).copy()
    assert edits.fill(KEY, 2, 2, CAR, "car")
    after = labels.read(KEY)
    assert (after[before == SKY] == CAR).any() and edits.undo_text == "fill car"
    changed = before != after
    assert (labels.read_confidence(KEY)[changed] == 1).all()
    original = read_confidence(project.stage_folder("pseudo-label") / "confidence" / f"{KEY}.png")
    assert np.array_equal(labels.read_confidence(KEY)[~changed], original[~changed])
    assert not edits.fill(KEY, 2, 2, CAR), "nothing to change is no step"


def test_undo_redo_reset_leave_no_trace(project, labels):
    edits = LabelEdits(labels)
    inputs = project.inputs()["baseline"]
    edits.paint(KEY, [(5, 5), (20, 5)], 7, IGNORE, "ignore")
    edits.fill(KEYS[3], 2, 2, CAR)
    assert edits.keys == {KEY, KEYS[3]} and project.inputs()["baseline"] != inputs
    assert edits.undo() == KEYS[3] and edits.undo() == KEY and edits.undo() == ""
    assert edits.keys == set() and project.inputs()["baseline"] == inputs, "an empty folder would say: changed"
    assert edits.redo() == KEY and (labels.read(KEY)[5, 5:20] == IGNORE).all()
    assert LabelEdits(labels).keys == {KEY}, "it is on disk"
    assert edits.reset(KEY) and np.array_equal(labels.read(KEY), scene(0)[1])
    assert not edits.reset(KEY)
    assert edits.undo() == KEY and (labels.read(KEY)[5, 5:20] == IGNORE).all()


def test_painting_it_back_is_no_correction(labels):
    edits = LabelEdits(labels)
    edits.fill(KEY, 2, 2, IGNORE)
    edits.fill(KEY, 2, 2, SKY)
    assert edits.keys == set()


def test_where_the_disk_refuses_nothing_has_changed(labels, monkeypatch):
    edits = LabelEdits(labels)

    def refuse(*args, **kwargs):
        raise StageError("the disk is full")

    monkeypatch.setattr("crots_studio.models.label_edit.write_labels", refuse)
    with pytest.raises(StageError):
        edits.fill(KEY, 2, 2, CAR)
    assert edits.undo_text == "" and edits.keys == set()


def test_corrections_of_another_working_size_still_count(labels):
    write_labels(labels.corrections / f"{KEY}.png", np.full((24, 32), CAR, np.uint8))
    assert labels.read(KEY).shape == (SIZE.height, SIZE.width) and (labels.read(KEY) == CAR).all()
    assert labels.read_confidence(KEY).shape == (SIZE.height, SIZE.width)


def test_a_repainted_label_reaches_the_loss_of_the_next_training(project, labels):
    torch.set_num_threads(1)
    dataset = open_dataset(project.path(project.config.data.target))
    material = Material(dataset.samples, ImageCache(None, SIZE, 0), labels)
    model = create_model("torchvision:lraspp_mobilenet_v3_large", CLASSES, SIZE, seed=0)
    engine = Engine(RuntimeOptions(device="cpu"))
    options = BaselineOptions(steps=10, learning_rate=1e-4, batch=len(KEYS), flip=False, scale=1.0)

    def loss_input():
        return BaselineLearner(model, material, engine, options, seed=0, stage="baseline").load(0).labels

    before = loss_input()
    edits = LabelEdits(labels)
    for key in KEYS:
        edits.fill(key, 2, 2, IGNORE)
    after = loss_input()
    assert (before == IGNORE).sum() < (after == IGNORE).sum()
    assert np.array_equal(before[after != IGNORE], after[after != IGNORE])


@pytest.fixture
def panel(show_panel, qtbot, session, project, open_project):
    panel = show_panel(PseudoLabelPanel, 900, 560)
    open_project(project.folder)
    qtbot.waitUntil(lambda: panel.maps is not None and panel.images.labels.labelled, timeout=10_000)
    panel.images.go_to(KEY)
    qtbot.waitUntil(lambda: panel.correction.key == KEY and session.errands.idle, timeout=10_000)
    qtbot.wait(20)
    return panel


def mouse(view, kind, x, y):
    point = QPointF(view.mapFromScene(QPointF(x + 0.5, y + 0.5)))
    buttons = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else Qt.MouseButton.LeftButton
    event = QMouseEvent(
        kind, point, view.viewport().mapToGlobal(point), Qt.MouseButton.LeftButton, buttons,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(view.viewport(), event)


def drag(view, *points):
    mouse(view, QEvent.Type.MouseButtonPress, *points[0])
    for point in points[1:]:
        mouse(view, QEvent.Type.MouseMove, *point)
    mouse(view, QEvent.Type.MouseButtonRelease, *points[-1])


def choose(panel, tool, label):
    tools = panel.correction.tools
    tools.choose(tool)
    tools.classes.setCurrentIndex(tools.classes.findData(label))


def corrected(project):
    return project.corrections_path / "label_ids" / f"{KEY}.png"


def test_a_click_fills_and_the_stages_are_stale_at_once(qtbot, session, panel, project):
    choose(panel, "fill", CAR)
    with qtbot.waitSignal(session.opened.status_changed, timeout=10_000):
        drag(panel.area.views.views[1], (2, 2))
    states = {row.key: row.state for row in session.opened.status}
    assert states["baseline"] == states["mine"] == "stale" and states["pseudo-label"] == "done"
    assert read_labels(corrected(project))[2, 2] == CAR
    qtbot.waitUntil(lambda: panel.maps is not None and panel.maps.labels[2, 2] == CAR, timeout=10_000)
    assert "corrected by hand" in panel.about.text() and panel.images.mark(KEY) == "corrected"
    with qtbot.waitSignal(session.opened.status_changed, timeout=10_000):
        panel.correction.tools.undo.click()
    assert not corrected(project).exists()
    assert {row.state for row in session.opened.status} == {"done"}


def test_a_drag_paints_a_stroke_that_is_seen_while_it_is_drawn(qtbot, panel, project):
    choose(panel, "brush", IGNORE)
    panel.correction.tools.width_box.setValue(5)
    view = panel.area.views.views[1]
    place = view.place
    mouse(view, QEvent.Type.MouseButtonPress, 5, 30)
    mouse(view, QEvent.Type.MouseMove, 40, 30)
    qtbot.waitUntil(lambda: panel.area.contents["Labels"].labels[30, 20] == IGNORE, timeout=5000)
    assert not corrected(project).exists() and view.place == place
    mouse(view, QEvent.Type.MouseButtonRelease, 40, 30)
    assert (read_labels(corrected(project))[30, 5:41] == IGNORE).all()
    panel.undo()
    assert not corrected(project).exists()
    panel.redo()
    panel.correction.tools.reset.click()
    assert not corrected(project).exists()


def test_looking_changes_nothing_and_undo_goes_to_its_image(qtbot, panel, project):
    drag(panel.area.views.views[1], (2, 2))
    assert not corrected(project).exists()
    choose(panel, "fill", CAR)
    drag(panel.area.views.views[1], (2, 2))
    panel.images.go_to(KEYS[4])
    qtbot.waitUntil(lambda: panel.correction.key == KEYS[4], timeout=10_000)
    panel.undo()
    assert panel.images.current_key == KEY and not corrected(project).exists()


def test_without_labels_there_is_nothing_to_correct(qtbot, session, tmp_path, open_project):
    panel = PseudoLabelPanel(session)
    qtbot.addWidget(panel)
    assert not panel.correction.tools.tools["brush"].isEnabled()
    open_project(make_fake_project(tmp_path, until="").folder)
    qtbot.waitUntil(lambda: panel.maps is not None, timeout=10_000)
    assert not panel.correction.tools.tools["brush"].isEnabled() and not panel.correction.tools.undo.isEnabled()


def test_the_eraser_brings_the_stage_s_own_label_back(qtbot, panel, project, labels):
    own = labels.read(KEY).copy()
    choose(panel, "fill", CAR)
    view = panel.area.views.views[1]
    drag(view, (2, 2))
    qtbot.waitUntil(lambda: panel.maps is not None and panel.maps.labels[2, 2] == CAR, timeout=10_000)
    panel.correction.tools.choose("eraser")
    panel.correction.tools.width_box.setValue(5)
    drag(view, (2, 2), (10, 2))
    painted = read_labels(corrected(project))
    assert painted[2, 6] == own[2, 6] and (painted == CAR).any()
    panel.undo()
    assert read_labels(corrected(project))[2, 6] == CAR


def test_the_picker_takes_the_class_under_the_pointer(panel):
    choose(panel, "picker", CAR)
    drag(panel.area.views.views[1], (2, 2))
    assert panel.correction.tools.label == panel.maps.labels[2, 2]
    assert not panel.correction.edits.keys, "nothing was painted"


def test_a_polygon_is_filled_when_its_first_corner_is_met_or_by_return(qtbot, panel, project):
    choose(panel, "polygon", IGNORE)
    view = panel.area.views.views[1]
    for corner in ((10, 10), (30, 10), (30, 25), (10, 25)):
        drag(view, corner)
    assert not corrected(project).exists(), "not closed yet"
    drag(view, (11, 11))
    assert (read_labels(corrected(project))[11:25, 11:30] == IGNORE).all()
    panel.undo()
    for corner in ((10, 10), (20, 10), (20, 20)):
        drag(view, corner)
    panel.correction.close_polygon()
    assert read_labels(corrected(project))[12, 18] == IGNORE
    panel.undo()
    drag(view, (5, 5))
    panel.correction.tools.choose("look")
    panel.correction.tools.choose("polygon")
    assert not panel.correction.drawing, "another tool forgets what was begun"


def test_letters_choose_tools_and_digits_classes(qtbot, panel):
    panel.activateWindow()
    tools = panel.correction.tools
    panel.area.views.views[1].setFocus()
    for key, tool in (("B", "brush"), ("F", "fill"), ("E", "eraser"), ("P", "picker"), ("G", "polygon"), ("H", "look")):
        qtbot.keyClicks(panel.area.views.views[1], key)
        assert tools.current == tool
    qtbot.keyClicks(panel.area.views.views[1], "3")
    assert tools.label == 2
    width = tools.width_box.value()
    qtbot.keyClicks(panel.area.views.views[1], "]]")
    assert tools.width_box.value() == width + 4
    panel.images.search.setFocus()
    qtbot.keyClicks(panel.images.search, "b")
    assert panel.images.search.text() == "b" and tools.current == "look", "a field keeps its letters"


def test_every_control_has_a_name(panel):
    assert unnamed(panel) == []


def test_an_undo_that_the_disk_refuses_leaves_the_correction(labels, monkeypatch):
    edits = LabelEdits(labels)
    edits.fill(KEY, 2, 2, CAR)

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "denied")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.unlink", refuse)
        with pytest.raises(StageError, match="no permission"):
            edits.undo()
    assert edits.undo_text == "fill" and edits.keys == {KEY}
    assert edits.undo() == KEY and edits.keys == set()


def test_what_a_kill_left_half_written_is_no_correction(project, labels):
    inputs = project.inputs()["baseline"]
    debris = labels.corrections / "day" / ".0123abcd.partial.png"
    debris.parent.mkdir(parents=True)
    debris.write_bytes(b"\x89PNG")
    edits = LabelEdits(labels)
    assert edits.keys == set() and not debris.exists()
    edits.fill(KEY, 2, 2, CAR)
    edits.undo()
    assert project.inputs()["baseline"] == inputs


def test_a_stroke_during_which_the_image_changes_paints_on_neither(panel, project):
    correction, files = panel.correction, project.corrections_path / "label_ids"
    correction.tools.choose("brush")
    panel.area.stroked.emit(2, 2, True)
    panel.images.step(1)
    correction.show_image(panel.images.current_key, correction.labels)
    panel.area.stroked.emit(20, 20, False)
    panel.area.stroke_ended.emit()
    assert not list(files.rglob("*.png"))
    correction.show_image(panel.images.current_key, panel.maps.labels)
    panel.area.stroked.emit(20, 20, True)
    panel.area.stroke_ended.emit()
    assert len(list(files.rglob("*.png"))) == 1


@pytest.mark.parametrize("fault", [StageError("cannot write: the disk is full"), OSError(22, "Invalid argument")])
def test_a_correction_that_cannot_be_written_is_reported_and_the_picture_is_as_before(
    qtbot, session, panel, project, monkeypatch, fault
):
    def refuse(*args, **kwargs):
        raise fault

    before = panel.maps.labels.copy()
    choose(panel, "fill", CAR)
    monkeypatch.setattr("crots_studio.models.label_edit.write_labels", refuse)
    with qtbot.waitSignal(session.problem) as problem:
        panel.area.stroked.emit(2, 2, True)
    assert str(fault) in problem.args[0]
    qtbot.waitUntil(lambda: session.errands.idle)
    assert np.array_equal(panel.maps.labels, before) and panel.correction.edits.undo_text == ""


def test_the_shares_of_classes_follow_corrections(qtbot, panel):
    shares = lambda: [panel.legend.list.item(row).text() for row in range(panel.legend.list.count())]  # noqa: E731
    before = shares()
    choose(panel, "fill", CAR)
    panel.area.stroked.emit(2, 2, True)
    qtbot.waitUntil(lambda: shares() != before, timeout=10_000)
    assert shares()[SKY] == panel.correction.tools.classes.itemText(SKY) + "  \u2013" or shares()[SKY] != before[SKY]
    panel.undo()
    qtbot.waitUntil(lambda: shares() == before, timeout=10_000)


def move(view, x, y, buttons=Qt.MouseButton.NoButton):
    point = QPointF(view.mapFromScene(QPointF(x + 0.5, y + 0.5)))
    event = QMouseEvent(
        QEvent.Type.MouseMove, point, view.viewport().mapToGlobal(point), Qt.MouseButton.NoButton, buttons,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(view.viewport(), event)


def test_the_brush_has_an_outline_of_its_width(panel):
    view = panel.area.views.views[0]
    move(view, 20, 20)
    assert view.brush_ring is None
    choose(panel, "brush", CAR)
    panel.correction.tools.width_box.setValue(7)
    move(view, 30, 25)
    assert view.brush_ring == QRectF(27, 22, 7, 7)
    choose(panel, "fill", CAR)
    assert view.brush_ring is None


@pytest.mark.parametrize("way", ["space", "middle"])
def test_a_zoomed_picture_is_panned_while_a_tool_is_chosen(qtbot, panel, way):
    view = panel.area.views.views[0]
    view.zoom_by(4)
    choose(panel, "brush", CAR)
    before, labels = view.place, panel.maps.labels.copy()
    middle = QPointF(view.viewport().rect().center())
    if way == "space":
        view.setFocus()
        qtbot.keyPress(view, Qt.Key.Key_Space)
    button = Qt.MouseButton.LeftButton if way == "space" else Qt.MouseButton.MiddleButton
    start, end = middle.toPoint(), middle.toPoint() + QPoint(30, 10)
    qtbot.mousePress(view.viewport(), button, pos=start)
    for place in (start + QPoint(10, 4), end):
        event = QMouseEvent(
            QEvent.Type.MouseMove, QPointF(place), view.viewport().mapToGlobal(QPointF(place)),
            Qt.MouseButton.NoButton, button, Qt.KeyboardModifier.NoModifier,
        )  # fmt: skip
        QApplication.sendEvent(view.viewport(), event)
    qtbot.mouseRelease(view.viewport(), button, pos=end)
    assert view.place.x < before.x and view.place.zoom == before.zoom
    assert np.array_equal(panel.maps.labels, labels) and not panel.correction.edits.keys
    if way == "space":
        qtbot.keyRelease(view, Qt.Key.Key_Space)
    assert not view.hand


def test_a_click_on_a_class_of_the_list_paints_with_it_and_a_key_marks_it_there(qtbot, panel):
    row = panel.legend.list.visualItemRect(panel.legend.list.item(3))
    # Right of its tick box, which draws or hides it.
    place = QPoint(row.left() + 60, row.center().y())
    qtbot.mouseClick(panel.legend.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert panel.correction.tools.label == 3 and 3 in panel.legend.shown
    with qtbot.waitActive(panel):
        panel.activateWindow()
    panel.images.thumbnails.setFocus()
    qtbot.keyClick(panel.images.thumbnails, Qt.Key.Key_2)
    assert panel.correction.tools.label == 1 and panel.legend.list.currentRow() == 1


def test_superpixels_follow_the_image_and_can_be_undone(qtbot, open_project, show_panel, project):
    open_project(project.folder)
    panel = show_panel(PseudoLabelPanel)
    qtbot.waitUntil(lambda: panel.maps is not None)
    correction, tools = panel.correction, panel.correction.tools
    key, before = panel.images.current_key, panel.maps.labels.copy()
    qtbot.keyClick(panel, Qt.Key.Key_S)
    assert tools.current == "superpixels" and tools.width_box.isEnabled()
    tools.choose_class(CAR)
    previews = []
    correction.previewed.connect(previews.append)
    panel.area.stroked.emit(20, 20, True)
    panel.area.stroked.emit(26, 20, False)
    qtbot.waitUntil(lambda: bool(previews))
    panel.area.stroke_ended.emit()
    qtbot.waitUntil(lambda: not np.array_equal(panel.maps.labels, before))
    changed = panel.maps.labels != before
    assert (panel.maps.labels[20, 20:27] == CAR).all() and changed.sum() < before.size / 4
    assert np.array_equal(previews[-1] != before, changed), "what was shown is what was done"
    assert panel.history.undo_text == "superpixels car"
    panel.undo()
    qtbot.waitUntil(lambda: np.array_equal(panel.maps.labels, before))
    assert key == panel.images.current_key and not unnamed(tools)


def test_the_tools_stand_in_a_column_beside_the_picture(qtbot, session, show_panel, open_project, project):
    panel = show_panel(PseudoLabelPanel, 790, 520)
    open_project(project.folder)
    qtbot.waitUntil(lambda: panel.correction.labels is not None, timeout=60_000)
    tools = panel.correction.tools
    buttons = [*tools.tools.values(), tools.undo, tools.redo]
    places = [button.mapTo(panel, QPoint(0, 0)) for button in buttons]
    assert len({place.x() for place in places}) == 1 and sorted(place.y() for place in places) == [
        place.y() for place in places
    ]
    picture = panel.area.views.mapTo(panel, QPoint(0, 0))
    assert places[0].x() + buttons[0].width() <= picture.x()
    lowest = places[-1].y() + buttons[-1].height()
    assert lowest <= picture.y() + panel.area.views.height(), "all of them have room in the smallest window"
