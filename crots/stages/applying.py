"""Applying a model file of any kind to a folder of images, an image or a video: opening both, then predicting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from crots.arrays import Array
from crots.card import ModelCard
from crots.config import Size
from crots.data.datasets import Sample
from crots.data.sizes import propose_size
from crots.data.tiles import Tiling
from crots.errors import InputError
from crots.events import Event
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.nets.reading import file_kind, read_weights
from crots.nets.source import Source, open_source
from crots.nets.weights import PUBLISHED_SIZE
from crots.opening import tiling_of
from crots.options import DataOptions, PredictOptions
from crots.stages.predict import (
    VIDEO_SUFFIXES,
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
    claim: Callable[[Sequence[Sample]], None] = lambda samples: None,
) -> Iterator[Event]:
    """Predicts ``data.target`` with the model ``source.file``.

    Args:
        bench: of a configuration with both.
        options: of the stage.
        out: folder that gets ``label_ids/``, ``label_color/`` and ``overlay/``.
        context: of the stage.
        classes: class set of a file that does not say its own.
        claim: called with the images (none for a video) before anything is written.

    Raises:
        InputError: the model or the images cannot be used.
    """
    predictor, class_set, batch = open_predictor(bench, classes=classes, flip=options.flip, batch=options.batch)
    frames, rate = open_frames(bench, context)
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


def open_predictor(
    bench: Workbench, *, classes: str | None = None, flip: bool = False, batch: int = 0
) -> tuple[Predictor, ClassSet, int]:
    """Opens ``source.file`` for predicting images of any size.

    The model sees them at its working size, or in tiles where it was made for tiles or the options ask for them.

    Args:
        bench: of a configuration with the file.
        classes: class set of a file that does not say its own.
        flip: add the prediction of the mirror image.
        batch: images or tiles per forward pass; 0 is the device's usual number.

    Returns:
        The predictor, its classes, and how many images it should get at once: one where it cuts them itself.

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
        return _predictor(source, bench.engine, size, flip=flip), source.classes, bench.engine.batch(batch)
    tiles = Tiles(tiling, bench.engine, bench.engine.batch(batch))
    return _tile_predictor(source, tiles, flip=flip), source.classes, 1


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


def _tile_predictor(source: Source, tiles: Tiles, *, flip: bool) -> Predictor:
    hard = source.output == "labels"

    @torch.inference_mode()
    def look(images: torch.Tensor) -> torch.Tensor:
        if hard:
            return source.labels(images)[:, None]
        with tiles.engine.autocast():
            return source.flip_logits(images) if flip else source.logits(images)

    return lambda images: [tiles.labels(image, look, hard=hard) for image in images]


def size_without_card(bench: Workbench) -> Size:
    """Returns the working size for a model that does not say its own: one that fits the target's images."""
    target = bench.config.data.target
    if target is None or target.suffix.lower() in VIDEO_SUFFIXES:
        return PUBLISHED_SIZE
    return propose_size(bench.dataset)[0]


def _predictor(source: Source, engine: Engine, size: Size, *, flip: bool) -> Predictor:
    @torch.inference_mode()
    def predict(images: Sequence[Array]) -> list[torch.Tensor]:
        batch = engine.images(at_working_size(images, size))
        shapes = [image.shape[:2] for image in images]
        if source.output == "labels":
            planes = source.labels(batch)[:, None].float()
            return [_resized(planes[k : k + 1], shape, "nearest-exact")[0, 0].int() for k, shape in enumerate(shapes)]
        with engine.autocast():
            logits = source.flip_logits(batch) if flip else source.logits(batch)
        return [_resized(logits[k : k + 1], shape, "bilinear")[0].argmax(0) for k, shape in enumerate(shapes)]

    def to_numpy(images: Sequence[Array]) -> list[Array]:
        return [np.asarray(labels.cpu()) for labels in predict(images)]

    return to_numpy


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
