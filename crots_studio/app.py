"""The application: arguments, theme, the window, and rules for garbage collection and exceptions in Qt."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QObject, QSocketNotifier, QTimer
from PySide6.QtWidgets import QApplication

import crots
import crots_studio.overrides  # noqa: F401 - before the modules below
from crots.interpreter import keep_to_ourselves
from crots_studio.models.image_store import PictureQueue
from crots_studio.session import Session
from crots_studio.window import MainWindow

_GC_MS = 2000
_SWITCH_SECONDS = 0.001
# A fault that comes again within that time is the same one.
_SAME_FAULT_S = 2.0
# A collection of that many objects takes about 20 ms, which stops the window and a training.
_MOST_OBJECTS = 50_000


_collect = gc.collect


def collect_here(generation: int = 2) -> int:
    """Replaces `gc.collect`, which libraries call on their threads, where no widget may be destroyed."""
    return _collect(generation) if threading.current_thread() is threading.main_thread() else 0


class Collector(QObject):
    """Collects cyclic garbage on the window's thread only.

    Python would do so in whatever thread allocates next, and destroy widgets in the training thread.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        gc.disable()
        gc.collect = collect_here
        # Libraries warn of leaked objects at exit.
        atexit.register(gc.unfreeze)
        self._turn = self._kept = 0
        self._timer = QTimer(self, interval=_GC_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def collect(self) -> None:
        """Collects young objects every time and older ones sometimes; the many objects of libraries are frozen."""
        young = gc.get_count()[0]
        if young > _MOST_OBJECTS:
            self._set_aside()
            return
        self._turn += 1
        generation = 1 if self._turn % 5 == 0 else 0
        if self._turn % 60 == 0:
            generation = 2
        self._kept += young - gc.collect(generation)
        if self._kept > _MOST_OBJECTS:
            gc.collect()
            self._set_aside()

    def _set_aside(self) -> None:
        """Exempts the present objects from later collections; unreferenced ones are freed all the same."""
        gc.freeze()
        self._kept = 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="crots-studio", description="Adapts segmentation models by point and click.")
    parser.add_argument("project", nargs="?", type=Path, metavar="PROJECT", help="project folder to open")
    parser.add_argument("--version", action="version", version=f"crots-studio {crots.__version__}")
    shortcut = parser.add_mutually_exclusive_group()
    shortcut.add_argument("--install-shortcut", action="store_true", help="add the studio to the desktop's menu")
    shortcut.add_argument("--remove-shortcut", action="store_true", help="take it out of the menu again")
    return parser.parse_args(list(argv))


def make_application(argv: Sequence[str]) -> QApplication:
    """Makes the application object."""
    # OpenCV's full build points Qt at its own, older plugins.
    if "cv2" in os.environ.get("QT_QPA_PLATFORM_PLUGIN_PATH", ""):
        del os.environ["QT_QPA_PLATFORM_PLUGIN_PATH"]
    # Painters would hand parts of long lines to threads, and wait for these where a training takes all cores.
    os.environ.setdefault("QT_NO_GUI_THREADPOOL", "1")
    # A thread that wants Python's lock asks for it after this time: the window's must not wait five times as long.
    sys.setswitchinterval(_SWITCH_SECONDS)
    application = QApplication(list(argv))
    application.setApplicationName("crots-studio")
    application.setDesktopFileName("crots-studio")
    return application


def main(argv: Sequence[str] | None = None) -> int:
    """Shows the window and returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    keep_to_ourselves()
    args = parse(words)
    if args.install_shortcut or args.remove_shortcut:
        return change_shortcut(remove=args.remove_shortcut)
    application = make_application(["crots-studio", *words])
    session = Session()
    session.refresh_theme()
    window = MainWindow(session)
    Collector(session)
    report_exceptions(session)
    notice_interrupts(window)
    # By default Qt keeps running if the window is closed while panels are still being made.
    application.lastWindowClosed.connect(lambda: application.exit(0))
    window.open_up()
    QTimer.singleShot(0, lambda: open_first(window, args.project))
    code = application.exec()
    return leave(code)


def change_shortcut(*, remove: bool) -> int:
    """Adds the studio to the desktop's menu or removes it, prints the files, and returns the exit code."""
    from crots.errors import CrotsError
    from crots_studio import shortcut

    try:
        files = (shortcut.remove if remove else shortcut.install)(shortcut.entries())
    except CrotsError as error:
        print(f"crots-studio: {error}", file=sys.stderr)
        return error.exit_code
    for path in files:
        print(f"{'removed' if remove else 'wrote'} {path}")
    if not files:
        print("there is no menu entry that crots-studio made")
    return 0


def open_first(window: MainWindow, project: Path | None) -> None:
    """Opens the project of the command line; makes the panels as soon as the window has been painted."""
    if project is not None:
        window.project_actions.go_to_project(project)
    else:
        window.pages.build_gently()


def report_exceptions(session: Session) -> None:
    """A fault in a slot or in an override is shown in the log, and does not end the application."""
    told: dict[str, float] = {}

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        # What fails while something is painted fails with every frame.
        before, told[text] = told.get(text, -_SAME_FAULT_S), time.monotonic()
        if told[text] - before < _SAME_FAULT_S:
            return
        print(text, file=sys.stderr)
        if issubclass(kind, Exception):
            with contextlib.suppress(RuntimeError):
                session.problem.emit(f"unexpected {kind.__name__}: {error}\n{text}")

    sys.excepthook = report


def notice_interrupts(window: MainWindow) -> None:
    """Ctrl-C in the terminal closes the window as its button does; Qt's loop would not notice it."""
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, lambda *_: window.close())
        # Sockets and no pipe: Windows can watch nothing else.
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        notifier = QSocketNotifier(reading.fileno(), QSocketNotifier.Type.Read, window)
        notifier.activated.connect(lambda: reading.recv(64))
        # Stays open until the process ends.
        signal.set_wakeup_fd(writing.detach())


def leave(code: int, patience: float = 2.0) -> int:
    """Returns the exit code, or ends the process if a thread still computes something that is no longer needed.

    A thread that comes back from machine code while Python is being taken down would abort the process.
    """
    PictureQueue.stop_all()
    end = time.monotonic() + patience
    # Python made up an object for Qt's own thread of a run; it has ended, and cannot be waited for.
    ours = [thread for thread in threading.enumerate() if type(thread) is threading.Thread]
    others = [thread for thread in ours if thread is not threading.current_thread()]
    for thread in others:
        thread.join(max(0.0, end - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
