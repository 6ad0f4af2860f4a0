"""The message when a run failed: what happened, what to do, and the end of the log where there is one."""

from crots_studio.dialogs.failure import FailureDialog
from crots_studio.models.failures import Advice


def shown(qtbot, log, detail=""):
    dialog = FailureDialog(Advice("The estimate cannot continue", "It is so.", "Do this.", (), detail), log)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def test_there_is_no_empty_box_where_nothing_is_logged_yet(qtbot, session):
    """Before the first stage it was most of the dialog."""
    bare, full = shown(qtbot, ""), shown(qtbot, "2026-11-30  Baseline starts")
    assert not bare.tail.isVisible() and full.tail.isVisible()
    assert shown(qtbot, "", "Traceback").tail.isVisible()
    assert bare.height() < full.height() / 2
    assert bare.windowTitle() == "The estimate cannot continue"
