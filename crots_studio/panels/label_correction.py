"""Repaints the pseudo-label of the shown image: turns clicks and strokes into corrections of the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QVBoxLayout, QWidget

from crots.arrays import Array
from crots.config import Size
from crots.errors import CrotsError
from crots.images import resize_image
from crots.taxonomy import ClassSet
from crots_studio.models.label_edit import LabelEdits, inside, stroke
from crots_studio.models.superpixels import Superpixels
from crots_studio.models.words import fault_text
from crots_studio.session import Session
from crots_studio.widgets.compare_area import CompareArea
from crots_studio.widgets.label_tools import (
    BROAD,
    BRUSH,
    ERASER,
    FILL,
    LOOK,
    PICKER,
    POLYGON,
    SUPERPIXELS,
    TOOLS,
    LabelTools,
)

_PREVIEW_MS = 30
# Pixels of the label that a click may be away from the first corner to close a polygon.
_NEAR = 3


class LabelCorrection(QWidget):
    """The tool bar, at work on one image.

    Attributes:
        edits: the corrections of the project.
        key: the image.
        labels: (H, W) as shown, None where it has none.

    Signals:
        previewed(object): labels (H, W) to show while a stroke is drawn.
        corrected(str): the labels of an image changed on disk.
    """

    previewed = Signal(object)
    corrected = Signal(str)

    def __init__(self, session: Session, area: CompareArea, panel: QWidget) -> None:
        super().__init__(panel)
        self._session, self._area = session, area
        self.edits: LabelEdits | None = None
        self.key = ""
        self.labels: Array | None = None
        self._picture: Array | None = None
        self._superpixels: Superpixels | None = None
        self._points: list[tuple[int, int]] = []
        self._ignore = 0
        self._closing: list[QShortcut] = []
        # The image changed below the pressed pointer: the rest of that stroke belongs to none.
        self._broken_off = False
        self.tools = LabelTools()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tools)
        self._timer = QTimer(self, interval=_PREVIEW_MS, singleShot=True)
        self._timer.timeout.connect(self._preview)
        self.tools.tool_changed.connect(self._take_tool)
        self.tools.width_box.valueChanged.connect(lambda _: self._take_tool(self.tools.current))
        self.tools.undo_asked.connect(self.undo)
        self.tools.redo_asked.connect(self.redo)
        self.tools.reset_asked.connect(self.reset)
        area.stroked.connect(self._stroked)
        area.stroke_ended.connect(self._stroke_ended)
        self._make_keys(panel)
        self.show_image("", None)

    def _take_tool(self, tool: str) -> None:
        self._area.set_drawing(tool != LOOK)
        # A superpixel is not round: no ring shows it.
        self._area.set_brush(self.tools.width_box.value() if tool in BROAD and tool != SUPERPIXELS else 0)
        self._superpixels = None
        if tool != POLYGON:
            self._leave_polygon()

    def _make_keys(self, panel: QWidget) -> None:
        """Letters choose tools, digits classes, brackets the width; a field that is typed in keeps its letters."""

        def key(keys: str, label: str, act: Callable[[], object]) -> QShortcut:
            shortcut = QShortcut(QKeySequence(keys), panel)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setWhatsThis(label)
            shortcut.activated.connect(act)
            return shortcut

        for tool in TOOLS:
            key(tool.keys, tool.title, partial(self.tools.choose, tool.key))
        for digit in range(1, 10):
            key(str(digit), f"Paint with class {digit}", partial(self.tools.choose_class, digit - 1))
        key("[", "Narrower brush", partial(self.tools.widen, -2))
        key("]", "Wider brush", partial(self.tools.widen, 2))
        # Only while there is one to close: lists and fields need these keys.
        self._closing = [key(keys, "Close the polygon", self.close_polygon) for keys in ("Return", "Enter")]
        self._may_close(False)

    def set_edits(self, edits: LabelEdits | None, classes: ClassSet | None) -> None:
        """Takes over another project's corrections."""
        self.edits = edits
        self.tools.set_classes(classes)
        self._ignore = classes.ignore if classes is not None else 0
        self.show_image("", None)

    def show_image(self, key: str, labels: Array | None, picture: Array | None = None) -> None:
        """Works on another image.

        Args:
            key: of the image.
            labels: (H, W) as shown, None where it has none.
            picture: (h, w, 3) uint8 below them.
        """
        self.key, self.labels, self._picture, self._superpixels = key, labels, picture, None
        self._broken_off = self._broken_off or bool(self._points)
        self._points.clear()
        self._refresh()

    @property
    def drawing(self) -> bool:
        """Whether a stroke or polygon was begun."""
        return bool(self._points)

    def _refresh(self) -> None:
        edits, possible = self.edits, self.labels is not None and self.edits is not None
        undo, redo = (edits.undo_text, edits.redo_text) if edits else ("", "")
        corrected = edits is not None and self.key in edits.keys
        self.tools.show_state(undo, redo, corrected=corrected, possible=possible)
        self._session.opened.undo_changed.emit()

    # The mouse.

    def _stroked(self, x: int, y: int, begins: bool) -> None:
        if self.labels is None or self.tools.current == LOOK:
            return
        if self.tools.current == FILL:
            if begins:
                label, name = self.tools.label, self.tools.name
                self._change(lambda edits: edits.fill(self.key, x, y, label, name))
            return
        if self.tools.current == PICKER:
            if begins:
                self.tools.choose_class(int(self.labels[y, x]))
            return
        if self.tools.current == POLYGON:
            if begins:
                self._corner(x, y)
            return
        if begins:
            self._broken_off = False
            self._points.clear()
            self._superpixels = None
        if self._broken_off:
            return
        self._points.append((x, y))
        if not self._timer.isActive():
            self._timer.start()

    def _preview(self) -> None:
        if self.labels is not None and self._points:
            shown = self.labels.copy()
            height, width = shown.shape
            if self.tools.current == POLYGON:
                where = inside((height, width), self._points)
            elif self.tools.current == SUPERPIXELS and self._picture is not None:
                where = self._touched(self._points)
            else:
                where = stroke((height, width), self._points, self.tools.width_box.value())
            # The labels that the eraser restores are only known afterwards.
            shown[where] = self.tools.label if self.tools.current != ERASER else self._ignore
            self.previewed.emit(shown)

    def _touched(self, points: Sequence[tuple[int, int]]) -> Array:
        """The superpixels under the stroke that is being drawn; those that it touched before are known."""
        assert self._picture is not None and self.labels is not None
        if self._superpixels is None:
            height, width = self.labels.shape
            picture = resize_image(self._picture, Size(width, height))
            self._superpixels = Superpixels(picture, self.tools.width_box.value())
        return self._superpixels.touch(points)

    def _may_close(self, possible: bool) -> None:
        for shortcut in self._closing:
            shortcut.setEnabled(possible)

    def _corner(self, x: int, y: int) -> None:
        """Sets a corner of a polygon; near the first one closes it."""
        first = self._points[0] if self._points else None
        if first is not None and len(self._points) > 2 and max(abs(x - first[0]), abs(y - first[1])) <= _NEAR:
            self.close_polygon()
            return
        self._points.append((x, y))
        self._may_close(True)
        self._timer.start()

    def close_polygon(self) -> None:
        """Fills the polygon that is being drawn."""
        if self.tools.current != POLYGON or len(self._points) < 3:
            return
        self._timer.stop()
        self._may_close(False)
        corners, self._points = self._points, []
        label, name = self.tools.label, self.tools.name
        self._change(lambda edits: edits.polygon(self.key, corners, label, name))

    def _leave_polygon(self) -> None:
        """Another tool forgets a polygon that was not closed."""
        self._may_close(False)
        if self._points and self.labels is not None:
            self._points.clear()
            self.previewed.emit(self.labels)

    def _stroke_ended(self) -> None:
        if self.tools.current == POLYGON:
            return
        self._timer.stop()
        self._broken_off = False
        points, self._points = self._points, []
        width, label, name = self.tools.width_box.value(), self.tools.label, self.tools.name
        if points and self.tools.current == BRUSH:
            self._change(lambda edits: edits.paint(self.key, points, width, label, name))
        elif points and self.tools.current == ERASER:
            self._change(lambda edits: edits.erase(self.key, points, width))
        elif points and self.tools.current == SUPERPIXELS and self._picture is not None:
            where, self._superpixels = self._touched(points), None
            self._change(lambda edits: edits.cover(self.key, where, label, name))

    # Changes.

    def undo(self) -> None:
        """Undoes the last correction."""
        self._step(LabelEdits.undo)

    def redo(self) -> None:
        """Does it again."""
        self._step(LabelEdits.redo)

    def reset(self) -> None:
        """Removes all corrections of this image."""
        self._change(lambda edits: edits.reset(self.key))

    def _change(self, act: Callable[[LabelEdits], bool]) -> None:
        self._step(lambda edits: self.key if act(edits) else "")

    def _step(self, act: Callable[[LabelEdits], str]) -> None:
        if self.edits is None:
            return
        try:
            key = act(self.edits)
        except (CrotsError, OSError) as error:
            key = self.key
            self._session.problem.emit(fault_text(error))
        if key:
            self.corrected.emit(key)
            self._session.opened.refresh_status()
        self._refresh()
