"""How label files store classes."""

from __future__ import annotations

from typing import Literal, get_args

Encoding = Literal["auto", "train", "raw", "colour", "mask", "from-one", "synthia", "polygons"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
