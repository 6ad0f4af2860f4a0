"""Hard patches: a gallery by class and confidence, the selected ones enlarged, and their corrections."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from crots.arrays import Array
from crots.config import Size
from crots.errors import CrotsError, InputError
from crots.events import Event, StageFinished
from crots.opening import Inputs
from crots.project import Project
from crots.training.patch_set import PatchCorrections
from crots_studio.models.corrections import Corrections
from crots_studio.models.image_store import read_small
from crots_studio.models.label_list import classes_of
from crots_studio.models.patch_gallery import PatchGallery, PatchRow, rare_boxes, read_statistics
from crots_studio.models.words import breakable, fault_text, listing
from crots_studio.panels.patches.patch_detail import PatchDetail
from crots_studio.panels.patches.patch_filters import PatchFilters
from crots_studio.panels.patches.rare_set import MinedPatches, RareSet, needless
from crots_studio.plain import Label, plain_tooltip, strong
from crots_studio.session import Session
from crots_studio.widgets.controls import snug
from crots_studio.widgets.picture_layers import Content, Outline, colour_table
from crots_studio.widgets.thumbnails import NOTHING, PICTURE_SIDE, Thumbnail, ThumbnailView

_NO_PROJECT = "Open or create a project to see its hard patches."
_NO_LABELS = "Hard patches are cut from the pseudo-labels, once the stage Pseudo-labels is done."
_NOT_CUT = (
    "No patches are cut yet. The stage Hard patches cuts them; to see some before, tick the rare classes and press "
    "Cut patches."
)
_FOREIGN = (
    "The patches were cut for another class set, so they are not shown. Run the stages Pseudo-labels and Hard patches "
    "again."
)
_NOT_NEEDED = "No patches are cut, because no round needs them."
_NO_RARE = "No cell has enough confident pixels of a rare class, so there are no patches."
_NONE_LEFT = "No patch matches the filter."


class PatchPanel(QWidget):
    """Table of classes on the left, gallery on the right, the chosen patch below it."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Hard patches")
        self._session = session
        self._found: MinedPatches | None = None
        self._corrections: Corrections | None = None
        self._order: list[int] = []
        self._labels: Array | None = None
        self._inputs: object = None
        # Patches of equal names are other pictures after every cut.
        self._version = 0
        self._make_widgets()
        self._build()
        self._connect()
        self._reload()

    def _make_widgets(self) -> None:
        self.rare = RareSet(self._session)
        self.filters = PatchFilters()
        self.gallery = ThumbnailView(several=True, cell=QSize(108, 88))
        self.gallery.setAccessibleName("Hard patches")
        self.count = Label()
        self.count.setAccessibleName("Patches shown")
        self.count.setProperty("role", "muted")
        self.detail = PatchDetail()
        # Their keys are those of the menu Edit, which calls the tab in front.
        self.undo_button, self.redo_button = snug(QPushButton("&Undo")), snug(QPushButton("Re&do"))

    def _build(self) -> None:
        second = QHBoxLayout()
        second.addWidget(self.filters.least, 1)
        for widget in (self.count, self.undo_button, self.redo_button):
            second.addWidget(widget)
        upper = QWidget()
        pictures = QVBoxLayout(upper)
        pictures.setContentsMargins(0, 0, 0, 0)
        pictures.addWidget(self.filters)
        pictures.addLayout(second)
        pictures.addWidget(self.gallery, 1)
        right = QSplitter(Qt.Orientation.Vertical)
        right.addWidget(upper)
        right.addWidget(self.detail)
        right.setStretchFactor(0, 3)
        right.setStretchFactor(1, 2)
        right.setSizes([220, 180])
        right.setChildrenCollapsible(False)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.rare)
        split.addWidget(right)
        split.setStretchFactor(1, 1)
        split.setSizes([320, 440])
        outer = QHBoxLayout(self)
        outer.setContentsMargins(8, 8, 8, 8)
        outer.addWidget(split)

    def _connect(self) -> None:
        self.rare.class_picked.connect(self._class_picked)
        self.filters.changed.connect(self._arrange)
        self.gallery.picked.connect(self._pick)
        self.gallery.selectionModel().selectionChanged.connect(lambda *_: self._show_choice())
        self.detail.reject_asked.connect(self.reject)
        self.detail.restore_asked.connect(self.restore)
        self.detail.relabel_asked.connect(self.relabel)
        self.detail.views.hovered.connect(self._read_out)
        self.undo_button.clicked.connect(self.undo)
        self.redo_button.clicked.connect(self.redo)
        self._session.opened.project_changed.connect(self._reload)
        self._session.opened.config_changed.connect(self._config_changed)
        self._session.opened.status_changed.connect(self._say_why_empty)
        self._session.run.events_arrived.connect(self._events)

    # Reading.

    def _reload(self) -> None:
        project = self._session.project
        inputs, self._inputs = self._inputs, _inputs_of(project)
        if project is None or inputs != self._inputs:
            self._show_nothing(_NO_PROJECT if project is None else "Reading the patches …")
        if project is not None:
            snapshot = Project(project.folder, project.config)
            self._session.errands.in_background(partial(_read, snapshot), self._ready, self._failed, token="patches")

    def _show_nothing(self, text: str, *, fault: bool = False) -> None:
        self._session.errands.forget("patches", "patch")
        self._found, self._corrections = None, None
        self.rare.show_found(None, PatchCorrections())
        self._say_empty(text, fault=fault)
        self._arrange()

    def _failed(self, error: Exception) -> None:
        self._show_nothing(fault_text(error), fault=True)

    def _ready(self, read: tuple[MinedPatches, Corrections]) -> None:
        found, corrections = read
        self._found = found
        if self._corrections is None:
            self._corrections = corrections
            corrections.changed = self._corrected
        self._version += 1
        self.detail.set_classes(found.classes)
        self.detail.views.set_table(colour_table(found.classes))
        self.filters.set_classes(found.classes)
        self.rare.show_found(found, self._corrections.state)
        self._say_why_empty()
        self._arrange()

    def _say_why_empty(self) -> None:
        if self._found is not None:
            self._say_empty(_empty_text(self._found, needless=bool(needless(self._session.opened.status))))

    def _say_empty(self, text: str, *, fault: bool = False) -> None:
        self.gallery.empty_text, self.gallery.empty_is_fault = text, fault
        self.gallery.viewport().update()

    def _config_changed(self) -> None:
        if _inputs_of(self._session.project) != self._inputs:
            self._reload()
        else:
            self.rare.refresh()

    def _events(self, events: list[Event]) -> None:
        ended = {event.stage for event in events if isinstance(event, StageFinished)}
        if ended & {"pseudo-label", "mine"}:
            self._reload()

    def _class_picked(self, number: int) -> None:
        present = self._found is not None and any(number in row.pixels for row in self._found.gallery.rows)
        shows = self.filters.shows
        shows.setCurrentIndex(shows.findData(number if present else None))

    # The gallery.

    def _arrange(self) -> None:
        found, corrections = self._found, self._corrections
        if found is None or corrections is None:
            self._order = []
            self.gallery.show_entries(0, self._describe)
        else:
            row, current = self.gallery.current, self._current_name()
            self._order = found.gallery.arrange(self.filters.chosen, corrections.state)
            names = [found.gallery.rows[index].name for index in self._order]
            place = names.index(current) if current in names else min(max(row, 0), len(names) - 1)
            self.gallery.show_entries(len(self._order), self._describe, current=place)
        if not self._order:
            self._pick(-1)
        self._show_counts()

    @property
    def arranged(self) -> tuple[str, ...]:
        """Names of the patches in the gallery, in their order."""
        rows = self._found.gallery.rows if self._found is not None else ()
        return tuple(rows[index].name for index in self._order if index < len(rows))

    def _patch(self, row: int) -> PatchRow | None:
        """The patch in a row of the gallery; None outside, and while a new cut is not arranged yet."""
        if self._found is None or not 0 <= row < len(self._order):
            return None
        index = self._order[row]
        return self._found.gallery.rows[index] if index < len(self._found.gallery) else None

    def _current_name(self) -> str:
        patch = self._patch(self.gallery.current)
        return patch.name if patch else ""

    def _describe(self, place: int) -> Thumbnail:
        patch, found = self._patch(place), self._found
        if patch is None or found is None or self._corrections is None:
            return NOTHING
        state = self._corrections.state
        rejected, relabelled = patch.name in state.rejected, patch.name in state.relabelled
        names = ", ".join(found.classes.names[number] for number in patch.classes)
        return Thumbnail(
            key=(self._version, patch.name),
            load=partial(read_small, found.gallery.picture(patch), PICTURE_SIDE),
            caption=names,
            tip=f"{patch.name}: {names}, confidence {patch.confidence:.3f}",
            mark="rejected" if rejected else "relabelled" if relabelled else "",
            figure=f"{patch.confidence:.2f}",
            crossed=rejected,
            colours=tuple(found.classes.palette[number] for number in patch.classes),
        )

    def _show_counts(self) -> None:
        every, shown = len(self._found.gallery) if self._found else 0, len(self._order)
        self.count.setText("" if not every else f"{shown:,} of {every:,}" if shown != every else f"{every:,} patches")
        undo, redo = (self._corrections.undo_text, self._corrections.redo_text) if self._corrections else ("", "")
        _show_step(self.undo_button, "Undo", undo, "Ctrl+Z")
        _show_step(self.redo_button, "Redo", redo, "Ctrl+Shift+Z")
        self._session.opened.undo_changed.emit()

    # The chosen patches.

    @property
    def chosen(self) -> list[PatchRow]:
        """The selected patches."""
        return [patch for row in self.gallery.chosen if (patch := self._patch(row)) is not None]

    def _pick(self, row: int) -> None:
        patch, found, corrections = self._patch(row), self._found, self._corrections
        if patch is None or found is None or corrections is None:
            self._labels = None
            self.detail.views.set_empty_text("")
            self.detail.show_patch([None, None], "")
            self._show_choice()
            return
        state = corrections.state
        self._session.errands.in_background(
            lambda: (patch, *found.gallery.read(patch, state)), self._show_patch, self._unreadable, token="patch"
        )

    def _unreadable(self, error: Exception) -> None:
        self._labels = None
        self.detail.show_patch([None], "")
        self.detail.views.set_empty_text(fault_text(error), fault=True)

    def _show_patch(self, shown: tuple[PatchRow, Array, Array]) -> None:
        patch, image, self._labels = shown
        if self._found is None:
            return
        size = Size(image.shape[1], image.shape[0])
        boxes = tuple(Outline(box) for box in rare_boxes(self._labels, patch.classes))
        contents = [
            Content("Patch", size, image=image, outlines=boxes),
            Content("Labels", size, image=image, labels=self._labels, outlines=boxes),
        ]
        names = self._found.classes.names
        rare = [f"{names[number]} {patch.pixels.get(number, 0):,} px" for number in patch.classes]
        place = f"{strong(breakable(html.escape(patch.image)))}, cell {patch.cell} of {self._found.gallery.grid}"
        # All of them are in the tip: many lines would cover the picture.
        self.detail.show_patch(
            contents, f"{place}<br>{html.escape(listing(rare))}, confidence {patch.confidence:.2f}", ", ".join(rare)
        )

    def _show_choice(self) -> None:
        if self._found is None or self._corrections is None:
            self.detail.show_choice(0, [], None, correctable=False)
            return
        chosen, state = self.chosen, self._corrections.state
        present: Counter[int] = Counter()
        for patch in chosen:
            present.update(patch.pixels)
        correctable = any(patch.name in state.rejected or patch.name in state.relabelled for patch in chosen)
        rare = {number for patch in chosen for number in patch.classes}
        order = sorted(present, key=lambda number: (number not in rare, -present[number]))
        self.detail.show_choice(len(chosen), order, self._found.classes, correctable=correctable)

    def _read_out(self, _view: int, x: int, y: int) -> None:
        labels, text = self._labels, ""
        if self._found and labels is not None and 0 <= x < labels.shape[1] and y < labels.shape[0]:
            number, names = int(labels[y, x]), self._found.classes.names
            text = f"{x}, {y}: {names[number] if number < len(names) else 'ignored'}"
        self.detail.readout.setText(text)

    # Corrections.

    @property
    def history(self) -> Corrections | None:
        """The history that `undo` uses."""
        return self._corrections

    def reject(self) -> None:
        """Excludes the selected patches from training."""
        self._correct(lambda corrections: corrections.reject(patch.name for patch in self.chosen))

    def restore(self) -> None:
        """Restores the selected patches as they were cut."""
        self._correct(lambda corrections: corrections.restore(patch.name for patch in self.chosen))

    def relabel(self, old: int, new: int) -> None:
        """Replaces a class in the labels of the chosen patches that show it."""
        names = self._found.classes.names if self._found else ()
        if old < len(names):
            label = f"{names[old]} to {names[new] if new < len(names) else 'ignore'}"
            chosen = [patch.name for patch in self.chosen if old in patch.pixels]
            self._correct(lambda corrections: corrections.relabel(chosen, old, new, label))

    def undo(self) -> None:
        """Undoes the last correction."""
        self._correct(Corrections.undo)

    def redo(self) -> None:
        """Redoes the correction that was undone last."""
        self._correct(Corrections.redo)

    def _correct(self, act: Callable[[Corrections], None]) -> None:
        if self._corrections is None:
            return
        try:
            act(self._corrections)
        except (CrotsError, OSError) as error:
            self._session.problem.emit(fault_text(error))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Delete rejects the chosen patches."""
        if event.key() == Qt.Key.Key_Delete:
            self.reject()
        else:
            super().keyPressEvent(event)

    def _corrected(self) -> None:
        """After every change: marks, counts, the large picture, and what became stale."""
        if self._found is None or self._corrections is None:
            return
        self.rare.show_found(self._found, self._corrections.state)
        if self.filters.chosen.state == "all":
            self.gallery.thumbnails.refresh()
            self._pick(self.gallery.current)
            self._show_choice()
            self._show_counts()
        else:
            self._arrange()
        self._session.opened.refresh_status()


def _read(project: Project) -> tuple[MinedPatches, Corrections]:
    classes = classes_of(project)
    statistics = read_statistics(project.stage_folder("pseudo-label"), classes)
    gallery = PatchGallery.open(project.stage_folder("mine"))
    fits = gallery.fits(classes)
    shown = gallery if fits else PatchGallery(gallery.folder)
    found = MinedPatches(classes, statistics, shown, _published(project), foreign=not fits)
    return found, Corrections(project.corrections_path)


def _published(project: Project) -> tuple[int, ...]:
    """As the stage takes it; classes that are not joined yet have no such set."""
    try:
        return Inputs(project.config, project.folder).published_rare
    except InputError:  # reported on the set-up page
        return ()


def _empty_text(found: MinedPatches, *, needless: bool) -> str:
    if found.gallery.mined:
        return _NONE_LEFT if len(found.gallery) else _NO_RARE
    if needless:
        return _NOT_NEEDED
    if found.foreign:
        return _FOREIGN
    return _NO_LABELS if found.statistics is None else _NOT_CUT


def _inputs_of(project: Project | None) -> object:
    return None if project is None else (project.folder, project.config.task)


def _show_step(button: QPushButton, word: str, text: str, keys: str) -> None:
    button.setEnabled(bool(text))
    button.setToolTip(plain_tooltip(f"{word}: {text} ({keys})" if text else f"Nothing to {word.lower()}"))
