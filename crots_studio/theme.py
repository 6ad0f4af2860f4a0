"""Light and dark: Fusion with explicit palettes, the same on every platform, and the colours that plots are drawn in.

``setColorScheme`` does nothing on some platforms, so the palette is set by hand and plots are recoloured by their
panels on `Session.theme_changed`.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

MODES = ("system", "light", "dark")


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
        warning: of what is stale or worth reading.
        bad: of what failed or became worse.
        series: one a curve, told apart by colour-blind people too.
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


LIGHT = Colours(
    background="#ffffff",
    text="#1d2530",
    muted="#5b6675",
    grid="#cfd6df",
    accent="#1f6fd1",
    good="#1a7f4b",
    warning="#9a6200",
    bad="#c22f35",
    series=("#1f6fd1", "#d9730d", "#1a8f5a", "#b8338f", "#7a5bd0", "#8a6d00", "#0f8a97", "#c22f35"),
)
DARK = Colours(
    background="#14181e",
    text="#e4e9f0",
    muted="#9aa6b5",
    grid="#3a4452",
    accent="#5ea3f2",
    good="#58c48c",
    warning="#e5b04c",
    bad="#f27a7e",
    series=("#5ea3f2", "#f2a154", "#58c48c", "#ec83cb", "#ab92f0", "#d8c04a", "#4fc6d2", "#f27a7e"),
)

# Window, base, alternate base, button, tooltip; text colours come from `Colours`.
_SURFACES = {
    False: ("#eef1f5", "#ffffff", "#f6f8fa", "#e4e9ef", "#fffbe6"),
    True: ("#252b33", "#171b21", "#1c2128", "#323a45", "#333c48"),
}
_state = {"dark": False}


def is_dark() -> bool:
    """Whether the dark theme is on."""
    return _state["dark"]


def colours() -> Colours:
    """Returns the colours of the theme that is on."""
    return DARK if _state["dark"] else LIGHT


def system_is_dark() -> bool:
    """What the desktop asks for."""
    return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark


def wants_dark(mode: str) -> bool:
    """Whether a mode of `MODES` means the dark theme now."""
    return mode == "dark" or (mode == "system" and system_is_dark())


def apply(dark: bool) -> None:
    """Gives the whole application the light or the dark theme."""
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        return
    _state["dark"] = dark
    if application.style().objectName() != "fusion":
        application.setStyle("Fusion")
    application.setPalette(palette(dark))
    application.setStyleSheet(_style_sheet())


def palette(dark: bool) -> QPalette:
    """Returns the palette of a theme."""
    theme = DARK if dark else LIGHT
    window, base, alternate, button, tip = _SURFACES[dark]
    made = QPalette()
    role = QPalette.ColorRole
    surfaces = {
        role.Window: window,
        role.Base: base,
        role.AlternateBase: alternate,
        role.Button: button,
        role.ToolTipBase: tip,
        role.WindowText: theme.text,
        role.Text: theme.text,
        role.ButtonText: theme.text,
        role.ToolTipText: theme.text,
        role.BrightText: theme.bad,
        role.PlaceholderText: theme.muted,
        role.Highlight: theme.accent,
        role.Accent: theme.accent,
        role.HighlightedText: "#101418" if dark else "#ffffff",
        role.Link: theme.accent,
        role.LinkVisited: theme.series[4],
        role.Mid: theme.grid,
        # What Fusion shades edges with; Qt would keep those of the system's own palette.
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


def _style_sheet() -> str:
    """What a palette cannot say; `property` selectors mark labels: ``role="muted"``, ``"good"``, ``"bad"`` ..."""
    theme = colours()
    return f"""
    QLabel[role="muted"] {{ color: {theme.muted}; }}
    QLabel[role="good"] {{ color: {theme.good}; }}
    QLabel[role="warning"] {{ color: {theme.warning}; }}
    QLabel[role="bad"] {{ color: {theme.bad}; }}
    QLabel[role="heading"] {{ font-weight: 600; font-size: 13pt; }}
    QLabel[role="title"] {{ font-weight: 600; font-size: 20pt; }}
    QLineEdit, QPlainTextEdit, QListWidget, QTableWidget {{
        border: 1px solid {theme.grid}; border-radius: 3px; background: palette(base);
    }}
    QLineEdit {{ padding: 2px 4px; min-height: 1.3em; }}
    QLineEdit:focus, QPlainTextEdit:focus, QListWidget:focus {{ border-color: {theme.accent}; }}
    QAbstractSpinBox QLineEdit {{ border: 0; padding: 0; min-height: 0; }}
    QComboBox QLineEdit {{ border: 0; padding: 0 2px; min-height: 0; }}
    QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QGroupBox {{ font-weight: 600; }}
    QCheckBox::indicator:unchecked {{
        border: 1px solid {theme.muted}; border-radius: 3px; background: palette(base); width: 12px; height: 12px;
    }}
    QCheckBox::indicator:unchecked:disabled {{ border-color: {theme.grid}; }}
    QRadioButton::indicator:unchecked {{
        border: 1px solid {theme.muted}; border-radius: 7px; background: palette(base); width: 12px; height: 12px;
    }}
    QRadioButton::indicator:unchecked:disabled {{ border-color: {theme.grid}; }}
    QListWidget[role="roomy"]::item {{ padding: 6px; }}
    QToolTip {{ border: 1px solid {theme.grid}; padding: 4px; }}
    """
