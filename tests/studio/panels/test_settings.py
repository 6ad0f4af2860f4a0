"""The settings panel: a row for every option, typing, errors beside the field, reset, search, the command line."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QWheelEvent
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLayoutItem, QLineEdit, QSpinBox
from shiboken6 import Shiboken

from crots.config import describe
from crots.options import SECTIONS
from crots.project import Project
from crots.project_config import ProjectConfig
from crots_studio.models.option_form import OptionForm
from crots_studio.models.option_groups import GROUPS, IN_SET_UP
from crots_studio.panels.settings.panel import SettingsPanel


@pytest.fixture
def panel(show_panel, open_project, tmp_path):
    panel = show_panel(SettingsPanel, 330, 700)
    open_project(Project.create(tmp_path / "project", ProjectConfig()).folder)
    return panel


def row(panel, path):
    panel.go_to(path.split(".")[0].replace("_", "-"))
    return panel.rows[path]


def type_text(qtbot, box, text):
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def test_a_file_that_is_dropped_on_a_line_does_not_become_its_text(panel):
    for section in SECTIONS:
        panel.go_to(section.replace("_", "-"))
    assert len(panel.findChildren(QLineEdit)) > 20
    assert not any(line.acceptDrops() for line in panel.findChildren(QLineEdit))


def unfold_all(panel):
    for section, group in panel.folds:
        panel.unfold(section, group)


def test_each_section_has_a_row_for_each_option(qtbot, panel):
    for index, section in enumerate(SECTIONS):
        panel.section.setCurrentIndex(index)
        unfold_all(panel)
        shown = [path for path, row in panel.rows.items() if row.isVisible()]
        assert sorted(shown) == sorted(f"{section}.{info.name}" for info in describe(SECTIONS[section]) if info.stored)


def test_options_stand_in_groups_and_the_seldom_changed_are_folded(qtbot, session, panel):
    panel.go_to("adapt-1")
    assert [heading.text() for heading in panel.headings.values() if heading.isVisible()] == list(GROUPS[:-1])
    clip = panel.rows["adapt.clip"]
    assert not clip.isVisible() and panel.rows["adapt.steps"].isVisible()
    fold = panel.folds["adapt", "Safety"]
    count = int(fold.text().split()[0])
    qtbot.mouseClick(fold, Qt.MouseButton.LeftButton)
    assert clip.isVisible() and fold.text() == "Fewer options"
    qtbot.mouseClick(fold, Qt.MouseButton.LeftButton)
    session.opened.set_options({"adapt.clip": "2"})
    assert clip.isVisible(), "what was changed is never hidden"
    assert fold.text() == f"{count - 1} more options"
    panel.search.setText("adapt.log_every")
    assert panel.rows["adapt.log_every"].isVisible() and not fold.isVisible()


def test_automatic_is_shown_where_an_empty_value_means_it(panel):
    words = {
        "adapt.steps": "automatic", "adapt.validate_every": "automatic", "runtime.threads": "automatic",
        "pseudo_label.batch": "automatic", "mine.rare_count": "automatic",
    }  # fmt: skip
    for path, word in words.items():
        box = row(panel, path).editor
        assert box.specialValueText() == word and box.minimum() == 0, path
    for path in ("adapt.beta", "data.size", "baseline.refresh", "baseline.balance", "baseline.unsure_weight"):
        assert row(panel, path).editor.placeholderText() == "automatic", path
    assert row(panel, "adapt.batch").editor.specialValueText() == "", "a batch of 1 is a batch of 1"


def test_shares_have_a_slider_that_follows_and_leads(qtbot, session, panel):
    line = row(panel, "adapt.confidence")
    assert line.slider.value() == 97 and session.project.config.adapt.confidence == 0.968, "showing changes nothing"
    line.slider.setFocus()
    qtbot.keyClick(line.slider, Qt.Key.Key_Left)
    assert session.project.config.adapt.confidence == 0.96 and line.editor.text() == "0.96"
    session.opened.set_options({"adapt.confidence": "0.5"})
    assert line.slider.value() == 50
    assert row(panel, "adapt.learning_rate").slider is None


@given(st.sampled_from(sorted(SECTIONS)))
def test_every_option_has_one_group(section):
    form = OptionForm(ProjectConfig())
    fields = form.fields(section)
    assert {field.group for field in fields} <= set(GROUPS)
    groups = [field.group for field in fields]
    assert [group for group, _ in itertools.groupby(groups)] == sorted(set(groups), key=GROUPS.index)
    assert section in ("task", "student") or any(not field.folded for field in fields)


def test_what_set_up_asks_for_is_folded_away_but_found(qtbot, session, panel):
    """The settings are no second copy of the page Set-up."""
    session.opened.set_options({"data.target": "photographs", "student.weights": "random"})
    panel.go_to("target")
    assert not panel.rows["data.target"].isVisible() and panel.rows["data.tile"].isVisible()
    fold = panel.folds["data", IN_SET_UP]
    assert fold.text() == "4 options of Set-up"
    assert IN_SET_UP not in [heading.text() for heading in panel.headings.values() if heading.isVisible()]
    qtbot.mouseClick(fold, Qt.MouseButton.LeftButton)
    assert panel.rows["data.target"].isVisible()
    panel.go_to("student")
    assert not panel.rows["student.weights"].isVisible(), "though it was changed"
    panel.search.setText("initial weights")
    assert panel.rows["student.weights"].isVisible()
    panel.search.clear()
    panel.reveal("task.classes")
    assert panel.rows["task.classes"].isVisible()


def test_rows_have_the_widget_that_fits(qtbot, panel):
    kinds = {
        "adapt.steps": QSpinBox,
        "adapt.learning_rate": QLineEdit,
        "adapt.mix": QComboBox,
        "adapt.patches": QCheckBox,
    }
    for path, kind in kinds.items():
        assert isinstance(row(panel, path).editor, kind)
    assert row(panel, "adapt.steps").editor.suffix() == " steps"
    assert row(panel, "adapt.steps").editor.minimum() == 0


def test_every_kind_writes_its_option(qtbot, session, panel):
    type_text(qtbot, row(panel, "adapt.learning_rate").editor, "3e-5")
    steps = row(panel, "adapt.steps").editor
    type_text(qtbot, steps, "17")
    box = row(panel, "adapt.patches").editor
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(7, box.height() // 2))
    mix = row(panel, "adapt.mix").editor
    mix.setCurrentText("cutmix")
    mix.textActivated.emit("cutmix")
    options = session.project.config.adapt
    assert (options.learning_rate, options.steps, options.patches, options.mix) == (3e-5, 17, False, "cutmix")
    formats = row(panel, "export.formats").editor.findChildren(QCheckBox)
    qtbot.mouseClick(formats[0], Qt.MouseButton.LeftButton, pos=QPoint(7, formats[0].height() // 2))
    assert "pth" in session.project.config.export.formats


def test_an_error_stands_beside_its_field_and_goes_away(qtbot, session, panel):
    line = row(panel, "adapt.confidence")
    type_text(qtbot, line.editor, "2")
    assert line.error.isVisible() and "from 0 to 1" in line.error.text()
    assert session.project.config.adapt.confidence == 0.968
    type_text(qtbot, line.editor, "0.5")
    assert not line.error.isVisible()
    assert session.project.config.adapt.confidence == 0.5


def test_changed_options_are_marked_and_reset(qtbot, session, panel):
    line = row(panel, "adapt.rounds")
    assert not line.reset_button.isVisible()
    session.opened.set_options({"adapt.rounds": "5"})
    assert line.editor.value() == 5
    assert line.reset_button.isVisible() and "<b" in line.label.text()
    qtbot.mouseClick(line.reset_button, Qt.MouseButton.LeftButton)
    assert session.project.config.adapt.rounds == 1
    assert not line.reset_button.isVisible()


def test_a_section_is_reset_as_a_whole(qtbot, session, panel):
    session.opened.set_options({"adapt.rounds": "5", "adapt.steps": "9", "baseline.steps": "9"})
    panel.go_to("adapt-1")
    qtbot.mouseClick(panel.reset_all, Qt.MouseButton.LeftButton)
    assert session.project.config.adapt == ProjectConfig().adapt
    assert session.project.config.baseline.steps == 9


def test_a_search_that_finds_nothing_says_so(qtbot, panel):
    qtbot.keyClicks(panel.search, "zebra")
    assert panel.nothing.isVisible()
    panel.search.clear()
    assert not panel.nothing.isVisible()


def test_what_a_project_is_made_of_is_not_reset_at_one_click(panel):
    panel.go_to("target")
    assert not panel.reset_all.isVisible()
    panel.go_to("baseline")
    assert panel.reset_all.isVisible()


def test_rows_that_change_places_leave_no_items_of_layouts_behind(panel):
    """Python kept those that the layout had destroyed; the next object in their memory ended the process."""
    panel.search.setText("rate")
    before = sum(isinstance(wrapper, QLayoutItem) for wrapper in Shiboken.getAllValidWrappers())
    for text in ("teacher", "batch", "", "rate"):
        panel.search.setText(text)
    assert sum(isinstance(wrapper, QLayoutItem) for wrapper in Shiboken.getAllValidWrappers()) <= before


def test_search_goes_through_all_sections(qtbot, panel):
    qtbot.keyClicks(panel.search, "teacher")
    shown = [path for path, row in panel.rows.items() if row.isVisible()]
    assert "adapt.ema_decay" in shown and "data.target" not in shown
    assert not panel.section.isEnabled(), "it named a section that was not shown"
    panel.search.clear()
    assert panel.section.isEnabled()
    assert row(panel, "data.tile").isVisible()


def shown_in_order(panel):
    """The options that are seen, from top to bottom."""
    rows = [row for row in panel.rows.values() if row.isVisible()]
    # Layouts that wait would still have the places of before.
    QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    panel._body.layout().activate()
    return [row.path for row in sorted(rows, key=lambda row: row.mapTo(panel._body, QPoint()).y())]


def test_options_that_are_called_so_come_before_those_that_mention_it(qtbot, panel):
    natural = {section: shown_in_order(panel) for section in ("data", "adapt") if panel.go_to(section) is None}
    for words, first in (("seed", "runtime.seed"), ("rounds", "adapt.rounds"), ("size working", "data.size")):
        panel.search.setText(words)
        qtbot.waitUntil(lambda first=first: shown_in_order(panel)[0] == first)
        titled = [set(words.split()) <= set(panel.rows[path].label.text().lower().split()) for path in
                  shown_in_order(panel) if path.partition(".")[0] == first.partition(".")[0]]  # fmt: skip
        assert titled == sorted(titled, reverse=True)
        panel.search.setFocus()
        qtbot.keyClick(panel.search, Qt.Key.Key_Return)
        assert panel.focusWidget() in panel.rows[first].stops
    panel.search.clear()
    for section, paths in natural.items():
        panel.go_to(section)
        qtbot.waitUntil(lambda paths=paths: shown_in_order(panel) == paths)


def test_the_keys_go_from_the_search_through_the_rows(qtbot, panel):
    panel.go_to("mine")
    panel.activateWindow()
    panel.search.setFocus()
    for _ in range(2):
        qtbot.keyClick(panel.focusWidget(), Qt.Key.Key_Tab)
    assert panel.focusWidget() is panel.rows["mine.rare"].editor
    qtbot.keyClicks(panel.search, "adapt.ema_decay")
    qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert panel.focusWidget() is panel.rows["adapt.ema_decay"].editor


def test_the_command_line_follows_and_is_copied(qtbot, session, panel):
    session.opened.set_options({"adapt.steps": "123"})
    assert "--set adapt.steps=123" in panel.command.text()
    panel.copy_command()
    assert QGuiApplication.clipboard().text() == panel.command.text()


def test_scrolling_over_a_field_does_not_change_it(qtbot, session, panel):
    box = row(panel, "adapt.steps").editor
    session.opened.set_options({"adapt.steps": "4000"})
    panel.search.setFocus()
    wheel = QWheelEvent(
        QPointF(5, 5), QPointF(box.mapToGlobal(QPoint(5, 5))), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(box, wheel)
    assert box.value() == 4000


def test_a_number_being_typed_is_left_alone(qtbot, session, panel):
    line = row(panel, "adapt.learning_rate").editor
    line.setFocus()
    line.selectAll()
    qtbot.keyClicks(line, "1e-")
    session.opened.set_options({"adapt.steps": "5"})
    assert line.text() == "1e-"
