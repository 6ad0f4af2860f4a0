"""The tiles at the top of the monitor."""

import pytest

from crots.events import Metrics, StageStarted
from crots_studio.models.history import History
from crots_studio.models.iou import Scores
from crots_studio.models.monitor_tiles import loss_tile, miou_tile, time_tile
from crots_studio.models.run_state import ESTIMATING, MEASURING, STARTING, RunState
from crots_studio.models.series import Curves


def test_without_a_score_it_says_whether_one_will_come():
    assert miou_tile(Scores()).note == "no validation labels"
    assert miou_tile(Scores(), labelled=True).note == "not scored yet"


@pytest.mark.parametrize(
    ("losses", "way"),
    [
        ((0.10, 0.14, 0.09, 0.15, 0.08, 0.13, 0.11), "steady"),
        ((0.5, 0.4, 0.33, 0.28, 0.24, 0.21, 0.2), "falling"),
        ((0.2, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6), "rising"),
        ((0.2,) * 5, "steady"),
        ((0.0,) * 5, "steady"),
        ((0.3, 0.31, 0.3, 0.3, 0.3, 0.3, 0.302), "steady"),
    ],
)
def test_a_noisy_loss_is_not_said_to_rise(losses, way):
    curves = Curves()
    events = [Metrics(stage="adapt-1", step=10 * step, values={"loss": value}) for step, value in enumerate(losses, 1)]
    curves.add([StageStarted(stage="adapt-1", total=80), *events])
    tile = loss_tile(curves)
    assert tile.note == f"Round 1: {way}" and tile.tone == ("warning" if way == "rising" else "muted")


@pytest.mark.parametrize(
    ("losses", "note"), [((0.274,), "one value so far"), ((0.154, 0.152, 0.274), "3 values so far")]
)
def test_a_few_values_are_no_trend(losses, note):
    """Nor a warning: three of a real run were said to rise, and the next ones fell."""
    curves = Curves()
    events = [Metrics(stage="adapt-1", step=10 * step, values={"loss": value}) for step, value in enumerate(losses, 1)]
    curves.add([StageStarted(stage="adapt-1", total=60), *events])
    tile = loss_tile(curves)
    assert (tile.figure, tile.note, tile.tone) == ("0.274", f"Round 1: {note}", "muted")


def test_what_comes_before_the_first_stage_fits_into_its_tile():
    """It ended in an ellipsis within the sentence, "timing a few steps of ..."."""
    run = RunState()
    for opening, short in ((STARTING, "Starting ..."), (MEASURING, "Starting ..."), (ESTIMATING, "Estimating ...")):
        run.begin(opening=opening)
        assert time_tile(run, History()).note == short
    run.paused = True
    assert "paused" in time_tile(run, History()).note
