"""The frozen programs: what they start with, tried unfrozen, and what the bundle is told to hold."""

import os
import runpy
import subprocess
import sys
import types
from pathlib import Path

import pytest

import crots
from crots.resources import resource_folder

ROOT = Path(__file__).parents[1]
START = ROOT / "tools" / "bundle" / "start.py"


def start(*words, code=""):
    """Runs the start of the frozen programs, after some code of the test's."""
    program = f"{code}\nimport runpy, sys; sys.argv[0] = 'start'; runpy.run_path({str(START)!r}, run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip


@pytest.mark.parametrize("flags", [(), ("-P",)])
def test_a_module_that_a_child_process_asks_for_is_run_with_its_own_arguments(flags):
    done = start(*flags, "-m", "crots", "options", "adapt")
    assert done.returncode == 0 and "[adapt] " in done.stdout, done.stderr
    assert start(*flags, "-m", "crots", "no-such-command").returncode == 2


def test_an_export_does_not_warn_that_triton_is_left_out():
    code = (
        "import runpy, sys\nsys.modules['triton.runtime.jit'] = None\n"
        f"runpy.run_path({str(START)!r})['silence_torch']()\n"
        "import torch\ntorch.version.cuda = '13.0'\nimport torch.utils.flop_counter"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("program", ["crots", "crots-studio"])
def test_each_program_is_known_by_its_name(program):
    done = start("--version", code=f"import sys; sys.executable = '/bundle/{program}'")
    assert done.returncode == 0 and done.stdout.strip() == f"{program} {crots.__version__}", done.stderr


def test_a_program_without_a_terminal_writes_where_it_was_told_to():
    without = "import sys; sys.stdout = sys.stderr = None"
    done = start("-m", "crots", "--version", code=without)
    assert done.returncode == 0 and done.stdout.strip() == f"crots {crots.__version__}", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a descriptor cannot be closed before the start there")
def test_a_program_without_any_stream_starts_all_the_same():
    done = start(
        "-m", "crots", "--version", code="import os, sys; sys.stdout = sys.stderr = None; os.close(1); os.close(2)"
    )
    assert done.returncode == 0 and done.stdout == done.stderr == ""


def test_the_size_of_a_bundle_counts_links_once(tmp_path):
    size_of = runpy.run_path(str(ROOT / "tools" / "build_bundle.py"))["size_of"]
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.so").write_bytes(b"x" * 1000)
    before = size_of(tmp_path)
    assert before == 1000
    if sys.platform != "win32":
        (tmp_path / "b.so").symlink_to(tmp_path / "lib" / "a.so")
        assert size_of(tmp_path) - before < 500


def test_the_bundle_holds_the_data_that_a_wheel_does(monkeypatch):
    """The help window's glossary is one of docs/, and was missing."""
    hooks = types.ModuleType("PyInstaller.utils.hooks")
    hooks.collect_dynamic_libs = hooks.collect_submodules = hooks.copy_metadata = lambda *_, **__: []
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    found = {}
    made = types.SimpleNamespace(pure=[], scripts=[], binaries=[], datas=[])
    world = {"Analysis": lambda *_, **given: found.update(given) or made}
    world |= dict.fromkeys(("PYZ", "EXE", "COLLECT"), lambda *_, **__: None)
    spec = ROOT / "tools" / "bundle" / "crots-studio.spec"
    exec(compile(spec.read_text(encoding="utf-8"), spec.name, "exec"), {**world, "SPECPATH": str(spec.parent)})
    assert (str(ROOT / "resources"), "crots/resources") in found["datas"]
    assert (str(ROOT / "docs" / "glossary.md"), str(Path("crots/resources/help"))) in found["datas"]
    assert all(Path(source).exists() for source, _ in found["datas"])


def test_the_bundle_lists_files_that_exist():
    text = (ROOT / "tools" / "bundle" / "crots-studio.spec").read_text(encoding="utf-8")
    compile(text, "crots-studio.spec", "exec")
    assert all(name in text for name in ("crots-studio.ico", "crots-studio.icns", "start.py"))
    assert all((resource_folder() / "icons" / f"crots-studio.{form}").is_file() for form in ("ico", "icns"))
