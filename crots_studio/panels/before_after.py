"""Before and after: predictions of source, baseline and every round for the same image."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from crots.arrays import Array
from crots.artefacts import is_round
from crots.errors import InputError
from crots.events import Event, StageFinished
from crots.project import Project
from crots.stages.image_scores import ImageScores
from crots.taxonomy import ClassSet
from crots_studio.models.image_ranking import SORTS, Question, rank, read_all, reference
from crots_studio.models.image_store import MOST_SIDE, ImageMaps, ImageStore, read_small
from crots_studio.models.label_list import LabelList, classes_of, read_list
from crots_studio.models.names import title
from crots_studio.models.predictions import SOURCE, ModelPrediction, Predictions, difference
from crots_studio.models.validation import Validation, read_validation, share_right, wrong_pixels
from crots_studio.models.words import fault_text
from crots_studio.plain import plain_tooltip
from crots_studio.session import Session
from crots_studio.widgets.compare_area import LAST, CompareArea
from crots_studio.widgets.controls import choice_box
from crots_studio.widgets.image_panel import ImagePanel, class_label
from crots_studio.widgets.picture_layers import Content

_NO_PROJECT = "Open or create a project to compare its models here."
_NO_LABELS = "Models are compared with the source, once the stage Pseudo-labels is done."
IMAGE, TRUTH = "Image", "Labels (truth)"


class BeforeAfterPanel(ImagePanel):
    """List of images on the left; the same image as each model sees it on the right."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, "Before and after", CompareArea(left=title(SOURCE), right=LAST, mode="all"), parent)
        self._store: ImageStore | None = None
        self.predictions: Predictions | None = None
        self._target = LabelList()
        self._validation: Validation | None = None
        # What was asked while the list was still being read.
        self._reading = False
        self._asked: Question | None = None
        self.truth: Array | None = None
        self._subjects: list[str] = []
        self._maps: ImageMaps | None = None
        self._predicted: dict[str, ModelPrediction] = {}
        self.wrong: dict[str, str] = {}
        self._stale = False
        self.about.setAccessibleName("How much the models differ from the source")
        self._scores: dict[str, ImageScores] = {}
        self._cell: Question | None = None
        self._build_sorting()
        # During a run the graphics card is reserved for it.
        session.run.busy_changed.connect(self._make_predictions)
        session.opened.trust_changed.connect(self._make_predictions)
        self._reload()

    def _fill_above(self) -> None:
        self.which = choice_box(
            "Target or validation images", {0: "Target images", 1: "Validation images, with labels"}
        )
        self.which.setToolTip("Validation images have labels, which are shown alongside and never used for training")
        self.above_list.addWidget(self.which)
        self.which.currentIndexChanged.connect(lambda _: self._show_list())
        self.errors = QCheckBox("Sho&w errors")
        self.errors.setToolTip("Shows in red where a model disagrees with the labels, instead of its classes")
        self.errors.hide()
        self.errors.toggled.connect(lambda _: self._show())
        self.above_list.addWidget(self.errors)

    def _build_sorting(self) -> None:
        self.sort = choice_box("Order of the validation images", SORTS)
        self.model = choice_box("Model to sort by", {})
        self.label = choice_box("Class to sort by", {})
        self.sorting = QWidget()
        column = QVBoxLayout(self.sorting)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.sort)
        row = QHBoxLayout()
        row.addWidget(self.model)
        row.addWidget(self.label)
        column.addLayout(row)
        self.above_list.addWidget(self.sorting)
        for combo in (self.sort, self.model, self.label):
            combo.currentIndexChanged.connect(lambda _: self._rank())

    # What there is.

    @property
    def predicted(self) -> dict[str, ModelPrediction]:
        """What the models predicted for the current image so far, by their keys."""
        return dict(self._predicted)

    def _reload(self) -> None:
        project = self._session.project
        self._session.errands.forget("before list", "before scores", "before image", "before prediction")
        self._store, self.predictions, self._maps, self._predicted = None, None, None, {}
        self._inputs = self._inputs_of(project)
        self._target, self._validation, self._scores, self._cell = LabelList(), None, {}, None
        self.sorting.hide()
        self.which.setVisible(False)
        self.errors.setVisible(False)
        self.images.show_labels(LabelList(), None)
        self._say_empty(_NO_PROJECT if project is None else _NO_LABELS)
        self.legend.set_classes(None)
        self._reading, self._asked = project is not None, None
        if project is not None:
            snapshot = Project(project.folder, project.config)
            self._session.errands.in_background(
                partial(_read, snapshot), self._listed, self._failed, token="before list"
            )

    def _listed(self, found: tuple[LabelList, ClassSet, Validation | None, dict[str, ImageScores]]) -> None:
        self._target, self._classes, self._validation, scores = found
        self._reading = False
        project = self._session.project
        if project is None or not self._target.labelled:
            return
        self._store = ImageStore(project, self._classes)
        self._make_predictions()
        self.legend.set_classes(self._classes)
        self._recolour()
        self.which.setVisible(self._validation is not None)
        self._take_scores(scores)
        self._show_list()
        if self._asked is not None:
            self.show_images(self._asked)

    def _take_scores(self, scores: dict[str, ImageScores]) -> None:
        """Offers the models whose images were scored one by one, the last one first."""
        self._scores = scores
        for combo, entries in (
            (self.model, [(title(name), name) for name in reversed(scores)]),
            (
                self.label,
                [("All classes", ""), *((name, name) for name in (self._classes.names if self._classes else ()))],
            ),
        ):
            chosen = combo.currentData()
            with QSignalBlocker(combo):
                combo.clear()
                for text, data in entries:
                    combo.addItem(text, data)
                combo.setCurrentIndex(max(0, combo.findData(chosen)))
        self._rank()

    # In which order.

    def _rank(self) -> None:
        """Puts the validation images into the order that was chosen."""
        listed, sort = self._validating, self.sort.currentData()
        self.sorting.setVisible(listed is not None and bool(self._scores))
        self.model.setVisible(sort != "name")
        self.label.setVisible(sort not in ("name", "cell"))
        subject = str(self.model.currentData() or "")
        against = reference(list(self._scores), subject)
        gains = f"Compared with {title(against)}: IoU of the class, or share of correct pixels" if against else ""
        self.sort.setToolTip(plain_tooltip(gains if sort in ("gain", "loss") and gains else "Order of the images"))
        if listed is not None:
            label = str(self.label.currentData() or "")
            self.images.show_ranking(rank(listed.listed.keys, self._scores, subject, sort, label, self._cell))

    def show_images(self, question: Question) -> None:
        """Lists the validation images that a score is about, the worst first; says why where it cannot."""
        self._asked = question if self._reading else None
        if self._reading:
            return
        if self._validation is None or question.subject not in self._scores:
            text = f"The images of {title(question.subject)} can be listed once the stage Evaluation has run on them"
            self._session.notice.emit(text)
            return
        self._cell = question if question.prediction else None
        for combo in (self.which, self.sort, self.model, self.label):
            combo.blockSignals(True)
        while self.sort.count() > len(SORTS):
            self.sort.removeItem(self.sort.count() - 1)
        if self._cell is not None:
            self.sort.addItem(question.text, "cell")
        self.sort.setCurrentIndex(self.sort.findData("cell" if self._cell is not None else "worst"))
        self.which.setCurrentIndex(1)
        self.model.setCurrentIndex(self.model.findData(question.subject))
        self.label.setCurrentIndex(max(0, self.label.findData(question.truth)))
        for combo in (self.which, self.sort, self.model, self.label):
            combo.blockSignals(False)
        self._show_list()

    @property
    def _validating(self) -> Validation | None:
        """The validation images, while they are the ones listed."""
        return self._validation if self.which.currentIndex() == 1 else None

    def _show_list(self) -> None:
        listed = self._validating
        self.errors.setVisible(listed is not None)
        self.images.show_labels(self._target if listed is None else listed.listed, self._classes)
        self._rank()

    def _make_predictions(self) -> None:
        project = self._session.project
        if project is not None and self._store is not None:
            device = "cpu" if self._session.run.busy else None
            self.predictions = Predictions(self._session.opened.for_run(), self._store, device=device)
            self._subjects = self.predictions.subjects()

    def _inputs_of(self, project: Project | None) -> object:
        return None if project is None else (super()._inputs_of(project), project.config.adapt.rounds)

    def _events(self, events: list[Event]) -> None:
        ended = {event.stage for event in events if isinstance(event, StageFinished)}
        if "pseudo-label" in ended:
            self._reload()
        elif "evaluate" in ended:
            self._read_scores()
        elif any(key == "baseline" or is_round(key) for key in ended):
            self._make_predictions()
            self._pick(self.images.current)

    def _read_scores(self) -> None:
        project, subjects = self._session.project, list(self._subjects)
        if project is not None:
            snapshot = Project(project.folder, project.config)
            self._session.errands.in_background(
                lambda: read_all(snapshot, subjects), self._take_scores, token="before scores"
            )

    # One image.

    def _pick(self, index: int) -> None:
        # Pending predictions for another project or model must not be shown here.
        self._session.errands.forget("before image", "before prediction")
        self._maps, self.truth, self._predicted, self.wrong = None, None, {}, {}
        if index < 0 or self._store is None:
            self.area.show_contents({})
            return
        if not self.isVisible():
            # Networks run only while the panel is visible.
            self._stale = True
            return
        labels, store, validation = self.images.labels, self._store, self._validating
        key, path, sized = labels.keys[index], labels.path(index), self._target.keys
        project = self._session.project
        tiled = project is not None and project.config.data.tile is not None

        def read() -> tuple[str, ImageMaps, Array | None]:
            if validation is None:
                return key, store.maps(key, path), None
            # All models predict at the working size, or at the image's own where it is cut into tiles.
            truth = validation.truth(index, None if tiled else store.working_size(sized))
            return key, ImageMaps(read_small(path, MOST_SIDE), truth), truth

        self._session.errands.in_background(read, self._show_image, self._broken, token="before image")

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Computes what was chosen while the panel was hidden."""
        super().showEvent(event)
        if self._stale:
            self._stale = False
            self._pick(self.images.current)

    def _show_image(self, found: tuple[str, ImageMaps, Array | None]) -> None:
        key, self._maps, self.truth = found
        if key != self.images.current_key:
            return
        self.area.setEnabled(True)
        self._show()
        self._ask_next()

    def _ask_next(self) -> None:
        """Runs one model after the other, so that first results show while others are computed."""
        left = [name for name in self._subjects if name not in self._predicted and name not in self.wrong]
        predictions, index = self.predictions, self.images.current
        if not left or predictions is None or index < 0:
            return
        subject, key, path = left[0], self.images.labels.keys[index], self.images.labels.path(index)
        labelled = self._validating is None

        def work() -> tuple[str, str, ModelPrediction | str]:
            try:
                return key, subject, predictions.predict(subject, key, path, labelled=labelled)
            except Exception as error:  # shown in place of the picture; the other models go on
                return key, subject, fault_text(error)

        self._session.errands.in_background(work, self._take, token="before prediction")

    def _take(self, found: tuple[str, str, ModelPrediction | str]) -> None:
        key, subject, predicted = found
        if key != self.images.current_key:
            return
        if isinstance(predicted, ModelPrediction):
            self._predicted[subject] = predicted
        else:
            self.wrong[subject] = predicted
        self._show()
        self._ask_next()

    def _show(self) -> None:
        if self._maps is None:
            return
        size = self._maps.size
        contents = {IMAGE: Content(IMAGE, size, image=self._maps.image)}
        if self.truth is not None:
            contents[TRUTH] = Content(TRUTH, size, image=self._maps.image, labels=self.truth)
        for subject in self._subjects:
            predicted, name = self._predicted.get(subject), title(subject)
            wait = "" if predicted is not None else (": cannot be shown" if subject in self.wrong else ": computing …")
            labels = (
                None if predicted is None or predicted.labels.shape != (size.height, size.width) else predicted.labels
            )
            if labels is not None and self.truth is not None and self.errors.isChecked():
                ignore = self._classes.ignore if self._classes else 255
                wrong = wrong_pixels(self.truth, labels, ignore)
                contents[name] = Content(f"{name}: errors", size, image=self._maps.image, veil=wrong)
            else:
                contents[name] = Content(name + wait, size, image=self._maps.image, labels=labels)
        self.area.show_contents(contents)
        self.about.setText(self._about_text())

    def _about_text(self) -> str:
        if self.truth is not None:
            return self._right_text(self.truth)
        source = self._predicted.get(SOURCE)
        parts = [self.images.current_key]
        for subject in self._subjects[1:]:
            predicted = self._predicted.get(subject)
            if predicted is not None and source is not None:
                parts.append(f"{title(subject)} differs in {difference(source.labels, predicted.labels):.1%}")
        text = "; ".join([": ".join(parts[:2]), *parts[2:]]) + (" of pixels from the source" if len(parts) > 1 else "")
        if len(self._subjects) == 1:
            text += "; no model is trained yet, the stage Baseline makes the first"
        return "\n".join([text, *(f"{title(subject)}: {error}" for subject, error in self.wrong.items())])

    def _right_text(self, truth: Array) -> str:
        ignore = self._classes.ignore if self._classes else 255
        right = [
            f"{title(subject)} {share_right(truth, predicted.labels, ignore):.1%}"
            for subject, predicted in self._predicted.items()
        ]
        text = f"{self.images.current_key}: correct labelled pixels: {', '.join(right) or 'computing …'}"
        return "\n".join([text, *(f"{title(subject)}: {error}" for subject, error in self.wrong.items())])

    def _read_out(self, _view: str, x: int, y: int) -> None:
        if x < 0 or self._classes is None or not self._predicted:
            self.readout.setText("")
            return
        parts = [f"{x}, {y}"]
        if self.truth is not None:
            parts.append(f"{TRUTH}: {class_label(self._classes, int(self.truth[y, x]))}")
        for subject, predicted in self._predicted.items():
            if y < predicted.labels.shape[0] and x < predicted.labels.shape[1]:
                sure = "" if predicted.confidence is None else f" {predicted.confidence[y, x]:.2f}"
                parts.append(f"{title(subject)}: {class_label(self._classes, int(predicted.labels[y, x]))}{sure}")
        self.readout.setText(" &nbsp; ".join(parts))


def _read(project: Project) -> tuple[LabelList, ClassSet, Validation | None, dict[str, ImageScores]]:
    classes = classes_of(project)
    scores = read_all(project, (SOURCE, *project.training_keys()))
    return read_list(project, classes), classes, _validation(project, classes), scores


def _validation(project: Project, classes: ClassSet) -> Validation | None:
    try:
        return read_validation(project, classes)
    except InputError:  # reported beside its fields in the set-up
        return None
