"""A small labelled data set, and the command line as a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from crots.cli.main import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def crots(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line given as words; nothing may ever show a traceback."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err + captured.out
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def refused(crots) -> Callable[..., str]:
    """Runs a command line that must be refused as wrong use, in one line; returns that line."""

    def run(*words: object) -> str:
        ran = crots(*words)
        assert ran.code == 2, ran
        lines = [line for line in ran.err.splitlines() if line.startswith("crots: ")]
        assert len(lines) == 1, ran.err
        return lines[0]

    return run


def picture(labels: np.ndarray) -> np.ndarray:
    shades = np.stack([labels * 20, 255 - labels * 20, labels * 10], -1).astype(np.int16)
    return (shades + np.random.default_rng(0).integers(0, 20, shades.shape)).clip(0, 255).astype(np.uint8)


def scene(index: int) -> np.ndarray:
    """Sky, road, and in turns a bicyclist; train ids of CamVid, 64x64."""
    labels = np.zeros((64, 64), np.uint8)
    labels[32:] = 3
    labels[10:40, 10:30] = 1
    labels[30:45, 40:50] = 8
    if index % 2:
        labels[35:50, 4:10] = 10
    return labels


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """``images/{train,val}`` and ``labels/{train,val}`` with CamVid's classes, 64x64 pixels."""
    root = tmp_path / "city"
    for split, count in (("train", 4), ("val", 2)):
        for index in range(count):
            labels = scene(index)
            for kind, pixels in (("images", picture(labels)), ("labels", labels)):
                path = root / kind / split / f"im{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """What begins as a checkpoint does."""
    path = tmp_path / "source.pth"
    path.write_bytes(b"\x80\x02 not read without torch")
    return path
