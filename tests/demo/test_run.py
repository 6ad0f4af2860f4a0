import json

import pytest

from crots.demo.run import TINY, demo_config, demo_events
from crots.errors import InputError
from crots.events import Evaluated, StageFinished
from crots.project import Project
from crots.project_status import statuses


@pytest.mark.slow
def test_the_tiny_demonstration_runs_every_stage_and_leaves_a_project(tmp_path):
    folder = tmp_path / "demo"
    events = list(demo_events(folder, tiny=True))
    ends = [event for event in events if isinstance(event, StageFinished)]
    assert [end.stage for end in ends] == [
        "render", "train", "pseudo-label", "baseline", "mine", "adapt-1", "evaluate", "export",
    ]  # fmt: skip
    assert {end.outcome for end in ends} == {"completed"}
    scored = [event.subject for event in events if isinstance(event, Evaluated) and event.stage == "evaluate"]
    assert scored == ["source", "baseline", "adapt-1"]
    assert {status.state for status in statuses(Project.open(folder))} == {"done"}
    assert not (folder / "data" / "target" / "labels").exists(), "the target has no labels on disk"
    report = json.loads((folder / "evaluation" / "source.json").read_text())
    assert report["images"] == TINY.validation
    # A second call finds everything done.
    assert list(demo_events(folder, tiny=True)) == []


def test_the_demonstration_is_an_ordinary_configuration():
    config = demo_config(TINY)
    assert config.profile == "recommended" and config.adapt.select != "oracle"


def test_two_demonstrations_do_not_write_into_one_folder(tmp_path):
    first = demo_events(tmp_path / "demo", tiny=True)
    next(first)
    with pytest.raises(InputError, match="another run is active"):
        next(demo_events(tmp_path / "demo", tiny=True))
    first.close()
    again = demo_events(tmp_path / "demo", tiny=True)
    assert next(again).stage == "render"
    again.close()
