"""What panels about single images share: a list and the classes on the left, the chosen image on the right."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from crots.events import Event
from crots.project import Project
from crots.taxonomy import ClassSet
from crots_studio.models.words import fault_text
from crots_studio.plain import Label, strong
from crots_studio.session import Session
from crots_studio.widgets.class_legend import ClassLegend
from crots_studio.widgets.compare_area import CompareArea
from crots_studio.widgets.image_list import ImageList
from crots_studio.widgets.picture_layers import colour_table


class ImagePanel(QWidget):
    """The frame; a subclass decides what is listed and what is shown of the chosen image."""

    def __init__(self, session: Session, name: str, area: CompareArea, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._session = session
        self._classes: ClassSet | None = None
        self._inputs: object = None
        self.images = ImageList()
        self.legend = ClassLegend()
        self.area = area
        self.readout = Label()
        self.readout.setTextFormat(Qt.TextFormat.RichText)
        self.readout.setWordWrap(True)
        self.readout.setAccessibleName("Pixel under the pointer")
        self.about = Label()
        self.about.setProperty("role", "muted")
        self.about.setWordWrap(True)
        for label in (self.readout, self.about):
            # A long name must not push the other panels aside.
            label.setMinimumWidth(1)
        self.above_list, self.beside_area, self.below_area = QVBoxLayout(), QHBoxLayout(), QHBoxLayout()
        self._build()
        self.images.picked.connect(self._pick)
        self.legend.shown_changed.connect(lambda _: self._recolour())
        self.area.hovered.connect(self._read_out)
        self.area.listen_to(self.images.thumbnails, self.legend.list)
        session.opened.project_changed.connect(self._reload)
        session.opened.config_changed.connect(self._config_changed)
        session.run.events_arrived.connect(self._events)

    def _fill_above(self) -> None:
        """Makes what stands above the list; a subclass may have something."""

    def _build(self) -> None:
        upper, main = QWidget(), QWidget()
        listing = QVBoxLayout(upper)
        listing.setContentsMargins(0, 0, 0, 0)
        listing.addLayout(self.above_list)
        # Before the list: the Tab key goes in the order of the making.
        self._fill_above()
        listing.addWidget(self.images)
        side = QSplitter(Qt.Orientation.Vertical)
        side.addWidget(upper)
        side.addWidget(self.legend)
        side.setStretchFactor(0, 3)
        side.setStretchFactor(1, 2)
        side.setChildrenCollapsible(False)
        layout = QVBoxLayout(main)
        layout.setContentsMargins(0, 0, 0, 0)
        self.beside_area.setSpacing(4)
        self.beside_area.addWidget(self.area, 1)
        layout.addLayout(self.beside_area, 1)
        layout.addLayout(self.below_area)
        layout.addWidget(self.readout)
        layout.addWidget(self.about)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(side)
        split.addWidget(main)
        split.setStretchFactor(1, 1)
        # Two thumbnails side by side, on a screen of 1280 pixels too.
        split.setSizes([216, 500])
        outer = QVBoxLayout(self)
        outer.setContentsMargins(8, 8, 8, 8)
        outer.addWidget(split)

    # A panel's own part.

    def _reload(self) -> None:
        """Lists the images of the project as it is now."""
        raise NotImplementedError

    def _pick(self, index: int) -> None:
        """Shows an image of the list; -1 for none."""
        raise NotImplementedError

    def _read_out(self, view: str, x: int, y: int) -> None:
        """Shows what is under the pointer; x is -1 where nothing is."""
        raise NotImplementedError

    def _events(self, events: list[Event]) -> None:
        """Handles events of a run."""

    def _inputs_of(self, project: Project | None) -> object:
        """The key of the list: another value lists the images again."""
        return None if project is None else (project.folder, project.config.data, project.config.task.classes)

    # Shared.

    def _config_changed(self) -> None:
        if self._inputs_of(self._session.project) != self._inputs:
            self._reload()

    def _failed(self, error: Exception) -> None:
        self._say_empty(fault_text(error), fault=True)

    def _say_empty(self, text: str, *, fault: bool = False) -> None:
        # Beside the list, where there is room for it.
        self.area.set_empty_text(text, fault=fault)
        self.area.show_contents({})
        self.area.setEnabled(False)
        self.readout.setText("")
        self.about.setText("")

    def _broken(self, error: Exception) -> None:
        """In place of the picture of an image that cannot be read."""
        self.area.set_empty_text(fault_text(error), fault=True)
        self.area.show_contents({})
        self.about.setText("")

    def _recolour(self) -> None:
        if self._classes is not None:
            self.area.set_table(colour_table(self._classes, self.legend.shown))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Page up and page down go to other images from anywhere in the panel."""
        steps = {Qt.Key.Key_PageDown: 1, Qt.Key.Key_PageUp: -1}
        if event.key() in steps:
            self.images.step(steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)


def class_label(classes: ClassSet, number: int) -> str:
    """Returns a class as a coloured square and its name, for a rich-text label."""
    if number >= len(classes):
        return "ignored"
    red, green, blue = classes.palette[number]
    square = f'<span style="background-color: rgb({red}, {green}, {blue})">&nbsp;&nbsp;&nbsp;&nbsp;</span>'
    return f"{square} {strong(html.escape(classes.names[number]))}"
