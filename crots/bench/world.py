"""The benchmark's data: photographs and a source model, generated or given."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from crots.artefacts import STUDENT
from crots.config import Size, to_mapping
from crots.data.datasets import open_dataset
from crots.files import make_folder, write_text
from crots.images import write_image
from crots.methods.batch_norm import take_statistics
from crots.nets.model import Model, create_model
from crots.nets.weights import load_model, save_safetensors
from crots.options import BenchOptions, RuntimeOptions
from crots.project import InPlace, Project
from crots.project_config import build_config
from crots.stages.workbench import Workbench
from crots.taxonomy import ClassSet, load_class_set

# Rows and columns of the hard patches' grid.
GRID = 4
_NEVER = 10**7


def photograph(number: int, size: Size) -> npt.NDArray[np.uint8]:
    """Returns an image (H, W, 3) that is as hard to compress as a photograph: structure of every scale, and grain."""
    rng = np.random.default_rng([4, number])
    image = np.zeros((size.height, size.width, 3), np.float32)
    for cells in (3, 12, 48, 192):
        coarse = rng.normal(0, 1, (max(2, cells // 2), cells, 3)).astype(np.float32)
        image += cv2.resize(coarse, tuple(size), interpolation=cv2.INTER_CUBIC) * (60 / cells**0.3)
    image += rng.normal(0, 1.5, image.shape).astype(np.float32)
    return np.clip(image + 110, 0, 255).astype(np.uint8)


class World:
    """Images, a source model and projects on them.

    Args:
        folder: where everything is written.
        options: of the benchmark.
        runtime: device, precision and so on.
    """

    def __init__(self, folder: Path, options: BenchOptions, runtime: RuntimeOptions) -> None:
        self.folder, self.options, self.runtime = folder, options, runtime

    @cached_property
    def classes(self) -> ClassSet:
        """The classes of source and student."""
        return load_class_set(self.options.classes)

    @cached_property
    def model(self) -> Model:
        """The source model, on the CPU."""
        options = self.options
        if options.checkpoint:
            return load_model(options.checkpoint, trust=self.runtime.trust)[0]
        model = create_model(options.net, self.classes, options.size, trust=self.runtime.trust, seed=0)
        model.check_size(*options.size)
        settle(model.net, options.size)
        return model

    @cached_property
    def source(self) -> Path:
        """The source model's file."""
        path = make_folder(self.folder) / "source.safetensors"
        save_safetensors(path, self.model.net, self.model.card)
        return path

    @cached_property
    def images(self) -> tuple[Path, ...]:
        """The images that are used: as many as a repeat labels and a batch needs."""
        wanted = max(self.options.count, self.options.batch)
        if self.options.images:
            return tuple(sample.image for sample in open_dataset(self.options.images.absolute()).samples[:wanted])
        folder = make_folder(self.folder / "images")
        paths = tuple(folder / f"photograph_{number:04d}.png" for number in range(wanted))
        for number, path in enumerate(paths):
            write_image(path, photograph(number, self.options.photo))
        return paths

    @cached_property
    def target(self) -> Path:
        """A list file of the images."""
        path = self.folder / "images.txt"
        write_text(path, "".join(f"{image}\n" for image in self.images))
        return path

    @property
    def real(self) -> bool:
        """Whether images and model are the user's own, so that the labels show how many patches a run would cut."""
        return bool(self.options.checkpoint and self.options.images)

    @property
    def _all_rare(self) -> dict[str, Any]:
        """Options with which every class counts as rare and every pixel as sure."""
        return {"rare": ",".join(map(str, range(len(self.classes)))), "min_confidence": 0}

    @property
    def patch(self) -> Size:
        """Size of the hard patches."""
        return Size(self.options.size.width // GRID, self.options.size.height // GRID)

    def project(
        self,
        name: str,
        *,
        keep: bool = False,
        steps: int = 1,
        log_every: int = 0,
        every_cell: bool = True,
        **runtime: Any,
    ) -> Project:
        """Returns a project on the images, with its own cache.

        Args:
            name: of its folder.
            keep: what lies in the folder already.
            steps: optimiser steps of its training stages.
            log_every: steps between two figures; 0 is those of a repeat.
            every_cell: cut out every cell, as much work as possible, instead of those that a run would cut out.
            runtime: what differs from the benchmark's own.
        """
        folder = self.folder / name
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        options = self.options
        training = {
            "steps": steps, "batch": options.batch, "log_every": log_every or options.steps,
            "checkpoint_every": _NEVER, "validate_every": _NEVER,
            # A network with random weights recognises nothing, so the alarm would stop the stage.
            "guard": False,
        }  # fmt: skip
        values: dict[str, dict[str, Any]] = {
            "data": {"target": str(self.target), "size": str(options.size)},
            "task": {"classes": options.classes},
            "source": {"file": str(self.source), "net": self.model.card.net},
            "student": {"weights": "source"},
            "runtime": {**to_mapping(self.runtime), **runtime},
            # Statistics of the target are taken from a fixed number of images, which would be all there are here.
            "pseudo_label": {"batch": options.label_batch, "batch_norm": "source"},
            "mine": {"grid": f"{GRID}x{GRID}", **(self._all_rare if every_cell else {})},
            "baseline": training,
            "adapt": training,
        }  # fmt: skip
        return InPlace(make_folder(folder), build_config(values))

    def bench(self, project: Project, stage: str) -> Workbench:
        """Returns the workbench of a stage."""
        return Workbench(project.config, project.folder, project.cache_folder, stage)

    def give_baseline(self, project: Project) -> None:
        """Puts the source in the place of the baseline's student."""
        place = make_folder(project.stage_folder("baseline")) / STUDENT
        shutil.copyfile(self.source, place)


def settle(net: nn.Module, size: Size) -> None:
    """Sets the running statistics of batch norm from noise, without which random weights blow up layer by layer."""
    noise = torch.randn(2, 3, size.height, size.width, generator=torch.Generator().manual_seed(0))
    take_statistics(net, [noise], net)
