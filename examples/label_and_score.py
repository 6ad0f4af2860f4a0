"""Label the images of a folder with a model, and score the labels.

First ``crots demo --tiny crots-demo``, then ``python examples/label_and_score.py MODEL IMAGES LABELS OUT`` with the
demonstration's ``export/adapted.safetensors``, ``data/validation/images`` and ``data/validation/labels``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crots.artefacts import LABEL_COLOUR, LABEL_IDS
from crots.config import Size
from crots.data.datasets import open_dataset
from crots.data.labels import read_truth
from crots.images import read_image, resize_image
from crots.label_files import write_colours, write_labels
from crots.methods.metrics import Confusion
from crots.nets.model import Model
from crots.nets.weights import load_model


def label(model: Model, image: np.ndarray) -> np.ndarray:
    """Returns the train ids (H, W) of an image (H, W, 3), predicted at the model's working size."""
    height, width = image.shape[:2]
    small = torch.from_numpy(resize_image(image, model.card.size))
    with torch.inference_mode():
        logits = model.logits(small.permute(2, 0, 1)[None], Size(width, height))
    return logits.argmax(1)[0].numpy().astype(np.uint8)


def label_and_score(checkpoint: Path, images: Path, labels: Path, out: Path) -> dict[str, Any]:
    """Writes label ids and colours of every image; returns mIoU, the IoU of each class and the confusion matrix."""
    # The file itself says which network it holds, its classes and its normalisation.
    model, _ = load_model(checkpoint)
    model.eval()
    classes = model.classes
    # Images and labels are matched by name, and the labels' encoding is found out.
    dataset = open_dataset(images, labels=labels, classes=classes)
    confusion = Confusion(len(classes), classes.ignore)
    for sample in dataset.samples:
        found = label(model, read_image(sample.image))
        write_labels(out / LABEL_IDS / f"{sample.key}.png", found)
        write_colours(out / LABEL_COLOUR / f"{sample.key}.png", found, classes.palette_array())
        confusion.add(read_truth(sample, dataset, classes), found)
    return confusion.report(classes.names)


def main() -> None:
    """Reads the command line, and prints the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "images", "labels", "out"):
        parser.add_argument(name, type=Path)
    report = label_and_score(**vars(parser.parse_args()))
    for name, iou in report["per_class_iou"].items():
        print(f"{name:<16}{'-' if iou is None else f'{iou:.1%}':>7}")
    print(f"{'mean':<16}{report['miou']:>7.1%}")


if __name__ == "__main__":
    main()
