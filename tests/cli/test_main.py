import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from crots.cli import main as main_module
from crots.cli.commands import SUMMARIES, load_command


def python(code, *args, **kwargs):
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=600, **kwargs)


def test_overview_names_every_command(crots):
    ran = crots("--help")
    assert ran.code == 0
    assert all(f"  {name} " in ran.out for name in SUMMARIES)


def test_no_command_is_wrong_use_with_help(crots):
    ran = crots()
    assert ran.code == 2
    assert "crots COMMAND" in ran.err


@pytest.mark.parametrize("name", list(SUMMARIES))
def test_every_command_explains_itself(crots, name):
    command = load_command(name)
    assert command.name == name
    ran = crots(name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"usage: crots {name}")
    assert f"crots {name}" in ran.out.split("example:")[1]


def test_help_word_is_the_same(crots):
    assert crots("help", "status").out == crots("status", "--help").out


def test_version(crots):
    assert crots("--version").out.startswith("crots 0.")


def test_unknown_command_names_the_nearest(refused):
    assert "status" in refused("statsu", "x")


def test_unknown_flag_names_the_nearest(refused):
    assert "--steps" in refused("adapt", "--stpes", "4")


def test_unexpected_word(refused):
    assert "unexpected argument 'b'" in refused("status", "a", "b")


def test_a_second_option_after_one_set_is_reported_to_take_its_own(refused):
    assert "`--set adapt.steps=4`" in refused("run", "project", "--set", "baseline.steps=4", "adapt.steps=4")


def test_missing_arguments_are_named(refused):
    assert "--pseudo-labels" in refused("mine", "--images", "x")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["init", "", "--target", "."], "PROJECT"),
        (["status", " "], "PROJECT"),
        (["inspect", ""], "PATH"),
        (["predict", "--checkpoint", "x.pth", "--images", ".", "--out", ""], "--out"),
        (["inspect", ".", "--labels="], "--labels"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(refused, tmp_path, monkeypatch, words, name):
    monkeypatch.chdir(tmp_path)
    message = refused(*words)
    assert name in message and "found an empty path" in message
    assert not list(tmp_path.iterdir())


def test_flags_are_not_abbreviated(refused):
    assert "--learning-rate" in refused("adapt", "--learning", "1")


@pytest.mark.parametrize("words", [["--help"], ["status", "--help"], ["run", "--help"], ["adapt", "--help"]])
def test_help_imports_neither_torch_nor_numpy_nor_rich(words):
    code = (
        "import sys; from crots.cli.main import main; code = main(sys.argv[1:]); "
        "assert not {'torch', 'numpy', 'rich'} & set(sys.modules), 'heavy'; sys.exit(code)"
    )
    ran = python(code, *words)
    assert ran.returncode == 0, ran.stderr


def test_module_can_be_run():
    ran = subprocess.run([sys.executable, "-m", "crots", "--version"], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0
    assert ran.stdout.startswith("crots ")


def test_the_module_behind_it_names_the_one_to_run():
    command = [sys.executable, "-m", "crots.cli.main", "--version"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (ran.returncode, ran.stdout) == (2, "") and "python -m crots;" in ran.stderr


def test_a_bug_is_one_line_and_a_file(capsys, monkeypatch, tmp_path):
    def broken(words):
        raise KeyError("ours")

    monkeypatch.setattr(main_module, "dispatch", broken)
    monkeypatch.setattr(main_module.tempfile, "tempdir", str(tmp_path))
    assert main_module.main(["status"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    (kept,) = tmp_path.iterdir()
    assert str(kept) in error
    assert "Traceback" in kept.read_text()


def test_a_bug_with_debug_shows_the_traceback(capsys, monkeypatch):
    def broken(words):
        raise KeyError("ours")

    monkeypatch.setattr(main_module, "dispatch", broken)
    assert main_module.main(["status", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_outside_of_a_run(capsys, monkeypatch):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "dispatch", interrupted)
    assert main_module.main(["status"]) == 130
    assert capsys.readouterr().err == "crots: stopped\n"


def test_message_is_one_line(capsys):
    assert main_module.complain("one\n  two", 2) == 2
    assert capsys.readouterr().err == "crots: one two\n"


def test_closed_pipe_is_no_error():
    code = "import sys; from crots.cli.main import main; sys.exit(main(['options']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    # As a shell says of programs that the system ends for this: 128 and the number of SIGPIPE.
    assert process.wait(timeout=600) == 141
    assert error == ""


def crots_with(streams, *words, **environment):
    """Runs the command line in a shell that redirects its streams."""
    command = f"{shlex.quote(sys.executable)} -m crots {shlex.join(words)} {streams}"
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=600, env={**os.environ, **environment}
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_standard_output_is_reported_in_one_line():
    ran = crots_with("> /dev/full", "--version")
    assert ran.returncode == 1
    assert (
        ran.stderr.strip() == "crots: cannot write to standard output: the disk is full; free some space and run again"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-", "<&-"])
def test_closed_streams_are_no_error(tmp_path, closed):
    assert crots_with(closed, "--version").returncode == 0
    assert crots_with(closed, "status", str(tmp_path)).returncode == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems store names as text")
def test_names_that_a_locale_cannot_read_blame_the_locale(tmp_path):
    (tmp_path / "caf\u00e9.png").write_bytes(b"")
    ran = crots_with("", "inspect", str(tmp_path), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert ran.returncode == 2
    assert "cannot be read in this locale, whose encoding is ascii; set LC_ALL=C.UTF-8" in ran.stderr


def test_errors_of_the_machine_are_not_reported_as_bugs(capsys, monkeypatch, tmp_path):
    def full(words):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))

    monkeypatch.setattr(main_module, "dispatch", full)
    monkeypatch.setattr(main_module, "_write_no_more", lambda: None)
    assert main_module.main(["status"]) == 1
    message = capsys.readouterr().err
    assert "the disk is full" in message and str(tmp_path / "x") in message and "bug in CROTS" not in message


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_running_out_of_memory_is_not_reported_as_a_bug(capsys, monkeypatch, error):
    def out_of_memory(words):
        raise error

    monkeypatch.setattr(main_module, "dispatch", out_of_memory)
    assert main_module.main(["status"]) == 1
    message = capsys.readouterr().err
    assert "out of memory" in message and "bug in CROTS" not in message


@pytest.mark.parametrize("columns", ["0", "-5", "1", "nonsense", "100000"])
def test_terminals_of_any_width_show_help(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    assert main_module.main(["status", "--help"]) == 0
    assert "status" in capsys.readouterr().out


def test_bugs_are_reported_where_no_file_can_be_written(capsys, monkeypatch):
    def broken(words):
        raise KeyError("ours")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(main_module, "dispatch", broken)
    monkeypatch.setattr(main_module.tempfile, "NamedTemporaryFile", full)
    assert main_module.main(["status"]) == 1
    assert "run it again with --debug" in capsys.readouterr().err
