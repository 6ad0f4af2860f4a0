"""The fuzz of input files: a few inputs fall through nowhere, and it sees what would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"
KINDS = "pth,pth numbers,pth legacy,safetensors,onnx as a source,npz,png,tiff,label png,class set,class map,list,video"


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))


@pytest.mark.slow
def test_sixty_inputs_fall_through_nowhere(tmp_path):
    words = ["--inputs", "60", "--seed", "3", "--workers", "1", "--kinds", KINDS, "--keep", str(tmp_path / "kept")]
    # The commands that other tests call set it for their process; the tool finds its parts beside itself.
    environment = {**os.environ, "PYTHONSAFEPATH": ""}
    ran = subprocess.run(
        [sys.executable, str(TOOLS / "fuzz_inputs.py"), *words],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    kept = [path.read_text() for path in (tmp_path / "kept").glob("*.txt")]
    assert ran.returncode == 0, ran.stdout + ran.stderr + "\n".join(kept)
    assert "60 inputs in" in ran.stdout


def test_what_falls_through_is_distinguished_from_what_is_refused(tools, monkeypatch):
    import fuzz_inputs

    def said(result):
        def main(words):
            if isinstance(result, BaseException):
                raise result
            print(f"crots: unexpected ({'a bug in CROTS' if result == 'fault' else ''})", file=sys.stderr)
            return {"fine": 0}.get(result, 1)

        monkeypatch.setattr("crots.cli.main.main", main)
        return fuzz_inputs.judge(["x"])[0]

    assert [said(result) for result in ("fine", "no", "fault", SystemExit(), RecursionError())] == [
        "accepted", "refused", "traceback", "traceback", "traceback",
    ]  # fmt: skip


def test_every_kind_is_drawn_and_the_same_seed_draws_the_same(tools):
    import fuzz_inputs
    from fuzz_kinds import KINDS

    made = fuzz_inputs.tasks(500, 1, [])
    assert len(made) == 500 and {task.kind for task in made} == set(range(len(KINDS)))
    assert made == fuzz_inputs.tasks(500, 1, []) != fuzz_inputs.tasks(500, 2, [])
