"""A fault in an override of Qt's virtual functions is reported; on Python 3.11 it would end the process."""

import sys
from types import SimpleNamespace

import pyqtgraph as pg
import pytest
from PySide6.QtCore import QAbstractTableModel, Qt, QThread
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QGraphicsRectItem, QGraphicsScene, QGraphicsView, QStyledItemDelegate, QTableView, QWidget
from shiboken6 import delete

from crots_studio.app import report_exceptions
from crots_studio.panels.compare.run_table import RunTableModel
from crots_studio.panels.rail import RailDelegate
from crots_studio.widgets.thumbnails import ThumbnailView


class BadWidget(QWidget):
    def paintEvent(self, event):
        raise IndexError("paint")


class BadItem(QGraphicsRectItem):
    def paint(self, painter, option, widget=None):
        raise IndexError("item")


class BadDelegate(QStyledItemDelegate):
    def paint(self, painter, option, index):
        raise IndexError("cell")

    def sizeHint(self, option, index):
        raise IndexError("size")


class Table(QAbstractTableModel):
    rows = 3

    def rowCount(self, parent=None):
        return self.rows

    def columnCount(self, parent=None):
        return 2

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        raise IndexError("data")


class BadTable(Table):
    def rowCount(self, parent=None):
        raise IndexError("rows")


def faults(qtbot, make):
    """The names of the exceptions while a widget is made and drawn; on newer Pythons the call into Qt raises them."""
    with qtbot.captureExceptions() as caught:
        try:
            widget = make()
            widget.resize(120, 80)
            assert isinstance(widget.grab(), QPixmap)
            # A later test that changes the theme would ask it again.
            delete(widget)
        except IndexError as error:
            caught.append((type(error), error, error.__traceback__))
    return {str(error) for _, error, _ in caught}


def test_a_widget_whose_painting_fails(qtbot):
    assert faults(qtbot, BadWidget) == {"paint"}


def test_an_item_of_a_scene_whose_painting_fails(qtbot):
    def view():
        view = QGraphicsView()
        view.setScene(QGraphicsScene(view))
        view.scene().addItem(BadItem(0, 0, 20, 20))
        return view

    assert faults(qtbot, view) == {"item"}


@pytest.mark.parametrize("model", [Table, BadTable])
def test_a_table_whose_model_and_delegate_fail(qtbot, model):
    def table():
        table = QTableView()
        table.setModel(model(table))
        table.setItemDelegate(BadDelegate(table))
        return table

    assert faults(qtbot, table) & {"data", "rows"}


def test_a_thread_that_fails_ends(qtbot):
    class BadThread(QThread):
        def run(self):
            raise IndexError("thread")

    thread = BadThread()
    with qtbot.captureExceptions() as caught:
        thread.start()
        # Qt's own `run` is an event loop.
        qtbot.waitUntil(thread.isFinished)
    assert [str(error) for _, error, _ in caught] == ["thread"]


def test_what_is_no_override_still_raises(qtbot):
    class Plain(QWidget):
        def shape_of(self):
            raise IndexError("mine")

    widget = Plain()
    qtbot.addWidget(widget)
    with pytest.raises(IndexError, match="mine"):
        widget.shape_of()


def test_an_override_that_works_keeps_its_answer_and_its_name(qtbot):
    class Good(QWidget):
        def heightForWidth(self, width):
            """Half of it."""
            return width // 2

    widget = Good()
    qtbot.addWidget(widget)
    assert widget.heightForWidth(40) == 20 and Good.heightForWidth.__doc__ == "Half of it."


def test_a_fault_that_every_frame_repeats_is_shown_once(qtbot, session, monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    clock = [10.0]
    monkeypatch.setattr("crots_studio.app.time", SimpleNamespace(monotonic=lambda: clock[0]))
    shown = []
    session.problem.connect(shown.append)
    report_exceptions(session)

    def fails():
        try:
            raise IndexError("paint")
        except IndexError:
            sys.excepthook(*sys.exc_info())

    for moment in (10, 10.1, 11.5, 13):
        clock[0] = moment
        fails()
    assert len(shown) == 1 and "IndexError: paint" in shown[0]
    clock[0] = 20
    fails()
    assert len(shown) == 2, "somebody tried again"
    assert capsys.readouterr().err.count("IndexError: paint") == 2


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="not needed from Python 3.12 on")
def test_the_classes_of_the_studio_and_of_pyqtgraph_are_guarded():
    for function in (ThumbnailView.paintEvent, RailDelegate.paint, RunTableModel.data, pg.PlotCurveItem.paint):
        assert hasattr(function, "__wrapped__"), "made before the guard"
