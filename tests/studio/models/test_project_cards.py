"""What the first page says of projects: whatever their folders hold."""

import shutil

from crots.artefacts import CHOICE
from crots.files import write_json
from crots.project import Project
from crots.project_config import override
from crots.project_status import statuses
from crots_studio.models.project_cards import PICTURE, read_card
from crots_studio.runs.queue import outcome_summary
from tests.studio.fake_project import make_fake_project


def test_a_finished_project_shows_picture_gain_and_state(tmp_path):
    card = read_card(make_fake_project(tmp_path / "town").folder)
    assert card.present and card.state == "all stages done" and card.date
    assert card.first < card.last and card.gain == f"mIoU {card.first:.1%} \u2192 {card.last:.1%}"
    assert card.picture.shape == (PICTURE.height, PICTURE.width, 3) and card.picture.std() > 5
    assert card.name in card.spoken and card.gain in card.spoken


def test_a_project_on_its_way_says_how_far(tmp_path):
    project = make_fake_project(tmp_path / "town", until="baseline")
    card = read_card(project.folder)
    assert card.state == f"2 of {len(project.stage_keys())} stages done"
    assert card.gain == f"mIoU {project.record('baseline')['miou']:.1%}", "as in the rail"
    assert card.picture is not None


def test_images_of_a_split_are_in_the_picture_too(tmp_path):
    """The card was empty: names of images count from the split's own folder."""
    project = make_fake_project(tmp_path / "town")
    folder = project.config.data.target
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    (tmp_path / "moved").rename(folder / "train")
    shutil.copytree(folder / "train", folder / "val")
    assert read_card(project.folder).picture is not None


def test_stages_that_are_stale_are_not_said_to_be_done(tmp_path):
    project = make_fake_project(tmp_path / "town")
    project.config = override(project.config, {"adapt.learning_rate": "2e-4"})
    project.save()
    stale = sum(stage.state == "stale" for stage in statuses(project))
    count = len(project.stage_keys())
    card = read_card(project.folder)
    assert stale and card.state == f"{count - stale} of {count} stages done, {stale} stale"
    assert "stale" in card.spoken


def test_rounds_that_were_not_needed_are_none_to_wait_for(tmp_path):
    project = make_fake_project(tmp_path / "town")
    write_json(project.stage_folder("adapt-1") / CHOICE, {"words": "kept", "ends_rounds": "no round gains more"})
    project.record_path("adapt-2").unlink()
    # What a run would write anew after the last round.
    for key in ("evaluate", "export"):
        project.begin(key)
        project.finish(key, 1.0, None)
    assert read_card(project.folder).state == "all stages done"


def test_damaged_and_missing_projects_are_reported_and_break_nothing(tmp_path):
    project = make_fake_project(tmp_path / "town")
    (project.stage_folder("pseudo-label") / "images.jsonl").write_bytes(b"\xff{")
    (project.stage_folder("evaluate") / "source.json").write_text("[]")
    card = read_card(project.folder)
    assert card.present and card.picture is None and card.first is None
    (project.folder / "crots.toml").write_text("this is [no TOML")
    card = read_card(project.folder)
    assert card.fault and not card.present and "not found" not in card.spoken
    assert card.state.startswith("cannot be opened: ") and "crots.toml" in card.state
    shutil.rmtree(project.folder)
    card = read_card(project.folder)
    assert not card.present and not card.fault and card.state == "not found" and "not found" in card.spoken


def test_a_row_that_leads_out_of_the_project_is_not_followed(tmp_path):
    project = make_fake_project(tmp_path / "town")
    rows = project.stage_folder("pseudo-label") / "images.jsonl"
    rows.write_text('{"key": "../../secret", "image": "/etc/passwd"}\n')
    assert read_card(project.folder).picture is None


def test_a_model_that_was_trained_again_has_its_own_score(tmp_path):
    """The evaluation scored the one before; other panels say so too."""
    project = make_fake_project(tmp_path / "town", rounds=1)
    before = read_card(project.folder)
    project = Project(project.folder, override(project.config, {"adapt.learning_rate": "0.001"}))
    project.save()
    project.begin("adapt-1")
    project.finish("adapt-1", 3.0, 0.123)
    card = read_card(project.folder)
    assert card.last == 0.123 and before.last != 0.123


def test_a_model_with_a_problem_is_told_of_and_by_the_queue_too(tmp_path):
    project = make_fake_project(tmp_path / "town")
    found = {"problem": "has not learnt the pseudo-labels", "words": "the student has not learnt"}
    write_json(project.stage_folder("baseline") / CHOICE, found)
    assert read_card(project.folder).state == "all stages done, 1 with a warning"
    assert outcome_summary(project.folder).endswith("Baseline: the student has not learnt")
