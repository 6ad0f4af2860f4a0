"""Tools of every plot: smoothing, log scale, fit, saving as picture or table; and when to redraw."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from PySide6.QtCore import QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QGuiApplication, QImage
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLayout,
    QMenu,
    QMessageBox,
    QPushButton,
    QWidget,
)

from crots.errors import CrotsError
from crots.files import atomic_path, exists, write_text
from crots_studio.models.words import fault_text
from crots_studio.plain import Label, plain_tooltip
from crots_studio.session import Session
from crots_studio.widgets.plot_legend import PlotLegend

SMOOTHING = (1, 3, 5, 10, 25, 50, 100, 250)
# Redrawing may take this share of a core, which is lost to a training in the same process.
_SHARE = 0.03
# Painting follows drawing and takes this many times as long.
_PAINTING = 3
_SHORTEST_MS, _LONGEST_MS = 120, 2000


class Redraw(QObject):
    """Redraws a widget soon after it was asked to, never while it is hidden, less often the longer a redraw takes."""

    def __init__(self, widget: QWidget, draw: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget, self._draw = widget, draw
        self._due = False
        self._rest_ms = 0.0
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._fire)

    @property
    def due(self) -> bool:
        """Whether a change is not drawn yet."""
        return self._due

    def ask(self) -> None:
        """Something changed."""
        self._due = True
        if self._widget.isVisible() and not self._timer.isActive():
            waited = (time.monotonic() - self._last) * 1000
            self._timer.start(max(0, round(self._rest_ms - waited)))

    def now(self) -> None:
        """Redraws at once, or as soon as the widget is seen: the user asked for it, or the theme changed."""
        self._due = True
        self._timer.stop()
        self._fire()

    def shown(self) -> None:
        """The widget has come into view."""
        if self._due:
            self.now()

    def _fire(self) -> None:
        if not self._widget.isVisible():
            return
        self._due = False
        # Time of this thread: waiting for a training that holds the interpreter lock does not slow the training.
        start = time.thread_time()
        self._draw()
        cost = (time.thread_time() - start) * (1 + _PAINTING)
        self._last = time.monotonic()
        self._rest_ms = min(max(_SHORTEST_MS, 1000 * cost / _SHARE), _LONGEST_MS)


class ExportButton(QPushButton):
    """Saves a picture of a widget, or the numbers it shows.

    The numbers come from ``table`` at the moment of saving, so that the file holds all of them and not what is on
    screen.
    """

    def __init__(self, session: Session, widget: QWidget, table: Callable[[], str], name: str) -> None:
        super().__init__()
        self._session, self._widget, self._table, self._name = session, widget, table, name
        self.setText("Save")
        self.setAccessibleName(f"Save {name} as picture or table")
        self.setToolTip("Save as PNG or CSV")
        menu = QMenu(self)
        self.picture_action = self._action(menu, "Picture (PNG)...", self.save_picture)
        self.copy_action = self._action(menu, "Copy picture", self.copy_picture)
        self.table_action = self._action(menu, "Numbers (CSV)...", self.save_table)
        self.setMenu(menu)

    def _action(self, menu: QMenu, text: str, act: Callable[[], None]) -> QAction:
        action = QAction(text, self)
        action.triggered.connect(lambda: act())
        menu.addAction(action)
        return action

    def save_picture(self) -> None:
        """Asks for a name and writes a PNG at twice the screen's resolution."""
        if path := self._ask("Save picture", "png", "PNG picture (*.png)"):
            self._attempt(path, lambda: write_picture(self._widget, path))

    def save_table(self) -> None:
        """Asks for a name and writes a CSV."""
        if path := self._ask("Save numbers", "csv", "Table (*.csv)"):
            self._attempt(path, lambda: write_text(path, self._table()))

    def copy_picture(self) -> None:
        """Puts the picture on the clipboard."""
        QGuiApplication.clipboard().setImage(picture(self._widget))

    def _ask(self, caption: str, suffix: str, kinds: str) -> Path | None:
        folder = Path(self._session.settings.folder("figures"))
        name, _ = QFileDialog.getSaveFileName(self, caption, str(folder / f"{self._name}.{suffix}"), kinds)
        if not name:
            return None
        path = Path(name) if Path(name).suffix else Path(name).with_suffix(f".{suffix}")
        # The dialog asked for the name as it was typed.
        if path != Path(name) and exists(path) and not self._may_replace(path):
            return None
        self._session.settings.set_folder("figures", str(path.parent))
        return path

    def _may_replace(self, path: Path) -> bool:
        question = plain_tooltip(f"{path} exists already: replace it?")
        return QMessageBox.question(self, "Replace the file", question) == QMessageBox.StandardButton.Yes

    def _attempt(self, path: Path, write: Callable[[], None]) -> None:
        try:
            write()
        except (CrotsError, OSError) as error:
            self._session.problem.emit(f"{path.name} was not saved: {fault_text(error)}")


def picture(widget: QWidget, scale: float = 2.0) -> QImage:
    """Returns a picture of a widget, drawn again at a higher resolution, with every entry of its legends."""
    with ExitStack() as stack:
        for legend in widget.findChildren(PlotLegend):
            stack.enter_context(legend.whole())
        _lay_out(widget)
        image = rendered(widget, scale)
    _lay_out(widget)
    return image


def _lay_out(widget: QWidget) -> None:
    """Gives all parts their place now: a picture cannot wait for the next turn of the event loop."""
    for layout in (*widget.findChildren(QLayout), widget.layout()):
        if layout is not None:
            layout.activate()


def rendered(widget: QWidget, scale: float) -> QImage:
    """Returns a widget as it is now, at some times its size on the screen."""
    size = QSize(round(widget.width() * scale), round(widget.height() * scale))
    image = QImage(size, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(scale)
    image.fill(widget.palette().window().color())
    widget.render(image)
    return image


def write_picture(widget: QWidget, path: Path) -> None:
    """Writes a widget's picture.

    Raises:
        StageError: the disk is full or the folder cannot be written.
        OSError: Qt could not write the format.
    """
    with atomic_path(path) as partial:
        if not picture(widget).save(str(partial)):
            raise OSError(f"cannot write {path.suffix or 'this'} pictures; choose .png")


class CurveTools(QWidget):
    """Smoothing, log scale and fit.

    Signals:
        changed(): smoothing or scale.
        fit_asked(): show everything again.
    """

    changed = Signal()
    fit_asked = Signal()

    def __init__(self, session: Session, name: str, *, log: bool = True) -> None:
        super().__init__()
        self._session, self._name = session, name
        self.smoothing = QComboBox()
        self.smoothing.setAccessibleName("Smoothing")
        self.smoothing.setToolTip("Mean over this many recorded points; the unsmoothed curve stays behind it, faint")
        for window in SMOOTHING:
            self.smoothing.addItem("no smoothing" if window == 1 else f"mean of {window}", window)
        self.log = QCheckBox("&Log")
        self.log.setAccessibleName("Logarithmic scale")
        self.log.setToolTip("Logarithmic value axis")
        self.log.setVisible(log)
        self.fit = QPushButton("F&it")
        self.fit.setToolTip("Show everything and follow the data again (F)")
        self.fit.setAccessibleName("Fit plots to the data")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.smoothing, self.log, self.fit):
            layout.addWidget(widget)
        self._restore()
        self.smoothing.currentIndexChanged.connect(self._remember)
        self.log.toggled.connect(self._remember)
        self.fit.clicked.connect(lambda: self.fit_asked.emit())

    @property
    def points(self) -> int:
        """The number of points of the moving mean."""
        return int(self.smoothing.currentData() or 1)

    def _restore(self) -> None:
        settings = self._session.settings
        place = self.smoothing.findText(settings.value(f"{self._name}/smoothing", "no smoothing"))
        self.smoothing.setCurrentIndex(max(place, 0))
        self.log.setChecked(settings.value(f"{self._name}/log", "off") == "on")

    def _remember(self) -> None:
        settings = self._session.settings
        settings.set_value(f"{self._name}/smoothing", self.smoothing.currentText())
        settings.set_value(f"{self._name}/log", "on" if self.log.isChecked() else "off")
        self.changed.emit()


class EmptyState(Label):
    """A text in place of an empty plot, with what to do about it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setWordWrap(True)
        self.setContentsMargins(48, 0, 48, 0)
        self.setProperty("role", "muted")
        self.tell(text)

    def tell(self, text: str) -> None:
        """Shows another text."""
        self.setText(text)
        self.setAccessibleName(text)
