"""The Tab key goes through the window as the eye does."""

import itertools

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from crots_studio.workspace import _RAIL_WIDTH
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def opened(qtbot, session, window, open_project, tmp_path):
    open_project(make_fake_project(tmp_path).folder)
    qtbot.waitUntil(lambda: session.errands.idle and not session.opened.looking)
    window.activateWindow()
    return window


def stops(qtbot, window):
    """What the Tab key comes to, beginning in the run bar, until it comes round."""
    first = window.run_bar.device
    first.setFocus()
    found = [first]
    for _ in range(300):
        qtbot.keyClick(found[-1], Qt.Key.Key_Tab)
        stop = QApplication.focusWidget()
        if stop is first:
            return found
        # A label goes through its links first.
        found += [stop] if stop is not found[-1] else []
    raise AssertionError(f"it does not come round: it is at {found[-1]}")


@pytest.mark.parametrize("key", ["setup", "preview", "pseudo_labels", "patches", "monitor", "before_after", "compare"])
def test_from_the_run_bar_over_the_page_to_the_log(qtbot, opened, key):
    """The log, at the bottom of the window, came before the page above it."""
    opened.pages.show_tab(key)
    page = opened.workspace
    parts = [page.rail, page.tabs.tabBar(), page.settings_button, page.panels[key], page.settings_panel, page.log_panel]
    found = [next((n for n, part in enumerate(parts) if part is stop or part.isAncestorOf(stop)), None)
             for stop in stops(qtbot, opened)]  # fmt: skip
    met = [place for place, _ in itertools.groupby(place for place in found if place is not None)]
    assert met == sorted(met) and {0, 1, 3, 5} <= set(met)


def places(qtbot, window, panel, *widgets):
    order = [stop for stop in stops(qtbot, window) if panel.isAncestorOf(stop)]
    return [order.index(widget) for widget in widgets]


def test_what_stands_above_a_list_comes_before_it(qtbot, session, opened):
    opened.pages.show_tab("before_after")
    panel = opened.panels["before_after"]
    qtbot.waitUntil(lambda: len(panel.area.views.views) > 1)
    views = [view for view in panel.area.views.views if view.isVisible()]
    found = places(qtbot, opened, panel, panel.which, panel.images.search, *views)
    assert found == sorted(found) and found[0] == 0
    opened.pages.show_tab("pseudo_labels")
    panel = opened.panels["pseudo_labels"]
    qtbot.waitUntil(lambda: session.errands.idle and panel.suspect_button.isEnabled())
    assert places(qtbot, opened, panel, panel.suspect_button, panel.tool_button, panel.images.search) == [0, 1, 2]


def test_pictures_of_the_source_come_after_the_size_that_stands_above_them(qtbot, session, opened):
    opened.pages.show_tab("setup")
    panel = opened.panels["setup"]
    qtbot.waitUntil(lambda: session.errands.idle and len(panel.glance.buttons) > 1)
    found = places(qtbot, opened, panel, panel.size_line, *panel.glance.buttons)
    assert found == list(range(found[0], found[0] + len(found)))


def test_the_rail_has_its_width_though_the_settings_were_put_last(window):
    window.resize(1280, 720)
    assert window.workspace.rail.width() == window.workspace.columns.sizes()[0] >= _RAIL_WIDTH
