"""The first page: a new project, one that is there, one of the latest, or the demonstration."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QDragEnterEvent, QDropEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from crots_studio.models.project_cards import ProjectCard, read_card
from crots_studio.plain import Label, plain_tooltip
from crots_studio.session import Session
from crots_studio.widgets.big_button import BigButton
from crots_studio.widgets.drop_hint import DropHint, dropped_paths
from crots_studio.widgets.project_card import CARD, CardDelegate, Illustration

_PATH = Qt.ItemDataRole.UserRole


class WelcomePanel(QWidget):
    """Signals what was chosen; the window does it."""

    new_wanted = Signal()
    open_wanted = Signal()
    demo_wanted = Signal()
    project_chosen = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._cards: list[ProjectCard] = []
        self.setAcceptDrops(True)
        self.drop_hint = DropHint(self)
        self.new = BigButton(
            "New project", "Choose your images and a source model, or its predictions", self.new_wanted.emit, "plus"
        )
        self.open = BigButton("Open project", "Open an existing project folder", self.open_wanted.emit, "folder")
        label = "Renders a small data set and runs the whole method on it in a few minutes"
        self.demo = BigButton("Try the demonstration", label, self.demo_wanted.emit, "demo")
        self.recent = QListWidget()
        self.recent.setAccessibleName("Recent projects")
        self.recent.setProperty("role", "bare")
        self.recent.setMouseTracking(True)
        self.recent.setItemDelegate(CardDelegate(self.recent))
        self.recent.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.recent.itemActivated.connect(self._chosen)
        self.recent.itemClicked.connect(self._chosen)
        self.forget = QAction("Remove from the list", self.recent)
        self.forget.setShortcut(QKeySequence.StandardKey.Delete)
        self.forget.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self.forget.setToolTip("The project itself stays where it is")
        self.forget.triggered.connect(self._forget)
        self.recent.addAction(self.forget)
        self.recent.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self._empty = Label("Projects that you open appear here.")
        self._empty.setProperty("role", "muted")
        self._lay_out()
        session.opened.project_changed.connect(self.refresh)
        self.refresh()

    def _lay_out(self) -> None:
        title = Label("CROTS Studio")
        title.setProperty("role", "title")
        about = Label(
            "Adapts a segmentation model to your own photographs. No labels are needed, nor the data that the model "
            "was trained on; nothing leaves this computer."
        )
        about.setWordWrap(True)
        about.setProperty("role", "muted")
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addWidget(Illustration())
        left.addSpacing(4)
        left.addWidget(title)
        left.addWidget(about)
        left.addSpacing(8)
        for widget in (self.new, self.open, self.demo):
            left.addWidget(widget)
        hint = Label("A project folder can also be dropped here.")
        hint.setProperty("role", "muted")
        left.addWidget(hint)
        left.addStretch(1)
        right = QVBoxLayout()
        right.setSpacing(8)
        heading = Label("Recent projects")
        heading.setProperty("role", "heading")
        right.addWidget(heading)
        right.addWidget(self._empty)
        right.addWidget(self.recent, 1)
        right.addStretch(0)
        both = QHBoxLayout()
        both.setSpacing(40)
        both.addLayout(left, 1)
        both.addLayout(right, 1)
        middle = QWidget()
        middle.setLayout(both)
        middle.setMaximumSize(1080, 640)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(40, 24, 40, 24)
        outer.addWidget(middle)

    def refresh(self) -> None:
        """Reads the list of recent projects; their contents are read on another thread."""
        paths = [Path(path) for path in self._session.settings.recent.paths]
        known = {card.path: card for card in self._cards}
        self._show([known.get(path, ProjectCard(path)) for path in paths])

        def look() -> list[ProjectCard]:
            # A missing network drive may take a minute to fail.
            return [read_card(path) for path in paths]

        self._session.errands.in_background(look, self._show, token="recent projects")

    def _show(self, cards: list[ProjectCard]) -> None:
        self._cards = cards
        current = self.recent.currentRow()
        self.recent.clear()
        for card in cards:
            item = QListWidgetItem(f"{card.name}\n{card.path if card.present else f'{card.path} (not found)'}")
            item.setData(_PATH, str(card.path))
            item.setData(CARD, card)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, card.spoken)
            item.setToolTip(plain_tooltip(card.spoken))
            if not card.present:
                item.setForeground(self.palette().placeholderText())
            self.recent.addItem(item)
        self.recent.setVisible(self.recent.count() > 0)
        self._empty.setVisible(self.recent.count() == 0)
        self.recent.setCurrentRow(min(current, self.recent.count() - 1))

    def _chosen(self, item: QListWidgetItem) -> None:
        self.project_chosen.emit(item.data(_PATH))

    def _forget(self) -> None:
        if (item := self.recent.currentItem()) is not None:
            self._session.settings.recent = self._session.settings.recent.without(Path(item.data(_PATH)))
            self.refresh()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Looks again which of them are still there."""
        self.refresh()
        super().showEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 (Qt's name)
        """Takes the folder of a project, or the file in it."""
        paths = dropped_paths(event)
        if len(paths) == 1:
            event.acceptProposedAction()
            self.drop_hint.tell([f"Open {_folder_of(paths[0])}"])

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 (Qt's name)
        """Opens what was dropped."""
        if paths := dropped_paths(event):
            event.acceptProposedAction()
            self.project_chosen.emit(str(_folder_of(paths[0])))


def _folder_of(path: Path) -> Path:
    return path.parent if path.is_file() else path
