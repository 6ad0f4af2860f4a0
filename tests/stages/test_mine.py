"""Hard patches: which cells, under which names, with which labels, and from what."""

import json

import numpy as np
import pytest

from crots.artefacts import PATCH_INDEX
from crots.class_maps import identity_map, load_class_map
from crots.config import Grid, Size, defaults
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.errors import InputError
from crots.events import ArtifactWritten, Note
from crots.execution.context import Context
from crots.images import read_image
from crots.label_files import read_labels, write_confidence, write_labels
from crots.methods.patches import rarity_weights
from crots.opening import published_rare
from crots.options import MineOptions
from crots.stages.mine import MineJob, find_rare, mine_patches
from crots.taxonomy import load_class_set
from crots.training.material import PseudoLabels
from crots.training.patch_set import PatchCorrections, PatchSet, load_index
from tests.stages import tiny_world as world
from tests.stages.tiny_world import CAR, IGNORE, LIGHT, ROAD, SKY


@pytest.fixture
def labels(tmp_path, images):
    """Pseudo-labels: the truth, less sure on the left half."""
    for number in range(6):
        write_labels(tmp_path / "out" / "label_ids" / f"{world.key(number)}.png", world.paint(number)[1])
        confidence = np.full((32, 32), 0.9, np.float32)
        confidence[:, :16] = 0.4
        write_confidence(tmp_path / "out" / "confidence" / f"{world.key(number)}.png", confidence)
    return tmp_path / "out"


def mining(tmp_path, classes, *, corrections=None, size=world.SIZE, published=(LIGHT,), **options):
    options = {"rare": "light", "grid": Grid(4, 4), "min_confidence": 0.0, "keep_folders": True, **options}
    return MineJob(
        open_dataset(tmp_path / "images").samples,
        ImageCache(None, size, 0),
        PseudoLabels.below(tmp_path / "out", classes, corrections),
        MineOptions(**options),
        tmp_path / "mined",
        published,
    )


def cut(*args, **more):
    return list(mine_patches(mining(*args, **more), Context("mine")))


def cells_with(labels, ids, rows=4, columns=4, least=1):
    """Cells 1..rows*columns, row by row, that hold some of the ids: a second way to say what mining should find."""
    height, width = labels.shape[0] // rows, labels.shape[1] // columns
    found = []
    for row in range(rows):
        for column in range(columns):
            cell = labels[row * height : (row + 1) * height, column * width : (column + 1) * width]
            if np.isin(cell, ids).sum() >= least:
                found.append(row * columns + column + 1)
    return found


def test_cells_of_rare_classes_are_cut_and_named_row_by_row(tmp_path, labels, classes):
    events = cut(tmp_path, classes, rare="light,car")
    expected = {
        f"{world.key(number)}_{cell}.png"
        for number in range(6)
        for cell in cells_with(world.paint(number)[1], [LIGHT, CAR])
    }
    for folder in ("patches", "labels", "color_labels"):
        assert world.files_below(tmp_path / "mined" / folder) == expected
    for number in (0, 3):
        image, truth = world.paint(number)
        for cell in cells_with(truth, [LIGHT, CAR]):
            row, column = divmod(cell - 1, 4)
            place = slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8)
            name = f"{world.key(number)}_{cell}.png"
            assert np.array_equal(read_image(tmp_path / "mined" / "patches" / name), image[place])
            assert np.array_equal(read_labels(tmp_path / "mined" / "labels" / name), truth[place])
            colours = classes.palette_array()[truth[place]]
            assert np.array_equal(read_image(tmp_path / "mined" / "color_labels" / name), colours)
    assert world.of(events, ArtifactWritten)[0].kind == "patches"
    assert f"cut {len(expected)} patches from 6 images" in world.of(events, Note)[-1].text


def test_the_index_tells_where_each_patch_is_from(tmp_path, labels, classes):
    cut(tmp_path, classes, rare="light")
    index = load_index(tmp_path / "mined")
    assert index["grid"] == "4x4" and [row["name"] for row in index["rare"]] == ["light"]
    for patch in index["patches"]:
        truth = read_labels(tmp_path / "mined" / "labels" / f"{patch['name']}.png")
        assert patch["name"] == f"{patch['image']}_{patch['cell']}" and patch["classes"] == [LIGHT]
        assert patch["pixels"] == {str(k): int((truth == k).sum()) for k in np.unique(truth)}
        assert 0.39 < patch["confidence"] < 0.91
    assert load_index(tmp_path) is None


def test_an_uneven_grid_leaves_the_rest_out(tmp_path, labels, classes):
    cut(tmp_path, classes, rare="road,sky", grid=Grid(3, 5))
    shapes = {read_image(path).shape[:2] for path in (tmp_path / "mined" / "patches").rglob("*.png")}
    assert shapes == {(10, 6)}
    names = [path.stem.split("_")[-1] for path in (tmp_path / "mined" / "patches").rglob("*000_*.png")]
    assert sorted(map(int, names)) == list(range(1, 16))


def test_min_pixels_asks_for_more_of_a_rare_class(tmp_path, labels, classes):
    cut(tmp_path, classes, rare="car", min_pixels=30)
    expected = {
        f"{world.key(number)}_{cell}.png"
        for number in range(6)
        for cell in cells_with(world.paint(number)[1], [CAR], least=30)
    }
    assert world.files_below(tmp_path / "mined" / "patches") == expected


def test_f10_unsure_pixels_are_ignored_in_patches_and_select_none(tmp_path, labels, classes):
    cut(tmp_path, classes, rare="car", min_confidence=0.0)
    kept_all = world.files_below(tmp_path / "mined" / "patches")
    every = [read_labels(path) for path in sorted((tmp_path / "mined" / "labels").rglob("*.png"))]
    assert not any((patch == IGNORE).any() for patch in every)
    # The left half is unsure: the cells of its two columns go, as nothing rare is left in them.
    cut(tmp_path, classes, rare="car", min_confidence=0.5)
    kept = world.files_below(tmp_path / "mined" / "patches")
    assert kept < kept_all
    assert all((int(name.removesuffix(".png").split("_")[-1]) - 1) % 4 >= 2 for name in kept)
    # A coarser cell has both halves: its unsure pixels stay in the picture, as ignored ones.
    cut(tmp_path, classes, rare="car", min_confidence=0.5, grid=Grid(1, 1))
    for path in (tmp_path / "mined" / "labels").rglob("*.png"):
        patch = read_labels(path)
        assert (patch[:, :16] == IGNORE).all() and not (patch[:, 16:] == IGNORE).any()


def test_f10_both_profiles():
    assert (defaults(MineOptions, "published").min_confidence, defaults(MineOptions, "recommended").min_confidence) == (
        0.0,
        0.5,
    )


def test_labels_without_confidence_are_certain(tmp_path, labels, classes):
    import shutil

    shutil.rmtree(tmp_path / "out" / "confidence")
    cut(tmp_path, classes, rare="car", min_confidence=0.9)
    assert len(world.files_below(tmp_path / "mined" / "patches")) == sum(
        len(cells_with(world.paint(number)[1], [CAR])) for number in range(6)
    )


def names(rare):
    return [row.name for row in rare]


def test_f11_rare_classes_are_found_from_the_predictions_or_taken_as_published(tmp_path, labels, classes):
    # Light has by far the fewest pixels; without the rule's help it is chosen by the frequency of predictions alone.
    found = find_rare(mining(tmp_path, classes, rare="auto", rare_count=1))
    assert "light" in names(found) and len(found) <= 2
    assert any("least frequent" in row.reason for row in found if row.name == "light")
    # Other predictions, other rare classes: here the road is rare and the sky unsure.
    for number in range(6):
        swapped = np.full((32, 32), CAR, np.uint8)
        swapped[:16], swapped[:2, :2] = SKY, ROAD
        confidence = np.where(swapped == SKY, 0.3, 0.9).astype(np.float32)
        write_labels(labels / "label_ids" / f"{world.key(number)}.png", swapped)
        write_confidence(labels / "confidence" / f"{world.key(number)}.png", confidence)
    found = find_rare(mining(tmp_path, classes, rare="auto", rare_count=1))
    assert names(found) == ["road", "sky"]
    assert names(find_rare(mining(tmp_path, classes, rare="published"))) == ["light"]
    assert len(find_rare(mining(tmp_path, classes, rare="auto", rare_count=2))) > len(found) - 1


def test_f11_the_published_set_is_the_sources_in_the_targets_classes():
    cityscapes, camvid = load_class_set("cityscapes"), load_class_set("camvid")
    assert published_rare(identity_map(cityscapes)) == cityscapes.published_rare == (6, 7, 12, 16, 17, 18)
    found = published_rare(load_class_map("cityscapes-to-camvid", None, camvid))
    # Lights and signs are signs there, riders and two-wheelers bicyclists, and trains cars.
    assert [camvid.names[number] for number in found] == ["sign", "car", "bicyclist"]
    assert published_rare(identity_map(camvid)) == ()


def test_f11_reaches_the_patches(tmp_path, labels, classes):
    cut(tmp_path, classes, rare="auto", rare_count=1)
    by_rule = world.files_below(tmp_path / "mined" / "patches")
    cut(tmp_path, classes, rare="published", published=(CAR,))
    published = world.files_below(tmp_path / "mined" / "patches")
    cars = {f"{world.key(n)}_{c}.png" for n in range(6) for c in cells_with(world.paint(n)[1], [CAR])}
    assert published == cars != by_rule


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("3,2", ["light", "car"]), ("light, sky", ["light", "sky"]), ("2,car,2", ["car"]), ("", [])],
)
def test_rare_classes_can_be_named_by_id_or_name(tmp_path, labels, classes, asked, expected):
    assert names(find_rare(mining(tmp_path, classes, rare=asked))) == expected


@pytest.mark.parametrize(
    ("asked", "published", "part"),
    [("4", (), "0 to 3"), ("lihgt", (), "light"), ("published", (), "no published rare classes")],
)
def test_rare_classes_that_are_none_are_refused(tmp_path, labels, classes, asked, published, part):
    with pytest.raises(InputError, match=part):
        find_rare(mining(tmp_path, classes, rare=asked, published=published))


def test_equal_base_names_are_refused_with_the_names_or_kept_apart(tmp_path, classes):
    for folder in ("a", "b"):
        world.write_image(tmp_path / "images" / folder / "one.png", world.paint(0)[0])
        write_labels(tmp_path / "out" / "label_ids" / folder / "one.png", world.paint(0)[1])
    with pytest.raises(InputError, match=r"a/one and b/one.*mine.keep_folders"):
        cut(tmp_path, classes, keep_folders=False)
    assert not (tmp_path / "mined").exists()
    cut(tmp_path, classes, keep_folders=True)
    found = world.files_below(tmp_path / "mined" / "patches")
    assert {name.split("/")[0] for name in found} == {"a", "b"}


def test_without_folders_patches_are_named_by_the_base_name(tmp_path, labels, classes):
    cut(tmp_path, classes, keep_folders=False)
    found = world.files_below(tmp_path / "mined" / "patches")
    assert found and all(name.startswith("street_") and "/" not in name for name in found)


def test_images_are_resized_to_their_labels(tmp_path, labels, classes):
    cut(tmp_path, classes, size=Size(16, 16))
    assert {read_image(path).shape[:2] for path in (tmp_path / "mined" / "patches").rglob("*.png")} == {(8, 8)}


def test_mining_again_leaves_nothing_of_the_last_time(tmp_path, labels, classes):
    cut(tmp_path, classes, rare="car,light")
    cut(tmp_path, classes, rare="light")
    found = world.files_below(tmp_path / "mined" / "patches")
    assert found == world.files_below(tmp_path / "mined" / "labels") and all("_00" in name for name in found)
    assert {patch["classes"][0] for patch in load_index(tmp_path / "mined")["patches"]} == {LIGHT}


def test_no_rare_pixel_at_all_is_a_warning_and_an_empty_set(tmp_path, labels, classes):
    events = cut(tmp_path, classes, rare="light", min_pixels=1000)
    note = world.of(events, Note)[-1]
    assert note.level == "warning" and "no cell has 1000 pixels of light" in note.text
    assert len(PatchSet.open(tmp_path / "mined", classes)) == 0


def test_pixels_that_are_there_but_unsure_are_not_said_to_be_missing(tmp_path, labels, classes):
    note = world.of(cut(tmp_path, classes, rare="light", min_confidence=0.95), Note)[-1]
    assert "no cell has a pixel of light with a confidence of 0.95 or more" in note.text


def test_repainted_labels_take_the_place_of_the_others_and_are_certain(tmp_path, labels, classes):
    repainted = np.full((32, 32), ROAD, np.uint8)
    repainted[:8, :8] = LIGHT
    write_labels(tmp_path / "corrections" / f"{world.key(1)}.png", repainted)
    job = {"corrections": tmp_path / "corrections", "min_confidence": 0.5}
    cut(tmp_path, classes, **job)
    found = world.files_below(tmp_path / "mined" / "patches")
    assert f"{world.key(1)}_1.png" in found
    # The statistics are those of the repainted labels too.
    assert "light" in names(find_rare(mining(tmp_path, classes, rare="auto", rare_count=1, **job)))


def test_corrected_patches_are_left_out_or_relabelled(tmp_path, labels, classes):
    cut(tmp_path, classes, rare="light")
    every = PatchSet.open(tmp_path / "mined", classes).names
    PatchCorrections(frozenset(every[:1]), {every[1]: {LIGHT: CAR}}).write(tmp_path / "project")
    corrections = PatchCorrections.read(tmp_path / "project")
    corrected = PatchSet.open(tmp_path / "mined", classes, corrections)
    assert corrected.names == every[1:]
    before, after = (PatchSet.open(tmp_path / "mined", classes, c).labels([1 - n])[0] for n, c in
                     enumerate((None, corrections)))  # fmt: skip
    assert np.array_equal(np.where(before == LIGHT, CAR, before), after) and (before == LIGHT).any()
    assert PatchCorrections.read(tmp_path / "nowhere") == PatchCorrections()


def test_rarity_counts_what_is_trained_on(tmp_path, labels, classes):
    cut(tmp_path, classes, rare="light,car")
    folder = tmp_path / "mined"
    every = PatchSet.open(folder, classes)
    maps = every.labels(range(len(every)))
    pixels = np.stack([np.bincount(part[part < 4], minlength=4) for part in maps])
    assert every.rarity() == pytest.approx(rarity_weights(pixels))
    lit = [name for name, row in zip(every.names, pixels, strict=True) if row[LIGHT]]
    # Rejected: not counted. Relabelled: nothing is rarer than the car then.
    rejected = PatchSet.open(folder, classes, PatchCorrections(frozenset(lit[:1])))
    assert len(rejected.rarity()) == len(every) - 1
    relabelled = PatchSet.open(folder, classes, PatchCorrections(frozenset(), {name: {LIGHT: ROAD} for name in lit}))
    moved = pixels.copy()
    moved[:, ROAD] += moved[:, LIGHT]
    moved[:, LIGHT] = 0
    assert relabelled.rarity() == pytest.approx(rarity_weights(moved))
    # Patches without an index are counted from their pictures.
    (folder / PATCH_INDEX).unlink()
    assert every.rarity() == pytest.approx(rarity_weights(pixels))


def test_patches_that_do_not_fit_are_refused(tmp_path, labels, classes):
    with pytest.raises(InputError, match="no folder patches/"):
        PatchSet.open(tmp_path / "images", classes)
    cut(tmp_path, classes, rare="light")
    name = PatchSet.open(tmp_path / "mined", classes).names[0]
    world.write_image(tmp_path / "mined" / "patches" / "zz.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match="1 patches have no labels"):
        PatchSet.open(tmp_path / "mined", classes)
    write_labels(tmp_path / "mined" / "labels" / "zz.png", np.zeros((4, 4), np.uint8))
    mixed = PatchSet.open(tmp_path / "mined", classes)
    with pytest.raises(InputError, match="different sizes"):
        mixed.images(range(len(mixed)))
    write_labels(tmp_path / "mined" / "labels" / f"{name}.png", np.full((8, 8), 77, np.uint8))
    with pytest.raises(InputError, match="label id 77"):
        mixed.labels([mixed.names.index(name)])


def test_pseudo_labels_of_other_classes_are_refused(tmp_path, labels, classes):
    write_labels(labels / "label_ids" / f"{world.key(0)}.png", np.full((32, 32), 9, np.uint8))
    with pytest.raises(InputError, match="label id 9"):
        cut(tmp_path, classes)


def test_mining_loads_no_network(tmp_path, labels, classes):
    import subprocess
    import sys

    code = f"""
import sys
from pathlib import Path
from crots.config import Grid, Size
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.methods.patches import rarity_weights
from crots.options import MineOptions
from crots.execution.context import Context
from crots.training.material import PseudoLabels
from crots.stages.mine import MineJob, mine_patches
from crots.taxonomy import load_class_set
folder = Path({str(tmp_path)!r})
labels = PseudoLabels.below(folder / "out", load_class_set(str(folder / "tiny.toml")))
options = MineOptions(rare="light", grid=Grid(4, 4), keep_folders=True)
job = MineJob(open_dataset(folder / "images").samples, ImageCache(None, Size(32, 32), 0), labels, options,
             folder / "mined")
list(mine_patches(job, Context("mine")))
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert json.loads((tmp_path / "mined" / "patches.json").read_text())["patches"]
