"""The estimate of a run: what is timed, what is stored, what it adds up to, and that no weight depends on it."""

import functools
import json

import pytest

from crots.cli.main import main
from crots.estimate import trial as trial_module
from crots.estimate.facts import Estimate, StageEstimate, known_estimate, left_to_do, rounded
from crots.estimate.measure import estimate_stages
from crots.estimate.trial import STEPS, Stopwatch, Trial
from crots.events import Note, StageFinished
from crots.execution.context import Meter
from crots.execution.control import Control
from crots.project_status import statuses
from crots.runner import run_project
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import metrics_at, run, stop_at, student_of

pytestmark = [pytest.mark.usefixtures("one_thread")]


class Ticking:
    """A clock of which every look is a second later."""

    def __init__(self):
        self.looks = 0

    def __call__(self):
        self.looks += 1
        return float(self.looks)


def by_ticks(project, keys=None):
    return estimate_stages(project, keys or project.stage_keys(), Stopwatch(Ticking()), busy=False)


def forbid_trials(monkeypatch):
    def fail(self, key):
        raise AssertionError(f"{key} was timed again")

    monkeypatch.setattr(Trial, "estimate", fail)


@pytest.mark.parametrize("make", [world.white_box, world.black_box])
def test_every_stage_that_takes_long_is_timed_and_adds_up(tmp_path, make):
    project = make(tmp_path, data=world.with_validation(tmp_path))
    found = by_ticks(project)
    assert list(found.stages) == ["pseudo-label", "baseline", "adapt-1", "adapt-2", "evaluate"]
    # A tick a step: four steps, and besides them looks at the student.
    baseline = found.stages["baseline"]
    assert (baseline.count, baseline.seconds, baseline.unit) == (4, 1.0, "steps")
    assert baseline.extra > 0 and baseline.memory > 1e6
    assert found.of("baseline") == 4 + baseline.extra
    assert found.seconds == sum(map(found.of, found.stages))
    assert found.stages["pseudo-label"].count == 6 and found.stages["evaluate"].count == 3
    assert "up to 2 rounds" in found.summary and "4 steps of 2 images of 32x32" in found.summary


def test_tiles_are_not_called_images(tmp_path):
    project = world.white_box(tmp_path, data={"size": "none", "tile": "32x32"})
    assert "4 steps of 2 tiles of 32x32" in by_ticks(project).summary


def test_rounds_that_will_not_be_needed_take_no_time(tmp_path):
    project = world.black_box(tmp_path, data=world.with_validation(tmp_path), adapt={"stop_rounds": True})
    found = by_ticks(project)
    assert (found.of("adapt-1"), found.of("adapt-2")) == (0, 0) and found.of("baseline") > 0
    assert "round" not in found.summary and "adapt" not in found.summary
    needed = by_ticks(world.change(project, adapt__stop_rounds=False))
    assert found.of("evaluate") == needed.of("evaluate") / 2, "source and baseline, of four"


def test_rounds_that_follow_a_finished_baseline_after_all_take_time(tmp_path):
    """Of a student that started afresh, as an earlier version made it: its rounds were estimated at nothing."""
    project = world.black_box(tmp_path, data=world.with_validation(tmp_path), adapt={"stop_rounds": True})
    before = by_ticks(project)
    run(project, until="baseline")
    (project.stage_folder("baseline") / "choice.json").unlink()
    assert known_estimate(project) is None, "what was expected of the rounds holds no more"
    found = by_ticks(project)
    assert before.of("adapt-1") == 0 and found.of("adapt-1") == found.of("adapt-2") > 0


def test_a_step_is_timed_as_it_will_be_run(tmp_path, monkeypatch):
    seen = []
    original = trial_module.BaselineLearner.step

    def step(self, number, data, rate):
        seen.append((data.images.shape, self.options.batch, self.engine.precision, self.options.mix))
        return original(self, number, data, rate)

    monkeypatch.setattr(trial_module.BaselineLearner, "step", step)
    options = {"batch": 4, "crop": "16x24", "mix": "classmix"}
    project = world.white_box(tmp_path, baseline=options, runtime={"precision": "bf16"})
    by_ticks(project, ["baseline"])
    assert seen == [((4, 24, 16, 3), 4, "bf16", "classmix")] * (STEPS + 1)


def test_it_is_not_measured_twice_for_the_same_settings(tmp_path, monkeypatch):
    project = world.white_box(tmp_path)
    first = by_ticks(project)
    with monkeypatch.context() as patch:
        forbid_trials(patch)
        assert by_ticks(project) == first == known_estimate(project)
        # A seed and the number of rounds change no time of a step.
        again = by_ticks(world.change(project, runtime__seed="9", adapt__rounds="1"))
        assert list(again.stages) == ["pseudo-label", "baseline", "adapt-1"]
    timed = []
    original = Trial.estimate
    monkeypatch.setattr(Trial, "estimate", lambda self, key: timed.append(key) or original(self, key))
    changed = world.change(project, adapt__batch="4")
    assert known_estimate(changed) is None
    by_ticks(changed)
    assert timed == ["adapt-1"]


def test_a_damaged_store_is_measured_again(tmp_path):
    project = world.white_box(tmp_path)
    by_ticks(project)
    for content in ("{", "[]", '{"stages": 3}', '{"stages": {"baseline": {"made_for": 1}}}'):
        project.estimate_path.write_text(content)
        assert known_estimate(project) is None
        assert by_ticks(project).stages.keys() == {"pseudo-label", "baseline", "adapt-1", "adapt-2"}


def test_a_run_says_it_first_and_learns_the_same(tmp_path):
    silent, told = world.white_box(tmp_path / "silent"), world.white_box(tmp_path / "told")
    run(silent)
    events = run(told, measure=True)
    notes = [event for event in world.of(events, Note) if event.text.startswith("this run takes about")]
    assert [note.stage for note in notes] == ["pseudo-label"]
    for key in ("baseline", "adapt-1", "adapt-2"):
        assert student_of(silent, key) == student_of(told, key), key


def test_what_an_interrupted_run_has_done_does_not_count(tmp_path, monkeypatch):
    # Every step is told.
    monkeypatch.setattr("crots.training.loop.Meter", functools.partial(Meter, every=0.0))
    project = world.white_box(tmp_path)
    stop_at(project, metrics_at("baseline", 2))
    left = left_to_do(project, project.stage_keys(), busy=False)
    assert left == {"baseline": 2, "adapt-1": 0, "adapt-2": 0}
    found = by_ticks(project)
    assert found.of("baseline") == found.stages["baseline"].total() / 2
    events = run(project, measure=True)
    assert not [event for event in world.of(events, Note) if "pseudo-label " in event.text and "takes" in event.text]
    assert known_estimate(project) is None, "nothing is left"


def test_a_stop_while_it_is_measured_changes_nothing(tmp_path):
    project, control = world.white_box(tmp_path), Control()
    project_events = run_project(project, control=control, measure=True)
    control.stop()
    events = list(project_events)
    assert [type(event) for event in events] == [StageFinished]
    assert events[0].outcome == "cancelled" and not project.started_path("pseudo-label").exists()


def test_inputs_that_do_not_fit_a_later_stage_are_refused_before_the_first(tmp_path):
    project = world.white_box(tmp_path, baseline={"batch": 3, "accumulate": 2})
    (last,) = run(project, measure=True)
    assert (last.stage, last.outcome, last.exit_code) == ("pseudo-label", "failed", 2)
    assert "batch" in last.message
    assert not project.started_path("pseudo-label").exists()


def test_a_slow_step_is_timed_once(tmp_path, monkeypatch):
    class Slow(Ticking):
        def __call__(self):
            return super().__call__() * 100.0

    calls = []
    clock = Slow()
    project = world.white_box(tmp_path)
    watch = Stopwatch(clock)
    from crots.execution.engine import Engine

    assert watch.each(calls.append, Engine(project.config.runtime)) == 100.0
    assert calls == [0, 1]


def test_the_command_says_it_and_runs_nothing(tmp_path, capsys):
    project = world.white_box(tmp_path)
    arguments = ["run", str(project.folder), "--estimate", "--trust"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("this run takes about ")
    assert main([*arguments, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["seconds"] == pytest.approx(sum(stage["seconds"] for stage in values["stages"].values()))
    assert values["stages"]["baseline"]["text"] == "4 steps of 2 images of 32x32"
    assert {status.state for status in statuses(project)} == {"ready", "waiting"}
    assert main([*arguments, "--until", "pseudo-label", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["stages"]) == ["pseudo-label"]


def test_the_command_names_what_does_not_fit(tmp_path, capsys):
    project = world.white_box(tmp_path, baseline={"batch": 3, "accumulate": 2})
    assert main(["run", str(project.folder), "--estimate", "--trust"]) == 2
    assert "accumulate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(0.2, "1 s"), (7.4, "7 s"), (33, "35 s"), (95, "2 min"), (250, "4 min"), (3000, "50 min"), (8000, "2 h 13 min")],
)
def test_times_are_shown_as_precisely_as_they_are_known(seconds, message):
    assert rounded(seconds) == message


def test_words_name_rounds_together_and_the_card(tmp_path):
    def stage(seconds, **more):
        return StageEstimate("steps", 100, seconds, memory=2e9, **more)

    found = Estimate({"baseline": stage(6.0), "adapt-1": stage(0.6, device_memory=5e9), "adapt-2": stage(0.6)})
    assert found.summary == (
        "this run takes about 12 min, 2.0 GB of memory, 5.0 GB on the graphics card: baseline 10 min, "
        "up to 2 rounds 2 min"
    )
    assert Estimate({}).summary == ""
