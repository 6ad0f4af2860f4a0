"""Adapt a network of your own, and read its label-free scores during training.

First ``crots demo --tiny crots-demo``, then ``python examples/own_net.py crots-demo own-net``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from torch import Tensor, nn

from crots.artefacts import STUDENT
from crots.events import Event, Scored, StageFinished
from crots.nets.info import Family, NetInfo
from crots.nets.registry import FAMILIES
from crots.project import Project
from crots.project_config import build_config
from crots.runner import run_project

NAME = "three-layers"


class ThreeLayers(nn.Module):
    """Any module will do that maps normalised images (N, 3, H, W) to logits (N, classes, h, w), of whatever stride."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        )  # fmt: skip
        self.classify = nn.Conv2d(32, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits at half of the images' resolution; whoever reads them up-samples."""
        logits: Tensor = self.classify(self.features(images))
        return logits


def register() -> None:
    """Adds the network to the table of networks of this process; from then on its name stands in any project."""
    FAMILIES[NAME] = Family(
        names=(NAME,),
        build=lambda _name, classes: ThreeLayers(classes),
        # Both sides of its input must be even.
        info=lambda name: NetInfo(name, family="own", multiple=2),
    )


def make_project(demo: Path, folder: Path) -> Project:
    """Makes a project whose source is the demonstration's and whose student is the network above."""
    few = {"steps": 8, "batch": 2, "validate_every": 2, "learning_rate": 1e-3}
    config = build_config(
        {
            "data": {"target": str(demo.resolve() / "data" / "target" / "images"), "size": "64x32"},
            "task": {"classes": "demo"},
            "source": {"file": str(demo.resolve() / "source" / STUDENT), "net": "compact"},
            # Weights of another network do not fit it; a file of its own could stand here.
            "student": {"net": NAME, "weights": "random"},
            "baseline": few,
            "adapt": {**few, "rounds": 1},
        }
    )
    return Project.create(folder, config)


def looks(events: list[Event], stage: str) -> dict[int, dict[str, float]]:
    """Returns the label-free scores of a stage by optimiser step; the greater, the better."""
    return {event.step: event.values for event in events if isinstance(event, Scored) and event.stage == stage}


def main() -> int:
    """Adapts, prints the scores after every second step, and which step was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of a finished crots demo")
    parser.add_argument("project", type=Path, help="folder of the project to make")
    args = parser.parse_args()
    register()
    project = make_project(args.demo, args.project)
    events = list(run_project(project, until="adapt"))
    for stage in ("baseline", *project.round_keys()):
        for step, values in looks(events, stage).items():
            print(f"{stage} {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in values.items()))
        if choice := project.choice(stage):
            print(f"{stage} keeps step {choice['kept']} of {choice['of']}")
    end = events[-1]
    assert isinstance(end, StageFinished)
    print(end.outcome, end.message)
    return end.exit_code


if __name__ == "__main__":
    sys.exit(main())
