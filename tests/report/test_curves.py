import math

from crots.events import Evaluated, Metrics, Note, Scored, StageStarted
from crots.report.curves import POINTS, stage_logs


def metrics(step, **values):
    return Metrics(stage="baseline", step=step, values=values)


def test_a_resumed_run_repeats_what_came_after_its_checkpoint_and_a_new_one_everything():
    events = [
        StageStarted(stage="baseline", total=100),
        metrics(10, loss=3.0),
        metrics(20, loss=9.0),
        Note(stage="baseline", text="old"),
        StageStarted(stage="baseline", total=100, resumed_at=10, device="cuda"),
        metrics(15, loss=2.0),
        Note(stage="baseline", text="new", level="warning"),
    ]
    stage = stage_logs(events)["baseline"]
    curves = stage.curves("baseline")
    assert (curves.losses[0].steps, curves.losses[0].values) == ((10, 15), (3.0, 2.0))
    assert [(remark.text, remark.warning) for remark in stage.remarks] == [("new", True)]
    assert stage.device == "cuda"
    again = stage_logs([*events, StageStarted(stage="baseline", total=50), metrics(10, loss=1.0)])["baseline"]
    assert again.curves("baseline").losses[0].values == (1.0,)


def test_rates_are_no_losses_and_finished_models_no_points():
    events = [
        metrics(10, loss=1.0, **{"learning rate": 1e-4, "confidence weight": 0.5}),
        Scored(stage="baseline", step=10, values={"fit": 0.9}),
        Evaluated(stage="baseline", subject="baseline", step=10, miou=0.5, per_class_iou={}),
        Evaluated(stage="evaluate", subject="baseline", miou=0.6, per_class_iou={}),
    ]
    stages = stage_logs(events)
    curves = stages["baseline"].curves("baseline")
    assert [curve.name for curve in curves.losses] == ["loss"]
    assert [curve.name for curve in curves.scores] == ["fit"]
    assert curves.miou.values == (0.5,)
    assert stages["evaluate"].curves("evaluate") is None


def test_long_curves_are_thinned_to_means_and_what_is_not_finite_is_left_out():
    events = [metrics(step, loss=math.nan if step == 5 else float(step % 2)) for step in range(1, 10_001)]
    (curve,) = stage_logs(events)["baseline"].curves("baseline").losses
    assert len(curve.steps) <= POINTS
    assert curve.steps[-1] == 10_000
    assert all(0.3 < value < 0.7 for value in curve.values)
