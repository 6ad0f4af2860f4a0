"""The loop of all training stages, and the two that learn fixed labels: baseline and train."""

import json

import numpy as np
import pytest
import tiny_world as world
import torch
from tiny_world import CAR, IGNORE, LIGHT, ROAD, SKY

from crots.card import ModelCard
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.layouts import open_dataset
from crots.errors import InputError, StageError, Stopped
from crots.eventlog import EventLog
from crots.events import ArtifactWritten, Metrics, Note, Progress, Scored, StageStarted
from crots.images import write_confidence, write_labels
from crots.methods.alarms import Alarm
from crots.nets.model import create_model
from crots.nets.weights import load_model
from crots.options import AdaptOptions, BaselineOptions, RuntimeOptions, TrainOptions
from crots.stages import engine as engine_module
from crots.stages.adapt import AdaptLearner
from crots.stages.balance import class_weights
from crots.stages.baseline import BaselineLearner, baseline, mirrored
from crots.stages.context import Context
from crots.stages.engine import Engine, evaluating, random_numpy, resolve_device, seed_step
from crots.stages.learner import shares
from crots.stages.material import Material, PseudoLabels
from crots.stages.order import Order
from crots.stages.scoring import LabelFreeScores
from crots.stages.train import TrainLearner, supervise
from crots.stages.training import CHECKPOINT, STUDENT, TEACHER, Training, train
from crots.stages.watching import Look, Watch

ENGINE = Engine(RuntimeOptions(device="cpu"))
FEW = {"steps": 6, "batch": 2, "log_every": 1, "checkpoint_every": 2, "learning_rate": 1e-2}


@pytest.fixture
def material(tmp_path, images, classes):
    for number in range(6):
        name = f"{world.key(number)}.png"
        write_labels(tmp_path / "out" / "label_ids" / name, world.paint(number)[1])
        write_confidence(tmp_path / "out" / "confidence" / name, np.linspace(0, 1, 32)[None].repeat(32, 0))
    labels = PseudoLabels.below(tmp_path / "out", classes)
    return Material(open_dataset(images).samples, ImageCache(None, world.SIZE, 0), labels)


def student(classes, net="tiny_nets:plain", seed=1):
    return create_model(net, classes, world.SIZE, trust=True, seed=seed)


def learner(material, classes, *, seed=3, **options):
    options = BaselineOptions(**{**FEW, **options})
    return BaselineLearner(student(classes), material, ENGINE, options, seed=seed, stage="baseline")


def weights(model):
    return torch.cat([tensor.detach().flatten().float() for tensor in model.net.state_dict().values()])


def run(tmp_path, made, **more):
    context = Context("baseline", **more.pop("context", {}))
    return list(train(made, Training(tmp_path / "run", 3, **more), context))


def test_a_run_tells_every_step_and_leaves_checkpoint_and_student(tmp_path, material, classes):
    made = learner(material, classes)
    events = run(tmp_path, made)
    start = events[0]
    assert isinstance(start, StageStarted) and (start.total, start.unit, start.resumed_at) == (6, "steps", 0)
    assert start.options["steps"] == 6
    metrics = world.of(events, Metrics)
    assert [event.step for event in metrics] == [1, 2, 3, 4, 5, 6]
    assert set(metrics[0].values) == {"cross-entropy", "learning rate"}
    assert metrics[0].values["learning rate"] == pytest.approx(1e-2) and metrics[5].values["learning rate"] < 1e-3
    assert world.of(events, Progress)[-1].done == 6
    assert [event.kind for event in world.of(events, ArtifactWritten)] == ["checkpoint", "model"]
    assert world.files_below(tmp_path / "run") == {CHECKPOINT, STUDENT}
    model, _ = load_model(tmp_path / "run" / STUDENT, trust=True)
    assert torch.equal(weights(model), weights(made.student))
    assert model.classes.names == classes.names and model.card.size == world.SIZE
    state = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    assert {"step", "seed", "student", "teacher", "optimiser", "card", "events", "looks"} <= set(state)
    assert ModelCard.from_dict(state["card"]).net == "tiny_nets:plain" and state["teacher"] is None


def test_figures_are_told_now_and_then_and_at_the_end(tmp_path, material, classes):
    events = run(tmp_path, learner(material, classes, steps=7, log_every=3))
    assert [event.step for event in world.of(events, Metrics)] == [3, 6, 7]


def test_the_loss_falls(tmp_path, material, classes):
    events = run(tmp_path, learner(material, classes, steps=40, flip=False))
    values = [event.values["cross-entropy"] for event in world.of(events, Metrics)]
    assert np.mean(values[-6:]) < 0.6 * np.mean(values[:6])


def test_seeds_decide_the_order_and_the_mirrors(tmp_path, material, classes):
    def batch(**more):
        return learner(material, classes, **more).load(0).images

    assert np.array_equal(batch(), batch())
    assert any(not np.array_equal(batch(), batch(seed=seed)) for seed in (4, 5))


def test_the_schedule_reaches_the_recorded_rate_and_the_optimiser(tmp_path, material, classes):
    # F14: a rate of zero moves nothing; with six images in batches of two an epoch has three steps.
    made = learner(material, classes, schedule="restarts", steps=100)
    assert made.rate(30) == pytest.approx(0)
    before = weights(made.student)
    moving = [name for name, _ in made.student.net.named_parameters()]
    kept = {name: tensor.clone() for name, tensor in made.student.net.named_parameters()}
    made.step(30, made.load(30), made.rate(30))
    assert all(torch.equal(kept[name], tensor) for name, tensor in made.student.net.named_parameters()) and moving
    made.step(40, made.load(40), made.rate(40))
    assert not torch.equal(before, weights(made.student))


def test_f10_the_baseline_ignores_pixels_below_min_confidence(material, classes):
    sure, every = learner(material, classes, min_confidence=0.5, flip=False), learner(material, classes, flip=False)
    labels, all_labels = sure.load(0).labels, every.load(0).labels
    assert (labels[..., :15] == IGNORE).all() and np.array_equal(labels[..., 17:], all_labels[..., 17:])
    assert not (all_labels == IGNORE).any()
    losses = [float(made.step(0, made.load(0), 0.0)["cross-entropy"]) for made in (sure, every)]
    assert losses[0] != pytest.approx(losses[1])


def test_flip_mirrors_images_with_their_labels(material, classes):
    turned = 0
    for number in range(6):
        plain, flipped = (learner(material, classes, flip=flip).load(number) for flip in (False, True))
        for index in range(2):
            coin = not np.array_equal(plain.images[index], flipped.images[index])
            turned += coin
            for before, after in zip(plain, flipped, strict=True):
                expected = before[index][:, ::-1] if coin else before[index]
                assert np.array_equal(after[index], expected)
    assert 0 < turned < 12
    assert mirrored(np.arange(4).reshape(2, 1, 2), np.array([True, False])).tolist() == [[[1, 0]], [[2, 3]]]


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_gives_the_loss_of_the_whole_batch(material, classes, parts):
    found = {}
    for accumulate in (1, parts):
        made = learner(material, classes, batch=4, accumulate=accumulate, flip=False)
        made.student.train = lambda mode=True, model=made.student: type(model).train(model, False)
        made.student.eval()
        data = made.load(0)
        data.labels[0], data.labels[1, :20] = IGNORE, IGNORE
        found[accumulate] = float(made.step(0, data, 1e-2)["cross-entropy"]), weights(made.student)
    assert found[parts][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[parts][1], found[1][1], atol=1e-5)


def test_shares_of_parts():
    labels = torch.zeros(4, 2, 2, dtype=torch.long)
    labels[0], labels[1, 0] = IGNORE, IGNORE
    assert shares(labels, 2, IGNORE).tolist() == pytest.approx([0.2, 0.8])
    assert shares(labels, 2, IGNORE, by_image=True).tolist() == [0.5, 0.5]
    assert shares(torch.full_like(labels, IGNORE), 4, IGNORE).tolist() == [0.0] * 4


def test_balance_weighs_rare_classes_more(material, classes):
    counts = np.array([900, 90, 10, 0])
    assert np.allclose(class_weights(counts, 0.0), 1)
    inverse = class_weights(counts, 1.0)
    assert np.allclose(inverse[:3] * counts[:3], inverse[0] * counts[0]) and inverse[3] == inverse[2]
    assert (class_weights(counts, 0.5) * counts).sum() == pytest.approx(counts.sum())
    assert np.isfinite(class_weights(np.zeros(4, int), 0.5)).all()
    plain, balanced = learner(material, classes), learner(material, classes, balance=1.0)
    figures = [float(made.step(0, made.load(0), 0.0)["cross-entropy"]) for made in (plain, balanced)]
    assert figures[0] != pytest.approx(figures[1])
    truths = np.stack([world.paint(number)[1] for number in range(6)])
    weighed = balanced.class_weights
    assert weighed[LIGHT] > weighed[CAR] > weighed[SKY]
    assert float(weighed[torch.from_numpy(truths.astype(np.int64))].mean()) == pytest.approx(1, rel=1e-4)


def test_rare_crops_show_the_rare_class(material, classes):
    def share(**options):
        made = learner(material, classes, crop=Size(8, 8), scale=1.5, flip=False, **options)
        return np.mean([(made.load(step).labels == LIGHT).any(axis=(1, 2)).mean() for step in range(20)])

    assert share(rare_crops=1.0) > 0.3 > 0.15 > share()


def test_rare_crops_need_crops(material, classes):
    made, plain = learner(material, classes, rare_crops=1.0), learner(material, classes)
    assert np.array_equal(made.load(0).images, plain.load(0).images)


def test_class_precision_leaves_out_the_least_sure_pixels_of_each_class(material, classes):
    # Confidence grows from left to right, 0 to 1: the upper half of the pixels has a mean of 0.75.
    taught = learner(material, classes, class_precision=0.75, flip=False).read_labels(range(6))
    truths = material.labels(range(6))
    for number in (ROAD, SKY):
        kept = (taught == number).sum() / (truths == number).sum()
        assert kept == pytest.approx(0.5, abs=0.06)
    assert (taught[..., :12] == IGNORE).mean() > 0.9 and ((taught == truths) | (taught == IGNORE)).all()
    floor = learner(material, classes, class_precision=0.75, min_confidence=0.9, flip=False).read_labels(range(6))
    assert (floor[..., :28] == IGNORE).all() and (floor[..., 29:] == truths[..., 29:]).all()


class Told(Watch):
    """Looks that are healthy but at the steps ``bad``; at the steps ``alarms`` they raise a serious alarm."""

    def __init__(self, *, rule="label-free", guard=False, bad=(), alarms=(), mious=None, see=lambda step: None):
        super().__init__("baseline", rule=rule, guard=guard)
        self.bad, self.alarms, self.mious, self.see = bad, alarms, mious or {}, see

    def look(self, step, teacher, before):
        self.see(step)
        alarms = (Alarm("broken", "it broke", serious=True),) if step in self.alarms else ()
        healthy = step not in self.bad and not alarms
        return Look(step, {"agreement": 0.9}, healthy, alarms, self.mious.get(step)), [
            Scored(stage="baseline", step=step, values={"agreement": 0.9})
        ]


def kept(tmp_path, material, classes, rule="label-free", **more):
    """The student that a run keeps, its students after every step looked at, and its events."""
    states = {}
    made = learner(material, classes, validate_every=1)
    watch = Told(rule=rule, see=lambda step: states.update({step: weights(made.student)}), **more)
    events = run(tmp_path, made, watch=watch)
    return weights(load_model(tmp_path / "run" / STUDENT, trust=True)[0]), states, events


def test_f13_the_last_checkpoint_is_kept_or_the_preferred_one(tmp_path, material, classes):
    student_kept, states, events = kept(tmp_path, material, classes, "last", bad=[4, 5, 6])
    assert torch.equal(student_kept, states[6]) and 0 not in states
    student_kept, states, events = kept(tmp_path, material, classes, bad=[2, 4, 5, 6])
    assert torch.equal(student_kept, states[3]) and not torch.equal(states[3], states[6])
    assert any("step 3" in event.text for event in world.of(events, Note))
    mious = {0: 0.1, 1: 0.3, 2: 0.9, 3: 0.9, 4: 0.2, 5: 0.4, 6: 0.5}
    student_kept, states, events = kept(tmp_path, material, classes, "oracle", mious=mious)
    assert torch.equal(student_kept, states[2])
    # A run that only makes things worse changes nothing.
    student_kept, states, _ = kept(tmp_path, material, classes, bad=range(1, 7))
    assert torch.equal(student_kept, states[0])


def test_how_far_the_kept_checkpoint_is_from_the_best_is_told_where_labels_are(tmp_path, material, classes):
    mious = {0: 0.1, 1: 0.35, 2: 0.9, 3: 0.8, 4: 0.2, 5: 0.4, 6: 0.5}
    _, _, events = kept(tmp_path, material, classes, bad=[2, 4, 5, 6], mious=mious)
    report = json.loads((tmp_path / "run" / "choice.json").read_text())
    assert report["kept"] == 3 and report["oracle"] == {"miou": 0.8, "best_step": 2, "best_miou": 0.9}
    (said,) = [event.text for event in world.of(events, Note) if "oracle" in event.text]
    assert "80.0%" in said and "step 2, 90.0%" in said and said in report["words"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ""),
        ({"bad": range(1, 7)}, "kept its start"),
        ({"bad": [6]}, "ended with warnings"),
        ({"guard": True, "alarms": [4]}, "stopped by an alarm"),
    ],
)
def test_a_round_says_whether_another_is_of_use(tmp_path, material, classes, more, words):
    kept(tmp_path, material, classes, **more)
    ends = json.loads((tmp_path / "run" / "choice.json").read_text())["ends_rounds"]
    assert words in ends and bool(ends) == bool(words)


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


def test_what_a_round_keeps_is_averaged_with_its_start_and_looked_at(tmp_path, material, classes):
    def go(folder, **more):
        options = {**FEW, "confidence": 0.0, "anchor": 0.0, "validate_every": 1, "average": 0.5}
        made = AdaptLearner(student(classes), material, None, ENGINE, AdaptOptions(**options), seed=3, stage="adapt-1")
        states = []
        watch = Told(rule="label-free", see=lambda step: states.append((step, weights(made.student))), **more)
        events = run(folder, made, watch=watch, context={})
        model, _ = load_model(folder / "run" / STUDENT, trust=True)
        report = json.loads((folder / "run" / "choice.json").read_text())
        return weights(model), states, report, model.card.note, events

    mious = {0: 0.2, 4: 0.6}
    found, states, report, note, _ = go(tmp_path / "one", bad=[5, 6], mious=mious)
    (start, first), (end, last) = states[0], states[4]
    assert (start, end, states[-1][0], len(states)) == (0, 4, 4, 8)
    mean = torch.isclose(found, (first + last) / 2, atol=1e-6)
    # The integer counters of batch norm alone are the end's.
    assert mean.float().mean() > 0.9 and (found == last)[~mean].all()
    assert torch.equal(found, states[-1][1]) and not torch.equal(found, last)
    assert report["averaged"] and report["kept"] == 4 and report["oracle"]["miou"] == 0.6
    assert "averaged with the start" in report["words"] and "averaged with the start" in note
    # A round that goes back to its start has nothing to average.
    found, states, report, note, _ = go(tmp_path / "two", bad=range(1, 7))
    assert torch.equal(found, states[0][1]) and not report["averaged"] and len(states) == 7


def test_without_any_healthy_look_the_run_goes_on_and_other_weights_stand_in(tmp_path, material, classes):
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


def test_a_better_checkpoint_of_before_the_interruption_is_remembered(tmp_path, material, classes):
    bad = range(2, 7)
    expected, states, _ = kept(tmp_path / "whole", material, classes, bad=bad)
    assert torch.equal(expected, states[1])
    made = learner(material, classes, validate_every=1)
    for event in (running := train(made, Training(tmp_path / "run", 3, Told(bad=bad)), Context("baseline"))):
        if isinstance(event, Metrics) and event.step == 5:
            running.close()
    again = learner(material, classes, validate_every=1)
    events = run(tmp_path, again, watch=Told(bad=bad), context={"resume": True})
    assert events[0].resumed_at == 4
    assert torch.equal(weights(load_model(tmp_path / "run" / STUDENT, trust=True)[0]), expected)
    whole, resumed = ((tmp_path / name / "choice.json").read_text() for name in ("whole/run", "run"))
    assert whole == resumed


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


def test_resuming_restores_weights_moments_and_rate_to_the_bit(tmp_path, images, material, classes):
    def fresh():
        options = AdaptOptions(
            **{**FEW, "confidence": 0.0, "anchor": 0.0, "teacher_buffers": False, "checkpoint_every": 3}
        )
        return AdaptLearner(student(classes), material, None, ENGINE, options, seed=3, stage="adapt-1")

    whole = fresh()
    list(train(whole, Training(tmp_path / "whole", 3), Context("adapt-1")))
    running = train(fresh(), Training(tmp_path / "run", 3), Context("adapt-1"))
    for event in running:
        if isinstance(event, Metrics) and event.step == 4:
            running.close()
    events = list(train(fresh(), Training(tmp_path / "run", 3), Context("adapt-1", resume=True)))
    assert events[0].resumed_at == 3
    for name in (STUDENT, TEACHER):
        assert world.weights_of(tmp_path / "run" / name) == world.weights_of(tmp_path / "whole" / name)
    states = [torch.load(tmp_path / name / CHECKPOINT, weights_only=True)["optimiser"] for name in ("run", "whole")]
    for ours, theirs in zip(*(state["adam"]["state"].values() for state in states), strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_a_run_that_does_not_resume_clears_what_was_there(tmp_path, material, classes):
    run(tmp_path, learner(material, classes))
    (tmp_path / "run" / TEACHER).write_bytes(b"of another run")
    running = train(learner(material, classes), Training(tmp_path / "run", 3), Context("baseline"))
    assert next(running).resumed_at == 0
    assert world.files_below(tmp_path / "run") == set()
    running.close()


def test_resuming_takes_back_the_events_after_the_checkpoint(tmp_path, material, classes):
    log = EventLog(tmp_path / "events.jsonl")

    def go(until, **more):
        context = Context("baseline", log=log, **more)
        for event in (running := train(learner(material, classes), Training(tmp_path / "run", 3), context)):
            log.append(event)
            if isinstance(event, Metrics) and event.step == until:
                running.close()

    go(3)
    log.append(Note(stage="mine", text="of another stage"))
    go(99, resume=True)
    lines = log.path.read_text().splitlines()
    assert sum('"Metrics"' in line for line in lines) == 6 and sum("of another stage" in line for line in lines) == 1


def test_a_disk_that_is_full_at_a_checkpoint_keeps_the_last_one(tmp_path, material, classes, monkeypatch):
    original, calls = torch.save, []

    def save(state, path):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        original(state, path)

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(StageError, match="disk is full"):
        run(tmp_path, learner(material, classes))
    assert world.files_below(tmp_path / "run") == {CHECKPOINT}
    assert torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"] == 2


def test_full_precision_is_not_needed_on_the_cpu(tmp_path, material, classes):
    half = Engine(RuntimeOptions(device="cpu", precision="bf16"))
    options = BaselineOptions(**FEW)
    made = BaselineLearner(student(classes), material, half, options, seed=3, stage="baseline")
    events = run(tmp_path, made)
    assert np.isfinite([event.values["cross-entropy"] for event in world.of(events, Metrics)]).all()
    assert all(tensor.dtype == torch.float32 for tensor in made.student.net.parameters())


@pytest.mark.parametrize(("amx", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_on_processors_that_multiply_it_in_tiles(monkeypatch, amx, precision):
    monkeypatch.setattr(engine_module, "has_amx", lambda: amx)
    assert Engine(RuntimeOptions(device="cpu")).precision == precision
    assert Engine(RuntimeOptions(device="cpu", precision="fp32")).precision == "fp32"


def test_channels_last_changes_no_figure(tmp_path, material, classes):
    figures = []
    for channels_last in (True, False):
        engine = Engine(RuntimeOptions(device="cpu", channels_last=channels_last))
        made = BaselineLearner(student(classes), material, engine, BaselineOptions(**FEW), seed=3, stage="baseline")
        assert made.student.net.conv2.weight.is_contiguous(memory_format=torch.channels_last) is channels_last
        figures.append(float(made.step(0, made.load(0), 0.0)["cross-entropy"]))
    assert figures[0] == pytest.approx(figures[1], rel=1e-5)


def test_labels_of_another_size_are_refused(tmp_path, material, classes):
    write_labels(tmp_path / "out" / "label_ids" / f"{world.key(0)}.png", np.zeros((16, 24), np.uint8))
    with pytest.raises(InputError, match="24x16 pixels, expected the working size 32x32"):
        run(tmp_path, learner(material, classes))


def test_the_baseline_as_a_stage(tmp_path, material, classes):
    options = BaselineOptions(**FEW)
    made = student(classes)
    events = list(baseline(made, material, ENGINE, options, Training(tmp_path / "run", 3), Context("baseline")))
    assert world.of(events, ArtifactWritten) and (tmp_path / "run" / STUDENT).exists()


def labelled_dataset(tmp_path, size=world.SIZE):
    images = world.write_images(tmp_path / "labelled" / "images", size=size)
    return open_dataset(images, layout="folder", labels=world.write_truth(tmp_path / "labelled" / "labels", size=size))


def trained(tmp_path, classes, size=world.SIZE, **options):
    dataset = labelled_dataset(tmp_path, size)
    cache = ImageCache(None, world.SIZE, 0)
    options = TrainOptions(**{**FEW, **options})
    return TrainLearner(student(classes), dataset, cache, ENGINE, options, seed=3, stage="train")


def test_train_learns_ground_truth_at_working_size(tmp_path, classes):
    made = trained(tmp_path, classes, size=world.Size(64, 48), flip=False)
    data = made.load(0)
    assert data.images.shape == (2, 32, 32, 3) and data.labels.shape == (2, 32, 32)
    assert set(np.unique(data.labels)) <= {0, 1, 2, 3}
    first = [float(made.step(number, made.load(number), 1e-2)["cross-entropy"]) for number in range(30)]
    assert np.mean(first[-5:]) < 0.6 * np.mean(first[:5])


def test_train_mirrors_and_jitters(tmp_path, classes):
    plain, flipped = (trained(tmp_path, classes, flip=flip) for flip in (False, True))
    differ = [not np.array_equal(plain.load(n).labels, flipped.load(n).labels) for n in range(6)]
    assert any(differ)
    losses = [float(trained(tmp_path, classes, jitter=jitter).step(0, trained(tmp_path, classes).load(0), 0.0)
                    ["cross-entropy"]) for jitter in (0.0, 1.0)]  # fmt: skip
    assert losses[0] != pytest.approx(losses[1])


def test_crops_and_their_scale_reach_baseline_and_train(tmp_path, material, classes):
    def made(**options):
        return learner(material, classes, **options), trained(tmp_path, classes, **options)

    crop = Size(16, 8)
    for whole, cut, scaled in zip(made(), made(crop=crop), made(crop=crop, scale=2.0), strict=True):
        assert whole.load(0).images.shape[1:3] == (32, 32)
        assert cut.load(0).images.shape[1:3] == cut.load(0).labels.shape[1:] == (8, 16)
        assert not np.array_equal(cut.load(0).images, scaled.load(0).images)
        assert not np.array_equal(cut.load(0).images, cut.load(len(material.samples)).images)
        assert np.isfinite(float(cut.step(0, cut.load(0), 1e-2)["cross-entropy"]))
    # Scale alone enlarges parts to the working size.
    assert learner(material, classes, scale=2.0).load(0).images.shape[1:3] == (32, 32)


def test_jitter_reaches_the_baseline(material, classes):
    data = learner(material, classes).load(0)
    losses = [float(learner(material, classes, jitter=chance).step(0, data, 0.0)["cross-entropy"]) for chance in (0, 1)]
    assert losses[0] != pytest.approx(losses[1])


def test_train_needs_labels(tmp_path, images, classes):
    cache = ImageCache(None, world.SIZE, 0)
    with pytest.raises(InputError, match="no labels found for its 6 images"):
        list(supervise(student(classes), open_dataset(images), cache, ENGINE, TrainOptions(**FEW),
                       Training(tmp_path / "run", 0), Context("train")))  # fmt: skip


def test_train_as_a_stage(tmp_path, classes):
    events = list(
        supervise(student(classes), labelled_dataset(tmp_path), ImageCache(None, world.SIZE, 0), ENGINE,
                  TrainOptions(**FEW), Training(tmp_path / "run", 0), Context("train"))
    )  # fmt: skip
    assert [event.step for event in world.of(events, Metrics)] == [1, 2, 3, 4, 5, 6]


def test_orders_run_over_epochs_without_gaps():
    order = Order(5, 3, seed=0, stage="baseline")
    stream = [index for step in range(10) for index in order.batch(step)]
    assert all(sorted(stream[first : first + 5]) == list(range(5)) for first in range(0, 30, 5))
    assert Order(1, 4, seed=0, stage="x").batch(7) == [0, 0, 0, 0]
    first, second = (Order(50, 10, seed=0, stage=stage).batch(0) for stage in ("a", "b"))
    assert first != second


def test_draws_depend_on_seed_stage_step_and_purpose():
    base = random_numpy(1, "adapt-1", 5, "mix").random()
    others = [(2, "adapt-1", 5, "mix"), (1, "adapt-2", 5, "mix"), (1, "adapt-1", 6, "mix"), (1, "adapt-1", 5, "flip")]
    assert base == random_numpy(1, "adapt-1", 5, "mix").random()
    assert len({base, *(random_numpy(*key).random() for key in others)}) == 5
    seed_step(1, "adapt-1", 5)
    first = torch.rand(1)
    seed_step(1, "adapt-1", 5)
    assert torch.equal(first, torch.rand(1))
    # Dropout falls differently on each worker's images.
    seed_step(1, "adapt-1", 5, rank=1)
    assert not torch.equal(first, torch.rand(1))


def test_devices_that_are_not_there_are_refused():
    assert resolve_device("cpu").type == "cpu"
    for name in ("gpu", "cuda:x", "tpu:0"):
        with pytest.raises(InputError, match="expected auto, cpu, cuda"):
            resolve_device(name)
    with pytest.raises(InputError, match="--device cpu"):
        resolve_device("cuda:63")
    with pytest.raises(InputError, match="fp16 needs CUDA"):
        Engine(RuntimeOptions(device="cpu", precision="fp16"))


def test_evaluating_restores_the_mode_of_every_layer(classes):
    model = student(classes).train()
    model.net.bn1.eval()
    with evaluating(model):
        assert not any(child.training for child in model.modules())
    assert model.net.bn2.training and not model.net.bn1.training


def label_free_scores(model, images, context, labels=None, **more):
    data = Material(open_dataset(images).samples, ImageCache(None, world.SIZE, 0), labels)
    return LabelFreeScores(model, data, ENGINE, context, **more)


def test_a_stop_ends_label_free_scores_within_a_batch(images, classes):
    model = student(classes, "tiny_nets:colour").train()
    context = Context("adapt-1")
    scores = label_free_scores(model, images, context)
    batches = []
    model.net.register_forward_hook(lambda *_: (batches.append(1), context.control.stop())[0])
    with pytest.raises(Stopped):
        scores()
    # The images themselves, and three more views of them.
    assert len(batches) == 4 and model.training
    with pytest.raises(Stopped):
        label_free_scores(model, images, context)


def test_label_free_scores_warn_of_a_class_that_vanishes(images, classes):
    model = student(classes, "tiny_nets:colour")
    before = torch.get_rng_state()
    watch = Watch("adapt-1", score=label_free_scores(model, images, Context("adapt-1")))
    first, events = watch.look(0, None, [])
    assert torch.equal(before, torch.get_rng_state())
    assert len(events) == 1 and events[0].values["classes kept"] == 1.0
    with torch.no_grad():
        model.net.head.bias[CAR] = -1e3
    lost, events = watch.look(1, None, [first])
    assert any("car is vanishing" in event.text and event.level == "warning" for event in world.of(events, Note))
    assert not world.of(watch.look(2, None, [first, lost])[1], Note), "said once"
    assert first.healthy and not lost.healthy
