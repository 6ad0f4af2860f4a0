"""The form for applying a project's model to other images or a video, and the progress of that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from crots.errors import CrotsError, InputError
from crots.events import Event, Note, Progress, StageFinished, StageStarted
from crots.files import exists, file_or_name, free_place
from crots.options import PredictOptions, SourceOptions
from crots.pace import Pace
from crots.project import Project
from crots.project_config import ProjectConfig
from crots.trust import is_factory
from crots_studio.background.loading import preload_torch
from crots_studio.models.exporting import Checkpoint, checkpoints, read_card
from crots_studio.models.words import command_text, in_window

if TYPE_CHECKING:
    from crots.execution.control import Control

# Of the project; no stage writes there.
FOLDER = "predictions"
# Those of the exported files that describe themselves and hold no code.
_EXPORTED = ("adapted.safetensors", "adapted.onnx")


def models(project: Project) -> list[Checkpoint]:
    """Returns the models that can be applied: those of the stages, the latest first, then the exported files."""
    files = [project.stage_folder("export") / name for name in _EXPORTED]
    exported = [
        Checkpoint("export", path.name, path, read_card(path) if path.suffix == ".safetensors" else {})
        for path in files
        if path.is_file()
    ]
    return checkpoints(project) + exported


def free_folder(project: Project, images: Path | None) -> Path:
    """Returns a folder of the project that is not there yet, named after the images."""
    return free_place(project.folder / FOLDER / ((images.stem or images.name) if images else "images"))


@dataclass(frozen=True)
class ApplyForm:
    """What the user chose.

    Attributes:
        project: whose model is applied.
        model: the file.
        images: a folder, an image or a video.
        out: folder of the results.
        options: what is written.
        predictions: of the project's black box for these images; None labels them with the model alone.
        confidence: of these; None where it lies beside them.
    """

    project: Project
    model: Checkpoint | None
    images: Path | None
    out: Path | None
    options: PredictOptions
    predictions: Path | None = None
    confidence: Path | None = None

    def problem(self) -> str:
        """Says what is missing; empty where nothing is."""
        if self.model is None:
            return "There is no trained model yet: run the baseline first."
        if self.images is None:
            return "Choose a folder of images, an image or a video."
        if not exists(self.images):
            return f"{self.images} does not exist; choose a folder of images, an image or a video."
        if self.confidence and not self.predictions:
            return "Choose the predictions that the confidence is of, or leave it out."
        for folder in (self.predictions, self.confidence):
            if folder and not folder.is_dir():
                return f"{folder} is not a folder; choose the one that the black box wrote for these images."
        if not (self.options.ids or self.options.colour or self.options.overlay):
            return "Choose at least one thing to write."
        return self._problem_of_out(self.images)

    def _problem_of_out(self, images: Path) -> str:
        if self.out is None:
            return "Choose a folder for the results."
        out, folder = self.out.resolve(), self.project.folder.resolve()
        if exists(out) and not out.is_dir():
            return f"{self.out} is a file; choose a folder."
        if exists(out) and any(out.iterdir()):
            return f"{self.out} is not empty; choose a new folder."
        if images.is_dir() and out.is_relative_to(images.resolve()):
            return f"{self.out} lies among the images; choose a folder outside of {images}."
        if out.is_relative_to(folder) and not out.is_relative_to(folder / FOLDER):
            return f"{self.out} belongs to the stages of this project; choose one in {folder / FOLDER}, or elsewhere."
        return ""

    def config(self, device: str = "") -> ProjectConfig:
        """Returns the options of the run: the images, the model, and device and trust as in the project."""
        assert self.model is not None
        config, net = self.project.config, str(self.model.card.get("net", ""))
        same = config.data.target is not None and self.images == self.project.path(config.data.target)
        data = dataclasses.replace(
            config.data,
            target=self.images,
            layout=config.data.layout if same else "auto",
            size=None,
            val_images=None,
            val_labels=None,
        )
        # Trust was given to the network that the project's options name.
        named = net if is_factory(net) and net in (config.source.net, config.student.net) else ""
        source = SourceOptions(file=self.model.path, net=named)
        if self.predictions:
            source = dataclasses.replace(
                source,
                predictions=self.predictions,
                confidence=self.confidence,
                encoding=config.source.encoding,
            )
        # Threads belong to a run, should one go on in this process.
        runtime = dataclasses.replace(config.runtime, device=device or config.runtime.device, threads=0)
        return dataclasses.replace(config, data=data, source=source, runtime=runtime)

    def command(self) -> str:
        """Returns the command line that writes the same files."""
        if self.model is None or self.images is None or self.out is None:
            return ""
        data, options = self.config().data, self.options
        words = ["crots", "predict", "--checkpoint", str(self.model.path), "--images", str(self.images)]
        words += ["--layout", data.layout] if data.layout != "auto" else []
        words += ["--skip-bad"] if data.skip_bad else []
        words += self._words_of_predictions()
        words += ["--out", str(self.out)]
        words += ["--flip"] if options.flip else []
        words += [f"--no-{name}" for name in ("ids", "colour", "overlay") if not getattr(options, name)]
        words += ["--trust"] if self.project.config.runtime.trust else []
        return command_text(words)

    def _words_of_predictions(self) -> list[str]:
        if not self.predictions:
            return []
        config, folder = self.project.config, self.project.folder
        words = ["--predictions", str(self.predictions)]
        words += ["--confidence", str(self.confidence)] if self.confidence else []
        words += ["--predictions-encoding", config.source.encoding] if config.source.encoding != "auto" else []
        for flag, named in (("--source-classes", config.task.source_classes), ("--class-map", config.task.class_map)):
            words += [flag, file_or_name(named, folder)] if named else []
        return words


@dataclass
class ApplyLog:
    """Follows the events of a run."""

    total: int = 0
    done: int = 0
    pace: Pace = field(default_factory=Pace)
    notes: list[str] = field(default_factory=list)
    outcome: str = ""

    def take(self, event: Event) -> None:
        """Handles an event.

        Raises:
            CrotsError: the run failed.
        """
        self.pace.add(event)
        if isinstance(event, StageStarted):
            self.total = event.total
        elif isinstance(event, Progress):
            self.done, self.total = event.done, event.total
        elif isinstance(event, Note):
            self.notes += [in_window(event.text)] if event.level == "warning" else []
        elif isinstance(event, StageFinished):
            self.outcome = event.outcome
            if event.outcome == "failed":
                raise CrotsError(event.message)


def apply_events(form: ApplyForm, control: Control, device: str = "") -> Iterator[Event]:
    """Predicts as the form says; loads torch, so not on the window's thread.

    Args:
        form: what the user chose.
        control: stops between two batches; what is written stays.
        device: where the model runs; empty takes the project's.

    Raises:
        InputError: the form has a problem.
    """
    preload_torch()
    from crots.execution.context import Context
    from crots.runner import run_stage
    from crots.stages.applying import apply_model, beside_black_box
    from crots.stages.workbench import Workbench

    if form.problem() or form.out is None:
        raise InputError(form.problem())
    out, folder = form.out, form.project.folder
    config, predictions = beside_black_box(form.config(device), folder)

    def body(context: Context) -> Iterator[Event]:
        bench = Workbench(config, folder, None, context.stage)
        return apply_model(bench, form.options, out, context, predictions=predictions)

    return run_stage(body, Context("predict", control))
