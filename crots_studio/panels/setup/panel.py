"""The set-up page: images, source and classes; a finding beside each field."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from crots.events import Event, StageFinished
from crots.options import DEFAULT_NET
from crots.project import Project
from crots.project_config import ProjectConfig, preset_names
from crots_studio.background.loading import preload_torch
from crots_studio.checks.fields import check
from crots_studio.models.drops import Drop, sort_drop
from crots_studio.models.label_list import classes_of
from crots_studio.models.option_form import apply_preset, preset_effect
from crots_studio.models.project_form import (
    ORDER,
    STILL_TO_BE_MADE,
    Finding,
    ProjectForm,
    classes_chosen,
    step_state,
)
from crots_studio.models.words import NO_PRESET, in_question
from crots_studio.panels.setup.class_chips import ClassChips
from crots_studio.panels.setup.class_map import ClassMapEditor
from crots_studio.panels.setup.fields import UNNAMED, SetupFields, setup_group
from crots_studio.panels.setup.source_glance import SourceGlance
from crots_studio.panels.setup.step_card import StepCard
from crots_studio.plain import Elided, Label
from crots_studio.runs.run import RunEnd
from crots_studio.session import Session
from crots_studio.widgets.drop_hint import DropHint, dropped_paths, leave_drops

# Predictions have no weights: then without its first word.
_WEIGHTS = "the source's, a file, imagenet, or random"
# The checks of each card.
_STEPS = (
    ("data.target", "data.size"),
    ("task.classes", "task.source_classes", "task.class_map"),
    ("source",),
    ("student",),
    ("validation",),
)


class SetupPanel(QWidget):
    """Edits the sections data, task, source and student of the project.

    Signals:
        checked(ProjectForm): a finding arrived or went out of date.
    """

    checked = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.form = ProjectForm()
        self.fields = SetupFields(session, self._typed)
        # The option whose classes are shown with their colours.
        self._chips_of: str | None = None
        # The source whose classes were compared with the target's.
        self._compared: object = None
        self.setAcceptDrops(True)
        self.drop_hint = DropHint(self)
        self.setAccessibleName("Project set-up")
        body = QWidget()
        column = QVBoxLayout(body)
        column.setSpacing(8)
        column.addLayout(self._head())
        column.setContentsMargins(12, 8, 12, 12)
        steps = (
            ("Target images: yours, no labels needed", self._target()),
            ("Classes", self._classes()),
            ("Source: a model, or its predictions for your images", self._source()),
            ("Student: the network to adapt", self._student()),
            ("Validation (optional): only for scores, never for training", self._validation()),
        )
        self.cards = [StepCard(number, title, body) for number, (title, body) in enumerate(steps, 1)]
        for card in self.cards:
            column.addWidget(card)
        column.addStretch(1)
        self.scroll_area = scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(body)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        leave_drops(self)
        session.opened.project_changed.connect(self._another_project)
        session.opened.config_changed.connect(self.refresh)
        session.opened.trust_changed.connect(self._trusted)
        session.opened.class_map_changed.connect(self._map_changed)
        session.run.events_arrived.connect(self._events)
        session.run.ended.connect(self._run_ended)
        self.refresh()

    def show_stage(self, key: str) -> None:
        """Scrolls to the step of an input."""
        card = {"target": self.cards[0], "source": self.cards[2]}.get(key)
        if card is not None:
            card.unfold()
            self.scroll_area.verticalScrollBar().setValue(card.y())

    # The parts of the page.

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.preset = QComboBox()
        self.preset.setAccessibleName("Preset")
        self.preset.addItem(NO_PRESET, "")
        for name in preset_names():
            self.preset.addItem(name, name)
        self.preset.activated.connect(self._preset_chosen)
        again = QPushButton("Check again")
        again.setToolTip("Checks all files again (F5)")
        again.setShortcut("F5")
        again.clicked.connect(self.check_again)
        self.ready = Label()
        self.ready.setProperty("role", "heading")
        hint = Elided("Drop folders and model files anywhere on this page.")
        hint.setProperty("role", "muted")
        row.setSpacing(8)
        row.addWidget(self.ready)
        row.addWidget(hint, 1)
        label = Label("Preset")
        label.setBuddy(self.preset)
        row.addWidget(label)
        row.addWidget(self.preset)
        row.addWidget(again)
        return row

    def _target(self) -> QWidget:
        group, form = setup_group()
        self.target = self.fields.path(form, "&Images", "data.target", "folder", "folder, list file or data-set root")
        self.fields.finding(form, "data.target")
        self.size_line = self.fields.line(form, "Working si&ze", "data.size", "proposed from the images")
        self.fields.finding(form, "data.size")
        self.glance = SourceGlance(self._session, after=self.size_line)
        form.addRow("", self.glance)
        return group

    def _classes(self) -> QWidget:
        group, form = setup_group()
        self.classes = self.fields.class_set(form, "Class &set", "task.classes", ())
        self.fields.finding(form, "task.classes")
        self.chips = ClassChips()
        form.addRow("", self.chips)
        self.source_classes = self.fields.class_set(form, "S&ource classes", "task.source_classes", ("",))
        self.fields.finding(form, "task.source_classes", quiet=True)
        self.class_map = ClassMapEditor(self._session)
        form.addRow("Class map", self.class_map)
        self.fields.finding(form, "task.class_map", quiet=True)
        return group

    def _source(self) -> QWidget:
        group, form = setup_group()
        kinds = QHBoxLayout()
        kinds.setSpacing(16)
        self.by_model, self.by_predictions = QRadioButton("&Model file"), QRadioButton("&Predictions")
        for button in (self.by_model, self.by_predictions):
            kinds.addWidget(button)
            button.clicked.connect(self._kind_chosen)
        kinds.addStretch(1)
        form.addRow("Source is a", kinds)
        self.file = self.fields.path(
            form, "Model fi&le", "source.file", "file", "checkpoint, ONNX file, program, or a Hugging Face folder"
        )
        self.net = self.fields.net(form, "&Network", "source.net")
        self.predictions = self.fields.path(form, "Pre&dictions", "source.predictions", "folder", "PNG, .npy or .npz")
        self.confidence = self.fields.path(form, "&Confidence", "source.confidence", "folder", "8-bit PNGs, optional")
        net_row = self.net.parentWidget()
        assert net_row is not None
        self._rows: dict[str, tuple[QWidget, ...]] = {
            "model": (self.file, net_row),
            "predictions": (self.predictions, self.confidence),
        }
        self._source_form = form
        self.fields.finding(form, "source")
        return group

    def _student(self) -> QWidget:
        group, form = setup_group()
        self.student_net = self.fields.net(form, "Networ&k", "student.net")
        self.weights = self.fields.path(form, "&Weights", "student.weights", "file", _WEIGHTS)
        self.fields.finding(form, "student")
        return group

    def _validation(self) -> QWidget:
        group, form = setup_group()
        self.val_images = self.fields.path(form, "V&alidation images", "data.val_images", "folder", "none")
        self.val_labels = self.fields.path(form, "Valida&tion labels", "data.val_labels", "folder", "none")
        self.fields.finding(form, "validation")
        return group

    def _kind_chosen(self) -> None:
        """One source at a time: choosing one kind clears the other."""
        if self.by_model.isChecked() and self.fields.value("source.predictions") is not None:
            self.fields.set_options({"source.predictions": "none", "source.confidence": "none"})
        if self.by_predictions.isChecked() and self.fields.value("source.file") is not None:
            self.fields.set_options({"source.file": "none"})
        self._show_kind()

    def _show_kind(self) -> None:
        for kind, fields in self._rows.items():
            for field in fields:
                self._source_form.setRowVisible(field, self.by_model.isChecked() == (kind == "model"))
        line = self.student_net.lineEdit()
        assert line is not None
        # Predictions come from no network that is known.
        line.setPlaceholderText(DEFAULT_NET if self.by_predictions.isChecked() else UNNAMED["student.net"])
        weights = _WEIGHTS.partition(", ")[2] if self.by_predictions.isChecked() else _WEIGHTS
        self.weights.edit.setPlaceholderText(weights)

    def _preset_chosen(self, index: int) -> None:
        name = self.preset.itemData(index)
        project = self._session.project
        if project is None:
            return
        if not name:
            # A preset's options are stored once they are changed.
            self.refresh()
            return
        answer = QMessageBox.question(self, "Preset", f"Apply the preset {name}?\n{preset_effect(name)}")
        if answer == QMessageBox.StandardButton.Yes:
            self._session.opened.save_config(apply_preset(project.config, name))
        self.refresh()

    # Checking.

    def _another_project(self) -> None:
        self.form.clear()
        self._chips_of, self._compared = None, self.fields.value("source.file")
        self._session.errands.forget(*(f"check {name}" for name in ORDER))
        self.fields.refused.clear()
        predictions = self.fields.value("source.predictions") is not None
        self.by_predictions.setChecked(predictions)
        self.by_model.setChecked(not predictions)
        self.refresh()
        if self._session.project is not None and self.net.count() <= 1:
            self._session.errands.in_background(_net_names, self._nets_found, token="net names")

    def _nets_found(self, names: tuple[str, ...]) -> None:
        for box in (self.net, self.student_net):
            text = box.currentText()
            box.addItems([name for name in names if "<" not in name and ":factory" not in name])
            box.setEditText(text)

    def _typed(self, name: str, fault: str) -> None:
        """An invalid value disables Run as long as it is in the field."""
        if fault:
            finding = Finding("bad", fault)
            self.form.refuse(name, finding)
            self.fields.findings[name].show_finding(finding)
            self._tell()
        elif self.form.refused(name):
            self.form.forget(name)
            self.refresh()

    def _map_changed(self) -> None:
        """The file changed, though perhaps no option did."""
        self.form.forget("task.class_map", "source")

    def _trusted(self) -> None:
        self.form.forget("source", "student")
        self.refresh()

    def _events(self, events: list[Event]) -> None:
        """A demonstration makes its own inputs; checks them once they are there."""
        if any(isinstance(event, StageFinished) and event.stage in ("render", "train") for event in events):
            self.check_again()

    def check_again(self) -> None:
        """Checks all files again, and the stages that they make stale."""
        self.form.clear()
        self.fields.refused.clear()
        self.refresh()
        self._session.opened.refresh_status()

    def _run_ended(self, end: RunEnd) -> None:
        """Checks again after a failed run, since files may have changed."""
        if end.outcome == "failed":
            self.check_again()

    def refresh(self) -> None:
        """Shows the options and checks what depends on those that changed."""
        project = self._session.project
        self.setEnabled(project is not None)
        self.fields.show()
        if project is None:
            self.class_map.refresh()
            return
        self.preset.setCurrentIndex(max(0, self.preset.findData(project.config.preset)))
        if self.fields.value("source.predictions") is not None:
            self.by_predictions.setChecked(True)
        elif self.fields.value("source.file") is not None:
            self.by_model.setChecked(True)
        self._show_kind()
        for name in self.form.due(project.config):
            self._look(name, project)
        self.class_map.refresh()
        self._tell()

    def _look(self, name: str, project: Project) -> None:
        config, root, trusted = project.config, project.folder, self._session.opened.trusted
        self.fields.findings[name].show_finding(self.form.findings[name])

        def found(finding: Finding) -> None:
            if finding.level == "bad" and self._session.run.demo_unfinished:
                finding = STILL_TO_BE_MADE
            self.form.found(name, finding)
            self.fields.findings[name].show_finding(self.form.findings[name])
            if name == "source":
                self._show_net(finding)
            if name == "task.class_map":
                self._compare_classes(finding, config)
            self._tell()

        self._session.errands.in_background(lambda: check(name, config, root, trusted), found, token=f"check {name}")

    def _compare_classes(self, finding: Finding, config: ProjectConfig) -> None:
        """Gives the target the classes that a newly chosen source names, if the user chose none, as ``init`` does."""
        newly = config.source.file not in (None, self._compared)
        self._compared = config.source.file
        if newly and finding.level == "bad" and finding.offers and not classes_chosen(config):
            self.fields.accept_offer(finding.offers[0])
            self._session.notice.emit("The class set is now the source's, as its file names it; Undo takes it back")

    def _show_net(self, finding: Finding) -> None:
        """Shows the network of a file that says its own, where none is named."""
        line = self.net.lineEdit()
        assert line is not None
        known = finding.level in ("good", "warning") and self.by_model.isChecked() and finding.brief
        line.setPlaceholderText(finding.brief if known else UNNAMED["source.net"])

    def _tell(self) -> None:
        # A demonstration draws its images and trains its source itself.
        self._session.run.set_blocker("" if self._session.run.demo_unfinished else self.form.blocker)
        self._show_steps()
        self.checked.emit(self.form)

    def _show_steps(self) -> None:
        """Shows the state of each card in its head, and the number of ready cards at the top."""
        if self._session.project is None:
            return
        ready = 0
        for card, names in zip(self.cards, _STEPS, strict=True):
            findings = [self.form.findings[name] for name in names if name in self.form.findings]
            level, text = step_state(findings)
            optional = names == ("validation",)
            if optional and level == "empty":
                text = "none"
            card.show_level(level, text)
            ready += level in ("good", "warning") or (optional and level == "empty")
        self.ready.setText(f"{ready} of {len(self.cards)} ready")
        images, source = (self._fine(names) for names in (("data.target",), ("data.size", *_STEPS[1], *_STEPS[2])))
        target = self.form.findings.get("data.target")
        expected = self.fields.value("data.target") is not None and target is not None and target.level == "checking"
        self.glance.refresh(images, images and source, expected=expected)
        self._show_classes()

    def _fine(self, names: Sequence[str]) -> bool:
        """Whether these inputs are valid."""
        findings = [self.form.findings.get(name) for name in names]
        return all(finding is not None and finding.level in ("good", "warning") for finding in findings)

    def _show_classes(self) -> None:
        project = self._session.project
        if project is None or project.config.task.classes == self._chips_of:
            return
        self._chips_of = project.config.task.classes
        self._session.errands.in_background(
            partial(classes_of, project), self.chips.show_classes, lambda _: self.chips.show_classes(None),
            token="class chips",
        )  # fmt: skip

    # Drag and drop: the page guesses what was meant, says so, and asks before it replaces anything.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 (Qt's name)
        """Takes local paths, and shows what would become of them."""
        project, paths = self._session.project, dropped_paths(event)
        if paths and project is not None:
            event.acceptProposedAction()
            drop = sort_drop(paths, project.config)
            self.drop_hint.tell([*drop.lines, *drop.left])

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 (Qt's name)
        """Takes model files, folders and class sets as what they are meant for."""
        if paths := dropped_paths(event):
            event.acceptProposedAction()
            self.take_paths(paths)

    def take_paths(self, paths: Sequence[Path]) -> None:
        """Puts paths where they belong; asks first where another value stands there."""
        project = self._session.project
        if project is None:
            return
        drop = sort_drop(paths, project.config)
        for message in drop.left:
            self._session.problem.emit(message)
        if drop.replaced:
            self.question = _replace_question(drop, self.window())
            self.question.accepted.connect(lambda: self.fields.set_options(drop.settings))
            self.question.open()
        elif drop.settings:
            self.fields.set_options(drop.settings)


def _replace_question(drop: Drop, parent: QWidget) -> QMessageBox:
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(QMessageBox.Icon.Question)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setWindowTitle("Replace the current choice")
    box.setText("Use the dropped files?")
    box.setInformativeText(in_question(drop.lines))
    replace = box.addButton("Replace", QMessageBox.ButtonRole.AcceptRole)
    box.addButton("Keep", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(replace)
    return box


def _net_names() -> tuple[str, ...]:
    preload_torch()
    from crots.nets.registry import net_names

    return net_names()
