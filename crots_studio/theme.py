"""Light and dark: one accent, one font, one height for controls; the same on every platform, and the colours of plots.

``setColorScheme`` does nothing on some platforms, so the palette is set by hand and plots are recoloured by their
panels on `Session.theme_changed`. Lengths are multiples of four pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetrics, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QDialog, QPushButton, QToolTip, QWidget

from crots.artefacts import round_number
from crots.resources import resource_folder

MODES = ("system", "light", "dark")
# Text sizes in points, by what they are called; headings follow.
TEXT_SIZES = {"small": 9.0, "normal": 10.0, "large": 11.5, "very large": 13.0}
FAMILY = "Inter"
# Pixels: rounding of controls, room at the sides of a button's text, and one step of the grid.
RADIUS = 6
PADDING = 12
STEP = 4
# Text in tables and their headers to the edges of its column, of which Qt adds a part in the cells.
CELL = 6
_CELL_ADDED = 3
# Height that an icon needs, however small the text is.
_LOWEST = 28
# What Qt adds to the least height of tool buttons and spin boxes.
_ADDED = 3


@dataclass(frozen=True)
class Colours:
    """Colours as ``#rrggbb`` for what palettes have no role for.

    Attributes:
        background: of plots and picture views.
        text: of axes and captions.
        muted: of second-rank text.
        grid: of grid lines and borders.
        accent: of what is selected or running.
        good: of what is done or became better.
        warning: of stale stages and warnings.
        bad: of what failed or became worse.
        series: one per curve, distinct for colour-blind people too.
        primary: fill of the one button to press next; its text is white.
        raised: of buttons and cards.
        hovered: of what the pointer is on.
        source: curves, points and bars of the source; see `stage_colour`.
        baseline: the same of the baseline.
        rounds: the same of the rounds, from first to last.
    """

    background: str
    text: str
    muted: str
    grid: str
    accent: str
    good: str
    warning: str
    bad: str
    series: tuple[str, ...]
    primary: str
    raised: str
    hovered: str
    source: str
    baseline: str
    rounds: tuple[str, ...]


LIGHT = Colours(
    background="#ffffff",
    text="#1b212b",
    muted="#5c6675",
    grid="#d6dbe3",
    accent="#2b61d6",
    good="#17794a",
    warning="#955f00",
    bad="#c02c38",
    series=("#2b61d6", "#d9730d", "#1a8f5a", "#b8338f", "#7a5bd0", "#8a6d00", "#0f8a97", "#c22f35"),
    primary="#2b61d6",
    raised="#ffffff",
    hovered="#e9edf4",
    source="#afb4bb",
    baseline="#4a9be5",
    rounds=("#69d39a", "#288954", "#1a5a38", "#0e2f1d"),
)
DARK = Colours(
    background="#14171c",
    text="#e6eaf0",
    muted="#9ba6b4",
    grid="#353d49",
    accent="#7ba6ff",
    good="#58c48c",
    warning="#e5b04c",
    bad="#f27a7e",
    series=("#5ea3f2", "#f2a154", "#58c48c", "#ec83cb", "#ab92f0", "#d8c04a", "#4fc6d2", "#f27a7e"),
    primary="#3b71e3",
    raised="#282e38",
    hovered="#323a46",
    source="#7a828e",
    baseline="#a6b2f2",
    rounds=("#41c87f", "#d6f3e3", "#2b945c", "#1d633d"),
)

# Window, base, alternate base, tooltip; text colours come from `Colours`.
_SURFACES = {
    False: ("#f3f5f8", "#ffffff", "#f6f8fa", "#ffffff"),
    True: ("#1c2027", "#14171c", "#191d23", "#2c333e"),
}
_state: dict[str, bool | float] = {"dark": False, "points": TEXT_SIZES["normal"]}


def is_dark() -> bool:
    """Whether the dark theme is on."""
    return bool(_state["dark"])


def colours() -> Colours:
    """Returns the colours of the theme that is on."""
    return DARK if _state["dark"] else LIGHT


def stage_colour(key: str) -> str:
    """Returns the fixed colour of a stage or scored model, wherever it is drawn."""
    theme = colours()
    if number := round_number(key):
        return theme.rounds[(number - 1) % len(theme.rounds)]
    return {"source": theme.source, "train": theme.source, "baseline": theme.baseline}.get(key, theme.muted)


# Share of a circle: many turns by it stay far apart from each other.
_GOLDEN = 0.618034


def run_colour(place: int) -> str:
    """Returns the colour of the n-th of any number of curves: distinct colours, all visible on the background.

    The first ones are those of ``series``, which colour-blind people can distinguish; the others go round the colours
    in three tones.
    """
    series = colours().series
    if place < len(series):
        return series[place]
    further = place - len(series)
    tones = (0.62, 0.74, 0.68) if _state["dark"] else (0.36, 0.26, 0.31)
    return QColor.fromHslF((further * _GOLDEN) % 1.0, 0.55 + 0.15 * (further % 2), tones[further % 3]).name()


def system_is_dark() -> bool:
    """Whether the desktop is dark."""
    return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark


def wants_dark(mode: str) -> bool:
    """Whether a mode of `MODES` means the dark theme now."""
    return mode == "dark" or (mode == "system" and system_is_dark())


def apply(dark: bool, points: float | None = None) -> None:
    """Gives the whole application the light or the dark theme, and text of a size where one is given."""
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        return
    _state["dark"] = dark
    _state["points"] = points = points or _state["points"]
    kept = [(dialog, dialog.focusWidget(), _default_button(dialog)) for dialog in _open_dialogs()]
    if not application.styleSheet():
        # Once: under a style sheet it has another name, and would be set, and every widget polished, again.
        application.setStyle("Fusion")
    font, before = font_of(points), application.font()
    if before != font:
        # Under a style sheet widgets would keep the font they have.
        application.setStyleSheet("")
        application.setFont(font)
    sheet = _style_sheet(font)
    if application.styleSheet() == sheet and application.palette() == palette(dark):
        # Qt would polish every widget anew all the same.
        return
    application.setPalette(palette(dark))
    application.setStyleSheet(sheet)
    for dialog, focus, default in kept:
        _give_back(dialog, focus, default)
    # By default a tooltip keeps the palette that it was first shown with.
    QToolTip.setPalette(palette(dark))
    QToolTip.setFont(font)
    if before != font:
        # Tabs that were shown with the old size would keep it, despite the application's font and style sheet.
        for widget in application.allWidgets():
            if widget.font().pointSizeF() == before.pointSizeF():
                widget.setFont(font)


def _open_dialogs() -> list[QDialog]:
    return [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QDialog) and widget.isVisible()]


def _default_button(dialog: QDialog) -> QPushButton | None:
    return next((button for button in dialog.findChildren(QPushButton) if button.isDefault()), None)


def _give_back(dialog: QDialog, focus: QWidget | None, default: QPushButton | None) -> None:
    """Qt lays the buttons out anew with a style, and then Return would press the first one, such as Discard."""
    if default is not None:
        default.setDefault(True)
    if focus is not None and focus is not dialog.focusWidget():
        focus.setFocus()


def font_of(points: float) -> QFont:
    """Returns the studio's own font; missing letters come from those of the system."""
    if not _fonts:
        for path in sorted((resource_folder() / "fonts").glob("*.otf")):
            _fonts.append(QFontDatabase.addApplicationFont(str(path)))
    font = QFont(FAMILY)
    font.setPointSizeF(points)
    return font


_fonts: list[int] = []


def palette(dark: bool) -> QPalette:
    """Returns the palette of a theme."""
    theme = DARK if dark else LIGHT
    window, base, alternate, tip = _SURFACES[dark]
    made = QPalette()
    role = QPalette.ColorRole
    surfaces = {
        role.Window: window,
        role.Base: base,
        role.AlternateBase: alternate,
        role.Button: theme.raised,
        role.ToolTipBase: tip,
        role.WindowText: theme.text,
        role.Text: theme.text,
        role.ButtonText: theme.text,
        role.ToolTipText: theme.text,
        role.BrightText: theme.bad,
        role.PlaceholderText: theme.muted,
        role.Highlight: theme.primary,
        role.Accent: theme.accent,
        role.HighlightedText: "#ffffff",
        role.Link: theme.accent,
        role.LinkVisited: theme.series[4],
        role.Mid: theme.grid,
        # Fusion shades edges with these roles; Qt would keep those of the system's own palette.
        role.Light: "#323a45" if dark else "#ffffff",
        role.Midlight: "#2b323c" if dark else "#f2f4f7",
        role.Dark: "#14181d" if dark else "#b8c1cc",
        role.Shadow: "#0c0f13" if dark else "#8d97a3",
    }
    for key, value in surfaces.items():
        made.setColor(key, QColor(value))
    faded = QColor(theme.muted)
    faded.setAlphaF(0.6)
    for key in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        made.setColor(QPalette.ColorGroup.Disabled, key, faded)
    made.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(theme.grid))
    return made


def control_height() -> int:
    """Pixels from edge to edge of a button, a field or a list, a multiple of the grid's step."""
    return _height(QFontMetrics(font_of(float(_state["points"]))))


def _height(metrics: QFontMetrics) -> int:
    return max(_LOWEST, STEP * round((metrics.height() + 11) / STEP))


def mixed(front: str, share: float, back: str) -> str:
    """Returns a colour that lies between two, ``share`` of the first."""
    one, other = QColor(front), QColor(back)
    parts = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)  # type: ignore[index]
    return QColor(*(round(share * a + (1 - share) * b) for a, b in parts)).name()


def _style_sheet(font: QFont) -> str:
    """What a palette cannot say; `property` selectors mark widgets: ``role="muted"``, ``"primary"``, ``"card"`` ..."""
    theme = colours()
    window, base, alternate, tip = _SURFACES[is_dark()]
    points, inner = font.pointSizeF(), _height(QFontMetrics(font)) - 2
    pictures = (resource_folder() / "icons" / "ui").as_posix()
    edge, chosen = theme.grid, mixed(theme.primary, 0.16, base)
    pressed, faded = mixed(theme.text, 0.12, theme.raised), mixed(theme.muted, 0.55, window)
    return f"""
    QLabel[role="muted"] {{ color: {theme.muted}; }}
    QLabel[role="good"] {{ color: {theme.good}; }}
    QLabel[role="warning"] {{ color: {theme.warning}; }}
    QLabel[role="bad"] {{ color: {theme.bad}; }}
    QLabel[role="strong"] {{ font-weight: 600; }}
    QLabel[role="heading"] {{ font-weight: 600; font-size: {points * 1.2:.1f}pt; }}
    QLabel[role="title"] {{ font-weight: 600; font-size: {points * 2:.1f}pt; }}
    QLabel[role="figure"] {{ font-weight: 600; font-size: {points * 1.8:.1f}pt; }}

    QPushButton, QToolButton, QComboBox {{
        background: {theme.raised}; border: 1px solid {edge}; border-radius: {RADIUS}px; min-height: {inner}px;
    }}
    QPushButton {{ padding: 0 {PADDING - 1}px; }}
    QToolButton, QAbstractSpinBox {{ min-height: {inner - _ADDED}px; }}
    QPushButton:hover, QToolButton:hover, QComboBox:hover {{ background: {theme.hovered}; }}
    QPushButton:pressed, QToolButton:pressed, QPushButton:checked, QToolButton:checked {{ background: {pressed}; }}
    QToolButton:checked, QPushButton:checked {{ background: {chosen}; border-color: {theme.accent}; }}
    QPushButton:focus, QToolButton:focus, QComboBox:focus {{ border-color: {theme.accent}; }}
    QPushButton:disabled, QToolButton:disabled, QComboBox:disabled {{ color: {faded}; background: {window}; }}
    QPushButton:flat, QToolButton[autoRaise="true"] {{ background: transparent; border-color: transparent; }}
    QPushButton:flat:hover, QToolButton[autoRaise="true"]:hover {{ background: {theme.hovered}; }}
    QPushButton:flat:focus, QToolButton[autoRaise="true"]:focus {{ border-color: {theme.accent}; }}
    QToolButton[autoRaise="true"]:checked {{ background: {chosen}; border-color: {theme.accent}; }}
    QPushButton[role="primary"] {{
        background: {theme.primary}; border-color: {theme.primary}; color: #ffffff; font-weight: 600;
        padding: 0 {PADDING + 3}px;
    }}
    QPushButton[role="primary"]:hover {{ background: {mixed(theme.primary, 0.88, "#ffffff")}; }}
    QPushButton[role="primary"]:pressed {{ background: {mixed(theme.primary, 0.85, "#000000")}; }}
    QPushButton[role="primary"]:focus {{ border: 2px solid {theme.text}; padding: 0 {PADDING + 2}px;
        min-height: {inner - 2}px; }}
    QPushButton[role="primary"]:disabled {{
        background: {mixed(theme.muted, 0.18, window)}; border-color: transparent; color: {faded};
    }}
    QPushButton[role="fold"] {{ padding: 0; text-align: left; }}
    QPushButton[role="card"] {{ padding: 0; text-align: left; border-radius: 8px; }}
    QToolButton {{ min-width: {inner}px; padding: 0 3px; }}
    QToolButton[popupMode="1"] {{ padding-right: 18px; }}
    QToolButton[popupMode="2"] {{ padding-left: 8px; padding-right: 20px; }}
    QPushButton::menu-indicator, QToolButton::menu-indicator {{
        image: url({pictures}/style-arrow-down.svg); width: 14px; height: 14px;
        subcontrol-origin: padding; subcontrol-position: center right; right: 4px;
    }}
    QAbstractScrollArea::corner {{ background: {base}; border: 0; }}
    QComboBox {{ padding: 0 4px 0 9px; }}
    QComboBox:editable {{ background: {base}; padding-left: 7px; }}
    QComboBox:editable:disabled {{ background: {window}; }}
    QComboBox::drop-down {{ border: 0; width: 20px; }}
    QComboBox::down-arrow {{ image: url({pictures}/style-arrow-down.svg); width: 14px; height: 14px; }}
    QComboBox QAbstractItemView {{
        border: 1px solid {edge}; background: {base}; selection-background-color: {theme.primary}; outline: 0;
    }}
    QComboBox QAbstractItemView::item {{ min-height: {inner - 2}px; }}

    QLineEdit, QAbstractSpinBox {{
        background: {base}; border: 1px solid {edge}; border-radius: {RADIUS}px;
    }}
    QLineEdit {{ padding: 0 7px; min-height: {inner}px; }}
    QLineEdit QToolButton {{ border: 0; background: transparent; min-width: 0; min-height: 0; padding: 0; }}
    QLineEdit:focus, QAbstractSpinBox:focus, QPlainTextEdit:focus, QListWidget:focus, QTableView:focus {{
        border-color: {theme.accent};
    }}
    QLineEdit:read-only {{ background: {window}; color: {theme.muted}; }}
    QLineEdit:disabled, QAbstractSpinBox:disabled {{ background: {window}; color: {faded}; }}
    QAbstractSpinBox QLineEdit, QComboBox QLineEdit {{
        border: 0; padding: 0; min-height: 0; background: transparent; border-radius: 0;
    }}
    QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{
        border: 0; background: transparent; width: 16px; subcontrol-origin: border;
    }}
    QAbstractSpinBox::up-button {{ subcontrol-position: top right; top: 2px; right: 2px; }}
    QAbstractSpinBox::down-button {{ subcontrol-position: bottom right; bottom: 2px; right: 2px; }}
    QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover {{ background: {theme.hovered}; }}
    QAbstractSpinBox::up-arrow {{ image: url({pictures}/style-arrow-up.svg); width: 10px; height: 10px; }}
    QAbstractSpinBox::down-arrow {{ image: url({pictures}/style-arrow-down.svg); width: 10px; height: 10px; }}

    QMessageBox {{
        messagebox-warning-icon: url({pictures}/style-warning.svg);
        messagebox-question-icon: url({pictures}/style-question.svg);
        messagebox-information-icon: url({pictures}/style-information.svg);
        messagebox-critical-icon: url({pictures}/style-critical.svg);
    }}

    QPlainTextEdit, QTextBrowser, QListView, QTableView {{
        border: 1px solid {edge}; border-radius: {RADIUS}px; background: {base}; outline: 0;
    }}
    QPlainTextEdit, QTextBrowser {{ padding: 4px; }}
    QListView[role="bare"], QPlainTextEdit[role="bare"] {{ border: 0; background: transparent; border-radius: 0; }}
    QListWidget[role="roomy"]::item {{ padding: 6px; }}
    QHeaderView {{ background: transparent; }}
    QHeaderView::section {{
        background: {alternate}; color: {theme.muted}; border: 0; border-bottom: 1px solid {edge};
        padding: 4px {CELL}px;
    }}
    QTableView::item {{ padding: 0 {CELL - _CELL_ADDED}px; }}
    QTableView::item:selected, QListView::item:selected {{ background: {theme.primary}; color: #ffffff; }}
    QListView[role="bare"]::item:selected {{ background: transparent; }}
    QTableCornerButton::section {{ background: {alternate}; border: 0; }}

    QTabWidget::pane {{ border: 0; border-top: 1px solid {edge}; }}
    QTabWidget::tab-bar {{ left: 8px; }}
    QTabBar {{ background: transparent; qproperty-drawBase: 0; }}
    QTabBar::tab {{
        background: transparent; color: {theme.muted}; border: 0; border-bottom: 2px solid transparent;
        padding: 0 8px; margin: 0 2px 0 0; min-height: {inner + 2}px;
    }}
    QTabBar::tab:hover {{ color: {theme.text}; background: {theme.hovered}; border-radius: 0; }}
    QTabBar::tab:selected {{ color: {theme.text}; border-bottom-color: {theme.accent}; }}
    QTabBar::tab:focus {{ color: {theme.accent}; }}
    QTabBar::tab:disabled {{ color: {faded}; }}
    QTabBar QToolButton {{ min-width: 18px; border-radius: 0; }}

    QGroupBox {{
        background: {base}; border: 1px solid {edge}; border-radius: 8px; margin-top: {inner - 2}px; padding: 8px;
        font-weight: 600;
    }}
    QGroupBox::title {{ subcontrol-origin: margin; subcontrol-position: top left; left: 2px; top: 4px; }}
    QFrame[role="card"] {{ background: {base}; border: 1px solid {edge}; border-radius: 8px; }}
    QWidget[role="plot"] {{ background: {base}; border: 1px solid {edge}; border-radius: 8px; }}
    QGraphicsView[role="picture"] {{ background: {mixed(theme.text, 0.08, window) if not is_dark() else base}; }}
    QFrame[role="toast"] {{ background: {tip}; border: 1px solid {edge}; border-radius: 8px; }}
    QFrame[role="toast"][tone="good"] {{ border-left: 4px solid {theme.good}; }}
    QFrame[role="toast"][tone="warning"] {{ border-left: 4px solid {theme.warning}; }}
    QFrame[role="toast"][tone="bad"] {{ border-left: 4px solid {theme.bad}; }}
    QFrame[role="bar"] {{ background: {base}; border: 0; border-bottom: 1px solid {edge}; }}
    QFrame[role="foot"] {{ background: {base}; border: 0; border-top: 1px solid {edge}; }}
    QFrame[role="side"] {{ background: {window}; border: 0; }}

    QCheckBox, QRadioButton {{ spacing: 8px; min-height: {inner - 4}px; }}
    QCheckBox::indicator, QRadioButton::indicator, QAbstractItemView::indicator {{
        border: 1px solid {theme.muted}; border-radius: 4px; background: {base}; width: 14px; height: 14px;
    }}
    QRadioButton::indicator {{ border-radius: 8px; }}
    QCheckBox::indicator:checked, QRadioButton::indicator:checked, QCheckBox::indicator:indeterminate,
    QAbstractItemView::indicator:checked {{
        background: {theme.primary}; border-color: {theme.primary};
    }}
    QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{ image: url({pictures}/style-tick.svg); }}
    QCheckBox::indicator:indeterminate {{ image: url({pictures}/style-part.svg); }}
    QRadioButton::indicator:checked {{ image: url({pictures}/style-dot.svg); }}
    QCheckBox:focus, QRadioButton:focus {{ color: {theme.accent}; }}
    QCheckBox::indicator:disabled, QRadioButton::indicator:disabled {{ border-color: {edge}; background: {window}; }}
    QCheckBox::indicator:checked:disabled, QRadioButton::indicator:checked:disabled {{ background: {theme.muted}; }}

    QSlider:horizontal {{ min-height: 20px; }}
    QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {edge}; }}
    QSlider::sub-page:horizontal {{ height: 4px; border-radius: 2px; background: {theme.primary}; }}
    QSlider::sub-page:horizontal:disabled {{ background: {edge}; }}
    QSlider::handle:horizontal {{
        background: {theme.raised}; border: 2px solid {theme.primary}; width: 10px; height: 10px; margin: -5px 0;
        border-radius: 7px;
    }}
    QSlider::handle:horizontal:focus {{ background: {theme.accent}; }}
    QSlider::handle:horizontal:disabled {{ border-color: {theme.muted}; background: {window}; }}

    QProgressBar {{ border: 0; border-radius: 3px; background: {edge}; max-height: 6px; min-height: 6px; }}
    QProgressBar::chunk {{ border-radius: 3px; background: {theme.primary}; }}

    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
    QScrollBar::handle {{ background: {mixed(theme.muted, 0.45, window)}; border-radius: 3px; margin: 2px; }}
    QScrollBar::handle:vertical {{ min-height: 28px; }}
    QScrollBar::handle:horizontal {{ min-width: 28px; }}
    QScrollBar::handle:hover {{ background: {theme.muted}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; border: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}

    QSplitter::handle {{ background: transparent; }}
    QSplitter::handle:horizontal {{ width: 3px; margin-left: 4px; border-left: 1px solid {edge}; }}
    QSplitter::handle:vertical {{ height: 3px; margin-top: 4px; border-top: 1px solid {edge}; }}
    QSplitter[role="frame"]::handle {{ margin: 0; }}
    QSplitter::handle:hover {{ background: {theme.accent}; }}

    QMenuBar {{ background: {base}; padding: 2px 4px; }}
    QMenuBar::item {{ padding: 4px 8px; border-radius: 4px; background: transparent; }}
    QMenuBar::item:selected {{ background: {theme.hovered}; }}
    QMenu {{ background: {base}; border: 1px solid {edge}; padding: 4px; }}
    QMenu::item {{ padding: 5px 24px 5px 8px; border-radius: 4px; min-width: 96px; }}
    QMenu::item:selected {{ background: {theme.primary}; color: #ffffff; }}
    QMenu::item:disabled {{ color: {faded}; background: transparent; }}
    QMenu::icon {{ padding-left: 8px; }}
    QMenu::separator {{ height: 1px; background: {edge}; margin: 4px 8px; }}

    QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QToolTip {{
        border: 1px solid {edge}; padding: 4px 6px; background: {tip}; color: {theme.text};
    }}
    """
