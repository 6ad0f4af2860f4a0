"""The class map as a table: one source class per row, the target class to choose beside it, both with their colours."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QComboBox, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from crots.taxonomy import IGNORE_WORD, ClassSet
from crots_studio.models.class_map import ClassMapForm
from crots_studio.widgets.class_legend import swatch
from crots_studio.widgets.wheel import leave_wheel


def _sign(classes: ClassSet, name: str) -> QIcon:
    """Returns a square in a class's colour; none for what is ignored."""
    if name in classes.names:
        return swatch(classes.palette[classes.names.index(name)])
    empty = QPixmap(14, 14)
    empty.fill(Qt.GlobalColor.transparent)
    return QIcon(empty)


class ClassMapTable(QTableWidget):
    """Shows and edits a `ClassMapForm`; ``edited`` says which row the user changed, and to what."""

    edited = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self.form: ClassMapForm | None = None
        self.setAccessibleName("Class map")
        self.verticalHeader().hide()
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)

    def show_form(self, form: ClassMapForm | None) -> None:
        """Shows a class map; None empties the table."""
        self.form = form
        self.setRowCount(0)
        if form is None:
            return
        self.setHorizontalHeaderLabels([f"source: {form.source.name}", f"target: {form.target.name}"])
        self.setRowCount(len(form.rows))
        for row, (name, value) in enumerate(form.rows.items()):
            item = QTableWidgetItem(_sign(form.source, name), name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.setItem(row, 0, item)
            self.setCellWidget(row, 1, self._chooser(form, name, value))

    def _chooser(self, form: ClassMapForm, name: str, value: str) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName(f"Target class of {name}")
        for choice in form.choices:
            box.addItem(_sign(form.target, choice), choice)
        box.setCurrentText(value if value in form.choices else IGNORE_WORD)
        leave_wheel(box)

        def chosen(text: str) -> None:
            if form.rows[name] != text:
                form.set(name, text)
                self.edited.emit(f"class map: {name} to {text}")

        box.textActivated.connect(chosen)
        return box
