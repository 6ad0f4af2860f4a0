"""Titles and notes of projects and runs: kept as data, found again by stage, shown by status and report."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.cli.main import main
from crots.errors import CrotsError, InputError
from crots.eventlog import EventLog
from crots.events import StageStarted
from crots.notes import (
    LONGEST_TITLE,
    Notes,
    RunNote,
    latest_runs,
    notes_path,
    read_notes,
    run_key,
    stage_notes,
    tidy,
    write_note,
)
from crots.project import Project
from crots.project_config import ProjectConfig
from crots.project_status import statuses


@pytest.fixture
def project(tmp_path):
    project = Project.create(tmp_path / "city", ProjectConfig())
    log = EventLog(project.events_path)
    for time, resumed in ((100.0, 0), (200.0, 0), (300.0, 4)):
        log.append(StageStarted(stage="baseline", total=10, unit="steps", time=time, resumed_at=resumed))
    log.append(StageStarted(stage="mine", total=10, unit="images", time=400.0))
    return project


def test_each_run_has_its_own_and_an_empty_one_is_none(project):
    assert read_notes(project.folder) == Notes()
    write_note(project.folder, "", RunNote("city at night", "two lines\nof text"))
    write_note(project.folder, run_key("baseline", 100.0), RunNote("first", ""))
    write_note(project.folder, run_key("baseline", 200.0), RunNote("", "batch 4"))
    notes = read_notes(project.folder)
    assert notes.project == RunNote("city at night", "two lines\nof text")
    assert latest_runs(project.events_path) == {"baseline": "baseline@200.000"}, "a resumed run is the same run"
    assert stage_notes(project.folder, project.events_path) == {"baseline": RunNote("", "batch 4")}
    write_note(project.folder, run_key("baseline", 200.0), RunNote())
    assert list(read_notes(project.folder).runs) == ["baseline@100.000"]


@given(st.text(), st.text())
def test_whatever_is_typed_can_be_read_again(tmp_path_factory, title, note):
    folder = tmp_path_factory.mktemp("project")
    found = tidy(title, note)
    write_note(folder, "baseline@1.000", found)
    assert read_notes(folder).of("baseline@1.000") == found
    assert "\n" not in found.line and len(found.title) <= LONGEST_TITLE


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"project": 3, "runs": {}}', '{"project": {"title": "a\\nb", "note": ""}, "runs": {}}']
)
def test_a_damaged_file_is_reported_and_kept(project, text):
    path = notes_path(project.folder)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(InputError, match=r"notes\.json"):
        read_notes(project.folder)
    with pytest.raises(CrotsError):
        write_note(project.folder, "", RunNote("x"))
    assert path.read_text() == text
    assert main(["status", str(project.folder)]) == 2


def test_no_link_is_followed(project, tmp_path):
    other = tmp_path / "other.json"
    notes_path(project.folder).parent.mkdir(exist_ok=True)
    notes_path(project.folder).symlink_to(other)
    with pytest.raises(CrotsError):
        write_note(project.folder, "", RunNote("x"))
    assert not other.exists()


def test_status_shows_them(project, capsys):
    assert main(["status", str(project.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == ""
    write_note(project.folder, "", RunNote("city at night", "balance as\nin the paper"))
    write_note(project.folder, run_key("baseline", 200.0), RunNote("long", "worse on\npoles"))
    assert main(["status", str(project.folder)]) == 0
    out = capsys.readouterr().out
    assert "city at night" in out and "in the paper" in out and "baseline: long: worse on poles" in out
    assert main(["status", str(project.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["title"], found["note"]) == ("city at night", "balance as\nin the paper")
    stage = next(row for row in found["stages"] if row["stage"] == "baseline")
    assert (stage["title"], stage["note"]) == ("long", "worse on\npoles")


def test_they_change_no_state_of_a_stage(project):
    before = statuses(project)
    write_note(project.folder, "", RunNote("x", "y"))
    assert statuses(project) == before
