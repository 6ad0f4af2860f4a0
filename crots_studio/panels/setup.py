"""The set-up page: which images, which source, which classes; each field says beside itself what was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from crots.errors import InputError
from crots.events import Event, StageFinished
from crots.images import IMAGE_SUFFIXES
from crots.project import Project, preset_names
from crots.taxonomy import shipped_class_sets
from crots_studio.checks import check
from crots_studio.models.option_form import apply_preset, shown
from crots_studio.models.project_form import Finding, ProjectForm
from crots_studio.panels.class_map import ClassMapEditor
from crots_studio.session import Session
from crots_studio.widgets.finding_label import FindingLabel
from crots_studio.widgets.path_field import PathField, dropped_path

_MODELS = "Models (*.pth *.pt *.ckpt *.safetensors *.onnx *.pt2);;All files (*)"
_MODEL_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".onnx", ".pt2")
_SETTLED_MS = 500


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
        self.findings: dict[str, FindingLabel] = {}
        self._showing: list[Callable[[], None]] = []
        self.setAcceptDrops(True)
        self.setAccessibleName("Project set-up")
        body = QWidget()
        column = QVBoxLayout(body)
        column.setSpacing(10)
        column.addLayout(self._head())
        for group in (self._target(), self._classes(), self._source(), self._student(), self._validation()):
            column.addWidget(group)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(body)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        session.project_changed.connect(self._another_project)
        session.config_changed.connect(self.refresh)
        session.events_arrived.connect(self._events)
        self.refresh()

    # The parts of the page.

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.preset = QComboBox()
        self.preset.setAccessibleName("Preset")
        self.preset.addItem("own options", "")
        for name in preset_names():
            self.preset.addItem(name, name)
        self.preset.activated.connect(self._preset_chosen)
        again = QPushButton("Check again")
        again.setToolTip("Looks at all files anew (F5)")
        again.setShortcut("F5")
        again.clicked.connect(self.check_again)
        row.addWidget(QLabel("Drop folders and model files anywhere on this page."), 1)
        label = QLabel("Preset")
        label.setBuddy(self.preset)
        row.addWidget(label)
        row.addWidget(self.preset)
        row.addWidget(again)
        return row

    def _target(self) -> QGroupBox:
        group, form = _group("Target: your images, without labels")
        self.target = self._path(form, "&Images", "data.target", "folder", "folder, list file or data-set root")
        self._finding(form, "data.target")
        self.size_line = self._line(form, "Working si&ze", "data.size", "proposed from the images")
        self._finding(form, "data.size")
        return group

    def _classes(self) -> QGroupBox:
        group, form = _group("Classes")
        self.classes = self._class_set(form, "Class &set", "task.classes", ())
        self._finding(form, "task.classes")
        self.source_classes = self._class_set(form, "S&ource classes", "task.source_classes", ("",))
        self._finding(form, "task.source_classes")
        self.class_map = ClassMapEditor(self._session)
        self.class_map.saved.connect(self._map_saved)
        form.addRow("Class map", self.class_map)
        self._finding(form, "task.class_map")
        return group

    def _source(self) -> QGroupBox:
        group, form = _group("Source: a model, or what it said of your images")
        kinds = QHBoxLayout()
        self.by_model, self.by_predictions = QRadioButton("&Model file"), QRadioButton("&Predictions")
        for button in (self.by_model, self.by_predictions):
            kinds.addWidget(button)
            button.clicked.connect(self._kind_chosen)
        kinds.addStretch(1)
        form.addRow("Source is a", kinds)
        self.file = self._path(form, "Model fi&le", "source.file", "file", "checkpoint, ONNX file, exported program")
        self.net = self._combo(form, "&Network", "source.net")
        self.predictions = self._path(form, "Pre&dictions", "source.predictions", "folder", "label PNGs or soft .npz")
        self.confidence = self._path(form, "&Confidence", "source.confidence", "folder", "8-bit PNGs, optional")
        self._rows = {"model": (self.file, self.net), "predictions": (self.predictions, self.confidence)}
        self._source_form = form
        self._finding(form, "source")
        return group

    def _student(self) -> QGroupBox:
        group, form = _group("Student: the network to adapt")
        self.student_net = self._combo(form, "Networ&k", "student.net", ("",))
        self.weights = self._path(form, "&Weights", "student.weights", "file", "the source's, or a file, or random")
        self._finding(form, "student")
        return group

    def _validation(self) -> QGroupBox:
        group, form = _group("Validation (optional): only for scores, nothing learns from it")
        self.val_images = self._path(form, "V&alidation images", "data.val_images", "folder", "none")
        self.val_labels = self._path(form, "Valida&tion labels", "data.val_labels", "folder", "none")
        self._finding(form, "validation")
        return group

    # Fields: each writes one option, and shows it again when the project changes.

    def _path(self, form: QFormLayout, label: str, option: str, wanted: str, hint: str) -> PathField:
        kind = "folder" if wanted == "folder" else "file"
        field = PathField(
            _plain(label), "folder" if kind == "folder" else "file", self._session.settings,
            filters=_MODELS, placeholder=hint,
        )  # fmt: skip
        nothing = "" if option == "student.weights" else "none"
        field.changed.connect(lambda text: self.set_options({option: text or nothing}))
        self._showing.append(lambda: field.show_path(str(self._value(option) or "")))
        form.addRow(_label(label, field.edit), field)
        return field

    def _line(self, form: QFormLayout, label: str, option: str, hint: str) -> QLineEdit:
        line = QLineEdit()
        line.setPlaceholderText(hint)
        line.setAccessibleName(_plain(label))
        settled = QTimer(line, singleShot=True, interval=_SETTLED_MS)

        def told() -> None:
            settled.stop()
            if line.isModified():
                line.setModified(False)
                self.set_options({option: line.text().strip() or "none"}, field=option)

        line.textEdited.connect(lambda _: settled.start())
        settled.timeout.connect(told)
        line.editingFinished.connect(told)

        def show() -> None:
            if not line.isModified() and not line.hasFocus():
                line.setText(shown(self._value(option)))

        self._showing.append(show)
        form.addRow(_label(label, line), line)
        return line

    def _combo(self, form: QFormLayout, label: str, option: str, items: tuple[str, ...] = ()) -> QComboBox:
        box = QComboBox()
        line = QLineEdit()
        box.setEditable(True)
        box.setLineEdit(line)
        box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        box.addItems(list(items))
        box.setAccessibleName(_plain(label))
        line.setAccessibleName(_plain(label))
        if "" in items:
            line.setPlaceholderText("the same as the source's" if "net" in option else "the target's")

        def told() -> None:
            if self._value(option) != box.currentText().strip():
                self.set_options({option: box.currentText().strip()})

        box.textActivated.connect(lambda _: told())
        line.editingFinished.connect(told)
        self._showing.append(lambda: box.setEditText(str(self._value(option) or "")))
        form.addRow(_label(label, box), box)
        return box

    def _class_set(self, form: QFormLayout, label: str, option: str, first: tuple[str, ...]) -> QComboBox:
        box = self._combo(form, label, option, (*first, *shipped_class_sets()))
        box.setToolTip("A class set that comes with CROTS, or the path of your own TOML file")
        return box

    def _finding(self, form: QFormLayout, name: str) -> None:
        label = FindingLabel(name)
        label.offered.connect(self.set_options)
        self.findings[name] = label
        form.addRow("", label)

    # Options in and out.

    def _value(self, option: str) -> object:
        if self._session.project is None:
            return None
        section, _, name = option.partition(".")
        return getattr(getattr(self._session.project.config, section), name)

    def set_options(self, settings: dict[str, str], field: str = "") -> None:
        """Takes over option values, or says beside the field why not."""
        try:
            self._session.set_options(settings)
        except InputError as error:
            name = field if field in self.findings else "source"
            self.findings[name].show_finding(Finding("bad", str(error)))

    def _kind_chosen(self) -> None:
        """One source at a time: choosing the other kind lets go of the first."""
        if self.by_model.isChecked() and self._value("source.predictions") is not None:
            self.set_options({"source.predictions": "none", "source.confidence": "none"})
        if self.by_predictions.isChecked() and self._value("source.file") is not None:
            self.set_options({"source.file": "none"})
        self._show_kind()

    def _show_kind(self) -> None:
        for kind, fields in self._rows.items():
            for field in fields:
                self._source_form.setRowVisible(field, self.by_model.isChecked() == (kind == "model"))

    def _preset_chosen(self, index: int) -> None:
        name = self.preset.itemData(index)
        project = self._session.project
        if not name or project is None:
            return
        words = "It sets the options of all stages anew; your files, classes and networks stay."
        answer = QMessageBox.question(self, "Preset", f"Take over the preset {name}?\n{words}")
        if answer == QMessageBox.StandardButton.Yes:
            self._session.save_config(apply_preset(project.config, name))
        self.refresh()

    # Checking.

    def _another_project(self) -> None:
        self.form.clear()
        predictions = self._value("source.predictions") is not None
        self.by_predictions.setChecked(predictions)
        self.by_model.setChecked(not predictions)
        self.refresh()
        if self._session.project is not None and self.net.count() == 0:
            self._session.in_background(_net_names, self._nets_found, token="net names")

    def _nets_found(self, names: tuple[str, ...]) -> None:
        for box in (self.net, self.student_net):
            text = box.currentText()
            box.addItems([name for name in names if "<" not in name and ":factory" not in name])
            box.setEditText(text)

    def _map_saved(self) -> None:
        """The file changed, though perhaps no option did."""
        self.form.forget("task.class_map", "source")
        self.refresh()

    def _events(self, events: list[Event]) -> None:
        """A demonstration makes its own inputs; look at them once they are there."""
        if any(isinstance(event, StageFinished) and event.stage in ("render", "train") for event in events):
            self.check_again()

    def check_again(self) -> None:
        """Looks at all files anew."""
        self.form.clear()
        self.refresh()

    def refresh(self) -> None:
        """Shows the options and looks at what depends on those that changed."""
        project = self._session.project
        self.setEnabled(project is not None)
        for show in self._showing:
            show()
        if project is None:
            return
        self.preset.setCurrentIndex(max(0, self.preset.findData(project.config.preset)))
        if self._value("source.predictions") is not None:
            self.by_predictions.setChecked(True)
        elif self._value("source.file") is not None:
            self.by_model.setChecked(True)
        self._show_kind()
        for name in self.form.due(project.config):
            self._look(name, project)
        self.class_map.refresh()
        self._tell()

    def _look(self, name: str, project: Project) -> None:
        config, root = project.config, project.folder
        self.findings[name].show_finding(self.form.findings[name])

        def found(finding: Finding) -> None:
            self.form.found(name, finding)
            self.findings[name].show_finding(finding)
            self._tell()

        self._session.in_background(lambda: check(name, config, root), found, token=f"check {name}")

    def _tell(self) -> None:
        # A demonstration draws its images and trains its source itself.
        self._session.set_blocker("" if self._session.demo_unfinished else self.form.blocker)
        self.checked.emit(self.form)

    # Drag and drop: the page guesses what was meant.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 (Qt's name)
        """Takes a local path."""
        if self.isEnabled() and dropped_path(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 (Qt's name)
        """Takes a model file as the source, anything else as what is still missing."""
        if path := dropped_path(event):
            event.acceptProposedAction()
            self.take_path(Path(path))

    def take_path(self, path: Path) -> None:
        """Puts a path where it belongs."""
        if path.suffix.lower() in _MODEL_SUFFIXES:
            self.set_options({"source.file": str(path), "source.predictions": "none"})
        elif path.suffix == ".toml":
            self.set_options({"task.classes": str(path)})
        elif path.is_dir() and _looks_like_predictions(path):
            self.set_options({"source.predictions": str(path), "source.file": "none"})
        else:
            self.set_options({"data.target": str(path)})


def _looks_like_predictions(folder: Path) -> bool:
    """Whether a folder calls itself predictions, or holds soft ones."""
    names = (folder.name, folder.parent.name)
    if "label_ids" in names or any("prediction" in name for name in names) or (folder / "label_ids").is_dir():
        return True
    return not any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir()) and any(folder.glob("*.npz"))


def _net_names() -> tuple[str, ...]:
    from crots.nets.registry import net_names

    return net_names()


def _group(title: str) -> tuple[QGroupBox, QFormLayout]:
    group = QGroupBox(title)
    form = QFormLayout(group)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
    return group, form


def _label(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(buddy)
    label.setMinimumWidth(110)
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label


def _plain(label: str) -> str:
    return label.replace("&", "")
