"""Which checkpoint a training stage keeps: chosen, averaged, gone back to."""

import json

import pytest
import torch

from crots.artefacts import STUDENT
from crots.errors import StageError
from crots.events import Metrics, Note, Scored
from crots.execution.context import Context
from crots.methods.alarms import Alarm
from crots.nets.weights import load_model
from crots.stages.adapt import AdaptLearner
from crots.training.choice import Choice
from crots.training.loop import Training, train
from crots.training.watch import Evaluation, Watch
from crots.training_options import AdaptOptions
from tests.stages import tiny_world as world
from tests.stages.tiny_training import ENGINE, FEW, learner, run, student, weights


class Told(Watch):
    """Looks that are healthy but at the steps ``bad``; at the steps ``alarms`` they raise a serious alarm."""

    def __init__(self, *, rule="label-free", guard=False, bad=(), alarms=(), mious=None, see=lambda step: None):
        super().__init__("baseline", rule=rule, guard=guard)
        self.bad, self.alarms, self.mious, self.see = bad, alarms, mious or {}, see

    def evaluate(self, step, teacher, before):
        self.see(step)
        alarms = (Alarm("broken", "it broke", serious=True),) if step in self.alarms else ()
        healthy = step not in self.bad and not alarms
        return Evaluation(step, {"agreement": 0.9}, healthy, alarms, self.mious.get(step)), [
            Scored(stage="baseline", step=step, values={"agreement": 0.9})
        ]


def kept(tmp_path, material, classes, rule="label-free", *, trained=False, **more):
    """The student that a run keeps, its students after every step looked at, and its events."""
    states = {}
    made = learner(material, classes, trained=trained, validate_every=1)
    watch = Told(rule=rule, see=lambda step: states.update({step: weights(made.student)}), **more)
    events = run(tmp_path, made, watch=watch)
    return weights(load_model(tmp_path / "run" / STUDENT, trust=True)[0]), states, events


def test_f13_the_last_checkpoint_is_kept_or_the_preferred_one(tmp_path, material, classes):
    student_kept, states, events = kept(tmp_path, material, classes, "last", bad=[4, 5, 6])
    assert torch.equal(student_kept, states[6]) and 0 not in states
    student_kept, states, events = kept(tmp_path, material, classes, bad=[2, 4, 5, 6])
    assert torch.equal(student_kept, states[3]) and not torch.equal(states[3], states[6])
    assert any("step 3 of 6" in event.text and "later ones have" in event.text for event in world.of(events, Note))
    mious = {0: 0.1, 1: 0.3, 2: 0.9, 3: 0.9, 4: 0.2, 5: 0.4, 6: 0.5}
    student_kept, states, events = kept(tmp_path, material, classes, "oracle", mious=mious)
    assert torch.equal(student_kept, states[2])
    # A run that only makes things worse changes nothing.
    student_kept, states, _ = kept(tmp_path, material, classes, bad=range(1, 7))
    assert torch.equal(student_kept, states[0])


def test_the_distance_of_the_kept_checkpoint_to_the_best_is_reported_where_labels_are(tmp_path, material, classes):
    mious = {0: 0.1, 1: 0.35, 2: 0.9, 3: 0.8, 4: 0.2, 5: 0.4, 6: 0.5}
    _, _, events = kept(tmp_path, material, classes, bad=[2, 4, 5, 6], mious=mious)
    report = json.loads((tmp_path / "run" / "choice.json").read_text())
    assert report["kept"] == 3 and report["oracle"] == {"miou": 0.8, "best_step": 2, "best_miou": 0.9}
    (said,) = [event.text for event in world.of(events, Note) if "oracle" in event.text]
    assert "80.0%" in said and "step 2, 90.0%" in said and said in report["words"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, ""),
        ({"bad": range(1, 7)}, "kept its start"),
        ({"bad": [6]}, "ended with warnings"),
        ({"guard": True, "alarms": [4]}, "stopped by an alarm"),
    ],
)
def test_a_round_reports_whether_another_would_help(tmp_path, material, classes, more, message):
    kept(tmp_path, material, classes, **more)
    ends = json.loads((tmp_path / "run" / "choice.json").read_text())["ends_rounds"]
    assert message in ends and bool(ends) == bool(message)


@pytest.mark.parametrize(
    ("steps", "given_up", "message"),
    [
        ([(0, 1.0, True), (4, 0.99, True)], "", ""),
        ([(0, 1.0, True), (4, 0.9, False)], "a class is lost", "the baseline was stopped by an alarm"),
        ([(0, 1.0, True), (4, 0.9, False)], "", "the baseline kept its start"),
        (
            [(0, 1.0, True), (2, 0.95, True), (4, 0.9, False)],
            "",
            "the baseline ended with warnings and went back to the checkpoint of step 2, which has none;",
        ),
        ([(4, 0.9, False)], "", "the baseline ended with warnings;"),
    ],
)
def test_a_baseline_ends_the_rounds_if_it_learnt_nothing_but_not_if_it_changed_little(steps, given_up, message):
    choice = Choice("label-free", 4, distils=True)
    for step, agreement, healthy in steps:
        choice.add(Evaluation(step, {"agreement": agreement}, healthy))
    choice.given_up = given_up
    ends = choice.report()["ends_rounds"]
    assert ends.startswith(message) and bool(ends) == bool(message)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [("label-free", "every later checkpoint has a warning"), ("oracle", "no later checkpoint scores")],
)
def test_why_a_stage_kept_its_start_follows_from_the_rule(rule, reason):
    choice = Choice(rule, 4)
    for step, miou in ((0, 0.9), (4, 0.5)):
        choice.add(Evaluation(step, {}, rule == "oracle" or not step, miou=miou))
    assert reason in choice.sentences()[0][0]


@pytest.mark.parametrize(
    ("kept", "best", "said"),
    [
        (0.39101, 0.39104, "mIoU 39.1% for what is kept; the best"),
        (0.391, 0.395, "the best checkpoint, step 4 before it was averaged, 39.5%"),
    ],
)
def test_the_best_checkpoint_by_labels_is_told_from_the_average_that_is_kept(kept, best, said):
    choice = Choice("label-free", 4)
    for step, miou in ((0, 0.3), (4, best)):
        choice.add(Evaluation(step, {}, miou=miou))
    choice.averaged = Evaluation(4, {}, miou=kept)
    (first, _), (second, _) = choice.sentences()
    assert first.startswith("kept the checkpoint of step 4 of 4, averaged with the start, chosen")
    assert second.endswith(said)


def test_a_stage_that_ends_the_rounds_whatever_it_learnt_does_not_if_the_source_took_its_place():
    choice = Choice("last", 4, distils=True, ends_rounds="it started afresh")
    assert choice.report()["ends_rounds"] == "it started afresh"
    choice.replaced_by = "the source"
    assert choice.report()["ends_rounds"] == ""


@pytest.mark.parametrize("rule", ["last", "label-free"])
def test_a_serious_alarm_ends_the_stage_at_the_last_healthy_checkpoint(tmp_path, material, classes, rule):
    student_kept, states, events = kept(tmp_path, material, classes, rule, guard=True, bad=[3], alarms=[4])
    assert torch.equal(student_kept, states[2]) and sorted(states) == [0, 1, 2, 3, 4]
    (said,) = [event for event in world.of(events, Note) if event.level == "warning"]
    assert "after step 4 of 6" in said.text and "step 2" in said.text and "it broke" in said.text
    report = json.loads((tmp_path / "run" / "choice.json").read_text())
    assert (report["kept"], report["given_up"], len(report["looks"])) == (2, "it broke", 5)
    assert "step 2 of 6 (it broke)" in load_model(tmp_path / "run" / STUDENT, trust=True)[0].card.note
    # Without the guard nothing of that happens.
    student_kept, states, _ = kept(tmp_path / "off", material, classes, rule, alarms=[4])
    assert torch.equal(student_kept, states[6])


def test_what_a_round_keeps_is_averaged_with_its_start_and_checked(tmp_path, material, classes):
    def go(folder, **more):
        options = {**FEW, "confidence": 0.0, "validate_every": 1, "average": 0.5}
        made = AdaptLearner(student(classes), material, None, ENGINE, AdaptOptions(**options), seed=3, stage="adapt-1")
        states = []
        watch = Told(rule="label-free", see=lambda step: states.append((step, weights(made.student))), **more)
        events = run(folder, made, watch=watch, context={})
        model, _ = load_model(folder / "run" / STUDENT, trust=True)
        report = json.loads((folder / "run" / "choice.json").read_text())
        return weights(model), states, report, model.card.note, events

    mious = {0: 0.2, 4: 0.6}
    found, states, report, note, events = go(tmp_path / "one", bad=[5, 6], mious=mious)
    (start, first), (end, last) = states[0], states[4]
    assert (start, end, states[-1][0], len(states)) == (0, 4, 4, 8)
    mean = torch.isclose(found, (first + last) / 2, atol=1e-6)
    # The integer counters of batch norm alone are the end's.
    assert mean.float().mean() > 0.9 and (found == last)[~mean].all()
    assert torch.equal(found, states[-1][1]) and not torch.equal(found, last)
    assert report["averaged"] and report["kept"] == 4 and report["oracle"]["miou"] == 0.6
    assert "averaged with the start" in report["words"] and "averaged with the start" in note
    assert [look["step"] for look in report["looks"]] == [*range(7), 4]
    # The second score of a step is announced.
    again = next(place for place, event in enumerate(events) if "scored once more" in getattr(event, "text", ""))
    assert [event.step for event in world.of(events[again:], Scored)] == [4]
    # A round that goes back to its start has nothing to average.
    found, states, report, note, _ = go(tmp_path / "two", bad=range(1, 7))
    assert torch.equal(found, states[0][1]) and not report["averaged"] and len(states) == 7


def test_without_a_healthy_evaluation_the_run_continues_and_other_weights_stand_in(tmp_path, material, classes):
    other = student(classes, seed=9)

    def go(folder, **more):
        made = learner(material, classes, validate_every=2)
        watch = Told(rule="last", guard=True, alarms=range(7))
        events = run(folder, made, watch=watch, **more)
        warned = " ".join(event.text for event in world.of(events, Note) if event.level == "warning")
        return weights(load_model(folder / "run" / STUDENT, trust=True)[0]), weights(made.student), warned

    saved, last, warned = go(tmp_path / "alone")
    assert torch.equal(saved, last) and "use the source itself" in warned
    fallback = lambda: (other.net.state_dict(), "the source (a.pth)")  # noqa: E731
    saved, _, warned = go(tmp_path / "helped", fallback=fallback)
    assert torch.equal(saved, weights(other)) and "the source (a.pth)" in warned


@pytest.mark.parametrize("trained", [False, True])
def test_a_better_checkpoint_of_before_the_interruption_is_remembered(tmp_path, material, classes, trained):
    bad = range(2, 7)
    expected, states, _ = kept(tmp_path / "whole", material, classes, trained=trained, bad=bad)
    # The last that was evaluated at this step: from a trained start, its average with that.
    assert torch.equal(expected, states[1])
    made = learner(material, classes, trained=trained, validate_every=1)
    for event in (running := train(made, Training(tmp_path / "run", 3, Told(bad=bad)), Context("baseline"))):
        if isinstance(event, Metrics) and event.step == 5:
            running.close()
    again = learner(material, classes, trained=trained, validate_every=1)
    events = run(tmp_path, again, watch=Told(bad=bad), context={"resume": True})
    assert events[0].resumed_at == 4
    assert torch.equal(weights(load_model(tmp_path / "run" / STUDENT, trust=True)[0]), expected)
    whole, resumed = ((tmp_path / name / "choice.json").read_text() for name in ("whole/run", "run"))
    assert whole == resumed and json.loads(whole)["averaged"] is trained


def test_a_loss_that_is_not_finite_goes_back_where_there_is_something_to_go_back_to(tmp_path, material, classes):
    def broken(**more):
        made = learner(material, classes, validate_every=2, batch=2)
        step = made.step
        made.step = lambda number, data, rate: {
            name: value * float("nan" if number == 4 else 1) for name, value in step(number, data, rate).items()
        }
        return run(tmp_path, made, watch=Told(rule="last", **more))

    events = broken(guard=True, bad=[0])
    assert any("NaN" in event.text and "step 2" not in event.text for event in world.of(events, Note))
    assert json.loads((tmp_path / "run" / "choice.json").read_text())["kept"] == 4
    for more in ({}, {"guard": True, "bad": range(7)}):
        with pytest.raises(StageError, match="NaN"):
            broken(**more)


@pytest.mark.parametrize(("learnt", "averaged", "ends"), [(0.93, 0.97, False), (0.97, 0.99, True)])
def test_rounds_end_by_what_was_learnt_and_not_by_its_average_with_the_start(learnt, averaged, ends):
    choice = Choice("label-free", 4)
    for step, agreement in ((0, 1.0), (4, learnt)):
        choice.add(Evaluation(step, {"agreement": agreement}))
    choice.averaged = Evaluation(4, {"agreement": averaged})
    assert bool(choice.report()["ends_rounds"]) is ends
    assert choice.kept is choice.averaged


@pytest.mark.parametrize(
    ("steps", "more", "problem", "words"),
    [
        ([(0, True), (4, True)], {}, "", ""),
        ([(0, False), (4, False)], {}, "has not learnt the pseudo-labels", "has not learnt"),
        ([(0, False), (4, False)], {"replaced_by": "the source (a.pth)"}, "learnt nothing usable", "learnt nothing"),
        ([(0, True), (4, False)], {"given_up": "it broke"}, "went back to its start", "it broke"),
        ([(0, True), (2, True), (4, False)], {"given_up": "x"}, "went back to the checkpoint of step 2", "step 2"),
        ([(0, True), (2, True), (4, False)], {}, "ended with warnings", "hardly fits"),
    ],
)
def test_what_is_wrong_with_what_is_kept_is_said_in_short_and_at_length(steps, more, problem, words):
    choice = Choice("last", 4, distils=True)
    for step, healthy in steps:
        choice.add(Evaluation(step, {"agreement": 1.0}, healthy))
    for name, value in more.items():
        setattr(choice, name, value)
    report = choice.report()
    assert report["problem"] == problem and words in report["words"]
    assert any(warning for _, warning in choice.sentences()) is bool(problem)


def test_warnings_of_the_last_checkpoint_are_repeated_where_it_is_kept():
    choice = Choice("last", 4)
    choice.add(Evaluation(2, {}))
    choice.add(Evaluation(4, {}, False, (Alarm("fit falls", "it fits less"), Alarm("vanishing: sky", "sky goes"))))
    assert choice.sentences() == [("what is kept has warnings: it fits less", True)]
