"""A project whose file another window or an editor changes: nothing is lost, and what conflicts is asked."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtWidgets import QMessageBox

from crots.project import CONFIG_NAME, Project
from crots.project_config import ProjectConfig, override
from crots_studio.dialogs.conflict import ConflictQuestion
from crots_studio.models.project_changes import difference, merge, with_values


def change(folder, **options):
    """As another window does."""
    project = Project.open(folder)
    project.config = override(project.config, {name.replace("__", "."): value for name, value in options.items()})
    project.save()


def on_disk(folder):
    return Project.open(folder).config


def test_a_change_elsewhere_is_not_written_over(qtbot, session, open_project, folder):
    open_project(folder)
    change(folder, adapt__steps=77)
    session.opened.set_options({"baseline.steps": "55"})
    qtbot.waitUntil(lambda: on_disk(folder).baseline.steps == 55, timeout=10_000)
    assert on_disk(folder).adapt.steps == 77
    assert session.project.config.adapt.steps == 77


def test_a_change_elsewhere_is_seen_and_reported(qtbot, session, open_project, folder):
    open_project(folder)
    change(folder, adapt__steps=77)
    with qtbot.waitSignal(session.notice) as notice:
        session.opened.look_at_file()
    assert "Steps (Adaptation)" in notice.args[0]
    qtbot.waitUntil(lambda: session.project.config.adapt.steps == 77)


def test_the_file_is_checked_again_and_again(qtbot, session, open_project, folder):
    open_project(folder)
    session.run.look_timer.setInterval(20)
    for steps in (77, 78):
        change(folder, adapt__steps=steps)
        qtbot.waitUntil(lambda steps=steps: session.project.config.adapt.steps == steps, timeout=10_000)


@pytest.mark.parametrize(("mine", "steps"), [(True, 55), (False, 77)])
def test_a_conflict_is_asked_and_nothing_is_written_before(qtbot, session, window, open_project, folder, mine, steps):
    open_project(folder)
    change(folder, adapt__steps=77, adapt__rounds=5)
    session.opened.set_options({"adapt.steps": "55"})
    qtbot.waitUntil(lambda: window.findChild(QMessageBox) is not None, timeout=10_000)
    question = window.findChild(ConflictQuestion)
    assert "here 55" in question.informativeText() and "in the file 77" in question.informativeText()
    session.opened.set_options({"baseline.steps": "33"})
    qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
    assert on_disk(folder).adapt.steps == 77 and on_disk(folder).baseline.steps != 33
    (question.mine if mine else question.theirs).click()
    qtbot.waitUntil(lambda: on_disk(folder).baseline.steps == 33, timeout=10_000)
    for config in (on_disk(folder), session.project.config):
        assert (config.adapt.steps, config.adapt.rounds) == (steps, 5)


def test_two_windows_take_each_other_s_changes(qtbot, session, open_project, folder, settings_file):
    from crots_studio.session import Session
    from crots_studio.settings import Settings

    open_project(folder)
    other = Session(Settings(settings_file))
    try:
        with qtbot.waitSignal(other.opened.project_changed):
            other.opened.open_project(folder)
        session.opened.set_options({"adapt.steps": "77"})
        qtbot.waitUntil(lambda: on_disk(folder).adapt.steps == 77)
        other.opened.set_options({"baseline.steps": "55"})
        qtbot.waitUntil(lambda: on_disk(folder).baseline.steps == 55, timeout=10_000)
        session.opened.look_at_file()
        qtbot.waitUntil(lambda: session.project.config.baseline.steps == 55, timeout=10_000)
        assert on_disk(folder).adapt.steps == 77 and other.project.config.adapt.steps == 77
    finally:
        other.close()


def test_a_file_that_cannot_be_read_is_reported_once_and_what_is_here_is_written_later(
    qtbot, session, open_project, folder
):
    open_project(folder)
    path, problems = folder / CONFIG_NAME, []
    good = path.read_text()
    session.problem.connect(problems.append)
    path.write_text("format = 1\n[adapt\n")
    session.opened.set_options({"adapt.steps": "55"})
    qtbot.waitUntil(lambda: bool(problems))
    assert CONFIG_NAME in problems[0] and "options are kept here" in problems[0]
    assert path.read_text() == "format = 1\n[adapt\n"
    for _ in range(3):
        session.opened.look_at_file()
        qtbot.waitUntil(lambda: session.errands.idle, timeout=30_000)
        qtbot.wait(20)
    assert len(problems) <= 2
    path.write_text(good)
    session.opened.look_at_file()
    qtbot.waitUntil(lambda: on_disk(folder).adapt.steps == 55, timeout=10_000)


def test_a_file_that_was_deleted_is_written_again(qtbot, session, open_project, folder):
    open_project(folder)
    (folder / CONFIG_NAME).unlink()
    session.opened.set_options({"adapt.steps": "55"})
    qtbot.waitUntil(lambda: (folder / CONFIG_NAME).exists() and on_disk(folder).adapt.steps == 55)


NAMES = ("adapt.steps", "adapt.rounds", "baseline.steps")
CONFIGS = st.fixed_dictionaries({name: st.integers(1, 3) for name in NAMES}).map(
    lambda values: with_values(ProjectConfig(), values)
)


def value(config, name):
    section, _, option = name.partition(".")
    return getattr(getattr(config, section), option)


@given(CONFIGS, CONFIGS, CONFIGS)
def test_a_merge_has_both_changes_and_names_every_conflict(base, mine, theirs):
    merged = merge(base, mine, theirs)
    conflicts = {conflict.path for conflict in merged.conflicts}
    for name in NAMES:
        old, here, there, now = (value(config, name) for config in (base, mine, theirs, merged.config))
        assert (name in conflicts) == (old != here and old != there and here != there)
        assert now == (here if name in conflicts or there == old else there)
    assert not merge(base, mine, mine).conflicts and merge(base, base, theirs).config == theirs


@given(CONFIGS, CONFIGS)
def test_a_difference_leads_from_one_to_the_other_and_back(before, after):
    old, new = difference(before, after)
    assert with_values(before, new) == after and with_values(after, old) == before
    assert dataclasses.replace(before) == before
