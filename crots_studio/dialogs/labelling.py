"""Exports doubtful images to a labelling tool, and imports the corrections made there."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QComboBox, QFormLayout, QSpinBox, QVBoxLayout, QWidget

from crots.events import Note, StageFinished, StageStarted
from crots.files import exists, expanded
from crots_studio.dialogs.work import WorkDialog
from crots_studio.models.applying import ApplyLog
from crots_studio.models.label_edit import Import
from crots_studio.models.labelling import TOOLS, ImportForm, LabellingExport, export_events, import_events, new_folder
from crots_studio.models.words import fault_text, in_window, plural
from crots_studio.plain import Label
from crots_studio.session import Session
from crots_studio.widgets.controls import indent
from crots_studio.widgets.path_field import PathField
from crots_studio.widgets.result_buttons import ResultButtons

_COUNT, _MOST = 20, 10_000


class LabellingDialog(WorkDialog):
    """What export and import share: a form, progress, and a line with what is missing or the result."""

    start_label = ""
    busy_text = ""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, ResultButtons(self.start_label), "Images done", parent)
        assert session.project is not None
        self._project = session.opened.for_run()
        self._log = ApplyLog()
        self._note = ""
        self.form = QFormLayout()
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.fields: list[QWidget] = []
        self.build(self.form)
        column = QVBoxLayout(self)
        column.addLayout(self.form)
        column.addStretch(1)
        for widget in (self.problem, self.progress, self.buttons):
            column.addWidget(widget)
        # As high as its texts need it.
        self.resize(640, 0)
        self.refresh()

    def build(self, form: QFormLayout) -> None:
        """Adds the rows, and their controls to `fields`."""
        raise NotImplementedError

    @property
    def content(self) -> LabellingExport | ImportForm:
        """What is filled in."""
        raise NotImplementedError

    @property
    def folder(self) -> Path | None:
        """The folder that can be shown, None for none yet."""
        raise NotImplementedError

    def begin(self) -> None:
        """Starts the errand."""
        raise NotImplementedError

    def outcome(self) -> str:
        """Describes the result."""
        raise NotImplementedError

    def path_row(self, text: str, name: str, form: QFormLayout, placeholder: str) -> PathField:
        """Adds a row with a folder."""
        field = PathField(name, "folder", self._session.settings, placeholder=placeholder)
        label = Label(text)
        label.setBuddy(field)
        form.addRow(label, field)
        field.changed.connect(lambda _: self.refresh())
        self.fields.append(field)
        return field

    def refresh(self) -> None:
        """Shows what is missing, or what is going on."""
        running = self.running
        problem = "" if running else self.content.problem()
        if self._session.run.busy and not problem:
            problem = "Wait until the run has ended."
        self.buttons.start.setEnabled(not problem and not running)
        self.buttons.copy_command.setEnabled(not problem)
        self.buttons.open_folder.setEnabled(self.folder is not None and not running)
        for widget in self.fields:
            widget.setEnabled(not running)
        self.buttons.close_button.setText("&Stop" if running else "&Close")
        if not running:
            self.say(problem, "muted")

    def start(self) -> None:
        """Works beside the window."""
        if not self.buttons.start.isEnabled():
            return
        self._log, self._note = ApplyLog(), ""
        self.progress.setRange(0, 0)
        self.progress.show()
        self.begin()
        self.refresh()
        self.say(self.busy_text, "muted")

    def _take(self, event: object) -> None:
        log = self._log
        if isinstance(event, StageStarted):
            # Of the search first, where there was none.
            log.done = 0
        if isinstance(event, Note) and event.level != "warning":
            self._note = in_window(event.text)
        if isinstance(event, StageFinished) and event.outcome == "failed":
            self.say(in_window(event.message), "bad")
            log.outcome = "failed"
            return
        log.take(event)  # type: ignore[arg-type]
        self.progress.setRange(0, log.total)
        self.progress.setValue(log.done)
        if log.done and not log.outcome:
            self.say(f"{log.done:,} of {plural(log.total, 'image')}", "muted")

    def _ended(self, error: Exception | None) -> None:
        self.progress.hide()
        shown = (self.problem.text(), str(self.problem.property("role")))
        completed = error is None and self._log.outcome == "completed"
        # It may propose another folder, which is to be checked.
        outcome = self.outcome() if completed else ""
        self.refresh()
        if error is not None:
            self.say(fault_text(error), "bad")
        elif completed:
            self.say("\n".join([outcome, *self._log.notes]), "good")
        elif self._log.outcome == "cancelled":
            self.say(f"Stopped after {plural(self._log.done, 'image')}.", "muted")
        else:
            self.say(*shown)

    def _command(self) -> str:
        return self.content.command()

    def _result_folder(self) -> Path | None:
        return self.folder


class ExportDoubtfulDialog(LabellingDialog):
    """Writes the most doubtful images with their pseudo-labels."""

    start_label = "&Export"
    busy_text = "Opening the project ..."

    def build(self, form: QFormLayout) -> None:
        """Adds the rows."""
        self.setWindowTitle("Export doubtful images")
        self._written: Path | None = None
        self.count = QSpinBox()
        indent(self.count)
        self.count.setRange(1, _MOST)
        self.count.setValue(_COUNT)
        self.count.setSuffix(" most doubtful")
        self.count.setAccessibleName("Number of images to export, most doubtful first")
        self.tool = QComboBox()
        self.tool.setAccessibleName("Labelling tool")
        for tool, label in TOOLS.items():
            self.tool.addItem(label, tool)
        form.addRow("&Images", self.count)
        form.addRow("&Tool", self.tool)
        self.out = self.path_row("&Folder", "Folder to export to", form, "a new folder")
        self.out.show_path(str(new_folder(self._project)))
        self.fields += [self.count, self.tool]
        self.count.valueChanged.connect(lambda _: self.refresh())
        self.tool.currentIndexChanged.connect(lambda _: self.refresh())

    @property
    def content(self) -> LabellingExport:
        """What is filled in."""
        return LabellingExport(self._project, self.count.value(), self.tool.currentData(), _path(self.out.text))

    @property
    def folder(self) -> Path | None:
        """The folder of the last export."""
        return self._written

    def begin(self) -> None:
        """Starts the export."""
        self._exported = self.content
        self.work(partial(export_events, self._exported))

    def outcome(self) -> str:
        """Says where the images are, and what to do with them."""
        out = self._exported.out
        self._written = out if out is not None and exists(out) else None
        self.out.show_path(str(new_folder(self._project)))
        return (
            f"{plural(self._log.done, 'image')} with pseudo-labels written to {out}. Correct them in the tool, "
            "then choose Import corrected labels."
        )


class ImportCorrectedDialog(LabellingDialog):
    """Reads what was corrected in a labelling tool."""

    start_label = "&Import"
    busy_text = "Opening the project ..."

    def build(self, form: QFormLayout) -> None:
        """Adds the row."""
        self.setWindowTitle("Import corrected labels")
        self._found: list[Import] = []
        self.source = self.path_row(
            "&Folder", "Unpacked export of the labelling tool", form, "where the tool's export was unpacked"
        )
        about = Label("Pixels that are black, or outside every outline, keep their labels. Every image can be undone.")
        about.setProperty("role", "muted")
        form.addRow("", about)

    @property
    def content(self) -> ImportForm:
        """What is filled in."""
        return ImportForm(self._project, _path(self.source.text))

    @property
    def folder(self) -> Path | None:
        """The folder that is chosen."""
        chosen = _path(self.source.text)
        return chosen if chosen is not None and chosen.is_dir() else None

    def begin(self) -> None:
        """Starts the import."""
        self._found = []
        self.work(partial(import_events, self.content, self._found))

    def outcome(self) -> str:
        """Tells the panels what came back, and the user."""
        if self._found:
            self._session.opened.corrections_imported.emit(self._found)
            self._session.opened.refresh_status()
        return self._note[:1].upper() + self._note[1:] + "."


def _path(text: str) -> Path | None:
    return expanded(text) if text else None
