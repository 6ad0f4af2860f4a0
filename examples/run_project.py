"""Run a project from Python and follow its events.

First ``crots demo --tiny crots-demo``, then ``python examples/run_project.py crots-demo my-project``. The demonstration
gives the source model and the images; yours go into the same places of `build_config`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from crots.artefacts import STUDENT
from crots.events import Evaluated, Event, Metrics, Note, StageFinished, StageStarted
from crots.project import Project
from crots.project_config import build_config
from crots.runner import run_project


def make_project(demo: Path, folder: Path) -> Project:
    """Makes a project, as ``crots init`` does; options that are not named keep their defaults."""
    data = demo.resolve() / "data"
    few = {"steps": 4, "batch": 2, "log_every": 2}
    config = build_config(
        {
            "data": {
                "target": str(data / "target" / "images"),
                # Only to be scored: nothing is trained on or chosen by these labels.
                "val_images": str(data / "validation" / "images"),
                "val_labels": str(data / "validation" / "labels"),
                "size": "64x32",
            },
            "task": {"classes": "demo"},
            "source": {"file": str(demo.resolve() / "source" / STUDENT), "net": "compact"},
            "baseline": few,
            "adapt": {**few, "rounds": 1},
            "export": {"formats": "safetensors"},
        }
    )
    return Project.create(folder, config)


def described(event: Event) -> str:
    """Returns one line about an event; empty for those that would only fill the screen."""
    match event:
        case StageStarted(stage=stage, total=total, unit=unit):
            return f"{stage}: {total} {unit}"
        case Metrics(step=step, values=values):
            return f"  step {step}: " + ", ".join(f"{name} {value:.3g}" for name, value in values.items())
        case Evaluated(stage="evaluate", subject=subject, miou=miou):
            return f"  {subject}: {miou:.1%} mIoU"
        case Note(level="warning", text=text):
            return f"  note: {text}"
        case StageFinished(outcome=outcome, seconds=seconds, message=message):
            return f"  {outcome} after {seconds:.1f} s {message}".rstrip()
    return ""


def main() -> int:
    """Runs what is not done yet: a second call goes on after a stop, and finds nothing to do after the end.

    Returns:
        What the process ends with: 0, or what the stage that failed or was stopped says.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of a finished crots demo")
    parser.add_argument("project", type=Path, help="folder of the project to make, or to go on with")
    args = parser.parse_args()
    there = (args.project / "crots.toml").exists()
    project = Project.open(args.project) if there else make_project(args.demo, args.project)
    for event in run_project(project):
        if line := described(event):
            print(line)
        # Every stage ends with such an event, whatever happened in it.
        if isinstance(event, StageFinished) and event.exit_code:
            return event.exit_code
    print("the adapted model:", project.stage_folder("export") / "adapted.safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
