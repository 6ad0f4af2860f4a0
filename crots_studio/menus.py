"""The menu bar: every action with its keys, and which of them can be chosen now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from crots.config import describe
from crots.options import SECTIONS
from crots.outlook import to_run
from crots_studio.actions import ProjectActions
from crots_studio.icons import icon
from crots_studio.models.palette import PaletteEntry
from crots_studio.models.words import option_title, section_title
from crots_studio.plain import plain_tooltip
from crots_studio.session import Session
from crots_studio.theme import MODES, TEXT_SIZES
from crots_studio.workspace_tabs import TABS

if TYPE_CHECKING:
    from crots_studio.workspace import Workspace

Keys = QKeySequence.StandardKey | str


class Menus(QObject):
    """Builds the menus of a window; each entry calls a method of `ProjectActions` or of the session.

    Args:
        window: whose menu bar is filled.
        session: what the entries are about.
        project_actions: what most entries call.

    Attributes:
        actions: by their words without marks, ``Run all remaining stages``.
    """

    def __init__(self, window: QMainWindow, session: Session, project_actions: ProjectActions) -> None:
        # A QObject, so that the session lets go of it when the window is gone.
        super().__init__(window)
        self._window, self._session, self._project_actions = window, session, project_actions
        self.actions: dict[str, QAction] = {}
        # Actions that show a part of the workspace, which the welcome page does not have.
        self._of_workspace: list[QAction] = []
        bar = window.menuBar()
        self._file(bar.addMenu("&File"))
        self._edit(bar.addMenu("&Edit"))
        self._run(bar.addMenu("&Run"))
        self._view_menu = bar.addMenu("&View")
        theme_menu = self._view_menu.addMenu("&Theme")
        theme_menu.setIcon(icon("theme"))
        self._add_choice(theme_menu, "Theme", MODES, session.settings.theme, session.set_theme)
        size_menu = self._view_menu.addMenu("Te&xt size")
        size_menu.setIcon(icon("text-size"))
        self._add_choice(size_menu, "Text size", TEXT_SIZES, session.settings.text_size, session.set_text_size)
        self._help(bar.addMenu("&Help"))
        project_actions.changed.connect(self.refresh)
        session.opened.undo_changed.connect(self._refresh_undo)
        self.refresh()

    def _add(
        self, menu: QMenu, label: str, act: Callable[[], object], keys: Keys | None = None, sign: str = ""
    ) -> QAction:
        action = menu.addAction(label)
        if sign:
            action.setIcon(icon(sign))
        action.triggered.connect(lambda _=False: act())
        if keys is not None:
            action.setShortcut(QKeySequence(keys))
        self.actions[label.replace("&", "").removesuffix(" ...")] = action
        return action

    def _file(self, menu: QMenu) -> None:
        act = self._project_actions
        self._add(menu, "&New project ...", act.new_project, QKeySequence.StandardKey.New, "plus")
        self._add(menu, "New project &like this ...", act.new_project_like, sign="copy")
        self._add(menu, "&Open project ...", act.open_project, QKeySequence.StandardKey.Open, "folder")
        recent = menu.addMenu("Open &recent")
        recent.aboutToShow.connect(lambda: self._fill_recent(recent))
        self._add(menu, "Try the &demonstration ...", act.try_demo, sign="demo")
        menu.addSeparator()
        self._add(menu, "&Export ...", act.export, "Ctrl+E", "export")
        self._add(menu, "&Apply a model ...", act.apply, "Ctrl+Shift+A", "images")
        self._add(menu, "Export dou&btful images ...", act.export_doubtful)
        self._add(menu, "&Import corrected labels ...", act.import_corrected)
        self._add(menu, "Create re&port", act.report, sign="report")
        # It says why it cannot be chosen.
        menu.setToolTipsVisible(True)
        self._add(menu, "Open project &folder", act.open_folder, sign="folder")
        self._add(menu, "&Close project", act.close_project, "Ctrl+W")
        menu.addSeparator()
        self._add(menu, "&Quit", self._window.close, "Ctrl+Q", "quit")

    def _edit(self, menu: QMenu) -> None:
        act = self._project_actions
        self._add(menu, "&Undo", act.undo, QKeySequence.StandardKey.Undo)
        self._add(menu, "&Redo", act.redo, QKeySequence.StandardKey.Redo)
        menu.addSeparator()
        self._add(menu, "Copy &command that creates this project", act.copy_init_command, sign="copy")
        self._add(menu, "Copy command that ru&ns this project", act.copy_run_command, sign="copy")
        self._add(menu, "&Find an option", act.find_option, QKeySequence.StandardKey.Find, "search")
        self._add(menu, "All co&mmands ...", self.open_palette, "Ctrl+K", "list")

    def _run(self, menu: QMenu) -> None:
        act, session = self._project_actions, self._session
        self._add(menu, "&Run all remaining stages", act.run, "Ctrl+R", "play")
        self._add(menu, "Run &only the selected stage", act.run_chosen, "Ctrl+Shift+R")
        menu.addSeparator()
        self._add(menu, "&Pause or resume", session.run.toggle_pause, "Ctrl+P", "pause")
        self._add(menu, "&Stop and keep", session.run.stop, "Ctrl+.", "stop")
        self._add(menu, "&Cancel and discard ...", act.cancel_run)
        menu.addSeparator()
        self._add(menu, "&Add this project to the queue", act.queue, "Ctrl+Shift+Q", "plus")
        self._add(menu, "&Queue of runs ...", act.show_queue, "Ctrl+U", "list")
        menu.setToolTipsVisible(True)

    def _add_choice(
        self, menu: QMenu, title: str, names: Iterable[str], chosen: str, choose: Callable[[str], object]
    ) -> None:
        """Adds one checkable action per name; one of them is checked."""
        group = QActionGroup(menu)
        for name in names:
            action = menu.addAction(f"&{name.capitalize()}")
            action.setCheckable(True)
            action.setChecked(name == chosen)
            action.triggered.connect(lambda _=False, name=name: choose(name))
            group.addAction(action)
            self.actions[f"{title}: {name}"] = action

    def _help(self, menu: QMenu) -> None:
        act = self._project_actions
        self._add(menu, "&Help on the stages", act.help, "F1", "help")
        self._add(menu, "&Shortcuts", partial(act.open_dialog, "shortcuts", "ShortcutsDialog"), "Ctrl+?", "keyboard")
        self._add(menu, "Save a &bug report ...", act.save_bundle, sign="package")
        self._add(menu, "&About", partial(act.open_dialog, "about", "AboutDialog"), sign="info")

    def fill_view(self, workspace: Workspace) -> None:
        """Adds the tabs and panels of the workspace, once they are there."""
        menu = self._view_menu
        menu.addSeparator()
        for number, tab in enumerate(TABS, 1):
            action = self._add(menu, tab.title, partial(workspace.show_tab, tab.key), f"Alt+{number}", tab.icon)
            self._of_workspace.append(action)
        menu.addSeparator()
        rail, settings, log = workspace.rail, workspace.settings_panel, workspace.log_panel
        shown = (
            ("&Stages", "F2", not rail.isHidden(), rail.setVisible, None),
            ("S&ettings", "F3", not settings.isHidden(), workspace.show_settings, workspace.settings_shown),
            ("&Log", "F4", log.is_unfolded, log.unfold, log.unfolded),
        )
        for label, keys, checked, act, changed in shown:
            action = menu.addAction(label)
            action.setCheckable(True)
            action.setChecked(checked)
            action.setShortcut(keys)
            # Asked of the action: PySide leaves the signal's argument out where it cannot read a method's signature.
            action.triggered.connect(lambda _=False, action=action, act=act: act(action.isChecked()))
            if changed is not None:
                changed.connect(action.setChecked)
            self.actions[label.replace("&", "")] = action
            self._of_workspace.append(action)

    def palette_entries(self) -> dict[PaletteEntry, Callable[[], object]]:
        """The entries of the command palette: all menu entries, and all options of a project."""
        found: dict[PaletteEntry, Callable[[], object]] = {}
        for name, action in self.actions.items():
            if name != "All commands":
                menu = action.associatedObjects()[0] if action.associatedObjects() else None
                place = menu.title().replace("&", "") if isinstance(menu, QMenu) else ""
                keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
                title = action.text().replace("&", "") if ": " not in name else name
                found[PaletteEntry(title, place, keys, enabled=action.isEnabled())] = action.trigger
        if self._session.project is not None:
            for section, options in SECTIONS.items():
                for info in (info for info in describe(options) if info.stored):
                    path = f"{section}.{info.name}"
                    entry = PaletteEntry(
                        option_title(path), f"Settings, {section_title(section)}", keywords=f"{path} {info.help}"
                    )
                    found[entry] = partial(self._project_actions.show_option, path)
        return found

    def open_palette(self) -> None:
        """Opens the list of all commands and options."""
        from crots_studio.dialogs.palette import PaletteDialog

        self.palette = PaletteDialog(self.palette_entries(), self._window)
        self.palette.finished.connect(self.palette.deleteLater)
        self.palette.open()

    def _fill_recent(self, menu: QMenu) -> None:
        menu.clear()
        for row in self._session.settings.recent.rows():
            action = menu.addAction(str(row.path))
            action.setEnabled(row.present)
            action.triggered.connect(partial(self._project_actions.go_to_project, row.path))

    def _refresh_undo(self) -> None:
        for name, text in zip(("Undo", "Redo"), self._project_actions.undo_texts, strict=True):
            self.actions[name].setEnabled(bool(text))
            # An ampersand in the name of a class is none of a key.
            label = text.replace("&", "&&")
            self.actions[name].setText(f"&{name} {label}".rstrip())

    def refresh(self) -> None:
        """Enables what can be done now."""
        session, actions = self._session, self.actions
        self._refresh_undo()
        project, busy = session.project is not None, session.run.busy
        for action in self._of_workspace:
            action.setEnabled(project or busy)
        remains = bool(to_run(session.opened.status))
        queued = session.project is not None and session.queue.current == str(session.project.folder)
        can_run = project and not (busy or queued or session.run.blocker)
        actions["Run all remaining stages"].setEnabled(can_run and remains)
        actions["Run only the selected stage"].setEnabled(can_run)
        for name in ("Pause or resume", "Stop and keep", "Cancel and discard"):
            actions[name].setEnabled(busy and not session.run.state.stopping and session.run.controllable)
        if session.run.request.compares:
            # Finished parts of a comparison are kept in any case.
            actions["Cancel and discard"].setEnabled(False)
        for name in (
            "Export",
            "Apply a model",
            "Export doubtful images",
            "Import corrected labels",
            "Open project folder",
            "Copy command that creates this project",
            "Find an option",
        ):
            actions[name].setEnabled(project)
        waits_for = self._project_actions.report_waits_for
        actions["Create report"].setEnabled(not waits_for)
        actions["Create report"].setToolTip(
            plain_tooltip(waits_for or "Writes an HTML page with all figures and opens it.")
        )
        waits_for = self._project_actions.queueing_waits_for
        actions["Add this project to the queue"].setEnabled(not waits_for)
        actions["Add this project to the queue"].setToolTip(
            plain_tooltip(waits_for or "Runs it after the others, as a separate process.")
        )
        actions["Copy command that runs this project"].setEnabled(project)
        for name in ("Close project", "New project", "New project like this", "Open project", "Try the demonstration"):
            free = not session.run.keeps_project
            actions[name].setEnabled(free and (project or name not in ("Close project", "New project like this")))
