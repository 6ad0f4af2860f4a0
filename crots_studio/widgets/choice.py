"""A list to choose one of several things from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtWidgets import QComboBox


def choice(name: str, entries: Mapping[Any, str]) -> QComboBox:
    """Returns a list of entries with their data; it may become narrower than its longest entry.

    Args:
        name: for screen readers and as tooltip.
        entries: text by data.
    """
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(name)
    combo.setMinimumContentsLength(6)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    for key, text in entries.items():
        combo.addItem(text, key)
    return combo
