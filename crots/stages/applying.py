"""Applying a model file of any kind to a folder of images, an image or a video: opening both, then predicting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from crots.arrays import Array
from crots.card import ModelCard
from crots.config import Size
from crots.data.datasets import Sample
from crots.data.predictions import PredictionSet, glance
from crots.data.sizes import propose_size
from crots.data.tiles import Tiling
from crots.errors import InputError
from crots.events import Event
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.methods.pseudo import likeliest
from crots.nets.reading import file_kind, read_weights
from crots.nets.source import Source, open_source
from crots.nets.weights import PUBLISHED_SIZE
from crots.opening import Inputs, tiling_of
from crots.options import DataOptions, PredictOptions
from crots.project_config import ProjectConfig
from crots.stages.predict import (
    VIDEO_SUFFIXES,
    Frame,
    Frames,
    ImageFrames,
    PredictJob,
    Predictor,
    VideoFrames,
    at_working_size,
    predict_frames,
)
from crots.stages.project_stages import with_notes
from crots.stages.pseudo_label import unreadable
from crots.stages.workbench import Workbench
from crots.taxonomy import ClassSet, load_class_set
from crots.training.tiled import Tiles


def apply_model(
    bench: Workbench,
    options: PredictOptions,
    out: Path,
    context: Context,
    *,
    classes: str | None = None,
    predictions: Callable[[ClassSet], PredictionSet] | None = None,
    claim: Callable[[Sequence[Sample]], None] = lambda samples: None,
) -> Iterator[Event]:
    """Predicts ``data.target`` with the model ``source.file``.

    Args:
        bench: of a configuration with both.
        options: of the stage.
        out: folder that gets ``label_ids/``, ``label_color/`` and ``overlay/``.
        context: of the stage.
        classes: class set of a file that does not say its own.
        predictions: opens those of a black box for the same images, in the classes of the model; of each pixel the
            label of the more confident of the two is written.
        claim: called with the images (none for a video) before anything is written.

    Raises:
        InputError: the model, the images or the predictions cannot be used.
    """
    model = open_predictor(bench, classes=classes, flip=options.flip, batch=options.batch)
    predictor, class_set, batch = model.labels, model.classes, model.batch
    frames, rate = open_frames(bench, context)
    if predictions:
        predictor = _more_confident(model, _bound(predictions(class_set), bench, model, video=bool(rate)))
    claim(() if rate else bench.dataset.samples)
    job = PredictJob(
        frames=frames,
        predict=predictor,
        classes=class_set,
        options=options,
        out=out,
        batch=batch,
        device=bench.engine.name,
        video=rate,
    )
    return with_notes(predict_frames(job, context), bench)


def beside_black_box(
    config: ProjectConfig, root: Path
) -> tuple[ProjectConfig, Callable[[ClassSet], PredictionSet] | None]:
    """Splits a configuration that names a model and the predictions of a black box for the same images.

    Args:
        config: with ``source.file``.
        root: what its relative paths are relative to.

    Returns:
        What remains for the model, and ``predictions`` of `apply_model`.
    """
    source = config.source
    if source.predictions is None:
        return config, None
    alone = dataclasses.replace(source, predictions=None, confidence=None, encoding="auto")
    black_box = dataclasses.replace(config, source=dataclasses.replace(source, file=None))

    def open_predictions(classes: ClassSet) -> PredictionSet:
        found = Inputs(black_box, root, classes=classes).predictions
        assert found is not None
        return found

    return dataclasses.replace(config, source=alone), open_predictions


class Confident(NamedTuple):
    """What a model predicts of a picture: labels (H, W), and their probability, (H, W) float32 0..1."""

    labels: Array
    confidence: Array


class OpenModel(NamedTuple):
    """A model that predicts pictures of any size.

    Attributes:
        labels: predicts them.
        confident: the same with its confidence; None for a model that gives labels alone.
        classes: of the model.
        batch: how many pictures it should get at once: one where it cuts them itself.
        stretched: the size that pictures are resized to; None where they are cut into tiles.
    """

    labels: Predictor
    confident: Callable[[Sequence[Frame]], list[Confident]] | None
    classes: ClassSet
    batch: int
    stretched: Size | None


def _bound(predictions: PredictionSet, bench: Workbench, model: OpenModel, *, video: bool) -> PredictionSet:
    """Matches the predictions of a black box with the images, and makes sure that both have a confidence."""
    if video:
        problem = "are of images, not of a video; give its frames as images (crots extract)"
    elif model.confident is None:
        problem = "are taken where they are more confident than the model, which gives labels alone; leave them out"
    elif not (predictions.soft or predictions.confidence_folder):
        problem = "are taken where they are more confident than the model, but have no confidence; give it too"
    else:
        problem = ""
    if problem:
        raise InputError(f"`source.predictions` {problem}", field="source.predictions")
    images = {sample.key: sample.image for sample in bench.dataset.samples}
    found, notes = predictions.lookup(images).resolved()
    bench.take([*found.name_notes(), *notes])
    for warning in glance(found, images, model.stretched).warnings:
        bench.note(warning, warning=True)
    bench.note("each pixel gets the label of the model or of the predictions, whichever is more confident")
    return found


def _more_confident(model: OpenModel, predictions: PredictionSet) -> Predictor:
    """Predicts what the model does, or the predictions where they are more confident."""
    assert model.confident is not None
    confident = model.confident

    def predict(frames: Sequence[Frame]) -> list[Array]:
        found = []
        for frame, own in zip(frames, confident(frames), strict=True):
            size = Size(frame.image.shape[1], frame.image.shape[0])
            other = predictions.read(frame.name, size, of=size, stretched=model.stretched)
            found.append(np.where(other.confidence > own.confidence, other.labels, own.labels))
        return found

    return predict


def open_predictor(bench: Workbench, *, classes: str | None = None, flip: bool = False, batch: int = 0) -> OpenModel:
    """Opens ``source.file`` for predicting images of any size.

    The model sees them at its working size, or in tiles where it was made for tiles or the options ask for them.

    Args:
        bench: of a configuration with the file.
        classes: class set of a file that does not say its own.
        flip: add the prediction of the mirror image.
        batch: images or tiles per forward pass; 0 is the device's usual number.

    Raises:
        InputError: the file cannot be used, is not trusted, or too little is known of it.
    """
    path, config = bench.config.source.file, bench.config
    assert path is not None
    path = bench.path(path)
    if file_kind(path) in ("weights", "safetensors") and not config.source.net and read_weights(path).card is None:
        raise InputError(f"{path} holds plain weights and does not say its network; give --net and --classes")
    source = open_source(
        path,
        options=config.source,
        classes=load_class_set(classes) if classes else None,
        size=bench.tiling.size if bench.tiling else config.data.size or size_without_card(bench),
        device=bench.engine.device,
        trust=config.runtime.trust,
    )
    card = source.facts.card
    tiling, size = tiling_for(config.data, card), config.data.size or card.size
    remarks = "".join(f"; {remark}" for remark in source.remarks)
    bench.note(f"{path.name}: {card.net}, {len(source.classes)} classes, {seen_as(tiling, size)}{remarks}")
    if tiling is None:
        ways = _whole_images(source, bench.engine, size, flip=flip)
        return OpenModel(*ways, source.classes, bench.engine.batch(batch), size)
    tiles = Tiles(tiling, bench.engine, bench.engine.batch(batch))
    return OpenModel(*_in_tiles(source, tiles, flip=flip), source.classes, 1, None)


def tiling_for(data: DataOptions, card: ModelCard | None) -> Tiling | None:
    """Returns how images are cut for a model: as the options say, else as it was made; None where they are resized.

    Raises:
        InputError: as `tiling_of`.
    """
    if data.size or data.tile or card is None or card.tile_overlap is None:
        return tiling_of(data)
    return Tiling(card.size, card.tile_overlap)


def seen_as(tiling: Tiling | None, size: Size) -> str:
    """Describes how a model sees images: resized, or in tiles."""
    return f"images cut into tiles of {tiling.size}" if tiling else str(size)


Ways = tuple[Predictor, Callable[[Sequence[Frame]], list[Confident]] | None]


def _in_tiles(source: Source, tiles: Tiles, *, flip: bool) -> Ways:
    hard = source.output == "labels"

    @torch.inference_mode()
    def look(images: torch.Tensor) -> torch.Tensor:
        if hard:
            return source.labels(images)[:, None]
        with tiles.engine.autocast():
            return source.flip_logits(images) if flip else source.logits(images)

    def labels(frames: Sequence[Frame]) -> list[Array]:
        return [tiles.labels(frame.image, look, hard=hard) for frame in frames]

    def confident(frames: Sequence[Frame]) -> list[Confident]:
        return [Confident(*tiles.likeliest(frame.image, look)) for frame in frames]

    return labels, None if hard else confident


def size_without_card(bench: Workbench) -> Size:
    """Returns the working size for a model that does not say its own: one that fits the target's images."""
    target = bench.config.data.target
    if target is None or target.suffix.lower() in VIDEO_SUFFIXES:
        return PUBLISHED_SIZE
    return propose_size(bench.dataset)[0]


def _whole_images(source: Source, engine: Engine, size: Size, *, flip: bool) -> Ways:
    hard = source.output == "labels"

    @torch.inference_mode()
    def look(frames: Sequence[Frame]) -> Iterator[torch.Tensor]:
        """Labels or logits (1, C, H, W) of each picture at its own size."""
        batch = engine.images(at_working_size([frame.image for frame in frames], size))
        if hard:
            planes = source.labels(batch)[:, None].float()
        else:
            with engine.autocast():
                planes = source.flip_logits(batch) if flip else source.logits(batch)
        mode = "nearest-exact" if hard else "bilinear"
        for number, frame in enumerate(frames):
            yield _resized(planes[number : number + 1], frame.image.shape[:2], mode)

    def labels(frames: Sequence[Frame]) -> list[Array]:
        return [np.asarray((one[0, 0].int() if hard else one[0].argmax(0)).cpu()) for one in look(frames)]

    def confident(frames: Sequence[Frame]) -> list[Confident]:
        found = (likeliest(one) for one in look(frames))
        return [Confident(one.labels[0].cpu().numpy(), one.confidence[0].cpu().numpy()) for one in found]

    return labels, None if hard else confident


def _resized(planes: torch.Tensor, shape: tuple[int, ...], mode: str) -> torch.Tensor:
    if tuple(planes.shape[-2:]) == tuple(shape):
        return planes
    return torch.nn.functional.interpolate(planes.float(), shape, mode=mode)


def open_frames(bench: Workbench, context: Context) -> tuple[Frames, float]:
    """Returns the pictures of ``data.target``, and the frames per second of a video (0 for images).

    Raises:
        InputError: files are not images, and ``data.skip_bad`` is off.
    """
    path = bench.config.data.target
    assert path is not None
    path = bench.path(path)
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        video = VideoFrames(path)
        return video, video.rate
    bench.take(bench.dataset.notes)
    bench.note_pixels(bench.dataset)
    bench.note_size(bench.dataset)
    images = ImageFrames(bench.dataset.samples, skip_bad=bench.config.data.skip_bad)
    images.check_headers(context.control)
    if images.bad:
        # Reported at the end, together with those whose pixels are broken.
        unreadable(images.bad, bench.dataset, skip_bad=bench.config.data.skip_bad)
    return images, 0.0
