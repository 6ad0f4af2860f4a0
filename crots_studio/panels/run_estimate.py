"""The estimate of a run beside Run: the stored one, or a button that measures it."""

from __future__ import annotations

from PySide6.QtWidgets import QToolButton, QWidget

from crots.outlook import to_run
from crots_studio.plain import plain_tooltip
from crots_studio.runs.run import RunRequest
from crots_studio.session import Session
from crots_studio.widgets.run_question import start_run

_MEASURES = "Times a few steps of each stage and estimates how long a run takes and how much memory it needs"


class RunEstimate(QToolButton):
    """Shows ``about 14 min, 1.3 GB of memory``, or ``Estimate`` where no estimate holds for the options as they are."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setAutoRaise(True)
        self.setProperty("role", "muted")
        self.clicked.connect(self._measure)
        for signal in (session.opened.status_changed, session.run.blocker_changed, session.run.busy_changed):
            signal.connect(self.refresh)
        for plain in (session.opened.config_changed, session.opened.project_changed, session.run.changed):
            plain.connect(self.refresh)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Shows what is known now."""
        session, found = self._session, self._session.opened.estimate
        left = bool(to_run(session.opened.status))
        self.setVisible(
            session.project is not None and not session.run.busy and left and not session.run.demo_unfinished
        )
        self.setEnabled(not session.run.blocker)
        self.setText(found.short if found else "Estimate")
        tip = "\n".join([*found.parts(), "", f"{_MEASURES}, where options have changed"]) if found else _MEASURES
        self.setToolTip(plain_tooltip(tip))
        self.setAccessibleName(f"Estimate: {found.short}" if found else "Estimate")
        self.setAccessibleDescription(tip)

    def _measure(self) -> None:
        start_run(self._session, self, RunRequest(estimate=True))
