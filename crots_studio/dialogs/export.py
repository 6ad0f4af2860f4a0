"""Export of a model: which one, in which formats, where to; the measured parity of each file, and its folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from crots.errors import CrotsError
from crots.files import exists, expanded
from crots.folders import HEAD
from crots_studio.dialogs.work import WorkDialog
from crots_studio.models.exporting import (
    FORMAT_NAMES,
    FORMATS,
    Checkpoint,
    ExportForm,
    ExportLog,
    already_written,
    checkpoints,
    export_events,
    outdated,
)
from crots_studio.models.words import byte_count, fault_text
from crots_studio.plain import Label, plain_tooltip
from crots_studio.session import Session
from crots_studio.widgets.result_buttons import ResultButtons


class ExportDialog(WorkDialog):
    """Form above, results below; closing while files are written stops after the current one."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, ResultButtons("&Export"), "Files written", parent)
        self.setWindowTitle("Export")
        self._project = session.opened.for_run() if session.project else None
        self._checkpoints = checkpoints(self._project) if self._project else []
        self._log: ExportLog | None = None
        self._failure = ""
        self._build()
        self._refresh()

    def _build(self) -> None:
        self.checkpoint = QComboBox()
        self.checkpoint.setAccessibleName("Model to export")
        for checkpoint in self._checkpoints:
            self.checkpoint.addItem(checkpoint.title)
        self.summary = Label()
        self.summary.setProperty("role", "muted")
        # The run has written the project's formats already; to write them again takes minutes.
        self.written = Label()
        self.written.setWordWrap(True)
        self.written.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.folder = QLineEdit(str(self._project.stage_folder("export")) if self._project else "")
        self.folder.setAccessibleName("Folder to write to")
        browse = QPushButton("&Browse ...")
        browse.setAccessibleName("Choose the folder to write to")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._browse)
        self.name = QLineEdit(ExportForm.name)
        self.name.setAccessibleName("Name of the files, without ending")
        row = QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(browse)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("&Model", self.checkpoint)
        form.addRow("", self.summary)
        form.addRow("", self.written)
        label = Label("Fo&lder")
        label.setBuddy(self.folder)
        form.addRow(label, row)
        form.addRow("&Name", self.name)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addLayout(self._format_grid())
        column.addWidget(self.problem)
        column.addStretch(1)
        column.addWidget(self.progress)
        column.addWidget(self.buttons)
        # As high as its texts need it.
        self.resize(680, 0)
        self.checkpoint.currentIndexChanged.connect(self._refresh)
        for edit in (self.folder, self.name):
            edit.textChanged.connect(self._refresh)

    def _format_grid(self) -> QGridLayout:
        """A line a format: tick, description, and later what was measured."""
        wanted = self._project.config.export.formats if self._project else ()
        # A model that came as a folder goes back as one.
        own_form = any(str(one.card.get("net", "")).startswith(HEAD) for one in self._checkpoints[:1])
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        self.formats: dict[str, QCheckBox] = {}
        self.results: dict[str, QLabel] = {}
        for place, (name, label) in enumerate(FORMATS.items()):
            tick = QCheckBox(FORMAT_NAMES[name])
            tick.setChecked(name in wanted or (name == "huggingface" and own_form))
            tick.setToolTip(plain_tooltip(label))
            tick.setAccessibleDescription(label)
            tick.toggled.connect(self._refresh)
            result = Label(label)
            result.setWordWrap(True)
            result.setProperty("role", "muted")
            result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(tick, place, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(result, place, 1)
            self.formats[name], self.results[name] = tick, result
        return grid

    # The form.

    @property
    def form(self) -> ExportForm:
        """The current content."""
        place = self.checkpoint.currentIndex()
        chosen: Checkpoint | None = self._checkpoints[place] if 0 <= place < len(self._checkpoints) else None
        folder = self.folder.text().strip()
        formats = tuple(name for name, tick in self.formats.items() if tick.isChecked())
        return ExportForm(chosen, formats, expanded(folder) if folder else None, self.name.text().strip())

    def _refresh(self) -> None:
        form, running = self.form, self.running
        problem, existing = form.problem(), form.existing() if not form.problem() else []
        self.summary.setText(form.checkpoint.summary if form.checkpoint else "")
        self._show_standing(form.checkpoint)
        self.buttons.start.setEnabled(not problem and not running)
        self.buttons.copy_command.setEnabled(not problem)
        self.buttons.open_folder.setEnabled(form.folder is not None and exists(form.folder) and form.folder.is_dir())
        for widget in (self.checkpoint, self.folder, self.name, *self.formats.values()):
            widget.setEnabled(not running)
        if problem:
            self.say(problem, "bad")
        elif existing and not (self._log and self._log.files):
            self.say(f"Will be replaced: {', '.join(path.name for path in existing)}", "warning")
        elif not running and not (self._log and self._log.files):
            self.say("", "muted")

    def _show_standing(self, chosen: Checkpoint | None) -> None:
        status = self._session.opened.status
        stale = outdated(chosen, status) if chosen is not None else ""
        written = already_written(self._project, status) if self._project is not None else ""
        self.written.setText(stale or written)
        self.written.setVisible(bool(self.written.text()))
        self.written.setProperty("role", "warning" if stale else "good")
        self.written.style().polish(self.written)

    # Work.

    def start(self) -> None:
        """Writes the files beside the window."""
        form, project = self.form, self._project
        if project is None or form.problem() or self.running or not self._may_replace(form):
            return
        self._log, self._failure = ExportLog(form), ""
        for name, text in FORMATS.items():
            self.results[name].setText(text)
        self.progress.setRange(0, 0)
        self.progress.show()
        self.say("Writing and comparing ...", "muted")
        self.work(partial(export_events, project, form))
        self._refresh()

    def _may_replace(self, form: ExportForm) -> bool:
        """Asks whether existing files may be replaced."""
        names = ", ".join(path.name for path in form.existing())
        if not names:
            return True
        question = plain_tooltip(f"{names} in {form.folder}: replace what is there?")
        return QMessageBox.question(self, "Replace files", question) == QMessageBox.StandardButton.Yes

    def _take(self, event: object) -> None:
        assert self._log is not None
        try:
            if self._log.take(event):  # type: ignore[arg-type]
                self._show_files(self._log)
        except CrotsError as error:
            self._failure = fault_text(error)

    def _show_files(self, log: ExportLog) -> None:
        self.progress.setRange(0, len(log.form.formats))
        self.progress.setValue(sum(bool(file.parity) for file in log.files))
        for file in log.files:
            lines = [f"{file.path.name}, {byte_count(file.bytes)}", file.parity, *file.notes]
            label = self.results[file.format]
            label.setText("\n".join(filter(None, lines)))
            label.setProperty("role", "good" if file.parity else "muted")
            label.style().polish(label)

    def _ended(self, error: Exception | None) -> None:
        self.progress.hide()
        self._refresh()
        assert self._log is not None
        if failure := self._failure or ("" if error is None else fault_text(error)):
            self.say(failure, "bad")
            return
        stopped = len(self._log.files) < len(self._log.form.formats)
        self.say("Stopped." if stopped else f"Written to {self._log.form.folder}", "muted" if stopped else "good")

    def reject(self) -> None:
        """Closes at once; the current file is completed or left as it was, the remaining ones are not started."""
        self._errand.leave()
        QDialog.reject(self)

    # What the user does.

    def _browse(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder to write to", self.folder.text()):
            self.folder.setText(folder)

    def _command(self) -> str:
        return self.form.command(self._project) if self._project is not None else ""

    def _result_folder(self) -> Path | None:
        return self.form.folder
