"""Draws the pictures of the studio's help from the demonstration's scenes: ``python tools/draw_help.py``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from crots.config import Size
from crots.demo.scenes import render
from crots.resources import resource_folder
from crots.taxonomy import load_class_set

WIDTH, HEIGHT, SCALE = 520, 150, 2
THUMB = Size(150, 100)
# Neither black nor white: seen on a light and on a dark page.
INK, GOOD = (128, 138, 152, 255), (46, 160, 100, 255)
SIGN, PEDESTRIAN, CYCLIST = 4, 7, 9
Pixels = NDArray[np.uint8]


class Page:
    """A transparent page in units of the finished picture; everything is drawn at twice the size."""

    def __init__(self) -> None:
        self.image = Image.new("RGBA", (WIDTH * SCALE, HEIGHT * SCALE), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(15 * SCALE)

    def paste(
        self, pixels: Pixels, x: float, y: float, width: float = THUMB.width, height: float = THUMB.height
    ) -> None:
        """Puts a picture with a thin frame."""
        size = round(width * SCALE), round(height * SCALE)
        picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
        self.image.paste(picture, (round(x * SCALE), round(y * SCALE)))
        self.frame(x, y, width, height, INK)

    def frame(self, x: float, y: float, width: float, height: float, colour: tuple[int, ...], line: float = 1) -> None:
        """Draws a rectangle."""
        box = [v * SCALE for v in (x, y, x + width, y + height)]
        self.draw.rectangle(box, outline=colour, width=round(line * SCALE))

    def arrow(self, x: float, y: float, length: float = 30) -> None:
        """Draws an arrow to the right."""
        end = x + length
        self.line([(x, y), (end - 4, y)])
        self.draw.polygon([(v * SCALE, w * SCALE) for v, w in ((end, y), (end - 8, y - 5), (end - 8, y + 5))], fill=INK)

    def line(self, points: list[tuple[float, float]], colour: tuple[int, ...] = INK, width: float = 2) -> None:
        """Draws a line."""
        self.draw.line([(x * SCALE, y * SCALE) for x, y in points], fill=colour, width=round(width * SCALE))

    def text(self, x: float, y: float, words: str, colour: tuple[int, ...] = INK, anchor: str = "mm") -> None:
        """Writes words."""
        self.draw.text((x * SCALE, y * SCALE), words, fill=colour, font=self.font, anchor=anchor)

    def network(self, x: float, y: float, width: float = 80, height: float = 90) -> None:
        """Draws a network as people know it: three columns of nodes."""
        columns = [[(x + width * i / 2, y + height * (j + 0.5) / n) for j in range(n)] for i, n in enumerate((3, 4, 3))]
        for left, right in pairwise(columns):
            for start in left:
                for end in right:
                    self.line([start, end], (*INK[:3], 110), 0.8)
        for knot in (knot for column in columns for knot in column):
            box = [(knot[0] - 5) * SCALE, (knot[1] - 5) * SCALE, (knot[0] + 5) * SCALE, (knot[1] + 5) * SCALE]
            self.draw.ellipse(box, fill=INK)

    def save(self, name: str) -> None:
        """Writes the page with few colours, which keeps the file small."""
        path = resource_folder() / "help" / f"{name}.png"
        self.image.quantize(192, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)


def scene(index: int, domain: str = "real") -> tuple[Pixels, Pixels]:
    """Returns a street and its train ids at twice the size of a thumbnail."""
    image, labels = render(domain, index, 3, Size(THUMB.width * 2, THUMB.height * 2))  # type: ignore[arg-type]
    return image, labels


def coloured(labels: Pixels) -> Pixels:
    """Returns train ids in the demonstration's colours."""
    return load_class_set("demo").colours(labels)


def guessed(labels: Pixels, seed: int = 0) -> tuple[Pixels, Pixels]:
    """Returns labels as an unsure model would give them, and its confidence as a grey picture."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.random((6, 9)).astype(np.float32)).resize(labels.shape[::-1], Image.Resampling.BICUBIC)
    doubt = np.asarray(rough)
    moved = np.roll(labels, (9, 14), (0, 1))
    found = np.where(doubt > 0.62, moved, labels).astype(np.uint8)
    border = Image.fromarray(((found != np.roll(found, 6, 1)) * 255).astype(np.uint8)).resize((50, 34))
    edges = np.asarray(border.resize(labels.shape[::-1], Image.Resampling.BICUBIC))
    sure = np.clip(250 - 170 * np.clip(doubt - 0.3, 0, 1) - 0.5 * edges.astype(float), 20, 255)
    return found, np.repeat(sure.astype(np.uint8)[..., None], 3, axis=2)


def target(page: Page) -> None:
    """Pictures and nothing else."""
    for number in range(6):
        page.paste(scene(number)[0], 20 + number * 66, 10 + (number % 2) * 28)


def source(page: Page) -> None:
    """A model that was trained elsewhere."""
    image, labels = scene(0, "simulator")
    page.paste(image, 10, 25, 130, 87)
    page.text(152, 68, "+")
    page.paste(coloured(labels), 165, 25, 130, 87)
    page.arrow(310, 68, 50)
    page.network(395, 24)


def pseudo_label(page: Page) -> None:
    """Picture, guess, confidence."""
    image, labels = scene(1)
    found, sure = guessed(labels)
    for place, picture in enumerate((image, coloured(found), sure)):
        page.paste(picture, 5 + place * 182, 25)
    page.arrow(159, 75, 26)
    page.text(344, 75, "+")


def baseline(page: Page) -> None:
    """Pictures with pseudo-labels make a student."""
    for number in range(3):
        image, labels = scene(number + 1)
        page.paste(image, 12 + number * 16, 8 + number * 22, 130, 87)
        page.paste(coloured(guessed(labels, number)[0]), 165 + number * 16, 8 + number * 22, 130, 87)
    page.arrow(350, 75, 40)
    page.network(415, 30)


def mine(page: Page) -> None:
    """A grid over the pseudo-labels; cells with rare classes are kept."""
    image, labels = scene(11)
    found = labels
    page.paste(coloured(found), 10, 15, 180, 120)
    height, width = labels.shape[0] // 4, labels.shape[1] // 4
    kept = []
    for cell in range(16):
        row, column = divmod(cell, 4)
        place = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
        page.frame(10 + column * 45, 15 + row * 30, 45, 30, (255, 255, 255, 120), 0.5)
        rare = np.isin(found[place], (SIGN, PEDESTRIAN, CYCLIST)).sum()
        kept.append((int(rare), row, column, place))
    best = sorted(kept, key=lambda entry: -entry[0])[:4]
    for number, (_, row, column, place) in enumerate(best):
        page.frame(10 + column * 45, 15 + row * 30, 45, 30, (255, 196, 0, 255), 2.5)
        x, y = 250 + number % 2 * 132, 10 + number // 2 * 68
        page.paste(image[place], x, y, 62, 60)
        page.paste(coloured(found[place]), x + 62, y, 62, 60)
    page.arrow(202, 75, 36)


def adapt(page: Page) -> None:
    """Four pictures become one, its label alike."""
    images = [scene(number) for number in (1, 2, 4, 5)]
    for number, (image, _) in enumerate(images):
        page.paste(image, 8 + number % 2 * 84, 20 + number // 2 * 58, 78, 52)
    height, width = images[0][1].shape
    split_y, split_x = int(height * 0.56), int(width * 0.44)
    mixed = [np.concatenate([
        np.concatenate([images[0][part][:split_y, :split_x], images[1][part][:split_y, split_x:]], 1),
        np.concatenate([images[2][part][split_y:, :split_x], images[3][part][split_y:, split_x:]], 1),
    ]) for part in (0, 1)]  # fmt: skip
    page.arrow(178, 75, 24)
    for number, picture in enumerate((mixed[0], coloured(mixed[1]))):
        x = 208 + number * 158
        page.paste(picture, x, 25)
        across, down = x + THUMB.width * 0.44, 25 + THUMB.height * 0.56
        page.line([(across, 25), (across, 125)], (255, 255, 255, 255), 1.5)
        page.line([(x, down), (x + THUMB.width, down)], (255, 255, 255, 255), 1.5)


def evaluate(page: Page) -> None:
    """Prediction against truth, and one bar per class."""
    _, labels = scene(2)
    page.paste(coloured(guessed(labels, 3)[0]), 5, 30, 135, 90)
    page.text(152, 75, "vs")
    page.paste(coloured(labels), 165, 30, 135, 90)
    page.arrow(310, 75, 30)
    classes = load_class_set("demo")
    for number, share in enumerate((0.96, 0.8, 0.84, 0.42, 0.55, 0.88, 0.97, 0.5, 0.78, 0.36)):
        x = 356 + number * 16
        box = [x * SCALE, (125 - 100 * share) * SCALE, (x + 11) * SCALE, 125 * SCALE]
        page.draw.rectangle(box, fill=(*classes.palette[number], 255), outline=INK)


def export(page: Page) -> None:
    """The network becomes files."""
    page.network(40, 30)
    page.arrow(138, 75, 40)
    for number, name in enumerate((".onnx", ".safetensors", ".pth")):
        x, y, width, height = 192 + number * 106, 25, 98, 100
        page.draw.polygon([(v * SCALE, w * SCALE) for v, w in (
            (x, y), (x + width - 18, y), (x + width, y + 18), (x + width, y + height), (x, y + height),
        )], outline=INK, width=2 * SCALE)  # fmt: skip
        page.line([(x + width - 18, y), (x + width - 18, y + 18), (x + width, y + 18)])
        page.text(x + width / 2, y + 48, name)
        page.line([(x + 35, y + 78), (x + 45, y + 87), (x + 63, y + 66)], GOOD, 3)


PICTURES: dict[str, Callable[[Page], None]] = {
    "target": target,
    "source": source,
    "pseudo-label": pseudo_label,
    "baseline": baseline,
    "mine": mine,
    "adapt": adapt,
    "evaluate": evaluate,
    "export": export,
}


def main() -> None:
    """Draws all of them."""
    for name, draw in PICTURES.items():
        page = Page()
        draw(page)
        page.save(name)


if __name__ == "__main__":
    main()
