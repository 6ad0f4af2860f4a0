"""Of every dialog, each key of its own is claimed once, in each state in which other controls are seen."""

import importlib
import pkgutil
from types import SimpleNamespace

from PySide6.QtWidgets import QDialog, QMessageBox

import crots_studio
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots_studio.dialogs import (
    about,
    apply,
    conflict,
    export,
    failure,
    help,
    labelling,
    new_project,
    palette,
    queue,
    work,
)
from crots_studio.dialogs.shortcuts import ShortcutsDialog
from crots_studio.models.failures import Advice, Remedy
from crots_studio.models.project_changes import merge
from crots_studio.panels.setup.class_map_proposal import ProposalQuestion
from crots_studio.panels.setup.network_browser import NetworkBrowser
from crots_studio.runs.run import RunRequest
from crots_studio.widgets.discard_question import DiscardQuestion
from crots_studio.widgets.run_question import RunQuestion
from tests.studio.controls import doubled_keys
from tests.studio.fake_project import make_fake_project


def _conflict(session, window):
    config = session.project.config
    mine, theirs = (override(config, {"adapt.steps": steps}) for steps in ("7", "8"))
    return conflict.ConflictQuestion(session, merge(config, mine, theirs), window)


def _advice(session, window):
    remedies = (Remedy("Smaller batch", {"adapt.batch": "2"}), Remedy("Smaller images", {"data.size": "64x48"}))
    return failure.FailureDialog(Advice("It failed", "It is so", "Do this", remedies, "detail"), "log", window)


def _proposal(session, window):
    old = SimpleNamespace(with_rows=lambda rows: rows)
    return ProposalQuestion(SimpleNamespace(lines=["road"], filled={0: 1}, replaced={1: 2}, old=old), window)


DIALOGS = {
    about.AboutDialog: about.AboutDialog,
    apply.ApplyDialog: apply.ApplyDialog,
    conflict.ConflictQuestion: _conflict,
    export.ExportDialog: export.ExportDialog,
    failure.FailureDialog: _advice,
    help.HelpDialog: help.HelpDialog,
    labelling.ExportDoubtfulDialog: labelling.ExportDoubtfulDialog,
    labelling.ImportCorrectedDialog: labelling.ImportCorrectedDialog,
    new_project.NewProjectDialog: lambda session, window: new_project.NewProjectDialog(
        session.settings, window, like=session.project
    ),
    new_project.DemoDialog: lambda session, window: new_project.DemoDialog(session.settings, window),
    palette.PaletteDialog: lambda _, window: palette.PaletteDialog({}, window),
    queue.QueueDialog: queue.QueueDialog,
    ShortcutsDialog: ShortcutsDialog,
    ProposalQuestion: _proposal,
    NetworkBrowser: lambda session, window: NetworkBrowser(session, "", window),
    DiscardQuestion: lambda session, window: DiscardQuestion(session, window, "baseline"),
    RunQuestion: lambda session, window: RunQuestion(session, window, RunRequest(), "town"),
}
# Others are made from them.
_BASES = {labelling.LabellingDialog, new_project.PlaceDialog, work.WorkDialog}


def dialogs_of_the_studio():
    found = set()
    for module in pkgutil.walk_packages(crots_studio.__path__, "crots_studio."):
        if not module.name.endswith("__main__"):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, QDialog) and value.__module__ == module.name:
                    found.add(value)
    return found


def test_all_dialogs_are_tried_here():
    assert dialogs_of_the_studio() - _BASES == set(DIALOGS)


def test_no_dialog_has_one_key_twice(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path / "fake").folder)
    Project.create(tmp_path / "other", ProjectConfig())
    doubled = {}
    for kind, make in DIALOGS.items():
        dialog = make(session, window)
        qtbot.addWidget(dialog)
        dialog.show()
        doubled[kind.__name__] = doubled_keys(dialog)
        if isinstance(dialog, QMessageBox):
            dialog.reject()
        dialog.hide()
    assert not {name: keys for name, keys in doubled.items() if keys}
