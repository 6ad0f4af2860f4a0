"""The fields of the set-up page: each writes one option of the project, and shows it again when that changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from crots.class_files import keep_class_set
from crots.errors import CrotsError, InputError
from crots.folders import CONFIG
from crots.options import DEFAULT_NET
from crots.taxonomy import ClassSet, shipped_class_sets
from crots.trust import Code
from crots_studio import theme
from crots_studio.models.option_form import shown
from crots_studio.models.project_form import Offer
from crots_studio.models.words import fault_text
from crots_studio.panels.setup.class_set_box import ClassSetBox
from crots_studio.panels.setup.finding_label import FindingLabel
from crots_studio.panels.setup.trust import ask_trust
from crots_studio.plain import Label
from crots_studio.session import Session
from crots_studio.widgets.path_field import PathField, Wanted

# A dialog for files offers no folders: of a model's folder, its configuration stands for all of it.
_MODELS = f"Models (*.pth *.pt *.ckpt *.safetensors *.onnx *.pt2 {CONFIG});;All files (*)"
_OF_A_FOLDER = f"of a Hugging Face folder its {CONFIG}"
_SETTLED_MS = 500
# Placeholders: the meaning of an empty field.
UNNAMED = {
    "source.net": f"the file's own, else {DEFAULT_NET}",
    "student.net": "the same as the source's",
    "task.source_classes": "the target's",
}


class SetupFields:
    """Makes fields and joins them to the options.

    Args:
        session: whose project is edited.
        report: called with the name of a check and why the typed value was refused; empty where it was accepted.

    Attributes:
        findings: the findings shown beside the fields, by the name of the check.
        refused: options whose fields hold an invalid value.
    """

    def __init__(self, session: Session, report: Callable[[str, str], None]) -> None:
        self._session, self._report = session, report
        self.findings: dict[str, FindingLabel] = {}
        self.refused: set[str] = set()
        self._showing: list[Callable[[], None]] = []

    def show(self) -> None:
        """Shows the options as the project has them."""
        for show in self._showing:
            show()

    def value(self, option: str) -> object:
        """Returns an option of the project, None where there is none."""
        if self._session.project is None:
            return None
        section, _, name = option.partition(".")
        return getattr(getattr(self._session.project.config, section), name)

    def set_options(self, settings: Mapping[str, str], field: str = "") -> None:
        """Takes over option values, or reports why not."""
        name = field if field in self.findings else "source"
        try:
            self._session.opened.set_options(settings)
        except InputError as error:
            self.refused.add(field)
            # The option's name stands beside it already.
            self._report(name, fault_text(error, beside=error.field or ""))
        else:
            self.refused.discard(field)
            self._report(name, "")

    def path(self, form: QFormLayout, label: str, option: str, wanted: Wanted, hint: str) -> PathField:
        """Adds a line for a path."""
        name = _plain(label)
        title = f"{name}, or {_OF_A_FOLDER}" if wanted == "file" else name
        field = PathField(name, wanted, self._session.settings, title=title, filters=_MODELS, placeholder=hint)
        nothing = "" if option == "student.weights" else "none"
        field.changed.connect(lambda text: self.set_options({option: text or nothing}))
        self._showing.append(lambda: field.show_path(str(self.value(option) or "")))
        form.addRow(_label(label, field.edit), field)
        return field

    def line(self, form: QFormLayout, label: str, option: str, hint: str) -> QLineEdit:
        """Adds a line that is taken over when the typing settles."""
        line = QLineEdit()
        line.setPlaceholderText(hint)
        line.setAccessibleName(_plain(label))
        settled = QTimer(line, singleShot=True, interval=_SETTLED_MS)
        # The value that was made of the typed text.
        own = [""]

        def take() -> None:
            settled.stop()
            if line.isModified():
                line.setModified(False)
                # Before and after, since listeners to the change read it too.
                own[0] = line.text().strip()
                self.set_options({option: own[0] or "none"}, field=option)
                own[0] = shown(self.value(option))

        line.textEdited.connect(lambda _: settled.start())
        settled.timeout.connect(take)
        line.editingFinished.connect(take)

        def show() -> None:
            value = shown(self.value(option))
            typing = line.isModified() or (line.hasFocus() and value == own[0])
            if not typing and option not in self.refused:
                line.setText(value)

        self._showing.append(show)
        form.addRow(_label(label, line), line)
        return line

    def combo(
        self,
        form: QFormLayout,
        label: str,
        option: str,
        items: tuple[str, ...] = (),
        *,
        beside: QWidget | None = None,
        box: QComboBox | None = None,
    ) -> QComboBox:
        """Adds a list to choose from that takes other words too; ``beside`` stands at its right."""
        box = box or QComboBox()
        line = QLineEdit()
        box.setEditable(True)
        box.setLineEdit(line)
        box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        box.addItems(list(items))
        box.setAccessibleName(_plain(label))
        line.setAccessibleName(_plain(label))
        if "" in items:
            line.setPlaceholderText(UNNAMED[option])

        def take() -> None:
            line.setModified(False)
            if self.value(option) != box.currentText().strip():
                self.set_options({option: box.currentText().strip()})

        box.activated.connect(lambda index: take() if box.itemData(index) is None else None)
        line.editingFinished.connect(take)

        def show() -> None:
            # Another option may change while the user types here.
            if not (line.hasFocus() and line.isModified()):
                box.setEditText(str(self.value(option) or ""))

        self._showing.append(show)
        form.addRow(_label(label, box), box if beside is None else _row(box, beside))
        return box

    def net(self, form: QFormLayout, label: str, option: str) -> QComboBox:
        """Adds a choice of networks, with a button that lists all of them."""
        button = QPushButton("Browse ...")
        button.setAutoDefault(False)
        button.setAccessibleName(f"Browse the networks for {option.partition('.')[0]}")
        button.setToolTip("Lists every network that is installed, with its parameters and what its training takes")
        box = self.combo(form, label, option, ("",), beside=button)
        button.clicked.connect(lambda: self._browse_nets(box, option))
        return box

    def _browse_nets(self, box: QComboBox, option: str) -> None:
        # Loaded only when asked for.
        from crots_studio.panels.setup.network_browser import NetworkBrowser

        browser = NetworkBrowser(self._session, box.currentText().strip(), box.window())
        browser.accepted.connect(lambda: self.set_options({option: browser.chosen}))
        browser.finished.connect(browser.deleteLater)
        self.browser = browser
        browser.open()

    def class_set(self, form: QFormLayout, label: str, option: str, first: tuple[str, ...]) -> QComboBox:
        """Adds a choice of class sets."""
        box = ClassSetBox(_plain(label), self._session.settings, nothing=UNNAMED.get(option, ""))
        self.combo(form, label, option, (*first, *shipped_class_sets()), box=box)
        box.complete()
        box.file_chosen.connect(lambda path: self.set_options({option: path}, field=option))
        box.dismissed.connect(self.show)
        box.setToolTip("A class set that comes with CROTS, or your own TOML file")
        return box

    def finding(self, form: QFormLayout, name: str, *, quiet: bool = False) -> None:
        """Adds the label of a check's finding; a quiet one has no line while it is being checked."""
        label = FindingLabel(name, quiet=quiet)
        label.offered.connect(self.set_options)
        label.trusting.connect(self._ask_trust)
        label.adopting.connect(self._adopt)
        self.findings[name] = label
        form.addRow("", label)

    def accept_offer(self, offer: Offer) -> None:
        """Does what a click on an offer does."""
        if offer.classes is not None:
            self._adopt(offer.classes)
        else:
            self.set_options(offer.settings)

    def _adopt(self, classes: ClassSet) -> None:
        """Gives the target the classes that the source's file names."""
        project = self._session.project
        if project is None:
            return
        try:
            name = keep_class_set(project.folder, classes)
        except (CrotsError, OSError) as error:
            self._session.problem.emit(fault_text(error))
        else:
            self.set_options({"task.classes": name}, field="task.classes")

    def _ask_trust(self, code: tuple[Code, ...]) -> None:
        if ask_trust(code, self.findings["source"].window()):
            self._session.opened.trust(code)


def setup_group() -> tuple[QWidget, QFormLayout]:
    """Returns a part of the page and the form in it."""
    group = QWidget()
    form = QFormLayout(group)
    form.setContentsMargins(12, 0, 12, 12)
    form.setHorizontalSpacing(12)
    form.setVerticalSpacing(4)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return group, form


def _row(first: QWidget, second: QWidget) -> QWidget:
    whole = QWidget()
    row = QHBoxLayout(whole)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(first, 1)
    row.addWidget(second)
    return whole


def _label(text: str, buddy: QWidget) -> QLabel:
    label = Label(text)
    label.setBuddy(buddy)
    label.setMinimumSize(110, theme.control_height())
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label


def _plain(label: str) -> str:
    return label.replace("&", "")
