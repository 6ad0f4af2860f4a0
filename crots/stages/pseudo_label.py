"""Pseudo-labels: the source's labels of every target image, with confidence, entropy and class statistics."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from crots.artefacts import CONFIDENCE, EASY, HARD, IMAGE_ROWS, LABEL_COLOUR, LABEL_IDS, SKIPPED, STATISTICS
from crots.config import to_mapping
from crots.data.cache import ImageCache
from crots.data.datasets import Dataset, Sample
from crots.data.feed import ahead, prefetch, readers
from crots.data.predictions import LEARNS_THE_SAME
from crots.data.spread import statistics_groups
from crots.data.tiles import Tiling, in_parts, read_sample
from crots.errors import InputError
from crots.events import ArtifactWritten, Event, Note, StageStarted
from crots.execution.context import Context, Meter
from crots.execution.workers import current
from crots.files import explained, write_json, write_text
from crots.images import image_size
from crots.label_files import TRAIN_IDS, write_colours, write_confidence, write_labels
from crots.methods.alarms import source_checks
from crots.methods.rare import ClassStatistics, StatisticsShape
from crots.options import PseudoLabelOptions
from crots.records import Key, fits, parse, read_plain
from crots.taxonomy import ClassSet

if TYPE_CHECKING:
    # Only for annotations, so that `crots mine`, which reads the results of this stage, needs no torch.
    from crots.stages.labellers import Labelled, Labeller


@dataclass(frozen=True)
class LabelJob:
    """One run of the stage.

    Attributes:
        dataset: the target's images.
        cache: gives them at working size, or at their own where they are cut into tiles.
        labeller: the source.
        classes: the target's class set.
        out: gets ``label_ids/``, ``label_color/``, ``confidence/``, ``easy.txt``, ``hard.txt``, ``statistics.json``.
        batch: images per forward pass; 1 where they are cut into tiles.
        device: its name.
        tiling: how images are cut into tiles; None where they are resized.
        skip_bad: leave out unreadable images.
        notes: what the user should read at the start.
        clear: all pictures in ``out`` are of an earlier run, and are deleted unless that is resumed.
    """

    dataset: Dataset
    cache: ImageCache
    labeller: Labeller
    classes: ClassSet
    options: PseudoLabelOptions
    out: Path
    batch: int = 1
    device: str = "cpu"
    tiling: Tiling | None = None
    skip_bad: bool = False
    notes: tuple[Note, ...] = field(default=())
    clear: bool = True


def label_images(job: LabelJob, context: Context) -> Iterator[Event]:
    """Labels every image of the target.

    Raises:
        InputError: images cannot be read and ``skip_bad`` is off, when nothing was labelled yet; or in the end nothing
            is labelled with a class.
    """
    samples = list(job.dataset.samples)
    yield StageStarted(
        stage=context.stage,
        total=len(samples),
        unit="images",
        device=job.device,
        options=to_mapping(job.options),
    )
    yield from job.notes
    bad: dict[str, str] = {}
    meter = Meter(context.stage, len(samples))
    yield from read_all(samples, job.cache, bad, context, meter)
    workers = current()
    if bad:
        text = unreadable(bad, job.dataset, skip_bad=job.skip_bad)
        workers.from_first(lambda: write_json(job.out / SKIPPED, bad))
        yield Note(stage=context.stage, level="warning", text=text)
    else:
        workers.from_first(lambda: (job.out / SKIPPED).unlink(missing_ok=True))
    writer = LabelWriter(job)
    samples = [sample for sample in samples if sample.key not in bad]
    done = workers.from_first(writer.done if context.resume else writer.clear)
    # Only whole batches count as done, so that a resumed run forms the same batches.
    batches = [samples[first : first + job.batch] for first in range(0, len(samples), job.batch)]
    batches = [batch for batch in batches if not all(sample.key in done for sample in batch)]
    if batches:
        yield from _prepare(samples, job, context)
    yield from _label(batches, job, writer, context, meter)
    text, void, only = workers.from_first(lambda: _finished(writer, samples, job.classes))
    checks = source_checks(predictions=not job.labeller.needs_images)
    if void == len(samples):
        raise InputError(
            f"the source's labels of all {void} images are ignore everywhere, so there is nothing to learn; check "
            f"{checks}"
        )
    yield ArtifactWritten(stage=context.stage, kind="pseudo-labels", path=str(job.out))
    yield Note(stage=context.stage, text=text)
    if void:
        text = f"{void} of {len(samples)} images are ignore everywhere: nothing is learnt from them"
        yield Note(stage=context.stage, text=text, level="warning")
    if only and not any(LEARNS_THE_SAME in note.text for note in job.notes):
        text = (
            f"the source predicts {only} for nearly every pixel of all {len(samples)} images: {LEARNS_THE_SAME}; check "
            f"{checks}"
        )
        yield Note(stage=context.stage, text=text, level="warning")


def _finished(writer: LabelWriter, samples: Sequence[Sample], classes: ClassSet) -> tuple[str, int, str]:
    """Finishes the stage's files.

    Returns:
        A summary line; the number of images without any label; the class that is nearly everywhere, or nothing.
    """
    rows = writer.finish(samples)
    everywhere = total_statistics(rows, len(classes)).everywhere
    only = "" if everywhere is None else classes.names[everywhere]
    return summary(rows, classes), sum(not any(row["pixels"]) for row in rows), only


def read_all(
    samples: Sequence[Sample], cache: ImageCache, bad: dict[str, str], context: Context, meter: Meter
) -> Iterator[Event]:
    """Decodes every image once, into the cache, and collects in ``bad`` those that cannot be read, by key.

    It is the first half of the stage: an image counts as half done.
    """
    workers = current()
    found: dict[str, str] = {}

    def read(sample: Sample | None) -> tuple[str, str]:
        if sample is None:
            return "", ""
        try:
            cache.get(sample.image)
        except InputError as error:
            return sample.key, str(error)
        return sample.key, ""

    reading = prefetch(workers.dealt(samples), read, workers=readers(), depth=2 * readers())
    try:
        for done, (key, error) in enumerate(reading, 1):
            context.check()
            if error:
                found[key] = error
            yield from meter.tick(min(len(samples), done * workers.world) // 2)
    finally:
        reading.close()
    for part in workers.gathered(found):
        found |= part
    bad |= {sample.key: found[sample.key] for sample in samples if sample.key in found}


def unreadable(bad: Mapping[str, str], dataset: Dataset, *, skip_bad: bool) -> str:
    """Reports which images are left out.

    Args:
        bad: what is wrong, by image key; not empty.
        dataset: the images.
        skip_bad: leave them out.

    Raises:
        InputError: they must not be left out, or none is left.
    """
    first = next(iter(bad.values()))
    if not skip_bad:
        more = f" (and {len(bad) - 1} more; `crots inspect {dataset.root}` lists them)" if len(bad) > 1 else ""
        raise InputError(
            f"{first}{more}; repair or remove them, or leave them out with `data.skip_bad`",
            settings={"data.skip_bad": "true"},
        )
    if len(bad) == len(dataset.samples):
        raise InputError(f"none of the {len(bad)} images can be read; the first: {first}")
    return f"{len(bad)} unreadable images are left out; {first}"


def _prepare(samples: Sequence[Sample], job: LabelJob, context: Context) -> Iterator[Event]:
    """Adapts the source to the target on some of its images; the same ones in every run and on every worker."""
    looked_at = in_parts(samples, job.tiling)
    groups = statistics_groups(len(looked_at))
    if not groups:
        return

    def batches() -> Iterator[Any]:
        for group in groups:
            context.check()
            yield np.stack([read_sample(job.cache, looked_at[place]) for place in group])

    if job.labeller.prepare(batches()):
        count = sum(map(len, groups))
        what = "tiles of target images" if job.tiling else "target images"
        yield Note(stage=context.stage, text=f"the source's batch-norm statistics are those of {count} {what}")


def _label(
    batches: Sequence[Sequence[Sample]], job: LabelJob, writer: LabelWriter, context: Context, meter: Meter
) -> Iterator[Event]:
    """Labels the batches: each worker its own, in turns, after each of which the first records what was labelled."""

    def load(batch: Sequence[Sample]) -> tuple[Sequence[Sample], Any]:
        if not job.labeller.needs_images:
            return batch, None
        images = [job.cache.get(sample.image) for sample in batch]
        # One alone, as where images are cut into tiles, is not copied: parts of it are read from the cache.
        return batch, images[0][None] if len(images) == 1 else np.stack(images)

    ended: list[BaseException] = []

    def answers() -> Iterator[tuple[Sample, Labelled]]:
        for batch, images in loading:
            try:
                context.control.check()
                answer = job.labeller.label(batch, images)
            except BaseException as error:
                ended.append(error)  # raised again when what was labelled before is written
                return
            yield from zip(batch, answer, strict=True)
            del images, answer  # while the next ones are read

    workers, total = current(), len(job.dataset.samples)
    labelled = total - sum(len(batch) for batch in batches)
    own = [batch or () for batch in workers.dealt(batches)]
    # Images are large where they are cut into tiles: of each are held its 3 bytes a pixel, and then labels with
    # confidence, which take 5.
    sizes = [image_size(sample.image) for batch in batches for sample in batch] if job.tiling else []
    largest = max((size.width * size.height for size in sizes), default=0)
    loading = prefetch([batch for batch in own if batch], load, workers=1, depth=ahead(2, 3 * largest))
    # Threads compress the pictures of one batch while the next one is labelled.
    writing = prefetch(
        answers(), lambda answer: writer.write(*answer), workers=readers(), depth=ahead(2 * job.batch, 5 * largest)
    )
    try:
        for batch in own:
            rows = list(itertools.islice(writing, len(batch)))
            turn = workers.gathered(rows if len(rows) == len(batch) else None)
            for row in itertools.chain(*filter(None, turn)):
                labelled += 1
                if workers.first:
                    writer.record(row)
            if None in turn:
                break
            yield from meter.tick((total + labelled) // 2)
    finally:
        writing.close()
        loading.close()
    workers.together(lambda: _raise(ended))


def _raise(errors: Sequence[BaseException]) -> None:
    if errors:
        raise errors[0]


class LabelWriter:
    """Writes the files of one image, and in the end those of the whole set; `write` is safe for several threads."""

    def __init__(self, job: LabelJob) -> None:
        self._job = job
        self._palette = job.classes.palette_array()
        self._progress = job.out / IMAGE_ROWS

    def clear(self) -> set[str]:
        """Drops the records of an earlier run; its pictures are overwritten, and those of removed images deleted."""
        self._progress.unlink(missing_ok=True)
        for folder in (LABEL_IDS, LABEL_COLOUR, CONFIDENCE) if self._job.clear else ():
            for path in (self._job.out / folder).rglob("*.png"):
                path.unlink()
        return set()

    def done(self) -> set[str]:
        """Keys of the images that an interrupted run finished; a half-written line is removed."""
        rows = read_rows(self._progress, len(self._job.classes))
        write_text(self._progress, "".join(json.dumps(row) + "\n" for row in rows))
        return {row["key"] for row in rows}

    def write(self, sample: Sample, labelled: Labelled) -> dict[str, Any]:
        """Writes labels, colours and confidence; returns the line to be recorded."""
        out, name = self._job.out, self._name(sample.key)
        write_labels(out / LABEL_IDS / name, labelled.labels, says=f"{TRAIN_IDS} of {self._job.classes.name}")
        write_colours(out / LABEL_COLOUR / name, labelled.labels, self._palette)
        if labelled.confidence is not None:
            write_confidence(out / CONFIDENCE / name, labelled.confidence)
        statistics = ClassStatistics(len(self._job.classes))
        confidence = labelled.confidence
        if confidence is None:
            confidence = np.broadcast_to(np.float32(1), labelled.labels.shape)
        statistics.add(labelled.labels, confidence)
        relative = sample.image.relative_to(self._job.dataset.root).as_posix()
        return {"key": sample.key, "image": relative, "entropy": labelled.entropy, **statistics.to_dict()}

    def record(self, row: dict[str, Any]) -> None:
        """Notes that the files of an image are there."""
        with explained(self._progress), self._progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _name(self, key: str) -> str:
        if not self._job.options.published_layout:
            return f"{key}.png"
        name = key.replace("leftImg8bit", "gtFine_labelIds")
        # A picked dataset root has the split in its keys already.
        return f"train/{name.removeprefix('gtFine_labelIds/train/')}.png"

    def finish(self, samples: Iterable[Sample]) -> list[ImageShape]:
        """Writes the easy and hard lists and the class statistics; returns the rows of all images."""
        by_key = {row["key"]: row for row in read_rows(self._progress, len(self._job.classes))}
        rows = [by_key[sample.key] for sample in samples]
        ranked = sorted(rows, key=lambda row: (row["entropy"], row["key"]))
        easy = round(len(ranked) * self._job.options.easy)
        for name, part in ((EASY, ranked[:easy]), (HARD, ranked[easy:])):
            write_text(self._job.out / name, "".join(f"{row['image']} {row['entropy']:.6f}\n" for row in part))
        write_json(self._job.out / STATISTICS, total_statistics(rows, len(self._job.classes)).to_dict())
        return rows


# No image has as many.
_MOST_PIXELS = 1 << 31


class ImageShape(StatisticsShape):
    """One line of ``images.jsonl``."""

    key: Key
    image: Key
    entropy: float


def read_rows(path: Path, classes: int) -> list[ImageShape]:
    """Reads the lines of ``images.jsonl``; torn and damaged ones, and those of other classes, are passed over.

    Raises:
        InputError: something else than a file has its name, or it cannot be read.
    """
    lines = (read_plain(path, remedy="delete it and run the pseudo-label stage again") or b"").split(b"\n")
    return [row for line in lines if (row := read_row(line, classes)) is not None]


def read_row(line: bytes, classes: int) -> ImageShape | None:
    """Reads one line of ``images.jsonl``; None where it is damaged or of another class set."""
    try:
        row = parse(line)
    except ValueError:
        return None
    sound = fits(row, ImageShape) and len(row["pixels"]) == len(row["confidence"]) == len(row["images"]) == classes
    # Counts of pixels, and sums over them of what is 1 at most.
    possible = sound and all(
        abs(value) < _MOST_PIXELS for value in (row["entropy"], *row["pixels"], *row["confidence"])
    )
    return cast(ImageShape, row) if possible else None


def total_statistics(rows: Iterable[ImageShape], classes: int) -> ClassStatistics:
    """Adds up the class statistics of images, in their order, so that the sums are the same every time."""
    total = ClassStatistics(classes)
    for row in rows:
        total.merge(ClassStatistics.from_dict(row))
    return total


def summary(rows: Sequence[ImageShape], classes: ClassSet) -> str:
    """Summarises the labels in one line."""
    statistics = total_statistics(rows, len(classes))
    missing = [name for name, pixels in zip(classes.names, statistics.pixels, strict=True) if not pixels]
    text = f"labelled {len(rows)} images, mean entropy {np.mean([row['entropy'] for row in rows]):.3f} nats"
    return text + (f"; never predicted: {', '.join(missing)}" if missing else "")
