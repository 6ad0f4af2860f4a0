"""The export dialog: refuses what cannot work, shows the measured parity, stops, survives being closed."""

import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMessageBox

from crots.errors import InputError
from crots.events import ArtifactWritten, Note, StageFinished, StageStarted
from crots_studio.dialogs import export as module
from crots_studio.dialogs.export import ExportDialog
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def dialog(qtbot, open_project, session, tmp_path):
    made = make_fake_project(tmp_path / "fake")
    open_project(made.folder)
    dialog = ExportDialog(session)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.folder.setText(str(tmp_path / "out"))
    return dialog


def written(form, name, difference="2e-06"):
    path = form.targets()[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 2_500_000)
    yield ArtifactWritten(stage="export", kind="export", path=str(path))
    yield Note(stage="export", about=path.name, text=f"on 4 images the largest difference is {difference}")


def test_without_a_project_it_says_what_is_missing(qtbot, session):
    dialog = ExportDialog(session)
    qtbot.addWidget(dialog)
    assert not dialog.buttons.start.isEnabled()
    assert "baseline first" in dialog.problem.text()


def test_the_latest_model_and_the_project_s_formats_are_proposed(dialog):
    assert dialog.checkpoint.currentText() == "Round 2, student"
    assert "11 classes (camvid)" in dialog.summary.text()
    assert [name for name, tick in dialog.formats.items() if tick.isChecked()] == ["safetensors", "onnx"]
    assert dialog.buttons.start.isEnabled()


def test_files_that_the_run_has_exported_are_named(qtbot, session, open_project, dialog, tmp_path):
    """Nothing told that the ONNX file is there already, and it was written a second time under another name."""
    assert "adapted.safetensors" in dialog.written.text() and dialog.written.isVisible()
    folder = make_fake_project(tmp_path / "unfinished", until="mine").folder
    open_project(folder)
    other = ExportDialog(session)
    qtbot.addWidget(other)
    assert not other.written.text() and other.written.isHidden()


def test_a_model_that_is_stale_is_exported_only_with_a_warning(qtbot, session, dialog):
    """Labels were corrected, and the model from before was exported without a word."""
    session.opened.set_options({"adapt.learning_rate": "0.0002"})
    qtbot.waitUntil(lambda: any(stage.state == "stale" for stage in session.opened.status))
    dialog.checkpoint.setCurrentIndex(1)
    dialog.checkpoint.setCurrentIndex(0)
    assert dialog.written.text().startswith("! Round 2 is stale (") and dialog.written.property("role") == "warning"
    dialog.checkpoint.setCurrentIndex(dialog.checkpoint.findText("Baseline, student"))
    assert "stale" not in dialog.written.text()


def test_what_is_missing_disables_the_button_with_the_reason(dialog, tmp_path):
    for tick in dialog.formats.values():
        tick.setChecked(False)
    assert not dialog.buttons.start.isEnabled() and "at least one format" in dialog.problem.text()
    dialog.formats["onnx"].setChecked(True)
    assert dialog.buttons.start.isEnabled() and dialog.problem.text() == ""
    dialog.name.setText("a/b")
    assert not dialog.buttons.start.isEnabled()


def test_files_that_would_be_replaced_are_named(dialog, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "adapted.onnx").write_text("old")
    dialog.name.setText("adapted ")
    assert "Will be replaced: adapted.onnx" in dialog.problem.text()


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_files_are_replaced_only_when_asked_for(qtbot, monkeypatch, dialog, tmp_path, answer):
    asked = []

    def question(parent, title, words):
        asked.append(words)
        return QMessageBox.StandardButton[answer]

    def events(project, form, control):
        for name in form.targets():
            yield from written(form, name)
        yield StageFinished(stage="export", outcome="completed", seconds=1)

    monkeypatch.setattr(QMessageBox, "question", question)
    monkeypatch.setattr(module, "export_events", events)
    (tmp_path / "out").mkdir()
    dialog.name.setText("mine")
    (tmp_path / "out" / "mine.onnx").write_text("old")
    dialog.buttons.start.click()
    qtbot.waitUntil(lambda: not dialog.running)
    assert "mine.onnx" in asked[0]
    assert ((tmp_path / "out" / "mine.onnx").read_bytes() == b"old") == (answer == "No")


def test_a_model_is_not_written_over_itself(dialog):
    path = dialog.form.checkpoint.path
    dialog.folder.setText(str(path.parent / ".." / path.parent.name))
    dialog.name.setText(path.stem)
    assert not dialog.buttons.start.isEnabled()
    assert "holds the model itself" in dialog.problem.text()


def test_parity_stands_beside_each_format(qtbot, monkeypatch, dialog, tmp_path):
    def events(project, form, control):
        yield StageStarted(stage="export", total=2, unit="files")
        yield from written(form, "safetensors", "0")
        yield from written(form, "onnx")
        yield StageFinished(stage="export", outcome="completed", seconds=1)

    monkeypatch.setattr(module, "export_events", events)
    dialog.buttons.start.click()
    assert dialog.running and not dialog.buttons.start.isEnabled()
    qtbot.waitUntil(lambda: not dialog.running)
    assert "2 MB" in dialog.results["onnx"].text() and "difference is 2e-06" in dialog.results["onnx"].text()
    assert "Written to" in dialog.problem.text()
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    dialog.buttons.open_folder.click()
    assert opened == [QUrl.fromLocalFile(str(tmp_path / "out"))]


def test_a_failure_is_reported_in_words(qtbot, monkeypatch, dialog):
    def events(project, form, control):
        yield StageStarted(stage="export", total=2, unit="files")
        yield StageFinished(stage="export", outcome="failed", seconds=1, message="the disk is full")

    monkeypatch.setattr(module, "export_events", events)
    dialog.buttons.start.click()
    qtbot.waitUntil(lambda: not dialog.running)
    assert dialog.problem.text() == "the disk is full" and dialog.buttons.start.isEnabled()

    def refuse(project, form, control):
        raise InputError("this net cannot be written as onnx")

    monkeypatch.setattr(module, "export_events", refuse)
    dialog.buttons.start.click()
    qtbot.waitUntil(lambda: not dialog.running)
    assert dialog.problem.text() == "this net cannot be written as onnx"


def test_closing_stops_after_the_current_file(qtbot, monkeypatch, dialog, session):
    gate, controls = threading.Event(), []

    def events(project, form, control):
        controls.append(control)
        yield StageStarted(stage="export", total=2, unit="files")
        gate.wait(300)

    monkeypatch.setattr(module, "export_events", events)
    second = ExportDialog(session)
    second.show()
    second.folder.setText(dialog.folder.text())
    second.start()
    qtbot.waitUntil(lambda: bool(controls))
    assert controls[0].beside_window, "the exporter would stop the window"
    second.reject()
    assert controls[0].stopping
    second.deleteLater()
    qtbot.wait(20)
    gate.set()
    qtbot.waitUntil(lambda: session.errands.idle)


def test_the_command_goes_to_the_clipboard(dialog):
    dialog.buttons.copy_command.click()
    assert QGuiApplication.clipboard().text().startswith("crots export ")


@pytest.mark.slow
def test_a_real_model_is_written_and_compared(qtbot, session, dialog, tmp_path):
    torch = pytest.importorskip("torch")
    from crots.nets.model import create_model
    from crots.nets.weights import save_safetensors
    from crots.taxonomy import load_class_set
    from tests.studio.fake_project import SIZE

    torch.set_num_threads(1)
    model = create_model("torchvision:lraspp_mobilenet_v3_large", load_class_set("camvid"), SIZE, seed=0)
    path = session.project.stage_folder("adapt-2") / "student.safetensors"
    save_safetensors(path, model.net, model.card)
    dialog.formats["onnx"].setChecked(False)
    dialog.formats["pth"].setChecked(True)
    dialog.buttons.start.click()
    qtbot.waitUntil(lambda: not dialog.running, timeout=120_000)
    assert "Written to" in dialog.problem.text(), dialog.problem.text()
    assert "100.00% of the pixels" in dialog.results["pth"].text()
    assert {file.name for file in Path(tmp_path / "out").iterdir()} == {"model.pth", "model.safetensors"}
