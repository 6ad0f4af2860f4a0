"""``crots status``; imports neither torch nor numpy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from crots.artefacts import is_round
from crots.cli.command import Command, Parser
from crots.cli.draw import show_table
from crots.cli.flags import add_debug, add_json
from crots.cli.tables import Table, duration, percent
from crots.cli.terminal import say, say_json
from crots.config import Profile
from crots.notes import RunNote, read_notes, stage_notes
from crots.project import Project
from crots.project_status import StageStatus
from crots.records import read_as
from crots.report.results import SOURCE, is_evaluated
from crots.student_start import foreseen


class _MiouShape(TypedDict):
    """The fields of a model's scores that are read."""

    miou: float | None
    oracle: NotRequired[bool]


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder made by crots init")
    group = parser.add_argument_group("run")
    add_json(group)
    add_debug(group)


def run(args: argparse.Namespace) -> int:
    """Shows the stages."""
    project = Project.open(args.project)
    rows = [row(project, status) for status in foreseen(project)]
    own, noted = read_notes(project.folder).project, stage_notes(project.folder, project.events_path)
    if args.json:
        for found in rows:
            note = noted.get(found["stage"], RunNote())
            found |= {"title": note.title, "note": note.note}
        config = project.config
        head = {"project": str(project.folder), "profile": config.profile, "preset": config.preset}
        head |= {"title": own.title, "note": own.note}
        say_json({**head, "stages": rows})
        return 0
    say(f"{project.folder} (profile {project.config.profile})")
    for line in filter(None, (own.title, *own.note.splitlines())):
        say(line)
    show_table(Table(("stage", "state", "time", "mIoU (%)", "reason"), tuple(map(_cells, rows)), (0, 1, 4)), sys.stdout)
    for stage, note in noted.items():
        say(f"{stage}: {note.line}")
    return 0


def row(project: Project, status: StageStatus) -> dict[str, Any]:
    """Returns the state of a stage as plain data."""
    report = _report(project, status.key)
    return {
        "stage": status.key,
        "state": status.state,
        "reason": status.reason,
        "kept": status.kept,
        "problem": status.problem,
        "result": status.result,
        "seconds": status.took,
        "miou": report.get("miou", status.miou),
        "oracle": bool(report.get("oracle")) or _chosen_by_labels(project, status.key),
        "done": status.done,
        "total": status.total,
    }


def _report(project: Project, key: str) -> dict[str, Any]:
    """The score of a stage's model in the final evaluation, which takes precedence over validation during training.

    Not where the model was trained again since.
    """
    subject = SOURCE if key == "pseudo-label" else key
    if project.record("evaluate") is None or not (subject == SOURCE or is_evaluated(project, subject)):
        return {}
    path = project.stage_folder("evaluate") / f"{subject}.json"
    return cast(dict[str, Any], read_as(path, _MiouShape, remedy="delete it and run the evaluation again") or {})


def _chosen_by_labels(project: Project, key: str) -> bool:
    """Whether target labels choose the checkpoint of a round, which later rounds and the export build on."""
    config = project.config
    chosen = config.adapt.select == "oracle" and config.data.val_images is not None
    return chosen and (is_round(key) or key == "export")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    reason = row["reason"]
    if row["total"] and row["state"] in ("interrupted", "failed", "running"):
        reason = f"{row['done']} of {row['total']} done" + (f"; {reason}" if reason else "")
    earlier = "its earlier result is kept" if row["state"] == "failed" and row["result"] else ""
    reason = "; ".join(filter(None, (reason, earlier, row["kept"])))
    oracle = " oracle" if row["oracle"] else ""
    score = "" if row["miou"] is None else percent(row["miou"])
    return row["stage"], row["state"], duration(row["seconds"]), (score + oracle).strip(), reason


COMMAND = Command(
    name="status",
    about="Shows which stages of a project are done, stale (with what changed), interrupted, failed, ready, waiting or "
    "not needed, how long they took, their scores and which checkpoint a training stage kept.\n"
    "'oracle' marks models whose checkpoint was chosen by target labels.",
    example="crots status city\ncrots status city --json",
    configure=configure,
    run=run,
)
