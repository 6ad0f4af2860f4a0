"""Names of files and classes may look like markup; the window shows them as they stand."""

import ast
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QLabel, QWidget

import crots_studio
from crots.events import Note
from crots.taxonomy import ClassSet
from crots_studio.models.iou import ClassRow, ClassTable, Score
from crots_studio.panels.monitor.alarm import AlarmBanner
from crots_studio.panels.monitor.iou_table import summary
from crots_studio.plain import Label, plain_tooltip
from crots_studio.widgets.class_legend import ClassLegend
from crots_studio.widgets.image_panel import class_label
from crots_studio.widgets.plot_tools import EmptyState

NAME = "<img src=x><b>bold</b> &lt;"
# What would not show its text as it stands.
RICH = (Qt.TextFormat.RichText, Qt.TextFormat.AutoText, Qt.TextFormat.MarkdownText)


def seen(text):
    """What a rich text shows."""
    document = QTextDocument()
    document.setHtml(text)
    return document.toPlainText()


def check(widget):
    for label in (widget, *widget.findChildren(QLabel)):
        if isinstance(label, QLabel) and NAME in label.text():
            assert label.textFormat() not in RICH, label.objectName() or label.text()
    for part in (widget, *widget.findChildren(QWidget)):
        if "<" in part.toolTip():
            assert NAME in seen(part.toolTip())


def test_the_alarm(qtbot):
    alarm = AlarmBanner()
    qtbot.addWidget(alarm)
    alarm.take([Note(stage="mine", text=NAME, level="warning"), Note(stage="mine", text=NAME, level="warning")])
    assert NAME in alarm.text.text()
    assert alarm.text.textFormat() == Qt.TextFormat.PlainText
    assert seen(alarm.toolTip()).count(NAME) == 2


def test_a_label_and_an_empty_state(qtbot):
    for label in (Label(NAME), EmptyState(NAME)):
        qtbot.addWidget(label)
        assert label.text() == NAME
        check(label)
        label.setText(NAME + NAME)
        check(label)


def test_the_legend(qtbot):
    legend = ClassLegend(title=NAME)
    qtbot.addWidget(legend)
    check(legend)


@pytest.mark.parametrize("text", [NAME, "a < b & c\n<i>d</i>", "&lt;b&gt;", "plain", "R&D"])
def test_a_tooltip(text):
    tip = plain_tooltip(text)
    assert (seen(tip) if tip.startswith("<span>") else tip) == text
    # Qt takes a first line with a tag, or with &lt;, for rich text.
    assert tip.startswith("<span>") or not {"<", "&lt;"}.intersection(text)


def test_rich_labels_escape_names():
    classes = ClassSet.from_dict({"name": "set", "names": [NAME]})
    assert NAME in seen(class_label(classes, 0))
    before = ClassRow(NAME, (0, 0, 0), 0.2, (0.7,))
    table = ClassTable("adapt-1", ("baseline",), (before,), before, Score("adapt-1", 0.2, {NAME: 0.2}))
    assert f"fell since Baseline: {NAME}" in seen(summary(table))


def calls():
    for path in Path(crots_studio.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                yield path, node, name


def test_every_label_is_plain_and_every_tooltip_passes_through_one_place():
    for path, node, name in calls():
        where = f"{path.name}:{node.lineno}"
        if name == "QLabel":
            assert path.name == "plain.py", f"{where}: use Label"
        if name == "setToolTip":
            (text,) = node.args
            fixed = isinstance(text, ast.Constant) or (isinstance(text, ast.Name) and text.id.isupper())
            joined = isinstance(text, ast.JoinedStr) and all(isinstance(part, ast.Constant) for part in text.values)
            wrapped = isinstance(text, ast.Call) and getattr(text.func, "id", "") == "plain_tooltip"
            assert fixed or joined or wrapped, f"{where}: use plain_tooltip"
