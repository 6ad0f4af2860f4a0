"""The images of a project as a searchable, sortable list of thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from crots.taxonomy import ClassSet
from crots_studio.models.image_ranking import Ranking
from crots_studio.models.image_store import read_small
from crots_studio.models.label_list import ORDERS, PARTS, LabelList, LabelRow
from crots_studio.models.words import plural
from crots_studio.plain import Label
from crots_studio.widgets.class_legend import swatch
from crots_studio.widgets.controls import choice_box
from crots_studio.widgets.thumbnails import PICTURE_SIDE, Thumbnail, ThumbnailView

_SEARCH_MS = 150


class ImageList(QWidget):
    """Sorts, filters and shows images.

    Signals:
        picked(int): an image of the list became the current one; its index in the `LabelList`.
    """

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.labels = LabelList()
        # A word over the picture of a key, empty for none.
        self.mark: Callable[[str], str] = lambda key: ""
        self._order: list[int] = []
        self._ranking: Ranking | None = None
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search names")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search image names")
        self.order = choice_box("Order of the images", ORDERS)
        self.part = choice_box("Easy or hard images", PARTS)
        self.shows = choice_box("Images that show a class", {})
        self.shows.setToolTip("List only images in which this class was predicted")
        self.count = Label()
        self.count.setProperty("role", "muted")
        self.thumbnails = ThumbnailView(cell=QSize(93, 88))
        self.thumbnails.setAccessibleName("Images")
        self.setMinimumWidth(150)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SEARCH_MS)
        self._build()
        self._connect()
        self.show_labels(self.labels, None)

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.search)
        layout.addWidget(self.order)
        row = QHBoxLayout()
        row.addWidget(self.part)
        row.addWidget(self.shows)
        layout.addLayout(row)
        layout.addWidget(self.thumbnails, 1)
        layout.addWidget(self.count)

    def _connect(self) -> None:
        self.search.textChanged.connect(lambda _: self._timer.start())
        self._timer.timeout.connect(self._arrange)
        self.order.currentIndexChanged.connect(self._order_chosen)
        self.part.currentIndexChanged.connect(lambda _: self._arrange())
        self.shows.currentIndexChanged.connect(lambda _: self._arrange())
        self.thumbnails.picked.connect(lambda row: self.picked.emit(self._order[row]))

    def show_labels(self, labels: LabelList, classes: ClassSet | None) -> None:
        """Lists other images; the current one stays where it is still there."""
        # The first image of a partial listing was not chosen by the user.
        key = self.current_key if self.labels.complete else ""
        if labels.root != self.labels.root:
            # The files behind equal names may have changed since the last listing.
            self.thumbnails.thumbnails.forget()
        self.labels, self._ranking = labels, None
        self._fill_classes(classes)
        for widget in (self.order, self.part, self.shows):
            widget.setEnabled(labels.labelled)
            widget.setVisible(labels.labelled)
        self._arrange(keep=key)

    def show_ranking(self, ranking: Ranking | None) -> None:
        """Lists the images of a ranking in its order, and goes to the first; None lists them all again."""
        if ranking != self._ranking:
            self._ranking = ranking
            self._arrange(keep="")

    @property
    def arranged(self) -> tuple[int, ...]:
        """Indices of the listed images in the `LabelList`, in their order."""
        return tuple(self._order)

    @property
    def current(self) -> int:
        """Index of the current image in the `LabelList`, -1 for none."""
        row = self.thumbnails.current
        return self._order[row] if 0 <= row < len(self._order) else -1

    @property
    def current_key(self) -> str:
        """Key of the current image, empty for none."""
        return self.labels.keys[self.current] if self.current >= 0 else ""

    def go_to(self, key: str) -> bool:
        """Makes an image the current one; False where it is not listed."""
        row = next((row for row, index in enumerate(self._order) if self.labels.keys[index] == key), -1)
        if row >= 0:
            self.thumbnails.setCurrentIndex(self.thumbnails.thumbnails.index(row))
        return row >= 0

    def clear_filters(self) -> None:
        """Lists all images."""
        self.search.clear()
        self._timer.stop()
        self.part.setCurrentIndex(0)
        self.shows.setCurrentIndex(0)
        self._arrange()

    def step(self, by: int) -> None:
        """Goes to the next or the one before."""
        row = self.thumbnails.current + by
        if 0 <= row < len(self._order):
            self.thumbnails.setCurrentIndex(self.thumbnails.thumbnails.index(row))

    def show_class(self, number: int | None) -> None:
        """Lists only images that show a class."""
        self.shows.setCurrentIndex(self.shows.findData(number))

    def _fill_classes(self, classes: ClassSet | None) -> None:
        names = classes.names if classes else ()
        if [self.shows.itemText(place) for place in range(1, self.shows.count())] == list(names):
            return
        self.shows.blockSignals(True)
        self.shows.clear()
        self.shows.addItem("Any class", None)
        for number, name in enumerate(names):
            self.shows.addItem(swatch(classes.palette[number]), name, number)  # type: ignore[union-attr]
        self.shows.blockSignals(False)

    def _order_chosen(self) -> None:
        if self.order.currentData() in ("class", "unsure") and self.shows.currentData() is None:
            # "Most of a class" says nothing before a class is chosen: take the rarest one that occurs.
            shares = self.labels.shares()
            present = [number for number in range(len(shares)) if shares[number] > 0]
            if present:
                self.show_class(min(present, key=lambda number: shares[number]))
                return
        self._arrange()

    def _arrange(self, *, keep: str | None = None) -> None:
        keep = self.current_key if keep is None else keep
        chosen = self.order.currentData(), self.part.currentData(), self.shows.currentData()
        order, part, shows = chosen
        self._order = self.labels.arrange(order, part=part, shows=shows, text=self.search.text())
        if self._ranking is not None:
            kept = set(self._order)
            self._order = [index for index in self._ranking.places if index in kept]
        current = next((row for row, index in enumerate(self._order) if self.labels.keys[index] == keep), 0)
        self.thumbnails.empty_text = "No image matches the filter." if len(self.labels) else ""
        self.thumbnails.show_entries(len(self._order), self._describe, current=current)
        self.count.setText(self._count_text())
        if not self._order:
            self.picked.emit(-1)

    def _count_text(self) -> str:
        shown, every = len(self._order), len(self.labels)
        if not self.labels.complete:
            return "listing the folder …"
        if not every:
            return ""
        return plural(every, "image") if shown == every else f"{shown:,} of {plural(every, 'image')}"

    def figure(self, index: int) -> str:
        """Returns the figure that an image is sorted by, as text."""
        if self._ranking is not None:
            return self._ranking.figures.get(index, "")
        return self.labels.figure(index, self.order.currentData(), self.shows.currentData())

    def _describe(self, row: int) -> Thumbnail:
        index = self._order[row]
        shown: LabelRow = self.labels.row(index)
        half = "" if shown.entropy is None else (", hard half" if shown.hard else ", easy half")
        tip = shown.key if shown.entropy is None else f"{shown.key}, entropy {shown.entropy:.3f} nats{half}"
        return Thumbnail(
            key=str(shown.path),
            load=partial(read_small, shown.path, PICTURE_SIDE),
            caption=self.labels.name(index),
            tip=tip,
            figure=self.figure(index),
            mark=self.mark(shown.key),
        )
