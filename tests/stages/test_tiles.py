"""Projects whose images are cut into tiles: whole labels of any size, training on tiles, scores, resuming."""

from collections import Counter

import numpy as np
import pytest
import torch

from crots.artefacts import STUDENT
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.data.tiles import Tiling, cut_map
from crots.errors import InputError
from crots.events import Evaluated, Note, StageStarted
from crots.images import image_size, read_image
from crots.label_files import read_confidence, read_labels, write_confidence, write_labels
from crots.methods.pseudo import likeliest
from crots.project import Project
from crots.source_inputs import card_of
from crots.stages.labellers import NetworkLabels
from crots.stages.project_stages import open_material as material_of
from crots.stages.workbench import Workbench
from crots.training import material as material_module
from crots.training.material import Material, PseudoLabels
from crots.training.refresh import make_refreshed
from crots.training.tiled import logits_of
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import ends, metrics_at, run, states, stop_at, student_of

TILED = {"data": {"size": "none", "tile": "32x32", "tile_overlap": "0.25"}}
# Larger than a tile, smaller, and of odd sides.
SHAPES = (Size(64, 72), Size(80, 40), Size(51, 67), Size(24, 60))
TILES = sum(len(Tiling(Size(32, 32), 0.25).windows(SHAPES[number % 4])) for number in range(6))


def of_many_sizes(folder, count=6, *, first=0):
    for number in range(first, first + count):
        world.write_images(folder, 1, first=number, size=SHAPES[number % 4])
    return folder


@pytest.fixture
def make(tmp_path):
    """Makes projects with images of many sizes, a white-box source and validation labels."""

    def project(name="project", **sections):
        of_many_sizes(tmp_path / "images")
        sections = {**TILED, **sections}
        images, labels = of_many_sizes(tmp_path / "val", 2, first=50), tmp_path / "truth"
        for number in (50, 51):
            world.write_truth(labels, 1, first=number, size=SHAPES[number % 4])
        data = {**TILED["data"], "val_images": str(images), "val_labels": str(labels), **sections.get("data", {})}
        (tmp_path / name).mkdir()
        plain = world.values(tmp_path, **{**sections, "data": data})
        source = world.write_source(tmp_path / "source.safetensors", world.tiny_classes(tmp_path))
        plain["source"] = {"file": str(source), **plain["source"]}
        made = Project.create(tmp_path / name / "here", world.build_config(plain))
        return world.trusted(made)

    return project


def bench_of(project):
    return Workbench(project.config, project.folder, project.cache_folder, "test")


def test_a_whole_project_runs_on_tiles(make):
    project = make(mine={"rare": "light"})
    events = run(project)
    assert set(ends(events).values()) == {"completed"} and set(states(project).values()) == {"done"}
    started = {event.stage: (event.total, event.unit) for event in world.of(events, StageStarted)}
    assert started["pseudo-label"] == (6, "images") and started["mine"] == (TILES, "tiles")
    assert started["evaluate"][1] == "predictions", "of several models"
    assert "patches from 6 images" in "".join(note.text for note in world.of(events, Note, "mine"))
    folder = project.stage_folder("pseudo-label")
    for number in range(6):
        size = SHAPES[number % 4]
        assert image_size(folder / "label_ids" / f"{world.key(number)}.png") == size
        assert image_size(folder / "confidence" / f"{world.key(number)}.png") == size
    assert len(material_of(project, bench_of(project)).tiled(bench_of(project).tiling).samples) == TILES
    for key in ("baseline", "adapt-1", "adapt-2"):
        card = card_of(project.stage_folder(key) / STUDENT)
        assert (card.size, card.tile_overlap) == (Size(32, 32), 0.25)
    patches = sorted((project.stage_folder("mine") / "patches").rglob("*.png"))
    assert patches and {image_size(path) for path in patches} == {Size(16, 16)}
    scores = {event.subject: event.miou for event in world.of(events, Evaluated, "evaluate")}
    assert set(scores) == {"source", "baseline", "adapt-1", "adapt-2"}
    assert scores["source"] > 0.9


def test_labels_are_those_of_the_whole_images(make):
    # A network that looks at one pixel says the same of it wherever it lies.
    project = make(pseudo_label={"batch_norm": "source"})
    run(project, until="pseudo-label")
    bench = bench_of(project)
    whole = NetworkLabels(bench.source, bench.class_map, bench.engine, bench.config.pseudo_label)
    folder = project.stage_folder("pseudo-label")
    for number in range(6):
        image = read_image(bench.dataset.samples[number].image)
        key = bench.dataset.samples[number].key
        expected = whole.label([], image[None])[0]
        assert (read_labels(folder / "label_ids" / f"{key}.png") == expected.labels).all()
        confidence = read_confidence(folder / "confidence" / f"{key}.png")
        np.testing.assert_allclose(confidence, expected.confidence, atol=0.51 / 255 + 1e-5)
        found = bench.labeller().label([], image[None])[0]
        assert found.entropy == pytest.approx(expected.entropy, abs=1e-5)


@pytest.mark.parametrize("batch_norm", ["target", "mixed"])
def test_the_source_takes_its_statistics_from_tiles(make, tmp_path, batch_norm):
    project = make(pseudo_label={"batch_norm": batch_norm}, source={"net": "tests.stages.tiny_nets:plain"})
    classes = world.tiny_classes(tmp_path)
    world.write_source(tmp_path / "source.safetensors", classes, "tests.stages.tiny_nets:plain")
    events = run(project, until="pseudo-label")
    notes = [event.text for event in world.of(events, Note)]
    assert f"the source's batch-norm statistics are those of {TILES // 4 * 4} tiles of target images" in notes
    path = project.stage_folder("pseudo-label") / "confidence" / f"{world.key(0)}.png"
    assert 0.25 <= read_confidence(path).mean() < 1


def test_a_stopped_run_on_tiles_ends_with_the_same_bits(make):
    options = {
        "baseline": {"refresh": 2, "keep_ema": True, "mix": "classmix", "steps": 6, "crop": "24x24", "scale": 1.5},
        "mine": {"rare": "light"},
        "adapt": {"crop": "24x24", "scale": 1.5},
    }
    whole, *stopped = (make(name, **options) for name in ("whole", "baseline", "adapt-1"))
    run(whole)
    for project, stage in zip(stopped, ("baseline", "adapt-1"), strict=True):
        stop_at(project, metrics_at(stage, 3))
        assert states(project)[stage] != "done"
        run(project)
        for key in ("baseline", "adapt-1", "adapt-2"):
            assert student_of(whole, key) == student_of(project, key), (stage, key)


def test_refreshed_labels_are_those_of_whole_images(make, tmp_path):
    project = make()
    run(project, until="pseudo-label")
    bench = bench_of(project)
    model = bench.new_student()
    bench.engine.place(model)
    data = material_of(project, bench).tiled(bench.tiling)
    folder, look = tmp_path / "refreshed", logits_of(model, bench.engine, flip=True)
    first = make_refreshed(model, data, bench.engine, folder, lambda: None)
    alone = 0
    for number, part in enumerate(data.samples):
        image = read_image(part.image)
        whole, sure = bench.tiles().likeliest(image, look)
        labels = read_labels(folder / "label_ids" / f"{part.key}.png")
        assert (labels == cut_map(whole, part.window, world.IGNORE)).all()
        confidence = read_confidence(folder / "confidence" / f"{part.key}.png")
        np.testing.assert_allclose(confidence, cut_map(sure, part.window, 0), atol=0.51 / 255 + 1e-5)
        tile = likeliest(look(bench.engine.images(data.images([number])))).confidence[0].numpy()
        alone += int((abs(tile - cut_map(sure, part.window, 0)) > 0.01).sum())
    assert alone, "a tile by itself says something else at its edges"
    # An image is labelled again where any of its tiles is missing.
    (folder / "confidence" / f"{data.samples[1].key}.png").unlink()
    again = make_refreshed(model, data, bench.engine, folder, lambda: None)
    assert (first.table == again.table).all()


def test_images_and_labels_are_decoded_once_for_all_their_tiles(make, monkeypatch):
    project = make(adapt={"balance": 0.5})
    run(project, until="pseudo-label")
    reads = []

    def counting(path):
        reads.append(path)
        return read_labels(path)

    monkeypatch.setattr(material_module, "read_labels", counting)
    monkeypatch.setattr("crots.data.cache.read_image", lambda path: reads.append(path))
    run(project, until="adapt")
    assert not [path for path in reads if "images" in path.parts], "decoded when they were labelled"
    # Two threads may want one at the same moment.
    assert reads and max(Counter(reads).values()) <= 2 < TILES / 6, [p.name for p in reads]


def test_corrections_of_whole_images_reach_their_tiles(tmp_path, images, classes):
    image = tmp_path / "large" / "a.png"
    world.write_images(tmp_path / "large", 1, size=Size(64, 48))
    sample = open_dataset(tmp_path / "large").samples[0]
    labels = np.zeros((48, 64), np.uint8)
    write_labels(tmp_path / "out" / "label_ids" / f"{sample.key}.png", labels)
    write_confidence(tmp_path / "out" / "confidence" / f"{sample.key}.png", np.full((48, 64), 0.2))
    repainted = labels.copy()
    repainted[40:, 50:] = world.CAR
    write_labels(tmp_path / "corrected" / f"{sample.key}.png", repainted)
    found = PseudoLabels.below(tmp_path / "out", classes, tmp_path / "corrected")
    cache = ImageCache(tmp_path / "cache", None, 10**8)
    data = Material([sample], cache, found).tiled(Tiling(Size(40, 40), 0.25))
    places = range(len(data.samples))
    assert data.size == Size(40, 40) and not image.exists()
    for index, part in enumerate(data.samples):
        x, y, width, height = part.window
        expected = repainted[y : y + height, x : x + width]
        assert (data.labels([index])[0] == expected).all()
        assert (data.labels([index], min_confidence=0.5)[0] == np.where(expected == world.CAR, expected, 255)).all()
        assert (data.repainted(index) == (expected == world.CAR)).all()
    assert data.confidence(places).max() == 1 and data.images(places).shape == (len(places), 40, 40, 3)


def test_labels_of_another_size_than_their_image_are_refused(material):
    for sample in material.samples:
        write_labels(material.pseudo_labels.labels / f"{sample.key}.png", np.zeros((16, 16), np.uint8))
    with pytest.raises(InputError, match="are 16x16 pixels, expected the 32x32 of its image"):
        material.tiled(Tiling(Size(32, 32), 0.25))


def test_a_working_size_beside_tiles_is_refused_and_the_field_is_named(make):
    project = make(data={"size": "32x32"})
    with pytest.raises(InputError, match="expected one of them") as caught:
        _ = bench_of(project).size
    assert caught.value.field == "data.tile"


def test_without_tiles_their_overlap_makes_nothing_stale(tmp_path):
    project = world.white_box(tmp_path)
    inputs = project.inputs()
    assert inputs == world.change(project, data__tile_overlap=0.1).inputs()
    assert inputs != world.change(project, data__size="none", data__tile="32x32").inputs()


def test_a_black_box_labels_whole_images_that_are_trained_on_in_tiles(make, tmp_path):
    project = make()
    for number in range(6):
        world.write_predictions(tmp_path / "said", 1, first=number, size=SHAPES[number % 4])
    project = world.trusted(
        world.change(project, source__file="none", source__predictions=str(tmp_path / "said"), adapt__rounds=1)
    )
    events = run(project, until="adapt")
    assert set(ends(events).values()) == {"completed"}
    for number in range(6):
        path = project.stage_folder("pseudo-label") / "label_ids" / f"{world.key(number)}.png"
        assert image_size(path) == SHAPES[number % 4]


def test_without_gradients_nothing_is_kept_of_the_graph(make):
    bench = bench_of(make())
    model = bench.new_student()
    bench.engine.place(model)
    image = read_image(bench.dataset.samples[0].image)
    blocks = [block for _, block in bench.tiles().blocks(image, logits_of(model, bench.engine))]
    assert blocks and not any(block.requires_grad for block in blocks) and model.training
    assert torch.is_grad_enabled()
