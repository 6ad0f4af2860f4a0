"""What TensorBoard gets of a stream of events."""

import sys

import numpy as np
import pytest

from crots.cli.board import Board
from crots.cli.main import main
from crots.errors import InputError
from crots.events import ArtifactWritten, Evaluated, Metrics, Scored, StageFinished, StageStarted
from crots.images import write_image


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(InputError, match=r"crots-studio\[tensorboard\]"):
        Board(tmp_path)


@pytest.mark.parametrize(
    "fault",
    [
        ModuleNotFoundError("No module named 'tensorboard'"),
        # What versions of protobuf that do not fit raise.
        TypeError("Descriptors cannot be created directly.\nIf this call came from a _pb2.py file"),
    ],
)
def test_without_it_nothing_begins_and_nothing_is_replaced(tmp_path, monkeypatch, capsys, fault):
    """A run lost the events of an earlier one, and packages that do not fit were a fault of CROTS."""

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "tensorboard":
                raise fault
            return None

    for name in [name for name in sys.modules if name.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    events, folder = tmp_path / "events.jsonl", tmp_path / "demo"
    events.write_text('{"type": "run_started"}\n')
    code = main(["demo", str(folder), "--tiny", "--tensorboard", str(tmp_path / "board"), "--events", str(events)])
    told = capsys.readouterr()
    assert (code, told.out, told.err.count("\n")) == (2, "", 1)
    assert str(fault).splitlines()[0] in told.err and "crots-studio[tensorboard]" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"] and events.read_text()


def test_a_file_is_no_folder_for_it(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        Board(tmp_path / "file")


def test_curves_and_pictures_of_a_stream(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = Board(tmp_path / "board")
    board.show(StageStarted(stage="baseline", total=2))
    for step in (1, 2):
        board.show(Metrics(stage="baseline", step=step, values={"loss": 1 / step, "odd": float("nan")}))
    board.show(Scored(stage="baseline", step=2, values={"entropy": 0.5}))
    board.show(Evaluated(stage="baseline", subject="baseline", miou=0.25, per_class_iou={"a": 0.25, "b": None}))
    for number in range(9):
        path = tmp_path / "pseudo-label" / "label_color" / f"{number}.png"
        write_image(path, np.full((700, 20, 3), 20 * number, np.uint8))
    (tmp_path / "pseudo-label" / "label_color" / "torn.png").write_text("no picture")
    board.show(ArtifactWritten(stage="pseudo-label", kind="pseudo-labels", path=str(tmp_path / "pseudo-label")))
    board.show(StageFinished(stage="pseudo-label", outcome="completed", seconds=1))
    board.close()
    found = EventAccumulator(str(tmp_path / "board"))
    found.Reload()
    tags = found.Tags()
    assert set(tags["scalars"]) == {"baseline/loss", "baseline/label-free/entropy", "baseline/mIoU", "baseline/IoU/a"}
    assert [(row.step, row.value) for row in found.Scalars("baseline/loss")] == [(1, 1), (2, 0.5)]
    assert list(tags["images"]) == [f"pseudo-label/label_color/{number}" for number in (1, 2, 3, 4)]
    assert found.Images("pseudo-label/label_color/1")[0].height == 512
