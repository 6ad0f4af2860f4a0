"""Applies a model of the project to a folder of images, an image or a video, and opens the folder of the results."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from crots.errors import CrotsError
from crots.files import exists, expanded
from crots.image_formats import IMAGE_SUFFIXES
from crots.options import PredictOptions
from crots.stages.predict import VIDEO_SUFFIXES
from crots_studio.dialogs.work import WorkDialog
from crots_studio.models.applying import ApplyForm, ApplyLog, apply_events, free_folder, models
from crots_studio.models.words import duration, fault_text
from crots_studio.plain import Label, plain_tooltip
from crots_studio.session import Session
from crots_studio.widgets.path_field import PathField
from crots_studio.widgets.result_buttons import ResultButtons
from crots_studio.widgets.slider_row import SliderRow

# What can be written: the option, its title and what it is.
_RESULTS = (
    ("ids", "Label ids", "label_ids/: one PNG per image, its values are train ids"),
    ("colour", "Colours", "label_color/: one PNG per image in the colours of the classes"),
    ("overlay", "Overlay", "overlay/: the colours over the image; for a video, one overlay.mp4"),
)


class ApplyDialog(WorkDialog):
    """Form above, progress below; stopping keeps what is written.

    Args:
        session: its project's models are offered.
        parent: over which it opens.
        stage: whose model is chosen at first; empty takes the latest.
    """

    def __init__(self, session: Session, parent: QWidget | None = None, *, stage: str = "") -> None:
        super().__init__(session, ResultButtons("&Apply", "Op&en folder"), "Images predicted", parent)
        self.setWindowTitle("Apply a model")
        assert session.project is not None
        self._project = session.opened.for_run()
        self._models = models(self._project)
        self._log = ApplyLog()
        # Folder of the last run's results.
        self._written: Path | None = None
        self._build()
        stages = [model.stage for model in self._models]
        self.model.setCurrentIndex(stages.index(stage) if stage in stages else 0)
        self._propose()
        # The model is the latest: what is left to say is which images.
        self.images.edit.setFocus()

    def _build(self) -> None:
        self.model = QComboBox()
        self.model.setAccessibleName("Model to apply")
        for model in self._models:
            self.model.addItem(model.title)
        self.summary = Label()
        self.summary.setProperty("role", "muted")
        settings = self._session.settings
        self.images = PathField(
            "Images or video", "folder", settings, placeholder="a folder of images, an image or a video"
        )
        self.file_button = QPushButton("&File ...")
        self.file_button.setAutoDefault(False)
        self.file_button.setAccessibleName("Choose an image or a video")
        self.file_button.clicked.connect(self._browse_file)
        self.out = PathField("Folder of the results", "folder", settings)
        images = QHBoxLayout()
        images.addWidget(self.images, 1)
        images.addWidget(self.file_button)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("&Model", self.model)
        form.addRow("", self.summary)
        form.addRow(_label("&Images", self.images), images)
        form.addRow(_label("&Results", self.out), self.out)
        self.black_box = self._add_black_box(form) if self._project.config.source.predictions else ()
        form.addRow("Write", self._ticks())
        form.addRow(_label("Opaci&ty", self.opacity.slider), self.opacity)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addStretch(1)
        for widget in (self.problem, self.progress, self.buttons):
            column.addWidget(widget)
        # As high as its texts need it.
        self.resize(680, 0)
        self.model.currentIndexChanged.connect(self.refresh)
        self.images.changed.connect(self._propose)
        for field in (self.out, *self.black_box):
            field.changed.connect(self.refresh)

    def _add_black_box(self, form: QFormLayout) -> tuple[PathField, ...]:
        """Adds the fields for its predictions of these images and their confidence."""
        settings = self._session.settings
        predictions = PathField(
            "Predictions of the black box", "folder", settings, placeholder="none: the model labels alone"
        )
        confidence = PathField(
            "Confidence of the black box", "folder", settings, placeholder="the folder beside these predictions"
        )
        form.addRow(_label("&Black box", predictions), predictions)
        form.addRow(_label("Confi&dence", confidence), confidence)
        note = Label("With its predictions of the same images, the label of the more confident of the two is written.")
        note.setProperty("role", "muted")
        form.addRow("", note)
        return predictions, confidence

    def _ticks(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(16)
        self.results: dict[str, QCheckBox] = {}
        for name, label, help in _RESULTS:
            self.results[name] = self._tick(label, help, PredictOptions(), name)
            row.addWidget(self.results[name])
        row.addStretch(1)
        self.flip = self._tick(
            "Average with the mirrored image", "Twice as slow, and usually a little more accurate", None, "flip"
        )
        row.addWidget(self.flip)
        self.opacity = SliderRow("", 0, 1, 0.05, name="Opacity of the overlay")
        self.opacity.set_value(PredictOptions().opacity)
        return row

    def _tick(self, label: str, help: str, defaults: PredictOptions | None, name: str) -> QCheckBox:
        tick = QCheckBox(label)
        tick.setToolTip(plain_tooltip(help))
        tick.setAccessibleDescription(help)
        tick.setChecked(defaults is not None and bool(getattr(defaults, name)))
        tick.toggled.connect(self.refresh)
        return tick

    # The form.

    @property
    def form(self) -> ApplyForm:
        """The current content."""
        place = self.model.currentIndex()
        chosen = self._models[place] if 0 <= place < len(self._models) else None
        ticked = {name: tick.isChecked() for name, tick in self.results.items()}
        options = PredictOptions(flip=self.flip.isChecked(), opacity=self.opacity.value, **ticked)
        images, out, *black_box = (_path(field.text) for field in (self.images, self.out, *self.black_box))
        return ApplyForm(self._project, chosen, images, out, options, *black_box)

    def _propose(self) -> None:
        """Proposes a new folder for the results of these images."""
        self.out.show_path(str(free_folder(self._project, _path(self.images.text))))
        self.refresh()

    def refresh(self) -> None:
        """Shows missing inputs, or the progress."""
        form, running = self.form, self.running
        problem = "" if running else form.problem()
        self.summary.setText(form.model.summary if form.model else "")
        self.buttons.start.setEnabled(not problem and not running)
        self.buttons.copy_command.setEnabled(not problem)
        self.buttons.open_folder.setEnabled(self._written is not None)
        fields = self.images, self.file_button, self.out, *self.black_box
        for widget in (self.model, *fields, self.flip, *self.results.values()):
            widget.setEnabled(not running)
        self.opacity.setEnabled(not running and form.options.overlay)
        self.buttons.close_button.setText("&Stop" if running else "&Close")
        if not running:
            # An untouched form is not an error.
            begun = bool(self.images.text) or form.model is None
            self.say(problem, "bad" if begun else "muted")

    # Work.

    def start(self) -> None:
        """Predicts beside the window."""
        form = self.form
        if form.problem() or self.running:
            return
        self._log, self._written = ApplyLog(), form.out
        device = "cpu" if self._session.run.busy else ""
        self.progress.setRange(0, 0)
        self.progress.show()
        self.say("Opening the model ...", "muted")
        self.work(partial(apply_events, form, device=device))
        self.refresh()

    def _take(self, event: object) -> None:
        log = self._log
        try:
            log.take(event)  # type: ignore[arg-type]
        except CrotsError as error:
            self.say(fault_text(error), "bad")
            return
        self.progress.setRange(0, log.total)
        self.progress.setValue(log.done)
        if log.done and not log.outcome:
            count = f"{log.done:,} of {log.total:,} images" if log.total else f"{log.done:,} images"
            left = log.pace.seconds_left
            parts = count, log.pace.speed, f"{duration(left)} left" if left is not None else ""
            self.say(", ".join(filter(None, parts)), "muted")

    def _ended(self, error: Exception | None) -> None:
        self.progress.hide()
        shown = (self.problem.text(), str(self.problem.property("role")))
        if self._written is not None and not exists(self._written):
            self._written = None
        written, log = self._written, self._log
        # The next run gets a new folder.
        self._propose()
        if error is not None:
            self.say(fault_text(error), "bad")
        elif log.outcome == "completed":
            self.say("\n".join([f"{log.done:,} images written to {written}", *log.notes]), "good")
        elif log.outcome == "cancelled":
            self.say(f"Stopped after {log.done:,} images" + (f"; they are in {written}" if written else ""), "muted")
        else:
            self.say(*shown)

    # What the user does.

    def _browse_file(self) -> None:
        endings = " ".join(f"*{suffix}" for suffix in (*sorted(IMAGE_SUFFIXES), *VIDEO_SUFFIXES))
        settings = self._session.settings
        chosen, _ = QFileDialog.getOpenFileName(
            self, "An image or a video", settings.folder("Images or video"), f"Images and videos ({endings})"
        )
        if chosen:
            settings.set_folder("Images or video", str(Path(chosen).parent))
            self.images.take(chosen)

    def _command(self) -> str:
        return self.form.command()

    def _result_folder(self) -> Path | None:
        return self._written


def _label(text: str, field: QWidget) -> QLabel:
    label = Label(text)
    label.setBuddy(field)
    return label


def _path(text: str) -> Path | None:
    return expanded(text) if text else None
