"""The stage rail: a line for each input and stage with its state, progress, duration and score; runs one or all."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPalette, QPen
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from crots_studio import theme
from crots_studio.models.project_form import ProjectForm
from crots_studio.models.rail import RailRow, looking_rows, next_stage, rail_rows, run_all_words, summary
from crots_studio.plain import Label, plain_tooltip
from crots_studio.runs.run import RunRequest
from crots_studio.session import Session

_ROW = Qt.ItemDataRole.UserRole
_SIGNS = {
    "done": "✓", "running": "▶", "stale": "!", "failed": "✗", "interrupted": "‖", "checking": "…", "missing": "",
    "not needed": "–",  # noqa: RUF001 - a dash
}  # fmt: skip


class RailDelegate(QStyledItemDelegate):
    """Draws a row: a round sign, the title, the state beneath, score and time at the right, a bar while it runs."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802
        """Two lines of text and some air."""
        return QSize(160, option.fontMetrics.height() * 2 + 16)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draws one row."""
        row: RailRow = index.data(_ROW)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect: QRect = option.rect
        if option.state & QStyle.StateFlag.State_Selected:
            chosen = QColor(theme.colours().accent)
            chosen.setAlphaF(0.22)
            painter.fillRect(rect, chosen)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(QColor(theme.colours().accent), 1))
            painter.drawRect(rect.adjusted(0, 0, -1, -1))
        self._sign(painter, rect, row)
        self._texts(painter, rect, row, option)
        if row.fraction is not None:
            self._bar(painter, rect, row.fraction)
        painter.restore()

    def _sign(self, painter: QPainter, rect: QRect, row: RailRow) -> None:
        colour = QColor(state_colour(row.look))
        side = 20
        circle = QRect(rect.left() + 8, rect.top() + 9, side, side)
        painter.setPen(QPen(colour, 2))
        filled = row.look in ("done", "running", "stale", "failed", "interrupted")
        painter.setBrush(colour if filled else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(circle)
        painter.setPen(QColor("#101418" if theme.is_dark() else "#ffffff") if filled else colour)
        painter.drawText(circle, Qt.AlignmentFlag.AlignCenter, _SIGNS.get(row.look, ""))

    def _texts(self, painter: QPainter, rect: QRect, row: RailRow, option: QStyleOptionViewItem) -> None:
        palette: QPalette = option.palette
        line = option.fontMetrics.height()
        inner = rect.adjusted(36, 6, -8, -6)
        font = option.font
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        top = QRect(inner.left(), inner.top(), inner.width(), line)
        metrics = painter.fontMetrics()
        left = inner.width() - (metrics.horizontalAdvance(row.miou) + 8 if row.miou else 0)
        name = metrics.elidedText(row.title, Qt.TextElideMode.ElideRight, left)
        painter.drawText(top, Qt.AlignmentFlag.AlignLeft, name)
        painter.drawText(top, Qt.AlignmentFlag.AlignRight, row.miou)
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        beneath = QRect(inner.left(), inner.top() + line + 2, inner.width(), line)
        painter.setPen(QColor(theme.colours().muted))
        painter.drawText(beneath, Qt.AlignmentFlag.AlignRight, row.time)
        room = inner.width() - (option.fontMetrics.horizontalAdvance(row.time) + 8 if row.time else 0)
        words = option.fontMetrics.elidedText(row.words, Qt.TextElideMode.ElideRight, room)
        painter.setPen(QColor(state_colour(row.look)))
        painter.drawText(beneath, Qt.AlignmentFlag.AlignLeft, words)

    def _bar(self, painter: QPainter, rect: QRect, fraction: float) -> None:
        bar = QRect(rect.left() + 36, rect.bottom() - 4, rect.width() - 44, 3)
        painter.fillRect(bar, QColor(theme.colours().grid))
        bar.setWidth(round(bar.width() * fraction))
        painter.fillRect(bar, QColor(theme.colours().accent))


def state_colour(state: str) -> str:
    """Returns the colour of a stage's state."""
    colours = theme.colours()
    named = {
        "done": colours.good,
        "running": colours.accent,
        "stale": colours.warning,
        "interrupted": colours.warning,
        "failed": colours.bad,
        "ready": colours.accent,
    }
    return named.get(state, colours.muted)


class RailPanel(QWidget):
    """Shows the stages; ``chosen`` brings the key of the row that the user went to."""

    chosen = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._form = ProjectForm()
        self.rows: list[RailRow] = []
        self.setMinimumWidth(150)
        self.title = Label("Stages")
        self.title.setProperty("role", "heading")
        self.list = QListWidget()
        self.list.setItemDelegate(RailDelegate(self.list))
        self.list.setAccessibleName("Stages")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._menu)
        self.list.currentRowChanged.connect(self._went_to)
        self.run_one = QPushButton("Run this stage")
        self.run_one.setToolTip("Runs the chosen stage alone, even where it is done")
        self.run_one.clicked.connect(self._run_one)
        self.note = Label()
        self.note.setProperty("role", "muted")
        self.note.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 0, 6)
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addStretch(1)
        column.addLayout(head)
        column.addWidget(self.note)
        column.addWidget(self.list, 1)
        column.addWidget(self.run_one)
        session.project_changed.connect(self.refresh)
        session.status_changed.connect(lambda _: self.refresh())
        session.run_changed.connect(self.refresh)
        session.blocker_changed.connect(lambda _: self.refresh())
        session.theme_changed.connect(lambda _: self.list.viewport().update())
        self.refresh()

    def take_findings(self, form: ProjectForm) -> None:
        """Shows what was found of the inputs."""
        self._form = form
        self.refresh()

    def refresh(self) -> None:
        """Shows the rows as they are now; rows that stay keep selection and place."""
        session = self._session
        status = session.status if session.project is not None else []
        if session.project is not None and not status and session.looking:
            status = looking_rows(session.project.stage_keys())
        rows = rail_rows(status, session.run_state, self._form.findings, session.history) if status else []
        if rows != self.rows:
            self._show(rows)
        self.note.setText(summary(rows))
        row = self.current
        self.run_one.setEnabled(row is not None and row.startable and not self._session.blocker)
        words = f"Run {row.title} alone" if row is not None and row.is_stage else "Run this stage"
        self.run_one.setText(words)
        self.run_one.setToolTip(plain_tooltip(self._session.blocker or "Runs this stage alone, even where it is done"))

    def _show(self, rows: list[RailRow]) -> None:
        same = [row.key for row in rows] == [row.key for row in self.rows]
        # What is next is known only now.
        known_now = same and any(row.is_stage and row.state == "checking" for row in self.rows)
        self.rows = rows
        if not same:
            self.list.blockSignals(True)
            self.list.clear()
            for _ in rows:
                self.list.addItem(QListWidgetItem())
            self.list.blockSignals(False)
        for number, row in enumerate(rows):
            item = self.list.item(number)
            item.setData(_ROW, row)
            # The delegate draws its own words; these are for screen readers and for searching by typing.
            item.setData(Qt.ItemDataRole.AccessibleTextRole, row.spoken)
            item.setData(Qt.ItemDataRole.DisplayRole, row.title)
            item.setToolTip(plain_tooltip("\n".join(filter(None, (f"{row.title}: {row.words}", row.reason)))))
        if not same or (known_now and self.list.currentRow() == 0):
            self._go_to_the_start()

    def _go_to_the_start(self) -> None:
        """Chooses what the user will want to see first: the stage that is next, or the inputs of a new project."""
        begun = any(row.is_stage and row.state not in ("ready", "waiting", "checking") for row in self.rows)
        following = next_stage(self.rows)
        key = following.key if begun and following is not None else "target"
        numbers = [number for number, row in enumerate(self.rows) if row.key == key]
        self.list.setCurrentRow(numbers[0] if numbers else -1)

    @property
    def current(self) -> RailRow | None:
        """The chosen row."""
        number = self.list.currentRow()
        return self.rows[number] if 0 <= number < len(self.rows) else None

    def run_words(self) -> str:
        """What the button that runs all that remain says."""
        return run_all_words(self.rows)

    def _went_to(self, number: int) -> None:
        self.refresh()
        if 0 <= number < len(self.rows):
            self.chosen.emit(self.rows[number].key)

    def _run_one(self) -> None:
        if (row := self.current) is not None and row.startable:
            self._session.start_run(RunRequest(only=row.key))

    def _discard(self, key: str) -> None:
        # Loaded only when asked for.
        from crots_studio.widgets.discard_question import ask_to_discard

        ask_to_discard(self._session, self, key)

    def _menu(self, point: QPoint) -> None:
        row = self.current
        if row is None or not row.is_stage:
            return
        menu = QMenu(self)
        enabled = row.startable and not self._session.blocker
        only = menu.addAction(f"Run {row.title} alone")
        only.triggered.connect(self._run_one)
        until = menu.addAction(f"Run all up to {row.title}")
        until.triggered.connect(lambda: self._session.start_run(RunRequest(until=row.key)))
        drop = menu.addAction("Discard the unfinished work ...")
        drop.triggered.connect(lambda: self._discard(row.key))
        only.setEnabled(enabled)
        until.setEnabled(not self._session.busy and not self._session.blocker)
        drop.setEnabled(not self._session.busy and row.state in ("interrupted", "failed"))
        menu.exec(self.list.mapToGlobal(point))
        menu.deleteLater()
