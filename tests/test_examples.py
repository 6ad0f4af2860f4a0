"""The examples, run as their first lines say, on the tiny demonstration's images."""

import ast
import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from crots.demo.run import demo_events
from crots.events import StageFinished
from crots.label_files import read_labels

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def demo(tmp_path_factory, one_thread):
    """A demonstration as far as its source model."""
    folder = tmp_path_factory.mktemp("demo")
    events = demo_events(folder, tiny=True)
    for event in events:
        if isinstance(event, StageFinished) and event.stage == "train":
            break
    events.close()
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs an example with arguments; returns its exit code and what it printed."""

    def example(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        code = 0
        try:
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        return code, capsys.readouterr().out

    return example


@pytest.mark.slow
def test_a_project_runs_and_a_second_call_finds_nothing_to_do(demo, run, tmp_path):
    code, said = run("run_project.py", demo, tmp_path / "mine")
    assert code == 0 and "adapt-1: 4 steps" in said and "step 4: consistency" in said
    assert "  baseline: " in said and "% mIoU" in said
    model = tmp_path / "mine" / "export" / "adapted.safetensors"
    assert model.is_file() and said.endswith(f"the adapted model: {model}\n")
    assert run("run_project.py", demo, tmp_path / "mine") == (0, f"the adapted model: {model}\n")


def test_a_run_that_fails_is_reported_with_its_exit_code(demo, run, tmp_path):
    broken = shutil.copytree(demo, tmp_path / "demo")
    (broken / "source" / "student.safetensors").write_bytes(b"no weights")
    code, said = run("run_project.py", broken, tmp_path / "mine")
    assert code == 2 and "failed after" in said and "student.safetensors" in said and "adapted model" not in said


def test_a_folder_is_labelled_and_scored_as_the_command_does(demo, run, tmp_path, capsys):
    validation, model = demo / "data" / "validation", demo / "source" / "student.safetensors"
    code, said = run("label_and_score.py", model, validation / "images", validation / "labels", tmp_path)
    assert code == 0 and said.splitlines()[0].startswith("road ")
    images = sorted((validation / "images").glob("*.png"))
    assert [path.name for path in sorted((tmp_path / "label_ids").glob("*"))] == [path.name for path in images]
    assert read_labels(tmp_path / "label_ids" / images[0].name).shape == (32, 64)
    from crots.cli.main import main

    words = ["evaluate", "--checkpoint", model, "--images", validation / "images", "--labels", validation / "labels"]
    assert main([*map(str, words), "--classes", "demo", "--device", "cpu", "--json"]) == 0
    miou = json.loads(capsys.readouterr().out)["miou"]
    assert said.splitlines()[-1].split() == ["mean", f"{miou:.1%}"]


@pytest.mark.slow
def test_a_net_of_ones_own_is_adapted_and_checked(demo, run, tmp_path, monkeypatch):
    from crots.nets import registry

    monkeypatch.setattr(registry, "FAMILIES", dict(registry.FAMILIES))
    code, said = run("own_net.py", demo, tmp_path / "own")
    assert code == 0 and said.endswith("completed \n")
    assert all(f"baseline {step}: certainty " in said for step in (0, 2, 4, 6, 8))
    assert "baseline keeps step 8 of 8\n" in said
    assert "three-layers" in (tmp_path / "own" / "crots.toml").read_text()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_short_run_here_and_says_how_it_is_started(path):
    assert f'run("{path.name}"' in Path(__file__).read_text(encoding="utf-8")
    assert f"python examples/{path.name} " in ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 100
