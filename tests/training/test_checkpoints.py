"""A checkpoint that is cut off, a stranger's or of another network: the stage begins at its start, and says so."""

import pickle

import pytest
import torch

from crots.artefacts import CHECKPOINT
from crots.errors import InputError, StageError
from crots.eventlog import EventLog
from crots.events import Note, StageStarted
from crots.execution.context import Context
from crots.training.checkpoints import DamagedError, read_checkpoint, save_checkpoint
from crots.training.loop import Training, train
from tests.stages import tiny_world as world
from tests.stages.tiny_training import learner, run, weights

pytestmark = pytest.mark.safety


class Surprise:
    def __reduce__(self):
        return print, ("run",)


def cut(path):
    path.write_bytes(path.read_bytes()[:-2000])


def emptied(path):
    path.write_bytes(b"")


def strangers(path):
    path.write_bytes(pickle.dumps(Surprise()))


def with_a_strangers_object(path):
    torch.save({"step": 2, "student": Surprise()}, path)


def rewritten(change):
    def damage(path):
        state = torch.load(path, weights_only=True)
        change(state)
        torch.save(state, path)

    return damage


def reshaped(state):
    name = next(iter(state["student"]))
    state["student"][name] = torch.zeros(3)


def momentum_of_another_net(state):
    """Gives every tensor that the optimiser keeps of a parameter another shape."""
    found = []

    def change(nest):
        for name, value in nest.items() if isinstance(nest, dict) else enumerate(nest):
            if isinstance(value, (dict, list)):
                change(value)
            elif isinstance(value, torch.Tensor) and value.dim():
                found.append(name)
                nest[name] = torch.zeros(7, 7)

    change(state["optimiser"])
    assert found


DAMAGE = {
    "cut": cut,
    "empty": emptied,
    "stranger's pickle": strangers,
    "stranger's object": with_a_strangers_object,
    "reshaped": rewritten(reshaped),
    "one weight less": rewritten(lambda state: state["student"].popitem()),
    "no optimiser": rewritten(lambda state: state.pop("optimiser")),
    "optimiser of another net": rewritten(momentum_of_another_net),
    "step is a text": rewritten(lambda state: state.update(step="2")),
    "step beyond the end": rewritten(lambda state: state.update(step=99)),
    "looks of another form": rewritten(lambda state: state.update(looks=[{"step": 1}])),
    "no place in the stream": rewritten(lambda state: state.pop("events")),
    "a list": lambda path: torch.save([1], path),
}


def begun(tmp_path, material, classes, log):
    made, context = learner(material, classes), Context("baseline", log=log)
    for event in (going := train(made, Training(tmp_path / "run", 3), context)):
        log.append(event)
        if (tmp_path / "run" / CHECKPOINT).exists():
            going.close()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_begins_the_stage_at_its_start(tmp_path, material, classes, damage, capsys):
    log = EventLog(tmp_path / "events.jsonl")
    begun(tmp_path, material, classes, log)
    damage(tmp_path / "run" / CHECKPOINT)
    made = learner(material, classes)
    events = run(tmp_path, made, context={"resume": True, "log": log})
    assert next(event for event in events if isinstance(event, StageStarted)).resumed_at == 0
    notes = [event.text for event in world.of(events, Note) if event.level == "warning"]
    assert len(notes) == 1 and CHECKPOINT in notes[0] and "the stage starts over" in notes[0]
    # What the lost part had said is taken back with it.
    assert log.path.read_text() == ""
    assert "run" not in capsys.readouterr().out
    whole = learner(material, classes)
    run(tmp_path / "whole", whole)
    assert torch.equal(weights(made.student), weights(whole.student))


def test_an_intact_checkpoint_is_resumed(tmp_path, material, classes):
    begun(tmp_path, material, classes, EventLog(tmp_path / "events.jsonl"))
    events = run(tmp_path, learner(material, classes), context={"resume": True})
    assert events[0].resumed_at == 2 and not world.of(events, Note)


def test_a_folder_in_place_of_a_checkpoint_is_named(tmp_path, material, classes):
    (tmp_path / "run" / CHECKPOINT).mkdir(parents=True)
    with pytest.raises(InputError, match=r"checkpoint\.pt: found a folder"):
        run(tmp_path, learner(material, classes), context={"resume": True})


def test_a_disk_that_does_not_answer_costs_no_checkpoint(tmp_path, material, classes, monkeypatch):
    begun(tmp_path, material, classes, EventLog(tmp_path / "events.jsonl"))

    def refuse(*_args, **_more):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(StageError, match="check its disk") as caught:
        run(tmp_path, learner(material, classes), context={"resume": True})
    assert not isinstance(caught.value, DamagedError) and (tmp_path / "run" / CHECKPOINT).exists()


def test_a_full_disk_is_reported_in_one_line_and_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before, kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, kept[1]))
        with pytest.raises(StageError, match=r"cannot write .*checkpoint\.pt: the file is too large"):
            save_checkpoint(tmp_path / CHECKPOINT, {"student": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_only_a_missing_or_unfit_file_counts_as_damaged(tmp_path, material, classes):
    with pytest.raises(DamagedError, match="is missing"):
        read_checkpoint(tmp_path / CHECKPOINT, learner(material, classes))
