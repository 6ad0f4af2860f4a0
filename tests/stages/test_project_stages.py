import dataclasses

from crots.artefacts import section_of, stage_kind
from crots.events import Note, Scored
from crots.nets import user as user_nets
from crots.nets.info import Family
from crots.options import SECTIONS
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots.stages.project_stages import STAGES
from crots.training import budget
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import ends, run


def test_every_stage_of_a_project_has_a_generator_and_options(tmp_path):
    project = Project(tmp_path, override(ProjectConfig(), {"data.val_labels": "labels"}))
    assert {stage_kind(key) for key in project.stage_keys()} == set(STAGES)
    assert {section_of(key) for key in STAGES} <= set(SECTIONS)


def test_a_network_of_one_image_size_trains_without_crops_patches_and_smaller_views(tmp_path, monkeypatch):
    """By default it was given crops on a processor, then patches, and smaller images when it was scored."""
    own = user_nets.info
    only = Family(("own",), user_nets.build, lambda name: dataclasses.replace(own(name), fixed=world.SIZE))
    monkeypatch.setattr(user_nets, "FAMILY", only)
    monkeypatch.setattr(budget, "_WHOLE_PIXELS", dict.fromkeys(budget.RECIPES, 0))
    project = world.white_box(
        tmp_path, student={"net": "", "weights": ""}, mine={"rare": "light"}, adapt={"rounds": 1, "patches": True}
    )
    events = run(project)
    assert set(ends(events).values()) == {"completed"}
    assert "trains on mixes only" in " ".join(note.text for note in world.of(events, Note, "adapt-1"))
    scores = world.of(events, Scored, "adapt-1")[0].values
    assert {"flip", "colour"} <= scores.keys() and "scale" not in scores
