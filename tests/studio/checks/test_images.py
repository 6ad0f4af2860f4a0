"""What the set-up page says of images: counts, layout, sizes, and those that cannot be read."""

import numpy as np
import pytest
from PIL import Image

from crots.images import write_image
from tests.banded import write_tiff
from tests.studio.checks.made import labels


def test_target_counts_layout_and_sizes(look, images):
    found = look("data.target", data__target=images)
    assert (found.level, found.text) == ("good", "4 images, folder layout, 64x48")
    write_image(images / "large.png", np.zeros((96, 96, 3), np.uint8))
    assert "2 sizes, most often 64x48" in look("data.target", data__target=images).text


def test_a_relative_path_is_relative_to_the_project(look, images):
    assert look("data.target", data__target="images").level == "good"


def test_label_maps_are_no_photographs(look, tmp_path):
    folder = labels(tmp_path / "labels", range(11))
    found = look("data.target", data__target=folder)
    assert found.level == "warning" and "look like label maps" in found.text


def test_a_size_of_another_shape_or_far_too_large_is_a_warning(look, images):
    found = look("data.size", data__target=images, data__size="128x64")
    assert found.level == "warning" and "Most images (64x48) have another aspect ratio" in found.text
    found = look("data.size", data__target=images, data__size="6400x6400")
    assert found.level == "warning" and "times as many pixels as most images (64x48)" in found.text
    assert found.text.startswith("6400x6400 has") and found.offers[0].settings == {"data.size": "none"}
    assert look("data.size", data__target=images, data__size="128x96").level == "good", "their own shape"
    found = look("data.size", data__target=images, data__tile="512x512")
    assert found.level == "warning" and found.text.startswith("512x512: most images (64x48) fill only 1/85 of it")
    assert found.offers[0].settings == {"data.tile": "none"}
    assert look("data.size", data__target=images, data__tile="96x96").level == "good"


def test_a_broken_image_keeps_run_waiting_until_it_may_be_left_out(look, images):
    content = (images / "2.png").read_bytes()
    (images / "2.png").write_bytes(content[: len(content) // 2])
    found = look("data.target", data__target=images)
    assert found.level == "bad" and "1 of the 4 checked cannot be read" in found.text and "2.png" in found.text
    (offer,) = found.offers
    mended = look("data.target", data__target=images, data__skip_bad=True)
    assert dict(offer.settings) == {"data.skip_bad": "true"}
    assert mended.level == "warning" and "will be skipped" in mended.text and not mended.offers
    assert any("2.png" in line for line in found.details)


def test_images_of_many_bands_ask_for_three_of_them(look, tmp_path):
    for name in ("a", "b"):
        write_tiff(tmp_path / "many" / f"{name}.tif", np.full((8, 8, 5), 100, np.uint16))
    found = look("data.target", data__target=tmp_path / "many")
    assert found.level == "bad" and found.brief == "which bands?"
    # The offers stand beside it, and the folder above: neither path nor option is named once more.
    assert found.text == (
        "2 images, folder layout, 8x8; a.tif: has 5 bands, expected one (grey) or three (red, green, blue)"
    )
    offered = [{"data.bands": "1,2,3"}, {"data.bands": "3,2,1"}, {"data.bands": "1"}]
    assert [dict(offer.settings) for offer in found.offers] == offered
    skipped = look("data.target", data__target=tmp_path / "many", data__skip_bad=True)
    assert skipped.level == "bad" and skipped.offers == found.offers


def test_floating_point_and_dark_images_ask_for_white(look, tmp_path):
    for kind, pixels in (("share", np.full((8, 8), 0.5, np.float32)), ("dark", np.full((8, 8), 900, np.uint16))):
        (tmp_path / kind).mkdir()
        Image.fromarray(pixels).save(tmp_path / kind / "a.tif")
    found = look("data.target", data__target=tmp_path / "share")
    assert found.level == "bad" and "floating-point values from 0.5 to 0.5" in found.text
    assert found.brief == "which value is white?" and "settings" not in found.text
    assert {"data.white": "1"} in [dict(offer.settings) for offer in found.offers]
    assert look("data.target", data__target=tmp_path / "share", data__white=1.0).level != "bad"
    dark = look("data.target", data__target=tmp_path / "dark")
    assert dark.level == "warning" and [dict(offer.settings) for offer in dark.offers] == [{"data.white": "1023"}]


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_a_missing_or_empty_folder_is_an_error(look, tmp_path, name):
    (tmp_path / "empty").mkdir()
    found = look("data.target", data__target=tmp_path / name)
    assert found.level == "bad"
    assert found.text.startswith(f"{name}: "), "the whole path stands in the field"


def test_a_size_that_is_chosen_before_the_images_is_not_called_a_proposal(look):
    assert "Proposed from the images once" in look("data.size").text
    for chosen in ({"data__size": "64x48"}, {"data__tile": "64x64"}):
        assert "Checked against the images once" in look("data.size", **chosen).text


def test_the_size_is_proposed_and_another_can_go_back_to_it(look, images):
    assert "working size 64x" in look("data.size", data__target=images).text.lower()
    found = look("data.size", data__target=images, data__size="32x32")
    assert found.offers[0].settings == {"data.size": "none"}


def test_large_images_are_offered_tiles_and_tiles_a_way_back(look, images, tmp_path):
    assert look("data.size", data__target=images).offers == (), "nothing is lost by resizing small images"
    write_image(tmp_path / "large" / "one.png", np.zeros((1800, 3200, 3), np.uint8))
    found = look("data.size", data__target=tmp_path / "large")
    assert found.level == "good" and "tiles of 704x704 keep them" in found.text
    assert found.offers[0].settings == {"data.tile": "704x704"}
    found = look("data.size", data__target=tmp_path / "large", data__tile="704x704")
    assert found.level == "good" and "cut into tiles of 704x704" in found.text and "25%" in found.text
    assert found.offers[0].settings == {"data.tile": "none"}
    found = look("data.size", data__target=tmp_path / "large", data__tile="704x704", data__size="512x256")
    assert found.level == "bad" and "expected one of them" in found.text


def test_several_versions_of_the_same_images_are_a_question(look, tmp_path):
    for beta in ("0.01", "0.02"):
        folder = tmp_path / "leftImg8bit_foggy" / "train" / "ulm"
        picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
        write_image(folder / f"ulm_000000_000001_leftImg8bit_foggy_beta_{beta}.png", picture)
    found = look("data.target", data__target=tmp_path)
    assert found.level == "bad" and found.text.endswith("Which ones are to be used?")
    assert found.brief == "which version?"
    assert [dict(offer.settings) for offer in found.offers] == [
        {"data.layout": f"cityscapes-foggy-{beta}"} for beta in ("0.01", "0.02")
    ]
    found = look("data.target", data__target=tmp_path, data__layout="cityscapes-foggy-0.02")
    assert found.text.startswith("1 image")
