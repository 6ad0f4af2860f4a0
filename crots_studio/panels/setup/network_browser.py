"""Lists every installed network, with the needs of the selected one; nothing is downloaded."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QListWidget,
    QVBoxLayout,
    QWidget,
)

from crots.config import Size
from crots.errors import CrotsError
from crots_studio.devices import free_memory
from crots_studio.models.label_list import classes_of
from crots_studio.models.networks import NetSummary, find, net_summary, read_facts, read_names
from crots_studio.models.words import fault_text, plural
from crots_studio.plain import Label
from crots_studio.session import Session
from crots_studio.widgets.dialog import Dialog
from crots_studio.widgets.list_search import ListSearch


class NetworkBrowser(Dialog):
    """Gives `chosen` once it is accepted.

    Args:
        session: its project's classes, size and device are those that count.
        chosen: the network to begin with.
        parent: over which it opens.
    """

    def __init__(self, session: Session, chosen: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Networks")
        self._session, self._first = session, chosen
        self._names: tuple[str, ...] = ()
        self.list = QListWidget()
        self.search = ListSearch(self.list)
        self.search.setPlaceholderText("Search, such as deeplab resnet50")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search networks")
        self.list.setAccessibleName("Networks")
        self.count = Label("Listing the installed networks ...")
        self.count.setProperty("role", "muted")
        self.facts = Label()
        self.facts.setWordWrap(True)
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts.setMinimumHeight(5 * self.fontMetrics().height())
        self.facts.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText("&Use this network")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setProperty("role", "primary")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for widget in (self.search, self.list, self.count, self.facts, self.buttons):
            column.addWidget(widget, 1 if widget is self.list else 0)
        self.resize(620, 520)
        self.search.textChanged.connect(lambda _: self._show())
        self.list.currentRowChanged.connect(lambda _: self._ask())
        self.list.itemActivated.connect(lambda _: self.accept())
        self._ask()
        session.errands.in_background(read_names, self._found, self._failed, token="network names")

    @property
    def chosen(self) -> str:
        """The chosen network, empty for none."""
        item = self.list.currentItem()
        return item.text() if item is not None else ""

    def _found(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._show()

    def _failed(self, error: Exception) -> None:
        self._say((fault_text(error),), "bad")

    def _show(self) -> None:
        kept = self.chosen or self._first
        found = find(self._names, self.search.text())
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addItems(found)
        self.list.setCurrentRow(found.index(kept) if kept in found else 0 if found else -1)
        self.list.blockSignals(False)
        every = len(self._names)
        self.count.setText(plural(every, "network") if len(found) == every else f"{len(found):,} of {every:,} networks")
        self._ask()

    def _ask(self) -> None:
        name, project = self.chosen, self._session.project
        self._session.errands.forget("network facts")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(name))
        if not name or project is None:
            self._say((), "muted")
            return
        self._say(("Counting its parameters ...",), "muted")
        try:
            classes = len(classes_of(project))
        except CrotsError:
            # The error is shown beside its field.
            classes = 1
        config = project.config
        self._session.errands.in_background(
            partial(_look_up, name, classes, config.data.size, config.runtime.device),
            self._described, self._failed, token="network facts",
        )  # fmt: skip

    def _described(self, summary: NetSummary) -> None:
        self._say(summary.lines, summary.level)

    def _say(self, lines: tuple[str, ...], role: str) -> None:
        self.facts.setText("\n".join(lines))
        self.facts.setProperty("role", role)
        self.facts.style().polish(self.facts)

    def done(self, result: int) -> None:
        """Cancels pending look-ups."""
        self._session.errands.forget("network names", "network facts")
        super().done(result)


def _look_up(name: str, classes: int, size: Size | None, device: str) -> NetSummary:
    return net_summary(read_facts(name, classes), size, *free_memory(device))
