"""What the source says of the target's images: labels, how sure it is of them, and where it is not."""

from __future__ import annotations

from functools import partial

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSplitter, QVBoxLayout, QWidget

from crots.events import Event, StageFinished
from crots.project import Project
from crots.taxonomy import ClassSet
from crots_studio.models.image_store import ImageMaps, ImageStore
from crots_studio.models.label_list import LabelList, classes_of, glance, read_list
from crots_studio.session import Session
from crots_studio.widgets.class_legend import ClassLegend
from crots_studio.widgets.compare_area import CompareArea
from crots_studio.widgets.image_list import ImageList
from crots_studio.widgets.picture_layers import Content, colour_table

_NO_PROJECT = "Open or make a project to see its images here."
_NO_IMAGES = "No target images yet. Choose the target folder in the project's set-up."
_NO_LABELS = "not labelled yet: run the stage Pseudo-labels to see what the source says of these images"
IMAGE, LABELS, CONFIDENCE, ENTROPY = "Image", "Labels", "Confidence", "Entropy"


class PseudoLabelPanel(QWidget):
    """List of images on the left, the chosen one on the right in two of four forms."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Pseudo-labels")
        self._session = session
        self._classes: ClassSet | None = None
        self._store: ImageStore | None = None
        self._maps: ImageMaps | None = None
        self._inputs: object = None
        self.images = ImageList()
        self.legend = ClassLegend()
        self.area = CompareArea(left=IMAGE, right=LABELS)
        self.readout = QLabel()
        self.readout.setTextFormat(Qt.TextFormat.RichText)
        self.readout.setAccessibleName("Pixel under the pointer")
        self.about = QLabel()
        self.about.setProperty("role", "muted")
        self.about.setWordWrap(True)
        self._build()
        self._connect()
        self._reload()

    def _build(self) -> None:
        side = QSplitter(Qt.Orientation.Vertical)
        side.addWidget(self.images)
        side.addWidget(self.legend)
        side.setStretchFactor(0, 3)
        side.setStretchFactor(1, 2)
        side.setChildrenCollapsible(False)
        main = QWidget()
        layout = QVBoxLayout(main)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.area, 1)
        row = QHBoxLayout()
        row.addWidget(self.readout, 1)
        layout.addLayout(row)
        layout.addWidget(self.about)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(side)
        split.addWidget(main)
        split.setStretchFactor(1, 1)
        split.setSizes([215, 700])
        outer = QHBoxLayout(self)
        outer.setContentsMargins(6, 6, 6, 6)
        outer.addWidget(split)

    def _connect(self) -> None:
        self.images.picked.connect(self._pick)
        self.legend.shown_changed.connect(lambda _: self._recolour())
        self.area.hovered.connect(self._read_out)
        self.area.listen_to(self.images.thumbnails, self.legend.list)
        self._session.project_changed.connect(self._reload)
        self._session.config_changed.connect(self._config_changed)
        self._session.events_arrived.connect(self._events)

    # The list.

    def _reload(self) -> None:
        project = self._session.project
        self._store, self._maps, self._classes = None, None, None
        self._inputs = _inputs_of(project)
        self.images.show_labels(LabelList(), None)
        self.legend.set_classes(None)
        self._say_empty(_NO_PROJECT if project is None else "Looking for images …")
        if project is not None:
            snapshot = Project(project.folder, project.config)
            self._session.in_background(partial(_glance, snapshot), self._glanced, token="pseudo-labels glance")
            self._session.in_background(partial(_read, snapshot), self._listed, self._failed, token="pseudo-labels")

    def _glanced(self, found: LabelList) -> None:
        """The first images of a long listing, unless the whole one came first."""
        if not len(self.images.labels) and len(found) and self._store is None:
            self._store = self._store or self._make_store(None)
            self.images.show_labels(found, None)

    def _listed(self, found: tuple[LabelList, ClassSet]) -> None:
        labels, self._classes = found
        self._store = self._make_store(self._classes)
        self.legend.set_classes(self._classes)
        self._recolour()
        if not len(labels):
            self._say_empty(labels.problem or _NO_IMAGES)
        self.images.show_labels(labels, self._classes)

    def _failed(self, error: Exception) -> None:
        self._say_empty(str(error))

    def _make_store(self, classes: ClassSet | None) -> ImageStore | None:
        project = self._session.project
        if project is None:
            return None
        return ImageStore(project, classes or ClassSet("none", (), ()))

    def _config_changed(self) -> None:
        if _inputs_of(self._session.project) != self._inputs:
            self._reload()

    def _events(self, events: list[Event]) -> None:
        if any(isinstance(event, StageFinished) and event.stage == "pseudo-label" for event in events):
            self._reload()

    def _say_empty(self, text: str) -> None:
        self.images.thumbnails.empty_text = text
        self.images.thumbnails.viewport().update()
        self.area.set_empty_text(text)
        self.area.show_contents({})
        self.readout.setText("")
        self.about.setText("")
        self.area.setEnabled(False)

    # One image.

    def _pick(self, index: int) -> None:
        if index < 0 or self._store is None:
            self._maps = None
            self.area.show_contents({})
            return
        labels, store = self.images.labels, self._store
        key, path = labels.keys[index], labels.path(index)
        self._session.in_background(
            lambda: (key, store.maps(key, path)), self._show, self._broken, token="pseudo-labels image"
        )

    def _broken(self, error: Exception) -> None:
        self._maps = None
        self.area.set_empty_text(str(error))
        self.area.show_contents({})
        self.about.setText("")

    def _show(self, found: tuple[str, ImageMaps]) -> None:
        key, maps = found
        if key != self.images.current_key:
            return
        self._maps = maps
        self.area.setEnabled(True)
        self.area.show_contents(self._contents(maps))
        index = self.images.current
        self.legend.set_shares(self.images.labels.shares(index) if self.images.labels.labelled else None)
        self.about.setText(self._about(key, index))

    def _contents(self, maps: ImageMaps) -> dict[str, Content]:
        size = maps.size
        contents = {IMAGE: Content(IMAGE, size, image=maps.image)}
        if maps.labels is None or self._classes is None:
            return contents
        contents[LABELS] = Content(LABELS, size, image=maps.image, labels=maps.labels)
        if maps.confidence is not None and maps.entropy is not None:
            most = float(np.log(max(2, len(self._classes))))
            contents[CONFIDENCE] = Content(CONFIDENCE, size, values=maps.confidence, scale="confidence")
            ends = ("0", f"{most:.1f} nats")
            contents[ENTROPY] = Content(ENTROPY, size, values=maps.entropy / most, scale="entropy", ends=ends)
        return contents

    def _about(self, key: str, index: int) -> str:
        row = self.images.labels.row(index)
        if row.entropy is None:
            return f"{key}: {_NO_LABELS}"
        half = "hard" if row.hard else "easy"
        sure = "" if self._maps is None or self._maps.confidence is not None else "; the source gave no confidence"
        return f"{key}: mean entropy {row.entropy:.3f} nats, {half} half{sure}"

    def _recolour(self) -> None:
        if self._classes is not None:
            self.area.set_table(colour_table(self._classes, self.legend.shown))

    def _read_out(self, _view: str, x: int, y: int) -> None:
        maps = self._maps
        if x < 0 or maps is None or maps.labels is None or self._classes is None:
            self.readout.setText(f"{x}, {y}" if x >= 0 else "")
            return
        number = int(maps.labels[y, x])
        parts = [f"{x}, {y}", class_words(self._classes, number)]
        if maps.confidence is not None and maps.entropy is not None:
            parts.append(f"confidence {maps.confidence[y, x]:.3f}")
            parts.append(f"entropy up to {maps.entropy[y, x]:.2f} nats")
        self.readout.setText(" &nbsp; ".join(parts))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Page up and page down go to other images from anywhere in the panel."""
        steps = {Qt.Key.Key_PageDown: 1, Qt.Key.Key_PageUp: -1}
        if event.key() in steps:
            self.images.step(steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)


def _inputs_of(project: Project | None) -> object:
    return None if project is None else (project.folder, project.config.data, project.config.task.classes)


def _glance(project: Project) -> LabelList:
    return glance(project)


def _read(project: Project) -> tuple[LabelList, ClassSet]:
    classes = classes_of(project)
    return read_list(project, classes), classes


def class_words(classes: ClassSet, number: int) -> str:
    """Returns a class as a coloured square and its name, for a rich-text label."""
    if number >= len(classes):
        return "ignored"
    red, green, blue = classes.palette[number]
    square = f'<span style="background-color: rgb({red}, {green}, {blue})">&nbsp;&nbsp;&nbsp;&nbsp;</span>'
    return f"{square} <b>{classes.names[number]}</b>"
