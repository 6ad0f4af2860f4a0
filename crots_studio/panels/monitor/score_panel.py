"""The base of panels about scores: a choice of the model, which follows the latest one, and an empty state."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from crots_studio.models.iou import ClassLook, Score, Scores
from crots_studio.models.names import title
from crots_studio.session import Session
from crots_studio.widgets.plot_tools import EmptyState, Redraw


class ScorePanel(QWidget):
    """The frame: a bar above two halves. A panel fills `bar` and `split`, and draws in `_draw`."""

    def __init__(self, session: Session, empty: str) -> None:
        super().__init__()
        self._session = session
        self._scores = Scores()
        self.look = ClassLook()
        self._followed = ""
        self.subject = QComboBox()
        self.subject.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.subject.activated.connect(self._choose_subject)
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.stack = QStackedWidget()
        self.stack.addWidget(EmptyState(empty))
        self.stack.addWidget(self.split)
        self.bar = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addLayout(self.bar)
        layout.addWidget(self.stack, 1)
        self.redraw = Redraw(self, self._draw)
        session.theme_changed.connect(self._recolour)

    def fill_split(self, left: QWidget, right: QWidget, sizes: list[int]) -> None:
        """Puts the two halves in their places."""
        self.split.addWidget(left)
        self.split.addWidget(right)
        self.split.setSizes(sizes)
        self.split.setChildrenCollapsible(False)

    def _draw(self) -> None:
        """Draws what there is."""
        raise NotImplementedError

    def _recolour(self) -> None:
        """Follows the theme."""
        raise NotImplementedError

    def show_scores(self, scores: Scores) -> None:
        """Shows another project's scores."""
        self._scores, self._followed = scores, ""
        self.look = ClassLook.of(self._session.project)
        self.redraw.ask()

    def take_look(self) -> None:
        """The project's class set changed: its order and colours are taken over."""
        self.look = ClassLook.of(self._session.project)
        self.redraw.ask()

    def update_scores(self) -> None:
        """The scores given to `show_scores` have grown."""
        self.redraw.ask()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Catches up with what came while the panel was hidden."""
        super().showEvent(event)
        self.redraw.shown()

    def list_subjects(self, subjects: tuple[str, ...]) -> None:
        """Lists models; follows the latest one until the user chooses."""
        self.stack.setCurrentIndex(1 if subjects else 0)
        listed = tuple(self.subject.itemData(place) for place in range(self.subject.count()))
        if listed != subjects:
            self.subject.clear()
            for name in subjects:
                self.subject.addItem(title(name), name)
        wanted = self._followed if self._followed in subjects else subjects[-1] if subjects else ""
        self.subject.setCurrentIndex(self.subject.findData(wanted))

    def _choose_subject(self) -> None:
        self._followed = self.subject.currentData() or ""
        self.redraw.now()

    def _score(self) -> Score | None:
        return self._scores.latest(self.subject.currentData() or "")


def column_of(*widgets: QWidget, stretched: QWidget) -> QWidget:
    """Returns widgets one below the other without a margin; one of them takes the room that is left."""
    whole = QWidget()
    column = QVBoxLayout(whole)
    column.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        column.addWidget(widget, 1 if widget is stretched else 0)
    return whole
