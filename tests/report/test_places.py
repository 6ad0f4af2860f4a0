"""A report that is sent to others names no folder of the computer that it was made on."""

import dataclasses
import re
from pathlib import Path

import pytest

from crots.events import Remark
from crots.notes import RunNote
from crots.project import Project
from crots.project_config import override
from crots.report.collect import collect_facts
from crots.report.page import render_page
from crots.report.places import without_places
from crots.report.write import write_report
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path / "private" / "city", until="baseline")


def test_a_page_says_nothing_of_the_computer(project, tmp_path):
    elsewhere = tmp_path / "private" / "cameras" / "june" / "images"
    absolute = {"data.target": str(elsewhere), "data.val_images": str(project.folder / "val" / "images")}
    project = Project(project.folder, override(project.config, absolute))
    page = write_report(project).read_text(encoding="utf-8")
    assert [page[at.start() - 80 : at.end() + 40] for at in re.finditer("private", page)] == []
    assert str(tmp_path) not in page
    assert ".../june/images: no such file or folder" in page
    assert "val/images" in page and ".../val/images" not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{project}/adapt-1/student.safetensors", "adapt-1/student.safetensors"),
        ("{project}", "project"),
        ("see {project}/patches, {project}.", "see patches, project."),
        ("{project}-2/x", ".../project-2/x"),
        ("data{project}/x", "data{project}/x"),
        ("/mnt/disks/first/a.png: damaged", ".../first/a.png: damaged"),
        ("https://a.org/b/c/d or b/c/d/e", "https://a.org/b/c/d or b/c/d/e"),
        ("{home}/models/a.pth", "~/models/a.pth"),
        ("{home}less/a.pth", ".../evaless/a.pth"),
    ],
)
def test_what_only_begins_or_ends_like_a_path_is_left(project, text, shown, monkeypatch):
    monkeypatch.setattr(Path, "home", staticmethod(lambda: Path("/people/eva")))
    written, expected = (one.format(project=project.folder, home="/people/eva") for one in (text, shown))
    facts = dataclasses.replace(collect_facts(project), gaps=(written,), note=RunNote("own", written))
    found = without_places(facts, project)
    assert found.gaps == (expected,) and found.note.note == written, "what people wrote stays"
    assert render_page(found)


def test_remarks_and_curves_keep_their_kinds(project):
    facts = collect_facts(project)
    found = without_places(facts, project)
    assert [stage.key for stage in found.stages] == [stage.key for stage in facts.stages]
    assert all(isinstance(remark, Remark) for stage in found.stages for remark in stage.remarks)
    assert found.curves == facts.curves and found.result == facts.result
