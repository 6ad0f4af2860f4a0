"""The bar at the top: the project, what is being done, how fast and until when; run, pause, stop, cancel, device."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from crots.outlook import FINISHED, may_be_fewer, to_run
from crots_studio.devices import Device, find_devices, gpu_memory
from crots_studio.icons import icon
from crots_studio.models.names import title
from crots_studio.models.rail import DEMO_STAGES, problem_of
from crots_studio.models.words import byte_count, plural
from crots_studio.panels.run_estimate import RunEstimate
from crots_studio.plain import Elided, Label, plain_tooltip
from crots_studio.session import Session
from crots_studio.widgets.icon_button import IconButton
from crots_studio.widgets.run_question import start_run

_MEMORY_MS = 1500
_RUNS = "Runs all stages that are not done"
_STOPS = "ends after the current step; the work so far is kept"
_CANCELS = "asks first, then ends the run and discards what this stage has done so far"
_ELSEWHERE = "This run was started in a terminal or another window: stop it there"


class RunBar(QFrame):
    """Controls the run of a session.

    Signals:
        export_wanted(), apply_wanted(), report_wanted(): everything is done, and the model is to be used or read about.
    """

    export_wanted = Signal()
    apply_wanted = Signal()
    report_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setProperty("role", "bar")
        self.name, self.text, self.pace, self.memory = Elided(), Elided(), Label(), Label()
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName("Progress of the stage")
        self.bar.setTextVisible(False)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        self.run = QPushButton("Run")
        self.run.setProperty("role", "primary")
        self.run.setIcon(icon("play", "white"))
        self.run.clicked.connect(lambda: start_run(session, self))
        self.pause = IconButton("pause", "Pause", session.run.toggle_pause, flat=False)
        self.stop = IconButton("stop", "Stop and keep", lambda: session.run.stop(), flat=False)
        self.cancel = IconButton("discard", "Cancel ...", self._cancel, flat=False, role="bad")
        self.estimate = RunEstimate(session)
        # In the place of the estimate, once nothing is left to run.
        self.export = QPushButton("Export ...")
        # Filled like Run, which is not enabled when this is shown: there is one next step.
        self.export.setProperty("role", "primary")
        self.export.setIcon(icon("export", "white"))
        self.export.setToolTip("Writes the adapted model as ONNX, safetensors, ... (Ctrl+E)")
        self.export.clicked.connect(self.export_wanted)
        self.apply = IconButton(
            "images", "Apply a model", self.apply_wanted.emit, tip="predicts a folder, an image or a video", flat=False
        )
        self.report = IconButton(
            "report",
            "Create report",
            self.report_wanted.emit,
            tip="a page of all figures, in the browser",
            flat=False,
        )
        self.device = QComboBox()
        self.device.setAccessibleName("Device")
        self.device.setToolTip("Where networks run")
        self.device.activated.connect(self._device_chosen)
        self.apart = QCheckBox("separate process")
        self.apart.setToolTip(
            "Runs in a separate process, which survives closing this window and a crash of the graphics driver"
        )
        self.apart.clicked.connect(lambda on: setattr(session.run, "in_child", on))
        self._lay_out()
        self._timer = QTimer(self, interval=_MEMORY_MS)
        self._timer.timeout.connect(self._measure)
        for signal in (session.run.changed, session.opened.project_changed, session.opened.config_changed):
            signal.connect(self.refresh)
        session.run.blocker_changed.connect(self.refresh)
        session.opened.status_changed.connect(self.refresh)
        session.queue.changed.connect(self.refresh)
        session.run.busy_changed.connect(self._busy)
        session.opened.project_changed.connect(self._find_devices)
        self._devices_found((Device("auto", "auto"), Device("cpu", "CPU")))
        self.refresh()

    def _lay_out(self) -> None:
        self.name.setProperty("role", "heading")
        for label in (self.text, self.pace, self.memory):
            label.setProperty("role", "muted")
        line = QHBoxLayout()
        line.setSpacing(12)
        line.addWidget(self.text, 1)
        line.addWidget(self.pace)
        left = QVBoxLayout()
        left.setSpacing(0)
        left.addWidget(self.name)
        left.addLayout(line)
        left.addSpacing(4)
        left.addWidget(self.bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 4)
        row.setSpacing(8)
        row.addLayout(left, 1)
        # Buttons never move: the second click of a double click must not hit another one.
        for widget in (
            self.memory,
            self.estimate,
            self.report,
            self.apply,
            self.export,
            self.device,
            self.apart,
            self.cancel,
            self.stop,
            self.pause,
            self.run,
        ):
            row.addWidget(widget)
        _keep_width(self.run, "Run", "Resume")

    def refresh(self) -> None:
        """Shows the run as it is now."""
        session, state = self._session, self._session.run.state
        busy, project = session.run.busy, session.project is not None
        self.bar.setVisible(busy)
        # Without an end, the bar moves all the same: one that stands still for a minute looks as if the run hung.
        self.bar.setRange(0, 1000 if not busy or state.fraction_known else 0)
        self.bar.setValue(round(1000 * state.fraction) if busy else 0)
        problems = "" if busy or session.queue.running else self._problems()
        self.text.setText(state.text if busy else problems or self._idle_text())
        self.text.setProperty("role", "warning" if problems else "muted")
        self.text.style().polish(self.text)
        self.text.setToolTip(plain_tooltip(self.text.text()))
        self.name.setText(session.project.folder.name if session.project is not None else "CROTS Studio")
        self.name.setToolTip(plain_tooltip(str(session.project.folder) if session.project is not None else ""))
        self.pace.setText(state.pace if busy else "")
        self.run.setText(self._run_label())
        self.run.setToolTip(plain_tooltip(self._run_tip()))
        finished = project and not busy and bool(session.opened.status) and not self._open_stages()
        for widget in (self.export, self.apply, self.report):
            widget.setVisible(finished)
        here = session.project is not None and session.queue.current == str(session.project.folder)
        self.run.setEnabled(project and not (busy or here or session.run.blocker) and self._open_stages())
        elsewhere = "" if session.run.controllable else _ELSEWHERE
        self.stop.show_as("stop", "Stop and keep", elsewhere or _STOPS)
        self.cancel.show_as("discard", "Cancel ...", elsewhere or _CANCELS)
        if state.paused:
            self.pause.show_as("play", "Resume", elsewhere or "continues with the next step")
        else:
            self.pause.show_as("pause", "Pause", elsewhere or "pauses after the current step")
        for button in (self.pause, self.stop, self.cancel):
            button.setEnabled(busy and not state.stopping and session.run.controllable)
        if busy and session.run.request.compares:
            self.cancel.setEnabled(False)
            self.cancel.setToolTip("A comparison keeps finished results; stop it to continue later")
        elif busy and session.run.request.estimate:
            self.cancel.setEnabled(False)
            self.cancel.setToolTip("An estimate has nothing to discard; stop it")
        self.device.setEnabled(project and not busy)
        self.apart.setEnabled(project and not busy)
        self.apart.setChecked(session.run.in_child)
        if project and session.project is not None:
            index = self.device.findData(session.project.config.runtime.device)
            self.device.setCurrentIndex(index if index >= 0 else 0)

    def _open_stages(self) -> bool:
        return bool(to_run(self._session.opened.status))

    def _states(self) -> list[str]:
        # What was interrupted and would begin anew, for its options have changed since, has no units done.
        states: list[str] = [
            "ready" if stage.state == "interrupted" and not stage.total else stage.state
            for stage in self._session.opened.status
        ]
        # Stages of a demonstration before those that every project has.
        begun = self._session.run.demo_unfinished and any(
            key in self._session.opened.history.stages for key in DEMO_STAGES
        )
        return ["interrupted", *states] if begun else states

    def _run_label(self) -> str:
        states = self._states()
        following = next((state for state in states if state not in FINISHED), "")
        return "Resume" if following in ("interrupted", "failed") else "Run"

    def _idle_text(self) -> str:
        session = self._session
        if session.queue.running:
            return session.queue.summary
        if session.project is None:
            return "No project"
        if session.run.blocker:
            return f"Not ready: {session.run.blocker}"
        if session.opened.looking and not session.opened.status:
            return "Checking the project's files ..."
        if session.opened.status and not self._open_stages():
            return "All stages are done"
        states = self._states()
        if "failed" in states:
            return self._failed_text()
        if "interrupted" in states:
            return "Interrupted: Resume continues from the last checkpoint"
        return self._what_runs()

    def _problems(self) -> str:
        """What is wrong with the models, once all are there: who exports or applies one is to know."""
        opened = self._session.opened
        if self._session.project is None or not opened.status or self._open_stages():
            return ""
        scored = opened.history.evaluated()
        found = [(stage.key, problem_of(stage, scored)) for stage in opened.status]
        problems = [f"{title(key)} {problem}" for key, problem in found if problem]
        # First, since there is room for little.
        return "; ".join([*problems, "all stages are done"]) if problems else ""

    def _failed_text(self) -> str:
        failed = next((stage for stage in self._session.opened.status if stage.state == "failed"), None)
        name = title(failed.key) if failed is not None else "The run"
        goes_on = "Resume continues from the last checkpoint" if failed is not None and failed.done else ""
        return f"{name} failed: fix the cause, then {goes_on or f'{self._run_label()} tries it again'}"

    def _what_runs(self) -> str:
        """How many stages a click on Run runs, and how many results that replaces."""
        project, status = self._session.project, self._session.opened.status
        open_stages = to_run(status)
        again = sum(stage.keeps_earlier for stage in open_stages)
        up_to = "up to " if project is not None and may_be_fewer(project, status) else ""
        label = f"Ready to run {up_to}{plural(len(open_stages), 'stage')}" if open_stages else "Ready to run"
        return f"{label}; replaces {plural(again, 'result')}" if again else label

    def _run_tip(self) -> str:
        project, status = self._session.project, self._session.opened.status
        open_stages = to_run(status)
        if not open_stages or self._session.run.busy:
            return f"{_RUNS} (Ctrl+R)"
        lines = [f"{_RUNS} (Ctrl+R):", ", ".join(title(stage.key) for stage in open_stages)]
        if project is not None and may_be_fewer(project, status):
            lines.append("A later round is left out where the stage before it shows that it would not help.")
        if any(stage.keeps_earlier for stage in open_stages):
            lines.append("Each earlier result stays until the new one is complete.")
        return "\n".join(lines)

    def _cancel(self) -> None:
        # Loaded only when asked for.
        from crots_studio.widgets.discard_question import ask_to_discard

        ask_to_discard(self._session, self)

    def _busy(self, busy: bool) -> None:
        if busy:
            self._timer.start()
            self._measure()
        else:
            self._timer.stop()
            self.memory.clear()
        self.refresh()

    def _measure(self) -> None:
        used = self._session.run.memory()
        parts = [f"RAM {byte_count(used)}"] if used else []
        if not self._session.run.detached and (graphics := gpu_memory()):
            parts.append(f"GPU {byte_count(graphics[0])} of {byte_count(graphics[1])}")
        self.memory.setText(", ".join(parts))

    def _find_devices(self) -> None:
        if self._session.project is not None:
            self._session.errands.in_background(find_devices, self._devices_found, token="devices")

    def _devices_found(self, devices: tuple[Device, ...]) -> None:
        self.device.clear()
        for device in devices:
            self.device.addItem(device.title, device.name)
        self.refresh()

    def _device_chosen(self, index: int) -> None:
        self._session.opened.set_options({"runtime.device": self.device.itemData(index)})


def _keep_width(button: QPushButton, *texts: str) -> None:
    """Gives a button the width of the longest of its texts, so that those beside it never move."""
    shown, widest = button.text(), 0
    for text in texts:
        button.setText(text)
        widest = max(widest, button.sizeHint().width())
    button.setText(shown)
    button.setMinimumWidth(widest)
