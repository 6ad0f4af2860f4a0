"""A kill while a report is written leaves the earlier page as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crots.report.page import MARK
from crots.report.write import write_report
from tests.studio.fake_project import make_fake_project

# Kills itself when half of the page is written, or just before the page takes the place of the earlier one.
KILLED = """
import os, signal, sys
from pathlib import Path
from crots.project import Project
from crots.report.write import ReportJob, report_events
from crots.execution.context import Context
from crots.execution.control import Control

when, folder = sys.argv[1:]
written, replaced = Path.write_text, Path.replace

def write(self, text, **options):
    if self.suffix == ".html":
        written(self, text[: len(text) // 2], **options)
        os.kill(os.getpid(), signal.SIGKILL)
    return written(self, text, **options)

def replace(self, target):
    if Path(target).suffix == ".html":
        os.kill(os.getpid(), signal.SIGKILL)
    return replaced(self, target)

if when == "write":
    Path.write_text = write
else:
    Path.replace = replace
list(report_events(ReportJob(Project.open(Path(folder)), images=0), Context("report", Control())))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("when", ["write", "replace"])
@pytest.mark.parametrize("there", [True, False])
def test_a_kill_leaves_the_earlier_page_or_none(tmp_path, when, there):
    project = make_fake_project(tmp_path, until="baseline")
    page = project.folder / "report.html"
    if there:
        page.write_text(f"{MARK} an earlier page", encoding="utf-8")
    words = [sys.executable, "-c", KILLED, when, str(project.folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == -9, ran.stderr
    assert page.read_text(encoding="utf-8") == f"{MARK} an earlier page" if there else not page.exists()
    assert write_report(project).read_text(encoding="utf-8").endswith("</html>\n")
