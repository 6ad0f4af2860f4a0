"""The export form: checkpoint, formats and folder; and the files written, with their difference to the network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crots.errors import CrotsError, InputError
from crots.events import ArtifactWritten, Event, Note, StageFinished
from crots.files import exists
from crots.folders import WRITTEN, check_formats
from crots.ownership import check_replaceable
from crots.project import Project
from crots.project_status import StageStatus
from crots_studio.models.names import title
from crots_studio.models.rail import reason_text
from crots_studio.models.runs import model_problem
from crots_studio.models.words import command_text, fault_text, in_window

if TYPE_CHECKING:
    from crots.execution.control import Control

# A header has one line per tensor; anything longer is no model.
_LONGEST_HEAD = 64 * 2**20
SUFFIXES = {
    "safetensors": "safetensors",
    "onnx": "onnx",
    "pth": "pth",
    "torchscript": "pt",
    "huggingface": "huggingface",
}
# As people write them.
FORMAT_NAMES = {
    "safetensors": "safetensors",
    "onnx": "ONNX",
    "pth": "PyTorch",
    "torchscript": "TorchScript",
    "huggingface": "Hugging Face",
}
FORMATS = {
    "safetensors": "Weights with a description of the network; CROTS opens it directly.",
    "onnx": "Runs anywhere ONNX Runtime does; takes RGB images with values 0 to 255; normalisation is included.",
    "pth": "A plain state dict; that of a DeepLabV2 has AdaptSegNet's key names.",
    "torchscript": "Runs in PyTorch and LibTorch without CROTS; takes RGB images 0 to 255.",
    "huggingface": "A folder for from_pretrained of transformers or segmentation-models-pytorch, with the classes.",
}


@dataclass(frozen=True)
class Checkpoint:
    """A model that can be exported; ``problem`` says what is wrong with it, in words that follow the stage's name."""

    stage: str
    weights: str
    path: Path
    card: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def title(self) -> str:
        """What the list shows."""
        marks = ", ".join(filter(None, ("oracle" if self.card.get("oracle") else "", self.problem)))
        return f"{title(self.stage)}, {self.weights}" + (f" ({marks})" if marks else "")

    @property
    def summary(self) -> str:
        """The file's own description: net, classes, size."""
        if not self.card:
            return ""
        classes, size = self.card.get("classes", {}), self.card.get("size", [])
        parts = [str(self.card.get("net", "")), f"{len(classes.get('names', ()))} classes ({classes.get('name', '')})"]
        parts += ["x".join(map(str, size))] if size else []
        parts += ["oracle: chosen with validation labels"] if self.card.get("oracle") else []
        return ", ".join(filter(None, parts))


def checkpoints(project: Project) -> list[Checkpoint]:
    """Returns the models a project has written, the latest first."""
    found = [
        (key, weights, project.stage_folder(key) / f"{weights}.safetensors")
        for key in project.training_keys()[::-1]
        for weights in ("student", "teacher")
    ]
    return [
        Checkpoint(key, weights, path, read_card(path), model_problem(project, key))
        for key, weights, path in found
        if path.is_file()
    ]


def read_card(path: Path) -> dict[str, Any]:
    """Returns the description in the head of a safetensors file, without torch; empty where there is none."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(min(length, _LONGEST_HEAD)))
        card = json.loads(head["__metadata__"]["crots"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return card if isinstance(card, dict) else {}


@dataclass(frozen=True)
class ExportForm:
    """What the user chose."""

    checkpoint: Checkpoint | None
    formats: tuple[str, ...]
    folder: Path | None
    # Not the name that the stage gives: its files are replaced when it runs again.
    name: str = "model"

    def problem(self) -> str:
        """Says what is missing; empty where nothing is."""
        if self.checkpoint is None:
            return "There is no trained model yet: run the baseline first."
        if not self.formats:
            return "Choose at least one format."
        if self.folder is None or not str(self.folder).strip():
            return "Choose a folder to write to."
        if exists(self.folder) and not self.folder.is_dir():
            return f"{self.folder} is a file; choose a folder."
        if not self.name.strip() or any(sign in self.name for sign in '/\\:*?"<>|'):
            return 'Give the files a name without / \\ : * ? " < > |'
        if _same_folder(self.folder, self.checkpoint.path.parent):
            return f"{self.folder} holds the model itself; choose another folder."
        try:
            check_formats(self.formats, str(self.checkpoint.card.get("net", "")))
            for name, path in self.targets().items():
                if name == "huggingface":
                    check_replaceable(path, WRITTEN)
                elif (exists(path) and not path.is_file()) or path.is_symlink():
                    return f"{path} is not a regular file and cannot be replaced; choose another name or folder."
        except InputError as error:
            return fault_text(error)
        return ""

    def targets(self) -> dict[str, Path]:
        """Returns the file of each format."""
        if self.folder is None:
            return {}
        return {name: self.folder / f"{self.name}.{SUFFIXES[name]}" for name in SUFFIXES if name in self.formats}

    def existing(self) -> list[Path]:
        """Returns the files that would be replaced."""
        return [path for path in self.targets().values() if exists(path) or path.is_symlink()]

    def command(self, project: Project) -> str:
        """Returns the command lines that write the same files, one per format."""
        if self.checkpoint is None or self.folder is None:
            return ""
        data = project.config.data
        images = ["--images", str(project.path(data.target)), "--layout", data.layout] if data.target else []
        trust = ["--trust"] if project.config.runtime.trust else []
        lines = [
            ["crots", "export", str(self.checkpoint.path), "--format", name, *images, "--out", str(path), *trust]
            for name, path in self.targets().items()
        ]
        return " && ".join(map(command_text, lines))


def already_written(project: Project, status: Sequence[StageStatus]) -> str:
    """Names the files that the run itself has exported; empty where there are none or they are out of date."""
    if not any(stage.key == "export" and stage.state == "done" for stage in status):
        return ""
    folder = project.stage_folder("export")
    names = [f"adapted.{SUFFIXES[name]}" for name in project.config.export.formats]
    names = [name for name in names if exists(folder / name)]
    return f"✓ The run has written these already, to its folder {folder.name}: {', '.join(names)}" if names else ""


def outdated(checkpoint: Checkpoint, status: Sequence[StageStatus]) -> str:
    """Says why a model is not what the project would train now; empty where it is."""
    stage = next((stage for stage in status if stage.key == checkpoint.stage and stage.keeps_earlier), None)
    if stage is None:
        return ""
    if stage.state != "stale":
        # The reason of a failure may be long, and stands in the rail.
        return (
            f"! The latest run of {title(stage.key)} did not end. The earlier model is exported; Run trains it again."
        )
    return (
        f"! {title(stage.key)} is stale ({reason_text(stage)}). It is exported as it was trained; Run trains it again."
    )


def _same_folder(one: Path, other: Path) -> bool:
    return exists(one) and exists(other) and one.samefile(other)


@dataclass(frozen=True)
class Exported:
    """A file that was written; ``parity`` says in words how far it is from the network, ``notes`` what else to know."""

    format: str
    path: Path
    bytes: int
    parity: str = ""
    notes: tuple[str, ...] = ()


@dataclass
class ExportLog:
    """Collects the events of an export."""

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
            size = sum(each.stat().st_size for each in (path, *path.glob("*")) if each.is_file())
            self.files.append(Exported(formats.get(path, path.suffix.lstrip(".")), path, size))
            return True
        # Notes follow their file, the comparison first.
        if isinstance(event, Note) and self.files and event.about == self.files[-1].path.name:
            file = self.files[-1]
            text = in_window(event.text)
            changes = {"notes": (*file.notes, text)} if file.parity else {"parity": text}
            self.files[-1] = replace(file, **changes)
            return True
        if isinstance(event, StageFinished) and event.outcome == "failed":
            raise CrotsError(event.message)
        return False


def export_events(project: Project, form: ExportForm, control: Control) -> Iterator[Event]:
    """Exports as the form says; loads torch, so not on the window's thread. The project's own stream is left alone.

    Args:
        project: whose images the files are compared on.
        form: what the user chose.
        control: stops between two files.

    Raises:
        InputError: the form has a problem.
    """
    from crots.execution.context import Context
    from crots.runner import run_stage
    from crots.stages.export import ExportJob, export_model
    from crots.stages.project_stages import first_images
    from crots.stages.workbench import Workbench

    if form.problem() or form.checkpoint is None:
        raise InputError(form.problem())
    checkpoint = form.checkpoint

    def body(context: Context) -> Iterator[Event]:
        # What is written here is the user's, also in the folder of the stage, which leaves it alone from now on.
        project.files("export").owned.disown(form.targets().values())
        bench = Workbench(project.config, project.folder, project.cache_folder, context.stage)
        model = bench.load_student(checkpoint.path)
        images = first_images(bench, bench.dataset.samples)
        return export_model(ExportJob(model, form.targets(), images, bench.engine.device), context)

    return run_stage(body, Context("export", control))
