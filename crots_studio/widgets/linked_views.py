"""Several views that zoom and pan as one, laid out so that the pictures are as large as the room allows."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from crots.arrays import Array
from crots_studio.widgets.image_view import NARROWEST, ImageView, Viewpoint
from crots_studio.widgets.picture_layers import Content

GAP = 4


# Share of the largest size of pictures that is as good.
_NEARLY = 0.87


def best_columns(count: int, width: int, height: int, aspect: float) -> int:
    """Returns how many columns show ``count`` pictures of an aspect (width / height) largest.

    Beside each other they are easier to compare, so that pictures a little smaller are preferred to another row.
    """

    def shown(columns: int) -> float:
        rows = -(-count // columns)
        cell_width = (width - GAP * (columns - 1)) / columns
        cell_height = (height - GAP * (rows - 1)) / rows
        return min(cell_width, cell_height * aspect)

    best = max(map(shown, range(1, count + 1)), default=0.0)
    large = [columns for columns in range(1, count + 1) if shown(columns) >= _NEARLY * best]
    # Of as many rows, the fewest columns: three and one below would leave the room of two pictures empty.
    return min(large, key=lambda columns: (-(-count // columns), -shown(columns)), default=1)


class LinkedViews(QWidget):
    """A grid of `ImageView`; all show the same place and mark the pixel under the pointer.

    Args:
        parent: of the widget.
        columns: how many; 0 takes as many as make the pictures largest.
        named_rows: all pictures of a row have one title, which is written once beside the row and over no picture.

    Signals:
        hovered(int, int, int): view, x, y; x and y are -1 when the pointer leaves.
        clicked(int, int, int): likewise.
        stroked(int, int, bool), stroke_ended(): of any view, see `ImageView`.
    """

    hovered = Signal(int, int, int)
    clicked = Signal(int, int, int)
    stroked = Signal(int, int, bool)
    stroke_ended = Signal()

    def __init__(self, parent: QWidget | None = None, *, columns: int = 0, named_rows: bool = False) -> None:
        super().__init__(parent)
        self.views: list[ImageView] = []
        self._columns, self._named_rows = columns, named_rows
        self._count = 0
        self._table: Array | None = None
        self._opacity = 1.0
        self._drawing = False
        self._brush = 0
        self._empty_text, self._empty_is_fault = "", False
        self.setMinimumSize(self.margin + max(1, columns) * (NARROWEST + GAP) - GAP, 140)

    def show_contents(self, contents: Sequence[Content | None]) -> None:
        """Shows one view for each content; zoom and place stay."""
        while len(self.views) < max(1, len(contents)):
            self._add_view()
        self._count = max(1, len(contents))
        for number, view in enumerate(self.views):
            view.show_content(contents[number] if number < len(contents) else None)
            view.setVisible(number < self._count)
        self._arrange()
        self.update()

    def set_empty_text(self, text: str, *, fault: bool = False) -> None:
        """Sets what a view without content shows, in the colour of an error where it is one."""
        self._empty_text, self._empty_is_fault = text, fault
        for view in self.views:
            view.empty_text, view.empty_is_fault = text, fault
            view.viewport().update()

    def set_table(self, table: Array) -> None:
        """Sets the colours of labels in all views."""
        self._table = table
        for view in self.views:
            view.set_table(table)

    def set_opacity(self, opacity: float) -> None:
        """Fades the overlay in all views."""
        self._opacity = opacity
        for view in self.views:
            view.set_opacity(opacity)

    def set_drawing(self, drawing: bool) -> None:
        """Drags draw in all views."""
        self._drawing = drawing
        for view in self.views:
            view.set_drawing(drawing)

    def set_brush(self, width: int) -> None:
        """Shows the outline of a brush in the view under the pointer."""
        self._brush = width
        for view in self.views:
            view.set_brush(width)

    def fit(self) -> None:
        """Shows the whole pictures."""
        for view in self.views:
            view.look(Viewpoint())

    def look(self, place: Viewpoint) -> None:
        """Looks elsewhere with all views."""
        for view in self.views:
            view.look(place)

    def look_at_box(self, box: tuple[int, int, int, int]) -> None:
        """Brings a box of the pictures to the middle of all views."""
        self.views[0].look_at_box(box)

    @property
    def place(self) -> Viewpoint:
        """Where all views look."""
        return self.views[0].place if self.views else Viewpoint()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Qt asks."""
        return QSize(640, 400)

    def _add_view(self) -> None:
        view, number = ImageView(self), len(self.views)
        view.empty_text, view.empty_is_fault = self._empty_text, self._empty_is_fault
        view.titled = not self._named_rows
        if self.views:
            # It may be made late, and the Tab key then came to it last.
            QWidget.setTabOrder(self.views[-1], view)
        if self._table is not None:
            view.set_table(self._table)
        view.set_opacity(self._opacity)
        view.set_drawing(self._drawing)
        view.set_brush(self._brush)
        view.look(self.place)
        view.stroked.connect(self.stroked)
        view.stroke_ended.connect(self.stroke_ended)
        view.moved.connect(self.look)
        view.hovered.connect(lambda x, y: self._hover(number, x, y))
        view.clicked.connect(lambda x, y: self.clicked.emit(number, x, y))
        self.views.append(view)

    def _hover(self, number: int, x: int, y: int) -> None:
        for other, view in enumerate(self.views):
            view.set_marker((x, y) if x >= 0 and other != number else None)
        self.hovered.emit(number, x, y)

    @property
    def margin(self) -> int:
        """Pixels left of the pictures, for the names of rows."""
        return self.fontMetrics().height() + GAP if self._named_rows else 0

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Writes the names of rows, from below to above."""
        if not self._named_rows:
            return
        painter, metrics = QPainter(self), self.fontMetrics()
        for view in self.views[: self._count : self._columns or 1]:
            place = view.geometry()
            text = metrics.elidedText(
                view.content.title if view.content else "", Qt.TextElideMode.ElideRight, place.height()
            )
            painter.save()
            painter.translate(0, place.bottom())
            painter.rotate(-90)
            painter.drawText(QRect(0, 0, place.height(), metrics.height()), Qt.AlignmentFlag.AlignCenter, text)
            painter.restore()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Lays the views out again."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        if not self._count:
            return
        content = self.views[0].content
        aspect = content.size.width / content.size.height if content else 1.5
        columns = self._columns or best_columns(self._count, self.width() - self.margin, self.height(), aspect)
        rows = -(-self._count // columns)
        # All of one size, so that the pictures and their zoom are the same; a few pixels at the edge may be left.
        width = (self.width() - self.margin + GAP) // columns - GAP
        height = (self.height() + GAP) // rows - GAP
        for number in range(self._count):
            row, column = divmod(number, columns)
            self.views[number].setGeometry(
                self.margin + column * (width + GAP), row * (height + GAP), max(width, 1), max(height, 1)
            )
