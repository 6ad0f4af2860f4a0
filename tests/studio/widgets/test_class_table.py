"""The table of IoU by class, as it is drawn."""

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFontMetrics

from crots.taxonomy import ClassSet
from crots_studio import theme
from crots_studio.models.class_map import ClassMapForm
from crots_studio.models.iou import ClassRow, ClassTable, Score
from crots_studio.panels.monitor.matrix_view import MatrixModel
from crots_studio.panels.setup.class_map_table import ClassMapTable
from crots_studio.widgets.class_legend import EDGE
from crots_studio.widgets.class_table import ClassTableView


@pytest.fixture
def shown(qtbot, session):
    """Shows the table of one class; gives the view and the cell of its bar."""

    def shown(row):
        view = ClassTableView()
        qtbot.addWidget(view)
        view.show_table(ClassTable("source", (), (row,), row, Score("source", row.iou, {row.name: row.iou})))
        view.resize(320, 120)
        view.show()
        return view, view.visualRect(view.model().index(0, 1))

    return shown


@pytest.mark.parametrize("dark", [False, True])
def test_the_figure_of_a_full_bar_stands_beside_it(shown, dark):
    theme.apply(dark)
    view, cell = shown(ClassRow("road", (255, 0, 255), 1.0, ()))
    number = QFontMetrics(view.font()).horizontalAdvance("100.0") + 6
    beside = QRect(cell.right() - number, cell.top(), number, cell.height())
    picture = view.viewport().grab().toImage()

    def pink(x, y):
        colour = QColor(picture.pixel(x, y))
        return colour.red() - colour.green() > 40 and colour.blue() - colour.green() > 40

    places = [(x, y) for x in range(beside.left(), beside.right()) for y in range(beside.top(), beside.bottom())]
    assert not any(pink(*place) for place in places)
    assert pink(cell.left() + 20, cell.center().y()), "the bar itself is there"


def edge(icon, side):
    return QColor(icon.pixmap(side, side).toImage().pixel(0, side // 2)).name()


@pytest.mark.parametrize("colour", [(0, 0, 142), (0, 0, 0), (255, 255, 255)])
def test_a_class_as_dark_or_as_light_as_the_page_has_an_edge(qtbot, shown, colour):
    theme.apply(True)
    view, cell = shown(ClassRow("car", colour, 0.5, ()))
    picture = view.viewport().grab().toImage()
    column = [QColor(picture.pixel(cell.left() + 20, y)).name() for y in range(cell.top(), cell.bottom())]
    assert column.count(EDGE) == 2 and QColor(*colour).name() in column
    assert edge(view.model().index(0, 0).data(Qt.ItemDataRole.DecorationRole), 12) == EDGE
    matrix = MatrixModel()
    matrix.show(("car",), (colour,), np.ones((1, 1)), [["100"]], [["car"]])
    assert edge(matrix.headerData(0, Qt.Orientation.Vertical, Qt.ItemDataRole.DecorationRole), 10) == EDGE
    classes = ClassSet("one", ("car",), (colour,))
    table = ClassMapTable()
    qtbot.addWidget(table)
    table.show_form(ClassMapForm(classes, classes, {"car": "car"}))
    assert edge(table.item(0, 0).icon(), 14) == EDGE
