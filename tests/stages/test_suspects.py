import json
from functools import partial

import numpy as np
import pytest

from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.errors import InputError
from crots.events import ArtifactWritten, Progress, StageFinished
from crots.execution.context import Context
from crots.files import write_json
from crots.label_files import read_labels, write_confidence, write_labels
from crots.methods.suspicion import Opinion
from crots.runner import run_project, run_stage
from crots.stages.suspects import (
    INDEX,
    STAGE,
    SuspectsJob,
    find_suspects,
    read_regions,
    search,
    student_key,
    suspects_of,
)
from crots.training.material import PseudoLabels
from tests.stages import tiny_world as world
from tests.stages.tiny_world import CAR, LIGHT, ROAD, SKY


@pytest.fixture
def labelled(tmp_path, images):
    """Pseudo-labels whose car is a mistake in picture 2 alone, where the source has low confidence of it."""
    for number in range(6):
        labels = world.paint(number)[1]
        confidence = np.full(labels.shape, 0.95, np.float32)
        if number == 2:
            confidence[labels == CAR] = 0.3
        write_labels(tmp_path / "out" / "label_ids" / f"{world.key(number)}.png", labels)
        write_confidence(tmp_path / "out" / "confidence" / f"{world.key(number)}.png", confidence)
    return tmp_path


def job(folder, classes, **more):
    labels = PseudoLabels.below(folder / "out", classes, folder / "corrections")
    samples = open_dataset(folder / "images").samples
    return SuspectsJob(samples, ImageCache(None, world.SIZE, 0), labels, folder / "suspicion", **more)


def ranked(asked):
    events = list(run_stage(partial(find_suspects, asked), Context(STAGE)))
    assert events[-1].outcome == "completed", events[-1]
    assert world.of(events, ArtifactWritten)
    return json.loads((asked.out / INDEX).read_text())


def test_the_unsure_region_comes_first(labelled, classes):
    found = ranked(job(labelled, classes, share=0.02))
    assert found["images"][0]["key"] == world.key(2)
    assert [row["doubt"] for row in found["images"]] == sorted((row["doubt"] for row in found["images"]), reverse=True)
    assert len(found["images"]) == 6
    first = found["regions"][0]
    assert (first["key"], first["name"]) == (world.key(2), "car")
    assert first["reason"].startswith("car: doubt 0.")
    assert found["student"] is None


def test_at_most_so_many_regions_are_kept_and_they_are_the_worst(labelled, classes):
    every = ranked(job(labelled, classes, share=1.0))["regions"]
    few = ranked(job(labelled, classes, share=1.0, regions=2))["regions"]
    assert few == every[:2]
    assert len(every) > 2


def test_one_image_is_read_again_without_a_network(labelled, classes):
    asked = job(labelled, classes, share=0.02)
    found = ranked(asked)
    regions = read_regions(asked.out, asked.pseudo_labels, world.key(2), found["threshold"])
    assert regions[0].label == CAR
    assert list(regions[0].box) == found["regions"][0]["box"]


def test_what_a_person_painted_is_not_suspicious(labelled, classes):
    def sure_of_road(image):
        return Opinion(np.full(image.shape[:2], ROAD), np.ones(image.shape[:2], np.float32))

    labels = read_labels(labelled / "out" / "label_ids" / f"{world.key(2)}.png").copy()
    labels[labels == CAR] = LIGHT
    write_labels(labelled / "corrections" / f"{world.key(2)}.png", labels)
    found = ranked(job(labelled, classes, share=1.0, student=sure_of_road))
    assert not [row for row in found["regions"] if row["key"] == world.key(2) and row["label"] in (CAR, LIGHT)]


def test_a_students_opinion_counts_and_is_reported(labelled, classes):
    def no_sky(image):
        return Opinion(np.full(image.shape[:2], ROAD), np.ones(image.shape[:2], np.float32))

    found = ranked(job(labelled, classes, share=1.0, student=no_sky, student_key="baseline"))
    assert found["student"] == "baseline"
    skies = [row for row in found["regions"] if row["label"] == SKY]
    assert skies
    assert all("the student predicts road" in row["reason"] for row in skies)
    assert (labelled / "suspicion" / "student" / f"{world.key(0)}.png").exists()


def test_overlays_are_drawn_of_the_worst_images(labelled, classes):
    ranked(job(labelled, classes, share=0.02, overlays=1))
    drawn = world.files_below(labelled / "suspicion" / "overlays")
    assert drawn == {f"{world.key(2)}.png"}


def test_without_confidence_or_student_there_is_nothing_to_go_by(labelled, classes):
    for path in (labelled / "out" / "confidence").rglob("*.png"):
        path.unlink()
    (labelled / "out" / "confidence").rename(labelled / "gone")
    end = list(run_stage(partial(find_suspects, job(labelled, classes)), Context(STAGE)))[-1]
    assert isinstance(end, StageFinished)
    assert (end.outcome, end.exit_code) == ("failed", 2)
    assert "run the baseline first" in end.message


def test_a_project_takes_its_last_student_or_the_one_asked_for(tmp_path):
    project = world.black_box(tmp_path)
    with pytest.raises(InputError, match="pseudo-label stage first"):
        suspects_of(project)
    list(run_project(project, until="pseudo-label"))
    assert suspects_of(project).student is None
    list(run_project(project, until="adapt"))
    found = ranked(suspects_of(project, share=0.3))
    assert found["student"] == project.round_keys()[-1]
    assert ranked(suspects_of(project, student="baseline"))["student"] == "baseline"
    assert suspects_of(project, student="none").student is None
    with pytest.raises(InputError, match="did you mean baseline"):
        suspects_of(project, student="bassline")
    with pytest.raises(InputError, match=r"found 'adapt-7'.*`adapt.rounds` is 2"):
        suspects_of(project, student="adapt-7")
    with pytest.raises(InputError, match="mine trains no student; choose one of auto, none, baseline, adapt-1"):
        suspects_of(project, student="mine")


def test_why_a_round_that_is_not_needed_has_no_student(tmp_path):
    """It was called unknown."""
    project = world.black_box(tmp_path, adapt={"stop_rounds": True})
    project.begin("baseline")
    write_json(project.work_folder("baseline") / "choice.json", {"ends_rounds": "it started afresh"})
    project.finish("baseline", 1.0, None)
    words = "adapt-1 was not needed, since it started afresh; choose one of auto, none, baseline"
    with pytest.raises(InputError, match=words):
        student_key(project, "adapt-1")
    # Somebody ran it by name all the same.
    project.begin("adapt-1")
    project.finish("adapt-1", 1.0, None)
    assert student_key(project, "adapt-1") == "adapt-1" and student_key(project, "auto") == "baseline"


@pytest.fixture
def project(tmp_path):
    made = world.black_box(tmp_path)
    list(run_project(made, until="pseudo-label"))
    return made


def searched(project, stop=None):
    """Searches a project as the command does, up to an event of a kind."""
    events = run_stage(partial(search, project, suspects_of(project, student="none")), Context(STAGE))
    for event in events:
        if stop and isinstance(event, stop):
            events.close()
            return None
    return event


def test_what_was_found_stays_until_all_is_found_again(project):
    assert searched(project).outcome == "completed"
    found = project.stage_folder(STAGE)
    before = {path: path.read_bytes() for path in found.rglob("*") if path.is_file()}
    assert found / INDEX in before
    searched(project, stop=Progress)
    assert {path: path.read_bytes() for path in found.rglob("*") if path.is_file()} == before
    (path := project.stage_folder("pseudo-label") / "label_ids" / f"{world.key(0)}.png").unlink()
    assert not path.exists() and searched(project).outcome == "completed"
    assert found / "doubt" / f"{world.key(0)}.png" in before
    assert not (found / "doubt" / f"{world.key(0)}.png").exists()
    assert not project.work_folder(STAGE).exists()


def test_a_search_keeps_files_that_it_did_not_make(project):
    theirs = project.stage_folder(STAGE) / "notes.txt"
    theirs.parent.mkdir()
    theirs.write_text("of the user")
    end = searched(project)
    assert end.outcome == "failed" and end.exit_code == 2 and f"{theirs}: was not made by CROTS" in end.message
    assert theirs.read_text() == "of the user"


def test_what_version_0_1_found_is_replaced(project):
    searched(project)
    (project.folder / "records" / f"{STAGE}.files").unlink()
    (project.folder / "records" / f"{STAGE}.json").unlink()
    assert searched(project).outcome == "completed"
