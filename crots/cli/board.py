"""``--tensorboard DIR``: the curves of a stream of events and a few of its pictures, as TensorBoard reads them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from crots.artefacts import LABEL_COLOUR, PATCH_COLOURS, PATCHES
from crots.errors import CrotsError, InputError
from crots.events import ArtifactWritten, Evaluated, Event, Metrics, Scored, StageFinished
from crots.files import explained

# Pictures of a folder, and the longer side of each.
_PICTURES, _SIDE = 4, 512
_FOLDERS = (LABEL_COLOUR, "overlay", PATCHES, PATCH_COLOURS)


def checked_writer(folder: Path) -> Callable[[str], Any]:
    """Returns what opens a folder for TensorBoard; writes nothing.

    Raises:
        InputError: TensorBoard is not installed, or cannot be used; or a file is there.
    """
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except Exception as error:  # packages that it needs raise anything where versions do not fit
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"--tensorboard needs tensorboard ({reason[:160]}); install it with: pip install --upgrade "
            "'crots-studio[tensorboard]'",
            field="tensorboard",
        ) from error
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder for --tensorboard", field="tensorboard")
    return SummaryWriter


class Board:
    """A consumer of events that writes what TensorBoard reads; it never deletes or replaces anything."""

    def __init__(self, folder: Path) -> None:
        """Opens ``folder``.

        Raises:
            InputError: TensorBoard is not installed.
            StageError: the folder cannot be written.
        """
        writer = checked_writer(folder)
        self._folder = folder
        with explained(folder):
            self._writer: Any = writer(str(folder))
        # Results lie in their place only after the stage has ended.
        self._written: dict[str, Path] = {}
        self._ended: list[Path] = []

    def show(self, event: Event) -> None:
        """Takes in one event.

        Raises:
            StageError: the folder cannot be written.
        """
        with explained(self._folder):
            self._draw_ended(event)
            if isinstance(event, Metrics):
                self._curves(
                    event, {f"{event.stage}/{name}": value for name, value in event.values.items()}, event.step
                )
            elif isinstance(event, Scored):
                found = {f"{event.stage}/label-free/{name}": value for name, value in event.values.items()}
                self._curves(event, found, event.step)
            elif isinstance(event, Evaluated):
                scores = {"mIoU": event.miou, **{f"IoU/{name}": iou for name, iou in event.per_class_iou.items()}}
                found = {f"{event.subject}/{name}": iou for name, iou in scores.items() if iou is not None}
                self._curves(event, found, event.step)
            elif isinstance(event, ArtifactWritten):
                self._written[event.stage] = Path(event.path)
            elif isinstance(event, StageFinished) and event.stage in self._written:
                self._ended.append(self._written.pop(event.stage))

    def close(self) -> None:
        """Writes the rest.

        Raises:
            StageError: the folder cannot be written.
        """
        with explained(self._folder):
            self._draw_ended(None)
            self._writer.close()

    def _curves(self, event: Event, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            if math.isfinite(value):
                self._writer.add_scalar(name, value, step, walltime=event.time)

    def _draw_ended(self, event: Event | None) -> None:
        while self._ended:
            place = self._ended.pop()
            for folder in _FOLDERS:
                for number, picture in enumerate(_pictures(place / folder)):
                    name = f"{place.name}/{folder}/{number + 1}"
                    self._writer.add_image(name, picture, 0, dataformats="HWC", walltime=event.time if event else None)


def _pictures(folder: Path) -> Iterator[Any]:
    """A few images of a folder, evenly from all of them, small enough for a page."""
    from crots.config import Size
    from crots.images import read_image, resize_image

    paths = sorted(path for path in folder.rglob("*.png") if not path.name.startswith("."))
    for path in paths[:: max(1, len(paths) // _PICTURES)][:_PICTURES]:
        # An unreadable picture must not stop the run.
        with contextlib.suppress(CrotsError):
            image = read_image(path)
            height, width = image.shape[:2]
            share = min(1.0, _SIDE / max(height, width))
            yield resize_image(image, Size(max(1, round(width * share)), max(1, round(height * share))))
