"""The export form refuses what cannot work, and its log keeps the measured parity beside each file."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from crots.artefacts import CHOICE
from crots.errors import CrotsError
from crots.events import ArtifactWritten, Note, StageFinished
from crots.files import write_json
from crots.options import ExportOptions
from crots.project import Project
from crots.project_config import build_config
from crots_studio.models.exporting import (
    FORMAT_NAMES,
    FORMATS,
    SUFFIXES,
    Checkpoint,
    ExportForm,
    ExportLog,
    checkpoints,
    read_card,
)

MODEL = Checkpoint("adapt-2", "student", Path("p/adapt-2/student.safetensors"))


def form(folder, **changes):
    return ExportForm(**{"checkpoint": MODEL, "formats": ("onnx", "safetensors"), "folder": folder, **changes})


def test_latest_models_come_first(tmp_path):
    project = Project.create(tmp_path / "p", build_config({"adapt": {"rounds": 2}}))
    assert checkpoints(project) == []
    for name in ("baseline/student", "adapt-1/student", "adapt-1/teacher", "adapt-2/student"):
        path = project.folder / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    write_json(project.record_path("baseline"), {"inputs": {}})
    write_json(project.stage_folder("baseline") / CHOICE, {"problem": "has not learnt the pseudo-labels"})
    assert [checkpoint.title for checkpoint in checkpoints(project)] == [
        "Round 2, student", "Round 1, student", "Round 1, teacher",
        "Baseline, student (has not learnt the pseudo-labels)",
    ]  # fmt: skip


def test_every_format_of_the_core_has_a_description_and_a_suffix():
    assert set(FORMATS) == set(SUFFIXES) == set(FORMAT_NAMES)
    assert set(ExportOptions().formats) <= set(FORMATS)


def test_problems_are_named_in_words(tmp_path):
    (tmp_path / "file").write_text("x")
    assert form(tmp_path).problem() == ""
    assert "baseline first" in form(tmp_path, checkpoint=None).problem()
    assert "format" in form(tmp_path, formats=()).problem()
    assert "folder" in form(None).problem()
    assert "is a file" in form(tmp_path / "file").problem()
    assert "name" in form(tmp_path, name="a/b").problem()
    assert "name" in form(tmp_path, name=" ").problem()


def test_files_that_would_be_replaced_are_listed(tmp_path):
    assert form(tmp_path).existing() == []
    (tmp_path / "model.onnx").write_text("x")
    (tmp_path / "adapted.safetensors").write_text("x")
    assert form(tmp_path).existing() == [tmp_path / "model.onnx"]
    assert form(tmp_path, name="adapted").existing() == [tmp_path / "adapted.safetensors"]


def test_a_folder_is_offered_for_networks_that_came_as_one(tmp_path):
    segformer = Checkpoint("adapt-2", "student", MODEL.path, {"net": "hf:/models/segformer"})
    wanted = {"formats": ("huggingface",), "checkpoint": segformer}
    assert form(tmp_path, **wanted).problem() == ""
    compact = Checkpoint("adapt-2", "student", MODEL.path, {"net": "compact"})
    assert "compact cannot be written" in form(tmp_path, **wanted | {"checkpoint": compact}).problem()
    place = tmp_path / "model.huggingface"
    place.mkdir()
    (place / "config.json").write_text("{}")
    assert form(tmp_path, **wanted).problem() == "" and form(tmp_path, **wanted).existing() == [place]
    log = ExportLog(form(tmp_path, **wanted))
    log.take(ArtifactWritten(stage="export", kind="export", path=str(place)))
    assert (log.files[0].format, log.files[0].bytes >= 2) == ("huggingface", True)
    (place / "my notes.txt").write_text("x")
    assert "my notes.txt" in form(tmp_path, **wanted).problem()


def test_the_log_keeps_parity_with_its_file(tmp_path):
    (tmp_path / "adapted.onnx").write_bytes(b"12345")
    log = ExportLog(form(tmp_path))
    assert log.take(ArtifactWritten(stage="export", kind="export", path=str(tmp_path / "adapted.onnx")))
    assert log.take(Note(stage="export", about="adapted.onnx", text="largest difference to the network 2e-06 (logits)"))
    assert not log.take(Note(stage="export", text="something else"))
    assert log.take(Note(stage="export", about="adapted.onnx", text="only this size"))
    (file,) = log.files
    assert file.notes == ("only this size",)
    assert (file.format, file.bytes, file.parity) == ("onnx", 5, "largest difference to the network 2e-06 (logits)")


def test_a_failed_export_raises(tmp_path):
    failed = StageFinished(stage="export", outcome="failed", seconds=1, message="the disk is full")
    with pytest.raises(CrotsError, match="disk is full"):
        ExportLog(form(tmp_path)).take(failed)


def test_the_head_of_a_file_tells_net_classes_and_oracle(tmp_path):
    from safetensors.numpy import save_file

    card = {"net": "deeplabv2", "classes": {"name": "demo", "names": ["a", "b"]}, "size": [64, 48], "oracle": True}
    save_file({"w": np.zeros(2, np.float32)}, tmp_path / "m.safetensors", {"crots": json.dumps(card)})
    checkpoint = Checkpoint("adapt-1", "student", tmp_path / "m.safetensors", read_card(tmp_path / "m.safetensors"))
    assert checkpoint.title == "Round 1, student (oracle)"
    assert checkpoint.summary == "deeplabv2, 2 classes (demo), 64x48, oracle: chosen with validation labels"
    (tmp_path / "torn.safetensors").write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f{")
    assert read_card(tmp_path / "torn.safetensors") == {}
    assert read_card(tmp_path / "missing") == {}


def test_the_command_can_be_parsed_by_the_command_line(tmp_path):
    project = Project.create(tmp_path / "p", build_config({"data": {"target": str(tmp_path / "my images")}}))
    first, second = form(tmp_path / "out").command(project).split(" && ")
    assert "--format safetensors" in first and "--format onnx" in second
    assert shlex.split(second)[-4:-2] == ["--layout", "auto"]
    assert f"'{tmp_path / 'my images'}'" in first
