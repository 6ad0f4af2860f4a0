"""``crots report`` and what ``crots run`` says at its end, on a black-box project that really ran."""

import json
import shutil
import sys

import pytest

from crots.cli.commands import run as run_module
from crots.label_files import write_confidence
from tests.studio.fake_project import make_fake_project

WILD = '<script>alert("1")</script>'


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Made once: a project is trained."""
    return tmp_path_factory.mktemp("report")


@pytest.fixture
def project(crots, city, folders, tmp_path):
    """A project whose baseline is trained, with a class whose name is markup."""
    if not (folders / "p").exists():
        shutil.copytree(city, folders / "city")
        for index in range(4):
            sure = 0.9 if index else 0.3
            confidence = folders.joinpath("confidence", f"im{index}.png")
            write_confidence(confidence, _filled(sure))
        names = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", WILD]
        lines = "".join(f"{json.dumps(name)}, " for name in names)
        (folders / "classes.toml").write_text(f'name = "own"\nclasses = [{lines}]\n')
        ran = crots(
            "init", folders / "p", "--target", folders / "city" / "images" / "train",
            "--predictions", folders / "city" / "labels" / "train", "--confidence", folders / "confidence",
            "--classes", folders / "classes.toml", "--student", "compact", "--student-weights", "random",
            "--set", "data.size=64x64", "--set", "baseline.steps=2", "--set", "baseline.batch=2",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        ran = crots("run", folders / "p", "--until", "baseline")
        assert ran.code == 0, ran.err
        assert "Not measured" in ran.out
        assert "crots report" in ran.out
    return folders / "p"


def _filled(value):
    import numpy as np

    return np.full((64, 64), value, np.float32)


def test_a_report_that_runs_no_model_does_not_speak_of_images(crots, project, tmp_path):
    ran = crots("report", project, "--images", 0, "--out", tmp_path / "page.html")
    assert ran.code == 0 and "[report] 1 file" in ran.out and "0 images" not in ran.out, ran


def test_it_writes_the_page_and_says_what_changed(crots, project):
    ran = crots("report", project)
    assert ran.code == 0, ran.err
    assert "Not measured against labels" in ran.out
    assert "On 4 target images, baseline gives" in ran.out
    text = (project / "report.html").read_text()
    assert WILD not in text and "&lt;script&gt;" in text
    assert text.count("data:image/jpeg") == 4 and text.count("data:image/png") == 8
    assert len(text) < 2_000_000


def test_json_holds_facts_and_words(crots, project, tmp_path):
    page = tmp_path / "page.html"
    found = json.loads(crots("report", project, "--json", "--out", page, "--images", "2").out)["result"]
    assert found["page"] == str(page)
    assert page.is_file()
    assert len(found["facts"]["changes"]["images"]) == 2
    assert found["facts"]["result"]["key"] == "baseline"
    assert found["words"]["tone"] == "harm", "in so few steps the student has not learnt its labels"
    rows = found["facts"]["changes"]["classes"]
    assert sum(row["before"] for row in rows) == pytest.approx(1)


def test_without_images_no_network_runs(crots, project, monkeypatch):
    monkeypatch.setitem(sys.modules, "crots.stages.workbench", None)
    assert crots("report", project, "--images", "0").code == 0
    assert "data:image" not in (project / "report.html").read_text()


def test_predictions_of_suspects_are_reused(crots, project, monkeypatch):
    from crots.stages import suspects

    assert crots("suspects", project).code == 0
    before = json.loads(crots("report", project, "--json").out)["result"]["facts"]["changes"]["images"]

    def refuse(*_):
        raise AssertionError("the model was run")

    monkeypatch.setattr(suspects, "opinions", refuse)
    again = json.loads(crots("report", project, "--json").out)["result"]["facts"]["changes"]["images"]
    assert again == before
    (project / "suspicion" / "suspicion.json").unlink()
    assert crots("report", project).code == 1, "without them it is run"


def test_a_model_that_cannot_be_opened_costs_the_pictures_only(crots, tmp_path):
    folder = make_fake_project(tmp_path / "fake").folder
    ran = crots("report", folder)
    assert ran.code == 0, ran.err
    assert "the adapted model was not run" in ran.out
    assert "Better: mIoU rose" in ran.out
    text = (folder / "report.html").read_text()
    assert "the adapted model was not run" in text and "<h2>Classes</h2>" in text and "data:image" not in text


def test_labels_that_are_gone_cost_the_pictures_only(crots, project, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(project, folder)
    shutil.rmtree(folder / "pseudo-labels" / "label_ids")
    ran = crots("report", folder)
    assert ran.code == 0, ran.err
    assert "no pseudo-labels of the target's images there any more" in ran.out


def test_a_run_ends_with_what_changed(crots, tmp_path, monkeypatch):
    folder = make_fake_project(tmp_path / "fake").folder
    monkeypatch.setattr(run_module, "run_project", lambda *_, **__: iter(()))
    lines = crots("run", folder).out.splitlines()
    assert lines[0].startswith("Better: mIoU rose from")
    assert lines[-1].endswith("crots report " + str(folder) + " writes what changed as a page")
    assert json.loads(crots("run", folder, "--json").out)["command"] == "run"


@pytest.mark.parametrize(
    ("words", "part"), [(("--images", "-1"), "--images"), (("--images", "201"), "200"), (("--device", "tpu"), "device")]
)
def test_wrong_use(refused, tmp_path, words, part):
    folder = make_fake_project(tmp_path / "fake").folder
    assert part in refused("report", folder, *words)


def test_nothing_has_run(refused, tmp_path):
    folder = make_fake_project(tmp_path / "fake", until="").folder
    assert "crots run" in refused("report", folder)
    assert not (folder / "report.html").exists()


def test_a_page_of_the_users_own_is_not_replaced_and_an_earlier_report_is(crots, project):
    page = project / "report.html"
    page.write_text("mine", encoding="utf-8")
    refused = crots("report", project, "--images", "0")
    assert refused.code == 2 and "report.html" in refused.err and page.read_text(encoding="utf-8") == "mine"
    assert crots("report", project, "--images", "0", "--overwrite").code == 0
    assert crots("report", project, "--images", "0").code == 0


@pytest.mark.parametrize(
    "name", ["crots.toml", "events.jsonl", "baseline/student.safetensors", "new.txt", "sub/crots.toml"]
)
def test_a_page_takes_the_place_of_no_file_of_the_project(refused, project, tmp_path, name):
    (tmp_path / "sub").symlink_to(project, target_is_directory=True)
    page = tmp_path / name if name.startswith("sub/") else project / name
    before = page.read_bytes() if page.exists() else None
    message = refused("report", project, "--images", "0", "--out", page, "--overwrite")
    assert "lies in the project" in message and "ends in .html" in message
    assert (page.read_bytes() if page.exists() else None) == before
