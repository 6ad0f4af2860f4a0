"""Projects as cards: picture, name, progress and scores; and the picture of the welcome page."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QSizePolicy, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from crots.resources import resource_folder
from crots_studio import theme
from crots_studio.icons import paint as paint_icon
from crots_studio.models.project_cards import PICTURE, ProjectCard
from crots_studio.widgets.picture_layers import rgb_image

CARD = Qt.ItemDataRole.UserRole + 1
# Pixels.
_GAP = 8
_PADDING = 12


class Illustration(QWidget):
    """A street as a camera sees it, and as a model does."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drawing = QSvgRenderer(str(resource_folder() / "illustration.svg"))
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumHeight(96)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As drawn."""
        return self._drawing.defaultSize()

    def heightForWidth(self, width: int) -> int:  # noqa: N802 (Qt's name)
        """Keeps its shape."""
        size = self._drawing.defaultSize()
        return round(width * size.height() / size.width())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draws it as large as there is room for, from the left."""
        size = self._drawing.defaultSize().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF(0, 0, size.width(), size.height())
        top, bottom = QPointF(0.57 * place.width(), 0), QPointF(0.45 * place.width(), place.height())
        frame, after = QPainterPath(), QPainterPath()
        frame.addRoundedRect(place, 8, 8)
        after.addPolygon(QPolygonF([top, place.topRight(), place.bottomRight(), bottom]))
        after.closeSubpath()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipPath(frame)
        self._drawing.render(painter, "before", place)
        painter.setClipPath(after, Qt.ClipOperation.IntersectClip)
        self._drawing.render(painter, "after", place)
        painter.setClipPath(frame)
        painter.setPen(QPen(Qt.GlobalColor.white, 3))
        painter.drawLine(top, bottom)


class CardDelegate(QStyledItemDelegate):
    """Draws a `ProjectCard`."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802
        """The picture or three lines of text, with air around."""
        lines = 3 * option.fontMetrics.height() + 8
        return QSize(240, max(PICTURE.height, lines) + 2 * _PADDING + _GAP)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draws one card."""
        card, colours = index.data(CARD), theme.colours()
        if not isinstance(card, ProjectCard):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        whole = QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -_GAP - 0.5)
        chosen = bool(option.state & (QStyle.StateFlag.State_HasFocus | QStyle.StateFlag.State_Selected))
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.setPen(QPen(QColor(colours.accent if chosen or hovered else colours.grid), 1))
        painter.setBrush(QColor(colours.hovered if hovered else colours.raised))
        painter.drawRoundedRect(whole, 8, 8)
        place = QRect(option.rect.left() + _PADDING, option.rect.top() + _PADDING, PICTURE.width, PICTURE.height)
        self._picture(painter, place, card)
        inner = QRect(place.right() + _PADDING, place.top(), 0, place.height())
        inner.setRight(int(whole.right()) - _PADDING)
        self._draw_text(painter, inner, card, option)
        painter.restore()

    def _picture(self, painter: QPainter, place: QRect, card: ProjectCard) -> None:
        shape = QPainterPath()
        shape.addRoundedRect(QRectF(place), theme.RADIUS, theme.RADIUS)
        painter.setClipPath(shape)
        painter.fillRect(place, QColor(theme.colours().hovered))
        if card.picture is not None:
            painter.drawImage(place, rgb_image(card.picture))
        else:
            side = QRect(0, 0, 28, 28)
            side.moveCenter(place.center())
            paint_icon(painter, side, "images", QColor(theme.colours().muted))
        painter.setClipping(False)

    def _draw_text(self, painter: QPainter, inner: QRect, card: ProjectCard, option: QStyleOptionViewItem) -> None:
        colours, line = theme.colours(), option.fontMetrics.height()
        facts = "  \u00b7  ".join(filter(None, (card.date, card.state)))
        rows = (
            (card.name, colours.text if card.present else colours.muted, QFont.Weight.DemiBold),
            (str(card.path), colours.muted, QFont.Weight.Normal),
            (card.gain, colours.good if _rose(card) else colours.text, QFont.Weight.Normal),
            (facts, colours.bad if card.fault else colours.muted, QFont.Weight.Normal),
        )
        shown = [row for row in rows if row[0]]
        top = inner.top() + (inner.height() - len(shown) * line) // 2
        for text, colour, weight in shown:
            font = QFont(option.font)
            font.setWeight(weight)
            painter.setFont(font)
            painter.setPen(QColor(colour))
            elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, inner.width())
            painter.drawText(QRect(inner.left(), top, inner.width(), line), Qt.AlignmentFlag.AlignLeft, elided)
            top += line


def _rose(card: ProjectCard) -> bool:
    return card.first is not None and card.last is not None and card.last > card.first
