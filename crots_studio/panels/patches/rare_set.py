"""The rare classes with reasons, the user's own choice, and cutting patches again, which needs no network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from crots.errors import InputError
from crots.methods.rare import ClassStatistics
from crots.outlook import NEEDLESS
from crots.project_status import StageStatus
from crots.taxonomy import ClassSet
from crots.training.patch_set import PatchCorrections
from crots_studio.models.patch_gallery import PatchGallery, class_rows, rare_now, rare_option
from crots_studio.models.rail import reason_text
from crots_studio.models.words import fault_text
from crots_studio.panels.patches.rare_table import RareTable
from crots_studio.plain import Label
from crots_studio.runs.run import RunRequest
from crots_studio.session import Session

# Ticking several classes in a row cuts once.
_CUT_MS = 700
MODES = {"auto": "Found from the predictions", "published": "The published set", "own": "My own choice"}


@dataclass(frozen=True, eq=False)
class MinedPatches:
    """Data of a project.

    Attributes:
        classes: of the target.
        statistics: of the pseudo-labels, None before there are any.
        gallery: the patches.
        published: the set of the published code, may be empty.
        foreign: there are patches, but of another class set, and the gallery is empty.
    """

    classes: ClassSet
    statistics: ClassStatistics | None
    gallery: PatchGallery
    published: tuple[int, ...]
    foreign: bool = False


class RareSet(QWidget):
    """Table of the classes, with the choice of the rare ones.

    Signals:
        class_picked(int): the user selected a class.
    """

    class_picked = Signal(int)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._found: MinedPatches | None = None
        self._corrections = PatchCorrections()
        self._fault = ""
        self.timer = QTimer(self)
        self.timer.setSingleShot(True)
        self.timer.setInterval(_CUT_MS)
        self.timer.timeout.connect(self.cut)
        self.table = RareTable()
        self.mode = QComboBox()
        self.mode.setAccessibleName("How the rare classes are chosen")
        self.mode.setToolTip("How the rare classes are chosen; tick classes to choose them yourself")
        for key, text in MODES.items():
            self.mode.addItem(text, key)
        self.at_once = QCheckBox("&automatically")
        self.at_once.setChecked(True)
        self.at_once.setToolTip("Cut the patches again as soon as the rare classes change; no network is needed")
        self.at_once.setAccessibleName("Cut again as soon as the rare classes change")
        self.cut_button = QPushButton("&Cut patches")
        self.cut_button.setToolTip("Cut the patches again from the saved pseudo-labels; no network is needed")
        self.why = _label("Why the class is rare")
        self.state = _label("State of the patches")
        self._build()
        self._connect()

    def _build(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.cut_button, 1)
        row.addWidget(self.at_once)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.mode)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.why)
        layout.addLayout(row)
        layout.addWidget(self.state)

    def _connect(self) -> None:
        self.mode.activated.connect(lambda _: self._choose_mode())
        self.table.rare_changed.connect(self._choose)
        self.table.class_picked.connect(self._class_picked)
        self.cut_button.clicked.connect(self.cut)
        self._session.run.busy_changed.connect(self.show_state)
        self._session.run.events_arrived.connect(self.show_state)
        self._session.opened.status_changed.connect(self.show_state)

    def show_found(self, found: MinedPatches | None, corrections: PatchCorrections) -> None:
        """Shows the classes of a project; None shows none."""
        self._found, self._corrections = found, corrections
        if found is None:
            # The ticks belong to the previous project.
            self.timer.stop()
            self.table.show_rows([], None)
            self.why.setText("")
        self.refresh()

    def refresh(self) -> None:
        """Shows the options as they are now."""
        project, found = self._session.project, self._found
        if project is not None and found is not None:
            asked = project.config.mine.rare.strip()
            self.mode.setCurrentIndex(self.mode.findData(asked if asked in MODES else "own"))
            model: Any = self.mode.model()
            model.item(list(MODES).index("published")).setEnabled(bool(found.published))
            rows = class_rows(found.classes, found.statistics, self._rare(), found.gallery, self._corrections)
            self.table.show_rows(rows, found.classes)
            self._show_why()
        self.show_state()

    def _rare(self) -> dict[int, str]:
        project, found = self._session.project, self._found
        self._fault = ""
        if project is None or found is None:
            return {}
        try:
            return rare_now(project.config.mine, found.classes, found.statistics, found.published)
        except InputError as error:
            self._fault = fault_text(error)
            return {}

    # Choosing.

    def _choose_mode(self) -> None:
        mode = self.mode.currentData()
        if self._found is not None:
            self._write(rare_option(self.table.rare, self._found.classes) if mode == "own" else mode)

    def _choose(self, chosen: frozenset[int]) -> None:
        if self._found is not None:
            self._write(rare_option(chosen, self._found.classes))

    def _write(self, option: str) -> None:
        project = self._session.project
        if project is None or option == project.config.mine.rare:
            return
        mine = dataclasses.replace(project.config.mine, rare=option)
        self._session.opened.save_config(dataclasses.replace(project.config, mine=mine))
        if self.at_once.isChecked() and self._labelled:
            self.timer.start()
        self.show_state()

    def _class_picked(self, number: int) -> None:
        self._show_why()
        self.class_picked.emit(number)

    def _show_why(self) -> None:
        row = self.table.currentRow()
        reason = self.table.reason(row) if row >= 0 else "Choose a class to see why it is rare."
        self.why.setText(self._fault or reason)
        self.why.setProperty("role", "bad" if self._fault else "muted")
        self.why.style().polish(self.why)

    # Cutting.

    @property
    def _labelled(self) -> bool:
        return self._found is not None and self._found.statistics is not None

    def cut(self) -> None:
        """Cuts the patches again; during a run, when it has ended."""
        if self._session.run.busy:
            self.timer.start()
        elif self._session.project is not None and self._labelled:
            self._session.run.start(RunRequest(only="mine"), in_child=False)
        self.show_state()

    def show_state(self) -> None:
        """Says how the patches stand to the options."""
        session = self._session
        self.cut_button.setEnabled(self._labelled and not session.run.busy)
        for widget in (self.table, self.mode, self.at_once):
            widget.setEnabled(self._labelled)
        self.state.setText(self._state_text())

    def _state_text(self) -> str:
        session = self._session
        if session.project is None:
            return ""
        if session.run.busy and session.run.state.stage == "mine":
            return "Cutting …"
        if self.timer.isActive():
            return "Will be cut when the run has finished." if session.run.busy else "Will be cut in a moment …"
        if reason := needless(session.opened.status):
            return f"Not needed: {reason}."
        reason = _stale_reason(session.opened.status)
        return f"These patches are not up to date: {reason}." if reason else ""


def needless(status: list[StageStatus]) -> str:
    """Why no patches have to be cut; empty where they do, or are."""
    return next((reason_text(row) for row in status if row.key == "mine" and row.state == NEEDLESS), "")


def _stale_reason(status: list[StageStatus]) -> str:
    """Why the patches are not those of the options and of the labels as they are corrected now."""
    mine = next((row for row in status if row.key == "mine" and row.keeps_earlier), None)
    return reason_text(mine) if mine else ""


def _label(name: str) -> QLabel:
    label = Label()
    label.setAccessibleName(name)
    label.setProperty("role", "muted")
    label.setWordWrap(True)
    return label
