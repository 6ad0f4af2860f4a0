"""Before and after: what source, baseline and every round say of the same image."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QShowEvent
from PySide6.QtWidgets import QLabel, QSplitter, QVBoxLayout, QWidget

from crots.events import Event, StageFinished
from crots.project import Project
from crots.taxonomy import ClassSet
from crots_studio.models.image_store import ImageMaps, ImageStore
from crots_studio.models.label_list import LabelList, classes_of, read_list
from crots_studio.models.names import title
from crots_studio.models.predictions import SOURCE, Prediction, Predictions, difference
from crots_studio.panels.pseudo_labels import class_words
from crots_studio.session import Session
from crots_studio.widgets.class_legend import ClassLegend
from crots_studio.widgets.compare_area import LAST, CompareArea
from crots_studio.widgets.image_list import ImageList
from crots_studio.widgets.picture_layers import Content, colour_table

_NO_PROJECT = "Open or make a project to compare its models here."
_NO_LABELS = "Models are compared with the source. Run the stage Pseudo-labels first."
IMAGE = "Image"


class BeforeAfterPanel(QWidget):
    """List of images on the left; the same image as each model sees it on the right."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Before and after")
        self._session = session
        self._classes: ClassSet | None = None
        self._store: ImageStore | None = None
        self._predictions: Predictions | None = None
        self._subjects: list[str] = []
        self._maps: ImageMaps | None = None
        self._said: dict[str, Prediction] = {}
        self._wrong: dict[str, str] = {}
        self._inputs: object = None
        self._stale = False
        self.images = ImageList()
        self.legend = ClassLegend()
        self.area = CompareArea(left=title(SOURCE), right=LAST, mode="all")
        self.readout = QLabel()
        self.readout.setTextFormat(Qt.TextFormat.RichText)
        self.readout.setWordWrap(True)
        self.readout.setAccessibleName("Pixel under the pointer")
        self.about = QLabel()
        self.about.setProperty("role", "muted")
        self.about.setWordWrap(True)
        self.about.setAccessibleName("How much the models differ from the source")
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
        layout.addWidget(self.readout)
        layout.addWidget(self.about)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(side)
        split.addWidget(main)
        split.setStretchFactor(1, 1)
        split.setSizes([215, 700])
        outer = QVBoxLayout(self)
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

    # What there is.

    def _reload(self) -> None:
        project = self._session.project
        self._store, self._predictions, self._maps, self._said = None, None, None, {}
        self._inputs = _inputs_of(project)
        self.images.show_labels(LabelList(), None)
        self._say_empty(_NO_PROJECT if project is None else _NO_LABELS)
        if project is not None:
            snapshot = Project(project.folder, project.config)
            self._session.in_background(partial(_read, snapshot), self._listed, self._failed, token="before list")

    def _listed(self, found: tuple[LabelList, ClassSet]) -> None:
        labels, self._classes = found
        project = self._session.project
        if project is None or not labels.labelled:
            return
        self._store = ImageStore(project, self._classes)
        self._make_predictions()
        self.legend.set_classes(self._classes)
        self._recolour()
        self.images.show_labels(labels, self._classes)

    def _make_predictions(self) -> None:
        project = self._session.project
        if project is not None and self._store is not None:
            device = "cpu" if self._session.busy else None
            self._predictions = Predictions(Project(project.folder, project.config), self._store, device=device)
            self._subjects = self._predictions.subjects()

    def _failed(self, error: Exception) -> None:
        self._say_empty(str(error))

    def _say_empty(self, text: str) -> None:
        self.images.thumbnails.empty_text = text
        self.images.thumbnails.viewport().update()
        self.area.set_empty_text(text)
        self.area.show_contents({})
        self.area.setEnabled(False)
        self.legend.set_classes(None)
        self.readout.setText("")
        self.about.setText("")

    def _config_changed(self) -> None:
        if _inputs_of(self._session.project) != self._inputs:
            self._reload()

    def _events(self, events: list[Event]) -> None:
        ended = {event.stage for event in events if isinstance(event, StageFinished)}
        if "pseudo-label" in ended:
            self._reload()
        elif any(key == "baseline" or key.startswith("adapt-") for key in ended):
            self._make_predictions()
            self._pick(self.images.current)

    # One image.

    def _pick(self, index: int) -> None:
        self._maps, self._said, self._wrong = None, {}, {}
        if index < 0 or self._store is None:
            self.area.show_contents({})
            return
        if not self.isVisible():
            # Networks run only for somebody who looks.
            self._stale = True
            return
        labels, store = self.images.labels, self._store
        key, path = labels.keys[index], labels.path(index)
        self._session.in_background(
            lambda: (key, store.maps(key, path)), self._show_image, self._broken, token="before image"
        )

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Computes what was chosen while nobody looked."""
        super().showEvent(event)
        if self._stale:
            self._stale = False
            self._pick(self.images.current)

    def _broken(self, error: Exception) -> None:
        self.area.set_empty_text(str(error))
        self.area.show_contents({})
        self.about.setText("")

    def _show_image(self, found: tuple[str, ImageMaps]) -> None:
        key, self._maps = found
        if key != self.images.current_key:
            return
        self.area.setEnabled(True)
        self._show()
        self._ask_next()

    def _ask_next(self) -> None:
        """One model after the other, so that the first ones are seen while the others still compute."""
        left = [name for name in self._subjects if name not in self._said and name not in self._wrong]
        predictions, index = self._predictions, self.images.current
        if not left or predictions is None or index < 0:
            return
        subject, key, path = left[0], self.images.labels.keys[index], self.images.labels.path(index)

        def work() -> tuple[str, str, Prediction | str]:
            try:
                return key, subject, predictions.predict(subject, key, path)
            except Exception as error:  # said in place of the picture; the other models go on
                return key, subject, str(error) or type(error).__name__

        self._session.in_background(work, self._take, token="before prediction")

    def _take(self, found: tuple[str, str, Prediction | str]) -> None:
        key, subject, said = found
        if key != self.images.current_key:
            return
        if isinstance(said, Prediction):
            self._said[subject] = said
        else:
            self._wrong[subject] = said
        self._show()
        self._ask_next()

    def _show(self) -> None:
        if self._maps is None:
            return
        size = self._maps.size
        contents = {IMAGE: Content(IMAGE, size, image=self._maps.image)}
        for subject in self._subjects:
            said, name = self._said.get(subject), title(subject)
            wait = "" if said is not None else (": cannot be shown" if subject in self._wrong else ": computing …")
            labels = None if said is None or said.labels.shape != (size.height, size.width) else said.labels
            contents[name] = Content(name + wait, size, image=self._maps.image, labels=labels)
        self.area.show_contents(contents)
        self.about.setText(self._about_text())

    def _about_text(self) -> str:
        source = self._said.get(SOURCE)
        parts = [self.images.current_key]
        for subject in self._subjects[1:]:
            said = self._said.get(subject)
            if said is not None and source is not None:
                parts.append(f"{title(subject)} differs in {100 * difference(source.labels, said.labels):.1f} %")
        text = "; ".join([": ".join(parts[:2]), *parts[2:]]) + (" of pixels from the source" if len(parts) > 1 else "")
        if len(self._subjects) == 1:
            text += "; no model is trained yet, run the stage Baseline"
        return "\n".join([text, *(f"{title(subject)}: {error}" for subject, error in self._wrong.items())])

    def _recolour(self) -> None:
        if self._classes is not None:
            self.area.set_table(colour_table(self._classes, self.legend.shown))

    def _read_out(self, _view: str, x: int, y: int) -> None:
        if x < 0 or self._classes is None or not self._said:
            self.readout.setText("")
            return
        parts = [f"{x}, {y}"]
        for subject, said in self._said.items():
            if y < said.labels.shape[0] and x < said.labels.shape[1]:
                sure = "" if said.confidence is None else f" {said.confidence[y, x]:.2f}"
                parts.append(f"{title(subject)}: {class_words(self._classes, int(said.labels[y, x]))}{sure}")
        self.readout.setText(" &nbsp; ".join(parts))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Page up and page down go to other images from anywhere in the panel."""
        steps = {Qt.Key.Key_PageDown: 1, Qt.Key.Key_PageUp: -1}
        if event.key() in steps:
            self.images.step(steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)


def _read(project: Project) -> tuple[LabelList, ClassSet]:
    classes = classes_of(project)
    return read_list(project, classes), classes


def _inputs_of(project: Project | None) -> object:
    if project is None:
        return None
    return project.folder, project.config.data, project.config.task.classes, project.config.adapt.rounds
