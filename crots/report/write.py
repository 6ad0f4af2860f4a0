"""Makes a project's report: facts, predictions of the adapted model on some images, the page."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crots.errors import InputError
from crots.events import ArtifactWritten, Event, Note, StageStarted, Unit
from crots.execution.context import Context, Meter
from crots.execution.control import Control
from crots.files import write_text
from crots.ownership import link_status
from crots.project import Project
from crots.report.changes import STAGE, Comparison
from crots.report.collect import collect_facts
from crots.report.facts import IMAGES, Facts
from crots.report.page import MARK, render_page
from crots.report.places import without_places

NAME = "report.html"
# No file of a project ends so.
_PAGES = (".html", ".htm")


@dataclass
class ReportJob:
    """One report.

    Attributes:
        project: what it is about.
        out: the page; None is ``report.html`` in the project.
        images: target images to run the adapted model on; 0 runs it on none.
        overwrite: replace a file that is no report.
        facts: its content, once it is written.
    """

    project: Project
    out: Path | None = None
    images: int = IMAGES
    overwrite: bool = False
    facts: Facts | None = field(default=None, init=False)

    @property
    def path(self) -> Path:
        """The page."""
        return self.out or self.project.folder / NAME


def report_events(job: ReportJob, context: Context) -> Iterator[Event]:
    """Writes the page.

    Raises:
        InputError: nothing has run in the project.
    """
    check_page(job)
    if not replaceable(job.path) and not job.overwrite:
        raise InputError(
            f"{job.path}: exists and is not a report of CROTS; move it away, or choose another name with --out"
        )
    facts = collect_facts(job.project)
    compare = job.images > 0 and bool(facts.result.key)
    # Without a student there is the page alone.
    total = min(job.images, facts.target.images) if compare else 1
    unit: Unit = "images" if compare else "files"
    yield StageStarted(stage=context.stage, total=total, unit=unit, device=_device(job) if compare else "cpu")
    if compare:
        comparison, meter = Comparison(job.project, job.images), Meter(context.stage, total)
        try:
            for done in comparison.run(context):
                yield from meter.tick(done)
            facts = dataclasses.replace(facts, changes=comparison.found)
        except InputError as error:
            gap = f"the adapted model was not run, so that pictures are left out: {error}"
            facts = dataclasses.replace(facts, gaps=(*facts.gaps, gap))
    for gap in facts.gaps:
        yield Note(stage=context.stage, text=gap, level="warning")
    write_text(job.path, render_page(without_places(facts, job.project)))
    job.facts = facts
    yield ArtifactWritten(stage=context.stage, kind=STAGE, path=str(job.path))


def check_page(job: ReportJob) -> None:
    """Makes sure that the page takes the place of no file that a project has, which a report reads.

    Raises:
        InputError: it would.
    """
    place = Path(os.path.realpath(job.path.parent)) / job.path.name
    if place.is_relative_to(job.project.folder) and place.suffix.lower() not in _PAGES:
        raise InputError(
            f"{job.path}: lies in the project, whose files a report does not replace; choose a name that ends in "
            ".html, or another folder",
            field="out",
        )


def replaceable(path: Path) -> bool:
    """Whether a report may be written to ``path``: nothing is there, or an earlier report."""
    status = link_status(path)
    if status is None:
        return True
    if not stat.S_ISREG(status.st_mode):
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK.encode()
    except OSError:
        return False


def write_report(project: Project) -> Path:
    """Writes the page of a project where it belongs, and returns its path.

    Raises:
        CrotsError: nothing has run in the project, or the page cannot be written.
    """
    job = ReportJob(project)
    for _ in report_events(job, Context(STAGE, Control())):
        pass
    return job.path


def _device(job: ReportJob) -> str:
    """The device of the adapted model, for people."""
    # torch is loaded only now.
    from crots.execution.engine import Engine

    return Engine(job.project.config.runtime).name
