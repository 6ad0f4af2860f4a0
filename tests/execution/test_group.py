"""Two workers on the CPU do what one process does, fail as one, and leave a project that any number can go on with."""

import contextlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from crots.artefacts import CHECKPOINT
from crots.class_maps import UnknownIds
from crots.data.readings import AmbiguousLabels
from crots.errors import InputError, NotBegun
from crots.eventlog import read_events
from crots.events import Metrics, Note, Scored, StageFinished, StageStarted
from crots.execution.group import _opened, _sealed
from crots.nets.units import OtherUnits
from crots.project import Project
from crots.project_status import statuses
from crots.runner import run_project
from tests.stages import tiny_world as world
from tests.stages.many_steps import CASES, take_steps, write_material

ROOT = Path(__file__).parents[2]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TRAINING = {"batch": 4, "steps": 4, "log_every": 1, "checkpoint_every": 2, "learning_rate": 1e-3}


class Crew:
    """Workers that run a command line, or a function of ``run_workers.py``, together."""

    def __init__(self, folder):
        self.folder = folder
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.execution.run_workers"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=QUIET, cwd=ROOT,
        )  # fmt: skip

    def __call__(self, *words, workers=2, **more):
        """Runs workers to their end; returns their exit codes and what they printed."""
        command = {"world": workers, "out": str(self.folder), "words": [*map(str, words)], **more}
        self._server.stdin.write(json.dumps(command) + "\n")
        self._server.stdin.flush()
        assert self._server.stdout.readline().startswith("started")
        codes = [int(word) for word in self._server.stdout.readline().split()[1:]]
        return codes, [(self.folder / f"{rank}.txt").read_text() for rank in range(workers)]

    def close(self):
        self._server.stdin.close()
        self._server.wait(300)
        self._server.stdout.close()


@pytest.fixture(scope="module")
def crew(tmp_path_factory):
    found = Crew(tmp_path_factory.mktemp("crew"))
    yield found
    found.close()


def make(folder, **sections):
    """A project in which no image's logits depend on the others of its batch, so that any dealing gives the same."""
    sections = {
        "student": {"net": "tests.stages.tiny_nets:still", "weights": "random"},
        "baseline": TRAINING,
        "adapt": {**TRAINING, "rounds": 1, "batch_norm": "frozen", "select": "label-free", "validate_every": 2},
        "data": world.with_validation(folder, 5),
        **sections,
    }
    return world.white_box(folder, images=7, **sections)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A project that one process has run."""
    project = make(tmp_path_factory.mktemp("alone"))
    assert world.of(list(run_project(project)), StageFinished)[-1].outcome == "completed"
    return project


@pytest.fixture(scope="module")
def shared(tmp_path_factory, crew):
    """The same project, run by two workers; `written` is what the second one moved to its place."""
    project = make(tmp_path_factory.mktemp("shared"))
    written = project.folder / "written.txt"
    codes, said = crew("run", project.folder, "--trust", trap=[1, "note_writes", str(written)])
    assert codes == [0, 0], said
    return project, written.read_text().splitlines(), said


def contents(folder):
    return {name: (folder / name).read_bytes() for name in world.files_below(folder)}


def figures(project):
    events = world.of(read_events(project.events_path), Metrics)
    return [({"stage": event.stage, "step": event.step}, dict(event.values)) for event in events]


def test_workers_tell_each_other_what_they_decide_and_what_goes_wrong(crew):
    codes, said = crew(call="talk", args=[])
    assert codes == [0, 0], said


@pytest.mark.parametrize(("workers", "names"), [(2, list(CASES)), (3, ["baseline, crops", "adapt, published"])])
def test_the_same_global_batch_gives_the_same_losses_and_weights(tmp_path, crew, workers, names):
    folder = write_material(tmp_path)
    codes, said = crew(call="steps", args=[str(folder), str(tmp_path / "found.pt"), names], workers=workers)
    assert set(codes) == {0}, said
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    for name in names:
        rows, weights = take_steps(folder, **CASES[name])
        for mine, theirs in zip(rows, found[name][0], strict=True):
            assert theirs == pytest.approx(mine, rel=1e-4, abs=1e-5), name
        assert torch.allclose(found[name][1], weights, atol=1e-4), name


@pytest.mark.slow
def test_two_workers_run_a_project_as_one_process_does(alone, shared):
    project, _, _ = shared
    for stage in ("pseudo-label", "mine"):
        assert contents(project.stage_folder(stage)) == contents(alone.stage_folder(stage)), stage
    for (place, mine), (other, theirs) in zip(figures(alone), figures(project), strict=True):
        assert place == other and theirs == pytest.approx(mine, rel=1e-4), place
    scored = [world.of(read_events(each.events_path), Scored) for each in (alone, project)]
    assert [event.step for event in scored[0]] == [event.step for event in scored[1]]
    for mine, theirs in zip(*scored, strict=True):
        assert theirs.values == pytest.approx(mine.values, abs=1e-3)
    assert {status.state for status in statuses(Project.open(project.folder))} == {"done"}


@pytest.mark.slow
def test_two_workers_score_the_same_models_alike(tmp_path, alone, crew):
    copy = shutil.copytree(alone.folder, tmp_path / "copy")
    shutil.rmtree(copy / "evaluation")
    codes, said = crew("run", copy, "--trust", "--only", "evaluate")
    assert codes == [0, 0], said
    assert contents(copy / "evaluation") == contents(alone.stage_folder("evaluate"))


@pytest.mark.slow
def test_only_rank_0_writes_what_there_is_one_of(shared):
    project, written, said = shared
    assert written and all(re.search(r"/(label_ids|label_color|confidence|patches|labels|color_labels|cache)/", path)
                           for path in written), written  # fmt: skip
    events = list(read_events(project.events_path))
    assert [event.stage for event in world.of(events, StageStarted)] == list(project.stage_keys())
    assert [event.stage for event in world.of(events, StageFinished)] == list(project.stage_keys())
    assert "[evaluate]" in said[0] and said[1] == ""
    assert not [name for name in world.files_below(project.folder) if ".partial" in name]


@pytest.mark.slow
def test_a_failure_of_one_worker_is_everyones_and_the_project_continues_from_its_checkpoint(tmp_path, crew, alone):
    project = make(tmp_path)
    codes, said = crew("run", project.folder, "--trust", "--until", "baseline", trap=[1, "fail_at", 3])
    assert codes == [1, 1]
    assert said[0].splitlines()[-1] == "crots: worker 1: the disk of this worker is full"
    assert said[1] == "crots: worker 1: the disk of this worker is full\n"
    end = world.of(read_events(project.events_path), StageFinished)[-1]
    assert (end.outcome, end.message) == ("failed", "worker 1: the disk of this worker is full")
    assert (project.work_folder("baseline") / CHECKPOINT).exists()
    # Told to stop, whichever worker hears it, all stop after the same step and keep it.
    codes, said = crew("run", project.folder, "--trust", trap=[1, "interrupt_at", 1])
    assert codes == [130, 130] and "stopped by the user" in said[0] and said[1] == ""
    state = torch.load(project.work_folder("baseline") / CHECKPOINT, weights_only=True)
    assert state["step"] == 3
    # One process finishes what two began.
    assert world.of(list(run_project(project)), StageFinished)[-1].outcome == "completed"
    for (place, mine), (other, theirs) in zip(figures(alone), figures(project), strict=True):
        assert place == other and theirs == pytest.approx(mine, rel=1e-4), place


@pytest.mark.slow
def test_what_only_one_worker_finds_wrong_is_reported_once_and_refused_by_all(tmp_path, crew):
    project = make(tmp_path)
    broken = sorted((tmp_path / "images").rglob("*.png"))[1]
    broken.write_bytes(broken.read_bytes()[:100])
    codes, said = crew("run", project.folder, "--trust")
    assert codes == [2, 2] and broken.name in said[0] and said[0].count("crots:") == 1
    codes, said = crew("run", project.folder, "--trust", "--set", "data.skip_bad=true", "--until", "pseudo-label")
    assert codes == [0, 0]
    codes, said = crew("run", project.folder, "--trust", "--set", "baseline.batch=3")
    assert codes == [2, 2] and "batch 3 cannot be split evenly over 2 workers" in said[0]
    assert Project.open(project.folder).config.data.skip_bad
    events = list(read_events(project.events_path))
    assert any("1 unreadable images are left out" in note.text for note in world.of(events, Note))


def test_what_cannot_be_shared_is_refused_before_the_workers_meet(tmp_path, crew):
    codes, said = crew("export", "--help")
    assert codes == [2, 2] and "crots export cannot be shared by several workers" in said[0]
    project = make(tmp_path)
    codes, said = crew("run", project.folder, "--device", "cuda:0")
    assert codes == [2, 2] and "torchrun gives each worker its own device" in said[0]
    assert not project.events_path.exists()


@pytest.mark.slow
def test_stages_alone_are_shared_too(tmp_path, alone, crew):
    common = ["--images", alone.config.data.target, "--size", "32x32", "--classes", alone.config.task.classes]
    here = ["--trust", "--device", "cpu"]
    source = ["--source", alone.config.source.file, "--net", "tests.stages.tiny_nets:colour", *here]
    codes, said = crew("pseudo-label", *common, *source, "--out", tmp_path / "labels")
    assert codes == [0, 0], said
    found, expected = contents(tmp_path / "labels"), contents(alone.stage_folder("pseudo-label"))
    assert expected.items() <= found.items()
    net = ["--net", "tests.stages.tiny_nets:still", "--weights", "random"]
    steps = ["--steps", 2, "--batch", 4, "--log-every", 1, *net]
    where = ["--pseudo-labels", tmp_path / "labels" / "label_ids", *here]
    losses = []
    for workers in (1, 2):
        log, out = tmp_path / f"{workers}.jsonl", tmp_path / f"baseline{workers}"
        codes, said = crew("baseline", *common, *steps, *where, "--out", out, "--events", log, workers=workers)
        assert set(codes) == {0}, said
        losses.append([event.values["cross-entropy"] for event in world.of(read_events(log), Metrics)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    model = ["--checkpoint", tmp_path / "baseline1" / "student.safetensors", "--device", "cpu", "--trust"]
    truth = ["--images", alone.config.data.val_images, "--labels", alone.config.data.val_labels]
    for workers in (1, 2):
        codes, said = crew("evaluate", *model, *truth, "--classes", alone.config.task.classes,
                           "--json", tmp_path / f"scores{workers}.json", workers=workers)  # fmt: skip
        assert set(codes) == {0}, said
    assert (tmp_path / "scores1.json").read_bytes() == (tmp_path / "scores2.json").read_bytes()


def worker_of(launcher, rank):
    """The process that ``torchrun`` started with this rank."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int(re.search(r"\) \S (\d+)", (process / "stat").read_text())[1])
            if parent == launcher and f"\0RANK={rank}\0" in (process / "environ").read_text():
                return int(process.name)
    raise AssertionError("no such worker")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the worker in /proc")
def test_a_killed_worker_ends_the_run_and_any_number_continues(tmp_path, crew):
    project = make(tmp_path, baseline={**TRAINING, "steps": 3000, "checkpoint_every": 1})
    words = ["run", str(project.folder), "--trust", "--until", "baseline"]
    launcher = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "crots", *words],
        env={**QUIET, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    checkpoint = project.work_folder("baseline") / CHECKPOINT
    while not checkpoint.exists():
        assert launcher.poll() is None, launcher.stderr.read()
        time.sleep(0.05)
    killed = time.monotonic()
    os.kill(worker_of(launcher.pid, 1), signal.SIGKILL)
    message = launcher.communicate(timeout=600)[1]
    assert launcher.returncode != 0 and time.monotonic() - killed < 300, "long before the workers wait no longer"
    assert "crots: another worker was killed, hangs or cannot be reached" in message
    reached = torch.load(checkpoint, weights_only=True)["step"]
    # The end is put nearer, now that enough has happened; one process takes a few steps, two the rest.
    for workers, trap in ((1, [0, "interrupt_at", 3]), (2, [1, "interrupt_at", 3])):
        codes, message = crew(*words, workers=workers, trap=trap)
        assert set(codes) == {130}, message
        reached += 3
        assert torch.load(checkpoint, weights_only=True)["step"] == reached
    steps = [event.step for event in world.of(read_events(project.events_path), Metrics)]
    assert steps == list(range(1, reached + 1))


@pytest.mark.parametrize(
    "error",
    [
        InputError("no", field="data.target", settings={"data.skip_bad": "true"}),
        AmbiguousLabels("a", {"train": "x", "raw": "y"}, "0 to 3", "choose"),
        OtherUnits("no", field="source.mean", value="1,2,3"),
        UnknownIds("found 9"),
        NotBegun(),
    ],
)
def test_an_error_of_any_kind_is_the_same_on_every_worker(error):
    with pytest.raises(type(error)) as caught:
        _opened(pickle.loads(pickle.dumps(_sealed(error))), "worker 1: ")
    assert str(caught.value) == f"worker 1: {error}" and vars(caught.value) == vars(error)
