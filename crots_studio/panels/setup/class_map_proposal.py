"""Asks what a proposal by name may replace in an existing class map."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from crots_studio.models.class_map import ClassMapForm, Proposal
from crots_studio.models.words import in_question, plural


class ProposalQuestion(QMessageBox):
    """Shows the rows that would change; ``agreed`` carries the map that the user wants."""

    agreed = Signal(object)

    def __init__(self, proposal: Proposal, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setIcon(QMessageBox.Icon.Question)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWindowTitle("Propose by name")
        lines = proposal.lines
        self.setText(f"By name, another class is proposed for {plural(len(lines), 'row')}:")
        self.setInformativeText(in_question(lines))
        filled, replaced = proposal.filled, proposal.replaced
        if filled:
            self._offer(f"Fill {plural(len(filled), 'ignored row')}", proposal.old.with_rows(filled))
        if replaced:
            label = f"Replace {plural(len(lines), 'row')}"
            self._offer(label, proposal.old.with_rows({**filled, **replaced}))
        back = self.addButton("Keep the map", QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(back)
        self.setEscapeButton(back)

    def _offer(self, label: str, form: ClassMapForm) -> None:
        button = self.addButton(label, QMessageBox.ButtonRole.AcceptRole)
        button.clicked.connect(lambda: self.agreed.emit(form))
