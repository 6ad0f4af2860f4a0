"""What must never happen: a stranger's module that tells when it is imported, and a network that tells when asked."""

import importlib
import socket
import sys
import zipfile
from pathlib import Path

MODULE = "crots_canary"
SINGS = "import pathlib\npathlib.Path(__file__).with_name('sung').touch()\n"
FACTORY = SINGS + "def factory(classes):\n    from torch import nn\n    return nn.Conv2d(3, classes, 1)\n"


class Canary:
    """A module in a folder, and the addresses that somebody wanted to reach."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []

    @property
    def sung(self):
        """Whether the module was imported, here or in a child."""
        return MODULE in sys.modules or (self.folder / "sung").exists()

    def quiet(self):
        """Whether neither happened."""
        return not self.sung and not self.asked


def let_in(folder, monkeypatch):
    """Puts the module where Python finds it, and blocks the network."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MODULE}.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    canary = Canary(folder)

    def reach(*args, **kwargs):
        canary.asked.append(args)
        raise OSError("the network is blocked in this test")

    monkeypatch.setattr(socket.socket, "connect", reach)
    monkeypatch.setattr(socket, "getaddrinfo", reach)
    return canary


def write_program(path: Path):
    """A file that counts as a TorchScript program, whatever is in it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("program/constants.pkl", b"")
    return path
