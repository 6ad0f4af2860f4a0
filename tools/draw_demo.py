"""Draws the README's picture from a finished demonstration: ``python tools/draw_demo.py DEMO resources/demo.png``."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from crots.artefacts import STUDENT
from crots.images import read_image, write_image
from crots.label_files import read_labels
from crots.nets.model import Model
from crots.nets.weights import load_model
from crots.project import Project
from crots.taxonomy import load_class_set

TITLES = ("target image", "labels (not used)", "source model", "adapted model")
GAP, HEAD = 6, 22


def predicted(model: Model, image: np.ndarray) -> np.ndarray:
    """Returns train ids (H, W) of one image (H, W, 3)."""
    batch = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return model.logits(batch).argmax(1)[0].numpy().astype(np.uint8)


def main(folder: Path, out: Path, numbers: tuple[int, ...] = (2, 5, 9)) -> None:
    """Writes a row of four pictures for each validation image."""
    project, classes = Project.open(folder), load_class_set("demo")
    source, _ = load_model(folder / "source" / STUDENT)
    adapted, _ = load_model(folder / project.round_keys()[-1] / STUDENT)
    files = sorted((folder / "data" / "validation" / "images").glob("*.png"))
    rows = []
    for number in numbers:
        image = read_image(files[number])
        truth = read_labels(folder / "data" / "validation" / "labels" / files[number].name)
        maps = [truth, predicted(source.eval(), image), predicted(adapted.eval(), image)]
        rows.append([image, *(classes.colours(labels) for labels in maps)])
    height, width = rows[0][0].shape[:2]
    sheet = np.full((HEAD + len(rows) * (height + GAP), len(TITLES) * (width + GAP) - GAP, 3), 255, np.uint8)
    for column, title in enumerate(TITLES):
        place = (column * (width + GAP) + 4, HEAD - 7)
        cv2.putText(sheet, title, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
        for row, pictures in enumerate(rows):
            top, left = HEAD + row * (height + GAP), column * (width + GAP)
            sheet[top : top + height, left : left + width] = pictures[column]
    write_image(out, sheet)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
