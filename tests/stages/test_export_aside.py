"""Beside a window, programs are written and compared in a process of their own."""

import threading
import time

import pytest
import torch

from crots.data.datasets import open_dataset
from crots.errors import StageError, Stopped
from crots.events import ArtifactWritten, Note
from crots.execution.context import Context
from crots.execution.control import Control
from crots.images import read_image
from crots.nets.model import create_model
from crots.nets.source import load_exported
from crots.stages import export, export_aside
from crots.stages.export import ExportJob, export_model
from tests.stages import tiny_world as world


@pytest.fixture
def model(classes):
    return create_model("compact", classes, world.SIZE, seed=1)


@pytest.fixture
def pictures(images):
    return [read_image(sample.image) for sample in open_dataset(images).samples[:2]]


def exporting(model, pictures, targets, control):
    job = ExportJob(model, targets, pictures, torch.device("cpu"))
    return export_model(job, Context("export", control))


@pytest.mark.slow
def test_a_program_is_written_by_another_process_and_compared(monkeypatch, tmp_path, model, pictures):
    here = []
    written = export.export_as
    monkeypatch.setattr(export, "export_as", lambda *words, **more: here.append(words[2]) or written(*words, **more))
    codes, run = [], export_aside._run
    monkeypatch.setattr(export_aside, "_run", lambda *words: codes.append(run(*words)) or codes[-1])
    targets = {"safetensors": tmp_path / "a.safetensors", "torchscript": tmp_path / "a.pt"}
    events = list(exporting(model, pictures, targets, Control(beside_window=True)))
    assert here == ["safetensors"] and codes == [0]
    assert [event.path for event in world.of(events, ArtifactWritten)] == [str(path) for path in targets.values()]
    assert any("a.pt: on 2 images the largest difference" in event.line for event in world.of(events, Note))
    batch = torch.from_numpy(pictures[0]).permute(2, 0, 1)[None]
    with torch.no_grad():
        found = load_exported(targets["torchscript"], trust=True).logits(batch)
        assert torch.allclose(found, model.eval().logits(batch), atol=1e-4)
    assert {file.name for file in tmp_path.iterdir()} >= {"a.safetensors", "a.pt"}
    assert not list(tmp_path.glob(".*"))


def waiting(monkeypatch, code):
    """Another program in the place of ours; returns what became of it."""
    monkeypatch.setattr(export_aside, "module_command", lambda *words: [export_aside.sys.executable, "-c", code])


def test_a_stop_ends_the_other_process_at_once_and_leaves_nothing(monkeypatch, tmp_path, model, pictures):
    waiting(monkeypatch, "import sys; sys.stdin.read()")
    control, found = Control(beside_window=True), []

    def work():
        try:
            list(exporting(model, pictures, {"onnx": tmp_path / "out" / "a.onnx"}, control))
        except Stopped as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 300
    while not list(tmp_path.glob("out/.*/output.txt")) and time.monotonic() < end:
        time.sleep(0.02)
    control.stop()
    thread.join(300)
    assert found and list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [("raise ValueError('a fault')", "ended with code 1: ValueError: a fault"), ("import os; os.abort()", "killed")],
)
def test_a_process_that_breaks_off_is_an_error_in_words(monkeypatch, tmp_path, model, pictures, code, message):
    waiting(monkeypatch, code)
    with pytest.raises(StageError, match=message):
        list(exporting(model, pictures, {"onnx": tmp_path / "a.onnx"}, Control(beside_window=True)))
    assert list(tmp_path.glob("*.onnx")) == [] and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("kind", "error"),
    [("StageError", StageError), ("InputError", export_aside.InputError), ("MemoryError", MemoryError)],
)
def test_its_errors_are_raised_here_and_name_the_file_that_was_asked_for(
    monkeypatch, tmp_path, model, pictures, kind, error
):
    failing = (
        f"import json, pathlib; folder = next(pathlib.Path({str(tmp_path)!r}).glob('.*.partial'));"
        f"said = {{'kind': {kind!r}, 'message': f'{{folder / \"a.onnx\"}}: no', 'field': None}};"
        "(folder / 'report.json').write_text(json.dumps(said))"
    )
    waiting(monkeypatch, failing)
    with pytest.raises(error) as raised:
        list(exporting(model, pictures, {"onnx": tmp_path / "a.onnx"}, Control(beside_window=True)))
    assert str(raised.value) == f"{tmp_path / 'a.onnx'}: no"
