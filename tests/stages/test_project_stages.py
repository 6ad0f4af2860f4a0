import dataclasses

import pytest

from crots.artefacts import section_of, stage_kind
from crots.events import Evaluated, Note, Scored
from crots.images import write_image
from crots.label_files import write_labels
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


@pytest.mark.parametrize("copied", [True, False])
def test_predictions_are_scored_on_images_of_the_same_name_only_where_they_are_the_same_pictures(tmp_path, copied):
    """Folders numbered from 0 each: the source was scored with its predictions of other pictures."""
    first = 0 if copied else 50
    for number in range(3):
        image, labels = world.paint(first + number)
        write_image(tmp_path / "val" / f"{world.key(number)}.png", image)
        write_labels(tmp_path / "truth" / f"{world.key(number)}.png", labels)
    data = {"val_images": str(tmp_path / "val"), "val_labels": str(tmp_path / "truth")}
    project = world.black_box(tmp_path, data=data, adapt={"rounds": 1})
    events = run(project)
    assert ("source" in {event.subject for event in world.of(events, Evaluated, "evaluate")}) is copied
    said = [note.text for note in world.of(events, Note, "evaluate") if "the source cannot be scored" in note.text]
    assert len(said) == (not copied) and all("is taken for the target's; name the val" in text for text in said)
