"""Measures rules that choose a checkpoint without labels, on finished runs whose evaluations were scored by labels too.

Give project folders (or any folders with ``choice.json`` below them) of runs with validation labels. For every run and
rule it prints the regret: mIoU of the best evaluation minus mIoU of the rule's, in points. Labels judge the rules here
and nowhere else; a rule that is to be reported on must have been chosen on other runs. The last line is of what was
kept: the evaluation of the rule that the run had, averaged with the start where its options say so (then it can be
below zero).

    python tools/measure_choice.py project-a project-b
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from crots.artefacts import CHOICE
from crots.methods.alarms import healthy, judge
from crots.methods.scores import SCORES

Looks = Sequence[Mapping[str, Any]]
Rule = Callable[[Looks], float]


@dataclass(frozen=True)
class FinishedStage:
    """The evaluations of a finished stage, and the mIoU of what it kept."""

    looks: Looks
    kept: float


def runs_below(folder: Path) -> dict[str, FinishedStage]:
    """Returns every run below a folder with two evaluations or more that labels scored."""
    found: dict[str, FinishedStage] = {}
    for path in sorted(folder.rglob(CHOICE)):
        choice = json.loads(path.read_text(encoding="utf-8"))
        looks = [look for look in choice["looks"] if look["miou"] is not None]
        if len(looks) > 1 and choice["oracle"]:
            found[str(path.parent)] = FinishedStage(looks, float(choice["oracle"]["miou"]))
    return found


def greatest(figure: Callable[[Mapping[str, float], Mapping[str, float]], float]) -> Rule:
    """The evaluation with the greatest figure of its scores and the start's, the first of equal ones."""
    return lambda looks: float(max(looks, key=lambda look: figure(look["values"], looks[0]["values"]))["miou"])


def label_free(looks: Looks) -> float:
    """What a stage keeps: the last healthy evaluation, up to a serious alarm."""
    kept = looks[0]
    for number in range(len(looks)):
        alarms = judge([look["values"] for look in looks[: number + 1]], {}, trained=True)
        if any(alarm.serious for alarm in alarms):
            break
        kept = looks[number] if healthy(alarms) else kept
    return float(kept["miou"])


def rules() -> dict[str, Rule]:
    """Rules by name; the last one is this project's."""
    found: dict[str, Rule] = {
        "start": lambda looks: float(looks[0]["miou"]),
        "last": lambda looks: float(looks[-1]["miou"]),
        "random": lambda looks: mean(float(look["miou"]) for look in looks),
    }
    for name in SCORES:
        found[name] = greatest(lambda values, _start, name=name: values.get(name, 0.0))  # type: ignore[misc]
    found["label-free"] = label_free
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Regret of label-free choices on finished runs.")
    parser.add_argument("folders", type=Path, nargs="+", help="projects, or folders with several")
    args = parser.parse_args()
    runs = {name: run for folder in args.folders for name, run in runs_below(folder).items()}
    if not runs:
        raise SystemExit("no run with validation figures there; give --val-images and --val-labels to the projects")
    for number, (name, run) in enumerate(runs.items(), 1):
        scores = " ".join(f"{100 * look['miou']:.1f}" for look in run.looks)
        print(f"run {number}: {name}: mIoU at each look {scores}; kept {100 * run.kept:.1f}")
    print(f"\n{'rule':22} {'mean':>6} {'worst':>6}   regret of each run, points of mIoU")
    scores_of = {rule: [choose(run.looks) for run in runs.values()] for rule, choose in rules().items()}
    scores_of["kept"] = [run.kept for run in runs.values()]
    best = [max(float(look["miou"]) for look in run.looks) for run in runs.values()]
    for rule, found in scores_of.items():
        regrets = [100 * (top - score) for top, score in zip(best, found, strict=True)]
        print(f"{rule:22} {mean(regrets):6.2f} {max(regrets):6.2f}   " + " ".join(f"{value:5.1f}" for value in regrets))


if __name__ == "__main__":
    main()
