"""The finding about a field, shown beside it: a sign, coloured text, details as tooltip, offers."""

from __future__ import annotations

import html

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from crots_studio.models.project_form import Finding, level_name
from crots_studio.plain import plain_tooltip

# Signs besides colours: not everybody can distinguish red from green.
SIGNS = {"good": "✓", "warning": "!", "bad": "✗", "checking": "…", "empty": "○"}
# Letters of an offer that fit into a line however narrow the page is.
_SHORT = 40
_ROLES = {"good": "good", "warning": "warning", "bad": "bad", "checking": "muted", "empty": "muted"}


class FindingLabel(QLabel):
    """Shows a `Finding`; a click on an offer emits what it would change.

    Args:
        name: of the check, for screen readers.
        quiet: the field itself mostly shows it; the page does not move at each check.
        parent: of the widget.

    Signals:
        offered(dict): settings.
        trusting(tuple[Code, ...]): code that the user is asked to trust.
        adopting(ClassSet): classes that become the target's.
    """

    offered = Signal(object)
    trusting = Signal(object)
    adopting = Signal(object)

    def __init__(self, name: str, parent: QWidget | None = None, *, quiet: bool = False) -> None:
        super().__init__(parent)
        self._name, self._quiet = name, quiet
        self.finding = Finding("empty", "")
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByKeyboard
            | Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.TextSelectableByMouse
        )
        self.linkActivated.connect(self._clicked)
        self.show_finding(self.finding)

    def show_finding(self, finding: Finding) -> None:
        """Shows what was found."""
        self.finding = finding
        # If the field itself shows it, the line is a few words, or is left out.
        shown = finding.brief if finding.plain_to_see else finding.text
        shown = "" if self._quiet and finding.level == "checking" else shown
        text = html.escape(shown, quote=False)
        labels = [_unbroken(html.escape(offer.label, quote=False)) for offer in finding.offers]
        links = [f'<a href="{number}">{label}</a>' for number, label in enumerate(labels)]
        self.setText(" &nbsp; ".join([f"{SIGNS[finding.level]} {text}", *links]) if text else "")
        self.setVisible(bool(text))
        # A link must be reachable by Tab; plain words must not stop there.
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if links else Qt.FocusPolicy.NoFocus)
        self.setToolTip(plain_tooltip("\n".join(finding.details)))
        self.setAccessibleName(f"{self._name}: {level_name(finding.level)}")
        self.setAccessibleDescription(" ".join([finding.text, *finding.details]))
        self.setProperty("role", _ROLES[finding.level])
        self.style().unpolish(self)
        self.style().polish(self)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Gives its links the colour of another theme: rich text keeps that of the time it was set."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and "<a " in (text := self.text()):
            self.setText("")
            self.setText(text)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """One line; QLabel would guess a shape, and a form keeps that height however wide the label becomes."""
        return self.minimumSizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """One line; more by `heightForWidth`."""
        return QSize(80, self.fontMetrics().height() + 2)

    def _clicked(self, link: str) -> None:
        offer = self.finding.offers[int(link)]
        if offer.trust:
            self.trusting.emit(offer.trust)
        elif offer.classes is not None:
            self.adopting.emit(offer.classes)
        else:
            self.offered.emit(dict(offer.settings))


def _unbroken(label: str) -> str:
    """Keeps a short offer in one line: half a link at the end of one reads like another offer."""
    # A word joiner after a hyphen forbids the break there.
    return label.replace(" ", "&nbsp;").replace("-", "-&#8288;") if len(label) <= _SHORT else label
