"""Our processes import nothing from the current folder, and our libraries call nobody."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import crots
from crots.interpreter import child_environment, keep_to_ourselves, module_command

pytestmark = pytest.mark.safety

ROOT = Path(crots.__file__).parents[1]
# Modules that a program of ours imports early, late or hardly ever.
BAIT = ("__future__", "argparse", "json", "typing", "dataclasses", "safetensors", "numpy", "torch", "filelock",
        "tomllib", "tempfile", "rich", "psutil", "PySide6")  # fmt: skip


@pytest.fixture
def hostile(tmp_path):
    """A folder full of files with the names of modules, each of which tells when it is imported."""
    for name in BAIT:
        (tmp_path / f"{name}.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path)!r}, 'sung').touch()\n")
    return tmp_path


def run(command, folder, **more):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment |= {"PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def test_python_m_crots_imports_nothing_from_the_current_folder(hostile):
    ran = run([sys.executable, "-m", "crots", "status", "."], hostile)
    assert ran.returncode == 2 and "no crots.toml there" in ran.stderr, ran.stderr
    assert not (hostile / "sung").exists()


def test_python_m_crots_studio_neither(hostile):
    ran = run([sys.executable, "-m", "crots_studio", "--help"], hostile, QT_QPA_PLATFORM="offscreen")
    assert ran.returncode == 0, ran.stderr
    assert not (hostile / "sung").exists()


@pytest.mark.parametrize("path", ["", os.pathsep, f"{os.pathsep}{os.pathsep}"])
def test_a_child_does_not_see_it_whatever_the_path(hostile, monkeypatch, path):
    monkeypatch.setenv("PYTHONPATH", path + str(ROOT))
    command = module_command("crots", "status", ".")
    ran = subprocess.run(command, cwd=hostile, env=child_environment(), capture_output=True, text=True, timeout=600)
    assert ran.returncode == 2, ran.stderr
    assert not (hostile / "sung").exists()
    # Nor do its own children, whoever starts them.
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import safetensors, json'])"
    monkeypatch.setenv("PYTHONPATH", "")
    subprocess.run([sys.executable, "-P", "-c", code], cwd=hostile, env=child_environment(), timeout=600)
    assert not (hostile / "sung").exists()


def test_every_process_that_we_start_is_started_by_the_helper():
    """Whoever starts another Python writes `sys.executable` or a module's name; only one place may."""
    for package in ("crots", "crots_studio"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            # The menu entry of Windows is written by PowerShell, which gets its own environment.
            if path.name in ("interpreter.py", "shortcut.py"):
                continue
            assert "sys.executable" not in text and "multiprocessing" not in text, path
            for node in ast.walk(ast.parse(text)):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if called in ("subprocess.run", "subprocess.Popen"):
                    assert "env=" in ast.unparse(node) and "child_environment" in text, path


def test_nothing_of_ours_puts_a_folder_on_the_path():
    for package in ("crots", "crots_studio"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "sys.path.insert" not in text and "sys.path.append" not in text, path


def test_libraries_stay_offline_unless_the_user_says_otherwise(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "PYTHONSAFEPATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    keep_to_ourselves()
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["PYTHONSAFEPATH"] == "1"
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    keep_to_ourselves()
    assert os.environ["HF_HUB_OFFLINE"] == "0"


def test_the_command_line_says_so_before_all(tmp_path):
    code = "import json, os; from crots.cli.main import main; main(['--version']); print(json.dumps(dict(os.environ)))"
    ran = run([sys.executable, "-c", code], tmp_path)
    assert json.loads(ran.stdout.splitlines()[-1])["HF_HUB_OFFLINE"] == "1"
