"""Notifies of the end of a run: by the desktop if possible, and always by a note in the window."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QPushButton, QStyle, QSystemTrayIcon, QWidget

from crots.artefacts import LABEL_IDS
from crots.errors import InputError
from crots.events import Note
from crots.project import Project
from crots.text import gain
from crots_studio.models.history import History
from crots_studio.models.iou import Scores
from crots_studio.models.names import title
from crots_studio.models.words import in_window, plural
from crots_studio.runs.run import RunEnd
from crots_studio.session import Session
from crots_studio.widgets.class_table import percent
from crots_studio.widgets.toast import Toast

_SHOWN_MS = 20_000
# Pixels, so that the folded log stays visible.
_LOG_LINE = 36


class Notice(NamedTuple):
    """The note about the end of a run; ``worse``: a score fell, a guard stopped a stage, or there are warnings."""

    heading: str
    text: str
    worse: bool = False


def notice_for(
    end: RunEnd,
    scores: Scores,
    *,
    compares: bool = False,
    discarded: bool = False,
    only: str = "",
    problems: str = "",
    warnings: Sequence[Note] = (),
    estimate: bool = False,
    before: Mapping[str, float] | None = None,
    corrected: int = 0,
) -> Notice:
    """Returns what to say of the end of a run.

    Args:
        end: how it ended.
        scores: of the project.
        compares: it was a comparison of methods.
        discarded: it was cancelled, and what the last stage had done is thrown away.
        only: the single stage that was requested, which may leave later ones and their scores stale.
        problems: the text about models of the run with which something is wrong.
        warnings: of the stages of the run, in their order.
        estimate: it only timed what a run would take.
        before: the scores by model when the run began, of the results that it replaced.
        corrected: how many images have labels that the user corrected.
    """
    if (problems or warnings) and end.outcome == "completed":
        notice = notice_for(end, scores, compares=compares, only=only, before=before, corrected=corrected)
        number, message = ("a warning", problems) if problems else _of_warnings(warnings)
        return notice._replace(heading=f"{notice.heading}, with {number}", text=f"{message} {notice.text}", worse=True)
    name = title(end.stage) if end.stage else "The run"
    if end.outcome == "failed":
        message = in_window(end.message)
        heading = "The estimate failed" if estimate else "The run failed"
        return Notice(heading, f"{name}: {message}" if end.stage else f"{message[:1].upper()}{message[1:]}")
    if estimate and end.outcome == "cancelled":
        return Notice("The estimate was stopped", "Nothing was changed.")
    if end.cause == "not begun":
        return Notice("The run was stopped", f"{name} was stopped before it began; nothing was changed.")
    if end.outcome == "cancelled" and discarded:
        return Notice(
            "The run was cancelled", f"The unfinished work of {name} was discarded; earlier results are kept."
        )
    if end.outcome == "cancelled":
        return Notice("The run was stopped", f"{name} can be resumed where it stopped.")
    if compares:
        return Notice("The comparison is finished", "The tab Methods shows what each method gains and costs.")
    best = [score for score in map(scores.latest, scores.subjects) if score and score.miou is not None]
    if only and only != "evaluate":
        own = [score for score in best if score.subject == only]
        best = [*best[:1], *own] if own else []
    if only and not best:
        return Notice("The run is finished", f"{title(only)} is done.")
    if not best:
        return Notice("The run is finished", "All stages that were asked for are done.")
    last, first = best[-1], best[0]
    text, changes = f"{title(last.subject)}: mIoU {percent(last.miou)}%", list[float]()
    if first is not last and last.miou is not None and first.miou is not None:
        changes.append(gain(last.miou, first.miou))
        text += f", {percent(changes[-1], signed=True)} against {title(first.subject)}"
    text += " (oracle)" if last.oracle else ""
    earlier = (before or {}).get(last.subject)
    if earlier is not None and last.miou is not None and earlier != last.miou:
        changes.append(gain(last.miou, earlier))
        text += f", {percent(changes[-1], signed=True)} against the result before"
        text += f"; labels of {plural(corrected, 'image')} are corrected" if corrected else ""
    return Notice("The run is finished", text, worse=any(change < 0 for change in changes))


def _of_warnings(warnings: Sequence[Note]) -> tuple[str, str]:
    """Counts warnings, and says the latest of them."""
    count, latest = len(warnings), warnings[-1]
    text = f"{title(latest.stage)}: {in_window(latest.line).rstrip('.')}."
    if count == 1:
        return "a warning", text
    return f"{count} warnings", f"{text} The log has the {'other' if count == 2 else 'others'}."


def doubts(note: Note) -> bool:
    """Whether a note questions the result of its stage."""
    return note.level == "warning" and not note.known


class Notifier(Toast):
    """The note over the page; hidden while there is nothing to say.

    Args:
        session: whose runs are reported.
        more: label of a button and what it does, such as opening the export dialog; shown after a completed run.
    """

    def __init__(
        self, session: Session, parent: QWidget | None = None, *, more: tuple[str, Callable[[], None]] | None = None
    ) -> None:
        super().__init__(parent, lift=_LOG_LINE)
        self._session = session
        self.more = QPushButton(more[0] if more else "")
        if more:
            self.more.clicked.connect(lambda: more[1]())
        self._has_more = more is not None
        self.row.insertWidget(1, self.more)
        self._tray: QSystemTrayIcon | None = None
        session.run.ended.connect(self._ended)
        session.run.busy_changed.connect(self._begun)
        # When the reported run began.
        self._began = 0.0
        # The scores that it found.
        self._before: dict[str, float] = {}
        # The reported project.
        self._about: Path | None = None
        session.opened.project_changed.connect(self._another_project)

    def _begun(self, busy: bool) -> None:
        if busy:
            self._began = time.time()
            self._before = self._scores_now()
            self.hide()

    def _scores_now(self) -> dict[str, float]:
        scores = Scores.of_history(self._session.opened.history)
        found = [score for score in map(scores.latest, scores.subjects) if score is not None]
        return {score.subject: score.miou for score in found if score.miou is not None}

    def _corrected(self) -> int:
        """How many images have corrected labels."""
        project = self._session.project
        return sum(1 for _ in (project.corrections_path / LABEL_IDS).rglob("*.png")) if project is not None else 0

    def _another_project(self) -> None:
        project = self._session.project
        if self._about is not None and (project is None or project.folder != self._about):
            self.hide()

    def _ended(self, end: RunEnd) -> None:
        self._about = self._session.project.folder if self._session.project is not None else None
        request = self._session.run.request
        compares, discarded = request.compares, self._session.run.state.discarding
        if (request.only == "mine" or request.estimate) and end.outcome == "completed":
            return  # quick, and its result (patches, or the estimate) is in view
        scores, project = Scores.of_history(self._session.opened.history), self._session.project
        scores.rounds = len(project.needed_rounds()) if project is not None else None
        completed = end.outcome == "completed" and not compares
        problems, warnings = (self._problems(), self._warnings()) if completed else ("", [])
        heading, text, worse = notice_for(
            end, scores, compares=compares, discarded=discarded, only=request.only or "", problems=problems,
            warnings=warnings, estimate=request.estimate, before=self._before, corrected=self._corrected(),
        )  # fmt: skip
        role = {"completed": "good", "failed": "bad"}.get(end.outcome, "muted")
        if end.outcome == "completed" and worse:
            # Not green.
            role = "warning"
        self.text.setProperty("role", role)
        self.text.style().polish(self.text)
        self.more.setVisible(self._has_more and end.outcome == "completed" and not compares)
        self.say(f"{heading}. {text}", role)
        window = self.window()
        if not window.isActiveWindow():
            QApplication.alert(window)
            self._tell_desktop(heading, text, failed=end.outcome == "failed")
        elif role == "good":
            self._timer.start(_SHOWN_MS)

    def _problems(self) -> str:
        """What is wrong with the models of this run, and why, in sentences."""
        project = self._session.project
        if project is None:
            return ""
        ran = self._ran(project)
        choices = {key: _choice(project, key) or {} for key in ran}
        return " ".join(
            f"{title(key)}: {choice.get('words', '')}." for key, choice in choices.items() if choice.get("problem")
        )

    def _warnings(self) -> list[Note]:
        """What the stages of this run warned of; the monitor's alarms are those of the last stage alone.

        Not what was known before, from the inputs and options: Set-up says that, and it does not question the result.
        """
        project, history = self._session.project, self._session.opened.history
        if project is None:
            return []
        return [note for key in self._ran(project) for note in history.stage(key).notes if doubts(note)]

    def _ran(self, project: Project) -> list[str]:
        """The stages of this run."""
        history = self._session.opened.history
        return [key for key in project.stage_keys() if self._began <= _ended_at(history, key)]

    def _tell_desktop(self, heading: str, text: str, *, failed: bool) -> None:
        if not (QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages()):
            return
        if self._tray is None:
            icon = self.window().windowIcon()
            if icon.isNull():
                icon = self.style().standardIcon(QStyle.StandardPixmap.SP_ComputerIcon)
            self._tray = QSystemTrayIcon(icon, self)
            self._tray.messageClicked.connect(self._come_up)
        self._tray.show()
        kind = QSystemTrayIcon.MessageIcon.Critical if failed else QSystemTrayIcon.MessageIcon.Information
        self._tray.showMessage(heading, text, kind, _SHOWN_MS)
        # The tray icon is removed after the message.
        QTimer.singleShot(_SHOWN_MS, self._tray, self._tray.hide)

    def _come_up(self) -> None:
        window = self.window()
        window.showNormal() if window.isMinimized() else window.show()
        window.raise_()
        window.activateWindow()


def _ended_at(history: History, key: str) -> float:
    end = history.stage(key).finished
    return end.time if end is not None else -1.0


def _choice(project: Project, key: str) -> dict[str, Any] | None:
    try:
        return project.choice(key)
    except InputError:  # the status of the stage says so
        return None
