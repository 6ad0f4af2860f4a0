"""The source's predictions for the target's images: labels, confidence, entropy; and correcting them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from crots.arrays import Array
from crots.events import Event, StageFinished
from crots.project import Project
from crots.taxonomy import ClassSet
from crots_studio.models.image_store import ImageMaps, ImageStore
from crots_studio.models.label_edit import Import, LabelEdits
from crots_studio.models.label_list import LabelList, classes_of, glance, read_list
from crots_studio.models.suspicion import Suspect, Suspicion, find_suspects
from crots_studio.models.words import fault_text, plural
from crots_studio.panels.label_correction import LabelCorrection
from crots_studio.session import Session
from crots_studio.widgets.compare_area import CompareArea
from crots_studio.widgets.icon_button import IconButton
from crots_studio.widgets.image_panel import ImagePanel, class_label
from crots_studio.widgets.picture_layers import Content, Outline, doubt_colour
from crots_studio.widgets.region_bar import RegionBar

_NO_PROJECT = "Open or create a project to see its images here."
_NO_IMAGES = "No target images yet. Choose the target folder in the project's set-up."
_NO_LABELS = "no labels yet: the stage Pseudo-labels makes them from the source's predictions"
IMAGE, LABELS, CONFIDENCE, ENTROPY = "Image", "Labels", "Confidence", "Entropy"


class PseudoLabelPanel(ImagePanel):
    """List of images on the left, the chosen one on the right in two of four forms.

    Signals:
        export_wanted(), import_wanted(): doubtful images are to go to a labelling tool, or corrections to come back.
    """

    export_wanted = Signal()
    import_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, "Pseudo-labels", CompareArea(left=IMAGE, right=LABELS), parent)
        self._store: ImageStore | None = None
        self._maps: ImageMaps | None = None
        self._pointer = (-1, -1)
        self.correction = LabelCorrection(session, self.area, self)
        self.regions = RegionBar()
        self.regions.chosen.connect(self._go_to_region)
        # The box to look at as soon as its image is there.
        self._awaited: tuple[int, int, int, int] | None = None
        self.beside_area.insertWidget(0, self.correction.tools.column)
        self.below_area.setSpacing(8)
        self.below_area.addWidget(self.correction, 1)
        self.below_area.addWidget(self.regions, 1)
        self._make_keys()
        self.legend.list.setToolTip(
            "Click a class to paint with it. Tick the classes to draw; double-click one to see only that one, again to "
            "see all."
        )
        self.legend.picked.connect(self.correction.tools.choose_class)
        self.correction.tools.class_changed.connect(self.legend.choose)
        self.correction.previewed.connect(self._preview)
        self.correction.corrected.connect(self._corrected)
        self.images.mark = self._mark
        self._suspicion = Suspicion()
        self._searching = False
        # Waits for the labels to be read again.
        self._imported: list[Import] = []
        session.opened.corrections_imported.connect(self._take_imported)
        self.images.order.currentIndexChanged.connect(lambda _: self._redraw())
        session.run.busy_changed.connect(self._enable)
        self._reload()

    def _fill_above(self) -> None:
        self.suspect_button = QPushButton("Find suspicious labels")
        self.suspect_button.setToolTip(
            "Ranks images and outlines regions by doubt: where the source is unsure, and where the student, once there "
            "is one, disagrees. Needs no labels; runs in a separate process."
        )
        self.suspect_button.clicked.connect(self._find_suspects)
        self.tool_menu = QMenu(self)
        self.tool_menu.addAction("&Export doubtful images ...").triggered.connect(self.export_wanted)
        self.tool_menu.addAction("&Import corrected labels ...").triggered.connect(self.import_wanted)
        self.tool_button = IconButton(
            "export",
            "Labelling tool",
            tip="corrects the most doubtful images in CVAT or labelme, and reads them back",
            flat=False,
        )
        # A menu of its own would give it an arrow, for which there is no room beside the list.
        self.tool_button.clicked.connect(self._open_tool_menu)
        searches = QHBoxLayout()
        searches.addWidget(self.suspect_button, 1)
        searches.addWidget(self.tool_button)
        self.above_list.addLayout(searches)

    def _open_tool_menu(self) -> None:
        self.tool_menu.popup(self.tool_button.mapToGlobal(self.tool_button.rect().bottomLeft()))

    def _make_keys(self) -> None:
        for keys, label, act in (
            ("N", "Next doubtful region", self.regions.go_on),
            ("Shift+N", "Previous doubtful region", self.regions.go_back),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setWhatsThis(label)
            shortcut.activated.connect(act)

    @property
    def maps(self) -> ImageMaps | None:
        """The maps of the image that is shown; None while there are none."""
        return self._maps

    # The list.

    def _reload(self) -> None:
        project = self._session.project
        self._session.errands.forget("pseudo-labels glance", "pseudo-labels", "pseudo-labels image")
        self._store, self._maps, self._classes = None, None, None
        self._suspicion, self._awaited = Suspicion(), None
        self.regions.set_regions(())
        self._inputs = self._inputs_of(project)
        self.images.show_labels(LabelList(), None)
        self.legend.set_classes(None)
        self.correction.set_edits(None, None)
        self._say_empty(_NO_PROJECT if project is None else "Looking for images …")
        if project is not None:
            snapshot = Project(project.folder, project.config)
            self._session.errands.in_background(partial(glance, snapshot), self._glanced, token="pseudo-labels glance")
            self._session.errands.in_background(
                partial(_read, snapshot), self._listed, self._failed, token="pseudo-labels"
            )

    def _glanced(self, found: LabelList) -> None:
        """The first images of a long listing, unless the whole one came first."""
        project = self._session.project
        if not len(self.images.labels) and len(found) and self._store is None and project is not None:
            self._store = ImageStore(project, ClassSet("none", (), ()))
            self.images.show_labels(found, None)

    def _listed(self, found: tuple[LabelList, ImageStore, LabelEdits, Suspicion]) -> None:
        labels, self._store, edits, self._suspicion = found
        self._classes = self._store.classes
        imported, self._imported = self._imported, []
        edits.take_imported(imported)
        self.legend.set_classes(self._classes)
        self.correction.set_edits(edits, self._classes)
        self.legend.choose(self.correction.tools.label)
        self.regions.set_regions([f"{suspect.reason}; {key}" for key, suspect in self._suspicion.ranked])
        self._recolour()
        if not len(labels):
            self._say_empty(labels.problem or _NO_IMAGES, fault=labels.is_fault)
        self.images.show_labels(labels, self._classes)
        self._enable()

    def _events(self, events: list[Event]) -> None:
        if any(isinstance(event, StageFinished) and event.stage == "pseudo-label" for event in events):
            self._reload()

    def _mark(self, key: str) -> str:
        edits = self.correction.edits
        return "corrected" if edits is not None and key in edits.keys else ""

    # One image.

    def _pick(self, index: int) -> None:
        if index < 0 or self._store is None:
            self._maps = None
            self.area.show_contents({})
            self.correction.show_image("", None)
            return
        labels, store = self.images.labels, self._store
        key, path = labels.keys[index], labels.path(index)
        self._session.errands.in_background(
            lambda: (key, store.maps(key, path)), self._show, self._broken, token="pseudo-labels image"
        )

    def _broken(self, error: Exception) -> None:
        self._maps = None
        self.correction.show_image("", None)
        super()._broken(error)

    def _show(self, found: tuple[str, ImageMaps]) -> None:
        key, maps = found
        if key != self.images.current_key:
            return
        self._maps = maps
        self.area.setEnabled(True)
        self.area.show_contents(self._contents(maps, maps.labels))
        self.correction.show_image(key, maps.labels, maps.image)
        # The class under the pointer may have changed.
        self._read_out("", *self._pointer)
        index = self.images.current
        self.legend.set_shares(self._shares(maps.labels, index))
        self.about.setText(self._about(key, index))
        if self._awaited is not None:
            box, self._awaited = self._awaited, None
            self.area.look_at_box(box)

    def _shares(self, labels: Array | None, index: int) -> Array | None:
        """The shares of the corrected labels; the stored statistics do not include corrections."""
        if not self.images.labels.labelled:
            return None
        if labels is None or self._classes is None:
            return self.images.labels.shares(index)
        counted = np.bincount(labels.ravel(), minlength=len(self._classes))[: len(self._classes)].astype(np.float64)
        shares: Array = counted / max(1.0, counted.sum())
        return shares

    def _contents(self, maps: ImageMaps, labels: Array | None) -> dict[str, Content]:
        size = maps.size
        contents = {IMAGE: Content(IMAGE, size, image=maps.image)}
        if labels is None or self._classes is None:
            return contents
        contents[LABELS] = Content(LABELS, size, image=maps.image, labels=labels, outlines=self._outlines())
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
        why = self._suspects()
        sure += f"; {plural(len(why), 'suspicious region')}" if why else ""
        mended = "; corrected by hand" if self._mark(key) else ""
        return f"{key}: mean entropy {row.entropy:.3f} nats, {half} half{sure}{mended}"

    # Suspicion.

    def _suspects(self) -> tuple[Suspect, ...]:
        """The regions of the current image, while images are listed by suspicion or regions are gone through."""
        wanted = self.images.order.currentData() == "suspicious" or self.regions.current >= 0
        return self._suspicion.regions.get(self.images.current_key, ()) if wanted else ()

    def _outlines(self) -> tuple[Outline, ...]:
        place = self.regions.current
        at = self._suspicion.ranked[place][1] if place >= 0 else None
        return tuple(
            Outline(suspect.box, doubt_colour(suspect.doubt), strong=suspect is at) for suspect in self._suspects()
        )

    def _go_to_region(self, place: int) -> None:
        """Shows a doubtful region, in whichever image it is."""
        key, suspect = self._suspicion.ranked[place]
        self._awaited = suspect.box
        if key == self.images.current_key:
            self._redraw()
            return
        if not self.images.go_to(key):
            self.images.clear_filters()
            if not self.images.go_to(key):
                self._session.notice.emit(f"{key} is no longer among the images; find suspicious labels again")

    def _redraw(self) -> None:
        if self._maps is not None and self.images.current >= 0:
            self._show((self.images.current_key, self._maps))

    def _enable(self) -> None:
        for button in (self.suspect_button, self.tool_button):
            button.setVisible(self.images.labels.labelled)
        self.tool_button.setEnabled(not self._session.run.busy)
        self.suspect_button.setEnabled(not (self._searching or self._session.run.busy))
        self.suspect_button.setText("Looking at the labels …" if self._searching else "Find suspicious labels")

    def _find_suspects(self) -> None:
        project = self._session.project
        if project is not None and not self._searching:
            self._searching, folder = True, project.folder
            if self.suspect_button.hasFocus():
                # Qt would move it on from what is disabled, perhaps into a field that the next key changes.
                self.images.search.setFocus()
            flags = ("--trust",) if self._session.opened.for_run().config.runtime.trust else ()
            self._session.errands.in_background(
                lambda: find_suspects(folder, *flags), lambda _: self._searched(folder), self._not_searched
            )
            self._enable()

    def _searched(self, folder: Path) -> None:
        """It takes minutes: another project may be open by then."""
        self._searching = False
        project = self._session.project
        if project is None or project.folder != folder:
            self._enable()
            return
        self.images.order.setCurrentIndex(self.images.order.findData("suspicious"))
        self._reload()

    def _not_searched(self, error: Exception) -> None:
        self._searching = False
        self._session.problem.emit(fault_text(error))
        self._enable()

    # Corrections.

    def _take_imported(self, found: list[Import]) -> None:
        self._imported += found
        self._reload()

    def _preview(self, labels: Array) -> None:
        """A stroke that is being drawn."""
        if self._maps is not None:
            self.area.show_contents(self._contents(self._maps, labels))
            self.legend.set_shares(self._shares(labels, self.images.current))

    def _corrected(self, key: str) -> None:
        """An image was repainted, perhaps by an undo while another one is shown: goes there."""
        self.images.thumbnails.thumbnails.refresh()
        if key == self.images.current_key or not self.images.go_to(key):
            self._pick(self.images.current)

    def _read_out(self, _view: str, x: int, y: int) -> None:
        maps, self._pointer = self._maps, (x, y)
        if x < 0 or maps is None or maps.labels is None or self._classes is None:
            self.readout.setText(f"{x}, {y}" if x >= 0 else "")
            return
        number = int(maps.labels[y, x])
        parts = [f"{x}, {y}", class_label(self._classes, number)]
        if maps.confidence is not None and maps.entropy is not None:
            parts.append(f"confidence {maps.confidence[y, x]:.3f}")
            parts.append(f"entropy up to {maps.entropy[y, x]:.2f} nats")
        self.readout.setText(" &nbsp; ".join(parts))

    @property
    def history(self) -> LabelEdits | None:
        """The history that `undo` uses."""
        return self.correction.edits

    def undo(self) -> None:
        """Undoes the last correction."""
        self.correction.undo()

    def redo(self) -> None:
        """Does it again."""
        self.correction.redo()


def _read(project: Project) -> tuple[LabelList, ImageStore, LabelEdits, Suspicion]:
    classes, suspicion = classes_of(project), Suspicion.read(project.folder)
    store = ImageStore(project, classes)
    labels = read_list(project, classes)
    return suspicion.joined(labels), store, LabelEdits(store.pseudo_labels), suspicion
