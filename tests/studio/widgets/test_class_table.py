"""The table of IoU by class, as it is drawn."""

import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QFontMetrics

from crots_studio import theme
from crots_studio.models.iou import ClassRow, ClassTable, Score
from crots_studio.widgets.class_table import ClassTableView


@pytest.mark.parametrize("dark", [False, True])
def test_the_figure_of_a_full_bar_stands_beside_it(qtbot, session, dark):
    theme.apply(dark)
    row = ClassRow("road", (255, 0, 255), 1.0, ())
    mean = ClassRow("mIoU", (0, 0, 0), 1.0, ())
    view = ClassTableView()
    qtbot.addWidget(view)
    view.show_table(ClassTable("source", (), (row,), mean, Score("source", 1.0, {"road": 1.0})))
    view.resize(320, 120)
    view.show()
    cell = view.visualRect(view.model().index(0, 1))
    number = QFontMetrics(view.font()).horizontalAdvance("100.0") + 6
    beside = QRect(cell.right() - number, cell.top(), number, cell.height())
    picture = view.viewport().grab().toImage()

    def pink(x, y):
        colour = QColor(picture.pixel(x, y))
        return colour.red() - colour.green() > 40 and colour.blue() - colour.green() > 40

    places = [(x, y) for x in range(beside.left(), beside.right()) for y in range(beside.top(), beside.bottom())]
    assert not any(pink(*place) for place in places)
    assert pink(cell.left() + 20, cell.center().y()), "the bar itself is there"
