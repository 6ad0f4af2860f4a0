"""``crots evaluate``. Scoring predictions imports no torch."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crots import options as opt
from crots.cli.alone import Desk, add_classes, add_run, config_of
from crots.cli.command import Command, Parser
from crots.cli.flags import MODEL_FLAGS, add_net, add_options, given
from crots.cli.follow import follow_events
from crots.cli.idle import Rule, predicted, refuse_given, without_effect
from crots.cli.outputs import check_json_file
from crots.cli.terminal import say_json
from crots.config import Profile
from crots.errors import InputError
from crots.events import Evaluated, Event, Remark, noted
from crots.execution.context import Context
from crots.execution.control import Control
from crots.execution.launch import process_group
from crots.execution.workers import is_first
from crots.files import write_text
from crots.project_config import ProjectConfig

if TYPE_CHECKING:
    from crots.data.datasets import Dataset
    from crots.stages.workbench import Workbench
    from crots.taxonomy import ClassSet

# Suffixes of files of one model; only training checkpoints hold student and teacher.
_OF_ONE = (".safetensors", ".onnx", ".pt2")
_IMAGE_FLAGS = {
    "val_images": "--images", "val_labels": "--labels", "val_layout": "--layout", "val_encoding": "--encoding",
}  # fmt: skip

_PREDICTED = Rule(
    (
        *(f"source.{name}" for name in ("net", "prefix", "size", "channels", "mean", "scale", "output", "output_name")),
        *(f"data.{name}" for name in ("tile", "tile_overlap", "bands", "white")),
        *(f"evaluate.{name}" for name in ("flip", "batch", "weights")),
    ),
    predicted,
    "`source.predictions` are scored, so that no model is run",
    "give the model by `source.file` in their place",
)

_NO_IMAGES = Rule(
    ("data.val_layout",),
    lambda config, root: config.data.val_images is None,
    "there are no images that have this layout",
    "give `data.val_images`",
)


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    group = parser.add_argument_group("inputs")
    add_options(
        group, "source", opt.SourceOptions, profile, flags=MODEL_FLAGS, only=("file", "predictions", "encoding")
    )
    add_net(group)
    add_options(
        group,
        "data",
        opt.DataOptions,
        profile,
        flags=_IMAGE_FLAGS,
        only=(*_IMAGE_FLAGS, "size", "tile", "tile_overlap", "bands", "white"),
    )
    add_classes(group, profile, implied_by="the class map or the model's file")
    add_options(group, "task", opt.TaskOptions, profile, without=("classes",))
    more = parser.add_argument_group("models of other programs")
    only = ("prefix", "size", "channels", "mean", "scale", "output", "output_name")
    add_options(more, "source", opt.SourceOptions, profile, flags=MODEL_FLAGS, only=only)
    stage = parser.add_argument_group("options of the stage")
    add_options(stage, "evaluate", opt.EvaluateOptions, profile)
    add_run(parser, profile, json_file=True)


def run(args: argparse.Namespace) -> int:
    """Scores and reports."""
    from crots.opening import Inputs

    if args.json in (None, "-"):
        refuse_given(args, ("--overwrite",), "no file is written", "give --json FILE")
    config = config_of(args, rules=(_PREDICTED, _NO_IMAGES))
    _check(config)
    classes = Inputs(config, Path.cwd()).classes
    if args.json == "-" and args.events == "-":
        raise InputError("--json and --events - both write to standard output; give one of them a file")
    check_json_file(args)
    scores: list[Evaluated] = []

    def events(control: Control) -> Generator[Event, None, None]:
        import tempfile

        from crots.runner import run_stage

        with tempfile.TemporaryDirectory(prefix="crots-cache-") as cache:
            desk = Desk(config, Path(cache), "evaluate", Path())
            with process_group(config.runtime.device):
                for event in run_stage(lambda context: _events(desk, context, args), Context("evaluate", control)):
                    scores.extend([event] if isinstance(event, Evaluated) else [])
                    yield event

    code = follow_events(events, args, command="evaluate")
    if code == 0 and args.json and is_first():
        text = json.dumps(score_report(scores[-1], classes), ensure_ascii=False) + "\n"
        if args.json == "-":
            say_json(text.rstrip("\n"))
        else:
            write_text(Path(args.json), text)
    return code


def chosen_part(args: argparse.Namespace, section: str, file: Path) -> str:
    """Returns which model of a training checkpoint was asked for by ``--weights``; empty finds it.

    Args:
        args: of the command.
        section: of the option.
        file: the checkpoint.

    Raises:
        InputError: one was asked for, and the file holds one model alone.
    """
    part: str = given(args).get(section, {}).get("weights", "")
    if not file.is_dir() and file.suffix.lower() not in _OF_ONE:
        return part
    if part and part != opt.EvaluateOptions().weights:
        named = f"{section}.weights"
        raise without_effect(
            [f"`{named}`"], f"{file.name} holds one model", "give a training checkpoint, which holds both", field=named
        )
    return ""


def _check(config: ProjectConfig) -> None:
    source, data = config.source, config.data
    if bool(source.file) == bool(source.predictions):
        raise InputError("expected either --predictions DIR or --checkpoint FILE, not both")
    if source.file and data.val_images is None:
        raise InputError("--checkpoint needs the images to run on; give --images DIR")
    if data.val_labels is None and data.val_images is None:
        raise InputError("no labels are given; use --labels DIR")
    for path in filter(None, (source.file, source.predictions)):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; check the path")


def score_report(score: Evaluated, classes: ClassSet) -> dict[str, Any]:
    """Returns the scores, 0..1, under names meant for scripts; None if no class occurs."""
    from crots.methods.metrics import mean_iou

    by_name = score.per_class_iou
    subsets = {key: mean_iou([by_name[name] for name in names]) for key, names in classes.subsets.items()}
    return {
        "miou": mean_iou(list(by_name.values())),
        "per_class_iou": by_name,
        **subsets,
        "confusion": score.confusion,
        "images": score.images,
    }


def _events(desk: Desk, context: Context, args: argparse.Namespace) -> Iterator[Event]:
    if desk.config.source.predictions:
        return _score_predictions(desk, context)
    return _score_model(desk, context, args)


def _labels(desk: Desk) -> tuple[Dataset, ClassSet]:
    from crots.cli.inputs import open_labels
    from crots.data.datasets import with_labels_alone
    from crots.data.labels import resolve_encoding
    from crots.opening import Inputs, render

    data, classes = desk.config.data, Inputs(desk.config, Path.cwd()).classes
    dataset = open_labels(
        data.val_images, data.val_labels, data.val_encoding, classes, layout=data.val_layout, split="val"
    )
    dataset = with_labels_alone(dataset)
    render(dataset, data)
    return resolve_encoding(dataset, classes), classes


def _score_predictions(desk: Desk, context: Context) -> Iterator[Event]:
    from crots.opening import Inputs
    from crots.stages.evaluate import EvaluateJob, Subject, evaluate_subjects, labelled, predict_from_files

    predictions = Inputs(desk.config, Path.cwd()).predictions
    folder = desk.config.source.predictions
    assert predictions is not None and folder is not None
    dataset, classes = _labels(desk)
    # Confidence decides nothing here.
    found = dataclasses.replace(predictions, confidence_folder=None)
    found = found.lookup([sample.key for sample in labelled(dataset)])
    subject = Subject(folder.name or "predictions", lambda: predict_from_files(found, desk.config.data.size))
    return _with_notes(
        evaluate_subjects(EvaluateJob(dataset, classes, [subject]), context), dataset.notes, context.stage
    )


def _score_model(desk: Desk, context: Context, args: argparse.Namespace) -> Iterator[Event]:
    from crots.nets.reading import file_kind
    from crots.stages.project_stages import with_notes

    source, task = desk.config.source, desk.config.task
    assert source.file is not None
    is_weights = file_kind(source.file) in ("weights", "safetensors")
    if is_weights and not task.class_map and not task.source_classes:
        if source.size:
            why = "a model in the classes of the labels gets images of the working size"
            raise without_effect(["`source.size`"], why, "give `data.size`", field="source.size")
        events, bench = _own_model(desk, context, args)
    else:
        if chosen_part(args, "evaluate", source.file) not in ("", opt.EvaluateOptions().weights):
            why = f"{source.file.name} is scored as a source, of which there is one model"
            raise without_effect(["`evaluate.weights`"], why, field="evaluate.weights")
        events, bench = _foreign_model(desk, context)
    return with_notes(events, bench)


def _own_model(desk: Desk, context: Context, args: argparse.Namespace) -> tuple[Iterator[Event], Workbench]:
    """A model in the classes of the labels: its logits are up-sampled to the labels' size."""
    from crots.cli.models import open_model
    from crots.stages.evaluate import EvaluateJob, Subject, evaluate_subjects, predict_with_model

    dataset, classes = _labels(desk)
    file, options = desk.config.source.file, desk.config.evaluate
    assert file is not None
    part = chosen_part(args, "evaluate", file)
    net, classes_named = desk.config.source.net or None, desk.config.task.classes
    model, bench = open_model(desk, file, net=net, classes=classes_named, part=part, images=dataset)
    bench.note_pixels(dataset)
    engine = bench.engine
    engine.place(model)
    tiles = bench.tiles(options.batch)
    predict = predict_with_model(
        model, engine, lambda sample: bench.cache.get(sample.image), flip=options.flip, tiles=tiles
    )
    subject = Subject(file.stem, lambda: predict, oracle=model.card.oracle)
    batch = 1 if tiles else engine.batch(options.batch)
    job = EvaluateJob(dataset, classes, [subject], batch=batch, device=engine.name)
    return evaluate_subjects(job, context), bench


def _foreign_model(desk: Desk, context: Context) -> tuple[Iterator[Event], Workbench]:
    """An ONNX file, a program, or a model of other classes: scored as a source."""
    from crots.cli.models import as_made
    from crots.data.sizes import propose_size
    from crots.stages.evaluate import EvaluateJob, Subject, evaluate_subjects
    from crots.stages.project_stages import source_predict

    dataset, classes = _labels(desk)
    size = desk.config.data.size or propose_size(dataset)[0]
    bench = desk.bench(size)
    if (made := as_made(desk, bench.source.facts.card)) is not desk:
        bench = made.bench(size)
    bench.note_pixels(dataset)
    engine, file = bench.engine, desk.config.source.file
    assert file is not None
    subject = Subject(file.stem, lambda: source_predict(bench))
    batch = 1 if bench.tiling else engine.batch(desk.config.evaluate.batch)
    return evaluate_subjects(EvaluateJob(dataset, classes, [subject], batch=batch, device=engine.name), context), bench


def _with_notes(events: Iterator[Event], notes: tuple[Remark, ...], stage: str) -> Iterator[Event]:
    for number, event in enumerate(events):
        yield event
        if number == 0:
            yield from (noted(stage, note) for note in notes)


COMMAND = Command(
    name="evaluate",
    about="Scores predictions or a model against labels: IoU of each class as the official Cityscapes evaluation "
    "counts it, and the mean.\n--json FILE writes miou, per_class_iou, the means over subsets (miou16, miou13), "
    "confusion and images; scores there are 0..1.",
    example="crots evaluate --predictions out/label_ids --labels val/labels --classes cityscapes --json scores.json\n"
    "crots evaluate --checkpoint adapted/student.safetensors --images val/images --labels val/labels "
    "--classes camvid --flip",
    configure=configure,
    run=run,
    shared=True,
)
