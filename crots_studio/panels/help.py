"""What each stage does, in four sentences and a picture; follows the stage that runs until the user chooses one."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QListWidget, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from crots_studio.models.help_topics import read_glossary, read_topics, topic_of
from crots_studio.plain import Label
from crots_studio.session import Session

_WIDEST = 620


class ScaledPicture(QLabel):
    """A picture that keeps its shape and never grows beyond its own size."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = QPixmap()
        self.setMinimumWidth(200)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Maximum)

    def show_file(self, path: str, label: str) -> None:
        """Shows a picture; ``words`` say it to a screen reader."""
        self._whole = QPixmap(path)
        self.setAccessibleName(label)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Fits the picture to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._whole.isNull():
            self.clear()
            return
        ratio = self.devicePixelRatioF()
        width = round(min(self.width(), _WIDEST) * ratio)
        scaled = self._whole.scaledToWidth(width, Qt.TransformationMode.SmoothTransformation)
        scaled.setDevicePixelRatio(ratio)
        self.setPixmap(scaled)


class HelpPanel(QWidget):
    """Topics left, text and picture right."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Help")
        self._topics = (*read_topics(), read_glossary())
        self.list = QListWidget()
        self.list.setAccessibleName("Stages")
        self.list.setProperty("role", "roomy")
        # Rows that were placed before they have the sheet's height would lie one over the other.
        self.list.ensurePolished()
        self.list.addItems([topic.title for topic in self._topics])
        self.list.setMaximumWidth(170)
        self.heading, self.text, self.picture = Label(), Label(), ScaledPicture()
        self.heading.setProperty("role", "heading")
        self.text.setWordWrap(True)
        self.text.setMaximumWidth(_WIDEST)
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._lay_out()
        self.list.currentRowChanged.connect(self._show)
        self.show_stage(session.opened.history.current or "target")

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        for widget in (self.heading, self.picture, self.text):
            column.addWidget(widget)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidget(page)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        row = QHBoxLayout(self)
        row.addWidget(self.list)
        row.addWidget(scroll, 1)

    def show_stage(self, stage: str) -> None:
        """Explains a stage of a project: ``adapt-2``."""
        wanted = topic_of(stage)
        self.list.setCurrentRow(next(row for row, topic in enumerate(self._topics) if topic.key == wanted))

    def _show(self, row: int) -> None:
        topic = self._topics[max(row, 0)]
        self.heading.setText(topic.title)
        self.text.setText(topic.text)
        has_picture = topic.picture.suffix != ""
        self.picture.setVisible(has_picture)
        if has_picture:
            self.picture.show_file(str(topic.picture), f"Picture of the stage {topic.title}")
