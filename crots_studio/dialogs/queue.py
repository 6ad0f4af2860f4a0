"""The queue of runs: projects that are run one after another, in an order that the user chooses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from crots.files import exists
from crots.project import CONFIG_NAME, Project
from crots.project_config import ProjectConfig
from crots.trust import Code, code_of
from crots_studio import theme
from crots_studio.models.run_queue import NOT_READY, Entries, QueueEntry, names_of, standing
from crots_studio.models.words import fault_text
from crots_studio.plain import Label, plain_tooltip
from crots_studio.runs.queue import WhyNotReady
from crots_studio.session import Session
from crots_studio.widgets.dialog import Dialog
from crots_studio.widgets.icon_button import IconButton

# Pixels that a column of names takes at least.
_NAME_WIDTH = 200
_LOOK_MS = 2000
_FOLDER = Qt.ItemDataRole.UserRole
_COLUMNS = ("Project", "State", "Details")
_COLOURS = {
    "done": "good",
    "failed": "bad",
    "gone": "bad",
    "interrupted": "warning",
    NOT_READY: "bad",
    "running": "accent",
}
_EMPTY = "The queue is empty. Add projects to run one after another, for example variants of one project."

Standings = dict[str, tuple[str, str]]


class Looks:
    """Looks at queued projects on the disk; not on the window's thread.

    The checks of Set-up open images and models, so each project is checked once, and again where its file was written.
    """

    def __init__(self, why_not_ready: WhyNotReady) -> None:
        self._why_not_ready = why_not_ready
        # By folder: what was checked, and what was found.
        self._checked: dict[Path, tuple[ProjectConfig, str]] = {}

    def forget(self) -> None:
        """Checks all anew: files may have changed."""
        self._checked = {}

    def look(self, entries: Entries, current: str) -> Standings:
        """Returns the state of each project of the queue."""
        return {
            entry.folder: standing(entry, here=entry.folder == current, why_not_ready=self._why) for entry in entries
        }

    def _why(self, project: Project) -> str:
        checked = self._checked
        config, reason = checked.get(project.folder, (None, ""))
        if config != project.config:
            # Start asks about third-party code.
            reason = self._why_not_ready(project, code_of(project.config, project.folder))
            checked[project.folder] = project.config, reason
        return reason


class QueueDialog(Dialog):
    """The list with its controls; the window behind it stays in use.

    Signals:
        open_wanted(str): the project in this folder is to be shown in the window.
    """

    open_wanted = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Queue of runs")
        self._session, self._queue = session, session.queue
        self._standings: Standings = {}
        # Opening images and models may take longer than the timer waits.
        self._asking = False
        # What the tests put in its place is there later.
        self._looks = Looks(lambda project, trusted: session.queue.why_not_ready(project, trusted))
        # Folders in the order of the rows.
        self._shown: list[str] = []
        self.message = Label()
        self.message.setWordWrap(True)
        self._build()
        self._keys()
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self._ask)
        self._queue.changed.connect(self._refresh)
        session.theme_changed.connect(self._refresh)
        self._queue.refresh()
        self._ask()
        self._refresh()
        self._timer.start()

    def _build(self) -> None:
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.setAccessibleName("Queued projects, first to last")
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.setWordWrap(True)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.setColumnWidth(0, _NAME_WIDTH)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.itemSelectionChanged.connect(self._enable)
        self.table.itemActivated.connect(lambda _: self._open())
        self.add_menu = QMenu(self)
        self.add_menu.aboutToShow.connect(self._fill_add)
        self.add_button = QPushButton("&Add project")
        self.add_button.setMenu(self.add_menu)
        self.again_button = self._button(
            "Run a&gain", "Moves the selected projects to the end of the queue", self._again
        )
        self.open_button = self._button("&Open", "Shows the selected project in the window (Return)", self._open)
        self.up = IconButton("up", "Up", lambda: self._move(-1), flat=False)
        self.down = IconButton("down", "Down", lambda: self._move(1), flat=False)
        self.remove_button = self._button(
            "&Remove", "Removes the selected projects from the queue; their files are kept (Del)", self._remove
        )
        self.undo_button = IconButton("undo", "Undo", self._queue.undo, flat=False)
        self.start = self._button("&Start", "Runs the waiting projects one after another", self.begin)
        self.start.setProperty("role", "primary")
        self.stop = self._button(
            "S&top", "Stops the current run after the current step; its work is kept", self._queue.stop
        )
        self.close_button = self._button("&Close", "The queue continues", self.close)
        above, below = QHBoxLayout(), QHBoxLayout()
        left = (self.add_button, self.again_button, self.open_button)
        right: tuple[QWidget, ...] = (self.undo_button, self.up, self.down, self.remove_button)
        for button in left:
            above.addWidget(button)
        above.addStretch(1)
        for widget in right:
            above.addWidget(widget)
        below.addWidget(self.message, 1)
        for button in (self.stop, self.start, self.close_button):
            below.addWidget(button)
        column = QVBoxLayout(self)
        column.addLayout(above)
        column.addWidget(self.table, 1)
        column.addLayout(below)
        self.resize(760, 400)

    @staticmethod
    def _button(label: str, tip: str, act: Callable[[], object]) -> QPushButton:
        button = QPushButton(label)
        button.setAutoDefault(False)
        button.setToolTip(plain_tooltip(tip))
        button.clicked.connect(lambda: act())
        return button

    def _keys(self) -> None:
        keys: tuple[tuple[QKeySequence | QKeySequence.StandardKey | str, str, Callable[[], object]], ...] = (
            ("Alt+Up", "Move the selected project up", lambda: self._move(-1)),
            ("Alt+Down", "Move the selected project down", lambda: self._move(1)),
            ("Del", "Remove the selected projects from the queue", self._remove),
            (QKeySequence.StandardKey.Undo, "Undo the last change of the queue", self._queue.undo),
            (QKeySequence.StandardKey.Redo, "Redo it", self._queue.redo),
        )
        for sequence, label, act in keys:
            shortcut = QShortcut(QKeySequence(sequence), self)
            shortcut.setWhatsThis(label)
            shortcut.activated.connect(act)

    # What is shown.

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Checks all projects again where the user comes back, perhaps from mending one."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self._looks.forget()

    def _ask(self) -> None:
        self._queue.refresh()
        if self._asking:  # the timer asks again
            return
        self._asking = True
        entries, current = self._queue.entries, self._queue.current
        self._session.errands.in_background(
            partial(self._looks.look, entries, current), self._found, self._not_found, token="queue"
        )

    def _not_found(self, error: Exception) -> None:
        self._asking = False
        self._session.problem.emit(f"The queue of runs: {fault_text(error)}")

    def _found(self, standings: Standings) -> None:
        self._asking = False
        if standings != self._standings:
            self._standings = standings
            self._refresh()

    def _refresh(self) -> None:
        queue, entries = self._queue, self._queue.entries
        shown, laid = [entry.folder for entry in entries], self._shown
        if shown != laid:
            self._lay_rows(shown)
            # A new one may be gone already.
            QTimer.singleShot(0, self, self._ask)
        names = names_of(entries)
        for row, entry in enumerate(entries):
            self._fill(row, names[row], *self._standing(entry), entry.folder)
        if shown != laid:
            # Names of one study often differ at their end only.
            room = self.width() * 2 // 5
            self.table.setColumnWidth(0, max(_NAME_WIDTH, min(self.table.sizeHintForColumn(0), room)))
        self.message.setText(queue.summary or self._idle_text())
        self._enable()

    def _standing(self, entry: QueueEntry) -> tuple[str, str]:
        state = self._queue.state
        if entry.folder == self._queue.current:
            return "running", ", ".join(filter(None, (state.text, state.pace)))
        known = self._standings.get(entry.folder, ("", ""))
        # The answer from the disk may be older than the queue itself.
        holds = {"running": bool(known[0]), "waiting": known[0] == NOT_READY}.get(entry.state, False)
        return known if holds or known[0] == "gone" else (entry.state, entry.words)

    def _idle_text(self) -> str:
        queue = self._queue
        if not queue.entries:
            return _EMPTY
        if not queue.waiting:
            return "Every project of the queue has run."
        unready = sum(self._standing(entry)[0] == NOT_READY for entry in queue.entries)
        waiting = f"{queue.waiting - unready} waiting" + (f", {unready} not ready" if unready else "")
        return f"{waiting}. Nothing runs until you press Start."

    def _lay_rows(self, folders: list[str]) -> None:
        selected = set(self.selected)
        self.table.blockSignals(True)
        self.table.setRowCount(len(folders))
        self.table.clearSelection()
        for row, folder in enumerate(folders):
            for column in range(len(_COLUMNS)):
                item = QTableWidgetItem()
                item.setData(_FOLDER, folder)
                self.table.setItem(row, column, item)
                item.setSelected(folder in selected)
        if current := next((row for row, folder in enumerate(folders) if folder in selected), None):
            self.table.setCurrentCell(current, 0, self.table.selectionModel().SelectionFlag.NoUpdate)
        self.table.blockSignals(False)
        self._shown = folders

    def _fill(self, row: int, *texts: str) -> None:
        name, state, message, folder = texts
        for column, text in enumerate((name, state, message)):
            item = self.table.item(row, column)
            assert item is not None
            if item.text() != text:
                item.setText(text)
                item.setToolTip(plain_tooltip(folder if column == 0 else text))
                if column == 2:
                    self.table.resizeRowToContents(row)
            if column == 1:
                item.setForeground(QColor(getattr(theme.colours(), _COLOURS.get(state, "muted"))))

    @property
    def selected(self) -> list[str]:
        """Folders of the selected rows, first to last."""
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        return [self._shown[row] for row in rows if row < len(self._shown)]

    def _enable(self) -> None:
        queue, selected = self._queue, self.selected
        ended = {entry.folder for entry in queue.entries if entry.state in ("done", "failed")}
        one = selected[0] if len(selected) == 1 else ""
        place = self._shown.index(one) if one else -1
        self.again_button.setEnabled(bool(ended & set(selected)))
        self.open_button.setEnabled(bool(one) and not self._session.run.keeps_project)
        self.up.setEnabled(place > 0)
        self.down.setEnabled(0 <= place < len(self._shown) - 1)
        self.remove_button.setEnabled(any(folder != queue.current for folder in selected))
        self.undo_button.setEnabled(bool(queue.undo_text))
        self.undo_button.setToolTip(plain_tooltip(f"Undo: {queue.undo_text}" if queue.undo_text else "Nothing to undo"))
        self.start.setEnabled(not queue.running and queue.waiting > 0)
        self.stop.setEnabled(queue.running and not queue.state.stopping)

    # What the user does.

    def _fill_add(self) -> None:
        self.add_menu.clear()
        session, queued = self._session, {entry.folder for entry in self._queue.entries if entry.state == "waiting"}
        own = str(session.project.folder) if session.project is not None else ""
        for folder in filter(None, dict.fromkeys((own, *session.settings.recent.paths))):
            if folder not in queued:
                label = f"This project ({Path(folder).name})" if folder == own else folder
                self.add_menu.addAction(label.replace("&", "&&")).triggered.connect(partial(self.add, folder))
        if not self.add_menu.isEmpty():
            self.add_menu.addSeparator()
        self.add_menu.addAction("Choose a &folder ...").triggered.connect(self._choose)

    def add(self, folder: str, _checked: bool = False) -> None:
        """Adds a project, or shows why the folder is not one."""
        if not exists(Path(folder) / CONFIG_NAME):
            self.message.setText(f"There is no project in {folder}: choose a folder with a {CONFIG_NAME}.")
            return
        self._queue.add([folder])

    def _choose(self) -> None:
        settings = self._session.settings
        chosen = QFileDialog.getExistingDirectory(self, "Add a project to the queue", settings.folder("projects"))
        if chosen:
            settings.set_folder("projects", str(Path(chosen).parent))
            self.add(chosen)

    def _again(self) -> None:
        self._queue.add(self.selected)

    def _move(self, by: int) -> None:
        if len(self.selected) == 1:
            self._queue.move(self.selected[0], by)

    def _remove(self) -> None:
        self._queue.remove(self.selected)

    def _open(self) -> None:
        if len(self.selected) == 1 and not self._session.run.keeps_project:
            self.open_wanted.emit(self.selected[0])

    def begin(self) -> None:
        """Starts the queue; asks first about third-party code that its projects would execute."""
        self.start.setEnabled(False)
        self._session.errands.in_background(self._queue.untrusted, self._ask_trust, token="queue trust")

    def _ask_trust(self, found: dict[str, tuple[Code, ...]]) -> None:
        from crots_studio.panels.setup.trust import ask_trust

        code = tuple(dict.fromkeys(piece for pieces in found.values() for piece in pieces))
        # Without trust those projects fail and say why; the others run all the same.
        trusted = code if code and ask_trust(code, self) else ()
        self._queue.start(trusted)
        self._enable()
