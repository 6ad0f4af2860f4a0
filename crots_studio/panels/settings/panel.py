"""The options of one section as a form that is made from their descriptions; the equivalent command line beneath."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from crots.artefacts import section_of
from crots.options import SECTIONS
from crots_studio.icons import icon
from crots_studio.models.option_form import OptionForm, init_command
from crots_studio.models.option_groups import IN_SET_UP, group_of
from crots_studio.models.words import plural, section_title
from crots_studio.panels.settings.option_row import OptionRow
from crots_studio.plain import Label
from crots_studio.session import Session
from crots_studio.widgets.drop_hint import leave_drops
from crots_studio.widgets.icon_button import IconButton

_NARROWEST = 312
# Behind all matches of a search.
_LAST = 1000
# Sections of what the user has chosen for this project alone.
_INPUTS = ("data", "task", "source", "student")


def _fold_label(group: str, count: int) -> str:
    return plural(count, "option") + " of Set-up" if group == IN_SET_UP else plural(count, "more option")


def section_about(section: str) -> str:
    """Returns the sentence that says what a section is for."""
    return (SECTIONS[section].__doc__ or "").strip().splitlines()[0]


def _widgets(layout: QLayout | None) -> list[QWidget]:
    """The widgets of a layout, from top to bottom.

    Not by its items: Python would keep those that the layout destroys when widgets change places, and end the process
    once something else lies in their memory.
    """
    owner = layout.parentWidget() if layout is not None else None
    if layout is None or owner is None:
        return []
    found = owner.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
    placed = [(layout.indexOf(widget), widget) for widget in found]
    return [widget for place, widget in sorted(placed, key=itemgetter(0)) if place >= 0]


def _put(widgets: list[QWidget], layout: QLayout | None) -> bool:
    """Puts the widgets of a layout in this order; says whether it had another one."""
    if not isinstance(layout, QBoxLayout) or _widgets(layout) == widgets:
        return False
    for place, widget in enumerate(widgets):
        layout.insertWidget(place, widget)
    return True


class SettingsPanel(QWidget):
    """Edits any option of the project, a section at a time."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.form: OptionForm | None = None
        self.rows: dict[str, OptionRow] = {}
        self._pages: dict[str, QWidget] = {}
        # All that stands on a page, in the order without a search.
        self._parts: dict[str, list[QWidget]] = {}
        self._abouts: dict[str, QLabel] = {}
        self.headings: dict[tuple[str, str], QLabel] = {}
        # A button for the folded options of each group, and which have been unfolded.
        self.folds: dict[tuple[str, str], QPushButton] = {}
        self._unfolded: set[tuple[str, str]] = set()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(8)
        column.addLayout(self._head())
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find an option")
        self.search.setAccessibleName("Find an option")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(lambda _: self._show_section())
        self.search.returnPressed.connect(self._go_to_match)
        column.addWidget(self.search)
        self.nothing = Label("No option matches.")
        self.nothing.setProperty("role", "muted")
        self.nothing.hide()
        column.addWidget(self.nothing)
        self._body = QWidget()
        self._stack = QVBoxLayout(self._body)
        self._stack.setContentsMargins(0, 0, 4, 0)
        self._stack.addStretch(1)
        self._scroll = scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(self._body)
        # Narrower, the buttons at the right of the rows would be cut off.
        self.setMinimumWidth(_NARROWEST)
        column.addWidget(scroll, 1)
        column.addWidget(self._foot())
        leave_drops(self)
        session.opened.project_changed.connect(self._another_project)
        session.opened.config_changed.connect(self.refresh)
        self._another_project()

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        heading = Label("Settings")
        heading.setProperty("role", "heading")
        self.section = QComboBox()
        self.section.setAccessibleName("Section of the settings")
        for name in SECTIONS:
            self.section.addItem(section_title(name), name)
        self.section.currentIndexChanged.connect(lambda _: self._show_section())
        self.reset_all = IconButton(
            "reset",
            "Reset this section",
            self._reset_section,
            tip="sets all its options back to their defaults",
        )
        row.addWidget(heading)
        row.addWidget(self.section, 1)
        row.addWidget(self.reset_all)
        return row

    def _foot(self) -> QWidget:
        foot = QWidget()
        row = QHBoxLayout(foot)
        row.setContentsMargins(0, 0, 0, 0)
        self.command = QLineEdit()
        self.command.setReadOnly(True)
        self.command.setAccessibleName("Equivalent command line")
        self.command.setToolTip(
            "The command that makes a project with the same options in a terminal, in a new folder beside this one"
        )
        self.copy_button = QPushButton("Copy")
        self.copy_button.setAccessibleName("Copy the command line")
        self.copy_button.clicked.connect(self.copy_command)
        row.addWidget(self.command, 1)
        row.addWidget(self.copy_button)
        return foot

    def copy_command(self) -> None:
        """Puts the equivalent command line on the clipboard."""
        QGuiApplication.clipboard().setText(self.command.text())
        self._session.copied.emit("Copied the command that creates this project")

    def go_to(self, key: str) -> None:
        """Shows the section of a stage or of an input."""
        index = self.section.findData("data" if key == "target" else section_of(key))
        if index >= 0:
            self.search.clear()
            self.section.setCurrentIndex(index)

    def follow(self, key: str) -> None:
        """Shows the section of a stage or of an input, unless a search is active."""
        if not self.search.text():
            self.go_to(key)

    def reveal(self, path: str) -> None:
        """Goes to an option, unfolds its group where it is folded away, and gives it the keyboard."""
        section, _, name = path.partition(".")
        self.go_to(section)
        if self.form is None or path not in self.rows:
            return
        if self.form.field(path).folded:
            self.unfold(section, group_of(section, name))
        row = self.rows[path]
        row.stops[0].setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._scroll.ensureWidgetVisible(row)

    def _another_project(self) -> None:
        project = self._session.project
        self.form = OptionForm(project.config) if project is not None else None
        self.setEnabled(project is not None)
        self.refresh()

    def refresh(self) -> None:
        """Shows the project's options."""
        project = self._session.project
        if self.form is None or project is None:
            self.command.clear()
            return
        self.form.take(project.config)
        for path, row in self.rows.items():
            row.show_field(self.form.field(path))
        self.command.setText(init_command(project.config, project.folder))
        self.command.setCursorPosition(0)
        self._show_section()

    def _show_section(self) -> None:
        if self.form is None:
            return
        wanted, search = self.section.currentData(), self.search.text().strip()
        for section in SECTIONS if search else (wanted,):
            self._page(section)
        ranks = {path: row.rank(search) for path, row in self.rows.items()}
        for path, row in self.rows.items():
            field = self.form.field(path)
            unfolded = not field.folded or (field.section, field.group) in self._unfolded
            row.setVisible(ranks[path] is not None if search else unfolded)
        self._show_folds(bool(search))
        found = {path.partition(".")[0] for path, place in ranks.items() if place is not None}
        for section, page in self._pages.items():
            page.setVisible(section in found if search else section == wanted)
            self._abouts[section].setText(section_title(section) if search else section_about(section))
        self._arrange(ranks if search else {})
        self.nothing.setVisible(bool(search) and not found)
        changed = any(field.changed or field.error for field in self.form.fields(wanted))
        self.reset_all.setEnabled(changed and not search)
        # A search goes through all sections; the one named there would seem to be that of what is found.
        self.section.setEnabled(not search)
        # Folders and files have no defaults: a slip would cost all of them, and each has a reset of its own.
        self.reset_all.setVisible(self.section.currentData() not in _INPUTS)

    def _arrange(self, ranks: Mapping[str, int | None]) -> None:
        """Puts the best matches of a search on top, in each section and among them; without ranks, all in its order."""
        best: dict[str, int] = {}

        def place(widget: QWidget) -> int:
            found = ranks.get(widget.path) if isinstance(widget, OptionRow) else None
            # What is hidden in a search may stand anywhere; the section's name stays on top.
            return _LAST if found is None else found

        for section, parts in self._parts.items():
            about, *others = parts
            ordered = sorted(others, key=place) if ranks else others
            _put([about, *ordered], self._pages[section].layout())
            best[section] = min(map(place, others), default=_LAST)
        sections = sorted((name for name in SECTIONS if name in self._pages), key=lambda name: best[name])
        if _put([self._pages[name] for name in sections], self._stack):
            self._scroll.verticalScrollBar().setValue(0)
        self._order_tabs()

    def _show_folds(self, searching: bool) -> None:
        assert self.form is not None
        for (section, group), button in self.folds.items():
            folded = [field for field in self.form.fields(section) if field.group == group and field.folded]
            unfolded = (section, group) in self._unfolded
            button.setVisible(bool(folded) and not searching)
            button.setText("Fewer options" if unfolded else _fold_label(group, len(folded)))
            button.setIcon(icon("up" if unfolded else "down", "muted"))
        for (section, group), heading in self.headings.items():
            # Its button says the same.
            own = group != IN_SET_UP or (section, group) in self._unfolded
            heading.setVisible(not searching and own)

    def unfold(self, section: str, group: str, unfolded: bool = True) -> None:
        """Shows the seldom changed options of a group too, or folds them away."""
        if unfolded:
            self._unfolded.add((section, group))
        else:
            self._unfolded.discard((section, group))
        self._show_section()

    def _page(self, section: str) -> QWidget:
        """Makes a section's rows when they are first wanted."""
        if section in self._pages or self.form is None:
            return self._pages[section]
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        about = Label(section_about(section))
        self._abouts[section] = about
        about.setProperty("role", "muted")
        about.setWordWrap(True)
        parts: list[QWidget] = [about]
        fields = self.form.fields(section)
        several = len({field.group for field in fields}) > 1
        for group, of_group in itertools.groupby(fields, key=lambda field: field.group):
            if several:
                heading = Label(group)
                heading.setProperty("role", "strong")
                heading.setContentsMargins(0, 12, 0, 4)
                self.headings[section, group] = heading
                parts.append(heading)
            for field in of_group:
                row = OptionRow(field, self._session.settings)
                row.edited.connect(self._edited)
                row.reset.connect(self._reset)
                self.rows[field.path] = row
                parts.append(row)
            parts.append(self._fold(section, group))
        for part in parts:
            column.addWidget(part)
        self._pages[section], self._parts[section] = page, parts
        self._stack.insertWidget(self._stack.count() - 1, page)
        leave_drops(page)
        return page

    def _fold(self, section: str, group: str) -> QPushButton:
        button = QPushButton()
        button.setFlat(True)
        button.setProperty("role", "fold")
        button.setAccessibleDescription(f"Options of {group} that are seldom changed")
        button.clicked.connect(lambda: self.unfold(section, group, (section, group) not in self._unfolded))
        self.folds[section, group] = button
        return button

    def _order_tabs(self) -> None:
        """Pages are made late, and a search moves rows: the Tab key goes as the eye does, then to the command line."""
        stops: list[QWidget] = [self.section, self.reset_all, self.search]
        for page in _widgets(self._stack):
            for part in _widgets(page.layout()):
                if isinstance(part, OptionRow):
                    stops += part.stops
                elif isinstance(part, QPushButton):
                    stops.append(part)
        stops += [self.command, self.copy_button]
        for before, after in itertools.pairwise(stops):
            QWidget.setTabOrder(before, after)

    def _go_to_match(self) -> None:
        """Goes from the search to the first option that was found."""
        rows = (part for page in _widgets(self._stack) for part in _widgets(page.layout()))
        row = next((row for row in rows if isinstance(row, OptionRow) and row.isVisible()), None)
        if row is not None:
            row.stops[0].setFocus(Qt.FocusReason.TabFocusReason)

    def _edited(self, path: str, value: Any) -> None:
        if self.form is None:
            return
        if self.form.edit(path, value):
            self._session.opened.save_config(self.form.config)
        self.rows[path].show_field(self.form.field(path))
        self._show_section()

    def _reset(self, path: str) -> None:
        if self.form is None:
            return
        self.form.reset(path)
        self._session.opened.save_config(self.form.config)
        self.refresh()

    def _reset_section(self) -> None:
        if self.form is None:
            return
        self.form.reset_section(self.section.currentData())
        self._session.opened.save_config(self.form.config)
        self.refresh()
