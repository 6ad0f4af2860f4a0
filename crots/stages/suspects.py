"""Ranks the images and regions to check first when correcting pseudo-labels; see `crots.methods.suspicion`.

The images are read twice, one at a time: first for the doubt of each, then, with the threshold that all together give,
for its regions. A network runs only if a trained student is compared with the labels.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from crots.arrays import Array
from crots.artefacts import STUDENT
from crots.data.cache import ImageCache
from crots.data.datasets import Sample
from crots.data.feed import prefetch
from crots.earlier import earlier_names
from crots.errors import InputError
from crots.events import ArtifactWritten, Event, Note, StageStarted
from crots.execution.context import Context, Meter, at_their_place
from crots.files import write_json
from crots.images import image_size, write_image
from crots.label_files import read_confidence, read_labels, write_confidence, write_labels
from crots.methods.suspicion import SHARE, Opinion, Region, doubt, smoothed, suspicious_regions, threshold_of
from crots.project import SUSPICION
from crots.training.material import PseudoLabels

if TYPE_CHECKING:
    from crots.project import Project
    from crots.stages.workbench import Workbench

STAGE = "suspects"
FOLDER = SUSPICION
INDEX = "suspicion.json"
FORMAT = 1
_BINS = 256
_BOX_COLOUR = (255, 0, 80)


@dataclass(frozen=True)
class SuspectsJob:
    """One run.

    Attributes:
        samples: images that have pseudo-labels.
        cache: gives them at the size of their labels, for the student and for overlays.
        pseudo_labels: with the user's corrections, which are never suspicious.
        out: gets ``suspicion.json``, ``doubt/``, with a student ``student/``, and ``overlays/``.
        student: predicts images (H, W, 3); None if there is no student.
        student_key: the stage that it is from.
        share: share of all pixels, most doubtful first, that form regions.
        regions: how many are kept, worst first.
        overlays: how many images are drawn with their regions.
    """

    samples: Sequence[Sample]
    cache: ImageCache
    pseudo_labels: PseudoLabels
    out: Path
    student: Callable[[Array], Opinion] | None = None
    student_key: str = ""
    share: float = SHARE
    regions: int = 1000
    overlays: int = 0


@dataclass(frozen=True)
class ImageDoubt:
    """One image: its key, mean doubt (0..1), and how many suspicious regions with which share of its pixels."""

    key: str
    doubt: float
    regions: int = 0
    suspicious: float = 0.0


def suspects_of(project: Project, *, student: str = "auto", share: float = SHARE, overlays: int = 0) -> SuspectsJob:
    """Returns the job of a project.

    Args:
        project: with pseudo-labels.
        student: the key of the stage whose student is used; ``auto`` is the last one that is done, ``none`` runs
            no network.
        share: see `SuspectsJob`.
        overlays: see `SuspectsJob`.

    Raises:
        InputError: there are no pseudo-labels, or that stage is not done.
    """
    from crots.stages.project_stages import open_material
    from crots.stages.workbench import Workbench

    bench = Workbench(project.config, project.folder, project.cache_folder, STAGE)
    data = open_material(project, bench)
    assert data.pseudo_labels is not None
    key = student_key(project, student)
    return SuspectsJob(
        samples=data.samples,
        cache=bench.cache,
        pseudo_labels=data.pseudo_labels,
        out=project.work_folder(STAGE),
        student=opinions(bench, project.stage_folder(key)) if key else None,
        student_key=key,
        share=share,
        overlays=overlays,
    )


def student_key(project: Project, asked: str) -> str:
    """Returns the stage to take the student from, '' for none.

    Args:
        project: of the stages.
        asked: see `suspects_of`.

    Raises:
        InputError: that stage has no student.
    """
    # A round that is not needed may have been run by name.
    keys = ("baseline", *project.round_keys())
    done = [key for key in keys if project.record(key) is not None]
    if asked in ("auto", "none"):
        used = [key for key in done if key in project.training_keys()]
        return used[-1] if used and asked == "auto" else ""
    if asked in done:
        return asked
    choices = f"choose one of {', '.join(('auto', 'none', *done))}"
    if asked not in keys and asked in project.stage_keys():
        raise InputError(f"student: {asked} trains no student; {choices}", field="student")
    if asked not in keys:
        raise project.no_such_stage(asked, ("auto", "none", *keys), where="student", field="student")
    if reason := project.needless(asked):
        raise InputError(f"student: {asked} was not needed, since {reason}; {choices}", field="student")
    raise InputError(f"student: {asked} is not done; run it first, or {choices}", field="student")


def opinions(bench: Workbench, folder: Path) -> Callable[[Array], Opinion]:
    """Predicts an image (H, W, 3) with the student of a stage."""
    import torch

    from crots.execution.engine import evaluating
    from crots.methods.pseudo import likeliest
    from crots.training.tiled import logits_of

    model = bench.load_student(folder / STUDENT)
    bench.engine.place(model)
    if tiles := bench.tiles():
        return lambda image: Opinion(*tiles.likeliest(image, logits_of(model, bench.engine)))

    def predict(image: Array) -> Opinion:
        with evaluating(model), torch.inference_mode(), bench.engine.autocast():
            predicted = likeliest(model.logits(bench.engine.images(image[None])))
        return Opinion(predicted.labels[0].cpu().numpy(), predicted.confidence[0].cpu().numpy())

    return predict


def search(project: Project, job: SuspectsJob, context: Context) -> Iterator[Event]:
    """Ranks images and regions of a project; the previous result stays until the new one is complete.

    Args:
        project: of the job.
        job: of `suspects_of`.
        context: of the run.

    Raises:
        InputError: there is nothing to go by, or something that CROTS did not make is in the way.
    """
    project.check_places()
    files = project.files(STAGE)
    if (files.final / INDEX).exists() and not files.owned.listing.exists():
        # By version 0.1, which kept no listing.
        files.owned.claim(earlier_names(STAGE, files.final))
    files.settle()
    # It is quick, so it is never resumed.
    files.discard()
    files.begin({"student": job.student_key})
    yield from at_their_place(find_suspects(job, context), files.work, files.final)
    files.publish({})


def find_suspects(job: SuspectsJob, context: Context) -> Iterator[Event]:
    """Ranks images and regions.

    Raises:
        InputError: there is neither confidence nor a student, so nothing to go by.
    """
    labels = job.pseudo_labels
    if labels.confidence is None and job.student is None:
        raise InputError(
            f"{labels.labels}: the source gave no confidence and no student is trained yet, so there is nothing to "
            "rank the labels by; run the baseline first"
        )
    total = len(job.samples)
    yield StageStarted(stage=context.stage, total=total, unit="images")
    meter, histogram = Meter(context.stage, total), np.zeros(_BINS, np.int64)
    means: dict[str, float] = {}
    reading = prefetch(job.samples, lambda sample: _read(job, sample), workers=2, depth=4)
    with contextlib.closing(reading):
        for done, (sample, read) in enumerate(zip(job.samples, reading, strict=True), 1):
            context.control.check()
            means[sample.key] = _doubt(job, sample.key, read, histogram)
            yield from meter.tick(done // 2)
    threshold = threshold_of(histogram, job.share)
    rows: list[ImageDoubt] = []
    worst: list[tuple[float, int, int, str, Region]] = []
    find = partial(_found, job, threshold)
    with contextlib.closing(prefetch(job.samples, find, workers=2, depth=4)) as finding:
        for done, (sample, (found, share)) in enumerate(zip(job.samples, finding, strict=True), 1):
            context.control.check()
            rows.append(ImageDoubt(sample.key, round(means[sample.key], 4), len(found), round(share, 4)))
            for place, region in enumerate(found):
                # The places keep equal scores in one order.
                entry = (region.score, -done, -place, sample.key, region)
                (heapq.heappush if len(worst) < job.regions else heapq.heappushpop)(worst, entry)
            yield from meter.tick((total + done) // 2)
    rows.sort(key=lambda row: (-row.doubt, row.key))
    ranked = [(key, region) for _, _, _, key, region in sorted(worst, reverse=True)]
    write_json(job.out / INDEX, _index(job, threshold, rows, ranked))
    _draw(job, ranked)
    yield ArtifactWritten(stage=context.stage, kind="suspicion", path=str(job.out / INDEX))
    count = sum(row.regions for row in rows)
    text = f"{count} suspicious regions in {total} images, where doubt is {threshold:.2f} or more"
    yield Note(stage=context.stage, text=text)


class _Read(NamedTuple):
    """Labels and confidence (H, W) of an image, where a person painted them, and the image for the student."""

    labels: Array
    confidence: Array
    painted: Array | None
    image: Array | None


def _read(job: SuspectsJob, sample: Sample) -> _Read:
    labels, key = job.pseudo_labels, sample.key
    image = job.cache.get(sample.image) if job.student else None
    return _Read(labels.read(key), labels.read_confidence(key), labels.repainted(key), image)


def _doubt(job: SuspectsJob, key: str, read: _Read, histogram: Array) -> float:
    """Writes the doubt of one image, adds it to the histogram and returns its mean."""
    opinion = None
    if job.student and read.image is not None:
        opinion = job.student(read.image)
        write_labels(job.out / "student" / f"{key}.png", opinion.labels.astype(read.labels.dtype))
    found = doubt(read.labels, read.confidence, ignore=job.pseudo_labels.classes.ignore, student=opinion)
    if read.painted is not None:
        found[read.painted] = 0
    write_confidence(job.out / "doubt" / f"{key}.png", found)
    counts, _ = np.histogram(smoothed(found), bins=_BINS, range=(0, 1))
    histogram += counts
    return float(found.mean())


def _found(job: SuspectsJob, threshold: float, sample: Sample) -> tuple[list[Region], float]:
    """The regions of an image, and which share of it they are."""
    found = read_regions(job.out, job.pseudo_labels, sample.key, threshold)
    size = image_size(job.out / "doubt" / f"{sample.key}.png")
    return found, sum(region.area for region in found) / (size.width * size.height)


def read_regions(folder: Path, labels: PseudoLabels, key: str, threshold: float) -> list[Region]:
    """Returns the suspicious regions of one image from what is on disk; no network runs.

    Args:
        folder: the project's ``suspicion/``.
        labels: the pseudo-labels with their corrections.
        key: of the image.
        threshold: as ``suspicion.json`` says.
    """
    student = folder / "student" / f"{key}.png"
    return suspicious_regions(
        labels.read(key),
        read_confidence(folder / "doubt" / f"{key}.png"),
        threshold,
        ignore=labels.classes.ignore,
        student=read_labels(student) if student.exists() else None,
    )


def _index(
    job: SuspectsJob, threshold: float, rows: Sequence[ImageDoubt], ranked: Sequence[tuple[str, Region]]
) -> dict[str, Any]:
    names = job.pseudo_labels.classes.names
    regions = [
        {"key": key, **asdict(region), "name": names[region.label], "reason": region.reason(names)}
        for key, region in ranked
    ]
    return {
        "format": FORMAT,
        "student": job.student_key or None,
        "share": job.share,
        "threshold": threshold,
        "images": [asdict(row) for row in rows],
        "regions": regions,
    }


def _draw(job: SuspectsJob, ranked: Sequence[tuple[str, Region]]) -> None:
    """Draws the images of the worst regions with all their regions that were kept."""
    by_image = sharded(ranked)
    by_key = {sample.key: sample for sample in job.samples}
    for key in list(by_image)[: job.overlays]:
        image = np.ascontiguousarray(job.cache.get(by_key[key].image)).copy()
        for region in by_image[key]:
            left, top, width, height = region.box
            cv2.rectangle(image, (left, top), (left + width - 1, top + height - 1), _BOX_COLOUR, 1)
        write_image(job.out / "overlays" / f"{key}.png", image)


def sharded(ranked: Sequence[tuple[str, Region]]) -> dict[str, list[Region]]:
    """Returns regions by image, images in the order of their worst region."""
    found: dict[str, list[Region]] = {}
    for key, region in ranked:
        found.setdefault(key, []).append(region)
    return found
