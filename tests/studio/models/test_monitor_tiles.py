"""The tiles at the top of the monitor."""

from crots_studio.models.iou import Scores
from crots_studio.models.monitor_tiles import miou_tile


def test_without_a_score_it_says_whether_one_will_come():
    assert miou_tile(Scores()).note == "no validation labels"
    assert miou_tile(Scores(), labelled=True).note == "not scored yet"
