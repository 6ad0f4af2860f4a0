"""The look: icons that exist, colours that are told apart, notes that move nothing, controls of one height."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontInfo, QFontMetrics, QIcon
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QSpinBox,
    QSplitter,
    QStyle,
    QStyleOptionViewItem,
    QTabBar,
    QTableView,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

import crots_studio
from crots.class_files import keep_class_set
from crots.project import Project
from crots.project_config import override
from crots.taxonomy import ClassSet, load_class_set
from crots_studio import theme
from crots_studio.dialogs.queue import QueueDialog
from crots_studio.icons import icon, icon_file
from crots_studio.models.log_lines import LogLine
from crots_studio.models.project_cards import ProjectCard
from crots_studio.panels.monitor import matrix_view
from crots_studio.panels.monitor.tile import Tile
from crots_studio.panels.rail import _PICTURES, _SIGNS, RailPanel
from crots_studio.theme import DARK, LIGHT, stage_colour
from crots_studio.widgets.controls import ElidedBox, indent
from crots_studio.widgets.icon_button import IconButton
from crots_studio.widgets.project_card import CardDelegate
from crots_studio.workspace_tabs import TABS
from tests.studio.fake_project import make_fake_project

_NAMED = re.compile(r"""(?:\bicon\(|IconButton\(|show_as\(|sign=)\s*"([a-z-]+)\"""")


def named_icons():
    """All icons that the sources ask for by name."""
    sources = Path(crots_studio.__file__).parent.rglob("*.py")
    names = {name for path in sources for name in _NAMED.findall(path.read_text("utf-8"))}
    return sorted(names | {tab.icon for tab in TABS} | set(_PICTURES.values()) | set(_SIGNS.values()))


def test_every_icon_is_there_and_shows_something(qapp):
    names = named_icons()
    assert len(names) > 20
    for name in names:
        assert QSvgRenderer(str(icon_file(name))).isValid(), name
        picture = icon(name).pixmap(QSize(24, 24)).toImage()
        assert any(picture.pixelColor(x, y).alpha() > 100 for x in range(24) for y in range(24)), name


def test_no_icon_is_shipped_that_no_source_names():
    words = set()
    for path in Path(crots_studio.__file__).parent.rglob("*.py"):
        words |= set(re.findall(r"""["']([a-z-]+)["']""", path.read_text("utf-8")))
    shipped = {path.stem for path in icon_file("check").parent.glob("*.svg") if not path.stem.startswith("style-")}
    assert shipped <= words


def test_icons_follow_the_theme_without_being_made_again(qapp):
    shown = icon("check")
    seen = {}
    for dark in (False, True):
        theme.apply(dark)
        image = shown.pixmap(QSize(32, 32)).toImage()
        seen[dark] = max((image.pixelColor(x, y) for x in range(32) for y in range(32)), key=lambda c: c.alpha()).name()
    theme.apply(False)
    assert seen == {False: LIGHT.text, True: DARK.text}
    disabled = shown.pixmap(QSize(32, 32), QIcon.Mode.Disabled).toImage()
    assert max(disabled.pixelColor(x, y).alpha() for x in range(32) for y in range(32)) < 140


def test_controls_are_of_one_height_at_every_text_size(qtbot, session):
    holder = QWidget()
    qtbot.addWidget(holder)
    column = QVBoxLayout(holder)
    words = QToolButton()
    words.setText("...")
    kinds = [QPushButton("Run"), QLineEdit("x"), QSpinBox(), QComboBox(), words, IconButton("play", "Run")]
    for widget in kinds:
        column.addWidget(widget)
    holder.show()
    for points in theme.TEXT_SIZES.values():
        theme.apply(False, points)
        qtbot.wait(10)
        qtbot.waitUntil(lambda: {widget.sizeHint().height() for widget in kinds} == {theme.control_height()})
        assert QFontInfo(kinds[0].font()).family() == theme.FAMILY
        assert kinds[0].font().pointSizeF() == points
    theme.apply(False, theme.TEXT_SIZES["normal"])
    assert QApplication.font().family() == theme.FAMILY


# Viénot 1999 and Brettel 1997, as matrices on linear RGB.
_SIMULATED = {
    "normal": np.eye(3),
    "protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
    "tritan": np.array([[1, 0.15, -0.15], [0, 0.87, 0.13], [0, 0.87, 0.13]]),
}


def lab(colour, sight="normal"):
    """CIE Lab of ``#rrggbb`` as somebody sees it."""
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(_SIMULATED[sight] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one, other, sight):
    return float(np.linalg.norm(lab(one, sight) - lab(other, sight)))


@pytest.mark.parametrize("sight", _SIMULATED)
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_stages_are_distinguished_by_everybody_in_both_themes(colours, sight):
    stages = {"source": colours.source, "baseline": colours.baseline}
    stages |= {f"round {number}": colour for number, colour in enumerate(colours.rounds, 1)}
    for (a, one), (b, other) in itertools.combinations(stages.items(), 2):
        assert distance(one, other, sight) > 15, (a, b)
    for name, colour in stages.items():
        assert distance(colour, colours.background, sight) > 15, name


def test_a_stage_has_one_colour_wherever_it_is_named(qapp):
    theme.apply(False)
    assert stage_colour("adapt-2") == LIGHT.rounds[1]
    assert stage_colour("source") == stage_colour("train") == LIGHT.source
    assert stage_colour("baseline") == LIGHT.baseline
    assert stage_colour("adapt-5") == LIGHT.rounds[0], "more rounds than greens begin again"


def contrast(one, other):
    """As the web's accessibility guidelines measure it."""
    low, high = sorted(((lab(colour)[0] + 16) / 116) ** 3 for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def test_text_is_read_on_every_surface(qapp):
    for colours, window in ((LIGHT, "#f3f5f8"), (DARK, "#1c2027")):
        for name in ("text", "muted", "accent", "good", "warning", "bad"):
            assert contrast(getattr(colours, name), window) >= 4.5, name
        assert contrast("#ffffff", colours.primary) >= 4.5, "white on the primary button"


def test_the_figures_of_the_confusion_matrix_are_read_on_every_cell(qapp):
    for colours in (LIGHT, DARK):
        for end in (colours.good, colours.bad):
            for share in range(0, 101, 5):
                fill = matrix_view.mixed(QColor(colours.background), QColor(end), (share / 100) ** 0.5 * 0.9)
                assert contrast(fill.name(), matrix_view.text_on(fill).name()) >= 4.5, (end, share)


def ink(widget, top=0, bottom=None):
    """The first column of pixels in which a widget shows dark text, between two heights."""
    picture = widget.grab().toImage()
    rows = range(top + 6, (bottom or picture.height()) - 6)
    return next(x for x in range(4, picture.width()) if any(picture.pixelColor(x, y).lightness() < 140 for y in rows))


def test_the_text_of_all_fields_begins_at_the_same_place(qtbot, session):
    """Numbers stood four pixels left of the text below them, and lists between the two."""
    theme.apply(False)
    holder = QWidget()
    qtbot.addWidget(holder)
    column = QVBoxLayout(holder)
    number, line, chosen, typed = QSpinBox(), QLineEdit("Hello"), QComboBox(), QComboBox()
    number.setSpecialValueText("Hello")
    indent(number)
    typed.setEditable(True)
    for box in (chosen, typed):
        box.addItem("Hello")
    for widget in (number, line, chosen, typed):
        column.addWidget(widget)
    holder.resize(300, 200)
    holder.show()
    assert len({ink(widget) for widget in (number, line, chosen, typed)}) == 1


def test_every_number_stands_as_far_from_the_edge_as_other_text():
    """What makes a box for numbers indents it; a style sheet cannot."""
    for path in sorted(Path(crots_studio.__file__).parent.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        made = len(re.findall(r"= Q(?:Double)?SpinBox\(", text))
        assert len(re.findall(r"\bindent\(\w", text.replace("def indent(", ""))) >= made, path.name


def test_cells_are_in_line_with_the_header_above_them(qtbot, session):
    theme.apply(False)
    table = QTableWidget(1, 1)
    qtbot.addWidget(table)
    table.setHorizontalHeaderLabels(["Hello"])
    table.setItem(0, 0, QTableWidgetItem("Hello"))
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setHighlightSections(False)
    table.setShowGrid(False)
    table.resize(200, 100)
    table.show()
    assert ink(table.viewport()) == ink(header.viewport()) > theme.STEP


_ROOM = re.compile(r"\bset(?:ContentsMargins|Spacing|HorizontalSpacing|VerticalSpacing)\(([\d, ]+)\)")
# Lines that belong together, and what stands on the edge of something drawn.
_HALF_STEPS = {1, 2}


def test_room_between_things_is_a_multiple_of_the_grid():
    """Pages began six pixels from the edge and their tiles eight."""
    for path in sorted(Path(crots_studio.__file__).parent.rglob("*.py")):
        for found in _ROOM.finditer(path.read_text(encoding="utf-8")):
            lengths = {int(length) for length in found[1].split(",") if length.strip()}
            assert all(length % theme.STEP == 0 or length in _HALF_STEPS for length in lengths), (path.name, found[0])


def test_nothing_touches_the_line_between_two_panes(qtbot, session):
    """Lists and plots ended at the very pixel beside it."""
    theme.apply(False)
    for way in (Qt.Orientation.Horizontal, Qt.Orientation.Vertical):
        split = QSplitter(way)
        qtbot.addWidget(split)
        for _ in range(2):
            split.addWidget(QWidget())
        split.resize(200, 200)
        split.show()
        assert split.handleWidth() == 2 * theme.STEP
        picture = split.handle(1).grab().toImage()
        middle = picture.height() // 2, picture.width() // 2
        shades = [
            (picture.pixelColor(place, middle[0]) if way is Qt.Orientation.Horizontal else
             picture.pixelColor(middle[1], place)).name() for place in range(2 * theme.STEP)
        ]  # fmt: skip
        line = shades.index(LIGHT.grid)
        assert theme.STEP - 1 <= line <= theme.STEP and len(set(shades) - {LIGHT.grid}) == 1


def test_a_list_that_is_narrower_than_a_name_ends_in_an_ellipsis(qtbot, session, window, open_project, tmp_path):
    project = make_fake_project(tmp_path)
    classes = load_class_set("camvid").to_dict() | {"name": "long", "subsets": {}}
    classes["names"] = [f"{name} as it is called in a labelling tool of long names" for name in classes["names"]]
    name = keep_class_set(project.folder, ClassSet.from_dict(classes))
    Project(project.folder, override(project.config, {"task.classes": name})).save()
    open_project(project.folder)
    window.resize(1280, 720)
    cut = set()
    for tab in TABS:
        window.pages.show_tab(tab.key)
        qtbot.waitUntil(lambda: session.errands.idle)
        qtbot.wait(20)
        for box in window.findChildren(QComboBox):
            named = any("labelling tool" in box.itemText(place) for place in range(box.count()))
            if box.isVisible() and named and not box.isEditable():
                cut.add(box.accessibleName())
                assert isinstance(box, ElidedBox), box.accessibleName()
    assert "Class to paint" in cut


def test_the_facts_of_a_card_have_one_look(qtbot, session):
    """The same line was black on a card without a score, and grey on one with it."""
    theme.apply(False)
    pens = []

    class Pen:
        def __getattr__(self, name):
            return lambda *_: QFontMetrics(QFont())

        def setPen(self, colour):
            self.colour = colour.name()

        def drawText(self, place, flag, text):
            pens.append((text, self.colour))

    for first in (None, 0.25):
        card = ProjectCard(Path("/p/one"), state="nothing run yet", first=first, last=first and 0.5)
        CardDelegate()._draw_text(Pen(), QRect(0, 0, 300, 100), card, QStyleOptionViewItem())
    assert [colour for text, colour in pens if text == "nothing run yet"] == [LIGHT.muted] * 2


def test_a_note_floats_and_moves_nothing(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    page = window.workspace
    window.pages.setCurrentWidget(page)
    qtbot.wait(20)
    before = {name: page.tabs.geometry().getRect() for name in ("tabs",)} | {"rail": page.rail.geometry().getRect()}
    session.copied.emit("Copied")
    assert page.notice.isVisible() and page.rect().contains(page.notice.geometry())
    page.notifier.say("The run is finished. " * 12, "good")
    qtbot.wait(20)
    qtbot.waitUntil(lambda: page.rect().contains(page.notifier.geometry()))
    assert {"tabs": page.tabs.geometry().getRect(), "rail": page.rail.geometry().getRect()} == before
    window.resize(1000, 640)
    qtbot.wait(20)
    qtbot.waitUntil(lambda: page.rect().contains(page.notifier.geometry()))


def test_the_log_is_one_line_until_asked_for(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    window.pages.setCurrentWidget(window.workspace)
    log = window.log_panel
    qtbot.wait(20)
    qtbot.waitUntil(lambda: not log.is_unfolded and log.height() <= log.foot.sizeHint().height())
    assert log.latest.text() == log.text.splitlines()[-1]
    session.problem.emit("the disk is full")
    assert "problem" in log.problem_button.text() and log.problem_button.isVisible()
    log.problem_button.click()
    qtbot.waitUntil(lambda: log.problems.isVisible() and log.height() > 100)
    window.menus.actions["Log"].trigger()
    assert not log.is_unfolded and not window.menus.actions["Log"].isChecked()
    # Its room goes back to the tabs; a dark gap stood below it.
    qtbot.waitUntil(lambda: log.geometry().bottom() == window.workspace.rows.rect().bottom())
    assert log.height() == log.foot.sizeHint().height()
    log.unfold()
    qtbot.waitUntil(lambda: log.height() > 100)
    layout = window.workspace.rows.saveState()
    log.unfold(False)
    window.workspace.rows.restoreState(layout)
    window.resize(window.width(), window.height() + 40)
    qtbot.waitUntil(lambda: log.geometry().bottom() == window.workspace.rows.rect().bottom())


def test_a_long_reason_is_not_cut_in_the_rail(qtbot, session, show_panel, open_project, tmp_path):
    rail = show_panel(RailPanel, 208, 900)
    open_project(make_fake_project(tmp_path).folder)
    session.opened.set_options({"adapt.steps": "7", "adapt.learning_rate": "0.001", "adapt.patch_weight": "0.5"})
    qtbot.waitUntil(lambda: any(row.state == "stale" for row in rail.rows))
    number = next(number for number, row in enumerate(rail.rows) if row.state == "stale" and row.reason)
    rect = rail.list.visualItemRect(rail.list.item(number))
    line = rail.list.fontMetrics().height()
    lines = rail.list.fontMetrics().horizontalAdvance(rail.rows[number].text) / (208 - 60)
    assert lines > 1 and rect.height() >= (1 + int(lines)) * line


def test_settings_leave_the_room_to_tabs_that_need_it(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    window.pages.setCurrentWidget(window.workspace)
    window.resize(1000, 640)
    for tab in TABS:
        window.pages.show_tab(tab.key)
        assert window.settings_panel.isHidden(), tab.key
        assert window.workspace.tabs.tabBar().width() >= window.workspace.tabs.tabBar().sizeHint().width(), tab.key
    window.workspace.settings_button.click()
    assert window.settings_panel.isVisible() and window.menus.actions["Settings"].isChecked()
    window.pages.show_tab("monitor")
    assert window.settings_panel.isHidden()
    window.pages.show_tab(TABS[-1].key)
    assert window.settings_panel.isVisible(), "asked for on this tab"


def test_the_rail_stays_as_wide_when_the_settings_appear(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    window.pages.setCurrentWidget(window.workspace)
    panel = window.panels["pseudo_labels"]
    panel.regions.set_regions(["sky, where the student says tree"] * 3)
    window.resize(1000, 640)
    qtbot.waitUntil(lambda: window.width() == 1000)
    assert window.rail.width() >= 200, "no tab needs its room, in the smallest window neither"
    window.resize(1320, 720)
    window.pages.show_tab("monitor")
    qtbot.waitUntil(lambda: window.width() == 1320)
    before = window.rail.width()
    for shown in (True, False, True):
        window.workspace.show_settings(shown)
        qtbot.wait(1)
        assert window.rail.width() == before and window.settings_panel.isVisible() == shown
    assert window.settings_panel.width() >= 312


def reaches_out(panel):
    """What of a panel is narrower than it has to be, or ends beyond the panel's own edge."""
    return [
        (type(widget).__name__, widget.accessibleName(), widget.width(), widget.minimumSizeHint().width())
        for widget in panel.findChildren(QWidget)
        if widget.isVisible()
        and isinstance(widget, (QPushButton, QComboBox, QSpinBox, Tile))
        and (
            widget.width() < min(widget.minimumSizeHint().width(), widget.maximumWidth())
            or widget.mapTo(panel, widget.rect().topRight()).x() > panel.width()
        )
    ]


@pytest.mark.parametrize("size", [(1000, 640), (1280, 720)])
def test_beside_the_settings_no_tab_is_squeezed_and_no_stage_is_cut(
    qtbot, session, window, open_project, tmp_path, size
):
    open_project(make_fake_project(tmp_path).folder)
    window.pages.setCurrentWidget(window.workspace)
    window.resize(*size)
    for tab in TABS:
        window.pages.show_tab(tab.key)
        window.workspace.show_settings(True)
        panel = window.panels[tab.key]
        qtbot.waitUntil(lambda panel=panel: panel.width() >= panel.minimumSizeHint().width())
        qtbot.waitUntil(lambda panel=panel: not reaches_out(panel))
        page = panel.parent().parent()
        assert size[0] < 1280 or panel.width() <= page.viewport().width(), f"{tab.key} need not be scrolled at 1280"
        assert window.rail.folded == (size[0] < 1280)
    rail = window.rail
    assert not window.rail.run_one.isVisible() or rail.width() >= rail.minimumWidth() > 176
    assert rail.list.viewport().width() > 20 and rail.list.item(0).toolTip()
    window.workspace.show_settings(False)
    assert not rail.folded and rail.width() >= rail.minimumWidth() > 176


def test_a_tile_shows_its_figure_and_its_note_whole(qtbot):
    shown, row = QWidget(), QHBoxLayout()
    qtbot.addWidget(shown)
    shown.setLayout(row)
    tiles = [Tile("mIoU"), Tile("Time")]
    for tile in tiles:
        row.addWidget(tile, 1)
    tiles[0].say("60.0%", "+1.3 vs Source (Round 1)")
    tiles[1].say("12 min 51 s", "all stages together")
    shown.resize(10, 100)
    shown.show()
    for tile in tiles:
        for label in (tile.figure, tile.note):
            assert label.fontMetrics().horizontalAdvance(label.text()) <= label.contentsRect().width(), label.text()


def test_settings_follow_the_tab_in_front(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    window.pages.setCurrentWidget(window.workspace)
    section = window.settings_panel.section

    def beside(tab):
        window.pages.show_tab(tab)
        return section.currentData()

    assert [beside(tab) for tab in ("setup", "preview", "pseudo_labels", "patches", "compare")] == [
        "data", "adapt", "pseudo_label", "mine", "adapt",
    ]  # fmt: skip
    window.workspace.show_stage("baseline")
    assert section.currentData() == "baseline" and beside("patches") == "mine"
    window.workspace.show_stage("source")
    assert window.workspace.panel_in_front is window.panels["setup"] and section.currentData() == "source"
    beside("compare")
    by_hand = section.findData("evaluate")
    section.setCurrentIndex(by_hand)
    section.activated.emit(by_hand)
    assert beside("patches") == "mine" and beside("compare") == "evaluate", "the user's choice beside a tab stays"
    window.settings_panel.search.setText("flip")
    beside("setup")
    assert window.settings_panel.search.text() == "flip", "a search goes on"


def test_settings_beside_the_monitor_follow_the_stage_that_trains(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    window.pages.show_tab("monitor")
    section, state = window.settings_panel.section, session.run.state

    def shown_while(stage):
        state.running, state.stage = bool(stage), stage
        session.run.changed.emit()
        return section.currentData()

    assert [shown_while(stage) for stage in ("pseudo-label", "baseline", "evaluate", "adapt-1", "")] == [
        "adapt", "baseline", "baseline", "adapt", "adapt",
    ]  # fmt: skip
    by_hand = section.findData("evaluate")
    section.setCurrentIndex(by_hand)
    section.activated.emit(by_hand)
    assert shown_while("baseline") == "evaluate", "the user's choice stays"
    window.pages.show_tab("patches")
    assert shown_while("adapt-1") == "mine", "and so does the section of another tab"
    shown_while("")


@pytest.mark.parametrize("kind", ["Warning", "Question", "Information", "Critical"])
def test_questions_show_the_studio_s_own_signs(qtbot, session, kind):
    box = QMessageBox(QMessageBox.Icon[kind], "", "Discard it?")
    qtbot.addWidget(box)
    box.show()
    shown, side = box.iconPixmap(), box.style().pixelMetric(QStyle.PixelMetric.PM_MessageBoxIconSize, None, box)
    own = QIcon(str(icon_file(f"style-{kind.lower()}"))).pixmap(QSize(side, side))
    assert not own.isNull() and shown.toImage() == own.toImage()


def test_titles_of_columns_keep_their_weight_where_a_cell_is_selected(window):
    tables = [table for table in window.findChildren(QTableView) if table.selectionMode().value]
    assert len(tables) >= 3
    for table in [*tables, QueueDialog(window.session, window).table]:
        assert not table.horizontalHeader().highlightSections(), table.accessibleName()


def test_the_log_opens_at_its_latest_line_and_never_hides_the_times(qtbot, window):
    log = window.workspace.log_panel
    window.pages.setCurrentWidget(window.workspace)
    log.unfold(False)
    log.add_lines([LogLine(1.0, "info", f"line {number}") for number in range(200)])
    log.unfold()
    bar, aside = log.lines.verticalScrollBar(), log.lines.horizontalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum(), timeout=10_000)
    log.add_lines([LogLine(1.0, "info", "a long line " * 100)])
    log.add_lines([LogLine(1.0, "info", "a short one")])
    qtbot.waitUntil(lambda: aside.maximum() > 0, timeout=10_000)
    assert aside.value() == 0 and bar.value() == bar.maximum()


def test_everything_follows_the_size_of_the_text(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    window.pages.setCurrentWidget(window.workspace)
    normal = QApplication.instance().font().pointSizeF()
    monitor, area = window.panels["monitor"], window.panels["pseudo_labels"].area
    legend = window.panels["pseudo_labels"].legend
    widths = {}
    for size in ("very large", "normal"):
        session.set_text_size(size)
        for tab in ("pseudo_labels", "monitor"):
            window.pages.show_tab(tab)
            qtbot.wait(1)
        points = QApplication.instance().font().pointSizeF()
        assert (points > normal) == (size != "normal")
        assert {bar.font().pointSizeF() for bar in window.findChildren(QTabBar)} == {points}
        qtbot.waitUntil(lambda: monitor.alarm.height() == monitor.miou.height())
        buttons = [area.fit_button, *legend.findChildren(QPushButton)]
        for button in buttons:
            needed = button.fontMetrics().horizontalAdvance(button.text())
            assert button.maximumWidth() >= needed + 2 * theme.PADDING, button.text()
        widths[size] = [button.maximumWidth() for button in buttons]
    assert all(large > small for large, small in zip(widths["very large"], widths["normal"], strict=True))
