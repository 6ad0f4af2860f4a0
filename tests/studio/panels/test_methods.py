"""The table of methods: read from the project, marked where labels chose, and made by a child process."""

import json
import os

import pytest
from PySide6.QtGui import QColor

from crots.comparison.methods import chosen_methods
from crots.comparison.plan import CompareJob, PlannedRun
from crots.comparison.table import comparison_results, write_results
from crots.events import Evaluated, Note, Progress, StageFinished, StageStarted, to_json
from crots.project_config import override
from crots_studio import theme
from crots_studio.models.methods_table import MethodsTable
from crots_studio.panels.methods import MethodsPanel
from crots_studio.runs.child import ChildRun, command_line, remember
from crots_studio.runs.run import RunEnd, RunRequest
from tests.studio.controls import unnamed
from tests.studio.fake_project import make_fake_project
from tests.studio.scripts import FakeChild

NAMES = ("sky", "road")


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path)


def write_comparison(project, seeds=(0, 1)):
    """Results of three methods, one of which labels helped."""
    job = CompareJob(project, chosen_methods(["baseline", "recommended", "published-oracle"]), seeds)
    runs = [PlannedRun(method, seed, _Branch(project, method), None, None) for method in job.methods for seed in seeds]
    scores = {
        (run.method.name, run.seed): {
            "seed": run.seed,
            "seconds": 61.0,
            "report": {
                "miou": 0.5 + 0.02 * run.seed, "per_class_iou": {"sky": 0.9, "road": 0.1 + 0.04 * run.seed},
                "images": 2,
            },
        }
        for run in runs
    }  # fmt: skip
    write_results(job.results_path, comparison_results(job, runs, scores, {}, NAMES, complete=True))


class _Branch:
    def __init__(self, project, method):
        self.config = override(project.config, {"adapt.select": "oracle" if method.oracle else "last"})

    def needed_rounds(self):
        return ("adapt-1",)

    def training_keys(self):
        return ("baseline", "adapt-1")


@pytest.fixture
def panel(show_panel):
    return show_panel(MethodsPanel, 760, 420)


def test_a_project_without_a_comparison_says_what_one_is(qtbot, session, panel, project, open_project):
    assert not panel.run_button.isEnabled()
    open_project(project.folder)
    qtbot.waitUntil(lambda: session.errands.idle)
    assert panel.stack.currentIndex() == 0 and panel.run_button.isEnabled()
    session.opened.set_options({"data.val_labels": "none"})
    assert not panel.run_button.isEnabled() and "labels" in panel.run_button.toolTip()


def test_means_deviations_cost_and_oracle_marks_are_shown(qtbot, session, panel, project, open_project):
    write_comparison(project)
    open_project(project.folder)
    qtbot.waitUntil(lambda: bool(panel.shown), timeout=10_000)
    texts = [[panel.table.item(row, column).text() for column in range(3)] for row in range(3)]
    assert [row[1] for row in texts] == ["51.0 ± 1.4"] * 3
    assert "oracle" in texts[2][0] and "oracle" not in texts[1][0]
    warning = QColor(theme.colours().warning)
    assert panel.table.item(2, 1).foreground().color() == warning != panel.table.item(1, 1).foreground().color()
    assert "start here" in panel.table.item(0, 0).toolTip()
    panel.view.setCurrentIndex(1)
    assert [panel.table.item(row, 0).text() for row in range(3)] == ["sky", "road", "mIoU"]
    assert panel.table.item(1, 2).text() == "12.0 ± 2.8"
    assert panel.table.item(0, 3).foreground().color() == warning
    assert "2 labelled images" in panel.caption.text()
    assert panel.shown.csv.splitlines()[0].startswith("method,seed,checkpoint,oracle")


def test_a_torn_or_foreign_file_counts_as_none(project):
    write_comparison(project)
    path = project.folder / "compare" / "results.json"
    assert MethodsTable.read(project.folder)
    path.write_text('{"rows": [{"method": "a"}]}')
    assert not MethodsTable.read(project.folder)
    path.write_text(path.read_text()[:5])
    assert not MethodsTable.read(project.folder)


def test_the_button_starts_the_same_command_in_a_child(qtbot, session, panel, project, open_project, monkeypatch):
    open_project(project.folder)
    qtbot.waitUntil(lambda: session.errands.idle)
    asked = []
    monkeypatch.setattr(session.run, "start", asked.append)
    panel.seeds.setValue(2)
    panel.steps.setValue(50)
    panel.run_button.click()
    assert asked == [RunRequest(seeds=(0, 1), steps=50)]
    words = command_line(project, asked[0])
    assert words[:2] == ["crots", "compare-methods"] and words[3:] == ["--seeds", "0", "1", "--steps", "50"]


def test_its_events_are_no_part_of_the_project_s_own_story(qtbot, session, project, open_project, monkeypatch):
    open_project(project.folder)
    folder = project.folder / "compare"
    folder.mkdir()
    old = '{"event": "Note", "stage": "compare", "time": 5, "text": "of an earlier one"}\n'
    (folder / "events.jsonl").write_text(old)
    run = ChildRun(session.project, RunRequest(seeds=(0,)), after=0.0)
    assert run.tail.read() == []
    events = [
        StageStarted(stage="compare", total=10),
        Progress(stage="compare", done=5, total=10),
        Note(stage="compare", text="tent is left out"),
        Evaluated(
            stage="compare", subject="tent, seed 0", step=1, miou=0.5, per_class_iou={}, confusion=None, images=2
        ),
        StageFinished(stage="compare", outcome="completed", seconds=1),
    ]
    session.run.request = RunRequest(seeds=(0,))
    seen = []
    session.run.events_arrived.connect(seen.extend)
    child, portions = FakeChild([]), [events]
    child.drain = lambda: portions.pop() if portions else []
    session.run.begin(child)
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert session.run.state.stage == "compare" and session.run.state.total == 10
    assert [type(event).__name__ for event in seen] == ["Note", "StageFinished"]
    assert "compare" not in session.opened.history.stages
    assert json.loads((folder / "events.jsonl").read_text())["time"] == 5
    assert session.run.leave()


def test_a_later_window_follows_the_comparison_that_continues(project):
    asked = RunRequest(seeds=(0, 1), steps=50)
    remember(project, os.getpid(), asked)
    (project.folder / "compare").mkdir()
    found = [Progress(stage="compare", done=1, total=10, time=5.0), Progress(stage="compare", done=2, total=10)]
    (project.folder / "compare" / "events.jsonl").write_text("".join(to_json(event) + "\n" for event in found))
    run = ChildRun(project, None)
    assert run.request == asked
    assert [event.done for event in run.tail.read()] == [2], "what an earlier one said is passed over"
    (project.folder / "studio" / "run.json").write_text('{"pid": 1, "started": 5, "seeds": [0]}')
    assert ChildRun(project, None).request == RunRequest(), "that process is another one by now"


def test_a_comparison_stays_in_its_tab_and_says_that_it_is_finished(qtbot, session, window, project, open_project):
    open_project(project.folder)
    qtbot.waitUntil(lambda: session.errands.idle)
    window.pages.show_tab("methods")
    session.run.request = RunRequest(seeds=(0,))
    session.run.busy_changed.emit(True)
    assert window.workspace.panel_in_front is window.panels["methods"]
    session.run.events_arrived.emit([Note(stage="compare", text="no hard patches", level="warning")])
    assert not window.panels["monitor"].alarm.warnings, "that was not said of this project's stages"
    session.run.ended.emit(RunEnd("completed", "compare"))
    assert "comparison is finished" in window.workspace.notifier.text.text()
    assert window.workspace.notifier.more.isHidden()


def test_every_control_has_a_name(panel):
    assert unnamed(panel) == []
