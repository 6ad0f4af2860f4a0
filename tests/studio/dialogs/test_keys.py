"""Of every dialog, each key of its own is claimed once; the Tab key follows what is seen, and no text is cut."""

import importlib
import itertools
import pkgutil
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QLabel, QMessageBox, QPushButton, QToolButton, QWidget

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
from crots_studio.models.words import in_question
from crots_studio.panels.setup.class_map_proposal import ProposalQuestion
from crots_studio.panels.setup.network_browser import NetworkBrowser
from crots_studio.runs.run import RunRequest
from crots_studio.widgets.dialog import Dialog
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
_BASES = {Dialog, labelling.LabellingDialog, new_project.PlaceDialog, work.WorkDialog}


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


def test_no_dialog_has_one_key_twice(session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path / "fake").folder)
    Project.create(tmp_path / "other", ProjectConfig())
    doubled = {kind.__name__: doubled_keys(dialog) for kind, dialog in shown_in_turn(session, window)}
    assert not {name: keys for name, keys in doubled.items() if keys}


def shown_in_turn(session, window):
    """Shows each dialog and closes it before the next one."""
    for kind, make in DIALOGS.items():
        # Belongs to the window; some delete themselves when they are closed.
        dialog = make(session, window)
        dialog.show()
        yield kind, dialog
        if isinstance(dialog, QMessageBox):
            dialog.reject()
        dialog.hide()


def test_the_tab_key_goes_down_in_every_dialog(session, window, open_project, tmp_path):
    """The preset of a new project was reached behind its button Cancel, at the bottom."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    upward = []
    for kind, dialog in shown_in_turn(session, window):
        order = [widget for widget in tab_order(dialog) if widget.isVisible()]
        places = [QRect(widget.mapTo(dialog, QPoint()), widget.size()) for widget in order]
        for (before, above), (widget, place) in itertools.pairwise(zip(order, places, strict=True)):
            # Beside a list there may be others, above its lower end.
            if place.bottom() < above.top() and place.left() <= above.right():
                upward.append((kind.__name__, before.accessibleName(), widget.accessibleName()))
    assert not upward


def tab_order(dialog):
    widget = dialog.nextInFocusChain()
    while widget is not dialog:
        if dialog.isAncestorOf(widget) and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield widget
        widget = widget.nextInFocusChain()


LONG = (
    "/data/a-folder-of-another-person/with a long name/and_one_more_below_it/cannot be written to: choose another. " * 3
)


@pytest.mark.parametrize("kind", [kind for kind in DIALOGS if not issubclass(kind, QMessageBox)])
def test_a_dialog_grows_with_texts_that_wrap(qtbot, session, window, open_project, tmp_path, kind):
    """The reason why a folder is refused, and the message of a failure, ended in the middle of a line."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    dialog = DIALOGS[kind](session, window)
    qtbot.addWidget(dialog)
    dialog.show()
    for label in [label for label in dialog.findChildren(QLabel) if label.wordWrap() and label.isVisible()][:1]:
        label.setText(LONG)
        qtbot.waitUntil(lambda label=label: label.height() >= label.heightForWidth(label.width()))


# Of 1366x768 at 150 %, without the frame.
SMALL_SCREEN = QRect(0, 0, 910, 480)


@pytest.mark.parametrize("kind", [kind for kind in DIALOGS if issubclass(kind, Dialog)])
def test_a_dialog_fits_on_a_small_screen(qtbot, monkeypatch, session, window, open_project, tmp_path, kind):
    """The buttons of the list of networks lay below the screen's edge."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    dialog = DIALOGS[kind](session, window)
    qtbot.addWidget(dialog)
    monkeypatch.setattr(kind, "screen", lambda _: SimpleNamespace(availableGeometry=lambda: SMALL_SCREEN))
    dialog.show()
    qtbot.wait(20)
    assert SMALL_SCREEN.contains(QRect(QPoint(), dialog.size()))


@pytest.mark.parametrize("kind", [kind for kind in DIALOGS if issubclass(kind, work.WorkDialog)])
def test_a_dialog_that_writes_is_as_high_as_its_texts(qtbot, session, window, open_project, tmp_path, kind):
    """A third of the one that applies a model was empty; what tells of progress has its place from the start."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    dialog = DIALOGS[kind](session, window)
    qtbot.addWidget(dialog)
    dialog.show()
    layout = dialog.layout()

    def needed():
        return max(layout.totalHeightForWidth(dialog.width()), layout.totalMinimumSize().height())

    qtbot.waitUntil(lambda: dialog.height() == needed(), timeout=20_000)
    before = dialog.height()
    dialog.progress.show()
    dialog.say("12 of 30 images", "muted")
    qtbot.wait(20)
    assert dialog.height() - before < 5, "no line more"


def test_a_failure_without_a_log_shows_its_whole_message(qtbot, window):
    dialog = failure.FailureDialog(Advice("It failed", LONG, "Do this"), "", window)
    qtbot.addWidget(dialog)
    dialog.show()
    labels = [label for label in dialog.findChildren(QLabel) if label.wordWrap()]
    qtbot.waitUntil(lambda: all(label.height() >= label.heightForWidth(label.width()) for label in labels))


@pytest.mark.parametrize("kind", [about.AboutDialog, failure.FailureDialog])
def test_return_closes_what_is_only_read(qtbot, session, window, kind):
    """It copied, since that button came first."""
    dialog = DIALOGS[kind](session, window)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.isActiveWindow)
    assert default_and_focus(dialog)[0] == ["Close"]


@pytest.mark.parametrize("kind", [kind for kind in DIALOGS if issubclass(kind, Dialog)])
def test_return_presses_the_button_that_has_the_focus(qtbot, session, window, open_project, tmp_path, kind):
    """On a button that is never a dialog's default one, such as Browse, it started the work."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    dialog = DIALOGS[kind](session, window)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.isActiveWindow)
    buttons = [
        button
        for button in [*dialog.findChildren(QPushButton), *dialog.findChildren(QToolButton)]
        if button.isVisible() and button.isEnabled() and button.focusPolicy() & Qt.FocusPolicy.TabFocus
        if button.menu() is None
    ]
    pressed = []
    for button in buttons:
        # What it does otherwise is not tried here.
        button.clicked.disconnect()
        button.clicked.connect(lambda _=False, button=button: pressed.append(button))
    for button in buttons:
        pressed.clear()
        button.setFocus()
        QTest.keyClick(button, Qt.Key.Key_Return)
        QTest.keyClick(button, Qt.Key.Key_Enter, Qt.KeyboardModifier.KeypadModifier)
        assert pressed == [button, button]


def test_return_means_the_same_after_the_theme_has_changed(qtbot, session, open_project, tmp_path):
    """Where the desktop went dark while it was asked, Return discarded instead of keeping."""
    open_project(make_fake_project(tmp_path / "fake").folder)
    # To polish all of the studio's window takes seconds.
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    changed = {}
    modes = itertools.cycle(("dark", "light"))
    for kind, dialog in shown_in_turn(session, window):
        # Under a theme of its own each time, and with the focus where it is when one is seen.
        qtbot.waitUntil(lambda dialog=dialog: dialog.isActiveWindow() and dialog.focusWidget() is not None)
        before = default_and_focus(dialog)
        session.set_theme(next(modes))
        if default_and_focus(dialog) != before:
            changed[kind.__name__] = before
    assert not changed


def default_and_focus(dialog):
    return [button.text() for button in dialog.findChildren(QPushButton) if button.isDefault()], dialog.focusWidget()


def test_a_question_lists_what_fits_on_a_small_screen():
    assert in_question(["one", "two"]) == "one\ntwo"
    many = in_question(["x" * 150] * 9)
    assert many.count("x" * 150) == 5 and many.endswith("\nand 4 more")
    assert in_question(["x" * 5000, "y"]) == "x" * 5000 + "\nand 1 more", "the first is whole"
