"""The export form: which checkpoint, which formats, where to; what was written and how near it comes to the network."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from crots.errors import CrotsError, InputError
from crots.events import ArtifactWritten, Event, Note, StageFinished
from crots.project import Project
from crots_studio.models.names import title

SUFFIXES = {"safetensors": "safetensors", "onnx": "onnx", "pth": "pth", "torchscript": "pt"}
FORMATS = {
    "safetensors": "Weights with their description; CROTS opens it without further questions.",
    "onnx": "Runs anywhere ONNX Runtime does; takes RGB images 0 to 255, normalisation is inside.",
    "pth": "Plain PyTorch weights under the keys of AdaptSegNet.",
    "torchscript": "Runs in PyTorch and LibTorch without CROTS; takes RGB images 0 to 255.",
}


@dataclass(frozen=True)
class Checkpoint:
    """A model that can be exported."""

    stage: str
    weights: str
    path: Path

    @property
    def title(self) -> str:
        """What the list shows."""
        return f"{title(self.stage)}, {self.weights}"


def checkpoints(project: Project) -> list[Checkpoint]:
    """Returns the models a project has written, the latest first."""
    found = [
        Checkpoint(key, weights, project.stage_folder(key) / f"{weights}.safetensors")
        for key in (*project.round_keys()[::-1], "baseline")
        for weights in ("student", "teacher")
    ]
    return [checkpoint for checkpoint in found if checkpoint.path.is_file()]


@dataclass(frozen=True)
class ExportForm:
    """What the user chose."""

    checkpoint: Checkpoint | None
    formats: tuple[str, ...]
    folder: Path | None
    name: str = "adapted"

    def problem(self) -> str:
        """Says what is missing; empty where nothing is."""
        if self.checkpoint is None:
            return "There is no trained model yet: run the baseline first."
        if not self.formats:
            return "Choose at least one format."
        if self.folder is None or not str(self.folder).strip():
            return "Choose a folder to write to."
        if self.folder.exists() and not self.folder.is_dir():
            return f"{self.folder} is a file; choose a folder."
        if not self.name.strip() or any(sign in self.name for sign in '/\\:*?"<>|'):
            return "Give the files a name without / \\ : * ? \" < > |"
        return ""

    def targets(self) -> dict[str, Path]:
        """Returns the file of each format."""
        if self.folder is None:
            return {}
        return {name: self.folder / f"{self.name}.{SUFFIXES[name]}" for name in SUFFIXES if name in self.formats}

    def existing(self) -> list[Path]:
        """Returns the files that would be replaced."""
        return [path for path in self.targets().values() if path.exists()]

    def command(self, project: Project) -> str:
        """Returns the command line that writes the same files."""
        if self.checkpoint is None or self.folder is None:
            return ""
        parts = ["crots", "export", str(self.checkpoint.path), "--out", str(self.folder)]
        return shlex.join([*parts, "--formats", ",".join(self.targets()), "--name", self.name])


@dataclass(frozen=True)
class Exported:
    """A file that was written; ``parity`` says in words how far it is from the network."""

    format: str
    path: Path
    bytes: int
    parity: str = ""


@dataclass
class ExportLog:
    """Follows the events of an export."""

    form: ExportForm
    files: list[Exported] = field(default_factory=list)

    def take(self, event: Event) -> bool:
        """Takes in an event; says whether the list of files changed.

        Raises:
            CrotsError: the export failed.
        """
        if isinstance(event, ArtifactWritten):
            path = Path(event.path)
            formats = {target: name for name, target in self.form.targets().items()}
            size = path.stat().st_size if path.exists() else 0
            self.files.append(Exported(formats.get(path, path.suffix.lstrip(".")), path, size))
            return True
        if isinstance(event, Note) and self.files and event.text.startswith(f"{self.files[-1].path.name}: "):
            parity = event.text.removeprefix(f"{self.files[-1].path.name}: ")
            self.files[-1] = replace(self.files[-1], parity=parity)
            return True
        if isinstance(event, StageFinished) and event.outcome == "failed":
            raise CrotsError(event.message)
        return False


def export_events(project: Project, form: ExportForm) -> Iterator[Event]:
    """Exports as the form says; loads torch, so not on the window's thread. The project's own stream is left alone.

    Raises:
        InputError: the form has a problem.
    """
    from crots.runner import run_stage
    from crots.stages.context import Context
    from crots.stages.export import Exporting, export_model
    from crots.stages.workbench import Workbench

    if form.problem() or form.checkpoint is None:
        raise InputError(form.problem())
    checkpoint = form.checkpoint

    def body(context: Context) -> Iterator[Event]:
        bench = Workbench(project.config, project.folder, project.cache_folder, context.stage)
        model = bench.load_student(checkpoint.path)
        samples = bench.dataset.samples[: project.config.export.images]
        images = [bench.cache.get(sample.image) for sample in samples]
        return export_model(Exporting(model, form.targets(), images, bench.engine.device), context)

    return run_stage(body, Context("export"))
