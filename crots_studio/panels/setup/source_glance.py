"""A strip of the user's images, one of them with the source's prediction, before anything is trained."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QSize
from PySide6.QtGui import QIcon, QPixmap, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from crots.data.tiles import Tiling
from crots.errors import InputError
from crots.opening import tiling_of
from crots.options import DataOptions
from crots_studio.models.source_glance import (
    COUNT,
    HEIGHT,
    Glance,
    SmallImage,
    ask_source,
    read_tiles,
    tile_text,
    with_grid,
)
from crots_studio.models.words import fault_text
from crots_studio.plain import Label, plain_tooltip
from crots_studio.session import Session
from crots_studio.widgets.picture_layers import rgb_image

_HINT = (
    "Click an image to see the source's prediction: the quickest check of folders, channels and classes. "
    "Nothing is trained."
)
_READING = "Reading the first images ..."
_NO_SOURCE = "Once a source is chosen below, a click on an image shows its prediction."


class SourceGlance(QWidget):
    """Takes its room as soon as images are chosen; predicts the first one once the source is valid too."""

    def __init__(self, session: Session, parent: QWidget | None = None, *, after: QWidget | None = None) -> None:
        super().__init__(parent)
        # Its buttons are made late, and the Tab key would come to them last.
        self._after = after
        self._session = session
        self._shown: tuple[object, ...] = ()
        self._source_ready = self._expected = self._reading = False
        # The settings of the last automatic prediction.
        self._asked: tuple[object, ...] = ()
        # How the images are cut, and what is drawn over which of them.
        self._tiling: Tiling | None = None
        self._painted: tuple[int, Glance | None] = (-1, None)
        self.tiles: list[SmallImage] = []
        self.buttons: list[QToolButton] = []
        # What lies below must not move under a click when the images arrive.
        strip = QWidget()
        strip.setFixedHeight(HEIGHT + 8)
        self._row = QHBoxLayout(strip)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._row.addStretch(1)
        self.text = Label(_HINT)
        self.text.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        column.addWidget(strip)
        column.addWidget(self.text)
        self.hide()

    def refresh(self, ready: bool, source_ready: bool = False, *, expected: bool = False) -> None:
        """Reads the first images where they are others than before.

        Args:
            ready: the folder is fine.
            source_ready: the source and the classes are, too.
            expected: the folder is being checked.
        """
        self._expected = expected
        self._source_ready = source_ready
        project = self._session.project
        data = project.config.data if project is not None else None
        self._tiling, before = _tiling(data), self._tiling
        if self._tiling != before:
            self._paint(*self._painted)
        wanted = (project.folder, data.target, data.layout, data.split) if project and data and ready else ()
        if self.text.text() in (_HINT, _NO_SOURCE, _READING):
            self._say(self._hint if self.tiles else _READING)
        if wanted == self._shown:
            self._show_or_hide()
            self._ask_by_itself()
            return
        self._shown = wanted
        self._clear()
        self._say(_READING)
        self._reading = bool(wanted)
        self._show_or_hide()
        if wanted and project is not None:
            self._session.errands.in_background(
                partial(read_tiles, project), self._show, lambda _: self._show([]), token="setup images"
            )

    def _show_or_hide(self) -> None:
        self.setVisible(bool(self.tiles) or self._reading or self._expected)

    def _clear(self) -> None:
        for button in self.buttons:
            self._row.removeWidget(button)
            button.deleteLater()
        self.tiles, self.buttons = [], []
        self._asked, self._painted = (), (-1, None)

    def _show(self, tiles: list[SmallImage]) -> None:
        self._clear()
        self.tiles = tiles
        for number, tile in enumerate(tiles[:COUNT]):
            button = QToolButton()
            button.setCheckable(True)
            button.setAccessibleName(f"The source's prediction for {tile.key}")
            button.setIconSize(QSize(tile.picture.shape[1], HEIGHT))
            button.setFixedSize(tile.picture.shape[1] + 8, HEIGHT + 8)
            button.clicked.connect(partial(self.ask, number))
            self._row.insertWidget(number, button)
            if (before := self.buttons[-1] if self.buttons else self._after) is not None:
                QWidget.setTabOrder(before, button)
            self.buttons.append(button)
        self._paint()
        self._say(self._hint)
        self._reading = False
        self._show_or_hide()
        self._ask_by_itself()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Asks for the prediction that was not needed while hidden."""
        super().showEvent(event)
        self._ask_by_itself()

    def _ask_by_itself(self) -> None:
        """Asks the source for the first image, once per source and only while the strip is visible."""
        project, session = self._session.project, self._session
        if project is None or not self.tiles:
            return
        now = (
            self._shown,
            project.config.source,
            project.config.task,
            project.config.data.size,
            self._tiling,
            session.opened.trusted,
        )
        if now == self._asked:
            return
        if self._asked:
            # It was predicted by another source.
            session.errands.forget("ask source")
            self._asked = ()
            self._paint()
            self._say(self._hint)
        if self._source_ready and self.isVisible() and not session.run.busy:
            self._asked = now
            self.ask(0)

    def _paint(self, asked: int = -1, glance: Glance | None = None) -> None:
        self._painted = (asked, glance)
        for number, (button, tile) in enumerate(zip(self.buttons, self.tiles, strict=True)):
            cut = tile_text(tile.size, self._tiling)
            button.setToolTip(plain_tooltip(f"{tile.key}: {cut}" if cut else tile.key))
            over = glance.picture if glance is not None and number == asked else tile.picture
            button.setIcon(QIcon(QPixmap.fromImage(rgb_image(with_grid(over, tile.size, self._tiling)))))
            button.setChecked(number == asked)

    @property
    def _hint(self) -> str:
        """What a click on an image does."""
        source = self._session.project.config.source if self._session.project is not None else None
        return _HINT if source is not None and (source.file or source.predictions) else _NO_SOURCE

    def _say(self, text: str, role: str = "muted") -> None:
        self.text.setText(text)
        self.text.setProperty("role", role)
        self.text.style().polish(self.text)

    def ask(self, number: int, _checked: bool = False) -> None:
        """Asks the source about an image, beside the window."""
        if self._session.project is None:
            return
        if self._session.run.busy:
            self._paint()
            self._say("A run is in progress; predictions are available when it has finished.", "warning")
            return
        tile, project = self.tiles[number], self._session.opened.for_run()
        self._paint(number)
        self._say(f"Predicting {tile.key} ...")

        def answered(glance: Glance) -> None:
            if number < len(self.tiles) and self.tiles[number] is tile:
                self._paint(number, glance)
                self._say(f"{tile.key}: {glance.text}", "warning" if glance.doubtful else "good")

        def failed(error: Exception) -> None:
            self._paint()
            self._say(fault_text(error), "bad")

        self._session.errands.in_background(partial(ask_source, project, tile), answered, failed, token="ask source")


def _tiling(data: DataOptions | None) -> Tiling | None:
    """How images are cut; None where they are not, or two options contradict each other."""
    try:
        return tiling_of(data) if data is not None else None
    except InputError:
        return None
