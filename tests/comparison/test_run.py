import json

import pytest
import torch

from crots.artefacts import STUDENT
from crots.comparison.methods import ABLATED_FAULTS, METHODS, ablations, base_config, chosen_methods, method_config
from crots.comparison.plan import CompareJob, plan_runs
from crots.comparison.rivals import SelfTrainingLearner, StatisticsLearner, TentLearner
from crots.comparison.run import STAGE
from crots.comparison.runner import run_comparison
from crots.comparison.table import as_csv, as_text, mean_and_deviation
from crots.config import Size, describe
from crots.errors import InputError
from crots.events import ArtifactWritten, Evaluated, Note, StageFinished, StageStarted
from crots.execution.control import Control
from crots.options import SECTIONS
from crots.project import Project
from crots.project_config import override
from crots.runner import run_project
from crots.training.budget import VIEWS
from crots.training_options import AdaptOptions
from tests.stages import tiny_world as world


def with_labels(folder, **sections):
    return world.white_box(folder, data=world.with_validation(folder), **sections)


def tensors(path):
    from safetensors.torch import load_file

    return load_file(path)


def method(name):
    return next(method for method in METHODS if method.name == name)


def stages_run(folder):
    """How often each stage began, over all event streams below a folder."""
    lines = [line for path in sorted(folder.rglob("events.jsonl")) for line in path.read_text().splitlines()]
    started = [json.loads(line) for line in lines if '"StageStarted"' in line]
    return sorted(event["stage"] for event in started if event["stage"] != "compare")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """All default methods with two seeds; the project, its events and its results."""
    folder = tmp_path_factory.mktemp("compared")
    project = with_labels(folder)
    job = CompareJob(project, chosen_methods(()), (3, 4))
    return job, list(run_comparison(job)), json.loads(job.results_path.read_text())


class TestWhole:
    def test_every_method_has_a_row_with_every_seed(self, compared):
        _, events, found = compared
        assert events[-1].outcome == "completed", events[-1]
        assert found["complete"]
        assert [row["method"] for row in found["rows"]] == [name.name for name in METHODS if not name.asked_only]
        for row in found["rows"]:
            assert row["seeds"] == ([3] if row["method"] == "source" else [3, 4])
            assert set(row["per_class_iou"]) == set(world.NAMES)
            assert len(row["miou"]["values"]) == len(row["seeds"])

    def test_differences_are_to_the_baseline(self, compared):
        _, _, found = compared
        rows = {row["method"]: row for row in found["rows"]}
        assert rows["baseline"]["difference"] is None
        tent, baseline = rows["tent"], rows["baseline"]
        assert tent["difference"] == pytest.approx(tent["miou"]["mean"] - baseline["miou"]["mean"])

    def test_the_baseline_of_a_seed_is_trained_once_and_patches_are_mined_once(self, compared):
        job, _, _ = compared
        # Published patches; the corrected ones are the project's own.
        expected = ["adapt-1", "adapt-2"] * 10 + ["adapt-1"] * 4 + ["baseline"] * 2 + ["mine"]
        assert stages_run(job.folder) == sorted(expected)

    def test_costs_are_those_of_the_methods_own_steps(self, compared):
        _, _, found = compared
        costs = {row["method"]: row["cost"] for row in found["rows"]}
        assert {name: (cost["steps"], cost["passes"]) for name, cost in costs.items()} == {
            "source": (0, 0), "baseline": (4, 1), "bn": (8, 1), "tent": (8, 1), "self-training": (8, 2),
            "cutmix": (8, 2), "classmix": (8, 2), "published": (8, 3), "recommended": (8, 3),
        }  # fmt: skip
        assert all(cost["seconds"]["mean"] > 0 for name, cost in costs.items() if name != "source")

    def test_nothing_is_marked_oracle_and_no_stage_but_scoring_sees_labels(self, compared):
        job, _, found = compared
        assert not any(row["oracle"] for row in found["rows"])
        assert {row["checkpoint"] for row in found["rows"]} == {"last"}
        for run in plan_runs(job):
            for branch in filter(None, (run.branch, run.baseline, run.patches)):
                assert branch.config.data.val_labels is None
                assert branch.config.data.val_images is None

    def test_corrected_with_the_projects_seed_is_what_the_project_itself_gives(self, compared):
        job, _, _ = compared
        assert list(run_project(job.project, until="adapt"))[-1].outcome == "completed"
        own = job.folder / "seed-3" / "recommended" / "adapt-2" / STUDENT
        assert world.weights_of(own) == world.weights_of(job.project.stage_folder("adapt-2") / STUDENT)

    def test_again_nothing_is_run(self, compared):
        job, _, found = compared
        before = stages_run(job.folder)
        events = list(run_comparison(job))
        assert stages_run(job.folder) == before
        assert world.of(events, StageStarted)[0].total == 0
        assert json.loads(job.results_path.read_text()) == found

    def test_what_a_changed_option_touches_is_run_again(self, compared):
        job, _, _ = compared
        before = stages_run(job.folder)
        config = override(job.project.config, {"adapt.jitter": "0.1"})
        names = ("baseline", "self-training", "cutmix")
        list(run_comparison(CompareJob(job.project, chosen_methods(names), (3,), config=config)))
        after = stages_run(job.folder)
        # Self-training never jitters.
        assert len(after) == len(before) + 2
        assert after.count("baseline") == before.count("baseline")

    def test_files(self, compared):
        _, events, found = compared
        kinds = [event.path.rpartition(".")[2] for event in world.of(events, ArtifactWritten, "compare")]
        assert sorted(kinds) == ["csv", "json", "md", "txt"]
        lines = as_csv(found).splitlines()
        assert lines[0] == "method,seed,checkpoint,oracle,steps,seconds,mIoU,road,sky,car,light"
        assert len(lines) == 1 + 1 + 8 * 2
        text = as_text(found)
        assert "CROTS recommended" in text
        assert " ± " in text
        assert as_text(found, markdown=True).startswith("| method | mIoU |")

    def test_finished_methods_keep_their_weights_but_no_checkpoints(self, compared):
        job, _, _ = compared
        assert not list(job.folder.rglob("checkpoint.pt"))
        assert (job.folder / "seed-4" / "tent" / "adapt-1" / STUDENT).exists()

    def test_scores_are_reported_while_it_runs(self, compared):
        _, events, found = compared
        result = {event.subject: event.miou for event in world.of(events, Evaluated, "compare")}
        tent = next(row for row in found["rows"] if row["method"] == "tent")
        assert [result["tent, seed 3"], result["tent, seed 4"]] == tent["miou"]["values"]


class StopAt(Control):
    """Stops at the n-th time it is asked: between two steps, wherever that is."""

    def __init__(self, times):
        super().__init__()
        self.left = times

    def check(self):
        self.left -= 1
        if self.left == 0:
            self.stop()
        super().check()


def test_a_stopped_comparison_continues_and_ends_the_same(tmp_path):
    ends = []
    for name, stops in (("whole", ()), ("stopped", (120, 9, 11))):
        job = CompareJob(with_labels(tmp_path / name), chosen_methods(("baseline", "tent", "recommended")), (0,))
        for stop in stops:
            end = list(run_comparison(job, control=StopAt(stop)))[-1]
            assert (end.stage, end.outcome, end.exit_code) == ("compare", "cancelled", 130)
        if stops:
            assert not job.results_path.exists() or not json.loads(job.results_path.read_text())["complete"]
        assert list(run_comparison(job))[-1].outcome == "completed"
        if stops:
            assert stages_run(job.folder).count("baseline") < 3
        ends.append(
            [world.weights_of(path) for path in sorted((job.folder / "seed-0").rglob(STUDENT))]
            + [[row["miou"] for row in json.loads(job.results_path.read_text())["rows"]]]
        )
    assert ends[0] == ends[1]


def test_without_validation_labels_it_is_refused_before_anything_runs(tmp_path):
    job = CompareJob(world.white_box(tmp_path), chosen_methods(()), (0,))
    with pytest.raises(InputError, match=r"data\.val_images"):
        list(run_comparison(job))
    assert not job.project.stage_folder("pseudo-label").exists()


def test_the_choice_by_labels_is_marked_everywhere(tmp_path):
    job = CompareJob(with_labels(tmp_path), chosen_methods(("published", "published-oracle")), (0,))
    events = list(run_comparison(job))
    rows = json.loads(job.results_path.read_text())["rows"]
    assert [(row["checkpoint"], row["oracle"]) for row in rows] == [("last", False), ("oracle", True)]
    assert [event.oracle for event in world.of(events, Evaluated, "compare")] == [False, True]
    assert "(oracle)" in job.results_path.with_suffix(".txt").read_text()


def test_a_network_without_batch_norm_leaves_those_methods_out(tmp_path):
    project = with_labels(tmp_path, student={"net": "tests.stages.tiny_nets:colour", "weights": "random"})
    job = CompareJob(project, chosen_methods(("baseline", "tent", "cutmix")), (0,))
    events = list(run_comparison(job))
    assert events[-1].outcome == "completed"
    rows = {row["method"]: row for row in json.loads(job.results_path.read_text())["rows"]}
    assert "no batch norm" in rows["tent"]["note"]
    assert rows["tent"]["miou"]["mean"] is None
    assert rows["cutmix"]["miou"]["mean"] is not None
    assert any("no batch norm" in note.text for note in world.of(events, Note) if note.level == "warning")


def test_predictions_without_the_validation_images_leave_the_source_out(tmp_path):
    project = world.black_box(tmp_path, data=world.with_validation(tmp_path))
    job = CompareJob(project, chosen_methods(("source", "baseline")), (0,))
    assert list(run_comparison(job))[-1].outcome == "completed"
    source, baseline = json.loads(job.results_path.read_text())["rows"]
    assert source["miou"]["mean"] is None
    assert source["note"]
    assert baseline["miou"]["mean"] is not None


def test_batch_norm_statistics_are_the_sources_where_the_student_is_the_source(tmp_path):
    """The statistics of a white box change; its weights stay the source's."""
    project = with_labels(tmp_path, source={"net": "tests.stages.tiny_nets:plain"}, student={"net": "", "weights": ""})
    world.write_source(tmp_path / "source.safetensors", world.tiny_classes(tmp_path), "tests.stages.tiny_nets:plain")
    job = CompareJob(project, chosen_methods(("bn",)), (0,))
    assert list(run_comparison(job))[-1].outcome == "completed"
    found = tensors(job.folder / "seed-0" / "bn" / "adapt-1" / STUDENT)
    source = tensors(tmp_path / "source.safetensors")
    same = {name for name in source if torch.equal(source[name], found[name])}
    assert same == {name for name in source if "running" not in name and "num_batches" not in name}


class TestRows:
    def test_ablation_has_one_row_for_each_fault_of_the_options(self, tmp_path):
        config = world.white_box(tmp_path).config
        rows = {row.name: row for row in ablations(config)}
        described = {
            info.fault
            for name in ("mine", "baseline", "adapt")
            for info in describe(SECTIONS[name])
            if info.default != info.published
        }
        assert [name for name in rows if name.startswith("F")] == [
            fault for fault in ABLATED_FAULTS if fault in described
        ]
        assert rows["F2"].settings == {"adapt.confidence_from": "logit"}
        assert rows["F10"].settings == {"mine.min_confidence": 0.0}
        assert {"no-patches", "uniform-patches", "mix-cutmix", "mix-classmix"} <= set(rows)

    def test_a_row_changes_nothing_but_its_switch(self, tmp_path):
        config = world.white_box(tmp_path).config
        whole = method_config(config, method("recommended"), 3)
        for row in ablations(config):
            changed = override(whole, row.settings)
            assert method_config(config, row, 3) == changed
            assert (changed != whole) == bool(row.settings)

    def test_published_has_every_switch_but_the_choice_and_the_shared_baseline(self, tmp_path):
        project = world.white_box(tmp_path)
        config = method_config(project.config, method("published"), 3)
        shared = ("steps", "batch", "learning_rate", "rounds")
        assert all(getattr(config.adapt, name) == getattr(project.config.adapt, name) for name in shared)
        for info in describe(AdaptOptions):
            if info.default != info.published and info.name not in ("select", *shared):
                assert getattr(config.adapt, info.name) == info.published, info.name
        assert config.adapt.select == "last"
        assert config.mine.rare == "published"
        assert config.baseline == base_config(world.white_box(tmp_path / "other").config).baseline

    def test_no_published_set_of_rare_classes_means_the_found_one(self, tmp_path):
        config = world.white_box(tmp_path).config
        assert method_config(config, method("published"), 0, published_rare=False).mine.rare == "auto"

    def test_a_published_project_has_a_corrected_row_too(self, tmp_path):
        config = method_config(world.white_box(tmp_path, profile="published").config, method("recommended"), 0)
        assert config.adapt.confidence_from == "softmax"
        assert config.adapt.select == "label-free"
        assert config.adapt.steps == 4

    def test_methods_without_rounds_get_the_same_steps(self, tmp_path):
        config = method_config(world.white_box(tmp_path).config, method("tent"), 0)
        assert (config.adapt.rounds, config.adapt.steps) == (1, 8)

    @pytest.mark.parametrize("name", ["bn", "tent", "self-training", "cutmix", "classmix"])
    def test_rivals_have_their_whole_budget_and_no_guard(self, tmp_path, name):
        config = override(world.white_box(tmp_path).config, {"adapt.select": "label-free", "adapt.guard": "on"})
        adapt = method_config(config, method(name), 0).adapt
        assert (adapt.select, adapt.guard, adapt.stop_rounds, adapt.patches) == ("last", False, False, False)
        assert adapt.validate_every == adapt.steps

    @pytest.mark.parametrize("names", [("tnet",), ("recommended", "F99")])
    def test_unknown_methods_name_the_nearest(self, tmp_path, names):
        with pytest.raises(InputError, match="unknown method"):
            chosen_methods(names)

    def test_unknown_rows_of_an_ablation(self, tmp_path):
        with pytest.raises(InputError, match="F99"):
            ablations(world.white_box(tmp_path).config, ("F99",))


class TestLearners:
    @pytest.fixture
    def made(self, tmp_path):
        from crots.stages.project_stages import open_material
        from crots.stages.workbench import Workbench

        project = world.white_box(tmp_path)
        list(run_project(project, until="pseudo-label"))
        bench = Workbench(project.config, project.folder, project.cache_folder, "adapt-1")

        def make(kind, **options):
            config = override(project.config, {"adapt.patches": False, **options})
            return kind(
                bench.new_student(), open_material(project, bench), bench.engine, config.adapt, seed=0, stage="s"
            )

        return make

    def step(self, learner, steps=3):
        before = {name: value.clone() for name, value in learner.student.net.state_dict().items()}
        figures = [learner.step(step, learner.load(step), 0.01) for step in range(steps)]
        after = learner.student.net.state_dict()
        return {name for name in before if not torch.equal(before[name], after[name])}, figures

    def test_tent_moves_scale_shift_and_statistics_and_lowers_entropy(self, made):
        moved, figures = self.step(made(TentLearner, **{"adapt.batch": 6}), steps=12)
        assert {name for name in moved if "running" not in name and "num_batches" not in name} == {
            "bn1.weight", "bn1.bias", "bn2.weight", "bn2.bias",
        }  # fmt: skip
        assert figures[-1]["entropy"] < figures[0]["entropy"]

    def test_accumulated_parts_add_up(self, made):
        whole = made(TentLearner, **{"adapt.batch": 4})
        parts = made(TentLearner, **{"adapt.batch": 4, "adapt.accumulate": 2})
        images = whole.load(0)
        assert parts.step(0, images, 0.0)["entropy"] == pytest.approx(float(whole.step(0, images, 0.0)["entropy"]), 0.1)

    def test_statistics_move_nothing_else(self, made):
        moved, _ = self.step(made(StatisticsLearner))
        assert moved
        assert all("running" in name or "num_batches" in name for name in moved)

    def test_self_training_keeps_its_teacher_and_mixes_nothing(self, made):
        learner = made(SelfTrainingLearner)
        teacher = {name: value.clone() for name, value in learner.teacher.model.net.state_dict().items()}
        moved, _ = self.step(learner)
        assert "head.weight" in moved
        assert all(torch.equal(value, teacher[name]) for name, value in learner.teacher.model.net.state_dict().items())
        images = learner.engine.images(learner.load(0).images)
        assert torch.equal(learner.mix(images, 0).images, images.float())


def test_spread():
    assert mean_and_deviation([0.5, 0.7]) == {"mean": pytest.approx(0.6), "deviation": pytest.approx(0.1414, abs=1e-3),
                                  "values": [0.5, 0.7]}  # fmt: skip
    assert mean_and_deviation([0.5])["deviation"] is None
    assert mean_and_deviation([None, None])["mean"] is None


def test_scoring_reads_labels_only_after_training(tmp_path, monkeypatch):
    """Labels that cannot be read stop nothing before the first score."""
    project = with_labels(tmp_path)
    for path in (tmp_path / "truth").rglob("*.png"):
        path.write_bytes(b"not a picture")
    job = CompareJob(project, chosen_methods(("recommended",)), (0,))
    end = list(run_comparison(job))[-1]
    assert isinstance(end, StageFinished)
    assert end.outcome == "failed"
    assert (job.folder / "seed-0" / "recommended" / "adapt-2" / STUDENT).exists()
    assert end.stage == STAGE


def test_rounds_that_are_not_needed_are_neither_run_nor_counted(tmp_path, monkeypatch):
    def ends_rounds(self, key):
        stops = self.config.adapt.stop_rounds and self.record(key) is not None
        return "no better" if stops and key == "adapt-1" else ""

    monkeypatch.setattr(Project, "ends_rounds", ends_rounds)
    project = with_labels(tmp_path, adapt={"stop_rounds": True})
    job = CompareJob(project, chosen_methods(("cutmix", "recommended")), (0,))
    assert list(run_comparison(job))[-1].outcome == "completed"
    steps = {row["method"]: row["cost"]["steps"] for row in json.loads(job.results_path.read_text())["rows"]}
    assert steps == {"cutmix": 8, "recommended": 4}
    assert stages_run(job.folder) == ["adapt-1", "adapt-1", "adapt-2", "baseline"]


def test_rounds_of_a_student_that_started_afresh_are_compared_and_nobody_says_otherwise(tmp_path):
    """Its baseline said that no round follows, and the rounds followed."""
    project = world.black_box(tmp_path, data=world.with_validation(tmp_path), adapt={"stop_rounds": True})
    # Its own run needed neither patches nor rounds.
    list(run_project(project))
    job = CompareJob(project, chosen_methods(("baseline", "recommended")), (4,))
    events = list(run_comparison(job))
    assert events[-1].outcome == "completed" and "adapt-1" in stages_run(job.folder)
    said = [event.text for event in world.of(events, Note)]
    said += [path.read_text() for path in job.folder.rglob("events.jsonl")]
    assert any("random weights" in text for text in said) and not any("no round follows" in text for text in said)
    assert "mine" in {event.stage for event in events} and not any("no stage will use" in text for text in said)


def test_several_workers_are_refused(tmp_path, monkeypatch):
    given = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="one process"):
        list(run_comparison(CompareJob(with_labels(tmp_path), chosen_methods(()), (0,))))


@pytest.mark.parametrize("tile", [None, "32x32"])
def test_open_steps_are_those_that_the_project_itself_would_take(tmp_path, monkeypatch, tile):
    """Tiles count as images."""
    views = dict.fromkeys(VIEWS, (1, 8, 80))
    monkeypatch.setattr("crots.training.budget.VIEWS", views)
    images, labels = tmp_path / "val", tmp_path / "truth"
    big = Size(48, 40)
    world.write_images(images, 3, first=50, size=big)
    world.write_truth(labels, 3, first=50, size=big)
    data = {"val_images": str(images), "val_labels": str(labels), **({"tile": tile, "size": "none"} if tile else {})}
    open_steps = {"baseline": {"steps": 0}, "adapt": {"steps": 0}, "student": {"weights": "random"}}
    project = world.white_box(tmp_path, data=data, **open_steps)
    world.write_images(tmp_path / "images", size=big)
    events = list(run_project(project))
    assert events[-1].outcome == "completed"
    own = {start.stage: start.total for start in world.of(events, StageStarted)}
    job = CompareJob(project, chosen_methods(("baseline", "recommended")), (0,))
    assert list(run_comparison(job))[-1].outcome == "completed"
    budget = json.loads(job.results_path.read_text())["budget"]
    assert (budget["baseline steps"], budget["steps a round"]) == (own["baseline"], own["adapt-1"])
