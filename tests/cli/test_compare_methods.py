import json

import pytest

from crots.cli.commands import compare_methods as module
from crots.events import Evaluated, StageFinished, StageStarted
from crots.files import write_json
from crots.project import Project


@pytest.fixture
def project(crots, city, weights, tmp_path):
    folder = tmp_path / "p"
    ran = crots(
        "init", folder, "--target", city / "images" / "train", "--classes", "camvid", "--source", weights,
        "--net", "deeplabv2_resnet18", "--val-images", city / "images" / "val", "--val-labels", city / "labels" / "val",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    return folder


def spread(value):
    return {"mean": value, "deviation": 0.01, "values": [value, value]}


FOUND = {
    "complete": True,
    "kind": "methods",
    "seeds": [0, 1],
    "classes": ["road"],
    "images": 2,
    "reference": "baseline",
    "budget": {"batch": 4, "baseline steps": 7, "steps a round": 5, "rounds": 2},
    "rows": [
        {"method": name, "title": title, "about": "", "note": "", "checkpoint": "last", "oracle": oracle,
         "seeds": [0, 1], "settings": {}, "miou": spread(miou), "per_class_iou": {"road": spread(miou)},
         "difference": miou - 0.5, "cost": {"steps": 10, "passes": 2, "seconds": spread(65.0)}}
        for name, title, oracle, miou in (("baseline", "baseline", False, 0.5), ("tent", "Tent", True, 0.625))
    ],
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """Replaces the runner by one that notes what it was asked for."""
    jobs = []

    def run_comparison(job, *, control):
        jobs.append(job)
        yield StageStarted(stage="compare", total=3)
        yield Evaluated(stage="compare", subject="tent, seed 0", step=5, miou=0.625, per_class_iou={"road": 0.625})
        write_json(job.results_path, FOUND)
        yield StageFinished(stage="compare", outcome="completed", seconds=1.0)

    monkeypatch.setattr(module, "run_comparison", run_comparison)
    return jobs


def test_it_shows_the_tables(crots, project, asked):
    ran = crots("compare-methods", project)
    assert ran.code == 0, ran.err
    assert "62.5 ± 1.0" in ran.out
    assert "+12.5" in ran.out
    assert "Tent (oracle)" in ran.out
    assert "tent, seed 0: mIoU 62.5" in ran.out
    assert "1:05" in ran.out
    assert asked[0].seeds == (0, 1, 2)
    assert "published-oracle" not in [method.name for method in asked[0].methods]


def test_options_given_here_stay_here(crots, project, asked):
    before = (project / "crots.toml").read_text()
    crots(
        "compare-methods", project, "--steps", "9", "--set", "adapt.rounds=3", "--methods", "tent", "recommended",
        "--seeds", "5", "5", "6", "--trust",
    )  # fmt: skip
    job = asked[0]
    assert (job.options.baseline.steps, job.options.adapt.steps, job.options.adapt.rounds) == (9, 9, 3)
    assert ([method.name for method in job.methods], job.seeds) == (["tent", "recommended"], (5, 6))
    assert job.options.runtime.trust
    assert job.project.config.runtime.trust
    assert job.project.config.adapt.rounds == Project.open(project).config.adapt.rounds == 1
    assert (project / "crots.toml").read_text() == before


def test_ablation_is_compared_with_the_unchanged_method_by_the_projects_seed(crots, project, asked):
    crots("compare-methods", project, "--ablate", "--methods", "F3", "F5", "--set", "runtime.seed=7")
    assert [method.name for method in asked[0].methods] == ["recommended", "F3", "F5"]
    assert (asked[0].seeds, asked[0].reference) == ((7,), "recommended")
    assert asked[0].results_path.name == "ablation.json"


def test_json_holds_the_result(crots, project, asked):
    found = json.loads(crots("compare-methods", project, "--json").out)
    assert found["result"] == FOUND
    assert found["outcome"] == "completed"


@pytest.mark.parametrize(("name", "start"), [("a.md", "| method"), ("a.csv", "method,seed"), ("a.json", "{"),
                                             ("a.txt", "method")])  # fmt: skip
def test_out_writes_the_form_that_the_suffix_names(crots, project, asked, tmp_path, name, start):
    crots("compare-methods", project, "--out", tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_text().startswith(start)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--methods", "tnet"), "tent"),
        (("--ablate", "--methods", "F99"), "F9"),
        (("--seeds", "-1"), "seeds"),
        (("--seeds",), "--seeds"),
        (("--steps", "0"), "--steps"),
        (("--set", "adapt.mix=catmix"), "cutmix"),
        (("--set", "pseudo_label.flip=off"), "crots run --set"),
        (("--set", "data.size=64x64"), "crots run --set"),
        (("--events", "-", "--json"), "standard output"),
    ],
)
def test_wrong_use(refused, project, asked, words, part):
    assert part in refused("compare-methods", project, *words)
    assert not asked


def test_no_validation_labels(refused, crots, city, weights, tmp_path):
    crots(
        "init", tmp_path / "q", "--target", city / "images" / "train", "--classes", "camvid", "--source", weights,
        "--net", "deeplabv2_resnet18",
    )  # fmt: skip
    assert "data.val_images" in refused("compare-methods", tmp_path / "q")
