"""The card in a training checkpoint, read without torch: nothing in its pickle is imported or called."""

from __future__ import annotations

from pathlib import Path

from crots.card import ModelCard, read_card
from crots.files import is_file
from crots.nets.claims import plain_content

# How the files of `torch.save` begin: as a zip archive, or as a pickle.
_HEADS = (b"PK\x03\x04", b"\x80\x02")


def checkpoint_card(path: Path) -> ModelCard | None:
    """Returns the card of a checkpoint that CROTS wrote; None for other, missing and damaged files.

    Raises:
        InputError: it has a card that is not of this version.
    """
    card: object = None
    try:
        if is_file(path):
            with path.open("rb") as file:
                head = file.read(4)
            content = plain_content(path) if head.startswith(_HEADS) else None
            card = content.get("card") if isinstance(content, dict) else None
    except Exception:  # files may come from anyone and be damaged in any way
        return None
    return read_card(card, path) if isinstance(card, dict) else None
