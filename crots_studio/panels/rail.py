"""The stage rail: a line for each input and stage with its state, progress, duration and score; runs one or all."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPalette, QPen, QResizeEvent
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

from crots.artefacts import is_round
from crots.outlook import NEEDLESS
from crots_studio import theme
from crots_studio.icons import icon
from crots_studio.icons import paint as paint_icon
from crots_studio.models.project_form import ProjectForm
from crots_studio.models.rail import INPUTS, RailRow, looking_rows, next_stage, rail_rows, summary
from crots_studio.plain import Label, plain_tooltip
from crots_studio.runs.run import RunRequest
from crots_studio.session import Session
from crots_studio.widgets.run_question import start_run

_ROW = Qt.ItemDataRole.UserRole
# Of the badge in the corner of a row's picture.
_SIGNS = {
    "done": "check", "running": "play", "paused": "pause", "stale": "refresh", "failed": "close",
    "interrupted": "pause", "warned": "alert",
}  # fmt: skip
# Of the row's picture, by key; rounds share theirs.
_PICTURES = {
    "render": "images", "train": "model", "target": "images", "source": "model", "pseudo-label": "labels",
    "baseline": "student", "mine": "patches", "evaluate": "evaluate", "export": "export",
}  # fmt: skip
# Pixels: the picture's square, what is left and right of everything, and where the words begin.
_SQUARE, _MARGIN, _TEXT_LEFT = 28, 8, 44
# What is left and right of the words of the button: margins, its icon, its own edge.
_AROUND_BUTTON = 56
# A row that is not wider shows its picture only; the panel folded to those, and the least and most it takes otherwise.
_NARROW, _FOLDED, _LEAST, _MOST = 100, 60, 176, 280
_UNBOUND = 16777215
# What a state takes at most, the reason why a stage is stale with it.
_MOST_LINES = 6


class RailDelegate(QStyledItemDelegate):
    """Draws a row: a picture with a sign of the state, the title, the state beneath, score and time at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802
        """The title, as many lines as the state needs, and some air."""
        view = option.widget
        width = view.viewport().width() if isinstance(view, QListWidget) else option.rect.width()
        if width < _NARROW:
            return QSize(_SQUARE, _SQUARE + 12)
        line = option.fontMetrics.height()
        text = self._room(option, index.data(_ROW), width).height()
        return QSize(160, max(_SQUARE, line + 2 + text) + 12)

    def _room(self, option: QStyleOptionViewItem, row: RailRow, width: int) -> QRect:
        """Where the state's words have room, from the left end of the words and the top of their first line."""
        metrics = option.fontMetrics
        room = width - _TEXT_LEFT - _MARGIN
        if time := self._time(option, row, width):
            room -= metrics.horizontalAdvance(time) + 8
        most = QRect(0, 0, max(room, 40), metrics.height() * _MOST_LINES)
        needed = metrics.boundingRect(most, Qt.TextFlag.TextWordWrap, row.text).height()
        return QRect(0, 0, most.width(), max(metrics.height(), min(needed, most.height())))

    def _time(self, option: QStyleOptionViewItem, row: RailRow, width: int) -> str:
        """The time has its place where no reason needs it: beside words of one line."""
        needed = option.fontMetrics.horizontalAdvance(f"{row.text}{row.time}") + 8
        return "" if row.state == "stale" or needed > width - _TEXT_LEFT - _MARGIN else row.time

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draws one row."""
        row: RailRow = index.data(_ROW)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect: QRect = option.rect
        inside = QRectF(rect).adjusted(2.5, 1.5, -2.5, -1.5)
        painter.setPen(Qt.PenStyle.NoPen)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setBrush(_see_through(theme.colours().accent, 0.16))
            painter.drawRoundedRect(inside, theme.RADIUS, theme.RADIUS)
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(theme.colours().hovered))
            painter.drawRoundedRect(inside, theme.RADIUS, theme.RADIUS)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.colours().accent), 1))
            painter.drawRoundedRect(inside, theme.RADIUS, theme.RADIUS)
        self._picture(painter, rect, row)
        if rect.width() < _NARROW:
            painter.restore()
            return
        self._texts(painter, rect, row, option)
        if row.fraction is not None:
            self._bar(painter, rect, row.fraction)
        painter.restore()

    def _picture(self, painter: QPainter, rect: QRect, row: RailRow) -> None:
        colour = QColor(state_colour(row.look))
        square = QRect(rect.left() + _MARGIN, rect.top() + 7, _SQUARE, _SQUARE)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_see_through(colour.name(), 0.14))
        painter.drawRoundedRect(square, theme.RADIUS, theme.RADIUS)
        paint_icon(painter, square.adjusted(5, 5, -5, -5), _PICTURES.get(row.key, "round"), colour)
        sign = _SIGNS.get("warned" if row.warned else "paused" if row.paused else row.state)
        if sign is None:
            return
        badge = QRect(square.right() - 9, square.bottom() - 9, 14, 14)
        painter.setPen(QPen(QColor(theme.colours().background), 1.5))
        painter.setBrush(colour)
        painter.drawEllipse(badge)
        painter.setPen(Qt.PenStyle.NoPen)
        paint_icon(painter, badge.adjusted(3, 3, -3, -3), sign, QColor(theme.colours().background))

    def _texts(self, painter: QPainter, rect: QRect, row: RailRow, option: QStyleOptionViewItem) -> None:
        palette: QPalette = option.palette
        line = option.fontMetrics.height()
        inner = rect.adjusted(_TEXT_LEFT, 5, -_MARGIN, -5)
        font = option.font
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        # What will not run steps back behind what waits for its turn.
        needless = row.state == NEEDLESS
        painter.setPen(QColor(theme.colours().muted) if needless else palette.color(QPalette.ColorRole.Text))
        top = QRect(inner.left(), inner.top(), inner.width(), line)
        metrics = painter.fontMetrics()
        left = inner.width() - (metrics.horizontalAdvance(row.miou) + 8 if row.miou else 0)
        name = metrics.elidedText(row.title, Qt.TextElideMode.ElideRight, left)
        painter.drawText(top, Qt.AlignmentFlag.AlignLeft, name)
        painter.drawText(top, Qt.AlignmentFlag.AlignRight, row.miou)
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        room = self._room(option, row, rect.width()).translated(inner.left(), inner.top() + line + 2)
        painter.setPen(QColor(theme.colours().muted))
        beneath = QRect(inner.left(), room.top(), inner.width(), line)
        painter.drawText(beneath, Qt.AlignmentFlag.AlignRight, self._time(option, row, rect.width()))
        quiet = row.state in ("done", NEEDLESS) and not row.warned
        colour = theme.colours().muted if quiet else state_colour(row.look)
        painter.setPen(QColor(colour))
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap, row.text)

    def _bar(self, painter: QPainter, rect: QRect, fraction: float) -> None:
        bar = QRectF(rect.left() + _TEXT_LEFT, rect.bottom() - 4, rect.width() - _TEXT_LEFT - _MARGIN, 3)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.colours().grid))
        painter.drawRoundedRect(bar, 1.5, 1.5)
        bar.setWidth(bar.width() * fraction)
        painter.setBrush(QColor(theme.colours().primary))
        painter.drawRoundedRect(bar, 1.5, 1.5)


def _see_through(colour: str, share: float) -> QColor:
    made = QColor(colour)
    made.setAlphaF(share)
    return made


def _has_model(row: RailRow) -> bool:
    writes = row.key in ("baseline", "export") or is_round(row.key)
    return writes and row.result


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
    """Shows the stages.

    Attributes:
        folded: whether only their pictures are shown.

    Signals:
        chosen(str): the key of the row that the user went to.
        apply_wanted(str): the model of this stage is to be applied to other images.
        failure_wanted(str): why this stage failed is to be explained.
    """

    chosen = Signal(str)
    apply_wanted = Signal(str)
    failure_wanted = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._form = ProjectForm()
        self.rows: list[RailRow] = []
        self._shown_of: Path | None = None
        self.folded = False
        self.setMinimumWidth(_LEAST)
        self.title = Label("Stages")
        self.title.setProperty("role", "heading")
        self.list = QListWidget()
        self.list.setProperty("role", "bare")
        self.list.setMouseTracking(True)
        # Long reasons go on in the next line, and the lines depend on the width.
        self.list.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.list.setItemDelegate(RailDelegate(self.list))
        self.list.setAccessibleName("Stages")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._menu)
        self.list.currentRowChanged.connect(self._went_to)
        self.run_one = QPushButton("Run this stage")
        self.run_one.setIcon(icon("play"))
        self.run_one.setToolTip("Runs only the selected stage, even if it is done")
        self.run_one.clicked.connect(self._run_one)
        self.note = Label()
        self.note.setProperty("role", "muted")
        self.note.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 4, 8)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addStretch(1)
        column.addLayout(head)
        column.addWidget(self.note)
        column.addWidget(self.list, 1)
        column.addWidget(self.run_one)
        session.opened.project_changed.connect(self.refresh)
        session.opened.status_changed.connect(self.refresh)
        session.run.changed.connect(self.refresh)
        session.run.blocker_changed.connect(self.refresh)
        session.theme_changed.connect(self._recolour)
        self.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """The words of the button depend on the width."""
        super().resizeEvent(event)
        self.refresh()

    def _recolour(self) -> None:
        self.list.viewport().update()

    def fold(self, folded: bool) -> None:
        """Shows the stages' pictures only, or all of them again."""
        self.folded = folded
        for widget in (self.title, self.note, self.run_one):
            widget.setHidden(folded)
        self.setMaximumWidth(_FOLDED if folded else _UNBOUND)
        self._ask_for_room()

    def _ask_for_room(self) -> None:
        """Is never so narrow that it cuts the name of a stage."""
        if self.folded:
            self.setMinimumWidth(_FOLDED)
            return
        font = self.list.font()
        font.setWeight(QFont.Weight.DemiBold)
        metrics = QFontMetrics(font)
        names = (metrics.horizontalAdvance(row.title) for row in self.rows)
        scores = (metrics.horizontalAdvance(row.miou) + 8 for row in self.rows if row.miou)
        # Beside the list are the margins of the panel.
        needed = _TEXT_LEFT + max(names, default=0) + max(scores, default=0) + _MARGIN + 16
        self.setMinimumWidth(min(max(_LEAST, needed), _MOST))

    def take_findings(self, form: ProjectForm) -> None:
        """Shows what was found of the inputs."""
        self._form = form
        self.refresh()

    def refresh(self) -> None:
        """Shows the rows as they are now; rows that stay keep selection and place."""
        session = self._session
        status = session.opened.status if session.project is not None else []
        if session.project is not None and not status and session.opened.looking:
            status = looking_rows(session.project.stage_keys())
        rows = rail_rows(status, session.run.state, self._form.findings, session.opened.history) if status else []
        if rows != self.rows:
            self._show(rows)
        self.note.setText(summary(rows))
        row = self.current
        self.run_one.setEnabled(row is not None and row.startable and not self._session.run.blocker)
        label = f"Run only {row.title}" if row is not None and row.is_stage else "Run this stage"
        room = self.width() - _AROUND_BUTTON
        self.run_one.setText(label if self.fontMetrics().horizontalAdvance(label) <= room else "Run this stage")
        self.run_one.setToolTip(plain_tooltip(self.why_not or "Runs only this stage, even if it is done"))

    @property
    def why_not(self) -> str:
        """Why the chosen row cannot be run alone now; empty where it can."""
        row, run = self.current, self._session.run
        if run.blocker or row is None or row.startable:
            return run.blocker
        if run.busy:
            return "A run is in progress"
        if row.key in INPUTS:
            return f"{row.title} is an input: choose a stage below it to run it alone"
        if not row.is_stage:
            return f"{row.title} is part of the demonstration, which runs as a whole"
        if row.state == NEEDLESS:
            return f"{row.title} is not needed: {row.reason}"
        return f"{row.title} cannot run alone yet: {row.text}"

    def _show(self, rows: list[RailRow]) -> None:
        same = [row.key for row in rows] == [row.key for row in self.rows]
        # What is next is known only now.
        known_now = same and any(row.is_stage and row.state == "checking" for row in self.rows)
        folder = self._session.project.folder if self._session.project is not None else None
        stays = folder is not None and folder == self._shown_of
        chosen = self.current.key if stays and self.current is not None else ""
        numbers = [number for number, row in enumerate(rows) if row.key == chosen]
        self.rows, self._shown_of = rows, folder if rows else None
        self._ask_for_room()
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
            took = f"took {row.time}" if row.time else ""
            item.setToolTip(plain_tooltip("\n".join(filter(None, (f"{row.title}: {row.text}", took, row.reason)))))
        if not same and numbers:
            # A stage was added or removed; the user stays on the current page.
            self.list.blockSignals(True)
            self.list.setCurrentRow(numbers[0])
            self.list.blockSignals(False)
        elif not same or (known_now and self.list.currentRow() == 0):
            self._go_to_the_start()

    def _go_to_the_start(self) -> None:
        """Selects the next stage, or the inputs of a new project."""
        begun = any(row.is_stage and row.state not in ("ready", "waiting", "checking") for row in self.rows)
        following = next_stage(self.rows)
        # While the files are being checked it is not known which stage is next.
        known = following is not None and following.state != "checking"
        key = following.key if begun and following is not None and known else "target"
        numbers = [number for number, row in enumerate(self.rows) if row.key == key]
        self.list.setCurrentRow(numbers[0] if numbers else -1)

    @property
    def current(self) -> RailRow | None:
        """The chosen row."""
        number = self.list.currentRow()
        return self.rows[number] if 0 <= number < len(self.rows) else None

    def _went_to(self, number: int) -> None:
        self.refresh()
        if 0 <= number < len(self.rows):
            self.chosen.emit(self.rows[number].key)

    def _run_one(self) -> None:
        if (row := self.current) is not None and row.startable:
            start_run(self._session, self, RunRequest(only=row.key))

    def discard(self, key: str) -> None:
        """Asks whether the unfinished work of a stage is to be discarded."""
        # Loaded only when asked for.
        from crots_studio.widgets.discard_question import ask_to_discard

        ask_to_discard(self._session, self, key)

    def _menu(self, point: QPoint) -> None:
        row = self.current
        if row is None or not row.is_stage:
            return
        menu = self.menu_of(row)
        menu.exec(self.list.mapToGlobal(point))
        menu.deleteLater()

    def menu_of(self, row: RailRow) -> QMenu:
        """Returns what can be done with a stage."""
        menu = QMenu(self)
        if row.state == "failed":
            why = menu.addAction("Why it failed ...")
            why.triggered.connect(lambda: self.failure_wanted.emit(row.key))
        enabled = row.startable and not self._session.run.blocker
        only = menu.addAction(f"Run only {row.title}")
        only.triggered.connect(self._run_one)
        until = menu.addAction(f"Run all up to {row.title}")
        until.triggered.connect(lambda: start_run(self._session, self, RunRequest(until=row.key)))
        drop = menu.addAction("Discard the unfinished work ...")
        drop.triggered.connect(lambda: self.discard(row.key))
        apply = menu.addAction("Apply its model ...")
        apply.triggered.connect(lambda: self.apply_wanted.emit(row.key))
        apply.setEnabled(_has_model(row))
        only.setEnabled(enabled)
        runs = row.state != NEEDLESS and not self._session.run.busy
        until.setEnabled(runs and not self._session.run.blocker)
        project = self._session.project
        # A stage whose inputs were refused has not begun, and there is nothing to discard.
        begun = project is not None and project.started_path(row.key).exists()
        drop.setEnabled(begun and not self._session.run.busy and row.state in ("interrupted", "failed"))
        return menu
