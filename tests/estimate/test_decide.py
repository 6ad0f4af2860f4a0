"""What a run decides by measuring: precision and time budget. All times are made up; none is a real second."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crots.artefacts import stage_kind
from crots.cli.main import main
from crots.config import Duration, Size, defaults, parse, to_mapping
from crots.decisions import write_decisions
from crots.errors import InputError
from crots.estimate import decide as decide_module
from crots.estimate.decide import LEAST_STEPS, decide_options
from crots.estimate.facts import StageEstimate
from crots.estimate.trial import Trial
from crots.events import Note, StageStarted
from crots.files import digest
from crots.project import Project
from crots.project_config import override
from crots.stages.workbench import Workbench
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import metrics_at, run, states, stop_at, student_of

pytestmark = [pytest.mark.usefixtures("one_thread")]


class Times:
    """Stands in for trials: a step takes ``step`` seconds, less on crops, and ``bf16`` of that in bf16."""

    def __init__(self, monkeypatch, *, step=1.0, image=1.0, bf16=1.0, steps=1000):
        self.step, self.image, self.bf16, self.steps = step, image, bf16, steps
        self.timed = []
        times = self
        monkeypatch.setattr(Trial, "estimate", lambda trial, key: times.of(trial.project, key))

    def of(self, project, key):
        config = project.config_of(key)
        self.timed.append((key, config.runtime.precision))
        factor = self.bf16 if config.runtime.precision == "bf16" else 1.0
        if stage_kind(key) not in ("baseline", "adapt"):
            return StageEstimate("images", 6, self.image * factor, memory=1e9)
        options = getattr(config, stage_kind(key))
        whole = config.data.size
        size = options.crop or whole
        pixels = size.width * size.height
        part = pixels / (whole.width * whole.height)
        steps = options.steps or self.steps
        each = f"{options.batch} images of {size}"
        return StageEstimate("steps", steps, self.step * factor * part, 2.0, memory=1e9, each=each, pixels=pixels)


def open_project(folder, **sections):
    """A project that leaves steps and crops open."""
    base = {"data": {"size": "256x256"}, "baseline": {"steps": 0}, "adapt": {"steps": 0}, "runtime": {}}
    joined = {name: {**base.get(name, {}), **sections.get(name, {})} for name in {*base, *sections}}
    return world.white_box(folder, **joined)


def auto(**more):
    return {"precision": "auto", **more}


def chosen(project):
    return {key: project.config_of(key).runtime.precision for key in project.stage_keys()}


# Precision.


def test_bf16_is_taken_where_it_proves_faster_and_a_resumed_run_keeps_it(tmp_path, monkeypatch):
    project = world.white_box(tmp_path, runtime=auto())
    times = Times(monkeypatch, step=100.0, image=1.0, bf16=0.5)
    plan = decide_options(project, project.stage_keys(), busy=False)
    expected = {"pseudo-label": "bf16", "baseline": "bf16", "adapt-1": "bf16", "adapt-2": "bf16"}
    assert {key: value for key, value in chosen(project).items() if key in expected} == expected
    assert project.config.runtime.precision == "auto"
    assert "0.50 of the time" in plan.notes[0] and len(plan.notes) == 2
    stop_at(project, metrics_at("baseline", 2))
    # Now it would be decided otherwise, were it decided again.
    times.bf16 = 3.0
    events = run(project, measure=True)
    started = {event.stage: event for event in world.of(events, StageStarted)}
    assert started["baseline"].resumed_at == 2
    assert set(states(project).values()) == {"done"}
    assert chosen(project)["adapt-2"] == "bf16"


def test_labelling_and_training_are_decided_apart(tmp_path, monkeypatch):
    project = world.white_box(tmp_path, data=world.with_validation(tmp_path), runtime=auto())
    times = Times(monkeypatch, step=100.0, image=100.0)
    of = times.of

    def slow_labels(project, key):
        times.bf16 = 2.0 if key == "pseudo-label" else 0.5
        return of(project, key)

    times.of = slow_labels
    decide_options(project, project.stage_keys(), busy=False)
    found = chosen(project)
    assert (found["pseudo-label"], found["baseline"], found["evaluate"]) == ("fp32", "bf16", "auto")


@pytest.mark.parametrize(("precision", "used"), [("auto", "fp32"), ("bf16", "bf16")])
def test_scores_are_computed_in_fp32_unless_the_user_chose_another_precision(tmp_path, monkeypatch, precision, used):
    project = world.white_box(tmp_path, data=world.with_validation(tmp_path), runtime={"precision": precision})
    Times(monkeypatch, step=100.0, image=100.0, bf16=0.5)
    decide_options(project, project.stage_keys(), busy=False)
    for key, expected in (("evaluate", used), ("baseline", "bf16")):
        bench = Workbench(project.config_of(key), project.folder, project.cache_folder, key)
        assert bench.engine.precision == expected


@pytest.mark.parametrize(("bf16", "precision"), [(0.84, "bf16"), (0.86, "fp32"), (1.5, "fp32")])
def test_a_small_difference_is_none(tmp_path, monkeypatch, bf16, precision):
    project = world.white_box(tmp_path, runtime=auto())
    Times(monkeypatch, step=100.0, bf16=bf16)
    decide_options(project, project.stage_keys(), busy=False)
    assert chosen(project)["baseline"] == precision


def test_a_short_run_is_fp32_and_times_nothing_else(tmp_path, monkeypatch):
    project = world.white_box(tmp_path, runtime=auto())
    times = Times(monkeypatch, step=0.1, bf16=0.1)
    decide_options(project, project.stage_keys(), busy=False)
    assert {precision for _, precision in times.timed} == {"fp32"}
    assert {chosen(project)[key] for key in ("pseudo-label", "baseline", "adapt-1")} == {"fp32"}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_precision_that_is_set_is_taken_as_it_is(tmp_path, monkeypatch, precision):
    project = world.white_box(tmp_path, runtime={"precision": precision})
    times = Times(monkeypatch, step=100.0, bf16=0.1)
    decide_options(project, project.stage_keys(), busy=False)
    assert {found for _, found in times.timed} == {precision}
    assert not project.decisions_path.exists()


def test_what_was_decided_makes_no_stage_stale_and_a_change_by_hand_does(tmp_path, monkeypatch):
    project = world.white_box(tmp_path, runtime=auto(), baseline={"batch": 2})
    Times(monkeypatch, step=100.0, bf16=0.5)
    run(project, measure=True)
    assert set(states(project).values()) == {"done"}
    reopened = Project.open(project.folder)
    assert set(states(reopened).values()) == {"done"}
    assert states(world.change(project, runtime__precision="bf16"))["baseline"] == "done"
    assert states(world.change(project, runtime__precision="fp32"))["baseline"] == "stale"
    # A budget that comes later says nothing of what is done.
    assert set(states(world.change(project, runtime__time_budget="5m")).values()) == {"done"}
    assert decide_options(project, project.stage_keys(), busy=False).estimate.summary == ""


def test_stages_of_an_earlier_version_stay_done(tmp_path, monkeypatch):
    project = world.white_box(tmp_path, runtime=auto())
    run(project, until="baseline")
    assert not project.decisions_path.exists()
    Times(monkeypatch, step=100.0, bf16=0.5)
    decide_options(project, project.stage_keys(), busy=False)
    found = chosen(project)
    assert (found["pseudo-label"], found["baseline"], found["adapt-1"]) == ("auto", "auto", "bf16")
    assert states(project)["baseline"] == "done"


# The time budget.


def test_a_run_that_fits_stays_as_it_is(tmp_path, monkeypatch):
    project = open_project(tmp_path, runtime={"time_budget": "2h"})
    Times(monkeypatch, step=1.0, steps=1000)
    plan = decide_options(project, project.stage_keys(), busy=False)
    assert plan.notes == ("the run fits into the time budget of 2h as it is",)
    assert project.config_of("baseline").baseline == project.config.baseline


def test_crops_shrink_first_then_steps(tmp_path, monkeypatch):
    Times(monkeypatch, step=1.0, steps=1000)
    # 3000 steps of a second: crops of 0.55 take a quarter of it, which fits into 20 minutes.
    roomy = open_project(tmp_path / "roomy", runtime={"time_budget": "20m"})
    plan = decide_options(roomy, roomy.stage_keys(), busy=False)
    options = [roomy.config_of(key) for key in ("baseline", "adapt-1", "adapt-2")]
    assert options[0].baseline.crop == Size(128, 128) and options[0].baseline.steps == 0
    assert plan.estimate.seconds <= 1200
    tight = open_project(tmp_path / "tight", runtime={"time_budget": "5m"})
    plan = decide_options(tight, tight.stage_keys(), busy=False)
    options = [tight.config_of(key) for key in ("baseline", "adapt-1", "adapt-2")]
    assert options[0].baseline.crop == options[1].adapt.crop == Size(96, 96)
    assert 100 < options[0].baseline.steps < 1000
    assert options[0].baseline.steps == options[1].adapt.steps == options[2].adapt.steps
    assert 250 <= plan.estimate.seconds <= 300
    assert "to fit into 5m" in plan.notes[0] and "of 1000 steps" in plan.notes[0] and "96x96" in plan.notes[0]


def test_what_the_user_set_is_taken_as_it_is(tmp_path, monkeypatch):
    Times(monkeypatch, step=1.0, steps=1000)
    project = open_project(
        tmp_path, runtime={"time_budget": "10m"}, baseline={"steps": 300, "crop": "192x192"}, adapt={"crop": "256x224"}
    )
    plan = decide_options(project, project.stage_keys(), busy=False)
    assert project.config_of("baseline").baseline == project.config.baseline
    adapt = project.config_of("adapt-1").adapt
    assert adapt.crop == Size(256, 224) and 0 < adapt.steps < 1000
    assert plan.estimate.seconds <= 600


def test_a_budget_that_cannot_be_met_by_what_is_set_is_reported(tmp_path, monkeypatch):
    Times(monkeypatch, step=1.0)
    fixed = {"steps": 500, "crop": "192x192"}
    project = open_project(tmp_path, runtime={"time_budget": "3m"}, baseline=fixed, adapt=fixed)
    plan = decide_options(project, project.stage_keys(), busy=False)
    assert "more than the time budget of 3m" in plan.notes[0]
    assert project.config_of("baseline").baseline == project.config.baseline


def test_a_budget_that_is_too_small_names_the_least(tmp_path, monkeypatch, capsys):
    Times(monkeypatch, step=60.0, steps=1000)
    project = open_project(tmp_path, runtime={"time_budget": "2m"})
    with pytest.raises(InputError, match="found 2m, expected at least") as caught:
        decide_options(project, project.stage_keys(), busy=False)
    assert caught.value.field == "runtime.time_budget"
    least = caught.value.settings["runtime.time_budget"]
    assert f"expected at least {least} for" in str(caught.value)
    events = run(project)
    assert (events[-1].exit_code, states(project)["pseudo-label"]) == (2, "failed")
    assert events[-1].settings == caught.value.settings
    # What it names is enough.
    enough = world.change(project, runtime__time_budget=least)
    plan = decide_options(enough, enough.stage_keys(), busy=False)
    assert enough.config_of("baseline").baseline.steps >= LEAST_STEPS
    assert plan.estimate.seconds <= 60 * enough.config.runtime.time_budget.minutes
    assert main(["run", str(project.folder), "--trust", "--estimate"]) == 2
    assert "expected at least" in capsys.readouterr().err


def test_the_parts_of_the_least_budget_are_not_rounded_away(tmp_path, monkeypatch):
    """Two minutes that are 2 min 29 s make no sense beside a least budget of 4m."""
    Times(monkeypatch, step=9.9, steps=1000)
    project = open_project(tmp_path, runtime={"time_budget": "1m"})
    with pytest.raises(InputError, match=r"training take \d min \d\d s, all else"):
        decide_options(project, project.stage_keys(), busy=False)


class Unlike(Times):
    """A long baseline and short rounds."""

    def of(self, project, key):
        self.steps = 60 if stage_kind(key) == "adapt" else 1000
        return super().of(project, key)


def test_the_least_budget_is_enough_however_unlike_the_stages_are(tmp_path, monkeypatch):
    """The same share of all would leave the shorter ones fewer steps than the least."""
    Unlike(monkeypatch, step=10.0)
    project = open_project(tmp_path, runtime={"time_budget": "1m"})
    with pytest.raises(InputError, match=f"{LEAST_STEPS} steps of each training take") as caught:
        decide_options(project, project.stage_keys(), busy=False)
    least = str(caught.value).split("at least ")[1].split(" ")[0]
    minutes = parse(Duration, least).minutes
    for more in (0, 1, 7):
        enough = world.change(project, runtime__time_budget=f"{minutes + more}m")
        plan = decide_options(enough, enough.stage_keys(), busy=False)
        found = [enough.config_of("baseline").baseline.steps, enough.config_of("adapt-1").adapt.steps]
        assert min(found) >= LEAST_STEPS, (more, found)
        assert plan.estimate.seconds <= 60 * (minutes + more)


def small(folder):
    return open_project(
        folder, data={"size": "64x64"}, runtime={"time_budget": "10m"}, adapt={"rounds": 1}, baseline={"batch": 2}
    )


def test_a_resumed_run_keeps_its_fit_and_its_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(decide_module, "LEAST_STEPS", 4)
    times = Times(monkeypatch, step=200.0, image=0.01, steps=50)
    whole, broken = small(tmp_path / "whole"), small(tmp_path / "broken")
    run(whole)
    steps = whole.config_of("baseline").baseline.steps
    assert 4 < steps < 50
    stop_at(broken, metrics_at("baseline", 3))
    # Now other steps would be decided, for the stages that have not begun either.
    times.step = 20.0
    events = run(broken)
    assert set(states(broken).values()) == {"done"}
    started = {event.stage: event for event in world.of(events, StageStarted)}
    assert started["baseline"].resumed_at == 3 and started["baseline"].total == steps
    for key in ("baseline", "adapt-1"):
        assert getattr(broken.config_of(key), stage_kind(key)) == getattr(whole.config_of(key), stage_kind(key))
        assert student_of(broken, key) == student_of(whole, key)


def test_a_new_budget_fits_what_is_not_done_again_and_leaves_the_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(decide_module, "LEAST_STEPS", 4)
    Times(monkeypatch, step=200.0, image=0.01, steps=50)
    project = small(tmp_path)
    run(project, until="baseline")
    more = world.change(project, runtime__time_budget="12m")
    assert states(more)["pseudo-label"] == "done" and states(more)["baseline"] == "stale"
    run(more)
    assert set(states(more).values()) == {"done"}
    assert more.config_of("baseline").baseline.steps > 0


def test_the_flag_is_kept_in_the_project(tmp_path, monkeypatch, capsys):
    Times(monkeypatch, step=1.0)
    project = open_project(tmp_path)
    arguments = ["run", str(project.folder), "--trust", "--estimate", "--time-budget"]
    assert main([*arguments, "20m"]) == 0
    assert "to fit into 20m" in capsys.readouterr().out
    assert Project.open(project.folder).config.runtime.time_budget == Duration(20)
    assert main([*arguments, "60"]) == 2
    assert "90m" in capsys.readouterr().err
    assert main([*arguments, "none"]) == 0
    assert Project.open(project.folder).config.runtime.time_budget is None


def test_several_workers_cannot_have_a_budget(tmp_path, monkeypatch):
    import contextlib

    from crots import runner
    from crots.execution.workers import Workers

    class Several(Workers):
        world = 2

    @contextlib.contextmanager
    def process_group(device):
        yield Several()

    monkeypatch.setattr(runner, "process_group", process_group)
    project = open_project(tmp_path, runtime={"time_budget": "1h"})
    with pytest.raises(InputError, match="2 workers"):
        run(project)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.integers(1, 200),
    step=st.floats(0.01, 30),
    steps=st.integers(1, 3000),
    rounds=st.integers(1, 4),
    image=st.floats(0, 20),
)
def test_whatever_the_times_a_run_is_made_to_fit_or_refused(
    tmp_path_factory, monkeypatch, minutes, step, steps, rounds, image
):
    folder = tmp_path_factory.mktemp("fit")
    Times(monkeypatch, step=step, image=image, steps=steps)
    project = open_project(folder, runtime={"time_budget": f"{minutes}m"}, adapt={"rounds": rounds})
    try:
        plan = decide_options(project, project.stage_keys(), busy=False)
    except InputError as error:
        assert error.field == "runtime.time_budget"
        return
    assert plan.estimate.seconds <= 60 * minutes
    for key in ("baseline", "adapt-1"):
        found = getattr(project.config_of(key), stage_kind(key))
        assert found.steps <= steps


# Files of others.


@pytest.mark.parametrize(
    "content",
    [
        '{"stages": {"baseline": {"made_for": "x", "options": {"runtime.trust": "true"}}}}',
        '{"stages": {"baseline": {"made_for": "x", "options": {"source.file": "/etc/passwd"}}}}',
        '{"stages": {"baseline": {"made_for": "x"}}}',
        '{"stages": []}',
        "[",
    ],
)
def test_a_file_of_decisions_decides_nothing_else(tmp_path, content):
    project = world.white_box(tmp_path)
    project.decisions_path.parent.mkdir(parents=True)
    project.decisions_path.write_text(content)
    with pytest.raises(InputError, match="delete it"):
        project.config_of("baseline")


DECIDED = {"runtime.precision": "bf16"}


def decided_for(project, made_for):
    """What a stored decision, made for these options, still decides."""
    write_decisions(project.decisions_path, {"baseline": {"made_for": made_for, "options": DECIDED}})
    return project.decided("baseline")


def test_a_decision_outlives_options_that_a_version_adds_or_removes(tmp_path):
    project = world.white_box(tmp_path)
    for section in ("data", "baseline"):
        options = getattr(project.config, section)
        usual = to_mapping(defaults(type(options), project.config.profile))
        values = project.dependencies.for_decision("baseline", DECIDED)[section]
        added = next(name for name in values if values[name] == usual[name])
        made_for = project.dependencies.for_decision("baseline", DECIDED)
        made_for[section]["gone"] = 3
        del made_for[section][added]
        assert decided_for(project, made_for) == DECIDED, section
        made_for[section][added] = "other"
        assert decided_for(project, made_for) == {}, section


def test_an_option_that_a_version_adds_and_the_user_sets_makes_a_decision_void(tmp_path):
    project = world.change(world.white_box(tmp_path), baseline__clip=3.0)
    made_for = project.dependencies.for_decision("baseline", DECIDED)
    assert decided_for(project, made_for) == DECIDED
    del made_for["baseline"]["clip"]
    assert decided_for(project, made_for) == {}


def test_a_decision_of_an_earlier_version_is_known_by_its_digest(tmp_path):
    project = world.white_box(tmp_path)
    assert decided_for(project, digest(project.dependencies.for_decision("baseline", DECIDED))) == DECIDED
    assert world.change(project, baseline__clip=3.0).decided("baseline") == {}


def test_values_that_do_not_fit_are_reported(tmp_path):
    project = world.white_box(tmp_path)
    options = {"baseline.steps": "many"}
    made_for = project.dependencies.for_decision("baseline", options)
    project.decisions_path.parent.mkdir(parents=True)
    project.decisions_path.write_text(json.dumps({"stages": {"baseline": {"made_for": made_for, "options": options}}}))
    with pytest.raises(InputError, match="expected a whole number"):
        project.config_of("baseline")


def test_notes_of_a_run_say_what_was_decided(tmp_path, monkeypatch):
    monkeypatch.setattr(decide_module, "LEAST_STEPS", 4)
    Times(monkeypatch, step=200.0, image=0.01, steps=50)
    events = run(small(tmp_path), until="pseudo-label")
    assert [event for event in world.of(events, Note) if event.text.startswith("to fit into 10m")] == []
    project = small(tmp_path / "all")
    texts = [event.text for event in world.of(run(project, until="baseline"), Note)]
    assert any(text.startswith(("to fit into 10m", "the run fits")) for text in texts)
    assert override(project.config, {}) == project.config
