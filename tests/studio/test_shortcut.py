"""The menu entry on the three platforms: what is written, that it is only ours, and that it goes again."""

import plistlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crots.errors import InputError, StageError
from crots.resources import resource_folder
from crots_studio import app, shortcut
from crots_studio.icon import SIZES, app_icon, icon_path

POSIX = ("linux", "darwin")


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def picture(path):
    with Image.open(path) as found:
        found.load()
        return found


def exec_words(text):
    """Reads the Exec line of a desktop entry as its specification says."""
    (line,) = re.findall(r"^Exec=(.*)$", text, re.MULTILINE)
    assert "%" not in line.replace("%%", ""), "one alone begins a field code"
    escapes = {"\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\r": "\r", "\\s": " "}
    value = re.sub(r"\\.", lambda found: escapes[found[0]], line)
    words = re.findall(r'"((?:[^"\\`$]|\\["`$\\])*)"(?: |$)', value, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL).replace("%%", "%") for word in words]


@pytest.mark.parametrize("platform", POSIX)
def test_what_is_written_is_removed_and_nothing_else(tmp_path, platform):
    files = shortcut.entries(platform, {}, tmp_path)
    theirs = tmp_path / ".local" / "share" / "applications" / "other.desktop"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("[Desktop Entry]\n")
    written = shortcut.install(files)
    assert sorted([*written, theirs]) == files_below(tmp_path)
    # A later version writes its own in their place.
    assert shortcut.install(files) == written
    assert sorted(shortcut.remove(files)) == sorted(written)
    assert files_below(tmp_path) == [theirs]
    assert not (tmp_path / "Applications" / "CROTS Studio.app").exists()
    assert shortcut.remove(files) == []


@pytest.mark.parametrize("platform", POSIX)
@pytest.mark.parametrize("number", range(3))
def test_files_of_that_name_that_others_made_stay(tmp_path, platform, number):
    files = shortcut.entries(platform, {}, tmp_path)
    theirs = [files[0].path, files[-1].path, files[-2].path][number]
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    with pytest.raises(InputError, match="move it away"):
        shortcut.install(files)
    assert files_below(tmp_path) == [theirs], "nothing was written beside it"
    assert shortcut.remove(files) == [] and theirs.read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="symlinks need rights there")
def test_a_link_to_one_of_ours_is_neither_followed_nor_replaced(tmp_path):
    shortcut.install(shortcut.entries("linux", {}, tmp_path / "a"))
    ours = shortcut.entries("linux", {}, tmp_path / "a")[-1].path
    files = shortcut.entries("linux", {}, tmp_path / "b")
    files[-1].path.parent.mkdir(parents=True)
    files[-1].path.symlink_to(ours)
    before = ours.read_bytes()
    with pytest.raises(InputError):
        shortcut.install(files)
    assert shortcut.remove(files) == [] and ours.read_bytes() == before


def test_the_entry_of_linux_names_its_icon_and_starts_this_python(tmp_path):
    written = shortcut.install(shortcut.entries("linux", {"XDG_DATA_HOME": str(tmp_path / "data")}, tmp_path))
    assert all((tmp_path / "data") in path.parents for path in written)
    text = written[-1].read_text(encoding="utf-8")
    assert exec_words(text) == [sys.executable, "-P", "-m", "crots_studio"]
    assert "Icon=crots-studio\n" in text and "[Desktop Entry]\nType=Application\n" in text
    for side, path in zip(SIZES, written, strict=False):
        assert path.parts[-3:] == (f"{side}x{side}", "apps", "crots-studio.png")
        assert picture(path).size == (side, side)


def test_a_relative_data_folder_counts_as_none(tmp_path):
    (*_, entry) = shortcut.entries("linux", {"XDG_DATA_HOME": "data"}, tmp_path)
    assert entry.path == tmp_path / ".local" / "share" / "applications" / "crots-studio.desktop"


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_any_path_survives_the_two_quotings_of_a_desktop_entry(words):
    assert exec_words(shortcut.desktop_entry(words)) == words


@pytest.mark.skipif(sys.platform == "win32", reason="the bundle of macOS starts a shell script")
def test_the_bundle_of_macos_starts_the_command(tmp_path, monkeypatch):
    found = tmp_path / "it's said"
    monkeypatch.setattr(shortcut, "command", lambda: [sys.executable, "-c", f"open({str(found)!r}, 'w').write('x')"])
    shortcut.install(shortcut.entries("darwin", {}, tmp_path))
    contents = tmp_path / "Applications" / "CROTS Studio.app" / "Contents"
    facts = plistlib.loads((contents / "Info.plist").read_bytes())
    assert (contents / "Resources" / f"{facts['CFBundleIconFile']}.icns").is_file()
    subprocess.run([str(contents / "MacOS" / facts["CFBundleExecutable"])], check=True)
    assert found.read_text() == "x"


class PowerShell:
    """Writes what the real one would keep of a link, as far as anything here reads it."""

    def __init__(self, code=0):
        self.code, self.asked = code, []

    def __call__(self, command, env, **_):
        self.asked.append((command, env))
        if not self.code:
            Path(env["CROTS_LINK"]).write_bytes(b"L\0\0\0" + env["CROTS_DESCRIPTION"].encode("utf-16-le"))
        return subprocess.CompletedProcess(command, self.code, "", "no\nCOM here")


def test_the_link_of_windows(tmp_path, monkeypatch):
    shell = PowerShell()
    monkeypatch.setattr(shortcut.subprocess, "run", shell)
    environment = {"APPDATA": str(tmp_path), "SystemRoot": "/windows"}
    files = shortcut.entries("win32", environment)
    (link,) = shortcut.install(files)
    assert link == tmp_path / "Microsoft" / "Windows" / "Start Menu" / "Programs" / "CROTS Studio.lnk"
    ((command, values),) = shell.asked
    assert Path(command[0]) == Path("/windows/System32/WindowsPowerShell/v1.0/powershell.exe")
    assert values["CROTS_TARGET"] == sys.executable and values["CROTS_ARGUMENTS"] == "-P -m crots_studio"
    assert Path(values["CROTS_ICON"]).is_file()
    # Every value that the script reads is there.
    assert set(re.findall(r"\$env:(\w+)", command[-1])) <= set(values)
    assert shortcut.install(files) == [link], "ours is known by its description"
    assert shortcut.remove(files) == [link] and not link.exists()


def test_a_powershell_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(shortcut.subprocess, "run", PowerShell(code=1))
    with pytest.raises(StageError, match="PowerShell reported: no COM here"):
        shortcut.install(shortcut.entries("win32", {"APPDATA": str(tmp_path)}))
    assert files_below(tmp_path) == []
    with pytest.raises(InputError, match="APPDATA"):
        shortcut.entries("win32", {})


def test_a_frozen_program_starts_itself(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert shortcut.command() == [sys.executable]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="where the files lie differs")
def test_the_command_says_what_it_wrote_and_ends_without_a_window(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(app, "make_application", lambda _: pytest.fail("no window is needed"))
    assert app.main(["--install-shortcut"]) == 0
    message = [Path(line.removeprefix("wrote ")) for line in capsys.readouterr().out.splitlines()]
    assert sorted(message) == files_below(tmp_path)
    assert app.main(["--remove-shortcut"]) == 0 and files_below(tmp_path) == []
    assert capsys.readouterr().out.count("removed ") == len(message)
    assert app.main(["--remove-shortcut"]) == 0
    assert "no menu entry" in capsys.readouterr().out
    entry = tmp_path / "applications" / "crots-studio.desktop"
    entry.write_text("[Desktop Entry]")
    assert app.main(["--install-shortcut"]) == 2
    assert capsys.readouterr().err.startswith(f"crots-studio: {entry}: ")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="where the files lie differs")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert app.main(["--install-shortcut"]) == 1
    assert capsys.readouterr().err.startswith("crots-studio: cannot write")


def test_every_picture_carries_the_mark_and_the_other_forms_are_there(qapp):
    for side in SIZES:
        assert picture(icon_path(side)).text["Comment"] == shortcut.MARK
    assert (256, 256) in picture(resource_folder() / "icons" / "crots-studio.ico").info["sizes"]
    assert picture(resource_folder() / "icons" / "crots-studio.icns").format == "ICNS"
    assert {size.width() for size in app_icon().availableSizes()} == set(SIZES)


def test_the_script_of_macos_quotes_what_a_shell_would_take_apart(tmp_path, monkeypatch):
    words = ["/a folder/$(rm)/it's", "-m", "x"]
    monkeypatch.setattr(shortcut, "command", lambda: words)
    shortcut.install(shortcut.entries("darwin", {}, tmp_path))
    script = (tmp_path / "Applications" / "CROTS Studio.app" / "Contents" / "MacOS" / "crots-studio").read_text()
    assert shlex.split(script.splitlines()[-1])[:-1] == ["exec", *words]
