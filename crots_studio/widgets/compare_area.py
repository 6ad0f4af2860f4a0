"""Pictures of one image, side by side or swiped, with an overlay of adjustable opacity and linked zoom."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from crots.arrays import Array
from crots_studio.plain import Label, plain_tooltip
from crots_studio.widgets.controls import ElidedBox, PercentLabel, snug
from crots_studio.widgets.linked_views import LinkedViews
from crots_studio.widgets.picture_layers import Content
from crots_studio.widgets.swipe_view import SwipeView

# How contents can be shown.
LAST = "last"  # the right picture is whatever comes last, until the user chooses
MODES = {"all": "All", "pair": "Side by side", "swipe": "Swipe"}
# Percent of the overlay while a key is down.
_HELD = {Qt.Key.Key_Z: 0, Qt.Key.Key_X: 100}


class CompareArea(QWidget):
    """Shows named contents of one image.

    Signals:
        hovered(str, int, int): name of the content under the pointer and the pixel; x and y are -1 outside.
        clicked(str, int, int): likewise.
        stroked(int, int, bool), stroke_ended(): of any view, see `ImageView`.
    """

    hovered = Signal(str, int, int)
    clicked = Signal(str, int, int)
    stroked = Signal(int, int, bool)
    stroke_ended = Signal()

    def __init__(self, parent: QWidget | None = None, *, left: str = "", right: str = "", mode: str = "pair") -> None:
        super().__init__(parent)
        self._contents: dict[str, Content] = {}
        self._wanted = {"left": left, "right": right}
        self._held: int | None = None
        self.views = LinkedViews()
        self.swipe = SwipeView()
        self.mode = _combo("How images are shown", [(text, key) for key, text in MODES.items()])
        self.mode.setCurrentIndex(list(MODES).index(mode))
        self.mode.setMinimumContentsLength(0)
        self.mode.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.left = _combo("Left image", [])
        self.right = _combo("Right image", [])
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(55)
        self.opacity.setPageStep(10)
        self.opacity.setAccessibleName("Opacity of the label overlay, percent")
        self.opacity.setToolTip("Opacity of the labels. Hold Z to hide them, X to see them alone.")
        self.opacity.setMinimumWidth(40)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.views)
        self._stack.addWidget(self.swipe)
        self._build()
        self._connect()
        self.views.show_contents([None])
        self._fade()

    def _build(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(4)
        bar.addWidget(self.mode)
        bar.addWidget(self.left, 1)
        self._versus = Label("and")
        self._versus.setProperty("role", "muted")
        bar.addWidget(self._versus)
        bar.addWidget(self.right, 1)
        bar.addStretch(1)
        label = Label("&Overlay")
        label.setBuddy(self.opacity)
        bar.addWidget(label)
        self.opacity.setMaximumWidth(220)
        bar.addWidget(self.opacity, 2)
        self.percent = PercentLabel()
        bar.addWidget(self.percent)
        self.fit_button = QPushButton("Fit")
        self.fit_button.setToolTip("Fit the image to the view (key 0). Wheel, + and - zoom; drag or arrow keys pan")
        self.fit_button.setAccessibleName("Fit the image to the view")
        bar.addWidget(snug(self.fit_button))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(bar)
        layout.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self.mode.currentIndexChanged.connect(self._show)
        self.left.activated.connect(lambda _: self._choose("left"))
        self.right.activated.connect(lambda _: self._choose("right"))
        self.opacity.valueChanged.connect(self._fade)
        self.fit_button.clicked.connect(self.fit)
        self.views.hovered.connect(lambda view, x, y: self.hovered.emit(self._name(view), x, y))
        self.views.clicked.connect(lambda view, x, y: self.clicked.emit(self._name(view), x, y))
        for views in (self.views, self.swipe):
            views.stroked.connect(self.stroked)
            views.stroke_ended.connect(self.stroke_ended)
        self.swipe.hovered.connect(lambda x, y: self.hovered.emit(self._swiped(x), x, y))
        self.swipe.clicked.connect(lambda x, y: self.clicked.emit(self._swiped(x), x, y))

    # What is shown.

    def show_contents(self, contents: Mapping[str, Content]) -> None:
        """Shows contents of one image by name; mode, choice, zoom and place stay where they can."""
        names_changed = list(contents) != list(self._contents)
        self._contents = dict(contents)
        if names_changed:
            self._fill(self.left, "left", 0)
            self._fill(self.right, "right", 1)
        self._show()

    def set_empty_text(self, text: str, *, fault: bool = False) -> None:
        """Sets the text where there is nothing to show, in the colour of an error where it is one."""
        self.views.set_empty_text(text, fault=fault)
        self.swipe.empty_text, self.swipe.empty_is_fault = text, fault
        self.swipe.viewport().update()

    def set_table(self, table: Array) -> None:
        """Sets the colours of labels."""
        self.views.set_table(table)
        self.swipe.set_table(table)

    def set_drawing(self, drawing: bool) -> None:
        """Drags draw and do not move the picture."""
        self.views.set_drawing(drawing)
        self.swipe.set_drawing(drawing)

    def set_brush(self, width: int) -> None:
        """Shows the outline of a brush under the pointer; 0 for none."""
        self.views.set_brush(width)
        self.swipe.set_brush(width)

    def fit(self) -> None:
        """Shows the whole picture."""
        self.views.fit()
        self.swipe.fit()

    def look_at_box(self, box: tuple[int, int, int, int]) -> None:
        """Brings a box of the picture to the middle."""
        self.views.look_at_box(box)
        self.swipe.look_at_box(box)

    @property
    def contents(self) -> dict[str, Content]:
        """All contents by name, those that are seen now and the others."""
        return dict(self._contents)

    @property
    def shown(self) -> list[str]:
        """Names of the contents that are seen now; none twice."""
        if self.mode.currentData() == "all":
            return list(self._contents)
        chosen = dict.fromkeys((self.left.currentText(), self.right.currentText()))
        return [name for name in chosen if name in self._contents]

    def _fill(self, combo: QComboBox, side: str, fallback: int) -> None:
        combo.blockSignals(True)
        combo.clear()
        combo.addItems(list(self._contents))
        wanted = self._wanted[side]
        place = combo.count() - 1 if wanted == LAST else combo.findText(wanted)
        combo.setCurrentIndex(place if place >= 0 else min(fallback, combo.count() - 1))
        combo.blockSignals(False)

    def _choose(self, side: str) -> None:
        self._wanted[side] = (self.left if side == "left" else self.right).currentText()
        self._show()

    def _show(self) -> None:
        mode = self.mode.currentData()
        swiping = mode == "swipe" and bool(self._contents)
        for widget in (self.left, self.right, self._versus):
            # With one picture there is nothing to choose.
            widget.setVisible(mode != "all" and (widget is self.left or len(self._contents) != 1))
            widget.setEnabled(len(self._contents) > 1)
        chosen = [self._contents[name] for name in self.shown]
        before = self.swipe.place if self._stack.currentWidget() is self.swipe else self.views.place
        if swiping and len(chosen) == 2:
            self.swipe.show_pair(chosen[0], chosen[1])
            self.swipe.look(before)
            self._stack.setCurrentWidget(self.swipe)
        else:
            self.views.show_contents(chosen or [None])
            self.views.look(before)
            self._stack.setCurrentWidget(self.views)

    def _name(self, view: int) -> str:
        return self.shown[view] if view < len(self.shown) else ""

    def _swiped(self, x: int) -> str:
        return self._name(self.swipe.side(x))

    # The overlay.

    def _fade(self) -> None:
        value = self.opacity.value() if self._held is None else self._held
        self.percent.show_percent(value)
        self.views.set_opacity(value / 100)
        self.swipe.set_opacity(value / 100)

    def listen_to(self, *widgets: QWidget) -> None:
        """Handles the overlay keys for these widgets too, which would use the letters for searching."""
        for widget in widgets:
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Keys of the widgets that it listens to."""
        return isinstance(event, QKeyEvent) and self._hold(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Holds the overlay at 0 or 100% while a key is down."""
        if not self._hold(event):
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Restores the overlay."""
        if not self._hold(event):
            super().keyReleaseEvent(event)

    def event(self, event: QEvent) -> bool:
        """Restores the overlay when the window loses the focus while a key is down."""
        if event.type() in (QEvent.Type.WindowDeactivate, QEvent.Type.Hide) and self._held is not None:
            self._held = None
            self._fade()
        return super().event(event)

    def _hold(self, event: QKeyEvent) -> bool:
        if event.type() not in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease) or event.key() not in _HELD:
            return False
        if event.modifiers() != Qt.KeyboardModifier.NoModifier:
            return False
        if not event.isAutoRepeat():
            self._held = _HELD[Qt.Key(event.key())] if event.type() == QEvent.Type.KeyPress else None
            self._fade()
        return True


def _combo(name: str, entries: list[tuple[str, str]]) -> QComboBox:
    combo = ElidedBox()
    combo.setAccessibleName(name)
    combo.setToolTip(plain_tooltip(name))
    combo.setMinimumContentsLength(2)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    for text, key in entries:
        combo.addItem(text, key)
    return combo
