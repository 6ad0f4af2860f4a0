"""Third-party code in the studio: opening a project runs none, and trust is asked for, remembered, forgotten."""

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QMessageBox

from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots.trust import Code
from crots_studio.panels.setup import fields
from crots_studio.panels.setup.panel import SetupPanel
from crots_studio.panels.setup.trust import ask_trust
from crots_studio.runs.child import command_line
from crots_studio.runs.run import RunRequest
from tests import canary as birds
from tests.studio.waiting import checks_done

EVIL = f"{birds.MODULE}:factory"


@pytest.fixture
def received(qtbot, session, open_project, tmp_path, canary):
    """The set-up page of a received project: a program for a source, a factory for a student."""
    settings = {"source.file": "program.pt", "student.net": EVIL, "student.weights": "random"}
    folder = Project.create(tmp_path / "project", override(ProjectConfig(), settings)).folder
    birds.write_program(folder / "program.pt")
    panel = SetupPanel(session)
    qtbot.addWidget(panel)
    open_project(folder)
    return panel


@pytest.fixture
def answers(monkeypatch):
    """What the question was asked about; each is answered with the next word."""
    asked, words = [], []

    def ask(code, parent=None):
        asked.append([piece.name for piece in code])
        return words.pop(0)

    monkeypatch.setattr(fields, "ask_trust", ask)
    return asked, words


def level(panel, name):
    return panel.fields.findings[name].finding.level


def click(panel, name):
    panel.fields.findings[name].linkActivated.emit("0")


def test_opening_runs_nothing_and_says_what_would(qtbot, session, received, canary):
    checks_done(qtbot, received)
    assert canary.quiet() and "torch.jit" not in session.run.blocker
    texts = {name: received.fields.findings[name].finding.text for name in ("source", "student")}
    assert "program.pt', a TorchScript program" in texts["source"] and f"'{birds.MODULE}'" in texts["student"]
    assert {level(received, name) for name in texts} == {"bad"}
    assert not session.opened.for_run().config.runtime.trust


def test_each_is_asked_about_by_name_and_the_answer_is_kept_in_this_window_only(
    qtbot, session, received, canary, answers, settings_file
):
    asked, words = answers
    checks_done(qtbot, received)
    words += [False, True, True]
    click(received, "student")
    checks_done(qtbot, received)
    assert asked == [[EVIL]] and level(received, "student") == "bad" and not session.opened.trusted
    click(received, "student")
    checks_done(qtbot, received)
    assert level(received, "student") == "good"
    assert not session.opened.for_run().config.runtime.trust, "the program was not asked about yet"
    click(received, "source")
    checks_done(qtbot, received)
    assert level(received, "source") == "good"
    assert session.opened.for_run().config.runtime.trust and canary.quiet()
    # Nothing of it is written, to the project or to the settings.
    session.opened.set_options({"adapt.steps": "7"})
    session.settings.sync()
    qtbot.waitUntil(lambda: Project.open(session.project.folder).config.adapt.steps == 7)
    assert not session.project.config.runtime.trust
    assert "trust" not in (session.project.folder / "crots.toml").read_text()
    names = [line.partition("=")[0] for line in settings_file.read_text().splitlines()]
    assert names and not any("trust" in name for name in names)


@pytest.fixture
def trusted(qtbot, session, received, answers):
    answers[1].extend([True] * 4)
    checks_done(qtbot, received)
    for name in ("source", "student"):
        click(received, name)
        checks_done(qtbot, received)
    return received


def test_a_run_in_a_thread_and_in_a_process_gets_it(qtbot, session, trusted):
    made = []
    session.run.make_source = lambda project, request: made.append(project) or (lambda control: iter(()))
    session.run.start(in_child=False)
    qtbot.waitUntil(lambda: not session.run.busy)
    assert made[0].config.runtime.trust
    assert command_line(session.run.child_run(RunRequest()).project, RunRequest())[-1] == "--trust"


@pytest.mark.parametrize("change", [{"student.net": "other:factory"}, {"source.net": "other:factory"}])
def test_another_name_is_asked_about_again(qtbot, session, trusted, change):
    session.opened.set_options(change)
    checks_done(qtbot, trusted)
    assert "bad" in (level(trusted, "source"), level(trusted, "student"))
    assert not session.opened.for_run().config.runtime.trust


def test_another_file_of_the_same_name_too(qtbot, session, trusted):
    path = session.project.folder / "program.pt"
    path.write_bytes(path.read_bytes() + b" ")
    assert not session.opened.for_run().config.runtime.trust
    trusted.check_again()
    checks_done(qtbot, trusted)
    assert level(trusted, "source") == "bad"


def test_closing_or_opening_again_forgets_it(qtbot, session, trusted, open_project):
    folder = session.project.folder
    open_project(folder)
    assert not session.opened.trusted and not session.opened.for_run().config.runtime.trust
    session.opened.trust([Code("student.net", EVIL, "it")])
    session.opened.close_project()
    assert not session.opened.trusted


@pytest.mark.parametrize(("button", "given"), [("Yes", True), ("No", False), (None, False)])
def test_the_question_names_it_and_only_yes_is_yes(qtbot, button, given):
    seen = []

    def answer():
        box = QApplication.activeModalWidget()
        seen.append((box.text(), box.textFormat(), box.defaultButton() is box.button(QMessageBox.StandardButton.No)))
        box.button(QMessageBox.StandardButton[button]).click() if button else box.reject()

    QTimer.singleShot(50, answer)
    assert ask_trust([Code("student.net", EVIL, "the Python module <b>x</b>")]) is given
    text, form, careful = seen[0]
    assert "third-party code: the Python module <b>x</b>" in text and form == Qt.TextFormat.PlainText and careful
