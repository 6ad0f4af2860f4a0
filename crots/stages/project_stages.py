"""The stages of a project: the generator of each key, and its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from crots.arrays import Array
from crots.artefacts import LABEL_IDS, STUDENT, TEACHER, stage_kind
from crots.data.datasets import Sample
from crots.data.tiles import in_parts, read_sample
from crots.errors import InputError
from crots.events import Evaluated, Event
from crots.execution.context import Context
from crots.execution.workers import by_first, current
from crots.methods.batch_norm import batch_norms, read_statistics, set_statistics
from crots.nets.model import Model
from crots.project import Project
from crots.stages.adapt import AdaptJob, adapt_student
from crots.stages.baseline import BaselineJob, distil_student
from crots.stages.evaluate import (
    EvaluateJob,
    Subject,
    evaluate_subjects,
    evaluated,
    predict_from_files,
    predict_with_model,
    score_model,
)
from crots.stages.export import ExportJob, export_model
from crots.stages.labellers import Predict, take_target_statistics
from crots.stages.mine import MineJob, mine_patches, written_statistics
from crots.stages.pseudo_label import LabelJob, label_images
from crots.stages.workbench import Workbench
from crots.training.budget import ROUND, TILES, few_images, for_round, scarce_classes, settled
from crots.training.label_free import LabelFreeScores, images_to_score
from crots.training.loop import Training
from crots.training.material import Material, PseudoLabels
from crots.training.patch_set import PatchCorrections, PatchSet
from crots.training.watch import Rule, Scoring, Watch
from crots.training_options import NO_ROUND, AdaptOptions, Start, TrainingOptions

Options = TypeVar("Options", bound=TrainingOptions)


def stage_events(project: Project, context: Context) -> Iterator[Event]:
    """Runs the stage ``context.stage`` of a project.

    Raises:
        InputError: its inputs do not fit.
    """
    config = project.config_of(context.stage)
    bench = Workbench(config, project.folder, project.cache_folder, context.stage)
    bench.take(context.notes)
    name = stage_kind(context.stage)
    events = STAGES[name](project, bench, context)
    if context.resume and name not in ("baseline", "adapt"):
        # Those two resume their checkpoints; the others repeat all events.
        context.rewind_run()
    return events


def run_pseudo_label(project: Project, bench: Workbench, context: Context) -> Iterator[Event]:
    """Labels the target's images."""
    # The student is first built after hours of labelling, and its name may hold a typing error.
    bench.check_student()
    job = label_job(bench, project.work_folder("pseudo-label"))
    # In a project the stages find labels by the images' keys; the published names are for other programs.
    options = dataclasses.replace(job.options, published_layout=False)
    return label_images(dataclasses.replace(job, options=options), context)


def label_job(bench: Workbench, out: Path) -> LabelJob:
    """The pseudo-label stage of a configuration."""
    options = bench.config.pseudo_label
    return LabelJob(
        dataset=bench.dataset,
        cache=bench.cache,
        labeller=bench.labeller(),
        classes=bench.classes,
        options=options,
        out=out,
        batch=1 if bench.tiling else bench.engine.batch(options.batch),
        device=bench.engine.name,
        tiling=bench.tiling,
        skip_bad=bench.config.data.skip_bad,
        notes=tuple(bench.notes),
    )


def pseudo_labels(project: Project, bench: Workbench) -> PseudoLabels:
    """The pseudo-labels of a project with the user's corrections."""
    corrections = project.corrections_path / LABEL_IDS
    return PseudoLabels.below(project.stage_folder("pseudo-label"), bench.classes, corrections)


def open_material(project: Project, bench: Workbench) -> Material:
    """The images of a project that have pseudo-labels."""
    labels = pseudo_labels(project, bench)
    samples = [sample for sample in bench.dataset.samples if (labels.labels / f"{sample.key}.png").exists()]
    if not samples:
        raise InputError(f"{labels.labels}: no pseudo-labels there; run the pseudo-label stage first")
    return Material(samples, bench.cache, labels)


def run_mine(project: Project, bench: Workbench, context: Context) -> Iterator[Event]:
    """Cuts the hard patches."""
    data = open_material(project, bench).tiled(bench.tiling)
    assert data.pseudo_labels is not None
    # In a project patches are named by the whole key: base names repeat in ordinary video folders.
    options = dataclasses.replace(bench.config.mine, keep_folders=True)
    job = MineJob(
        data.samples,
        bench.cache,
        data.pseudo_labels,
        options,
        project.work_folder("mine"),
        bench.inputs.published_rare,
    )
    return with_notes(mine_patches(job, context), bench)


def run_baseline(project: Project, bench: Workbench, context: Context) -> Iterator[Event]:
    """Distils the pseudo-labels."""
    return distil(project, bench, context, open_material(project, bench))


def distil(project: Project, bench: Workbench, context: Context, data: Material) -> Iterator[Event]:
    """Trains the student that the configuration names on the pseudo-labels of some images."""
    data = data.tiled(bench.tiling)
    student = bench.new_student()
    trained = bench.start == "trained"
    options = settle(bench, bench.config.baseline, student, len(data.samples), bench.start)
    bench.check_training(student, options, [bench.size])
    if trained:
        blend_statistics(bench, student, data, context)
    else:
        note_scarcity(bench, data)
    ends_rounds = "" if trained else NO_ROUND
    if ends_rounds and bench.config.adapt.stop_rounds and project.may_end_at_baseline:
        bench.note(f"no round follows, since {ends_rounds}")
    run = training_run(project, bench, options, context, student, data, trained=trained, ends_rounds=ends_rounds)
    return distil_student(BaselineJob(student, data, bench.engine, options, run, trained), context)


def note_scarcity(bench: Workbench, data: Material) -> None:
    """Warns of few images and of classes with few labels, where a student that starts afresh learns from them alone."""
    if few := few_images(len(data.samples), TILES if bench.tiling else "target images"):
        bench.note(few, warning=True)
    assert data.pseudo_labels is not None
    statistics = written_statistics(data.pseudo_labels, data.samples)
    if statistics and (scarce := scarce_classes(statistics.pixels.tolist(), bench.classes.names)):
        bench.note(scarce, warning=True)


def settle(
    bench: Workbench, options: Options, student: Model, images: int, start: Start, share: float = 1.0
) -> Options:
    """Computes the options of a training stage that depend on the data, with a note; see `crots.training.budget`."""
    found = settled(
        options,
        images=images,
        start=start,
        size=bench.size,
        device=bench.engine.device.type,
        multiple=student.info.multiple,
        fixed=student.info.fixed is not None,
        share=share,
    )
    if found.steps != options.steps:
        what = "tiles" if bench.tiling else "images"
        crops = f"crops of {found.crop}" if found.crop else f"whole {what}"
        bench.note(f"{found.steps} steps of {found.batch}, on {crops}, for {images} {what} and a {start} start")
    return found


def settle_round(
    bench: Workbench, options: AdaptOptions, student: Model, images: int, *, from_source: bool
) -> AdaptOptions:
    """Computes the options of a round that depend on the data and on whether its student started from the source."""
    return settle(bench, for_round(options, from_source=from_source), student, images, "trained", ROUND)


def blend_statistics(bench: Workbench, student: Model, data: Material, context: Context) -> None:
    """Gives a trained student a mean of its own and the target's batch-norm statistics."""
    share = bench.config.student.target_statistics
    if not share or not batch_norms(student):
        return
    own = read_statistics(student)
    bench.engine.place(student)
    count = take_target_statistics(student, data.images, len(data.samples), bench.engine, context.check)
    if count:
        set_statistics(student, own, read_statistics(student), share)
        what = "tiles of target images" if bench.tiling else "target images"
        bench.note(f"the student starts with {share:g} of the batch-norm statistics of {count} {what}")


def run_adapt(project: Project, bench: Workbench, context: Context) -> Iterator[Event]:
    """One round of self-distillation, from the round before or the baseline."""
    options = bench.config.adapt
    before = project.upstream(context.stage)[0]
    student = bench.load_student(project.stage_folder(before) / STUDENT)
    patches = open_patches(project, bench) if takes_patches(options, student) else None
    sizes = [bench.size]
    if patches is not None and len(patches):
        sizes.append(patches.image_size())
    elif options.patches and student.info.fixed:
        bench.note(
            f"net {student.card.net} takes images of {student.info.fixed} only, and no patches: this round "
            "trains on mixes only"
        )
    elif options.patches:
        bench.note("there are no hard patches; this round trains on mixes only", warning=True)
    data = open_material(project, bench).tiled(bench.tiling)
    options = settle_round(bench, options, student, len(data.samples), from_source=bench.inputs.starts_from_source)
    bench.check_training(student, options, sizes)
    run = training_run(project, bench, options, context, student, data, trained=True)
    if run.watch and run.watch.rule == "oracle":
        student.card = dataclasses.replace(student.card, oracle=True)
    return adapt_student(AdaptJob(student, data, patches, bench.engine, options, run), context)


def takes_patches(options: AdaptOptions, student: Model) -> bool:
    """Whether a round trains on hard patches, which are smaller than images."""
    return options.patches and student.info.fixed is None


def open_patches(project: Project, bench: Workbench) -> PatchSet:
    """The hard patches of a project with the user's corrections."""
    corrections = PatchCorrections.read(project.corrections_path)
    return PatchSet.open(project.stage_folder("mine"), bench.classes, corrections)


def training_run(
    project: Project,
    bench: Workbench,
    options: TrainingOptions,
    context: Context,
    student: Model,
    data: Material | None = None,
    *,
    trained: bool,
    ends_rounds: str = "",
) -> Training:
    """How the student of a training stage is evaluated, and which checkpoint is kept.

    Args:
        project: says where it writes.
        bench: the data on which it is evaluated.
        options: of the stage.
        context: of the stage.
        student: as the stage begins.
        data: the target's images and pseudo-labels, for label-free scores; None where there is no target.
        trained: the student is a model of these classes as the stage begins.
        ends_rounds: why no round should follow; empty if the evaluations decide.
    """
    adapting = isinstance(options, AdaptOptions)
    guard, rule = options.guarded, _rule(bench, options.selection)
    if guard and trained and not adapting:
        # A trained start has something to lose: what only cost it is not kept.
        rule = "label-free"
    score = None
    if data and (adapting or guard):
        every = options.validate_every or max(1, options.total // 10)
        images = images_to_score(options, options.total // every + 1)
        score = scored_by_first(
            lambda: LabelFreeScores(student, data, bench.engine, context, images=images, trained=trained)
        )
    validate = validator(bench, context, student, oracle=rule == "oracle") if bench.validation else None
    watch = Watch(
        context.stage, score=score, validate=validate, rule=rule, guard=guard, trained=trained, distils=not adapting
    )
    return Training(
        folder=project.work_folder(context.stage),
        seed=bench.config.runtime.seed,
        watch=watch if score or validate else None,
        notes=tuple(bench.notes),
        fallback=None if adapting else bench.source_weights,
        ends_rounds=ends_rounds,
    )


def scored_by_first(make: Callable[[], LabelFreeScores]) -> Scoring:
    """Scores on rank 0 and broadcasts the result, so that all workers decide alike."""
    workers = current()
    # Made on rank 0 alone, since making it evaluates the student; it exchanges nothing with the others.
    scores = make() if workers.first else None
    return lambda teacher: workers.from_first(lambda: scores(teacher) if scores else ({}, {}))


def _rule(bench: Workbench, select: Rule) -> Rule:
    if select == "oracle" and not bench.validation:
        bench.note("no validation labels are given, so the last checkpoint is kept", warning=True)
        return "last"
    if select == "oracle":
        bench.note("the checkpoint is chosen by validation labels (oracle)", warning=True)
    return select


def validator(bench: Workbench, context: Context, student: Model, *, oracle: bool) -> Callable[[int], Evaluated]:
    """Scores the student against the validation labels during a run, for the user to see."""
    dataset = bench.validation
    assert dataset is not None
    batch = bench.engine.batch(0)

    def validate(step: int) -> Evaluated:
        report = score_model(
            student,
            dataset,
            bench.classes,
            bench.engine,
            bench.cache,
            context,
            flip=False,
            batch=batch,
            tiles=bench.tiles(),
        )
        return evaluated(report, context.stage, context.stage, step=step, oracle=oracle)

    return validate


def run_evaluate(project: Project, bench: Workbench, context: Context) -> Iterator[Event]:
    """Scores the source, the baseline and every round on the validation images."""
    dataset = bench.validation
    if dataset is None:
        raise InputError(
            "no validation images are named; give `data.val_images` and `data.val_labels`", field="data.val_images"
        )
    options = bench.config.evaluate
    subjects = [Subject("source", partial(source_predict, bench))] if source_can_be_scored(bench) else []
    for key in project.training_keys():
        path = model_path(project, key, options.weights)
        load = partial(model_predict, bench, path, flip=options.flip)
        oracle, chosen = bench.load_student(path).card.oracle, project.choice(key)
        subjects.append(Subject(key, load, oracle=oracle, choice=hindsight(chosen) if chosen else None))
    job = EvaluateJob(
        dataset=dataset,
        classes=bench.classes,
        subjects=subjects,
        out=project.work_folder("evaluate"),
        batch=1 if bench.tiling else bench.engine.batch(options.batch),
        device=bench.engine.name,
    )
    return with_notes(evaluate_subjects(job, context), bench)


def model_path(project: Project, key: str, weights: Literal["student", "teacher"]) -> Path:
    """The file of a training stage's model: of the baseline always the student, since only a round needs a teacher."""
    return project.stage_folder(key) / (STUDENT if key == "baseline" or weights == "student" else TEACHER)


def hindsight(choice: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's choice for the report: the kept step and how good it was by labels that the choice did not read."""
    return {name: choice[name] for name in ("rule", "kept", "of", "given_up", "oracle")}


def with_notes(events: Iterator[Event], bench: Workbench) -> Iterator[Event]:
    """Puts the workbench's notes behind the first event."""
    for number, event in enumerate(events):
        yield event
        if number == 0:
            yield from bench.notes


def source_can_be_scored(bench: Workbench) -> bool:
    """Whether the source can label the validation images."""
    if not bench.config.source.predictions:
        return bench.config.source.file is not None
    assert bench.validation is not None
    if reason := bench.inputs.unscored_source:
        bench.note(reason, warning=True)
    return not reason


def source_predict(bench: Workbench) -> Predict:
    """Predicts as the source does, in the target's classes."""
    assert bench.validation is not None
    if bench.config.source.predictions:
        found = bench.predictions.lookup(bench.validation.keys, beside=bench.dataset.keys)
        return predict_from_files(found, bench.stretched)
    evaluation = bench.config.evaluate
    options = dataclasses.replace(bench.config.pseudo_label, flip=evaluation.flip, batch=evaluation.batch)
    return bench.network_labels(options).predict_with(lambda sample: bench.cache.get(sample.image))


def model_predict(bench: Workbench, path: Path, *, flip: bool) -> Predict:
    """Predicts with a model that a stage wrote."""
    model = bench.load_student(path)
    bench.engine.place(model)
    return predict_with_model(
        model,
        bench.engine,
        lambda sample: bench.cache.get(sample.image),
        flip=flip,
        tiles=bench.tiles(bench.config.evaluate.batch),
    )


def run_export(project: Project, bench: Workbench, context: Context) -> Iterator[Event]:
    """Writes the model of the last training stage for other programs."""
    options = bench.config.export
    model = bench.load_student(model_path(project, project.training_keys()[-1], options.weights))
    images = first_images(bench, open_material(project, bench).samples)
    out = project.work_folder("export")
    targets = {name: out / f"adapted.{SUFFIXES[name]}" for name in options.formats}
    job = ExportJob(model, targets, images, bench.engine.device)
    return by_first(lambda: with_notes(export_model(job, context), bench))


def first_images(bench: Workbench, samples: Sequence[Sample]) -> list[Array]:
    """The images, or tiles, on which exported files are compared with the network."""
    count = bench.config.export.images
    return [read_sample(bench.cache, sample) for sample in in_parts(samples[:count], bench.tiling)[:count]]


SUFFIXES = {
    "pth": "pth",
    "safetensors": "safetensors",
    "onnx": "onnx",
    "torchscript": "pt",
    "huggingface": "huggingface",
}
STAGES: dict[str, Callable[[Project, Workbench, Context], Iterator[Event]]] = {
    "pseudo-label": run_pseudo_label,
    "baseline": run_baseline,
    "mine": run_mine,
    "adapt": run_adapt,
    "evaluate": run_evaluate,
    "export": run_export,
}
