"""A live preview of how training mixes the user's images, with CutMix and ClassMix beside SpatialMix."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from crots.events import Event, StageFinished
from crots.opening import Inputs
from crots.project import Project
from crots.taxonomy import ClassSet
from crots.training.budget import for_round
from crots.training_options import AdaptOptions
from crots_studio.models.image_store import ImageStore
from crots_studio.models.label_list import LabelList, classes_of, read_list
from crots_studio.models.mix_preview import (
    AUGMENTATIONS,
    STRATEGIES,
    MixPicture,
    MixSettings,
    choose,
    make_mixes,
)
from crots_studio.models.words import fault_text
from crots_studio.plain import Label, strong
from crots_studio.session import Session
from crots_studio.widgets.controls import PercentLabel
from crots_studio.widgets.linked_views import GAP, LinkedViews
from crots_studio.widgets.picture_layers import Content, colour_table
from crots_studio.widgets.slider_row import SliderRow

_DEBOUNCE_MS = 40
_NO_PROJECT = "Open or create a project to see how its images are mixed."
_NO_LABELS = (
    "Training mixes your images with their pseudo-labels.\n\nOnce the stage Pseudo-labels is done, this page shows how."
)


@dataclass(frozen=True, eq=False)
class PreviewInputs:
    """What previews are made of.

    Attributes:
        from_source: the student starts from the source's weights, which decides what counts as confident.
    """

    labels: LabelList
    classes: ClassSet
    store: ImageStore
    from_source: bool


class PreviewPanel(QWidget):
    """A column for each strategy: the mixed image, its labels, its confidence; sliders above."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Mixing preview")
        self._session = session
        self.material: PreviewInputs | None = None
        self._inputs: object = None
        self._stale = False
        # As tried here, and as the project's options were when the sliders last took them over.
        self.settings = self._taken = MixSettings()
        self.mixes: list[MixPicture] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE_MS)
        self._timer.timeout.connect(self._make)
        self._build()
        self._connect()
        self._reload()

    @property
    def due(self) -> bool:
        """Whether mixes with other settings are about to be made."""
        return self._timer.isActive()

    def _build(self) -> None:
        self.beta = SliderRow(
            "Split &beta", 0, 2, 0.01, tip="The split point is drawn from Beta(b, b): 0 is the middle, small "
            "values lie near the borders of 20 and 80%, large ones near the middle",
        )  # fmt: skip
        self.confidence = SliderRow(
            "&Confidence", 0, 1, 0.001, decimals=3, tip="Pixels with at least this confidence count, and the most "
            "confident ones of each class; the others are shown in red",
        )  # fmt: skip
        self.strength = SliderRow(
            "Colour &jitter", 0, 0.5, 0.01, tip="Strength of brightness, contrast, saturation, hue"
        )
        self.augmentation = QComboBox()
        self.augmentation.setAccessibleName("Augmentation of the preview")
        self.augmentation.setToolTip("Flips, colour jitter and blur, as applied in training")
        for key, text in AUGMENTATIONS.items():
            self.augmentation.addItem(text, key)
        self.another = QPushButton("&Another mix")
        self.another.setToolTip("Draw other images and another split")
        self.keep = QPushButton("&Use in project")
        self.keep.setToolTip("Save the slider values as the project's adaptation options")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(70)
        self.opacity.setAccessibleName("Opacity of the label overlay, percent")
        self.opacity.setToolTip("Opacity of the labels over the image, in the second row")
        self.percent = PercentLabel()
        self.views = LinkedViews(columns=len(STRATEGIES), named_rows=True)
        self.captions = [Label() for _ in STRATEGIES]
        self.hint = Label()
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setWordWrap(True)
        self.hint.setProperty("role", "muted")
        page = QWidget()
        pictures = QVBoxLayout(page)
        pictures.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        # Each over its column, beside the names of the rows.
        row.setContentsMargins(self.views.margin, 0, 0, 0)
        row.setSpacing(GAP)
        for caption in self.captions:
            caption.setWordWrap(True)
            caption.setTextFormat(Qt.TextFormat.RichText)
            caption.setAlignment(Qt.AlignmentFlag.AlignTop)
            # The columns lie close together; their sentences must not run into one another.
            caption.setContentsMargins(0, 0, 3 * GAP, 0)
            row.addWidget(caption, 1)
        pictures.addLayout(row)
        pictures.addWidget(self.views, 1)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.hint)
        self.stack.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addLayout(self._controls())
        layout.addWidget(self.stack, 1)

    def _controls(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        augmentation, overlay = QHBoxLayout(), QHBoxLayout()
        for row in (augmentation, overlay):
            row.setSpacing(8)
        for text, widget, row in (
            ("Au&gmentation", self.augmentation, augmentation),
            ("&Overlay", self.opacity, overlay),
        ):
            label = Label(text)
            label.setBuddy(widget)
            row.addWidget(label)
            row.addWidget(widget, 1)
        overlay.addWidget(self.percent)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.another)
        buttons.addWidget(self.keep)
        grid.addWidget(self.beta, 0, 0)
        grid.addWidget(self.confidence, 0, 1)
        grid.addLayout(buttons, 0, 2)
        grid.addWidget(self.strength, 1, 0)
        grid.addLayout(augmentation, 1, 1)
        grid.addLayout(overlay, 1, 2)
        for column in range(3):
            grid.setColumnStretch(column, 1)
        return grid

    def _fade(self, percent: int) -> None:
        self.views.set_opacity(percent / 100)
        self.percent.show_percent(percent)

    def _connect(self) -> None:
        for row in (self.beta, self.confidence):
            row.changed.connect(lambda _: self._slid())
        self.strength.changed.connect(lambda _: self._jittered())
        self.augmentation.currentIndexChanged.connect(lambda _: self._slid())
        self.opacity.valueChanged.connect(self._fade)
        self._fade(self.opacity.value())
        self.another.clicked.connect(self._another)
        self.keep.clicked.connect(self._keep)
        self._session.opened.project_changed.connect(self._reload)
        self._session.opened.config_changed.connect(self._config_changed)
        self._session.run.events_arrived.connect(self._events)
        self._session.theme_changed.connect(self._show_captions)

    # What the previews are made of.

    def _reload(self) -> None:
        project = self._session.project
        self._session.errands.forget("preview list", "preview mix")
        self.material, self.mixes = None, []
        self._inputs = _inputs_of(project)
        self._take_options()
        self._say(_NO_PROJECT if project is None else _NO_LABELS)
        if project is not None:
            snapshot = Project(project.folder, project.config)
            self._session.errands.in_background(
                lambda: _read(snapshot), self._ready, self._failed, token="preview list"
            )

    def _ready(self, material: PreviewInputs) -> None:
        if not material.labels.labelled:
            return
        self.material = material
        self._enable(True)
        self.views.set_table(colour_table(material.classes))
        self._timer.start()

    def _failed(self, error: Exception) -> None:
        self._say(fault_text(error), "bad")

    def _say(self, text: str, role: str = "muted") -> None:
        self.hint.setText(text)
        self.hint.setProperty("role", role)
        self.hint.style().polish(self.hint)
        self.stack.setCurrentIndex(0)
        self._enable(False)

    def _enable(self, ready: bool) -> None:
        for widget in (self.beta, self.confidence, self.strength, self.augmentation, self.opacity, self.another):
            widget.setEnabled(ready)
        self._show_keep()

    @property
    def _options(self) -> AdaptOptions:
        if self._session.project is None:
            return AdaptOptions()
        return self._session.project.config.adapt

    def _take_options(self) -> None:
        """The sliders start where the project's options are."""
        fresh = MixSettings.of(self._options, seed=self.settings.seed)
        self._taken = MixSettings.of(self._options)
        self.settings = dataclasses.replace(fresh, augmentation=self.settings.augmentation)
        self.beta.set_value(self.settings.beta)
        self.confidence.set_value(self.settings.confidence)
        self.strength.set_value(self.settings.strength)
        self._show_keep()

    def _config_changed(self) -> None:
        if _inputs_of(self._session.project) != self._inputs:
            self._reload()
        elif MixSettings.of(self._options) != self._taken and self.settings.changed_options(self._options):
            # Changes of other options leave the sliders as they are.
            self._take_options()
            self._timer.start()
        self._show_keep()

    def _events(self, events: list[Event]) -> None:
        if any(isinstance(event, StageFinished) and event.stage == "pseudo-label" for event in events):
            self._reload()

    # Sliders.

    def _slid(self) -> None:
        self.settings = dataclasses.replace(
            self.settings,
            beta=self.beta.value,
            confidence=self.confidence.value,
            strength=self.strength.value,
            augmentation=self.augmentation.currentData(),
        )
        self._show_keep()
        # A running timer is not restarted: the picture follows the slider instead of waiting until it stops.
        if not self._timer.isActive():
            self._timer.start()

    def _jittered(self) -> None:
        """Without augmentation the slider would change nothing that is seen."""
        if self.augmentation.currentData() == "none":
            self.augmentation.setCurrentIndex(self.augmentation.findData("all"))
        self._slid()

    def _another(self) -> None:
        self.settings = dataclasses.replace(self.settings, seed=self.settings.seed + 1)
        self._timer.start()

    def _keep(self) -> None:
        project = self._session.project
        if project is not None:
            adapt = dataclasses.replace(project.config.adapt, **self.settings.changed_options(project.config.adapt))
            self._session.opened.save_config(dataclasses.replace(project.config, adapt=adapt))
        self._show_keep()

    def _show_keep(self) -> None:
        changed = self.settings.changed_options(self._options)
        self.keep.setEnabled(bool(changed) and self.material is not None)

    # Pictures.

    def _make(self) -> None:
        if not self.isVisible():
            self._stale = True
            return
        if self.material is None:
            return
        material, settings, options = self.material, self.settings, self._options
        self._session.errands.in_background(
            lambda: mix(material, settings, options), self._show, self._failed, token="preview mix"
        )

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Makes the preview that was due while the panel was hidden."""
        super().showEvent(event)
        if self._stale:
            self._stale = False
            self._timer.start()

    def _show(self, mixes: list[MixPicture]) -> None:
        self.mixes = mixes
        self.views.show_contents([*map(_image, mixes), *map(_labels, mixes), *map(_confidence, mixes)])
        self._show_captions()
        self.stack.setCurrentIndex(1)

    def _show_captions(self) -> None:
        chosen = self._options.mix
        for caption, found in zip(self.captions, self.mixes, strict=False):
            mark = " (this project's)" if found.strategy == chosen else ""
            label = f"{html.escape(found.caption)}; {found.share:.0%} of pixels count, the others are red"
            caption.setText(f"{strong(STRATEGIES[found.strategy])}{mark}<br>{label}")


def _inputs_of(project: Project | None) -> object:
    if project is None:
        return None
    config = project.config
    return project.folder, config.data, config.task, config.source, config.student


def _read(project: Project) -> PreviewInputs:
    classes = classes_of(project)
    from_source = Inputs(project.config, project.folder).starts_from_source
    return PreviewInputs(read_list(project, classes), classes, ImageStore(project, classes), from_source)


def mix(material: PreviewInputs, settings: MixSettings, options: AdaptOptions) -> list[MixPicture]:
    """Makes the mixes of one setting; in another thread."""
    labels, store = material.labels, material.store
    chosen: Sequence[tuple[str, Path]] = [
        (labels.keys[index], labels.path(index)) for index in choose(len(labels), settings.seed)
    ]
    maps = [store.maps(key, path) for key, path in chosen]
    options = for_round(options, from_source=material.from_source)
    return make_mixes(settings, options, maps, material.classes.names, material.classes.ignore)


def _image(found: MixPicture) -> Content:
    return Content("Image", found.size, image=found.image, lines=found.lines)


def _labels(found: MixPicture) -> Content:
    return Content("Label", found.size, image=found.image, labels=found.labels, lines=found.lines)


def _confidence(found: MixPicture) -> Content:
    return Content("Confidence", found.size, values=found.confidence, veil=~found.counts, lines=found.lines)
