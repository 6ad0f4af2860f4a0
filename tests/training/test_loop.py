"""The loop of all training stages, and the baseline, which learns fixed labels."""

import numpy as np
import pytest
import torch

from crots.artefacts import CHECKPOINT, STUDENT, TEACHER
from crots.card import ModelCard
from crots.errors import InputError, StageError
from crots.eventlog import EventLog
from crots.events import ArtifactWritten, Metrics, Note, Progress, StageStarted
from crots.execution.context import Context
from crots.execution.device import resolve_device
from crots.execution.draws import random_numpy, seed_step
from crots.execution.engine import Engine, evaluating
from crots.label_files import write_labels
from crots.nets.weights import load_model
from crots.options import RuntimeOptions
from crots.stages.adapt import AdaptJob, AdaptLearner, adapt_student
from crots.stages.baseline import BaselineJob, BaselineLearner, distil_student
from crots.training.balance import class_weights
from crots.training.learner import shares
from crots.training.loop import Training, train
from crots.training.order import Order
from crots.training.supervised import mirrored
from crots.training_options import AdaptOptions, BaselineOptions
from tests.stages import tiny_world as world
from tests.stages.tiny_training import ENGINE, FEW, learner, run, student, weights
from tests.stages.tiny_world import CAR, IGNORE, LIGHT, SKY


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
    assert ModelCard.from_dict(state["card"]).net == "tests.stages.tiny_nets:plain" and state["teacher"] is None


def test_figures_are_reported_now_and_then_and_at_the_end(tmp_path, material, classes):
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
            for before, after in zip(plain[:2], flipped[:2], strict=True):
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
    counts = np.array([450, 350, 200, 0])
    assert np.allclose(class_weights(counts, 0.0), 1)
    inverse = class_weights(counts, 1.0)
    assert np.allclose(inverse[:3] * counts[:3], inverse[0] * counts[0]) and inverse[3] == inverse[2]
    assert (class_weights(counts, 0.5) * counts).sum() == pytest.approx(counts.sum())
    assert np.isfinite(class_weights(np.zeros(4, int), 0.5)).all()
    plain, balanced = learner(material, classes), learner(material, classes, balance=0.5)
    figures = [float(made.step(0, made.load(0), 0.0)["cross-entropy"]) for made in (plain, balanced)]
    assert figures[0] != pytest.approx(figures[1])
    truths = np.stack([world.paint(number)[1] for number in range(6)])
    weighed = balanced.class_weights
    assert weighed[LIGHT] > weighed[CAR] > weighed[SKY]
    assert float(weighed[torch.from_numpy(truths.astype(np.int64))].mean()) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(("confidence", "keep_share"), [(0.0, 0.0), (0.9, 0.5)])
def test_resuming_restores_all_to_the_bit(tmp_path, images, material, classes, confidence, keep_share):
    def fresh():
        kept = {"confidence": confidence, "keep_share": keep_share}
        options = AdaptOptions(**{**FEW, **kept, "teacher_buffers": False, "checkpoint_every": 3})
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
    thresholds = [
        torch.load(tmp_path / name / CHECKPOINT, weights_only=True)["thresholds"] for name in ("run", "whole")
    ]
    assert torch.equal(*thresholds)
    assert (thresholds[0].min() < confidence) == (keep_share > 0), (
        "they are of the round's start, not of the resumed student"
    )


def test_a_round_that_learns_nothing_says_so(tmp_path, material, classes):
    for confidence, expected in ((1.0, True), (0.0, False)):
        options = AdaptOptions(**{**FEW, "confidence": confidence, "keep_share": 0.0})
        run_of = Training(tmp_path / f"{confidence}", 3)
        job = AdaptJob(student(classes), material, None, ENGINE, options, run_of)
        warned = [event.text for event in world.of(list(adapt_student(job, Context("adapt-1"))), Note)]
        assert any("learnt nothing" in text for text in warned) is expected
    # All steps of this one were taken before it was resumed.
    again = list(adapt_student(job, Context("adapt-1", resume=True)))
    assert not any("learnt nothing" in event.text for event in world.of(again, Note))


def test_a_run_that_does_not_resume_clears_what_was_there(tmp_path, material, classes):
    run(tmp_path, learner(material, classes))
    (tmp_path / "run" / TEACHER).write_bytes(b"of another run")
    running = train(learner(material, classes), Training(tmp_path / "run", 3), Context("baseline"))
    assert next(running).resumed_at == 0
    assert world.files_below(tmp_path / "run") == set()
    running.close()


def test_resuming_removes_the_events_after_the_checkpoint(tmp_path, material, classes):
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
    options = BaselineOptions(**FEW, **world.PLAIN_LABELS)
    made = BaselineLearner(student(classes), material, half, options, seed=3, stage="baseline")
    events = run(tmp_path, made)
    assert np.isfinite([event.values["cross-entropy"] for event in world.of(events, Metrics)]).all()
    assert all(tensor.dtype == torch.float32 for tensor in made.student.net.parameters())


def test_auto_is_fp32_on_processors_where_nothing_was_measured():
    assert Engine(RuntimeOptions(device="cpu")).precision == "fp32"
    assert Engine(RuntimeOptions(device="cpu", precision="bf16")).precision == "bf16"


def test_channels_last_changes_no_figure(tmp_path, material, classes):
    figures = []
    for channels_last in (True, False):
        engine = Engine(RuntimeOptions(device="cpu", channels_last=channels_last))
        made = BaselineLearner(
            student(classes), material, engine, BaselineOptions(**FEW, **world.PLAIN_LABELS), seed=3, stage="baseline"
        )
        assert made.student.net.conv2.weight.is_contiguous(memory_format=torch.channels_last) is channels_last
        figures.append(float(made.step(0, made.load(0), 0.0)["cross-entropy"]))
    assert figures[0] == pytest.approx(figures[1], rel=1e-5)


def test_labels_of_another_size_are_refused(tmp_path, material, classes):
    write_labels(tmp_path / "out" / "label_ids" / f"{world.key(0)}.png", np.zeros((16, 24), np.uint8))
    with pytest.raises(InputError, match="24x16 pixels, expected the working size 32x32"):
        run(tmp_path, learner(material, classes))


def test_the_baseline_as_a_stage(tmp_path, material, classes):
    options = BaselineOptions(**FEW, **world.PLAIN_LABELS)
    made = student(classes)
    events = list(
        distil_student(BaselineJob(made, material, ENGINE, options, Training(tmp_path / "run", 3)), Context("baseline"))
    )
    assert world.of(events, ArtifactWritten) and (tmp_path / "run" / STUDENT).exists()


def test_jitter_reaches_the_baseline(material, classes):
    data = learner(material, classes).load(0)
    losses = [float(learner(material, classes, jitter=chance).step(0, data, 0.0)["cross-entropy"]) for chance in (0, 1)]
    assert losses[0] != pytest.approx(losses[1])


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
    with pytest.raises(InputError, match="choose cpu as"):
        resolve_device("cuda:63")
    with pytest.raises(InputError, match="fp16 needs CUDA"):
        Engine(RuntimeOptions(device="cpu", precision="fp16"))


def test_evaluating_restores_the_mode_of_every_layer(classes):
    model = student(classes).train()
    model.net.bn1.eval()
    with evaluating(model):
        assert not any(child.training for child in model.modules())
    assert model.net.bn2.training and not model.net.bn1.training
