"""The menu entry: ``crots-studio --install-shortcut`` writes it with its icon, ``--remove-shortcut`` takes it away.

Both ask nothing and touch only files that carry `MARK`, so that no other entry of the same name is lost.
"""

from __future__ import annotations

import os
import plistlib
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crots.errors import InputError, StageError
from crots.files import atomic_path, explained, make_folder
from crots.interpreter import module_command
from crots.resources import resource_folder
from crots_studio.icon import SIZES, icon_path

TITLE = "CROTS Studio"
ABOUT = "Adapt segmentation models to your own unlabelled images"
# Every file of a shortcut carries it: pictures as a comment, a Windows link in its description.
MARK = "made by crots-studio --install-shortcut"
_NAME = "crots-studio"
# Values come by environment variables, which need no quoting.
_MAKE_LINK = """
$link = (New-Object -ComObject WScript.Shell).CreateShortcut($env:CROTS_LINK)
$link.TargetPath = $env:CROTS_TARGET
$link.Arguments = $env:CROTS_ARGUMENTS
$link.IconLocation = $env:CROTS_ICON
$link.Description = $env:CROTS_DESCRIPTION
$link.Save()
"""


@dataclass(frozen=True)
class ShortcutFile:
    """One file of a shortcut.

    Attributes:
        path: where it lies.
        write: makes it at another path, from which it is moved here.
        program: it can be started.
        owner: the file that carries the mark for it; None where it does itself.
    """

    path: Path
    write: Callable[[Path], object]
    program: bool = False
    owner: Path | None = None


def entries(
    platform: str = sys.platform, environment: Mapping[str, str] = os.environ, home: Path | None = None
) -> list[ShortcutFile]:
    """Returns the files of the shortcut of a platform, by the names of ``sys.platform``.

    Raises:
        InputError: the account has no folder for it.
    """
    if platform == "win32":
        return _windows(environment)
    try:
        home = home or Path.home()
    except RuntimeError as error:
        raise InputError("this account has no home folder for a menu entry; set HOME") from error
    return _macos(home) if platform == "darwin" else _linux(home, environment)


def install(files: Sequence[ShortcutFile]) -> list[Path]:
    """Writes a shortcut, in place of an earlier one of ours; returns what was written.

    Raises:
        InputError: a file of that name is not ours; nothing is written then.
        StageError: a file cannot be written.
    """
    for file in files:
        if _there(file.path) and not _ours(file):
            raise InputError(f"{file.path}: exists and was not {MARK}; move it away or delete it, then run this again")
    for file in files:
        with atomic_path(file.path) as partial:
            file.write(partial)
            partial.chmod(0o755 if file.program else 0o644)
    return [file.path for file in files]


def remove(files: Sequence[ShortcutFile]) -> list[Path]:
    """Removes what `install` wrote, and the folders that are empty then; returns the files removed.

    Raises:
        StageError: a file cannot be removed.
    """
    ours = [file.path for file in files if _there(file.path) and _ours(file)]
    for path in ours:
        with explained(path):
            path.unlink()
    for folder in sorted({parent for path in ours for parent in path.parents}, reverse=True):
        # Of a bundle; the desktop's own folders stay, empty or not.
        if any(part.suffix == ".app" for part in (folder, *folder.parents)):
            with suppress(OSError):
                folder.rmdir()
    return ours


def command() -> list[str]:
    """Returns what the entry starts: the frozen program, or this Python with this package."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    start = module_command("crots_studio")
    windowed = Path(start[0]).with_name("pythonw.exe")
    return [str(windowed), *start[1:]] if windowed.is_file() else start


def _there(path: Path) -> bool:
    return os.path.lexists(path)


def _ours(file: ShortcutFile) -> bool:
    """Says whether a file carries the mark, in the encodings of text files and of Windows' links."""
    path = file.owner or file.path
    if path.is_symlink() or file.path.is_symlink() or not path.is_file():
        return False
    with suppress(OSError):
        content = path.read_bytes()
        return MARK.encode() in content or MARK.encode("utf-16-le") in content
    return False


def _content(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _linux(home: Path, environment: Mapping[str, str]) -> list[ShortcutFile]:
    """A desktop entry and its icon, in the user's own folders by the XDG specifications."""
    named = Path(environment.get("XDG_DATA_HOME", ""))
    data = named if named.is_absolute() else home / ".local" / "share"
    icons = data / "icons" / "hicolor"
    pictures = [
        ShortcutFile(icons / f"{side}x{side}" / "apps" / f"{_NAME}.png", _content(icon_path(side).read_bytes()))
        for side in SIZES
    ]

    def write(path: Path) -> None:
        path.write_text(desktop_entry(command()), encoding="utf-8")
        # By a newer folder desktops see that their cache of icons is out of date.
        with suppress(OSError):
            os.utime(icons)

    return [*pictures, ShortcutFile(data / "applications" / f"{_NAME}.desktop", write)]


def desktop_entry(words: Sequence[str]) -> str:
    """Returns the text of a ``.desktop`` file that starts a command."""
    values = {
        "Type": "Application",
        "Name": TITLE,
        "Comment": ABOUT,
        "Exec": " ".join(map(_quoted, words)),
        "Icon": _NAME,
        "Terminal": "false",
        "Categories": "Science;ArtificialIntelligence;ImageProcessing;",
        "StartupWMClass": _NAME,
    }
    return "\n".join([f"# {MARK}", "[Desktop Entry]", *(f"{key}={value}" for key, value in values.items()), ""])


def _quoted(word: str) -> str:
    """Quotes an argument: for the argument itself, then for the value that it is in, and % for field codes."""
    quoted = "".join(f"\\{sign}" if sign in '"`$\\' else sign for sign in word)
    value = quoted.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{value.replace("%", "%%")}"'


def _macos(home: Path) -> list[ShortcutFile]:
    """An application bundle in the user's own Applications folder."""
    contents = home / "Applications" / f"{TITLE}.app" / "Contents"
    facts = {
        "CFBundleName": TITLE,
        "CFBundleIdentifier": "studio.crots.shortcut",
        "CFBundleExecutable": _NAME,
        "CFBundleIconFile": _NAME,
        "CFBundlePackageType": "APPL",
        "NSHighResolutionCapable": True,
        "NSHumanReadableCopyright": MARK,
    }
    owner = contents / "Info.plist"
    script = f'#!/bin/sh\n# {MARK}\nexec {shlex.join(command())} "$@"\n'
    icon = (resource_folder() / "icons" / f"{_NAME}.icns").read_bytes()
    return [
        ShortcutFile(contents / "Resources" / f"{_NAME}.icns", _content(icon), owner=owner),
        ShortcutFile(contents / "MacOS" / _NAME, _content(script.encode()), program=True),
        ShortcutFile(owner, _content(plistlib.dumps(facts))),
    ]


def _windows(environment: Mapping[str, str]) -> list[ShortcutFile]:
    """A link in the user's own start menu, made by the PowerShell that every Windows has."""
    roaming = environment.get("APPDATA")
    if not roaming:
        raise InputError("APPDATA is not set, so the start menu cannot be found; run this in an ordinary session")
    menu = Path(roaming) / "Microsoft" / "Windows" / "Start Menu" / "Programs"
    return [ShortcutFile(menu / f"{TITLE}.lnk", lambda path: _make_link(path, environment))]


def _make_link(path: Path, environment: Mapping[str, str]) -> None:
    make_folder(path.parent)
    target, *arguments = command()
    values = {
        "CROTS_LINK": str(path),
        "CROTS_TARGET": target,
        "CROTS_ARGUMENTS": subprocess.list2cmdline(arguments),
        "CROTS_ICON": str(resource_folder() / "icons" / f"{_NAME}.ico"),
        "CROTS_DESCRIPTION": f"{ABOUT} ({MARK})",
    }
    # By its whole path: a program of the same name elsewhere is not meant.
    shell = Path(environment.get("SystemRoot", r"C:\Windows")) / "System32/WindowsPowerShell/v1.0/powershell.exe"
    done = subprocess.run(
        [str(shell), "-NoProfile", "-NonInteractive", "-Command", _MAKE_LINK],
        env={**environment, **values}, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode or not path.is_file():
        raise StageError(f"cannot write {path}: PowerShell reported: {' '.join(done.stderr.split()) or 'nothing'}")
