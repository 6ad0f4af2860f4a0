"""Lists that may be narrower than their entries."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox

from crots_studio.widgets.controls import ElidedBox, choice_box


def pictures(qtbot, box, width):
    qtbot.addWidget(box)
    box.resize(width, box.sizeHint().height())
    box.show()
    return box.grab().toImage()


def plain_box(text):
    box = QComboBox()
    box.addItem(text)
    return box


def test_a_long_entry_ends_in_an_ellipsis(qtbot, session):
    box = choice_box("Order", {"a": "Least confident first"})
    assert isinstance(box, ElidedBox)
    narrow = pictures(qtbot, box, 110)
    metrics = box.fontMetrics()
    # The same as of a list whose entry is that short.
    texts = [metrics.elidedText("Least confident first", Qt.TextElideMode.ElideRight, room) for room in range(40, 110)]
    alike = [text for text in dict.fromkeys(texts) if pictures(qtbot, plain_box(text), 110) == narrow]
    assert len(alike) == 1 and alike[0].endswith("\u2026")


def test_what_fits_is_drawn_as_ever(qtbot, session):
    assert pictures(qtbot, choice_box("Part", {"a": "All images"}), 200) == pictures(
        qtbot, plain_box("All images"), 200
    )


def test_a_list_without_a_choice_says_what_it_is_for(qtbot, session):
    box, empty = choice_box("Region", {"a": "sky"}), choice_box("Region", {"a": "sky"})
    box.setPlaceholderText("Doubtful regions, the worst first")
    for one in (box, empty):
        one.setCurrentIndex(-1)
    assert pictures(qtbot, box, 160) != pictures(qtbot, empty, 160)
