import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from crots.images import image_size
from crots.label_files import read_labels


@pytest.fixture
def labelled(city, tmp_path):
    """Pseudo-labels as `crots pseudo-label` writes them: the truth, with confidence beside."""
    out = tmp_path / "labelled"
    shutil.copytree(city / "labels" / "train", out / "label_ids")
    for path in (out / "label_ids").iterdir():
        confidence = np.full((64, 64), 255, np.uint8)
        confidence[:32] = 51
        (out / "confidence").mkdir(exist_ok=True)
        Image.fromarray(confidence).save(out / "confidence" / path.name)
    return out


def mine_words(city, labelled, out, *more):
    return [
        "mine", "--images", city / "images" / "train", "--pseudo-labels", labelled / "label_ids", "--classes", "camvid",
        "--out", out, *more,
    ]  # fmt: skip


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_contract(crots, city, labelled, tmp_path):
    out = tmp_path / "patches"
    words = mine_words(city, labelled, out, "--rare", "10", "--grid", "4x4", "--profile", "published")
    ran = crots(*words)
    assert ran.code == 0, ran.err
    # The bicyclist stands in rows 35 to 49 and columns 4 to 9 of the odd images: cells 9 and 13 of the 4x4 grid.
    expected = ["im1_13.png", "im1_9.png", "im3_13.png", "im3_9.png"]
    for folder in ("patches", "labels", "color_labels"):
        assert names(out / folder) == expected
    assert image_size(out / "patches" / "im1_9.png") == (16, 16)
    assert read_labels(out / "labels" / "im1_9.png")[3, 4] == 10


def test_the_published_set_of_the_source_is_mapped(crots, refused, city, labelled, tmp_path):
    words = mine_words(city, labelled, tmp_path / "out", "--rare", "published", "--source-classes", "cityscapes")
    assert "--class-map" in refused(*words)
    ran = crots(*words, "--class-map", "cityscapes-to-camvid", "--json")
    assert ran.code == 0, ran.err
    mined = json.loads((tmp_path / "out" / "patches.json").read_text())
    assert [row["name"] for row in mined["rare"]] == ["sign", "car", "bicyclist"]


def test_confidence_beside_is_found(crots, city, labelled, tmp_path):
    assert crots(*mine_words(city, labelled, tmp_path / "sure", "--rare", "1", "--min-confidence", "0.5")).code == 0
    sure = names(tmp_path / "sure" / "labels")
    shutil.rmtree(labelled / "confidence")
    assert crots(*mine_words(city, labelled, tmp_path / "all", "--rare", "1", "--min-confidence", "0.5")).code == 0
    # The buildings reach from the unsure upper half into the lower one.
    assert set(sure) < set(names(tmp_path / "all" / "labels"))


def test_confidence_can_be_named(crots, city, labelled, tmp_path):
    (labelled / "confidence").rename(tmp_path / "elsewhere")
    words = mine_words(city, labelled, tmp_path / "out", "--rare", "0", "--confidence", tmp_path / "elsewhere")
    ran = crots(*words)
    assert ran.code == 0, ran.err
    # The sky is nowhere sure, so its cells are dropped.
    assert names(tmp_path / "out" / "patches") == []
    assert "no patches" in ran.out


def test_published_layout_is_matched_by_name(crots, city, labelled, tmp_path):
    for folder, ending in ((city / "images" / "train", "leftImg8bit"), (labelled / "label_ids", "gtFine_labelIds")):
        for path in list(folder.iterdir()):
            path.rename(path.with_name(f"{path.stem}_{ending}.png"))
    (labelled / "label_ids").rename(labelled / "train")
    (labelled / "label_ids").mkdir()
    (labelled / "train").rename(labelled / "label_ids" / "train")
    shutil.rmtree(labelled / "confidence")
    ran = crots(*mine_words(city, labelled, tmp_path / "out", "--rare", "10"))
    assert ran.code == 0, ran.err
    # Named after the image, not after its labels.
    assert "im1_leftImg8bit_9.png" in names(tmp_path / "out" / "patches")


def test_classes_by_name(crots, city, labelled, tmp_path):
    ran = crots(*mine_words(city, labelled, tmp_path / "out", "--rare", "bicyclist", "--json"))
    notes = [note["text"] for note in json.loads(ran.out)["notes"]]
    assert any("bicyclist 4" in text for text in notes)


def test_size_comes_from_the_labels(crots, city, labelled, tmp_path):
    for path in [*(labelled / "label_ids").iterdir(), *(labelled / "confidence").iterdir()]:
        Image.fromarray(read_labels(path)[::2, ::2]).save(path)
    assert crots(*mine_words(city, labelled, tmp_path / "out", "--rare", "10")).code == 0
    assert image_size(tmp_path / "out" / "patches" / "im1_9.png") == (8, 8)


def test_runs_again_over_its_own_output(crots, city, labelled, tmp_path):
    assert crots(*mine_words(city, labelled, tmp_path / "out", "--rare", "10")).code == 0
    assert crots(*mine_words(city, labelled, tmp_path / "out", "--rare", "8")).code == 0
    index = json.loads((tmp_path / "out" / "patches.json").read_text())
    assert {tuple(patch["classes"]) for patch in index["patches"]} == {(8,)}


def test_never_deletes_labels_of_somebody_else(refused, city, labelled):
    before = sorted(city.rglob("*.png"))
    line = refused(*mine_words(city, labelled, city, "--rare", "10"))
    assert "did not write" in line
    assert sorted(city.rglob("*.png")) == before


def test_no_torch(city, labelled, tmp_path):
    code = (
        "import sys; from crots.cli.main import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    words = list(map(str, mine_words(city, labelled, tmp_path / "out", "--rare", "10")))
    ran = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr


def test_equal_base_names(refused, crots, city, labelled, tmp_path):
    for folder in (city / "images" / "train", labelled / "label_ids", labelled / "confidence"):
        (folder / "again").mkdir()
        shutil.copy(folder / "im1.png", folder / "again" / "im1.png")
    line = refused(*mine_words(city, labelled, tmp_path / "out", "--rare", "10"))
    assert "again/im1" in line
    assert "--keep-folders" in line
    assert crots(*mine_words(city, labelled, tmp_path / "out", "--rare", "10", "--keep-folders")).code == 0


@pytest.mark.parametrize(("rare", "part"), [("11", "0 to 10"), ("bycyclist", "bicyclist"), ("published", "auto")])
def test_unknown_rare_classes(refused, city, labelled, tmp_path, rare, part):
    assert part in refused(*mine_words(city, labelled, tmp_path / "out", "--rare", rare))


def test_missing_pseudo_label(refused, city, labelled, tmp_path):
    (labelled / "label_ids" / "im2.png").unlink()
    assert "1 of 4 images (im2)" in refused(*mine_words(city, labelled, tmp_path / "out"))


def test_images_that_the_labelling_skipped(crots, city, labelled, tmp_path):
    (labelled / "label_ids" / "im2.png").unlink()
    (labelled / "skipped.json").write_text('{"im2": "truncated"}')
    assert crots(*mine_words(city, labelled, tmp_path / "out", "--rare", "10")).code == 0


def test_labels_of_other_classes(refused, city, labelled, tmp_path):
    Image.fromarray(np.full((64, 64), 18, np.uint8)).save(labelled / "label_ids" / "im1.png")
    line = refused(*mine_words(city, labelled, tmp_path / "out", "--rare", "10"))
    assert "label id 18" in line


def test_no_pseudo_labels(refused, city, tmp_path):
    (tmp_path / "label_ids").mkdir()
    assert "found no pseudo-label" in refused(*mine_words(city, tmp_path, tmp_path / "out"))


def test_out_is_a_file(refused, city, labelled, tmp_path):
    (tmp_path / "out").write_text("")
    assert "is a file" in refused(*mine_words(city, labelled, tmp_path / "out"))
