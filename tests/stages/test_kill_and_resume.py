"""A project that is killed again and again ends with the very weights of one that never was."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crots.artefacts import STUDENT, TEACHER
from crots.eventlog import read_events
from crots.events import Metrics, Scored, StageFinished
from crots.project import Project
from crots.project_status import statuses
from tests.stages import tiny_world as world

ROOT = Path(__file__).parents[2]
KILLS = 20
STAGES = ("baseline", "adapt-1", "adapt-2")
FILES = [f"{stage}/{name}" for stage in STAGES for name in (STUDENT, TEACHER) if (stage, name) != (STAGES[0], TEACHER)]
# Inside the writing of checkpoints and models, between two stages and two rounds, and while the stream is cut back.
TRAPS = [
    ["replace", "*/unfinished/pseudo-label/label_ids/*.png", 3, "before"],
    ["replace", "*/unfinished/pseudo-label/images.jsonl", 1, "before"],
    ["replace", "*/project/pseudo-labels/label_ids/*.png", 2, "after"],
    ["replace", "*/records/pseudo-label.json", 1, "before"],
    ["replace", "*/records/baseline.started.json", 1, "after"],
    ["write", "*/baseline/*", 1],
    ["write", "*/baseline/*", 2],
    ["replace", "*/baseline/checkpoint.pt", 1, "before"],
    ["replace", "*/events.jsonl", 1, "before"],
    ["replace", "*/events.jsonl", 1, "after"],
    ["replace", "*/baseline/checkpoint.pt", 1, "after"],
    ["replace", "*/baseline/student.safetensors", 1, "before"],
    ["replace", "*/records/baseline.publishing.json", 1, "before"],
    ["replace", "*/records/baseline.publishing.json", 1, "after"],
    ["replace", "*/records/baseline.json", 1, "before"],
    ["replace", "*/records/baseline.json", 1, "after"],
    ["replace", "*/unfinished/mine/labels/*.png", 1, "before"],
    ["replace", "*/adapt-1/best.pt", 1, "after"],
    ["write", "*/adapt-1/*", 3],
    ["replace", "*/adapt-1/best.pt", 2, "before"],
    ["replace", "*/adapt-1/teacher.safetensors", 1, "after"],
    ["replace", "*/records/adapt-1.json", 1, "before"],
    ["replace", "*/records/adapt-1.json", 1, "after"],
    ["replace", "*/records/adapt-2.started.json", 1, "before"],
    ["replace", "*/records/adapt-2.started.json", 1, "after"],
    ["write", "*/adapt-2/*", 2],
    ["replace", "*/adapt-2/checkpoint.pt", 2, "after"],
    ["replace", "*/export/*", 1, "before"],
]


class Children:
    """Runs of a project in processes of their own."""

    def __init__(self):
        quiet = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.stages.run_children"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet, cwd=ROOT,
        )  # fmt: skip

    def start(self, project, die=None):
        self._server.stdin.write(json.dumps({"project": str(project.folder), "die": die}) + "\n")
        self._server.stdin.flush()
        return int(self._answer("started"))

    def wait(self):
        """Exit status of the run; -9 of a killed one."""
        return int(self._answer("ended"))

    def _answer(self, word):
        line = self._server.stdout.readline().split()
        assert line and line[0] == word, line
        return line[1]

    def close(self):
        self._server.stdin.close()
        self._server.wait(300)
        self._server.stdout.close()


@pytest.fixture(scope="module")
def children():
    found = Children()
    yield found
    found.close()


def make(folder):
    training = {"steps": 12, "checkpoint_every": 3}
    return world.white_box(
        folder, baseline=training, adapt={**training, "select": "label-free", "batch_norm": "separate"}
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory, children):
    """The project that is never interrupted."""
    project = make(tmp_path_factory.mktemp("whole"))
    children.start(project)
    assert children.wait() == 0
    return project


def assert_same(project, whole):
    for name in FILES:
        assert world.weights_of(project.folder / name) == world.weights_of(whole.folder / name), name
    for kind in (Metrics, Scored):
        found, expected = (
            [world.without_times(event) for event in world.of(read_events(each.events_path), kind)]
            for each in (project, whole)
        )
        # Each step once, in order, with the same figures to the last digit.
        assert found == expected, kind
    ends = world.of(read_events(project.events_path), StageFinished)
    assert [event.stage for event in ends] == list(project.stage_keys())
    assert {event.outcome for event in ends} == {"completed"}
    assert {status.state for status in statuses(Project.open(project.folder))} == {"done"}
    assert not [name for name in world.files_below(project.folder) if ".partial" in name]


def kill(child):
    # It may have finished in the meantime.
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def wait_for_events(path, size, child):
    """Waits until the stream is longer than ``size`` bytes or the run has ended."""
    while not path.exists() or path.stat().st_size <= size:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.001)


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(tmp_path, children, whole):
    draw, killed, finished = random.Random(2), [], 0
    length = whole.events_path.stat().st_size
    project = make(tmp_path / "0")
    while len(killed) < KILLS or not finished:
        before = project.events_path.stat().st_size if project.events_path.exists() else 0
        child = children.start(project)
        if len(killed) < KILLS:
            # So far in the stream, not in time, or a slow machine would kill it while it only sets up.
            wait_for_events(project.events_path, before + draw.randrange(length // 10), child)
            time.sleep(draw.uniform(0, 0.03))
            kill(child)
        status = children.wait()
        if status == -9:
            last = [event.stage for event in read_events(project.events_path)][-1:]
            killed += last or ["before the first event"]
            continue
        assert status == 0
        # A fast machine finishes before it is killed often enough: the kills go on in a project of the same kind.
        assert_same(project, whole)
        finished += 1
        project = make(tmp_path / str(finished))
    assert len(set(killed)) > 2, killed


@pytest.mark.slow
def test_kills_inside_writes_and_between_stages_change_nothing(tmp_path, children, whole):
    project = make(tmp_path)
    for trap in TRAPS:
        children.start(project, trap)
        assert children.wait() == -9, f"{trap} was never reached"
    children.start(project)
    assert children.wait() == 0
    assert_same(project, whole)


@pytest.mark.slow
def test_a_run_under_way_refuses_a_second_and_a_kill_frees_the_project(tmp_path, children):
    project = make(tmp_path)
    child = children.start(project)
    wait_for_events(project.events_path, 0, child)
    with pytest.raises(Exception, match="another run is active"):
        from crots.runner import run_project

        next(run_project(project))
    kill(child)
    assert children.wait() == -9
    children.start(project)
    assert children.wait() == 0
