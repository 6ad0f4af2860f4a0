"""Views of pictures: zoom, linked places, swiping, fading, read-out; thumbnails of any number of files."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget

from crots.config import Size
from crots.taxonomy import ClassSet, load_class_set
from crots_studio.widgets.class_legend import ClassLegend, percent
from crots_studio.widgets.compare_area import LAST, CompareArea
from crots_studio.widgets.image_view import ImageView, Viewpoint
from crots_studio.widgets.linked_views import LinkedViews, best_columns
from crots_studio.widgets.picture_layers import Content, colour_table, rgb_image
from crots_studio.widgets.slider_row import SliderRow
from crots_studio.widgets.swipe_view import SwipeView
from crots_studio.widgets.thumbnails import Thumbnail, ThumbnailView

CLASSES = load_class_set("camvid")
SIZE = Size(60, 40)
RED = np.full((40, 60, 3), (200, 0, 0), np.uint8)
BLUE = np.full((40, 60, 3), (0, 0, 200), np.uint8)


def shown(qtbot, widget, width=300, height=200):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def colour_at(widget, x, y):
    return QColor(widget.grab().toImage().pixel(x, y)).getRgb()[:3]


def test_odd_widths_are_not_sheared():
    picture = np.zeros((3, 65, 3), np.uint8)
    picture[:, 7] = 255
    image = rgb_image(picture)
    assert [image.pixelColor(7, row).red() for row in range(3)] == [255, 255, 255]
    assert image.pixelColor(8, 2).red() == 0


def test_the_image_is_a_copy():
    picture = RED.copy()
    image = rgb_image(picture)
    picture[:] = 0
    assert image.pixelColor(0, 0).red() == 200


def test_the_focus_is_a_frame_and_no_veil(qtbot):
    view = shown(qtbot, ImageView())
    view.show_content(Content("red", SIZE, image=RED, values=np.ones((40, 60), np.float32)))
    plain = colour_at(view, 150, 60)
    view.hasFocus = lambda: True
    view.viewport().update()
    assert colour_at(view, 150, 60) == plain
    assert colour_at(view, 1, 150) != plain


def test_a_picture_fits_and_keeps_its_shape(qtbot):
    view = shown(qtbot, ImageView())
    view.show_content(Content("red", SIZE, image=RED))
    assert colour_at(view, 150, 100) == (200, 0, 0)
    assert view.pixel_at(QPointF(0, 0)) == (0, 0)
    assert view.pixel_at(QPointF(299, 199)) == (59, 39)
    view.resize(300, 400)
    assert view.pixel_at(QPointF(150, 20)) is None


def test_a_picture_of_more_pixels_has_the_coordinates_of_its_maps(qtbot):
    view = shown(qtbot, ImageView())
    view.show_content(Content("red", SIZE, image=np.zeros((400, 600, 3), np.uint8)))
    assert view.pixel_at(QPointF(299, 199)) == (59, 39)


def test_zooming_keeps_the_pixel_under_the_pointer(qtbot):
    view = shown(qtbot, ImageView())
    view.show_content(Content("red", SIZE, image=RED))
    at = QPointF(240, 60)
    before = view.mapToScene(at.toPoint())
    view.zoom_by(3, at)
    after = view.mapToScene(at.toPoint())
    assert abs(before.x() - after.x()) < 0.7
    assert abs(before.y() - after.y()) < 0.7
    view.fit()
    assert view.place == Viewpoint()


def test_the_keyboard_zooms_pans_and_fits(qtbot):
    view = shown(qtbot, ImageView())
    view.show_content(Content("red", SIZE, image=RED))
    qtbot.keyClick(view, Qt.Key.Key_Plus)
    assert view.place.zoom > 1
    before = view.place.x
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.place.x > before
    qtbot.keyClick(view, Qt.Key.Key_0)
    assert view.place == Viewpoint()
    for _ in range(100):
        qtbot.keyClick(view, Qt.Key.Key_Plus)
    assert view.transform().m11() <= 40.01


def test_an_empty_view_takes_everything(qtbot):
    view = shown(qtbot, ImageView())
    view.empty_text = "nothing"
    for key in (Qt.Key.Key_Plus, Qt.Key.Key_Left, Qt.Key.Key_0):
        qtbot.keyClick(view, key)
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton)
    view.fit()
    assert view.pixel_at(QPointF(5, 5)) is None


def test_labels_fade_and_classes_hide_without_new_arrays(qtbot):
    view = shown(qtbot, ImageView())
    labels = np.full((40, 60), CLASSES.index("pavement"), np.uint8)
    view.set_table(colour_table(CLASSES))
    view.show_content(Content("labels", SIZE, image=RED, labels=labels))
    pavement = CLASSES.palette[CLASSES.index("pavement")]
    assert colour_at(view, 150, 100) == pavement
    bits = view.layers.labels.image.constBits()
    view.set_opacity(0)
    assert colour_at(view, 150, 100) == (200, 0, 0)
    view.set_opacity(1)
    assert view.layers.labels.image.constBits() == bits
    view.set_table(colour_table(CLASSES, frozenset({0})))
    assert colour_at(view, 150, 100) == (200, 0, 0)


def test_ignored_pixels_show_the_picture(qtbot):
    view = shown(qtbot, ImageView())
    view.set_table(colour_table(CLASSES))
    view.show_content(Content("labels", SIZE, image=RED, labels=np.full((40, 60), 255, np.uint8)))
    assert colour_at(view, 150, 100) == (200, 0, 0)


def test_class_sets_of_more_than_255_classes(qtbot):
    large = ClassSet("large", tuple(map(str, range(300))), tuple((i % 256, i // 256, 99) for i in range(300)))
    view = shown(qtbot, ImageView())
    view.show_content(Content("labels", SIZE, image=RED, labels=np.full((40, 60), 299, np.uint16)))
    view.set_table(colour_table(large))
    assert colour_at(view, 150, 100) == (43, 1, 99)


@pytest.mark.parametrize(("scale", "low", "high"), [("confidence", 0.0, 1.0), ("entropy", 0.1, 0.9)])
def test_greater_numbers_are_brighter(qtbot, scale, low, high):
    view = shown(qtbot, ImageView())
    values = np.full((40, 60), low, np.float32)
    values[:, 30:] = high
    view.show_content(Content("numbers", SIZE, values=values, scale=scale))
    assert sum(colour_at(view, 60, 100)) < sum(colour_at(view, 240, 100))


@pytest.mark.parametrize("width,height", [(1000, 600), (835, 473), (601, 399)])
def test_linked_views_are_of_one_size_and_zoom(qtbot, width, height):
    views = shown(qtbot, LinkedViews(), width, height)
    for count in (2, 4, 5):
        views.show_contents([Content(str(number), SIZE, image=RED) for number in range(count)])
        assert len({view.size() for view in views.views[:count]}) == 1
        assert len({view.percent for view in views.views[:count]}) == 1


def test_linked_views_look_at_one_place_and_mark_one_pixel(qtbot):
    views = shown(qtbot, LinkedViews(), 620, 200)
    views.show_contents([Content("red", SIZE, image=RED), Content("blue", SIZE, image=BLUE)])
    views.views[0].zoom_by(2, QPointF(20, 20))
    assert views.views[1].place == views.views[0].place
    assert views.views[0].place.zoom == 2
    got = []
    views.hovered.connect(lambda *where: got.append(where))
    qtbot.mouseMove(views.views[1].viewport(), QPoint(100, 100))
    views.views[1].hovered.emit(5, 6)
    assert got[-1] == (1, 5, 6)
    assert views.views[0].marker == (5, 6)
    views.views[1].hovered.emit(-1, -1)
    assert views.views[0].marker is None


def test_another_content_keeps_the_place(qtbot):
    views = shown(qtbot, LinkedViews(), 620, 200)
    views.show_contents([Content("red", SIZE, image=RED)])
    views.views[0].zoom_by(4)
    place = views.place
    views.show_contents([Content("red", SIZE, image=BLUE), Content("blue", SIZE, image=BLUE)])
    assert [view.place for view in views.views] == [place, place]


def test_pictures_are_laid_out_as_large_as_possible():
    assert best_columns(2, 1000, 300, 1.5) == 2
    assert best_columns(2, 300, 1000, 1.5) == 1
    assert best_columns(4, 800, 600, 4 / 3) == 2
    assert best_columns(4, 826, 462, 160 / 128) == 2, "three and one below are smaller, and in no fewer rows"
    assert best_columns(0, 800, 600, 1) == 1
    assert best_columns(2, 1160, 820, 320 / 224) == 2, "side by side, though one above the other is a little larger"


def test_swiping_shows_one_left_and_the_other_right(qtbot):
    view = shown(qtbot, SwipeView())
    view.show_pair(Content("red", SIZE, image=RED), Content("blue", SIZE, image=BLUE))
    assert colour_at(view, 75, 150) == (200, 0, 0)
    assert colour_at(view, 225, 150) == (0, 0, 200)
    view.set_split(0.1)
    assert colour_at(view, 75, 150) == (0, 0, 200)
    assert (view.side(0), view.side(59)) == (0, 1)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.split == pytest.approx(0.12)


def test_the_divider_can_be_dragged(qtbot):
    view = shown(qtbot, SwipeView())
    view.show_pair(Content("red", SIZE, image=RED), Content("blue", SIZE, image=BLUE))
    port = view.viewport()
    qtbot.mousePress(port, Qt.MouseButton.LeftButton, pos=QPoint(150, 100))
    qtbot.mouseMove(port, QPoint(60, 100))
    qtbot.mouseRelease(port, Qt.MouseButton.LeftButton, pos=QPoint(60, 100))
    assert view.split == pytest.approx(0.2, abs=0.02)
    assert view.place == Viewpoint()


def contents(**pictures):
    return {name: Content(name, SIZE, image=picture) for name, picture in pictures.items()}


def test_any_two_contents_side_by_side_or_swiped(qtbot):
    area = shown(qtbot, CompareArea(left="b", right=LAST), 640, 300)
    area.show_contents(contents(a=RED, b=BLUE, c=RED))
    assert area.shown == ["b", "c"]
    area.left.setCurrentText("a")
    area.left.activated.emit(0)
    area.mode.setCurrentIndex(2)
    assert area.shown == ["a", "c"]
    assert area.swipe.isVisible()
    area.mode.setCurrentIndex(0)
    assert area.shown == ["a", "b", "c"]
    area.show_contents(contents(a=RED))
    area.mode.setCurrentIndex(1)
    area.show_contents(contents(a=RED, b=BLUE, c=RED))
    assert area.shown == ["a", "c"], "the choice outlives a picture without maps"


@pytest.mark.parametrize("mode", ["all", "pair", "swipe"])
def test_no_picture_is_shown_twice(qtbot, mode):
    """Images that have no labels yet were shown beside themselves, each half as large."""
    area = shown(qtbot, CompareArea(left="a", right="b", mode=mode), 640, 300)
    area.show_contents(contents(a=RED))
    assert area.shown == ["a"] and not area.right.isVisible() and not area.left.isEnabled()
    assert [view.content.title for view in area.views.views if view.isVisible()] == ["a"]
    area.show_contents(contents(a=RED, b=BLUE))
    assert area.shown == ["a", "b"] and area.right.isVisible() == area.left.isVisible() == (mode != "all")
    area.right.setCurrentText("a")
    area.right.activated.emit(0)
    assert area.shown == (["a", "b"] if mode == "all" else ["a"])


def test_swiping_takes_the_place_over(qtbot):
    area = shown(qtbot, CompareArea(), 640, 300)
    area.show_contents(contents(a=RED, b=BLUE))
    area.views.views[0].zoom_by(3, QPointF(10, 10))
    area.mode.setCurrentIndex(2)
    assert area.swipe.place.zoom == pytest.approx(3)


def test_a_held_key_hides_the_overlay_or_shows_it_alone(qtbot):
    area = shown(qtbot, CompareArea(), 640, 300)
    other = QWidget(area)
    area.listen_to(other)
    area.show_contents(contents(a=RED, b=BLUE))
    view = area.views.views[0]
    for key, opacity in ((Qt.Key.Key_Z, 0.0), (Qt.Key.Key_X, 1.0)):
        for widget in (view, other):
            qtbot.keyPress(widget, key)
            assert view.opacity == opacity
            qtbot.keyRelease(widget, key)
            assert view.opacity == pytest.approx(0.55)


def test_the_hidden_area_lets_a_held_key_go(qtbot):
    area = shown(qtbot, CompareArea(), 640, 300)
    area.show_contents(contents(a=RED, b=BLUE))
    qtbot.keyPress(area.views.views[0], Qt.Key.Key_Z)
    area.hide()
    assert area.views.views[0].opacity == pytest.approx(0.55)


def test_the_legend_filters(qtbot):
    legend = ClassLegend()
    qtbot.addWidget(legend)
    legend.set_classes(CLASSES)
    got = []
    legend.shown_changed.connect(got.append)
    legend.list.item(3).setCheckState(Qt.CheckState.Unchecked)
    assert got[-1] == frozenset(range(11)) - {3}
    legend.list.itemDoubleClicked.emit(legend.list.item(5))
    assert got[-1] == {5}
    legend.list.itemDoubleClicked.emit(legend.list.item(5))
    assert len(got[-1]) == 11
    legend.show_all(False)
    assert got[-1] == frozenset()
    legend.set_shares(np.full(11, 0.5))
    assert legend.list.item(0).text() == "sky  50%"
    assert len(got) == 4


@pytest.mark.parametrize(("share", "text"), [(0, "–"), (0.0001, "<0.1%"), (0.012, "1.2%"), (0.5, "50%")])  # noqa: RUF001
def test_shares_in_words(share, text):
    assert percent(share) == text


def test_slider_and_number_follow_each_other(qtbot):
    row = SliderRow("&Beta", 0, 2, 0.01)
    qtbot.addWidget(row)
    got = []
    row.changed.connect(got.append)
    row.slider.setValue(50)
    assert row.value == pytest.approx(0.5)
    row.number.setValue(1.25)
    assert row.slider.value() == 125
    row.set_value(0.3)
    assert got == [0.5, 1.25]
    assert row.slider.accessibleName() == "Beta"


def entry(row):
    return Thumbnail(row, lambda: np.full((20, 30, 3), row % 256, np.uint8), caption=f"picture {row}")


def test_only_pictures_on_screen_are_loaded(qtbot):
    view = shown(qtbot, ThumbnailView(cell=QSize(100, 80)), 420, 330)
    loaded = []

    def describe(row):
        return Thumbnail(row, lambda: loaded.append(row) or np.zeros((20, 30, 3), np.uint8), caption=str(row))

    view.show_entries(100_000, describe)
    qtbot.waitUntil(lambda: view.thumbnails.kept >= 16)
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum())
    qtbot.waitUntil(lambda: 99_999 in loaded)
    qtbot.wait(100)
    assert len(loaded) < 80


def test_memory_is_bounded(qtbot):
    view = ThumbnailView()
    qtbot.addWidget(view)
    view.show_entries(2000, entry)
    for row in range(2000):
        view.thumbnails.take(row, np.zeros((128, 128, 3), np.uint8))
    assert view.thumbnails.kept * 128 * 128 * 3 <= 24 * 2**20


def test_a_broken_file_is_a_word_in_the_gallery(qtbot):
    view = shown(qtbot, ThumbnailView(), 300, 200)

    def broken():
        raise OSError("broken file")

    view.show_entries(1, lambda row: Thumbnail(row, broken, caption="bad"))
    qtbot.waitUntil(lambda: view.thumbnails.picture(0) == "broken file")
    view.grab()


def test_a_picked_thumbnail_is_signalled(qtbot):
    view = shown(qtbot, ThumbnailView(), 300, 200)
    got = []
    view.picked.connect(got.append)
    view.show_entries(5, entry)
    assert got == [0]
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert got == [0, 1]
    assert view.thumbnails.data(view.currentIndex(), Qt.ItemDataRole.AccessibleTextRole) == "picture 1"


def test_loading_outlives_no_view(qtbot):
    view = ThumbnailView()
    view.show_entries(5, entry)
    view.thumbnails.picture(0)
    queue = view.thumbnails.queue
    view.deleteLater()
    qtbot.waitUntil(lambda: queue.stopped)


def test_the_zoom_in_percent_is_that_of_the_screen_and_a_box_comes_to_the_middle(qtbot):
    view = shown(qtbot, ImageView(), 300, 200)
    view.show_content(Content("red", SIZE, image=RED))
    assert view.percent == 500
    view.zoom_by(2.0)
    assert view.percent == 1000
    view.look_at_box((10, 10, 10, 10))
    assert view.place == Viewpoint(0.25, 0.375, pytest.approx(0.35 * 4))
    # All of it is no reason to zoom.
    view.look_at_box((0, 0, 60, 40))
    assert view.place == Viewpoint()
