"""The history: series, resumed and repeated stages, scores by subject, the same live and from disk."""

from hypothesis import given
from hypothesis import strategies as st

from crots.eventlog import EventLog
from crots.events import Evaluated, Metrics, Note, Progress, StageFinished, StageStarted
from crots_studio.models.history import History
from crots_studio.models.series import Figure, Series

LOSS = Figure("loss", "loss")


def metrics(step, stage="baseline", **values):
    return Metrics(stage=stage, step=step, values=values or {"loss": 1 / step})


def test_figures_become_series():
    history = History([StageStarted(stage="baseline", total=9), metrics(1, loss=2.0), metrics(2, loss=1.5, rate=0.1)])
    stage = history.stage("baseline")
    loss, rate = (history.curves.series("baseline", Figure("loss", name)) for name in ("loss", "rate"))
    assert loss.steps.tolist() == [1, 2] and loss.values.tolist() == [2.0, 1.5]
    assert rate.steps.tolist() == [2]
    assert stage.total == 9 and history.current == "baseline"


def test_a_resumed_stage_forgets_what_it_will_repeat():
    history = History([StageStarted(stage="baseline", total=9), *map(metrics, (1, 2, 3))])
    history.add([Note(stage="baseline", text="old"), StageStarted(stage="baseline", total=9, resumed_at=2), metrics(3)])
    stage = history.stage("baseline")
    assert history.curves.series("baseline", LOSS).steps.tolist() == [1, 2, 3]
    assert stage.notes == [] and stage.finished is None


def test_a_stage_run_again_starts_empty():
    history = History([StageStarted(stage="baseline", total=9), metrics(1), StageStarted(stage="baseline", total=4)])
    assert history.curves.stages == ()
    assert history.stage("baseline").total == 4


def test_the_evaluation_s_scores_are_those_of_finished_models():
    def score(stage, subject, miou, step=0):
        return Evaluated(stage=stage, subject=subject, miou=miou, per_class_iou={}, step=step)

    history = History(
        [
            score("baseline", "baseline", 0.2, 5),
            score("baseline", "baseline", 0.3, 9),
            score("evaluate", "baseline", 0.4),
            score("evaluate", "source", 0.1),
        ]
    )
    assert history.evaluated() == {"baseline": 0.4, "source": 0.1}


def test_live_and_replayed_are_the_same(tmp_path):
    events = [
        StageStarted(stage="baseline", total=3),
        Progress(stage="baseline", done=1, total=3),
        *map(metrics, (1, 2, 3)),
        StageFinished(stage="baseline", outcome="completed", seconds=1),
    ]
    log = EventLog(tmp_path / "events.jsonl")
    for event in events:
        log.append(event)
    assert History.read(tmp_path / "events.jsonl").stages == History(events).stages


@given(st.lists(st.integers(1, 50)))
def test_steps_of_a_series_rise_whatever_comes(steps):
    series = Series()
    for step in steps:
        series.append(step, float(step))
    steps = series.steps.tolist()
    assert steps == sorted(set(steps))
    assert len(series.steps) == len(series.values)
