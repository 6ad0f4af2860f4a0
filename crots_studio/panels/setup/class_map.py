"""Editing the class map: the table, where one is needed, with a proposal by name; kept as a file in the project."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from crots.errors import CrotsError, InputError
from crots.files import file_or_name
from crots.resources import shipped
from crots_studio.checks.setup import Setup
from crots_studio.models.class_map import ClassMapForm, Proposal
from crots_studio.models.words import fault_text
from crots_studio.panels.setup.class_map_proposal import ProposalQuestion
from crots_studio.panels.setup.class_map_table import ClassMapTable
from crots_studio.plain import Label
from crots_studio.session import Session
from crots_studio.widgets.path_field import PathField

_ROWS_SHOWN = 8


class ClassMapEditor(QWidget):
    """A file to choose, a button that proposes, and the table."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.file = PathField(
            "Class map", "file", session.settings, filters="Class maps (*.toml)", placeholder="file or built-in name"
        )
        self.file.changed.connect(lambda text: self._choose(text or "none"))
        self.propose = QPushButton("Propose &by name")
        self.propose.setToolTip("Maps each source class to the target class with the most similar name")
        self.propose.clicked.connect(self._propose)
        self.table = ClassMapTable()
        self.table.edited.connect(self._save)
        self.table.setMinimumHeight(_ROWS_SHOWN * 26)
        self.note = Label("Not needed: source and target have the same classes.")
        self.note.setProperty("role", "muted")
        row = QHBoxLayout()
        self.shipped = QComboBox()
        self.shipped.setAccessibleName("Class maps that come with CROTS")
        self.shipped.setToolTip("Class maps that come with CROTS")
        self.shipped.addItems(["built-in maps", *shipped("class-maps")])
        self.shipped.activated.connect(self._shipped_chosen)
        row.addWidget(self.file, 1)
        row.addWidget(self.shipped)
        row.addWidget(self.propose)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.note)
        column.addLayout(row)
        column.addWidget(self.table)
        self._shown: tuple[object, ...] = ()
        # Most projects need no map: the page is not to jump once that is known.
        self._show(None)
        session.opened.class_map_changed.connect(self._forget)

    def _forget(self) -> None:
        """Drops the content that was read from the file."""
        self._shown = ()

    def refresh(self) -> None:
        """Reads the class sets and the map again, where they changed."""
        project = self._session.project
        if project is None or project.folder not in self._shown:
            self._shown = ()
            self._session.errands.forget("class map", "class map proposal")
        if project is None:
            return
        task = project.config.task
        # The source's file may name its classes.
        wanted = (project.folder, task, project.config.source)
        if wanted != self._shown:
            self._shown = wanted
            self.file.show_path(str(task.class_map or ""))
            setup = Setup(project.config, project.folder)
            self._session.errands.in_background(
                lambda: _form(setup), self._show, lambda _: self._show(None), token="class map"
            )

    def _show(self, form: ClassMapForm | None) -> None:
        needed = form is not None
        for widget in (self.file, self.shipped, self.propose):
            widget.setVisible(needed)
        self.note.setVisible(not needed)
        has_rows = form is not None and any(value != "ignore" for value in form.rows.values())
        self.table.setVisible(has_rows)
        current = self.table.form
        if form is None or current is None or form.rows != current.rows or form.source != current.source:
            self.table.show_form(form)

    def _choose(self, value: str) -> None:
        self._session.opened.set_options({"task.class_map": value})

    def _shipped_chosen(self, number: int) -> None:
        if number:
            self._choose(self.shipped.itemText(number))
        self.shipped.setCurrentIndex(0)

    def _propose(self) -> None:
        project = self._session.project
        if project is None:
            return
        setup = Setup(project.config, project.folder)
        self._session.errands.in_background(lambda: _proposal(setup), self._take, token="class map proposal")

    def _take(self, form: ClassMapForm) -> None:
        """Asks which rows of an existing map the proposal may replace."""
        old = self.table.form
        named = self._session.project is not None and self._session.project.config.task.class_map is not None
        if not named or old is None or (old.source, old.target) != (form.source, form.target):
            self._take_over(form)
            return
        proposal = Proposal.of(old, form)
        if not proposal:
            self._session.notice.emit("The class map already matches the names; nothing was changed")
            return
        question = ProposalQuestion(proposal, self.window())
        question.agreed.connect(self._take_over)
        self.question = question
        question.open()

    def _take_over(self, form: ClassMapForm) -> None:
        self.table.show_form(form)
        self.table.setVisible(True)
        self._save("class map by name")

    def _save(self, title: str) -> None:
        form = self.table.form
        if form is None:
            return
        try:
            self._session.opened.write_class_map(form.text, title)
        except (CrotsError, OSError) as error:
            self._session.problem.emit(fault_text(error))
            # Shows the file on disk, which the stages read.
            self._shown = ()
            self.table.form = None
            self.refresh()


def _form(setup: Setup) -> ClassMapForm | None:
    """The map as the project has it; an empty one where it is not created yet; None where none is needed."""
    source, target = setup.source_classes, setup.classes
    named = setup.config.task.class_map
    if named is None:
        return None if source.names == target.names else ClassMapForm(source, target)
    try:
        return ClassMapForm.read(file_or_name(named, setup.root), source, target)
    except InputError:
        return ClassMapForm(source, target)


def _proposal(setup: Setup) -> ClassMapForm:
    return ClassMapForm.proposed(setup.source_classes, setup.classes)
