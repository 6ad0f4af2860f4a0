"""Predictions of source, baseline and rounds for one image, computed on demand and cached within a memory limit.

torch is imported with the first prediction of a model, which happens in another thread than the window's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crots.arrays import Array
from crots.artefacts import STUDENT
from crots.data.datasets import Sample
from crots.errors import InputError
from crots.files import file_stamp
from crots.project import Project
from crots_studio.background.loading import preload_torch
from crots_studio.models.image_store import Bounded, ImageStore

if TYPE_CHECKING:
    from crots.nets.model import Model
    from crots.stages.workbench import Workbench

SOURCE = "source"
MEMORY = 96 * 2**20
_MODELS = 2


@dataclass(frozen=True, eq=False)
class ModelPrediction:
    """Labels (H, W) and, where known, their confidence (H, W) float32."""

    labels: Array
    confidence: Array | None

    @property
    def nbytes(self) -> int:
        """Bytes it takes in memory."""
        return self.labels.nbytes + (0 if self.confidence is None else self.confidence.nbytes)


class Predictions:
    """Predictions of the models of a project on its target images; for other threads than the window's.

    Args:
        project: whose models.
        store: gives the source's labels.
        device: where models run; None takes the project's. During a run on a GPU, the CPU is used instead.
    """

    def __init__(self, project: Project, store: ImageStore, *, device: str | None = None) -> None:
        self._project, self._store, self.device = project, store, device
        self._kept: Bounded[tuple[Any, ...], ModelPrediction] = Bounded(MEMORY, lambda found: found.nbytes)
        self._models: OrderedDict[tuple[Any, ...], Model] = OrderedDict()
        self._bench: Workbench | None = None
        # One at a time: two networks at once would be slower and take twice the memory.
        self._lock = threading.Lock()

    def subjects(self) -> list[str]:
        """Returns what can be compared: the source, and the stages that wrote a model, in running order."""
        trained = [key for key in self._project.training_keys() if self._path(key).is_file()]
        return [SOURCE, *trained]

    def predict(self, subject: str, key: str, image: Path, *, labelled: bool = True) -> ModelPrediction:
        """Returns a model's prediction for an image.

        Args:
            subject: one of `subjects`.
            key: of the image.
            image: its file.
            labelled: it is one of the target's, whose labels of the source are on disk; for others the source predicts.

        Raises:
            InputError: its file does not hold a model of this project, or the source has no prediction for the image.
        """
        if subject == SOURCE and not labelled:
            return self._ask((SOURCE, str(image)), lambda: self._run_source(key, image))
        if subject == SOURCE:
            # The labels that the user corrected are not the source's.
            maps = self._store.maps(key, image, corrected=False)
            if maps.labels is None:
                raise InputError("not labelled yet; run the stage Pseudo-labels")
            return ModelPrediction(maps.labels, maps.confidence)
        name = (subject, *file_stamp(self._path(subject)), str(image))
        return self._ask(name, lambda: self._run(subject, image))

    def _ask(self, name: tuple[Any, ...], run: Callable[[], ModelPrediction]) -> ModelPrediction:
        kept = self._kept.get(name)
        if kept is None:
            with self._lock:
                kept = self._kept.get(name) or run()
            self._kept.put(name, kept)
        return kept

    def _run_source(self, key: str, image: Path) -> ModelPrediction:
        preload_torch()
        from crots.stages.labellers import PredictedLabels

        bench, sample = self._workbench(), Sample(key, image)
        if bench.config.source.predictions:
            predicted = PredictedLabels(bench.predictions.lookup([key]), bench.stretched).label([sample], None)[0]
        else:
            labels = bench.network_labels(bench.config.pseudo_label)
            predicted = labels.label([sample], np.asarray(bench.cache.get(image))[None])[0]
        return ModelPrediction(predicted.labels, predicted.confidence)

    def _path(self, subject: str) -> Path:
        return self._project.stage_folder(subject) / STUDENT

    def _run(self, subject: str, image: Path) -> ModelPrediction:
        preload_torch()
        import torch

        from crots.methods.losses import pad_to_multiple
        from crots.methods.pseudo import likeliest
        from crots.training.tiled import logits_of

        model, bench = self._model(subject), self._workbench()
        if tiles := bench.tiles():
            return ModelPrediction(*tiles.likeliest(np.asarray(bench.cache.get(image)), logits_of(model, bench.engine)))
        with torch.inference_mode(), bench.engine.autocast():
            batch = bench.engine.images(np.asarray(bench.cache.get(image))[None])
            height, width = batch.shape[-2:]
            padded, _ = pad_to_multiple(batch, None, model.info.multiple, bench.classes.ignore)
            predicted = likeliest(model.logits(padded)[..., :height, :width])
        labels = predicted.labels[0].cpu().numpy().astype(np.uint8 if bench.classes.ignore == 255 else np.uint16)
        return ModelPrediction(labels, predicted.confidence[0].float().cpu().numpy())

    def _model(self, subject: str) -> Model:
        path = self._path(subject)
        name = (subject, *file_stamp(path))
        model = self._models.get(name)
        if model is None:
            bench = self._workbench()
            model = bench.load_student(path)
            bench.engine.place(model).eval()
            self._models[name] = model
            while len(self._models) > _MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end(name)
        return model

    def _workbench(self) -> Workbench:
        if self._bench is None:
            import dataclasses

            from crots.stages.workbench import Workbench

            config = self._project.config
            # Threads belong to the run, should one go on in this process.
            runtime = dataclasses.replace(config.runtime, device=self.device or config.runtime.device, threads=0)
            config = dataclasses.replace(config, runtime=runtime)
            self._bench = Workbench(config, self._project.folder, self._project.cache_folder, "preview")
        return self._bench


def difference(one: Array, other: Array) -> float:
    """Returns the share of pixels, 0..1, that two label maps disagree on; maps of two sizes are not compared."""
    return float((one != other).mean()) if one.shape == other.shape and one.size else 0.0
